//! What happened in the last minutes, kept so that it can be explained.
//!
//! A publication is noted once, whoever hears it, and a connection's rare moments (it left, was spared
//! something, was caught up, ended) on its own shard. Nothing is noted per delivery: what became of an event for
//! one client follows from the two. Data of events is never noted.

mod ring;
mod trace;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use compact_str::CompactString;
use hashbrown::HashMap;

use crate::hub::Handed;
use crate::lane::Lane;
use crate::lock;
use crate::publication::{MessageId, Position, Publication};
use crate::room::Room;
use crate::shard::ConnKey;

use ring::Ring;
pub use trace::{Closed, Fate, Membership, Note, Story, Trace, What};

/// The publications of the last minutes, bounded in number and in bytes.
pub struct Recorder {
    parts: Box<[Mutex<Ring<Noted>>]>,
    clock: Clock,
}

/// The order of what is noted, over all threads: 1, 2, 3 and so on.
pub type Clock = std::sync::Arc<AtomicU64>;

/// The ring is cut in so many parts, so that publishers seldom meet at one lock.
const PARTS: usize = 16;

/// What an entry may take on average, names included; a ring of long names holds fewer.
pub const ENTRY_BYTES: usize = 256;

/// A publication as it is remembered.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Its id.
    pub id: MessageId,
    /// The room; of what was said to everybody the organisation's.
    pub room: Room,
    /// The event's name.
    pub event: CompactString,
    /// Its place among all that was noted.
    pub moment: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: u64,
    /// How urgent it was.
    pub lane: Lane,
    /// Who must not get it.
    pub skip: Option<(usize, ConnKey)>,
    /// Its place in the room's history; `None`: volatile.
    pub position: Option<Position>,
    /// Its number among its organisation's recorded events; 0: volatile.
    pub sequence: u64,
    /// It is in the log.
    pub is_stored: bool,
    /// How far it came.
    pub stage: Stage,
    /// How often its key was used again for it.
    pub duplicates: u32,
}

/// How far a publication came on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for the pace of its room, or a newer one has taken its place.
    Held,
    /// It was handed to shards, each a bit.
    Handed(Handed),
    /// It was handed to every shard, for everybody.
    Announced,
}

impl Recorder {
    /// One that remembers so many publications.
    pub fn new(entries: usize) -> Self {
        let part = || Mutex::new(Ring::new(entries.div_ceil(PARTS), ENTRY_BYTES));
        Self { parts: (0..PARTS).map(|_| part()).collect(), clock: Clock::default() }
    }

    /// The order in which everything is noted, for the shards.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The next moment.
    pub(crate) fn moment(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes what became of a publication; of one that was noted as held this is the rest.
    pub(crate) fn note(&self, publication: &Publication, stage: Stage, is_stored: bool, moment: u64) {
        let noted = Noted {
            id: publication.id,
            room: publication.room.clone(),
            event: publication.event.clone(),
            moment,
            at_ms: publication.at_ms,
            lane: publication.lane,
            skip: publication.skip,
            position: publication.position,
            sequence: publication.sequence,
            is_stored,
            stage,
            duplicates: 0,
        };
        self.keep(noted);
    }

    pub(crate) fn keep(&self, noted: Noted) {
        let bytes = size_of::<Noted>() + noted.room.name().len() + noted.event.len();
        lock(self.part(noted.id)).push(noted, bytes);
    }

    /// Counts that a message's key was used again.
    pub(crate) fn repeat(&self, id: MessageId) {
        if let Some(noted) = lock(self.part(id)).newest(|noted| noted.id == id) {
            noted.duplicates = noted.duplicates.saturating_add(1);
        }
    }

    /// What is remembered of a message; `None`: nothing, or nothing any more.
    pub fn find(&self, id: MessageId) -> Option<Noted> {
        lock(self.part(id)).newest(|noted| noted.id == id).cloned()
    }

    /// How many publications each of some rooms had of late, and since when that is known, in milliseconds
    /// since 1970: not before `since_ms`, and not before what had to make room.
    pub fn counts(&self, rooms: &[Room], since_ms: u64) -> (Vec<u64>, u64) {
        let known_since = |part: &Mutex<Ring<Noted>>| {
            let part = lock(part);
            let oldest = part.iter().next().filter(|_| part.has_forgotten());
            oldest.map_or(since_ms, |noted| noted.at_ms)
        };
        let since_ms = self.parts.iter().map(known_since).max().map_or(since_ms, |known| known.max(since_ms));
        let places: HashMap<&Room, usize> = rooms.iter().zip(0..).collect();
        let mut counts = vec![0; rooms.len()];
        for part in &self.parts {
            let part = lock(part);
            for noted in part.iter().rev().take_while(|noted| noted.at_ms >= since_ms) {
                // One that waits for the pace of its room is noted again when it leaves.
                if noted.stage != Stage::Held
                    && let Some(place) = places.get(&noted.room)
                {
                    counts[*place] += 1;
                }
            }
        }
        (counts, since_ms)
    }

    /// The rooms with the most publications of late, the busiest first, and since when that is known, as
    /// [`Recorder::counts`] says it. Rooms are as many as there are entries at most.
    pub fn busiest(
        &self,
        since_ms: u64,
        most: usize,
        wanted: impl Fn(&Room) -> bool,
    ) -> (Vec<(Room, u64)>, u64) {
        let (_, since_ms) = self.counts(&[], since_ms);
        let mut rooms: HashMap<Room, u64> = HashMap::new();
        for part in &self.parts {
            let part = lock(part);
            for noted in part.iter().rev().take_while(|noted| noted.at_ms >= since_ms) {
                if noted.stage != Stage::Held && wanted(&noted.room) {
                    *rooms.entry_ref(&noted.room).or_insert(0) += 1;
                }
            }
        }
        let mut rooms: Vec<(Room, u64)> = rooms.into_iter().collect();
        rooms.sort_unstable_by(|one, other| {
            let name = |room: &Room| (room.org().as_str().to_owned(), room.name().to_owned());
            other.1.cmp(&one.1).then_with(|| name(&one.0).cmp(&name(&other.0)))
        });
        rooms.truncate(most);
        (rooms, since_ms)
    }

    fn part(&self, id: MessageId) -> &Mutex<Ring<Noted>> {
        &self.parts[id.number as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::Payload;
    use crate::room::Org;

    fn publication(number: u64) -> Publication {
        let room = Room::new(&Org::new("acme"), "open:1", 128).unwrap();
        Publication::new(room, "e", Payload::json("1"), MessageId { node: 7, number }, number)
    }

    #[test]
    fn an_entry_leaves_room_for_its_names_in_what_it_may_take() {
        assert!(size_of::<Noted>() <= ENTRY_BYTES - 64, "{}", size_of::<Noted>());
        assert!(size_of::<Note>() <= ENTRY_BYTES - 64, "{}", size_of::<Note>());
    }

    #[test]
    fn the_oldest_publications_are_forgotten_first() {
        let recorder = Recorder::new(PARTS * 4);
        for number in 0..PARTS as u64 * 6 {
            recorder.note(&publication(number), Stage::Announced, false, recorder.moment());
        }
        let known = |number: u64| recorder.find(MessageId { node: 7, number }).is_some();
        assert!(!known(0) && !known(PARTS as u64 * 2 - 1));
        assert!(known(PARTS as u64 * 2) && known(PARTS as u64 * 6 - 1));
    }

    #[test]
    fn the_busiest_rooms_are_found_among_those_one_may_see() {
        let recorder = Recorder::new(PARTS * 8);
        let mut number = 0;
        for (org, name, times) in [("acme", "open:1", 2), ("acme", "open:2", 5), ("other", "open:1", 9)] {
            for _ in 0..times {
                number += 1;
                let room = Room::new(&Org::new(org), name, 128).unwrap();
                let publication = Publication { room, at_ms: 100, ..publication(number) };
                recorder.note(&publication, Stage::Announced, false, recorder.moment());
            }
        }
        let of = |org: &'static str, most: usize, since_ms: u64| {
            let (rooms, since_ms) = recorder.busiest(since_ms, most, |room| room.org().as_str() == org);
            let rooms: Vec<_> = rooms.iter().map(|(room, count)| (room.name().to_owned(), *count)).collect();
            (rooms, since_ms)
        };
        assert_eq!(of("acme", 9, 50), (vec![("open:2".into(), 5), ("open:1".into(), 2)], 50));
        assert_eq!(of("acme", 1, 50).0, [("open:2".into(), 5)]);
        assert_eq!(of("other", 9, 50).0, [("open:1".into(), 9)]);
        assert!(of("other", 9, 101).0.is_empty() && of("nobody", 9, 0).0.is_empty());
    }

    #[test]
    fn publications_of_a_room_are_counted_from_when_on_all_are_known() {
        let recorder = Recorder::new(PARTS * 4);
        let (room, other) = (publication(0).room, Room::new(&Org::new("other"), "open:1", 128).unwrap());
        for number in 0..PARTS as u64 {
            recorder.note(&publication(number), Stage::Announced, false, recorder.moment());
        }
        recorder.note(&publication(20), Stage::Held, false, recorder.moment());
        let rooms = [other, room];
        assert_eq!(recorder.counts(&rooms, 0), (vec![0, PARTS as u64], 0));
        assert_eq!(recorder.counts(&rooms, 10), (vec![0, PARTS as u64 - 10], 10));
        for number in 100..100 + PARTS as u64 * 4 {
            recorder.note(&publication(number), Stage::Announced, false, recorder.moment());
        }
        // Everything before has made room.
        let (counts, since) = recorder.counts(&rooms, 0);
        assert!(since >= 100 && counts[1] < PARTS as u64 * 4 && counts[1] > 0, "{counts:?} since {since}");
    }

    #[test]
    fn another_process_message_of_the_same_number_is_unknown() {
        let recorder = Recorder::new(100);
        recorder.note(&publication(3), Stage::Announced, false, recorder.moment());
        assert!(recorder.find(MessageId { node: 7, number: 3 }).is_some());
        assert!(recorder.find(MessageId { node: 8, number: 3 }).is_none());
    }
}
