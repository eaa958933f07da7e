//! `/api/users` and `/api/keys`: what administrators of an organisation do.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::json;
use tidings_core::{Code, Refusal};
use tidings_store::users::Status;
use tidings_wire::engineio::Query;

use super::asked::Asked;
use crate::accounts::members::PAGE;
use crate::audit::Action;
use crate::front::body::{Received, answered, bad, done, told};
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

async fn users(asked: Asked, RawQuery(query): RawQuery) -> Response<Body> {
    let listed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
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

async fn invite(asked: Asked, body: Received) -> Response<Body> {
    let invited = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let new: Invite = asked.read(&body)?;
        let invited = accounts.invite(&who, &new.email, new.name.as_deref(), &new.roles).await;
        let (what, after) = ((Action::Register, new.email.as_str()), format!("{:?}", new.roles));
        asked.note_by(&who, what, Some(after), &invited);
        invited
    };
    answered(invited.await.map(|user| json!({ "ok": true, "user": user })), StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    roles: Vec<String>,
}

async fn roles(asked: Asked, Path(id): Path<String>, body: Received) -> Response<Body> {
    let changed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let wanted: Roles = asked.read(&body)?;
        let changed = accounts.set_roles(&who, &id, &wanted.roles).await;
        let after = format!("{:?}", wanted.roles);
        asked.note_by(&who, (Action::RoleChange, &id), Some(after), &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

async fn disable(asked: Asked, Path(id): Path<String>) -> Response<Body> {
    set_status(&asked, &id, Status::Disabled).await
}

async fn enable(asked: Asked, Path(id): Path<String>) -> Response<Body> {
    set_status(&asked, &id, Status::Active).await
}

async fn set_status(asked: &Asked, id: &str, status: Status) -> Response<Body> {
    let changed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let changed = accounts.set_status(&who, id, status).await;
        let after = Some(status.as_str().to_owned());
        asked.note_by(&who, (Action::Revocation, id), after, &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

async fn keys(asked: Asked, RawQuery(query): RawQuery) -> Response<Body> {
    let listed = async {
        let keys = asked.keys()?;
        let who = asked.who().await?;
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

async fn make_key(asked: Asked, body: Received) -> Response<Body> {
    let made = async {
        let keys = asked.keys()?;
        let who = asked.who().await?;
        let new: NewKey = asked.read(&body)?;
        let days = new.expires_in_days;
        if days.is_some_and(|days| days == 0 || days > KEY_DAYS) {
            return Err(bad("expiresInDays: is 1 to 3660"));
        }
        let ends = days.map(|days| wall_ms() + days * 86_400_000);
        let made = keys.create(&who, &new.name, &new.scopes, ends).await;
        let after = Some(new.scopes.join(" "));
        asked.note_by(&who, (Action::KeyCreate, &new.name), after, &made);
        made
    };
    let shown = made.await.map(|(key, view)| json!({ "ok": true, "key": key, "about": view }));
    answered(shown, StatusCode::CREATED)
}

async fn revoke_key(asked: Asked, Path(prefix): Path<String>) -> Response<Body> {
    let revoked = async {
        let keys = asked.keys()?;
        let who = asked.who().await?;
        let revoked = keys.revoke(&who, &prefix).await;
        asked.note_by(&who, (Action::KeyRevoke, &prefix), None, &revoked);
        revoked.map_err(|refusal| match refusal.code {
            Code::NotFound => Refusal::new(Code::NotFound, "there is no such key"),
            _ => refusal,
        })
    };
    done(revoked.await, StatusCode::OK)
}
