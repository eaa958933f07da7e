//! What is stored of replays.

use tidings_app::{Changes, Org, Reader, Refusal, args};
use tidings_store::{Row, StoreError};

use crate::journal::Hash;
use crate::rooms::Key;

/// A room that is fed from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The file's hash.
    pub tape: Hash,
    /// What it was called by who chose it.
    pub name: String,
    /// How many times as fast its prices come as they did.
    pub rate: u64,
    /// How many of its prices are done with.
    pub given: u64,
    /// How many there are.
    pub total: u64,
    /// When the next is due, by the clock of the server; nothing, when there is none.
    pub due_ms: Option<u64>,
}

/// Keeps a file, once.
pub async fn keep(tx: &mut Changes, org: &Org, hash: Hash, prices: &str) -> Result<(), Refusal> {
    let sql = "INSERT INTO trading_tapes (org, hash, prices, kept_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (org, hash) DO UPDATE SET kept_ms = excluded.kept_ms";
    let now_ms = tx.now_ms();
    tx.run(sql, args![org, &hash.to_string(), prices, now_ms]).await?;
    Ok(())
}

/// The text of a file.
pub async fn tape(reader: &mut Reader, org: &Org, hash: Hash) -> Result<Option<String>, Refusal> {
    let sql = "SELECT prices FROM trading_tapes WHERE org = $1 AND hash = $2";
    let row = reader.row(sql, args![org, &hash.to_string()]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Has a room fed, from the beginning of a file.
pub async fn set(tx: &mut Changes, key: &Key, replay: &Replay) -> Result<(), Refusal> {
    let sql = "INSERT INTO trading_replays (org, room, tape, name, rate, given, total, due_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org, room) DO UPDATE SET tape = excluded.tape, \
               name = excluded.name, rate = excluded.rate, given = excluded.given, total = excluded.total, \
               due_ms = excluded.due_ms";
    let Replay { tape, name, rate, given, total, due_ms } = replay;
    let tape = tape.to_string();
    tx.run(sql, args![&key.0, &key.1, &tape, name, *rate, *given, *total, *due_ms]).await?;
    Ok(())
}

/// A room begins: if it is fed, the first price is due.
pub async fn begin(tx: &mut Changes, org: &Org, id: &str) -> Result<(), Refusal> {
    let sql = "UPDATE trading_replays SET due_ms = 0 WHERE org = $1 AND room = $2";
    tx.run(sql, args![org, id]).await?;
    Ok(())
}

/// How a room is fed, if it is.
pub async fn find(reader: &mut Reader, key: &Key) -> Result<Option<Replay>, Refusal> {
    let sql =
        "SELECT tape, name, rate, given, total, due_ms FROM trading_replays WHERE org = $1 AND room = $2";
    let row = reader.row(sql, args![&key.0, &key.1]).await?;
    let replay = |row: Row| {
        let tape = Hash::parse(&row.text(0)?).ok_or_else(|| StoreError::Corrupt("a hash is none".into()))?;
        let (name, rate, due_ms) = (row.text(1)?, row.count(2)?, row.count_or_none(5)?);
        Ok::<_, StoreError>(Replay { tape, name, rate, given: row.count(3)?, total: row.count(4)?, due_ms })
    };
    Ok(row.map(replay).transpose()?)
}

/// Whether prices of a file are still to come in a room.
pub async fn is_fed(reader: &mut Reader, key: &Key) -> Result<bool, Refusal> {
    Ok(find(reader, key).await?.is_some_and(|replay| replay.due_ms.is_some()))
}

/// When trading began in a room, in its time.
pub async fn started_ms(reader: &mut Reader, key: &Key) -> Result<Option<u64>, Refusal> {
    let sql = "SELECT started_ms FROM trading_rooms WHERE org = $1 AND id = $2";
    let row = reader.row(sql, args![&key.0, &key.1]).await?;
    Ok(row.map(|row| row.count_or_none(0)).transpose()?.flatten())
}

/// How many prices are done with, and when the next is due. The room is held.
pub async fn advance(
    tx: &mut Changes,
    key: &Key,
    (given, due_ms): (u64, Option<u64>),
) -> Result<(), Refusal> {
    let sql = "UPDATE trading_replays SET given = $3, due_ms = $4 WHERE org = $1 AND room = $2";
    tx.run(sql, args![&key.0, &key.1, given, due_ms]).await?;
    Ok(())
}

/// Leaves a room alone until then.
pub async fn put_off(tx: &mut Changes, key: &Key, until_ms: u64) -> Result<(), Refusal> {
    let sql = "UPDATE trading_replays SET due_ms = $3 WHERE org = $1 AND room = $2 AND due_ms < $3";
    tx.run(sql, args![&key.0, &key.1, until_ms]).await?;
    Ok(())
}
