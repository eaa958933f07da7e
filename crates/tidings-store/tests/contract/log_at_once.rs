//! Appending in one exchange, which PostgreSQL alone has: what comes of it is what comes of the long way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_core::{Epoch, Payload, Position, Room};
use tidings_store::log::{Append, Appended, Appender, KEY_MS, Kept};
use tidings_store::{Store, StoreError};
use tokio::time::{interval, timeout};

use crate::bed::{Bed, NOW, both, tx};
use crate::log::{all_after, append, event, id, places, room};

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

both!(
    what_was_foreseen_stands_as_if_it_had_gone_the_long_way,
    where_another_node_has_appended_nothing_is_stored_at_once,
    a_key_that_is_known_is_found_whichever_way_an_event_goes,
    where_a_room_has_gone_nothing_is_counted,
    nodes_that_append_at_once_in_several_organisations_leave_no_holes,
    an_append_that_is_given_up_leaves_an_appender_that_works,
    what_was_given_up_is_not_stored_behind_the_back_of_who_settled_it,
    what_cannot_be_stored_is_refused_before_it_is_sent,
);

/// Appends as a server does; and whether it was done in one exchange.
async fn short_or_long(
    appender: &mut Appender,
    store: &Store,
    events: &[Append<'_>],
) -> (Vec<Appended>, bool) {
    if let Some(foreseen) = appender.foresee(events).unwrap()
        && let Some(done) = appender.append(foreseen).await.unwrap()
    {
        return (done, true);
    }
    let mut tx = store.begin().await.unwrap();
    let (done, left) = tx.append_and_tell(events).await.unwrap();
    tx.commit().await.unwrap();
    appender.learn(left);
    (done, false)
}

async fn what_was_foreseen_stands_as_if_it_had_gone_the_long_way(bed: &Bed) {
    let (one, two, abroad) = (room("acme", "r:1"), room("acme", "r:2"), room("other", "r:1"));
    let mut payload = Payload::json("\"ü\"");
    payload.attachments = Box::new([vec![0, 1, 255].into()]);
    let batch = |first: u64| {
        let numbered = [&one, &two, &abroad, &one].into_iter().zip(first..);
        numbered.map(|(room, number)| event(room, number, &payload)).collect::<Vec<_>>()
    };
    let mut appender = Appender::new(bed.store.clone());
    let (first, second, third) = (batch(1), batch(5), batch(9));
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &first).await;
    assert_eq!((places(&done), at_once), (vec![(1, 1), (1, 2), (1, 1), (2, 3)], false));
    for (events, expected) in
        [(second, [(3, 4), (2, 5), (2, 2), (4, 6)]), (third, [(5, 7), (3, 8), (3, 3), (6, 9)])]
    {
        let (done, at_once) = short_or_long(&mut appender, &bed.store, &events).await;
        assert_eq!((places(&done), at_once), (expected.to_vec(), bed.store.is_postgres()));
    }
    let records = all_after(&bed.store, &one, 0).await;
    assert_eq!(records.iter().map(|record| record.position.offset).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(records.iter().all(|record| !record.damaged && record.payload == payload && record.at_ms == NOW));
    assert_eq!(records[4].position, Position::of(Epoch(u64::MAX - 1), 5, id(9)));
    let over = bed.store.read().await.unwrap().log_orgs_over(1).await.unwrap();
    let bytes = "said".len() as u64 + 4 + 7;
    assert_eq!(over.iter().map(|(_, bytes)| bytes).sum::<u64>(), 12 * bytes);
    // The long way goes on where it ends.
    assert_eq!(places(&append(&bed.store, &batch(13)).await), [(7, 10), (4, 11), (4, 4), (8, 12)]);
}

async fn where_another_node_has_appended_nothing_is_stored_at_once(bed: &Bed) {
    let (payload, one, two) = (Payload::json("1"), room("acme", "r:1"), room("acme", "r:2"));
    let (other, mut appender) = (bed.second().await, Appender::new(bed.store.clone()));
    short_or_long(&mut appender, &bed.store, &[event(&one, 1, &payload), event(&two, 2, &payload)]).await;
    // Into another room, but the number of the organisation is taken.
    append(&other, &[event(&two, 3, &payload)]).await;
    let mine = [Append { key: Some("k"), ..event(&one, 4, &payload) }];
    if let Some(foreseen) = appender.foresee(&mine).unwrap() {
        assert_eq!(appender.append(foreseen).await.unwrap(), None);
    }
    assert!(appender.foresee(&mine).unwrap().is_none(), "what was wrong is forgotten");
    assert_eq!(all_after(&bed.store, &one, 0).await.len(), 1);
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &mine).await;
    assert_eq!((places(&done), at_once), (vec![(2, 4)], false));
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &[event(&one, 5, &payload)]).await;
    assert_eq!((places(&done), at_once), (vec![(3, 5)], bed.store.is_postgres()));
}

async fn a_key_that_is_known_is_found_whichever_way_an_event_goes(bed: &Bed) {
    let (payload, other, here) = (Payload::json("1"), Payload::json("2"), room("acme", "r:1"));
    let mut appender = Appender::new(bed.store.clone());
    let keyed = |key, number, at_ms| Append { key: Some(key), at_ms, ..event(&here, number, &payload) };
    short_or_long(&mut appender, &bed.store, &[event(&here, 1, &payload)]).await;
    let both = [keyed("a", 2, NOW), keyed("b", 3, NOW), event(&here, 4, &payload)];
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &both).await;
    assert_eq!((places(&done), at_once), (vec![(2, 2), (3, 3), (4, 4)], bed.store.is_postgres()));
    let again = [keyed("c", 5, NOW), keyed("b", 6, NOW + KEY_MS - 1), event(&here, 7, &payload)];
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &again).await;
    let was = Position::of(Epoch(u64::MAX - 1), 3, id(3));
    assert_eq!((done[1], at_once), (Appended::Duplicate { id: id(3), position: was }, false));
    assert_eq!(places(&[done[0], done[2]]), [(5, 5), (6, 6)]);
    let changed = [Append { payload: &other, ..keyed("a", 8, NOW) }];
    assert_eq!(short_or_long(&mut appender, &bed.store, &changed).await.0, [Appended::Conflict]);
    // Twice in one batch, and once it is no longer good.
    let twice = [keyed("d", 9, NOW), keyed("d", 10, NOW)];
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &twice).await;
    assert!(matches!(done[1], Appended::Duplicate { id: was, .. } if was == id(9)) && !at_once, "{done:?}");
    let late = [keyed("a", 11, NOW + KEY_MS)];
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &late).await;
    assert_eq!((places(&done), at_once), (vec![(8, 8)], bed.store.is_postgres()));
    let done = append(&bed.store, &[keyed("a", 12, NOW + KEY_MS)]).await;
    assert!(matches!(done[0], Appended::Duplicate { id: was, .. } if was == id(11)), "{done:?}");
    assert_eq!(all_after(&bed.store, &here, 0).await.len(), 8);
}

async fn where_a_room_has_gone_nothing_is_counted(bed: &Bed) {
    let (payload, gone, stays) = (Payload::json("1"), room("acme", "r:1"), room("acme", "r:2"));
    let mut appender = Appender::new(bed.store.clone());
    let batch = |first| [event(&gone, first, &payload), event(&stays, first + 1, &payload)];
    short_or_long(&mut appender, &bed.store, &batch(1)).await;
    let nothing = Kept { events: 0, bytes: 1, since_ms: 0 };
    tx!(bed.store, tx => tx.trim_log(&gone, &nothing).await.unwrap());
    assert!(tx!(bed.store, tx => tx.forget_log_room(&gone, 1).await.unwrap()));
    let later = batch(3);
    if let Some(foreseen) = appender.foresee(&later).unwrap() {
        assert_eq!(appender.append(foreseen).await.unwrap(), None);
    }
    assert_eq!(all_after(&bed.store, &stays, 0).await.len(), 1);
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &later).await;
    assert_eq!((places(&done), at_once), (vec![(1, 3), (2, 4)], false), "a new room, the same organisation");
    let (done, _) = short_or_long(&mut appender, &bed.store, &batch(5)).await;
    assert_eq!(places(&done), [(2, 5), (3, 6)]);
}

async fn nodes_that_append_at_once_in_several_organisations_leave_no_holes(bed: &Bed) {
    const WRITERS: u64 = 4;
    const BATCHES: u64 = 25;
    let orgs = ["b", "A", "ä"];
    let rooms: Vec<Room> = orgs.iter().flat_map(|org| [room(org, "r:1"), room(org, "r:2")]).collect();
    let other = bed.second().await;
    let (numbers, short) = (AtomicU64::new(1), AtomicU64::new(0));
    let write = async |writer: u64| {
        let store = if writer.is_multiple_of(2) { &bed.store } else { &other };
        let (mut appender, payload) = (Appender::new(store.clone()), Payload::json(format!("{writer}")));
        for batch in 0..BATCHES {
            // Each goes through the rooms in an order of its own, and has a while to itself.
            let order = (0..6).map(|at| &rooms[((at * [1, 5][writer as usize % 2] + batch) % 6) as usize]);
            let number = || numbers.fetch_add(1, Ordering::Relaxed);
            let events: Vec<_> = order.map(|room| event(room, number(), &payload)).collect();
            let (_, at_once) = short_or_long(&mut appender, store, &events).await;
            short.fetch_add(at_once.into(), Ordering::Relaxed);
        }
    };
    tokio::join!(write(0), write(1), write(2), write(3));
    write(4).await;
    let all = (WRITERS + 1) * BATCHES * 6;
    for of_org in rooms.chunks(2) {
        let mut sequences = Vec::new();
        for room in of_org {
            let events = all_after(&bed.store, room, 0).await;
            let offsets: Vec<_> = events.iter().map(|event| event.position.offset).collect();
            assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
            assert!(events.iter().all(|event| !event.damaged));
            assert!(events.is_sorted_by_key(|event| event.sequence));
            sequences.extend(events.iter().map(|event| event.sequence));
        }
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=all / 3).collect::<Vec<_>>());
    }
    // Who is alone goes the short way, but for the first time.
    let short = short.into_inner();
    assert!(if bed.store.is_postgres() { short >= BATCHES - 1 } else { short == 0 }, "{short}");
}

async fn an_append_that_is_given_up_leaves_an_appender_that_works(bed: &Bed) {
    let (payload, here) = (Payload::json("1"), room("acme", "r:1"));
    let mut appender = Appender::new(bed.store.clone());
    short_or_long(&mut appender, &bed.store, &[event(&here, 1, &payload)]).await;
    let batch = [event(&here, 2, &payload)];
    if let Some(foreseen) = appender.foresee(&batch).unwrap() {
        // Somebody holds the organisation's row, so that it cannot be done yet.
        let mut holds = bed.store.begin().await.unwrap();
        holds.run("UPDATE log_orgs SET sequence = sequence WHERE org = 'acme'", &[]).await.unwrap();
        let outcome = appender.append(foreseen).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "PostgreSQL ends it: {outcome:?}");
        drop(holds);
        let foreseen = appender.foresee(&batch).unwrap();
        assert!(foreseen.is_none(), "where it left the room is not known any more");
    }
    let (done, _) = short_or_long(&mut appender, &bed.store, &batch).await;
    assert_eq!(places(&done), [(2, 2)]);
    let (done, at_once) = short_or_long(&mut appender, &bed.store, &[event(&here, 3, &payload)]).await;
    assert_eq!((places(&done), at_once), (vec![(3, 3)], bed.store.is_postgres()));
}

/// Whether others of the database wait for somebody who holds a row, those of them who settle, and whether others work.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";
const SETTLING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE 'SELECT sequence FROM log_orgs %'";
const WORKING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'";

/// Waits until PostgreSQL counts so many.
async fn until(bed: &Bed, counted: &'static str, count: u64) {
    let looking = async {
        let (mut reader, mut looks) = (bed.store.read().await.unwrap(), interval(LOOK));
        while reader.row(counted, &[]).await.unwrap().unwrap().count(0).unwrap() != count {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never {count}: {counted}"));
}

/// Gives an append up while somebody holds its organisation's row, and says how many events the room has in the end.
async fn given_up(bed: &Bed, name: &str, settles: bool) -> usize {
    let (payload, here) = (Payload::json("1"), room(name, "r:1"));
    let mut appender = Appender::new(bed.store.clone());
    short_or_long(&mut appender, &bed.store, &[event(&here, 1, &payload)]).await;
    let batch = [event(&here, 2, &payload)];
    let foreseen = appender.foresee(&batch).unwrap().unwrap();
    let mut holds = bed.store.begin().await.unwrap();
    let hold = "UPDATE log_orgs SET sequence = sequence WHERE org = $1";
    assert_eq!(holds.run(hold, &[name.into()]).await.unwrap(), 1);
    tokio::select! {
        outcome = appender.append(foreseen) => panic!("somebody holds the row: {outcome:?}"),
        () = until(bed, WAITING, 1) => {}
    }
    if settles {
        let orgs = [here.org()];
        tokio::select! {
            settled = appender.settle(&orgs) => panic!("what holds the row may still commit: {settled:?}"),
            () = until(bed, SETTLING, 1) => {}
        }
    }
    holds.commit().await.unwrap();
    // What was given up and is on its way is done then.
    until(bed, WORKING, 0).await;
    all_after(&bed.store, &here, 0).await.len()
}

async fn what_was_given_up_is_not_stored_behind_the_back_of_who_settled_it(bed: &Bed) {
    if bed.store.is_postgres() {
        assert_eq!(given_up(bed, "acme", true).await, 1);
        assert_eq!(given_up(bed, "other", false).await, 2, "the control: it is on its way");
    }
}

async fn what_cannot_be_stored_is_refused_before_it_is_sent(bed: &Bed) {
    let (payload, here) = (Payload::json("1"), room("acme", "r:1"));
    let appender = Appender::new(bed.store.clone());
    let wrong = [Append { event: "", ..event(&here, 1, &payload) }];
    assert!(matches!(appender.foresee(&wrong), Err(StoreError::Invalid(_))));
}
