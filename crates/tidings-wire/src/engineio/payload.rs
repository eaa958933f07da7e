use super::packet::{Packet, decode_text};
use crate::{Limits, Violation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SEPARATOR: u8 = 0x1e;

/// Reads the body of a polling POST: packets separated by the record separator.
///
/// The packets are counted before the first one is read. The iterator ends after its first error, because
/// what follows a bad packet must not be acted on.
pub fn decode_payload<'a>(body: &'a str, limits: &Limits) -> Payload<'a> {
    let packets = memchr::memchr_iter(SEPARATOR, body.as_bytes()).count() + 1;
    let too_many = packets > limits.payload_packets as usize;
    Payload { rest: Some(body), too_many, limits: *limits }
}

/// The packets of a polling body; see [`decode_payload`].
#[derive(Debug, Clone)]
pub struct Payload<'a> {
    rest: Option<&'a str>,
    too_many: bool,
    limits: Limits,
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<Packet<'a>, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if self.too_many {
            return Some(Err(Violation::structure("too many packets in one payload")));
        }
        let (packet, after) = match memchr::memchr(SEPARATOR, rest.as_bytes()) {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        let read = decode_text(packet, &self.limits);
        if read.is_ok() {
            self.rest = after;
        }
        Some(read)
    }
}

/// Builds the body of a polling answer, packet by packet.
///
/// The caller decides when a body is long enough; [`len`](Self::len) tells how long it is.
#[derive(Debug, Clone, Default)]
pub struct PayloadWriter {
    body: Vec<u8>,
}

impl PayloadWriter {
    /// Starts an empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finished text packet, type digit included.
    pub fn push_text(&mut self, packet: &[u8]) {
        self.separate();
        self.body.extend_from_slice(packet);
    }

    /// Adds a binary message, as `b` and base64.
    pub fn push_binary(&mut self, bytes: &[u8]) {
        self.separate();
        self.body.push(b'b');
        let start = self.body.len();
        self.body.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.body[start..]).unwrap_or(0);
        self.body.truncate(start + written);
    }

    /// The bytes so far.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there is no packet yet.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The finished body.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn separate(&mut self) {
        if !self.body.is_empty() {
            self.body.push(SEPARATOR);
        }
    }
}
