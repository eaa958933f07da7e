//! WebSocket upgrades: the answer, and the socket's way to a shard.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use bytes::Bytes;
use tidings_core::{Code, Refusal};
use tidings_wire::engineio::Query;
use tidings_wire::websocket::{self, Accepted, Deflate, DeflateConfig, UpgradeRequest};
use tokio::net::TcpStream;

use super::hello::Hello;
use super::{Front, Limited, refuse, refuse_with, respond, turned_away};
use crate::shard::inbox::{Admitted, Mail, NewSocket, Speaks};
use crate::shared::Shared;

/// A socket that is to leave the front after its 101.
pub(crate) struct Handover {
    pub(crate) shard: usize,
    pub(crate) speaks: Speaks,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) hello: Box<Hello>,
    pub(crate) admitted: Admitted,
}

/// Whether a request asks for an upgrade to WebSocket.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    let mut named =
        headers.get_all(header::UPGRADE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    named.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// What stands against an upgrade beside its handshake: what comes behind it would be taken for frames, and of a
/// header that stands twice nobody knows which is meant.
fn against(headers: &HeaderMap) -> Option<&'static str> {
    let empty = |length: &HeaderValue| length.as_bytes() == b"0";
    if headers.contains_key(header::TRANSFER_ENCODING)
        || !headers.get_all(header::CONTENT_LENGTH).iter().all(empty)
    {
        return Some("a WebSocket handshake has no body");
    }
    let once = [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION];
    let twice = once.into_iter().any(|name| headers.get_all(name).iter().nth(1).is_some());
    twice.then_some("Sec-WebSocket-Key and Sec-WebSocket-Version are given once")
}

/// A granted upgrade: where the socket goes, and the 101.
pub(super) struct Switch {
    pub(super) handover: Handover,
    pub(super) response: Response<Body>,
}

/// Judges an upgrade to the plain protocol.
pub(super) fn plain(front: &Front, parts: &Parts, remote: IpAddr) -> Result<Switch, Box<Response<Body>>> {
    open(front, parts, remote, Speaks::Plain)
}

/// Judges an upgrade to the raw echo of conformance suites.
pub(super) fn echo(front: &Front, parts: &Parts, remote: IpAddr) -> Result<Switch, Box<Response<Body>>> {
    open(front, parts, remote, Speaks::Echo)
}

fn open(front: &Front, parts: &Parts, remote: IpAddr, speaks: Speaks) -> Result<Switch, Box<Response<Body>>> {
    if front.shared.draining.load(Ordering::Relaxed) {
        return Err(Box::new(refuse(&Refusal::new(Code::Unavailable, "the server is draining"))));
    }
    if !wanted(&parts.headers) {
        return Err(Box::new(upgrade_required()));
    }
    let settings = &front.shared.settings;
    let Ok(query) = Query::parse(parts.uri.query().unwrap_or("")) else {
        return Err(Box::new(refuse(&Refusal::new(Code::BadRequest, "the query has too many parameters"))));
    };
    let accepted = accept(&parts.method, parts.version, &parts.headers, settings.deflate.as_ref());
    let accepted = accepted.map_err(|fault| Box::new(refused(&fault)))?;
    let gate = &front.shared.gate;
    let visit = gate.visit(remote).map_err(|limit| Box::new(turned_away(limit)))?;
    let admitted = Admitted::Visit(visit);
    let hello = Box::new(Hello::read(parts, remote, &query, settings.query_token, false));
    let shard = front.shared.least_loaded();
    let response = switching(&accepted);
    Ok(Switch { handover: Handover { shard, speaks, deflate: accepted.deflate, hello, admitted }, response })
}

/// The answer to a handshake that is refused: one that is none costs one of its address' requests, one for which
/// there is no place is counted where it is noted.
pub(super) fn counted(front: &Front, remote: IpAddr, refused: Response<Body>) -> Response<Body> {
    if !refused.status().is_client_error() || refused.extensions().get::<Limited>().is_some() {
        return refused;
    }
    match front.shared.gate.bad_handshake(remote, false) {
        Ok(()) => refused,
        Err(refusal) => refuse(&refusal),
    }
}

/// Why a handshake is refused, for doors that say it each in their own way.
pub(super) struct Fault {
    status: StatusCode,
    sentence: &'static str,
}

impl Fault {
    /// The refusal with the body `write` makes of its sentence; the connection ends with it.
    fn told(&self, write: impl FnOnce(StatusCode, &'static str) -> Response<Body>) -> Response<Body> {
        let mut response = write(self.status, self.sentence);
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }

    /// As Engine.IO says it: the sentence is the body.
    pub(super) fn sentence(&self) -> Response<Body> {
        self.told(|status, sentence| respond(status, "text/html", sentence))
    }
}

/// As our own door says it: with the refusal object.
fn refused(fault: &Fault) -> Response<Body> {
    fault.told(|status, sentence| refuse_with(status, &Refusal::new(Code::BadRequest, sentence)))
}

/// Judges an upgrade request by RFC 6455.
pub(super) fn accept(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted, Fault> {
    if let Some(sentence) = against(headers) {
        return Err(Fault { status: StatusCode::BAD_REQUEST, sentence });
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let joined = |name: HeaderName| {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    let (upgrade, connection) = (joined(header::UPGRADE), joined(header::CONNECTION));
    let extensions = joined(header::SEC_WEBSOCKET_EXTENSIONS);
    let request = UpgradeRequest {
        method: method.as_str(),
        http_1_1: version == Version::HTTP_11,
        upgrade: upgrade.as_deref(),
        connection: connection.as_deref(),
        version: text(header::SEC_WEBSOCKET_VERSION),
        key: text(header::SEC_WEBSOCKET_KEY),
        extensions: extensions.as_deref(),
    };
    websocket::accept(&request, deflate).map_err(|fault| {
        let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
        Fault { status, sentence: fault.message }
    })
}

/// The 101.
pub(super) fn switching(accepted: &Accepted) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&accepted.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    if let Some(Ok(value)) = accepted.extensions.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, value);
    }
    response
}

/// Gives a socket to its shard after the HTTP server has sent the 101, with what was already read.
pub(super) fn hand_over(
    shared: &Shared,
    stream: TcpStream,
    read: &[u8],
    handover: Handover,
) -> std::io::Result<()> {
    let stream = mio::net::TcpStream::from_std(stream.into_std()?);
    // The front's buffer is as large as a head may be; what is left in it is copied out.
    to_shard(shared, stream, Vec::new(), Bytes::copy_from_slice(read), handover);
    Ok(())
}

/// Gives a socket to its shard, with what it has to send first and what was already read.
pub(super) fn to_shard(
    shared: &Shared,
    stream: mio::net::TcpStream,
    reply: Vec<u8>,
    read: Bytes,
    handover: Handover,
) {
    let Handover { shard, speaks, deflate, hello, admitted } = handover;
    shared.counts[shard].coming.fetch_add(1, Ordering::Relaxed);
    let socket = Box::new(NewSocket { stream, reply, read, deflate, speaks, hello, admitted });
    shared.inboxes[shard].push(Mail::Socket(socket));
}

fn upgrade_required() -> Response<Body> {
    let refusal = Refusal::new(Code::BadRequest, "this is a WebSocket endpoint");
    let mut response = refuse_with(StatusCode::UPGRADE_REQUIRED, &refusal);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}
