//! RFC 6455, server side, as data in and data out; RFC 7692 compression when it is switched on.
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | the headers and frames a server sends |
//! | [`decoder`] | what a client sends, taken apart in the caller's read buffer |
//! | [`handshake`] | the rules an upgrade request has to keep, and the answer |
//! | [`deflate`] | permessage-deflate: negotiation, compression, bounded inflation |

pub mod decoder;
pub mod deflate;
pub mod frame;
pub mod handshake;
mod header;
mod unfinished;

pub use decoder::{Decoder, Incoming};
pub use deflate::{Deflate, DeflateConfig, compress};
pub use frame::{
    MAX_CONTROL_PAYLOAD, MAX_SERVER_HEADER, Opcode, header_len, write_close, write_frame, write_header,
};
pub use handshake::{Accepted, RefusedUpgrade, UpgradeRequest, accept};
