//! `/api/users` and `/api/keys`: what administrators of an organisation do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::json;
use tidings_core::{Code, Refusal};
use tidings_store::users::Status;
use tidings_wire::engineio::Query;

use super::accounts;
use super::body::{Received, answered, bad, done, read, told};
use super::noted::note_by;
use crate::accounts::keys::StoredKeys;
use crate::accounts::members::PAGE;
use crate::audit::Action;
use crate::front::{Remote, signed_in};
use crate::shared::{Shared, wall_ms};

/// The longest a key can be made for.
const KEY_DAYS: u64 = 3_660;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/users", get(users).post(invite))
        .route("/api/users/{id}/roles", post(roles))
        .route("/api/users/{id}/disable", post(disable))
        .route("/api/users/{id}/enable", post(enable))
        .route("/api/keys", get(keys).post(make_key))
        .route("/api/keys/{prefix}", delete(revoke_key))
}

async fn users(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let listed = async {
        let accounts = accounts(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let query = Query::parse(query.as_deref().unwrap_or("")).map_err(|_| bad("too many parameters"))?;
        let value = |wanted: &str| query.pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let limit = match value("limit") {
            Some(text) => text.parse().map_err(|_| bad("limit: is no number"))?,
            None => PAGE,
        };
        let after = value("after").unwrap_or_default();
        accounts.members(&who, &after, limit).await
    };
    told(listed.await.map(|(users, more)| json!({ "ok": true, "users": users, "more": more })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    email: String,
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

async fn invite(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let invited = async {
        let accounts = accounts(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let new: Invite = read(&headers, &body)?;
        let invited = accounts.invite(&who, &new.email, new.name.as_deref(), &new.roles).await;
        let (what, after) = ((Action::Register, new.email.as_str()), format!("{:?}", new.roles));
        note_by(&shared, remote, &who, what, Some(after), &invited);
        invited
    };
    answered(invited.await.map(|user| json!({ "ok": true, "user": user })), StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    roles: Vec<String>,
}

async fn roles(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let changed = async {
        let accounts = accounts(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let wanted: Roles = read(&headers, &body)?;
        let changed = accounts.set_roles(&who, &id, &wanted.roles).await;
        let after = format!("{:?}", wanted.roles);
        note_by(&shared, remote, &who, (Action::RoleChange, &id), Some(after), &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

async fn disable(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    set_status(&shared, remote, &headers, &id, Status::Disabled).await
}

async fn enable(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    set_status(&shared, remote, &headers, &id, Status::Active).await
}

async fn set_status(
    shared: &Shared,
    remote: Remote,
    headers: &HeaderMap,
    id: &str,
    status: Status,
) -> Response<Body> {
    let changed = async {
        let accounts = accounts(shared)?;
        let who = signed_in(shared, headers).await?;
        let changed = accounts.set_status(&who, id, status).await;
        let after = Some(status.as_str().to_owned());
        note_by(shared, remote, &who, (Action::Revocation, id), after, &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

fn stored_keys(shared: &Shared) -> Result<&StoredKeys, Refusal> {
    let none = || Refusal::new(Code::NotFound, "this server keeps no keys");
    shared.stored_keys.as_deref().ok_or_else(none)
}

async fn keys(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let listed = async {
        let keys = stored_keys(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let query = query.unwrap_or_default();
        let after = query.split('&').find_map(|pair| pair.strip_prefix("after=")).unwrap_or("");
        keys.list(&who, after).await
    };
    told(listed.await.map(|keys| json!({ "ok": true, "keys": keys })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewKey {
    name: String,
    scopes: Vec<String>,
    /// Days until it is over; without, it is good until it is revoked.
    expires_in_days: Option<u64>,
}

async fn make_key(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let made = async {
        let keys = stored_keys(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let new: NewKey = read(&headers, &body)?;
        let days = new.expires_in_days;
        if days.is_some_and(|days| days == 0 || days > KEY_DAYS) {
            return Err(bad("expiresInDays: is 1 to 3660"));
        }
        let ends = days.map(|days| wall_ms() + days * 86_400_000);
        let made = keys.create(&who, &new.name, &new.scopes, ends).await;
        let after = Some(new.scopes.join(" "));
        note_by(&shared, remote, &who, (Action::KeyCreate, &new.name), after, &made);
        made
    };
    let shown = made.await.map(|(key, view)| json!({ "ok": true, "key": key, "about": view }));
    answered(shown, StatusCode::CREATED)
}

async fn revoke_key(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    Path(prefix): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let revoked = async {
        let keys = stored_keys(&shared)?;
        let who = signed_in(&shared, &headers).await?;
        let revoked = keys.revoke(&who, &prefix).await;
        note_by(&shared, remote, &who, (Action::KeyRevoke, &prefix), None, &revoked);
        revoked.map_err(|refusal| match refusal.code {
            Code::NotFound => Refusal::new(Code::NotFound, "there is no such key"),
            _ => refusal,
        })
    };
    done(revoked.await, StatusCode::OK)
}
