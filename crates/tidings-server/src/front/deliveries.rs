//! What became of tracked messages: `GET /api/deliveries/{id}`, `GET /api/users/{id}/deliveries`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use tidings_core::{Code, Identity, Refusal};

use super::body::bad;
use super::named::Named;
use super::{refuse, respond, signed_in};
use crate::accounts::keys;
use crate::receipts::{Of, id_of, write_named};
use crate::shared::Shared;

/// Bytes of a user's id.
const USER: usize = 200;

/// For servers.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/deliveries/{id}", get(delivery))
        .route("/api/users/{id}/deliveries", get(of_user))
        .with_state(shared)
}

/// One message and its recipients, as long as it is remembered.
async fn delivery(State(shared): State<Arc<Shared>>, id: Named, headers: HeaderMap) -> Response<Body> {
    let found = async {
        let who = server(&shared, &headers).await?;
        let none = || Refusal::new(Code::NotFound, "there is no such message");
        shared.receipts.shown(&who.org, id_of(&id.known(none)?)?).ok_or_else(none)
    };
    answer(found.await)
}

/// How deliveries to a user went, of tracked messages.
async fn of_user(State(shared): State<Arc<Shared>>, user: Named, headers: HeaderMap) -> Response<Body> {
    let counted = async {
        let who = server(&shared, &headers).await?;
        let user = user.known(|| bad("the user's id is not UTF-8"))?;
        if user.is_empty() || user.len() > USER {
            return Err(bad("the user's id is empty or too long"));
        }
        let figures = shared.receipts.figures(&who.org, Of::User(&user));
        let mut out = b"{\"ok\":true".to_vec();
        write_named(&mut out, "userId", &user, &figures);
        out.push(b'}');
        Ok(out)
    };
    answer(counted.await)
}

/// Who may know who has received what: a server of the organisation, or an administrator.
async fn server(shared: &Shared, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let who = signed_in(shared, headers).await?;
    keys::allows(&who, "read")?;
    let refusal = || Refusal::new(Code::Forbidden, "only servers and administrators read deliveries");
    who.is_server().then_some(who).ok_or_else(refusal)
}

fn answer(result: Result<Vec<u8>, Refusal>) -> Response<Body> {
    match result {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(refusal) => refuse(&refusal),
    }
}
