//! One client's protocol state: what it may say now, and when it has to be heard from.
//!
//! Sessions hold no socket and read no clock. Bytes arrive as finished messages of the transport,
//! time as milliseconds of the caller's monotonic clock. `hear` takes what the client said and
//! returns what it means; `handle_timeout` says what is due; `poll_timeout` when to call it next.

mod heartbeat;
mod plain;
mod socketio;

pub use heartbeat::{Beat, Heartbeat, HeartbeatTimes};
pub use plain::PlainSession;
pub use socketio::{Barred, Heard, SocketIo, SocketIoTimes};

/// What is due for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// The client has to be pinged.
    Ping,
    /// The connection has to be closed.
    Close(crate::CloseReason),
}
