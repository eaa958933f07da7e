//! The Socket.IO door: handshakes, long polling, upgrades.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use tidings_core::{Code, Refusal, lock};
use tidings_wire::engineio::{HandshakeError, Query, Transport};
use tidings_wire::limits::STRANGER_BYTES;
use tokio::sync::oneshot;

use super::hello::Hello;
use super::upgrade::{self, Handover, Switch};
use super::{Front, bearer, refuse, respond, turned_away};
use crate::ids::SessionKey;
use crate::shard::inbox::{Admitted, Mail, Speaks, UpgradeAnswer};
use crate::shard::polling::PollAnswer;
use crate::shared::Shared;

/// A POST has to arrive whole within this time.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Answers a request to the Socket.IO door.
pub(super) async fn answer(
    front: &Arc<Front>,
    request: Request<Incoming>,
    remote: IpAddr,
    handover: &Mutex<Option<Handover>>,
    engine_only: bool,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let websocket = upgrade::wanted(&parts.headers);
    let routed = route(front, &parts, body, remote, handover, engine_only, websocket).await;
    if matches!(&routed, Err(error) if unknown(error)) {
        front.shared.session_refused(remote);
    }
    match routed {
        Ok(response) => response,
        Err(error) if let Err(refusal) = front.shared.gate.bad_handshake(remote, unknown(&error)) => {
            refuse(&refusal)
        }
        Err(error) if websocket => refused_upgrade(error.message()),
        Err(error) => refused(&error),
    }
}

/// Whether somebody may be guessing sessions.
fn unknown(error: &HandshakeError) -> bool {
    matches!(error, HandshakeError::UnknownSid)
}

/// Refuses a page of a foreign origin.
pub(super) fn refused_origin(socket_io: bool, websocket: bool) -> Response<Body> {
    const SENTENCE: &str = "this origin is not allowed";
    if !socket_io {
        return refuse(&Refusal::new(Code::Forbidden, SENTENCE));
    }
    if websocket {
        return respond(StatusCode::FORBIDDEN, "text/plain", SENTENCE);
    }
    refused(&HandshakeError::Forbidden("Forbidden".into()))
}

async fn route(
    front: &Arc<Front>,
    parts: &Parts,
    body: Incoming,
    remote: IpAddr,
    handover: &Mutex<Option<Handover>>,
    engine_only: bool,
    websocket: bool,
) -> Result<Response<Body>, HandshakeError> {
    let shared = &front.shared;
    let query = Query::parse(parts.uri.query().unwrap_or(""))?;
    let transport = query.transport()?;
    // Node judges the protocol's version of a handshake alone; a wrong one is wrong anywhere.
    if query.sid.is_none() && parts.method != Method::GET {
        return Err(HandshakeError::BadHandshakeMethod);
    }
    let session = match query.sid.as_deref() {
        Some(sid) => Some(SessionKey::parse(sid).ok_or(HandshakeError::UnknownSid)?),
        None => None,
    };
    let session = session.filter(|session| session.shard < shared.inboxes.len());
    if query.sid.is_some() && session.is_none() {
        return Err(HandshakeError::UnknownSid);
    }
    if (transport == Transport::WebSocket) != websocket {
        return Err(HandshakeError::BadRequest);
    }
    // A version other than the session's is a bad request; one of no server is unsupported.
    query.version().map_err(|error| if session.is_some() { HandshakeError::BadRequest } else { error })?;
    if shared.draining.load(Ordering::Relaxed) && session.is_none() {
        return Ok(respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the server is draining"));
    }
    if session.is_none() && !front.tests.handshake_delay.is_zero() {
        tokio::time::sleep(front.tests.handshake_delay).await;
    }
    if let Some(session) = session {
        bearer::fits(shared, session, &parts.headers, remote).await?;
    }
    let hello = || hello(front, parts, remote, &query, engine_only);
    match (transport, session) {
        (Transport::WebSocket, session) => {
            let (shard, speaks) = match session {
                Some(session) => (session.shard, may_upgrade(shared, session).await?),
                None => (shared.least_loaded(), Speaks::SocketIo),
            };
            Ok(match switch(shared, parts, hello(), shard, speaks) {
                Ok(Switch { handover: granted, response }) => {
                    *lock(handover) = Some(granted);
                    response
                }
                Err(refused) => upgrade::counted(front, remote, *refused),
            })
        }
        (Transport::Polling, None) => {
            let visit = match shared.gate.visit(remote) {
                Ok(visit) => visit,
                Err(limit) => return Ok(turned_away(limit)),
            };
            let inbox = &shared.inboxes[shared.least_loaded()];
            let (reply, answer) = oneshot::channel();
            inbox.push(Mail::OpenPolling(hello(), visit, reply));
            Ok(poll_response(answer.await.unwrap_or(PollAnswer::Over)))
        }
        (Transport::Polling, Some(session)) if parts.method == Method::GET => {
            known(get(shared, session).await)
        }
        (Transport::Polling, Some(session)) if parts.method == Method::POST => {
            post(shared, session, parts, body).await
        }
        // The reference server answers other methods like this.
        (Transport::Polling, Some(_)) => Ok(respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "")),
    }
}

/// Grants a fresh WebSocket that nothing stands against.
pub(super) fn direct(front: &Front, parts: &Parts, remote: IpAddr) -> Option<Switch> {
    let shared = &front.shared;
    let query = Query::parse(parts.uri.query().unwrap_or("")).ok()?;
    let fresh = query.sid.is_none() && query.transport() == Ok(Transport::WebSocket);
    let open = !shared.draining.load(Ordering::Relaxed) && front.tests.handshake_delay.is_zero();
    if !fresh || !open || query.version().is_err() {
        return None;
    }
    let hello = hello(front, parts, remote, &query, false);
    switch(shared, parts, hello, shared.least_loaded(), Speaks::SocketIo).ok()
}

fn switch(
    shared: &Shared,
    parts: &Parts,
    hello: Box<Hello>,
    shard: usize,
    speaks: Speaks,
) -> Result<Switch, Box<Response<Body>>> {
    let deflate = shared.settings.deflate.as_ref();
    let accepted = upgrade::accept(&parts.method, parts.version, &parts.headers, deflate);
    let accepted = accepted.map_err(|fault| Box::new(fault.sentence()))?;
    let gate = &shared.gate;
    let admitted = match speaks {
        Speaks::Upgrade(_) => gate.probe(hello.remote).map(Admitted::Probe),
        _ => gate.visit(hello.remote).map(Admitted::Visit),
    };
    let admitted = admitted.map_err(|limit| Box::new(turned_away(limit)))?;
    let response = upgrade::switching(&accepted);
    Ok(Switch { handover: Handover { shard, speaks, deflate: accepted.deflate, hello, admitted }, response })
}

fn hello(front: &Front, parts: &Parts, remote: IpAddr, query: &Query<'_>, engine_only: bool) -> Box<Hello> {
    let settings = &front.shared.settings;
    let hello = Hello::read(parts, remote, query, settings.query_token, settings.keeps_hello);
    Box::new(Hello { engine_only, ..hello })
}

/// The suites want a WebSocket that comes too late to be opened and then closed.
async fn may_upgrade(shared: &Shared, session: SessionKey) -> Result<Speaks, HandshakeError> {
    let (reply, answer) = oneshot::channel();
    shared.inboxes[session.shard].push(Mail::MayUpgrade(session, reply));
    match answer.await {
        Ok(UpgradeAnswer::Yes) => Ok(Speaks::Upgrade(session)),
        Ok(UpgradeAnswer::NotPolling) => Ok(Speaks::TooLate),
        Ok(UpgradeAnswer::UnknownSid) | Err(_) => Err(HandshakeError::UnknownSid),
    }
}

async fn get(shared: &Arc<Shared>, session: SessionKey) -> PollAnswer {
    let (reply, answer) = oneshot::channel();
    shared.inboxes[session.shard].push(Mail::Poll(session, reply));
    // Dropped before its answer came: the client has closed the request.
    let mut guard = Aborted { shared, session, waiting: true };
    let answer = answer.await.unwrap_or(PollAnswer::Over);
    guard.waiting = false;
    answer
}

/// Tells the shard when a GET is given up.
struct Aborted<'a> {
    shared: &'a Shared,
    session: SessionKey,
    waiting: bool,
}

impl Drop for Aborted<'_> {
    fn drop(&mut self) {
        if self.waiting {
            self.shared.inboxes[self.session.shard].push(Mail::PollAborted(self.session));
        }
    }
}

async fn post(
    shared: &Shared,
    session: SessionKey,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Body>, HandshakeError> {
    let inbox = &shared.inboxes[session.shard];
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type == Some(b"application/octet-stream") {
        inbox.push(Mail::BadPost(session, true));
        return Ok(poll_response(PollAnswer::Over));
    }
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !parts.headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Ok(unread(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let most = may_post(shared, session, &body).await?;
    if body.size_hint().lower() > most as u64 {
        return Ok(unread(StatusCode::PAYLOAD_TOO_LARGE));
    }
    inbox.push(Mail::Posting(session));
    let body: Bytes = match tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            inbox.push(Mail::BadPost(session, false));
            return Ok(unread(StatusCode::PAYLOAD_TOO_LARGE));
        }
        _ => {
            inbox.push(Mail::BadPost(session, true));
            return Ok(poll_response(PollAnswer::Over));
        }
    };
    let (reply, answer) = oneshot::channel();
    inbox.push(Mail::Post(session, body, reply));
    known(answer.await.unwrap_or(PollAnswer::Over))
}

/// Bytes that a POST may have: few before its client has signed in, which only the session's shard knows.
async fn may_post(shared: &Shared, session: SessionKey, body: &Incoming) -> Result<usize, HandshakeError> {
    let most = shared.settings.limits.message_bytes;
    // Nearly all are smaller than anything that anybody may not send.
    if body.size_hint().upper().is_some_and(|bytes| bytes <= STRANGER_BYTES as u64) {
        return Ok(most);
    }
    let (reply, answer) = oneshot::channel();
    shared.inboxes[session.shard].push(Mail::MayPost(session, reply));
    answer.await.unwrap_or(Err(HandshakeError::UnknownSid))
}

/// A session nobody knows is an error, which is counted.
fn known(answer: PollAnswer) -> Result<Response<Body>, HandshakeError> {
    match answer {
        PollAnswer::Refused(error) => Err(error),
        answer => Ok(poll_response(answer)),
    }
}

fn poll_response(answer: PollAnswer) -> Response<Body> {
    let mut response = match answer {
        PollAnswer::Packets(body) => respond(StatusCode::OK, "text/plain; charset=UTF-8", body),
        PollAnswer::Taken => respond(StatusCode::OK, "text/html", "ok"),
        PollAnswer::Refused(error) => return refused(&error),
        PollAnswer::Over => respond(StatusCode::BAD_REQUEST, "text/plain", ""),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(error: &HandshakeError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    respond(status, "application/json", error.body())
}

fn refused_upgrade(message: &str) -> Response<Body> {
    let mut response = respond(StatusCode::BAD_REQUEST, "text/html", message.to_owned());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Refuses a POST of which nothing was read; the session lives.
fn unread(status: StatusCode) -> Response<Body> {
    let mut response = respond(status, "text/plain", "");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
