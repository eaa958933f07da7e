//! What happened, in the store's audit log.

use serde_json::{Value, json};
use tidings_server::audit::{Action, Actor, Entry, WAITING};
use tidings_server::config::RoomKindConfig;
use tidings_server::{Config, Extras, Server};
use tidings_store::audit::{AuditFilter, Recorded};
use tidings_store::{Store, StoreOptions};

use crate::common::{config, http, limited, with_extras};
use crate::people::token;

/// Runs `test` with a store and answers its audit log, the oldest first, after the server has stopped.
async fn logged(test: impl AsyncFnOnce(&Server, &Store)) -> Vec<Recorded> {
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let server = Server::start(&config(), extras).await.unwrap();
    test(&server, &store).await;
    server.stop().await;
    assert!(store.verify_audit(None).await.unwrap().is_ok());
    let mut all = store.read().await.unwrap().audit_of_all(&AuditFilter::default(), 500).await.unwrap();
    all.reverse();
    all
}

fn actions(all: &[Recorded]) -> Vec<&str> {
    all.iter().map(|recorded| recorded.entry.action.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_noted_before_the_stop_is_in_the_chain_after_it() {
    let all = logged(async |server, _| {
        for at in 0..300 {
            server.audit().note(Entry::ok(Action::RoleChange).by(Actor::Operator).on(at.to_string()));
        }
    })
    .await;
    assert_eq!(all.len(), 302);
    assert_eq!((actions(&all)[0], actions(&all)[301]), ("start", "stop"));
    let objects: Vec<_> = all[1..301].iter().filter_map(|recorded| recorded.entry.object.clone()).collect();
    assert_eq!(objects, (0..300).map(|at| at.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_sampled_and_its_rest_is_told_with_its_number() {
    let all = logged(async |server, _| {
        for _ in 0..250 {
            server.audit().note(Entry::refused(Action::TokenRefused).because("signature"));
        }
    })
    .await;
    let counts: Vec<_> = all[1..].iter().map(|recorded| recorded.entry.after.as_deref()).collect();
    let count = |count: &'static str| Some(count);
    assert_eq!(actions(&all)[1..4], ["token.refused"; 3], "{all:?}");
    assert!(counts.contains(&count("{\"count\":100}")) && counts.contains(&count("{\"count\":49}")));
    assert_eq!(all.len(), 6, "start, the first, two hundredths, the rest, stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_held_keeps_nobody_waiting_and_what_is_lost_is_told_later() {
    let all = logged(async |server, store| {
        let held = store.begin().await.unwrap();
        for _ in 0..2 * WAITING {
            server.audit().note(Entry::ok(Action::Logout).by(Actor::System));
        }
        held.commit().await.unwrap();
        // The queue is emptied in batches; the entry about the loss comes after the first of them.
        let told = async {
            loop {
                let filter = AuditFilter { action: Some("audit.lost".into()), ..AuditFilter::default() };
                if !store.read().await.unwrap().audit_of_all(&filter, 1).await.unwrap().is_empty() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::common::DEADLINE, told).await.unwrap();
    })
    .await;
    assert_eq!(actions(&all).last(), Some(&"stop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_rooms_that_is_configured_otherwise_is_an_entry_with_before_and_after() {
    let all = logged(async |server, _| {
        let (live, before) = (server.live(), config());
        let mut now = before.clone();
        live.reload_rooms(&now, &before).unwrap();
        now.rooms.get_mut("open").unwrap().subscribe = Some("signed-in".into());
        now.rooms.insert("news".into(), RoomKindConfig { size: Some(7), ..news() });
        live.reload_rooms(&now, &before).unwrap();
        live.reload_rooms(&now, &now).unwrap();
        live.reload_rooms(&before, &now).unwrap();
        now.rooms.get_mut("news").unwrap().subscribe = Some("all".into());
        live.reload_rooms(&now, &before).unwrap_err();
    })
    .await;
    let told: Vec<_> = all
        .iter()
        .filter(|recorded| recorded.entry.action == "rule.change")
        .map(|Recorded { entry, .. }| {
            let said =
                |text: &Option<String>| -> Value { serde_json::from_str(text.as_deref().unwrap()).unwrap() };
            (entry.object.as_deref().unwrap(), said(&entry.before), said(&entry.after))
        })
        .collect();
    assert_eq!(
        told.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(),
        ["rooms.open", "rooms.news", "rooms.news", "rooms.open"]
    );
    assert_eq!((&told[0].1["subscribe"], &told[0].2["subscribe"]), (&json!("anyone"), &json!("signed-in")));
    let news = json!({"subscribe": "anyone", "keep": "recent", "size": 7});
    assert_eq!((&told[1].1, &told[1].2), (&Value::Null, &news));
    assert_eq!((&told[2].1, &told[2].2), (&news, &Value::Null));
}

fn news() -> RoomKindConfig {
    let (subscribe, keep) = (Some("anyone".into()), Some("recent".into()));
    RoomKindConfig { subscribe, keep, ..RoomKindConfig::default() }
}

/// What calling back and disconnecting, sent with these headers, answers and leaves in the log.
fn asked_with(config: Config, headers: &'static str) -> (Vec<String>, Vec<Recorded>) {
    let place = tidings_testkit::Place::new();
    let url = format!("sqlite:{}", place.path().join("tidings.db").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let heads = with_extras(&config, extras, move |addr, _| {
        let admin = token("root", 600, json!({"roles": ["admin"]}));
        let ask = |request: &str, who: &str, body: &str| {
            let headers = format!("Authorization: Bearer {who}\r\n{headers}");
            http(addr, request, &headers, body).0
        };
        let nobody = token("ada", 600, json!({}));
        vec![
            ask("POST /api/revocations", &admin, "{\"jti\":\"a\"}"),
            ask("POST /api/users/ada/disconnect", &admin, ""),
            ask("POST /api/users/ada/disconnect", &nobody, ""),
        ]
    });
    let log = runtime.block_on(async {
        let mut reader = store.read().await.unwrap();
        let mut all = reader.audit_of_all(&AuditFilter::default(), 50).await.unwrap();
        all.retain(|recorded| ["revocation", "disconnect"].contains(&recorded.entry.action.as_str()));
        all.reverse();
        drop(reader);
        store.close().await;
        all
    });
    (heads, log)
}

fn request_id(head: &str) -> &str {
    let line = head.lines().find_map(|line| line.strip_prefix("x-request-id: "));
    line.unwrap_or_else(|| panic!("no id: {head}"))
}

#[test]
fn whoever_ends_connections_is_written_down_with_their_address_and_the_request() {
    let (heads, log) = asked_with(config(), "X-Request-Id: forged\r\nX-Forwarded-For: 192.0.2.9\r\n");
    assert_eq!((heads.len(), log.len()), (3, 3));
    for (head, Recorded { entry, .. }) in heads.iter().zip(&log) {
        assert_eq!(entry.address.as_deref(), Some("127.0.0.1"), "{entry:?}");
        assert_eq!(entry.request.as_deref(), Some(request_id(head)), "{entry:?}");
        assert_eq!(request_id(head).len(), 16, "nobody else gives it");
    }
    assert_ne!(request_id(&heads[0]), request_id(&heads[1]));
    assert_eq!((log[2].entry.result.as_str(), log[2].entry.actor.as_deref()), ("refused", Some("ada")));
}

#[test]
fn a_trusted_proxy_says_which_request_it_is_and_where_it_came_from() {
    let headers = "X-Request-Id: 7f3a-41\r\nX-Forwarded-For: 192.0.2.9\r\n";
    let (heads, log) = asked_with(limited(), headers);
    for (head, Recorded { entry, .. }) in heads.iter().zip(&log) {
        assert_eq!(request_id(head), "7f3a-41");
        let named = (entry.request.as_deref(), entry.address.as_deref());
        assert_eq!(named, (Some("7f3a-41"), Some("192.0.2.9")));
    }
}
