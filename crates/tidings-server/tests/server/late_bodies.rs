//! Requests whose head was judged long before they are whole: what is called back meanwhile does nothing more.

use std::net::SocketAddr;
use std::thread;

use crate::apps::Shop;
use crate::backend::{Backend, allow};
use crate::common::{Wire, config, http, user, with_server};
use crate::hooks::asking;
use crate::people::{post, token};
use serde_json::json;

/// A request whose head was judged, and which is asked for its body.
fn begun(addr: SocketAddr, path: &str, token: &str, body: &str) -> Wire {
    let mut wire = Wire::connect(addr);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    wire.send(head.as_bytes());
    assert!(wire.head().starts_with("HTTP/1.1 100"), "{path}");
    wire
}

/// How it is answered once its body has come.
fn ended(mut wire: Wire, body: &str) -> String {
    wire.send(body.as_bytes());
    wire.rest()
}

fn revoke(addr: SocketAddr, user: &str) {
    let root = token("root", 600, json!({"roles": ["admin"]}));
    let answer = post(addr, "/api/revocations", &root, &json!({ "userId": user }).to_string());
    assert!(answer.contains("\"ok\":true"), "{answer}");
}

/// What was said in a room.
fn history(addr: SocketAddr, room: &str) -> String {
    let who = format!("Authorization: Bearer {}\r\n", user("reader"));
    http(addr, &format!("GET /api/rooms/{room}/history"), &who, "").1
}

#[test]
fn who_is_called_back_before_a_body_has_come_publishes_nothing_with_it() {
    with_server(&config(), |addr, _| {
        let one = json!({"room": "lobby:late", "event": "late", "data": 1}).to_string();
        let batch = format!("{{\"messages\":[{one}]}}");
        let doors =
            [("/api/publish", &one), ("/api/publish/batch", &batch), ("/api/commands/root/publish", &one)];
        for (path, body) in doors {
            let [eve, ada] = ["eve", "ada"].map(|who| format!("{who}-{}", path.len()));
            let both = [&eve, &ada].map(|who| begun(addr, path, &token(who, 600, json!({})), body));
            revoke(addr, &eve);
            let [late, good] = both.map(|wire| ended(wire, body));
            assert!(
                late.starts_with("HTTP/1.1 401") && good.starts_with("HTTP/1.1 200"),
                "{path}: {late} {good}"
            );
        }
        assert_eq!(history(addr, "lobby:late").matches("\"late\"").count(), doors.len(), "one of each door");
    });
}

#[test]
fn who_is_called_back_while_the_backend_is_asked_publishes_nothing() {
    let backend = Backend::start(|_| allow());
    with_server(&asking(&backend.clone()), move |addr, _| {
        backend.gate(false);
        let publishes = ["eve", "ada"].map(|who| {
            let body = json!({"room": "ask:late", "event": who, "data": 1}).to_string();
            let token = token(who, 600, json!({}));
            thread::spawn(move || post(addr, "/api/publish", &token, &body))
        });
        backend.await_count(2);
        revoke(addr, "eve");
        backend.gate(true);
        let [late, good] = publishes.map(|publish| publish.join().unwrap());
        assert!(late.starts_with("HTTP/1.1 401") && good.starts_with("HTTP/1.1 200"), "{late} {good}");
    });
}

#[test]
fn who_is_called_back_before_a_body_has_come_is_not_heard_by_an_app_either() {
    Shop::new().served(|addr, _| {
        for path in ["/api/shop/echo", "/api/commands/shop/anyone"] {
            let [eve, ada] = ["eve", "ada"].map(|who| format!("{who}-{}", path.len()));
            let both = [&eve, &ada].map(|who| begun(addr, path, &token(who, 600, json!({})), "{}"));
            revoke(addr, &eve);
            let [late, good] = both.map(|wire| ended(wire, "{}"));
            assert!(
                late.starts_with("HTTP/1.1 401") && good.starts_with("HTTP/1.1 200"),
                "{path}: {late} {good}"
            );
        }
    });
}
