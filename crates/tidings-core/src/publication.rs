//! An event for a room, and where it stands in the room's history.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;
use tidings_wire::json;

use crate::lane::Lane;
use crate::room::Room;
use crate::shard::ConnKey;

/// An event for a room; immutable and shared by every shard that has members.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The room.
    pub room: Room,
    /// The event's name.
    pub event: CompactString,
    /// The event's data.
    pub payload: Payload,
    /// How urgent it is.
    pub lane: Lane,
    /// A connection that must not get it, with the index of its shard.
    pub skip: Option<(usize, ConnKey)>,
    /// Its id, unique over all nodes and restarts.
    pub id: MessageId,
    /// Its place in the room's history; `None` if the room keeps nothing.
    pub position: Option<Position>,
    /// Its number among the recorded events of its organisation; 0 if it is not recorded, or if this
    /// process has not delivered it.
    pub sequence: u64,
    /// Its number in the organisation's log; of one that is not in the log the number of the newest that was
    /// delivered before it. 0 if it is not recorded.
    pub durable: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it is about, as a hash of its name and its slot: where much waits, a newer volatile event takes the
    /// place of an older one of its subject. 0: nothing in particular.
    pub subject: u64,
    /// With what its recipients are asked to acknowledge it; `None`: nobody is asked.
    pub ack: Option<u64>,
    /// What has changed of its object, for those who heard what was said before; `None`: all of it is for everybody.
    pub part: Option<Bytes>,
    /// Its number among what was said in a room that keeps nothing and of whose objects only the changes are said;
    /// 0: of another room.
    pub said: u64,
    /// When it was handed to the shards, of the few whose way to the sockets is measured.
    pub timed: Option<Instant>,
}

/// What an event takes besides its name and its data.
const EVENT_BYTES: usize = 256;

impl Publication {
    /// An event of which nothing more is known: in the normal lane, not recorded, for everybody in the room.
    pub fn new(
        room: Room,
        event: impl Into<CompactString>,
        payload: Payload,
        id: MessageId,
        at_ms: u64,
    ) -> Self {
        Self {
            room,
            event: event.into(),
            payload,
            lane: Lane::Normal,
            skip: None,
            id,
            position: None,
            sequence: 0,
            durable: 0,
            at_ms,
            subject: 0,
            ack: None,
            part: None,
            said: 0,
            timed: None,
        }
    }

    /// Whether it stands for an event of the log that is damaged: nothing is known of it but its place.
    pub fn is_damaged(&self) -> bool {
        self.event.is_empty()
    }

    /// Whether it was read from the log and not delivered by this process: its lane is not known then.
    pub fn is_read_back(&self) -> bool {
        self.position.is_some() && self.sequence == 0
    }

    /// Its place among what of its room is numbered: by its position, or by what was said; 0: it has none.
    pub(crate) fn number(&self) -> u64 {
        self.position.map_or(self.said, |position| position.offset)
    }

    /// How far one has heard who has heard this and everything before it.
    pub fn mark(&self) -> Mark {
        Mark { memory: self.sequence, durable: self.durable }
    }

    /// The memory it takes, about.
    pub fn bytes(&self) -> usize {
        EVENT_BYTES + self.event.len() + self.payload.bytes() + self.part.as_ref().map_or(0, Bytes::len)
    }
}

/// A point in the recorded events of an organisation, in the order in which they are delivered.
///
/// Both numbers only grow on the way, so that "everything up to here" is true of either by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Counts every recorded event since the process started.
    pub memory: u64,
    /// The number of an event in the log, which outlives the process.
    pub durable: u64,
}

impl Mark {
    /// The further of both, number by number.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), durable: self.durable.max(other.durable) }
    }
}

/// An event's data: JSON text, byte for byte as it came, and the binary it refers to.
///
/// Binary stands in the JSON as `{"_placeholder":true,"num":N}` with N counted per payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payload {
    /// The JSON text; checked at the edge.
    pub json: Bytes,
    /// The attachments the JSON refers to.
    pub attachments: Box<[Bytes]>,
}

impl Payload {
    /// A payload without binary.
    pub fn json(json: impl Into<Bytes>) -> Self {
        Self { json: json.into(), attachments: Box::default() }
    }

    /// The bytes of both.
    pub fn bytes(&self) -> usize {
        self.json.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// The same payload as everybody would write it, by which a repeat is known again; none if it is written so.
    pub fn meant(&self) -> Option<Self> {
        match json::meant(self.text()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) if text.as_bytes() == self.json => None,
            Cow::Owned(text) => Some(Self { json: text.into(), attachments: self.attachments.clone() }),
        }
    }

    /// The JSON as text.
    pub fn text(&self) -> &str {
        // Every door checks the text before it becomes a payload; `null` stands for what cannot be.
        std::str::from_utf8(&self.json).unwrap_or("null")
    }
}

/// The id of a message: the node that accepted it and a number that no other message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// A random number drawn at each start of the node.
    pub node: u64,
    /// Says nothing of how many there were.
    pub number: u64,
}

impl MessageId {
    /// Reads an id as it stands on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, number) = text.split_once('-')?;
        (node.len() == 16).then_some(())?;
        Some(Self { node: parse_hex(node)?, number: parse_hex(number)? })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.node, self.number)
    }
}

/// A generation of a room's history; changes whenever stored history was lost or moved back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Reads an epoch as it stands on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| parse_hex(text).map(Self)).flatten()
    }
}

/// Reads hexadecimal digits and nothing else; the standard library takes a sign as well.
pub(crate) fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a room's history: epoch, offset without holes, and a mark of the message there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The generation of the history.
    pub epoch: Epoch,
    /// Counts from 1; 0 is before the first event.
    pub offset: u64,
    /// Four bytes of a hash of the message id at that offset; 0 at offset 0.
    pub tag: u32,
}

impl Position {
    /// The place before the first event.
    pub fn start(epoch: Epoch) -> Self {
        Self { epoch, offset: 0, tag: 0 }
    }

    /// The place of message `id` at `offset`.
    pub fn of(epoch: Epoch, offset: u64, id: MessageId) -> Self {
        Self { epoch, offset, tag: tag_of(id) }
    }
}

/// FNV-1a over the id's bytes: stable over versions and machines, which `Hash` is not.
fn tag_of(id: MessageId) -> u32 {
    let bytes = id.node.to_be_bytes().into_iter().chain(id.number.to_be_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
