//! Rooms, and who is in them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_app::time::iso8601;
use tidings_app::{Many, Refusal, Text};
use tidings_routes::{
    Answer, Asked, Asker, AtPath, AtQuery, Nothing, bad, limit, make, new_id, path, query, told, told_as,
    told_from, told_once,
};

use super::{Api, NAME, key};
use crate::acts;
use crate::decimal::Dec;
use crate::journal::Input;
use crate::keyed::Answer as Shows;
use crate::room::Room;
use crate::rules::Rules;
use crate::store::{self, RoomRow, Which};
use crate::telling::place;
use crate::trail::POINTS_MOST;
use crate::views;
use crate::wire::RoomId;

/// Prices that are taken at once.
const PRICES_MOST: usize = 200;
/// Characters of a member's name at most.
const NAME_MOST: usize = 64;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/rooms", get(list).post(create))
        .route("/rooms/{id}", get(one))
        .route("/rooms/{id}/open", post(open))
        .route("/rooms/{id}/join", post(join))
        .route("/rooms/{id}/leave", post(leave))
        .route("/rooms/{id}/start", post(start))
        .route("/rooms/{id}/end", post(end))
        .route("/rooms/{id}/prices", get(went).post(prices))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listed {
    state: Option<String>,
    before: Option<String>,
    limit: Option<u64>,
}

async fn list(State(api): State<Arc<Api>>, asker: Asker, listed: AtQuery<Listed>) -> Answer {
    let listed = query(listed)?;
    let state = listed.state.unwrap_or_default();
    if !["", "draft", "open", "running", "ended"].contains(&state.as_str()) {
        return Err(bad("state: expected draft, open, running or ended").into());
    }
    let mut reader = api.stage.read().await?;
    let before = match &listed.before {
        Some(id) => Some(seen(&asker, store::find(&mut reader, asker.org(), id).await?)?),
        None => None,
    };
    let drafts_of = (!asker.is_server()).then(|| asker.user().unwrap_or_default());
    let which = Which { state: &state, drafts_of, before: before.as_ref() };
    let most = limit(listed.limit);
    let mut rows = store::newest(&mut reader, asker.org(), &which, most + 1).await?;
    let more = rows.len() as u64 > most;
    rows.truncate(most as usize);
    let rooms: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id, "name": row.name, "owner": row.owner, "state": row.state,
                "createdAt": iso8601(row.created_ms), "journal": row.seq,
            })
        })
        .collect();
    told(&json!({ "rooms": rooms, "more": more }))
}

/// A room that the asker may see.
fn seen(asker: &Asker, row: Option<RoomRow>) -> Result<RoomRow, Refusal> {
    let row = row.filter(|row| row.state != "draft" || super::owns(asker, row));
    row.ok_or_else(Refusal::no_such_room)
}

async fn one(State(api): State<Arc<Api>>, asker: Asker, id: AtPath) -> Answer {
    let key = key(&asker, path(id)?);
    let position = api.stage.position(&place(&key.0, &key.1, None)?).await;
    told_from(position, &api.look(&asker, &key, views::of_room).await?)
}

/// A room that is wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Its id; one is made if none is named.
    id: Option<RoomId>,
    /// Its name for people.
    name: Text<1, 80>,
    /// Its rules, which stay.
    rules: Rules,
}

#[derive(Serialize)]
struct Made {
    id: String,
    state: &'static str,
}

async fn create(State(api): State<Arc<Api>>, asked: Asked) -> Answer {
    let asker = asked.asker();
    let (org, owner) = (asker.org().clone(), asker.user().unwrap_or_default().to_owned());
    let most = if asker.is_server() { acts::ROOMS_OF_A_SERVICE_MOST } else { acts::ROOMS_OF_ONE_MOST };
    let Wanted { id, name, rules } = asked.read()?;
    let (id, name) = (id.map_or_else(|| new_id("room"), RoomId::into_string), named(name)?);
    make(&api.stage, &asked, [NAME, "rooms"], move |tx| {
        Box::pin(async move {
            let row = acts::create(tx, &org, (&id, &name, &owner), (rules, most)).await?;
            Ok(Made { id: row.id, state: "draft" })
        })
    })
    .await
}

async fn open(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    run(&api, id, &asked, ("open", Input::Open)).await
}

async fn start(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    run(&api, id, &asked, ("start", Input::Start)).await
}

async fn end(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    run(&api, id, &asked, ("end", Input::End)).await
}

/// What its owner does with a room.
async fn run(api: &Api, id: AtPath, asked: &Asked, (what, input): (&str, Input)) -> Answer {
    let Nothing {} = asked.read()?;
    let key = key(asked.asker(), path(id)?);
    api.owner(asked.asker(), &key).await?;
    match api.happens((asked, what), &key, vec![input], Shows::Room).await? {
        Some(told) => Ok(told_once(StatusCode::OK, told)),
        None => told_as(StatusCode::OK, &api.look(asked.asker(), &key, views::of_room).await?),
    }
}

/// Who joins.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Joining {
    /// Who, where a server says it.
    user_id: Option<Text<1, 128>>,
    /// By which name; that of the token, or the id, if not said.
    name: Option<Text<1, NAME_MOST>>,
}

async fn join(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (asker, key) = (asked.asker(), key(asked.asker(), path(id)?));
    let Joining { user_id, name } = asked.read()?;
    let user = asker.acts_for(user_id.map(Text::into_string))?;
    // The room's own name has a colon before it: what is behind it is who.
    place(&key.0, &key.1, Some(&user))?;
    api.look(asker, &key, |_, _| ()).await?;
    let own = asker.name().filter(|name| !asker.is_server() && is_name(name)).unwrap_or(&user);
    let name = match name {
        Some(name) => named(name)?,
        None => own.chars().take(NAME_MOST).collect(),
    };
    let inputs = vec![Input::Join { user: user.clone(), name }];
    match api.happens((&asked, "join"), &key, inputs, Shows::Account(user.clone())).await? {
        Some(told) => Ok(told_once(StatusCode::OK, told)),
        None => account(&api, asker, &key, &user).await,
    }
}

pub(super) async fn account(api: &Api, asker: &Asker, key: &crate::rooms::Key, user: &str) -> Answer {
    let position = api.stage.position(&place(&key.0, &key.1, Some(user))?).await;
    let now_ms = api.stage.now_ms();
    let shown = api.look(asker, key, |row, room| views::of_account(room, user, row.time(now_ms))).await?;
    told_from(position, &shown.map_err(Refusal::from)?)
}

/// Who leaves.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Leaving {
    /// Who, where a server says it.
    user_id: Option<Text<1, 128>>,
}

async fn leave(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (asker, key) = (asked.asker(), key(asked.asker(), path(id)?));
    let Leaving { user_id } = asked.read()?;
    let user = asker.acts_for(user_id.map(Text::into_string))?;
    let told = api.happens((&asked, "leave"), &key, vec![Input::Leave { user }], Shows::Done).await?;
    told.map_or_else(
        || told_as(StatusCode::OK, &json!({"ok": true})),
        |told| Ok(told_once(StatusCode::OK, told)),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Went {
    symbol: String,
    limit: Option<usize>,
}

/// How a price went, the oldest first.
async fn went(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, wanted: AtQuery<Went>) -> Answer {
    let (key, Went { symbol, limit }) = (key(&asker, path(id)?), query(wanted)?);
    api.look(&asker, &key, |_, room| room.market_of(&symbol).map(drop)).await?.map_err(Refusal::from)?;
    let points = api.rooms.went(&key, &symbol, limit.unwrap_or(POINTS_MOST).clamp(1, POINTS_MOST));
    let prices: Vec<_> =
        points.iter().map(|(at_ms, price)| json!({"at": iso8601(*at_ms), "price": price})).collect();
    told(&json!({"roomId": key.1, "symbol": symbol, "prices": prices}))
}

/// Prices, in the order in which they came.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Prices {
    /// Each of an instrument.
    prices: Many<Tick, 1, PRICES_MOST>,
}

/// A price.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tick {
    /// Of what.
    symbol: Text<1, 24>,
    /// The price.
    price: Dec,
    /// How much can be had and given at it; any amount if not said.
    volume: Option<Dec>,
}

async fn prices(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let key = key(asked.asker().server()?, path(id)?);
    let Prices { prices } = asked.read()?;
    let prices = prices.into_vec();
    // What is looked at never changes: the database is asked only for a room that is not in memory.
    match api.rooms.glance(&key, |room| all_fit(room, &prices)) {
        Some(fit) => fit?,
        None => api.look(asked.asker(), &key, |_, room| all_fit(room, &prices)).await??,
    }
    let input = |Tick { symbol, price, volume }| Input::Price { symbol: symbol.into_string(), price, volume };
    let inputs: Vec<Input> = prices.into_iter().map(input).collect();
    let all = inputs.len();
    let told = api.happens((&asked, "prices"), &key, inputs, Shows::Taken).await?;
    told.map_or_else(
        || told_as(StatusCode::OK, &json!({"ok": true, "taken": all})),
        |told| Ok(told_once(StatusCode::OK, told)),
    )
}

/// Whether a room takes prices as far as it can be said before: all of them or none.
fn all_fit(room: &Room, prices: &[Tick]) -> Result<(), Refusal> {
    for (at, Tick { symbol, price, volume }) in prices.iter().enumerate() {
        if let Err(refused) = room.market_at(symbol, (*price, *volume)) {
            let message = format!("prices[{at}]: {refused}");
            return Err(Refusal::new(refused.reason.code(), &message));
        }
    }
    Ok(())
}

/// A name for people, which is a line of its own.
fn named<const MOST: usize>(name: Text<1, MOST>) -> Result<String, Refusal> {
    if is_name(&name) {
        Ok(name.into_string())
    } else {
        Err(bad("name: expected more than blanks, on one line"))
    }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && !name.chars().any(char::is_control)
}
