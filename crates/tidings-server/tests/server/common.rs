//! A server to test and a client that speaks bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidings_server::config::Anonymous;
use tidings_server::{Config, Extras, Server};
use tidings_testkit::described::check_answer;
use tidings_testkit::frames::{FromServer, write_masked};

/// Nothing here takes longer; a test that waits for more has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

const SECRET: &str = "a secret of the server's own tests, long enough";

/// The configuration most tests start from: one shard, a free port, everything measured is allowed.
pub(crate) fn config() -> Config {
    let mut config = Config { listen: "127.0.0.1:0".into(), no_limits: true, shards: 1, ..Config::default() };
    config.auth.jwt_secret = SECRET.into();
    // Who comes and goes is not what most tests are about.
    config.presence.announce_up_to = 0;
    config.rooms.insert("open".into(), room("recent"));
    config.rooms.insert("loose".into(), room("nothing"));
    config
}

/// The same with limits on, and a proxy on loopback that is believed.
pub(crate) fn limited() -> Config {
    let mut config = Config { no_limits: false, trusted_proxies: vec!["127.0.0.1".into()], ..config() };
    // Who has a proxy is on loopback no more; most tests are about those who come without a token.
    config.auth.anonymous = Anonymous::Always;
    // What the machine of the tests allows is not what they are about.
    config.limits.connections = 10_000;
    config
}

fn room(keep: &str) -> tidings_server::config::RoomKindConfig {
    tidings_server::config::RoomKindConfig {
        subscribe: Some("anyone".into()),
        publish: Some("anyone".into()),
        keep: Some(keep.into()),
        ..Default::default()
    }
}

/// Runs a test against a server; blocking client code runs beside it.
pub(crate) fn with_server<T: Send + 'static>(
    config: &Config,
    test: impl FnOnce(SocketAddr, tidings_server::Publisher) -> T + Send + 'static,
) -> T {
    with_extras(config, Extras::default(), test)
}

/// The same with more than the configuration.
pub(crate) fn with_extras<T: Send + 'static>(
    config: &Config,
    extras: Extras,
    test: impl FnOnce(SocketAddr, tidings_server::Publisher) -> T + Send + 'static,
) -> T {
    with_live(config, extras, |addr, _, publisher| test(addr, publisher))
}

/// How the server of a test ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At once, as if it were killed.
    AtOnce,
    /// In order, as it does when it is told to.
    InOrder,
}

/// The same for tests that change who may do what.
pub(crate) fn with_live<T: Send + 'static>(
    config: &Config,
    extras: Extras,
    test: impl FnOnce(SocketAddr, tidings_server::Live, tidings_server::Publisher) -> T + Send + 'static,
) -> T {
    with_end(config, extras, End::AtOnce, test)
}

/// The same for tests of what is there after a server has ended.
pub(crate) fn with_end<T: Send + 'static>(
    config: &Config,
    extras: Extras,
    end: End,
    test: impl FnOnce(SocketAddr, tidings_server::Live, tidings_server::Publisher) -> T + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(config, extras).await.unwrap();
        let (addr, live, publisher) = (server.addr(), server.live(), server.publisher());
        let done = tokio::task::spawn_blocking(move || test(addr, live, publisher)).await.unwrap();
        match end {
            End::AtOnce => server.stop().await,
            End::InOrder => server.drain().await,
        }
        done
    })
}

/// A connection that speaks bytes.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Close(u16),
    Other(u8),
    /// The connection is closed.
    End,
}

impl Wire {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// A WebSocket at `path`.
    pub(crate) fn open(addr: SocketAddr, path: &str) -> Self {
        let mut wire = Self::connect(addr);
        wire.send(upgrade(path).as_bytes());
        assert!(wire.head().starts_with("HTTP/1.1 101"), "no upgrade");
        wire
    }

    /// A WebSocket at `path` for which a proxy speaks, or the status with which it was refused.
    pub(crate) fn open_for(addr: SocketAddr, path: &str, client: &str) -> Result<Self, String> {
        let mut wire = Self::connect(addr);
        let request = upgrade(path);
        let named = format!("Host: 127.0.0.1\r\nX-Forwarded-For: {client}\r\n");
        wire.send(request.replace("Host: 127.0.0.1\r\n", &named).as_bytes());
        let head = wire.head();
        if head.starts_with("HTTP/1.1 101") { Ok(wire) } else { Err(head) }
    }

    /// Signs in to the plain protocol.
    pub(crate) fn sign_in(mut self, token: &str) -> Self {
        self.say(&format!("{{\"type\":\"auth\",\"token\":\"{token}\"}}"));
        self.hear("auth:ok");
        self
    }

    /// Asks something of the plain protocol; the answer.
    pub(crate) fn ask(&mut self, id: u64, body: &str) -> Value {
        self.say(&format!("{{\"id\":{id},{body}}}"));
        let answer = self.hear(&format!("\"id\":{id},"));
        serde_json::from_str(&answer).unwrap()
    }

    /// A plain client that has signed in anonymously and subscribed to a room.
    pub(crate) fn subscribed(addr: SocketAddr, room: &str) -> Self {
        let mut wire = Self::open(addr, "/ws");
        wire.say("{\"type\":\"auth\"}");
        wire.hear("auth:ok");
        wire.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"{room}\"}}"));
        wire.hear("\"ok\":true");
        wire
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends one masked text frame.
    pub(crate) fn say(&mut self, text: &str) {
        self.send(&frame(0x81, text.as_bytes()));
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Frame {
        loop {
            if let Some(FromServer { first, payload }) = FromServer::parse(&self.read) {
                let body = self.read[payload.clone()].to_vec();
                self.read.drain(..payload.end);
                return match first & 15 {
                    1 => Frame::Text(String::from_utf8(body).unwrap()),
                    8 => Frame::Close(u16::from_be_bytes([body[0], body[1]])),
                    other => Frame::Other(other),
                };
            }
            if self.more() == 0 {
                return Frame::End;
            }
        }
    }

    /// The next text that holds `part`.
    pub(crate) fn hear(&mut self, part: &str) -> String {
        loop {
            match self.next() {
                Frame::Text(text) if text.contains(part) => return text,
                Frame::Text(_) | Frame::Other(_) => {}
                end => panic!("{end:?} while waiting for {part}"),
            }
        }
    }

    /// The close code, after everything else was read.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next() {
                Frame::Close(code) => return Some(code),
                Frame::End => return None,
                _ => {}
            }
        }
    }

    /// The head of an HTTP answer.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            if self.more() == 0 {
                return String::new();
            }
        }
    }

    /// Everything until the connection is closed.
    pub(crate) fn rest(&mut self) -> String {
        while self.more() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// So many bytes more.
    pub(crate) fn exactly(&mut self, count: usize) -> String {
        while self.read.len() < count && self.more() > 0 {}
        let bytes = self.read.drain(..count).collect::<Vec<_>>();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                count
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing within {DEADLINE:?}: {error}"),
        }
    }
}

/// A token signed with the configured secret.
pub(crate) fn token(mut claims: Value) -> String {
    let expires = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 600;
    let claims = claims.as_object_mut().unwrap();
    claims.entry("exp").or_insert(expires.into());
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &*claims, &key).unwrap()
}

/// The token of a user.
pub(crate) fn user(id: &str) -> String {
    token(json!({ "sub": id }))
}

/// One HTTP request on a connection of its own: the head of the answer, and its body.
pub(crate) fn http(addr: SocketAddr, request: &str, headers: &str, body: &str) -> (String, String) {
    let mut wire = Wire::connect(addr);
    let length = body.len();
    wire.send(
        format!(
            "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n\
             {body}"
        )
        .as_bytes(),
    );
    let head = wire.head();
    if let Some((method, path)) = request.split_once(' ') {
        check_answer(method, path, &head);
    }
    (head, wire.rest())
}

/// An upgrade request.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A client's frame, masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_masked(&mut out, first & 0xf0, first & 15, payload, [0; 4]);
    out
}
