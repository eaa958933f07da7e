//! The story as a whole.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn steps(seed: u64, many: usize) -> Vec<Step> {
    Demo::new(seed).take(many).collect()
}

fn text<'a>(step: &'a Step, field: &str) -> &'a str {
    step.data[field].as_str().unwrap()
}

#[test]
fn one_seed_tells_one_story() {
    assert_eq!(steps(42, 500), steps(42, 500));
    assert_ne!(steps(42, 500), steps(43, 500));
}

#[test]
fn both_rooms_are_alive_within_a_second() {
    for seed in 0..50 {
        let mut elapsed = Duration::ZERO;
        let early: BTreeSet<&str> = Demo::new(seed)
            .take_while(|step| {
                elapsed += step.after;
                elapsed < Duration::from_secs(1)
            })
            .map(|step| step.room)
            .collect();
        assert_eq!(early, BTreeSet::from([MARKET, WELCOME]), "seed {seed}");
    }
}

#[test]
fn the_pace_stays_between_a_trickle_and_a_flood() {
    let story = steps(5, 5_000);
    let whole: Duration = story.iter().map(|step| step.after).sum();
    let per_second = story.len() as f64 / whole.as_secs_f64();
    assert!((1.5..5.0).contains(&per_second), "{per_second} steps a second");
    assert!(story.iter().all(|step| step.after < Duration::from_secs(1)));
}

#[test]
fn nobody_speaks_before_joining_or_after_leaving_and_everybody_types_first() {
    let mut present = BTreeSet::new();
    let mut typing = None;
    let mut seen = BTreeMap::new();
    for step in steps(9, 20_000).iter().filter(|step| step.room == WELCOME) {
        let user = text(step, "userId").to_owned();
        assert!(!text(step, "name").is_empty());
        *seen.entry(step.event).or_insert(0) += 1;
        match step.event {
            "joined" => assert!(present.insert(user), "joined twice"),
            "left" => assert!(present.remove(&user), "left without being there"),
            "typing" => {
                assert_eq!(step.data["typing"], true);
                assert!(present.contains(&user));
                typing = Some(user);
            }
            "message" => {
                assert_eq!(typing.take(), Some(user));
                assert!(!text(step, "text").is_empty());
            }
            other => panic!("unexpected event {other}"),
        }
        assert!(present.len() <= 4);
    }
    assert!(seen["left"] > 20 && seen["message"] > 2_000, "{seen:?}");
}

#[test]
fn no_line_comes_again_before_all_have_been_said() {
    let story = steps(11, 3_000);
    let lines: Vec<&str> =
        story.iter().filter(|step| step.event == "message").map(|step| text(step, "text")).collect();
    let distinct: BTreeSet<&str> = lines.iter().copied().collect();
    assert!(lines.len() > distinct.len(), "the story is long enough to repeat itself");
    let first_round: BTreeSet<&str> = lines[..distinct.len()].iter().copied().collect();
    assert_eq!(first_round, distinct);
}

#[test]
fn ticks_carry_prices_as_decimal_strings() {
    let mut symbols = BTreeSet::new();
    for step in steps(13, 2_000).iter().filter(|step| step.room == MARKET) {
        assert_eq!(step.event, "tick");
        symbols.insert(text(step, "symbol").to_owned());
        for field in ["price", "change", "changePercent"] {
            let value = text(step, field);
            let (whole, decimals) = value.trim_start_matches('-').split_once('.').unwrap();
            assert!(whole.parse::<u32>().is_ok() && decimals.len() == 2, "{field} is {value}");
        }
        assert!(step.data["quantity"].as_u64().unwrap() > 0);
    }
    assert_eq!(symbols.len(), 4);
}
