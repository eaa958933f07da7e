//! The first administrator, by the link of a first start.

use serde_json::json;
use tidings_server::accounts::set_up::SetUp;
use tidings_store::audit::AuditFilter;

use crate::bed::{Bed, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_use_the_link_at_once_one_is_the_administrator() {
    let (token, link) = SetUp::make().unwrap();
    let bed = Bed::to_set_up(link, |_| ()).await;
    let wanted = |email: &str| json!({"token": token, "email": email, "password": PASSWORD});
    let both = ["ada@example.com", "eve@example.com"].map(|email| bed.post("/api/auth/setup", wanted(email)));
    let [first, second] = both;
    let (first, second) = tokio::join!(first, second);
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404], "{first:?} {second:?}");
    let (there, absent) = if first.status == 201 { ("ada", "eve") } else { ("eve", "ada") };
    bed.login("default", &format!("{there}@example.com")).await;
    let body = json!({"email": format!("{absent}@example.com"), "password": PASSWORD});
    assert_eq!(bed.post("/api/auth/login", body).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_for_who_sits_at_this_machine() {
    let (token, link) = SetUp::make().unwrap();
    let bed = Bed::to_set_up(link, |config| config.trusted_proxies = vec!["127.0.0.1".into()]).await;
    let body = json!({"token": token, "email": "ada@example.com", "password": PASSWORD}).to_string();
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    for elsewhere in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        let answer = bed.ask("POST", "/api/auth/setup", &from(elsewhere), &body).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{elsewhere}");
    }
    assert_eq!(bed.ask("POST", "/api/auth/setup", &from("127.0.0.2"), &body).await.status, 201, "a control");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_does_not_use_the_link_up() {
    let (token, link) = SetUp::make().unwrap();
    let bed = Bed::to_set_up(link, |_| ()).await;
    bed.user("default", "ada@example.com", &[]).await;
    let cases = [
        ("no address", "eve", PASSWORD, 400),
        ("a short password", "eve@example.com", "short", 400),
        ("an address with an account", "ada@example.com", PASSWORD, 409),
        ("what is right", "eve@example.com", PASSWORD, 201),
        ("a second time", "bob@example.com", PASSWORD, 404),
    ];
    for (what, email, password, status) in cases {
        let wanted = json!({"token": token, "email": email, "password": password});
        assert_eq!(bed.post("/api/auth/setup", wanted).await.status, status, "{what}");
    }
    assert_eq!(
        Bed::new()
            .await
            .post("/api/auth/setup", json!({"token": token, "email": "a@b.c", "password": PASSWORD}))
            .await
            .status,
        404,
        "a server without a link"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organisation_that_comes_into_being_with_its_first_account_is_written_down_once() {
    let (token, link) = SetUp::make().unwrap();
    let bed = Bed::to_set_up(link, |_| ()).await;
    let noted = async || {
        let filter = AuditFilter { action: Some("org.create".into()), ..AuditFilter::default() };
        bed.store.read().await.unwrap().audit_of_all(&filter, 9).await.unwrap()
    };
    let refused = json!({"token": token, "email": "ada@example.com", "password": "short"});
    assert_eq!(bed.post("/api/auth/setup", refused).await.status, 400);
    assert_eq!(noted().await, []);
    let wanted = json!({"token": token, "email": "ada@example.com", "password": PASSWORD});
    assert_eq!(bed.post("/api/auth/setup", wanted).await.status, 201);
    let ada = bed.login("default", "ada@example.com").await;
    let administrator = ada["accessToken"].as_str().unwrap();
    let key = json!({"name": "ci", "scopes": ["publish"]});
    assert_eq!(bed.post_as(administrator, "/api/keys", key).await.status, 201);
    let all = noted().await;
    assert_eq!(all.len(), 1, "{all:?}");
    let entry = &all[0].entry;
    assert_eq!((entry.org.as_deref(), entry.object.as_deref()), (Some("default"), Some("default")));
    assert_eq!(entry.actor.as_deref(), ada["user"]["id"].as_str());
    assert!(entry.request.is_some() && entry.address.as_deref() == Some("127.0.0.1"), "{entry:?}");
}
