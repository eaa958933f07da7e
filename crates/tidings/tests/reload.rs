//! `tidings serve` reads its configuration again on SIGHUP.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

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
        let mut command = serve(&place);
        command.env("JWT_SECRET", SECRET);
        Self::run(command, place)
    }

    fn run(mut command: Command, place: Place) -> Self {
        Self::once_it_listens(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), place)
    }

    fn once_it_listens(mut child: Child, place: Place) -> Self {
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
        self.says(last)
    }

    /// What its log says up to the line with `last`.
    fn says(&mut self, last: &str) -> String {
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

/// `tidings serve` in a directory, with nothing of the machine's environment.
fn serve(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().current_dir(place.path()).args(["serve", "--listen", "127.0.0.1:0"]);
    command
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

const SECRET: &str = "a secret of the tests, 32 bytes or more";
const OTHER: &str = "another secret of the tests, not that one";
const OPEN: &str = "[rooms.chat]\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";
const TAKEN: &str = "room kinds are those of the configuration now";
const REFUSED: &str = "nothing has changed";

/// Whether a process does something of its own on SIGHUP, by the mask of signals it catches.
fn catches_hangup(process: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

#[test]
fn a_hangup_while_it_starts_does_not_end_it() {
    let place = Place::new();
    std::fs::write(place.path().join("tidings.toml"), OPEN).unwrap();
    let data = place.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
    // As long as another program opens the database in that directory.
    let opening = File::open(&data).unwrap();
    opening.lock().unwrap();
    let mut command = serve(&place);
    command.env("JWT_SECRET", SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let since = Instant::now();
    while !catches_hangup(&child) {
        assert!(child.try_wait().unwrap().is_none() && since.elapsed() < PATIENCE, "it would end of it");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    opening.unlock().unwrap();
    Running::once_it_listens(child, place).says(TAKEN);
}

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

/// Files that the wrong configurations name.
const FILES: [(&str, &str); 4] = [
    ("jwt", SECRET),
    ("other", OTHER),
    ("weak", "changemechangemechangemechangeme"),
    ("secrets.toml", "# None.\n"),
];

/// Configurations with which no server starts, and what is said of each.
const UNUSABLE: [(&str, &str); 20] = [
    ("[auth]\njwt_secret_file = \"weak\"\n", "well-known sample"),
    ("[auth]\njwt_secret_file = \"nowhere\"\n", "cannot read the signing secret"),
    ("data_dir = \".\"\n", "holds no jwt_secret"),
    ("[auth]\njwt_secret = \"x\"\njwt_secret_file = \"jwt\"\n", "set one"),
    ("[auth]\njwt_secret_file = \"jwt\"\njwt_secret_previous_file = \"weak\"\n", "previous signing secret"),
    ("[auth]\njwt_secret_file = \"jwt\"\njwt_secret_previous_file = \"jwt\"\n", "the current one"),
    ("$[[auth.issuers]]\nissuer = \"a\"\npublic_key_file = \"nowhere.pem\"\n", "nowhere.pem"),
    ("$[[auth.issuers]]\nissuer = \"a\"\nsecret_file = \"weak\"\n", "secret of the issuer"),
    ("$[[auth.issuers]]\nissuer = \"a\"\nsecret_file = \"jwt\"\n", "another purpose"),
    (
        "$[[auth.providers]]\nname = \"a\"\nissuer = \"https://a.example\"\nclient_id = \"t\"\n\
      client_secret_file = \"jwt\"\n",
        "another purpose",
    ),
    ("$[[auth.providers]]\nname = \"a\"\nissuer = \"https://a.example\"\n", "`client_id` is empty"),
    ("$[hooks]\nsubscribe = \"https://h.example/\"\n", "hooks need a secret"),
    (
        "$[hooks]\nsubscribe = \"https://h.example/\"\nsecret_file = \"jwt\"\n",
        "the secret of the hooks serves",
    ),
    ("$[hooks]\nsubscribe = \"https://10.0.0.1/\"\nsecret_file = \"other\"\n", "hooks.subscribe"),
    ("$[database]\nurl = \"mysql://u:pw-of-the-database@h/x\"\n", "the database"),
    ("$[accounts]\npublic_url = \"nonsense\"\n", "accounts.public_url"),
    ("$[accounts]\npassword_least = 9\n", "accounts.password_least"),
    ("$[admin_ui]\nmode = \"production\"\n[namespaces.\"/admin\"]\n", "`/admin`"),
    ("$[log]\nfilter = \"a=b=c\"\n", "log.filter"),
    ("$[apps.nobody]\nenabled = true\n", "apps.nobody"),
];

#[test]
fn a_hangup_takes_nothing_with_which_no_server_would_start() {
    let place = Place::new();
    for (name, text) in FILES {
        std::fs::write(place.path().join(name), text).unwrap();
    }
    let mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(place.path().join("secrets.toml"), mine).unwrap();
    let (auth, kinds) = ("[auth]\njwt_secret_file = \"jwt\"\n", "[rooms.chat]\nsubscribe = \"anyone\"\n");
    let file = place.path().join("tidings.toml");
    std::fs::write(&file, auth).unwrap();
    let mut server = Running::run(serve(&place), place);
    let mut client = server.enter();
    for (wrong, why) in UNUSABLE {
        let wrong = wrong.replace('$', auth) + kinds;
        std::fs::write(&file, &wrong).unwrap();
        let started = serve(&server.place).output().unwrap();
        let said = String::from_utf8(started.stderr).unwrap();
        assert_eq!(started.status.code(), Some(2), "{wrong}\n{said}");
        assert!(said.contains(why), "{wrong}\n{said}");
        let said = server.reload(&wrong, REFUSED);
        assert!(said.contains(why) && !said.contains("pw-of-the-database"), "{wrong}\n{said}");
        say(&mut client, &json!({"type": "subscribe", "id": 1, "room": "chat:a"}));
        assert_eq!(hear(&mut client, "ack")["error"]["code"], "not_found", "{wrong}");
    }
    server.reload(&format!("{auth}{kinds}"), TAKEN);
    say(&mut client, &json!({"type": "subscribe", "id": 2, "room": "chat:a"}));
    let answer = std::iter::repeat_with(|| hear(&mut client, "ack")).find(|ack| ack["id"] == 2).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
}

/// What the audit log of a server's database has of an action, the oldest first: object, before, after and reason.
fn noted(place: &Place, action: &str) -> Vec<[Value; 4]> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = command.env_clear().current_dir(place.path()).args(["audit", "--action", action]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(!text.contains(SECRET) && !text.contains(OTHER), "{text}");
    let entry = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        ["object", "before", "after", "reason"].map(|name| entry[name].clone())
    };
    let mut all: Vec<_> = text.lines().map(entry).collect();
    all.sort_by_key(|[object, ..]| object.to_string());
    all
}

impl Running {
    /// Ends the server in order, so that all it noted is written.
    fn end(mut self) -> Place {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.place)
    }
}

#[test]
fn what_is_set_otherwise_than_at_the_last_start_is_in_the_audit_log() {
    let place = Place::new();
    let write =
        |place: &Place, name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    write(&place, "jwt", SECRET);
    let auth = "[auth]\njwt_secret_file = \"jwt\"\n";
    write(&place, "tidings.toml", &format!("{auth}[limits]\nrooms = 7\n"));
    let place = Running::run(serve(&place), place).end();
    let place = Running::run(serve(&place), place).end();
    assert_eq!(noted(&place, "config.change"), Vec::<[Value; 4]>::new(), "nothing is set otherwise");

    write(&place, "tidings.toml", &format!("{auth}[limits]\nqueue_messages = 99\n{OPEN}"));
    let mut server = Running::run(serve(&place), place);
    server
        .reload(&format!("{auth}[limits]\nqueue_messages = 98\n[rooms.chat]\npublish = \"nobody\"\n"), TAKEN);
    let place = server.end();
    let [null, seven, many, anyone] = ["null", "7", "99", "\"anyone\""].map(|text| json!(text));
    let none = Value::Null;
    let mut all = vec![
        [json!("limits.queue_messages"), null.clone(), many.clone(), none.clone()],
        [json!("limits.rooms"), seven, null.clone(), none.clone()],
        [json!("rooms.chat.publish"), null.clone(), anyone.clone(), none.clone()],
        [json!("rooms.chat.subscribe"), null.clone(), anyone, none.clone()],
    ];
    assert_eq!(noted(&place, "config.change"), all);
    assert_eq!(noted(&place, "rule.change")[0][0], json!("rooms.chat"));

    // The room kinds are those of the last start since the signal; the limit becomes so with the next one.
    write(&place, "jwt", OTHER);
    let place = Running::run(serve(&place), place).end();
    all.insert(1, [json!("limits.queue_messages"), many, json!("98"), none.clone()]);
    assert_eq!(noted(&place, "config.change"), all);
    let renewed = [json!("auth.jwt_secret"), none.clone(), none.clone(), json!("changed")];
    assert_eq!(noted(&place, "secret.rotate"), [renewed]);
}
