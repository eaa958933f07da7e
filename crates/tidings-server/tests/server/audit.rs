//! What happened, in the store's audit log.

use tidings_server::audit::{Action, Actor, Entry, WAITING};
use tidings_server::{Extras, Server};
use tidings_store::audit::{AuditFilter, Recorded};
use tidings_store::{Store, StoreOptions};

use crate::common::config;

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
