//! Rooms in memory, and how they follow their journals in the store.
//!
//! Of each there are two states. `settled` is made of what is stored, and is what readers see. `ahead` is what the
//! transactions that are being done have made of it: it is taken out for each, put back behind it, and believed only if its
//! chain of hashes is the one in the room's row. If one of them was undone, or another server wrote meanwhile, the
//! chains differ and it is made again of what is stored: the room's image and the entries behind it.

mod begun;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_app::{Changes, Org, Reader, Refusal, Stage};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::images::{self, PAGE, Restored, follow};
use crate::journal::{Entry, Input};
use crate::line::Lines;
use crate::room::{Room, State};
use crate::standing::Standing;
use crate::store::{self, RoomRow};
use crate::trail::{Point, Trails};

pub use begun::READ_MOST;

use begun::Begun;

/// Rooms in memory at most; of more the one that was used longest ago gives way, and is read again when needed.
pub const ROOMS_MOST: usize = 512;
/// Journals that are read at the same time, at most.
const READING: usize = 16;
/// Which room.
pub type Key = (Org, String);

/// A room in memory.
#[derive(Debug)]
struct Live {
    /// What of its row never changes; what does is of when it was read.
    row: Arc<RoomRow>,
    settled: Room,
    ahead: Option<Room>,
    /// Instruments with another price since prices were told.
    marked: BTreeSet<String>,
    /// The same since the last round of marks began.
    owed: BTreeSet<String>,
    /// How its prices went since it came into memory.
    trails: Trails,
    /// A round that is not through.
    round: Option<Round>,
    /// The number of the entry up to which standings were told, and what was told; nothing after a start.
    told: Option<(u64, Vec<Standing>)>,
    /// The entry of its newest image, or of the last try to make one; 0 if there was none.
    imaged: u64,
    /// The entry of an image that is not to be used.
    doubted: Option<u64>,
    used: u64,
}

impl Live {
    /// A room that has just come into memory.
    fn new(row: RoomRow, restored: Restored, used: u64) -> Self {
        let Restored { room: settled, image: imaged, doubted, trails } = restored;
        // Nothing was told of it yet: whatever has a price has another one.
        let priced =
            (0..).zip(&settled.rules().instruments).filter(|(at, _)| settled.price_of(*at).is_some());
        let marked = priced.map(|(_, instrument)| instrument.symbol.clone()).collect();
        let (row, owed) = (Arc::new(row), BTreeSet::new());
        Self {
            row,
            settled,
            ahead: None,
            marked,
            owed,
            trails,
            round: None,
            told: None,
            imaged,
            doubted,
            used,
        }
    }
}

/// An image that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// When its room was made.
    pub(crate) created_ms: u64,
    /// The entry of an image that is not to be used.
    pub(crate) doubted: Option<u64>,
}

/// What positions are worth is told to members by turns: which instruments, and from which member on.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) symbols: BTreeSet<String>,
    pub(crate) from: Option<String>,
}

/// Rooms in memory.
#[derive(Debug)]
pub struct Rooms {
    live: Mutex<HashMap<Key, Live>>,
    /// Who waits for them.
    pub(crate) lines: Lines,
    /// One at a time reads what is missing of a journal: many who come at once, after a start, have all read it then. Rooms
    /// share these by their names.
    reading: [tokio::sync::Mutex<()>; READING],
    /// Entries that it reads at most before others have their turn.
    read_most: u64,
    begun: Begun,
    uses: std::sync::atomic::AtomicU64,
    /// Images are made by one at a time.
    pub(crate) imaging: Arc<tokio::sync::Mutex<()>>,
    /// A room has come into memory.
    stirred: Notify,
}

/// What is known of a room in memory, by its row.
enum Known {
    /// Nothing.
    Not,
    /// Nothing yet: it is read in the background.
    Begun,
    /// It is to be read on behind an entry.
    UpTo(u64),
    /// All.
    All,
}

pub(crate) fn broken(key: &Key, problem: &str) -> Refusal {
    tracing::error!(org = key.0.as_str(), room = key.1, problem, "the journal of a room does not go with it");
    Refusal::unavailable("this room cannot be read")
}

impl Default for Rooms {
    fn default() -> Self {
        Self::new(READ_MOST)
    }
}

impl Rooms {
    /// None yet; of a room that is not in memory so many entries are read in one go at most.
    pub fn new(read_most: u64) -> Self {
        Self {
            live: Mutex::default(),
            lines: Lines::default(),
            reading: Default::default(),
            read_most,
            begun: Begun::default(),
            uses: Default::default(),
            imaging: Arc::default(),
            stirred: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> u64 {
        self.uses.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Looks at a room as it is stored at the moment the reader sees, or a little later.
    ///
    /// # Errors
    /// `not_found`, `unavailable` if its journal cannot be read, or is so long that it is still being read.
    pub async fn look<T>(
        &self,
        reader: &mut Reader,
        key: &Key,
        look: impl FnOnce(&RoomRow, &Room) -> T,
    ) -> Result<T, Refusal> {
        let row = store::find(reader, &key.0, &key.1).await?.ok_or_else(Refusal::no_such_room)?;
        self.load(reader, key, &row).await?;
        let used = self.used();
        let mut rooms = self.lock();
        // Another may have taken its place since.
        let live = rooms.get_mut(key).ok_or_else(|| Refusal::unavailable("too many rooms are read"))?;
        live.used = used;
        Ok(look(&row, &live.settled))
    }

    /// Reads what is missing of a room.
    async fn load(&self, reader: &mut Reader, key: &Key, row: &RoomRow) -> Result<(), Refusal> {
        // Who comes back later does not wait in line for it.
        match self.known_by(key, row) {
            Known::All => return Ok(()),
            Known::Begun => return Err(begun::is_read()),
            Known::Not | Known::UpTo(_) => {}
        }
        let part = key.1.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let _alone = self.reading[part % READING].lock().await;
        loop {
            let seq = match self.known_by(key, row) {
                Known::All => return Ok(()),
                Known::Begun => return Err(begun::is_read()),
                Known::UpTo(seq) => seq,
                Known::Not => {
                    let restored = self.restore(reader, (key, row), None).await?;
                    self.add(key, row, restored);
                    continue;
                }
            };
            let entries = store::read(reader, &key.0, &key.1, (seq, PAGE)).await?;
            if entries.is_empty() {
                return Err(broken(key, "its journal is shorter than it was"));
            }
            self.settle(key, &entries)?;
        }
    }

    fn known_by(&self, key: &Key, row: &RoomRow) -> Known {
        match self.lock().get(key).filter(|live| live.row.created_ms == row.created_ms) {
            None if self.begun.has(key) => Known::Begun,
            None => Known::Not,
            Some(live) if live.settled.seq() < row.seq => Known::UpTo(live.settled.seq()),
            Some(_) => Known::All,
        }
    }

    /// A room comes into memory.
    fn add(&self, key: &Key, row: &RoomRow, restored: Restored) {
        let mut rooms = self.lock();
        make_way(&mut rooms);
        rooms.insert(key.clone(), Live::new(row.clone(), restored, self.used()));
        self.stirred.notify_one();
    }

    /// Entries are stored.
    fn settle(&self, key: &Key, entries: &[Entry]) -> Result<(), Refusal> {
        let mut rooms = self.lock();
        let Some(live) = rooms.get_mut(key) else { return Ok(()) };
        for entry in entries {
            // Two may read the same at once.
            if entry.seq != live.settled.seq() + 1 {
                continue;
            }
            if let Err(problem) = live.settled.replay(entry) {
                rooms.remove(key);
                return Err(broken(key, &problem));
            }
            live.trails.follow(entry);
            if let Input::Price { symbol, .. } = &entry.input {
                live.marked.insert(symbol.clone());
            }
        }
        Ok(())
    }

    /// The same behind a transaction.
    pub(crate) fn settle_after(&self, key: &Key, entries: &[Entry]) {
        // What is wrong with it was logged, and is found again by whoever asks for the room.
        let _ = self.settle(key, entries);
    }

    /// Makes sure that a room is in memory before a transaction needs it: there is no time for a long journal in one.
    ///
    /// # Errors
    /// As [`Rooms::look`].
    pub async fn warm(&self, stage: &Stage, key: &Key) -> Result<(), Refusal> {
        if self.lock().contains_key(key) {
            return Ok(());
        }
        self.look(&mut stage.read().await?, key, |_, _| ()).await
    }

    /// Takes a room out as the transaction sees it; until the transaction is over nobody else changes it.
    ///
    /// # Errors
    /// As [`Rooms::look`].
    pub(crate) async fn take(&self, tx: &mut Changes, key: &Key) -> Result<(Arc<RoomRow>, Room), Refusal> {
        let top = store::hold(tx, &key.0, &key.1).await?.ok_or_else(Refusal::no_such_room)?;
        let known = self.lock().get(key).map(|live| live.row.clone());
        let row = match known {
            Some(row) if row.created_ms == top.created_ms => row,
            _ => Arc::new(store::find(tx, &key.0, &key.1).await?.ok_or_else(Refusal::no_such_room)?),
        };
        for mut known in self.known(key) {
            if known.seq() <= top.seq
                && let Ok(Ok(())) = follow(tx, key, &top, (&mut known, u64::MAX), |_| ()).await
            {
                return Ok((row, known));
            }
        }
        // Whoever warmed it may have lost it since; there is no time for more in a transaction.
        let restored = images::go_on(tx, key, (&row.rules, &top), (&mut None, self.read_most)).await?;
        Ok((row, restored.ok_or_else(begun::is_read)?.room))
    }

    /// What is known of a room without its journal, the newest first.
    fn known(&self, key: &Key) -> impl Iterator<Item = Room> {
        let ahead = self.lock().get_mut(key).and_then(|live| live.ahead.take());
        let settled = || self.lock().get(key).map(|live| live.settled.clone());
        ahead.into_iter().chain(std::iter::once_with(settled).flatten())
    }

    /// Puts it back.
    pub(crate) fn put(&self, key: &Key, room: Room) {
        if let Some(live) = self.lock().get_mut(key) {
            live.ahead = Some(room);
        }
    }

    /// Which rooms are in memory, each with when it was made.
    pub(crate) fn known_since(&self) -> Vec<(Key, u64)> {
        self.lock().iter().map(|(key, live)| (key.clone(), live.row.created_ms)).collect()
    }

    /// Waits while no room is in memory, for so long at most.
    pub(crate) async fn rest(&self, most: Duration) {
        if self.lock().is_empty() {
            let _ = timeout(most, self.stirred.notified()).await;
        }
    }

    /// Lets a room go that is not there any more; who was ever in it.
    pub(crate) fn forget(&self, key: &Key) -> Vec<String> {
        let live = self.lock().remove(key);
        live.map(|live| live.settled.accounts().keys().cloned().collect()).unwrap_or_default()
    }

    /// Rooms of which something may have to be told: prices have changed, or entries have come while it runs.
    pub(crate) fn restless(&self) -> Vec<Key> {
        let rooms = self.lock();
        let news = |live: &Live| {
            let runs = live.settled.state() == State::Running;
            runs && live.told.as_ref().is_none_or(|(seq, _)| *seq < live.settled.seq())
        };
        rooms
            .iter()
            .filter(|(_, live)| {
                !live.marked.is_empty() || !live.owed.is_empty() || live.round.is_some() || news(live)
            })
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Instruments with another price since this was last asked.
    pub(crate) fn marked(&self, key: &Key) -> BTreeSet<String> {
        let mut rooms = self.lock();
        let Some(live) = rooms.get_mut(key) else { return BTreeSet::new() };
        let marked = std::mem::take(&mut live.marked);
        live.owed.extend(marked.iter().cloned());
        marked
    }

    /// The round of marks that is not through, or one of the instruments that have another price since the last began.
    pub(crate) fn round(&self, key: &Key) -> Option<Round> {
        let mut rooms = self.lock();
        let live = rooms.get_mut(key)?;
        live.round.take().or_else(|| {
            let symbols = std::mem::take(&mut live.owed);
            (!symbols.is_empty()).then_some(Round { symbols, from: None })
        })
    }

    /// A round goes on the next time.
    pub(crate) fn go_round(&self, key: &Key, round: Round) {
        if let Some(live) = self.lock().get_mut(key) {
            live.round = Some(round);
        }
    }

    /// How a price of a room in memory went: so many of the newest points, the oldest first.
    pub fn went(&self, key: &Key, symbol: &str, most: usize) -> Vec<Point> {
        self.lock().get(key).map(|live| live.trails.newest(symbol, most).to_vec()).unwrap_or_default()
    }

    /// Looks at a room as it was settled last, without the store; nothing if it is not in memory.
    pub(crate) fn glance<T>(&self, key: &Key, look: impl FnOnce(&Room) -> T) -> Option<T> {
        self.lock().get(key).map(|live| look(&live.settled))
    }

    /// The same of a room that was made then.
    pub(crate) fn glance_at<T>(
        &self,
        key: &Key,
        created_ms: u64,
        look: impl FnOnce(&Room) -> T,
    ) -> Option<T> {
        let rooms = self.lock();
        let live = rooms.get(key).filter(|live| live.row.created_ms == created_ms)?;
        Some(look(&live.settled))
    }

    /// Rooms that may want an image. What is settled may be behind where another server trades too, and nobody reads.
    pub(crate) fn due_images(&self) -> Vec<Key> {
        let rooms = self.lock();
        let due = |live: &Live| {
            let mut known = live.ahead.iter().chain([&live.settled]);
            known.any(|room| images::is_due(room, live.imaged))
        };
        rooms.iter().filter(|(_, live)| due(live)).map(|(key, _)| key.clone()).collect()
    }

    /// An image is about to be made of what is settled; nothing if there is no need to. If it fails, it is tried again when
    /// the next is due.
    pub(crate) fn begin_image(&self, key: &Key) -> Option<Wanted> {
        let mut rooms = self.lock();
        let live = rooms.get_mut(key).filter(|live| images::is_due(&live.settled, live.imaged))?;
        live.imaged = live.settled.seq();
        Some(Wanted { created_ms: live.row.created_ms, doubted: live.doubted })
    }

    /// There is an image of an entry.
    pub(crate) fn has_image(&self, key: &Key, seq: u64) {
        if let Some(live) = self.lock().get_mut(key) {
            live.imaged = seq;
        }
    }

    /// What was last told of a room's standings, and up to which entry.
    pub(crate) fn told(&self, key: &Key) -> Option<(u64, Vec<Standing>)> {
        self.lock().get(key)?.told.clone()
    }

    /// Standings were told.
    pub(crate) fn tell(&self, key: &Key, seq: u64, standings: Vec<Standing>) {
        if let Some(live) = self.lock().get_mut(key) {
            live.told = Some((seq, standings));
        }
    }
}

/// Lets the room go that was used longest ago, if there are too many.
fn make_way(rooms: &mut HashMap<Key, Live>) {
    if rooms.len() < ROOMS_MOST {
        return;
    }
    let oldest = rooms.iter().min_by_key(|(_, live)| live.used).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        rooms.remove(&oldest);
    }
}
