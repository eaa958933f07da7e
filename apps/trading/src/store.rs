//! The app's tables: rooms, their journals, kept standings. One SQL text serves both databases.

use tidings_app::{Changes, Migration, Org, Reader, Refusal, args};
use tidings_store::{ManyRows, Row, StoreError, Value};

use crate::journal::{Entry, Hash, Input};
use crate::rooms::Key;
use crate::rules::Rules;

/// The tables of this app.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        owner: "trading",
        number: 1,
        name: "rooms, journals, snapshots",
        both: include_str!("../migrations/0001_trading.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "trading",
        number: 2,
        name: "replays, removal",
        both: include_str!("../migrations/0002_replays.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        owner: "trading",
        number: 3,
        name: "images of rooms",
        both: include_str!("../migrations/0003_images.sql"),
        sqlite: "",
        postgres: "",
    },
];

/// A room as stored; everything else of it is in its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whose it is: a user's, or empty for a server's.
    pub owner: String,
    /// Its rules.
    pub rules: Rules,
    /// How it stands, by name.
    pub state: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The number of the newest entry.
    pub seq: u64,
    /// The newest link of the chain.
    pub chain: Hash,
}

impl RoomRow {
    /// Where its journal has come to.
    pub fn top(&self) -> Top {
        Top { seq: self.seq, chain: self.chain, created_ms: self.created_ms }
    }

    /// The room's time: that of the server from when it was made, as many times as fast as its rules say.
    pub fn time(&self, now_ms: u64) -> u64 {
        let passed = now_ms.saturating_sub(self.created_ms);
        self.created_ms.saturating_add(passed.saturating_mul(u64::from(self.rules.speed)))
    }

    /// When a time of the room is, by the clock of the server.
    pub fn when(&self, room_ms: u64) -> u64 {
        self.created_ms.saturating_add(self.lasts(room_ms.saturating_sub(self.created_ms)))
    }

    /// How long a time of the room lasts by the clock of the server.
    pub fn lasts(&self, room_ms: u64) -> u64 {
        room_ms.div_ceil(u64::from(self.rules.speed.max(1)))
    }
}

/// Columns of a room, in the order of [`room`].
macro_rules! columns {
    () => {
        "id, name, owner, rules, state, created_ms, seq, chain"
    };
}

fn room(row: &Row) -> Result<RoomRow, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(what.to_owned());
    Ok(RoomRow {
        id: row.text(0)?,
        name: row.text(1)?,
        owner: row.text(2)?,
        rules: serde_json::from_str(&row.text(3)?).map_err(|_| corrupt("rules are none"))?,
        state: row.text(4)?,
        created_ms: row.count(5)?,
        seq: row.count(6)?,
        chain: Hash::parse(&row.text(7)?).ok_or_else(|| corrupt("a chain is none"))?,
    })
}

/// A room by id.
pub async fn find(reader: &mut Reader, org: &Org, id: &str) -> Result<Option<RoomRow>, Refusal> {
    let sql = concat!("SELECT ", columns!(), " FROM trading_rooms WHERE org = $1 AND id = $2");
    let row = reader.row(sql, args![org, id]).await?;
    Ok(row.map(|row| room(&row)).transpose()?)
}

/// Where the journal of a room has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// The number of the newest entry.
    pub seq: u64,
    /// The newest link of the chain.
    pub chain: Hash,
    /// When the room was made: one of the same id that was made later is another.
    pub created_ms: u64,
}

/// Where a room has come to, which nobody else changes until this transaction is over.
pub async fn hold(tx: &mut Changes, org: &Org, id: &str) -> Result<Option<Top>, Refusal> {
    let sql = "UPDATE trading_rooms SET touched = touched + 1 WHERE org = $1 AND id = $2 \
               RETURNING seq, chain, created_ms";
    let row = tx.row(sql, args![org, id]).await?;
    let top = |row: Row| {
        let chain =
            Hash::parse(&row.text(1)?).ok_or_else(|| StoreError::Corrupt("a chain is none".into()))?;
        Ok::<_, StoreError>(Top { seq: row.count(0)?, chain, created_ms: row.count(2)? })
    };
    Ok(row.map(top).transpose()?)
}

/// Which rooms are listed.
#[derive(Debug, Default)]
pub struct Which<'a> {
    /// Only those that stand so, if it is not empty.
    pub state: &'a str,
    /// Whose drafts are among them; everybody's, if nobody is named.
    pub drafts_of: Option<&'a str>,
    /// Only those that come behind this one.
    pub before: Option<&'a RoomRow>,
}

/// The newest rooms.
pub async fn newest(
    reader: &mut Reader,
    org: &Org,
    which: &Which<'_>,
    most: u64,
) -> Result<Vec<RoomRow>, Refusal> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM trading_rooms WHERE org = $1 AND ($2 = '' OR state = $2) \
         AND ($3 = 1 OR state <> 'draft' OR (owner <> '' AND owner = $4)) \
         AND created_ms <= $5 AND (created_ms < $5 OR id > $6) ORDER BY created_ms DESC, id LIMIT $7"
    );
    let Which { state, drafts_of, before } = *which;
    let (all, owner) = (u64::from(drafts_of.is_none()), drafts_of.unwrap_or_default());
    // What the database has for a time is a signed number.
    let (at, id) = before.map_or((i64::MAX as u64, ""), |last| (last.created_ms, last.id.as_str()));
    let rows = reader.rows(sql, args![org, state, all, owner, at, id, most]).await?;
    Ok(rows.iter().map(room).collect::<Result<_, _>>()?)
}

/// How many rooms of an owner have not ended.
pub async fn unended(reader: &mut Reader, org: &Org, owner: &str) -> Result<u64, Refusal> {
    let sql = "SELECT count(*) FROM trading_rooms WHERE org = $1 AND owner = $2 AND state <> 'ended'";
    let row = reader.row(sql, args![org, owner]).await?;
    Ok(row.map_or(Ok(0), |row| row.count(0))?)
}

/// Adds a room; `false` if the id is taken, or what a room of this id has left is not removed yet.
pub async fn add(tx: &mut Changes, org: &Org, row: &RoomRow) -> Result<bool, Refusal> {
    let sql = "INSERT INTO trading_rooms (org, id, name, owner, rules, state, created_ms, members, seq, chain, touched) \
               SELECT $1, $2, $3, $4, $5, 'draft', $6, 0, 0, $7, 0 \
               WHERE NOT EXISTS (SELECT 1 FROM trading_removed WHERE org = $1 AND id = $2) ON CONFLICT (org, id) DO NOTHING";
    let rules =
        serde_json::to_string(&row.rules).map_err(|_| Refusal::unavailable("the rules cannot be written"))?;
    let chain = row.chain.to_string();
    let values = args![org, &row.id, &row.name, &row.owner, &rules, row.created_ms, &chain];
    Ok(tx.run(sql, values).await? > 0)
}

/// What the row of a room says of its journal.
#[derive(Debug)]
pub struct Head<'a> {
    /// How it stands, by name.
    pub state: &'a str,
    /// How many are in it.
    pub members: u64,
    /// The number of the newest entry.
    pub seq: u64,
    /// The newest link of the chain.
    pub chain: &'a str,
    /// When it was started.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
}

/// Changes the row of a room that is held.
///
/// How it stands is in indexes, which the database would write anew with each entry; it seldom changes, and the number of members
/// only while they join and leave.
pub async fn save(tx: &mut Changes, org: &Org, id: &str, head: &Head<'_>) -> Result<(), Refusal> {
    let Head { state, members, seq, chain, started_ms, ended_ms } = head;
    let sql = "UPDATE trading_rooms SET seq = $3, chain = $4 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, id, *seq, *chain]).await?;
    let sql = "UPDATE trading_rooms SET state = $3, members = $4, started_ms = $5, ended_ms = $6 \
               WHERE org = $1 AND id = $2 AND (state <> $3 OR members <> $4)";
    tx.run(sql, args![org, id, *state, *members, *started_ms, *ended_ms]).await?;
    Ok(())
}

/// When a timer has to look at a room, by the clock of the server.
pub async fn schedule(
    tx: &mut Changes,
    org: &Org,
    id: &str,
    (ends_ms, snapshot_ms): (Option<u64>, Option<u64>),
) -> Result<(), Refusal> {
    let sql = "UPDATE trading_rooms SET ends_ms = $3, snapshot_ms = $4 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, id, ends_ms, snapshot_ms]).await?;
    Ok(())
}

/// Keeps when the next snapshot is due.
pub async fn snapshot_next(tx: &mut Changes, org: &Org, id: &str, at_ms: u64) -> Result<(), Refusal> {
    let sql = "UPDATE trading_rooms SET snapshot_ms = $3 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, id, at_ms]).await?;
    Ok(())
}

/// Keeps when the first open orders are to be cancelled.
pub async fn cancel_next(tx: &mut Changes, org: &Org, id: &str, at_ms: Option<u64>) -> Result<(), Refusal> {
    let sql = "UPDATE trading_rooms SET cancel_ms = $3 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, id, at_ms]).await?;
    Ok(())
}

/// What a timer sees to in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Open orders of somebody who did not put it off are cancelled.
    Cancels,
    /// Standings are kept.
    Snapshots,
    /// It ends.
    Ends,
}

/// Leaves a room alone until then, as far as a timer goes.
pub async fn put_off(tx: &mut Changes, key: &Key, timer: Timer, until_ms: u64) -> Result<(), Refusal> {
    macro_rules! later {
        ($due:literal) => {
            concat!(
                "UPDATE trading_rooms SET ",
                $due,
                " = $3 WHERE org = $1 AND id = $2 AND state = 'running' AND ",
                $due,
                " < $3"
            )
        };
    }
    let sql = match timer {
        Timer::Cancels => later!("cancel_ms"),
        Timer::Snapshots => later!("snapshot_ms"),
        Timer::Ends => later!("ends_ms"),
    };
    tx.run(sql, args![&key.0, &key.1, until_ms]).await?;
    Ok(())
}

/// Running rooms in which something is due, of each sort those first that wait longest.
#[derive(Debug, Default)]
pub struct Due {
    /// A price of their file.
    pub prices: Vec<Key>,
    /// Open orders of somebody who did not put it off.
    pub cancels: Vec<Key>,
    /// A snapshot.
    pub snapshots: Vec<Key>,
    /// Their end.
    pub ends: Vec<Key>,
}

/// Running rooms in which something is due, of each sort so many at most, and so many that are `fed`. It is asked all the
/// time, so in one statement.
pub async fn due(reader: &mut Reader, now_ms: u64, (most, fed): (u64, u64)) -> Result<Due, Refusal> {
    let sql = "SELECT * FROM (SELECT CAST(0 AS BIGINT) AS sort, due_ms AS at_ms, r.org, r.id FROM trading_replays \
               JOIN trading_rooms r ON r.org = trading_replays.org AND r.id = room \
               WHERE due_ms <= $1 AND state = 'running' ORDER BY due_ms LIMIT $3) AS prices \
               UNION ALL SELECT * FROM (SELECT 1, cancel_ms, org, id FROM trading_rooms \
               WHERE state = 'running' AND cancel_ms <= $1 ORDER BY cancel_ms LIMIT $2) AS cancels \
               UNION ALL SELECT * FROM (SELECT 2, snapshot_ms, org, id FROM trading_rooms \
               WHERE state = 'running' AND snapshot_ms <= $1 ORDER BY snapshot_ms LIMIT $2) AS snapshots \
               UNION ALL SELECT * FROM (SELECT 3, ends_ms, org, id FROM trading_rooms \
               WHERE state = 'running' AND ends_ms <= $1 ORDER BY ends_ms LIMIT $2) AS ends \
               ORDER BY sort, at_ms";
    let mut due = Due::default();
    for row in reader.rows(sql, args![now_ms, most, fed]).await? {
        let sort = match row.count(0)? {
            0 => &mut due.prices,
            1 => &mut due.cancels,
            2 => &mut due.snapshots,
            _ => &mut due.ends,
        };
        sort.push((row.org(2)?, row.text(3)?));
    }
    Ok(due)
}

/// Rooms by organisation and id.
pub(crate) fn keys(rows: &[Row]) -> Result<Vec<(Org, String)>, Refusal> {
    let key = |row: &Row| Ok::<_, StoreError>((row.org(0)?, row.text(1)?));
    Ok(rows.iter().map(key).collect::<Result<_, _>>()?)
}

static WRITE: ManyRows =
    ManyRows::new("INSERT INTO trading_journal (org, room, seq, at_ms, input) VALUES ", 5, "");

/// Adds entries to a journal.
pub async fn write(tx: &mut Changes, org: &Org, id: &str, entries: &[Entry]) -> Result<(), Refusal> {
    let inputs: Result<Vec<String>, _> =
        entries.iter().map(|entry| serde_json::to_string(&entry.input)).collect();
    let inputs = inputs.map_err(|_| Refusal::unavailable("the entry cannot be written"))?;
    let mut values: Vec<Value<'_>> = Vec::with_capacity(5 * entries.len());
    for (entry, input) in entries.iter().zip(&inputs) {
        values.extend_from_slice(args![org, id, entry.seq, entry.at_ms, input]);
    }
    tx.run_rows(&WRITE, &values).await?;
    Ok(())
}

/// Entries of a journal behind a number, in order.
pub async fn read(
    reader: &mut Reader,
    org: &Org,
    id: &str,
    (after, most): (u64, u64),
) -> Result<Vec<Entry>, Refusal> {
    let sql = "SELECT seq, at_ms, input FROM trading_journal WHERE org = $1 AND room = $2 AND seq > $3 \
               ORDER BY seq LIMIT $4";
    let rows = reader.rows(sql, args![org, id, after, most]).await?;
    let entry = |row: &Row| {
        let input: Input = serde_json::from_str(&row.text(2)?)
            .map_err(|_| StoreError::Corrupt("an entry of a journal is none".into()))?;
        Ok::<_, StoreError>(Entry { seq: row.count(0)?, at_ms: row.count(1)?, input })
    };
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}

/// Standings that are kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// How many were kept before, and one.
    pub number: u64,
    /// The place in the journal.
    pub seq: u64,
    /// When, in the room's time.
    pub at_ms: u64,
    /// Everybody in order, as JSON; nothing where they are only listed.
    pub entries: String,
}

/// Standings of a room that are kept at most; older ones give way.
pub const SNAPSHOTS_MOST: u64 = 1_000;

/// Keeps standings; their number. The room is held.
pub async fn keep(
    tx: &mut Changes,
    org: &Org,
    id: &str,
    (seq, at_ms, entries): (u64, u64, &str),
) -> Result<u64, Refusal> {
    let sql = "INSERT INTO trading_snapshots (org, room, seq, number, at_ms, entries) \
               SELECT $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5 FROM trading_snapshots \
               WHERE org = $1 AND room = $2 RETURNING number";
    let row = tx.row(sql, args![org, id, seq, at_ms, entries]).await?;
    let number = row.map_or(Ok(0), |row| row.count(0))?;
    let sql = "DELETE FROM trading_snapshots WHERE org = $1 AND room = $2 AND number <= $3";
    tx.run(sql, args![org, id, number.saturating_sub(SNAPSHOTS_MOST)]).await?;
    Ok(number)
}

/// Standings that were kept, by number.
pub async fn kept(reader: &mut Reader, org: &Org, id: &str, number: u64) -> Result<Option<Kept>, Refusal> {
    let sql = "SELECT number, seq, at_ms, entries FROM trading_snapshots \
               WHERE org = $1 AND room = $2 AND number = $3";
    let row = reader.row(sql, args![org, id, number]).await?;
    let one = |row: Row| {
        let (number, seq) = (row.count(0)?, row.count(1)?);
        Ok::<_, StoreError>(Kept { number, seq, at_ms: row.count(2)?, entries: row.text(3)? })
    };
    Ok(row.map(one).transpose()?)
}

/// Which standings were kept and when, without them: so many of the newest behind others, and how many there are in all.
pub async fn all_kept(
    reader: &mut Reader,
    org: &Org,
    id: &str,
    (offset, most): (u64, u64),
) -> Result<(Vec<Kept>, u64), Refusal> {
    let sql = "SELECT count(*) FROM trading_snapshots WHERE org = $1 AND room = $2";
    let total = reader.row(sql, args![org, id]).await?.map_or(Ok(0), |row| row.count(0))?;
    let sql = "SELECT number, seq, at_ms FROM trading_snapshots \
               WHERE org = $1 AND room = $2 ORDER BY number DESC LIMIT $3 OFFSET $4";
    // No more are kept, and what the database has for a number is a signed one.
    let rows = reader.rows(sql, args![org, id, most, offset.min(total)]).await?;
    let one = |row: &Row| {
        let (number, seq, at_ms) = (row.count(0)?, row.count(1)?, row.count(2)?);
        Ok::<_, StoreError>(Kept { number, seq, at_ms, entries: String::new() })
    };
    Ok((rows.iter().map(one).collect::<Result<_, _>>()?, total))
}
