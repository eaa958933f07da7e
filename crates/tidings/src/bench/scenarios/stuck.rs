//! One room with everybody in it, by turns without and with some who never read.

use std::time::Duration;

use anyhow::Result;

use super::broadcast::{Ears, Press};
use super::unread::{Ends, Unread};
use crate::bench::Bench;
use crate::bench::tally::{Latencies, latencies};

/// Rest before a round, in which those who never read have subscribed.
const REST: Duration = Duration::from_millis(250);

/// The rounds of one kind.
struct Side {
    pooled: Latencies,
    /// The 99th percentile of each round, in microseconds.
    p99s: Vec<u64>,
    /// The most memory the server had in a round, in bytes.
    peak: u64,
}

/// Publishes by turns without and with those who never read, and reports what the others notice.
///
/// # Errors
/// Not everybody gets through.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut ears = Ears::new(&bench.plan)?;
    bench.connect(&mut ears)?;
    let mut press = Press::new(bench);
    press.run(bench, &mut ears, "warming up", bench.plan.warm)?;
    press.drain(bench, &mut ears)?;

    let mark = bench.mark();
    ears.tally.begin(mark.at);
    ears.tally.latencies.reset();
    let (mut without, mut with, mut ends) = (Side::new()?, Side::new()?, Ends::default());
    for number in 0..2 * bench.plan.rounds {
        if is_with(number) {
            let mut unread = Unread::subscribe(bench, &ears.tally)?;
            with.round(bench, &mut ears, &mut press)?;
            unread.read(&mut ends)?;
            unread.come_back(bench, &ears.tally, &mut ends)?;
        } else {
            without.round(bench, &mut ears, &mut press)?;
        }
    }
    report_others(bench, &ears, &without, &with);
    if let Some(before) = mark.server {
        report_memory(bench, before.memory, &without, &with);
    }
    ends.report(&mut bench.report);
    bench.report_shares(&mark);
    bench.report_fate(&ears.refusals);
    Ok(())
}

/// Without, with, with, without: what drifts hits both alike.
fn is_with(number: u32) -> bool {
    matches!(number % 4, 1 | 2)
}

impl Side {
    fn new() -> Result<Self> {
        Ok(Self { pooled: latencies()?, p99s: Vec::new(), peak: 0 })
    }

    fn round(&mut self, bench: &mut Bench, ears: &mut Ears, press: &mut Press) -> Result<()> {
        bench.pass("resting", REST, ears)?;
        if let Some(gauge) = &bench.gauge {
            gauge.forget_peak();
        }
        press.run(bench, ears, "publishing", bench.plan.secs)?;
        press.drain(bench, ears)?;
        ears.tally.forget_in_flight();
        let found = std::mem::replace(&mut ears.tally.latencies, latencies()?);
        self.p99s.push(found.value_at_quantile(0.99));
        self.pooled.add(&found)?;
        self.peak = self.peak.max(bench.read().unwrap_or_default().peak);
        Ok(())
    }

    /// The median of the rounds' 99th percentiles, in milliseconds.
    fn median_p99(&self) -> f64 {
        let mut sorted = self.p99s.clone();
        sorted.sort_unstable();
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default() as f64;
        let half = sorted.len() / 2;
        let twice = at(half) + at(half - usize::from(sorted.len() > 1 && sorted.len().is_multiple_of(2)));
        twice / 2_000.0
    }

    fn milliseconds(&self, quantile: f64) -> f64 {
        self.pooled.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

fn report_others(bench: &mut Bench, ears: &Ears, without: &Side, with: &Side) {
    let report = &mut bench.report;
    report.figure("p50 of the others, without", without.milliseconds(0.5), "ms");
    report.figure("p50 of the others, with", with.milliseconds(0.5), "ms");
    let (before, after) = (without.milliseconds(0.99), with.milliseconds(0.99));
    report.figure("p99 of the others, without", before, "ms");
    report.figure("p99 of the others, with", after, "ms");
    report.figure("p99, with to without", after / before, "");
    let (before, after) = (without.median_p99(), with.median_p99());
    report.figure("median p99 of a round, without", before, "ms");
    report.figure("median p99 of a round, with", after, "ms");
    report.figure("median p99, with to without", after / before, "");
    let (tally, counts) = (&ears.tally, &ears.tally.counts);
    let sums =
        [("lost", tally.lost()), ("duplicates", counts.duplicates), ("out of order", counts.out_of_order)];
    for (name, count) in sums {
        report.figure(name, count as f64, "");
        report.problem(count > 0, || format!("{count} {name}"));
    }
    report.latencies("delivery, with", &with.pooled);
    report.timeline("deliveries", tally.timeline.clone());
}

fn report_memory(bench: &mut Bench, before: u64, without: &Side, with: &Side) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    bench.report.figure("server memory before the rounds", megabytes(before), "MB");
    bench.report.figure("most server memory, without", megabytes(without.peak), "MB");
    bench.report.figure("most server memory, with", megabytes(with.peak), "MB");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rounds_of_both_kinds_are_as_many_and_neither_is_always_first() {
        let with: Vec<bool> = (0..4).map(is_with).collect();
        assert_eq!(with, [false, true, true, false]);
    }

    #[test]
    fn the_median_of_the_rounds_is_the_middle_or_between_the_two_middles() {
        let median = |p99s: &[u64]| Side { p99s: p99s.into(), ..Side::new().unwrap() }.median_p99();
        assert_eq!([median(&[9_000, 1_000, 2_000]), median(&[4_000, 1_000, 9_000, 2_000])], [2.0, 3.0]);
        assert_eq!([median(&[5_000]), median(&[])], [5.0, 0.0]);
    }
}
