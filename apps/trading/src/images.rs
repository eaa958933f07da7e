//! Images of rooms in the store: when they are made, and how a room is made of one (decision 0101).
//!
//! They are made in the background, of what is stored, one at a time. No command waits for one: of a room that is
//! traded in, only short stretches are written while it stands still, and of the store, short transactions are had.

pub mod rows;

use std::sync::Arc;

use tidings_app::{Code, Refusal, Stage};
use tidings_store::{Reader, StoreError};
use tokio::task::{spawn_blocking, yield_now};

use crate::journal::Entry;
use crate::room::Room;
use crate::room::image::{Image, Sketch, VERSION};
use crate::rooms::{Key, Rooms, broken};
use crate::rules::Rules;
use crate::store::{self, Top};
use crate::trail::Trails;

use rows::{Name, Stored};

/// Entries between two images of a room at least: they are read in two tenths of a second at the next start, and are three
/// times as many bytes in the journal as an image of two hundred members and ten thousand orders.
pub const EVERY: u64 = 10_000;
/// Orders of a room for each entry between two images, where that is more: an image grows with all orders there ever were,
/// and so a large room is written in proportion to what happens in it.
const ORDERS: u64 = 4;
/// Beats between two looks.
const BEATS: u64 = 4;
/// Orders that are written while a room stands still, at most: a few tenths of a millisecond.
const SKETCHED: usize = 1_000;
/// Bytes of a part.
const PART_BYTES: usize = 64 << 10;
/// Parts that one statement reads or removes at most.
pub(crate) const PARTS_MOST: u64 = 32;
/// Entries that are read from a journal at once.
pub(crate) const PAGE: u64 = 5_000;

/// Whether a room has come so far since the entry of its image that it wants another.
pub(crate) fn is_due(room: &Room, since: u64) -> bool {
    let orders = room.orders().len() as u64;
    room.seq().saturating_sub(since) >= EVERY.max(orders / ORDERS)
}

/// Makes the images that are due, in a task of its own, unless they are being made; `beat` counts how often this was called.
pub fn beat(rooms: &Arc<Rooms>, stage: &Stage, beat: u64) {
    if !beat.is_multiple_of(BEATS) {
        return;
    }
    let due = rooms.due_images();
    if due.is_empty() {
        return;
    }
    // What is due beside these is made behind them.
    let Ok(alone) = rooms.imaging.clone().try_lock_owned() else { return };
    let (rooms, stage) = (rooms.clone(), stage.clone());
    tokio::spawn(async move {
        for key in due {
            if let Err(refusal) = make(&rooms, &stage, &key).await {
                tracing::warn!(%refusal, org = key.0.as_str(), room = key.1, "no image of a room was stored");
            }
        }
        drop(alone);
    });
}

/// Makes an image of a room and stores it.
async fn make(rooms: &Rooms, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    let mut reader = stage.read().await?;
    match rooms.look(&mut reader, key, |_, _| ()).await {
        // It was removed.
        Err(refusal) if refusal.code == Code::NotFound => return Ok(()),
        looked => looked?,
    }
    let Some(wanted) = rooms.begin_image(key) else { return Ok(()) };
    let stored = match rows::name(&mut reader, key).await {
        // What cannot be read is replaced.
        Err(StoreError::Corrupt(_)) => None,
        stored => stored?,
    };
    // A reader sees one moment, and keeps what comes after it from being cleared away.
    drop(reader);
    let other = stored.filter(|name| name.version == VERSION && Some(name.seq) != wanted.doubted);
    if let Some(Name { seq, .. }) = other
        && rooms.glance(key, |room| !is_due(room, seq)).unwrap_or(false)
    {
        // Another server was quicker.
        rooms.has_image(key, seq);
        return Ok(());
    }
    let Some(image) = draw(rooms, key, wanted.created_ms).await else { return Ok(()) };
    store_image(stage, key, image, wanted.created_ms).await
}

/// The image of a room as it is stored, as long as it is the one that was made then.
async fn draw(rooms: &Rooms, key: &Key, created_ms: u64) -> Option<Image> {
    let mut sketch = Sketch::default();
    while !rooms.glance_at(key, created_ms, |room| room.sketch(&mut sketch, SKETCHED))? {
        yield_now().await;
    }
    rooms.glance_at(key, created_ms, |room| room.image(sketch))
}

/// Stores an image part by part, and then that it is the room's; older ones are removed behind it.
async fn store_image(stage: &Stage, key: &Key, image: Image, created_ms: u64) -> Result<(), Refusal> {
    let (name, chain) = (Name { seq: image.seq, version: VERSION }, image.chain);
    // It may be large, and all of it is hashed.
    let bytes = spawn_blocking(move || image.into_bytes()).await;
    let bytes = bytes.map_err(|_| Refusal::unavailable("an image was not put together"))?;
    let parts = bytes.len().div_ceil(PART_BYTES);
    for (part, bytes) in bytes.chunks(PART_BYTES).enumerate() {
        let (key, bytes) = (key.clone(), bytes.to_vec());
        let stored = stage.commit(move |tx| {
            Box::pin(async move {
                // Held, so that of a room that is being removed nothing comes behind its removal.
                let top = store::hold(tx, &key.0, &key.1).await?;
                if top.is_none_or(|top| top.created_ms != created_ms || top.seq < name.seq) {
                    return Ok(false);
                }
                rows::add_part(tx, &key, name, (part, &bytes)).await?;
                Ok(true)
            })
        });
        if !stored.await? {
            return Ok(());
        }
    }
    let its = key.clone();
    let named = stage.commit(move |tx| {
        Box::pin(async move {
            let top = store::hold(tx, &its.0, &its.1).await?;
            let Some(top) = top.filter(|top| top.created_ms == created_ms && top.seq >= name.seq) else {
                return Ok(false);
            };
            Ok(rows::name_it(tx, &its, (name, chain, parts), top.seq).await?)
        })
    });
    if named.await? {
        tracing::debug!(room = key.1, seq = name.seq, bytes = bytes.len(), "an image of a room was stored");
    }
    loop {
        let key = key.clone();
        let removed = stage
            .commit(move |tx| Box::pin(async move { Ok(rows::remove_older(tx, &key, PARTS_MOST).await?) }));
        if removed.await? < PARTS_MOST {
            return Ok(());
        }
    }
}

/// A room that was made of what is stored.
#[derive(Debug)]
pub struct Restored {
    /// The room.
    pub room: Room,
    /// The entry of the image it was made of; 0 if it was made of all of its journal.
    pub image: u64,
    /// The entry of the image that was there and is not to be used.
    pub doubted: Option<u64>,
    /// How its prices went since that image.
    pub trails: Trails,
}

impl Restored {
    fn new(room: Room, image: u64, doubted: Option<u64>) -> Self {
        let trails = Trails::of(&room);
        Self { room, image, doubted, trails }
    }
}

/// Makes a room of its image and what came after it; where that does not come to what the room's row says, of all
/// of its journal.
///
/// # Errors
/// `unavailable` if its journal cannot be read, or does not come to it either.
pub async fn restore(reader: &mut Reader, key: &Key, rules: &Rules, top: &Top) -> Result<Restored, Refusal> {
    let restored = go_on(reader, key, (rules, top), (&mut None, u64::MAX)).await?;
    restored.ok_or_else(|| broken(key, "there are too many entries"))
}

/// Goes on to make a room as [`restore`] does, from where it was `begun`, by so many entries at most, or a page more; the room if
/// that is all of it, else how far it has come is in `begun`.
///
/// # Errors
/// As [`restore`]. What was begun stays, unless it was wrong.
pub(crate) async fn go_on(
    reader: &mut Reader,
    key: &Key,
    (rules, top): (&Rules, &Top),
    (begun, most): (&mut Option<Restored>, u64),
) -> Result<Option<Restored>, Refusal> {
    loop {
        let restored = match begun {
            Some(restored) if restored.room.seq() <= top.seq => restored,
            _ => begun.insert(begin(reader, key, rules, top).await?),
        };
        let Restored { room, image, trails, .. } = restored;
        let image = *image;
        match follow(reader, key, top, (room, most), |entry| trails.follow(entry)).await? {
            Ok(()) if restored.room.seq() < top.seq => return Ok(None),
            Ok(()) => return Ok(begun.take()),
            Err(problem) => {
                *begun = None;
                if image == 0 {
                    return Err(broken(key, &problem));
                }
                warn(key, &problem);
                *begun = Some(Restored::new(fresh(key, rules)?, 0, Some(image)));
            }
        }
    }
}

/// The room of its image, or one without entries if there is no image that proves itself.
async fn begin(reader: &mut Reader, key: &Key, rules: &Rules, top: &Top) -> Result<Restored, Refusal> {
    let mut doubted = None;
    match rows::find(reader, key).await {
        Ok(None) => {}
        Ok(Some(stored)) => {
            let image = stored.name.seq;
            match from_image(key, rules, top, stored).await {
                Ok(room) => return Ok(Restored::new(room, image, doubted)),
                Err(problem) => {
                    warn(key, &problem);
                    doubted = Some(image);
                }
            }
        }
        Err(StoreError::Corrupt(problem)) => warn(key, &problem),
        Err(error) => return Err(error.into()),
    }
    Ok(Restored::new(fresh(key, rules)?, 0, doubted))
}

fn fresh(key: &Key, rules: &Rules) -> Result<Room, Refusal> {
    Room::new(&key.1, rules.clone()).map_err(|problem| broken(key, &problem))
}

fn warn(key: &Key, problem: &str) {
    let (org, room) = (key.0.as_str(), &key.1);
    tracing::warn!(
        org,
        room,
        problem,
        "the image of a room is not used: its journal is read from the first entry"
    );
}

async fn from_image(key: &Key, rules: &Rules, top: &Top, stored: Stored) -> Result<Room, String> {
    let Stored { name, chain, bytes } = stored;
    if name.version != VERSION {
        return Err(format!("expected version {VERSION}, found {}", name.version));
    }
    if name.seq > top.seq {
        return Err(format!("it is of entry {}, and there are {}", name.seq, top.seq));
    }
    let (id, rules) = (key.1.clone(), rules.clone());
    let read = spawn_blocking(move || Room::from_image(&id, &rules, &bytes)).await;
    let room = read.map_err(|problem| problem.to_string())?.map_err(|problem| problem.to_string())?;
    if room.seq() != name.seq || room.chain().to_string() != chain {
        return Err("it is of another entry than it is said to be".into());
    }
    Ok(room)
}

/// Brings a room on towards where its row says it is, by so many entries at most, or a page more. If it comes there, it is seen whether
/// it has come to the same; if not, or an entry is none of it, what does not go together.
pub(crate) async fn follow(
    reader: &mut Reader,
    key: &Key,
    top: &Top,
    (room, most): (&mut Room, u64),
    mut taken: impl FnMut(&Entry),
) -> Result<Result<(), String>, Refusal> {
    let until = top.seq.min(room.seq().saturating_add(most));
    while room.seq() < until {
        let entries = store::read(reader, &key.0, &key.1, (room.seq(), PAGE)).await?;
        if entries.is_empty() {
            return Ok(Err("its journal is shorter than it was".into()));
        }
        for entry in entries.iter().filter(|entry| entry.seq <= top.seq) {
            if let Err(problem) = room.replay(entry) {
                return Ok(Err(problem));
            }
            taken(entry);
        }
    }
    if room.seq() < top.seq || room.chain() == top.chain {
        return Ok(Ok(()));
    }
    Ok(Err("its journal does not come to the link that it came to".into()))
}
