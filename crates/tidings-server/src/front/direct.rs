//! The short way in: a WebSocket whose whole request came with its first bytes and has nothing
//! against it goes to its shard at once, without a task, a timer or a buffer of its own.
//!
//! Everything else, refusals included, takes the long way through the HTTP server, which reads the
//! same bytes again.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Version, header};
use bytes::Bytes;
use mio::net::TcpStream;

use super::origin::{Verdict, add_cors};
use super::serve::{Door, HEADERS, Purpose};
use super::upgrade::{self, Handover, Switch};
use super::{framing, socketio};

/// Hands a socket over if the bytes it began with are a request for a WebSocket that is granted;
/// gives it back if not.
pub(super) fn take(door: &Door, stream: TcpStream, remote: IpAddr, read: &[u8]) -> Option<TcpStream> {
    let Some((mut parts, size)) = head(read) else { return Some(stream) };
    if door.purpose == Purpose::Admin {
        parts.extensions.insert(door.purpose);
    }
    let Some((handover, reply)) = grant(door, &parts, remote) else { return Some(stream) };
    let rest = Bytes::copy_from_slice(&read[size..]);
    upgrade::to_shard(&door.front.shared, stream, reply, rest, handover);
    None
}

/// Whether some bytes hold a whole request head, or what will never be one: both are answered at once.
pub(super) fn is_whole(read: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    !matches!(httparse::Request::new(&mut headers).parse(read), Ok(httparse::Status::Partial))
}

/// Reads a whole request head that can only be a request for a WebSocket, and its size.
fn head(read: &[u8]) -> Option<(Parts, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(size) = request.parse(read).ok()? else { return None };
    if request.method != Some("GET") || request.version != Some(1) {
        return None;
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.version) = (Method::GET, Version::HTTP_11);
    parts.uri = request.path?.parse().ok()?;
    parts.headers.reserve(request.headers.len());
    for header in request.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    let body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];
    let plain = !body.iter().any(|name| parts.headers.contains_key(name))
        && framing::check(parts.version, &parts.uri, &parts.headers).is_ok();
    (plain && upgrade::wanted(&parts.headers)).then_some((parts, size))
}

/// Grants a WebSocket that nothing stands against, and writes the 101.
fn grant(door: &Door, parts: &Parts, remote: IpAddr) -> Option<(Handover, Vec<u8>)> {
    let front = &door.front;
    let remote = front.proxies.judge(remote, &parts.headers);
    let verdict = front.origins.judge(&parts.headers);
    if verdict == Verdict::Refused {
        return None;
    }
    let Switch { handover, mut response } = match parts.uri.path() {
        _ if door.purpose == Purpose::Plain => upgrade::plain(front, parts, remote).ok()?,
        "/ws" => upgrade::plain(front, parts, remote).ok()?,
        path if path.starts_with("/socket.io/") => socketio::direct(front, parts, remote)?,
        _ => return None,
    };
    add_cors(response.headers_mut(), &verdict, front.origins.allows_credentials());
    let mut reply = Vec::with_capacity(REPLY_BYTES);
    reply.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            reply.extend_from_slice(part);
        }
    }
    reply.extend_from_slice(b"\r\n");
    Some((handover, reply))
}

/// What a 101 without extensions takes.
const REPLY_BYTES: usize = 192;
