//! From where a newcomer hears a room, and what it is told.

use std::sync::Arc;

use super::Node;
use crate::access::{Code, Refusal};
use crate::hub::Entry;
use crate::kinds::{Action, Asker};
use crate::publication::{Mark, Position, Publication};
use crate::recent::Read;
use crate::room::Roll;
use crate::shard::Shard;

/// From where a newcomer wants to hear a room.
#[derive(Debug, Clone, Copy)]
pub enum From {
    /// From now on.
    Now,
    /// After a position it knows.
    Position(Position),
    /// The newest so many events first.
    Newest(usize),
    /// After the moment at which a snapshot of the room was made; `None`: before its first event.
    ///
    /// The server names it, so nobody has to prove that it has heard what came before.
    Moment(Option<Position>),
    /// After a number of its organisation's recorded events (stock clients), but nothing from
    /// before it first subscribed.
    Sequence {
        /// How far it has heard.
        heard: Heard,
        /// The point at which it first subscribed, or up to which it is known to have heard since.
        since: Mark,
    },
}

/// How far a client has heard its organisation's recorded events.
#[derive(Debug, Clone, Copy)]
pub enum Heard {
    /// Up to here, by its own word.
    To(Mark),
    /// The same, and what came then up to this number in the log is at hand and will be sent first.
    Then(Mark, u64),
    /// Up to what has gone out to it in this process; nobody knows more.
    Flushed(u64),
}

/// What a newcomer is told and has to be sent.
#[derive(Debug)]
pub struct Joined {
    /// The room's newest position; `None` if it keeps nothing.
    pub top: Option<Position>,
    /// What it missed, oldest first; to be sent after the answer.
    pub missed: Vec<Arc<Publication>>,
    /// Whether nothing is missing between where it was and now; `None` if it did not ask.
    pub recovered: Option<bool>,
    /// What members are shown of each other; off too for one who may not see it.
    pub roll: Roll,
}

impl Node {
    /// What one who subscribes missed; who may not read the history has to name what it heard last.
    pub(super) fn read_from(&self, asker: &Asker<'_>, entry: &Entry, from: From) -> Option<Read> {
        match from {
            From::Position(since) if self.admit(*asker, &entry.room, Action::History).is_err() => {
                entry.history().map(|recent| recent.after_heard(since))
            }
            _ => read_from(entry, from),
        }
    }

    /// Answers a member that subscribes once more. Who asks for what came before, or is handed a snapshot, is sent what
    /// came then, also what it has had; it goes on hearing everything.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if what followed the snapshot is not in memory any more.
    pub(super) fn join_again(
        &self,
        shard: &mut Shard,
        slot: u32,
        namespace: u8,
        asker: &Asker<'_>,
        entry: &Entry,
        from: From,
    ) -> Result<Joined, Refusal> {
        let roll = self.visible_roll(asker, &entry.room, &entry.spec);
        let asks = matches!(from, From::Position(_) | From::Newest(_));
        let is_told = asks || matches!(from, From::Moment(_));
        let Some(read) = is_told.then(|| self.read_from(asker, entry, from)).flatten() else {
            let recovered = asks.then_some(false);
            return Ok(Joined { top: entry.top(), missed: Vec::new(), recovered, roll });
        };
        let held = shard.held_behind(slot, &entry.room, namespace);
        let read = match held.filter(|_| asks) {
            Some(held) => and_held(entry, read, held),
            None => read,
        };
        let last = read.top.offset;
        let (top, first) = match from {
            From::Moment(Some(_)) if !read.complete => return Err(moved_on()),
            // The snapshot shows what came before, also what is on its way.
            From::Moment(moment) => (moment.unwrap_or(Position::start(read.top.epoch)), Some(0)),
            _ => (read.top, read.events.first().and_then(|event| event.position).map(|first| first.offset)),
        };
        if let Some(first) = first {
            shard.go_back(slot, &entry.room, namespace, first, last);
        }
        Ok(Joined { top: Some(top), missed: read.events, recovered: asks.then_some(read.complete), roll })
    }
}

/// What is read for a member, and before it what is held back from it: that would come behind what is newer.
fn and_held(entry: &Entry, read: Read, held: Position) -> Read {
    let first = read.events.first().and_then(|event| event.position);
    if first.is_none_or(|first| first.offset <= held.offset + 1) {
        return read;
    }
    let wider = entry.history().and_then(|recent| recent.following(held.epoch, held.offset, usize::MAX).ok());
    match wider.filter(|wider| wider.last().and_then(|last| last.position) == Some(read.top)) {
        Some(events) => Read { events, ..read },
        // It is in the log, and comes from there.
        None => read,
    }
}

/// What came behind a snapshot is not in memory any more.
pub(super) fn moved_on() -> Refusal {
    Refusal::new(Code::Unavailable, "the room has moved on; ask again")
}

/// What a newcomer has missed; `None` if the room keeps nothing.
fn read_from(entry: &Entry, from: From) -> Option<Read> {
    Some(match from {
        From::Now => Read { top: entry.top()?, events: Vec::new(), complete: true },
        From::Position(position) => entry.history()?.after(position, usize::MAX),
        From::Newest(count) => entry.history()?.newest(count),
        From::Moment(None) => entry.history()?.newest(usize::MAX),
        From::Moment(Some(moment)) => {
            let recent = entry.history()?;
            let top = recent.top();
            // What the snapshot shows and is not delivered yet: it is not sent once it is.
            let is_ahead = moment.epoch == top.epoch && moment.offset > top.offset;
            if is_ahead {
                Read { top: moment, events: Vec::new(), complete: true }
            } else {
                recent.after(moment, usize::MAX)
            }
        }
        From::Sequence { heard, since } => after_mark(entry, heard, since)?,
    })
}

/// What came after a point; rooms in the log count by the log, which outlives the process.
fn after_mark(entry: &Entry, heard: Heard, since: Mark) -> Option<Read> {
    let recent = entry.history()?;
    Some(match heard {
        Heard::To(heard) if entry.spec.keep.is_durable() => recent.after_durable(heard.max(since).durable),
        Heard::Then(_, until) if entry.spec.keep.is_durable() => recent.after_durable(until),
        Heard::To(heard) | Heard::Then(heard, _) => recent.after_sequence(heard.max(since).memory),
        // Whoever got something live has got all that was replayed before it.
        Heard::Flushed(flushed) if flushed > since.memory => {
            let read = recent.after_sequence(flushed);
            // What was read from the log since, into a room that was forgotten meanwhile, has no such number.
            Read { complete: read.complete && recent.read_to() <= since.durable, ..read }
        }
        Heard::Flushed(_) if entry.spec.keep.is_durable() => recent.after_durable(since.durable),
        Heard::Flushed(_) => recent.after_sequence(since.memory),
    })
}
