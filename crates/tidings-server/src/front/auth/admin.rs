//! `/api/users` and `/api/keys`: what administrators of an organisation do.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{Response, StatusCode};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::json;
use tidings_core::{Code, Refusal};
use tidings_store::users::Status;
use tidings_wire::engineio::Query;

use super::asked::Asked;
use crate::accounts::members::{PAGE, admin, no_user};
use crate::audit::Action;
use crate::front::body::{Received, answered, bad, done, told};
use crate::front::named::Named;
use crate::front::to_the_end::to_the_end;
use crate::shared::{Shared, wall_ms};

/// The longest a key can be made for.
const KEY_DAYS: u64 = 3_660;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/users", get(users).post(|asked, body| to_the_end(invite(asked, body))))
        .route("/api/users/{id}/roles", post(|asked, id, body| to_the_end(roles(asked, id, body))))
        .route(
            "/api/users/{id}/disable",
            post(|asked, id| to_the_end(set_status(asked, id, Status::Disabled))),
        )
        .route("/api/users/{id}/enable", post(|asked, id| to_the_end(set_status(asked, id, Status::Active))))
        .route(
            "/api/users/{id}/second-factor/remove",
            post(|asked, id| to_the_end(remove_second_factor(asked, id))),
        )
        .route("/api/keys", get(keys).post(|asked, body| to_the_end(make_key(asked, body))))
        .route("/api/keys/{prefix}", delete(|asked, prefix| to_the_end(revoke_key(asked, prefix))))
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
    had: Option<Vec<String>>,
}

async fn roles(asked: Asked, id: Named, body: Received) -> Response<Body> {
    let changed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let wanted: Roles = asked.read(&body)?;
        let id = id.known(no_user)?;
        let changed = accounts.set_roles(&who, &id, &wanted.roles, wanted.had.as_deref()).await;
        let after = format!("{:?}", wanted.roles);
        asked.note_by(&who, (Action::RoleChange, &id), Some(after), &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

async fn set_status(asked: Asked, id: Named, status: Status) -> Response<Body> {
    let changed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let id = id.known(no_user)?;
        let changed = accounts.set_status(&who, &id, status).await;
        let action = match status {
            Status::Active => Action::UserEnable,
            Status::Disabled => Action::Revocation,
        };
        asked.note_by(&who, (action, &id), Some(status.as_str().to_owned()), &changed);
        changed
    };
    told(changed.await.map(|user| json!({ "ok": true, "user": user })))
}

async fn remove_second_factor(asked: Asked, id: Named) -> Response<Body> {
    let removed = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        let id = id.known(no_user)?;
        let removed = accounts.remove_second_factor(&who, &id).await;
        asked.note_by(&who, (Action::FactorRemove, &id), None, &removed);
        removed
    };
    told(removed.await.map(|user| json!({ "ok": true, "user": user })))
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
        let made = async {
            admin(&who)?;
            // A server without accounts has no passwords to ask for.
            if let Ok(accounts) = asked.accounts() {
                accounts.proved_lately(&who).await?;
            }
            keys.create(&who, &new.name, &new.scopes, ends).await
        };
        let made = made.await;
        asked.note_key(&who, (&new.name, &new.scopes), &made);
        made
    };
    let shown = made.await.map(|(key, view)| json!({ "ok": true, "key": key, "about": view }));
    answered(shown, StatusCode::CREATED)
}

async fn revoke_key(asked: Asked, prefix: Named) -> Response<Body> {
    let no_key = || Refusal::new(Code::NotFound, "there is no such key");
    let revoked = async {
        let keys = asked.keys()?;
        let who = asked.who().await?;
        let prefix = prefix.known(no_key)?;
        let revoked = keys.revoke(&who, &prefix, asked.called_back()).await;
        asked.note_by(&who, (Action::KeyRevoke, &prefix), None, &revoked);
        revoked.map_err(|refusal| if refusal.code == Code::NotFound { no_key() } else { refusal })
    };
    done(revoked.await, StatusCode::OK)
}
