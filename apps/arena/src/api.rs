//! REST below `/api/arena`. Whoever is signed in reads; servers (a key or token with the scope `publish`, or an
//! administrator) write, and players what is their own. Everything is of the caller's organisation.
//!
//! | module | what it is about |
//! |---|---|
//! | `games` | matches |
//! | `boards` | leaderboards |
//! | `people` | players and friends |
//! | `tournaments` | sessions |

mod boards;
mod describe;
mod games;
mod people;
mod tournaments;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_app::{Caller, Changes, Code, Identity, Org, Pending, Refusal, Stage};

use crate::acts::bad;
use crate::arena::Arena;

pub use describe::paths;

/// Bytes of a body at most.
const BODY_BYTES: usize = 64 << 10;
/// What is sent with something that is to be done once.
const KEY: &str = "idempotency-key";
/// Where the room stood that tells of changes.
const POSITION: &str = "tidings-position";
/// Things that a list holds where no number is named, and at most.
const PAGE: u64 = 50;
const PAGE_MOST: u64 = 200;

/// What every route has at hand.
pub(crate) struct Api {
    pub(crate) arena: Arc<Arena>,
    pub(crate) stage: Stage,
}

/// The routes.
pub fn routes(arena: Arc<Arena>, stage: Stage) -> Router {
    let api = Arc::new(Api { arena, stage });
    let all = [people::routes(), games::routes(), boards::routes(), tournaments::routes()];
    let all = all.into_iter().fold(Router::new(), Router::merge);
    all.layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(api)
}

/// A refusal as an answer.
pub(crate) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<tidings_store::StoreError> for Refused {
    fn from(error: tidings_store::StoreError) -> Self {
        Self(Refusal::from(error))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        let mut body = b"{\"ok\":false,\"error\":".to_vec();
        self.0.write_json(&mut body);
        body.push(b'}');
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond(status, body);
        if let Some(ms) = self.0.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        response
    }
}

/// What a route answers.
pub(crate) type Answer = Result<Response<Body>, Refused>;

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Something that was read, as JSON; it may be kept by who asks again.
pub(crate) fn told<T: Serialize>(value: &T) -> Answer {
    let mut response = told_as(StatusCode::OK, value)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// The same of what a room tells the changes of; `position` is where that stood before it was read.
pub(crate) fn told_from<T: Serialize>(position: Option<String>, value: &T) -> Answer {
    let mut response = told(value)?;
    if let Some(position) = position.and_then(|position| HeaderValue::try_from(position).ok()) {
        response.headers_mut().insert(POSITION, position);
    }
    Ok(response)
}

/// The same with a status of its own.
pub(crate) fn told_as<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let fault = |_| Refusal::new(Code::Unavailable, "the answer cannot be written");
    Ok(respond(status, serde_json::to_vec(value).map_err(fault)?))
}

/// Who asks, if it is somebody who may read.
pub(crate) struct Asker(Caller);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Self::of(parts.extensions.get::<Caller>())?)
    }
}

/// What is asked to be done: by whom, with what.
pub(crate) struct Asked {
    asker: Asker,
    headers: HeaderMap,
    body: Received,
}

impl<S: Sync + Send> FromRequest<S> for Asked {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let asker = Asker::of(request.extensions().get::<Caller>())?;
        let headers = request.headers().clone();
        Ok(Self { asker, headers, body: Bytes::from_request(request, state).await })
    }
}

impl Asked {
    /// Who asks.
    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The body.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        read(&self.body)
    }
}

impl Asker {
    /// Somebody who may read.
    ///
    /// # Errors
    /// `unauthorized`
    fn of(caller: Option<&Caller>) -> Result<Self, Refusal> {
        let caller = caller.cloned().unwrap_or_else(|| Caller::new(Arc::new(Identity::anonymous())));
        if caller.who.user.is_none() && !caller.who.is_server() {
            return Err(Refusal::new(Code::Unauthorized, "sign-in is needed"));
        }
        Ok(Self(caller))
    }

    /// The organisation.
    pub(crate) fn org(&self) -> &Org {
        &self.0.who.org
    }

    /// The user, if it is one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.0.who.user.as_deref()
    }

    /// The name in the token.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.who.name.as_deref()
    }

    /// Whether it is a server.
    pub(crate) fn is_server(&self) -> bool {
        self.0.who.is_server()
    }

    /// Only a server goes on.
    ///
    /// # Errors
    /// `forbidden`
    pub(crate) fn server(&self) -> Result<&Self, Refusal> {
        if self.is_server() {
            return Ok(self);
        }
        Err(Refusal::new(Code::Forbidden, "this is for servers: a key or token with the scope publish"))
    }

    /// Only the player himself or a server goes on.
    ///
    /// # Errors
    /// `forbidden`
    pub(crate) fn himself_or_server(&self, player: &str) -> Result<&Self, Refusal> {
        if self.is_server() || self.user() == Some(player) {
            return Ok(self);
        }
        Err(Refusal::new(Code::Forbidden, "this is for the player, or for servers"))
    }
}

/// A body, or why there is none.
type Received = Result<Bytes, BytesRejection>;

/// Reads a body; an empty one is an empty object.
///
/// # Errors
/// `too_large`, or `bad_request` with what is wrong.
fn read<T: DeserializeOwned>(body: &Received) -> Result<T, Refusal> {
    let body = body.as_ref().map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Code::TooLarge, "the body is too large"),
        _ => bad("the body did not arrive"),
    })?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        bad(&text.chars().take(200).collect::<String>())
    })
}

/// Reads the query.
///
/// # Errors
/// `bad_request`
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| bad(&rejection.body_text().chars().take(200).collect::<String>()))
}

/// Reads what stands in the path.
///
/// # Errors
/// `bad_request`
pub(crate) fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Refusal> {
    path.map(|Path(path)| path).map_err(|_| bad("the path is not UTF-8"))
}

/// How many things a list is to hold.
pub(crate) fn limit(limit: Option<u64>) -> u64 {
    limit.unwrap_or(PAGE).clamp(1, PAGE_MOST)
}

impl Api {
    /// Does something in a transaction; under a key once, and a repeat is answered as the first was. `name` says what it
    /// is, and to what.
    pub(crate) async fn commit<T, F>(&self, asked: &Asked, name: String, work: F) -> Answer
    where
        T: Serialize + Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        let Some(key) = asked.headers.get(KEY) else {
            return told_as(StatusCode::OK, &self.stage.commit(work).await?);
        };
        let key = key.to_str().map_err(|_| bad("Idempotency-Key: is not printable"))?;
        let body = asked.body.as_ref().map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
        let what = ["/api/arena", &name, &body];
        let told = self.stage.commit_once(&asked.asker.0, key, what, work).await?;
        let mut json = told.json.into_bytes();
        if told.duplicate && json.pop() == Some(b'}') {
            json.extend_from_slice(b",\"duplicate\":true}");
        }
        Ok(respond(StatusCode::OK, json))
    }

    /// The same for something that is made by it.
    pub(crate) async fn make<T, F>(&self, asked: &Asked, name: String, work: F) -> Answer
    where
        T: Serialize + Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        let mut response = self.commit(asked, name, work).await?;
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }
}
