//! A valve before a room: how often events come through it, and which.
//!
//! Plain values: time comes from outside, and whoever holds one asks it when something is due. A clock that was
//! put back releases what waits.

mod batch;
mod diff;
mod diffs;
mod throttle;

use compact_str::CompactString;

pub use batch::Batch;
pub use diff::{Changes, Diff};
pub use diffs::{Diffs, Told};
pub use throttle::Throttle;

/// How the events of a kind of rooms are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// At most one event per scope and interval; of those between, the newest follows when the interval is over.
    Throttle {
        /// Milliseconds between two events of a scope.
        interval_ms: u64,
        /// What a scope is.
        per: Per,
    },
    /// Events gather and leave together; of one name and slot only the newest. Where they are stored each has its
    /// place already: then all of them gather on the way to each connection ([`Shard::gathered_due_ms`]).
    ///
    /// [`Shard::gathered_due_ms`]: crate::Shard::gathered_due_ms
    Batch {
        /// Milliseconds the first of them waits at most.
        wait_ms: u64,
        /// So many leave at once.
        most: usize,
    },
}

/// What a scope of a throttle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// The whole room.
    Room,
    /// Events of one name.
    Event,
    /// Events of one name and slot.
    Slot,
}

impl Per {
    /// Its name in the configuration.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "room" => Some(Self::Room),
            "event" => Some(Self::Event),
            "slot" => Some(Self::Slot),
            _ => None,
        }
    }
}

/// Scopes a throttle knows at once, and bytes of events a valve holds; more events are refused ([`Out::Full`]).
pub const SCOPES: usize = 1_000;
/// See [`SCOPES`].
pub const HELD_BYTES: usize = 1 << 20;

/// What becomes of an event that was offered to a valve.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Out<T> {
    /// It comes through.
    Pass(T),
    /// It waits.
    Held,
    /// It waits in the place of this one, which nobody will hear.
    Replaced(T),
    /// It and what waited before it come through, the oldest first.
    Ready(Vec<T>),
    /// It is refused: too much waits.
    Full(T),
}

/// What an event is about: its name and its slot.
#[derive(Debug, Clone, Copy)]
pub struct Topic<'a> {
    /// The event's name.
    pub event: &'a str,
    /// Its slot.
    pub slot: Option<&'a str>,
}

impl Topic<'_> {
    /// Name and slot as one text; a name holds no control character.
    fn text(self) -> CompactString {
        let mut text = CompactString::from(self.event);
        text.push('\u{1f}');
        text.push_str(self.slot.unwrap_or_default());
        text
    }
}

/// The valve of one room.
#[derive(Debug)]
pub enum Pace<T> {
    /// At most one event per scope and interval.
    Throttle(Throttle<T>),
    /// Events leave together.
    Batch(Batch<T>),
}

impl<T> Pace<T> {
    /// A valve through which nothing has come.
    pub fn new(pacing: Pacing) -> Self {
        match pacing {
            Pacing::Throttle { interval_ms, per } => Self::Throttle(Throttle::new(interval_ms, per)),
            Pacing::Batch { wait_ms, most } => Self::Batch(Batch::new(wait_ms, most)),
        }
    }

    /// Offers an event of so many bytes; what is due ([`Pace::take_due`]) is to be taken first.
    pub fn offer(&mut self, now_ms: u64, topic: Topic<'_>, bytes: usize, event: T) -> Out<T> {
        match self {
            Self::Throttle(throttle) => throttle.offer(now_ms, topic, bytes, event),
            Self::Batch(batch) => batch.offer(now_ms, topic, bytes, event),
        }
    }

    /// When something is due next; `None`: the valve can be forgotten.
    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Throttle(throttle) => throttle.due_ms(),
            Self::Batch(batch) => batch.due_ms(),
        }
    }

    /// Takes the events that come through now, the oldest first.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<T> {
        match self {
            Self::Throttle(throttle) => throttle.take_due(now_ms),
            Self::Batch(batch) => batch.take_due(now_ms),
        }
    }
}

/// Whether it is time, or the clock was put back.
fn is_due(due_ms: u64, now_ms: u64, interval_ms: u64) -> bool {
    due_ms <= now_ms || due_ms > now_ms.saturating_add(interval_ms).saturating_add(READ_BEFORE_MS)
}

/// Who looks may have read the clock so long before who offered did, and come after it: that is no clock that was put
/// back, and nothing leaves before its time for it.
const READ_BEFORE_MS: u64 = 10_000;
