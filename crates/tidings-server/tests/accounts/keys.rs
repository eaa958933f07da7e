//! API keys over HTTP.

use serde_json::json;
use tidings_store::keys::NewKey;
use tidings_testkit::settings;

use crate::bed::{Bed, DEADLINE};

const ROOM: &str = "/api/rooms/lobby:a/history";

fn event() -> serde_json::Value {
    json!({"room": "lobby:a", "event": "news", "data": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let mut made = Vec::new();
    for scope in ["publish", "read", "admin"] {
        let answer = bed.post_as(&admin, "/api/keys", json!({"name": scope, "scopes": [scope]})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let key = answer.body["key"].as_str().unwrap().to_owned();
        made.push((key, answer.body["about"]["prefix"].as_str().unwrap().to_owned()));
    }
    // publish, read a history, list the keys
    let table = [[200, 403, 403], [403, 200, 403], [200, 200, 200]];
    for ((key, _), expected) in made.iter().zip(table) {
        let found = [
            bed.post_as(key, "/api/publish", event()).await.status,
            bed.get_as(key, ROOM).await.status,
            bed.get_as(key, "/api/keys").await.status,
        ];
        assert_eq!(found, expected, "{key}");
    }
    let listed = bed.get_as(&admin, "/api/keys").await.body.to_string();
    for (key, prefix) in &made {
        assert!(listed.contains(prefix.as_str()) && !listed.contains(&key[key.len() - 30..]), "shown once");
    }

    let path = format!("/api/keys/{}", made[0].1);
    let rival = bed.signed_in("rival", "eve@example.com", &["admin"]).await;
    let delete = |who: String| {
        let (bed, path) = (&bed, path.clone());
        async move { bed.ask("DELETE", &path, &format!("Authorization: Bearer {who}\r\n"), "").await.status }
    };
    assert_eq!(delete(rival).await, 404, "another organisation's");
    assert_eq!(delete(admin).await, 200);
    assert_eq!(bed.post_as(&made[0].0, "/api/publish", event()).await.status, 401);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_key_that_sees_more_than_they_do() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("default", "ada@example.com", &["admin"]).await;
    let operator = bed.signed_in("default", "root@example.com", &["admin", "operator"]).await;
    let others = "/api/admin/rooms?org=acme";
    assert_eq!(bed.get_as(&admin, others).await.status, 404, "she administers one organisation");
    let make = async |who: &str, scopes: [&str; 2]| {
        bed.post_as(who, "/api/keys", json!({"name": "ci", "scopes": scopes})).await
    };
    assert_eq!(make(&admin, ["read", "admin"]).await.code(), "forbidden");
    let lesser = make(&admin, ["read", "publish"]).await;
    assert_eq!(lesser.status, 201, "{lesser:?}");
    assert_eq!(bed.get_as(lesser.body["key"].as_str().unwrap(), others).await.status, 403);
    let key = make(&operator, ["read", "admin"]).await.body["key"].as_str().unwrap().to_owned();
    assert_eq!(bed.get_as(&key, others).await.status, 200);
    assert_eq!(make(&key, ["read", "admin"]).await.status, 201, "it sees as much itself");
    // Elsewhere a key sees its organisation, as its administrators do.
    let elsewhere = bed.signed_in("acme", "eve@example.com", &["admin"]).await;
    let key = make(&elsewhere, ["read", "admin"]).await.body["key"].as_str().unwrap().to_owned();
    assert_eq!(bed.get_as(&key, "/api/admin/rooms?org=default").await.status, 404);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_keys_that_work_are_all_whatever_others_there_are() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let org = tidings_core::Org::new("acme");
    let mut tx = bed.store.begin().await.unwrap();
    for number in 0..1_000 {
        let (prefix, digest) = (format!("{number:012}"), tidings_store::Digest::of(b"secret"));
        let key = NewKey { prefix: &prefix, digest: &digest, name: "ci", scopes: "read", expires_ms: None };
        tx.create_key(&org, &key, 1).await.unwrap();
    }
    tx.revoke_key(&org, "000000000000", 1).await.unwrap();
    tx.commit().await.unwrap();
    let new = || bed.post_as(&admin, "/api/keys", json!({"name": "ci", "scopes": ["read"]}));
    assert_eq!(new().await.status, 201, "it is the thousandth");
    assert_eq!(new().await.code(), "conflict");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_node_revokes_ends_within_a_second() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let answer = bed.post_as(&admin, "/api/keys", json!({"name": "ci", "scopes": ["publish"]})).await;
    let key = answer.body["key"].as_str().unwrap();
    assert_eq!(bed.post_as(key, "/api/publish", event()).await.status, 200);
    let mut tx = bed.store.begin().await.unwrap();
    let prefix = answer.body["about"]["prefix"].as_str().unwrap();
    tx.revoke_key(&tidings_core::Org::new("acme"), prefix, 1).await.unwrap();
    tx.commit().await.unwrap();
    let revoked = std::time::Instant::now();
    while bed.post_as(key, "/api/publish", event()).await.status == 200 {
        assert!(revoked.elapsed() < DEADLINE, "it still works");
    }
    settings::promised("REVOKED_SECONDS", revoked.elapsed());
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_by_administrators_with_known_scopes() {
    let bed = Bed::new().await;
    let member = bed.signed_in("acme", "bob@example.com", &[]).await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let new = json!({"name": "ci", "scopes": ["publish"]});
    assert_eq!(bed.post_as(&member, "/api/keys", new).await.code(), "forbidden");
    for bad in [
        json!({"name": "ci", "scopes": []}),
        json!({"name": "ci", "scopes": ["root"]}),
        json!({"name": "", "scopes": ["read"]}),
        json!({"name": "ci", "scopes": ["read"], "expiresInDays": 0}),
        json!({"name": "ci", "scopes": ["read"], "org": "rival"}),
    ] {
        assert_eq!(bed.post_as(&admin, "/api/keys", bad.clone()).await.code(), "bad_request", "{bad}");
    }
    bed.stop().await;
}
