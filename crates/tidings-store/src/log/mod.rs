//! The log of durable rooms: their events with offsets without holes, and what is known of each room.
//!
//! A room's row is its sequencer. Whoever appends counts it up and keeps it until the transaction ends, so
//! that offsets are in the order of commits and none is missing; a sequence of the database would leave a
//! hole for each transaction that fails, and its numbers could become visible out of order. The row of the
//! organisation counts its events over all rooms in the same way, and is taken first.

mod append;
mod at_once;
mod read;
mod record;
mod trim;

pub use append::{Append, Appended};
pub use at_once::{Appender, Foreseen, Stands};
pub use read::{PAGE_BYTES, PAGE_EVENTS, RoomHead, StoredRoom};
pub use record::Record;
pub(crate) use record::{pack, unpack};
pub use trim::{KEY_MS, Kept};

/// Numbers without a sign as the databases keep them, bit by bit.
pub(crate) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The way back.
pub(crate) fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
