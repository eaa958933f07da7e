//! How much the server was used, by minute for two hours and by hour for a week: in memory, bounded.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::rates::Totals;
use super::refused::{ByCode, CODES};
use crate::shared::Shared;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Minutes that are kept: two hours.
const MINUTES: usize = 120;

/// Hours that are kept: a week. With the minutes they take about forty kilobytes.
const HOURS: usize = 168;

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) bytes: u64,
    /// Connections that have ended.
    pub(crate) closed: u64,
    pub(crate) refused: ByCode,
}

impl Counted {
    /// Reads what [`Totals`] does not have.
    pub(crate) fn read(shared: &Shared, totals: &Totals) -> Self {
        let Totals { published, delivered, bytes, .. } = *totals;
        let closed = shared.closes().map(|(_, count)| count).sum();
        Self { published, delivered, bytes, closed, refused: shared.admin.refused.counts() }
    }

    fn since(&self, before: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            published: less(self.published, before.published),
            delivered: less(self.delivered, before.delivered),
            bytes: less(self.bytes, before.bytes),
            closed: less(self.closed, before.closed),
            refused: std::array::from_fn(|at| less(self.refused[at], before.refused[at])),
        }
    }

    fn add(&mut self, more: &Self) {
        self.published += more.published;
        self.delivered += more.delivered;
        self.bytes += more.bytes;
        self.closed += more.closed;
        self.refused.iter_mut().zip(more.refused).for_each(|(count, more)| *count += more);
    }
}

/// A minute, or an hour.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// When it began, in milliseconds since 1970.
    at_ms: u64,
    /// The most connections at once.
    most: usize,
    /// Connections that came.
    came: u64,
    counted: Counted,
}

/// The newest slots of one length, the oldest first; the oldest makes room.
#[derive(Debug)]
struct Slots {
    every_ms: u64,
    kept: usize,
    slots: VecDeque<Slot>,
}

impl Slots {
    fn new(every_ms: u64, kept: usize) -> Self {
        Self { every_ms, kept, slots: VecDeque::new() }
    }

    fn note(&mut self, now_ms: u64, connections: usize, came: u64, counted: &Counted) {
        let at_ms = now_ms - now_ms % self.every_ms;
        // A clock that was set back goes on in the newest.
        if self.slots.back().is_none_or(|newest| newest.at_ms < at_ms) {
            if self.slots.len() >= self.kept {
                self.slots.pop_front();
            }
            self.slots.push_back(Slot { at_ms, most: 0, came: 0, counted: Counted::default() });
        }
        let Some(newest) = self.slots.back_mut() else { return };
        newest.most = newest.most.max(connections);
        newest.came += came;
        newest.counted.add(counted);
    }

    fn shown(&self) -> Value {
        let row = |slot: &Slot| {
            let Slot { at_ms, most, came, counted } = slot;
            let Counted { published, delivered, bytes, refused, .. } = counted;
            let mut row = vec![*at_ms, *most as u64, *came, *published, *delivered, *bytes];
            row.extend(refused);
            row
        };
        let fields = ["at", "connections", "came", "published", "delivered", "bytes"];
        let fields: Vec<&str> = fields.into_iter().chain(CODES.map(|code| code.as_str())).collect();
        json!({
            "everyMs": self.every_ms,
            "kept": self.kept,
            "fields": fields,
            "points": self.slots.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

/// How much the server was used.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Connections and counts at the last look.
    before: Option<(usize, Counted)>,
    minutes: Slots,
    hours: Slots,
}

impl Default for Usage {
    fn default() -> Self {
        Self { before: None, minutes: Slots::new(MINUTE_MS, MINUTES), hours: Slots::new(HOUR_MS, HOURS) }
    }
}

impl Usage {
    /// Takes in how many connections there are, and what was counted since the start.
    pub(crate) fn note(&mut self, now_ms: u64, connections: usize, counted: Counted) {
        let (were, before) = self.before.replace((connections, counted)).unwrap_or_default();
        let lately = counted.since(&before);
        let came = (connections as u64 + lately.closed).saturating_sub(were as u64);
        self.minutes.note(now_ms, connections, came, &lately);
        self.hours.note(now_ms, connections, came, &lately);
    }

    /// As it is answered: what stands in each row, and the rows, the oldest first.
    pub(crate) fn shown(&self) -> Value {
        json!({ "minutes": self.minutes.shown(), "hours": self.hours.shown() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_core::Code;

    use super::*;

    fn rows(usage: &Usage, which: &str) -> Vec<Vec<u64>> {
        serde_json::from_value(usage.shown()[which]["points"].clone()).unwrap()
    }

    #[test]
    fn what_was_counted_since_the_start_is_told_by_minute_and_by_hour() {
        let mut usage = Usage::default();
        let mut counted = Counted::default();
        let start = 7 * HOUR_MS;
        let code = CODES.iter().position(|code| *code == Code::RateLimited).unwrap();
        for second in 0..90 {
            counted.published += 2;
            counted.delivered += 10;
            // Each second one comes, and from the second minute on one goes.
            counted.closed += u64::from(second >= 60);
            counted.refused[code] = second / 30;
            usage.note(start + second * 1_000, (second as usize + 1).min(60), counted);
        }
        let minutes = rows(&usage, "minutes");
        assert_eq!(minutes[0][..5], [start, 60, 60, 120, 600]);
        assert_eq!(minutes[1][..5], [start + MINUTE_MS, 60, 30, 60, 300]);
        let limited = 6 + code;
        assert_eq!((minutes[0][limited], minutes[1][limited]), (1, 1));
        assert_eq!(usage.shown()["hours"]["fields"][limited], "rate_limited");
        let hours = rows(&usage, "hours");
        assert_eq!((hours.len(), &hours[0][..5], hours[0][limited]), (1, &[start, 60, 90, 180, 900][..], 2));
    }

    #[test]
    fn no_more_is_kept_than_is_said_and_a_clock_set_back_loses_nothing() {
        let mut usage = Usage::default();
        let counted = |published| Counted { published, ..Counted::default() };
        for minute in 0..20_000 {
            usage.note(minute * MINUTE_MS, 1, counted(minute));
        }
        assert_eq!((rows(&usage, "minutes").len(), rows(&usage, "hours").len()), (MINUTES, HOURS));
        usage.note(0, 1, counted(20_005));
        assert_eq!(rows(&usage, "minutes").last().unwrap()[3], 1 + 6);
    }
}
