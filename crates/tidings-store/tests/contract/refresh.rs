//! Refresh tokens.

use tidings_core::Org;
use tidings_store::Store;
use tidings_store::refresh::{NewFamily, Rotation};

use crate::bed::{Bed, NOW, both, digest, tx};

both!(
    a_token_is_good_once_and_its_successor_after_it,
    a_second_use_ends_the_family_and_says_so,
    of_a_thousand_that_refresh_at_once_one_wins,
    of_a_thousand_that_race_within_the_grace_one_wins_and_the_family_lives,
    within_the_grace_only_the_token_that_was_replaced_last_is_spared,
    a_family_that_ended_or_expired_is_not_renewed,
    a_new_password_ends_all_of_a_users_families,
    families_of_before_a_moment_end_and_younger_ones_live,
    the_tokens_of_a_family_are_listed_from_the_newest,
    families_are_pruned_by_age,
);

/// Within the time a family of these tests lives.
const GRACE: u64 = 100;

async fn family(bed: &Bed, id: &str) -> Org {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    more(bed, &org, id).await;
    org
}

async fn more(bed: &Bed, org: &Org, id: &str) {
    let first = digest(id);
    let new = NewFamily { id, user: "u", digest: &first, expires_ms: NOW + 1_000 };
    tx!(bed.store, tx => tx.create_family(org, &new, NOW).await.unwrap());
}

async fn rotate(bed: &Bed, old: &str, new: &str, now_ms: u64) -> Rotation {
    rotate_in(&bed.store, old, new, 0, now_ms).await
}

async fn rotate_in(store: &Store, old: &str, new: &str, grace_ms: u64, now_ms: u64) -> Rotation {
    let mut tx = store.begin().await.unwrap();
    let rotation = tx.rotate(&digest(old), &digest(new), grace_ms, now_ms).await.unwrap();
    if rotation.lasts() {
        tx.commit().await.unwrap();
    }
    rotation
}

async fn a_token_is_good_once_and_its_successor_after_it(bed: &Bed) {
    let org = family(bed, "f").await;
    let Rotation::Rotated(first) = rotate(bed, "f", "f1", NOW + 1).await else { panic!() };
    assert_eq!((first.org, first.user.as_str(), first.rotated_ms), (org.clone(), "u", NOW + 1));
    assert!(matches!(rotate(bed, "f1", "f2", NOW + 2).await, Rotation::Rotated(_)));
    assert_eq!(rotate(bed, "unknown", "f3", NOW + 2).await, Rotation::Unknown);
    let of_token = bed.store.read().await.unwrap().family_of_token(&digest("f1")).await.unwrap().unwrap();
    assert_eq!(of_token.id, "f");
    assert_eq!(bed.store.read().await.unwrap().families(&org, "u", 10).await.unwrap(), [of_token]);
}

async fn a_second_use_ends_the_family_and_says_so(bed: &Bed) {
    let org = family(bed, "f").await;
    rotate(bed, "f", "f1", NOW).await;
    let reused = rotate(bed, "f", "f2", NOW + 5).await;
    assert!(matches!(&reused, Rotation::Reused { first: true, family } if family.user == "u"), "{reused:?}");
    assert!(matches!(rotate(bed, "f", "f2", NOW + 6).await, Rotation::Reused { first: false, .. }));
    // The good one is no longer good, and using it is no reuse.
    assert!(matches!(rotate(bed, "f1", "f3", NOW + 7).await, Rotation::Revoked(_)));
    let ended = bed.store.read().await.unwrap().family(&org, "f").await.unwrap().unwrap();
    assert_eq!(ended.revoked, Some((NOW + 5, "reuse".into())));
}

async fn of_a_thousand_that_refresh_at_once_one_wins(bed: &Bed) {
    let (org, came) = race(bed, 0).await;
    assert_eq!(came, [1, 0, 1, 998], "one of the others ended the family");
    let ended = bed.store.read().await.unwrap().family(&org, "f").await.unwrap().unwrap();
    assert!(ended.revoked.is_some());
}

async fn of_a_thousand_that_race_within_the_grace_one_wins_and_the_family_lives(bed: &Bed) {
    let (org, came) = race(bed, GRACE).await;
    assert_eq!(came, [1, 999, 0, 0]);
    let lives = bed.store.read().await.unwrap().family(&org, "f").await.unwrap().unwrap();
    assert_eq!(lives.revoked, None);
    // The same once more is a second use as soon as the grace is over.
    let late = rotate_in(&bed.store, "f", "late", GRACE, NOW + GRACE).await;
    assert!(matches!(late, Rotation::Reused { first: true, .. }), "{late:?}");
}

async fn within_the_grace_only_the_token_that_was_replaced_last_is_spared(bed: &Bed) {
    let org = family(bed, "f").await;
    let rotate = async |old, new, now_ms| rotate_in(&bed.store, old, new, GRACE, now_ms).await;
    assert!(matches!(rotate("f", "f1", NOW).await, Rotation::Rotated(_)));
    assert_eq!(rotate("f", "x", NOW + 1).await, Rotation::Raced { left_ms: GRACE - 1 });
    assert_eq!(rotate("f", "x", NOW + GRACE - 1).await, Rotation::Raced { left_ms: 1 });
    // The clock of another node may be behind.
    assert_eq!(rotate("f", "x", NOW - 5).await, Rotation::Raced { left_ms: GRACE });
    assert!(matches!(rotate("f1", "f2", NOW + 2).await, Rotation::Rotated(_)), "the winner goes on");
    assert!(
        matches!(rotate("f", "x", NOW + 3).await, Rotation::Reused { first: true, .. }),
        "older than the last"
    );
    assert!(
        matches!(rotate("f1", "x", NOW + 3).await, Rotation::Reused { first: false, .. }),
        "it has ended"
    );
    assert!(matches!(rotate("f2", "x", NOW + 3).await, Rotation::Revoked(_)));
    let ended = bed.store.read().await.unwrap().family(&org, "f").await.unwrap().unwrap();
    assert_eq!(ended.revoked, Some((NOW + 3, "reuse".into())));
}

/// A thousand refresh with one token: how many won, raced, ended the family, came after that.
async fn race(bed: &Bed, grace_ms: u64) -> (Org, [usize; 4]) {
    let org = family(bed, "f").await;
    let second = bed.second().await;
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let store = if number % 2 == 0 { bed.store.clone() } else { second.clone() };
            tokio::spawn(async move { rotate_in(&store, "f", &format!("f{number}"), grace_ms, NOW).await })
        })
        .collect();
    let mut came = [0; 4];
    for task in tasks {
        came[match task.await.unwrap() {
            Rotation::Rotated(_) => 0,
            Rotation::Raced { .. } => 1,
            Rotation::Reused { first: true, .. } => 2,
            Rotation::Reused { first: false, .. } => 3,
            other => panic!("{other:?}"),
        }] += 1;
    }
    (org, came)
}

async fn a_family_that_ended_or_expired_is_not_renewed(bed: &Bed) {
    let org = family(bed, "f").await;
    more(bed, &org, "g").await;
    assert!(matches!(rotate(bed, "f", "f1", NOW + 1_000).await, Rotation::Expired(_)));
    assert!(matches!(rotate(bed, "f", "f1", NOW + 999).await, Rotation::Rotated(_)), "it was not used up");
    assert!(tx!(bed.store, tx => tx.revoke_family(&org, "g", "signed out", NOW).await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.revoke_family(&org, "g", "again", NOW).await.unwrap()));
    let Rotation::Revoked(ended) = rotate(bed, "g", "g1", NOW + 1).await else { panic!() };
    assert_eq!(ended.revoked, Some((NOW, "signed out".into())));
}

async fn a_new_password_ends_all_of_a_users_families(bed: &Bed) {
    let org = family(bed, "f").await;
    more(bed, &org, "g").await;
    let ended = tx!(bed.store, tx => tx.revoke_families(&org, "u", "password", NOW).await.unwrap());
    assert_eq!(ended, 2);
    assert!(matches!(rotate(bed, "f", "f1", NOW).await, Rotation::Revoked(_)));
}

async fn families_of_before_a_moment_end_and_younger_ones_live(bed: &Bed) {
    let org = family(bed, "f").await;
    more(bed, &org, "g").await;
    let why = ("request", NOW);
    let end = async |user: Option<&str>, before_ms: u64| tx!(bed.store, tx => tx.revoke_families_before(&org, user, before_ms, why).await.unwrap());
    assert_eq!(end(Some("u"), NOW).await, 0, "they signed in at that moment");
    assert_eq!(end(Some("v"), NOW + 1).await, 0, "of somebody else");
    assert!(rotate(bed, "f", "f1", NOW).await.lasts());
    assert_eq!(end(Some("u"), NOW + 1).await, 2);
    let Rotation::Revoked(ended) = rotate(bed, "f1", "f2", NOW).await else { panic!() };
    assert_eq!(ended.revoked, Some((NOW, "request".into())));
    more(bed, &org, "h").await;
    assert_eq!(end(None, NOW).await, 0);
    assert_eq!(end(None, NOW + 1).await, 1, "whoever it is");
    assert!(matches!(rotate(bed, "h", "h1", NOW).await, Rotation::Revoked(_)));
}

async fn the_tokens_of_a_family_are_listed_from_the_newest(bed: &Bed) {
    let org = family(bed, "f").await;
    more(bed, &org, "g").await;
    // Two in one millisecond: the one that is good now is the newest.
    for (old, new, at) in [("f", "f1", NOW + 1), ("f1", "f2", NOW + 5), ("f2", "f3", NOW + 5)] {
        assert!(rotate(bed, old, new, at).await.lasts());
    }
    let mut reader = bed.store.read().await.unwrap();
    let tokens = reader.family_tokens(&org, "f", NOW + 1, 9).await.unwrap();
    assert_eq!(tokens, ["f3", "f2", "f1"].map(digest));
    assert_eq!(reader.family_tokens(&org, "f", NOW, 1).await.unwrap(), [digest("f3")]);
}

async fn families_are_pruned_by_age(bed: &Bed) {
    family(bed, "f").await;
    assert_eq!(tx!(bed.store, tx => tx.prune_families(NOW + 1_000).await.unwrap()), 0);
    assert_eq!(tx!(bed.store, tx => tx.prune_families(NOW + 1_001).await.unwrap()), 1);
    assert_eq!(rotate(bed, "f", "f1", NOW).await, Rotation::Unknown);
}
