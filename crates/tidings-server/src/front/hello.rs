//! What a client said at its handshake.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use tidings_wire::engineio::Query;

use super::Purpose;

/// What a client said at its handshake, as far as somebody will still ask.
///
/// What it shows of itself in a log holds no token, wherever one was sent.
#[derive(Clone)]
pub struct Hello {
    /// The address it came from.
    pub remote: IpAddr,
    /// The token in the query string, which is there if it is empty, too.
    pub query_token: Option<String>,
    /// The token in the `Authorization` header, likewise.
    pub header_token: Option<String>,
    /// An API key was shown, which signs nobody in on a socket.
    pub shows_key: bool,
    /// It is python-engineio, whose handlers take a fixed number of arguments.
    pub python: bool,
    /// It cannot take binary.
    pub text_only: bool,
    /// It came in at the listener of administrators.
    pub at_admin_door: bool,
    /// It wants the engine alone, without Socket.IO (conformance suites).
    pub engine_only: bool,
    /// Everything else, kept only for a mounted handler.
    pub request: Option<Box<RequestInfo>>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            remote: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            query_token: None,
            header_token: None,
            shows_key: false,
            python: false,
            text_only: false,
            at_admin_door: false,
            engine_only: false,
            request: None,
        }
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("remote", &self.remote)
            .field("query_token", &self.query_token.is_some())
            .field("header_token", &self.header_token.is_some())
            .field("python", &self.python)
            .field("text_only", &self.text_only)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A handshake request, for handlers that want to look at it.
#[derive(Clone)]
pub struct RequestInfo {
    /// Path and query.
    pub url: String,
    /// The query's parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, without cookies and credentials.
    pub headers: Vec<(String, String)>,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it came from a page of another origin.
    pub cross_origin: bool,
}

impl fmt::Debug for RequestInfo {
    /// The path without its query, which may hold a token, and no values of anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        let names: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RequestInfo")
            .field("path", &path)
            .field("query", &names)
            .field("at_ms", &self.at_ms)
            .field("cross_origin", &self.cross_origin)
            .finish_non_exhaustive()
    }
}

impl Hello {
    /// Reads a handshake request.
    pub(crate) fn read(
        parts: &Parts,
        remote: IpAddr,
        query: &Query<'_>,
        reads_query_token: bool,
        keep: bool,
    ) -> Self {
        let token = query.pairs().find(|(name, _)| name == "token").map(|(_, value)| value.into_owned());
        let request = keep.then(|| {
            Box::new(RequestInfo {
                url: parts.uri.to_string(),
                query: query.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
                headers: harmless(&parts.headers),
                at_ms: crate::shared::wall_ms(),
                cross_origin: parts.headers.contains_key(header::ORIGIN),
            })
        });
        Self {
            remote,
            query_token: token.filter(|_| reads_query_token),
            header_token: shown(&parts.headers).map(str::to_owned),
            shows_key: parts.headers.contains_key("x-api-key"),
            python: query.is_python(),
            text_only: query.b64,
            at_admin_door: parts.extensions.get() == Some(&Purpose::Admin),
            engine_only: false,
            request,
        }
    }

    /// Whether a later sign-in may need it.
    pub(crate) fn has_tokens(&self) -> bool {
        self.query_token.is_some() || self.header_token.is_some() || self.shows_key || self.python
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    shown(headers).filter(|token| !token.is_empty())
}

/// The same, empty where there is such a header without a token, or with one that is no text.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    let text = || std::str::from_utf8(token).unwrap_or_default().trim();
    scheme.eq_ignore_ascii_case(b"bearer").then(text)
}

fn harmless(headers: &HeaderMap) -> Vec<(String, String)> {
    let secret = [header::COOKIE, header::AUTHORIZATION];
    let harmless = |name: &header::HeaderName| !secret.contains(name) && name != "x-api-key";
    let kept = headers.iter().filter(|(name, _)| harmless(name));
    kept.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::Request;

    use super::*;

    #[test]
    fn what_is_shown_of_a_handshake_holds_no_token() {
        let request = Request::get("/socket.io/?EIO=4&token=secret-one")
            .header("Authorization", "Bearer secret-two")
            .header("Cookie", "secret-three")
            .header("X-API-Key", "secret-four")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let query = Query::parse("EIO=4&token=secret-one").unwrap();
        let hello = Hello::read(&parts, IpAddr::V4(Ipv4Addr::LOCALHOST), &query, true, true);
        assert_eq!(hello.query_token.as_deref(), Some("secret-one"));
        assert_eq!(hello.header_token.as_deref(), Some("secret-two"));
        let shown = format!("{hello:?}");
        assert!(!shown.contains("secret") && shown.contains("/socket.io/"), "{shown}");
        let kept = &hello.request.unwrap().headers;
        assert!(!kept.iter().any(|(_, value)| value.contains("secret")), "{kept:?}");
    }
}
