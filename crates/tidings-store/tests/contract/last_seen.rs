//! When users were last there.

use tidings_core::Org;
use tidings_store::last_seen::LastSeen;

use crate::bed::{Bed, NOW, both, tx};

both!(
    the_newest_time_a_user_was_there_is_kept,
    users_of_two_organisations_are_two,
    what_no_database_can_keep_is_left_out,
    who_was_not_there_for_long_is_forgotten,
);

async fn note(bed: &Bed, org: &Org, user: &str, at_ms: u64) {
    tx!(bed.store, tx => tx.note_last_seen(&[LastSeen { org, user, at_ms }]).await.unwrap());
}

async fn seen(bed: &Bed, org: &Org, user: &str) -> Option<u64> {
    bed.store.read().await.unwrap().last_seen(org, user).await.unwrap()
}

async fn the_newest_time_a_user_was_there_is_kept(bed: &Bed) {
    let org = Org::new("acme");
    assert_eq!(seen(bed, &org, "u").await, None);
    note(bed, &org, "u", NOW).await;
    note(bed, &org, "u", NOW - 5).await;
    assert_eq!(seen(bed, &org, "u").await, Some(NOW));
    // Twice in one batch, and many at once.
    let users: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    let twice = users.iter().zip(NOW..).chain(users.iter().zip(NOW + 1..));
    let batch: Vec<_> = twice.map(|(user, at_ms)| LastSeen { org: &org, user, at_ms }).collect();
    tx!(bed.store, tx => tx.note_last_seen(&batch).await.unwrap());
    assert_eq!(seen(bed, &org, "u7").await, Some(NOW + 8));
    assert_eq!(seen(bed, &org, "u299").await, Some(NOW + 300));
}

async fn users_of_two_organisations_are_two(bed: &Bed) {
    let (acme, other) = (Org::new("acme"), Org::new("other"));
    note(bed, &acme, "u", NOW).await;
    assert_eq!(seen(bed, &other, "u").await, None);
    note(bed, &other, "u", NOW + 1).await;
    assert_eq!(seen(bed, &acme, "u").await, Some(NOW));
}

async fn what_no_database_can_keep_is_left_out(bed: &Bed) {
    let org = Org::new("acme");
    let long = "x".repeat(1_025);
    let batch = ["", "a\0b", &long, "good"].map(|user| LastSeen { org: &org, user, at_ms: NOW });
    tx!(bed.store, tx => tx.note_last_seen(&batch).await.unwrap());
    assert_eq!(seen(bed, &org, "good").await, Some(NOW));
    assert_eq!(seen(bed, &org, "a").await, None);
}

async fn who_was_not_there_for_long_is_forgotten(bed: &Bed) {
    let org = Org::new("acme");
    note(bed, &org, "old", NOW).await;
    note(bed, &org, "new", NOW + 10).await;
    assert_eq!(tx!(bed.store, tx => tx.prune_last_seen(NOW + 10).await.unwrap()), 1);
    assert_eq!((seen(bed, &org, "old").await, seen(bed, &org, "new").await), (None, Some(NOW + 10)));
}
