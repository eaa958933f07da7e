//! The description of the HTTP API, walked on a running server. That answers have the statuses it names is asked of every
//! answer that a test gets (`tidings_testkit::described`).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings_testkit::client::PlainClient;
use tidings_testkit::described::operations;

use crate::bed::Bed;

/// A value that no parameter of ours takes, or that nothing there is of or comes behind.
const NONSENSE: &str = "~";

/// The parameters of an operation that stand in one place.
fn parameters(operation: &Value, place: &str) -> Vec<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let here = all.filter(|parameter| parameter["in"] == place);
    here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

/// How much an answer lists, at whatever depth.
fn listed(body: &Value) -> usize {
    match body {
        Value::Array(items) => items.len() + items.iter().map(listed).sum::<usize>(),
        Value::Object(members) => members.values().map(listed).sum(),
        _ => 0,
    }
}

/// A server in which there is something to list, the token of its operator and the id of a message.
async fn busy() -> (Bed, String, String, PlainClient) {
    let bed = Bed::with(|config| {
        let open = config.rooms.entry("open".into()).or_default();
        open.keep = Some("recent".into());
        for rule in [&mut open.subscribe, &mut open.publish, &mut open.history, &mut open.presence] {
            *rule = Some("anyone".into());
        }
    })
    .await;
    let operator = bed.signed_in("default", "root@example.com", &["operator", "admin"]).await;
    let made = bed.post_as(&operator, "/api/keys", json!({"name": "a key", "scopes": ["read"]})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut client = PlainClient::sign_in(bed.addr, Some(&operator)).await.unwrap();
    let there = client.ask(json!({"type": "subscribe", "room": "open:1"})).await.unwrap();
    assert_eq!(there["ok"], true, "{there}");
    let said = json!({"room": "open:1", "event": "said", "data": 1});
    let said = bed.post_as(&operator, "/api/publish", said).await;
    (bed, operator, said.body["messageId"].as_str().unwrap().to_owned(), client)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_that_is_described_is_read() {
    let (bed, operator, message, _client) = busy().await;
    let mut walked = BTreeSet::new();
    for (method, path, operation) in operations() {
        let names = parameters(operation, "query");
        // Those of apps are walked where the apps are; providers and their pages have tests of their own.
        let of_server =
            !["/api/arena", "/api/trading", "/api/auth/oidc"].iter().any(|app| path.starts_with(app));
        if names.is_empty() || !of_server {
            continue;
        }
        let at = path.replace("{room}", "open:1").replace("{id}", "id-of-root@example.com-in-default");
        let head = format!("Authorization: Bearer {operator}\r\n");
        // Whose message it is has to be said.
        let wanted = format!("messageId={message}&userId=id-of-root@example.com-in-default");
        let whole = if path == "/api/explain" { wanted } else { "limit=100".to_owned() };
        let answer = bed.ask(&method.to_uppercase(), &format!("{at}?{whole}"), &head, "").await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        for name in names {
            let others = whole.split('&').filter(|said| !said.starts_with(&format!("{name}=")));
            let query = others.map(str::to_owned).chain([format!("{name}={NONSENSE}")]);
            let query = query.collect::<Vec<_>>().join("&");
            let other = bed.ask(&method.to_uppercase(), &format!("{at}?{query}"), &head, "").await;
            let is_read = other.status != 200 || listed(&other.body) < listed(&answer.body);
            assert!(is_read, "{method} {path} does not read {name}: {:?} {:?}", answer.body, other.body);
            walked.insert(format!("{path} {name}"));
        }
    }
    for known in
        ["/api/users after", "/api/keys after", "/api/audit actor", "/api/rooms/{room}/history since"]
    {
        assert!(walked.contains(known), "{known} is not described: {walked:?}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_need_not_say_who_asks_is_not_told_to_and_others_are() {
    let (bed, ..) = busy().await;
    for (method, path, operation) in operations() {
        let of_apps = ["/api/arena", "/api/trading", "/api/commands"].iter().any(|app| path.starts_with(app));
        if of_apps {
            continue;
        }
        let at = path.replace("{room}", "open:1").replace(['{', '}'], "");
        let answer = bed.ask(&method.to_uppercase(), &at, "", "").await;
        let security = operation["security"].as_array().unwrap();
        let is_needed = !security.is_empty() && !security.contains(&json!({}));
        // Rooms for anyone are, wherever they are read; a sign-in may be ended by what stands in the body instead.
        let is_open = path.starts_with("/api/rooms/") || path == "/api/auth/logout";
        if !is_open {
            assert_eq!(answer.status == 401, is_needed, "{method} {path}: {answer:?}");
        }
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_is_done_once_under_the_header_that_is_described() {
    let (bed, operator, ..) = busy().await;
    let keyed =
        operations().filter(|(_, path, _)| path.starts_with("/api/publish")).map(|(_, path, operation)| {
            assert_eq!(parameters(operation, "header"), ["Idempotency-Key"], "{path}");
            path
        });
    let one = json!({"room": "open:1", "event": "said", "data": 2});
    for path in keyed.collect::<Vec<_>>() {
        let body = if path.ends_with("batch") { json!({"messages": [one]}) } else { one.clone() }.to_string();
        let head = format!("Authorization: Bearer {operator}\r\nIdempotency-Key: {}\r\n", path.len());
        let first = bed.ask("POST", path, &head, &body).await;
        let again = bed.ask("POST", path, &head, &body).await;
        assert_eq!((first.status, again.status), (200, 200), "{first:?} {again:?}");
        assert!(!first.body.to_string().contains("duplicate"), "{first:?}");
        assert!(again.body.to_string().contains("\"duplicate\":true"), "{path}: {again:?}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_is_null_is_not_said_by_http_as_on_sockets() {
    let (bed, operator, _, mut client) = busy().await;
    let said = json!({"room": "open:1", "event": "said", "data": 3, "volatile": null});
    let mut by_socket = said.clone();
    by_socket["type"] = json!("publish");
    let by_socket = client.ask(by_socket).await.unwrap();
    assert_eq!(by_socket["ok"], true, "{by_socket}");
    for path in ["/api/publish", "/api/commands/root/publish"] {
        let answer = bed.post_as(&operator, path, said.clone()).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.body["offset"].is_u64(), "{path}: it is kept as any: {answer:?}");
    }
    bed.stop().await;
}
