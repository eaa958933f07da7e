//! The detector of threats, in a time that the tests make.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::net::IpAddr;

use proptest::prelude::*;
use tidings_core::Org;
use tidings_server::config::ThreatsConfig;
use tidings_server::threats::{Detector, Hit, Kind, Level, PLACES, Source, Threat};

const WINDOW_MS: u64 = 300_000;

fn detector() -> Detector {
    Detector::new(&ThreatsConfig::default())
}

fn address(last: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + last).to_be_bytes())
}

fn probe(from: u32) -> Hit<'static> {
    Hit { kind: Kind::TokenProbing, address: Some(address(from)), org: None, account: None }
}

fn login<'a>(from: u32, org: &'a Org, account: &'a str) -> Hit<'a> {
    Hit { kind: Kind::LoginStorm, address: Some(address(from)), org: Some(org), account: Some(account) }
}

fn levels(threats: &[Threat]) -> Vec<Level> {
    threats.iter().map(|threat| threat.level).collect()
}

#[test]
fn a_storm_is_told_once_for_each_level_and_not_for_each_hit() {
    let mut detector = detector();
    let threats: Vec<Threat> = (0..1_000).flat_map(|at| detector.observe(&probe(1), at * 100)).collect();
    assert_eq!(levels(&threats), Level::ALL);
    let alert = &threats[2];
    assert_eq!((alert.count, alert.since_ms, &alert.source), (40, 0, &Source::Address(address(1))));
}

#[test]
fn what_has_ended_may_begin_again_and_what_goes_on_does_not() {
    let mut detector = detector();
    let storm = |detector: &mut Detector, from_ms: u64| -> usize {
        (0..50).map(|at| detector.observe(&probe(1), from_ms + at).len()).sum()
    };
    assert_eq!(storm(&mut detector, 0), 3);
    // It never comes to rest: a hit every ten seconds keeps thirty in the window.
    let going_on: usize = (0..100).map(|at| detector.observe(&probe(1), 1_000 + at * 10_000).len()).sum();
    assert_eq!(going_on, 0);
    assert_eq!(storm(&mut detector, 1_000_000 + 2 * WINDOW_MS), 3);
}

#[test]
fn one_address_in_one_organisation_is_one_threat_and_belongs_to_it() {
    let (mut detector, org) = (detector(), Org::new("acme"));
    let threats: Vec<Threat> = (0..50).flat_map(|at| detector.observe(&login(1, &org, "ada"), at)).collect();
    assert_eq!(levels(&threats), Level::ALL);
    assert!(threats.iter().all(|threat| threat.source == Source::OrgAddress(org.clone(), address(1))));
}

#[test]
fn an_account_tried_from_many_addresses_and_an_organisation_tried_by_many_are_found() {
    let (mut detector, org) = (detector(), Org::new("acme"));
    let spread = (0..50).flat_map(|at| detector.observe(&login(at, &org, "ada"), 0)).collect::<Vec<_>>();
    let account = Source::Account(org.clone(), "ada".into());
    assert!(spread.iter().any(|threat| threat.source == account && threat.level == Level::Alert));
    let names: Vec<String> = (0..400).map(|at| format!("user-{at}")).collect();
    let many = names.iter().enumerate();
    let many = many.flat_map(|(at, name)| detector.observe(&login(at as u32 % 100, &org, name), 0));
    let many: Vec<Threat> = many.collect();
    let whole = Source::Org(org.clone());
    assert!(many.iter().any(|threat| threat.source == whole && threat.level == Level::Alert), "{many:?}");
}

#[test]
fn an_address_that_tries_several_organisations_is_told_to_none_of_them_as_such() {
    let mut detector = detector();
    let orgs = [Org::new("a"), Org::new("b")];
    let mut threats = Vec::new();
    for at in 0..60 {
        threats.extend(detector.observe(&login(1, &orgs[at % 2], "ada"), 0));
    }
    for threat in &threats {
        match threat.source.org() {
            // An organisation's count is its own: half of what came.
            Some(_) => assert!(threat.count <= 30, "{threat:?}"),
            None => assert_eq!(threat.source, Source::Address(address(1))),
        }
    }
    assert!(threats.iter().any(|threat| threat.source.org().is_none() && threat.level == Level::Alert));
}

#[test]
fn a_whole_network_of_version_6_is_one_source() {
    let mut detector = detector();
    let hit = |last: u16| {
        let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, last, 0, 0, last);
        Hit { address: Some(address.into()), ..probe(0) }
    };
    let threats: Vec<Threat> = (0..40).flat_map(|at| detector.observe(&hit(at), 0)).collect();
    assert_eq!(threats.last().unwrap().source.id(), "2001:db8:0:1::/64");
    assert_eq!(detector.len(), 1);
}

#[test]
fn beyond_its_places_hits_are_counted_together_and_still_found() {
    let mut detector = detector();
    let threats: Vec<Threat> =
        (0..PLACES as u32 + 300).flat_map(|from| detector.observe(&probe(from), 0)).collect();
    assert!(detector.len() <= PLACES + Kind::ALL.len());
    let everywhere = threats.iter().filter(|threat| threat.source == Source::Everywhere);
    assert_eq!(everywhere.map(|threat| threat.level).collect::<Vec<_>>(), Level::ALL);
    // Those at rest make room again.
    detector.observe(&probe(1), 10 * WINDOW_MS);
    detector.observe(&probe(PLACES as u32 + 1_000), 10 * WINDOW_MS);
    assert!(detector.len() < 10, "{}", detector.len());
}

#[test]
fn with_detection_off_nothing_is_found_or_kept() {
    let mut detector = Detector::new(&ThreatsConfig { detect: false, ..ThreatsConfig::default() });
    assert!((0..1_000).all(|at| detector.observe(&probe(1), at).is_empty()));
    assert!(detector.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes whenever: no threat with fewer hits in a window than it takes, no two of one level
    /// within an episode, and a burst above the alert is always found.
    #[test]
    fn threats_are_true_rise_and_are_never_missed(
        steps in prop::collection::vec((0_u32..4, 0_u64..20_000), 1..400),
    ) {
        let (mut detector, mut now_ms) = (detector(), 0);
        let mut hits: HashMap<u32, Vec<u64>> = HashMap::new();
        let mut levels: HashMap<u32, (Level, u64)> = HashMap::new();
        for (from, pause_ms) in steps {
            now_ms += pause_ms;
            let mine = hits.entry(from).or_default();
            mine.push(now_ms);
            let within = |ms: u64| mine.iter().filter(|at| **at + ms > now_ms).count() as u32;
            for threat in detector.observe(&probe(from), now_ms) {
                let takes = match threat.level { Level::Notice => 8, Level::Warning => 16, Level::Alert => 40 };
                prop_assert!(within(WINDOW_MS) >= takes, "{threat:?}");
                if let Some((before, at_ms)) = levels.insert(from, (threat.level, now_ms)) {
                    // Falling below half of a notice takes most of a window.
                    prop_assert!(threat.level > before || now_ms - at_ms >= WINDOW_MS / 2, "{threat:?}");
                }
            }
            if within(WINDOW_MS * 7 / 8) >= 40 {
                prop_assert_eq!(levels.get(&from).map(|(level, _)| *level), Some(Level::Alert));
            }
        }
    }
}
