//! The wire of Tidings: what bytes mean, without I/O and without a clock.
//!
//! | module | what it is |
//! |---|---|
//! | [`websocket`] | RFC 6455, server side: handshake, frame decoder, frame headers; RFC 7692 compression |
//! | [`engineio`] | Engine.IO v4 packets, polling payloads, handshake query, error table |
//! | [`socketio`] | Socket.IO v5 packets in the JSON dialect and in msgpack |
//! | [`plain`] | the plain JSON dialect: client and server messages |
//! | [`json`] | the structure check every payload passes before it is kept |
//! | [`session`] | one client's protocol state, Socket.IO or plain |
//! | [`names`] | dialects and the table of namespaces |
//! | [`limits`] | the sizes and counts that are checked before memory is spent |
//! | [`time`] | moments as text |
//! | [`close`] | why the server hangs up: one table of codes and sentences |

pub mod close;
pub mod engineio;
pub mod json;
pub mod limits;
pub mod names;
pub mod plain;
pub mod session;
pub mod socketio;
pub mod time;
pub mod websocket;

pub use close::{CloseReason, Violation};
pub use limits::Limits;
