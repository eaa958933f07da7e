//! `token`, `publish` and `watch` through the real binary, against small servers in the test.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tidings_testkit::bed::{Bed, Rest, token};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-clients-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.start(arguments).wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn secret(&self) -> String {
        let file = std::fs::read_to_string(self.0.join("data/secrets.toml")).unwrap();
        file.parse::<toml::Table>().unwrap()["jwt_secret"].as_str().unwrap().to_owned()
    }

    fn claims(&self, token: &str) -> Value {
        tidings_server::SignIn::new(self.secret().as_bytes()).unwrap().verify(token).unwrap();
        let claims: Value = jsonwebtoken::dangerous::insecure_decode(token).unwrap().claims;
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("tidings"), &json!("tidings")));
        claims
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Runs `serve` with each connection in turn on a port of its own.
fn server(connections: usize, serve: impl Fn(usize, TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        (0..connections).for_each(|index| serve(index, listener.accept().unwrap().0));
    });
    (url, thread)
}

#[test]
fn a_token_made_beside_the_server_carries_every_claim() {
    let place = Place::new("token");
    let arguments = [
        "token",
        "--user",
        "alice",
        "--org",
        "acme",
        "--role",
        "admin",
        "--role",
        "writer",
        "--scope",
        "publish",
        "--name",
        "Alice",
        "--verified",
        "--ttl",
        "2h",
    ];
    let (code, token, _) = place.run(&arguments);
    assert_eq!(code, Some(0));
    let claims = place.claims(token.trim());
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["org"], "acme");
    assert_eq!(claims["roles"], json!(["admin", "writer"]));
    assert_eq!((&claims["email_verified"], &claims["typ"]), (&json!(true), &json!("access")));
    assert_eq!((&claims["scope"], &claims["name"]), (&json!("publish"), &json!("Alice")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7_200);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 32);

    let (_, second, _) = place.run(&["token", "--user", "alice"]);
    let second = place.claims(second.trim());
    assert_ne!(second["jti"], claims["jti"]);
    assert_eq!(
        (&second["org"], &second["roles"], &second["scope"]),
        (&json!("default"), &json!([]), &Value::Null)
    );
}

#[test]
fn a_token_without_a_user_or_with_a_wrong_lifetime_is_refused() {
    let place = Place::new("no-token");
    assert_eq!(place.run(&["token", "--user", ""]).0, Some(1));
    assert_eq!(place.run(&["token", "--user", &"u".repeat(201)]).0, Some(1));
    assert_eq!(place.run(&["token", "--user", "a", "--ttl", "0"]).0, Some(2));
    assert_eq!(place.run(&["token", "--user", "a", "--scope", "a b"]).0, Some(1));
}

/// Reads one request and answers it; the request's head and body come back through the channel.
fn http(
    status: &'static str,
    answer: &'static str,
) -> (String, JoinHandle<()>, std::sync::mpsc::Receiver<String>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (url, thread) = server(1, move |_, mut stream| {
        let mut request = Vec::new();
        let mut part = [0; 4096];
        loop {
            let count = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                break;
            }
        }
        sender.send(String::from_utf8(request).unwrap()).unwrap();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    });
    (url, thread, receiver)
}

#[test]
fn publish_signs_with_the_local_secret_and_prints_the_answer() {
    let place = Place::new("publish");
    place.run(&["token", "--user", "makes-the-secret"]);
    let (url, thread, requests) = http("200 OK", r#"{"ok":true,"offset":7}"#);
    let (code, out, err) = place.run(&[
        "publish",
        "chat:1",
        "said",
        r#"{"a":1}"#,
        "--url",
        &url,
        "--key",
        "k",
        "--lane",
        "high",
    ]);
    thread.join().unwrap();
    assert_eq!((code, out.trim()), (Some(0), r#"{"ok":true,"offset":7}"#), "{err}");

    let request = requests.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/publish HTTP/1.1"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, json!({"room":"chat:1","event":"said","data":{"a":1},"key":"k","lane":"high"}));
    let token = head.split("Bearer ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(place.claims(token)["scope"], "publish");
}

#[test]
fn publish_reads_standard_input_and_sends_a_given_token_as_it_is() {
    let place = Place::new("publish-stdin");
    let (url, thread, requests) = http("202 Accepted", "{}");
    let mut child = place.start(&["publish", "chat:1", "said", "-", "--url", &url, "--token", "given"]);
    child.stdin.take().unwrap().write_all(b"[1,2]").unwrap();
    assert!(child.wait().unwrap().success());
    thread.join().unwrap();
    let request = requests.recv().unwrap();
    assert!(request.contains("Bearer given\r\n") && request.contains(r#""data":[1,2]"#), "{request}");
}

#[test]
fn a_refused_publish_ends_with_code_1_and_the_reason() {
    let place = Place::new("publish-refused");
    let refusal = r#"{"ok":false,"error":{"code":"rate_limited","message":"too fast","retryable":true,"retryAfterMs":90}}"#;
    let (url, thread, _requests) = http("429 Too Many Requests", refusal);
    let (code, out, err) = place.run(&["publish", "chat:1", "said", "--url", &url, "--token", "given"]);
    thread.join().unwrap();
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("429 rate_limited") && err.contains("too fast") && err.contains("90 ms"), "{err}");
}

#[test]
fn data_that_is_no_json_is_shown_in_part_with_what_to_do() {
    let place = Place::new("publish-no-json");
    let long = "x".repeat(5_000);
    let (code, _, err) = place.run(&["publish", "chat:1", "said", &long, "--token", "given"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("xxx…") && err.contains("quotes") && err.len() < 300, "{err}");
}

#[test]
fn a_token_of_a_secret_that_was_just_made_says_so() {
    let place = Place::new("token-made");
    let (_, _, first) = place.run(&["token", "--user", "a"]);
    assert!(first.contains("no signing secret") && first.contains("data"), "{first}");
    assert_eq!(place.run(&["token", "--user", "a"]).2, "");
}

#[test]
fn publish_without_token_and_secret_says_what_to_do() {
    let place = Place::new("publish-none");
    let (code, _, err) = place.run(&["publish", "chat:1", "said", "--url", "http://127.0.0.1:9"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("--token"), "{err}");
    assert!(!place.0.join("data").exists(), "publishing makes no secret");
    assert_eq!(place.run(&["publish", "chat:1", "said", "{", "--token", "t"]).0, Some(1));
}

fn receive(socket: &mut WebSocket<TcpStream>) -> Value {
    serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap()
}

fn send(socket: &mut WebSocket<TcpStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

fn close(mut socket: WebSocket<TcpStream>, code: u16) {
    socket.close(Some(CloseFrame { code: code.into(), reason: "bye".into() })).unwrap();
    while socket.read().is_ok() {}
}

fn event(offset: u32) -> Value {
    json!({"type":"event","room":"chat:1","event":"said","data":offset,"epoch":"e","offset":offset,"messageId":"m"})
}

#[test]
fn watch_comes_back_after_a_drain_and_resumes_where_it_was() {
    let place = Place::new("watch");
    let (url, thread) = server(2, |index, stream| {
        let mut socket = tokio_tungstenite::tungstenite::accept(stream).unwrap();
        assert_eq!(receive(&mut socket), json!({"type":"auth","token":"given"}));
        send(&mut socket, &json!({"type":"auth:ok","userId":"u"}));
        // When what it will be sent was said.
        assert_eq!(receive(&mut socket)["type"], "history");
        let told = json!([{"offset":4,"at":"2026-01-01T00:00:04.000Z"}]);
        send(&mut socket, &json!({"type":"ack","id":2,"ok":true,"epoch":"e","events":told,"more":false}));
        let subscribe = receive(&mut socket);
        let since = subscribe.get("since").cloned();
        if index == 0 {
            assert_eq!((since, &subscribe["rewind"]), (None, &json!(2)));
            send(
                &mut socket,
                &json!({"type":"ack","id":1,"ok":true,"epoch":"e","offset":4,"recovered":true}),
            );
            send(&mut socket, &event(4));
            close(socket, 1012);
        } else {
            assert_eq!(since, Some(json!({"epoch":"e","offset":4})));
            send(
                &mut socket,
                &json!({"type":"ack","id":1,"ok":true,"epoch":"e","offset":5,"recovered":true}),
            );
            send(&mut socket, &event(5));
            close(socket, 4403);
        }
    });
    let (code, out, err) =
        place.run(&["watch", "chat:1", "--url", &url, "--token", "given", "--rewind", "2", "--json"]);
    thread.join().unwrap();
    assert_eq!(code, Some(1), "revoked is for good: {err}");
    assert!(err.contains("1012") && err.contains("4403"), "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let offsets: Vec<_> = lines.iter().map(|line| line["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [4, 5]);
    let times: Vec<_> = lines.iter().map(|line| line["at"].as_str()).collect();
    assert_eq!(times, [Some("2026-01-01T00:00:04.000Z"), None], "the second was said since it came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_replays_is_shown_with_the_times_of_its_history() {
    let bed = Bed::sqlite(env!("CARGO_BIN_EXE_tidings"));
    let server = bed.serve();
    let rest = Rest::new(server.addr(), "/api", "ada", &json!({"scope": "publish"}));
    for data in 1..=3 {
        rest.done("POST /publish", json!({"room": "lobby:x", "event": "said", "data": data})).await;
    }
    let history = rest.get("/rooms/lobby:x/history").await;
    let told: Vec<_> =
        history["events"].as_array().unwrap().iter().map(|event| event["at"].clone()).collect();
    let (url, token) = (format!("http://{}", server.addr()), token("ada", &Value::Null));
    let flags = ["watch", "lobby:x", "--json", "--rewind", "2", "--url", &url, "--token", &token];
    let mut child = bed.command().args(flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    let shown: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(shown.iter().map(|event| event["at"].clone()).collect::<Vec<_>>(), told[1..]);
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal_that_watches() {
    const HOSTILE: &str = "\u{9b}2J\u{1b}[31m\u{7f}\u{202e}";
    for form in [&["--json"][..], &[]] {
        let place = Place::new(&format!("watch-hostile-{}", form.len()));
        let (url, thread) = server(1, |_, stream| {
            let mut socket = tokio_tungstenite::tungstenite::accept(stream).unwrap();
            receive(&mut socket);
            send(&mut socket, &json!({"type":"auth:ok"}));
            receive(&mut socket);
            send(&mut socket, &json!({"type":"ack","id":1,"ok":true}));
            let data = json!({ HOSTILE: HOSTILE });
            send(&mut socket, &json!({"type":"event","room":"chat:1","event":HOSTILE,"data":data}));
            send(&mut socket, &json!({"type":"left","room":"chat:1","reason":HOSTILE}));
            while socket.read().is_ok() {}
        });
        let line = [&["watch", "chat:1", "--url", &url, "--token", "given"], form].concat();
        let (_, out, err) = place.run(&line);
        thread.join().unwrap();
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!out.contains(steers) && !err.contains(steers), "{out:?} {err:?}");
        assert!(out.contains("u009b2J") && err.contains("chat:1"), "{out:?} {err:?}");
        if form == ["--json"] {
            let shown: Value = serde_json::from_str(&out).unwrap();
            assert_eq!((&shown["event"], &shown["data"][HOSTILE]), (&HOSTILE.into(), &HOSTILE.into()));
        }
    }
}

#[test]
fn watch_ends_cleanly_on_ctrl_c() {
    let place = Place::new("watch-stop");
    let (url, thread) = server(1, |_, stream| {
        let mut socket = tokio_tungstenite::tungstenite::accept(stream).unwrap();
        assert_eq!(receive(&mut socket), json!({"type":"auth"}), "no secret here: anonymous");
        send(&mut socket, &json!({"type":"auth:ok"}));
        receive(&mut socket);
        send(&mut socket, &json!({"type":"ack","id":1,"ok":true}));
        send(&mut socket, &event(1));
        while socket.read().is_ok() {}
    });
    let mut child = place.start(&["watch", "chat:1", "--url", &url]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.trim_end().ends_with("chat:1 #1 said 1"), "{line}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    thread.join().unwrap();
}

#[test]
fn watch_gives_up_when_every_room_is_refused() {
    let place = Place::new("watch-refused");
    let (url, thread) = server(1, |_, stream| {
        let mut socket = tokio_tungstenite::tungstenite::accept(stream).unwrap();
        receive(&mut socket);
        send(&mut socket, &json!({"type":"auth:ok"}));
        receive(&mut socket);
        let error = json!({"code":"not_found","message":"no such room","retryable":false});
        send(&mut socket, &json!({"type":"ack","id":1,"ok":false,"error":error}));
        while socket.read().is_ok() {}
    });
    let (code, _, err) = place.run(&["watch", "chat:1", "--url", &url, "--token", "t"]);
    thread.join().unwrap();
    assert_eq!(code, Some(1));
    assert!(err.contains("not_found") && err.contains("no such room"), "{err}");
}
