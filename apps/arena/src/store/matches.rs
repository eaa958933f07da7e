//! Matches, and who plays them.

use tidings_app::{Changes, Org, Reader, Refusal, args};
use tidings_store::{Row, StoreError};

use crate::wire::{ResultType, Status};

/// A match as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Its id.
    pub id: String,
    /// The session it is of.
    pub session: Option<String>,
    /// Its format, in the studio's words.
    pub format: String,
    /// How it stands.
    pub status: Status,
    /// The highest score there can be.
    pub max_score: i64,
    /// The round.
    pub round: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was started.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// The number of its result.
    pub number: Option<i64>,
    /// Who has won.
    pub winner: Option<String>,
    /// In which way.
    pub result_type: Option<ResultType>,
    /// Why it does not count.
    pub void_reason: Option<String>,
}

/// Somebody in a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub player: String,
    /// By which name.
    pub name: String,
    /// The rating now.
    pub rating: i64,
    /// The score.
    pub score: i64,
    /// Whether the player said `ready`.
    pub ready: bool,
}

/// Columns of a match, in the order of [`read`].
macro_rules! columns {
    () => {
        "id, session, format, status, max_score, round, created_ms, started_ms, ended_ms, seq, winner, result_type, \
         void_reason"
    };
}

fn read(row: &Row) -> Result<Match, StoreError> {
    let status = Status::parse(&row.text(3)?);
    Ok(Match {
        id: row.text(0)?,
        session: row.text_or_none(1)?,
        format: row.text(2)?,
        status: status.ok_or_else(|| StoreError::Corrupt("a match stands in no known way".into()))?,
        max_score: row.int(4)?,
        round: row.int(5)?,
        created_ms: row.count(6)?,
        started_ms: row.count_or_none(7)?,
        ended_ms: row.count_or_none(8)?,
        number: row.int_or_none(9)?,
        winner: row.text_or_none(10)?,
        result_type: row.text_or_none(11)?.as_deref().and_then(ResultType::parse),
        void_reason: row.text_or_none(12)?,
    })
}

/// A match by id.
pub async fn find(reader: &mut Reader, org: &Org, id: &str) -> Result<Option<Match>, Refusal> {
    let sql = concat!("SELECT ", columns!(), " FROM arena_matches WHERE org = $1 AND id = $2");
    let row = reader.row(sql, args![org, id]).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// Who plays a match, in the order they were named.
pub async fn seats(reader: &mut Reader, org: &Org, id: &str) -> Result<Vec<Seat>, Refusal> {
    let sql = "SELECT m.player, p.name, s.rating, m.score, m.ready FROM arena_match_players m \
               JOIN arena_players p ON p.org = m.org AND p.id = m.player \
               JOIN arena_standings s ON s.org = m.org AND s.ladder = 'global' AND s.player = m.player \
               WHERE m.org = $1 AND m.match_id = $2 ORDER BY m.place";
    let rows = reader.rows(sql, args![org, id]).await?;
    let seat = |row: &Row| {
        let (player, name) = (row.text(0)?, row.text(1)?);
        Ok(Seat { player, name, rating: row.int(2)?, score: row.int(3)?, ready: row.flag(4)? })
    };
    Ok(rows.iter().map(seat).collect::<Result<_, StoreError>>()?)
}

/// Adds a match; `false` if the id is taken.
pub async fn add(tx: &mut Changes, org: &Org, new: &Match, players: &[String]) -> Result<bool, Refusal> {
    let sql = "INSERT INTO arena_matches (org, id, session, format, status, max_score, round, created_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (org, id) DO NOTHING";
    let Match { id, session, format, status, max_score, created_ms, .. } = new;
    let values = args![org, id, session, format, status.as_str(), *max_score, *created_ms];
    if tx.run(sql, values).await? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO arena_match_players (org, match_id, place, player, score, ready, created_ms) \
               VALUES ($1, $2, $3, $4, 0, 0, $5)";
    for (place, player) in (0_u32..).zip(players) {
        tx.run(sql, args![org, id, place, player, *created_ms]).await?;
    }
    Ok(true)
}

/// Writes how a match stands, everything but who plays it.
pub async fn change(tx: &mut Changes, org: &Org, now: &Match) -> Result<(), Refusal> {
    let sql = "UPDATE arena_matches SET status = $3, round = $4, started_ms = $5, ended_ms = $6, seq = $7, \
               winner = $8, result_type = $9, void_reason = $10 WHERE org = $1 AND id = $2";
    let Match { id, status, round, started_ms, ended_ms, number, winner, result_type, void_reason, .. } = now;
    let number = number.and_then(|number| u64::try_from(number).ok());
    let kind = result_type.map(ResultType::as_str);
    let values =
        args![org, id, status.as_str(), *round, *started_ms, *ended_ms, number, winner, kind, void_reason];
    tx.run(sql, values).await?;
    Ok(())
}

/// Writes somebody's score, and whether the player is ready.
pub async fn change_seat(tx: &mut Changes, org: &Org, id: &str, seat: &Seat) -> Result<(), Refusal> {
    let sql = "UPDATE arena_match_players SET score = $4, ready = $5 \
               WHERE org = $1 AND match_id = $2 AND player = $3";
    tx.run(sql, args![org, id, &seat.player, seat.score, seat.ready]).await?;
    Ok(())
}

/// Matches of a session that somebody plays or has played, voided ones left out.
pub async fn in_session(reader: &mut Reader, org: &Org, session: &str, player: &str) -> Result<u64, Refusal> {
    let sql = "SELECT count(*) FROM arena_match_players m \
               JOIN arena_matches a ON a.org = m.org AND a.id = m.match_id \
               WHERE m.org = $1 AND m.player = $2 AND a.session = $3 AND a.status <> 'voided'";
    let row = reader.row(sql, args![org, player, session]).await?;
    Ok(row.map_or(Ok(0), |row| row.count(0))?)
}

/// A match of a session that somebody is to play or plays, and that is not over; the oldest.
pub async fn not_over(
    reader: &mut Reader,
    org: &Org,
    session: &str,
    player: &str,
) -> Result<Option<String>, Refusal> {
    let sql = "SELECT a.id FROM arena_match_players m \
               JOIN arena_matches a ON a.org = m.org AND a.id = m.match_id \
               WHERE m.org = $1 AND m.player = $2 AND a.session = $3 AND a.status NOT IN ('completed', 'voided') \
               ORDER BY a.created_ms, a.id LIMIT 1";
    let row = reader.row(sql, args![org, player, session]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Voids every match of a session that is not over; their ids.
pub async fn void_not_over(
    tx: &mut Changes,
    org: &Org,
    session: &str,
    reason: &str,
) -> Result<Vec<String>, Refusal> {
    let sql = "UPDATE arena_matches SET status = 'voided', ended_ms = $3, void_reason = $4 \
               WHERE org = $1 AND session = $2 AND status NOT IN ('completed', 'voided') RETURNING id";
    let now_ms = tx.now_ms();
    let rows = tx.rows(sql, args![org, session, now_ms, reason]).await?;
    Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, StoreError>>()?)
}

/// What leaves matches out of a list; empty texts leave none out.
#[derive(Debug, Default)]
pub struct Which<'a> {
    /// How they stand.
    pub status: &'a str,
    /// Of which session.
    pub session: &'a str,
    /// Those listed behind this one.
    pub before: Option<&'a Match>,
}

/// The newest matches.
pub async fn newest(
    reader: &mut Reader,
    org: &Org,
    which: &Which<'_>,
    most: u64,
) -> Result<Vec<Match>, Refusal> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM arena_matches WHERE org = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR session = $3) \
         AND created_ms <= $4 AND (created_ms < $4 OR id > $5) ORDER BY created_ms DESC, id LIMIT $6"
    );
    let Which { status, session, before } = *which;
    // What the database has for a time is a signed number.
    let (at, id) = before.map_or((i64::MAX as u64, ""), |last| (last.created_ms, last.id.as_str()));
    let rows = reader.rows(sql, args![org, status, session, at, id, most]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The newest matches of a player, by id.
pub async fn of_player(
    reader: &mut Reader,
    org: &Org,
    player: &str,
    most: u64,
) -> Result<Vec<String>, Refusal> {
    let sql = "SELECT match_id FROM arena_match_players WHERE org = $1 AND player = $2 \
               ORDER BY created_ms DESC, match_id LIMIT $3";
    let rows = reader.rows(sql, args![org, player, most]).await?;
    Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
}

/// A result as it is recomputed: its number, when, and who has won among whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The number of the result.
    pub number: i64,
    /// The match.
    pub id: String,
    /// The session it is of.
    pub session: Option<String>,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who has won.
    pub winner: Option<String>,
    /// Who has played, in the order they were named.
    pub players: Vec<String>,
}

/// The results after a number that count, in their order; `most` rows of players at most.
pub async fn results_since(
    reader: &mut Reader,
    org: &Org,
    number: i64,
    most: u64,
) -> Result<Vec<Played>, Refusal> {
    let sql = "SELECT a.seq, a.id, a.session, a.ended_ms, a.winner, m.player FROM arena_matches a \
               JOIN arena_match_players m ON m.org = a.org AND m.match_id = a.id \
               WHERE a.org = $1 AND a.seq > $2 AND a.status = 'completed' ORDER BY a.seq, m.place LIMIT $3";
    let rows = reader.rows(sql, args![org, number, most]).await?;
    let mut played: Vec<Played> = Vec::new();
    for row in &rows {
        let number = row.int(0)?;
        let player = row.text(5)?;
        match played.last_mut().filter(|last| last.number == number) {
            Some(last) => last.players.push(player),
            None => played.push(Played {
                number,
                id: row.text(1)?,
                session: row.text_or_none(2)?,
                at_ms: row.count(3)?,
                winner: row.text_or_none(4)?,
                players: vec![player],
            }),
        }
    }
    Ok(played)
}
