//! One word that says how much of a rate is used up.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rate::{Rate, Wait};

/// How much of a rate one thread's client has used up: the time at which nothing is, in
/// nanoseconds of the caller's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket(u64);

impl Bucket {
    /// Takes one; how many more would pass now.
    ///
    /// # Errors
    /// How long to wait; nothing is taken then.
    pub fn take(&mut self, rate: Rate, now_ns: u64) -> Result<u64, Wait> {
        let (next, left) = rate.step(self.0, now_ns)?;
        self.0 = next;
        Ok(left)
    }

    /// Whether nothing is used up.
    pub fn is_full(self, now_ns: u64) -> bool {
        self.0 <= now_ns
    }
}

/// When those who found a bucket empty were told to come again, one after the other: told the same moment, all but one of
/// them would come in vain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line(u64);

impl Line {
    /// How long one is to wait who would have to wait so long if it were alone; never longer than until the bucket is
    /// full, however many stand in line.
    pub fn join(&mut self, alone: Wait, rate: Rate, now_ns: u64) -> Wait {
        let first = now_ns.saturating_add(alone.0);
        let last = first.saturating_add(rate.span_ns());
        self.0 = self.0.saturating_add(rate.interval_ns()).clamp(first, last);
        Wait(self.0 - now_ns)
    }
}

/// The same for all threads: one word, changed by compare and swap.
///
/// Threads whose clocks differ a little, because each reads it once a turn, can only be refused
/// more, never less: an older time makes the same event look further ahead.
#[derive(Debug, Default)]
pub struct SharedBucket(AtomicU64);

impl SharedBucket {
    /// Takes one; how many more would pass now.
    ///
    /// # Errors
    /// How long to wait; nothing is taken then.
    pub fn take(&self, rate: Rate, now_ns: u64) -> Result<u64, Wait> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, left) = rate.step(seen, now_ns)?;
            match self.0.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(left),
                Err(newer) => seen = newer,
            }
        }
    }

    /// Gives one back that was taken and turned out not to count.
    pub fn give_back(&self, rate: Rate) {
        let back = |at: u64| Some(at.saturating_sub(rate.interval_ns()));
        // The closure never refuses, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// How many would pass now.
    pub fn left(&self, rate: Rate, now_ns: u64) -> u64 {
        rate.left(self.0.load(Ordering::Relaxed), now_ns)
    }

    /// Nanoseconds until nothing is used up.
    pub fn full_in_ns(&self, now_ns: u64) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_sub(now_ns)
    }

    /// Whether nothing is used up: then forgetting it loses nothing.
    pub fn is_full(&self, now_ns: u64) -> bool {
        self.full_in_ns(now_ns) == 0
    }
}
