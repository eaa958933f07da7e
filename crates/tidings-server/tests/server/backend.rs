//! A team's backend that answers hooks: a small HTTP server of its own, and a sample verifier.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::Value;

use crate::common::DEADLINE;

/// The secret the backend and the server share.
pub(crate) const SECRET: &str = "a hook secret of the server's own tests";

/// How the backend answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status 200 with this body.
    Body(String),
    /// A whole answer, as it goes over the wire; then the connection is closed.
    Raw(String),
    /// Nothing; the connection is closed.
    Close,
    /// Nothing; the connection stays open.
    Hang,
}

pub(crate) fn allow() -> Reply {
    Reply::Body("{\"allow\":true}".into())
}

pub(crate) fn deny() -> Reply {
    Reply::Body("{\"allow\":false}".into())
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Checks a question as a backend should: signature, then age, five minutes at most.
    pub(crate) fn is_genuine(&self, secret: &[u8], now_seconds: u64) -> bool {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(format!("{id}.{at}.{}", self.body).as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let signed = self.header("webhook-signature").split(' ').any(|signature| signature == wanted);
        signed && at.parse::<u64>().is_ok_and(|at| at.abs_diff(now_seconds) <= 300)
    }
}

type Answers = dyn Fn(&Request) -> Reply + Send + Sync;

/// The backend.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    answers: Mutex<Arc<Answers>>,
    requests: Mutex<Vec<Request>>,
    came: Condvar,
    /// Answers wait while it is closed.
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Backend {
    /// Starts a backend on a free port of this machine.
    pub(crate) fn start(answers: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answers: Mutex::new(Arc::new(answers)),
            requests: Mutex::default(),
            came: Condvar::new(),
            gate: Mutex::new(true),
            opened: Condvar::new(),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { addr, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Answers like this from now on.
    pub(crate) fn answers(&self, answers: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.state.answers.lock().unwrap() = Arc::new(answers);
    }

    /// Lets answers go, or holds them back.
    pub(crate) fn gate(&self, open: bool) {
        *self.state.gate.lock().unwrap() = open;
        self.state.opened.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.requests.lock().unwrap().len()
    }

    /// Waits until so many requests have come.
    pub(crate) fn await_count(&self, count: usize) {
        let requests = self.state.requests.lock().unwrap();
        let (held, late) = self
            .state
            .came
            .wait_timeout_while(requests, DEADLINE, |requests| requests.len() < count)
            .unwrap();
        drop(held);
        assert!(!late.timed_out(), "{count} requests did not come");
    }
}

fn serve(stream: TcpStream, state: &State) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answers = state.answers.lock().unwrap().clone();
        let reply = answers(&request);
        state.requests.lock().unwrap().push(request);
        state.came.notify_all();
        let gate = state.gate.lock().unwrap();
        drop(state.opened.wait_timeout_while(gate, DEADLINE, |open| !*open).unwrap());
        let text = match reply {
            Reply::Close => return,
            Reply::Hang => {
                // Until the other side gives up.
                let _ = reader.read(&mut [0; 1]);
                return;
            }
            Reply::Raw(text) => {
                let _ = writer.write_all(text.as_bytes());
                return;
            }
            Reply::Body(body) => {
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
        };
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line);
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let fields = lines[1..].iter().filter_map(|line| line.trim_end().split_once(": "));
    let headers: HashMap<String, String> =
        fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body: String::from_utf8(body).ok()? })
}
