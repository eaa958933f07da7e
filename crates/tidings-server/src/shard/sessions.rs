//! Notes for the ledger of sessions.

use tidings_core::{ConnKey, Org};
use tidings_wire::names::Dialect;

use super::ShardLoop;
use super::link::Link;
use crate::ids::SessionKey;
use crate::ledger::{EntryId, Note};
use crate::shared::wall_ms;

impl ShardLoop {
    /// Notes that a connection has its first seat; `taken_up`: the session it goes on with.
    pub(super) fn note_begin(&mut self, key: ConnKey, taken_up: Option<SessionKey>) {
        let Some(ledger) = &self.shared.ledger else { return };
        let Some(link) = self.links.get(key).filter(|link| link.noted.is_none()) else { return };
        let Some(seat) = link.seats.first() else { return };
        let shard = self.shard.index();
        let own = taken_up.is_none_or(|pid| pid.conn == key && pid.shard == shard);
        let taken_up = (!own).then_some((shard as u32, key.generation));
        let id = EntryId { socket: seat.sid, taken_up, begun_ms: wall_ms() };
        let door = if link.dialect() == Dialect::Plain { "plain" } else { "socket.io" };
        ledger.note(Note::Begun { id, who: seat.who.clone(), door, address: link.remote });
        link.noted = Some(id);
    }

    /// Notes that a client has renewed its sign-in.
    pub(super) fn note_seen(&mut self, key: ConnKey) {
        let Some(ledger) = &self.shared.ledger else { return };
        if let Some((id, org)) = self.links.get(key).and_then(|link| noted(link)) {
            ledger.note(Note::Seen(id, org));
        }
    }

    /// Notes how a connection has ended.
    pub(super) fn note_end(&self, link: &Link, cause: &'static str) {
        let Some(ledger) = &self.shared.ledger else { return };
        if let Some((id, org)) = noted(link) {
            ledger.note(Note::Ended(id, org, cause));
        }
    }
}

fn noted(link: &Link) -> Option<(EntryId, Org)> {
    Some((link.noted?, link.org.clone()?))
}
