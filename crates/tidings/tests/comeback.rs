//! The real binary killed and started again under stock clients: they go on where they were.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tidings_testkit::Place;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "a secret of these tests alone, which is long enough";
const ROOMS: usize = 20;

fn kinds(stored: bool) -> String {
    format!(
        "[recovery]\nstored = {stored}\n[rooms.notes]\nkeep = \"durable\"\nsize = 100000\n\
         subscribe = \"anyone\"\npublish = \"anyone\"\nhistory = \"anyone\"\n"
    )
}

/// A server that is killed with the test.
struct Running(Child, String);

impl Running {
    fn start(place: &Place, stored: bool) -> Self {
        std::fs::write(place.path().join("tidings.toml"), kinds(stored)).unwrap();
        let flags = ["serve", "--config", "tidings.toml", "--listen", "127.0.0.1:0", "--no-limits"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .current_dir(place.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();
        Self(child, address)
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn token(user: &str) -> String {
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64, "scope": "publish"});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// A stock client by its bytes, and what it has heard over all its connections.
struct Stock {
    user: String,
    pid: String,
    offset: Option<String>,
    heard: Vec<u64>,
    recovered: Vec<bool>,
    socket: Option<WebSocket<TcpStream>>,
}

impl Stock {
    fn new(user: &str) -> Self {
        let (pid, heard) = (String::new(), Vec::new());
        Self { user: user.into(), pid, offset: None, heard, recovered: Vec::new(), socket: None }
    }

    /// Connects, with the session it had if there is one; in its rooms if that is not to be had.
    fn connect(&mut self, server: &Running) {
        let stream = TcpStream::connect(&server.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.1);
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        self.socket = Some(socket);
        let mut auth = json!({"token": token(&self.user), "gaps": true});
        if !self.pid.is_empty() {
            auth["pid"] = self.pid.clone().into();
            auth["offset"] = self.offset.clone().map_or(Value::Null, Value::from);
        }
        self.say(&format!("40{auth}"));
        let told: Value = loop {
            let text = self.next().unwrap();
            if let Some(told) = text.strip_prefix("40") {
                break serde_json::from_str(told).unwrap();
            }
        };
        let recovered = told["pid"] == *self.pid;
        self.recovered.push(recovered);
        self.pid = told["pid"].as_str().unwrap().into();
        if !recovered {
            for room in 0..ROOMS {
                self.say(&format!("42{room}[\"subscribe\",{{\"room\":\"notes:{room}\"}}]"));
                while !self.next().unwrap().starts_with(&format!("43{room}[")) {}
            }
        }
    }

    fn say(&mut self, text: &str) {
        // A server that was killed is found by reading.
        let _ = self.socket.as_mut().unwrap().send(Message::text(text));
    }

    /// The next packet, an event of which is noted; `None` once the connection is gone.
    fn next(&mut self) -> Option<String> {
        let text = loop {
            match self.socket.as_mut().unwrap().read() {
                Ok(Message::Text(text)) if text.as_str() == "2" => self.say("3"),
                Ok(Message::Text(text)) => break text.to_string(),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing was heard in {PATIENCE:?}")
                }
                Err(_) => return None,
            }
        };
        if let Some(body) = text.strip_prefix("42").filter(|body| body.starts_with("[\"said\"")) {
            let body: Value = serde_json::from_str(body).unwrap();
            self.heard.push(body[1].as_u64().unwrap());
            self.offset = Some(body[2].as_str().unwrap().to_owned());
        }
        Some(text)
    }

    /// Hears so many events more, or as many as come before the connection is gone.
    fn hear(&mut self, events: usize) {
        let until = self.heard.len() + events;
        while self.heard.len() < until && self.next().is_some() {}
    }

    fn publish(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers.clone() {
            let room = number as usize % ROOMS;
            self.say(&format!(
                "42{number}[\"publish\",{{\"room\":\"notes:{room}\",\"event\":\"said\",\"data\":{number}}}]"
            ));
        }
        for number in numbers {
            while !self.next().unwrap().starts_with(&format!("43{number}[")) {}
        }
    }
}

/// Rounds of publishing and killing; what a client has heard in the end, and whether it went on each time.
fn rounds(stored: bool) -> Stock {
    const ROUNDS: u64 = 5;
    const A_ROUND: u64 = 100;
    let place = Place::new();
    let mut stock = Stock::new("bob");
    for round in 0..ROUNDS {
        let server = Running::start(&place, stored);
        // What was said while nobody was there comes first.
        let mut speaker = Stock::new("ada");
        speaker.connect(&server);
        if round > 0 {
            speaker.publish(round * A_ROUND + 1..=round * A_ROUND + 50);
        }
        stock.connect(&server);
        if round == 0 {
            speaker.publish(1..=50);
        }
        speaker.publish(round * A_ROUND + 51..=(round + 1) * A_ROUND);
        // Cut at another place each time; the rest is on its way, or not yet.
        let missing = ((round + 1) * A_ROUND) as usize - stock.heard.len();
        let cut = if round + 1 == ROUNDS { missing } else { missing / (round as usize + 2) };
        if stored || round == 0 {
            stock.hear(cut);
        }
        server.kill();
    }
    stock
}

#[test]
fn a_stock_client_in_twenty_rooms_misses_nothing_over_five_kills() {
    let stock = rounds(true);
    assert_eq!(stock.recovered, [false, true, true, true, true]);
    assert_eq!(stock.heard, (1..=500).collect::<Vec<_>>());
}

#[test]
fn without_stored_sessions_it_begins_afresh_each_time_and_misses_much() {
    let stock = rounds(false);
    assert_eq!(stock.recovered, [false; 5]);
    assert!(stock.heard.len() < 500);
}

/// Publishes as a back end does: by HTTP, in no room itself.
fn post(server: &Running, room: &str, number: u64) {
    let body = json!({"room": room, "event": "said", "data": number}).to_string();
    let mut stream = TcpStream::connect(&server.1).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (token, length) = (token("shop"), body.len());
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n",
        server.1
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_memory_alone_has_after_a_kill_stands_behind_what_the_log_had_before() {
    let place = Place::new();
    let (mut stock, mut speaker) = (Stock::new("bob"), Stock::new("ada"));
    let server = Running::start(&place, true);
    stock.connect(&server);
    speaker.connect(&server);
    speaker.publish(1..=20);
    stock.hear(20);
    server.kill();
    // Said before anybody has read anything of the log.
    let server = Running::start(&place, true);
    post(&server, "user:bob", 100);
    stock.connect(&server);
    stock.hear(1);
    server.kill();
    let offset = stock.offset.clone().unwrap();
    assert!(offset.ends_with(".14"), "{offset} says that none of the twenty was heard");
    let server = Running::start(&place, true);
    stock.connect(&server);
    post(&server, "notes:0", 21);
    stock.hear(1);
    assert_eq!(stock.recovered, [false, true, true]);
    assert_eq!(stock.heard, (1..=20).chain([100, 21]).collect::<Vec<_>>());
}
