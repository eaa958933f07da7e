//! What administrators do to accounts takes effect on open connections.

use serde_json::json;
use tidings_core::Org;
use tidings_server::{Extras, Server};
use tidings_store::users::NewUser;
use tidings_store::{Store, StoreOptions};

use crate::common::config;
use crate::people::{plain, post, read_to_the_end, token};

/// How the connection of a user ends after an administrator has posted `body` to `what` of that user.
async fn ended_by(what: &'static str, body: &'static str) -> Option<u16> {
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let org = Org::new("acme");
    let mut tx = store.begin().await.unwrap();
    tx.ensure_org(&org, 1).await.unwrap();
    let bob = NewUser {
        id: "bob",
        email: "bob@example.com",
        name: "Bob",
        password_hash: None,
        email_verified: true,
    };
    tx.create_user(&org, &bob, 1).await.unwrap();
    tx.commit().await.unwrap();
    let extras = Extras { store: Some(store), ..Extras::default() };
    let server = Server::start(&config(), extras).await.unwrap();
    let addr = server.addr();
    let code = tokio::task::spawn_blocking(move || {
        let of_acme = |user: &str, roles: &[&str]| token(user, 600, json!({"org": "acme", "roles": roles}));
        let (mut bob, _) = plain(addr, &of_acme("bob", &[]));
        let (mut eve, _) = plain(addr, &of_acme("eve", &[]));
        let answer = post(addr, &format!("/api/users/bob/{what}"), &of_acme("ada", &["admin"]), body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let code = read_to_the_end(&mut bob).code;
        eve.say("{\"type\":\"ping\",\"id\":1}");
        assert!(eve.hear("\"id\":1").contains("\"ok\":true"), "others stay");
        code
    });
    let code = code.await.unwrap();
    server.stop().await;
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_loses_its_connections_for_good() {
    assert_eq!(ended_by("disable", "{}").await, Some(4403));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_other_roles_comes_back_with_a_fresh_token() {
    assert_eq!(ended_by("roles", "{\"roles\":[\"editor\"]}").await, Some(4401));
}
