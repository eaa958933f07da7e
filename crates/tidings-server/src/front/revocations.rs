//! `POST /api/revocations` and `POST /api/users/{id}/disconnect`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use compact_str::CompactString;
use serde::Deserialize;
use tidings_app::objects::read_body;
use tidings_core::{Code, Identity, Refusal};

use super::body::{Received, at_most, bad, received, signed_in_first};
use super::named::Named;
use super::to_the_end::to_the_end;
use super::{refuse, respond, signed_in};
use crate::accounts::keys;
use crate::accounts::members::no_user;
use crate::audit::{Action, Entry, Outcome};
use crate::live::{Live, Target};
use crate::shared::Shared;
use crate::signin::now_seconds;

/// Bytes of a request.
const BODY: usize = 4_096;

/// Bytes of a user's or token's id, and of a reason.
const TEXT: usize = 200;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/api/revocations", post(|s, h, b| to_the_end(revoke(s, h, b))))
        .route("/api/users/{id}/disconnect", post(|s, user, h| to_the_end(disconnect(s, user, h))))
        .layer(from_fn_with_state(shared.clone(), signed_in_first));
    at_most(BODY, routes).with_state(shared)
}

/// Exactly one of `jti` and `userId`, or `org` alone for everybody in it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    jti: Option<String>,
    user_id: Option<String>,
    org: Option<String>,
    before: Option<u64>,
    reason: Option<String>,
}

async fn revoke(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Received) -> Response<Body> {
    answer(revoke_wanted(&shared, &headers, body).await.map(|()| "{\"ok\":true}".to_owned()))
}

async fn revoke_wanted(shared: &Arc<Shared>, headers: &HeaderMap, body: Received) -> Result<(), Refusal> {
    let who = operator(shared, headers, Action::Revocation).await?;
    let body = std::str::from_utf8(received(&body)?).map_err(|_| bad("the body is not UTF-8"))?;
    let wanted: Wanted = read_body(body)?;
    let target = target(&who, &wanted)?;
    if wanted.before.is_some_and(|before| before > now_seconds() + 1) {
        return Err(bad("before: lies in the future"));
    }
    let reason = wanted.reason.as_deref().unwrap_or("revoked by request");
    if reason.is_empty() || reason.len() > TEXT {
        return Err(bad("reason: is empty or too long"));
    }
    let reason = format!("request: {reason}");
    let done = Live::new(shared.clone()).revoke(&who.org, &target, wanted.before, &reason).await;
    let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Failed };
    let object = match target {
        Target::Token(id) => format!("token {id}"),
        Target::User(user) => format!("user {user}"),
        Target::Org => "everybody".into(),
    };
    shared.audit.note(Entry::new(Action::Revocation, outcome).by_identity(&who).on(object).because(reason));
    done
}

/// Whose tokens are meant; all of the asker's own organisation, since others do not exist for it.
fn target(who: &Identity, wanted: &Wanted) -> Result<Target, Refusal> {
    if wanted.org.as_deref().is_some_and(|org| org != who.org.as_str()) {
        return Err(Refusal::new(Code::NotFound, "no such organisation"));
    }
    match (&wanted.jti, &wanted.user_id, &wanted.org) {
        (Some(jti), None, _) => Ok(Target::Token(id(jti, "jti: is empty or too long")?)),
        (None, Some(user), _) => Ok(Target::User(id(user, "userId: is empty or too long")?)),
        (None, None, Some(_)) => Ok(Target::Org),
        _ => Err(bad("exactly one of jti and userId is needed, or org alone for everybody in it")),
    }
}

fn id(text: &str, refusal: &str) -> Result<CompactString, Refusal> {
    if text.is_empty() || text.len() > TEXT { Err(bad(refusal)) } else { Ok(text.into()) }
}

async fn disconnect(State(shared): State<Arc<Shared>>, user: Named, headers: HeaderMap) -> Response<Body> {
    answer(disconnect_user(&shared, user, &headers).await)
}

async fn disconnect_user(shared: &Arc<Shared>, user: Named, headers: &HeaderMap) -> Result<String, Refusal> {
    let who = operator(shared, headers, Action::Disconnect).await?;
    let user = id(&user.known(no_user)?, "the user's id is empty or too long")?;
    let disconnected = Live::new(shared.clone()).kick(&who.org, &user).await?;
    let entry = Entry::ok(Action::Disconnect).by_identity(&who).on(format!("user {user}"));
    shared.audit.note(entry.with(format!("{{\"connections\":{disconnected}}}")));
    Ok(format!("{{\"ok\":true,\"disconnected\":{disconnected}}}"))
}

/// One who may end others' connections in its organisation: an administrator, a key with scope `admin`, or a server with a token.
async fn operator(shared: &Shared, headers: &HeaderMap, action: Action) -> Result<Identity, Refusal> {
    let who = signed_in(shared, headers).await?;
    // A key does what its scopes say, and to publish is not to end an organisation's connections.
    if let Err(refusal) = keys::allows(&who, "admin") {
        shared.audit.note(Entry::refused(action).by_identity(&who).because("scope"));
        return Err(refusal);
    }
    if who.is_server() {
        return Ok(who);
    }
    shared.audit.note(Entry::refused(action).by_identity(&who).because("forbidden"));
    Err(Refusal::new(Code::Forbidden, "only administrators and servers end others' connections"))
}

fn answer(result: Result<String, Refusal>) -> Response<Body> {
    match result {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(refusal) => refuse(&refusal),
    }
}
