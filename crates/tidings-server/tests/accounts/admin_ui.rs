//! Signing in to the stock Admin UI with an account's password.

use serde_json::{Value, json};
use tidings_server::config::AdminUiMode;

use crate::bed::{Bed, PASSWORD, text};

async fn open() -> Bed {
    Bed::with(|config| config.admin_ui.mode = AdminUiMode::Production).await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// Knocks by long polling, as the page does first; what comes until it is let in or refused, and a moment after.
async fn knock(bed: &Bed, auth: &Value) -> String {
    knock_at(bed, auth).await.0
}

/// The same, and where to ask for more.
async fn knock_at(bed: &Bed, auth: &Value) -> (String, String) {
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = text(bed.addr, path).await;
    let sid = opened.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
    let path = format!("{path}&sid={sid}");
    bed.ask("POST", &path, "", &format!("40/admin,{auth}")).await;
    let mut told = String::new();
    while !told.contains("supportedFeatures") && !told.contains("44/admin,") {
        told.push_str(body(&text(bed.addr, &path).await));
    }
    (told, path)
}

fn by_password(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

fn session(told: &str) -> Value {
    let id =
        told.split("[\"session\",\"").nth(1).unwrap_or_else(|| panic!("{told}")).split('"').next().unwrap();
    json!({ "sessionId": id })
}

fn is_in(told: &str) -> bool {
    let (right, wrong) = (told.contains("40/admin,{"), told.contains("\"message\":\"invalid credentials\""));
    assert!(right != wrong, "{told}");
    right
}

/// Whether somebody gets in by a name and a password.
pub(crate) async fn enters(bed: &Bed, name: &str, password: &str) -> bool {
    is_in(&knock(bed, &by_password(name, password)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_get_in_by_their_password_and_others_do_not() {
    let bed = open().await;
    bed.user("default", "ada@example.com", &["admin"]).await;
    bed.user("default", "ann@example.com", &[]).await;
    bed.user("acme", "root@example.com", &["admin"]).await;
    let table = [
        ("ada@example.com", PASSWORD, true),
        (" ada@example.com ", PASSWORD, true),
        ("acme root@example.com", PASSWORD, true),
        ("ada@example.com", "another password", false),
        ("ann@example.com", PASSWORD, false),
        ("root@example.com", PASSWORD, false),
        ("acme ada@example.com", PASSWORD, false),
        ("nobody@example.com", PASSWORD, false),
        ("ada", PASSWORD, false),
    ];
    for (name, password, expected) in table {
        assert_eq!(is_in(&knock(&bed, &by_password(name, password)).await), expected, "{name}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_back_by_its_session_until_the_account_may_no_longer() {
    let bed = open().await;
    let id = bed.user("default", "ada@example.com", &["admin"]).await;
    let boss = bed.signed_in("default", "boss@example.com", &["admin", "operator"]).await;
    let again = session(&knock(&bed, &by_password("ada@example.com", PASSWORD)).await);
    // Two tabs at once use one sign-in, whose refresh token is another one after each use.
    let (left, right) = tokio::join!(knock(&bed, &again), knock(&bed, &again));
    assert!(is_in(&left) && is_in(&right));
    assert!(!left.contains("[\"session\""), "it has its id already");
    let disabled = bed.post_as(&boss, &format!("/api/users/{id}/disable"), json!({})).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    assert!(!is_in(&knock(&bed, &again).await));
    assert!(!is_in(&knock(&bed, &by_password("ada@example.com", PASSWORD)).await));
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_no_administrator_any_more_is_told_so_when_the_page_comes_back() {
    let bed = open().await;
    let id = bed.user("default", "ada@example.com", &["admin"]).await;
    let boss = bed.signed_in("default", "boss@example.com", &["admin", "operator"]).await;
    let again = session(&knock(&bed, &by_password("ada@example.com", PASSWORD)).await);
    let changed = bed.post_as(&boss, &format!("/api/users/{id}/roles"), json!({ "roles": ["editor"] })).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(!is_in(&knock(&bed, &again).await));
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_opened_with_a_key_is_closed_when_the_key_is_revoked() {
    let bed = open().await;
    let boss = bed.signed_in("default", "boss@example.com", &["admin", "operator"]).await;
    let make = async || {
        let made = bed.post_as(&boss, "/api/keys", json!({"name": "ui", "scopes": ["admin"]})).await.body;
        let (key, prefix) = (made["key"].as_str().unwrap(), made["about"]["prefix"].as_str().unwrap());
        (key.to_owned(), prefix.to_owned())
    };
    let ((key, prefix), (other, _)) = (make().await, make().await);
    let (told, page) = knock_at(&bed, &by_password("token", &key)).await;
    let (stays, still) = knock_at(&bed, &by_password("token", &other)).await;
    assert!(is_in(&told) && is_in(&stays));
    let head = format!("Authorization: Bearer {boss}\r\n");
    assert_eq!(bed.ask("DELETE", &format!("/api/keys/{prefix}"), &head, "").await.status, 200);
    let is_open = async |page: &str| {
        let answer = text(bed.addr, page).await;
        answer.starts_with("HTTP/1.1 200") && body(&answer) != "1"
    };
    let revoked = std::time::Instant::now();
    // A page that is open is told something every second.
    while is_open(&page).await {
        assert!(revoked.elapsed().as_secs() < 20, "it is still open");
    }
    assert!(is_open(&still).await, "another key's");
    bed.stop().await;
}
