//! What the flight recorder is told of connections, and what it answers of them.

use std::sync::Arc;

use super::lag::{Lag, Lost, Mark};
use super::{Conn, ConnKey, Shard};
use crate::publication::{Epoch, Position, Publication};
use crate::recorder::{Clock, Membership, Note, Story, Trace, What};
use crate::room::Room;
use crate::user::UserKey;

impl Conn {
    /// Something waits from now on; `stuck` is older than anything of it.
    pub(super) fn note_stuck(&mut self, stuck: u64) {
        if self.blocked && self.stuck == 0 {
            self.stuck = stuck;
        }
    }
}

impl Lag {
    /// Notes that volatile events are dropped now, before any of it is counted.
    pub(super) fn note_span(&mut self, stuck: u64, trace: &Trace) {
        if self.skipped.is_empty() {
            self.spared.0 = if stuck == 0 { trace.before_this_turn() } else { stuck };
        }
        self.spared.1 = trace.now();
    }
}

/// Recorded events of a room that were held back and have followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    room: u32,
    epoch: Epoch,
    range: (u64, u64),
}

impl Held {
    pub(super) fn of(mark: &Mark) -> Self {
        Self { room: mark.room, epoch: mark.epoch, range: (mark.from + 1, mark.offset) }
    }
}

// What is noted.
impl Shard {
    /// Notes so many rare moments of connections from now on, in the order of the recorder's clock.
    pub fn trace_with(&mut self, clock: &Clock, entries: usize) {
        self.trace = Some(Box::new(Trace::new(clock.clone(), entries)));
    }

    /// What is noted; `None`: nothing.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// Notes something of a connection.
    pub fn note(&mut self, key: ConnKey, room: Option<Room>, what: What) {
        let now_ms = self.now_ms;
        if let Some(trace) = &mut self.trace {
            trace.note(now_ms, key, room, what);
        }
    }

    /// Notes that a connection was sent what it had missed in a room, in the order of its offsets.
    pub fn note_replayed(&mut self, key: ConnKey, room: &Room, namespace: u8, missed: &[Arc<Publication>]) {
        let place = |event: Option<&Arc<Publication>>| event.and_then(|event| event.position);
        if let (Some(first), Some(last)) = (place(missed.first()), place(missed.last())) {
            self.note_span(key, room, namespace, (first, last));
        }
    }

    /// The same for what lies between two places.
    pub fn note_span(
        &mut self,
        key: ConnKey,
        room: &Room,
        namespace: u8,
        (first, last): (Position, Position),
    ) {
        let epoch = last.epoch;
        let range = (if first.epoch == epoch { first.offset } else { 1 }, last.offset);
        self.note(key, Some(room.clone()), What::Replayed { namespace, epoch, range });
    }

    /// Notes that a connection, known to its client by a name, ends for a user; it must not be closed yet.
    pub fn note_closed(
        &mut self,
        key: ConnKey,
        user: UserKey,
        name: &str,
        reason: &'static str,
        is_parked: bool,
    ) {
        let Some((_, conn)) = self.traced(key.slot) else { return };
        let (flushed, waiting, stuck, came) = (conn.flushed, conn.outbox.messages(), conn.stuck, conn.came);
        let name = name.into();
        self.note(key, None, What::Closed { user, name, reason, is_parked, flushed, waiting, stuck, came });
    }

    pub(super) fn moment(&self) -> u64 {
        self.trace.as_ref().map_or(0, |trace| trace.moment())
    }

    /// Notes that a subscription ends, and what else is known of it alone.
    pub(super) fn note_left(&mut self, slot: u32, at: usize) {
        let Some((key, conn)) = self.traced(slot) else { return };
        let Some(membership) = conn.memberships.get(at) else { return };
        let Some(local) = self.local.get(membership.room as usize) else { return };
        let Some(member) = local.members.get(membership.at as usize) else { return };
        let (room, namespace) = (membership.room, member.form.namespace);
        let lag = conn.lag.as_deref();
        let skipped = lag.and_then(|lag| lag.skipped.iter().find(|(skipped, _)| *skipped == room).copied());
        let mark = lag
            .and_then(|lag| lag.marks.iter().find(|mark| mark.room == room && mark.namespace == namespace));
        let (held, span) = (mark.map(Held::of), lag.map_or((0, 0), |lag| lag.spared));
        let left = membership_of(membership, namespace);
        let name = local.entry.room.clone();
        if let Some(skipped) = skipped {
            self.note_spared(slot, span, &[skipped]);
        }
        if let Some(held) = held {
            self.note_held(slot, held);
        }
        self.note(key, Some(name), What::Left(left));
    }

    /// Notes how many volatile events a connection was spared in each room.
    pub(super) fn note_spared(&mut self, slot: u32, span: (u64, u64), skipped: &[(u32, u32)]) {
        let Some((key, _)) = self.traced(slot) else { return };
        for (room, count) in skipped {
            let name = self.local.get(*room as usize).map(|local| local.entry.room.clone());
            self.note(key, name, What::Spared { span, count: *count });
        }
    }

    /// Notes which recorded events were held back from a connection and have followed.
    pub(super) fn note_held(&mut self, slot: u32, held: Held) {
        let Some((key, _)) = self.traced(slot).filter(|_| held.range.0 <= held.range.1) else { return };
        let name = self.local.get(held.room as usize).map(|local| local.entry.room.clone());
        self.note(key, name, What::HeldBack { epoch: held.epoch, range: held.range });
    }

    /// Notes what of that was lost, and what had followed before.
    pub(super) fn note_lost(&mut self, slot: u32, lost: &Lost) {
        let Some((key, conn)) = self.traced(slot) else { return };
        let Some(&room) = self.rooms.get(&lost.room) else { return };
        let marks = conn.lag.as_deref().map_or(&[][..], |lag| &lag.marks);
        let mark = marks.iter().find(|mark| mark.room == room && mark.namespace == lost.namespace);
        if let Some(held) = mark.map(Held::of) {
            self.note_held(slot, held);
        }
        self.note(key, Some(lost.room.clone()), What::Lost(lost.range));
    }

    /// A connection of which something is to be noted.
    fn traced(&self, slot: u32) -> Option<(ConnKey, &Conn)> {
        self.trace.as_ref()?;
        let conn = self.conns.get(slot as usize)?;
        Some((ConnKey { slot, generation: conn.generation }, conn))
    }
}

// What is answered.
impl Shard {
    /// What is known of a connection that is here and a room; to what is noted of it ([`Shard::trace`]) the
    /// caller adds.
    pub fn story(&self, key: ConnKey, room: &Room) -> Option<Story> {
        let conn = self.conns.get(key.slot as usize).filter(|conn| conn.generation == key.generation)?;
        let at = self.rooms.get(room).copied();
        let of_room = |there: u32| Some(there) == at;
        let memberships =
            conn.memberships.iter().filter(|membership| of_room(membership.room)).filter_map(|own| {
                let local = self.local.get(own.room as usize)?;
                local.members.get(own.at as usize).map(|member| membership_of(own, member.form.namespace))
            });
        let lag = conn.lag.as_deref();
        let spared = lag.and_then(|lag| lag.skipped.iter().find(|(room, _)| of_room(*room)));
        let marks = lag.map_or(&[][..], |lag| &lag.marks).iter().filter(|mark| of_room(mark.room));
        // What goes round a big room may not have come to this member.
        let under_way = self.runs.iter().filter(|run| of_room(run.room)).count();
        Some(Story {
            at: (self.index, key),
            came: conn.came,
            memberships: memberships.collect(),
            notes: Vec::new(),
            flushed: conn.flushed,
            waiting: conn.outbox.messages() + under_way,
            stuck: conn.stuck,
            spared: lag.zip(spared).map(|(lag, (_, count))| (lag.spared, *count)),
            held_behind: marks.map(|mark| (mark.namespace, mark.epoch, mark.offset)).collect(),
            closed: None,
            is_incomplete: false,
        })
    }
}

fn membership_of(own: &super::Membership, namespace: u8) -> Membership {
    let (joined, since, filter) = (own.joined, own.since, own.filter.clone());
    Membership { namespace, joined, left: None, since, filter }
}

impl Story {
    /// A connection that has ended, of which only notes are left.
    pub fn of_the_past(at: (usize, ConnKey)) -> Self {
        Self {
            at,
            came: 0,
            memberships: Vec::new(),
            notes: Vec::new(),
            flushed: 0,
            waiting: 0,
            stuck: 0,
            spared: None,
            held_behind: Vec::new(),
            closed: None,
            is_incomplete: false,
        }
    }

    /// Adds what is noted; in the order in which it was.
    pub fn add(&mut self, note: &Note) {
        match &note.what {
            What::Left(membership) => {
                let left = Some((note.moment, note.at_ms));
                self.memberships.push(Membership { left, ..membership.clone() });
            }
            What::Closed { reason, is_parked, flushed, waiting, stuck, came, .. } => {
                (self.flushed, self.waiting, self.stuck, self.came) = (*flushed, *waiting, *stuck, *came);
                let (at, reason, is_parked) = ((note.moment, note.at_ms), *reason, *is_parked);
                self.closed = Some(crate::recorder::Closed { at, reason, is_parked });
            }
            _ => {}
        }
        self.notes.push(note.clone());
    }
}
