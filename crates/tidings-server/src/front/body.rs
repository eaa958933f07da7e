//! Bodies of requests and answers.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_app::objects::{Wrong, read_all};
use tidings_core::{Code, Refusal};
use tidings_wire::json;

use super::{refuse, respond};

/// Levels of nesting of a body that [`read`] takes.
const DEPTH: u32 = 4;

/// A body, or why there is none.
pub(super) type Received = Result<Bytes, BytesRejection>;

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
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Code::TooLarge, "the body is too large"),
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
