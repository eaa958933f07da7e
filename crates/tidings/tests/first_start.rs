//! The first start of the real binary, without any configuration: what a stranger may do with it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

const PATIENCE: Duration = Duration::from_secs(10);

/// An empty directory, gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-first-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).args(arguments);
        command
    }

    /// A server with nothing said but a free port, or `more` instead of that.
    fn serve(&self, more: &[&str]) -> Running {
        let near = ["serve", "--listen", "127.0.0.1:0"];
        let flags = if more.is_empty() { near.to_vec() } else { [&["serve"], more].concat() };
        let mut child = self.command(&flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();
        Running { child, address, said }
    }

    fn mode(&self, path: &str) -> u32 {
        std::fs::metadata(self.0.join(path)).unwrap().permissions().mode() & 0o777
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
    address: String,
    /// What else it says, which ends when it does.
    said: BufReader<ChildStdout>,
}

impl Running {
    /// Status, head in small letters, body.
    fn ask(&self, request: &str) -> (String, String, String) {
        self.send(request, "")
    }

    /// The same with JSON.
    fn send(&self, request: &str, json: &str) -> (String, String, String) {
        let port = self.address.rsplit(':').next().unwrap();
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (host, size) = (&self.address, json.len());
        let head =
            format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {size}");
        let rest = format!("\r\nContent-Type: application/json\r\n\r\n{json}");
        stream.write_all((head + &rest).as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, head.to_lowercase(), body.to_owned())
    }
}

impl Running {
    /// Ends it, and answers what it has said since it was first heard.
    fn everything_else(&mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_made_is_for_its_owner_alone_and_the_log_says_that_it_was_made() {
    let place = Place::new("made");
    let server = place.serve(&[]);
    assert!(server.address.starts_with("127.0.0.1:"));
    let modes = ["data", "data/secrets.toml", "data/tidings.db"].map(|path| place.mode(path));
    assert_eq!(modes, [0o700, 0o600, 0o600]);
    let deadline = std::time::Instant::now() + PATIENCE;
    let logged = loop {
        let output = place.command(&["audit"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if text.lines().count() >= 2 || std::time::Instant::now() > deadline {
            break text;
        }
    };
    let actions: Vec<Value> = logged.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = actions.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["secret.create", "start"], "{logged}");
    let secrets = std::fs::read_to_string(place.0.join("data/secrets.toml")).unwrap();
    let secret = secrets.split('"').nth(1).unwrap();
    assert!(secret.len() >= 43 && !logged.contains(secret));
    assert!(place.command(&["verify", "audit"]).output().unwrap().status.success());
}

#[test]
fn the_first_start_prints_a_link_that_makes_the_administrator_once() {
    let place = Place::new("set-up");
    let mut server = place.serve(&[]);
    let mut line = String::new();
    server.said.read_line(&mut line).unwrap();
    let start = format!("http://{}/account#setup=", server.address);
    let token = line.trim().split_once(&start).expect(&line).1;
    assert_eq!(token.len(), 43, "256 bits");
    assert_eq!(server.ask("GET /account").0, "200");
    let wanted = |token: &str, password: &str| json!({"token": token, "email": "ada@example.com", "password": password});
    let set_up = |token: &str, password: &str| {
        let (status, _, body) = server.send("POST /api/auth/setup", &wanted(token, password).to_string());
        (status, body)
    };
    let good = "a long one, chosen here";
    assert_eq!(set_up(&"A".repeat(43), good).0, "404", "not this link");
    assert_eq!(set_up(token, "short").0, "400", "which does not use it up");
    assert_eq!(set_up(token, good).0, "201");
    assert_eq!(set_up(token, good).0, "404", "it was used");
    let login = json!({"email": "ada@example.com", "password": good}).to_string();
    let (status, _, body) = server.send("POST /api/auth/login", &login);
    let roles = &serde_json::from_str::<Value>(&body).unwrap()["user"]["roles"];
    assert_eq!((status.as_str(), roles), ("200", &json!(["admin", "operator"])), "{body}");

    let mut again = {
        drop(server);
        place.serve(&[])
    };
    assert_eq!(again.everything_else(), "", "the second start has no link");
}

#[test]
fn a_token_that_was_made_before_the_first_start_takes_the_link_away_from_nobody() {
    let place = Place::new("set-up-token");
    assert!(place.command(&["token", "--user", "ada"]).output().unwrap().status.success());
    assert!(place.serve(&[]).everything_else().contains("/account#setup="));
    assert_eq!(place.serve(&[]).everything_else(), "", "the second start has none");
}

#[test]
fn where_somebody_is_already_or_others_may_ask_there_is_no_link() {
    let has_people = Place::new("set-up-demo");
    assert!(!has_people.serve(&["--demo", "--listen", "127.0.0.1:0"]).everything_else().contains("#setup="));
    for said in [&["--behind-proxy"][..], &["--trusted-proxies", "127.0.0.1"]] {
        let proxied = Place::new(&format!("set-up-{}", said[0]));
        let flags = [&["--listen", "127.0.0.1:0"], said].concat();
        assert_eq!(proxied.serve(&flags).everything_else(), "", "{said:?}");
    }
}

#[test]
fn every_address_but_loopback_is_refused_without_a_proxy() {
    let place = Place::new("reach");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = place.command(&["serve", "--listen", address]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(said(&output).contains("--behind-proxy"), "{}", said(&output));
    }
}

#[test]
fn sample_and_short_secrets_are_refused_and_not_repeated() {
    let place = Place::new("weak");
    let samples =
        ["short", "changeme-changeme-changeme-changeme", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];
    for secret in samples {
        let output = place.command(&["serve"]).env("JWT_SECRET", secret).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{secret}");
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
}

/// What every answer to a browser has to say.
const HEADERS: [&str; 6] = [
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cross-origin-opener-policy: same-origin",
    "cross-origin-resource-policy: same-origin",
    "permissions-policy: ",
    "frame-ancestors 'none'",
];

#[test]
fn page_and_api_tell_browsers_what_to_keep_to() {
    let place = Place::new("headers");
    let server = place.serve(&[]);
    for path in ["/", "/assets/app.js", "/api/rooms", "/api/nothing", "/healthz", "/metrics"] {
        let (_, head, _) = server.ask(&format!("GET {path}"));
        for header in HEADERS {
            assert!(head.contains(header), "{path} lacks {header}: {head}");
        }
        assert!(!head.contains("\r\nserver:") && !head.contains("x-powered-by"), "{head}");
        assert_eq!(path.starts_with("/api/"), head.contains("cache-control: no-store"), "{path}: {head}");
    }
    let (_, head, page) = server.ask("GET /");
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(!page.contains("<script>") && !page.contains("unsafe-inline"));
    // The console, or how to build it; the host's figures are there either way.
    assert!(page.contains("/console/") || page.contains("npm run build --prefix web"), "{page}");
    let (status, _, page) = server.ask("GET /host");
    assert!(status == "200" && page.contains("This machine, live"), "{page}");
}

#[test]
fn health_says_yes_or_no_and_no_version() {
    let place = Place::new("health");
    let server = place.serve(&[]);
    for (path, answer) in [("/healthz", "ok\n"), ("/readyz", "ready\ndegraded: no\n")] {
        let (status, head, body) = server.ask(&format!("GET {path}"));
        assert_eq!((status.as_str(), body.as_str()), ("200", answer));
        assert!(!head.contains(env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_api_answers_nobody_who_does_not_sign_in() {
    let place = Place::new("nobody");
    let server = place.serve(&[]);
    let paths = ["/api/rooms", "/api/rooms/lobby:main/history", "/api/rooms/user:1/presence", "/api/audit"];
    for path in paths {
        assert_eq!(server.ask(&format!("GET {path}")).0, "401", "{path}");
    }
    assert_eq!(server.ask("POST /api/publish").0, "401");
    // Nobody exists, so no name and password can be right.
    for name in ["admin", "root", "operator", "tidings"] {
        let json = json!({"email": format!("{name}@example.com"), "password": name}).to_string();
        let login = server.send("POST /api/auth/login", &json);
        assert_ne!(login.0, "200");
    }
}

#[test]
fn facing_a_network_the_metrics_are_for_servers_alone_and_on_loopback_they_are_open() {
    let place = Place::new("metrics");
    assert_eq!(place.serve(&[]).ask("GET /metrics").0, "200");
    let server = place.serve(&["--listen", "0.0.0.0:0", "--behind-proxy"]);
    assert_eq!(server.ask("GET /metrics").0, "401");
}

#[test]
fn an_anonymous_client_gets_what_anyone_may_have_and_nothing_else() {
    let place = Place::new("anonymous");
    let server = place.serve(&[]);
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://{}/ws", server.address), stream).unwrap();
    let mut say = |value: Value, wanted: &str| -> Value {
        socket.send(Message::text(value.to_string())).unwrap();
        loop {
            let text = socket.read().unwrap().into_text().unwrap();
            let heard: Value = serde_json::from_str(&text).unwrap();
            if heard["type"] == wanted {
                return heard;
            }
        }
    };
    say(json!({"type": "auth"}), "auth:ok");
    let mut may = |what: &str, room: &str| {
        let asked = json!({"type": what, "id": 1, "room": room, "event": "e", "data": 1});
        say(asked, "ack")["ok"] == true
    };
    assert!(may("subscribe", "metrics:host"), "what anyone may hear on loopback");
    for room in ["lobby:main", "user:1", "admin:security", "operator:security", "unknown:1"] {
        assert!(!may("subscribe", room) && !may("history", room) && !may("presence", room), "{room}");
        assert!(!may("publish", room), "{room}");
    }
    assert!(!may("publish", "metrics:host"));
}

#[test]
fn a_first_start_that_is_refused_leaves_no_secret_so_that_the_next_one_is_the_first() {
    let place = Place::new("refused");
    std::fs::write(place.0.join("tidings.toml"), "[accounts]\npublic_url = \"nonsense\"\n").unwrap();
    let refused = place.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(!place.0.join("data").exists());
    std::fs::remove_file(place.0.join("tidings.toml")).unwrap();
    let mut running = place.serve(&[]);
    let mut link = String::new();
    running.said.read_line(&mut link).unwrap();
    assert!(link.contains("/account#setup="), "{link}");
}

#[test]
fn a_first_start_whose_port_is_taken_leaves_no_secret_so_that_the_next_one_is_the_first() {
    let place = Place::new("taken");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let refused = place.command(&["serve", "--listen", &address]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("`--listen` names another port"), "{}", said(&refused));
    assert!(!place.0.join("data").exists());
    let mut running = place.serve(&[]);
    let mut link = String::new();
    running.said.read_line(&mut link).unwrap();
    assert!(link.contains("/account#setup="), "{link}");
}
