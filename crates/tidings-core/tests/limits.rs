//! Rates and counts against naive models, in virtual time.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tidings_core::hub::Full;
use tidings_core::limits::{
    Account, Accounts, Bucket, Line, Network, NoRoom, OwnRate, Place, Rate, SharedBucket, Wait, network_of,
    plain_address,
};
use tidings_core::{Epoch, Hub, Keep, Org, Room};

const SECOND: u64 = 1_000_000_000;

/// A bucket as one would draw it: so many tokens, one more each interval, never more than burst.
///
/// Levels are in nanoseconds of filling, so that nothing is rounded.
struct Drawn {
    level: u64,
    at: u64,
}

impl Drawn {
    fn take(&mut self, rate: Rate, now: u64) -> bool {
        self.level = rate.span_ns().min(self.level.saturating_add(now - self.at));
        self.at = now;
        let passes = self.level >= rate.interval_ns();
        if passes {
            self.level -= rate.interval_ns();
        }
        passes
    }
}

fn rates() -> impl Strategy<Value = Rate> {
    prop_oneof![
        (1u64..500, 1u64..50).prop_map(|(events, burst)| Rate::per_second(events, burst)),
        (1u64..2_000).prop_map(Rate::per_minute),
    ]
}

proptest! {
    #[test]
    fn a_bucket_lets_through_what_a_drawn_one_does(
        rate in rates(),
        steps in prop::collection::vec(0u64..2 * SECOND, 1..300),
    ) {
        let (mut bucket, mut drawn) = (Bucket::default(), Drawn { level: rate.span_ns(), at: 0 });
        let mut now = 0;
        for step in steps {
            now += step;
            let taken = bucket.take(rate, now);
            prop_assert_eq!(taken.is_ok(), drawn.take(rate, now));
            if let Ok(left) = taken {
                prop_assert_eq!(left, drawn.level / rate.interval_ns());
            }
        }
    }

    #[test]
    fn no_window_holds_more_than_the_burst_and_what_the_rate_gives(
        rate in rates(),
        window in 1u64..90 * SECOND,
        steps in prop::collection::vec(0u64..SECOND / 10, 1..400),
    ) {
        let (mut bucket, mut now, mut passed) = (Bucket::default(), 0, Vec::new());
        for step in steps {
            now += step;
            if bucket.take(rate, now).is_ok() {
                passed.push(now);
            }
        }
        let most = rate.burst() + window / rate.interval_ns();
        for (at, first) in passed.iter().enumerate() {
            let inside = passed[at..].iter().take_while(|time| **time < first + window).count() as u64;
            prop_assert!(inside <= most, "{} in {} ns, at most {}", inside, window, most);
        }
    }

    #[test]
    fn the_wait_is_exact(rate in rates(), steps in prop::collection::vec(0u64..SECOND, 1..200)) {
        let (mut bucket, mut now) = (Bucket::default(), 0);
        for step in steps {
            now += step;
            while bucket.take(rate, now).is_ok() {}
            let Err(Wait(wait)) = bucket.take(rate, now) else { unreachable!("it was used up") };
            prop_assert!(bucket.clone().take(rate, now + wait - 1).is_err(), "one nanosecond early");
            prop_assert!(bucket.clone().take(rate, now + wait).is_ok(), "in time");
        }
    }
}

#[test]
fn what_is_rounded_is_rounded_against_the_client() {
    let rate = Rate::per_second(3, 1);
    let mut bucket = Bucket::default();
    let passed = (0..10_000u64).filter(|at| bucket.take(rate, at * SECOND / 1_000).is_ok()).count();
    assert!(passed <= 30, "{passed} in ten seconds");
}

#[test]
fn threads_that_share_a_bucket_get_exactly_its_burst_at_one_moment() {
    let (bucket, rate) = (SharedBucket::default(), Rate::per_second(100, 5_000));
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mine = (0..2_000).filter(|_| bucket.take(rate, SECOND).is_ok()).count();
                passed.fetch_add(mine as u64, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(passed.into_inner(), 5_000);
}

#[test]
fn threads_whose_time_runs_get_exactly_the_burst_and_the_rate() {
    let (bucket, rate) = (SharedBucket::default(), Rate::per_second(1_000, 500));
    let (clock, passed) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    // Each step is far shorter than the interval, so the bucket is never full.
                    let now = clock.fetch_add(10_000, Ordering::Relaxed);
                    passed.fetch_add(u64::from(bucket.take(rate, now).is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    let end = clock.into_inner();
    // What is left at the end is not used; nothing beyond it was given.
    let (given, left) = (passed.into_inner(), bucket.left(rate, end));
    let most = 500 + end / rate.interval_ns();
    assert!(given + left == most || given + left + 1 == most, "{given} and {left} of {most}");
}

#[test]
fn those_who_are_refused_together_come_again_one_after_the_other() {
    let rate = Rate::per_second(50, 100);
    let (mut bucket, mut line) = (Bucket::default(), Line::default());
    let waits: Vec<u64> =
        (0..160).filter_map(|_| bucket.take(rate, 0).err()).map(|wait| line.join(wait, rate, 0).0).collect();
    assert_eq!(waits.len(), 60);
    for wait in &waits {
        assert!(bucket.take(rate, *wait).is_ok(), "who waits so long is let through: {wait}");
    }
    // Once they have come, the next waits for itself alone.
    let last = waits[59];
    let alone = bucket.take(rate, last).unwrap_err();
    assert_eq!(line.join(alone, rate, last), alone);

    // Who does not come as it is told keeps nobody waiting for ever.
    let longest = (0..10_000).map(|_| line.join(alone, rate, last).0).max().unwrap();
    assert_eq!(longest, alone.0 + rate.span_ns());
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let (bucket, rate) = (SharedBucket::default(), Rate::per_minute(2));
    assert_eq!(bucket.take(rate, SECOND), Ok(1));
    assert_eq!(bucket.take(rate, SECOND), Ok(0));
    assert!(bucket.take(rate, SECOND).is_err());
    bucket.give_back(rate);
    assert_eq!(bucket.take(rate, SECOND), Ok(0));
}

#[test]
fn a_place_comes_back_when_it_is_dropped() {
    let account = Arc::new(Account::default());
    let take = || Place::take(&account, |account| &account.connections, 2);
    let (first, second) = (take().unwrap(), take().unwrap());
    assert!(take().is_none());
    drop(first);
    assert_eq!(account.connections.count(), 1);
    assert!(take().is_some());
    drop(second);
    assert_eq!(account.connections.count(), 0);
}

#[test]
fn threads_never_have_more_places_than_there_are() {
    let account = Arc::new(Account::default());
    let most_seen = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let place = Place::take(&account, |account| &account.connections, 3);
                    most_seen.fetch_max(account.connections.count() as u64, Ordering::Relaxed);
                    drop(place);
                }
            });
        }
    });
    assert!(most_seen.into_inner() <= 3);
    assert_eq!(account.connections.count(), 0);
}

#[test]
fn ten_wrong_sign_ins_in_a_minute_keep_an_address_out_for_the_time_that_is_set() {
    let (account, rate) = (Account::default(), Rate::per_minute(10));
    for _ in 0..9 {
        assert!(!account.failed(rate, 60 * SECOND, SECOND));
        assert!(account.may_sign_in(SECOND).is_ok());
    }
    assert!(account.failed(rate, 60 * SECOND, SECOND), "the tenth");
    assert_eq!(account.may_sign_in(SECOND), Err(Wait(60 * SECOND)));
    assert_eq!(account.may_sign_in(61 * SECOND - 1), Err(Wait(1)));
    assert!(account.may_sign_in(61 * SECOND).is_ok());
}

#[test]
fn wrong_sign_ins_that_come_seldom_keep_nobody_out() {
    let (account, rate) = (Account::default(), Rate::per_minute(10));
    assert!((1..1_000).all(|at| !account.failed(rate, 60 * SECOND, at * 6 * SECOND)));
}

#[test]
fn a_kind_of_rooms_with_its_own_rate_has_a_bucket_of_its_own() {
    let account = Account::default();
    let own = |at| OwnRate { at, rate: Rate::per_minute(1) };
    let take = |at| account.of_kind(own(at)).take(own(at).rate, SECOND);
    assert!(take(0).is_ok());
    assert!(take(0).is_err());
    assert!(take(1).is_ok());
    assert!(account.publishes.is_full(SECOND));
    assert!(!account.is_at_rest(SECOND) && account.is_at_rest(61 * SECOND));
}

#[test]
fn a_full_table_forgets_who_is_at_rest_and_turns_newcomers_away_if_nobody_is() {
    let accounts: Accounts<u32> = Accounts::new(1);
    let rate = Rate::per_second(1, 1);
    let mut refused = None;
    for key in 0..10_000 {
        match accounts.account(key, SECOND) {
            Ok(account) => account.messages.take(rate, SECOND).map(drop).unwrap(),
            Err(NoRoom) => refused = Some(key),
        }
    }
    let refused = refused.expect("there is no bound");
    let kept = accounts.len();
    assert!(kept <= 64, "{kept} accounts");
    assert!(accounts.account(refused, SECOND).is_err(), "somebody in use was forgotten");
    assert!(accounts.account(refused, 3 * SECOND).is_ok(), "nobody at rest was forgotten");
}

#[test]
fn an_account_that_is_held_or_in_use_is_the_same_for_all_who_ask() {
    let accounts: Accounts<&str> = Accounts::new(1_000);
    let held = accounts.account("held", 0).unwrap();
    let rate = Rate::per_minute(1);
    accounts.account("busy", 0).unwrap().publishes.take(rate, 0).unwrap();
    accounts.account("idle", 0).unwrap();
    accounts.sweep(SECOND);
    assert_eq!(accounts.len(), 2);
    assert!(Arc::ptr_eq(&held, &accounts.account("held", SECOND).unwrap()));
    assert!(accounts.account("busy", SECOND).unwrap().publishes.take(rate, SECOND).is_err());
    drop(held);
    accounts.sweep(61 * SECOND);
    assert!(accounts.is_empty());
}

#[test]
fn so_many_at_once_and_then_so_many_a_minute() {
    let (account, rate) = (Account::default(), Rate::per_minute_at_once(20, 300));
    let passes = |second: u64| (0..400).filter(|_| account.rooms.take(rate, second * SECOND).is_ok()).count();
    assert_eq!(passes(0), 300);
    assert_eq!((1..=60).map(passes).sum::<usize>(), 20);
    assert!(!account.is_at_rest(15 * 60 * SECOND), "nothing of it is forgotten before it would be the same");
    assert!(account.is_at_rest(16 * 60 * SECOND));
}

#[test]
fn an_organisation_has_so_many_rooms_at_most_and_another_has_its_own() {
    let hub = Hub::new(Vec::new()).with_rooms_per_org(2);
    let spec = Arc::new(common::spec(Keep::Nothing));
    let make = |org: &str, name: &str| {
        hub.entry(&Room::new(&Org::new(org), name, 200).unwrap(), &spec, || Epoch(1)).map(drop)
    };
    assert_eq!(make("a", "vol:1"), Ok(()));
    assert_eq!(make("a", "vol:2"), Ok(()));
    assert_eq!(make("a", "vol:3"), Err(Full::Organisation));
    let has_place = |org: &str, name: &str| hub.has_place(&Room::new(&Org::new(org), name, 200).unwrap());
    assert_eq!(has_place("a", "vol:3"), Err(Full::Organisation));
    assert_eq!((has_place("a", "vol:1"), has_place("b", "vol:3")), (Ok(()), Ok(())));
    assert_eq!(make("a", "vol:1"), Ok(()), "it is there already");
    assert_eq!(make("b", "vol:3"), Ok(()));
    // Rooms nobody needs are forgotten, and make room for others.
    hub.sweep(SECOND);
    assert_eq!(make("a", "vol:3"), Ok(()));
}

#[test]
fn ranges_hold_the_addresses_they_name() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("::ffff:10.0.0.0/104", "10.1.1.1", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::/0", "2001:db8::1", true),
        ("::1", "::1", true),
    ];
    for (range, address, holds) in table {
        let range: Network = range.parse().unwrap();
        assert_eq!(range.holds(address.parse().unwrap()), holds, "{range:?} {address}");
    }
    for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "proxy", "10.0.0/8"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

#[test]
fn an_address_of_ipv6_is_counted_by_its_first_64_bits() {
    let network = |text: &str| network_of(plain_address(text.parse::<IpAddr>().unwrap()));
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("192.0.2.1"), None);
    assert_eq!(network("::ffff:192.0.2.1"), None);
}
