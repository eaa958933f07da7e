//! WebSocket upgrades: the answer, and the socket's way to a shard.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
};
use bytes::Bytes;
use hyper::body::Incoming;
use tidings_core::hub::lock;
use tidings_wire::engineio::Query;
use tidings_wire::websocket::{self, Accepted, Deflate, DeflateConfig, UpgradeRequest};
use tokio::net::TcpStream;

use super::hello::Hello;
use super::{Front, respond};
use crate::shard::inbox::{Mail, NewSocket, Speaks};
use crate::shared::Shared;

/// A socket that is to leave the front after its 101.
pub(crate) struct Handover {
    pub(crate) shard: usize,
    pub(crate) speaks: Speaks,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) hello: Box<Hello>,
}

/// Whether a request asks for an upgrade to WebSocket.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers an upgrade to the plain protocol.
pub(super) fn plain(
    front: &Front,
    request: Request<Incoming>,
    remote: IpAddr,
    handover: &Mutex<Option<Handover>>,
) -> Response<Body> {
    open(front, request, remote, handover, Speaks::Plain)
}

/// Answers an upgrade to the raw echo of conformance suites.
pub(super) fn echo(
    front: &Front,
    request: Request<Incoming>,
    remote: IpAddr,
    handover: &Mutex<Option<Handover>>,
) -> Response<Body> {
    open(front, request, remote, handover, Speaks::Echo)
}

fn open(
    front: &Front,
    request: Request<Incoming>,
    remote: IpAddr,
    handover: &Mutex<Option<Handover>>,
    speaks: Speaks,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    if front.shared.draining.load(Ordering::Relaxed) {
        return respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the server is draining");
    }
    if !wanted(&parts.headers) {
        return upgrade_required();
    }
    let settings = &front.shared.settings;
    let Ok(query) = Query::parse(parts.uri.query().unwrap_or("")) else {
        return respond(StatusCode::BAD_REQUEST, "text/plain", "the query has too many parameters");
    };
    let accepted = match accept(&parts.method, parts.version, &parts.headers, settings.deflate.as_ref()) {
        Ok(accepted) => accepted,
        Err(response) => return *response,
    };
    let hello = Hello::read(&parts, remote, &query, settings.query_token, false);
    let shard = front.shared.least_loaded();
    let response = switching(&accepted);
    let hello = Box::new(hello);
    *lock(handover) = Some(Handover { shard, speaks, deflate: accepted.deflate, hello });
    response
}

/// Judges an upgrade request by RFC 6455.
pub(super) fn accept(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted, Box<Response<Body>>> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let joined = |name: HeaderName| {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    let (connection, extensions) = (joined(header::CONNECTION), joined(header::SEC_WEBSOCKET_EXTENSIONS));
    let request = UpgradeRequest {
        method: method.as_str(),
        http_1_1: version == Version::HTTP_11,
        upgrade: text(header::UPGRADE),
        connection: connection.as_deref(),
        version: text(header::SEC_WEBSOCKET_VERSION),
        key: text(header::SEC_WEBSOCKET_KEY),
        extensions: extensions.as_deref(),
    };
    websocket::accept(&request, deflate).map_err(|refused| {
        let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = respond(status, "text/html", refused.message);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        if refused.status == 426 {
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        Box::new(response)
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

/// Gives an upgraded socket to its shard, with what was already read from it.
pub(super) fn hand_over(
    shared: &Arc<Shared>,
    stream: TcpStream,
    read: Bytes,
    handover: Handover,
) -> std::io::Result<()> {
    let Handover { shard, speaks, deflate, hello } = handover;
    let stream = stream.into_std()?;
    // The front's buffer is as large as a head may be; what is left in it is copied out.
    let read = if read.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&read) };
    shared.counts[shard].coming.fetch_add(1, Ordering::Relaxed);
    let socket = Box::new(NewSocket { stream, read, deflate, speaks, hello });
    shared.inboxes[shard].push(Mail::Socket(socket));
    Ok(())
}

fn upgrade_required() -> Response<Body> {
    let mut response = respond(StatusCode::UPGRADE_REQUIRED, "text/plain", "this is a WebSocket endpoint");
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}
