//! Rooms in memory that outlive their process: one that stops in order hands them on, and the next goes on with them
//! (decision 0104).

use std::hash::BuildHasher;
use std::sync::atomic::Ordering;

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::{Node, Publish};
use crate::access::{Code, Refusal};
use crate::lock;
use crate::publication::Payload;
use crate::recent::{Contents, Recent};
use crate::room::{Keep, Org, Room};

/// What a process has in memory alone, for the one that comes after it.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Whose numbers the events have: this process's, and of those before it whose numbers it went on with; the
    /// newest first.
    pub processes: Vec<u64>,
    /// How many recorded events there were in each organisation.
    pub counted: Vec<(Org, u64)>,
    /// Rooms in which something was said.
    pub rooms: Vec<(Room, Contents)>,
    /// By what the bodies of keyed publishes are told apart.
    pub bodies: Bodies,
}

/// By what the bodies of keyed publishes are told apart: a secret number, and what came of it for a body that everybody
/// knows, by which another version sees whether it counts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bodies {
    /// The number.
    pub seed: u64,
    /// What came of it.
    pub proof: u64,
}

impl Bodies {
    pub(super) fn new(seed: u64) -> Self {
        let known = Payload::json("[\"known\",1]");
        Self { seed, proof: hash(seed, "known", &known, Some(&[7; 32])) }
    }

    /// A hash of what a key stands for: what it says, whoever wrote it.
    pub(super) fn of(self, what: &Publish<'_>) -> u64 {
        match what.payload.meant() {
            None => self.written(what),
            Some(meant) => hash(self.seed, what.event, &meant, what.batch),
        }
    }

    /// The same as it was written: processes before this one kept that.
    pub(super) fn written(self, what: &Publish<'_>) -> u64 {
        hash(self.seed, what.event, &what.payload, what.batch)
    }
}

fn hash(seed: u64, event: &str, payload: &Payload, batch: Option<&[u8; 32]>) -> u64 {
    FixedState::with_seed(seed).hash_one((event, payload, batch))
}

/// Whose numbers count in this process besides its own, and which rooms came with them.
#[derive(Debug)]
pub(super) struct Before {
    processes: Vec<u64>,
    rooms: HashSet<Room>,
}

/// Processes whose numbers are known at most: a client that was away for so many starts begins afresh.
const PROCESSES: usize = 16;

impl Node {
    /// Records nothing in memory any more, and answers what the next process can go on with: of the rooms so many
    /// that they take no more than `most` bytes together, and how many these leave out.
    ///
    /// Whoever publishes to such a room from now on is refused and comes to the next process.
    pub fn hand_on(&self, most: usize, now_ms: u64) -> (Carried, usize) {
        self.closed.store(true, Ordering::SeqCst);
        // Who has the lock of an organisation has seen the word, or is waited for here.
        let counted = self.hub.counted();
        let mut rooms: Vec<_> = self
            .hub
            .entries()
            .iter()
            .filter_map(|entry| {
                let Keep::Recent { .. } = entry.spec.keep else { return None };
                let contents = entry.known_history()?.contents(now_ms);
                (contents.top.offset > 0).then(|| (entry.room.clone(), contents))
            })
            .collect();
        // So most rooms find place; among those of one size the newest.
        rooms.sort_by_cached_key(|(_, contents)| (contents.bytes(), u64::MAX - contents.newest_at_ms));
        let mut taken = 0;
        let fits = |(_, contents): &&(Room, Contents)| {
            taken += contents.bytes();
            taken <= most
        };
        let fit = rooms.iter().take_while(fits).count();
        let left_out = rooms.len() - fit;
        rooms.truncate(fit);
        let mut processes = vec![self.id];
        processes.extend(self.before.get().into_iter().flat_map(|before| &before.processes));
        processes.truncate(PROCESSES);
        (Carried { processes, counted, rooms, bodies: self.bodies() }, left_out)
    }

    /// Goes on with what the process before has handed on, before anybody is let in; how many rooms that are.
    ///
    /// A room whose kind keeps nothing in memory any more stays away.
    pub fn go_on_with(&self, carried: Carried, now_ms: u64) -> usize {
        let Carried { processes, counted, rooms, bodies } = carried;
        for (org, count) in counted {
            let numbers = self.hub.sequence(&org);
            let mut numbers = lock(&numbers);
            numbers.memory = numbers.memory.max(count);
        }
        let same = Bodies::new(bodies.seed) == bodies && self.bodies.set(bodies).is_ok();
        let mut here = HashSet::with_capacity(rooms.len());
        for (room, mut contents) in rooms {
            let Ok(spec) = self.spec(&room) else { continue };
            let Keep::Recent { size, ttl, bytes } = spec.keep else { continue };
            let Ok(entry) = self.hub.entry(&room, &spec, || contents.top.epoch) else { continue };
            if !same {
                // What they stood for cannot be told any more.
                contents.keys.clear();
            }
            entry.install(Recent::of(contents, size, ttl, bytes, now_ms));
            here.insert(room);
        }
        let count = here.len();
        // Nobody goes on with two.
        let _ = self.before.set(Before { processes, rooms: here });
        count
    }

    /// Whether the numbers that a process gave recorded events are those of this one.
    pub fn counts_as(&self, process: u64) -> bool {
        process == self.id || self.before.get().is_some_and(|before| before.processes.contains(&process))
    }

    /// Whether what was said in a room while that process ran is in this one's memory.
    pub fn has_carried(&self, process: u64, room: &Room) -> bool {
        let before = self.before.get().filter(|before| before.processes.contains(&process));
        before.is_some_and(|before| before.rooms.contains(room))
    }

    /// By what the bodies of keyed publishes are told apart.
    pub(super) fn bodies(&self) -> Bodies {
        *self.bodies.get_or_init(|| Bodies::new(self.hasher.hash_one("bodies")))
    }

    /// Refuses what would still be recorded in memory after that was handed on.
    ///
    /// # Errors
    /// [`Code::Unavailable`]: the server stops.
    pub(super) fn refuse_late(&self) -> Result<(), Refusal> {
        match self.closed.load(Ordering::SeqCst) {
            false => Ok(()),
            true => {
                let refusal = Refusal::new(Code::Unavailable, "the server stops");
                Err(Refusal { retry_after_ms: Some(1_000), ..refusal })
            }
        }
    }
}
