//! Requests that two readers could understand differently.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};

use super::respond;

/// Whether it is plain for whom a request is and where it ends; RFC 9112, sections 3.2 and 6.1.
///
/// The HTTP server refuses two different lengths, and hangs up after a request with a length beside chunks. What is
/// left is what a proxy in
/// front may read in another way: no host or two of them, and codings besides `chunked`.
///
/// # Errors
/// The refusal; the connection ends with it.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(refused(StatusCode::BAD_REQUEST, "exactly one Host header is needed"));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(refused(StatusCode::NOT_IMPLEMENTED, "of the transfer codings only chunked is known")),
    }
}

fn refused(status: StatusCode, sentence: &'static str) -> Box<Response<Body>> {
    let mut response = respond(status, "text/plain", sentence);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Box::new(response)
}
