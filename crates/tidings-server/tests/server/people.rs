//! People with tokens, and requests of those who govern them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidings_server::signin::now_seconds;

use crate::common::{DEADLINE, Frame, Wire, config};

/// A token of the tests' secret, over in so many seconds, that says `more`.
pub(crate) fn token(user: &str, seconds: i64, more: Value) -> String {
    let now = now_seconds();
    let mut claims = json!({"sub": user, "iat": now, "exp": now.saturating_add_signed(seconds)});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = EncodingKey::from_secret(config().auth.jwt_secret.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}

/// A plain client with a token, and what it was told at its sign-in.
pub(crate) fn plain(addr: SocketAddr, token: &str) -> (Wire, String) {
    let mut wire = Wire::open(addr, "/ws");
    wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{token}\"}}"));
    let told = wire.hear("auth:ok");
    (wire, told)
}

/// A Socket.IO client with a token, and the answer to its CONNECT; `more` is further auth payload.
pub(crate) fn socket_io(addr: SocketAddr, token: &str, more: &str) -> (Wire, String) {
    let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
    wire.hear("0{");
    wire.say(&format!("40{{\"token\":\"{token}\"{more}}}"));
    let told = wire.hear("4");
    (wire, told)
}

/// The same, in a room.
pub(crate) fn plain_in(addr: SocketAddr, token: &str, room: &str) -> Wire {
    let (mut wire, _) = plain(addr, token);
    wire.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"{room}\"}}"));
    assert!(wire.hear("\"id\":1").contains("\"ok\":true"));
    wire
}

/// The same by Socket.IO; its private id comes with it.
pub(crate) fn socket_io_in(addr: SocketAddr, token: &str, room: &str) -> (Wire, String) {
    let (mut wire, told) = socket_io(addr, token, "");
    assert!(told.starts_with("40{"), "{told}");
    wire.say(&format!("421[\"subscribe\",{{\"room\":\"{room}\"}}]"));
    assert!(wire.hear("431[").contains("\"ok\":true"));
    let pid = told.split("\"pid\":\"").nth(1).unwrap().split('"').next().unwrap();
    (wire, pid.to_owned())
}

/// The answer to a POST.
pub(crate) fn post(addr: SocketAddr, path: &str, token: &str, body: &str) -> String {
    let mut wire = Wire::connect(addr);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    wire.send(head.as_bytes());
    wire.rest()
}

/// How a connection ended: by which code, when, and when it last heard an event.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<u16>,
    pub(crate) at: Instant,
    pub(crate) last_event: Option<Instant>,
    pub(crate) events: usize,
}

/// Reads to the end.
pub(crate) fn read_to_the_end(wire: &mut Wire) -> Ended {
    let begun = Instant::now();
    let mut ended = Ended { code: None, at: begun, last_event: None, events: 0 };
    loop {
        let frame = wire.next();
        assert!(begun.elapsed() < 3 * DEADLINE, "it is not closed: {ended:?}");
        ended.at = Instant::now();
        match frame {
            Frame::Text(text) if text.contains("\"tick\"") => {
                (ended.last_event, ended.events) = (Some(ended.at), ended.events + 1);
            }
            Frame::Close(code) => {
                ended.code = Some(code);
                return ended;
            }
            Frame::End => return ended,
            _ => {}
        }
    }
}

/// Publishes about 500 events a second into a room until it is dropped.
pub(crate) struct Ticking {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Ticking {
    pub(crate) fn start(publisher: tidings_server::Publisher, room: &'static str) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let run = move || {
            let begun = Instant::now();
            let mut count = 0;
            // The wait for the word to stop is the pace: what is owed by the clock is caught up with.
            while stopped.recv_timeout(Duration::from_millis(2)).is_err() {
                while count < begun.elapsed().as_millis() as usize / 2 {
                    publisher.publish(room, "tick", count.to_string()).unwrap();
                    count += 1;
                }
            }
            count
        };
        Self { stop, thread: Some(std::thread::spawn(run)) }
    }

    /// Stops, and says how many were published.
    pub(crate) fn stop(mut self) -> usize {
        self.stop.send(()).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}
