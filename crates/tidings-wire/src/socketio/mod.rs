//! Socket.IO v5 packets, as they travel inside an Engine.IO message.
//!
//! [`decode`] and [`encode`] are the JSON dialect, [`msgpack`] is the dialect of `socket.io-msgpack-parser`.
//!
//! **Binary.** Everywhere in the server a payload with bytes inside is JSON text in which each byte string is
//! the object `{"_placeholder":true,"num":N}`, beside a list of the byte strings. Of a payload with a
//! non-empty list every such object is a true placeholder with `N` inside the list; the decoders see to that.
//! In a payload with an empty list such objects are the client's own data and mean nothing.

mod decode;
pub mod encode;
pub mod msgpack;
mod packet;
mod placeholder;

pub use decode::decode;
pub use packet::{Event, Kind, Packet, event, is_reserved};
pub use placeholder::{count_placeholders, inline_attachments, shift_placeholders};
