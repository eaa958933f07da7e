//! A room is its journal: computed again it is the same, and an export that was touched is found out.

use proptest::prelude::*;
use tidings_trading::export;
use tidings_trading::journal::{Hash, Input};
use tidings_trading::room::Room;
use tidings_trading::rules::Rules;

use super::asks::histories;
use super::trades::{free, place, price, running};

/// A room that was played, and the lines of its export.
fn exported(rules: &Rules, inputs: &[(u64, Input)]) -> (Room, Vec<String>) {
    let mut room = Room::new("room", rules.clone()).unwrap();
    let mut lines = vec![export::head("room", rules)];
    for (at_ms, input) in inputs {
        if let Ok(applied) = room.apply(*at_ms, input.clone()) {
            lines.push(export::line(&applied.entry, room.chain()));
        }
    }
    lines.push(export::end(&room));
    (room, lines)
}

fn verify(lines: &[String]) -> Result<Room, String> {
    export::verify(lines.iter().map(String::as_str)).map_err(|wrong| wrong.to_string())
}

fn ended(rules: &Rules, mut inputs: Vec<(u64, Input)>) -> (Room, Vec<String>) {
    inputs.push((u64::MAX >> 20, Input::End));
    exported(rules, &inputs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_room_that_is_computed_from_its_export_is_the_same_room((rules, inputs) in histories(60)) {
        let (room, lines) = ended(&rules, inputs);
        prop_assert_eq!(verify(&lines).unwrap(), room);
    }

    #[test]
    fn an_export_that_lacks_a_line_or_has_one_twice_is_wrong(
        (rules, inputs) in histories(30),
        at in any::<prop::sample::Index>(),
    ) {
        let (_, lines) = ended(&rules, inputs);
        let at = at.index(lines.len());
        let (mut less, mut more) = (lines.clone(), lines.clone());
        less.remove(at);
        prop_assert!(verify(&less).is_err());
        more.insert(at, lines[at].clone());
        prop_assert!(verify(&more).is_err());
    }

    #[test]
    fn an_export_with_another_digit_anywhere_is_wrong(
        (rules, inputs) in histories(30),
        (line, digit) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let (_, mut lines) = ended(&rules, inputs);
        let line = line.index(lines.len());
        let digits: Vec<usize> =
            lines[line].match_indices(|letter: char| letter.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = digits[digit.index(digits.len())];
        let other = if lines[line].as_bytes()[at] == b'7' { "8" } else { "7" };
        lines[line].replace_range(at..=at, other);
        prop_assert!(verify(&lines).is_err(), "{}", lines[line]);
    }
}

#[test]
fn an_export_says_which_line_is_wrong() {
    let mut room = running(free());
    room.apply(1, price("10", None)).unwrap();
    let ask =
        super::asks::ask("a", tidings_trading::order::Side::Buy, (tidings_trading::order::Kind::Market, "2"));
    let inputs: Vec<(u64, Input)> =
        [Input::Open, super::trades::join("ada"), Input::Start, price("10", None)]
            .into_iter()
            .chain([place("ada", ask), price("12", None), Input::End])
            .map(|input| (5, input))
            .collect();
    let (_, lines) = exported(&free(), &inputs);
    assert!(verify(&lines).is_ok());
    let changed = |line: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[line - 1].contains(from), "{}", lines[line - 1]);
        lines[line - 1] = lines[line - 1].replace(from, to);
        verify(&lines).unwrap_err()
    };
    assert!(changed(7, r#""12""#, r#""13""#).starts_with("line 7: entry 6 is not the one that was chained"));
    assert!(changed(6, r#""2""#, r#""49""#).starts_with("line 6: entry 5 is not the one"));
    assert!(changed(9, r#""value":"0.004""#, r#""value":"0.005""#).starts_with("line 9: expected"));
    assert!(changed(1, "room\",\"version\":1", "room\",\"version\":2").starts_with("line 1: expected"));
    assert!(verify(&lines[..lines.len() - 1]).unwrap_err().contains("the end is missing"));
    let early: Vec<String> = lines[..7].iter().cloned().chain([lines[8].clone()]).collect();
    assert!(verify(&early).unwrap_err().contains("running, its standings are not final"));
}

#[test]
fn a_hash_is_read_as_it_is_written_and_in_no_other_way() {
    let hash = Hash::of("Tidings");
    assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
    // Known from any other tool that computes a SHA-256.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Hash::of("").to_string(), empty);
    assert_eq!(Hash::parse(&empty.to_uppercase()), None);
    assert_eq!(Hash::parse(&empty[1..]), None);
    assert_eq!(Hash::parse(&format!("+{}", &empty[1..])), None);
}
