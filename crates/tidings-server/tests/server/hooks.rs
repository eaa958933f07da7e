//! The team's backend in the loop: what it is asked, and what its answers and failures lead to.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_server::config::RoomKindConfig;
use tidings_server::{Config, Extras, Server};

use crate::backend::{Backend, Reply, SECRET, allow, deny};
use crate::common::{DEADLINE, Frame, Wire, config, with_server};

pub(crate) const JWT: &str = "a secret of the server's own tests, long enough";

/// A server whose kind `ask` leaves everything to `backend`.
pub(crate) fn asking(backend: &Backend) -> Config {
    let mut config = config();
    config.hooks.subscribe = backend.url("/subscribe");
    config.hooks.publish = backend.url("/publish");
    config.hooks.secret = SECRET.into();
    config.hooks.allow_private = true;
    let ask = || Some("ask".to_owned());
    let kind = RoomKindConfig {
        subscribe: ask(),
        publish: ask(),
        history: ask(),
        presence: ask(),
        keep: Some("recent".into()),
        ..Default::default()
    };
    config.rooms.insert("ask".into(), kind);
    config
}

pub(crate) fn token(user: &str) -> String {
    let exp = now() + 3_600;
    let claims = json!({
        "sub": user, "exp": exp, "name": "Ana", "roles": ["editor"], "email_verified": true, "plan": "pro"
    });
    let key = jsonwebtoken::EncodingKey::from_secret(JWT.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A plain client that has signed in.
pub(crate) fn plain(addr: SocketAddr, user: &str) -> Wire {
    let mut wire = Wire::open(addr, "/ws");
    wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token(user)));
    wire.hear("auth:ok");
    wire
}

/// Says a plain command and returns its answer.
pub(crate) fn command(wire: &mut Wire, id: u64, text: &str) -> Value {
    wire.say(&format!("{{\"id\":{id},{text}}}"));
    ack(wire, id)
}

pub(crate) fn ack(wire: &mut Wire, id: u64) -> Value {
    let text = wire.hear(&format!("{{\"type\":\"ack\",\"id\":{id},"));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn subscribe(wire: &mut Wire, id: u64, room: &str) -> Value {
    command(wire, id, &format!("\"type\":\"subscribe\",\"room\":\"{room}\""))
}

fn publish(wire: &mut Wire, id: u64, room: &str) -> Value {
    command(
        wire,
        id,
        &format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"e\",\"data\":{{\"n\":1}}"),
    )
}

/// A Socket.IO client by WebSocket that has joined `/`.
pub(crate) fn socket_io(addr: SocketAddr, user: &str) -> Wire {
    let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
    wire.hear("0{");
    wire.say(&format!("40{{\"token\":\"{}\"}}", token(user)));
    wire.hear("40{");
    wire
}

fn emit(wire: &mut Wire, id: u64, name: &str, body: &str) -> Value {
    wire.say(&format!("42{id}[\"{name}\",{body}]"));
    let text = wire.hear(&format!("43{id}["));
    let args: Value = serde_json::from_str(text.trim_start_matches(|c: char| c.is_ascii_digit())).unwrap();
    args[0].clone()
}

/// An HTTP request of a user; status line and body.
pub(crate) fn http(addr: SocketAddr, user: &str, request: &str, body: &str) -> (String, String) {
    let mut wire = Wire::connect(addr);
    let length = body.len();
    let token = token(user);
    wire.send(
        format!(
            "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    let head = wire.head();
    (head.lines().next().unwrap_or_default().to_owned(), wire.rest())
}

/// The answers of every door to the same wishes, without what names the door.
fn every_door(addr: SocketAddr, room: &str) -> Vec<Value> {
    let mut wire = plain(addr, "ana");
    let mut socket = socket_io(addr, "ana");
    let mut found = vec![subscribe(&mut wire, 1, room), publish(&mut wire, 2, room)];
    for (id, name) in ["history", "presence"].into_iter().enumerate() {
        let text = format!("\"type\":\"{name}\",\"room\":\"{room}\"");
        found.push(command(&mut wire, 3 + id as u64, &text));
    }
    let body = format!("{{\"room\":\"{room}\",\"event\":\"e\",\"data\":1}}");
    for (id, name) in ["subscribe", "publish", "history", "presence"].into_iter().enumerate() {
        found.push(emit(&mut socket, id as u64, name, &body));
    }
    found.push(serde_json::from_str(&http(addr, "ana", "POST /api/publish", &body).1).unwrap());
    for what in ["history", "presence", "stats"] {
        let answer = http(addr, "ana", &format!("GET /api/rooms/{room}/{what}"), "").1;
        found.push(serde_json::from_str(&answer).unwrap());
    }
    for answer in &mut found {
        let answer = answer.as_object_mut().unwrap();
        answer.remove("type");
        answer.remove("id");
    }
    found
}

#[test]
fn what_the_backend_allows_is_done_by_every_door() {
    let backend = Backend::start(|_| allow());
    let answers = with_server(&asking(&backend), |addr, _| every_door(addr, "ask:1"));
    for answer in answers {
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

#[test]
fn what_the_backend_denies_looks_like_a_room_that_does_not_exist_by_every_door() {
    let backend = Backend::start(|_| deny());
    let answers =
        with_server(&asking(&backend), |addr, _| (every_door(addr, "ask:1"), every_door(addr, "none:1")));
    assert_eq!(answers.0, answers.1);
    assert_eq!(answers.0[0]["error"]["code"], "not_found");
}

#[test]
fn whatever_is_no_proper_answer_is_a_failure_and_never_a_yes() {
    let head = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 14\r\n\r\n{{\"allow\":true}}");
    let elsewhere = Backend::start(|_| allow());
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url("/there")
    );
    let body = |text: &str| Reply::Body(text.into());
    let failures = vec![
        ("500", Reply::Raw(head("500 Internal Server Error"))),
        ("201", Reply::Raw(head("201 Created"))),
        ("403", Reply::Raw(head("403 Forbidden"))),
        ("redirect", Reply::Raw(redirect)),
        ("too large", Reply::Body(format!("{{\"allow\":true,\"data\":\"{}\"}}", "x".repeat(64 * 1024)))),
        ("a long head", Reply::Raw(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000)))),
        ("no JSON", body("yes")),
        ("empty", body("")),
        ("more behind it", body("{\"allow\":true} {}")),
        ("an unknown member", body("{\"allow\":true,\"cacheSecond\":5}")),
        ("allow twice", body("{\"allow\":false,\"allow\":true}")),
        ("allow as text", body("{\"allow\":\"true\"}")),
        ("allow as a number", body("{\"allow\":1}")),
        ("no allow", body("{}")),
        ("an unknown code", body("{\"allow\":false,\"code\":\"teapot\"}")),
        ("a negative time", body("{\"allow\":true,\"cacheSeconds\":-1}")),
        ("no HTTP", Reply::Raw("SSH-2.0-x\r\n\r\n".into())),
        (
            "a broken answer",
            Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"allow\":true}".into()),
        ),
        ("closes", Reply::Close),
        ("hangs", Reply::Hang),
    ];
    for (name, reply) in failures {
        let backend = Backend::start(move |_| reply.clone());
        let mut config = asking(&backend);
        config.hooks.timeout_ms = 300;
        let answer = with_server(&config, |addr, _| subscribe(&mut plain(addr, "ana"), 1, "ask:1"));
        assert_eq!(answer["error"]["code"], "unavailable", "{name}: {answer}");
        assert_eq!(answer["error"]["retryable"], true, "{name}");
        assert!(answer["error"]["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{name}");
        assert_eq!(backend.count(), 1, "{name}");
    }
    assert_eq!(elsewhere.count(), 0, "a redirect is not followed");
}

#[test]
fn a_question_says_who_and_what_is_signed_and_holds_no_token_and_no_data() {
    let backend = Backend::start(|_| allow());
    let config = asking(&backend);
    with_server(&config, |addr, _| {
        let mut wire = plain(addr, "ana");
        assert_eq!(subscribe(&mut wire, 1, "ask:1")["ok"], true);
        assert_eq!(publish(&mut wire, 2, "ask:1")["ok"], true);
    });
    let requests = backend.requests();
    let [first, second] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((first.path.as_str(), second.path.as_str()), ("/subscribe", "/publish"));
    let question = json!({
        "action": "subscribe", "org": "default", "user": "ana", "name": "Ana", "roles": ["editor"], "scopes": [],
        "emailVerified": true, "claims": {"plan": "pro"}, "room": "ask:1", "kind": "ask",
        "connection": {"address": "127.0.0.1", "door": "plain"}
    });
    assert_eq!(first.json(), question);
    assert_eq!(second.json()["event"], "e");
    assert!(second.json().get("data").is_none());
    let token = token("ana");
    let signature = token.rsplit('.').next().unwrap();
    assert!(requests.iter().all(|request| !format!("{request:?}").contains(signature)));

    assert!(first.is_genuine(SECRET.as_bytes(), now()));
    assert!(!first.is_genuine(SECRET.as_bytes(), now() + 301), "an old one is refused");
    assert!(!first.is_genuine(JWT.as_bytes(), now()), "the secret of tokens does not sign");
    let altered = crate::backend::Request { body: first.body.replace("ana", "eve"), ..first.clone() };
    assert!(!altered.is_genuine(SECRET.as_bytes(), now()), "an altered one is refused");
    let mut renamed = first.clone();
    renamed.headers.insert("webhook-id".into(), second.headers["webhook-id"].clone());
    assert!(!renamed.is_genuine(SECRET.as_bytes(), now()), "the id is signed, too");
}

#[test]
fn data_is_sent_only_when_that_is_configured_and_then_no_answer_is_kept() {
    let backend = Backend::start(|_| Reply::Body("{\"allow\":true,\"cacheSeconds\":60}".into()));
    let mut config = asking(&backend);
    config.hooks.send_data = true;
    with_server(&config, |addr, _| {
        let mut wire = plain(addr, "ana");
        assert_eq!(publish(&mut wire, 1, "ask:1")["ok"], true);
        assert_eq!(publish(&mut wire, 2, "ask:1")["ok"], true);
    });
    assert_eq!(backend.count(), 2);
    assert_eq!(backend.requests()[0].json()["data"], json!({"n": 1}));
}

#[test]
fn a_backend_words_its_refusal_where_the_room_may_be_seen() {
    let backend = Backend::start(|request| match request.path.as_str() {
        "/publish" => {
            Reply::Body("{\"allow\":false,\"code\":\"rate_limited\",\"message\":\"slow down\"}".into())
        }
        _ => allow(),
    });
    let mut config = asking(&backend);
    config.rooms.get_mut("ask").unwrap().subscribe = Some("anyone".into());
    let answer = with_server(&config, |addr, _| publish(&mut plain(addr, "ana"), 1, "ask:1"));
    assert_eq!(answer["error"]["code"], "rate_limited");
    assert_eq!(answer["error"]["message"], "slow down");
}

#[test]
fn an_answer_is_kept_as_long_as_it_allows_and_until_rights_change() {
    let backend = Backend::start(|_| Reply::Body("{\"allow\":true,\"cacheSeconds\":60}".into()));
    let config = asking(&backend);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(&config, Extras::default()).await.unwrap();
        let addr = server.addr();
        let run = |backend: Backend, wanted: usize| async move {
            let publish = move || {
                let mut wire = plain(addr, "ana");
                (1..=20).for_each(|id| assert_eq!(publish(&mut wire, id, "ask:1")["ok"], true));
                assert_eq!(backend.count(), wanted);
            };
            tokio::task::spawn_blocking(publish).await.unwrap();
        };
        run(backend.clone(), 1).await;
        server.forget(&tidings_core::Org::default(), "ana");
        run(backend.clone(), 2).await;
        server.stop().await;
    });
    backend.answers(|_| allow());
    let before = backend.count();
    with_server(&config, |addr, _| {
        let mut wire = plain(addr, "ana");
        (1..=20).for_each(|id| assert_eq!(publish(&mut wire, id, "ask:1")["ok"], true));
    });
    assert_eq!(backend.count(), before + 20, "an answer that names no time is not kept");
}

/// A hundred connections of one user subscribe a hundred times each; how often that was asked.
fn ten_thousand(answer: &'static str) -> usize {
    let backend = Backend::start(move |_| Reply::Body(answer.into()));
    with_server(&asking(&backend), |addr, _| {
        let mut wires: Vec<Wire> = (0..100).map(|_| plain(addr, "ana")).collect();
        for wire in &mut wires {
            let all: String = (1..=100)
                .map(|id| format!("{{\"type\":\"subscribe\",\"id\":{id},\"room\":\"ask:1\"}}\n"))
                .collect();
            let frames: Vec<u8> =
                all.lines().flat_map(|line| crate::common::frame(0x81, line.as_bytes())).collect();
            wire.send(&frames);
        }
        for wire in &mut wires {
            assert_eq!(ack(wire, 100)["ok"], true);
        }
    });
    backend.count()
}

#[test]
fn ten_thousand_equal_questions_are_asked_a_few_times() {
    let kept = ten_thousand("{\"allow\":true,\"cacheSeconds\":60}");
    assert!(kept <= 10, "{kept} requests");
    // The control: without leave to keep the answer each connection asks again and again.
    let fresh = ten_thousand("{\"allow\":true}");
    assert!((100..=10_000).contains(&fresh), "{fresh} requests");
}

#[test]
fn a_backend_that_fails_is_left_alone_and_asked_again_later() {
    let backend = Backend::start(|_| Reply::Close);
    let healed = backend.clone();
    with_server(&asking(&backend), move |addr, _| {
        let mut wire = plain(addr, "ana");
        for id in 1..=50 {
            let answer = subscribe(&mut wire, id, "ask:1");
            assert_eq!(answer["error"]["code"], "unavailable");
        }
        assert_eq!(healed.count(), 10, "after ten failures nobody is asked");
        let metrics = http(addr, "ana", "GET /metrics", "").1;
        assert!(metrics.contains("tidings_hook_breaker{hook=\"subscribe\"} 2"), "{metrics}");
        assert!(metrics.contains("tidings_degraded 1"), "{metrics}");
        let ready =
            |word: &str| http(addr, "ana", "GET /readyz", "").1 == format!("ready\ndegraded: {word}\n");
        assert!(ready("yes"), "clients are taken all the same");
        assert!(metrics.contains("tidings_hook_questions_total{hook=\"subscribe\",outcome=\"failed\"} 10"));
        assert!(metrics.contains("tidings_hook_questions_total{hook=\"subscribe\",outcome=\"refused\"} 40"));

        healed.answers(|_| allow());
        let deadline = Instant::now() + DEADLINE;
        let mut id = 50;
        loop {
            id += 1;
            let answer = subscribe(&mut wire, id, "ask:1");
            if answer["ok"] == true {
                break;
            }
            assert!(answer["error"]["retryAfterMs"].as_u64().unwrap() <= 6_000, "{answer}");
            assert!(Instant::now() < deadline, "it is never asked again");
        }
        assert_eq!(healed.count(), 11, "one probe was enough");
        assert!(ready("no"));
    });
}

#[test]
fn a_server_with_a_rule_that_asks_and_nobody_to_ask_does_not_start() {
    let backend = Backend::start(|_| allow());
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = asking(&backend);
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(Server::start(&config, Extras::default())) {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(&|c| c.hooks.publish.clear()).contains("needs hooks.publish"));
    assert!(refused(&|c| c.hooks.secret = "short".into()).contains("at least 32"));
    assert!(refused(&|c| c.hooks.secret = JWT.into()).contains("as the signing secret"));
    assert!(refused(&|c| c.hooks.allow_private = false).contains("allow_hosts"));
    assert!(refused(&|c| c.hooks.connect = "http://2130706433/".into()).contains("hooks.connect"));
    assert!(refused(&|c| c.hooks.ca_file = "/dev/null".into()).contains("ca_file"));
}

#[test]
fn a_client_comes_in_when_the_backend_lets_it() {
    let backend = Backend::start(|request| {
        let question = request.json();
        match question["user"].as_str() {
            Some("eve") => deny(),
            Some("bob") => Reply::Close,
            _ => allow(),
        }
    });
    let mut config = asking(&backend);
    config.hooks.connect = backend.url("/connect");
    with_server(&config, |addr, _| {
        // What is said right behind the sign-in waits for the backend, too.
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token("ana")));
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"open:1\"}");
        assert!(wire.hear("\"type\"").contains("auth:ok"));
        assert_eq!(ack(&mut wire, 1)["ok"], true);
        for (user, code, close) in [("eve", "forbidden", 4403), ("bob", "unavailable", 1013)] {
            let mut wire = Wire::open(addr, "/ws");
            wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token(user)));
            wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"open:1\"}");
            assert!(wire.hear("\"ok\":false").contains(code), "{user}");
            assert_eq!(wire.next(), Frame::Close(close), "{user}");
        }
        socket_io(addr, "ana");
        let refused = |user: &str| {
            let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
            wire.hear("0{");
            wire.say(&format!("40{{\"token\":\"{}\"}}", token(user)));
            wire
        };
        assert!(refused("eve").hear("44").contains("\"code\":\"forbidden\""));
        // Stock clients come back after a close, and stay away after an error.
        assert_eq!(refused("bob").next(), Frame::Close(1013));
    });
    let question = backend.requests()[0].json();
    assert_eq!(question["action"], "connect");
    assert_eq!(question["namespace"], "/");
    assert!(question.get("room").is_none());
}

#[test]
fn a_connection_the_backend_closed_after_its_answer_costs_no_answer() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"allow\":true}";
    let backend = Backend::start(move |_| Reply::Raw(whole.into()));
    with_server(&asking(&backend), |addr, _| {
        let mut wire = plain(addr, "ana");
        for id in 1..=100 {
            assert_eq!(publish(&mut wire, id, "ask:1")["ok"], true, "{id}");
        }
    });
}
