//! What a connection got: bytes, taken apart as its client would.

use std::collections::{HashMap, VecDeque};

use tidings_core::frame::Dialect;
use tidings_core::shard::{Sent, Sink};
use tidings_testkit::frames::{FromServer, write_masked};
use tidings_wire::websocket::{Decoder, Deflate, Incoming};
use tidings_wire::{Limits, socketio};

/// One thing a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Event { namespace: String, name: String, data: String, offset: Option<String>, attachments: Vec<Vec<u8>> },
    Reply(u32),
}

/// The far end of one connection.
pub struct Wire {
    dialect: Dialect,
    bytes: Vec<u8>,
    /// An event whose binary frames are still to come, and how many.
    open: Option<(Received, usize)>,
    pub received: Vec<Received>,
    pub blocked: bool,
    pub gone: bool,
}

impl Wire {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, bytes: Vec::new(), open: None, received: Vec::new(), blocked: false, gone: false }
    }

    /// Takes apart the frames that are complete.
    fn read(&mut self) {
        while let Some(FromServer { first, payload }) = FromServer::parse(&self.bytes) {
            // As if from a client, so that the server's own decoder reads it.
            let mut masked = Vec::new();
            write_masked(&mut masked, first & 0xf0, first & 15, &self.bytes[payload.clone()], [0; 4]);
            self.bytes.drain(..payload.end);
            let mut input = &mut masked[..];
            let mut decoder = Decoder::new(Some(Deflate { window_bits: 15 }));
            let message = decoder.next(&mut input, &Limits::default()).unwrap().unwrap();
            match (message, self.open.take()) {
                (Incoming::Binary(bytes), Some((mut event, left))) => {
                    let Received::Event { attachments, .. } = &mut event else { unreachable!() };
                    attachments.push(bytes.to_vec());
                    self.add(event, left - 1);
                }
                (Incoming::Text(text), None) if text.starts_with("reply") => {
                    self.received.push(Received::Reply(text[5..].parse().unwrap()));
                }
                (Incoming::Text(text), None) => {
                    let (event, left) = match self.dialect {
                        Dialect::Plain => (plain(text), 0),
                        _ => socket_io(text),
                    };
                    self.add(event, left);
                }
                (Incoming::Binary(bytes), None) => {
                    assert_eq!(self.dialect, Dialect::Msgpack);
                    let event = msgpack(bytes);
                    self.add(event, 0);
                }
                (other, open) => panic!("{other:?} while {open:?}"),
            }
        }
    }

    fn add(&mut self, event: Received, left: usize) {
        if left > 0 {
            self.open = Some((event, left));
        } else {
            self.received.push(event);
        }
    }
}

fn plain(text: &str) -> Received {
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(message["type"], "event");
    Received::Event {
        namespace: "/".to_owned(),
        name: message["event"].as_str().unwrap().to_owned(),
        data: message["data"].to_string(),
        offset: None,
        attachments: Vec::new(),
    }
}

fn socket_io(text: &str) -> (Received, usize) {
    let packet = socketio::decode(text.strip_prefix('4').unwrap(), &Limits::default()).unwrap();
    (event(packet.namespace, packet.data.unwrap()), packet.attachments as usize)
}

fn msgpack(bytes: &[u8]) -> Received {
    let packet = socketio::msgpack::decode(bytes, &Limits::default()).unwrap();
    let mut event = event(&packet.namespace, &packet.data.unwrap());
    if let Received::Event { attachments, .. } = &mut event {
        *attachments = packet.attachments.iter().map(|bytes| bytes.to_vec()).collect();
    }
    event
}

fn event(namespace: &str, data: &str) -> Received {
    let args: Vec<serde_json::Value> = serde_json::from_str(data).unwrap();
    Received::Event {
        namespace: namespace.to_owned(),
        name: args[0].as_str().unwrap().to_owned(),
        data: args[1].to_string(),
        offset: args.get(2).map(|offset| offset.as_str().unwrap().to_owned()),
        attachments: Vec::new(),
    }
}

/// The sockets of one shard.
#[derive(Default)]
pub struct Wires {
    pub by_slot: HashMap<u32, Wire>,
    /// How much the next writes take: all, or a part of so many 256ths.
    pub takes: VecDeque<Option<u8>>,
}

impl Sink for Wires {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        let wire = self.by_slot.get_mut(&slot).expect("only open connections are written to");
        assert!(!wire.blocked, "a socket that is full is left alone until it is writable");
        assert!(!bytes.is_empty());
        if wire.gone {
            wire.blocked = true;
            return Sent::Gone;
        }
        let part = self.takes.pop_front().flatten();
        let count = part.map_or(bytes.len(), |part| bytes.len() * usize::from(part) / 256);
        wire.bytes.extend_from_slice(&bytes[..count]);
        wire.blocked = count < bytes.len();
        wire.read();
        Sent::Bytes(count)
    }
}
