//! How long publications take to the sockets, counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An octave is cut in eight: what is told is at most an eighth too long.
const FINE: u32 = 3;

/// Beyond two minutes everything is the same.
const LAST_OCTAVE: u32 = 27;

/// Microseconds from 0 to 7 each by itself, then eight for each octave.
const BUCKETS: usize = ((LAST_OCTAVE - FINE + 2) as usize) << FINE;

/// How often a measured publication took how long, since the start; written by one thread alone.
pub(crate) struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latency {
    /// Counts one that took so long.
    pub(crate) fn note(&self, took: Duration) {
        let bucket = &self.0[bucket(took.as_micros().try_into().unwrap_or(u64::MAX))];
        // There is one writer: nothing is lost between the two.
        bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The counts as they are now.
    pub(crate) fn counts(&self) -> Buckets {
        Buckets(self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect())
    }
}

/// Counts of some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buckets(Box<[u64]>);

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into())
    }
}

impl Buckets {
    /// Adds those of another shard or time.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self(self.0.iter().zip(&earlier.0).map(|(now, then)| now.saturating_sub(*then)).collect())
    }

    /// How many were measured.
    pub(crate) fn samples(&self) -> u64 {
        self.0.iter().sum()
    }

    /// So many of a thousand took no longer than this, in milliseconds; `None` if nothing was measured.
    pub(crate) fn per_mille(&self, part: u64) -> Option<f64> {
        let samples = self.samples();
        let wanted = (samples * part).div_ceil(1_000).max(1);
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(end_of(at) as f64 / 1_000.0)
    }
}

fn bucket(micros: u64) -> usize {
    if micros < 1 << FINE {
        return micros as usize;
    }
    let octave = micros.ilog2();
    if octave > LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let part = (micros >> (octave - FINE)) & ((1 << FINE) - 1);
    (((octave - FINE + 1) << FINE) as usize) + part as usize
}

/// Microseconds at which a bucket ends.
fn end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 1 << FINE {
        return bucket + 1;
    }
    let (octave, part) = ((bucket >> FINE) - 1, bucket & ((1 << FINE) - 1));
    ((1 << FINE) + part + 1) << octave
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_and_is_told_at_most_an_eighth_too_long() {
        let large = (14..27).flat_map(|power| [1 << power, (3 << power) - 1]);
        let (mut before, mut times) = (0, (0..10_000).chain(large).collect::<Vec<u64>>());
        times.sort_unstable();
        for micros in times {
            let (at, end) = (bucket(micros), end_of(bucket(micros)));
            assert!(micros < end && end - 1 <= micros + micros / 8, "{micros} is told as {end}");
            assert!(at >= before, "{micros}");
            before = at;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << 28) - 1), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let latency = Latency::default();
        let mut times: Vec<u64> = (1..=2_000u64).map(|n| n * n % 90_001).collect();
        times.iter().for_each(|micros| latency.note(Duration::from_micros(*micros)));
        times.sort_unstable();
        let counts = latency.counts();
        assert_eq!(counts.samples(), 2_000);
        for (part, rank) in [(500, 1_000), (950, 1_900), (990, 1_980), (1_000, 2_000)] {
            let (exact, told) = (times[rank - 1] as f64 / 1_000.0, counts.per_mille(part).unwrap());
            assert!(told >= exact && told <= exact * 1.126 + 0.001, "{part}: {told} for {exact}");
        }
    }

    #[test]
    fn what_was_counted_before_is_not_counted_again() {
        let latency = Latency::default();
        latency.note(Duration::from_millis(5));
        let before = latency.counts();
        assert_eq!(latency.counts().since(&before).per_mille(500), None);
        latency.note(Duration::from_micros(3));
        let mut since = latency.counts().since(&before);
        assert_eq!((since.samples(), since.per_mille(990)), (1, Some(0.004)));
        since.add(&before);
        assert_eq!(since.samples(), 2);
    }
}
