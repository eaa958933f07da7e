//! Sessions.

use tidings_store::StoreError;
use tidings_store::sessions::NewSession;

use crate::bed::{Bed, NOW, both, digest, tx};

both!(
    a_session_begins_is_seen_and_ends_once,
    a_node_that_starts_again_ends_what_it_left,
    a_list_of_sessions_is_bounded_and_newest_first,
    sessions_are_pruned_by_age,
);

async fn begin(bed: &Bed, org: &tidings_core::Org, id: &str, node: &str, now_ms: u64) {
    let id = digest(id);
    let new = NewSession { digest: &id, user: Some("u"), node, door: "socket.io", address: "192.0.2.1" };
    tx!(bed.store, tx => tx.begin_session(org, &new, now_ms).await.unwrap());
}

async fn a_session_begins_is_seen_and_ends_once(bed: &Bed) {
    let org = bed.org("acme").await;
    begin(bed, &org, "s", "n1", NOW).await;
    let id = digest("s");
    assert!(tx!(bed.store, tx => tx.see_session(&org, &id, NOW + 5).await.unwrap()));
    assert!(tx!(bed.store, tx => tx.end_session(&org, &id, "too slow", NOW + 6).await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.end_session(&org, &id, "again", NOW + 7).await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.see_session(&org, &id, NOW + 8).await.unwrap()));
    let found = bed.store.read().await.unwrap().session(&org, &id).await.unwrap().unwrap();
    assert_eq!((found.seen_ms, found.ended), (NOW + 6, Some((NOW + 6, "too slow".into()))));
    let mut tx = bed.store.begin().await.unwrap();
    let new = NewSession { digest: &id, user: None, node: "n", door: "plain", address: "a" };
    assert_eq!(tx.begin_session(&org, &new, NOW).await, Err(StoreError::Conflict("the session")));
}

async fn a_node_that_starts_again_ends_what_it_left(bed: &Bed) {
    let org = bed.org("acme").await;
    for (id, node) in [("a", "n1"), ("b", "n1"), ("c", "n2")] {
        begin(bed, &org, id, node, NOW).await;
    }
    assert_eq!(tx!(bed.store, tx => tx.end_sessions_of_node("n1", "crash", NOW + 1).await.unwrap()), 2);
    assert_eq!(tx!(bed.store, tx => tx.end_sessions_of_node("n1", "crash", NOW + 2).await.unwrap()), 0);
    let left = bed.store.read().await.unwrap().session(&org, &digest("c")).await.unwrap().unwrap();
    assert_eq!(left.ended, None);
}

async fn a_list_of_sessions_is_bounded_and_newest_first(bed: &Bed) {
    let org = bed.org("acme").await;
    for number in 0..5 {
        begin(bed, &org, &format!("s{number}"), "n", NOW + number).await;
    }
    let found = bed.store.read().await.unwrap().sessions(&org, "u", 2).await.unwrap();
    assert_eq!(found.iter().map(|s| s.created_ms).collect::<Vec<_>>(), [NOW + 4, NOW + 3]);
}

async fn sessions_are_pruned_by_age(bed: &Bed) {
    let org = bed.org("acme").await;
    begin(bed, &org, "old", "n", NOW).await;
    begin(bed, &org, "new", "n", NOW + 10).await;
    assert_eq!(tx!(bed.store, tx => tx.prune_sessions(NOW + 5).await.unwrap()), 1);
    assert!(bed.store.read().await.unwrap().session(&org, &digest("new")).await.unwrap().is_some());
}
