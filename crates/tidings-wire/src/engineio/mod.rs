//! Engine.IO v4: packets, polling payloads, the handshake's query and its refusals.
//!
//! The rules are those of the Engine.IO protocol v4 document; where the Node reference server is more
//! tolerant (data after a packet that carries none, packets at an odd time), so is this codec.

mod open;
mod packet;
mod payload;
mod query;
mod refusal;

pub use open::Open;
pub use packet::{Packet, decode_text};
pub use payload::{Payload, PayloadWriter, decode_payload};
pub use query::{MAX_PAIRS, Pairs, Query, Transport};
pub use refusal::HandshakeError;
