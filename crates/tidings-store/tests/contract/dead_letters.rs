//! Dead letters.

use tidings_core::{Lane, MessageId, Org, Payload};
use tidings_store::StoreError;
use tidings_store::dead_letters::DeadLetter;

use crate::bed::{Bed, NOW, both, tx};

both!(
    a_dead_letter_comes_back_as_it_was_kept,
    one_that_dies_again_keeps_its_first_error_and_adds_its_tries_up,
    beyond_the_bound_the_oldest_are_thrown_away,
    pages_hold_every_letter_once_though_many_died_at_once,
    nobody_reaches_anothers_letters,
);

fn letter(number: u64, died_ms: u64) -> DeadLetter {
    let mut payload = Payload::json("{\"a\":1}");
    payload.attachments = Box::new([vec![0, 255].into()]);
    DeadLetter {
        id: MessageId { node: u64::MAX - 3, number },
        user: "ada".into(),
        room: "user:ada".into(),
        event: "bill".into(),
        payload,
        key: number.is_multiple_of(2).then(|| format!("k{number}")),
        lane: Lane::High,
        reason: "not_connected".into(),
        tries: 3,
        first_error: "not connected".into(),
        last_error: "not acknowledged".into(),
        published_ms: NOW,
        died_ms,
        redriven: 0,
    }
}

async fn keep(bed: &Bed, org: &Org, letter: &DeadLetter, most: u64) -> u64 {
    tx!(bed.store, tx => tx.keep_dead_letter(org, letter, most).await.unwrap())
}

async fn a_dead_letter_comes_back_as_it_was_kept(bed: &Bed) {
    let org = bed.org("acme").await;
    for number in [1, 2, u64::MAX] {
        let kept = letter(number, NOW + 1);
        assert_eq!(keep(bed, &org, &kept, 10).await, 0);
        let found = bed.store.read().await.unwrap().dead_letter(&org, kept.id).await.unwrap();
        assert_eq!(found, Some(kept));
    }
    let mut tx = bed.store.begin().await.unwrap();
    let nameless = DeadLetter { user: String::new(), ..letter(4, NOW) };
    assert!(matches!(tx.keep_dead_letter(&org, &nameless, 10).await, Err(StoreError::Invalid(_))));
}

async fn one_that_dies_again_keeps_its_first_error_and_adds_its_tries_up(bed: &Bed) {
    let org = bed.org("acme").await;
    let first = letter(1, NOW);
    keep(bed, &org, &first, 10).await;
    assert!(tx!(bed.store, tx => tx.count_redrive(&org, first.id).await.unwrap()));
    let again = DeadLetter {
        reason: "not_acknowledged".into(),
        tries: 2,
        first_error: "another".into(),
        last_error: "the last".into(),
        died_ms: NOW + 9,
        ..first.clone()
    };
    keep(bed, &org, &again, 10).await;
    let found = bed.store.read().await.unwrap().dead_letter(&org, first.id).await.unwrap();
    let wanted = DeadLetter { tries: 5, first_error: first.first_error, redriven: 1, ..again };
    assert_eq!(found, Some(wanted));
    assert!(!tx!(bed.store, tx => tx.count_redrive(&org, letter(9, 0).id).await.unwrap()));
}

async fn beyond_the_bound_the_oldest_are_thrown_away(bed: &Bed) {
    let org = bed.org("acme").await;
    let mut dropped = 0;
    for number in 1..=5 {
        dropped += keep(bed, &org, &letter(number, NOW + number), 3).await;
    }
    assert_eq!(dropped, 2);
    let mut reader = bed.store.read().await.unwrap();
    let left = reader.dead_letters(&org, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.id.number).collect::<Vec<_>>(), [5, 4, 3]);
    assert_eq!(reader.count_dead_letters(&org).await.unwrap(), 3);
}

async fn pages_hold_every_letter_once_though_many_died_at_once(bed: &Bed) {
    let org = bed.org("acme").await;
    for number in 1..=7 {
        keep(bed, &org, &letter(number, NOW + number / 4), 10).await;
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = bed.store.read().await.unwrap().dead_letters(&org, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.died_ms, last.id));
        seen.extend(page.iter().map(|letter| letter.id.number));
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

async fn nobody_reaches_anothers_letters(bed: &Bed) {
    let (acme, other) = (bed.org("acme").await, bed.org("other").await);
    let kept = letter(1, NOW);
    keep(bed, &acme, &kept, 10).await;
    keep(bed, &other, &letter(2, NOW), 1).await;
    let mut reader = bed.store.read().await.unwrap();
    assert_eq!(reader.dead_letter(&other, kept.id).await.unwrap(), None);
    assert_eq!(reader.dead_letters(&other, None, 10).await.unwrap().len(), 1);
    drop(reader);
    assert!(!tx!(bed.store, tx => tx.drop_dead_letter(&other, kept.id).await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.count_redrive(&other, kept.id).await.unwrap()));
    assert_eq!(tx!(bed.store, tx => tx.purge_dead_letters(&other, u64::MAX).await.unwrap()), 1);
    assert!(tx!(bed.store, tx => tx.drop_dead_letter(&acme, kept.id).await.unwrap()));
}
