//! Sessions begin, fill and end.

use std::sync::Arc;

use tidings_app::{Changes, Org, Refusal, Tells, plain_id};

use super::people::{enter, on_board, refuse_name};
use super::void::is_voided;
use crate::arena::{Arena, number, the_player, the_session};
use crate::boards::{Batch, Scope};
use crate::model::Standing;
use crate::ranks::{Change, Entry};
use crate::store::ladders::{self, of_session};
use crate::store::matches;
use crate::store::next_number;
use crate::store::sessions::{self, Session};

/// Why a match does not count that went on when its session was closed.
const CLOSED: &str = "the session was closed";

/// Makes a session.
///
/// # Errors
/// `bad_request` for an id, name or times that cannot be, `conflict` for an id that is taken.
pub async fn create(tx: &mut Changes, org: &Org, session: &Session) -> Result<(), Refusal> {
    plain_id(&session.id, "id")?;
    refuse_name("name", &session.name)?;
    if let (Some(starts), Some(ends)) = (session.starts_ms, session.ends_ms)
        && ends <= starts
    {
        return Err(Refusal::bad_request("endsAt: has to lie behind startsAt"));
    }
    // The organisation is known from now on, also without players.
    next_number(tx, org).await?;
    if !sessions::add(tx, org, session).await? {
        return Err(Refusal::conflict("there is a session of this id"));
    }
    Ok(())
}

/// Somebody plays in a session from now on.
///
/// # Errors
/// `not_found`, `conflict` if it is over or full, or the player plays in it.
pub async fn join(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    (id, player): (&str, &str),
) -> Result<(), Refusal> {
    let session = the_session(tx, org, id).await?;
    let player = the_player(tx, org, player).await?;
    if session.is_over(tx.now_ms()) {
        return Err(Refusal::conflict("this session is over"));
    }
    let ladder = of_session(id);
    if ladders::stands(tx, org, &ladder, &player.id).await?.is_some() {
        return Err(Refusal::conflict("this player plays in the session"));
    }
    if session.max_players.is_some_and(|most| session.players >= most) {
        return Err(Refusal::conflict("this session is full"));
    }
    // Who comes back stands as the results say that count by now: no row of its own would be corrected by a void.
    let standing = match ladders::newest(tx, org, &ladder, &player.id).await? {
        Some(standing) => {
            ladders::come_back(tx, org, &ladder, &player.id, &standing).await?;
            standing
        }
        None => {
            let standing = Standing::new(session.initial_rating, next_number(tx, org).await?);
            enter(tx, org, &ladder, &player.id, &standing).await?;
            standing
        }
    };
    sessions::count(tx, org, id, 1).await?;
    let scope = Scope::session(id);
    on_board(tx, org, &scope, &player, standing.rating, true)?;
    let handle = arena.with(org, |boards| boards.handle(&player.id))?;
    let mut batch = Batch::default();
    let entry = Entry { player: handle, score: standing.rating, reached: number(standing.reached) };
    batch.push(&scope, Change::Put(entry));
    arena.settle_after(tx, org, batch);
    Ok(())
}

/// Somebody plays in it no more; whoever is in a match of it stays until that is over, so that no loser keeps a
/// result from counting by leaving before it.
///
/// # Errors
/// `not_found` if the player does not play in it, `conflict` while a match of the player in it is not over.
pub async fn leave(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    (id, player): (&str, &str),
) -> Result<(), Refusal> {
    the_session(tx, org, id).await?;
    let player = the_player(tx, org, player).await?;
    let standing = ladders::stands(tx, org, &of_session(id), &player.id).await?;
    let standing = standing.ok_or_else(|| Refusal::not_found("player of this session"))?;
    if let Some(game) = matches::not_over(tx, org, id, &player.id).await? {
        let message = format!("a match of this player in the session is not over: {game}");
        return Err(Refusal::conflict(&message));
    }
    ladders::leave(tx, org, &of_session(id), &player.id).await?;
    sessions::count(tx, org, id, -1).await?;
    let scope = Scope::session(id);
    on_board(tx, org, &scope, &player, standing.rating, false)?;
    let handle = arena.with(org, |boards| boards.handle(&player.id))?;
    let mut batch = Batch::default();
    batch.push(&scope, Change::Remove(handle));
    arena.settle_after(tx, org, batch);
    Ok(())
}

/// Results of a session count no more: its matches that are not over are voided, so that none goes on for ever and
/// the board is the last one. Their ids; nothing more is said in their rooms.
///
/// # Errors
/// `not_found`, `conflict` if it was closed.
pub async fn close(tx: &mut Changes, org: &Org, id: &str) -> Result<Vec<String>, Refusal> {
    the_session(tx, org, id).await?;
    if !sessions::close(tx, org, id).await? {
        return Err(Refusal::conflict("this session was closed before"));
    }
    let ended = matches::void_not_over(tx, org, id, CLOSED).await?;
    let mut tells = Tells::default();
    ended.iter().try_for_each(|game| is_voided(&mut tells, org, game))?;
    tx.tell(tells)?;
    Ok(ended)
}
