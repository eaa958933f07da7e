//! The rare moments of a shard's connections, and what follows from them for one event.

use compact_str::CompactString;

use super::ring::Ring;
use super::{Clock, ENTRY_BYTES, Noted, Stage};
use crate::publication::{Epoch, Mark};
use crate::room::Room;
use crate::shard::{ConnKey, Filter};
use crate::user::UserKey;

/// What a shard notes of its connections: plain data, no locks.
pub struct Trace {
    clock: Clock,
    ring: Ring<Note>,
    /// The moments at which the turn before this one and this one began.
    turns: (u64, u64),
}

/// A rare moment of a connection.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its place among all that was noted.
    pub moment: u64,
    /// When, in milliseconds of the shard's clock.
    pub at_ms: u64,
    /// The connection.
    pub key: ConnKey,
    /// The room it concerns, if it does.
    pub room: Option<Room>,
    /// What happened.
    pub what: What,
}

/// What happened to a connection.
#[derive(Debug, Clone)]
pub enum What {
    /// It left a room, or ended in it.
    Left(Membership),
    /// Volatile events of a room were dropped, so many of those of a time.
    Spared {
        /// From and to which moment, about.
        span: (u64, u64),
        /// How many.
        count: u32,
    },
    /// Recorded events of a room were held back and followed, these offsets.
    HeldBack {
        /// The generation of the history.
        epoch: Epoch,
        /// The first and the last.
        range: (u64, u64),
    },
    /// It was told that recorded events were lost, these offsets if they are known.
    Lost(Option<(u64, u64)>),
    /// It was sent what it had missed, between these offsets.
    Replayed {
        /// The namespace through which it hears the room.
        namespace: u8,
        /// The generation of the history.
        epoch: Epoch,
        /// The first and the last.
        range: (u64, u64),
    },
    /// A user took up its session on it.
    Resumed(UserKey),
    /// A publish of it was refused, so often in a row.
    Refused {
        /// Why.
        code: &'static str,
        /// How often.
        count: u32,
    },
    /// It ended for a user.
    Closed {
        /// Who it was.
        user: UserKey,
        /// What the client knew it by.
        name: CompactString,
        /// Why.
        reason: &'static str,
        /// Its session is kept for a while.
        is_parked: bool,
        /// The last recorded event that went out.
        flushed: u64,
        /// Messages that had not gone out.
        waiting: usize,
        /// Nothing older than this moment waited; 0: nothing did.
        stuck: u64,
        /// When it came, as a moment.
        came: u64,
    },
}

/// A subscription, from its beginning to its end.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The namespace through which it heard the room.
    pub namespace: u8,
    /// When it was in the room, as a moment, and in milliseconds of the shard's clock.
    pub joined: (u64, u64),
    /// When it left; `None`: it is still there.
    pub left: Option<(u64, u64)>,
    /// The point in its organisation's events up to which nothing is its business.
    pub since: Mark,
    /// Which events it wanted; `None`: all.
    pub filter: Option<Box<Filter>>,
}

impl Trace {
    /// One that remembers so many moments, in the order of a clock.
    pub fn new(clock: Clock, entries: usize) -> Self {
        Self { clock, ring: Ring::new(entries, ENTRY_BYTES), turns: (0, 0) }
    }

    /// A turn begins.
    pub(crate) fn turn(&mut self) {
        self.turns = (self.turns.1, self.now());
    }

    /// A moment before which nothing waits that was taken in this turn or in the one before.
    pub(crate) fn before_this_turn(&self) -> u64 {
        self.turns.0.max(1)
    }

    /// The newest moment of all threads.
    pub(crate) fn now(&self) -> u64 {
        self.clock.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The next moment.
    pub(crate) fn moment(&self) -> u64 {
        self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    }

    /// Notes something.
    pub(crate) fn note(&mut self, at_ms: u64, key: ConnKey, room: Option<Room>, what: What) {
        if let What::Refused { code, .. } = what
            && self.counts_again(key, code)
        {
            return;
        }
        let names = match &what {
            What::Left(membership) => membership.filter.as_deref().map_or(0, filter_bytes),
            What::Closed { user, .. } | What::Resumed(user) => user.id().len(),
            _ => 0,
        };
        let bytes = size_of::<Note>() + room.as_ref().map_or(0, |room| room.name().len()) + names;
        let moment = self.moment();
        self.ring.push(Note { moment, at_ms, key, room, what }, bytes);
    }

    /// Whether a refusal is one more of the kind that was noted last: whoever is refused over and over must not
    /// drive out what is known of others.
    fn counts_again(&mut self, key: ConnKey, code: &str) -> bool {
        let last = self.ring.newest(|note| note.key == key && matches!(note.what, What::Refused { .. }));
        match last.map(|note| &mut note.what) {
            Some(What::Refused { code: known, count }) if *known == code => {
                *count = count.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Everything that is remembered, the oldest first.
    pub fn notes(&self) -> impl DoubleEndedIterator<Item = &Note> {
        self.ring.iter()
    }

    /// Whether something of a moment or of what came later was forgotten.
    pub fn has_forgotten(&self, moment: u64) -> bool {
        self.ring.has_forgotten() && self.ring.iter().next().is_none_or(|oldest| oldest.moment > moment)
    }
}

fn filter_bytes(filter: &Filter) -> usize {
    let names = filter.events.iter().flatten();
    names.map(|name| size_of::<CompactString>() + name.len()).sum::<usize>() + size_of::<Filter>()
}

/// What is known of one connection and one room.
#[derive(Debug, Clone)]
pub struct Story {
    /// The connection, with the index of its shard.
    pub at: (usize, ConnKey),
    /// When it came, as a moment.
    pub came: u64,
    /// Its subscriptions of the room, the oldest first.
    pub memberships: Vec<Membership>,
    /// What is noted of it and concerns the room or all of it.
    pub notes: Vec<Note>,
    /// The last recorded event that went out.
    pub flushed: u64,
    /// Messages that wait, or waited when it ended.
    pub waiting: usize,
    /// From this moment on something may wait; 0: nothing does.
    pub stuck: u64,
    /// Volatile events of the room dropped since it was last told: of which time, and how many.
    pub spared: Option<((u64, u64), u32)>,
    /// The offset behind which recorded events are held back now, by namespace.
    pub held_behind: Vec<(u8, Epoch, u64)>,
    /// Why it ended, if it did.
    pub closed: Option<Closed>,
    /// Something of it may be forgotten.
    pub is_incomplete: bool,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// When, as a moment, and in milliseconds of the shard's clock.
    pub at: (u64, u64),
    /// Why.
    pub reason: &'static str,
    /// Its session was kept for a while.
    pub is_parked: bool,
}

/// What became of an event for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was handed to the connection's socket.
    Sent,
    /// It was sent with what the client had missed.
    Replayed,
    /// It was held back from a client, slow or on a shard with a full mailbox, and followed.
    CaughtUp,
    /// It is held back from a slow client.
    HeldBack,
    /// It was handed out and may still wait behind so many messages.
    Waiting(usize),
    /// Some of the room's events of that time were dropped, the client being slow: so many.
    Spared(u32),
    /// It was not kept long enough for a slow client, which was told.
    Lost,
    /// The mailbox of its shard was full.
    Overrun,
    /// It was in the outbox when the connection ended; of a volatile one that is not certain.
    Unsent {
        /// It has not gone out whole.
        is_certain: bool,
    },
    /// The event's name is not among those it wants.
    FilteredByName,
    /// The event is less urgent than it wants.
    FilteredByLane,
    /// It may not see who comes and goes.
    FilteredForRights,
    /// It has published this itself and did not want it back.
    Own,
    /// It was not there any more.
    ClosedBefore,
    /// It had left the room.
    LeftBefore,
    /// It came to the room later.
    JoinedLater,
    /// It was never in the room, as far as is known.
    NotInRoom,
    /// The event waits for the pace of its room.
    NotReleased,
    /// What would tell is forgotten.
    Unknown,
}

impl Story {
    /// What became of an event for this connection, by subscription; without any that is one.
    pub fn fates(&self, noted: &Noted) -> Vec<Fate> {
        if noted.stage == Stage::Held {
            return vec![Fate::NotReleased];
        }
        if noted.skip == Some(self.at) {
            return vec![Fate::Own];
        }
        if noted.stage == Stage::Announced {
            let later = self.came > noted.moment;
            return vec![if later {
                Fate::JoinedLater
            } else {
                self.gone(noted).unwrap_or_else(|| self.outcome(noted))
            }];
        }
        let mut fates: Vec<Fate> = self.memberships.iter().map(|member| self.fate(member, noted)).collect();
        if fates.is_empty() {
            let not_there = if self.is_incomplete { Fate::Unknown } else { Fate::NotInRoom };
            fates.push(self.gone(noted).unwrap_or(not_there));
        }
        fates
    }

    fn fate(&self, member: &Membership, noted: &Noted) -> Fate {
        if let Some(filtered) = member.filter.as_deref().and_then(|filter| filtered(filter, noted)) {
            return filtered;
        }
        if self.was_replayed(member.namespace, noted) {
            return Fate::Replayed;
        }
        let is_its_business = match noted.sequence {
            0 => member.joined.0 < noted.moment,
            sequence => member.since.memory < sequence,
        };
        if !is_its_business {
            return Fate::JoinedLater;
        }
        if member.left.is_some_and(|(left, _)| left < noted.moment) {
            return self.gone(noted).unwrap_or(Fate::LeftBefore);
        }
        if let Some(held) = self.held(member, noted) {
            return held;
        }
        match noted.stage {
            Stage::Handed(handed) if handed.refused & (1 << self.at.0) != 0 => Fate::Overrun,
            _ => self.outcome(noted),
        }
    }

    fn gone(&self, noted: &Noted) -> Option<Fate> {
        self.closed.filter(|closed| closed.at.0 < noted.moment).map(|_| Fate::ClosedBefore)
    }

    fn was_replayed(&self, namespace: u8, noted: &Noted) -> bool {
        let Some(at) = noted.position else { return false };
        self.notes.iter().any(|note| match note.what {
            What::Replayed { namespace: through, epoch, range: (from, to) } => {
                through == namespace && epoch == at.epoch && (from..=to).contains(&at.offset)
            }
            _ => false,
        })
    }

    /// What became of a recorded event that a slow client was not sent at once.
    fn held(&self, member: &Membership, noted: &Noted) -> Option<Fate> {
        let at = noted.position?;
        let noted = self.notes.iter().find_map(|note| match note.what {
            What::HeldBack { epoch, range: (from, to) } if epoch == at.epoch => {
                (from..=to).contains(&at.offset).then_some(Fate::CaughtUp)
            }
            What::Lost(Some((from, to))) => (from..=to).contains(&at.offset).then_some(Fate::Lost),
            _ => None,
        });
        let behind = self.held_behind.iter().any(|(namespace, epoch, offset)| {
            *namespace == member.namespace && *epoch == at.epoch && at.offset > *offset
        });
        noted.or(behind.then_some(Fate::HeldBack))
    }

    /// What became of an event that was put into its outbox.
    fn outcome(&self, noted: &Noted) -> Fate {
        if noted.sequence == 0
            && let Some(count) = self.spared_at(noted.moment)
        {
            return Fate::Spared(count);
        }
        let has_gone_out = noted.sequence != 0 && noted.sequence <= self.flushed;
        let before_all_that_waits = match self.stuck {
            0 => self.waiting == 0,
            stuck => noted.moment < stuck,
        };
        match self.closed {
            _ if has_gone_out => self.unless_incomplete(Fate::Sent),
            Some(_) if noted.sequence != 0 => Fate::Unsent { is_certain: true },
            _ if before_all_that_waits => self.unless_incomplete(Fate::Sent),
            Some(_) => Fate::Unsent { is_certain: false },
            None => Fate::Waiting(self.waiting),
        }
    }

    fn spared_at(&self, moment: u64) -> Option<u32> {
        let noted = self.notes.iter().find_map(|note| match note.what {
            What::Spared { span: (from, to), count } => (from..=to).contains(&moment).then_some(count),
            _ => None,
        });
        noted
            .or(self.spared.filter(|((from, to), _)| (*from..=*to).contains(&moment)).map(|(_, count)| count))
    }

    fn unless_incomplete(&self, fate: Fate) -> Fate {
        if self.is_incomplete { Fate::Unknown } else { fate }
    }
}

fn filtered(filter: &Filter, noted: &Noted) -> Option<Fate> {
    if filter.blind && noted.event == crate::presence::EVENT {
        return Some(Fate::FilteredForRights);
    }
    if filter.events.as_ref().is_some_and(|names| !names.contains(&noted.event)) {
        return Some(Fate::FilteredByName);
    }
    filter.min_lane.is_some_and(|least| noted.lane < least).then_some(Fate::FilteredByLane)
}
