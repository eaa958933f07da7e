//! RFC 6455, server side, as data in and data out.
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | the headers and frames a server sends |

pub mod frame;

pub use frame::{MAX_SERVER_HEADER, Opcode, header_len, write_close, write_frame, write_header};
