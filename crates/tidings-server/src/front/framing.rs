//! Requests that two readers could understand differently.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, Version, header};
use tidings_core::{Code, Refusal};

use super::{refuse_with, respond};

/// Whether it is plain for whom a request is and where it ends; RFC 9112, sections 3.2 and 6.1.
///
/// The HTTP server refuses two different lengths, and hangs up after a request with a length beside chunks. What is
/// left is what a proxy in
/// front may read in another way: no host or two of them, another one in the target, and codings besides `chunked`.
///
/// # Errors
/// The refusal; the connection ends with it.
pub(super) fn check(version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(Fault { status: StatusCode::BAD_REQUEST, sentence: "exactly one Host header is needed" });
    }
    // Pages are judged by the header. A proxy that goes by the target has let something else through.
    let differs = |host: &HeaderValue| target.authority().is_some() && !names(target, host.as_bytes());
    if headers.get(header::HOST).is_some_and(differs) {
        let sentence = "the target and the Host header name different hosts";
        return Err(Fault { status: StatusCode::BAD_REQUEST, sentence });
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

/// Whether a target with an authority names a host as a Host header does: with or without the port that goes without
/// saying.
fn names(target: &Uri, host: &[u8]) -> bool {
    let usual: &[u8] = match target.scheme_str() {
        Some("https") => b":443",
        _ => b":80",
    };
    let bare = |host: &[u8]| host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase();
    target.authority().is_some_and(|authority| bare(authority.as_str().as_bytes()) == bare(host))
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
