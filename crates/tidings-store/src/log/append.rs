//! Appending to rooms.

use std::collections::{BTreeMap, HashMap};

use tidings_core::{Epoch, MessageId, Org, Payload, Position, Room};

use super::at_once::{Stand, Stands};
use super::record::{Content, bytes_of, pack};
use super::trim::KEY_MS;
use super::{signed, unsigned};
use crate::args;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::many::ManyRows;
use crate::options::SHORT_BYTES;
use crate::sql::{Tx, Value, bounded};

/// Bytes of an idempotency key at most.
const KEY_BYTES: usize = 128;

/// An event to be appended.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The room.
    pub room: &'a Room,
    /// The room's epoch, should this be its first event.
    pub epoch: Epoch,
    /// The message's id, which no other has.
    pub id: MessageId,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: u64,
    /// The event's name.
    pub event: &'a str,
    /// The event's data.
    pub payload: &'a Payload,
    /// Under which it is appended once, for [`KEY_MS`].
    pub key: Option<&'a str>,
    /// The digest of the batch it is one of, for all of which the key stands.
    pub batch: Option<&'a [u8; 32]>,
}

impl Append<'_> {
    /// Whether an event of this name can be stored at all, in a room of this name.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with what is wrong.
    pub fn check(room: &Room, event: &str, key: Option<&str>) -> Result<()> {
        bounded(event, SHORT_BYTES, "an event's name is 1 to 1024 bytes")?;
        key.map_or(Ok(()), |key| bounded(key, KEY_BYTES, "a key is 1 to 128 bytes"))?;
        let texts = [event, room.name(), room.org().as_str(), key.unwrap_or_default()];
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(StoreError::Invalid("a text holds a NUL character"));
        }
        Ok(())
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It stands in the log once the transaction is committed.
    At {
        /// Its place in the room.
        position: Position,
        /// Its number among the events of its organisation.
        sequence: u64,
    },
    /// It was appended before under this key; that is what it became then.
    Duplicate {
        /// The message it became.
        id: MessageId,
        /// Where it stands.
        position: Position,
    },
    /// The key was used with another event.
    Conflict,
}

static COUNT: ManyRows = ManyRows::new(
    "WITH asked (of_org, of_room, more, more_bytes, now_ms) AS (VALUES ",
    5,
    ") UPDATE log_rooms SET top = top + more, bytes = bytes + more_bytes, touched_ms = now_ms FROM asked \
     WHERE org = of_org AND room = of_room RETURNING org, room, id, epoch, top",
);

static ADD_ROOMS: ManyRows = ManyRows::new(
    "INSERT INTO log_rooms (org, room, epoch, top, node, number, trimmed, trimmed_sequence, touched_ms) VALUES ",
    9,
    " ON CONFLICT (org, room) DO NOTHING",
);

static UNCOUNT: ManyRows = ManyRows::new(
    "WITH asked (of_id, less, less_bytes) AS (VALUES ",
    3,
    ") UPDATE log_rooms SET top = top - less, bytes = bytes - less_bytes FROM asked WHERE id = of_id",
);

static NUMBER: ManyRows = ManyRows::new(
    "INSERT INTO log_orgs (org, sequence) VALUES ",
    2,
    " ON CONFLICT (org) DO UPDATE SET sequence = log_orgs.sequence + excluded.sequence RETURNING org, sequence",
);

static UNNUMBER: ManyRows = ManyRows::new(
    "WITH asked (of_org, less) AS (VALUES ",
    2,
    ") UPDATE log_orgs SET sequence = sequence - less FROM asked WHERE org = of_org",
);

static EVENTS: ManyRows = ManyRows::new(
    "INSERT INTO log_events \
     (room_id, place, sequence, node, number, at_ms, event, data, attachments, bytes, checksum) VALUES ",
    11,
    "",
);

static KNOWN: ManyRows = ManyRows::new(
    "WITH asked (of_room, of_key, after_ms) AS (VALUES ",
    3,
    ") SELECT room_id, idempotency_key, body, place, node, number FROM log_keys \
     JOIN asked ON room_id = of_room AND idempotency_key = of_key WHERE at_ms > after_ms",
);

static KEYS: ManyRows = ManyRows::new(
    "INSERT INTO log_keys (room_id, idempotency_key, body, place, node, number, at_ms) VALUES ",
    7,
    " ON CONFLICT (room_id, idempotency_key) DO UPDATE SET body = excluded.body, place = excluded.place, \
     node = excluded.node, number = excluded.number, at_ms = excluded.at_ms",
);

impl Tx {
    /// Appends events in their order, each room's with offsets without holes, and says what became of each.
    ///
    /// Other transactions that append to one of these rooms, or to rooms of these organisations, wait until this
    /// one ends. Nothing of it is in the log before it is committed.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name or key beyond its bounds; else as every write.
    pub async fn append(&mut self, events: &[Append<'_>]) -> Result<Vec<Appended>> {
        Ok(self.append_and_tell(events).await?.0)
    }

    /// The same, and where it leaves the rooms and organisations, for an [`Appender`](super::Appender) to learn
    /// once the transaction is committed.
    ///
    /// # Errors
    /// As [`Tx::append`].
    pub async fn append_and_tell(&mut self, events: &[Append<'_>]) -> Result<(Vec<Appended>, Stands)> {
        for event in events {
            Append::check(event.room, event.event, event.key)?;
        }
        let mut orgs = Orgs::of(events);
        // First, since it is the lock under which the rooms of an organisation are counted.
        self.number(&mut orgs).await?;
        let mut rooms = Rooms::of(events);
        self.count_up(&mut rooms).await?;
        let mut keys = self.known_keys(events, &rooms).await?;
        let fates = events.iter().map(|event| rooms.place(event, &mut keys, &mut orgs));
        let fates = fates.collect::<Result<Vec<_>>>()?;
        self.uncount(&rooms).await?;
        self.unnumber(&orgs).await?;
        self.insert_events(events, &fates).await?;
        self.insert_keys(events, &fates).await?;
        let stands = Stands::of(rooms.stands(), orgs.0.iter().map(|(org, all)| ((*org).clone(), all.last)));
        Ok((fates.into_iter().map(|fate| fate.appended).collect(), stands))
    }

    /// Counts every room up by all that is wanted of it, and learns where it stands.
    async fn count_up(&mut self, rooms: &mut Rooms<'_>) -> Result<()> {
        self.count_known(rooms).await?;
        let new = rooms.missing().flat_map(|room| new_room(room.room, room.epoch, room.now_ms));
        let new: Vec<_> = new.collect();
        if !new.is_empty() {
            self.run_rows(&ADD_ROOMS, &new).await?;
            self.count_known(rooms).await?;
        }
        match rooms.missing().next() {
            Some(_) => Err(StoreError::Corrupt("a room of the log is gone".into())),
            None => Ok(()),
        }
    }

    async fn count_known(&mut self, rooms: &mut Rooms<'_>) -> Result<()> {
        let asked: Vec<_> = rooms
            .missing()
            .flat_map(|room| *args![room.room.org(), room.room.name(), room.wanted, room.bytes, room.now_ms])
            .collect();
        for row in self.rows_of(&COUNT, &asked).await? {
            let (org, name) = (row.text(0)?, row.text(1)?);
            let Some(room) = rooms.find(&org, &name) else { continue };
            let top = row.count(4)?;
            room.known = Some(Known { id: row.int(2)?, next: top.saturating_sub(room.wanted) + 1 });
            room.epoch = Epoch(unsigned(row.int(3)?));
        }
        Ok(())
    }

    async fn known_keys<'a>(&mut self, events: &[Append<'a>], rooms: &Rooms<'_>) -> Result<Keys<'a>> {
        let keyed = events.iter().filter_map(|event| Some((rooms.id(event.room)?, event.key?, event.at_ms)));
        let asked: Vec<_> = keyed
            .clone()
            .flat_map(|(id, key, at_ms)| *args![id, key, at_ms.saturating_sub(KEY_MS)])
            .collect();
        let mut found = HashMap::new();
        for row in self.rows_of(&KNOWN, &asked).await? {
            let id = MessageId { node: unsigned(row.int(4)?), number: unsigned(row.int(5)?) };
            let fact = Key { body: row.digest(2)?, place: row.count(3)?, id };
            found.insert((row.int(0)?, row.text(1)?), fact);
        }
        let known =
            keyed.filter_map(|(id, key, _)| Some(((id, key), found.get(&(id, key.to_owned()))?.clone())));
        Ok(known.collect())
    }

    /// Gives back what was counted for events that were in the log already.
    async fn uncount(&mut self, rooms: &Rooms<'_>) -> Result<()> {
        let less = rooms.all.iter().filter(|room| room.unused > 0);
        let less: Vec<_> = less
            .filter_map(|room| Some(*args![room.known.as_ref()?.id, room.unused, room.unused_bytes]))
            .flatten()
            .collect();
        self.run_rows(&UNCOUNT, &less).await.map(drop)
    }

    /// Counts every organisation up by all its events, and keeps others from its rooms until the end.
    async fn number(&mut self, orgs: &mut Orgs<'_>) -> Result<()> {
        let asked: Vec<_> = orgs.0.iter().flat_map(|(org, all)| *args![*org, all.wanted]).collect();
        for row in self.rows_of(&NUMBER, &asked).await? {
            let (org, sequence) = (row.org(0)?, row.count(1)?);
            if let Some(all) = orgs.0.get_mut(&org) {
                all.last = sequence.saturating_sub(all.wanted);
            }
        }
        Ok(())
    }

    /// Gives back the numbers of events that were in the log already.
    async fn unnumber(&mut self, orgs: &Orgs<'_>) -> Result<()> {
        let less = orgs.0.iter().filter(|(_, all)| all.unused > 0);
        let less: Vec<_> = less.flat_map(|(org, all)| *args![*org, all.unused]).collect();
        self.run_rows(&UNNUMBER, &less).await.map(drop)
    }

    async fn insert_events(&mut self, events: &[Append<'_>], fates: &[Fate]) -> Result<()> {
        let packed = packed(events);
        let values = event_values(events, fates, &packed);
        self.run_rows(&EVENTS, &values).await.map(drop)
    }

    async fn insert_keys(&mut self, events: &[Append<'_>], fates: &[Fate]) -> Result<()> {
        let values: Vec<_> = key_values(events, fates).flatten().collect();
        self.run_rows(&KEYS, &values).await.map(drop)
    }
}

/// The attachments of events, each event's in one.
pub(super) fn packed(events: &[Append<'_>]) -> Vec<Option<Vec<u8>>> {
    events.iter().map(|event| pack(event.payload)).collect()
}

/// The rows of `log_events`, for those that are to be there.
pub(super) fn event_values<'a>(
    events: &'a [Append<'_>],
    fates: &[Fate],
    packed: &'a [Option<Vec<u8>>],
) -> Vec<Value<'a>> {
    let mut values = Vec::with_capacity(events.len() * 11);
    for ((event, fate), packed) in events.iter().zip(fates).zip(packed) {
        let Appended::At { position, sequence } = fate.appended else { continue };
        let (id, place, at_ms) = (event.id, position.offset, event.at_ms);
        let content =
            Content { event: event.event, data: &event.payload.json, attachments: packed.as_deref() };
        let checksum = content.checksum(fate.room_id, place, sequence, id, at_ms);
        let (node, number, bytes) = (signed(id.node), signed(id.number), content.bytes());
        values.extend_from_slice(args![fate.room_id, place, sequence, node, number, at_ms, content.event]);
        values.extend([Value::Bytes(Some(content.data)), Value::Bytes(content.attachments)]);
        values.extend_from_slice(args![bytes, checksum]);
    }
    values
}

/// The rows of `log_keys`, for those that have a key and were not there before.
pub(super) fn key_values<'a>(
    events: &'a [Append<'_>],
    fates: &'a [Fate],
) -> impl Iterator<Item = [Value<'a>; 7]> {
    events.iter().zip(fates).filter_map(|(event, fate)| {
        let (Appended::At { position, .. }, Some(key), Some(body)) = (fate.appended, event.key, &fate.body)
        else {
            return None;
        };
        let (node, number) = (signed(event.id.node), signed(event.id.number));
        Some(*args![fate.room_id, key, body, position.offset, node, number, event.at_ms])
    })
}

/// What is known of the keys of a batch, by room and key.
type Keys<'a> = HashMap<(i64, &'a str), Key>;

#[derive(Clone)]
struct Key {
    body: Digest,
    place: u64,
    id: MessageId,
}

/// What becomes of one event of a batch.
pub(super) struct Fate {
    pub(super) room_id: i64,
    /// The digest of what it says, if it has a key.
    pub(super) body: Option<Digest>,
    pub(super) appended: Appended,
}

/// The organisations of a batch, in the order in which every transaction takes their rows.
struct Orgs<'a>(BTreeMap<&'a Org, Numbers>);

/// The numbers of one organisation's events.
#[derive(Default)]
struct Numbers {
    /// How many events are for it, and how many of them are in the log already.
    wanted: u64,
    unused: u64,
    /// The newest number given away.
    last: u64,
}

impl<'a> Orgs<'a> {
    fn of(events: &[Append<'a>]) -> Self {
        let mut orgs: BTreeMap<&Org, Numbers> = BTreeMap::new();
        for event in events {
            orgs.entry(event.room.org()).or_default().wanted += 1;
        }
        Self(orgs)
    }

    fn of_room(&mut self, room: &Room) -> Result<&mut Numbers> {
        let missing = || StoreError::Bug("an organisation was not counted".into());
        self.0.get_mut(room.org()).ok_or_else(missing)
    }
}

/// The rooms of a batch.
struct Rooms<'a> {
    all: Vec<Wanted<'a>>,
    at: HashMap<(&'a str, &'a str), usize>,
}

/// What a batch wants of one room.
struct Wanted<'a> {
    room: &'a Room,
    epoch: Epoch,
    now_ms: u64,
    /// How many events are for it, and how many of them are in the log already.
    wanted: u64,
    unused: u64,
    /// The same in bytes.
    bytes: u64,
    unused_bytes: u64,
    known: Option<Known>,
}

/// A room's row.
struct Known {
    id: i64,
    /// The place of the next event.
    next: u64,
}

impl<'a> Rooms<'a> {
    fn of(events: &[Append<'a>]) -> Self {
        let mut rooms: BTreeMap<(&str, &str), Wanted<'a>> = BTreeMap::new();
        for event in events {
            let Append { room, epoch, at_ms: now_ms, .. } = *event;
            let new = || {
                let (wanted, unused, bytes, unused_bytes) = (0, 0, 0, 0);
                Wanted { room, epoch, now_ms, wanted, unused, bytes, unused_bytes, known: None }
            };
            let room = rooms.entry((room.org().as_str(), room.name())).or_insert_with(new);
            room.wanted += 1;
            room.bytes += bytes_of(event.event, event.payload);
            room.now_ms = room.now_ms.max(now_ms);
        }
        let at = rooms.keys().copied().zip(0..).collect();
        Self { all: rooms.into_values().collect(), at }
    }

    fn missing(&self) -> impl Iterator<Item = &Wanted<'a>> {
        self.all.iter().filter(|room| room.known.is_none())
    }

    fn find(&mut self, org: &str, name: &str) -> Option<&mut Wanted<'a>> {
        self.all.get_mut(*self.at.get(&(org, name))?)
    }

    fn id(&self, room: &Room) -> Option<i64> {
        let at = *self.at.get(&(room.org().as_str(), room.name()))?;
        Some(self.all[at].known.as_ref()?.id)
    }

    /// Where they stand behind what was placed.
    fn stands(&self) -> impl Iterator<Item = (Room, Stand)> {
        self.all.iter().filter_map(|room| {
            let Known { id, next } = room.known.as_ref()?;
            Some((room.room.clone(), Stand { id: *id, epoch: room.epoch, top: next - 1 }))
        })
    }

    /// Gives an event the next place of its room and the next number of its organisation, unless its key is known.
    fn place<'k>(&mut self, event: &Append<'k>, keys: &mut Keys<'k>, orgs: &mut Orgs<'_>) -> Result<Fate> {
        let numbers = orgs.of_room(event.room)?;
        let gone = || StoreError::Bug("a room was not counted".into());
        let room = self.find(event.room.org().as_str(), event.room.name()).ok_or_else(gone)?;
        let Some(Known { id: room_id, next }) = &mut room.known else { return Err(gone()) };
        let room_id = *room_id;
        let body = event.key.map(|_| body_of(event));
        if let (Some(name), Some(body)) = (event.key, body) {
            if let Some(key) = keys.get(&(room_id, name)) {
                room.unused += 1;
                numbers.unused += 1;
                room.unused_bytes += bytes_of(event.event, event.payload);
                let position = Position::of(room.epoch, key.place, key.id);
                let same = key.body == body || key.body == digest_of(event, event.payload);
                let appended =
                    if same { Appended::Duplicate { id: key.id, position } } else { Appended::Conflict };
                return Ok(Fate { room_id, body: None, appended });
            }
            keys.insert((room_id, name), Key { body, place: *next, id: event.id });
        }
        let position = Position::of(room.epoch, *next, event.id);
        *next += 1;
        numbers.last += 1;
        Ok(Fate { room_id, body, appended: Appended::At { position, sequence: numbers.last } })
    }
}

/// The values of [`ADD_ROOMS`].
fn new_room(room: &Room, epoch: Epoch, now_ms: u64) -> [Value<'_>; 9] {
    *args![room.org(), room.name(), signed(epoch.0), 0_i64, 0_i64, 0_i64, 0_i64, 0_i64, now_ms]
}

/// The digest by which the same event is known again: of what it says, whoever wrote it.
pub(super) fn body_of(event: &Append<'_>) -> Digest {
    digest_of(event, event.payload.meant().as_ref().unwrap_or(event.payload))
}

/// With the payload as it was written that is what servers before this one kept.
fn digest_of(event: &Append<'_>, payload: &Payload) -> Digest {
    let mut all = Vec::with_capacity(event.event.len() + payload.json.len() + 16);
    let parts = [event.event.as_bytes(), &payload.json];
    let batch = event.batch.map(|batch| &batch[..]);
    for part in parts.into_iter().chain(payload.attachments.iter().map(|one| &one[..])).chain(batch) {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    Digest::of(&all)
}
