//! Bodies of requests and answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_app::objects::{Wrong, read_all};
use tidings_core::{Code, Refusal};
use tidings_wire::json;

use super::{refuse, respond, signed_in};
use crate::shared::Shared;

/// Levels of nesting of a body that [`read`] takes.
const DEPTH: u32 = 4;

/// A body, or why there is none.
pub(super) type Received = Result<Bytes, BytesRejection>;

/// A body of which nothing was read: where it may be large, who asks is judged before it takes memory.
pub(super) struct Unread(Request);

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Unread {
    /// Reads it.
    pub(super) async fn receive(self) -> Received {
        Bytes::from_request(self.0, &()).await
    }

    /// Refuses what it came with, and lets the rest of it pass without keeping anything: who is still sending when
    /// a connection closes may never read why.
    pub(super) fn refused(self, refusal: &Refusal) -> Response<Body> {
        // Who waits for a word before it sends gets the refusal instead.
        if !self.0.headers().contains_key(header::EXPECT) {
            let mut rest = self.0.into_body();
            let passing = async move { while let Some(Ok(_)) = rest.frame().await {} };
            tokio::spawn(tokio::time::timeout(PASSING_TIME, passing));
        }
        refuse(refusal)
    }
}

/// What is left of a refused body may take so long to pass.
const PASSING_TIME: Duration = Duration::from_secs(10);

/// Routes whose bodies have so many bytes at most: what declares more is refused before anything of it is read, and
/// what declares nothing as soon as there is more.
pub(super) fn at_most<S: Clone + Send + Sync + 'static>(bytes: usize, routes: Router<S>) -> Router<S> {
    routes.layer(DefaultBodyLimit::max(bytes)).layer(from_fn_with_state(bytes, declared))
}

async fn declared(State(most): State<usize>, request: Request, next: Next) -> Response<Body> {
    if request.body().size_hint().lower() > most as u64 {
        return Unread(request).refused(&too_large());
    }
    next.run(request).await
}

fn too_large() -> Refusal {
    Refusal::new(Code::TooLarge, "the body is too large")
}

/// Before a body is read, for routes that are for nobody without a token or key.
pub(super) async fn signed_in_first(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if request.method() == Method::POST
        && let Err(refusal) = signed_in(&shared, request.headers()).await
    {
        return Unread(request).refused(&refusal);
    }
    next.run(request).await
}

pub(super) fn bad(text: &str) -> Refusal {
    Refusal::new(Code::BadRequest, text)
}

/// The key under which something is to be done once, if one was sent.
///
/// # Errors
/// `bad_request`
pub(super) fn idempotency(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let key = headers.get("idempotency-key").map(|key| key.to_str());
    key.transpose().map_err(|_| bad("Idempotency-Key: is not printable"))
}

/// The bytes of a body.
///
/// # Errors
/// `too_large`, or `bad_request` if it did not arrive.
pub(super) fn received(body: &Received) -> Result<&Bytes, Refusal> {
    body.as_ref().map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => bad("the body did not arrive"),
    })
}

/// Reads a body of strict JSON: known names alone, each once.
///
/// # Errors
/// `too_large`, or `bad_request` with what is wrong; never with what was sent.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Received) -> Result<T, Refusal> {
    let body = received(body)?;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(bad("an encoded body is not taken"));
    }
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8"))?;
    json::check(text, DEPTH).map_err(|violation| bad(violation.detail))?;
    read_all(text).map_err(|wrong| bad(&what(&wrong)))
}

/// serde names a missing field, but also quotes a wrong value, which may be a password.
fn what(wrong: &Wrong) -> String {
    let names = ["missing field", "unknown field", "duplicate field"];
    if names.iter().any(|name| wrong.problem.starts_with(name)) {
        return wrong.problem.chars().take(200).collect();
    }
    match wrong.field.as_str() {
        "" => "the body is not of the form that is needed".to_owned(),
        field => format!("{field}: is not of the form that is needed").chars().take(200).collect(),
    }
}

/// An answer that nobody keeps.
pub(super) fn told<T: Serialize>(result: Result<T, Refusal>) -> Response<Body> {
    answered(result, StatusCode::OK)
}

/// The same with a status of its own.
pub(super) fn answered<T: Serialize>(result: Result<T, Refusal>, status: StatusCode) -> Response<Body> {
    let written = result.and_then(|value| {
        serde_json::to_vec(&value)
            .map_err(|_| Refusal::new(Code::Unavailable, "the answer cannot be written"))
    });
    match written {
        Ok(body) => {
            let mut response = respond(status, "application/json", body);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// `{ok:true}`, or the refusal.
pub(super) fn done(result: Result<(), Refusal>, status: StatusCode) -> Response<Body> {
    answered(result.map(|()| serde_json::json!({ "ok": true })), status)
}
