//! Revocations.

use tidings_store::StoreError;
use tidings_store::revocations::{NewRevocation, Revoked};

use crate::bed::{Bed, NOW, both, tx};

both!(
    a_revocation_gets_a_new_number_when_it_changes_and_only_widens,
    a_later_change_of_rights_takes_nothing_back_of_a_revocation,
    what_is_called_back_is_after_every_token_there_is,
    whoever_polls_while_others_revoke_misses_nothing,
    revocations_are_pruned_when_no_token_is_left,
);

fn new(what: &Revoked, issued_before_ms: u64, expires_ms: u64) -> NewRevocation<'_> {
    NewRevocation { what, issued_before_ms, expires_ms, rights_alone: false, reason: "lost" }
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

async fn a_later_change_of_rights_takes_nothing_back_of_a_revocation(bed: &Bed) {
    let org = bed.org("acme").await;
    let user = Revoked::User("u".into());
    let rights = |before| NewRevocation { rights_alone: true, ..new(&user, before, NOW + 100) };
    let bounds = async || {
        let found = bed.store.read().await.unwrap().revocations_since(0, 10).await.unwrap();
        assert_eq!(found.len(), 1);
        (found[0].refused_before_ms, found[0].issued_before_ms)
    };
    tx!(bed.store, tx => tx.revoke(&org, &rights(NOW)).await.unwrap());
    assert_eq!(bounds().await, (0, NOW));
    tx!(bed.store, tx => tx.revoke(&org, &new(&user, NOW + 5, NOW + 100)).await.unwrap());
    assert_eq!(bounds().await, (NOW + 5, NOW + 5));
    tx!(bed.store, tx => tx.revoke(&org, &rights(NOW + 9)).await.unwrap());
    assert_eq!(bounds().await, (NOW + 5, NOW + 9));
    tx!(bed.store, tx => tx.revoke(&org, &new(&user, NOW + 7, NOW + 100)).await.unwrap());
    assert_eq!(bounds().await, (NOW + 7, NOW + 9));
    // One of a version that did not tell the two apart is a revocation, and stays one.
    bed.behind("UPDATE revocations SET refused_before_ms = NULL").await.unwrap();
    assert_eq!(bounds().await, (NOW + 9, NOW + 9));
    tx!(bed.store, tx => tx.revoke(&org, &rights(NOW + 12)).await.unwrap());
    assert_eq!(bounds().await, (NOW + 9, NOW + 12));
}

async fn what_is_called_back_is_after_every_token_there_is(bed: &Bed) {
    const SECOND: u64 = 1_000;
    let org = bed.org("acme").await;
    let now = NOW / SECOND * SECOND + 400;
    let (running, next) = (now - 400, now + 600);
    let after = async || tx!(bed.store, tx => tx.after_tokens(&org, "u", now).await.unwrap());
    let revoke = async |what: Revoked, before| {
        tx!(bed.store, tx => tx.revoke(&org, &new(&what, before, now + 9_000)).await.unwrap());
        bed.store.read().await.unwrap().good_from(&org, "u").await.unwrap()
    };
    assert_eq!(after().await, next, "tokens say the second, so the running one is meant");
    assert_eq!(revoke(Revoked::User("u".into()), running).await, running);
    assert_eq!(after().await, next);
    assert_eq!(revoke(Revoked::User("v".into()), next + SECOND).await, running, "somebody else's");
    assert_eq!(revoke(Revoked::Token("u".into()), next + SECOND).await, running, "one token's");
    assert_eq!(revoke(Revoked::User("u".into()), next).await, next);
    assert_eq!(after().await, next + SECOND, "one that was made since is dated `next`");
    assert_eq!(revoke(Revoked::Org, next + 3 * SECOND).await, next + 3 * SECOND);
    assert_eq!(after().await, next + 4 * SECOND);
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
