//! From a socket's bytes to what its client said.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use tidings_core::ConnKey;
use tidings_wire::engineio;
use tidings_wire::session::Heard;
use tidings_wire::websocket::{Incoming, Opcode, write_frame};
use tidings_wire::{CloseReason, Limits, Violation};

use super::ShardLoop;
use super::link::{Session, Transport};

/// Reads of one connection in one turn; what is left waits for the next.
const READS_PER_TURN: usize = 8;

/// What became of a connection while one message was handled.
pub(super) enum Flow {
    /// It goes on.
    On,
    /// It goes on as another one: a probe became the transport of its session.
    As(ConnKey),
    /// It is closed.
    Gone,
}

impl ShardLoop {
    /// Reads what a socket has, and handles it.
    pub(super) fn readable(&mut self, key: ConnKey) {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut key = key;
        for turn in 0..=READS_PER_TURN {
            if turn == READS_PER_TURN {
                self.unread.push(key);
                break;
            }
            let Some(link) = self.links.get(key) else { break };
            let Transport::Socket(stream) = &mut link.transport else { break };
            match stream.read(&mut buffer) {
                Ok(0) => {
                    self.gone(key);
                    break;
                }
                Ok(count) => {
                    match self.feed(key, &mut buffer[..count]) {
                        Flow::On => {}
                        Flow::As(other) => key = other,
                        Flow::Gone => break,
                    }
                    // A short read has emptied the socket: the next byte is an event of its own.
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.gone(key);
                    break;
                }
            }
        }
        self.read_buffer = buffer;
    }

    /// Goes on with connections that had more than one turn takes.
    pub(super) fn reread(&mut self) {
        for key in std::mem::take(&mut self.unread) {
            self.readable(key);
        }
    }

    /// Handles bytes a socket brought.
    pub(super) fn feed(&mut self, key: ConnKey, mut input: &mut [u8]) -> Flow {
        let (mut key, mut moved) = (key, false);
        // The decoder is taken out so that what it lends can be handled by the whole shard.
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        let mut decoder = std::mem::take(&mut link.decoder);
        loop {
            // What comes behind a sign-in may be in this read already.
            let limits = self.limits_of(key);
            let flow = match decoder.next(&mut input, &limits) {
                Ok(None) => break,
                Ok(Some(message)) => self.message(key, message),
                Err(violation) => self.violated(key, violation),
            };
            match flow {
                Flow::On => {}
                Flow::As(other) => (key, moved) = (other, true),
                Flow::Gone => return Flow::Gone,
            }
        }
        match self.links.get(key) {
            Some(link) => link.decoder = decoder,
            None => return Flow::Gone,
        }
        // An answered heartbeat may bring the next one forward.
        self.schedule(key);
        if moved { Flow::As(key) } else { Flow::On }
    }

    /// What a client may say at once; little, before it has signed in.
    pub(super) fn limits_of(&mut self, key: ConnKey) -> Limits {
        let limits = self.settings.limits;
        if self.links.get(key).is_some_and(|link| link.is_stranger()) {
            limits.of_strangers()
        } else {
            limits
        }
    }

    /// Closes a connection that broke a rule of the wire.
    pub(super) fn violated(&mut self, key: ConnKey, violation: Violation) -> Flow {
        tracing::debug!(
            slot = key.slot,
            reason = violation.reason.label(),
            detail = violation.detail,
            "violation"
        );
        self.close(key, violation.reason);
        Flow::Gone
    }

    fn message(&mut self, key: ConnKey, message: Incoming<'_>) -> Flow {
        if !matches!(message, Incoming::Close(_))
            && let Flow::Gone = self.meter(key)
        {
            return Flow::Gone;
        }
        match message {
            // A ping that is too much is the only one that is not answered.
            Incoming::Ping(_) if self.over.is_some() => self.alive(key),
            Incoming::Text(text) => self.text(key, text),
            Incoming::Binary(bytes) => self.binary(key, bytes),
            Incoming::Ping(payload) => {
                self.shard.reply(key.slot, |out| write_frame(out, Opcode::Pong, payload));
                self.alive(key)
            }
            Incoming::Pong(_) => {
                self.proven(key);
                self.alive(key)
            }
            Incoming::Close(_) => {
                self.close(key, CloseReason::Normal);
                Flow::Gone
            }
        }
    }

    fn alive(&mut self, key: ConnKey) -> Flow {
        let now_ms = self.now_ms;
        if let Some(link) = self.links.get(key)
            && let Session::Plain(session) = &mut link.session
        {
            session.heard(now_ms, &self.settings.times.heartbeat);
        }
        Flow::On
    }

    fn text(&mut self, key: ConnKey, text: &str) -> Flow {
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        match link.session {
            Session::SocketIo(_) => match engineio::decode_text(text, &self.settings.limits) {
                Ok(packet) => self.engine_packet(key, packet),
                Err(violation) => self.violated(key, violation),
            },
            Session::Plain(_) => self.plain_text(key, text),
            Session::Probe { target, .. } => self.probe_text(key, target, text),
            Session::Ended { .. } => Flow::On,
            Session::Echo => self.echo(key, Opcode::Text, text.as_bytes()),
        }
    }

    fn binary(&mut self, key: ConnKey, bytes: &[u8]) -> Flow {
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        match link.session {
            Session::SocketIo(_) => self.engine_packet(key, engineio::Packet::Binary(Cow::Borrowed(bytes))),
            Session::Echo => self.echo(key, Opcode::Binary, bytes),
            Session::Plain(_) => self.violated(key, Violation::protocol("binary on the plain protocol")),
            Session::Probe { .. } => self.violated(key, Violation::protocol("a probe must come first")),
            Session::Ended { .. } => Flow::On,
        }
    }

    /// Handles one Engine.IO packet, from a WebSocket or from a POST.
    pub(super) fn engine_packet(&mut self, key: ConnKey, packet: engineio::Packet<'_>) -> Flow {
        if matches!(packet, engineio::Packet::Pong(_)) {
            self.proven(key);
        }
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        if link.engine_only {
            match &packet {
                engineio::Packet::Message(text) => {
                    let text = format!("4{text}");
                    return self.echo(key, Opcode::Text, text.as_bytes());
                }
                engineio::Packet::Binary(bytes) => return self.echo(key, Opcode::Binary, bytes),
                _ => {}
            }
        }
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        let Session::SocketIo(session) = &mut link.session else { return Flow::On };
        let settings = &self.settings;
        let heard =
            session.hear(packet, &settings.namespaces, &settings.limits, self.now_ms, &settings.times);
        match heard {
            Ok(Heard::Nothing) => Flow::On,
            Ok(heard) => self.socket_io(key, heard),
            Err(violation) => self.violated(key, violation),
        }
    }

    fn echo(&mut self, key: ConnKey, opcode: Opcode, payload: &[u8]) -> Flow {
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        let deflate = link.deflate;
        self.shard.reply(key.slot, |out| tidings_core::frame::write_message(out, opcode, payload, deflate));
        Flow::On
    }
}
