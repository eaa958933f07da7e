//! Persistent subscriptions.

use tidings_core::{Epoch, Position};
use tidings_store::subscriptions::Subscription;

use crate::bed::{Bed, NOW, both, tx};

both!(
    a_subscription_is_kept_once_and_bounded_per_user,
    a_place_goes_forward_alone_and_only_where_something_is_kept,
    nobody_reaches_anothers_subscriptions,
);

fn wants(room: &str, heard: Option<Position>) -> Subscription {
    Subscription { room: room.into(), heard }
}

fn at(epoch: u64, offset: u64) -> Position {
    Position { epoch: Epoch(epoch), offset, tag: u32::MAX }
}

async fn a_subscription_is_kept_once_and_bounded_per_user(bed: &Bed) {
    let org = bed.org("acme").await;
    let far = at(u64::MAX, 7);
    for (room, heard, kept) in
        [("a", Some(far), true), ("b", None, true), ("c", None, false), ("a", None, true)]
    {
        let new = wants(room, heard);
        let done = tx!(bed.store, tx => tx.keep_subscription(&org, "ada", &new, 2, NOW).await.unwrap());
        assert_eq!(done, kept, "{room}");
    }
    let found = bed.store.read().await.unwrap().subscriptions(&org, "ada").await.unwrap();
    assert_eq!(found, [wants("a", Some(far)), wants("b", None)]);
    assert!(tx!(bed.store, tx => tx.end_subscription(&org, "ada", "a").await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.end_subscription(&org, "ada", "a").await.unwrap()));
}

async fn a_place_goes_forward_alone_and_only_where_something_is_kept(bed: &Bed) {
    let org = bed.org("acme").await;
    let new = wants("a", None);
    tx!(bed.store, tx => tx.keep_subscription(&org, "ada", &new, 2, NOW).await.unwrap());
    for (heard, stands) in
        [(at(1, 5), at(1, 5)), (at(1, 3), at(1, 5)), (at(1, 6), at(1, 6)), (at(2, 1), at(2, 1))]
    {
        tx!(bed.store, tx => {
            tx.heard_subscription(&org, "ada", "a", heard).await.unwrap();
            tx.heard_subscription(&org, "ada", "gone", heard).await.unwrap();
        });
        let found = bed.store.read().await.unwrap().subscriptions(&org, "ada").await.unwrap();
        assert_eq!(found, [wants("a", Some(stands))]);
    }
}

async fn nobody_reaches_anothers_subscriptions(bed: &Bed) {
    let (acme, other) = (bed.org("acme").await, bed.org("other").await);
    let new = wants("a", Some(at(1, 1)));
    tx!(bed.store, tx => tx.keep_subscription(&acme, "ada", &new, 2, NOW).await.unwrap());
    tx!(bed.store, tx => tx.heard_subscription(&other, "ada", "a", at(1, 9)).await.unwrap());
    assert!(!tx!(bed.store, tx => tx.end_subscription(&other, "ada", "a").await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.end_subscription(&acme, "bob", "a").await.unwrap()));
    let mut reader = bed.store.read().await.unwrap();
    assert_eq!(reader.subscriptions(&other, "ada").await.unwrap(), []);
    assert_eq!(reader.subscriptions(&acme, "ada").await.unwrap(), [new]);
}
