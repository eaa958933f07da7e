//! What was counted since the start, and how much of it in the last seconds.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use crate::shared::Shared;

/// Seconds over which rates are told.
const SECONDS: usize = 5;

/// What was counted since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) at_ms: u64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) bytes: u64,
    pub(crate) writes: u64,
    pub(crate) shards: Vec<OfShard>,
}

/// What one shard has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OfShard {
    pub(crate) delivered: u64,
    pub(crate) taken: u64,
    /// Nanoseconds its thread has run; `None` where the system does not say.
    pub(crate) ran_ns: Option<u64>,
}

impl Totals {
    /// Reads them from what the shards have told last.
    pub(crate) fn read(shared: &Shared) -> Self {
        let mut totals =
            Self { at_ms: shared.uptime_ms(), published: shared.node.accepted(), ..Self::default() };
        for counts in &shared.counts {
            let counters = counts.counters();
            totals.delivered += counters.delivered;
            totals.bytes += counters.bytes;
            totals.writes += counters.writes;
            let (delivered, taken) = (counters.delivered, counters.taken);
            let ran_ns = ran_ns(counts.thread.load(Ordering::Relaxed));
            totals.shards.push(OfShard { delivered, taken, ran_ns });
        }
        totals
    }
}

/// How long a thread of this process has run, in nanoseconds; 0 is none.
fn ran_ns(thread: u64) -> Option<u64> {
    if thread == 0 {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    stat.split(' ').next()?.parse().ok()
}

/// The number by which the system knows the calling thread; 0 if it does not say.
pub(crate) fn own_thread() -> u64 {
    let path = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// The totals of the last seconds, one a second.
#[derive(Debug, Default)]
pub(crate) struct Rates(VecDeque<Totals>);

/// How much of everything in a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PerSecond {
    pub(crate) published: f64,
    pub(crate) delivered: f64,
    pub(crate) bytes: f64,
    pub(crate) writes: f64,
    /// Delivered, taken and percent of a core, of each shard.
    pub(crate) shards: Vec<(f64, f64, Option<f64>)>,
}

impl Rates {
    /// Takes in what is counted now.
    pub(crate) fn note(&mut self, totals: Totals) {
        if self.0.len() > SECONDS {
            self.0.pop_front();
        }
        self.0.push_back(totals);
    }

    /// The means of the last seconds.
    pub(crate) fn lately(&self) -> PerSecond {
        match (self.0.front(), self.0.back()) {
            (Some(first), Some(last)) => between(first, last),
            _ => PerSecond::default(),
        }
    }

    /// Those of the last second alone.
    pub(crate) fn last(&self) -> PerSecond {
        match (self.0.len().checked_sub(2).and_then(|at| self.0.get(at)), self.0.back()) {
            (Some(first), Some(last)) => between(first, last),
            _ => PerSecond::default(),
        }
    }
}

fn between(first: &Totals, last: &Totals) -> PerSecond {
    let ms = last.at_ms.saturating_sub(first.at_ms) as f64;
    let rate =
        |now: u64, then: u64| if ms > 0.0 { now.saturating_sub(then) as f64 * 1_000.0 / ms } else { 0.0 };
    let shard = |(now, then): (&OfShard, &OfShard)| {
        // Nanoseconds in a second are ten million times as many as percent.
        let cpu = now.ran_ns.zip(then.ran_ns).map(|(now, then)| rate(now, then) / 1e7);
        (rate(now.delivered, then.delivered), rate(now.taken, then.taken), cpu)
    };
    PerSecond {
        published: rate(last.published, first.published),
        delivered: rate(last.delivered, first.delivered),
        bytes: rate(last.bytes, first.bytes),
        writes: rate(last.writes, first.writes),
        shards: last.shards.iter().zip(&first.shards).map(shard).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(second: u64, published: u64) -> Totals {
        let shard = OfShard { delivered: published * 3, taken: published, ran_ns: Some(second * 20_000_000) };
        Totals {
            at_ms: second * 1_000,
            published,
            delivered: published * 3,
            shards: vec![shard],
            ..Totals::default()
        }
    }

    #[test]
    fn rates_are_means_of_the_last_seconds_and_the_past_is_forgotten() {
        let mut rates = Rates::default();
        assert_eq!(rates.lately(), PerSecond::default());
        for second in 0..100 {
            rates
                .note(totals(second, if second < 50 { second * 1_000 } else { 50_000 + (second - 50) * 10 }));
        }
        let (lately, last) = (rates.lately(), rates.last());
        assert_eq!((lately.published, lately.delivered), (10.0, 30.0));
        assert_eq!(last, lately, "it was steady");
        assert_eq!(lately.shards, [(30.0, 10.0, Some(2.0))]);
        rates.note(totals(100, 50_490 + 100));
        assert_eq!((rates.last().published, rates.lately().published), (100.0, 28.0));
    }

    #[test]
    fn the_thread_that_asks_is_found_and_its_time_runs() {
        let thread = own_thread();
        assert!(thread > 0);
        let before = ran_ns(thread).unwrap_or_default();
        let mut spent = 0u64;
        while ran_ns(thread).unwrap_or_default() == before {
            spent = std::hint::black_box(spent + 1);
        }
        assert_eq!(ran_ns(0), None);
    }
}
