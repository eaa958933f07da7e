//! Sessions.

use tidings_core::Org;
use tidings_store::sessions::{EndedSession, NewSession};
use tidings_store::{Digest, StoreError};

use crate::bed::{Bed, NOW, both, digest, tx};

both!(
    a_session_begins_is_seen_and_ends_once,
    many_sessions_begin_and_end_at_once,
    one_session_that_cannot_be_noted_leaves_none_of_them,
    a_node_that_starts_again_ends_what_it_left,
    a_list_of_sessions_is_bounded_and_newest_first,
    pages_of_sessions_leave_none_out_though_many_begin_at_once,
    sessions_are_pruned_by_age,
);

fn new<'a>(org: &'a Org, digest: &'a Digest, node: &'a str, at_ms: u64) -> NewSession<'a> {
    NewSession { org, digest, user: Some("u"), node, door: "socket.io", address: "192.0.2.1", at_ms }
}

async fn begin(bed: &Bed, org: &Org, id: &str, node: &str, now_ms: u64) {
    let id = digest(id);
    let new = new(org, &id, node, now_ms);
    tx!(bed.store, tx => tx.begin_sessions(&[new]).await.unwrap());
}

async fn a_session_begins_is_seen_and_ends_once(bed: &Bed) {
    let org = bed.org("acme").await;
    begin(bed, &org, "s", "n1", NOW).await;
    let id = digest("s");
    assert!(tx!(bed.store, tx => tx.see_session(&org, &id, NOW, NOW + 5).await.unwrap()));
    let ended = |cause, at_ms| EndedSession { org: &org, digest: &id, begun_ms: NOW, cause, at_ms };
    assert_eq!(tx!(bed.store, tx => tx.end_sessions(&[ended("too slow", NOW + 6)]).await.unwrap()), 1);
    assert_eq!(tx!(bed.store, tx => tx.end_sessions(&[ended("again", NOW + 7)]).await.unwrap()), 0);
    assert!(!tx!(bed.store, tx => tx.see_session(&org, &id, NOW, NOW + 8).await.unwrap()));
    let found = bed.store.read().await.unwrap().session(&org, &id, NOW).await.unwrap().unwrap();
    assert_eq!((found.seen_ms, found.ended), (NOW + 6, Some((NOW + 6, "too slow".into()))));
    let mut tx = bed.store.begin().await.unwrap();
    let again = tx.begin_sessions(&[new(&org, &id, "n2", NOW)]).await;
    assert_eq!(again, Err(StoreError::Conflict("the session")));
}

async fn many_sessions_begin_and_end_at_once(bed: &Bed) {
    let (acme, other) = (bed.org("acme").await, bed.org("other").await);
    let ids: Vec<_> = (0..301).map(|number| digest(&number.to_string())).collect();
    // The same ids in two organisations are two sessions each.
    let begun = ids.iter().flat_map(|id| [new(&acme, id, "n1", NOW), new(&other, id, "n1", NOW)]);
    let begun: Vec<_> = begun.collect();
    tx!(bed.store, tx => tx.begin_sessions(&begun).await.unwrap());
    let causes: Vec<_> = (0..301).map(|number| format!("cause {number}")).collect();
    let ended = ids.iter().zip(&causes).zip(NOW..);
    let ended = ended.map(|((digest, cause), at_ms)| EndedSession {
        org: &acme,
        digest,
        begun_ms: NOW,
        cause,
        at_ms,
    });
    let ended: Vec<_> = ended.collect();
    assert_eq!(tx!(bed.store, tx => tx.end_sessions(&ended).await.unwrap()), 301);
    let mut reader = bed.store.read().await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        let found = reader.session(&acme, id, NOW).await.unwrap().unwrap();
        assert_eq!(found.ended, Some((NOW + number as u64, causes[number].clone())));
        assert_eq!(reader.session(&other, id, NOW).await.unwrap().unwrap().ended, None);
    }
}

async fn one_session_that_cannot_be_noted_leaves_none_of_them(bed: &Bed) {
    let org = bed.org("acme").await;
    begin(bed, &org, "known", "n", NOW).await;
    let (known, fresh) = (digest("known"), digest("fresh"));
    let mut tx = bed.store.begin().await.unwrap();
    let both = [new(&org, &fresh, "n", NOW), new(&org, &known, "n", NOW)];
    assert_eq!(tx.begin_sessions(&both).await, Err(StoreError::Conflict("the session")));
    drop(tx);
    assert_eq!(bed.store.read().await.unwrap().session(&org, &fresh, NOW).await.unwrap(), None);
    tx!(bed.store, tx => {
        tx.begin_sessions(&[]).await.unwrap();
        assert_eq!(tx.end_sessions(&[]).await.unwrap(), 0);
    });
}

async fn a_node_that_starts_again_ends_what_it_left(bed: &Bed) {
    let org = bed.org("acme").await;
    for (id, node) in [("a", "n1"), ("b", "n1"), ("c", "n2")] {
        begin(bed, &org, id, node, NOW).await;
    }
    assert_eq!(tx!(bed.store, tx => tx.end_sessions_of_node("n1", "crash", NOW + 1).await.unwrap()), 2);
    assert_eq!(tx!(bed.store, tx => tx.end_sessions_of_node("n1", "crash", NOW + 2).await.unwrap()), 0);
    let left = bed.store.read().await.unwrap().session(&org, &digest("c"), NOW).await.unwrap().unwrap();
    assert_eq!(left.ended, None);
}

async fn a_list_of_sessions_is_bounded_and_newest_first(bed: &Bed) {
    let org = bed.org("acme").await;
    for number in 0..5 {
        begin(bed, &org, &format!("s{number}"), "n", NOW + number).await;
    }
    let found = bed.store.read().await.unwrap().sessions(&org, "u", None, 2).await.unwrap();
    assert_eq!(found.iter().map(|s| s.created_ms).collect::<Vec<_>>(), [NOW + 4, NOW + 3]);
}

async fn pages_of_sessions_leave_none_out_though_many_begin_at_once(bed: &Bed) {
    let org = bed.org("acme").await;
    for number in 0..12 {
        begin(bed, &org, &format!("s{number}"), "n", NOW + number / 6).await;
    }
    let mut reader = bed.store.read().await.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = reader.sessions(&org, "u", before, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.created_ms, last.digest));
        seen.extend(page);
    }
    assert_eq!(seen, reader.sessions(&org, "u", None, 100).await.unwrap());
    assert_eq!(seen.len(), 12);
}

async fn sessions_are_pruned_by_age(bed: &Bed) {
    let org = bed.org("acme").await;
    begin(bed, &org, "old", "n", NOW).await;
    begin(bed, &org, "new", "n", NOW + 10).await;
    begin(bed, &org, "over", "n", NOW).await;
    let over = digest("over");
    let ended = EndedSession { org: &org, digest: &over, begun_ms: NOW, cause: "left", at_ms: NOW + 1 };
    assert_eq!(tx!(bed.store, tx => tx.end_sessions(&[ended]).await.unwrap()), 1);
    assert_eq!(tx!(bed.store, tx => tx.prune_sessions(NOW + 1).await.unwrap()), 1);
    assert_eq!(tx!(bed.store, tx => tx.prune_sessions(NOW + 2).await.unwrap()), 1);
    assert_eq!(tx!(bed.store, tx => tx.prune_sessions(NOW + 10).await.unwrap()), 0);
    assert!(bed.store.read().await.unwrap().session(&org, &digest("new"), NOW + 10).await.unwrap().is_some());
}
