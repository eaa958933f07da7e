//! The circuit breaker, in virtual time.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tidings_core::{Breaker, BreakerPolicy, BreakerState};

const POLICY: BreakerPolicy =
    BreakerPolicy { failures: 3, window_ms: 1_000, least_open_ms: 100, most_open_ms: 1_600, probe_ms: 500 };

/// Lets it fail until it opens; for how long that is.
fn opened(breaker: &mut Breaker, now_ms: u64) -> u64 {
    for _ in 1..POLICY.failures {
        let permit = breaker.permit(now_ms).unwrap();
        assert_eq!(breaker.failed(permit, now_ms, u64::MAX), None);
    }
    let permit = breaker.permit(now_ms).unwrap();
    breaker.failed(permit, now_ms, 50).unwrap()
}

#[test]
fn so_many_failures_within_the_window_open_it_and_fewer_do_not() {
    let mut breaker = Breaker::new(POLICY);
    for now_ms in [0, 500, 1_000, 1_500, 2_000] {
        // Never three within a second.
        let permit = breaker.permit(now_ms).unwrap();
        assert_eq!(breaker.failed(permit, now_ms, 0), None, "at {now_ms}");
    }
    let permit = breaker.permit(2_001).unwrap();
    assert!(breaker.failed(permit, 2_001, 0).is_some());
    assert_eq!(breaker.state(2_001), BreakerState::Open);
}

#[test]
fn successes_between_failures_do_not_hide_them() {
    let mut breaker = Breaker::new(POLICY);
    for at in 0..2 {
        let permit = breaker.permit(at).unwrap();
        breaker.failed(permit, at, 0);
        let permit = breaker.permit(at).unwrap();
        assert!(!breaker.succeeded(permit));
    }
    let permit = breaker.permit(3).unwrap();
    assert!(breaker.failed(permit, 3, 0).is_some());
}

#[test]
fn an_open_one_says_when_to_come_back_and_then_lets_one_probe_through() {
    let mut breaker = Breaker::new(POLICY);
    let open_ms = opened(&mut breaker, 10);
    assert_eq!(breaker.permit(10), Err(open_ms));
    assert_eq!(breaker.permit(10 + open_ms - 1), Err(1));
    let probe = breaker.permit(10 + open_ms).unwrap();
    assert_eq!(breaker.state(10 + open_ms), BreakerState::HalfOpen);
    assert_eq!(breaker.permit(10 + open_ms), Err(POLICY.probe_ms), "one probe at a time");
    assert!(breaker.succeeded(probe));
    assert_eq!(breaker.state(10 + open_ms), BreakerState::Closed);
}

#[test]
fn a_probe_that_never_comes_back_is_replaced() {
    let mut breaker = Breaker::new(POLICY);
    let open_ms = opened(&mut breaker, 0);
    let lost = breaker.permit(open_ms).unwrap();
    let second = breaker.permit(open_ms + POLICY.probe_ms).unwrap();
    assert!(!breaker.succeeded(lost), "the lost probe's report is too late");
    assert!(breaker.succeeded(second));
}

#[test]
fn a_try_that_began_before_it_opened_says_nothing_about_now() {
    let mut breaker = Breaker::new(POLICY);
    let early = breaker.permit(0).unwrap();
    let open_ms = opened(&mut breaker, 0);
    let probe = breaker.permit(open_ms).unwrap();
    assert!(!breaker.succeeded(early));
    assert_eq!(breaker.failed(early, open_ms, 0), None);
    assert_eq!(breaker.state(open_ms), BreakerState::HalfOpen);
    assert!(breaker.succeeded(probe));
}

#[test]
fn each_failed_probe_doubles_the_time_up_to_the_most() {
    let mut breaker = Breaker::new(POLICY);
    let mut now_ms = 0;
    let mut fulls = vec![];
    for _ in 1..POLICY.failures {
        let permit = breaker.permit(now_ms).unwrap();
        breaker.failed(permit, now_ms, 0);
    }
    for _ in 0..8 {
        let permit = breaker.permit(now_ms).unwrap();
        // This much chance takes the whole second half.
        let full = [100, 200, 400, 800, 1_600][fulls.len().min(4)];
        let open_ms = breaker.failed(permit, now_ms, full / 2).unwrap();
        fulls.push(open_ms);
        now_ms += open_ms;
    }
    assert_eq!(fulls, [100, 200, 400, 800, 1_600, 1_600, 1_600, 1_600]);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Ask,
    Succeed(usize),
    Fail(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..700).prop_map(Step::Wait),
        Just(Step::Ask),
        (0_usize..8).prop_map(Step::Succeed),
        (0_usize..8, any::<u64>()).prop_map(|(which, chance)| Step::Fail(which, chance)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_it_lets_one_through_again_within_the_longest_time(steps in prop::collection::vec(step(), 0..200)) {
        let mut breaker = Breaker::new(POLICY);
        let (mut now_ms, mut permits) = (0, vec![]);
        // Probes handed out since the breaker last opened.
        let mut probe_until = 0;
        for step in steps {
            match step {
                Step::Wait(ms) => now_ms += ms,
                Step::Ask => {
                    let before = breaker.state(now_ms);
                    match breaker.permit(now_ms) {
                        Ok(permit) => {
                            if before == BreakerState::HalfOpen {
                                prop_assert!(now_ms >= probe_until, "two probes at once");
                                probe_until = now_ms + POLICY.probe_ms;
                            }
                            permits.push(permit);
                        }
                        Err(wait_ms) => {
                            prop_assert!(before != BreakerState::Closed);
                            prop_assert!((1..=POLICY.most_open_ms).contains(&wait_ms));
                        }
                    }
                }
                Step::Succeed(which) if which < permits.len() => {
                    if breaker.succeeded(permits.remove(which)) {
                        prop_assert_eq!(breaker.state(now_ms), BreakerState::Closed);
                        probe_until = 0;
                    }
                }
                Step::Fail(which, chance) if which < permits.len() => {
                    if let Some(open_ms) = breaker.failed(permits.remove(which), now_ms, chance) {
                        prop_assert!((POLICY.least_open_ms / 2..=POLICY.most_open_ms).contains(&open_ms));
                        prop_assert_eq!(breaker.state(now_ms), BreakerState::Open);
                        probe_until = 0;
                    }
                }
                Step::Succeed(_) | Step::Fail(..) => {}
            }
        }
        prop_assert!(breaker.permit(now_ms + POLICY.most_open_ms.max(POLICY.probe_ms)).is_ok());
    }
}

#[test]
fn a_probe_that_was_given_up_makes_place_for_another_and_a_try_changes_nothing() {
    let mut breaker = Breaker::new(BreakerPolicy { failures: 1, ..BreakerPolicy::default() });
    let early = breaker.permit(0).unwrap();
    breaker.withdrawn(early);
    assert_eq!(breaker.state(0), BreakerState::Closed);
    let open_ms = breaker.failed(early, 0, 0).unwrap();
    let probe = breaker.permit(open_ms).unwrap();
    assert!(breaker.permit(open_ms).is_err(), "there is one probe");
    breaker.withdrawn(probe);
    let next = breaker.permit(open_ms).unwrap();
    assert!(!breaker.succeeded(probe), "the one that was given up says nothing any more");
    assert!(breaker.succeeded(next));
}
