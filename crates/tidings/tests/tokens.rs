//! Issuers in the configuration of the real binary, and what its log says of tokens.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

const SECRET: &str = "a secret of the token tests, 32 bytes or more";
const ISSUER_SECRET: &str = "what one issuer shares with this server alone";
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of its own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-tokens-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn command(&self, flags: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).args(flags).envs(env.iter().copied());
        command
    }

    fn run(&self, file: &str) -> Output {
        std::fs::write(self.0.join("tidings.toml"), file).unwrap();
        self.command(&["serve", "--listen", "127.0.0.1:0"], &[("JWT_SECRET", SECRET)]).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

struct Running(Child, String);

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self(child, address)
    }

    /// Status and body of a request whose head is this.
    fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head}\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn token(secret: &str, issuer: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": "ada", "iss": issuer, "scope": "publish", "exp": now + 300});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[test]
fn issuers_come_from_one_line_of_the_environment_and_previous_secrets_from_a_file() {
    let place = Place::new("environment");
    let (shared, previous) = (place.0.join("issuer"), place.0.join("previous"));
    std::fs::write(&shared, format!("{ISSUER_SECRET}\n")).unwrap();
    std::fs::write(&previous, "the secret before, which is long enough as well\n").unwrap();
    let issuers =
        format!("[{{ issuer = \"https://a.example/\", secret_file = {shared:?}, org = \"acme\" }}]");
    let env = [
        ("JWT_SECRET", SECRET),
        ("TIDINGS_AUTH__ISSUERS", &issuers),
        ("TIDINGS_AUTH__JWT_SECRET_PREVIOUS_FILE", previous.to_str().unwrap()),
    ];
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"], &env);
    command.stderr(Stdio::null());
    let running = Running::start(command);
    let rooms =
        |token: &str| running.ask(&format!("GET /api/rooms HTTP/1.1\r\nAuthorization: Bearer {token}"));
    assert!(rooms(&token(ISSUER_SECRET, "https://a.example/")).starts_with("HTTP/1.1 200"));
    assert!(
        rooms(&token("the secret before, which is long enough as well", "any")).starts_with("HTTP/1.1 200")
    );
    assert!(rooms(&token(SECRET, "https://a.example/")).starts_with("HTTP/1.1 401"));
    assert!(rooms(&token(ISSUER_SECRET, "https://b.example/")).starts_with("HTTP/1.1 401"));
}

#[test]
fn an_issuer_that_cannot_be_meant_ends_the_start_with_code_2_and_a_reason() {
    let place = Place::new("refused");
    std::fs::write(place.0.join("weak"), "changemechangemechangemechangeme").unwrap();
    std::fs::write(place.0.join("same"), SECRET).unwrap();
    let cases = [
        ("issuer = \"https://a.example/\"\naudiense = [\"x\"]", "audiense"),
        ("issuer = \"https://a.example/\"", "jwks_url"),
        ("issuer = \"https://a.example/\"\njwks_url = \"http://a.example/\"", "https"),
        ("issuer = \"https://a.example/\"\njwks_file = \"missing.json\"", "missing.json"),
        ("issuer = \"https://a.example/\"\nsecret_file = \"weak\"", "a well-known sample"),
        ("issuer = \"https://a.example/\"\nsecret_file = \"same\"", "another purpose"),
    ];
    for (table, why) in cases {
        let output = place.run(&format!("[[auth.issuers]]\n{table}\n"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{why}: {said}");
    }
    let output = place.run("[auth]\nissuers = [1]\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("a list of tables"));
}

#[test]
fn no_log_holds_a_token_wherever_it_was_sent() {
    let place = Place::new("log");
    let log = place.0.join("log");
    let flags = ["serve", "--listen", "127.0.0.1:0", "--log-filter", "trace"];
    let mut command = place.command(&flags, &[("JWT_SECRET", SECRET)]);
    command.stderr(File::create(&log).unwrap());
    let running = Running::start(command);
    let (good, bad) = (token(SECRET, "a"), token(ISSUER_SECRET, "a"));
    let key = format!("tk_abcdefgh1234_{}", "S".repeat(43));
    for token in [&good, &bad, &key] {
        let poll = format!("GET /socket.io/?EIO=4&transport=polling&token={token} HTTP/1.1");
        let opened = running.ask(&poll);
        let sid = opened.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let connect = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid}&token={token} HTTP/1.1\r\nContent-Length: 2"
        );
        let mut stream = TcpStream::connect(&running.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{connect}\r\nHost: a\r\nConnection: close\r\n\r\n40").as_bytes()).unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
        running.ask(&format!("GET /api/rooms?token={token} HTTP/1.1\r\nAuthorization: Bearer {token}"));
        running.ask(&format!("GET /api/rooms HTTP/1.1\r\nX-API-Key: {token}"));
        running.ask(&format!("GET /nowhere?token={token} HTTP/1.1"));
    }
    drop(running);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("a token was refused"), "the log was not read: {said}");
    for token in [&good, &bad, &key] {
        let end = &token[token.len() - 20..];
        assert!(!said.contains(end) && !said.contains(&token[..30]), "{said}");
    }
}

#[test]
fn what_a_client_sends_begins_no_line_of_the_log_and_hides_none() {
    let place = Place::new("lines");
    let log = place.0.join("log");
    let flags = ["serve", "--listen", "127.0.0.1:0", "--log-filter", "trace"];
    let mut command = place.command(&flags, &[("JWT_SECRET", SECRET)]);
    command.stderr(File::create(&log).unwrap());
    let running = Running::start(command);
    let forged = "2030-01-01T00:00:00.000000Z  INFO forged";
    for text in
        [format!("a%0d%0a{forged}"), format!("a\u{1b}[2K\u{2028}{forged}"), "\u{202e}\u{9b}31m".into()]
    {
        let plain = text.replace("%0d%0a", "\\r\\n");
        running.ask(&format!("GET /api/rooms/lobby:{text}/history HTTP/1.1"));
        running.ask(&format!("GET /socket.io/?EIO=4&transport=polling&sid={text} HTTP/1.1"));
        running.ask(&format!("GET /metrics HTTP/1.1\r\nOrigin: http://{text}.example\r\nUser-Agent: {text}"));
        running.ask(&format!(
            "GET /api/rooms HTTP/1.1\r\nAuthorization: Bearer {text}\r\nX-Forwarded-For: {text}"
        ));
        let body = format!("{{\"email\":\"a@{plain}\",\"password\":\"{plain}\",\"org\":\"{plain}\"}}");
        let login = format!("POST /api/auth/login HTTP/1.1\r\nContent-Length: {}", body.len());
        let mut stream = TcpStream::connect(&running.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(format!("{login}\r\nHost: a\r\nConnection: close\r\n\r\n{body}").as_bytes())
            .unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    }
    drop(running);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("a token was refused"), "the log was not read: {said}");
    for line in said.lines() {
        assert!(line.starts_with("20") && !line.starts_with("2030"), "{line:?}");
        assert!(!line.contains(['\u{1b}', '\u{9b}', '\u{2028}', '\u{202e}', '\r']), "{line:?}");
    }
}
