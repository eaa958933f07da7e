//! Requests that two readers could understand differently.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use tidings_core::{Code, Refusal};

use super::{refuse_with, respond};

/// Whether it is plain for whom a request is and where it ends; RFC 9112, sections 3.2 and 6.1.
///
/// The HTTP server refuses two different lengths, and hangs up after a request with a length beside chunks. What is
/// left is what a proxy in
/// front may read in another way: no host or two of them, and codings besides `chunked`.
///
/// # Errors
/// The refusal; the connection ends with it.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Fault> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(Fault { status: StatusCode::BAD_REQUEST, sentence: "exactly one Host header is needed" });
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Fault {
            status: StatusCode::NOT_IMPLEMENTED,
            sentence: "of the transfer codings only chunked is known",
        }),
    }
}

/// What is wrong with a request.
pub(super) struct Fault {
    status: StatusCode,
    sentence: &'static str,
}

impl Fault {
    /// The refusal, as a sentence where Socket.IO is spoken; the connection ends with it.
    pub(super) fn told(&self, socket_io: bool) -> Response<Body> {
        let mut response = if socket_io {
            respond(self.status, "text/plain", self.sentence)
        } else {
            refuse_with(self.status, &Refusal::new(Code::BadRequest, self.sentence))
        };
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
