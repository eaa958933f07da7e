//! What administrators ask of all connections of a shard, or want done to some.
//!
//! A walk visits every connection, a stretch of them each turn ([`super::rounds`]), so that deliveries go on
//! however many there are.

use tidings_core::ConnKey;

use super::ShardLoop;
use super::link::{Link, Session, Transport};

/// A walk over the connections of a shard, in the order of their slots.
pub(crate) trait Walk: Send {
    /// The slot it begins at.
    fn begins_at(&self) -> usize {
        0
    }

    /// Looks at one connection.
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey);

    /// Whether the rest need not be visited: enough was found, or nobody waits for it any more.
    fn is_done(&self) -> bool;

    /// Tells what was found; `next` is the slot behind the last one visited, if there are more.
    fn end(self: Box<Self>, next: Option<usize>);
}

/// How a connection's bytes travel, in a word; `None` for a socket that carries no client of its own.
pub(super) fn door(link: &Link) -> Option<&'static str> {
    match (&link.session, &link.transport) {
        (Session::Plain(_), _) => Some("plain"),
        (Session::SocketIo(_), Transport::Polling(_)) => Some("polling"),
        (Session::SocketIo(_), Transport::Socket(_)) => Some("websocket"),
        (Session::Probe { .. } | Session::Ended { .. } | Session::Echo, _) => None,
    }
}
