use crate::json::{self, Elements};
use std::borrow::Cow;

/// The seven packet types of Socket.IO v5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0: joins a namespace.
    Connect,
    /// 1: leaves a namespace.
    Disconnect,
    /// 2: an event.
    Event,
    /// 3: the answer to an event.
    Ack,
    /// 4: a refused CONNECT; only a server may send it.
    ConnectError,
    /// 5: an event with attachments.
    BinaryEvent,
    /// 6: an answer with attachments.
    BinaryAck,
}

impl Kind {
    /// Whether binary frames follow the packet.
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    /// Whether it is an event, with attachments or without.
    pub const fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::BinaryEvent)
    }

    /// The same packet type for a packet with attachments, or without.
    pub const fn with_attachments(self, binary: bool) -> Self {
        match (self, binary) {
            (Self::Event | Self::BinaryEvent, true) => Self::BinaryEvent,
            (Self::Event | Self::BinaryEvent, false) => Self::Event,
            (Self::Ack | Self::BinaryAck, true) => Self::BinaryAck,
            (Self::Ack | Self::BinaryAck, false) => Self::Ack,
            (other, _) => other,
        }
    }
}

/// One packet of the JSON dialect, borrowed from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// The namespace, `/` if none is named.
    pub namespace: &'a str,
    /// The id an answer refers to.
    pub id: Option<u64>,
    /// The payload as checked JSON without white space around it.
    ///
    /// An object or nothing for CONNECT, nothing for DISCONNECT; for an event nothing or an array whose first
    /// element [`event`] can read; for an answer nothing or an array. The binary types always have one.
    pub data: Option<&'a str>,
    /// What an event's payload says.
    pub event: Option<Event<'a>>,
    /// How many binary frames follow.
    pub attachments: u32,
}

/// An event's name and its arguments as raw JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The name; for the numeric names that Socket.IO allows, the number as it was written.
    pub name: Cow<'a, str>,
    /// The arguments after the name.
    pub args: Elements<'a>,
}

/// Splits the payload of an event into its name and arguments.
///
/// None if it is not an array that starts with a string or a number. Payloads of decoded packets always
/// have a name.
pub fn event(data: &str) -> Option<Event<'_>> {
    let mut args = json::elements(data);
    let first = args.next()?;
    let name = match first.bytes().next()? {
        b'"' => json::string(first)?,
        b'-' | b'0'..=b'9' => Cow::Borrowed(first),
        _ => return None,
    };
    Some(Event { name, args })
}

/// Whether `name` is one of the names that Socket.IO keeps for its own events.
///
/// A client that receives an event of this name breaks its connection.
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "connect" | "connect_error" | "disconnect" | "disconnecting" | "newListener" | "removeListener"
    )
}
