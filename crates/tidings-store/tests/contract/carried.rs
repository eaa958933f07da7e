//! What a process that stopped in order has left for the next.

use tidings_core::{Org, Room};
use tidings_store::carried::{Carried, CarriedRoom};

use crate::bed::{Bed, both, tx};

both!(
    what_was_left_is_had_once,
    what_was_left_before_gives_way,
    of_two_that_left_something_neither_is_believed,
);

fn left(process: u64, rooms: &[(&str, &str, usize)]) -> Carried {
    let room = |(org, name, bytes): &(&str, &str, usize)| CarriedRoom {
        room: Room::new(&Org::new(org), name, 100).unwrap(),
        state: vec![7; *bytes],
    };
    Carried { process, state: vec![1, 0, 255], rooms: rooms.iter().map(room).collect() }
}

/// Takes what is there, the rooms by their names.
async fn take(bed: &Bed) -> Option<Carried> {
    let mut taken = tx!(bed.store, tx => tx.take_carried().await.unwrap())?;
    taken.rooms.sort_by_key(|one| (one.room.org().as_str().to_owned(), one.room.name().to_owned()));
    Some(taken)
}

async fn what_was_left_is_had_once(bed: &Bed) {
    assert_eq!(take(bed).await, None);
    // More than goes in one statement, and one room that is more than that by itself.
    let large = 3 << 20;
    let rooms = [("a", "user:1", 5), ("a", "user:2", large), ("a", "user:3", 0), ("b", "user:1", 700_000)];
    let all = left(u64::MAX, &rooms);
    tx!(bed.store, tx => tx.leave_carried(&all).await.unwrap());
    assert_eq!(take(bed).await, Some(all));
    assert_eq!(take(bed).await, None);
}

async fn what_was_left_before_gives_way(bed: &Bed) {
    tx!(bed.store, tx => tx.leave_carried(&left(1, &[("a", "user:1", 5), ("a", "user:2", 5)])).await.unwrap());
    let newer = left(2, &[("a", "user:1", 6)]);
    tx!(bed.store, tx => tx.leave_carried(&newer).await.unwrap());
    assert_eq!(take(bed).await, Some(newer));
}

async fn of_two_that_left_something_neither_is_believed(bed: &Bed) {
    tx!(bed.store, tx => tx.leave_carried(&left(1, &[("a", "user:1", 5)])).await.unwrap());
    bed.behind("INSERT INTO carried SELECT 2, state FROM carried").await.unwrap();
    assert_eq!(take(bed).await, None);
    assert_eq!(take(bed).await, None);
}
