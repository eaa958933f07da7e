//! Players come, are called otherwise, and find friends.

use std::sync::Arc;

use serde_json::{Map, Value};
use tidings_app::{Changes, CompactString, Org, Refusal};

use crate::arena::{Arena, number, the_player};
use crate::boards::{Batch, Person, Scope};
use crate::countries::{self, is_code};
use crate::model::{INITIAL_RATING, Standing};
use crate::ranks::{Change, Entry};
use crate::store::ladders::{self, GLOBAL, Past};
use crate::store::next_number;
use crate::store::players::{self, FRIENDS_MOST, Player};
use crate::telling::{board_room, emit_to_player, player_room};
use crate::wire::{BoardEvent, OnBoard, PlayerEvent, ProfileUpdated};

/// Somebody who wants to play.
#[derive(Debug, Clone)]
pub struct NewPlayer {
    /// The user's id.
    pub id: String,
    /// The name that is shown.
    pub name: String,
    /// The country's code.
    pub country: Option<String>,
    /// The rating to begin with; [`INITIAL_RATING`] if none is named.
    pub rating: Option<i64>,
}

/// Takes somebody in, who stands on the boards of everybody and of the country at once.
///
/// # Errors
/// `bad_request` for what is no country's code, no name, or an id that cannot be in a room's name, `conflict` for somebody
/// who is there.
pub async fn create(arena: &Arc<Arena>, tx: &mut Changes, org: &Org, new: &NewPlayer) -> Result<(), Refusal> {
    refuse_id(org, &new.id)?;
    refuse_name("displayName", &new.name)?;
    refuse_country(new.country.as_deref())?;
    let (came, now_ms) = (next_number(tx, org).await?, tx.now_ms());
    let NewPlayer { id, name, country, rating } = new.clone();
    let player = Player { id, number: came, name, country, created_ms: now_ms };
    if !players::add(tx, org, &player).await? {
        return Err(Refusal::conflict("there is a player of this id"));
    }
    let standing = Standing::new(rating.unwrap_or(INITIAL_RATING), came);
    enter(tx, org, GLOBAL, &player.id, &standing).await?;
    let mut batch = Batch::default();
    let person = Person {
        name: player.name.as_str().into(),
        country: player.country.as_deref().map(CompactString::from),
    };
    let handle = arena.with(org, |boards| boards.handle(&player.id))?;
    batch.people.push((handle, person));
    let entry = Entry { player: handle, score: standing.rating, reached: number(standing.reached) };
    for scope in scopes(player.country.as_deref()) {
        batch.push(&scope, Change::Put(entry));
        on_board(tx, org, &scope, &player, standing.rating, true)?;
    }
    arena.settle_after(tx, org, batch);
    Ok(())
}

/// Somebody comes into a ladder.
pub(crate) async fn enter(
    tx: &mut Changes,
    org: &Org,
    ladder: &str,
    player: &str,
    standing: &Standing,
) -> Result<(), Refusal> {
    ladders::set_standing(tx, org, ladder, player, standing).await?;
    let past = Past {
        ladder: ladder.to_owned(),
        player: player.to_owned(),
        number: standing.reached,
        match_id: None,
        at_ms: tx.now_ms(),
        change: 0,
        standing: *standing,
    };
    ladders::write_past(tx, org, &[past]).await
}

/// Of a player is told in a room of its own, whose name has the id in it.
fn refuse_id(org: &Org, id: &str) -> Result<(), Refusal> {
    let cannot = |_| {
        Refusal::bad_request(
            "id: cannot be in the name of a room, as it is too long or has control characters",
        )
    };
    player_room(org, id).map(drop).map_err(cannot)
}

/// A name stands in one line on every board.
pub(super) fn refuse_name(field: &str, name: &str) -> Result<(), Refusal> {
    if name.chars().any(char::is_control) {
        return Err(Refusal::bad_request(&format!("{field}: control characters are not taken")));
    }
    if name.chars().all(char::is_whitespace) {
        return Err(Refusal::bad_request(&format!("{field}: has nothing but blanks")));
    }
    Ok(())
}

fn refuse_country(country: Option<&str>) -> Result<(), Refusal> {
    match country {
        Some(code) if !is_code(code) => {
            Err(Refusal::bad_request(&format!("country: {}", countries::EXPECTED)))
        }
        _ => Ok(()),
    }
}

fn scopes(country: Option<&str>) -> Vec<Scope> {
    [Scope::Global].into_iter().chain(country.map(Scope::country)).collect()
}

/// Tells a board that somebody has come, or gone.
pub(crate) fn on_board(
    tx: &mut Changes,
    org: &Org,
    scope: &Scope,
    player: &Player,
    elo_rating: i64,
    comes: bool,
) -> Result<(), Refusal> {
    let (player_id, display_name) = (player.id.clone(), player.name.clone());
    let told = OnBoard { player_id, display_name, elo_rating, place: scope.place() };
    let event = if comes { BoardEvent::Joined(told) } else { BoardEvent::Left(told) };
    tx.emit(&board_room(org, scope)?, &event)
}

/// Calls somebody otherwise, or moves to another country, with the board's place there; `Some(None)`: to none.
///
/// # Errors
/// `not_found`, `bad_request` for what is no country's code or no name.
pub async fn change(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    id: &str,
    (name, country): (Option<&str>, Option<Option<&str>>),
) -> Result<(), Refusal> {
    name.map_or(Ok(()), |name| refuse_name("displayName", name))?;
    refuse_country(country.flatten())?;
    let before = the_player(tx, org, id).await?;
    let mut after = before.clone();
    let mut changes = Map::new();
    if let Some(name) = name.filter(|name| *name != before.name) {
        after.name = name.to_owned();
        changes.insert("displayName".into(), Value::from(name));
    }
    if let Some(country) = country.filter(|country| *country != before.country.as_deref()) {
        after.country = country.map(str::to_owned);
        changes.insert("country".into(), Value::from(country));
    }
    if changes.is_empty() {
        return Ok(());
    }
    players::change(tx, org, &after).await?;
    let updated = ProfileUpdated { player_id: id.to_owned(), changes: changes.into() };
    emit_to_player(tx, org, id, &PlayerEvent::Profile(updated))?;
    let batch = moves(arena, tx, org, &before, &after).await?;
    arena.settle_after(tx, org, batch);
    Ok(())
}

/// What a change of somebody does to boards, which are told.
async fn moves(
    arena: &Arc<Arena>,
    tx: &mut Changes,
    org: &Org,
    before: &Player,
    after: &Player,
) -> Result<Batch, Refusal> {
    let handle = arena.with(org, |boards| boards.handle(&after.id))?;
    let country = after.country.as_deref().map(CompactString::from);
    let person = Person { name: after.name.as_str().into(), country };
    let mut batch = Batch { people: vec![(handle, person)], ..Batch::default() };
    let standing = ladders::stands(tx, org, GLOBAL, &after.id).await?;
    let Some(standing) = standing.filter(|_| before.country != after.country) else { return Ok(batch) };
    if let Some(old) = before.country.as_deref().map(Scope::country) {
        batch.push(&old, Change::Remove(handle));
        on_board(tx, org, &old, after, standing.rating, false)?;
    }
    if let Some(new) = after.country.as_deref().map(Scope::country) {
        let entry = Entry { player: handle, score: standing.rating, reached: number(standing.reached) };
        batch.push(&new, Change::Put(entry));
        on_board(tx, org, &new, after, standing.rating, true)?;
    }
    Ok(batch)
}

/// Somebody wishes to be a friend of somebody; `both` makes it a friendship at once. Whether it is one.
///
/// # Errors
/// `not_found`, `bad_request` for oneself, `conflict` beyond [`FRIENDS_MOST`].
pub async fn befriend(
    tx: &mut Changes,
    org: &Org,
    (id, friend): (&str, &str),
    both: bool,
) -> Result<bool, Refusal> {
    if id == friend {
        return Err(Refusal::bad_request("nobody is a friend of oneself"));
    }
    the_player(tx, org, id).await?;
    the_player(tx, org, friend).await?;
    let now_ms = tx.now_ms();
    for (one, other) in [(id, friend), (friend, id)].into_iter().take(if both { 2 } else { 1 }) {
        let known = players::friends(tx, org, one).await?;
        if known.len() >= FRIENDS_MOST && !known.iter().any(|(known, _)| known == other) {
            return Err(Refusal::conflict("somebody has as many friends as one may have"));
        }
        players::befriend(tx, org, one, other, now_ms).await?;
    }
    is_mutual(tx, org, id, friend).await
}

async fn is_mutual(tx: &mut Changes, org: &Org, id: &str, friend: &str) -> Result<bool, Refusal> {
    let friends = players::friends(tx, org, id).await?;
    Ok(friends.iter().any(|(known, mutual)| known == friend && *mutual))
}

/// Somebody is nobody's friend any more; the other's wish goes too if `both`.
///
/// # Errors
/// `not_found` if there was no such wish.
pub async fn part(
    tx: &mut Changes,
    org: &Org,
    (id, friend): (&str, &str),
    both: bool,
) -> Result<bool, Refusal> {
    let mut left = players::leave(tx, org, id, friend).await?;
    if both {
        left |= players::leave(tx, org, friend, id).await?;
    }
    if left { Ok(false) } else { Err(Refusal::not_found("friend")) }
}
