//! The real binary killed in the middle of durable publishes, and started again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tidings_testkit::Place;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);
const ROOM: &str = "notes:1";
const KINDS: &str = "[rooms.notes]\nkeep = \"durable\"\nsize = 100000\nsubscribe = \"anyone\"\n\
                     publish = \"anyone\"\nhistory = \"anyone\"\n";

/// A server that is killed with the test.
struct Running(Child, String);

impl Running {
    fn start(place: &Place) -> Self {
        std::fs::write(place.path().join("tidings.toml"), KINDS).unwrap();
        let flags = ["serve", "--config", "tidings.toml", "--listen", "127.0.0.1:0", "--no-limits"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command
            .env_clear()
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

/// A plain client.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(server: &Running) -> Self {
        let stream = TcpStream::connect(&server.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{}/ws", server.1), stream).unwrap();
        let mut client = Self(socket);
        client.say(&json!({"type": "auth"}));
        while client.hear().unwrap()["type"] != "auth:ok" {}
        client
    }

    fn say(&mut self, message: &Value) {
        // A server that was killed is found by reading.
        let _ = self.0.send(Message::text(message.to_string()));
    }

    /// The next message; `None` once the connection is gone.
    fn hear(&mut self) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing was heard in {PATIENCE:?}")
                }
                Err(_) => return None,
            }
        }
    }
}

/// What a subscriber has heard over all its connections.
#[derive(Default)]
struct Heard {
    position: Option<Value>,
    events: Vec<(u64, u64)>,
}

impl Heard {
    fn subscribe(&self, server: &Running) -> Client {
        let mut client = Client::connect(server);
        let mut subscribe = json!({"type": "subscribe", "id": 1, "room": ROOM});
        if let Some(position) = &self.position {
            subscribe["since"] = position.clone();
        }
        client.say(&subscribe);
        client
    }

    /// Takes in one message; a gap is told to nobody who has heard anything.
    fn take(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "event" => {
                let (offset, data) = (message["offset"].as_u64().unwrap(), message["data"].as_u64().unwrap());
                self.events.push((offset, data));
                self.position.as_mut().unwrap()["offset"] = offset.into();
            }
            "ack" if self.position.is_none() => {
                self.position = Some(json!({"epoch": message["epoch"], "offset": 0}));
            }
            "ack" => assert_eq!(message["recovered"], true, "{message}"),
            "gap" => assert!(self.events.is_empty(), "a gap that is none: {message}"),
            _ => {}
        }
    }
}

/// Publishes what is not acknowledged yet, each with a key of its own.
fn publish(client: &mut Client, all: u64, acked: &BTreeMap<u64, u64>) {
    for data in (1..=all).filter(|data| !acked.contains_key(data)) {
        client.say(&json!({
            "type": "publish", "id": data, "room": ROOM, "event": "said", "data": data, "key": data.to_string(),
        }));
    }
}

#[test]
fn a_server_that_is_killed_has_lost_nothing_it_acknowledged_and_repeats_nothing() {
    const ROUNDS: u64 = 6;
    const A_ROUND: u64 = 150;
    let place = Place::new();
    let mut acked: BTreeMap<u64, u64> = BTreeMap::new();
    let mut heard = Heard::default();
    for round in 1..=ROUNDS {
        let server = Running::start(&place);
        let mut subscriber = heard.subscribe(&server);
        while heard.position.is_none() {
            heard.take(&subscriber.hear().unwrap());
        }
        let mut publisher = Client::connect(&server);
        publish(&mut publisher, round * A_ROUND, &acked);
        let is_last = round == ROUNDS;
        // Killed somewhere between the first acknowledgement and the last.
        let until = if is_last { round * A_ROUND } else { (round - 1) * A_ROUND + 17 * round };
        while (acked.len() as u64) < until {
            let ack = publisher.hear().unwrap();
            assert_eq!((&ack["ok"], &ack["durability"]), (&json!(true), &json!("synced")), "{ack}");
            acked.insert(ack["id"].as_u64().unwrap(), ack["offset"].as_u64().unwrap());
        }
        if !is_last {
            server.kill();
            while let Some(message) = subscriber.hear() {
                heard.take(&message);
            }
            continue;
        }
        while (heard.events.len() as u64) < round * A_ROUND {
            heard.take(&subscriber.hear().unwrap());
        }
    }
    let all = ROUNDS * A_ROUND;
    // Each event has one place, without holes, and that is where its publisher was told it stands.
    let offsets: Vec<u64> = heard.events.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (1..=all).collect::<Vec<_>>());
    for (offset, data) in &heard.events {
        assert_eq!(acked.get(data), Some(offset));
    }
    assert_eq!(acked.len() as u64, all);
}
