//! `GET /api/explain`: what became of a message for a user.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use serde_json::Value;
use tidings_core::{Code, Refusal};
use tidings_wire::engineio::Query;

use super::body::bad;
use super::{refuse, respond, signed_in};
use crate::accounts::keys;
use crate::explain;
use crate::shared::Shared;

/// Bytes of a user id that may be asked for.
const USER_BYTES: usize = 1_024;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/explain", get(answer)).with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    match explained(&shared, query.as_deref().unwrap_or(""), &headers).await {
        Ok(told) => respond(StatusCode::OK, "application/json", told.to_string()),
        Err(refusal) => refuse(&refusal),
    }
}

/// For servers and administrators, of their organisation alone; for others there is nothing here.
async fn explained(shared: &Shared, query: &str, headers: &HeaderMap) -> Result<Value, Refusal> {
    let who = signed_in(shared, headers).await?;
    keys::allows(&who, "read")?;
    if !who.is_server() {
        return Err(Refusal::new(Code::NotFound, "there is nothing at this path"));
    }
    let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
    let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (message, user) = (value("messageId"), value("userId"));
    if user.as_ref().is_some_and(|user| user.is_empty() || user.len() > USER_BYTES) {
        return Err(bad("userId: is empty or too long"));
    }
    match (message, user) {
        (Some(id), user) => {
            tidings_core::MessageId::parse(&id).ok_or_else(|| bad("messageId: is no id of a message"))?;
            Ok(explain::message(shared, &who.org, &id, user.as_deref()).await)
        }
        (None, Some(user)) => Ok(explain::user(shared, &who.org, &user).await),
        (None, None) => Err(bad("messageId: is missing")),
    }
}
