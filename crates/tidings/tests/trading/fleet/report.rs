//! What a run took, as it is printed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What one bot measured and counted, or all of them.
#[derive(Debug)]
pub(crate) struct Times {
    /// From an order that was said to its first fill at its owner, in microseconds.
    executed: Histogram<u64>,
    /// The same from when the order was due: what the bots' own machine took is in it.
    due: Histogram<u64>,
    /// From an order that was said to its answer.
    answered: Histogram<u64>,
    /// Connections that ended.
    pub(crate) lost: u64,
    pub(crate) said_again: u64,
    pub(crate) duplicates: u64,
    pub(crate) busy: u64,
    pub(crate) cancelled: u64,
    pub(crate) cancelled_late: u64,
    /// Refusals by the room's code.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Times {
    pub(crate) fn new() -> Self {
        let empty = || Histogram::new_with_bounds(1, 120_000_000, 3).unwrap();
        let (executed, due, answered, refused) = (empty(), empty(), empty(), BTreeMap::new());
        let (lost, said_again, duplicates, busy, cancelled, cancelled_late) = (0, 0, 0, 0, 0, 0);
        Self {
            executed,
            due,
            answered,
            lost,
            said_again,
            duplicates,
            busy,
            cancelled,
            cancelled_late,
            refused,
        }
    }

    pub(crate) fn executed(&mut self, due: Instant, sent: Instant, at: Instant) {
        self.executed.saturating_record((at - sent).as_micros() as u64);
        self.due.saturating_record((at - due).as_micros() as u64);
    }

    /// Orders that were said more than once, or on a connection that ended, are not measured.
    pub(crate) fn answered(&mut self, took: Duration, measured: bool) {
        if measured {
            self.answered.saturating_record(took.as_micros() as u64);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.executed.add(&other.executed).unwrap();
        self.due.add(&other.due).unwrap();
        self.answered.add(&other.answered).unwrap();
        self.lost += other.lost;
        self.said_again += other.said_again;
        self.duplicates += other.duplicates;
        self.busy += other.busy;
        self.cancelled += other.cancelled;
        self.cancelled_late += other.cancelled_late;
        for (code, count) in &other.refused {
            *self.refused.entry(code.clone()).or_default() += count;
        }
    }

    /// How many orders were measured, and the 99th percentile of them in milliseconds.
    pub(crate) fn p99(&self) -> (u64, f64) {
        (self.executed.len(), self.executed.value_at_quantile(0.99) as f64 / 1_000.0)
    }
}

fn percentiles(times: &Histogram<u64>) -> String {
    let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1_000.0;
    let (p50, p90, p99, p999) = (at(0.5), at(0.9), at(0.99), at(0.999));
    let (most, count) = (times.max() as f64 / 1_000.0, times.len());
    format!("p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {most:.2} ms ({count} measured)")
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  order to order:executed    {}", percentiles(&self.executed))?;
        writeln!(f, "  due to order:executed      {}", percentiles(&self.due))?;
        writeln!(f, "  order to its answer        {}", percentiles(&self.answered))?;
        let Self { lost, said_again, duplicates, busy, cancelled, cancelled_late, refused, .. } = self;
        writeln!(
            f,
            "  connections lost {lost}, orders said again {said_again}, answered as repeats {duplicates}, to be tried \
             again {busy}"
        )?;
        write!(f, "  cancelled {cancelled}, too late to be {cancelled_late}, refused {refused:?}")
    }
}

/// CPU time of a process up to now, or zero if it is gone.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// CPU time of the whole machine: all that is not idle.
pub(crate) fn machine() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8).enumerate();
    let busy = fields.filter(|(at, _)| ![3, 4].contains(at)).filter_map(|(_, it)| it.parse::<u64>().ok());
    Duration::from_secs_f64(busy.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}
