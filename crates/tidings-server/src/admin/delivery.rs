//! Whether every shard still takes what it is given: a dead subscriber of the hub would be silent for ever, and
//! nobody but those who wait for its events would know.
//!
//! A beat goes the way publications go, through the shard's mailbox, and is answered when the turn it came in has been
//! sent. So a thread that hangs, is gone, or is hopelessly behind is found by what it does not do.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::inbox::Mail;
use crate::shared::Shared;

/// A shard that has not answered for so long is dead for whoever waits for it: nobody is placed there, and the server
/// is not ready.
pub(crate) const DEAD_MS: u64 = 5_000;

/// One that has not answered for so long is looked at with doubt.
const LATE_MS: u64 = 2_000;

/// What one shard was asked, and what it has answered.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    asked: AtomicU64,
    answered: AtomicU64,
    /// When it was asked last, in milliseconds of the server.
    asked_ms: AtomicU64,
}

/// How the shards deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of them answer.
    Ok,
    /// One is late.
    Late,
    /// One has died.
    Dead,
}

impl Delivery {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Late => "probing",
            Self::Dead => "away",
        }
    }
}

impl Beats {
    /// The number of the next beat; `None` while one is not answered, or a dead shard's mailbox would fill.
    fn next(&self, now_ms: u64) -> Option<u64> {
        let asked = self.asked.load(Ordering::Relaxed);
        if self.answered.load(Ordering::Relaxed) < asked {
            return None;
        }
        self.asked_ms.store(now_ms, Ordering::Relaxed);
        self.asked.store(asked + 1, Ordering::Relaxed);
        Some(asked + 1)
    }

    /// The turn in which a beat came has been sent.
    pub(crate) fn answer(&self, number: u64) {
        self.answered.store(number, Ordering::Relaxed);
    }

    /// How long it has not answered.
    pub(crate) fn silent_ms(&self, now_ms: u64) -> u64 {
        let waits = self.answered.load(Ordering::Relaxed) < self.asked.load(Ordering::Relaxed);
        if waits { now_ms.saturating_sub(self.asked_ms.load(Ordering::Relaxed)) } else { 0 }
    }
}

/// Asks every shard that has answered.
pub(crate) fn ask(shared: &Shared) {
    let now_ms = shared.uptime_ms();
    for (counts, inbox) in shared.counts.iter().zip(&shared.inboxes) {
        if let Some(number) = counts.beats.next(now_ms) {
            inbox.push(Mail::Beat(number));
        }
    }
}

impl Shared {
    /// How long the most silent shard has not answered, in milliseconds.
    pub(crate) fn silent_ms(&self) -> u64 {
        let now_ms = self.uptime_ms();
        self.counts.iter().map(|counts| counts.beats.silent_ms(now_ms)).max().unwrap_or(0)
    }

    /// How the shards deliver.
    pub(crate) fn delivery(&self) -> Delivery {
        match self.silent_ms() {
            DEAD_MS.. => Delivery::Dead,
            LATE_MS.. => Delivery::Late,
            _ => Delivery::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_asked_again_when_it_has_answered_and_is_silent_since_it_was_asked() {
        let beats = Beats::default();
        assert_eq!((beats.silent_ms(9_000), beats.next(10_000)), (0, Some(1)));
        assert_eq!((beats.next(11_000), beats.silent_ms(11_000)), (None, 1_000));
        assert_eq!(beats.silent_ms(10_000 + DEAD_MS), DEAD_MS);
        beats.answer(1);
        assert_eq!((beats.silent_ms(20_000), beats.next(20_000)), (0, Some(2)));
    }
}
