//! How many connections a shard has of each sort, and how much waits for them.

use tidings_core::{ConnKey, Org};
use tokio::sync::oneshot;

use super::ShardLoop;
use super::walk::{Walk, door};

/// Connections by sort, and what waits for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Socket.IO over a WebSocket.
    pub(crate) websocket: usize,
    /// Socket.IO over long polling.
    pub(crate) polling: usize,
    /// Plain JSON.
    pub(crate) plain: usize,
    /// Of all of them, those that are in no namespace: they have not signed in, or not yet.
    pub(crate) strangers: usize,
    /// Clients in each namespace, by its index.
    pub(crate) namespaces: Vec<usize>,
    /// Bytes that wait to be sent.
    pub(crate) buffered: u64,
}

impl Census {
    /// All connections.
    pub(crate) fn connections(&self) -> usize {
        self.websocket + self.polling + self.plain
    }

    /// Adds those of another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.websocket += other.websocket;
        self.polling += other.polling;
        self.plain += other.plain;
        self.strangers += other.strangers;
        self.buffered += other.buffered;
        if self.namespaces.len() < other.namespaces.len() {
            self.namespaces.resize(other.namespaces.len(), 0);
        }
        self.namespaces.iter_mut().zip(&other.namespaces).for_each(|(count, more)| *count += more);
    }
}

/// Counts connections: all, or those that have signed in to one organisation.
pub(crate) struct Counting {
    pub(crate) org: Option<Org>,
    pub(crate) found: Census,
    pub(crate) reply: oneshot::Sender<Census>,
}

impl Walk for Counting {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let waiting = shard.shard.waiting(key.slot) as u64;
        let Some(link) = shard.links.get(key) else { return };
        let Some(door) = door(link) else { return };
        let found = &mut self.found;
        let is_foreign = |org: &Org| self.org.as_ref().is_some_and(|wanted| wanted != org);
        let mut seats = 0;
        for seat in link.seats.iter().filter(|seat| !is_foreign(&seat.who.org)) {
            let namespace = usize::from(seat.namespace);
            if found.namespaces.len() <= namespace {
                found.namespaces.resize(namespace + 1, 0);
            }
            found.namespaces[namespace] += 1;
            seats += 1;
        }
        if seats == 0 && self.org.is_some() {
            return;
        }
        found.strangers += usize::from(seats == 0);
        found.buffered += waiting;
        match door {
            "plain" => found.plain += 1,
            "polling" => found.polling += 1,
            _ => found.websocket += 1,
        }
    }

    fn is_done(&self) -> bool {
        self.reply.is_closed()
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        // Whoever asked may have given up.
        let _ = self.reply.send(self.found);
    }
}
