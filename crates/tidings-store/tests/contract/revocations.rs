//! Revocations.

use tidings_store::StoreError;
use tidings_store::revocations::{NewRevocation, Revoked};

use crate::bed::{Bed, NOW, both, tx};

both!(
    a_revocation_gets_a_new_number_when_it_changes_and_only_widens,
    whoever_polls_while_others_revoke_misses_nothing,
    revocations_are_pruned_when_no_token_is_left,
);

fn new(what: &Revoked, issued_before_ms: u64, expires_ms: u64) -> NewRevocation<'_> {
    NewRevocation { what, issued_before_ms, expires_ms, reason: "lost" }
}

async fn a_revocation_gets_a_new_number_when_it_changes_and_only_widens(bed: &Bed) {
    let org = bed.org("acme").await;
    let (user, all) = (Revoked::User("u".into()), Revoked::Org);
    let first = tx!(bed.store, tx => tx.revoke(&org, &new(&user, NOW, NOW + 100)).await.unwrap());
    let second = tx!(bed.store, tx => tx.revoke(&org, &new(&all, NOW, NOW + 100)).await.unwrap());
    let third = tx!(bed.store, tx => tx.revoke(&org, &new(&user, NOW - 5, NOW + 200)).await.unwrap());
    assert!(first < second && second < third);
    let mut reader = bed.store.read().await.unwrap();
    let found = reader.revocations_since(0, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|r| (r.seq, r.what.clone())).collect::<Vec<_>>(),
        [(second, all), (third, user)]
    );
    assert_eq!((found[1].issued_before_ms, found[1].expires_ms), (NOW, NOW + 200));
    assert_eq!(reader.revocations_since(second, 10).await.unwrap().len(), 1);
    assert_eq!(reader.revocations(&org, u64::MAX, 1).await.unwrap()[0].seq, third);
    drop(reader);
    let mut tx = bed.store.begin().await.unwrap();
    let nameless = tx.revoke(&org, &new(&Revoked::Token(String::new()), NOW, NOW)).await;
    assert!(matches!(nameless, Err(StoreError::Invalid(_))));
}

async fn whoever_polls_while_others_revoke_misses_nothing(bed: &Bed) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let org = bed.org("acme").await;
    let second = bed.second().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = if writer % 2 == 0 { bed.store.clone() } else { second.clone() };
            let org = org.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let what = Revoked::Token(format!("{writer}-{number}"));
                    tx!(store, tx => tx.revoke(&org, &new(&what, NOW, NOW + 1)).await.unwrap());
                }
            })
        })
        .collect();
    let (mut last, mut heard) = (0, 0);
    while heard < WRITERS * EACH {
        let done = writers.iter().all(|writer| writer.is_finished());
        let found = bed.store.read().await.unwrap().revocations_since(last, 7).await.unwrap();
        assert!(!(done && found.is_empty()), "{heard} were heard when all were written");
        heard += found.len();
        last = found.last().map_or(last, |revocation| revocation.seq);
    }
    assert_eq!(last, (WRITERS * EACH) as u64);
}

async fn revocations_are_pruned_when_no_token_is_left(bed: &Bed) {
    let org = bed.org("acme").await;
    for (number, ends) in [(1, NOW + 1), (2, NOW + 2)] {
        let what = Revoked::Token(format!("t{number}"));
        tx!(bed.store, tx => tx.revoke(&org, &new(&what, NOW, ends)).await.unwrap());
    }
    assert_eq!(tx!(bed.store, tx => tx.prune_revocations(NOW + 2).await.unwrap()), 1);
    let left = bed.store.read().await.unwrap().revocations_since(0, 10).await.unwrap();
    assert_eq!(left.iter().map(|r| r.seq).collect::<Vec<_>>(), [2]);
}
