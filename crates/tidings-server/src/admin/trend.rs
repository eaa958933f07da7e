//! Whether the memory grows: a line through what was taken in the last half hour.

use std::collections::VecDeque;

/// Milliseconds between two samples.
const EVERY_MS: u64 = 10_000;

/// Samples that are kept: half an hour of them.
const SAMPLES: usize = 180;

/// With fewer nothing is said: five minutes.
const LEAST: usize = 30;

/// With fewer it is not called growth: a quarter of an hour. A server that has just started takes what it needs.
const STEADY: usize = 90;

/// A line that explains less than this of what was measured is none.
const FITS: f64 = 0.6;

/// What fills up is steep first and flat later: a leak grows in the newer half at least so much of what it does in all.
const GOES_ON: f64 = 0.5;

/// Memory by time, the newest half hour of it.
#[derive(Debug, Default)]
pub(crate) struct Trend(VecDeque<(u64, u64)>);

/// Where the memory goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slope {
    /// Bytes an hour.
    pub(crate) bytes_per_hour: f64,
    /// How much of what was measured the line explains, from 0 to 1.
    pub(crate) fit: f64,
    /// Over how many minutes it was measured.
    pub(crate) minutes: f64,
    /// Whether that is growth, and goes on: what comes and goes with the connections does not lie on a line, and what
    /// fills up becomes flat.
    pub(crate) rising: bool,
}

impl Slope {
    /// Bytes an hour by which it grows steadily; 0 if it does not.
    pub(crate) fn growth(&self) -> f64 {
        if self.rising { self.bytes_per_hour } else { 0.0 }
    }
}

impl Trend {
    /// Notes what is taken now, unless that was done a moment ago.
    pub(crate) fn note(&mut self, at_ms: u64, bytes: u64) {
        if self.0.back().is_some_and(|(last_ms, _)| at_ms < last_ms + EVERY_MS) {
            return;
        }
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back((at_ms, bytes));
    }

    /// The straight line that fits best; `None` before enough is known.
    pub(crate) fn slope(&self) -> Option<Slope> {
        let (first, last) = (self.0.front()?.0, self.0.back()?.0);
        let count = self.0.len();
        if count < LEAST {
            return None;
        }
        let (bytes_per_hour, fit) = self.line(0);
        let (lately, _) = self.line(count / 2);
        let rising =
            count >= STEADY && fit >= FITS && bytes_per_hour > 0.0 && lately >= bytes_per_hour * GOES_ON;
        Some(Slope { bytes_per_hour, fit, minutes: (last - first) as f64 / 60_000.0, rising })
    }

    /// The straight line through the samples from the one of this number on (least squares): bytes an hour, and how much
    /// of them it explains.
    fn line(&self, from: usize) -> (f64, f64) {
        let first = self.0.get(from).map_or(0, |(at, _)| *at);
        let count = (self.0.len() - from) as f64;
        let points = || {
            let samples = self.0.iter().skip(from);
            samples.map(|(at, bytes)| ((at - first) as f64 / 3_600_000.0, *bytes as f64))
        };
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let spread =
            |of: fn((f64, f64)) -> f64| points().map(|(x, y)| of((x - mean_x, y - mean_y))).sum::<f64>();
        let (xx, xy, yy) = (spread(|(x, _)| x * x), spread(|(x, y)| x * y), spread(|(_, y)| y * y));
        let per_hour = if xx > 0.0 { xy / xx } else { 0.0 };
        (per_hour, if xx * yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MIB: f64 = 1_048_576.0;

    fn after(minutes: u64, bytes: impl Fn(f64) -> f64) -> Trend {
        let mut trend = Trend::default();
        for second in 0..minutes * 60 {
            trend.note(1_000 * second, bytes(second as f64 / 3_600.0) as u64);
        }
        trend
    }

    #[test]
    fn a_leak_is_seen_through_what_comes_and_goes() {
        let wave = |hours: f64| (hours * 200.0).sin() * 2.0 * MIB;
        let slope = after(30, |hours| 50.0 * MIB + 120.0 * MIB * hours + wave(hours)).slope().unwrap();
        assert!((slope.growth() / MIB - 120.0).abs() < 12.0, "{slope:?}");
        assert!((slope.minutes - 29.8).abs() < 0.1, "{slope:?}");
    }

    #[test]
    fn what_stays_or_swings_is_no_growth() {
        let steady = after(30, |_| 50.0 * MIB).slope().unwrap();
        assert_eq!((steady.growth(), steady.fit), (0.0, 0.0));
        let swinging = after(30, |hours| 50.0 * MIB + (hours * 60.0).sin() * 30.0 * MIB).slope().unwrap();
        assert_eq!(swinging.growth(), 0.0, "{swinging:?}");
        let falling = after(30, |hours| 500.0 * MIB - 100.0 * MIB * hours).slope().unwrap();
        assert!(falling.bytes_per_hour < 0.0 && falling.growth() == 0.0, "{falling:?}");
    }

    #[test]
    fn what_a_server_takes_as_it_starts_is_no_growth() {
        // Within five minutes three fifths of forty megabytes, and the rest ever more slowly.
        let filling = |hours: f64| 30.0 * MIB + 40.0 * MIB * (1.0 - (-hours * 12.0).exp());
        for minutes in 1..60 {
            let trend = after(minutes, filling);
            assert!(
                trend.slope().is_none_or(|slope| slope.growth() == 0.0),
                "{minutes}: {:?}",
                trend.slope()
            );
        }
        let leaking = after(20, |hours| filling(hours) + 300.0 * MIB * hours).slope().unwrap();
        assert!(leaking.growth() > 64.0 * MIB, "{leaking:?}");
    }

    #[test]
    fn nothing_is_said_too_early_and_no_more_than_half_an_hour_is_kept() {
        assert_eq!(after(4, |hours| 1_000.0 * MIB * hours).slope(), None);
        assert_eq!(
            after(6, |hours| 1_000.0 * MIB * hours).slope().unwrap().growth(),
            0.0,
            "it may have just started"
        );
        assert!(after(16, |hours| 1_000.0 * MIB * hours).slope().unwrap().growth() > 999.0 * MIB);
        let long = after(300, |hours| if hours < 4.0 { 1_000.0 * MIB * hours } else { 4_000.0 * MIB });
        assert_eq!(long.0.len(), SAMPLES);
        assert_eq!(long.slope().unwrap().growth(), 0.0, "the growth was hours ago");
    }
}
