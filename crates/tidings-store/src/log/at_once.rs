//! Appending in one exchange with PostgreSQL.
//!
//! A transaction that asks where its rooms stand before it writes has five exchanges. Who appended last knows where
//! they stand: then one statement, which is a transaction by itself, takes the organisations' rows, looks whether that
//! still holds, and counts and writes. Where another node was there meanwhile it changes nothing, and the batch goes
//! the long way ([`Tx::append_and_tell`](crate::Tx::append_and_tell)).

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tidings_core::{Epoch, Org, Position, Room};

use super::append::{Append, Appended, Fate, body_of, event_values, key_values, packed};
use super::record::bytes_of;
use super::trim::KEY_MS;
use crate::args;
use crate::error::{Result, StoreError};
use crate::sql::{Columns, Reader, Value};
use crate::store::Store;

/// Rooms whose places are known at most; beyond it all are forgotten, and learned again as they are used.
const ROOMS: usize = 65_536;

/// A connection that rested for so long is asked whether it is alive.
const FRESH: Duration = Duration::from_secs(1);

/// PostgreSQL ends a statement itself that waited so long for another node's: less than whoever waits for it has, so
/// that nothing is committed behind their back.
const STATEMENT: Duration = Duration::from_millis(1_500);

/// The row locks are taken in the order of bytes, as the long way takes them: nobody waits in a circle.
///
/// What the last line cannot read as a number ends the statement, and with it the transaction: a room has gone.
macro_rules! at_once {
    ($known:literal, $keys:literal) => {
        concat!(
            "WITH stood AS MATERIALIZED (SELECT org, sequence FROM log_orgs WHERE org = ANY($1::text[]) \
             ORDER BY org COLLATE \"C\" FOR UPDATE), \
             fits AS MATERIALIZED (SELECT CASE WHEN (SELECT count(*) FROM stood \
             JOIN unnest($1::text[], $2::bigint[]) AS asked (org, sequence) USING (org, sequence)) \
             < cardinality($1::text[]) THEN 'moved' ",
            $known,
            "ELSE 'fits' END AS verdict), \
             numbered AS (UPDATE log_orgs SET sequence = log_orgs.sequence + more \
             FROM unnest($1::text[], $3::bigint[]) AS asked (of_org, more) \
             WHERE org = of_org AND (SELECT verdict FROM fits) = 'fits'), \
             counted AS (UPDATE log_rooms SET top = top + more, bytes = bytes + more_bytes, touched_ms = now_ms \
             FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) \
             AS asked (of_id, was, more, more_bytes, now_ms) \
             WHERE id = of_id AND top = was AND (SELECT verdict FROM fits) = 'fits' RETURNING 1), \
             written AS (INSERT INTO log_events \
             (room_id, place, sequence, node, number, at_ms, event, data, attachments, bytes, checksum) \
             SELECT * FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], \
             $14::bigint[], $15::text[], $16::bytea[], $17::bytea[], $18::bigint[], $19::bigint[]) \
             WHERE (SELECT verdict FROM fits) = 'fits')",
            $keys,
            " SELECT CAST(CASE WHEN verdict = 'moved' THEN '0' WHEN verdict = 'known' THEN '1' \
             WHEN (SELECT count(*) FROM counted) = cardinality($4::bigint[]) THEN '2' \
             ELSE 'a room of the log is not where it was left' END AS BIGINT) FROM fits"
        )
    };
}

const WITHOUT_KEYS: &str = at_once!("", "");

const WITH_KEYS: &str = at_once!(
    "WHEN EXISTS (SELECT FROM log_keys JOIN unnest($20::bigint[], $21::text[], $27::bigint[]) \
     AS asked (of_room, of_key, after_ms) ON room_id = of_room AND idempotency_key = of_key \
     WHERE at_ms > after_ms) THEN 'known' ",
    ", kept AS (INSERT INTO log_keys (room_id, idempotency_key, body, place, node, number, at_ms) \
     SELECT * FROM unnest($20::bigint[], $21::text[], $22::bytea[], $23::bigint[], $24::bigint[], $25::bigint[], \
     $26::bigint[]) WHERE (SELECT verdict FROM fits) = 'fits' \
     ON CONFLICT (room_id, idempotency_key) DO UPDATE SET body = excluded.body, place = excluded.place, \
     node = excluded.node, number = excluded.number, at_ms = excluded.at_ms)"
);

/// Where a transaction left rooms and organisations.
#[derive(Debug, Default)]
pub struct Stands {
    rooms: HashMap<Room, Stand>,
    /// The newest number of each organisation's events.
    orgs: HashMap<Org, u64>,
}

/// A room's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    pub(super) id: i64,
    pub(super) epoch: Epoch,
    pub(super) top: u64,
}

impl Stands {
    pub(super) fn of(
        rooms: impl Iterator<Item = (Room, Stand)>,
        orgs: impl Iterator<Item = (Org, u64)>,
    ) -> Self {
        Self { rooms: rooms.collect(), orgs: orgs.collect() }
    }
}

/// Who appends to the log of one process: a connection of its own, and where it left what it appended to.
pub struct Appender {
    store: Store,
    /// None before the first use and after a failure, and when it was used last.
    line: Option<(Reader, Instant)>,
    /// Who is at the other end of the line that was opened last.
    far_end: Option<FarEnd>,
    stands: Stands,
}

/// A process of PostgreSQL: its number, which is used again, and when it began, in microseconds.
#[derive(Debug, Clone, Copy)]
struct FarEnd {
    number: i64,
    begun_us: i64,
}

/// Who one speaks with.
const WHO: &str = "SELECT CAST(pid AS BIGINT), CAST(extract(epoch FROM backend_start) * 1000000 AS BIGINT) \
                   FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Ends a process and waits for that, for a second at most; how many are still there.
///
/// Conditions beside each other are looked at in any order: what ends a process stands behind a CASE.
const END: &str = "SELECT count(CASE \
                   WHEN pid <> $1 OR CAST(extract(epoch FROM backend_start) * 1000000 AS BIGINT) <> $2 THEN NULL \
                   WHEN pg_terminate_backend(pid, 1000) THEN NULL ELSE 1 END) \
                   FROM pg_stat_activity WHERE pid = $1";

/// A batch whose every place is foreseen.
pub struct Foreseen<'a> {
    events: &'a [Append<'a>],
    fates: Vec<Fate>,
    rooms: Vec<Wanted<'a>>,
    /// An organisation, the newest number of its events, and how many are to come.
    orgs: Vec<(&'a Org, u64, u64)>,
}

/// What the statement found.
enum Verdict {
    /// Somebody else has appended, and nothing is stored.
    Moved,
    /// A key is known, and nothing is stored.
    Known,
    Stored,
}

/// What is wanted of a room.
struct Wanted<'a> {
    room: &'a Room,
    was: Stand,
    more: u64,
    bytes: u64,
    now_ms: u64,
}

impl Appender {
    /// One that knows nothing yet.
    pub fn new(store: Store) -> Self {
        Self { store, line: None, far_end: None, stands: Stands::default() }
    }

    /// Takes in where a transaction left what it appended to, which has to be committed.
    pub fn learn(&mut self, left: Stands) {
        if !self.store.is_postgres() {
            return;
        }
        if self.stands.rooms.len() + left.rooms.len() > ROOMS {
            self.stands = Stands::default();
        }
        self.stands.rooms.extend(left.rooms);
        self.stands.orgs.extend(left.orgs);
    }

    /// Numbers a batch as it will stand in the log if nobody else has appended meanwhile; `None` if something of it is
    /// not known here, and always on SQLite, where statements are no exchanges.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name or key beyond its bounds.
    pub fn foresee<'a>(&self, events: &'a [Append<'a>]) -> Result<Option<Foreseen<'a>>> {
        for event in events {
            Append::check(event.room, event.event, event.key)?;
        }
        Ok(if self.store.is_postgres() { self.stands.foresee(events) } else { None })
    }

    /// Appends a batch and commits it; `None` if it does not stand as was foreseen, and nothing is stored then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nobody knows whether it is stored.
    pub async fn append(&mut self, batch: Foreseen<'_>) -> Result<Option<Vec<Appended>>> {
        // Whoever loses patience with this leaves nothing behind that may be wrong.
        let stands = std::mem::take(&mut self.stands);
        let mut reader = self.line().await?;
        let verdict = match batch.run(&mut reader).await {
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // The long way finds out who has to be told what.
            Err(_) => Verdict::Moved,
            Ok(verdict) => verdict,
        };
        self.line = Some((reader, Instant::now()));
        match verdict {
            Verdict::Moved => return Ok(None),
            Verdict::Known => {
                self.stands = stands;
                return Ok(None);
            }
            Verdict::Stored => self.stands = stands.behind(&batch),
        }
        Ok(Some(batch.fates.into_iter().map(|fate| fate.appended).collect()))
    }

    /// Returns once whatever was given up in these organisations is stored or never will be.
    ///
    /// A database that could not be reached for a while may have it on its way still, and would store it after it was
    /// looked for. A statement that waits to be read holds nothing: whoever is at the other end is ended first. A
    /// transaction that was told to commit holds its organisations' rows until it has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if that is not certain yet.
    pub async fn settle(&mut self, orgs: &[&Org]) -> Result<()> {
        if !self.store.is_postgres() {
            return Ok(());
        }
        self.end_far_end().await?;
        let mut tx = self.store.begin().await?;
        for org in orgs {
            tx.row("SELECT sequence FROM log_orgs WHERE org = $1 FOR UPDATE", args![*org]).await?;
        }
        tx.commit().await
    }

    async fn end_far_end(&mut self) -> Result<()> {
        let (None, Some(FarEnd { number, begun_us })) = (&self.line, self.far_end) else { return Ok(()) };
        let mut reader = self.store.read().await?;
        let left = reader.row(END, args![number, begun_us]).await?;
        if left.map(|row| row.int(0)).transpose()? != Some(0) {
            return Err(StoreError::Unavailable("what was given up may still be at work".into()));
        }
        self.far_end = None;
        Ok(())
    }

    async fn line(&mut self) -> Result<Reader> {
        if let Some((mut reader, used)) = self.line.take()
            && (used.elapsed() < FRESH || reader.row("SELECT 1", &[]).await.is_ok())
        {
            return Ok(reader);
        }
        let mut reader = self.store.own(STATEMENT).await?;
        if let Some(row) = reader.row(WHO, &[]).await? {
            self.far_end = Some(FarEnd { number: row.int(0)?, begun_us: row.int(1)? });
        }
        Ok(reader)
    }
}

impl Stands {
    /// The same once a batch is stored.
    fn behind(mut self, batch: &Foreseen<'_>) -> Self {
        for Wanted { room, more, .. } in &batch.rooms {
            if let Some(stand) = self.rooms.get_mut(*room) {
                stand.top += more;
            }
        }
        for (org, was, more) in &batch.orgs {
            if let Some(last) = self.orgs.get_mut(*org) {
                *last = was + more;
            }
        }
        self
    }

    fn foresee<'a>(&self, events: &'a [Append<'a>]) -> Option<Foreseen<'a>> {
        let mut fates = Vec::with_capacity(events.len());
        let (mut rooms, mut orgs) = (Vec::<Wanted<'a>>::new(), Vec::<(&Org, u64, u64)>::new());
        let (mut at, mut orgs_at, mut keys) = (HashMap::new(), HashMap::new(), HashSet::new());
        for event in events {
            let Append { room, at_ms, id, key, .. } = *event;
            if key.is_some_and(|key| !keys.insert((room, key))) {
                return None;
            }
            let here = *at.entry(room).or_insert(rooms.len());
            if here == rooms.len() {
                let was = *self.rooms.get(room)?;
                rooms.push(Wanted { room, was, more: 0, bytes: 0, now_ms: 0 });
            }
            let wanted = &mut rooms[here];
            wanted.more += 1;
            wanted.bytes += bytes_of(event.event, event.payload);
            wanted.now_ms = wanted.now_ms.max(at_ms);
            let org = *orgs_at.entry(room.org()).or_insert(orgs.len());
            if org == orgs.len() {
                orgs.push((room.org(), *self.orgs.get(room.org())?, 0));
            }
            let (_, last, more) = &mut orgs[org];
            *more += 1;
            let position = Position::of(wanted.was.epoch, wanted.was.top + wanted.more, id);
            let appended = Appended::At { position, sequence: *last + *more };
            fates.push(Fate { room_id: wanted.was.id, body: key.map(|_| body_of(event)), appended });
        }
        Some(Foreseen { events, fates, rooms, orgs })
    }
}

impl Foreseen<'_> {
    async fn run(&self, reader: &mut Reader) -> Result<Verdict> {
        let packed = packed(self.events);
        let orgs: Vec<_> = self.orgs.iter().flat_map(|(org, was, more)| *args![*org, *was, *more]).collect();
        let rooms: Vec<Value<'_>> = self.rooms.iter().flat_map(Wanted::values).collect();
        let events = event_values(self.events, &self.fates, &packed);
        let mut keys = Vec::new();
        for row in key_values(self.events, &self.fates) {
            keys.extend(row);
            if let [.., Value::Int(Some(at_ms))] = row {
                keys.push(Value::Int(Some(at_ms.saturating_sub_unsigned(KEY_MS))));
            }
        }
        let tables = [Columns(3, &orgs), Columns(5, &rooms), Columns(11, &events), Columns(8, &keys)];
        let rows = if keys.is_empty() {
            reader.rows_in_columns(WITHOUT_KEYS, &tables[..3]).await?
        } else {
            reader.rows_in_columns(WITH_KEYS, &tables).await?
        };
        match rows.first().map(|row| row.int(0)) {
            Some(Ok(0)) => Ok(Verdict::Moved),
            Some(Ok(1)) => Ok(Verdict::Known),
            Some(Ok(2)) => Ok(Verdict::Stored),
            // It went through, and did who knows what.
            _ => Err(StoreError::Unavailable("an answer that cannot be read".into())),
        }
    }
}

impl<'a> Wanted<'a> {
    fn values(&self) -> [Value<'a>; 5] {
        *args![self.was.id, self.was.top, self.more, self.bytes, self.now_ms]
    }
}
