//! What is asked and changed in the tables when rooms are removed.

use tidings_app::{Changes, Reader, Refusal, args};

use crate::images::{self, PARTS_MOST};
use crate::rooms::Key;
use crate::store::keys;

/// Entries of a journal, and standings, that one step removes at most.
const ENTRIES_MOST: u64 = 2_000;
const SNAPSHOTS_MOST: u64 = 20;

/// Whether some room has ended and that was not noted.
pub async fn ended_unnoted(reader: &mut Reader) -> Result<bool, Refusal> {
    let sql = "SELECT 1 FROM trading_rooms WHERE state = 'ended' AND idle_ms IS NULL LIMIT 1";
    Ok(reader.row(sql, args![]).await?.is_some())
}

/// Notes which rooms have ended.
pub async fn note_ended(tx: &mut Changes, most: u64) -> Result<(), Refusal> {
    let sql = "UPDATE trading_rooms SET idle_ms = $1 WHERE (org, id) IN \
               (SELECT org, id FROM trading_rooms WHERE state = 'ended' AND idle_ms IS NULL LIMIT $2)";
    let now_ms = tx.now_ms();
    tx.run(sql, args![now_ms, most]).await?;
    Ok(())
}

/// Rooms that ended, and rooms that nobody joined which were made, before a time each.
pub async fn old(
    reader: &mut Reader,
    (ended_ms, unjoined_ms): (u64, u64),
    most: u64,
) -> Result<Vec<Key>, Refusal> {
    let sql =
        "SELECT org, id FROM trading_rooms WHERE state = 'ended' AND idle_ms <= $1 ORDER BY idle_ms LIMIT $2";
    let mut found = keys(&reader.rows(sql, args![ended_ms, most]).await?)?;
    let sql = "SELECT org, id FROM trading_rooms WHERE state = $1 AND members = 0 AND created_ms <= $2 \
               ORDER BY created_ms LIMIT $3";
    for state in ["draft", "open"] {
        found.extend(keys(&reader.rows(sql, args![state, unjoined_ms, most]).await?)?);
    }
    Ok(found)
}

/// Removes a room, if it is still as old as that; whether it was there.
pub async fn remove(tx: &mut Changes, key: &Key, before: Option<(u64, u64)>) -> Result<bool, Refusal> {
    let sql = "DELETE FROM trading_rooms WHERE org = $1 AND id = $2 AND \
               (state = 'ended' AND (idle_ms <= $3 OR $5 = 1) OR \
                state IN ('draft', 'open') AND members = 0 AND created_ms <= $4)";
    let (ended_ms, unjoined_ms) = before.unwrap_or_default();
    let always: u64 = before.is_none().into();
    let gone = tx.run(sql, args![&key.0, &key.1, ended_ms, unjoined_ms, always]).await? > 0;
    if gone {
        let sql = "INSERT INTO trading_removed (org, id) VALUES ($1, $2) ON CONFLICT (org, id) DO NOTHING";
        tx.run(sql, args![&key.0, &key.1]).await?;
        tx.run("DELETE FROM trading_replays WHERE org = $1 AND room = $2", args![&key.0, &key.1]).await?;
    }
    Ok(gone)
}

/// Rooms of which something is left.
pub async fn removed(reader: &mut Reader, most: u64) -> Result<Vec<Key>, Refusal> {
    let rows =
        reader.rows("SELECT org, id FROM trading_removed ORDER BY org, id LIMIT $1", args![most]).await?;
    keys(&rows)
}

/// Removes a step of what a room has left, and with the last its name; whether there was anything.
pub async fn clear(tx: &mut Changes, key: &Key) -> Result<bool, Refusal> {
    let sql = "DELETE FROM trading_journal WHERE org = $1 AND room = $2 AND seq IN \
               (SELECT seq FROM trading_journal WHERE org = $1 AND room = $2 ORDER BY seq LIMIT $3)";
    let entries = tx.run(sql, args![&key.0, &key.1, ENTRIES_MOST]).await?;
    let sql = "DELETE FROM trading_snapshots WHERE org = $1 AND room = $2 AND number IN \
               (SELECT number FROM trading_snapshots WHERE org = $1 AND room = $2 ORDER BY number LIMIT $3)";
    let snapshots = tx.run(sql, args![&key.0, &key.1, SNAPSHOTS_MOST]).await?;
    let images = images::rows::clear(tx, key, PARTS_MOST).await?;
    if entries + snapshots + images > 0 {
        return Ok(true);
    }
    tx.run("DELETE FROM trading_removed WHERE org = $1 AND id = $2", args![&key.0, &key.1]).await?;
    Ok(false)
}

/// Files that no room has, and that no room was given since a time.
macro_rules! idle_tapes {
    () => {
        " FROM trading_tapes WHERE kept_ms <= $1 AND NOT EXISTS (SELECT 1 FROM trading_replays \
         WHERE trading_replays.org = trading_tapes.org AND tape = hash)"
    };
}

/// Whether there are files of prices that no room has.
pub async fn has_idle_tapes(reader: &mut Reader, before_ms: u64) -> Result<bool, Refusal> {
    let sql = concat!("SELECT 1", idle_tapes!(), " LIMIT 1");
    Ok(reader.row(sql, args![before_ms]).await?.is_some())
}

/// Removes them.
pub async fn remove_idle_tapes(tx: &mut Changes, before_ms: u64) -> Result<(), Refusal> {
    tx.run(concat!("DELETE", idle_tapes!()), args![before_ms]).await?;
    Ok(())
}
