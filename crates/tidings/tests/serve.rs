//! `tidings serve` through the real binary and real sockets.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const SECRET: &str = "a secret of the tests, 32 bytes or more";
/// The longest a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What connections take to leave where there are many.
const DRAIN: Duration = Duration::from_secs(10);

/// A directory of its own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-serve-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with_file(name: &str, file: &str) -> Self {
        let place = Self::new(name);
        std::fs::write(place.0.join("tidings.toml"), file).unwrap();
        place
    }

    fn command(&self, flags: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).arg("serve").args(flags).envs(env.iter().copied());
        command
    }

    /// What a start that is refused says.
    fn refused(&self, flags: &[&str], env: &[(&str, &str)]) -> Output {
        self.command(flags, env).output().unwrap()
    }

    /// Starts a server on a free port that takes tokens signed with [`SECRET`].
    fn serve(&self, flags: &[&str]) -> Running {
        let flags = [&["--listen", "127.0.0.1:0"], flags].concat();
        Running::start(self.command(&flags, &[("JWT_SECRET", SECRET)]))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A server that is killed with the test.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::logging_to(Stdio::null(), command)
    }

    fn logging_to(log: Stdio, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server ended before it listened").unwrap();
        let address = line.strip_prefix("listening on http://").expect(&line).to_owned();
        Self { child, lines, address }
    }

    /// The address of the second listener.
    fn ws_address(&mut self) -> String {
        self.announced("plain protocol on ws://")
    }

    /// The address of which the next line speaks.
    fn announced(&mut self, what: &str) -> String {
        let line = self.lines.next().unwrap().unwrap();
        line.strip_prefix(what).expect(&line).to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exit(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// A connection to `/ws`, not signed in.
    fn open(&self) -> Plain {
        Plain::open(&self.address, "/ws")
    }

    /// A signed-in connection.
    fn enter(&self, claims: Value) -> Plain {
        let mut plain = self.open();
        plain.say(json!({ "type": "auth", "token": token(claims) }));
        plain.hear("auth:ok");
        plain
    }

    fn anonymous(&self) -> Plain {
        let mut plain = self.open();
        plain.say(json!({ "type": "auth" }));
        plain.hear("auth:ok");
        plain
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn token(mut claims: Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    claims["exp"] = (now + 300).into();
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A client of the plain protocol.
struct Plain {
    socket: WebSocket<TcpStream>,
    last_id: u64,
}

impl Plain {
    fn open(address: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
        Self { socket, last_id: 0 }
    }

    fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message of a type; others are thrown away.
    fn hear(&mut self, kind: &str) -> Value {
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }

    fn command(&mut self, name: &str, mut body: Value) -> Value {
        self.last_id += 1;
        body["type"] = name.into();
        body["id"] = self.last_id.into();
        self.say(body);
        self.hear("ack")
    }

    fn subscribe(&mut self, room: &str) -> Value {
        self.command("subscribe", json!({ "room": room }))
    }

    fn publish(&mut self, room: &str, data: &str) -> Value {
        self.command("publish", json!({ "room": room, "event": "said", "data": data }))
    }

    /// The code with which the server closes.
    fn closed(&mut self) -> u16 {
        loop {
            match self.socket.read().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                _ => continue,
            }
        }
    }
}

/// `ok`, or the code of the refusal.
fn outcome(ack: &Value) -> &str {
    if ack["ok"] == true { "ok" } else { ack["error"]["code"].as_str().unwrap() }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_secret_for_its_owner_alone_and_later_ones_keep_it() {
    let place = Place::new("secret");
    let start = || Running::start(place.command(&["--listen", "127.0.0.1:0"], &[]));
    let mut server = start();
    assert!(get(&server.address, "/healthz").starts_with("HTTP/1.1 200"));
    let file = place.0.join("data/secrets.toml");
    assert_eq!((mode(&place.0.join("data")), mode(&file)), (0o700, 0o600));
    let secret = std::fs::read(&file).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.exit(), Some(0));
    let _server = start();
    assert_eq!(std::fs::read(&file).unwrap(), secret);
}

#[test]
fn a_server_told_to_leave_says_when_to_come_back_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new(if signal == Signal::TERM { "term" } else { "int" });
        let mut server = place.serve(&[]);
        let mut client = server.enter(json!({ "sub": "alice" }));
        let asked = Instant::now();
        server.signal(signal);
        assert!(client.hear("reconnect")["afterMs"].is_u64());
        assert_eq!(client.closed(), 1012);
        assert_eq!(server.exit(), Some(0));
        assert!(asked.elapsed() < DRAIN, "one connection does not take the whole drain time");
    }
}

#[test]
fn ports_and_secret_from_the_environment_are_all_it_takes() {
    let place = Place::new("ports");
    let env = [("PORT", "0"), ("WS_PORT", "0"), ("JWT_SECRET", SECRET)];
    let mut server = Running::start(place.command(&[], &env));
    let second = server.ws_address();
    assert!(server.address.starts_with("127.0.0.1:") && second.starts_with("127.0.0.1:"));
    assert!(!place.0.join("data/secrets.toml").exists(), "a given secret is not written down");

    let mut here = Plain::open(&second, "/");
    here.say(json!({ "type": "auth", "token": token(json!({ "sub": "alice" })) }));
    let signed_in = here.hear("auth:ok");
    assert_eq!((&signed_in["userId"], &signed_in["org"]), (&json!("alice"), &json!("default")));
    let mut there = server.enter(json!({ "sub": "bob" }));
    assert_eq!(outcome(&here.subscribe("lobby:1")), "ok");
    assert_eq!(outcome(&there.publish("lobby:1", "hello")), "ok");
    assert_eq!(here.hear("event")["data"], "hello");
}

#[test]
fn a_client_that_does_not_sign_in_first_and_within_five_seconds_is_closed_with_4401() {
    let place = Place::new("sign-in");
    let mut server = place.serve(&["--ws-listen", "127.0.0.1:0"]);
    let opened = Instant::now();
    let mut silent = Plain::open(&server.ws_address(), "/");
    assert_eq!(silent.closed(), 4401);
    let took = opened.elapsed();
    assert!(took > Duration::from_secs(4), "five seconds, not {took:?}");

    let mut hasty = server.open();
    hasty.say(json!({ "type": "subscribe", "id": 1, "room": "metrics:host" }));
    assert_eq!(hasty.closed(), 4401, "nothing may come before the sign-in");
    let mut wrong = server.open();
    wrong.say(json!({ "type": "auth", "token": "garbage" }));
    assert_eq!(wrong.hear("ack")["error"]["code"], "unauthorized");
    assert_eq!(wrong.closed(), 4401, "a bad token is not downgraded to anonymous");
}

#[test]
fn a_client_that_answers_is_pinged_again_after_the_interval_whatever_the_timeout() {
    let place = Place::new("heartbeat");
    let flags = ["--heartbeat-interval-ms", "1000", "--heartbeat-timeout-ms", "60000"];
    let server = place.serve(&flags);
    let mut client = server.enter(json!({ "sub": "alice" }));
    for _ in 0..3 {
        client.hear("heartbeat");
    }

    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut client = Plain::open(&server.address, path).socket;
    for _ in 0..3 {
        while client.read().unwrap() != Message::text("2") {}
        client.send(Message::text("3")).unwrap();
    }
}

#[test]
fn every_rule_lets_in_whom_it_names_and_nobody_else() {
    const RULES: [(&str, &str); 8] = [
        ("anyone", "anyone"),
        ("signed", "signed-in"),
        ("verified", "verified"),
        ("editors", "role:editor"),
        ("gold", "claim:plan=gold"),
        ("mine", "owner"),
        ("backend", "server"),
        ("closed", "nobody"),
    ];
    let rules = |(kind, rule)| format!("[rooms.{kind}]\nsubscribe = {rule:?}\npublish = {rule:?}\n");
    let place = Place::with_file("rules", &RULES.map(rules).concat());
    let server = place.serve(&[]);
    let open = |plain: &mut Plain| {
        let admits = |(kind, _): &(&'static str, &str)| {
            let room = format!("{kind}:alice");
            let heard = outcome(&plain.subscribe(&room)).to_owned();
            let said = outcome(&plain.publish(&room, "x")).to_owned();
            assert_eq!(heard, said, "{kind}");
            assert!(heard == "ok" || heard == "not_found", "{kind}: {heard}");
            (heard == "ok").then_some(*kind)
        };
        RULES.iter().filter_map(admits).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(open(&mut server.anonymous()), "anyone");
    let claims = [
        (json!({ "sub": "bob" }), "anyone signed"),
        (json!({ "sub": "bob", "email_verified": true }), "anyone signed verified"),
        (json!({ "sub": "bob", "roles": ["editor"] }), "anyone signed editors"),
        (json!({ "sub": "bob", "plan": "gold" }), "anyone signed gold"),
        (json!({ "sub": "bob", "plan": "golden" }), "anyone signed"),
        (json!({ "sub": "alice" }), "anyone signed mine"),
        (json!({ "sub": "bob", "scope": "publish" }), "anyone signed backend"),
    ];
    for (claims, rooms) in claims {
        assert_eq!(open(&mut server.enter(claims.clone())), rooms, "{claims}");
    }
}

#[test]
fn a_room_that_may_be_heard_but_not_spoken_in_forbids_it() {
    let file = "[rooms.news]\nsubscribe = \"signed-in\"\npublish = \"role:editor\"\nhistory = \"nobody\"\n";
    let place = Place::with_file("news", file);
    let server = place.serve(&[]);
    let mut reader = server.enter(json!({ "sub": "bob" }));
    assert_eq!(outcome(&reader.subscribe("news:1")), "ok");
    assert_eq!(outcome(&reader.publish("news:1", "x")), "forbidden");
    assert_eq!(outcome(&reader.command("history", json!({ "room": "news:1" }))), "forbidden");
    let mut editor = server.enter(json!({ "sub": "eve", "roles": ["editor"] }));
    assert_eq!(outcome(&editor.publish("news:1", "read this")), "ok");
    assert_eq!(reader.hear("event")["data"], "read this");
}

#[test]
fn a_room_keeps_what_its_kind_says() {
    let rules = "subscribe = \"signed-in\"\npublish = \"signed-in\"\nhistory = \"signed-in\"\n";
    let file = format!("[rooms.talk]\n{rules}\n[rooms.chat]\n{rules}keep = \"recent\"\nsize = 2\n");
    let place = Place::with_file("keep", &file);
    let server = place.serve(&[]);
    let mut client = server.enter(json!({ "sub": "alice" }));
    for room in ["talk:1", "chat:1"] {
        for data in ["a", "b", "c"] {
            assert_eq!(outcome(&client.publish(room, data)), "ok");
        }
    }
    let mut kept = |room: &str| client.command("history", json!({ "room": room }));
    let events = kept("chat:1")["events"].as_array().unwrap().clone();
    let told: Vec<_> =
        events.iter().map(|event| (event["offset"].as_u64(), event["data"].as_str())).collect();
    assert_eq!(told, [(Some(2), Some("b")), (Some(3), Some("c"))]);
    assert_eq!(kept("talk:1")["events"], json!([]));
    assert_eq!(client.publish("talk:1", "d")["offset"], Value::Null, "what is not kept has no offset");
}

#[test]
fn members_and_bytes_of_a_room_are_bounded() {
    let file = "[rooms.chat]\nsubscribe = \"anyone\"\npublish = \"anyone\"\nmembers = 2\nmessage_bytes = 8\n";
    let place = Place::with_file("bounds", file);
    let server = place.serve(&[]);
    let mut clients = [server.anonymous(), server.anonymous(), server.anonymous()];
    let joined = clients.each_mut().map(|client| outcome(&client.subscribe("chat:1")).to_owned());
    assert_eq!(joined[..2], ["ok", "ok"]);
    assert_ne!(joined[2], "ok");
    assert_eq!(outcome(&clients[2].subscribe("chat:2")), "ok", "another room has places of its own");
    assert_eq!(outcome(&clients[0].publish("chat:1", "123456")), "ok", "eight bytes with its quotes");
    assert_eq!(outcome(&clients[0].publish("chat:1", "1234567")), "too_large");
    clients[1].command("unsubscribe", json!({ "room": "chat:1" }));
    assert_eq!(outcome(&clients[2].subscribe("chat:1")), "ok", "a place that was left is free");
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_code_2_and_names_its_key() {
    let wrong = [
        ("[rooms.chat]\nsubscribe = \"everyone\"\n", "[rooms.chat] subscribe"),
        ("[rooms.chat]\npublish = \"role:\"\n", "[rooms.chat] publish"),
        ("[rooms.chat]\nhistory = \"claim:plan\"\n", "[rooms.chat] history"),
        ("[rooms.chat]\npresence = \"\"\n", "[rooms.chat] presence"),
        ("[rooms.chat]\nkeep = \"forever\"\n", "`rooms.chat.keep`"),
        ("[rooms.chat]\nsize = 5\n", "[rooms.chat] keep"),
        ("[rooms.chat]\nmembers = 0\n", "`rooms.chat.members`"),
        ("[rooms.chat]\nmessage_bytes = \"1k\"\n", "`rooms.chat.message_bytes`"),
        ("[rooms.chat]\nsubscrib = \"anyone\"\n", "`rooms.chat.subscrib`"),
        ("[rooms.\"a:b\"]\nsubscribe = \"anyone\"\n", "`rooms.a:b`"),
        ("[namespaces.chat]\nauth = \"optional\"\n", "`namespaces.chat`"),
        ("[roms.chat]\nsubscribe = \"anyone\"\n", "`roms`"),
        ("port = 3000\n", "`port`"),
        ("admin_listen = \"127.0.0.1\"\n", "`admin_listen`"),
    ];
    for (index, (file, key)) in wrong.iter().enumerate() {
        let place = Place::with_file(&format!("wrong-{index}"), file);
        let output = place.refused(&["--listen", "127.0.0.1:0"], &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{file}: {said}");
        assert!(said.contains(key), "{file}: {said}");
        assert!(output.stdout.is_empty() && !place.0.join("data").exists(), "{file}");
    }
}

#[test]
fn an_address_others_can_reach_needs_a_proxy_in_front() {
    let place = Place::new("open");
    let open = [
        ["--listen", "0.0.0.0:0"],
        ["--listen", "[::]:0"],
        ["--ws-listen", "0.0.0.0:0"],
        ["--admin-listen", "0.0.0.0:0"],
    ];
    for flags in open {
        let output = place.refused(&flags, &[("JWT_SECRET", SECRET)]);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("--behind-proxy"), "{flags:?}");
    }
    let flags = ["--listen", "0.0.0.0:0", "--behind-proxy"];
    let server = Running::start(place.command(&flags, &[("JWT_SECRET", SECRET)]));
    let port = server.address.rsplit(':').next().unwrap();
    let mut stranger = Plain::open(&format!("127.0.0.1:{port}"), "/ws");
    stranger.say(json!({ "type": "auth" }));
    assert_eq!(stranger.closed(), 4401, "facing a network nobody is anonymous");
}

#[test]
fn administrators_have_a_listener_of_their_own_where_one_is_named() {
    let place = Place::new("administration");
    let mut server = place.serve(&["--admin-listen", "127.0.0.1:0"]);
    let admin = server.announced("administration on http://");
    let theirs = [
        ("/metrics", "200"),
        ("/", "200"),
        ("/api/audit", "401"),
        ("/api/users", "401"),
        ("/api/keys", "401"),
    ];
    for (path, status) in theirs {
        assert_eq!(&get(&server.address, path)[9..12], "404", "{path}");
        assert_eq!(&get(&admin, path)[9..12], status, "{path}");
    }
    for path in ["/healthz", "/readyz", "/account"] {
        assert_eq!(&get(&server.address, path)[9..12], "200", "{path}");
        assert_eq!(&get(&admin, path)[9..12], "200", "{path}");
    }
    let mut figures = Plain::open(&admin, "/ws");
    figures.say(json!({ "type": "auth" }));
    figures.hear("auth:ok");
    assert_eq!(outcome(&figures.subscribe("metrics:host")), "ok", "the page at this listener shows them");

    let other = Place::new("no-administration");
    let main = other.serve(&[]);
    for (path, status) in theirs {
        assert_eq!(&get(&main.address, path)[9..12], status, "without one, {path} is at the main listener");
    }
}

#[test]
fn the_page_of_accounts_says_how_long_a_password_has_to_be_on_this_server_and_where_mails_are() {
    let rule = |least: &str| format!("New password, {least} characters or more<input");
    for (flags, least) in [(&[][..], "12"), (&["--accounts-password-least", "14"], "14"), (&["--demo"], "8")]
    {
        let place = Place::new("least");
        let page = get(&place.serve(flags).address, "/account");
        assert_eq!(page.matches(&rule(least)).count(), 2, "{flags:?} {page}");
        assert!(page.contains("data-mails=\"logged\""), "nobody sends mails for it: {page}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_ends_with_code_1() {
    let place = Place::new("taken");
    let server = place.serve(&[]);
    let flags = ["--listen", &server.address, "--data-dir", "other"];
    let output = place.refused(&flags, &[("JWT_SECRET", SECRET)]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&server.address) && said.contains("--listen"), "{said}");
}

#[test]
fn the_demo_and_the_host_are_heard() {
    let place = Place::new("demo");
    let server = place.serve(&["--demo"]);
    let mut client = server.enter(json!({ "sub": "alice" }));
    for room in ["metrics:host", "lobby:market", "lobby:welcome"] {
        assert_eq!(outcome(&client.subscribe(room)), "ok");
        let mut event = client.hear("event");
        while event["room"] != room {
            event = client.hear("event");
        }
        assert!(event["data"].is_object(), "{event}");
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let place = Place::new("full-log");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let told = [("JWT_SECRET", SECRET), ("TIDINGS_LOG__FILTER", "debug")];
    let mut server = Running::logging_to(full.into(), place.command(&["--listen", "127.0.0.1:0"], &told));
    server.enter(json!({"sub": "alice"}));
    server.signal(Signal::TERM);
    assert_eq!(server.exit(), Some(0));
}
