//! `tidings serve` reads its configuration again on SIGHUP.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidings_testkit::Place;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// The longest a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that is killed with the test, and its log.
struct Running {
    child: Child,
    log: mpsc::Receiver<String>,
    address: String,
    place: Place,
}

impl Running {
    fn start(rooms: &str) -> Self {
        let place = Place::new();
        std::fs::write(place.path().join("tidings.toml"), rooms).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(place.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("JWT_SECRET", "a secret of the tests, 32 bytes or more");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server ended before it listened").unwrap();
        let address = line.strip_prefix("listening on http://").expect(&line).to_owned();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (line, log) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Self { child, log, address, place }
    }

    /// Has the server read other text; what its log says up to the line with `last`.
    fn reload(&mut self, rooms: &str, last: &str) -> String {
        std::fs::write(self.place.path().join("tidings.toml"), rooms).unwrap();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        let mut said = String::new();
        while !said.contains(last) {
            said += &self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not said: {last}\n{said}"));
            said.push('\n');
        }
        said
    }

    /// An anonymous client of the plain protocol.
    fn enter(&self) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut socket, _) = tungstenite::client(format!("ws://{}/ws", self.address), stream).unwrap();
        say(&mut socket, &json!({"type": "auth"}));
        hear(&mut socket, "auth:ok");
        socket
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn say(socket: &mut WebSocket<TcpStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

fn hear(socket: &mut WebSocket<TcpStream>, kind: &str) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

const OPEN: &str = "[rooms.chat]\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";
const TAKEN: &str = "room kinds are those of the configuration now";
const REFUSED: &str = "nothing has changed";

#[test]
fn a_hangup_changes_the_rules_of_rooms_and_refuses_what_is_wrong() {
    let mut server = Running::start(OPEN);
    let mut client = server.enter();
    let subscribe = json!({"type": "subscribe", "id": 1, "room": "chat:a"});
    say(&mut client, &subscribe);
    assert_eq!(hear(&mut client, "ack")["ok"], true);

    for (wrong, why) in [
        ("[rooms.chat]\nsubscribe = \"all\"\n", "[rooms.chat] subscribe"),
        ("[rooms.chat\n", "tidings.toml:1"),
        ("admin_listen = \"192.0.2.1:1\"\n", "admin_listen"),
    ] {
        let said = server.reload(wrong, REFUSED);
        assert!(said.contains(why), "{said}");
    }
    say(&mut client, &json!({"type": "publish", "id": 2, "room": "chat:a", "event": "e", "data": 1}));
    hear(&mut client, "event");

    let said = server
        .reload(&format!("{OPEN}size = 7\nkeep = \"recent\"\n[heartbeat]\ninterval_ms = 9000\n"), TAKEN);
    assert!(said.contains("`rooms.chat`: keep"), "{said}");
    assert!(said.contains("`heartbeat.interval_ms` needs a restart"), "{said}");

    server.reload("[rooms.chat]\nsubscribe = \"signed-in\"\n[rooms.news]\nsubscribe = \"anyone\"\n", TAKEN);
    let left = hear(&mut client, "left");
    assert_eq!((&left["room"], &left["reason"]), (&json!("chat:a"), &json!("forbidden")));
    say(&mut client, &json!({"type": "subscribe", "id": 4, "room": "chat:a"}));
    let answer = std::iter::repeat_with(|| hear(&mut client, "ack")).find(|ack| ack["id"] == 4).unwrap();
    assert_eq!(answer["error"]["code"], "not_found");
    say(&mut client, &json!({"type": "subscribe", "id": 3, "room": "news:a"}));
    let answer = std::iter::repeat_with(|| hear(&mut client, "ack")).find(|ack| ack["id"] == 3).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
}
