//! What administrators do is noted where those whom it concerns read of it.

use serde_json::{Value, json};
use tidings_server::{Extras, Server};
use tidings_store::audit::AuditFilter;
use tidings_store::{Store, StoreOptions};
use tokio::task::spawn_blocking;

use crate::common::{config, http};
use crate::people::{plain_in, token};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_and_what_was_tried_is_in_the_log_of_the_organisation_it_was_done_in() {
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let server = Server::start(&config(), extras).await.unwrap();
    let addr = server.addr();
    let done = spawn_blocking(move || {
        let mut ann = plain_in(addr, &token("ann", 600, json!({ "org": "acme" })), "open:1");
        let post = |who: Value, path: &str, body: &str| {
            let header = format!("Authorization: Bearer {}\r\n", token("who", 600, who));
            http(addr, &format!("POST /api/admin/{path}"), &header, body).0
        };
        let ops = || json!({ "scope": "admin" });
        let body = "{\"userId\":\"ann\",\"org\":\"acme\"}";
        assert!(post(json!({ "org": "acme" }), "rooms/open:1/kick", body).contains(" 403 "));
        assert!(post(ops(), "rooms/open:1/kick", body).contains(" 200 "));
        ann.hear("left");
        assert!(post(ops(), "users/ann/disconnect", "{\"org\":\"acme\"}").contains(" 200 "));
        ann.closed()
    });
    assert!(done.await.unwrap().is_some());
    server.stop().await;
    let filter = AuditFilter::default();
    let mut reader = store.read().await.unwrap();
    let log = reader.audit(&tidings_core::Org::new("acme"), &filter, 100).await.unwrap();
    let mut found: Vec<_> = log
        .iter()
        .filter(|recorded| matches!(recorded.entry.action.as_str(), "room.kick" | "disconnect"))
        .map(|recorded| {
            let entry = &recorded.entry;
            (entry.action.as_str(), entry.result.as_str(), entry.object.as_deref(), entry.address.is_some())
        })
        .collect();
    found.reverse();
    let expected = [
        ("room.kick", "refused", None, true),
        ("room.kick", "ok", Some("user ann from open:1"), true),
        ("disconnect", "ok", Some("user ann"), true),
    ];
    assert_eq!(found, expected);
}
