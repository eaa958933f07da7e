//! Orders, positions, portfolios.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tidings_app::{Refusal, Text};
use tidings_routes::{Answer, Asked, Asker, AtPath, AtQuery, bad, limit, path, query, told_as, told_from};

use super::rooms::account;
use super::{Api, key};
use crate::acts;
use crate::decimal::Dec;
use crate::misread;
use crate::order::{Ask, Kind, Side, Status, order_number};
use crate::rooms::Key;
use crate::telling;
use crate::views;
use crate::wire::AfterMs;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/rooms/{id}/orders", get(list).post(place))
        .route("/rooms/{id}/orders/{order}", delete(cancel))
        .route("/rooms/{id}/cancel-after", post(cancel_after))
        .route("/rooms/{id}/positions", get(positions))
        .route("/rooms/{id}/portfolio", get(portfolio))
}

/// An order that is placed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Placing {
    /// The client's own id of it; a repeat of the same order under it is the same order.
    client_order_id: Text<1, 64>,
    /// What is traded.
    symbol: Text<1, 24>,
    /// Which way.
    side: Side,
    /// How it is filled.
    #[serde(rename = "type")]
    kind: Kind,
    /// How much.
    quantity: Dec,
    /// The limit.
    price: Option<Dec>,
    /// What wakes a stop order.
    stop_price: Option<Dec>,
}

async fn place(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (key, user) = (key(asked.asker(), path(id)?), himself(asked.asker())?);
    let placing = match asked.read() {
        Ok(placing) => placing,
        Err(refusal) => return Err(misread(&api, &asked, (&key, user), refusal).await.into()),
    };
    let Placing { client_order_id, symbol, side, kind, quantity, price, stop_price } = placing;
    let (client_order_id, symbol) = (client_order_id.into_string(), symbol.into_string());
    let ask = Ask { client_order_id, symbol, side, kind, quantity, price, stop_price };
    let once = api.once(&asked, "orders", &key)?;
    match acts::order(&api.rooms, &api.stage, key, (user, once.clone()), ask).await {
        Ok(reply) => told_as(StatusCode::CREATED, &reply),
        Err(refusal) => api.refused(once.as_ref(), StatusCode::CREATED, refusal).await,
    }
}

/// What is said of an order that cannot be read.
async fn misread(api: &Api, asked: &Asked, whose: (&Key, &str), refusal: Refusal) -> Refusal {
    let said = serde_json::from_str(&asked.text()).unwrap_or_default();
    let placed = misread::text::<64>(&said, "clientOrderId");
    misread::told(&api.rooms, &api.stage, whose, placed, refusal).await
}

fn himself(asker: &Asker) -> Result<&str, Refusal> {
    asker.user().ok_or_else(|| Refusal::forbidden("orders are their members'"))
}

async fn cancel(State(api): State<Arc<Api>>, at: AtPath<(String, String)>, asked: Asked) -> Answer {
    let (id, order) = path(at)?;
    let (key, user) = (key(asked.asker(), id), himself(asked.asker())?);
    let once = api.once(&asked, &format!("orders/{order}/cancel"), &key)?;
    match acts::cancel(&api.rooms, &api.stage, key, (user, once.clone()), &order).await {
        Ok(reply) => told_as(StatusCode::OK, &reply),
        Err(refusal) => api.refused(once.as_ref(), StatusCode::OK, refusal).await,
    }
}

/// After how long open orders are cancelled.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct After {
    /// How long, in milliseconds of the room's time; never, if not said.
    after_ms: Option<AfterMs>,
}

async fn cancel_after(State(api): State<Arc<Api>>, id: AtPath, asked: Asked) -> Answer {
    let (key, user) = (key(asked.asker(), path(id)?), himself(asked.asker())?);
    let After { after_ms } = asked.read()?;
    let after_ms = after_ms.and_then(|ms| u64::try_from(ms.get()).ok());
    let once = api.once(&asked, "cancel-after", &key)?;
    match acts::cancel_after(&api.rooms, &api.stage, &key, (user, after_ms), once.clone()).await {
        Ok(reply) => told_as(StatusCode::OK, &reply),
        Err(refusal) => api.refused(once.as_ref(), StatusCode::OK, refusal).await,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listed {
    user_id: Option<String>,
    status: Option<Status>,
    before: Option<String>,
    limit: Option<u64>,
}

async fn list(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, listed: AtQuery<Listed>) -> Answer {
    let (key, listed) = (key(&asker, path(id)?), query(listed)?);
    let user = asker.acts_for(listed.user_id)?;
    let before = match listed.before {
        Some(id) => order_number(&id).ok_or_else(|| bad("before: is no order's id"))?,
        None => u64::MAX,
    };
    let most = limit(listed.limit) as usize;
    let position = api.stage.position(&telling::place(&key.0, &key.1, Some(&user))?).await;
    let orders = api.look(&asker, &key, |_, room| {
        room.member(&user)?;
        let own = room.orders().iter().rev().filter(|order| order.user == user && order.number < before);
        let own = own.filter(|order| listed.status.is_none_or(|status| status == order.status));
        Ok(own.take(most).map(views::of_order).collect::<Vec<_>>())
    });
    let orders = orders.await?.map_err(|refused: crate::refused::Refused| Refusal::from(refused))?;
    told_from(position, &json!({ "orders": orders }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Whose {
    user_id: Option<String>,
}

async fn positions(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, whose: AtQuery<Whose>) -> Answer {
    let (key, user) = (key(&asker, path(id)?), asker.acts_for(query(whose)?.user_id)?);
    let position = api.stage.position(&telling::place(&key.0, &key.1, Some(&user))?).await;
    let positions = api.look(&asker, &key, |_, room| Ok(views::positions(room, room.member(&user)?)));
    let positions = positions.await?.map_err(|refused: crate::refused::Refused| Refusal::from(refused))?;
    told_from(position, &json!({ "positions": positions }))
}

async fn portfolio(State(api): State<Arc<Api>>, id: AtPath, asker: Asker, whose: AtQuery<Whose>) -> Answer {
    let (key, user) = (key(&asker, path(id)?), asker.acts_for(query(whose)?.user_id)?);
    account(&api, &asker, &key, &user).await
}
