//! What comes next for a connection that is behind: from the memory of its rooms, and where that begins later
//! from pages of the log that are lent to it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::lag::{Lag, Lost, Mark};
use crate::hub::{Entry, Sequence};
use crate::lock;
use crate::publication::{Epoch, Mark as Point, Position, Publication};
use crate::room::Room;

/// Events of one page.
const PAGE: usize = 256;

/// What is sent next to a connection that catches up.
pub(super) struct Page {
    /// The events by the number of their mark, in the order of their organisation.
    pub(super) events: Vec<(usize, Arc<Publication>)>,
    /// Nothing is left after these.
    pub(super) whole: bool,
}

/// Why nothing can be sent now to a connection that catches up.
pub(super) enum Ahead {
    /// What comes next is in the log alone.
    InLog(InLog),
    /// What comes next is not kept any more.
    Lost(Lost),
}

/// The part of a durable room that a connection needs and that is in the log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLog {
    /// The room.
    pub room: Room,
    /// The namespace through which it is heard.
    pub namespace: u8,
    /// The generation of its history.
    pub epoch: Epoch,
    /// What follows this offset is needed.
    pub after: u64,
}

/// Events of the log that are held for one connection.
#[derive(Debug)]
pub(super) struct Lent {
    room: u32,
    namespace: u8,
    events: VecDeque<Arc<Publication>>,
}

impl Lent {
    pub(super) fn is_of(&self, room: u32, namespace: u8) -> bool {
        self.room == room && self.namespace == namespace
    }

    fn behind(&self, offset: u64) -> impl Iterator<Item = &Arc<Publication>> {
        self.events.iter().filter(move |event| offset_of(event) > offset)
    }
}

// What is lent.
impl Shard {
    /// Lends a connection what was read of the log for it, as much as its queue may hold: over all its rooms
    /// together, but at least one event of each.
    ///
    /// The events have to lie behind [`InLog::after`], in their order; where the first does not follow it, what is
    /// between is lost.
    pub fn lend(&mut self, slot: u32, wanted: &InLog, events: &[Arc<Publication>]) {
        self.set_reading(slot, false);
        let most = self.limits.bytes;
        let Some(&room) = self.rooms.get(&wanted.room) else { return };
        let lag = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut());
        // It may have left the room meanwhile, and come back elsewhere in it.
        let is_there = |mark: &Mark| {
            mark.room == room
                && mark.namespace == wanted.namespace
                && (mark.epoch, mark.offset) == (wanted.epoch, wanted.after)
        };
        let Some(lag) = lag.filter(|lag| lag.marks.iter().any(is_there)) else { return };
        let mut left = most / lag.marks.len();
        let mut first = true;
        let fits = |event: &&Arc<Publication>| {
            let fits = std::mem::take(&mut first) || event.bytes() <= left;
            left = left.saturating_sub(event.bytes());
            fits
        };
        let events = events.iter().take_while(fits).cloned().collect();
        lag.lent.retain(|lent| !lent.is_of(room, wanted.namespace));
        lag.lent.push(Lent { room, namespace: wanted.namespace, events });
    }

    /// Bytes of the log that are held for a connection.
    pub fn lent(&self, slot: u32) -> usize {
        let lag = self.conns.get(slot as usize).and_then(|conn| conn.lag.as_deref());
        let lent = lag.map_or(&[][..], |lag| &lag.lent);
        lent.iter().flat_map(|lent| &lent.events).map(|event| event.bytes()).sum()
    }

    pub(super) fn is_reading(&self, slot: u32) -> bool {
        let lag = self.conns.get(slot as usize).and_then(|conn| conn.lag.as_deref());
        lag.is_some_and(|lag| lag.reading)
    }

    pub(super) fn set_reading(&mut self, slot: u32, reading: bool) {
        if let Some(lag) = self.conns.get_mut(slot as usize).and_then(|conn| conn.lag.as_deref_mut()) {
            lag.reading = reading;
        }
    }
}

// What comes next.
impl Shard {
    /// Reads what comes next in all rooms of a paused connection.
    ///
    /// Nothing is read beyond the point its organisation has reached now: all before that is in the rooms'
    /// histories, and has been taken here or is on its way. Nor beyond what is known of one of its rooms: what
    /// comes there might stand before what others say.
    pub(super) fn page(&self, slot: u32) -> Result<Page, Ahead> {
        let Some(lag) = self.conns.get(slot as usize).and_then(|conn| conn.lag.as_deref()) else {
            return Ok(Page { events: Vec::new(), whole: true });
        };
        let mut horizons = Horizons::default();
        for mark in &lag.marks {
            horizons.read(&self.local[mark.room as usize].entry.sequence);
        }
        let (mut events, mut known_to) = (Vec::new(), None::<Place>);
        for (at, mark) in lag.marks.iter().enumerate() {
            let entry = &self.local[mark.room as usize].entry;
            let in_log = entry.spec.keep.is_durable();
            let Next { events: next, is_all } = next_of(entry, lag, mark)?;
            if let Some(last) = next.last().filter(|_| !is_all) {
                let last = Place::of(last, in_log);
                known_to = Some(known_to.map_or(last, |known| known.min(last)));
            }
            let horizon = horizons.read(&entry.sequence);
            let reached = next.into_iter().filter(|event| is_reached(event, horizon, in_log));
            events.extend(reached.map(|event| (Place::of(&event, in_log), at, event)));
        }
        events.sort_by_key(|(place, ..)| *place);
        if let Some(known) = known_to {
            events.truncate(events.partition_point(|(place, ..)| *place <= known));
        }
        let whole = known_to.is_none() && events.len() <= PAGE;
        events.truncate(PAGE);
        Ok(Page { events: events.into_iter().map(|(_, at, event)| (at, event)).collect(), whole })
    }
}

/// What comes next in one room.
struct Next {
    events: Vec<Arc<Publication>>,
    /// Nothing that is known comes behind these.
    is_all: bool,
}

/// What comes next in a room: from memory, or from what was lent.
fn next_of(entry: &Entry, lag: &Lag, mark: &Mark) -> Result<Next, Ahead> {
    let Some(recent) = entry.history() else { return Ok(Next { events: Vec::new(), is_all: true }) };
    let next = match recent.following(mark.epoch, mark.offset, PAGE) {
        Ok(events) => Next { is_all: events.len() < PAGE, events },
        Err(first) => {
            let here = Position { epoch: mark.epoch, offset: mark.offset, tag: 0 };
            let trimmed = recent.behind(here);
            drop(recent);
            next_in_log(entry, lag, mark, first, trimmed)?
        }
    };
    up_to_damage(entry, mark, next)
}

/// The same where memory begins at `first` only; `trimmed` is the highest offset that the log does not keep, if it
/// keeps anything before.
fn next_in_log(
    entry: &Entry,
    lag: &Lag,
    mark: &Mark,
    first: Position,
    trimmed: Option<u64>,
) -> Result<Next, Ahead> {
    let at = |offset: u64| Position { epoch: mark.epoch, offset, tag: 0 };
    let Some(trimmed) = trimmed else { return Err(Ahead::Lost(lost(entry, mark, first))) };
    if trimmed > mark.offset {
        return Err(Ahead::Lost(lost(entry, mark, at(trimmed + 1))));
    }
    let lent = lag.lent.iter().filter(|lent| lent.is_of(mark.room, mark.namespace));
    let events: Vec<_> = lent.flat_map(|lent| lent.behind(mark.offset)).cloned().collect();
    match events.first().map(|event| offset_of(event)) {
        Some(offset) if offset > mark.offset + 1 => Err(Ahead::Lost(lost(entry, mark, at(offset)))),
        Some(_) => Ok(Next { events, is_all: false }),
        None => Err(Ahead::InLog(InLog {
            room: entry.room.clone(),
            namespace: mark.namespace,
            epoch: mark.epoch,
            after: mark.offset,
        })),
    }
}

/// What stands before the first event that is damaged; where nothing does, that one is lost.
fn up_to_damage(entry: &Entry, mark: &Mark, mut next: Next) -> Result<Next, Ahead> {
    match next.events.iter().position(|event| event.is_damaged()) {
        None => Ok(next),
        Some(0) => {
            let behind = Position { epoch: mark.epoch, offset: mark.offset + 2, tag: 0 };
            Err(Ahead::Lost(Lost { is_damaged: true, ..lost(entry, mark, behind) }))
        }
        Some(at) => {
            next.events.truncate(at);
            Ok(Next { is_all: false, ..next })
        }
    }
}

/// What lies between where a connection is and the first event that is kept.
fn lost(entry: &Entry, mark: &Mark, first: Position) -> Lost {
    let same = first.epoch == mark.epoch;
    Lost {
        room: entry.room.clone(),
        namespace: mark.namespace,
        range: same.then(|| (mark.offset + 1, first.offset - 1)),
        resume_at: first.offset,
        is_damaged: false,
        epoch: first.epoch,
    }
}

fn offset_of(event: &Publication) -> u64 {
    event.position.map_or(0, |position| position.offset)
}

/// Where an event stands among those of its organisation: one that is in memory alone stands behind those of the
/// log that were delivered before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64, u64);

impl Place {
    fn of(event: &Publication, in_log: bool) -> Self {
        Self(event.durable, if in_log { 0 } else { event.sequence })
    }
}

fn is_reached(event: &Publication, horizon: Point, in_log: bool) -> bool {
    if in_log { event.durable <= horizon.durable } else { event.sequence <= horizon.memory }
}

/// The point each organisation has reached, read once for a page.
#[derive(Default)]
struct Horizons(Vec<(Arc<Sequence>, Point)>);

impl Horizons {
    fn read(&mut self, of: &Arc<Sequence>) -> Point {
        if let Some((_, horizon)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, of)) {
            return *horizon;
        }
        let horizon = lock(of).mark();
        self.0.push((of.clone(), horizon));
        horizon
    }
}
