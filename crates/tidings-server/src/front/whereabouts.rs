//! `GET /api/users/{id}/presence`: whether a user is there, and when it last was.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::from_fn;
use axum::routing::get;
use tidings_core::{Code, Refusal, UserKey};

use super::body::bad;
use super::named::Named;
use super::{etag, refuse, respond, signed_in};
use crate::accounts::keys;
use crate::presence;
use crate::shared::Shared;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/users/{id}/presence", get(of_user))
        .layer(from_fn(etag::tagged))
        .with_state(shared)
}

async fn of_user(State(shared): State<Arc<Shared>>, user: Named, headers: HeaderMap) -> Response<Body> {
    match whereabouts(&shared, user, &headers).await {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(refusal) => refuse(&refusal),
    }
}

/// For the user itself, and for servers and administrators of its organisation.
async fn whereabouts(shared: &Shared, user: Named, headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let who = signed_in(shared, headers).await?;
    keys::allows(&who, "read")?;
    let user = user.known(|| bad("the user's id is not UTF-8"))?;
    let user = UserKey::new(&who.org, &user);
    let own = who.user_key().as_ref() == Some(&user);
    if !own && !who.is_server() {
        return Err(Refusal::new(Code::Forbidden, "only servers and administrators ask for others"));
    }
    presence::of_user(shared, &user, own).await
}
