//! How things are shown: rows and places together, as clients read them.

use tidings_app::{Org, Reader, Refusal, Stage};

use crate::arena::{Arena, the_match, the_player};
use crate::boards::Scope;
use crate::model::{Glicko, Standing, title};
use crate::store::ladders::{self, GLOBAL};
use crate::store::matches::{self, Match, Seat};
use crate::store::players::{self, Player};
use crate::telling::player_room;
use crate::wire::{
    BoardSnapshot, EloChange, Glicko2, MatchPlayer, MatchView, Outcome, PlayerView, Reached, ResultType,
    Status,
};
use tidings_app::time::iso8601;

/// A match as it stands.
///
/// # Errors
/// `not_found`
pub async fn of_match(reader: &mut Reader, org: &Org, id: &str) -> Result<MatchView, Refusal> {
    let game = the_match(reader, org, id).await?;
    match_of(reader, org, game).await
}

/// The same of one that was read.
///
/// # Errors
/// What the store says.
pub async fn match_of(reader: &mut Reader, org: &Org, game: Match) -> Result<MatchView, Refusal> {
    let seats = matches::seats(reader, org, &game.id).await?;
    let result = match game.number.filter(|_| game.status == Status::Completed) {
        Some(number) => {
            let changes = ladders::changes_of(reader, org, GLOBAL, number).await?;
            Some(outcome(&game, &seats, &changes))
        }
        None => None,
    };
    let player = |seat: Seat| MatchPlayer {
        id: seat.player,
        display_name: seat.name,
        elo_rating: seat.rating,
        score: seat.score,
        ready: seat.ready,
    };
    Ok(MatchView {
        id: game.id,
        session_id: game.session,
        format: game.format,
        status: game.status,
        players: seats.into_iter().map(player).collect(),
        current_round: game.round,
        max_score: game.max_score,
        created_at: iso8601(game.created_ms),
        start_time: game.started_ms.map(iso8601),
        ended_at: game.ended_ms.map(iso8601),
        result,
        void_reason: game.void_reason,
    })
}

fn outcome(game: &Match, seats: &[Seat], changes: &[(String, i64)]) -> Outcome {
    let change =
        |player: &str| changes.iter().find(|(known, _)| known == player).map_or(0, |(_, change)| *change);
    let losers =
        seats.iter().filter(|seat| game.winner.as_ref().is_some_and(|winner| *winner != seat.player));
    Outcome {
        winner_id: game.winner.clone(),
        loser_ids: losers.map(|seat| seat.player.clone()).collect(),
        result_type: game.result_type.unwrap_or(ResultType::Draw),
        elo_changes: seats
            .iter()
            .map(|seat| EloChange { player_id: seat.player.clone(), change: change(&seat.player) })
            .collect(),
    }
}

/// A player with everything that is known of him, as `asker` may see it.
///
/// # Errors
/// `not_found`
pub async fn of_player(
    arena: &Arena,
    (stage, asker): (&Stage, Option<&str>),
    reader: &mut Reader,
    org: &Org,
    id: &str,
) -> Result<PlayerView, Refusal> {
    let player = the_player(reader, org, id).await?;
    let standing = ladders::stands(reader, org, GLOBAL, id).await?.unwrap_or(Standing::new(0, 0));
    let reached = players::reached(reader, org, id).await?;
    let country = player.country.as_deref().map(Scope::country);
    let Player { id, name, country: code, created_ms, .. } = player;
    Ok(PlayerView {
        display_name: name,
        country: code,
        created_at: iso8601(created_ms),
        elo_rating: standing.rating,
        rank: rank(arena, org, &Scope::Global, &id),
        country_rank: country.and_then(|scope| rank(arena, org, &scope, &id)),
        games: standing.games,
        wins: standing.wins,
        losses: standing.losses,
        draws: standing.draws,
        streak: standing.streak,
        best_streak: standing.best_streak,
        peak_rating: standing.peak,
        glicko2: glicko(standing.glicko),
        online: is_online(stage, org, &id, asker),
        achievements: reached.into_iter().map(achievement).collect(),
        id,
    })
}

/// The same behind a change that is about to be stored: with the places there will be.
///
/// # Errors
/// As [`of_player`].
pub async fn of_changed(
    arena: &Arena,
    (stage, asker): (&Stage, Option<&str>),
    reader: &mut Reader,
    org: &Org,
    id: &str,
) -> Result<PlayerView, Refusal> {
    let view = of_player(arena, (stage, asker), reader, org, id).await?;
    let place = |scope: &Scope| arena.with(org, |boards| boards.rank_ahead(scope, id));
    let country = view.country.as_deref().map(Scope::country);
    let (rank, country_rank) = (place(&Scope::Global), country.as_ref().and_then(place));
    Ok(PlayerView { rank, country_rank, ..view })
}

fn achievement((id, at_ms): (String, u64)) -> Reached {
    Reached { title: title(&id).into(), id, at: iso8601(at_ms) }
}

fn glicko(glicko: Glicko) -> Glicko2 {
    let [rating, deviation, volatility] =
        [glicko.rating, glicko.deviation, glicko.volatility].map(|number| number as f64 / 1_000_000.0);
    Glicko2 { rating, deviation, volatility }
}

/// The place of somebody on a board.
pub fn rank(arena: &Arena, org: &Org, scope: &Scope, id: &str) -> Option<u32> {
    arena.with(org, |boards| boards.board(scope)?.rank(boards.find(id)?))
}

/// Whether somebody is connected, as `asker` may see it: who is invisible is seen by nobody but himself.
pub fn is_online(stage: &Stage, org: &Org, id: &str, asker: Option<&str>) -> bool {
    let is_seen = asker == Some(id) || !stage.is_invisible(org, id);
    is_seen && is_there(stage, org, id)
}

/// Whether somebody is connected, seen or not, wherever: who hears a board or trades is there as much as who hears of
/// himself.
pub fn is_there(stage: &Stage, org: &Org, id: &str) -> bool {
    stage.is_connected(org, id) || player_room(org, id).is_ok_and(|room| stage.members(&room) > 0)
}

/// How a board stands, for a newcomer: as everybody was told last, or as it is if something waits to be told,
/// which then is told in any case.
pub fn of_board(arena: &Arena, org: &Org, scope: &Scope) -> BoardSnapshot {
    arena.with(org, |boards| {
        let entries = boards.for_newcomer(scope);
        BoardSnapshot { place: scope.place(), total: boards.total(scope), entries }
    })
}
