//! A Socket.IO client: Engine.IO packets in, what the client said out.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Beat, Due, Heartbeat, HeartbeatTimes};
use crate::engineio::Packet as Engine;
use crate::names::{Dialect, Namespaces};
use crate::socketio::{self, Kind, msgpack};
use crate::{CloseReason, Limits, Violation};

/// The times a Socket.IO session keeps; milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketIoTimes {
    /// Pings.
    pub heartbeat: HeartbeatTimes,
    /// From the handshake to the first joined namespace.
    pub connect_ms: u64,
    /// From a binary packet to its last attachment.
    pub attachments_ms: u64,
}

/// A Socket.IO client's protocol state.
///
/// Which namespaces are joined is known here, so that what a client may not say is refused before
/// anybody else sees it; who it is in each of them is the caller's. After [`Heard::Connect`] the
/// caller answers with [`SocketIo::joined`] or [`SocketIo::refused`].
#[derive(Debug)]
pub struct SocketIo {
    dialect: Option<Dialect>,
    joined: Vec<u8>,
    /// Namespaces whose CONNECT is being decided.
    asking: Vec<u8>,
    heartbeat: Heartbeat,
    /// When the client has to be in a namespace; `u64::MAX` once it was.
    connect_by_ms: u64,
    pending: Option<Box<Pending>>,
}

/// A binary packet whose attachments are still to come.
#[derive(Debug)]
struct Pending {
    kind: Kind,
    namespace: u8,
    id: Option<u64>,
    data: String,
    wanted: usize,
    got: Vec<Bytes>,
    bytes: usize,
    by_ms: u64,
}

/// A namespace that nobody has to decide about. The connection stays, as do the namespaces it has joined.
#[derive(Debug, PartialEq, Eq)]
pub enum Barred<'a> {
    /// There is none of this name.
    Unknown(Cow<'a, str>),
    /// The client is in as many as it may be ([`Limits::namespaces`]); the index of the one it asked for.
    TooMany(u8),
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Nothing for the caller.
    Nothing,
    /// It wants to join a namespace.
    Connect {
        /// The namespace: its index, or why it is not to be had.
        namespace: Result<u8, Barred<'a>>,
        /// The auth payload, a JSON object.
        auth: Option<Cow<'a, str>>,
    },
    /// It left a namespace.
    Disconnect {
        /// Which.
        namespace: u8,
    },
    /// An event.
    Event {
        /// The namespace.
        namespace: u8,
        /// The id to acknowledge with.
        id: Option<u64>,
        /// A JSON array: the event's name and its arguments.
        data: Cow<'a, str>,
        /// What that says, if it was read on the way; else [`socketio::event`] tells.
        event: Option<socketio::Event<'a>>,
        /// The binary its placeholders refer to.
        attachments: Vec<Bytes>,
    },
    /// An answer to an event of ours.
    Ack {
        /// The namespace.
        namespace: u8,
        /// The id we gave.
        id: u64,
        /// A JSON array of arguments.
        data: Cow<'a, str>,
        /// The binary its placeholders refer to.
        attachments: Vec<Bytes>,
    },
    /// It ends the session.
    Close,
}

impl SocketIo {
    /// A session whose handshake ended at `now_ms`.
    pub fn new(now_ms: u64, times: &SocketIoTimes) -> Self {
        Self {
            dialect: None,
            joined: Vec::new(),
            asking: Vec::new(),
            heartbeat: Heartbeat::new(now_ms, &times.heartbeat),
            connect_by_ms: now_ms + times.connect_ms,
            pending: None,
        }
    }

    /// The dialect the client speaks; JSON until its first packet is binary.
    pub fn dialect(&self) -> Dialect {
        self.dialect.unwrap_or(Dialect::SocketIo)
    }

    /// Whether the client has joined a namespace.
    pub fn is_joined(&self, namespace: u8) -> bool {
        self.joined.contains(&namespace)
    }

    /// Says that the client's CONNECT was granted.
    pub fn joined(&mut self, namespace: u8) {
        self.refused(namespace);
        self.connect_by_ms = u64::MAX;
        if !self.is_joined(namespace) {
            self.joined.push(namespace);
        }
    }

    /// Says that the client's CONNECT was refused.
    pub fn refused(&mut self, namespace: u8) {
        self.asking.retain(|asking| *asking != namespace);
        if self.asking.is_empty() {
            self.asking = Vec::new();
        }
    }

    /// Says that the client is no longer in a namespace.
    pub fn left(&mut self, namespace: u8) {
        self.joined.retain(|joined| *joined != namespace);
    }

    /// Bytes held for a binary packet whose attachments are still to come.
    pub fn held(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes)
    }

    /// Takes one Engine.IO packet and says what it means.
    ///
    /// # Errors
    /// A [`Violation`] closes the connection; the table of what does is the one measured against
    /// socket.io 4.8.4 (`docs/protocol.md`).
    pub fn hear<'a>(
        &mut self,
        packet: Engine<'a>,
        namespaces: &Namespaces,
        limits: &Limits,
        now_ms: u64,
        times: &SocketIoTimes,
    ) -> Result<Heard<'a>, Violation> {
        if matches!(packet, Engine::Pong(_)) {
            self.heartbeat.answered(now_ms, &times.heartbeat);
            return Ok(Heard::Nothing);
        }
        self.heartbeat.heard(now_ms, &times.heartbeat);
        match packet {
            Engine::Message(text) => self.text(text, namespaces, limits, now_ms + times.attachments_ms),
            Engine::Binary(bytes) => self.binary(&bytes, namespaces, limits),
            Engine::Close => Ok(Heard::Close),
            Engine::Ping(_) => Err(Violation::protocol("a client may not ping")),
            Engine::Pong(_) | Engine::Open | Engine::Upgrade | Engine::Noop => Ok(Heard::Nothing),
        }
    }

    /// When [`SocketIo::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> u64 {
        let pending = self.pending.as_ref().map_or(u64::MAX, |pending| pending.by_ms);
        self.heartbeat.poll_timeout().min(self.connect_by_ms()).min(pending)
    }

    /// While a CONNECT is being decided the client is not the one who is late.
    fn connect_by_ms(&self) -> u64 {
        if self.asking.is_empty() { self.connect_by_ms } else { u64::MAX }
    }

    /// Says what is due at `now_ms`.
    pub fn handle_timeout(&mut self, now_ms: u64, times: &SocketIoTimes) -> Due {
        if now_ms >= self.connect_by_ms() {
            return Due::Close(CloseReason::Protocol);
        }
        if self.pending.as_ref().is_some_and(|pending| now_ms >= pending.by_ms) {
            return Due::Close(CloseReason::Structure);
        }
        match self.heartbeat.handle_timeout(now_ms, &times.heartbeat) {
            Beat::Rest => Due::Nothing,
            Beat::Ping => Due::Ping,
            Beat::Dead => Due::Close(CloseReason::PingTimeout),
        }
    }

    #[inline]
    fn text<'a>(
        &mut self,
        text: &'a str,
        namespaces: &Namespaces,
        limits: &Limits,
        attachments_by_ms: u64,
    ) -> Result<Heard<'a>, Violation> {
        if self.pending.is_some() {
            return Err(Violation::protocol("text where an attachment is due"));
        }
        if *self.dialect.get_or_insert(Dialect::SocketIo) != Dialect::SocketIo {
            return Err(Violation::protocol("text in a msgpack session"));
        }
        let packet = socketio::decode(text, limits)?;
        if matches!(packet.kind, Kind::BinaryEvent | Kind::BinaryAck) {
            let namespace = self.speaking_in(packet.namespace, namespaces)?;
            self.pending = Some(Box::new(Pending {
                kind: packet.kind,
                namespace,
                id: packet.id,
                data: packet.data.unwrap_or("[]").to_owned(),
                wanted: packet.attachments as usize,
                got: Vec::new(),
                bytes: text.len(),
                by_ms: attachments_by_ms,
            }));
            return Ok(Heard::Nothing);
        }
        // Nearly all that clients say.
        if packet.kind == Kind::Event {
            let namespace = self.speaking_in(packet.namespace, namespaces)?;
            let Some(data) = packet.data else { return Ok(Heard::Nothing) };
            let (id, data, event) = (packet.id, Cow::Borrowed(data), packet.event);
            return Ok(Heard::Event { namespace, id, data, event, attachments: Vec::new() });
        }
        let (namespace, data) = (Cow::Borrowed(packet.namespace), packet.data.map(Cow::Borrowed));
        self.packet(packet.kind, namespace, packet.id, data, Vec::new(), namespaces, limits)
    }

    fn binary<'a>(
        &mut self,
        bytes: &[u8],
        namespaces: &Namespaces,
        limits: &Limits,
    ) -> Result<Heard<'a>, Violation> {
        if self.pending.is_some() {
            return self.attachment(bytes, limits);
        }
        if *self.dialect.get_or_insert(Dialect::Msgpack) != Dialect::Msgpack {
            return Err(Violation::protocol("binary where none is due"));
        }
        let packet = msgpack::decode(bytes, limits)?;
        let data = packet.data.map(Cow::Owned);
        let namespace = Cow::Owned(packet.namespace);
        self.packet(packet.kind, namespace, packet.id, data, packet.attachments, namespaces, limits)
    }

    fn attachment<'a>(&mut self, bytes: &[u8], limits: &Limits) -> Result<Heard<'a>, Violation> {
        let Some(mut pending) = self.pending.take() else { return Ok(Heard::Nothing) };
        pending.bytes += bytes.len();
        if pending.bytes > limits.message_bytes {
            return Err(Violation::too_large("attachments are too large together"));
        }
        pending.got.push(Bytes::copy_from_slice(bytes));
        if pending.got.len() < pending.wanted {
            self.pending = Some(pending);
            return Ok(Heard::Nothing);
        }
        let Pending { kind, namespace, id, data, got, .. } = *pending;
        if !self.is_joined(namespace) {
            // The server took it out of the namespace while the attachments were on their way.
            return Ok(Heard::Nothing);
        }
        Ok(said(kind, namespace, id, Cow::Owned(data), got))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one packet, however it was written")]
    #[inline]
    fn packet<'a>(
        &mut self,
        kind: Kind,
        namespace: Cow<'a, str>,
        id: Option<u64>,
        data: Option<Cow<'a, str>>,
        attachments: Vec<Bytes>,
        namespaces: &Namespaces,
        limits: &Limits,
    ) -> Result<Heard<'a>, Violation> {
        match kind {
            Kind::Connect => self.connect(namespace, data, namespaces, limits),
            Kind::ConnectError => Err(Violation::protocol("a client may not refuse a connection")),
            Kind::Disconnect => {
                let namespace = self.speaking_in(&namespace, namespaces)?;
                self.left(namespace);
                Ok(Heard::Disconnect { namespace })
            }
            Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => {
                let namespace = self.speaking_in(&namespace, namespaces)?;
                // An event without payload reaches no handler, as with the reference server.
                Ok(data.map_or(Heard::Nothing, |data| said(kind, namespace, id, data, attachments)))
            }
        }
    }

    fn connect<'a>(
        &mut self,
        namespace: Cow<'a, str>,
        auth: Option<Cow<'a, str>>,
        namespaces: &Namespaces,
        limits: &Limits,
    ) -> Result<Heard<'a>, Violation> {
        let Some(index) = namespaces.index(&namespace) else {
            return Ok(Heard::Connect { namespace: Err(Barred::Unknown(namespace)), auth: None });
        };
        if self.is_joined(index) || self.asking.contains(&index) {
            return Err(Violation::protocol("a namespace is joined once"));
        }
        if self.joined.len() + self.asking.len() >= limits.namespaces as usize {
            return Ok(Heard::Connect { namespace: Err(Barred::TooMany(index)), auth: None });
        }
        self.asking.push(index);
        Ok(Heard::Connect { namespace: Ok(index), auth })
    }

    fn speaking_in(&self, namespace: &str, namespaces: &Namespaces) -> Result<u8, Violation> {
        let index = namespaces.index(namespace).filter(|index| self.is_joined(*index));
        index.ok_or(Violation::protocol("a packet for a namespace that is not joined"))
    }
}

#[inline]
fn said<'a>(
    kind: Kind,
    namespace: u8,
    id: Option<u64>,
    data: Cow<'a, str>,
    attachments: Vec<Bytes>,
) -> Heard<'a> {
    match (kind, id) {
        (Kind::Event | Kind::BinaryEvent, id) => {
            Heard::Event { namespace, id, data, event: None, attachments }
        }
        (Kind::Ack | Kind::BinaryAck, Some(id)) => Heard::Ack { namespace, id, data, attachments },
        // An answer without an id answers nothing.
        _ => Heard::Nothing,
    }
}
