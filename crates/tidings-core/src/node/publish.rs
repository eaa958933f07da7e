//! What is to be published, and what it became.

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
            skip: None,
            slot: None,
            ack: None,
        }
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
