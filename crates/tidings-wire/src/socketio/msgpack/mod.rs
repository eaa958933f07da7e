//! The dialect of `socket.io-msgpack-parser` 3.0.2, which packs with notepack 2.2.
//!
//! One packet is one binary Engine.IO message, a map of `type`, `data`, `nsp` and `id`; byte strings are
//! inside, so the types 5 and 6 do not exist. Inside the server the payload is JSON text with placeholders, as
//! it is for the JSON dialect, so that a room does not care which dialect a member speaks.
//!
//! | msgpack | JSON |
//! |---|---|
//! | `undefined` (fixext 1, type 0) | absent in a map, `null` in an array, as `JSON.stringify` has it |
//! | Date (fixext 8, type 0: signed milliseconds) | ISO 8601 text, `null` out of range |
//! | bin, and ext of type 0 (an ArrayBuffer) | placeholder and attachment |
//! | another ext | `[type, placeholder]`, which is what notepack makes of it |
//! | NaN, infinities | `null` |
//! | integers of any size | their digits |

mod date;
mod decode;
pub mod encode;
mod pack;
mod reader;
mod unpack;

pub use decode::{OwnedPacket, decode};
