//! The plain JSON dialect: one flat object per WebSocket text message, both ways.
//!
//! [`decode`] reads what clients say, the functions of [`server`] write what they hear. The bodies of the
//! generic commands ([`SubscribeBody`] and its kin) are the same on Socket.IO, where they are the argument of
//! an event; there they are read with their own `parse`.

mod body;
mod client;
mod field;
mod lane;
mod object;
pub mod server;

pub use body::{
    AuthBody, HistoryBody, INFO_BYTES, MAX_EVENT_FILTERS, PresenceBody, PresenceSetBody, PublishBody,
    ReceiptWish, RoomBody, SubscribeBody, TOKEN_BYTES, WantedStatus, is_free_event_name, key_behind,
};
pub use client::{ClientMessage, DecodeError, decode};
pub use field::{BadField, POSITION_BYTES, Since};
pub use lane::Lane;
