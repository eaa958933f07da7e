//! How players stand in a ladder, and how they stood after each result.

use tidings_app::{Changes, Org, Reader, Refusal, args};
use tidings_store::{Row, StoreError, Value};

use crate::model::{Glicko, Standing};

/// The ladder of everybody, by which countries are ordered, too.
pub const GLOBAL: &str = "global";

/// The ladder of a session.
pub fn of_session(session: &str) -> String {
    format!("session:{session}")
}

/// Columns of a standing, in the order of [`values`] and [`standing`].
macro_rules! columns {
    () => {
        "rating, reached, games, wins, losses, draws, streak, best_streak, peak, g_rating, g_deviation, g_volatility"
    };
}

fn values(standing: &Standing) -> [Value<'static>; 12] {
    let Standing { rating, reached, games, wins, losses, draws, streak, best_streak, peak, glicko } =
        *standing;
    let Glicko { rating: g_rating, deviation, volatility } = glicko;
    [rating, reached, games, wins, losses, draws, streak, best_streak, peak, g_rating, deviation, volatility]
        .map(Value::from)
}

/// The standing in the columns from `at` on.
fn standing(row: &Row, at: usize) -> Result<Standing, StoreError> {
    let glicko =
        Glicko { rating: row.int(at + 9)?, deviation: row.int(at + 10)?, volatility: row.int(at + 11)? };
    Ok(Standing {
        rating: row.int(at)?,
        reached: row.int(at + 1)?,
        games: row.int(at + 2)?,
        wins: row.int(at + 3)?,
        losses: row.int(at + 4)?,
        draws: row.int(at + 5)?,
        streak: row.int(at + 6)?,
        best_streak: row.int(at + 7)?,
        peak: row.int(at + 8)?,
        glicko,
    })
}

/// How somebody stands; `None` for somebody who is not in the ladder.
pub async fn stands(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    player: &str,
) -> Result<Option<Standing>, Refusal> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM arena_standings WHERE org = $1 AND ladder = $2 AND player = $3"
    );
    let row = reader.row(sql, args![org, ladder, player]).await?;
    Ok(row.map(|row| standing(&row, 0)).transpose()?)
}

/// Writes how somebody stands.
pub async fn set_standing(
    tx: &mut Changes,
    org: &Org,
    ladder: &str,
    player: &str,
    standing: &Standing,
) -> Result<(), Refusal> {
    let sql = concat!(
        "INSERT INTO arena_standings (org, ladder, player, ",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (org, ladder, player) DO UPDATE SET rating = excluded.rating, reached = excluded.reached, \
         games = excluded.games, wins = excluded.wins, losses = excluded.losses, draws = excluded.draws, \
         streak = excluded.streak, best_streak = excluded.best_streak, peak = excluded.peak, \
         g_rating = excluded.g_rating, g_deviation = excluded.g_deviation, g_volatility = excluded.g_volatility"
    );
    let key = [Value::from(org), Value::from(ladder), Value::from(player)];
    let values: Vec<Value<'_>> = key.into_iter().chain(values(standing)).collect();
    tx.run(sql, &values).await?;
    Ok(())
}

/// Takes somebody out of a ladder from now on.
pub async fn leave(tx: &mut Changes, org: &Org, ladder: &str, player: &str) -> Result<(), Refusal> {
    let sql = "DELETE FROM arena_standings WHERE org = $1 AND ladder = $2 AND player = $3";
    tx.run(sql, args![org, ladder, player]).await?;
    // Who leaves, comes back and leaves again in one millisecond was not there in it.
    let sql = "INSERT INTO arena_absences (org, ladder, player, left_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (org, ladder, player, left_ms) DO UPDATE SET back_ms = NULL";
    let now_ms = tx.now_ms();
    tx.run(sql, args![org, ladder, player, now_ms]).await?;
    Ok(())
}

/// Takes somebody into a ladder again who has left it, from now on.
pub async fn come_back(
    tx: &mut Changes,
    org: &Org,
    ladder: &str,
    player: &str,
    standing: &Standing,
) -> Result<(), Refusal> {
    set_standing(tx, org, ladder, player, standing).await?;
    let sql = "UPDATE arena_absences SET back_ms = $4 \
               WHERE org = $1 AND ladder = $2 AND player = $3 AND back_ms IS NULL";
    let now_ms = tx.now_ms();
    tx.run(sql, args![org, ladder, player, now_ms]).await?;
    Ok(())
}

/// How somebody stood after a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The ladder.
    pub ladder: String,
    /// Who.
    pub player: String,
    /// The number of the result, or of the first entry into the ladder.
    pub number: i64,
    /// The match; `None` for the entry.
    pub match_id: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// By how much the rating changed.
    pub change: i64,
    /// How the player stood then.
    pub standing: Standing,
}

/// Columns of the history, in the order of [`past`].
macro_rules! past_columns {
    () => {
        concat!("ladder, player, seq, match_id, at_ms, change, ", columns!())
    };
}

fn past(row: &Row) -> Result<Past, StoreError> {
    Ok(Past {
        ladder: row.text(0)?,
        player: row.text(1)?,
        number: row.int(2)?,
        match_id: row.text_or_none(3)?,
        at_ms: row.count(4)?,
        change: row.int(5)?,
        standing: standing(row, 6)?,
    })
}

/// Rows of the history that one statement writes.
const TOGETHER: usize = 50;

/// Writes how players stood; of a result that is written already the newer replaces the older.
pub async fn write_past(tx: &mut Changes, org: &Org, pasts: &[Past]) -> Result<(), Refusal> {
    for chunk in pasts.chunks(TOGETHER) {
        let mut row_values: Vec<Value<'_>> = Vec::with_capacity(chunk.len() * 19);
        for past in chunk {
            let key = [Value::from(org), Value::from(&past.ladder), Value::from(&past.player)];
            let what = [
                Value::from(past.number),
                Value::from(&past.match_id),
                Value::from(past.at_ms),
                Value::from(past.change),
            ];
            row_values.extend(key.into_iter().chain(what).chain(values(&past.standing)));
        }
        if chunk.len() == TOGETHER {
            tx.run(*INSERT_MANY, &row_values).await?;
        } else {
            for one in row_values.chunks(19) {
                tx.run(*INSERT_ONE, one).await?;
            }
        }
    }
    Ok(())
}

static INSERT_ONE: std::sync::LazyLock<&'static str> = std::sync::LazyLock::new(|| insert(1));
static INSERT_MANY: std::sync::LazyLock<&'static str> = std::sync::LazyLock::new(|| insert(TOGETHER));

/// The statement that writes so many rows; it is made once and kept for good.
fn insert(rows: usize) -> &'static str {
    let row = |at: usize| {
        let places: Vec<String> = (1..=19).map(|column| format!("${}", at * 19 + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    let sql = format!(
        "INSERT INTO arena_history (org, {}) VALUES {} ON CONFLICT (org, ladder, player, seq) DO UPDATE SET \
         at_ms = excluded.at_ms, change = excluded.change, rating = excluded.rating, reached = excluded.reached, \
         games = excluded.games, wins = excluded.wins, losses = excluded.losses, draws = excluded.draws, \
         streak = excluded.streak, best_streak = excluded.best_streak, peak = excluded.peak, \
         g_rating = excluded.g_rating, g_deviation = excluded.g_deviation, g_volatility = excluded.g_volatility",
        past_columns!(),
        rows.join(", ")
    );
    Box::leak(sql.into_boxed_str())
}

/// How somebody stood before a number.
pub async fn before(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    player: &str,
    number: i64,
) -> Result<Option<Standing>, Refusal> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM arena_history WHERE org = $1 AND ladder = $2 AND player = $3 AND seq < $4 ORDER BY seq DESC LIMIT 1"
    );
    let row = reader.row(sql, args![org, ladder, player, number]).await?;
    Ok(row.map(|row| standing(&row, 0)).transpose()?)
}

/// How somebody stood last, also who has left the ladder; `None` for who was never in it.
pub async fn newest(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    player: &str,
) -> Result<Option<Standing>, Refusal> {
    before(reader, org, ladder, player, i64::MAX).await
}

/// Forgets what a match did to a ladder.
pub async fn forget_match(tx: &mut Changes, org: &Org, ladder: &str, number: i64) -> Result<(), Refusal> {
    let sql =
        "DELETE FROM arena_history WHERE org = $1 AND ladder = $2 AND seq = $3 AND match_id IS NOT NULL";
    tx.run(sql, args![org, ladder, number]).await?;
    Ok(())
}

/// The newest results of somebody, the newest first.
pub async fn of_player(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    player: &str,
    most: u64,
) -> Result<Vec<Past>, Refusal> {
    let sql = concat!(
        "SELECT ",
        past_columns!(),
        " FROM arena_history WHERE org = $1 AND ladder = $2 AND player = $3 ORDER BY seq DESC LIMIT $4"
    );
    let rows = reader.rows(sql, args![org, ladder, player, most]).await?;
    Ok(rows.iter().map(past).collect::<Result<_, _>>()?)
}

/// By how much a match changed each rating of a ladder.
pub async fn changes_of(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    number: i64,
) -> Result<Vec<(String, i64)>, Refusal> {
    let sql = "SELECT player, change FROM arena_history WHERE org = $1 AND ladder = $2 AND seq = $3";
    let rows = reader.rows(sql, args![org, ladder, number]).await?;
    Ok(rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect::<Result<_, StoreError>>()?)
}

/// A place in a ladder: who, which rating, when it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Who.
    pub player: String,
    /// By which name.
    pub name: String,
    /// The country's code.
    pub country: Option<String>,
    /// The rating.
    pub rating: i64,
    /// The number of the result by which it was reached.
    pub reached: i64,
    /// When the player came: of equal places the earlier stands before.
    pub number: i64,
}

fn placed(row: &Row) -> Result<Placed, StoreError> {
    Ok(Placed {
        player: row.text(0)?,
        name: row.text(1)?,
        country: row.text_or_none(2)?,
        rating: row.int(3)?,
        reached: row.int(4)?,
        number: row.int(5)?,
    })
}

/// Everybody in a ladder who came after a number, in the order they came; `most` at most.
pub async fn everybody(
    reader: &mut Reader,
    org: &Org,
    ladder: &str,
    after: i64,
    most: u64,
) -> Result<Vec<Placed>, Refusal> {
    let sql = "SELECT p.id, p.name, p.country, s.rating, s.reached, p.number FROM arena_players p \
               JOIN arena_standings s ON s.org = p.org AND s.ladder = $2 AND s.player = p.id \
               WHERE p.org = $1 AND p.number > $3 ORDER BY p.number LIMIT $4";
    let rows = reader.rows(sql, args![org, ladder, after, most]).await?;
    Ok(rows.iter().map(placed).collect::<Result<_, _>>()?)
}

/// A ladder as it stood at a moment, by today's results: who was in it then, each by the newest result of that
/// time. `country` leaves others out. `most` at most, the best first.
pub async fn at(
    reader: &mut Reader,
    org: &Org,
    (ladder, country): (&str, Option<&str>),
    at_ms: u64,
    most: u64,
) -> Result<Vec<Placed>, Refusal> {
    let sql = "SELECT p.id, p.name, p.country, h.rating, h.reached, p.number FROM \
               (SELECT player, max(seq) AS seq FROM arena_history \
                WHERE org = $1 AND ladder = $2 AND at_ms <= $3 GROUP BY player) newest \
               JOIN arena_history h ON h.org = $1 AND h.ladder = $2 AND h.player = newest.player \
                AND h.seq = newest.seq \
               JOIN arena_players p ON p.org = $1 AND p.id = h.player \
               WHERE ($4 = '' OR p.country = $4) AND NOT EXISTS \
               (SELECT 1 FROM arena_absences a WHERE a.org = $1 AND a.ladder = $2 AND a.player = h.player \
                AND a.left_ms <= $3 AND (a.back_ms IS NULL OR a.back_ms > $3)) \
               ORDER BY h.rating DESC, h.reached, p.number LIMIT $5";
    let values = args![org, ladder, at_ms, country.unwrap_or_default(), most];
    let rows = reader.rows(sql, values).await?;
    Ok(rows.iter().map(placed).collect::<Result<_, _>>()?)
}

/// What was told last of a board.
pub async fn shown(reader: &mut Reader, org: &Org, room: &str) -> Result<Option<String>, Refusal> {
    let row =
        reader.row("SELECT entries FROM arena_shown WHERE org = $1 AND room = $2", args![org, room]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Keeps what is told of a board.
pub async fn show(tx: &mut Changes, org: &Org, room: &str, entries: &str) -> Result<(), Refusal> {
    let sql = "INSERT INTO arena_shown (org, room, entries) VALUES ($1, $2, $3) \
               ON CONFLICT (org, room) DO UPDATE SET entries = excluded.entries";
    tx.run(sql, args![org, room, entries]).await?;
    Ok(())
}

/// Organisations with players.
pub async fn orgs(reader: &mut Reader) -> Result<Vec<Org>, Refusal> {
    let rows = reader.rows("SELECT org FROM arena_counters ORDER BY org", args![]).await?;
    Ok(rows.iter().map(|row| row.org(0)).collect::<Result<_, _>>()?)
}
