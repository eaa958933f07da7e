//! Frames as a client sends them, and a decoder fed read by read.

#![allow(dead_code, unreachable_pub, reason = "every test includes this module and uses its part")]

use proptest::collection::vec;
use proptest::prelude::*;
use tidings_testkit::frames::write_masked;
use tidings_wire::websocket::{Decoder, Deflate, Incoming, Opcode, compress};
use tidings_wire::{Limits, Violation};

/// A message or control frame with its own memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Incoming<'_>> for Message {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(text.to_owned()),
            Incoming::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Incoming::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Incoming::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Incoming::Close(body) => Self::Close(body.map(|(code, sentence)| (code, sentence.to_owned()))),
        }
    }
}

/// One masked frame.
pub fn masked(flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_masked(&mut out, flags, opcode, payload, [0x37, 0xFA, 0x21, 0x3D]);
    out
}

/// How a message is sent: cut into how many fragments, masked and compressed how.
#[derive(Debug, Clone)]
pub struct Sending {
    pub message: Message,
    pub fragments: usize,
    /// Sent between the first two fragments.
    pub between: Option<Vec<u8>>,
    pub mask: [u8; 4],
    pub compressed: bool,
}

impl Sending {
    /// What the decoder is to give out, in its order.
    pub fn expected(&self) -> Vec<Message> {
        let ping = self.between.clone().filter(|_| self.is_fragmented()).map(Message::Ping);
        ping.into_iter().chain([self.message.clone()]).collect()
    }

    fn is_fragmented(&self) -> bool {
        self.fragments > 1 && matches!(self.message, Message::Text(_) | Message::Binary(_))
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.message {
            Message::Text(text) => self.write_data(out, Opcode::Text, text.as_bytes()),
            Message::Binary(bytes) => self.write_data(out, Opcode::Binary, bytes),
            Message::Ping(bytes) => write_masked(out, 0x80, Opcode::Ping.to_u8(), bytes, self.mask),
            Message::Pong(bytes) => write_masked(out, 0x80, Opcode::Pong.to_u8(), bytes, self.mask),
            Message::Close(body) => {
                let body = body.as_ref().map_or(Vec::new(), |(code, sentence)| {
                    [&code.to_be_bytes()[..], sentence.as_bytes()].concat()
                });
                write_masked(out, 0x80, Opcode::Close.to_u8(), &body, self.mask);
            }
        }
    }

    fn write_data(&self, out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
        let mut deflated = Vec::new();
        let (rsv1, payload) = if self.compressed {
            compress(payload, 15, &mut deflated);
            (0x40, &deflated[..])
        } else {
            (0, payload)
        };
        for fragment in 0..self.fragments {
            let (start, end) =
                (part(payload, fragment, self.fragments), part(payload, fragment + 1, self.fragments));
            let fin = if fragment + 1 == self.fragments { 0x80 } else { 0 };
            let (flags, opcode) = if fragment == 0 { (fin | rsv1, opcode.to_u8()) } else { (fin, 0) };
            write_masked(out, flags, opcode, &payload[start..end], self.mask);
            if let (0, true, Some(ping)) = (fragment, self.is_fragmented(), &self.between) {
                write_masked(out, 0x80, Opcode::Ping.to_u8(), ping, self.mask);
            }
        }
    }
}

fn part(payload: &[u8], at: usize, of: usize) -> usize {
    payload.len() * at / of
}

/// Messages of all kinds, sent in all ways.
pub fn sendings(compression: bool) -> impl Strategy<Value = Vec<Sending>> {
    vec(sending(compression), 0..6)
}

fn sending(compression: bool) -> impl Strategy<Value = Sending> {
    let compressed = if compression { any::<bool>().boxed() } else { Just(false).boxed() };
    let between = proptest::option::of(vec(any::<u8>(), 0..8));
    (message(), 1..5_usize, between, any::<[u8; 4]>(), compressed).prop_map(
        |(message, fragments, between, mask, compressed)| Sending {
            message,
            fragments,
            between,
            mask,
            compressed,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => "\\PC{0,40}".prop_map(Message::Text),
        1 => "[a-zé]{110,140}".prop_map(Message::Text),
        3 => vec(any::<u8>(), 0..150).prop_map(Message::Binary),
        1 => vec(any::<u8>(), 0..=125).prop_map(Message::Ping),
        1 => vec(any::<u8>(), 0..=125).prop_map(Message::Pong),
        1 => proptest::option::of((3000..5000_u16, "\\PC{0,30}")).prop_map(Message::Close),
    ]
}

/// What a decoder made of some reads, and what it held when the last of them was used up.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub messages: Vec<Message>,
    pub violation: Option<Violation>,
    pub held: usize,
}

/// Feeds a decoder the reads one after the other, each from a buffer of its own.
pub fn decode<'a>(deflate: bool, limits: &Limits, reads: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = Decoder::new(deflate.then_some(Deflate { window_bits: 15 }));
    let mut messages = Vec::new();
    for read in reads {
        let mut buffer = read.to_vec();
        let mut input = &mut buffer[..];
        loop {
            match decoder.next(&mut input, limits) {
                Ok(Some(incoming)) => messages.push(incoming.into()),
                Ok(None) => break,
                Err(violation) => {
                    return Decoded { messages, violation: Some(violation), held: decoder.held() };
                }
            }
        }
        assert!(input.is_empty(), "the decoder left {} bytes unread", input.len());
    }
    Decoded { messages, violation: None, held: decoder.held() }
}
