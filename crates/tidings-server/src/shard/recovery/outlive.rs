//! A server that stops in order stores all sessions, whatever rooms they are in: its memory goes on (decision 0104).

use super::{Parked, Place};
use crate::comeback::{Subscription, digest_of};
use crate::ids::{SessionKey, id_text};
use crate::shard::ShardLoop;

impl ShardLoop {
    /// Stores the sessions that have no connection; the others are stored as they lose theirs.
    pub(in crate::shard) fn store_sessions(&mut self) {
        let mut sessions = std::mem::take(&mut self.sessions.places);
        for (_, pid) in &self.sessions.order {
            if let Some(Place::Parked(parked)) = sessions.get_mut(&pid.secret) {
                self.outlives(*pid, parked);
            }
        }
        self.sessions.places = sessions;
    }

    /// Stores a session behind everybody's back, unless it is stored.
    pub(super) fn outlives(&self, pid: SessionKey, parked: &mut Parked) {
        let Some(comebacks) = self.shared.comebacks.as_ref().filter(|_| !parked.stored) else { return };
        let own = parked.rooms.iter().filter(|kept| *kept.room.org() == parked.who.org);
        let rooms: Vec<_> = own
            .map(|kept| Subscription {
                room: kept.room.clone(),
                proof: kept.proof,
                since: kept.since,
                filter: kept.filter.clone(),
            })
            .collect();
        if rooms.is_empty() {
            return;
        }
        let session = self.row_of(pid, parked.namespace, id_text(&parked.sid), &parked.who, &rooms);
        comebacks.keep_later(digest_of(pid), Some(session));
        parked.stored = true;
    }
}
