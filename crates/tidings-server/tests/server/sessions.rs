//! What is written down of those who were connected.

use serde_json::json;
use tidings_core::Org;
use tidings_server::{Config, Extras};
use tidings_store::sessions::Session;
use tidings_store::{Digest, Store, StoreOptions};

use crate::common::{config, with_extras};
use crate::people::{plain, post, socket_io, socket_io_in, token};

/// Runs a server over a store, has people come and go, and answers what is kept of some of them.
fn kept_of(config: &Config, users: &[&str]) -> (String, Vec<Vec<Session>>) {
    let place = tidings_testkit::Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let (session_id, again) = with_extras(config, extras, |addr, _| {
        let (mut ada, told) = plain(addr, &token("ada", 600, json!({"jti": "a"})));
        let admin = token("root", 600, json!({"roles": ["admin"]}));
        assert!(post(addr, "/api/revocations", &admin, "{\"jti\":\"a\"}").contains("\"ok\":true"));
        assert_eq!(ada.closed(), Some(4403));
        // Bob's connection breaks, he takes his session up again, and is there until the end.
        let bob = token("bob", 600, json!({}));
        let (wire, pid) = socket_io_in(addr, &bob, "lobby:a");
        drop(wire);
        let (mut again, told_again) = socket_io(addr, &bob, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told_again.contains(&pid), "{told_again}");
        again.say(&format!("421[\"auth\",{{\"token\":\"{bob}\"}}]"));
        again.hear("431[");
        let session_id = told.split("\"sessionId\":\"").nth(1).unwrap().split('"').next().unwrap();
        (session_id.to_owned(), again)
    });
    drop(again);
    let kept = runtime.block_on(async {
        let mut reader = store.read().await.unwrap();
        let mut all = Vec::new();
        for user in users {
            all.push(reader.sessions(&Org::default(), user, 10).await.unwrap());
        }
        drop(reader);
        store.close().await;
        all
    });
    (session_id, kept)
}

#[test]
fn who_was_connected_is_kept_with_where_from_and_how_it_ended() {
    let (session_id, kept) = kept_of(&config(), &["ada", "bob"]);
    let [ada] = kept[0].as_slice() else { panic!("{kept:?}") };
    assert_eq!(ada.digest, Digest::of(session_id.as_bytes()));
    assert_eq!((ada.door.as_str(), ada.address.as_str()), ("plain", "127.0.0.1"));
    assert_eq!(ada.ended.as_ref().map(|(_, cause)| cause.as_str()), Some("revoked"));
    assert!(ada.created_ms <= ada.seen_ms && ada.node.contains(':'), "{ada:?}");
    let mut causes: Vec<_> =
        kept[1].iter().map(|bob| (bob.door.as_str(), bob.ended.as_ref().unwrap().1.as_str())).collect();
    causes.sort_unstable();
    // The first connection may be found broken, or be replaced before that is noticed.
    let [first, (door, cause)] = causes.as_slice() else { panic!("{causes:?}") };
    assert!([("socket.io", "lost"), ("socket.io", "replaced")].contains(first), "{causes:?}");
    assert_eq!((*door, *cause), ("socket.io", "the server stopped"));
}

#[test]
fn nothing_is_kept_where_that_is_switched_off() {
    let mut config = config();
    config.database.session_days = 0;
    let (_, kept) = kept_of(&config, &["ada", "bob"]);
    assert!(kept.iter().all(Vec::is_empty), "{kept:?}");
}
