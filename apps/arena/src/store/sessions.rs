//! Sessions: tournaments with players, limits and a ladder of their own.

use tidings_app::{Changes, Org, Reader, Refusal, args};
use tidings_store::{Row, StoreError};

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whether nobody has closed it.
    pub open: bool,
    /// When it begins, in milliseconds since 1970.
    pub starts_ms: Option<u64>,
    /// When it ends.
    pub ends_ms: Option<u64>,
    /// How many may play in it.
    pub max_players: Option<u64>,
    /// How many matches one may play in it.
    pub max_matches: Option<u64>,
    /// The rating everybody begins with.
    pub initial_rating: i64,
    /// Its own K-factor.
    pub k: Option<i64>,
    /// How many play in it.
    pub players: u64,
    /// When it was made.
    pub created_ms: u64,
}

impl Session {
    /// Whether nobody comes in or begins a match any more: it was closed, or its time is up.
    pub fn is_over(&self, now_ms: u64) -> bool {
        !self.open || self.ends_ms.is_some_and(|ends| ends <= now_ms)
    }
}

/// Columns of a session, in the order of [`session`].
macro_rules! columns {
    () => {
        "id, name, status, starts_ms, ends_ms, max_players, max_matches, initial_rating, k_factor, players, created_ms"
    };
}

fn session(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.text(0)?,
        name: row.text(1)?,
        open: row.text(2)? == "open",
        starts_ms: row.count_or_none(3)?,
        ends_ms: row.count_or_none(4)?,
        max_players: row.count_or_none(5)?,
        max_matches: row.count_or_none(6)?,
        initial_rating: row.int(7)?,
        k: row.int_or_none(8)?,
        players: row.count(9)?,
        created_ms: row.count(10)?,
    })
}

/// A session by id.
pub async fn find(reader: &mut Reader, org: &Org, id: &str) -> Result<Option<Session>, Refusal> {
    let sql = concat!("SELECT ", columns!(), " FROM arena_sessions WHERE org = $1 AND id = $2");
    let row = reader.row(sql, args![org, id]).await?;
    Ok(row.map(|row| session(&row)).transpose()?)
}

/// The newest sessions; those that are over (`closed`) or are not (`open`) alone, unless `status` is empty.
pub async fn newest(
    reader: &mut Reader,
    org: &Org,
    (status, now_ms): (&str, u64),
    most: u64,
) -> Result<Vec<Session>, Refusal> {
    // As `is_over` has it.
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM arena_sessions WHERE org = $1 AND ($2 = '' OR $2 = \
         CASE WHEN status <> 'open' OR ends_ms <= $3 THEN 'closed' ELSE 'open' END) \
         ORDER BY created_ms DESC, id LIMIT $4"
    );
    let rows = reader.rows(sql, args![org, status, now_ms, most]).await?;
    Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
}

/// Adds a session; `false` if the id is taken.
pub async fn add(tx: &mut Changes, org: &Org, session: &Session) -> Result<bool, Refusal> {
    let sql = concat!(
        "INSERT INTO arena_sessions (org, ",
        columns!(),
        ") VALUES ($1, $2, $3, 'open', $4, $5, $6, $7, $8, $9, 0, $10) ON CONFLICT (org, id) DO NOTHING"
    );
    let Session {
        id, name, starts_ms, ends_ms, max_players, max_matches, initial_rating, k, created_ms, ..
    } = session;
    let k = k.and_then(|k| u64::try_from(k).ok());
    let values = args![
        org,
        id,
        name,
        *starts_ms,
        *ends_ms,
        *max_players,
        *max_matches,
        *initial_rating,
        k,
        *created_ms
    ];
    Ok(tx.run(sql, values).await? > 0)
}

/// Counts the players of a session.
pub async fn count(tx: &mut Changes, org: &Org, id: &str, by: i64) -> Result<(), Refusal> {
    let sql = "UPDATE arena_sessions SET players = players + $3 WHERE org = $1 AND id = $2";
    tx.run(sql, args![org, id, by]).await?;
    Ok(())
}

/// Results of it count no more.
pub async fn close(tx: &mut Changes, org: &Org, id: &str) -> Result<bool, Refusal> {
    let sql = "UPDATE arena_sessions SET status = 'closed' WHERE org = $1 AND id = $2 AND status = 'open'";
    Ok(tx.run(sql, args![org, id]).await? > 0)
}
