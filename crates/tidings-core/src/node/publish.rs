//! What is to be published, and what it became.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Node;
use crate::lane::Lane;
use crate::publication::{MessageId, Payload, Position};
use crate::room::Room;
use crate::shard::ConnKey;

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Publish<'a> {
    /// The room.
    pub room: Room,
    /// The event's name.
    pub event: &'a str,
    /// The event's data, checked.
    pub payload: Payload,
    /// How urgent; the room's lane if not said.
    pub lane: Option<Lane>,
    /// Not recorded even if the room keeps events.
    pub volatile: bool,
    /// The idempotency key.
    pub key: Option<&'a str>,
    /// The digest of the batch the event is one of: its key stands for all of that.
    pub batch: Option<&'a [u8; 32]>,
    /// Who must not get it.
    pub skip: Option<(usize, ConnKey)>,
    /// What the event is about: of events of one name and slot the newest is what counts.
    pub slot: Option<&'a str>,
    /// With what its recipients are asked to acknowledge it.
    pub ack: Option<u64>,
}

impl<'a> Publish<'a> {
    /// An event of which nothing more is said: in its room's lane, recorded where the room records.
    pub fn new(room: Room, event: &'a str, payload: Payload) -> Self {
        Self {
            room,
            event,
            payload,
            lane: None,
            volatile: false,
            key: None,
            batch: None,
            skip: None,
            slot: None,
            ack: None,
        }
    }
}

impl Node {
    /// How many messages were accepted, or are about to be, since the start.
    pub fn accepted(&self) -> u64 {
        self.messages.load(Ordering::Relaxed).saturating_sub(1)
    }
}

/// What a publish became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The message.
    pub id: MessageId,
    /// Its place in the room's history; `None` if it was not recorded.
    pub position: Option<Position>,
    /// It had been published before with the same key; this is what it became then.
    pub duplicate: bool,
    /// It is in the log, and survives a crash and a power cut.
    pub synced: bool,
    /// It waits for the pace of its room; a newer one may take its place.
    pub held: bool,
}

impl Published {
    pub(super) fn now(id: MessageId, position: Option<Position>) -> Self {
        Self { id, position, duplicate: false, synced: false, held: false }
    }
}

/// Of so many publications the way of one to the sockets is measured.
///
/// A clock is read for it, and one more time on every shard that sends it: a tenth of a microsecond for
/// every eighth publication, and nothing for its deliveries.
const TIMED_EVERY: u64 = 8;

/// The time, for a publication whose way is measured. Numbers of messages are in a secret order, so what is
/// measured is no choice of anybody.
pub(super) fn timed(id: MessageId) -> Option<Instant> {
    id.number.is_multiple_of(TIMED_EVERY).then(Instant::now)
}
