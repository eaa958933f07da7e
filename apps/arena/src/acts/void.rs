//! A match does not count after all: whatever came of it is computed again.
//!
//! The results after it are gone through in their order. One is computed again if one of its players stands
//! otherwise than it was computed with; from then on all of its players do.

use std::sync::Arc;

use serde::Serialize;
use tidings_app::{Changes, Code, Org, Reader, Refusal, Tells};

use super::result::{elo_updates, rank_tells};
use super::{Rated, RatingChange, Turn, batch_of, rank_changes};
use crate::arena::{Arena, the_match};
use crate::model::{Standing, earned, title};
use crate::replay::Replay;
use crate::store::ladders::{self, GLOBAL, Past, of_session};
use crate::store::matches::{self, Match, Played};
use crate::store::{players, sessions};
use crate::telling::{match_room, say_to_player};
use crate::wire::{
    MatchChange, MatchEvent, MatchUpdated, PLAYERS_MOST, PlayerEvent, ProfileUpdated, Reached, Status,
    Unlocked,
};
use tidings_app::time::iso8601;

/// Results that one voided match may have computed again: a transaction has to be short.
pub const RECOMPUTED_MOST: usize = 2_000;
/// Results behind a match that are looked through for those.
pub const LOOKED_AT: usize = 20_000;

/// What came of voiding a match.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voided {
    /// The match.
    pub match_id: String,
    /// How many results were computed again, in all ladders.
    pub recomputed: usize,
    /// Whose rating is another one, by id.
    pub corrections: Vec<RatingChange>,
}

/// Voids a match; one without a result simply ends.
///
/// # Errors
/// `not_found`, `conflict` if it was voided before, `too_large` if more than [`RECOMPUTED_MOST`] results depend
/// on it, or more than [`LOOKED_AT`] have come since.
pub async fn void(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    id: &str,
    reason: Option<&str>,
) -> Result<Voided, Refusal> {
    let mut game = the_match(tx, org, id).await?;
    if game.status == Status::Voided {
        return Err(Refusal::conflict("this match was voided before"));
    }
    let counted = game.number;
    game.status = Status::Voided;
    game.ended_ms = game.ended_ms.or(Some(tx.now_ms()));
    game.void_reason = reason.map(str::to_owned);
    matches::change(tx, org, &game).await?;
    let mut tells = Tells::default();
    is_voided(&mut tells, org, id)?;
    let mut voided = Voided { match_id: id.to_owned(), recomputed: 0, corrections: Vec::new() };
    let Some(number) = counted else {
        tx.tell(tells)?;
        return Ok(voided);
    };

    let (rated, recomputed) = recompute(tx, org, &game, number).await?;
    voided.recomputed = recomputed;
    for turn in rated.iter().take(1).flat_map(|all| &all.turns) {
        reached_again(&mut tells, tx, org, turn).await?;
    }
    let changed = |turn: &&Turn| turn.before.rating != turn.after.rating;
    voided.corrections =
        rated.iter().take(1).flat_map(|all| &all.turns).filter(changed).map(RatingChange::of).collect();
    elo_updates(&mut tells, org, &voided.corrections, &format!("void:{id}"))?;
    let (batch, ranks) = arena.with(org, |boards| {
        let batch = batch_of(boards, &rated)?;
        let moved = boards.preview(&batch);
        let ranks = rank_changes(boards, &rated, &moved);
        Ok::<_, Refusal>((batch, ranks))
    })?;
    rank_tells(&mut tells, org, &ranks)?;
    tx.tell(tells)?;
    arena.settle_after(tx, org, batch);
    Ok(voided)
}

/// Tells a match's room that it does not count.
pub(crate) fn is_voided(tells: &mut Tells, org: &Org, id: &str) -> Result<(), Refusal> {
    let update = MatchChange { status: Some(Status::Voided), ..MatchChange::default() };
    let event = MatchEvent::Updated(MatchUpdated { match_id: id.to_owned(), update });
    tells.say(&match_room(org, id)?, &event)
}

/// Computes every ladder of a match again, that of everybody first, and writes it.
async fn recompute(
    tx: &mut Changes,
    org: &Org,
    game: &Match,
    number: i64,
) -> Result<(Vec<Rated>, usize), Refusal> {
    let rows = (LOOKED_AT * PLAYERS_MOST) as u64;
    let behind = matches::results_since(tx, org, number, rows + 1).await?;
    if behind.len() > LOOKED_AT {
        return Err(too_much());
    }
    let voided: Vec<String> =
        matches::seats(tx, org, &game.id).await?.into_iter().map(|seat| seat.player).collect();
    let mut rated = vec![Rated { session: None, turns: Vec::new() }];
    let mut factors = vec![None];
    if let Some(session) = &game.session {
        rated.push(Rated { session: Some(session.clone()), turns: Vec::new() });
        factors.push(sessions::find(tx, org, session).await?.and_then(|session| session.k));
    }
    let mut recomputed = 0;
    for (ladder, k) in rated.iter_mut().zip(factors) {
        let of_ladder = |played: &&Played| ladder.session.is_none() || played.session == ladder.session;
        let behind: Vec<&Played> = behind.iter().filter(of_ladder).collect();
        let name = ladder.session.as_deref().map_or_else(|| GLOBAL.to_owned(), of_session);
        let mut replay = Replay::default();
        for player in &voided {
            let standing = known(ladders::before(tx, org, &name, player, number).await?)?;
            replay.set(player, standing);
        }
        let pasts = again(tx, org, (&name, k), &mut replay, &behind).await?;
        recomputed += pasts.len();
        ladders::forget_match(tx, org, &name, number).await?;
        ladders::write_past(tx, org, &pasts.into_iter().flatten().collect::<Vec<_>>()).await?;
        ladder.turns = settle(tx, org, &name, replay).await?;
    }
    Ok((rated, recomputed))
}

fn too_much() -> Refusal {
    let message = format!("more than {RECOMPUTED_MOST} results depend on this match");
    Refusal::new(Code::TooLarge, &message)
}

/// Whoever has played has come into the ladder before.
fn known(standing: Option<Standing>) -> Result<Standing, Refusal> {
    standing.ok_or_else(|| {
        tracing::error!("a player has a result and no beginning");
        Refusal::unavailable("the results of this match are damaged")
    })
}

/// Goes through the results behind it; what each that is concerned made of its players.
async fn again(
    reader: &mut Reader,
    org: &Org,
    (ladder, k): (&str, Option<i64>),
    replay: &mut Replay,
    behind: &[&Played],
) -> Result<Vec<Vec<Past>>, Refusal> {
    let mut pasts = Vec::new();
    for played in behind {
        if !replay.concerns(played) {
            continue;
        }
        if pasts.len() == RECOMPUTED_MOST {
            return Err(too_much());
        }
        for player in replay.missing(played) {
            let standing = known(ladders::before(reader, org, ladder, player, played.number).await?)?;
            replay.set(player, standing);
        }
        let Some(again) = replay.play(played, k) else { continue };
        let of = |(at, player): (usize, &String)| Past {
            ladder: ladder.to_owned(),
            player: player.clone(),
            number: played.number,
            match_id: Some(played.id.clone()),
            at_ms: played.at_ms,
            change: again.after[at].rating - again.before[at].rating,
            standing: again.after[at],
        };
        pasts.push(played.players.iter().enumerate().map(of).collect());
    }
    Ok(pasts)
}

/// Writes how those stand now who were concerned.
async fn settle(tx: &mut Changes, org: &Org, ladder: &str, replay: Replay) -> Result<Vec<Turn>, Refusal> {
    let mut turns = Vec::new();
    for (player, after) in replay.standings() {
        // Who has left a session is not brought back by it.
        let Some(before) = ladders::stands(tx, org, ladder, &player).await? else { continue };
        if before == after {
            continue;
        }
        ladders::set_standing(tx, org, ladder, &player, &after).await?;
        let country = players::find(tx, org, &player).await?.and_then(|player| player.country);
        turns.push(Turn { player, country, before, after });
    }
    Ok(turns)
}

/// What somebody has reached by the results as they are now, and what not after all.
async fn reached_again(tells: &mut Tells, tx: &mut Changes, org: &Org, turn: &Turn) -> Result<(), Refusal> {
    let now_ms = tx.now_ms();
    let known = players::reached(tx, org, &turn.player).await?;
    let now: Vec<&str> = earned(&turn.after).map(|achievement| achievement.id).collect();
    for id in now.iter().filter(|id| !known.iter().any(|(known, _)| known == *id)) {
        players::reach(tx, org, &turn.player, id, now_ms).await?;
        let achievement = Reached { id: (*id).to_owned(), title: title(id).into(), at: iso8601(now_ms) };
        let unlocked = Unlocked { player_id: turn.player.clone(), achievement };
        say_to_player(tells, org, &turn.player, &PlayerEvent::Achievement(unlocked))?;
    }
    let lost: Vec<&String> =
        known.iter().map(|(id, _)| id).filter(|id| !now.contains(&id.as_str())).collect();
    for id in &lost {
        players::withdraw(tx, org, &turn.player, id).await?;
    }
    if !lost.is_empty() {
        let left: Vec<&(String, u64)> = known.iter().filter(|(id, _)| !lost.contains(&id)).collect();
        let left: Vec<Reached> = left
            .iter()
            .map(|(id, at_ms)| Reached { id: id.clone(), title: title(id).into(), at: iso8601(*at_ms) })
            .collect();
        let changes = serde_json::json!({ "achievements": left });
        let updated = ProfileUpdated { player_id: turn.player.clone(), changes };
        say_to_player(tells, org, &turn.player, &PlayerEvent::Profile(updated))?;
    }
    Ok(())
}
