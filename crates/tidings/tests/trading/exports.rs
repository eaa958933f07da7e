//! Who takes the journal of a room away: whoever has signed in gives the password again.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::client::http;

use crate::bed::{Bed, Rest};

const PASSWORD: &str = "a long enough password";
const EXPORT: &str = "GET /api/trading/rooms/r1/export";

/// Runs a command with a line on its standard input; what it printed.
fn run(bed: &Bed, line: &[&str], said: &str) -> String {
    let mut command = bed.command();
    let mut child = command.args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{said}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{line:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn ask(addr: SocketAddr, token: &str, request: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!("Authorization: Bearer {token}\r\n");
    let (status, text) = http(addr, request, &head, &body).await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Status and code of an export.
async fn export(addr: SocketAddr, token: &str) -> (u16, String) {
    let (status, answer) = ask(addr, token, EXPORT, Value::Null).await;
    (status, answer["error"]["code"].as_str().unwrap_or("none").to_owned())
}

/// As if whoever has signed in had proved who they are long ago.
async fn long_ago(bed: &Bed) {
    let store = Store::open(&bed.url, &StoreOptions::default()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    // Five minutes are shipped.
    tx.run("UPDATE refresh_families SET proved_ms = proved_ms - 300000", &[]).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_asks_who_has_signed_in_for_the_password_again_and_no_program() {
    for bed in Bed::both().await {
        run(&bed, &["user", "add", "ada@example.com"], PASSWORD);
        let key = run(&bed, &["key", "add", "ci", "--scope", "publish", "--scope", "read"], "");
        let server = bed.serve();
        let addr = server.addr();
        let exchange = Rest::server(addr);
        exchange.room("r1", &["bob"], json!({})).await;
        exchange.done("POST /rooms/r1/end", Value::Null).await;
        let login = json!({"email": "ada@example.com", "password": PASSWORD});
        let (status, one) = ask(addr, "", "POST /api/auth/login", login.clone()).await;
        assert_eq!(status, 200, "{one}");
        let (_, other) = ask(addr, "", "POST /api/auth/login", login).await;
        let token = one["accessToken"].as_str().unwrap();
        assert_eq!(export(addr, token).await.0, 200, "who has just signed in has given it");
        long_ago(&bed).await;
        assert_eq!(export(addr, token).await, (403, "password_again".into()));
        let confirm = async |token: &str, password: &str| {
            ask(addr, token, "POST /api/auth/confirm", json!({ "password": password })).await
        };
        let (status, wrong) = confirm(token, "another password").await;
        assert_eq!((status, &wrong["error"]["code"]), (403, &json!("forbidden")), "{wrong}");
        assert_eq!(export(addr, token).await.0, 403);
        let (status, confirmed) = confirm(token, PASSWORD).await;
        assert_eq!((status, confirmed), (200, json!({"ok": true, "seconds": 300})));
        assert_eq!(export(addr, token).await.0, 200);
        // It is the sign-in that was confirmed: its next token as well, and none of another one.
        assert_eq!(export(addr, other["accessToken"].as_str().unwrap()).await.0, 403);
        let refresh = json!({ "refreshToken": one["refreshToken"] });
        let (_, next) = ask(addr, "", "POST /api/auth/refresh", refresh).await;
        assert_eq!(export(addr, next["accessToken"].as_str().unwrap()).await.0, 200);
        long_ago(&bed).await;
        assert_eq!(export(addr, next["accessToken"].as_str().unwrap()).await.0, 403);
        // Those have no password: tokens of others, and keys.
        assert_eq!(export(addr, &crate::bed::token("bob", &Value::Null)).await.0, 200);
        assert_eq!(export(addr, &key).await, (200, "none".into()));
        let (status, refused) = confirm(&crate::bed::token("bob", &Value::Null), PASSWORD).await;
        assert_eq!((status, &refused["error"]["code"]), (404, &json!("not_found")), "{refused}");
    }
}
