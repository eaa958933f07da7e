//! A circuit breaker: whom one should not ask for a while, because asking fails.
//!
//! A pure value: time and chance come from outside, so every behaviour can be tested without
//! waiting. It knows nothing of what is asked; one breaker stands before each thing that may fail.

use std::collections::VecDeque;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many failures within the window open it; at least 1.
    pub failures: usize,
    /// Milliseconds for which a failure counts.
    pub window_ms: u64,
    /// Milliseconds it stays open at first; doubled each time the probe fails.
    pub least_open_ms: u64,
    /// Milliseconds it stays open at most.
    pub most_open_ms: u64,
    /// Milliseconds after which a probe that has not come back is given up for another.
    pub probe_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, window_ms: 10_000, least_open_ms: 1_000, most_open_ms: 30_000, probe_ms: 10_000 }
    }
}

/// What a breaker is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything may be tried.
    Closed,
    /// Nothing may be tried.
    Open,
    /// One try decides.
    HalfOpen,
}

/// Leave to try once; whoever has it reports how it went.
///
/// A report of a try that began before the breaker last changed says nothing about now and is
/// not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u64);

/// A circuit breaker: closed, open after failures, half open for one probe.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Counts the changes, so that late reports are known as such.
    turn: u64,
}

#[derive(Debug)]
enum State {
    /// When the last failures were, at most as many as open it.
    Closed(VecDeque<u64>),
    /// `tries` counts how often it opened in a row.
    Open { until_ms: u64, tries: u32 },
    /// The probe may take until `by_ms`.
    HalfOpen { by_ms: u64, tries: u32 },
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed(VecDeque::new()), turn: 0 }
    }

    /// Asks for leave to try.
    ///
    /// # Errors
    /// How many milliseconds from now it is worth asking again.
    pub fn permit(&mut self, now_ms: u64) -> Result<Permit, u64> {
        let tries = match &self.state {
            State::Closed(_) => return Ok(Permit(self.turn)),
            State::Open { until_ms, .. } if now_ms < *until_ms => return Err(until_ms - now_ms),
            State::HalfOpen { by_ms, .. } if now_ms < *by_ms => return Err(by_ms - now_ms),
            State::Open { tries, .. } | State::HalfOpen { tries, .. } => *tries,
        };
        self.change(State::HalfOpen { by_ms: now_ms + self.policy.probe_ms.max(1), tries });
        Ok(Permit(self.turn))
    }

    /// A try went well; `true` if that closed the breaker.
    pub fn succeeded(&mut self, permit: Permit) -> bool {
        if permit.0 != self.turn {
            return false;
        }
        match &mut self.state {
            State::Closed(_) | State::Open { .. } => false,
            State::HalfOpen { .. } => {
                self.change(State::Closed(VecDeque::new()));
                true
            }
        }
    }

    /// A try failed; `Some` says for how many milliseconds the breaker is open because of it.
    ///
    /// `chance` is any number drawn at random: it spreads the next probes of several servers over
    /// the second half of the time.
    pub fn failed(&mut self, permit: Permit, now_ms: u64, chance: u64) -> Option<u64> {
        if permit.0 != self.turn {
            return None;
        }
        let tries = match &mut self.state {
            State::Open { .. } => return None,
            State::HalfOpen { tries, .. } => tries.saturating_add(1),
            State::Closed(failures) => {
                let window = self.policy.window_ms;
                failures.retain(|at_ms| now_ms.saturating_sub(*at_ms) < window);
                failures.push_back(now_ms);
                if failures.len() < self.policy.failures.max(1) {
                    return None;
                }
                0
            }
        };
        let open_ms = self.policy.open_ms(tries, chance);
        self.change(State::Open { until_ms: now_ms + open_ms, tries });
        Some(open_ms)
    }

    /// A try ended without saying how things are; if it was the probe, another may be made at once.
    pub fn withdrawn(&mut self, permit: Permit) {
        if permit.0 != self.turn {
            return;
        }
        if let State::HalfOpen { tries, .. } = self.state {
            self.change(State::HalfOpen { by_ms: 0, tries });
        }
    }

    /// What it is at `now_ms`.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { until_ms, .. } if now_ms < until_ms => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.turn += 1;
    }
}

impl BreakerPolicy {
    /// For how long it opens the time after `tries` others: doubling, bounded, half of it by chance.
    fn open_ms(&self, tries: u32, chance: u64) -> u64 {
        let most = self.most_open_ms.max(1);
        let factor = 1_u64.checked_shl(tries).unwrap_or(u64::MAX);
        let full = self.least_open_ms.max(1).saturating_mul(factor).min(most);
        let half = full / 2;
        full - half + chance % (half + 1)
    }
}
