//! Who is in rooms that keep a roster.

use std::sync::Arc;

use crate::frame::Form;
use crate::hub::Entry;
use crate::kinds::{Action, Asker};
use crate::lane::Lane;
use crate::presence::{EVENT, Presence};
use crate::publication::{Payload, Publication};
use crate::room::{Roll, Room, RoomSpec};
use crate::roster::Device;
use crate::shard::{ConnKey, Filter, Left, Shard};
use crate::user::UserKey;

use super::Node;

impl Node {
    /// Tells others of a user's organisation, in one namespace, something about that user; its own
    /// connections are left out.
    pub fn announce_user(
        &self,
        user: &UserKey,
        (namespace, hearers): (u8, &[(Device, UserKey)]),
        event: &str,
        payload: Payload,
        now_ms: u64,
    ) {
        let publication = Arc::new(Publication {
            lane: Lane::Low,
            ..Publication::new(Room::of_everybody(user.org()), event, payload, self.message_id(), now_ms)
        });
        for shard in 0..self.hub.shards() {
            let others = hearers.iter().filter(|(device, own)| device.shard() == shard && own != user);
            let to: Box<[ConnKey]> = others.map(|(device, _)| device.key()).collect();
            if !to.is_empty() {
                self.hub.announce_to(shard, &publication, namespace, to);
            }
        }
    }

    /// The same node with another presence, before anybody is in a room.
    #[must_use]
    pub fn with_presence(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }

    /// Who is where.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// What one who is in a room may see of the others.
    pub(super) fn visible_roll(&self, asker: &Asker<'_>, room: &Room, spec: &RoomSpec) -> Roll {
        let sees = spec.roll.is_on() && self.admit_event(asker, room, Action::Presence, "").is_ok();
        if sees { spec.roll } else { Roll::Off }
    }

    /// What one who is not in a room yet may see of the others once it is.
    pub fn roll_for<'a>(&self, who: impl Into<Asker<'a>>, room: &Room) -> Roll {
        let entry = self.hub.find(room);
        entry.map_or(Roll::Off, |entry| self.visible_roll(&who.into(), room, &entry.spec))
    }

    /// Tells one connection alone who is in a room, unless its subscription leaves that out.
    pub fn tell_presence(
        &self,
        shard: &mut Shard,
        (slot, form, filter): (u32, Form, Option<&Filter>),
        room: &Room,
        payload: Payload,
        now_ms: u64,
    ) {
        let news = Publication::new(room.clone(), EVENT, payload, self.message_id(), now_ms);
        let news = Publication { lane: Lane::Low, ..news };
        if filter.is_none_or(|filter| filter.passes(&news)) {
            shard.push_to([(slot, form)], &news);
        }
    }

    /// Somebody is in a room that keeps a roster; what it may see of the others. One who may see nothing
    /// is not told who comes and goes.
    pub(super) fn attend(
        &self,
        shard: &mut Shard,
        slot: u32,
        entry: &Entry,
        namespace: u8,
        asker: &Asker<'_>,
    ) -> Roll {
        let Some(key) = shard.attend(slot) else { return Roll::Off };
        let device = Device::new(shard.index(), key, namespace);
        self.presence.join(asker.who, &entry.room, entry.spec.roll, device, shard.now_ms());
        let roll = self.visible_roll(asker, &entry.room, &entry.spec);
        shard.set_blind(slot, &entry.room, namespace, !roll.is_on());
        roll
    }

    /// Judges again what one who is in a room may see of the others.
    pub fn look_again<'a>(
        &self,
        shard: &mut Shard,
        slot: u32,
        who: impl Into<Asker<'a>>,
        room: &Room,
        namespace: u8,
    ) {
        let Some(entry) = shard.entry(room).filter(|entry| entry.spec.roll.is_on()).cloned() else { return };
        let roll = self.visible_roll(&who.into(), room, &entry.spec);
        shard.set_blind(slot, room, namespace, !roll.is_on());
    }

    /// A subscription has ended: by its client's wish, or with the connection.
    pub(super) fn left(&self, shard: &Shard, slot: u32, left: &Left, lost: bool) {
        left.entry.left(shard.index(), left.last);
        if left.entry.spec.roll.is_on()
            && let Some(key) = shard.key(slot)
        {
            let device = Device::new(shard.index(), key, left.form.namespace);
            self.presence.leave(&left.entry.room, device, lost, shard.now_ms());
        }
    }
}
