//! Counting: which publication reached how many, in which order, how late.

use hdrhistogram::Histogram;

use super::marker::Marker;

/// Width of a column of the timeline, in nanoseconds.
pub(crate) const COLUMN: u64 = 100_000_000;
/// Columns at most, so that a clock that jumps cannot take the memory.
const MOST_COLUMNS: usize = 100_000;
/// The longest time a histogram holds, in microseconds: two minutes.
const LONGEST_US: u64 = 120_000_000;

/// Latencies in microseconds, three digits exact.
pub(crate) type Latencies = Histogram<u64>;

/// An empty histogram of up to two minutes.
///
/// # Errors
/// Never with these bounds.
pub(crate) fn latencies() -> anyhow::Result<Latencies> {
    Ok(Histogram::new_with_bounds(1, LONGEST_US, 3)?)
}

/// Counts deliveries of marked publications.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Receivers that have not had the publication, by its number.
    missing: Vec<u32>,
    /// The last number each line received.
    last: Vec<u32>,
    /// The first number that counts; earlier ones are for warming up.
    first: u32,
    /// Nanoseconds of the first publication that counts.
    start: u64,
    /// Publications that reached everybody, warm-up included.
    complete: u32,
    /// Deliveries, warm-up included.
    received: u64,
    /// What is counted.
    pub(crate) counts: Counts,
    /// From due or sent to received.
    pub(crate) latencies: Latencies,
    /// Deliveries in each [`COLUMN`] since the start.
    pub(crate) timeline: Vec<u64>,
}

/// Sums over the measured part.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) published: u64,
    pub(crate) expected: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    /// Events without a marker of this run.
    pub(crate) unmarked: u64,
    /// Nanoseconds of the last delivery.
    pub(crate) last_at: u64,
}

impl Tally {
    /// For `lines` receivers.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn new(lines: usize) -> anyhow::Result<Self> {
        Ok(Self {
            missing: Vec::new(),
            last: vec![0; lines],
            first: u32::MAX,
            start: 0,
            complete: 0,
            received: 0,
            counts: Counts::default(),
            latencies: latencies()?,
            timeline: Vec::new(),
        })
    }

    /// From the next publication on it counts.
    pub(crate) fn begin(&mut self, now: u64) {
        self.first = self.next_number();
        self.start = now;
    }

    /// Numbers a publication that `receivers` lines should get.
    pub(crate) fn publish(&mut self, receivers: u32) -> u32 {
        let number = self.next_number();
        self.missing.push(receivers);
        if receivers == 0 {
            self.complete += 1;
        }
        if number >= self.first {
            self.counts.published += 1;
            self.counts.expected += u64::from(receivers);
        }
        number
    }

    /// The number the next publication gets.
    pub(crate) fn next_number(&self) -> u32 {
        u32::try_from(self.missing.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Publications that have not reached everybody.
    pub(crate) fn in_flight(&self) -> u32 {
        self.next_number() - 1 - self.complete
    }

    /// Gives up what is in flight; it stays lost.
    pub(crate) fn forget_in_flight(&mut self) {
        self.complete = self.next_number() - 1;
    }

    /// Takes one event that a line received.
    pub(crate) fn receive(&mut self, line: usize, message: &[u8], now: u64) {
        let Some(marker) = Marker::find(message) else {
            self.counts.unmarked += 1;
            return;
        };
        let index = usize::try_from(marker.sequence).ok().and_then(|number| number.checked_sub(1));
        let missing = index.and_then(|index| self.missing.get_mut(index));
        let (Some(missing), Some(last)) = (missing, self.last.get_mut(line)) else {
            self.counts.unmarked += 1;
            return;
        };
        let before = std::mem::replace(last, marker.sequence.max(*last));
        if before == marker.sequence || *missing == 0 {
            self.counts.duplicates += 1;
            return;
        }
        self.counts.out_of_order += u64::from(before > marker.sequence);
        *missing -= 1;
        self.received += 1;
        if *missing == 0 {
            self.complete = (self.complete + 1).min(self.next_number() - 1);
        }
        if marker.sequence >= self.first {
            self.count(marker, now);
        }
    }

    fn count(&mut self, marker: Marker, now: u64) {
        self.counts.delivered += 1;
        self.counts.last_at = now;
        self.latencies.saturating_record((now.saturating_sub(marker.at) / 1_000).max(1));
        add_to_timeline(&mut self.timeline, now.saturating_sub(self.start));
    }

    /// Deliveries so far, warm-up included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Deliveries that did not come.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.expected.saturating_sub(self.counts.delivered)
    }
}

/// Counts one in the column of `offset` nanoseconds since the start.
pub(crate) fn add_to_timeline(timeline: &mut Vec<u64>, offset: u64) {
    let column = usize::try_from(offset / COLUMN).unwrap_or(MOST_COLUMNS).min(MOST_COLUMNS);
    if column >= timeline.len() {
        timeline.resize(column + 1, 0);
    }
    if let Some(count) = timeline.get_mut(column) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bench::marker::BLANK;

    fn message(at: u64, sequence: u32) -> Vec<u8> {
        let mut message = BLANK.as_bytes().to_vec();
        Marker { at, sequence }.write(&mut message, 0);
        message
    }

    #[test]
    fn what_reaches_everybody_once_and_in_order_is_complete() {
        let mut tally = Tally::new(2).unwrap();
        tally.begin(0);
        for number in 1..=3 {
            assert_eq!(tally.publish(2), number);
            tally.receive(0, &message(1_000, number), 3_000_000);
            assert_eq!(tally.in_flight(), 1);
            tally.receive(1, &message(1_000, number), COLUMN * 2);
            assert_eq!(tally.in_flight(), 0);
        }
        assert_eq!((tally.lost(), tally.counts.delivered, tally.counts.out_of_order), (0, 6, 0));
        assert_eq!(tally.timeline, [3, 0, 3]);
        assert!((2_990..=3_000).contains(&tally.latencies.min()));
    }

    #[test]
    fn losses_repeats_swaps_and_strangers_are_counted() {
        let mut tally = Tally::new(1).unwrap();
        tally.begin(0);
        let numbers: Vec<u32> = (0..4).map(|_| tally.publish(1)).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        for number in [2, 1, 2, 4, 4] {
            tally.receive(0, &message(0, number), 1);
        }
        tally.receive(0, b"nothing", 1);
        tally.receive(0, &message(0, 99), 1);
        tally.receive(7, &message(0, 1), 1);
        let counts = &tally.counts;
        assert_eq!((counts.delivered, counts.duplicates, counts.out_of_order, counts.unmarked), (3, 2, 1, 3));
        assert_eq!((tally.lost(), tally.in_flight()), (1, 1));
        tally.forget_in_flight();
        assert_eq!((tally.lost(), tally.in_flight()), (1, 0));
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let mut tally = Tally::new(1).unwrap();
        tally.publish(1);
        tally.begin(10);
        tally.publish(1);
        tally.receive(0, &message(0, 1), 1);
        tally.receive(0, &message(0, 2), 20);
        assert_eq!((tally.counts.published, tally.counts.delivered, tally.latencies.len()), (1, 1, 1));
    }
}
