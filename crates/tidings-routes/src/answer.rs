//! How it is answered.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use tidings_app::{Changes, Code, Once, Pending, Refusal, Stage, Told};

use crate::ask::Asked;

/// Where the room stood that tells of changes.
const POSITION: &str = "tidings-position";

/// A refusal as an answer.
#[derive(Debug)]
pub struct Refused(Refusal);

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
        let mut body = Vec::new();
        self.0.open_answer(&mut body);
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
pub type Answer = Result<Response<Body>, Refused>;

/// JSON that nobody keeps.
pub fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Something that was read, as JSON; it may be kept by who asks again.
///
/// # Errors
/// `unavailable` if it cannot be written, here and below.
pub fn told<T: Serialize>(value: &T) -> Answer {
    let mut response = told_as(StatusCode::OK, value)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// The same of what a room tells the changes of; `position` is where that stood before it was read.
///
/// # Errors
/// As [`told`].
pub fn told_from<T: Serialize>(position: Option<String>, value: &T) -> Answer {
    let mut response = told(value)?;
    if let Some(position) = position.and_then(|position| HeaderValue::try_from(position).ok()) {
        response.headers_mut().insert(POSITION, position);
    }
    Ok(response)
}

/// The same with a status of its own.
///
/// # Errors
/// As [`told`].
pub fn told_as<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let fault = |_| Refusal::new(Code::Unavailable, "the answer cannot be written");
    Ok(respond(status, serde_json::to_vec(value).map_err(fault)?))
}

/// Does something in a transaction; under a key once, and a repeat is answered as the first was. `what` says whose
/// routes these are, and what is done to what.
///
/// # Errors
/// What the closure refuses; as [`Stage::commit_once`].
pub async fn commit<T, F>(stage: &Stage, asked: &Asked, what: [&str; 2], work: F) -> Answer
where
    T: Serialize + Send + 'static,
    F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
{
    let Some(key) = asked.key()? else {
        return told_as(StatusCode::OK, &stage.commit(work).await?);
    };
    let body = asked.text();
    Ok(told_once(
        StatusCode::OK,
        stage.commit_once(&asked.asker().0, key, [what[0], what[1], &body], work).await?,
    ))
}

/// The key it is to be done once under, if one was sent, where an app shares transactions between those who ask; `what` as for
/// [`commit`], with what stands in the path.
///
/// # Errors
/// `bad_request` for a key that is none.
pub fn once(stage: &Stage, asked: &Asked, what: [&str; 2]) -> Result<Option<Once>, Refusal> {
    let Some(key) = asked.key()? else { return Ok(None) };
    stage.once(&asked.asker().0, key, [what[0], what[1], &asked.text()]).map(Some)
}

/// What was done once under a key, as it was answered first.
pub fn told_once(status: StatusCode, told: Told) -> Response<Body> {
    let mut json = told.json.into_bytes();
    if told.duplicate && json.pop() == Some(b'}') {
        json.extend_from_slice(b",\"duplicate\":true}");
    }
    respond(status, json)
}

/// The same for something that is made by it.
///
/// # Errors
/// As [`commit`].
pub async fn make<T, F>(stage: &Stage, asked: &Asked, what: [&str; 2], work: F) -> Answer
where
    T: Serialize + Send + 'static,
    F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
{
    let mut response = commit(stage, asked, what, work).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
