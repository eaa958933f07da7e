//! Who is there: what a shard notes of its connections, and the command by which they say it themselves.

use std::sync::Arc;

use tidings_core::frame::Form;
use tidings_core::presence::{Change, RoomNews, View};
use tidings_core::roster::{Counts, Device, Page};
use tidings_core::shard::Filter;
use tidings_core::{Code, ConnKey, Identity, Org, Payload, Refusal, Roll, Room};
use tidings_wire::plain::PresenceSetBody;

use super::ShardLoop;
use super::command::AckTo;
use super::link::{Link, Seat};
use super::rounds::Errand;
use crate::presence::{self, room_news, seen_user, wanted, write_view, write_wishes};
use crate::shared::wall_ms;

impl ShardLoop {
    /// A client said something that is no sign of life alone: somebody is there.
    pub(super) fn somebody_said(&mut self, key: ConnKey) {
        if self.shard.said(key.slot) {
            self.signal(key, false);
        }
    }

    /// Those who said nothing for long are away.
    pub(super) fn find_idlers(&mut self) {
        let idle_ms = self.node.presence().times().idle_ms;
        if idle_ms == 0 {
            return;
        }
        for key in self.shard.new_idlers(idle_ms) {
            self.signal(key, true);
        }
    }

    fn signal(&mut self, key: ConnKey, idle: bool) {
        for (room, namespace) in self.shard.attended(key.slot) {
            let device = Device::new(self.shard.index(), key, namespace);
            self.node.presence().signal(&room, device, idle, self.now_ms);
        }
    }

    /// Appends who is in a room, for a newcomer that may see it.
    pub(super) fn write_presence(&self, out: &mut Vec<u8>, who: &Identity, room: &Room) {
        let view = self.node.presence().view_of_newcomer(room, who.user_key().as_ref());
        if let Some(view) = view {
            write_view(&self.shared, out, &view);
        }
    }

    /// Appends who is in a room for one that may see it and comes in later, as `roll` says; the version of what it is shown.
    pub(super) fn write_presence_ahead(
        &self,
        out: &mut Vec<u8>,
        who: &Identity,
        room: &Room,
        roll: Roll,
    ) -> Option<u64> {
        if !roll.is_on() {
            return None;
        }
        let view = self.node.presence().view_of_newcomer(room, who.user_key().as_ref());
        let nobody = || View {
            counts: Counts::default(),
            version: 0,
            page: (roll.full() > 0).then(|| Page { members: Vec::new(), more: false }),
        };
        let view = view.unwrap_or_else(nobody);
        write_view(&self.shared, out, &view);
        Some(view.version)
    }

    /// Tells one who was shown a version of a room before it came in that there is a newer one by now, if there is.
    pub(super) fn tell_presence_since(
        &mut self,
        (slot, form, filter): (u32, Form, Option<&Filter>),
        who: &Identity,
        room: &Room,
        known: u64,
    ) {
        let view = self.node.presence().view_of_newcomer(room, who.user_key().as_ref());
        let Some(view) = view.filter(|view| view.version != known) else { return };
        let View { counts, version, .. } = view;
        let news = RoomNews { room: room.clone(), version, counts, changes: None, reread: true };
        let payload = Payload::json(room_news(&self.shared, &news));
        let to = (slot, form, filter);
        self.node.tell_presence(&mut self.shard, to, room, payload, wall_ms());
    }

    /// Whether members of a room are shown each other.
    pub(super) fn shows_members(&self, room: &Room) -> bool {
        self.node.kinds().spec(room).is_ok_and(|spec| spec.roll.is_on())
    }

    /// What has to be done of a connection that is known to be dead: its client had its time, so
    /// there is no grace.
    pub(super) fn is_dead(&mut self, key: ConnKey, attended: Vec<(Room, u8)>) {
        for (room, namespace) in attended {
            let device = Device::new(self.shard.index(), key, namespace);
            self.node.presence().leave(&room, device, false, self.now_ms);
        }
    }

    /// A client has a seat: the first of a user is announced to others.
    pub(super) fn announce_seat(&mut self, key: ConnKey, namespace: u8) {
        let Some(who) =
            self.links.get(key).and_then(|link| link.seat(namespace)).map(|seat| seat.who.clone())
        else {
            return;
        };
        let device = Device::new(self.shard.index(), key, namespace);
        if self.node.presence().seated(&who, namespace, device, self.now_ms) {
            self.count_again(&who, namespace);
        }
    }

    /// A client has left its seat.
    pub(super) fn announce_empty_seat(&mut self, key: ConnKey, seat: &Seat) {
        let device = Device::new(self.shard.index(), key, seat.namespace);
        if self.node.presence().unseated(&seat.who, seat.namespace, device, self.now_ms) {
            self.count_again(&seat.who, seat.namespace);
        }
    }

    /// There are few enough connections again to announce who comes and goes: all are counted.
    fn count_again(&self, who: &Identity, namespace: u8) {
        self.shared.send_errand(|| Errand::Recount { org: who.org.clone(), namespace });
    }

    /// Counts a connection of a walk.
    pub(super) fn recount(&mut self, key: ConnKey, org: &Org, wanted: u8) {
        let Some(link) = self.links.get(key) else { return };
        let Some(who) = seat_of(link, org, wanted) else { return };
        let device = Device::new(self.shard.index(), key, wanted);
        self.node.presence().recount(&who, wanted, device, self.now_ms);
    }

    /// Runs the command `presence:set`.
    ///
    /// # Errors
    /// [`Code::Forbidden`] for one without a user, [`Code::BadRequest`] for a time that is over, and what
    /// publishing is limited by.
    pub(super) fn presence_set(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &PresenceSetBody<'_>,
    ) -> Result<(), Refusal> {
        let seat = self.links.get(key).and_then(|link| link.seat(ack.namespace()));
        let who = seat.map(|seat| seat.who.clone());
        let who = who.ok_or_else(|| Refusal::new(Code::Unauthorized, "sign in first"))?;
        let user = seen_user(&who)?;
        let change = wanted(body)?;
        let wishes = if change == Change::default() {
            self.node.presence().wishes(&user, self.now_ms)
        } else {
            self.take_publish(key, ack, &who, None, false)?;
            presence::set(&self.shared, (&who, &user), change, self.now_ms)?
        };
        if body.active == Some(false) && self.shard.make_idle(key.slot) {
            self.signal(key, true);
        }
        let now_ms = self.now_ms;
        self.answer(key, ack, |out| write_wishes(out, &wishes, now_ms));
        Ok(())
    }
}

fn seat_of(link: &Link, org: &Org, namespace: u8) -> Option<Arc<Identity>> {
    link.seat(namespace).filter(|seat| seat.who.org == *org).map(|seat| seat.who.clone())
}
