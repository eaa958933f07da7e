//! Sessions that another process can go on with.

use tidings_core::{Org, Room};
use tidings_store::StoreError;
use tidings_store::comebacks::{Comeback, ROOMS_BYTES};

use crate::bed::{Bed, both, digest, tx};

both!(
    a_session_is_kept_as_it_was_last_and_found_by_its_digest_alone,
    many_sessions_are_kept_found_and_ended_at_once,
    what_other_processes_left_is_pruned,
    texts_and_rooms_are_bounded,
    rooms_that_have_spoken_in_other_processes_are_known_by_organisation,
);

fn session(id: &str, process: u64) -> Comeback {
    Comeback {
        digest: digest(id),
        org: Org::new("acme"),
        user: Some("ada".into()),
        token_id: None,
        issued_at: Some(7),
        namespace: "/".into(),
        socket: "a-public-id".into(),
        process,
        rooms: vec![1, 0, 255],
    }
}

async fn a_session_is_kept_as_it_was_last_and_found_by_its_digest_alone(bed: &Bed) {
    let first = session("s", u64::MAX);
    let then = Comeback {
        user: None,
        issued_at: None,
        token_id: Some("t".into()),
        rooms: vec![],
        ..session("s", 2)
    };
    for kept in [first, then] {
        tx!(bed.store, tx => tx.keep_comebacks(std::slice::from_ref(&kept)).await.unwrap());
        let mut reader = bed.store.read().await.unwrap();
        assert_eq!(reader.comebacks(&[digest("s"), digest("other")]).await.unwrap(), [kept]);
        assert_eq!(reader.comebacks(&[]).await.unwrap(), []);
    }
}

async fn many_sessions_are_kept_found_and_ended_at_once(bed: &Bed) {
    let all: Vec<_> = (0..301).map(|number| session(&number.to_string(), 1)).collect();
    let digests: Vec<_> = all.iter().map(|kept| kept.digest).collect();
    tx!(bed.store, tx => tx.keep_comebacks(&all).await.unwrap());
    assert_eq!(tx!(bed.store, tx => tx.end_comebacks(&digests[..200]).await.unwrap()), 200);
    assert_eq!(tx!(bed.store, tx => tx.end_comebacks(&digests[..200]).await.unwrap()), 0);
    let found = bed.store.read().await.unwrap().comebacks(&digests).await.unwrap();
    assert_eq!(found.len(), 101);
    assert!(found.iter().all(|kept| digests[200..].contains(&kept.digest)));
}

async fn what_other_processes_left_is_pruned(bed: &Bed) {
    let all = [session("a", 1), session("b", 2), session("c", 3)];
    tx!(bed.store, tx => tx.keep_comebacks(&all).await.unwrap());
    assert_eq!(tx!(bed.store, tx => tx.prune_comebacks(2).await.unwrap()), 2);
    let digests: Vec<_> = all.iter().map(|kept| kept.digest).collect();
    let found = bed.store.read().await.unwrap().comebacks(&digests).await.unwrap();
    assert_eq!(found, [session("b", 2)]);
}

async fn texts_and_rooms_are_bounded(bed: &Bed) {
    for wrong in [
        Comeback { namespace: String::new(), ..session("s", 1) },
        Comeback { socket: "x".repeat(2_000), ..session("s", 1) },
        Comeback { rooms: vec![0; ROOMS_BYTES + 1], ..session("s", 1) },
    ] {
        let mut tx = bed.store.begin().await.unwrap();
        assert!(matches!(tx.keep_comebacks(&[wrong]).await, Err(StoreError::Invalid(_))));
    }
}

async fn rooms_that_have_spoken_in_other_processes_are_known_by_organisation(bed: &Bed) {
    let room = |org: &str, name: &str| Room::new(&Org::new(org), name, 100).unwrap();
    let (one, two, abroad) = (room("acme", "user:1"), room("acme", "user:2"), room("other", "user:1"));
    let again = [one.clone(), one.clone()];
    tx!(bed.store, tx => tx.note_spoken(1, &again[..1]).await.unwrap());
    tx!(bed.store, tx => tx.note_spoken(1, &again[1..]).await.unwrap());
    tx!(bed.store, tx => tx.note_spoken(2, &again[..1]).await.unwrap());
    let asked = [&one, &one, &two, &abroad];
    let spoken = bed.store.read().await.unwrap().spoken(3, &asked).await.unwrap();
    assert_eq!(spoken, [(Org::new("acme"), "user:1".into())]);
    assert_eq!(bed.store.read().await.unwrap().spoken(1, &asked).await.unwrap(), spoken);
    tx!(bed.store, tx => tx.prune_comebacks(2).await.unwrap());
    assert_eq!(bed.store.read().await.unwrap().spoken(2, &asked).await.unwrap(), []);
}
