//! Notes for the ledger of sessions.

use std::sync::Arc;

use tidings_core::ConnKey;
use tidings_wire::names::Dialect;

use super::ShardLoop;
use super::link::Link;
use crate::ids::{SessionKey, id_text};
use crate::ledger::{Entry, What};

impl ShardLoop {
    /// Notes that a connection has its first seat; `taken_up`: the session it goes on with.
    pub(super) fn note_begin(&mut self, key: ConnKey, taken_up: Option<SessionKey>) {
        let Some(ledger) = &self.shared.ledger else { return };
        let Some(link) = self.links.get(key).filter(|link| link.noted.is_none()) else { return };
        let Some(seat) = link.seats.first() else { return };
        let own = taken_up.is_none_or(|pid| pid.conn == key && pid.shard == self.shard.index());
        // A session that is taken up keeps its id; each of its connections is an entry of its own.
        let id = match own {
            true => id_text(&seat.sid).to_owned(),
            false => format!("{}:{}:{}", id_text(&seat.sid), self.shard.index(), key.generation),
        };
        let door = if link.dialect() == Dialect::Plain { "plain" } else { "socket.io" };
        let (org, user, address) = (seat.who.org.clone(), seat.who.user.clone(), link.remote);
        let entry = Arc::new(Entry { id, org, user, door, address });
        ledger.note(&entry, What::Begun);
        link.noted = Some(entry);
    }

    /// Notes that a client has renewed its sign-in.
    pub(super) fn note_seen(&mut self, key: ConnKey) {
        let Some(link) = self.links.get(key) else { return };
        if let (Some(ledger), Some(entry)) = (&self.shared.ledger, &link.noted) {
            ledger.note(entry, What::Seen);
        }
    }

    /// Notes how a connection has ended.
    pub(super) fn note_end(&self, link: &Link, cause: &'static str) {
        if let (Some(ledger), Some(entry)) = (&self.shared.ledger, &link.noted) {
            ledger.note(entry, What::Ended(cause));
        }
    }
}
