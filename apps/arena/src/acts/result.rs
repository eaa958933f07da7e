//! A match has a result: ratings, places, what was reached and who is told of it, in one transaction.

use std::sync::Arc;

use serde::Serialize;
use tidings_app::{Changes, Org, Refusal, Tells};

use super::{Rated, RatingChange, Turn, batch_of, rank_changes};
use crate::arena::{Arena, the_match, the_player, the_session};
use crate::model::{self, earned};
use crate::store::ladders::{self, Past};
use crate::store::matches::{self, Match, Seat};
use crate::store::{next_number, players};
use crate::telling::{board_room, match_room, say_to_player};
use crate::wire::{
    Activity, BoardEvent, EloChange, EloUpdate, FriendActivity, MatchChange, MatchCompleted, MatchEvent,
    MatchUpdated, Outcome, PlayerEvent, RankChange, Reached, ResultType, Score, Status, Unlocked,
};
use tidings_app::time::iso8601;

/// A result as it is submitted.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Who has won; nobody in a draw.
    pub winner: Option<String>,
    /// In which way.
    pub kind: ResultType,
    /// Scores that have changed since they were told last.
    pub scores: Vec<Score>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The match.
    pub match_id: String,
    /// How it ended.
    pub result: Outcome,
    /// How ratings have changed.
    pub ratings: Vec<RatingChange>,
    /// How places have changed, board by board.
    pub ranks: Vec<RankChange>,
    /// The number of the result in its organisation.
    pub sequence: i64,
}

/// Takes a result.
///
/// # Errors
/// `not_found` for a match that is not there, `conflict` for one that is not played, `bad_request` for a winner or
/// scores that cannot be.
pub async fn submit(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    id: &str,
    submitted: &Submitted,
) -> Result<Settled, Refusal> {
    let now_ms = tx.now_ms();
    let mut game = the_match(tx, org, id).await?;
    match game.status {
        Status::Started | Status::Paused => {}
        Status::Completed => return Err(Refusal::conflict("this match has a result")),
        Status::Voided => return Err(Refusal::conflict("this match was voided")),
        Status::Created | Status::Ready => return Err(Refusal::conflict("this match has not begun")),
    }
    let mut seats = matches::seats(tx, org, id).await?;
    let winner = winner_of(submitted, &seats)?;
    let known: Vec<i64> = seats.iter().map(|seat| seat.score).collect();
    take_scores(&mut seats, &submitted.scores, game.max_score)?;
    let number = next_number(tx, org).await?;
    let rated = rate(tx, org, &game, &seats, (winner, number)).await?;
    store(tx, org, &mut game, &seats, (submitted, number, now_ms), &rated).await?;

    let result = outcome(&game, &seats, &rated);
    let completed = MatchCompleted { match_id: id.to_owned(), result: result.clone() };
    let mut tells = Tells::default();
    let room = match_room(org, id)?;
    // Behind the end nothing is heard, so the last scores come before it.
    if let Some(scores) = new_scores(&seats, &known) {
        let update = MatchChange { scores: Some(scores), ..MatchChange::default() };
        tells.say(&room, &MatchEvent::Updated(MatchUpdated { match_id: id.to_owned(), update }))?;
    }
    tells.say(&room, &MatchEvent::Completed(completed))?;
    let ratings: Vec<RatingChange> =
        rated.iter().take(1).flat_map(|all| &all.turns).map(RatingChange::of).collect();
    elo_updates(&mut tells, org, &ratings, &format!("match:{id}"))?;
    let (batch, ranks) = arena.with(org, |boards| {
        let batch = batch_of(boards, &rated)?;
        let moved = boards.preview(&batch);
        let ranks = rank_changes(boards, &rated, &moved);
        Ok::<_, Refusal>((batch, ranks))
    })?;
    rank_tells(&mut tells, org, &ranks)?;
    for (at, turn) in rated.iter().take(1).flat_map(|all| &all.turns).enumerate() {
        personal(&mut tells, tx, org, turn, (at, winner, &game)).await?;
    }
    tx.tell(tells)?;
    arena.settle_after(tx, org, batch);
    Ok(Settled { match_id: id.to_owned(), result, ratings, ranks, sequence: number })
}

/// The place of the winner among the players.
fn winner_of(submitted: &Submitted, seats: &[Seat]) -> Result<Option<usize>, Refusal> {
    let Submitted { winner, kind, .. } = submitted;
    match (winner, kind) {
        (None, ResultType::Draw) => Ok(None),
        (Some(_), ResultType::Draw) => Err(Refusal::bad_request("winnerId: a draw has no winner")),
        (None, _) => Err(Refusal::bad_request("winnerId: is needed unless it is a draw")),
        (Some(winner), _) => seats
            .iter()
            .position(|seat| seat.player == *winner)
            .map(Some)
            .ok_or_else(|| Refusal::bad_request("winnerId: does not play this match")),
    }
}

/// Writes scores into seats.
///
/// # Errors
/// `bad_request` for somebody who does not play or has two of them, or a score out of range.
pub(crate) fn take_scores(seats: &mut [Seat], scores: &[Score], most: i64) -> Result<(), Refusal> {
    for (at, score) in scores.iter().enumerate() {
        if scores[..at].iter().any(|known| known.player_id == score.player_id) {
            return Err(Refusal::bad_request("scores: expected each player once"));
        }
        let seat = seats.iter_mut().find(|seat| seat.player == score.player_id);
        let seat = seat.ok_or_else(|| Refusal::bad_request("scores: somebody does not play this match"))?;
        if !(0..=most).contains(&score.score) {
            return Err(Refusal::bad_request(&format!(
                "scores: expected 0 to {most}, found {}",
                score.score
            )));
        }
        seat.score = score.score;
    }
    Ok(())
}

/// The scores that are others than those that were known, if there are any.
fn new_scores(seats: &[Seat], known: &[i64]) -> Option<Vec<Score>> {
    let changed = seats.iter().zip(known).filter(|(seat, known)| seat.score != **known);
    let scores: Vec<Score> =
        changed.map(|(seat, _)| Score { player_id: seat.player.clone(), score: seat.score }).collect();
    (!scores.is_empty()).then_some(scores)
}

/// How the players stand in each ladder after it, the ladder of everybody first.
async fn rate(
    tx: &mut Changes,
    org: &Org,
    game: &Match,
    seats: &[Seat],
    (winner, number): (Option<usize>, i64),
) -> Result<Vec<Rated>, Refusal> {
    let mut rated = vec![Rated { session: None, turns: Vec::new() }];
    let mut factors = vec![None];
    if let Some(session) = &game.session {
        // A match that began in time counts also behind the session's end: closing it voids what goes on.
        factors.push(the_session(tx, org, session).await?.k);
        rated.push(Rated { session: Some(session.clone()), turns: Vec::new() });
    }
    for (ladder, k) in rated.iter_mut().zip(factors) {
        let name = ladder.ladder();
        for seat in seats {
            let country = the_player(tx, org, &seat.player).await?.country;
            let before = ladders::stands(tx, org, &name, &seat.player).await?;
            let before =
                before.ok_or_else(|| Refusal::conflict("somebody does not play in this session any more"))?;
            ladder.turns.push(Turn { player: seat.player.clone(), country, before, after: before });
        }
        let before: Vec<_> = ladder.turns.iter().map(|turn| turn.before).collect();
        let after = model::rate(&before, winner, number, k);
        ladder.turns.iter_mut().zip(after).for_each(|(turn, after)| turn.after = after);
    }
    Ok(rated)
}

/// Writes the match, the scores, and how everybody stands.
async fn store(
    tx: &mut Changes,
    org: &Org,
    game: &mut Match,
    seats: &[Seat],
    (submitted, number, now_ms): (&Submitted, i64, u64),
    rated: &[Rated],
) -> Result<(), Refusal> {
    game.status = Status::Completed;
    game.ended_ms = Some(now_ms);
    game.number = Some(number);
    game.winner.clone_from(&submitted.winner);
    game.result_type = Some(submitted.kind);
    matches::change(tx, org, game).await?;
    for seat in
        seats.iter().filter(|seat| submitted.scores.iter().any(|score| score.player_id == seat.player))
    {
        matches::change_seat(tx, org, &game.id, seat).await?;
    }
    for ladder in rated {
        let name = ladder.ladder();
        let past = |turn: &Turn| Past {
            ladder: name.clone(),
            player: turn.player.clone(),
            number,
            match_id: Some(game.id.clone()),
            at_ms: now_ms,
            change: turn.after.rating - turn.before.rating,
            standing: turn.after,
        };
        let pasts: Vec<Past> = ladder.turns.iter().map(past).collect();
        ladders::write_past(tx, org, &pasts).await?;
        for turn in &ladder.turns {
            ladders::set_standing(tx, org, &name, &turn.player, &turn.after).await?;
        }
    }
    Ok(())
}

/// The result as everybody is told it.
fn outcome(game: &Match, seats: &[Seat], rated: &[Rated]) -> Outcome {
    let losers =
        seats.iter().filter(|seat| game.winner.as_ref().is_some_and(|winner| *winner != seat.player));
    let changes = rated.iter().take(1).flat_map(|all| &all.turns);
    Outcome {
        winner_id: game.winner.clone(),
        loser_ids: losers.map(|seat| seat.player.clone()).collect(),
        result_type: game.result_type.unwrap_or(ResultType::Draw),
        elo_changes: changes
            .map(|turn| EloChange {
                player_id: turn.player.clone(),
                change: turn.after.rating - turn.before.rating,
            })
            .collect(),
    }
}

/// Tells players of their ratings.
pub(crate) fn elo_updates(
    tells: &mut Tells,
    org: &Org,
    ratings: &[RatingChange],
    reason: &str,
) -> Result<(), Refusal> {
    ratings.iter().try_for_each(|rating| {
        let RatingChange { player_id, old_rating, new_rating, change } = rating.clone();
        let reason = reason.to_owned();
        let update = EloUpdate { player_id, old_rating, new_rating, change, reason };
        say_to_player(tells, org, &rating.player_id, &PlayerEvent::Elo(update))
    })
}

/// Tells boards whose places have changed.
pub(crate) fn rank_tells(tells: &mut Tells, org: &Org, ranks: &[RankChange]) -> Result<(), Refusal> {
    let mut changed = ranks.iter().filter(|change| change.old_rank != change.new_rank);
    changed.try_for_each(|change| {
        let scope = crate::boards::Scope::of(&change.place);
        tells.say(&board_room(org, &scope)?, &BoardEvent::RankChange(change.clone()))
    })
}

/// What a player has reached by it, and what friends are told.
async fn personal(
    tells: &mut Tells,
    tx: &mut Changes,
    org: &Org,
    turn: &Turn,
    (at, winner, game): (usize, Option<usize>, &Match),
) -> Result<(), Refusal> {
    let now_ms = tx.now_ms();
    let friends = players::mutual(tx, org, &turn.player).await?;
    let result = match winner {
        None => "draw",
        Some(winner) if winner == at => "win",
        Some(_) => "loss",
    };
    let match_id = game.id.clone();
    let mut activities = vec![Activity::Match { match_id, result, elo_rating: turn.after.rating }];
    let known: Vec<&str> = earned(&turn.before).map(|achievement| achievement.id).collect();
    for achievement in earned(&turn.after).filter(|achievement| !known.contains(&achievement.id)) {
        players::reach(tx, org, &turn.player, achievement.id, now_ms).await?;
        let reached =
            Reached { id: achievement.id.into(), title: achievement.title.into(), at: iso8601(now_ms) };
        let unlocked = Unlocked { player_id: turn.player.clone(), achievement: reached.clone() };
        say_to_player(tells, org, &turn.player, &PlayerEvent::Achievement(unlocked))?;
        activities.push(Activity::Achievement { achievement: reached });
    }
    for friend in &friends {
        for activity in activities.clone() {
            let told = FriendActivity { player_id: turn.player.clone(), activity };
            say_to_player(tells, org, friend, &PlayerEvent::Friend(told))?;
        }
    }
    Ok(())
}
