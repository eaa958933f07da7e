//! Rooms whose events are paced: what waits, and how it comes through.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use compact_str::CompactString;
use hashbrown::HashMap;

use super::{KeyRecord, Node, Publish, Published, full};
use crate::access::{Code, Refusal};
use crate::lane::Lane;
use crate::lock;
use crate::pace::{Out, Pace, Pacing, Topic};
use crate::publication::{MessageId, Payload};
use crate::room::{Keep, Room, RoomSpec};
use crate::shard::{ConnKey, Shard};

/// The valves of all rooms, in parts so that publishers seldom meet.
///
/// A part stays locked while what comes through is published: so nothing overtakes it. The locks of an
/// organisation and of a history are taken behind it, never before.
pub(super) struct Valves {
    parts: Box<[Mutex<Part>]>,
    /// When something is due next, as far as whoever releases it knows.
    next_ms: AtomicU64,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Nothing waits any more.
    lifted: AtomicBool,
    held: AtomicU64,
    replaced: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

/// What pacing has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceCounts {
    /// Events that had to wait.
    pub held: u64,
    /// Of those, the ones that a newer one took the place of.
    pub replaced: u64,
    /// Events that were refused because too much waited.
    pub refused: u64,
    /// Events that had waited and could not be published then: their kind or their room is gone.
    pub lost: u64,
}

const PARTS: usize = 64;

/// Valves of one part; beyond that a room that is paced anew has to wait.
const VALVES: usize = 2_000;

#[derive(Default)]
struct Part {
    valves: HashMap<Room, Valve>,
    /// The rooms by when something is due, and by the order in which they came.
    due: BTreeMap<(u64, u64), Room>,
    number: u64,
}

struct Valve {
    pacing: Pacing,
    pace: Pace<Held>,
    /// Where it stands among what is due.
    at: Option<(u64, u64)>,
}

/// An event that waits.
struct Held {
    id: MessageId,
    event: CompactString,
    payload: Payload,
    lane: Option<Lane>,
    volatile: bool,
    key: Option<CompactString>,
    batch: Option<Box<[u8; 32]>>,
    skip: Option<(usize, ConnKey)>,
    slot: Option<CompactString>,
}

impl Default for Valves {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            next_ms: AtomicU64::new(u64::MAX),
            wake: OnceLock::new(),
            lifted: AtomicBool::new(false),
            held: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }
}

impl Valves {
    fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sees to it that somebody comes back in time.
    fn note_due(&self, due_ms: Option<u64>) {
        if let (Some(due), Some(wake)) = (due_ms, self.wake.get())
            && self.next_ms.fetch_min(due, Ordering::AcqRel) > due
        {
            wake();
        }
    }
}

impl Part {
    /// The room's valve; `None` if it would be one too many.
    fn valve(&mut self, room: &Room, pacing: Pacing) -> Option<&mut Valve> {
        if self.valves.len() >= VALVES && !self.valves.contains_key(room) {
            return None;
        }
        let new = || Valve { pacing, pace: Pace::new(pacing), at: None };
        Some(self.valves.entry(room.clone()).or_insert_with(new))
    }

    /// Puts a room where it belongs among what is due, or forgets a valve that holds nothing.
    fn sort(&mut self, room: &Room) -> Option<u64> {
        let valve = self.valves.get_mut(room)?;
        if let Some(at) = valve.at.take() {
            self.due.remove(&at);
        }
        let Some(due) = valve.pace.due_ms() else {
            self.valves.remove(room);
            return None;
        };
        self.number += 1;
        valve.at = Some((due, self.number));
        self.due.insert((due, self.number), room.clone());
        Some(due)
    }

    /// The rooms for which something is due, the earliest first.
    fn due_rooms(&self, now_ms: u64) -> Vec<Room> {
        let is_due = |room: &&Room| self.valves.get(*room).is_some_and(|valve| valve.pace.is_due(now_ms));
        self.due.values().take_while(is_due).cloned().collect()
    }
}

impl Held {
    fn of(what: &Publish<'_>, id: MessageId) -> Self {
        Self {
            id,
            event: what.event.into(),
            payload: what.payload.clone(),
            lane: what.lane,
            volatile: what.volatile,
            key: what.key.map(Into::into),
            batch: what.batch.map(|batch| Box::new(*batch)),
            skip: what.skip,
            slot: what.slot.map(Into::into),
        }
    }

    fn what(&self, room: &Room) -> Publish<'_> {
        Publish {
            room: room.clone(),
            event: &self.event,
            payload: self.payload.clone(),
            lane: self.lane,
            volatile: self.volatile,
            key: self.key.as_deref(),
            batch: self.batch.as_deref(),
            skip: self.skip,
            slot: self.slot.as_deref(),
            // What is paced may be replaced, and is not tracked.
            ack: None,
        }
    }
}

impl Node {
    /// Says whom to call when something is due earlier than [`Node::release`] has said; once.
    pub fn on_held(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Whoever came first stays.
        let _ = self.valves.wake.set(Box::new(wake));
    }

    /// What pacing has done since the start.
    pub fn pace_counts(&self) -> PaceCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Valves { held, replaced, refused, lost, .. } = &self.valves;
        PaceCounts { held: read(held), replaced: read(replaced), refused: read(refused), lost: read(lost) }
    }

    /// Publishes what has waited long enough; when something is due next.
    pub fn release(&self, now_ms: u64) -> Option<u64> {
        // What is held from here on is told by a call, or seen below.
        self.valves.next_ms.store(u64::MAX, Ordering::Release);
        let next = self.valves.parts.iter().filter_map(|part| {
            let mut part = lock(part);
            // Each once: a room that is due still is for the next call.
            for room in part.due_rooms(now_ms) {
                self.release_room(&mut part, &room, None, now_ms);
                part.sort(&room);
            }
            part.due.first_key_value().map(|((due, _), _)| *due)
        });
        let next = next.min();
        self.valves.next_ms.fetch_min(next.unwrap_or(u64::MAX), Ordering::AcqRel);
        next
    }

    /// Ends all waiting, for good: what is held is published now, and what comes from here on at once. A server that
    /// leaves has nobody to release it later.
    pub fn lift_paces(&self, now_ms: u64) {
        self.valves.lifted.store(true, Ordering::Release);
        for part in &self.valves.parts {
            let mut part = lock(part);
            let rooms: Vec<Room> = part.valves.keys().cloned().collect();
            rooms.iter().for_each(|room| self.lift_room(&mut part, room, now_ms));
        }
    }

    /// Publishes all that a room's valve holds, and takes it away.
    fn lift_room(&self, part: &mut Part, room: &Room, now_ms: u64) {
        let Some(mut valve) = part.valves.remove(room) else { return };
        if let Some(at) = valve.at {
            part.due.remove(&at);
        }
        let _ = self.publish_all(room, valve.pace.take_due(u64::MAX), None, now_ms);
    }

    /// Publishes through the room's valve.
    ///
    /// # Errors
    /// As [`Node::publish`]; [`Code::RateLimited`] if too much waits in this room.
    pub(super) fn publish_paced(
        &self,
        pacing: Pacing,
        spec: &Arc<RoomSpec>,
        what: Publish<'_>,
        mut here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        let mut part = lock(self.part_of(&what.room));
        if let Some(known) = self.known_key(spec, &what, now_ms)? {
            return Ok(known);
        }
        if self.valves.lifted.load(Ordering::Acquire) {
            self.lift_room(&mut part, &what.room, now_ms);
            // By the mailbox of the own shard as well: what was held may stand there.
            return self.publish_now(spec, what, None, None, now_ms);
        }
        let Some(valve) = part.valve(&what.room, pacing) else { return Err(self.too_much_waits(pacing)) };
        if valve.pacing != pacing {
            // The configuration has changed: what waited does so no longer.
            let waited = valve.pace.take_due(u64::MAX);
            (valve.pacing, valve.pace) = (pacing, Pace::new(pacing));
            let _ = self.publish_all(&what.room, waited, here.as_deref_mut(), now_ms);
        }
        self.release_room(&mut part, &what.room, here.as_deref_mut(), now_ms);
        let published = self.offer(&mut part, spec, &what, here, now_ms);
        self.valves.note_due(part.sort(&what.room));
        published
    }

    /// Offers an event to its room's valve, and publishes what comes through.
    fn offer(
        &self,
        part: &mut Part,
        spec: &Arc<RoomSpec>,
        what: &Publish<'_>,
        here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        let Some(valve) = part.valves.get_mut(&what.room) else { return Err(Refusal::no_such_room()) };
        let (id, topic) = (self.message_id(), Topic { event: what.event, slot: what.slot });
        let bytes =
            what.payload.json.len() + what.payload.attachments.iter().map(bytes::Bytes::len).sum::<usize>();
        match valve.pace.offer(now_ms, topic, bytes + what.event.len(), Held::of(what, id)) {
            Out::Pass(_) => return self.publish_now(spec, what.clone(), None, here, now_ms),
            Out::Full(_) => return Err(self.too_much_waits(valve.pacing)),
            Out::Held => self.remember_held(spec, what, id, now_ms),
            Out::Replaced(_) => {
                self.valves.count(&self.valves.replaced);
                self.remember_held(spec, what, id, now_ms);
            }
            Out::Ready(all) => {
                self.remember_held(spec, what, id, now_ms);
                let last = self.publish_all(&what.room, all, here, now_ms);
                return last.unwrap_or(Ok(Published::now(id, None)));
            }
        }
        self.valves.count(&self.valves.held);
        self.note_held(spec, what, id, now_ms);
        Ok(Published { held: true, ..Published::now(id, None) })
    }

    /// Publishes what is due in a room.
    fn release_room(&self, part: &mut Part, room: &Room, here: Option<&mut Shard>, now_ms: u64) {
        let Some(valve) = part.valves.get_mut(room) else { return };
        let due = valve.pace.take_due(now_ms);
        let _ = self.publish_all(room, due, here, now_ms);
    }

    /// Publishes events that have waited; what became of the last.
    fn publish_all(
        &self,
        room: &Room,
        events: Vec<Held>,
        mut here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Option<Result<Published, Refusal>> {
        let mut last = None;
        for held in events {
            let published = self.spec(room).and_then(|spec| {
                self.publish_now(&spec, held.what(room), Some(held.id), here.as_deref_mut(), now_ms)
            });
            if published.is_err() {
                self.valves.count(&self.valves.lost);
            }
            last = Some(published);
        }
        last
    }

    /// What became of the first publish with the same key, if the room knows it.
    fn known_key(
        &self,
        spec: &Arc<RoomSpec>,
        what: &Publish<'_>,
        now_ms: u64,
    ) -> Result<Option<Published>, Refusal> {
        let keeps = matches!(spec.keep, Keep::Recent { .. }) && !what.volatile;
        let Some(_) = what.key.filter(|_| keeps) else { return Ok(None) };
        let entry = self.hub.entry(&what.room, spec, || self.epoch()).map_err(full)?;
        let Some(mut recent) = entry.history() else { return Ok(None) };
        recent.expire(now_ms);
        self.known(&recent, what, Some(self.bodies().of(what)))
    }

    /// Remembers the key of an event that waits: a repeat is no second event.
    fn remember_held(&self, spec: &Arc<RoomSpec>, what: &Publish<'_>, id: MessageId, now_ms: u64) {
        let keeps = matches!(spec.keep, Keep::Recent { .. }) && !what.volatile;
        let Some(key) = what.key.filter(|_| keeps) else { return };
        let Ok(entry) = self.hub.entry(&what.room, spec, || self.epoch()) else { return };
        if let Some(mut recent) = entry.history() {
            let record = KeyRecord { body: self.bodies().of(what), id, position: None, at_ms: now_ms };
            recent.remember(key, record);
        }
    }

    fn too_much_waits(&self, pacing: Pacing) -> Refusal {
        self.valves.count(&self.valves.refused);
        let (Pacing::Throttle { interval_ms: wait_ms, .. } | Pacing::Batch { wait_ms, .. }) = pacing;
        let refusal = Refusal::new(Code::RateLimited, "more waits for the pace of this room than may");
        Refusal { retry_after_ms: Some(u32::try_from(wait_ms).unwrap_or(u32::MAX)), ..refusal }
    }

    fn part_of(&self, room: &Room) -> &Mutex<Part> {
        use std::hash::BuildHasher;
        &self.valves.parts[self.hasher.hash_one(room) as usize % PARTS]
    }
}
