//! Threats, as those hear of them whom they concern, and nobody else.

use std::collections::HashSet;
use std::net::SocketAddr;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::audit::{Action, Entry};
use tidings_server::signin::now_seconds;
use tidings_server::{Config, Extras, Server};
use tidings_store::{Store, StoreOptions};

use crate::common::{Wire, config};

fn token(config: &Config, org: &str, role: &str) -> String {
    let claims = json!({"sub": "ada", "org": org, "roles": [role], "exp": now_seconds() + 600});
    let key = EncodingKey::from_secret(config.auth.jwt_secret.as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}

/// Somebody who listens for threats, and whether the room let them in.
fn listener(config: &Config, addr: SocketAddr, (org, role, room): (&str, &str, &str)) -> (Wire, bool) {
    let mut wire = Wire::open(addr, "/ws");
    wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token(config, org, role)));
    wire.hear("auth:ok");
    wire.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"{room}\"}}"));
    let entered = wire.hear("\"id\":1").contains("\"ok\":true");
    (wire, entered)
}

/// What a listener has heard of threats by now: asked for after everything that could have been told was.
fn heard(wire: &mut Wire) -> Vec<Value> {
    wire.say("{\"type\":\"ping\",\"id\":9}");
    let mut threats = Vec::new();
    loop {
        let text = wire.hear("\"type\"");
        if text.contains("\"id\":9") {
            return threats;
        }
        if text.contains("\"event\":\"threat\"") {
            threats.push(serde_json::from_str::<Value>(&text).unwrap()["data"].clone());
        }
    }
}

fn bad_tokens(addr: SocketAddr, count: usize) {
    for _ in 0..count {
        let mut wire = Wire::open(addr, "/ws");
        wire.say("{\"type\":\"auth\",\"token\":\"eyJhbGciOiJIUzI1NiJ9.e30.AAAA\"}");
        assert_eq!(wire.closed(), Some(4401));
    }
}

fn bad_logins(server: &Server, org: &str, count: usize) {
    for _ in 0..count {
        let entry = Entry::refused(Action::Login).of(&Org::new(org)).on("ada").because("password");
        server.audit().note(entry.from([192, 0, 2, 1].into()));
    }
}

fn metric(addr: SocketAddr, line: &str) -> String {
    let mut wire = Wire::connect(addr);
    wire.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let text = wire.rest();
    text.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_default().trim().to_owned()
}

const ALERTS: &str = "tidings_threats_total{kind=\"token_probing\",level=\"alert\"}";

/// Runs `test` beside a server, with a client's half on a thread that may block.
async fn beside<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(test).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bad_logins_are_one_alert_for_the_organisation_they_were_aimed_at() {
    let config = config();
    let server = Server::start(&config, Extras::default()).await.unwrap();
    let addr = server.addr();
    let whom = [
        ("acme", "admin", "admin:security"),
        ("acme", "member", "admin:security"),
        ("other", "admin", "admin:security"),
        ("default", "operator", "operator:security"),
        ("acme", "operator", "operator:security"),
    ];
    let open = {
        let config = config.clone();
        move || whom.map(|who| listener(&config, addr, who))
    };
    let mut listeners = beside(open).await;
    let entered: Vec<bool> = listeners.iter().map(|(_, entered)| *entered).collect();
    assert_eq!(entered, [true, false, true, true, true]);
    bad_logins(&server, "acme", 50);
    let listeners = beside(move || {
        // The last thing told is the operator's: by then the others were told, too.
        let (operator, _) = &mut listeners[3];
        operator.hear("\"level\":\"alert\"");
        listeners
    })
    .await;
    let heard: Vec<Vec<Value>> =
        beside(move || listeners.into_iter().map(|(mut wire, _)| heard(&mut wire)).collect()).await;
    let levels: Vec<&str> = heard[0].iter().filter_map(|threat| threat["level"].as_str()).collect();
    assert_eq!(levels, ["notice", "warning", "alert"]);
    let alert = &heard[0][2];
    assert_eq!(alert["kind"], "login_storm");
    assert_eq!((&alert["count"], &alert["org"]), (&json!(40), &json!("acme")));
    assert_eq!(alert["source"], json!({"kind": "address", "id": "192.0.2.1"}));
    assert!(heard[1].is_empty() && heard[2].is_empty() && heard[4].is_empty(), "{heard:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bad_tokens_of_an_address_are_one_alert_for_operators_alone_and_in_the_log() {
    let config = config();
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let server = Server::start(&config, extras).await.unwrap();
    let addr = server.addr();
    let alerts = beside(move || {
        let (mut operator, _) = listener(&config, addr, ("default", "operator", "operator:security"));
        let (mut admin, _) = listener(&config, addr, ("default", "admin", "admin:security"));
        bad_tokens(addr, 50);
        let alert = operator.hear("\"level\":\"alert\"");
        assert!(alert.contains("token_probing") && alert.contains("127.0.0.1"), "{alert}");
        assert!(heard(&mut operator).is_empty() && heard(&mut admin).is_empty());
        metric(addr, ALERTS)
    })
    .await;
    assert_eq!(alerts, "1");
    server.stop().await;
    let all = store.read().await.unwrap().audit_of_all(&Default::default(), 100).await.unwrap();
    let of = |action: &str| all.iter().filter(|recorded| recorded.entry.action == action).count();
    assert_eq!(
        (of("threat"), of("token.refused")),
        (3, 2),
        "the first is written, and the number of the rest"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_kept_out_by_a_limit_and_still_tries_is_an_alert_all_the_same() {
    let mut config = config();
    config.no_limits = false;
    let server = Server::start(&config, Extras::default()).await.unwrap();
    let addr = server.addr();
    let alerts = beside(move || {
        for _ in 0..50 {
            let mut wire = Wire::open(addr, "/ws");
            wire.say("{\"type\":\"auth\",\"token\":\"eyJhbGciOiJIUzI1NiJ9.e30.AAAA\"}");
            wire.closed();
        }
        metric(addr, ALERTS)
    })
    .await;
    assert_eq!(alerts, "1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_sessions_foreign_pages_and_bad_keys_are_noticed() {
    let config = config();
    let server = Server::start(&config, Extras::default()).await.unwrap();
    let addr = server.addr();
    let ask = |count: usize, path: &'static str, header: &'static str| {
        beside(move || (0..count).map(|_| get(addr, path, header).0).collect::<Vec<_>>())
    };
    let guess = "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA";
    assert!(ask(20, guess, "X-None: 1").await.iter().all(|status| status == "400"));
    assert!(ask(40, "/api/rooms", "Origin: https://evil.example").await.iter().all(|status| status == "403"));
    assert!(ask(8, "/api/rooms", "X-API-Key: tk_no").await.iter().all(|status| status == "401"));
    for kind in ["session_guessing", "origin_refused", "token_probing"] {
        let notices = move |level: &str| {
            metric(addr, &format!("tidings_threats_total{{kind=\"{kind}\",level=\"{level}\"}}"))
        };
        let counts = beside(move || (notices("notice"), notices("warning"))).await;
        assert_eq!(counts, ("1".to_owned(), "0".to_owned()), "{kind}");
    }
    server.stop().await;
}

/// The control: the same without detection.
#[tokio::test(flavor = "multi_thread")]
async fn with_detection_off_the_same_fifty_are_told_to_nobody() {
    let mut config = config();
    config.threats.detect = false;
    let server = Server::start(&config, Extras::default()).await.unwrap();
    let addr = server.addr();
    let alerts = beside(move || {
        let (mut operator, _) = listener(&config, addr, ("default", "operator", "operator:security"));
        bad_tokens(addr, 50);
        assert!(heard(&mut operator).is_empty());
        metric(addr, ALERTS)
    })
    .await;
    assert_eq!(alerts, "0");
    server.stop().await;
}

fn get(addr: SocketAddr, path: &str, header: &str) -> (String, Value) {
    let mut wire = Wire::connect(addr);
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}\r\nConnection: close\r\n\r\n");
    wire.send(head.as_bytes());
    let text = wire.rest();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_read_their_own_rows_operators_all_and_others_none() {
    let config = config();
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let server = Server::start(&config, extras).await.unwrap();
    let addr = server.addr();
    bad_logins(&server, "acme", 3);
    bad_logins(&server, "other", 2);
    // What is written is read by somebody who is sure that it is: the writer goes through one queue.
    let written = async || {
        while store.read().await.unwrap().audit_of_all(&Default::default(), 10).await.unwrap().len() < 6 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::common::DEADLINE, written()).await.unwrap();
    beside(move || {
        let bearer = |org, role| format!("Authorization: Bearer {}", token(&config, org, role));
        let (status, page) = get(addr, "/api/audit?action=login&limit=2", &bearer("acme", "admin"));
        let entries = page["entries"].as_array().unwrap();
        assert_eq!((status.as_str(), entries.len(), &page["all"]), ("200", 2, &json!(false)));
        assert!(entries.iter().all(|entry| entry["org"] == "acme"), "{page}");
        let from = |id: &Value| format!("/api/audit?action=login&limit=2&before={}", id.as_str().unwrap());
        let (_, rest) = get(addr, &from(&page["next"]), &bearer("acme", "admin"));
        assert_eq!(rest["entries"].as_array().unwrap().len(), 1);
        let (_, all) = get(addr, "/api/audit?action=login&limit=2", &bearer("default", "operator"));
        assert_eq!((all["entries"].as_array().unwrap().len(), &all["all"]), (2, &json!(true)));
        let (_, rest) = get(addr, &from(&all["next"]), &bearer("default", "operator"));
        assert_eq!(rest["entries"].as_array().unwrap().len(), 2);
        // The places of its own entries would tell an organisation how much the others do.
        assert!(all["entries"][0]["seq"].is_u64(), "{all}");
        let places: HashSet<String> = (0..100).map(|seq| seq.to_string()).collect();
        let shows =
            |entry: &Value| entry.get("seq").is_some() || places.contains(entry["id"].as_str().unwrap());
        assert!(!entries.iter().any(shows), "{page}");
        assert_eq!(get(addr, &from(&all["next"]), &bearer("acme", "admin")).0, "400", "no id it was told");
        assert_eq!(get(addr, "/api/audit?before=x", &bearer("default", "operator")).0, "400");
        assert_eq!(get(addr, "/api/audit", &bearer("acme", "operator")).0, "403", "no operator elsewhere");
        assert_eq!(get(addr, "/api/audit", &bearer("acme", "member")).0, "403");
        assert_eq!(get(addr, "/api/audit", "X-None: 1").0, "401");
        assert_eq!(get(addr, "/api/audit?action=nonsense", &bearer("acme", "admin")).0, "400");
    })
    .await;
    server.stop().await;
    let all = store.read().await.unwrap().audit_of_all(&Default::default(), 50).await.unwrap();
    assert_eq!(all.iter().filter(|recorded| recorded.entry.action == "audit.read").count(), 4);
}
