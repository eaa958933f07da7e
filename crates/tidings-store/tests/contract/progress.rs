//! How far a database has come, and what changes where an older copy is in its place.

use tidings_core::{Org, Room};
use tidings_store::progress::Progress;

use crate::bed::{Bed, both, digest, tx};

both!(starts_and_events_are_counted, other_epochs_are_begun_for_all_rooms_and_sessions_end);

async fn starts_and_events_are_counted(bed: &Bed) {
    let start = async || tx!(bed.store, tx => tx.count_start().await.unwrap());
    assert_eq!(start().await, Progress { starts: 0, events: 0 });
    bed.behind("INSERT INTO log_orgs (org, sequence) VALUES ('a', 5), ('b', 7)").await.unwrap();
    assert_eq!(start().await, Progress { starts: 1, events: 12 });
    assert_eq!(start().await, Progress { starts: 2, events: 12 });
    assert_eq!(bed.store.read().await.unwrap().log_events_ever().await.unwrap(), 12);

    let at = |starts, events| Progress { starts, events };
    assert!(at(2, 5).is_ahead_of(at(1, 9)) && at(2, 5).is_ahead_of(at(2, 4)));
    assert!(!at(2, 5).is_ahead_of(at(2, 5)) && !at(2, 5).is_ahead_of(at(9, 9)));
}

async fn other_epochs_are_begun_for_all_rooms_and_sessions_end(bed: &Bed) {
    let rooms = "INSERT INTO log_rooms (org, room, epoch, top, node, number, trimmed, trimmed_sequence, touched_ms, bytes) \
                 VALUES ('a', 'n:1', 9223372036854775807, 3, 1, 1, 0, 0, 0, 0), ('a', 'n:2', -9223372036854775807, 3, 1, 1, 0, 0, 0, 0), \
                 ('b', 'n:1', 0, 3, 1, 1, 0, 0, 0, 0)";
    bed.behind(rooms).await.unwrap();
    let session = "INSERT INTO comebacks (digest, org, namespace, socket, process, rooms) \
                   SELECT hash, 'a', '/', 's', 1, hash FROM audit_head";
    bed.behind(session).await.unwrap();
    let origin = tx!(bed.store, tx => tx.origin(&digest("first")).await.unwrap());
    assert_eq!(origin, digest("first"));

    let epochs = async || {
        let mut reader = bed.store.read().await.unwrap();
        let mut found = Vec::new();
        for (org, name) in [("a", "n:1"), ("a", "n:2"), ("b", "n:1")] {
            let room = Room::new(&Org::new(org), name, 100).unwrap();
            found.push(reader.log_room(&room).await.unwrap().unwrap().top.epoch.0);
        }
        found
    };
    let before = epochs().await;
    for other in [1, i64::MIN, -1, 0x0f0f_f0f0_1234_5678] {
        let earlier = epochs().await;
        tx!(bed.store, tx => tx.begin_other_epochs(&digest("other"), other).await.unwrap());
        let expected: Vec<u64> = earlier.iter().map(|epoch| epoch ^ other.cast_unsigned()).collect();
        assert_eq!(epochs().await, expected, "{other}");
    }
    assert_ne!(epochs().await, before);
    assert_eq!(tx!(bed.store, tx => tx.origin(&digest("third")).await.unwrap()), digest("other"));
    assert_eq!(tx!(bed.store, tx => tx.prune_comebacks(0).await.unwrap()), 0, "none is left");
}
