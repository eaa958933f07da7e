//! Connections that are behind: what they are spared, and how they catch up.

use super::ahead::{Ahead, InLog, Lent};
use super::members::{CatchingUp, Member, item_of};
use super::traced::Held;
use super::{ConnKey, Shard};
use crate::lane::Lane;
use crate::outbox::{Item, Pushed, Skip};
use crate::publication::{Epoch, Position, Publication};
use crate::room::Room;

/// What was done about a connection that does not keep up, in the order of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A volatile event took the place of an older one of its subject.
    Replaced,
    /// A volatile event was dropped, its lane having used up its share.
    Dropped,
    /// A volatile event that waited made room for another event or an answer.
    Displaced,
    /// Recorded events were held back.
    Paused,
    /// All that was held back has followed.
    CaughtUp,
    /// It was told how much it was spared in a room.
    Told,
    /// What was held back was no longer kept; it was told, or closed.
    Lost,
    /// An answer did not fit: it is closed.
    Overflowed,
}

impl Step {
    /// Every step, the mildest first.
    pub const ALL: [Self; 8] = [
        Self::Replaced,
        Self::Dropped,
        Self::Displaced,
        Self::Paused,
        Self::CaughtUp,
        Self::Told,
        Self::Lost,
        Self::Overflowed,
    ];

    /// Its name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Dropped => "dropped",
            Self::Displaced => "displaced",
            Self::Paused => "paused",
            Self::CaughtUp => "caught_up",
            Self::Told => "told",
            Self::Lost => "lost",
            Self::Overflowed => "overflowed",
        }
    }
}

/// What a connection was spared, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Volatile messages dropped since they were last told with a heartbeat.
    dropped: u32,
    /// The same by room since they were last told by room.
    pub(super) skipped: Vec<(u32, u32)>,
    /// Between these moments of the recorder lie those that are in `skipped`.
    pub(super) spared: (u64, u64),
    /// How far it is in each of its recorded rooms, while it is paused.
    pub(super) marks: Vec<Mark>,
    /// What was read for it from the log, while it is paused.
    pub(super) lent: Vec<Lent>,
    /// The number of its organisation up to which it has everything, while it is paused.
    heard: u64,
    /// A page of the log is being read for it.
    pub(super) reading: bool,
    /// It was not told yet that it is behind.
    untold: bool,
    /// It is on the list of drained connections.
    listed: bool,
}

/// The last recorded event of a room that was pushed to a connection through a namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) room: u32,
    pub(super) namespace: u8,
    pub(super) epoch: Epoch,
    pub(super) offset: u64,
    /// What came behind this was held back.
    pub(super) from: u64,
}

/// The first event of a room that is held back from a connection.
#[derive(Debug, Clone, Copy)]
struct First {
    room: u32,
    namespace: u8,
    offset: u64,
}

impl Lag {
    /// Forgets a room that was left through a namespace, or through the last of several.
    pub(super) fn forget(&mut self, room: u32, namespace: u8, is_out: bool) {
        self.marks.retain(|mark| mark.room != room || mark.namespace != namespace);
        self.lent.retain(|lent| !lent.is_of(room, namespace));
        if is_out {
            self.skipped.retain(|(skipped, _)| *skipped != room);
        }
    }

    fn skip(&mut self, room: u32, count: u32) {
        self.dropped = self.dropped.saturating_add(count);
        match self.skipped.iter_mut().find(|(skipped, _)| *skipped == room) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => self.skipped.push((room, count)),
        }
    }
}

/// How far a connection has come; see [`Shard::catch_up`].
#[derive(Debug)]
pub enum Caught {
    /// It has everything, and hears what comes live.
    Up,
    /// More is to follow when what waits has gone out.
    Behind,
    /// What comes next is in the log alone: it goes on once it was lent that ([`Shard::lend`]).
    InLog(InLog),
    /// Some of what was held back is not kept any more.
    Lost(Lost),
}

/// Recorded events that a connection can no longer be sent.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The room.
    pub room: Room,
    /// The namespace through which it is heard.
    pub namespace: u8,
    /// The first offset that is lost, and the last; `None` if the room's history began anew.
    pub range: Option<(u64, u64)>,
    /// Where it goes on.
    pub resume_at: u64,
    /// It is kept, and what is kept is damaged.
    pub is_damaged: bool,
    pub(super) epoch: Epoch,
}

// What is held back.
impl Shard {
    /// Adds an item of a room to a member's outbox; `first` is the offset of the first event it holds.
    pub(super) fn push_event(&mut self, member: &Member, item: Item, lane: Lane, first: u64) {
        let Some(conn) = self.conns.get(member.slot as usize).filter(|conn| !conn.overflowed) else { return };
        if conn.paused {
            return self.push_to_paused(member.slot, item, lane);
        }
        if !item.volatile && !conn.outbox.takes(&item, &self.limits) {
            return self.push_or_pause(member, item, first);
        }
        self.push(member.slot, item, lane);
    }

    /// Adds an item to the outbox of a connection that is behind, unless it would overtake what is held back:
    /// recorded events and the volatile ones of a room's normal lane have one order.
    #[cold]
    fn push_to_paused(&mut self, slot: u32, item: Item, lane: Lane) {
        let keeps = self.local[item.room as usize].entry.spec.keep.bounds().is_some();
        if !item.volatile {
            return;
        }
        if lane == Lane::Normal && keeps {
            return self.note_loss(slot, Pushed::Dropped, item.room, lane, item.messages);
        }
        self.push(slot, item, lane);
    }

    /// Holds an item back, if it can be read again later; a room that keeps little uses the whole queue first.
    fn push_or_pause(&mut self, member: &Member, item: Item, first: u64) {
        let Some(conn) = self.conns.get_mut(member.slot as usize) else { return };
        let room = item.room;
        // Who is in a room twice may have had the event once.
        let once = conn.memberships.iter().filter(|membership| membership.room == room).count() == 1;
        let kept = self.local[room as usize].entry.spec.keep.bounds().map_or(0, |(size, ..)| size);
        if once && kept > 0 && kept >= self.limits.messages / 2 {
            return self.pause(member, room, first);
        }
        let pushed = conn.outbox.push(item, Lane::Normal, &self.limits, self.now_ms);
        if pushed == Pushed::Overflow && once && kept > 0 {
            return self.pause(member, room, first);
        }
        self.note_loss(member.slot, pushed, room, Lane::Normal, 0);
    }

    /// Stops pushing recorded events to a connection, of whatever room: they would overtake others.
    fn pause(&mut self, member: &Member, room: u32, first: u64) {
        self.pause_behind(member.slot, Some(First { room, namespace: member.form.namespace, offset: first }));
        let Some(conn) = self.conns.get_mut(member.slot as usize) else { return };
        conn.outbox.fell_behind(self.now_ms);
        if let Some(lag) = conn.lag.as_deref_mut() {
            lag.untold = true;
        }
    }

    /// The same for one that is not slow: it is told nothing, and goes on as soon as it can.
    pub(super) fn pause_quietly(&mut self, slot: u32) {
        if self.conns.get(slot as usize).is_some_and(|conn| !conn.paused && !conn.overflowed) {
            self.pause_behind(slot, None);
            self.note_drained(slot);
        }
    }

    fn pause_behind(&mut self, slot: u32, first: Option<First>) {
        let marks = self.marks(slot, first);
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.paused = true;
        let heard = conn.flushed.max(conn.outbox.last_sequence());
        let lag = conn.lag.get_or_insert_default();
        (lag.marks, lag.heard) = (marks, heard);
        self.count(Step::Paused, 1);
    }

    /// How far a connection is in each of its rooms, when an event is held back; `None`: when none is.
    fn marks(&self, slot: u32, first: Option<First>) -> Vec<Mark> {
        let Some(conn) = self.conns.get(slot as usize) else { return Vec::new() };
        let marks = conn.memberships.iter().filter_map(|membership| {
            let room = membership.room;
            let local = &self.local[room as usize];
            let epoch = local.entry.top()?.epoch;
            if let Some(first) = first.filter(|first| first.room == room) {
                let (namespace, offset) = (first.namespace, first.offset - 1);
                return Some(Mark { room, namespace, epoch, offset, from: offset });
            }
            let namespace = local.members.get(membership.at as usize)?.form.namespace;
            let read = local.catching_up.iter();
            let read = read.filter(|read| read.slot == slot && read.namespace == namespace);
            let offset = read.map(|read| read.read_to).fold(local.taken, u64::max);
            Some(Mark { room, namespace, epoch, offset, from: offset })
        });
        marks.collect()
    }

    /// The position behind which a room's events are held back from a member, if they are.
    pub(crate) fn held_behind(&self, slot: u32, room: &Room, namespace: u8) -> Option<Position> {
        let room = *self.rooms.get(room)?;
        let conn = self.conns.get(slot as usize).filter(|conn| conn.paused)?;
        let mut marks = conn.lag.as_deref()?.marks.iter();
        let mark = marks.find(|mark| mark.room == room && mark.namespace == namespace)?;
        Some(Position { epoch: mark.epoch, offset: mark.offset, tag: 0 })
    }

    /// Notes that a member was sent a room's events from `first` to `last`: of what is held back from it, these are not.
    pub(super) fn is_sent(&mut self, slot: u32, room: u32, namespace: u8, first: u64, last: u64) {
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| conn.paused) else { return };
        let marks = conn.lag.as_deref_mut().into_iter().flat_map(|lag| &mut lag.marks);
        for mark in marks.filter(|mark| mark.room == room && mark.namespace == namespace) {
            if first <= mark.offset + 1 {
                mark.offset = mark.offset.max(last);
            }
        }
    }

    /// Notes that a paused connection has joined a room and read its history so far.
    pub(super) fn mark_newcomer(&mut self, slot: u32, room: u32, namespace: u8, offset: u64) {
        let Some(epoch) = self.local[room as usize].entry.top().map(|top| top.epoch) else { return };
        let lag = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut());
        if let Some(lag) = lag {
            lag.marks.push(Mark { room, namespace, epoch, offset, from: offset });
        }
    }
}

// What is dropped, and what is told of it.
impl Shard {
    /// Draws the consequences of a push of so many messages.
    #[cold]
    pub(super) fn note_loss(&mut self, slot: u32, pushed: Pushed, room: u32, lane: Lane, messages: u32) {
        match pushed {
            Pushed::Queued => {}
            Pushed::Replaced => {
                self.count(Step::Replaced, 1);
                self.note_skips(slot, &[Skip { room, lane, count: 1 }]);
            }
            Pushed::Dropped => {
                self.count(Step::Dropped, messages);
                self.note_skips(slot, &[Skip { room, lane, count: messages }]);
            }
            Pushed::Displaced(count) => {
                self.count(Step::Displaced, count);
                let conn = self.conns.get_mut(slot as usize);
                let skips = conn.map(|conn| conn.outbox.take_displaced()).unwrap_or_default();
                self.note_skips(slot, &skips);
            }
            Pushed::Overflow => {
                let Some(conn) = self.conns.get_mut(slot as usize) else { return };
                conn.overflowed = true;
                self.overflowed.push(ConnKey { slot, generation: conn.generation });
                self.count(Step::Overflowed, 1);
            }
        }
    }

    fn count(&mut self, step: Step, times: u32) {
        self.counters.steps[step as usize] += u64::from(times);
    }

    pub(super) fn note_skips(&mut self, slot: u32, skips: &[Skip]) {
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|_| !skips.is_empty()) else { return };
        let lag = conn.lag.get_or_insert_default();
        if let Some(trace) = &self.trace {
            lag.note_span(conn.stuck, trace);
        }
        for skip in skips {
            lag.skip(skip.room, skip.count);
            if let Some(local) = self.local.get(skip.room as usize) {
                local.entry.want_whole();
            }
            self.counters.dropped += u64::from(skip.count);
            let lane = Lane::ALL.iter().position(|lane| *lane == skip.lane).unwrap_or(0);
            self.counters.dropped_by_lane[lane] += u64::from(skip.count);
        }
    }

    /// Takes the number of volatile messages dropped for a connection since the last call.
    pub fn take_dropped(&mut self, slot: u32) -> u32 {
        let lag = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut());
        let dropped = lag.map_or(0, |lag| std::mem::take(&mut lag.dropped));
        self.tidy(slot);
        dropped
    }

    /// Takes the same by room since the last call of this; what was said to all has none, nor what waited of a room
    /// that was left.
    pub fn take_skipped(&mut self, slot: u32) -> Vec<(Option<Room>, u32)> {
        let lag = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut());
        let span = lag.as_ref().map_or((0, 0), |lag| lag.spared);
        let skipped = lag.map(|lag| std::mem::take(&mut lag.skipped)).unwrap_or_default();
        self.note_spared(slot, span, &skipped);
        self.count(Step::Told, skipped.len() as u32);
        self.tidy(slot);
        let name = |room: u32| self.local.get(room as usize).map(|local| local.entry.room.clone());
        skipped.into_iter().map(|(room, count)| (name(room), count)).collect()
    }

    /// Whether recorded events are held back from a connection.
    pub fn is_behind(&self, slot: u32) -> bool {
        self.conns.get(slot as usize).is_some_and(|conn| conn.paused)
    }

    /// How many recorded events were held back from a connection, if it was not told yet.
    pub fn take_behind(&mut self, slot: u32) -> Option<u64> {
        let conn = self.conns.get_mut(slot as usize).filter(|conn| conn.paused)?;
        let lag = conn.lag.as_deref_mut()?;
        if !std::mem::take(&mut lag.untold) {
            return None;
        }
        let behind = lag.marks.iter().map(|mark| {
            let top = self.local.get(mark.room as usize).and_then(|local| local.entry.top());
            top.map_or(0, |top| top.offset.saturating_sub(mark.offset))
        });
        Some(behind.sum())
    }

    /// Forgets what was noted of a connection that has nothing left to be told.
    fn tidy(&mut self, slot: u32) {
        if let Some(conn) = self.conns.get_mut(slot as usize)
            && !conn.paused
            && conn.lag.as_ref().is_some_and(|lag| lag.dropped == 0 && lag.skipped.is_empty() && !lag.listed)
        {
            conn.lag = None;
        }
    }
}

// How it catches up.
impl Shard {
    /// Lists a connection that was behind and has little left to be sent.
    pub(super) fn note_drained(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        let Some(lag) = conn.lag.as_deref_mut().filter(|lag| !lag.listed && !lag.reading) else { return };
        if conn.outbox.is_light(&self.limits) && (conn.paused || !lag.skipped.is_empty()) {
            lag.listed = true;
            self.drained.push(ConnKey { slot, generation: conn.generation });
        }
    }

    /// Connections, at most so many, that were behind and have little left to be sent: they are to be told what
    /// they were spared ([`Shard::take_skipped`]), and to go on ([`Shard::catch_up`]).
    pub fn take_drained(&mut self, most: usize) -> Vec<ConnKey> {
        let rest = self.drained.split_off(self.drained.len().min(most));
        let mut drained = std::mem::replace(&mut self.drained, rest);
        drained.retain(|key| self.holds(*key));
        for key in &drained {
            if let Some(lag) = self.conns[key.slot as usize].lag.as_deref_mut() {
                lag.listed = false;
            }
        }
        drained
    }

    /// Pushes the next of what was held back from a connection, in the order of its organisation.
    ///
    /// Once nothing is left it hears again what comes live; what is then on its way here and was read already is
    /// not pushed twice.
    pub fn catch_up(&mut self, slot: u32) -> Caught {
        if !self.conns.get(slot as usize).is_some_and(|conn| conn.paused && !conn.overflowed) {
            return Caught::Up;
        }
        if self.is_reading(slot) {
            return Caught::Behind;
        }
        let page = match self.page(slot) {
            Ok(page) => page,
            Err(Ahead::Lost(lost)) => return Caught::Lost(lost),
            Err(Ahead::InLog(wanted)) => {
                self.set_reading(slot, true);
                return Caught::InLog(wanted);
            }
        };
        for (at, missed) in &page.events {
            if !self.push_missed(slot, *at, missed) {
                return Caught::Behind;
            }
        }
        if page.whole {
            self.resume(slot);
            return Caught::Up;
        }
        self.note_drained(slot);
        Caught::Behind
    }

    /// Goes on behind what is lost; whoever calls this has told the client.
    pub fn pass_over(&mut self, slot: u32, lost: &Lost) {
        self.count(Step::Lost, 1);
        self.note_lost(slot, lost);
        let Some(&room) = self.rooms.get(&lost.room) else { return };
        self.local[room as usize].entry.want_whole();
        let lag = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut());
        let marks = lag.into_iter().flat_map(|lag| &mut lag.marks);
        for mark in marks.filter(|mark| mark.room == room && mark.namespace == lost.namespace) {
            (mark.epoch, mark.offset) = (lost.epoch, lost.resume_at - 1);
            mark.from = mark.offset;
        }
    }

    /// Pushes one event that was held back; `false` if it has to wait for others to go out.
    fn push_missed(&mut self, slot: u32, at: usize, missed: &Publication) -> bool {
        let Some((mark, member)) = self.marked(slot, at) else { return true };
        if !self.is_skipped(missed, slot) && self.wants(&member, missed) {
            let item = self.missed_item(slot, &mark, &member, missed);
            if !self.conns[slot as usize].outbox.takes(&item, &self.limits) {
                return false;
            }
            self.push(slot, item, Lane::Normal);
        }
        let lag = self.conns[slot as usize].lag.as_deref_mut();
        if let (Some(lag), Some(position)) = (lag, missed.position) {
            lag.marks[at].offset = position.offset;
            lag.heard = lag.heard.max(missed.sequence);
        }
        true
    }

    /// An event that was held back, as a member gets it.
    ///
    /// What was read from the log has no number of this process; the offset of a stock client has to say all the
    /// same what of rooms in memory it has heard before.
    fn missed_item(&mut self, slot: u32, mark: &Mark, member: &Member, missed: &Publication) -> Item {
        let heard = self.conns[slot as usize].lag.as_deref().map_or(0, |lag| lag.heard);
        if missed.sequence > 0 || !member.form.offset {
            let bytes = self.replays.get(missed, member.form, &self.namespaces);
            return item_of(missed, bytes, mark.room);
        }
        let numbered = Publication { sequence: heard, ..missed.clone() };
        let bytes = self.replays.get(&numbered, member.form, &self.namespaces);
        item_of(&numbered, bytes, mark.room)
    }

    /// The mark of this number, and whose it is.
    fn marked(&self, slot: u32, at: usize) -> Option<(Mark, Member)> {
        let conn = self.conns.get(slot as usize)?;
        let mark = *conn.lag.as_deref()?.marks.get(at)?;
        let members = &self.local.get(mark.room as usize)?.members;
        let own = conn.memberships.iter().filter(|membership| membership.room == mark.room);
        let mut own = own.filter_map(|membership| members.get(membership.at as usize));
        own.find(|member| member.form.namespace == mark.namespace).map(|member| (mark, *member))
    }

    /// Lets a connection hear again what comes live.
    fn resume(&mut self, slot: u32) {
        let lag = self.conns[slot as usize].lag.as_deref_mut();
        let marks = lag.map(|lag| {
            lag.lent = Vec::new();
            std::mem::take(&mut lag.marks)
        });
        for mark in marks.unwrap_or_default() {
            // What is on its way round the room was read; to this connection, still paused, it does not go.
            self.settle_room(mark.room);
            self.note_held(slot, Held::of(&mark));
            let local = &mut self.local[mark.room as usize];
            if mark.offset > local.taken {
                let (namespace, read_to) = (mark.namespace, mark.offset);
                local.catching_up.push(CatchingUp { slot, namespace, read_to });
            }
        }
        self.conns[slot as usize].paused = false;
        self.count(Step::CaughtUp, 1);
        self.tidy(slot);
    }
}
