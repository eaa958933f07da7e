//! What the store has to know of a session, so that another process can go on with it.

use tidings_core::{Action, Asker, Code, ConnKey, Identity, Keep, Mark, Refusal, Room};
use tidings_store::comebacks::Comeback;

use super::ShardLoop;
use super::link::Seat;
use crate::asking::{Need, Open};
use crate::comeback::{Proof, Storing, Subscription, digest_of, pack};
use crate::ids::{SessionKey, id_text};

/// What the store knows of the session of a seat.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// It has it, or is about to.
    pub(super) stored: bool,
    /// The room that is being stored, and the number in the log with which it is.
    pending: Option<(Room, u64)>,
    /// The same once it is stored: it may be joined now.
    promised: Option<(Room, u64)>,
}

impl ShardLoop {
    /// Whether a session has to be stored with a room before its client may join it.
    ///
    /// Only rooms in the log are worth it: of others nothing outlives a crash, and a server that stops in order
    /// stores all sessions ([`ShardLoop::store_sessions`]).
    pub(super) fn has_to_be_stored(
        &mut self,
        key: ConnKey,
        namespace: u8,
        asker: Asker<'_>,
        room: &Room,
    ) -> bool {
        if self.shared.comebacks.is_none() || !self.node.is_durable(room) || self.node.wants_loading(room) {
            return false;
        }
        let Some(seat) = self.seat_of(key, namespace).filter(|seat| seat.pid.is_some()) else { return false };
        if seat.kept.promised.as_ref().is_some_and(|(promised, _)| promised == room) {
            return false;
        }
        seat.kept.promised = None;
        !self.shard.is_member(key.slot, room, namespace)
            && self.node.admit(asker, room, Action::Subscribe).is_ok()
    }

    /// Whether a session is in the store.
    pub(super) fn is_stored(&mut self, key: ConnKey, namespace: u8) -> bool {
        self.seat_of(key, namespace).is_some_and(|seat| seat.kept.stored)
    }

    /// Has a session stored as a command needs it.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much waits to be stored.
    pub(super) fn store_for(
        &mut self,
        key: ConnKey,
        namespace: u8,
        open: &Open,
    ) -> Result<Option<Storing>, Refusal> {
        let joining = match open.need {
            Need::StoredWith => Some((&open.room, Proof::Log)),
            Need::StoredBehind => Some((&open.room, Proof::Gone)),
            Need::StoredWithout => None,
            _ => return Ok(None),
        };
        let since = self.node.mark_of(open.room.org()).durable;
        let Some((pid, session)) = self.session_of(key, namespace, joining) else {
            return Err(Refusal::new(Code::Unavailable, "this session cannot be stored"));
        };
        let shared = self.shared.clone();
        let Some(comebacks) = &shared.comebacks else { return Ok(None) };
        let storing = comebacks.keep(digest_of(pid), session)?;
        if let Some(seat) = self.seat_of(key, namespace) {
            seat.kept.stored = true;
            seat.kept.pending = joining.map(|(room, _)| (room.clone(), since));
        }
        Ok(Some(storing))
    }

    /// What was to be stored could not be: the room is not promised, and what is true is written later.
    pub(super) fn not_stored(&mut self, key: ConnKey, namespace: u8, open: Option<&Open>) {
        let stores = [Need::StoredWith, Need::StoredBehind, Need::StoredWithout];
        if !open.is_some_and(|open| stores.contains(&open.need)) {
            return;
        }
        if let Some(seat) = self.seat_of(key, namespace) {
            seat.kept.pending = None;
        }
        self.rooms_changed(key, namespace);
    }

    /// What was to be stored is stored.
    pub(super) fn now_stored(&mut self, key: ConnKey, namespace: u8, open: Option<&Open>) {
        if open.is_some_and(|open| matches!(open.need, Need::StoredWith | Need::StoredBehind))
            && let Some(seat) = self.seat_of(key, namespace)
        {
            seat.kept.promised = seat.kept.pending.take();
        }
    }

    /// A client has joined a room: of a session that is stored that is written down, if it is not yet.
    ///
    /// Between storing and joining others may have spoken: what came before it joined is not its business. And
    /// only now it is known what it wants of the room (`chooses`).
    pub(super) fn has_joined(&mut self, key: ConnKey, namespace: u8, room: &Room, chooses: bool) {
        let may_store = self.shared.comebacks.is_some() && self.node.is_durable(room);
        let Some(seat) = self.seat_of(key, namespace).filter(|seat| seat.pid.is_some()) else { return };
        // An app may take a client into rooms of the log without its asking.
        seat.kept.stored |= may_store;
        if !seat.kept.stored {
            return;
        }
        let promised = seat.kept.promised.take().filter(|(promised, _)| promised == room);
        if chooses || promised.is_none_or(|(_, since)| since != self.node.mark_of(room.org()).durable) {
            self.rooms_changed(key, namespace);
        }
    }

    /// A client catches up in a room: until it is there, the session cannot go on elsewhere without a gap.
    pub(super) fn is_behind(&mut self, key: ConnKey, namespace: u8) {
        if let Some(seat) = self.seat_of(key, namespace) {
            seat.kept.promised = None;
        }
        self.rooms_changed(key, namespace);
    }

    /// Writes down behind everybody's back what a session that is stored is in now.
    pub(super) fn rooms_changed(&mut self, key: ConnKey, namespace: u8) {
        if !self.is_stored(key, namespace) {
            return;
        }
        let Some((pid, session)) = self.session_of(key, namespace, None) else { return };
        if let Some(seat) = self.seat_of(key, namespace) {
            seat.kept.stored = session.is_some();
        }
        if let Some(comebacks) = &self.shared.comebacks {
            comebacks.keep_later(digest_of(pid), session);
        }
    }

    /// A connection goes on with a session that is stored; one of another process becomes this one's.
    pub(super) fn goes_on(&mut self, key: ConnKey, namespace: u8, was_theirs: bool) {
        if let Some(seat) = self.seat_of(key, namespace) {
            seat.kept.stored = true;
        }
        if was_theirs {
            self.rooms_changed(key, namespace);
        }
    }

    /// The session of a seat of this connection is over: nobody takes it up.
    pub(super) fn is_over(&mut self, key: ConnKey, seat: &Seat) {
        let Some(pid) = seat.pid else { return };
        if seat.kept.stored {
            self.forget_comeback(pid);
        }
        // One that was taken up is known at its home as well.
        if pid.conn != key || pid.shard != self.shard.index() {
            self.send_home(pid, None);
        }
    }

    /// Forgets a session in the store.
    pub(super) fn forget_comeback(&self, pid: SessionKey) {
        if let Some(comebacks) = &self.shared.comebacks {
            comebacks.keep_later(digest_of(pid), None);
        }
    }

    /// A session as it is to be stored, with the room it is about to join; nothing of it is worth storing
    /// without a room in the log.
    fn session_of(
        &mut self,
        key: ConnKey,
        namespace: u8,
        joining: Option<(&Room, Proof)>,
    ) -> Option<(SessionKey, Option<Comeback>)> {
        let subscriptions = self.shard.subscriptions(key.slot, namespace);
        let behind = self.links.get(key)?.catching_up.iter().filter(|one| one.ack.namespace() == namespace);
        let behind: Vec<Room> = behind.map(|one| one.room.clone()).collect();
        let seat = self.seat_of(key, namespace)?;
        let (pid, who, socket) = (seat.pid?, seat.who.clone(), id_text(&seat.sid).to_owned());
        let own = subscriptions.into_iter().filter(|(entry, ..)| *entry.room.org() == who.org);
        let mut rooms: Vec<_> = own
            .map(|(entry, since, filter)| Subscription {
                room: entry.room.clone(),
                proof: match entry.spec.keep {
                    Keep::Durable { .. } => Proof::Log,
                    Keep::Recent { .. } => Proof::Memory,
                    Keep::Nothing => Proof::Volatile,
                },
                since,
                filter,
            })
            .collect();
        // Of what it missed in these nobody will know how much it got.
        rooms.extend(behind.into_iter().map(|room| Subscription {
            room,
            proof: Proof::Gone,
            since: Mark::default(),
            filter: None,
        }));
        if let Some((room, proof)) = joining {
            let since = self.node.mark_of(room.org());
            rooms.push(Subscription { room: room.clone(), proof, since, filter: None });
        }
        if !rooms.iter().any(|one| matches!(one.proof, Proof::Log | Proof::Gone)) {
            return Some((pid, None));
        }
        Some((pid, Some(self.row_of(pid, namespace, &socket, &who, &rooms))))
    }

    /// A session as it stands in the store.
    pub(super) fn row_of(
        &self,
        pid: SessionKey,
        namespace: u8,
        socket: &str,
        who: &Identity,
        rooms: &[Subscription],
    ) -> Comeback {
        Comeback {
            digest: digest_of(pid),
            org: who.org.clone(),
            user: who.user.as_ref().map(ToString::to_string),
            token_id: who.token_id.as_ref().map(ToString::to_string),
            issued_at: who.issued_at,
            namespace: self.settings.namespaces.name(namespace).to_owned(),
            socket: socket.to_owned(),
            process: self.node.id(),
            rooms: pack(rooms),
        }
    }

    fn seat_of(&mut self, key: ConnKey, namespace: u8) -> Option<&mut Seat> {
        self.links.get(key)?.seats.iter_mut().find(|seat| seat.namespace == namespace)
    }
}
