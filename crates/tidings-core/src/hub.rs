//! Which shard has members of which room.

mod page;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use hashbrown::HashMap;

use crate::limits::{Occupancy, Place};
use crate::lock;
use crate::pace::Diffs;
use crate::publication::{Epoch, Mark, Position, Publication};
use crate::recent::Recent;
use crate::room::{Keep, Org, Room, RoomSpec};
use crate::shard::ConnKey;

/// One shard's mailbox.
pub trait Post: Send + Sync {
    /// Hands a publication over; must not block. `false`: the mailbox is full and it does not come. Then the shard looks
    /// back when it has taken what is there ([`Shard::look_back`](crate::shard::Shard::look_back)).
    fn deliver(&self, publication: Arc<Publication>) -> bool;

    /// Hands over a publication for everybody of its room's organisation, in a room or not; must not block. `false`: the
    /// mailbox is full, and who is there does not hear it.
    fn announce(&self, publication: Arc<Publication>, audience: Audience) -> bool;
}

/// To whom a publication was handed over, each shard a bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handed {
    /// The shards that have members.
    pub shards: u64,
    /// Of those, the ones whose mailbox was full.
    pub refused: u64,
}

/// Which connections of an organisation are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// All of them, in every namespace they are in.
    Everybody,
    /// These, in this namespace.
    These(u8, Box<[ConnKey]>),
}

/// The handle to all shards: who has members of which room.
pub struct Hub {
    posts: Box<[Box<dyn Post>]>,
    rooms: Box<[RwLock<Rooms>]>,
    hasher: foldhash::fast::RandomState,
    sequences: Mutex<HashMap<Org, Arc<Sequence>>>,
    /// How many rooms each organisation has, and how many it may have.
    counts: Mutex<HashMap<Org, Arc<Occupancy>>>,
    rooms_per_org: usize,
    /// Publications a full mailbox refused.
    pub refused: AtomicU64,
}

type Rooms = HashMap<Room, Arc<Entry>, foldhash::fast::RandomState>;

/// The directory is cut in so many parts, so that publishers seldom meet at one lock.
const PARTS: usize = 64;

/// The most shards there can be: an entry names them in one word.
pub const SHARDS: usize = 64;

/// The recorded events of an organisation are numbered in one row, under this lock.
///
/// The lock is held over append and hand-over, so every shard sees them in that order.
pub type Sequence = Mutex<Numbers>;

/// How far the recorded events of an organisation were delivered here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    /// How many since the process started.
    pub memory: u64,
    /// The number in the log of the newest; `None` before anything of the organisation's log was read.
    pub durable: Option<u64>,
}

impl Numbers {
    /// The point.
    pub fn mark(&self) -> Mark {
        Mark { memory: self.memory, durable: self.durable.unwrap_or(0) }
    }

    /// The point of the next event; `durable` is its number if it is in the log.
    pub(crate) fn count(&mut self, durable: Option<u64>) -> Mark {
        self.memory += 1;
        self.durable = self.durable.max(durable);
        Mark { memory: self.memory, durable: durable.unwrap_or(self.mark().durable) }
    }
}

/// A room that has members or a history on this node.
pub struct Entry {
    /// The room.
    pub room: Room,
    /// Its policy.
    pub spec: Arc<RoomSpec>,
    /// A bit for each shard that has members.
    shards: AtomicU64,
    /// How many subscriptions it has on this node.
    members: AtomicUsize,
    /// The epoch its history begins with.
    epoch: Epoch,
    /// Its history, made when it is first needed: most personal rooms never hear an event.
    recent: OnceLock<Box<Mutex<Recent>>>,
    /// The numbering of its organisation.
    pub sequence: Arc<Sequence>,
    /// What was last said in it, where only changes are; locked while it is handed over.
    said: Mutex<Option<Box<Diffs>>>,
    /// Somebody may lack what was said before.
    wants_whole: AtomicBool,
    /// Its place among the organisation's rooms.
    _place: Place,
}

/// Why a room cannot be entered or made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The room has as many members as it may have.
    #[error("the room is full")]
    Room,
    /// The organisation has as many rooms as it may have.
    #[error("the organisation has too many rooms")]
    Organisation,
    /// Its history is in the log and has to be read first.
    #[error("the room has to be read first")]
    Unread,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?}, {} members)", self.room, self.members())
    }
}

impl Entry {
    /// How many subscriptions the room has on this node.
    pub fn members(&self) -> usize {
        self.members.load(Ordering::Relaxed)
    }

    /// Says that a member may lack what was said before: changes alone do not help it.
    pub fn want_whole(&self) {
        self.wants_whole.store(true, Ordering::Release);
    }

    /// Whether that was said since the last call.
    pub(crate) fn take_wants_whole(&self) -> bool {
        self.wants_whole.swap(false, Ordering::AcqRel)
    }

    /// What was last said in the room.
    pub(crate) fn said(&self) -> MutexGuard<'_, Option<Box<Diffs>>> {
        lock(&self.said)
    }

    /// The number of what was last said in a room that keeps nothing and of whose objects only the changes are said.
    pub(crate) fn said_to(&self) -> Option<u64> {
        let numbers = self.spec.diff.is_some() && matches!(self.spec.keep, Keep::Nothing);
        numbers.then(|| self.said().as_ref().map_or(0, |diffs| diffs.count()))
    }

    /// Counts a subscription, unless the room is full.
    pub fn admit(&self) -> bool {
        let most = self.spec.members.unwrap_or(usize::MAX);
        let add = |count: usize| (count < most).then_some(count + 1);
        self.members.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Says that a subscription ended, and whether it was the last one of that shard.
    pub fn left(&self, shard: usize, last: bool) {
        self.members.fetch_sub(1, Ordering::Relaxed);
        if last {
            self.shards.fetch_and(!(1 << shard), Ordering::Release);
        }
    }

    /// The history, locked; `None` if the room keeps nothing, or nobody has read it from the log yet.
    pub fn history(&self) -> Option<MutexGuard<'_, Recent>> {
        let recent = match self.spec.keep {
            Keep::Nothing => None,
            Keep::Recent { size, ttl, bytes } => {
                let make = || Box::new(Mutex::new(Recent::new(self.epoch, size, ttl, bytes)));
                Some(self.recent.get_or_init(make))
            }
            Keep::Durable { .. } => self.recent.get(),
        };
        recent.map(|recent| lock(recent))
    }

    /// The history as far as one was ever needed, locked.
    pub(crate) fn known_history(&self) -> Option<MutexGuard<'_, Recent>> {
        self.recent.get().map(|recent| lock(recent))
    }

    /// Whether the room's history is in the log and not here yet.
    pub fn wants_loading(&self) -> bool {
        self.spec.keep.is_durable() && self.recent.get().is_none()
    }

    /// Puts what was read from the log in the place of its history, unless there is one.
    pub fn install(&self, recent: Recent) {
        self.recent.get_or_init(|| Box::new(Mutex::new(recent)));
    }

    /// The newest position of the history; `None` if the room keeps nothing.
    pub fn top(&self) -> Option<Position> {
        match (self.spec.keep, self.recent.get()) {
            (Keep::Nothing, _) => None,
            (Keep::Recent { .. }, None) => Some(Position::start(self.epoch)),
            (Keep::Durable { .. }, None) => None,
            (_, Some(recent)) => Some(lock(recent).top()),
        }
    }

    /// Drops what is too old; whether the room can be forgotten. One that somebody `holds` is not: an event for
    /// it is in line.
    fn expire(&self, now_ms: u64, holds: bool) -> bool {
        let in_line = holds && self.spec.keep.is_durable();
        let needed = in_line || self.shards.load(Ordering::Acquire) != 0 || self.members() != 0;
        if needed && self.recent.get().is_none() {
            return false;
        }
        // A history that was never needed is made all the same: whoever is about to append to it has
        // to see that it was forgotten.
        let Some(mut recent) = self.history() else { return !needed };
        recent.expire(now_ms);
        !needed
            && match self.spec.keep {
                Keep::Durable { .. } => recent.rest(now_ms),
                _ => recent.retire(now_ms),
            }
    }
}

impl Hub {
    /// A hub over the given mailboxes, one per shard.
    ///
    /// # Panics
    /// If there are more than [`SHARDS`].
    pub fn new(posts: Vec<Box<dyn Post>>) -> Self {
        assert!(posts.len() <= SHARDS, "at most {SHARDS} shards");
        Self {
            posts: posts.into(),
            rooms: (0..PARTS).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            sequences: Mutex::default(),
            counts: Mutex::default(),
            rooms_per_org: usize::MAX,
            refused: AtomicU64::new(0),
        }
    }

    /// The same with so many rooms for each organisation at most.
    #[must_use]
    pub fn with_rooms_per_org(self, most: usize) -> Self {
        Self { rooms_per_org: most, ..self }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.posts.len()
    }

    /// A room that has members or a history here.
    pub fn find(&self, room: &Room) -> Option<Arc<Entry>> {
        self.part(room).read().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
    }

    /// The room's entry, made if there is none.
    ///
    /// # Errors
    /// [`Full::Organisation`] if it would be one room too many.
    pub fn entry(
        &self,
        room: &Room,
        spec: &Arc<RoomSpec>,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<Arc<Entry>, Full> {
        if let Some(entry) = self.find(room) {
            return Ok(entry);
        }
        let mut part = self.part(room).write().unwrap_or_else(PoisonError::into_inner);
        self.found_or_made(&mut part, room, spec, epoch).cloned()
    }

    /// Whether the room is here, or its organisation may have one more.
    ///
    /// # Errors
    /// [`Full::Organisation`]
    pub fn has_place(&self, room: &Room) -> Result<(), Full> {
        let has_more = || {
            let rooms = lock(&self.counts).get(room.org()).cloned();
            rooms.is_none_or(|rooms| rooms.count() < self.rooms_per_org)
        };
        if self.find(room).is_some() || has_more() { Ok(()) } else { Err(Full::Organisation) }
    }

    /// Registers a shard with a room and counts a subscription.
    ///
    /// Done under the directory's lock, so that [`Hub::sweep`] cannot forget the room meanwhile.
    ///
    /// # Errors
    /// [`Full`] says of what there is too much.
    pub fn enter(
        &self,
        room: &Room,
        spec: &Arc<RoomSpec>,
        shard: usize,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<Arc<Entry>, Full> {
        let mut part = self.part(room).write().unwrap_or_else(PoisonError::into_inner);
        let entry = self.found_or_made(&mut part, room, spec, epoch)?;
        if entry.wants_loading() {
            return Err(Full::Unread);
        }
        if !entry.admit() {
            return Err(Full::Room);
        }
        entry.shards.fetch_or(1 << shard, Ordering::Release);
        Ok(entry.clone())
    }

    fn found_or_made<'a>(
        &self,
        part: &'a mut Rooms,
        room: &Room,
        spec: &Arc<RoomSpec>,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<&'a Arc<Entry>, Full> {
        match part.entry(room.clone()) {
            hashbrown::hash_map::Entry::Occupied(found) => Ok(found.into_mut()),
            hashbrown::hash_map::Entry::Vacant(vacant) => {
                Ok(vacant.insert(Arc::new(self.make(room, spec, epoch())?)))
            }
        }
    }

    /// Hands a publication to every shard that has members.
    ///
    /// The shard `here` is left out, but it is among the shards of the answer if it has members.
    pub fn deliver(&self, entry: &Entry, publication: &Arc<Publication>, here: Option<usize>) -> Handed {
        let mut refused = 0;
        let shards = entry.shards.load(Ordering::Acquire);
        let own = here.map_or(0, |shard| 1 << shard);
        let mut others = shards & !own;
        while others != 0 {
            let shard = others.trailing_zeros() as usize;
            others &= others - 1;
            if !self.posts[shard].deliver(publication.clone()) {
                refused |= 1 << shard;
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        Handed { shards, refused }
    }

    /// Hands a publication to every shard, for everybody of its room's organisation.
    pub fn announce(&self, publication: &Arc<Publication>) {
        let taken = self.posts.iter().map(|post| post.announce(publication.clone(), Audience::Everybody));
        let refused = taken.filter(|taken| !taken).count();
        self.refused.fetch_add(refused as u64, Ordering::Relaxed);
    }

    /// Hands a publication to one shard, for some connections of its room's organisation.
    pub fn announce_to(
        &self,
        shard: usize,
        publication: &Arc<Publication>,
        namespace: u8,
        to: Box<[ConnKey]>,
    ) {
        if let Some(post) = self.posts.get(shard) {
            let taken = post.announce(publication.clone(), Audience::These(namespace, to));
            self.refused.fetch_add(u64::from(!taken), Ordering::Relaxed);
        }
    }

    /// Drops events that are too old and rooms without members and history; returns how many
    /// rooms are left.
    pub fn sweep(&self, now_ms: u64) -> usize {
        let parts = self.rooms.iter().map(|part| {
            let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
            part.retain(|_, entry| !entry.expire(now_ms, Arc::strong_count(entry) > 1));
            let left = part.len();
            part.shrink_to(left * 2);
            left
        });
        let left: usize = parts.sum();
        self.forget_organisations();
        left
    }

    /// Forgets organisations without rooms. Of one in which something was recorded the numbering stays: what its
    /// clients have heard is named by it, and no number may come again.
    fn forget_organisations(&self) {
        // Who is about to make a room holds what it found.
        lock(&self.counts).retain(|_, rooms| Arc::strong_count(rooms) > 1);
        let is_new = |numbers: Numbers| numbers.memory == 0 && numbers.durable.is_none();
        lock(&self.sequences).retain(|_, numbers| Arc::strong_count(numbers) > 1 || !is_new(*lock(numbers)));
    }

    /// Every room that has members or a history here.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let parts = self.rooms.iter().map(|part| part.read().unwrap_or_else(PoisonError::into_inner));
        parts.flat_map(|part| part.values().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many rooms have members or a history here.
    pub fn rooms(&self) -> usize {
        self.rooms.iter().map(|part| part.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// The numbering of an organisation's recorded events.
    pub fn sequence(&self, org: &Org) -> Arc<Sequence> {
        lock(&self.sequences).entry(org.clone()).or_default().clone()
    }

    /// How many recorded events each organisation has had in which there were any.
    pub(crate) fn counted(&self) -> Vec<(Org, u64)> {
        let sequences: Vec<_> =
            lock(&self.sequences).iter().map(|(org, numbers)| (org.clone(), numbers.clone())).collect();
        let counted = sequences.into_iter().map(|(org, numbers)| (org, lock(&numbers).memory));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn make(&self, room: &Room, spec: &Arc<RoomSpec>, epoch: Epoch) -> Result<Entry, Full> {
        let rooms = lock(&self.counts).entry(room.org().clone()).or_default().clone();
        let place = Place::of(&rooms, self.rooms_per_org).ok_or(Full::Organisation)?;
        Ok(Entry {
            room: room.clone(),
            spec: spec.clone(),
            shards: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            epoch,
            recent: OnceLock::new(),
            sequence: self.sequence(room.org()),
            said: Mutex::default(),
            wants_whole: AtomicBool::new(false),
            _place: place,
        })
    }

    fn part(&self, room: &Room) -> &RwLock<Rooms> {
        &self.rooms[self.hasher.hash_one(room) as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_organisation_without_rooms_only_the_numbers_it_was_given_are_left() {
        let hub = Hub::new(Vec::new());
        let anyone = crate::access::Rule::Anyone;
        let spec = Arc::new(RoomSpec {
            subscribe: anyone.clone(),
            publish: anyone.clone(),
            history: anyone.clone(),
            presence: anyone,
            roll: crate::room::Roll::Off,
            keep: Keep::Nothing,
            lane: crate::lane::Lane::Normal,
            members: None,
            message_bytes: None,
            publish_rate: None,
            pacing: None,
            diff: None,
        });
        for org in ["heard", "silent"].map(Org::new) {
            let room = Room::new(&org, "notes:1", 200).unwrap();
            let entry = hub.entry(&room, &spec, || Epoch(1)).unwrap();
            if org == Org::new("heard") {
                lock(&entry.sequence).count(None);
            }
            drop(entry);
        }
        assert_eq!((lock(&hub.counts).len(), lock(&hub.sequences).len()), (2, 2));
        assert_eq!(hub.sweep(u64::MAX), 0);
        assert_eq!((lock(&hub.counts).len(), lock(&hub.sequences).len()), (0, 1));
        assert_eq!(lock(&hub.sequence(&Org::new("heard"))).memory, 1, "no number comes again");
    }
}
