//! From an accepted socket to a request's answer, or to a shard.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tidings_core::limits::plain_address;
use tidings_core::{Code, Refusal, lock};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::origin::{Verdict, add_cors};
use super::replay::{Replay, STALL_TIME};
use super::upgrade::{Handover, Switch};
use super::{
    Front, Limited, Refused, Remote, budget, direct, framing, headers, refuse, refuse_with, respond,
    socketio, upgrade,
};
use crate::gate::Arrival;

/// Bytes of a request's head, its headers, and the time to send it.
pub(super) const HEAD_BYTES: usize = 16 * 1024;
pub(super) const HEADERS: usize = 64;
const HEAD_TIME: Duration = Duration::from_secs(10);

/// A request to the API has to arrive whole and be answered within this time.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Handshakes worked on at once; memory for them is reused and stays small after a storm.
const HANDSHAKES: usize = 256;

/// A handshake waits no longer than this for its turn: slow peers must not keep others out.
const HANDSHAKE_WAIT: Duration = Duration::from_millis(250);

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Clients: everything, but for what [`Purpose::Admin`] has taken over.
    Public,
    /// The plain protocol, whatever the path (`--ws-listen`).
    Plain,
    /// Administrators: everything (`--admin-listen`).
    Admin,
}

/// One listener.
pub(crate) struct Door {
    pub(crate) front: Arc<Front>,
    pub(super) purpose: Purpose,
    turns: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(front: Arc<Front>, purpose: Purpose) -> Arc<Self> {
        Arc::new(Self { front, purpose, turns: Arc::new(Semaphore::new(HANDSHAKES)) })
    }
}

/// Serves a socket in a task of its own, after the bytes that were read from it; or turns it away.
pub(super) fn spawn(door: &Arc<Door>, stream: mio::net::TcpStream, remote: IpAddr, read: &[u8]) {
    let (gate, peer) = (&door.front.shared.gate, plain_address(remote));
    // What is known to be asked for needs no place among those who may never say it.
    match gate.arrive(peer, door.front.proxies.trusts(peer), direct::is_whole(read)) {
        Ok(arrival) => {
            let task = serve(stream, peer, arrival, door.clone(), Bytes::copy_from_slice(read));
            door.front.shared.front.spawn(task);
        }
        Err(limit) => {
            gate.note(limit, Some(peer));
            turn_away(&stream, limit.code().status());
        }
    }
}

/// Says why in one write; if it does not fit or its peer is still writing, the reason is lost.
fn turn_away(mut stream: &mio::net::TcpStream, status: u16) {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let head = format!(
        "HTTP/1.1 {status} {}\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        reason.unwrap_or("Refused")
    );
    let _ = stream.write(head.as_bytes());
}

async fn serve(stream: mio::net::TcpStream, peer: IpAddr, arrival: Arrival, door: Arc<Door>, read: Bytes) {
    let arrival = Arc::new(Mutex::new(arrival));
    let Ok(stream) = TcpStream::from_std(stream.into()) else { return };
    // The head's timer begins with its first byte; a peer that sends none is cut off here. What was read
    // already may be refused at once, and hyper drops a refusal that it cannot write at once.
    let interest = if read.is_empty() { Interest::READABLE } else { Interest::WRITABLE };
    if !matches!(tokio::time::timeout(HEAD_TIME, stream.ready(interest)).await, Ok(Ok(_))) {
        return;
    }
    let turn = turn(&door).await;
    let handover = Arc::new(Mutex::new(None));
    let handover_of = handover.clone();
    let turn = Arc::new(Mutex::new(turn));
    let requests =
        Requests { door: door.clone(), remote: peer, arrival: arrival.clone(), handover: handover_of, turn };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(
            Replay::new(read, stream, STALL_TIME),
            hyper_util::service::TowerToHyperService::new(requests),
        )
        .without_shutdown();
    let Ok(parts) = connection.await else { return };
    let Some(handover) = lock(&handover).take() else { return };
    let (stream, read) = (parts.io.into_inner(), parts.read_buf);
    if let Err(error) = upgrade::hand_over(&door.front.shared, stream, &read, handover) {
        tracing::debug!(%error, "a socket could not be handed over");
    }
    drop(arrival);
}

/// Waits for a turn, but not for long: then it goes on without one.
async fn turn(door: &Door) -> Option<OwnedSemaphorePermit> {
    match door.turns.clone().try_acquire_owned() {
        Ok(turn) => Some(turn),
        Err(_) => {
            let turn = door.turns.clone().acquire_owned();
            tokio::time::timeout(HANDSHAKE_WAIT, turn).await.ok().and_then(Result::ok)
        }
    }
}

/// The requests of one connection.
#[derive(Clone)]
struct Requests {
    door: Arc<Door>,
    /// The peer; then, for each request, the address it is judged by.
    remote: IpAddr,
    arrival: Arc<Mutex<Arrival>>,
    /// Set when a request was answered with 101.
    handover: Arc<Mutex<Option<Handover>>>,
    /// Given back with the first answer, or before one that a session may have to wait for.
    turn: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut response = this.answer(request).await;
            headers::is_what_it_says(&mut response);
            Ok(response)
        })
    }
}

impl Requests {
    async fn answer(mut self, request: Request<Incoming>) -> Response<Body> {
        lock(&self.arrival).has_spoken();
        if let Err(fault) = framing::check(request.version(), request.uri(), request.headers()) {
            return fault.told(self.is_socket_io(request.uri().path()));
        }
        let front = self.door.front.clone();
        let trusted = front.proxies.trusts(self.remote);
        self.remote = front.proxies.judge(self.remote, request.headers());
        let asked = front.request_ids.asked(request.headers(), trusted, self.remote);
        let turn = self.turn.clone();
        if polls(&request) {
            lock(&turn).take();
        }
        let mut response = asked.clone().answered(self.judge(request)).await;
        lock(&turn).take();
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            asked.show(response.headers_mut());
        }
        response
    }

    /// Whether a path is one of Socket.IO, whose refusals have bodies of their own.
    fn is_socket_io(&self, path: &str) -> bool {
        self.door.purpose != Purpose::Plain && path.starts_with("/socket.io/")
    }

    async fn judge(self, request: Request<Incoming>) -> Response<Body> {
        let front = self.door.front.clone();
        let verdict = front.origins.judge(request.headers());
        let socket_io = self.is_socket_io(request.uri().path());
        let upgrade = upgrade::wanted(request.headers());
        if verdict == Verdict::Refused {
            if let Err(refusal) = front.shared.gate.request(self.remote) {
                return closing(refuse(&refusal), upgrade);
            }
            front.shared.origin_refused(request.headers().get(header::ORIGIN), self.remote);
            let mut refused = closing(socketio::refused_origin(socket_io, upgrade), upgrade);
            add_cors(refused.headers_mut(), &verdict, false);
            return refused;
        }
        if request.method() == Method::OPTIONS && verdict != Verdict::NoOrigin {
            // A page asks before each poll, whose URL is always another; it costs no more than the poll does.
            let counted = if socket_io { Ok(None) } else { front.shared.gate.request(self.remote) };
            let mut answer = match counted {
                Ok(_) => preflight(&request),
                Err(refusal) => refuse(&refusal),
            };
            add_cors(answer.headers_mut(), &verdict, front.origins.allows_credentials());
            return answer;
        }
        let mut response = closing(self.clone().route(request, socket_io).await, upgrade);
        if let Some(Limited(limit)) = response.extensions().get() {
            front.shared.gate.note(*limit, Some(self.remote));
        }
        add_cors(response.headers_mut(), &verdict, front.origins.allows_credentials());
        response
    }

    async fn route(self, mut request: Request<Incoming>, socket_io: bool) -> Response<Body> {
        let front = self.door.front.clone();
        let path = request.uri().path();
        let engine = front.tests.open && path.starts_with("/engine.io/");
        let (is_ws, is_echo) = (path == "/ws", front.tests.open && path == "/echo");
        let api = path.starts_with("/api/");
        if self.door.purpose == Purpose::Admin {
            request.extensions_mut().insert(self.door.purpose);
        }
        if self.door.purpose == Purpose::Plain {
            return self.switch(request, upgrade::plain);
        }
        if socket_io || engine {
            return socketio::answer(&front, request, self.remote, &self.handover, engine).await;
        }
        if is_ws {
            return self.switch(request, upgrade::plain);
        }
        if is_echo {
            return self.switch(request, upgrade::echo);
        }
        request.extensions_mut().insert(Remote(self.remote));
        let routes = front.routes(self.door.purpose).clone();
        let mut response = budget::spend(&front, self.remote, request, |request| call(routes, request)).await;
        if let Some(Refused(code)) = response.extensions().get::<Refused>() {
            front.shared.admin.refused.count(*code);
        }
        headers::harden(response.headers_mut(), api);
        response
    }

    /// Answers an upgrade, and notes where the socket goes if it is granted.
    fn switch(self, request: Request<Incoming>, judge: Judge) -> Response<Body> {
        let (parts, _) = request.into_parts();
        match judge(&self.door.front, &parts, self.remote) {
            Ok(Switch { handover, response }) => {
                *lock(&self.handover) = Some(handover);
                response
            }
            Err(refused) => upgrade::counted(&self.door.front, self.remote, *refused),
        }
    }
}

/// Whether it is for a session that exists, and may hang until there is something for it.
fn polls(request: &Request<Incoming>) -> bool {
    let is_of = |query: &str| query.split('&').any(|pair| pair.starts_with("sid="));
    request.method() == Method::GET && request.uri().query().is_some_and(is_of)
}

type Judge = fn(&Front, &Parts, IpAddr) -> Result<Switch, Box<Response<Body>>>;

/// Asks the routes.
async fn call<B>(mut routes: Router, request: Request<B>) -> Response<Body>
where
    Router: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    match tokio::time::timeout(REQUEST_TIME, routes.call(request)).await {
        Ok(Ok(response)) if response.status() == StatusCode::METHOD_NOT_ALLOWED => wrong_method(&response),
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            let refusal = Refusal::new(Code::Unavailable, "the request took too long");
            refuse_with(StatusCode::REQUEST_TIMEOUT, &refusal)
        }
    }
}

/// The routes name the methods that a path takes, and say no more.
fn wrong_method(routed: &Response<Body>) -> Response<Body> {
    let refusal = Refusal::new(Code::BadRequest, "this path does not take this method");
    let mut response = refuse_with(StatusCode::METHOD_NOT_ALLOWED, &refusal);
    if let Some(allow) = routed.headers().get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

/// Ends the connection of a client that wanted an upgrade and did not get it: what it sends next
/// would be frames, not requests.
fn closing(mut response: Response<Body>, upgrade: bool) -> Response<Body> {
    if upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers a preflight as the npm package `cors` does, which stock clients have been tested with.
fn preflight(request: &Request<Incoming>) -> Response<Body> {
    let mut response = respond(StatusCode::NO_CONTENT, "text/plain", "");
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::to_bytes;
    use axum::routing::get;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_refused_as_everything_else_is() {
        let routes = Router::new().route("/", get(std::future::pending::<()>));
        let response = call(routes, Request::get("/").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&told["ok"], &told["error"]["code"]), (&false.into(), &"unavailable".into()));
    }
}
