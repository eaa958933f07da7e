//! Players, their friends, and what they have reached.

use tidings_app::{Changes, Org, Reader, Refusal, args};
use tidings_store::{Row, StoreError};

/// Friends of one player at most: each of them is told what the player does.
pub const FRIENDS_MOST: usize = 100;

/// A player as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// The user's id.
    pub id: String,
    /// The number with which the player came.
    pub number: i64,
    /// The name that is shown.
    pub name: String,
    /// The country's code.
    pub country: Option<String>,
    /// When the player came, in milliseconds since 1970.
    pub created_ms: u64,
}

fn player(row: &Row) -> Result<Player, StoreError> {
    Ok(Player {
        id: row.text(0)?,
        number: row.int(1)?,
        name: row.text(2)?,
        country: row.text_or_none(3)?,
        created_ms: row.count(4)?,
    })
}

/// Somebody by id.
pub async fn find(reader: &mut Reader, org: &Org, id: &str) -> Result<Option<Player>, Refusal> {
    let sql = "SELECT id, number, name, country, created_ms FROM arena_players WHERE org = $1 AND id = $2";
    let row = reader.row(sql, args![org, id]).await?;
    Ok(row.map(|row| player(&row)).transpose()?)
}

/// Adds somebody; `false` if the id is taken.
pub async fn add(tx: &mut Changes, org: &Org, player: &Player) -> Result<bool, Refusal> {
    let sql = "INSERT INTO arena_players (org, id, number, name, country, created_ms) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org, id) DO NOTHING";
    let Player { id, number, name, country, created_ms } = player;
    Ok(tx.run(sql, args![org, id, *number, name, country, *created_ms]).await? > 0)
}

/// Changes name and country.
pub async fn change(tx: &mut Changes, org: &Org, player: &Player) -> Result<(), Refusal> {
    let sql = "UPDATE arena_players SET name = $3, country = $4 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, &player.id, &player.name, &player.country]).await?;
    Ok(())
}

/// Players by id, after one; `most` at most.
pub async fn page(reader: &mut Reader, org: &Org, after: &str, most: u64) -> Result<Vec<Player>, Refusal> {
    let sql = "SELECT id, number, name, country, created_ms FROM arena_players \
               WHERE org = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = reader.rows(sql, args![org, after, most]).await?;
    Ok(rows.iter().map(player).collect::<Result<_, _>>()?)
}

/// Somebody's wishes: whom, and whether it is wished back.
pub async fn friends(reader: &mut Reader, org: &Org, id: &str) -> Result<Vec<(String, bool)>, Refusal> {
    let sql = "SELECT f.friend, CAST(CASE WHEN b.player IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM arena_friends f \
               LEFT JOIN arena_friends b ON b.org = f.org AND b.player = f.friend AND b.friend = f.player \
               WHERE f.org = $1 AND f.player = $2 ORDER BY f.friend LIMIT $3";
    let rows = reader.rows(sql, args![org, id, FRIENDS_MOST as u64]).await?;
    let friend = |row: &Row| Ok((row.text(0)?, row.int(1)? != 0));
    Ok(rows.iter().map(friend).collect::<Result<_, StoreError>>()?)
}

/// Somebody's friends: those who wish it, too.
pub async fn mutual(reader: &mut Reader, org: &Org, id: &str) -> Result<Vec<String>, Refusal> {
    let all = friends(reader, org, id).await?;
    Ok(all.into_iter().filter(|(_, mutual)| *mutual).map(|(friend, _)| friend).collect())
}

/// Somebody wishes to be somebody's friend.
pub async fn befriend(
    tx: &mut Changes,
    org: &Org,
    player: &str,
    friend: &str,
    at_ms: u64,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO arena_friends (org, player, friend, at_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (org, player, friend) DO NOTHING";
    tx.run(sql, args![org, player, friend, at_ms]).await?;
    Ok(())
}

/// Somebody wishes it no more.
pub async fn leave(tx: &mut Changes, org: &Org, player: &str, friend: &str) -> Result<bool, Refusal> {
    let sql = "DELETE FROM arena_friends WHERE org = $1 AND player = $2 AND friend = $3";
    Ok(tx.run(sql, args![org, player, friend]).await? > 0)
}

/// What somebody has reached: id and time, the oldest first.
pub async fn reached(reader: &mut Reader, org: &Org, id: &str) -> Result<Vec<(String, u64)>, Refusal> {
    let sql = "SELECT id, at_ms FROM arena_achievements WHERE org = $1 AND player = $2 ORDER BY at_ms, id";
    let rows = reader.rows(sql, args![org, id]).await?;
    Ok(rows.iter().map(|row| Ok((row.text(0)?, row.count(1)?))).collect::<Result<_, StoreError>>()?)
}

/// Somebody reaches something.
pub async fn reach(
    tx: &mut Changes,
    org: &Org,
    id: &str,
    achievement: &str,
    at_ms: u64,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO arena_achievements (org, player, id, at_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (org, player, id) DO NOTHING";
    tx.run(sql, args![org, id, achievement, at_ms]).await?;
    Ok(())
}

/// Somebody has not reached it after all.
pub async fn withdraw(tx: &mut Changes, org: &Org, id: &str, achievement: &str) -> Result<(), Refusal> {
    let sql = "DELETE FROM arena_achievements WHERE org = $1 AND player = $2 AND id = $3";
    tx.run(sql, args![org, id, achievement]).await?;
    Ok(())
}
