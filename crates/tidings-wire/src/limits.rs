//! Limits of size and structure, checked before memory is spent.

/// Sizes and counts one client may reach; the defaults are those of `PROMISES.md`.
///
/// Rates and connection counts are not here: they need a clock and a neighbour to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, after reassembly and inflation (1,000,000: what Socket.IO announces).
    pub message_bytes: usize,
    /// Bytes of one WebSocket frame's payload, judged by its header (1,000,000).
    pub frame_bytes: usize,
    /// Fragments of one WebSocket message (1,024).
    pub fragments: u32,
    /// Binary attachments of one Socket.IO packet (10: the stock clients refuse more).
    pub attachments: u32,
    /// Nesting of JSON and msgpack (32).
    pub json_depth: u32,
    /// Packets in one Engine.IO polling payload (64).
    pub payload_packets: u32,
    /// Namespaces one connection may join (10).
    pub namespaces: u32,
    /// Rooms one connection may join (128).
    pub rooms: u32,
    /// Bytes of a room's name (200).
    pub room_name_bytes: usize,
    /// Bytes of an event's name (200).
    pub event_name_bytes: usize,
    /// Bytes of an idempotency key (128).
    pub key_bytes: usize,
    /// Acknowledgements one connection may leave open, either way (1,000).
    pub outstanding_acks: u32,
}

/// Bytes of one message of a client that has not signed in: a token has 8 KiB at most, and beside it stands little.
pub const STRANGER_BYTES: usize = 16 * 1024;

impl Limits {
    /// The same for a client that has not signed in: anybody can be one, as often as they like.
    #[must_use]
    pub fn of_strangers(self) -> Self {
        Self {
            message_bytes: self.message_bytes.min(STRANGER_BYTES),
            frame_bytes: self.frame_bytes.min(STRANGER_BYTES),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1_000_000,
            frame_bytes: 1_000_000,
            fragments: 1_024,
            attachments: 10,
            json_depth: 32,
            payload_packets: 64,
            namespaces: 10,
            rooms: 128,
            room_name_bytes: 200,
            event_name_bytes: 200,
            key_bytes: 128,
            outstanding_acks: 1_000,
        }
    }
}
