//! A match is made, started and scored by the studio's server, and played by its players.

use tidings_app::{Changes, Org, Refusal, plain_id};

use super::result::take_scores;
use super::running_session;
use crate::arena::the_match;
use crate::store::ladders::{self, GLOBAL, of_session};
use crate::store::matches::{self, Match, Seat};
use crate::telling::match_room;
use crate::wire::{
    MatchChange, MatchEvent, MatchStarted, MatchUpdated, PLAYERS_MOST, PlayerAction, Score, Starter, Status,
};
use tidings_app::time::iso8601;

/// The highest score of a match where none is named.
pub const SCORE_MOST: i64 = 1_000_000;
/// The highest round.
pub const ROUND_MOST: i64 = 10_000;

/// A match that is wanted.
#[derive(Debug, Clone)]
pub struct NewMatch {
    /// Its id.
    pub id: String,
    /// Who plays.
    pub players: Vec<String>,
    /// Its format.
    pub format: String,
    /// The session it is of.
    pub session: Option<String>,
    /// The highest score there can be.
    pub max_score: i64,
}

/// Makes a match.
///
/// # Errors
/// `bad_request` for players who cannot play together, `not_found` for one who is not there, `conflict` for an id
/// that is taken, or a session that is over or whose limit is reached.
pub async fn create(tx: &mut Changes, org: &Org, new: &NewMatch) -> Result<(), Refusal> {
    plain_id(&new.id, "id")?;
    let mut distinct = new.players.clone();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != new.players.len() || !(2..=PLAYERS_MOST).contains(&distinct.len()) {
        return Err(Refusal::bad_request(&format!("players: expected 2 to {PLAYERS_MOST}, each once")));
    }
    if !(1..=SCORE_MOST).contains(&new.max_score) {
        return Err(Refusal::bad_request(&format!(
            "maxScore: expected 1 to {SCORE_MOST}, found {}",
            new.max_score
        )));
    }
    for player in &new.players {
        if ladders::stands(tx, org, GLOBAL, player).await?.is_none() {
            return Err(Refusal::not_found("player"));
        }
    }
    if let Some(session) = &new.session {
        may_play(tx, org, session, &new.players).await?;
    }
    let game = Match {
        id: new.id.clone(),
        session: new.session.clone(),
        format: new.format.clone(),
        status: Status::Created,
        max_score: new.max_score,
        round: 0,
        created_ms: tx.now_ms(),
        started_ms: None,
        ended_ms: None,
        number: None,
        winner: None,
        result_type: None,
        void_reason: None,
    };
    if !matches::add(tx, org, &game, &new.players).await? {
        return Err(Refusal::conflict("there is a match of this id"));
    }
    Ok(())
}

/// Whether players may play one more match in a session.
async fn may_play(tx: &mut Changes, org: &Org, session: &str, players: &[String]) -> Result<(), Refusal> {
    let now_ms = tx.now_ms();
    let session = running_session(tx, org, session, now_ms).await?;
    for player in players {
        if ladders::stands(tx, org, &of_session(&session.id), player).await?.is_none() {
            return Err(Refusal::conflict("somebody does not play in this session"));
        }
        let played = matches::in_session(tx, org, &session.id, player).await?;
        if session.max_matches.is_some_and(|most| played >= most) {
            return Err(Refusal::conflict("somebody has played as many matches of this session as one may"));
        }
    }
    Ok(())
}

/// Starts a match.
///
/// # Errors
/// `not_found`, `conflict` if it was started, or its session is over.
pub async fn start(tx: &mut Changes, org: &Org, id: &str) -> Result<(), Refusal> {
    let mut game = the_match(tx, org, id).await?;
    if !matches!(game.status, Status::Created | Status::Ready) {
        return Err(Refusal::conflict(if game.status.is_over() {
            "this match is over"
        } else {
            "this match was started"
        }));
    }
    let now_ms = tx.now_ms();
    if let Some(session) = &game.session {
        running_session(tx, org, session, now_ms).await?;
    }
    game.status = Status::Started;
    game.started_ms = Some(now_ms);
    matches::change(tx, org, &game).await?;
    let seats = matches::seats(tx, org, id).await?;
    let players = seats
        .into_iter()
        .map(|seat| Starter { id: seat.player, display_name: seat.name, elo_rating: seat.rating })
        .collect();
    let (match_id, format, start_time) = (id.to_owned(), game.format, iso8601(now_ms));
    let started = MatchStarted { match_id, players, format, start_time };
    tx.emit(&match_room(org, id)?, &MatchEvent::Started(started))
}

/// Takes scores, and which round it is.
///
/// # Errors
/// `not_found`, `conflict` if it is not played, `bad_request` for nothing at all, for somebody who does not play it, or
/// a score or round out of range.
pub async fn score(
    tx: &mut Changes,
    org: &Org,
    id: &str,
    (scores, round): (&[Score], Option<i64>),
) -> Result<(), Refusal> {
    if scores.is_empty() && round.is_none() {
        return Err(Refusal::bad_request("scores, currentRound: expected at least one score, or a round"));
    }
    let mut game = the_match(tx, org, id).await?;
    played(&game)?;
    let mut seats = matches::seats(tx, org, id).await?;
    take_scores(&mut seats, scores, game.max_score)?;
    for seat in seats.iter().filter(|seat| scores.iter().any(|score| score.player_id == seat.player)) {
        matches::change_seat(tx, org, id, seat).await?;
    }
    if let Some(round) = round {
        if !(0..=ROUND_MOST).contains(&round) {
            return Err(Refusal::bad_request(&format!(
                "currentRound: expected 0 to {ROUND_MOST}, found {round}"
            )));
        }
        game.round = round;
        matches::change(tx, org, &game).await?;
    }
    let update = MatchChange {
        scores: (!scores.is_empty()).then(|| scores.to_vec()),
        current_round: round,
        ..MatchChange::default()
    };
    updated(tx, org, id, update)
}

fn played(game: &Match) -> Result<(), Refusal> {
    match game.status {
        Status::Started | Status::Paused => Ok(()),
        Status::Created | Status::Ready => Err(Refusal::conflict("this match has not begun")),
        Status::Completed | Status::Voided => Err(Refusal::conflict("this match is over")),
    }
}

fn updated(tx: &mut Changes, org: &Org, id: &str, update: MatchChange) -> Result<(), Refusal> {
    tx.emit(&match_room(org, id)?, &MatchEvent::Updated(MatchUpdated { match_id: id.to_owned(), update }))
}

/// What a player does in a match.
#[derive(Debug, Clone)]
pub struct Act {
    /// The match.
    pub id: String,
    /// Who.
    pub player: String,
    /// What.
    pub action: String,
    /// What was said with it.
    pub data: serde_json::Value,
}

/// A player does something: everybody hears it, and the match changes if it is `ready`, `pause` or `resume`.
///
/// # Errors
/// `not_found`, `forbidden` for somebody who does not play it, `conflict` if it is over or does not go with how
/// it stands.
pub async fn act(tx: &mut Changes, org: &Org, act: Act) -> Result<(), Refusal> {
    let mut game = the_match(tx, org, &act.id).await?;
    let mut seats = matches::seats(tx, org, &act.id).await?;
    let Some(at) = seats.iter().position(|seat| seat.player == act.player) else {
        return Err(Refusal::forbidden("this match is for its players"));
    };
    if game.status.is_over() {
        return Err(Refusal::conflict("this match is over"));
    }
    let status = next(&mut game, &mut seats, at, &act.action)?;
    if act.action == "ready" {
        matches::change_seat(tx, org, &act.id, &seats[at]).await?;
    }
    let timestamp = iso8601(tx.now_ms());
    let Act { id, player: player_id, action, data } = act;
    let said = PlayerAction { match_id: id.clone(), player_id, action, timestamp, data };
    tx.emit(&match_room(org, &id)?, &MatchEvent::Action(said))?;
    if let Some(status) = status {
        game.status = status;
        matches::change(tx, org, &game).await?;
        updated(tx, org, &id, MatchChange { status: Some(status), ..MatchChange::default() })?;
    }
    Ok(())
}

/// How the match stands after an action, if it stands otherwise.
fn next(game: &mut Match, seats: &mut [Seat], at: usize, action: &str) -> Result<Option<Status>, Refusal> {
    match (action, game.status) {
        ("ready", Status::Created) => {
            seats[at].ready = true;
            Ok(seats.iter().all(|seat| seat.ready).then_some(Status::Ready))
        }
        ("ready", Status::Ready) => Ok(None),
        ("ready", _) => Err(Refusal::conflict("this match has begun")),
        ("pause", Status::Started) => Ok(Some(Status::Paused)),
        ("resume", Status::Paused) => Ok(Some(Status::Started)),
        ("pause" | "resume", _) => {
            Err(Refusal::conflict("this match does not stand so that it could be done"))
        }
        (_, Status::Created | Status::Ready) => Err(Refusal::conflict("this match has not begun")),
        _ => Ok(None),
    }
}
