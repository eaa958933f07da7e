//! Who is in which room, on one shard.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::gathered::Gather;
use super::{ConnKey, Forms, Shard};
use crate::frame::{self, Form};
use crate::hub::Entry;
use crate::lane::Lane;
use crate::outbox::{Item, NO_ROOM};
use crate::presence;
use crate::publication::{Mark, Position, Publication};
use crate::room::Room;

/// A room that has members on this shard.
pub(super) struct LocalRoom {
    pub(super) entry: Arc<Entry>,
    pub(super) members: Vec<Member>,
    /// Newcomers that have read the history further than this room has been taken live; where nothing is kept and only
    /// changes are said, those who lack what was said before.
    pub(super) catching_up: Vec<CatchingUp>,
    /// The number of the last event taken here: the offset of a recorded one.
    pub(super) taken: u64,
    /// Where that event stands.
    pub(super) last: Option<Position>,
    /// How many of its subscriptions want only some of the events.
    pub(super) choosy: u32,
}

impl LocalRoom {
    /// Notes that an event was taken, if it has a number.
    pub(super) fn note_taken(&mut self, publication: &Publication) {
        if publication.number() > 0 {
            self.taken = publication.number();
        }
        self.last = publication.position.or(self.last);
    }
}

/// Which of a room's events a subscription wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The events by name; `None`: all.
    pub events: Option<Box<[CompactString]>>,
    /// Nothing less urgent than this.
    pub min_lane: Option<Lane>,
    /// Not who comes and goes, whatever the client wants: it may not see that. Set by the shard alone.
    pub blind: bool,
}

impl Filter {
    /// Whether the subscription wants an event.
    pub fn passes(&self, publication: &Publication) -> bool {
        (!self.blind || publication.event != presence::EVENT)
            && self.events.as_ref().is_none_or(|names| names.contains(&publication.event))
            // The log keeps no lanes: one event too many is better than one that is left out without a word.
            && self.min_lane.is_none_or(|least| publication.lane >= least || publication.is_read_back())
    }
}

/// A newcomer that must not get live what it has read from the history, nor a part alone of what it has not heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatchingUp {
    pub(super) slot: u32,
    pub(super) namespace: u8,
    pub(super) read_to: u64,
}

/// One event in one form, waiting.
pub(super) fn item_of(publication: &Publication, bytes: Bytes, room: u32) -> Item {
    let (sequence, subject, volatile) =
        (publication.sequence, publication.subject, publication.position.is_none());
    Item { bytes, messages: 1, room, sequence, subject, volatile }
}

/// One subscription; a connection may have one per namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) slot: u32,
    /// Where this subscription stands in the connection's own list.
    pub(super) back: u32,
    pub(super) form: Form,
}

/// The same subscription, seen from the connection.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub(super) room: u32,
    pub(super) at: u32,
    /// When it was in the room: as a moment of the recorder, and in milliseconds.
    pub(super) joined: (u64, u64),
    /// The point in its organisation's events when it subscribed: what came before is not its business.
    pub(super) since: Mark,
    pub(super) filter: Option<Box<Filter>>,
}

/// A subscription that ended, as recovery wants to remember it.
#[derive(Debug, Clone)]
pub struct Left {
    /// The room.
    pub entry: Arc<Entry>,
    /// The form it was served in.
    pub form: Form,
    /// The point in its organisation's events when it subscribed.
    pub since: Mark,
    /// Which events it wanted; `None`: all.
    pub filter: Option<Box<Filter>>,
    /// Whether it was the room's last member on this shard.
    pub last: bool,
}

impl Shard {
    /// Whether a connection is in a room through a namespace.
    pub fn is_member(&self, slot: u32, room: &Room, namespace: u8) -> bool {
        self.find(slot, room, namespace).is_some()
    }

    /// How many rooms a connection is in.
    pub fn rooms_of(&self, slot: u32) -> usize {
        self.conns.get(slot as usize).map_or(0, |conn| conn.memberships.len())
    }

    /// When a connection entered the first of the rooms it is in, in milliseconds of the shard.
    pub fn first_joined_ms(&self, slot: u32) -> Option<u64> {
        let conn = self.conns.get(slot as usize)?;
        conn.memberships.iter().map(|membership| membership.joined.1).min()
    }

    /// When a connection entered a room, in milliseconds of the shard.
    pub fn joined_ms(&self, slot: u32, room: &Room, namespace: u8) -> Option<u64> {
        let at = self.find(slot, room, namespace)?;
        Some(self.conns.get(slot as usize)?.memberships.get(at)?.joined.1)
    }

    /// The names of the rooms a connection is in through a namespace.
    pub fn room_names(&self, slot: u32, namespace: u8) -> Vec<Room> {
        let Some(conn) = self.conns.get(slot as usize) else { return Vec::new() };
        let rooms = conn.memberships.iter().filter_map(|membership| {
            let room = self.local.get(membership.room as usize)?;
            let member = room.members.get(membership.at as usize)?;
            (member.form.namespace == namespace).then(|| room.entry.room.clone())
        });
        rooms.collect()
    }

    /// The rooms with a roster that a connection is in, and the namespace through which.
    pub fn attended(&self, slot: u32) -> Vec<(Room, u8)> {
        let Some(conn) = self.conns.get(slot as usize) else { return Vec::new() };
        let rooms = conn.memberships.iter().filter_map(|membership| {
            let local = self.local.get(membership.room as usize)?;
            let member = local.members.get(membership.at as usize)?;
            let on = local.entry.spec.roll.is_on();
            on.then(|| (local.entry.room.clone(), member.form.namespace))
        });
        rooms.collect()
    }

    /// The rooms a connection is in through a namespace: each with the point at which it subscribed, and which
    /// events it wants.
    pub fn subscriptions(&self, slot: u32, namespace: u8) -> Vec<(Arc<Entry>, Mark, Option<Box<Filter>>)> {
        let Some(conn) = self.conns.get(slot as usize) else { return Vec::new() };
        let rooms = conn.memberships.iter().filter_map(|membership| {
            let room = self.local.get(membership.room as usize)?;
            let member = room.members.get(membership.at as usize)?;
            let subscription = (room.entry.clone(), membership.since, membership.filter.clone());
            (member.form.namespace == namespace).then_some(subscription)
        });
        rooms.collect()
    }

    /// Adds a connection to a room; the caller has registered this shard with the entry.
    ///
    /// `since` is the point in its organisation's events; recorded events up to `read_to` have been read
    /// from the history and are not delivered again.
    pub fn join(&mut self, slot: u32, entry: &Arc<Entry>, form: Form, since: Mark, read_to: Option<u64>) {
        let room = self.local_room(entry);
        self.settle_room(room);
        let joined = (self.moment(), self.now_ms);
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let local = &mut self.local[room as usize];
        let (at, back) = (local.members.len() as u32, conn.memberships.len() as u32);
        // Most personal rooms have one member, and most connections one room.
        if local.members.is_empty() {
            local.members.reserve_exact(1);
        }
        if conn.memberships.is_empty() {
            conn.memberships.reserve_exact(1);
        }
        local.members.push(Member { slot, back, form });
        conn.memberships.push(Membership { room, at, joined, since, filter: None });
        if let Some(read_to) = read_to.filter(|offset| *offset > local.taken) {
            local.catching_up.push(CatchingUp { slot, namespace: form.namespace, read_to });
        }
        if let Some(read_to) = read_to.filter(|_| self.conns[slot as usize].paused) {
            self.mark_newcomer(slot, room, form.namespace, read_to);
        }
    }

    /// Says that a member is sent again what came from `first` to `last`: of that, what is still on its way here or held
    /// back does not come once more.
    pub(crate) fn go_back(&mut self, slot: u32, room: &Room, namespace: u8, first: u64, last: u64) {
        let Some(&room) = self.rooms.get(room) else { return };
        // What waits is older.
        self.settle_room(room);
        let local = &mut self.local[room as usize];
        let own = |one: &CatchingUp| one.slot == slot && one.namespace == namespace;
        let read = local.catching_up.iter().find(|one| own(one)).map_or(0, |one| one.read_to);
        let known = local.taken.max(read);
        if first <= known + 1 && last > known {
            local.catching_up.retain(|one| !own(one));
            local.catching_up.push(CatchingUp { slot, namespace, read_to: last });
        }
        self.is_sent(slot, room, namespace, first, last);
    }

    /// Has a subscription get only some of the room's events from now on; all of them with a filter that keeps nothing away.
    pub fn set_filter(&mut self, slot: u32, room: &Room, namespace: u8, filter: Filter) {
        self.change_filter(slot, room, namespace, |held| Filter { blind: held.blind, ..filter });
    }

    /// Says whether a subscription may not be told who comes and goes in its room.
    pub(crate) fn set_blind(&mut self, slot: u32, room: &Room, namespace: u8, blind: bool) {
        self.change_filter(slot, room, namespace, |held| Filter { blind, ..held });
    }

    fn change_filter(
        &mut self,
        slot: u32,
        room: &Room,
        namespace: u8,
        change: impl FnOnce(Filter) -> Filter,
    ) {
        let Some(at) = self.find(slot, room, namespace) else { return };
        let membership = &self.conns[slot as usize].memberships[at];
        let (room, held) = (membership.room, membership.filter.as_deref());
        let filter = change(held.cloned().unwrap_or_default());
        if filter == *held.unwrap_or(&Filter::default()) {
            return;
        }
        self.settle_room(room);
        let filter = Some(Box::new(filter)).filter(|filter| **filter != Filter::default());
        let has = u32::from(filter.is_some());
        let held = std::mem::replace(&mut self.conns[slot as usize].memberships[at].filter, filter);
        let choosy = &mut self.local[room as usize].choosy;
        *choosy = *choosy + has - u32::from(held.is_some());
    }

    /// Takes a connection out of a room; `None` if it was not in it.
    pub fn leave(&mut self, slot: u32, room: &Room, namespace: u8) -> Option<Left> {
        let membership = self.find(slot, room, namespace)?;
        Some(self.remove(slot, membership))
    }

    /// Takes a connection out of every room it is in through `namespace` (all: `None`).
    pub fn leave_all(&mut self, slot: u32, namespace: Option<u8>) -> Vec<Left> {
        let mut left = Vec::new();
        while let Some(at) = self.last_membership(slot, namespace) {
            left.push(self.remove(slot, at));
        }
        left
    }

    /// Every connection that is in a room here, with the form it is served in.
    pub fn members(&self, room: &Room) -> impl Iterator<Item = (ConnKey, Form)> {
        let local = self.rooms.get(room).map(|&at| &self.local[at as usize]);
        let members = local.into_iter().flat_map(|local| &local.members);
        members.filter_map(|member| {
            let conn = self.conns.get(member.slot as usize)?;
            Some((ConnKey { slot: member.slot, generation: conn.generation }, member.form))
        })
    }

    /// Pushes a publication to the given connections, each in its form, in a room or not.
    pub fn push_to(&mut self, to: impl IntoIterator<Item = (u32, Form)>, publication: &Publication) {
        let mut forms = Forms::default();
        let namespaces = self.namespaces.clone();
        for (slot, form) in to {
            let bytes = forms.get(form, || frame::encode(publication, form, &namespaces)).clone();
            self.push(slot, item_of(publication, bytes, NO_ROOM), publication.lane);
        }
    }

    /// Pushes a publication to each member's outbox, where it waits for others if it is to gather.
    pub(super) fn push_to_members(
        &mut self,
        room: u32,
        publication: &Arc<Publication>,
        gather: Option<Gather>,
    ) {
        let (mut forms, mut wholes) = (Forms::default(), Forms::default());
        let namespaces = self.namespaces.clone();
        let offset = publication.position.map_or(0, |position| position.offset);
        let members = std::mem::take(&mut self.local[room as usize].members);
        for member in &members {
            if self.is_skipped(publication, member.slot) || self.has_read(room, member, publication) {
                continue;
            }
            if self.local[room as usize].choosy > 0 && !self.wants(member, publication) {
                continue;
            }
            // Who is choosy may not have heard what was said before, and who has just come has not.
            let lacks = || self.is_choosy(member) || self.is_new(room, member, publication);
            let bytes = if publication.part.is_some() && lacks() {
                wholes.get(member.form, || frame::encode(publication, member.form, &namespaces)).clone()
            } else {
                forms.get(member.form, || frame::encode_live(publication, member.form, &namespaces)).clone()
            };
            let item = item_of(publication, bytes, room);
            match gather {
                Some(gather) => self.push_gathered(member, item, offset, gather),
                None => self.push_event(member, item, publication.lane, offset),
            }
        }
        let local = &mut self.local[room as usize];
        local.members = members;
        if publication.number() > 0 {
            local.catching_up.retain(|newcomer| newcomer.read_to > publication.number());
        }
        local.note_taken(publication);
    }

    pub(super) fn is_skipped(&self, publication: &Publication, slot: u32) -> bool {
        publication
            .skip
            .is_some_and(|(shard, key)| shard == self.index && key.slot == slot && self.holds(key))
    }

    pub(super) fn wants(&self, member: &Member, publication: &Publication) -> bool {
        let conn = self.conns.get(member.slot as usize);
        let membership = conn.and_then(|conn| conn.memberships.get(member.back as usize));
        membership
            .and_then(|membership| membership.filter.as_ref())
            .is_none_or(|filter| filter.passes(publication))
    }

    fn is_choosy(&self, member: &Member) -> bool {
        let conn = self.conns.get(member.slot as usize);
        let membership = conn.and_then(|conn| conn.memberships.get(member.back as usize));
        membership.is_some_and(|membership| membership.filter.is_some())
    }

    pub(super) fn has_read(&self, room: u32, member: &Member, publication: &Publication) -> bool {
        publication.position.is_some() && self.is_new(room, member, publication)
    }

    /// Whether an event was said before a member came.
    fn is_new(&self, room: u32, member: &Member, publication: &Publication) -> bool {
        self.local[room as usize].catching_up.iter().any(|newcomer| {
            newcomer.slot == member.slot
                && newcomer.namespace == member.form.namespace
                && publication.number() <= newcomer.read_to
        })
    }

    fn local_room(&mut self, entry: &Arc<Entry>) -> u32 {
        if let Some(&at) = self.rooms.get(&entry.room) {
            return at;
        }
        let local = LocalRoom {
            entry: entry.clone(),
            members: Vec::new(),
            catching_up: Vec::new(),
            taken: 0,
            last: None,
            choosy: 0,
        };
        let at = self.local.insert(local) as u32;
        self.rooms.insert(entry.room.clone(), at);
        at
    }

    /// Where a subscription stands in the connection's list.
    fn find(&self, slot: u32, room: &Room, namespace: u8) -> Option<usize> {
        let room = *self.rooms.get(room)?;
        let conn = self.conns.get(slot as usize)?;
        conn.memberships.iter().position(|m| {
            m.room == room && self.local[room as usize].members[m.at as usize].form.namespace == namespace
        })
    }

    fn last_membership(&self, slot: u32, namespace: Option<u8>) -> Option<usize> {
        let conn = self.conns.get(slot as usize)?;
        conn.memberships.iter().rposition(|m| {
            let member = self.local[m.room as usize].members[m.at as usize];
            namespace.is_none_or(|wanted| member.form.namespace == wanted)
        })
    }

    fn remove(&mut self, slot: u32, at: usize) -> Left {
        self.settle_room(self.conns[slot as usize].memberships[at].room);
        self.note_left(slot, at);
        let conn = &mut self.conns[slot as usize];
        let membership = conn.memberships.swap_remove(at);
        // The subscription that took its place in the list has to be found there.
        if let Some(moved) = conn.memberships.get(at) {
            self.local[moved.room as usize].members[moved.at as usize].back = at as u32;
        }
        let local = &mut self.local[membership.room as usize];
        let gone = local.members.swap_remove(membership.at as usize);
        if let Some(moved) = local.members.get(membership.at as usize) {
            self.conns[moved.slot as usize].memberships[moved.back as usize].at = membership.at;
        }
        local
            .catching_up
            .retain(|newcomer| newcomer.slot != slot || newcomer.namespace != gone.form.namespace);
        local.choosy -= u32::from(membership.filter.is_some());
        let (entry, last) = (local.entry.clone(), local.members.is_empty());
        if last {
            self.rooms.remove(&entry.room);
            self.local.remove(membership.room as usize);
        }
        self.disown(slot, membership.room, gone.form.namespace);
        Left { entry, form: gone.form, since: membership.since, filter: membership.filter, last }
    }

    /// Takes the number of a room that was left off what is kept for a connection: the next room may get it, of
    /// whatever organisation.
    fn disown(&mut self, slot: u32, room: u32, namespace: u8) {
        let conn = &mut self.conns[slot as usize];
        let lag = conn.lag.as_deref_mut();
        if conn.outbox.is_empty() && lag.is_none() {
            return;
        }
        let is_out = !conn.memberships.iter().any(|membership| membership.room == room);
        if let Some(lag) = lag {
            lag.forget(room, namespace, is_out);
        }
        if is_out {
            conn.outbox.disown(room);
        }
    }
}
