//! `GET /api/auth/sessions` and `GET /api/users/{id}/sessions`: who was connected, for those whom it concerns.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use tidings_core::{Code, Org, Refusal};
use tidings_store::sessions::Session;
use tidings_store::{Digest, Reader};
use tidings_wire::engineio::Query;

use super::named::Named;
use super::{refuse, respond, signed_in};
use crate::accounts::keys;
use crate::accounts::members::no_user;
use crate::shared::Shared;
use crate::time::iso8601;

/// Sessions of a page where no number is asked for, and at most.
const PAGE: u32 = 100;

/// Bytes of a user's id, as a token may have it.
const USER: usize = 200;

/// For everybody with an account.
pub(super) fn own_routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/auth/sessions", get(own)).with_state(shared)
}

/// For administrators.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/users/{id}/sessions", get(of_user)).with_state(shared)
}

/// The asker's own: `?limit=&before=`.
async fn own(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let listed = async {
        let who = signed_in(&shared, &headers).await?;
        keys::allows(&who, "read")?;
        let user = who.user.as_deref().ok_or_else(no_user)?;
        let part = Part::asked(query.as_deref())?;
        page(&mut reader(&shared).await?, &who.org, user, &part).await
    };
    answer(listed.await)
}

/// Those of somebody of the organisation, for its administrators.
///
/// Whoever is none is told what they would be told of a user who does not exist.
async fn of_user(
    State(shared): State<Arc<Shared>>,
    user: Named,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let listed = async {
        let who = signed_in(&shared, &headers).await?;
        let part = Part::asked(query.as_deref())?;
        let user = user.known(no_user)?;
        if !who.is_admin() || user.len() > USER {
            return Err(no_user());
        }
        let mut reader = reader(&shared).await?;
        is_known(&mut reader, &who.org, &user).await?;
        page(&mut reader, &who.org, &user, &part).await
    };
    answer(listed.await)
}

/// A reader of what this node has noted until now.
async fn reader(shared: &Shared) -> Result<Reader, Refusal> {
    let none = || Refusal::new(Code::NotFound, "this server keeps no sessions");
    let records = shared.records.as_ref().ok_or_else(none)?;
    if let Some(ledger) = &shared.ledger {
        ledger.written().await;
    }
    records.store.read().await.map_err(|error| Refusal::from(&error))
}

/// Users of other issuers need no account here; they are known by having been connected.
async fn is_known(reader: &mut Reader, org: &Org, user: &str) -> Result<(), Refusal> {
    let connected = reader.sessions(org, user, None, 1).await.map_err(|error| Refusal::from(&error))?;
    if !connected.is_empty() {
        return Ok(());
    }
    let account = reader.user(org, user).await.map_err(|error| Refusal::from(&error))?;
    account.map(drop).ok_or_else(no_user)
}

/// Which part of a list is wanted.
struct Part {
    before: Option<(u64, Digest)>,
    limit: u32,
}

impl Part {
    fn asked(query: Option<&str>) -> Result<Self, Refusal> {
        let bad = |text: &str| Refusal::new(Code::BadRequest, text);
        let query = Query::parse(query.unwrap_or("")).map_err(|_| bad("too many parameters"))?;
        let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let limit = match value("limit") {
            Some(text) => text.parse::<u32>().map_err(|_| bad("limit: is no number"))?.clamp(1, PAGE),
            None => PAGE,
        };
        let before = match value("before") {
            Some(text) => Some(place(&text).ok_or_else(|| bad("before: is not what `next` said"))?),
            None => None,
        };
        Ok(Self { before, limit })
    }
}

/// Reads a place in the list: `MS-ID`. What is not shown of the digest lies behind all that begin like it.
fn place(text: &str) -> Option<(u64, Digest)> {
    let (begun_ms, short) = text.split_once('-').filter(|(_, short)| short.len() == 16)?;
    let digest = Digest::from_hex(&format!("{short:f<64}"))?;
    Some((begun_ms.parse().ok()?, digest))
}

async fn page(reader: &mut Reader, org: &Org, user: &str, part: &Part) -> Result<Value, Refusal> {
    let found = reader.sessions(org, user, part.before, part.limit + 1).await;
    let mut found = found.map_err(|error| Refusal::from(&error))?;
    let more = found.len() > part.limit as usize;
    found.truncate(part.limit as usize);
    let next =
        found.last().filter(|_| more).map(|last| format!("{}-{}", last.created_ms, last.digest.short()));
    let sessions: Vec<Value> = found.iter().map(shown).collect();
    Ok(json!({ "ok": true, "sessions": sessions, "next": next }))
}

fn shown(session: &Session) -> Value {
    let (ended, cause) = session.ended.as_ref().map_or((None, None), |(ms, cause)| (Some(*ms), Some(cause)));
    json!({
        "id": session.digest.short(),
        "door": session.door,
        "address": session.address,
        "node": session.node,
        "createdAt": iso8601(session.created_ms),
        "seenAt": iso8601(session.seen_ms),
        "endedAt": ended.map(iso8601),
        "cause": cause,
    })
}

fn answer(listed: Result<Value, Refusal>) -> Response<Body> {
    match listed {
        Ok(page) => respond(StatusCode::OK, "application/json", page.to_string()),
        Err(refusal) => refuse(&refusal),
    }
}
