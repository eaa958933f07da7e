//! The log of durable rooms.

use std::sync::atomic::{AtomicU64, Ordering};

use tidings_core::{Epoch, MessageId, Org, Payload, Position, Room};
use tidings_store::log::{Append, Appended, KEY_MS, Kept, PAGE_EVENTS, Record};
use tidings_store::{Store, StoreError};

use crate::bed::{Bed, NOW, both, tx};

both!(
    offsets_count_each_room_and_sequences_count_its_organisation,
    an_event_is_read_as_it_was_appended,
    nothing_is_left_of_a_transaction_that_was_not_committed,
    an_event_with_a_key_is_appended_once,
    a_key_with_another_event_is_a_conflict,
    a_repeat_under_a_key_is_known_however_it_is_written,
    a_key_is_good_for_ten_minutes,
    nodes_that_append_at_once_leave_no_holes,
    a_page_is_bounded_by_count_and_by_bytes,
    a_room_outlives_its_events,
    rooms_are_walked_and_forgotten_only_as_they_were_seen,
    a_sequence_is_found_in_each_room,
    a_damaged_event_is_reported,
    names_and_keys_are_bounded,
    what_rooms_take_is_counted_in_bytes,
);

pub(crate) fn room(org: &str, name: &str) -> Room {
    Room::new(&Org::new(org), name, 200).unwrap()
}

pub(crate) fn id(number: u64) -> MessageId {
    // The highest bit is set: what has no sign here has one in the database.
    MessageId { node: u64::MAX - 7, number }
}

pub(crate) fn event<'a>(room: &'a Room, number: u64, payload: &'a Payload) -> Append<'a> {
    Append {
        room,
        epoch: Epoch(u64::MAX - 1),
        id: id(number),
        at_ms: NOW,
        event: "said",
        payload,
        key: None,
        batch: None,
    }
}

pub(crate) async fn append(store: &Store, events: &[Append<'_>]) -> Vec<Appended> {
    tx!(store, tx => tx.append(events).await.unwrap())
}

/// Everything of a room behind an offset, page by page.
pub(crate) async fn all_after(store: &Store, room: &Room, mut offset: u64) -> Vec<Record> {
    let mut reader = store.read().await.unwrap();
    let head = reader.log_room(room).await.unwrap().unwrap();
    let mut all: Vec<Record> = Vec::new();
    loop {
        let page = reader.log_after(&head, offset).await.unwrap();
        let Some(last) = page.last() else { return all };
        offset = last.position.offset;
        all.extend(page);
    }
}

pub(crate) fn places(done: &[Appended]) -> Vec<(u64, u64)> {
    let place = |one: &Appended| match one {
        Appended::At { position, sequence } => (position.offset, *sequence),
        other => panic!("{other:?}"),
    };
    done.iter().map(place).collect()
}

async fn offsets_count_each_room_and_sequences_count_its_organisation(bed: &Bed) {
    let payload = Payload::json("1");
    let (one, two, abroad) = (room("acme", "r:1"), room("acme", "r:2"), room("other", "r:1"));
    let batch = [
        event(&one, 1, &payload),
        event(&two, 2, &payload),
        event(&abroad, 3, &payload),
        event(&one, 4, &payload),
    ];
    assert_eq!(places(&append(&bed.store, &batch).await), [(1, 1), (1, 2), (1, 1), (2, 3)]);
    let batch = [event(&two, 5, &payload), event(&one, 6, &payload)];
    assert_eq!(places(&append(&bed.store, &batch).await), [(2, 4), (3, 5)]);
    assert_eq!(append(&bed.store, &[]).await, []);
    let mut reader = bed.store.read().await.unwrap();
    let head = reader.log_room(&one).await.unwrap().unwrap();
    assert_eq!(head.top, Position::of(Epoch(u64::MAX - 1), 3, id(6)));
    assert_eq!(reader.log_room(&room("acme", "r:3")).await.unwrap(), None);
}

async fn an_event_is_read_as_it_was_appended(bed: &Bed) {
    let room = room("acme", "r:1");
    let mut payload = Payload::json(r#"{"a":{"_placeholder":true,"num":0},"b":"ü\u0000"}"#);
    payload.attachments = Box::new([vec![0, 1, 255].into(), Vec::new().into()]);
    let done = append(&bed.store, &[event(&room, u64::MAX, &payload)]).await;
    let Appended::At { position, sequence } = done[0] else { panic!("{done:?}") };
    let expected = Record {
        id: id(u64::MAX),
        position,
        sequence,
        at_ms: NOW,
        event: "said".into(),
        payload,
        damaged: false,
    };
    assert_eq!(all_after(&bed.store, &room, 0).await, [expected]);
}

async fn nothing_is_left_of_a_transaction_that_was_not_committed(bed: &Bed) {
    let payload = Payload::json("1");
    let (known, new) = (room("acme", "r:1"), room("acme", "r:2"));
    append(&bed.store, &[event(&known, 1, &payload)]).await;
    let mut tx = bed.store.begin().await.unwrap();
    let batch = [Append { key: Some("k"), ..event(&known, 2, &payload) }, event(&new, 3, &payload)];
    assert_eq!(places(&tx.append(&batch).await.unwrap()), [(2, 2), (1, 3)]);
    drop(tx);
    assert_eq!(bed.store.read().await.unwrap().log_room(&new).await.unwrap(), None);
    assert_eq!(places(&append(&bed.store, &batch).await), [(2, 2), (1, 3)]);
}

async fn an_event_with_a_key_is_appended_once(bed: &Bed) {
    let payload = Payload::json("1");
    let (one, two) = (room("acme", "r:1"), room("acme", "r:2"));
    let keyed = |room, number| Append { key: Some("k"), ..event(room, number, &payload) };
    let first = append(&bed.store, &[event(&one, 1, &payload), keyed(&one, 2)]).await;
    assert_eq!(places(&first), [(1, 1), (2, 2)]);
    let was = Appended::Duplicate { id: id(2), position: Position::of(Epoch(u64::MAX - 1), 2, id(2)) };
    // In another transaction, in the same one twice, among others; and a key of another room is another key.
    let batch = [keyed(&one, 3), event(&one, 4, &payload), keyed(&one, 5), keyed(&two, 6), keyed(&two, 7)];
    let second = append(&bed.store, &batch).await;
    assert_eq!((second[0], second[2]), (was, was));
    assert_eq!(places(&[second[1], second[3]]), [(3, 3), (1, 4)]);
    let twice = Appended::Duplicate { id: id(6), position: Position::of(Epoch(u64::MAX - 1), 1, id(6)) };
    assert_eq!(second[4], twice);
    assert_eq!(append(&bed.store, &[keyed(&one, 8)]).await, [was]);
    assert_eq!(all_after(&bed.store, &one, 0).await.len(), 3);
    assert_eq!(places(&append(&bed.store, &[event(&one, 9, &payload)]).await), [(4, 5)]);
}

async fn a_key_with_another_event_is_a_conflict(bed: &Bed) {
    let room = room("acme", "r:1");
    let (payload, other) = (Payload::json("1"), Payload::json("2"));
    let keyed = |payload| Append { key: Some("k"), ..event(&room, 1, payload) };
    append(&bed.store, &[keyed(&payload)]).await;
    let mut attached = Payload::json("1");
    attached.attachments = Box::new([vec![1].into()]);
    let renamed = Append { event: "sung", ..keyed(&payload) };
    let done = append(&bed.store, &[keyed(&other), keyed(&attached), renamed]).await;
    assert_eq!(done, [Appended::Conflict; 3]);
    assert_eq!(all_after(&bed.store, &room, 0).await.len(), 1);
}

async fn a_repeat_under_a_key_is_known_however_it_is_written(bed: &Bed) {
    let room = room("acme", "r:1");
    let keyed = |payload| Append { key: Some("k"), ..event(&room, 1, payload) };
    let first = Payload::json(r#"{"name":"\u00e9","at":[1,2]}"#);
    append(&bed.store, &[keyed(&first)]).await;
    let spaced = Payload::json("{ \"at\": [1, 2], \"name\": \"\u{e9}\" }");
    let other = Payload::json(r#"{"at":[2,1],"name":"\u00e9"}"#);
    let done = append(&bed.store, &[keyed(&spaced), keyed(&other)]).await;
    assert!(matches!(done[..], [Appended::Duplicate { .. }, Appended::Conflict]), "{done:?}");
    assert_eq!(all_after(&bed.store, &room, 0).await.len(), 1);
}

async fn a_key_is_good_for_ten_minutes(bed: &Bed) {
    let (room, payload) = (room("acme", "r:1"), Payload::json("1"));
    let keyed = |number, at_ms| Append { key: Some("k"), at_ms, ..event(&room, number, &payload) };
    append(&bed.store, &[keyed(1, NOW)]).await;
    let done = append(&bed.store, &[keyed(2, NOW + KEY_MS - 1)]).await;
    assert!(matches!(done[0], Appended::Duplicate { .. }));
    assert_eq!(places(&append(&bed.store, &[keyed(3, NOW + KEY_MS)]).await), [(2, 2)]);
    assert_eq!(tx!(bed.store, tx => tx.prune_log_keys(NOW + 2 * KEY_MS - 1).await.unwrap()), 0);
    assert_eq!(tx!(bed.store, tx => tx.prune_log_keys(NOW + 2 * KEY_MS).await.unwrap()), 1);
}

async fn nodes_that_append_at_once_leave_no_holes(bed: &Bed) {
    const WRITERS: u64 = 6;
    const BATCHES: u64 = 12;
    let rooms: Vec<_> = (0..4).map(|number| room("acme", &format!("r:{number}"))).collect();
    let other = bed.second().await;
    let numbers = AtomicU64::new(1);
    let write = async |writer: u64| {
        let store = if writer.is_multiple_of(2) { &bed.store } else { &other };
        for batch in 0..BATCHES {
            let payload = Payload::json(format!("{writer}"));
            // Each goes through the rooms in an order of its own.
            let order = (0..4).map(|at| &rooms[((at * (writer + 1) + batch) % 4) as usize]);
            let events: Vec<_> =
                order.map(|room| event(room, numbers.fetch_add(1, Ordering::Relaxed), &payload)).collect();
            append(store, &events).await;
        }
    };
    tokio::join!(write(0), write(1), write(2), write(3), write(4), write(5));
    let mut sequences = Vec::new();
    for room in &rooms {
        let events = all_after(&bed.store, room, 0).await;
        let offsets: Vec<_> = events.iter().map(|event| event.position.offset).collect();
        assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
        assert!(events.is_sorted_by_key(|event| event.sequence));
        sequences.extend(events.iter().map(|event| event.sequence));
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=WRITERS * BATCHES * 4).collect::<Vec<_>>());
}

async fn a_page_is_bounded_by_count_and_by_bytes(bed: &Bed) {
    let (small, large) = (room("acme", "r:small"), room("acme", "r:large"));
    let payload = Payload::json("1");
    let events: Vec<_> = (0..300).map(|number| event(&small, number, &payload)).collect();
    append(&bed.store, &events).await;
    let payload = Payload::json(format!("\"{}\"", "x".repeat(100 * 1024)));
    let events: Vec<_> = (300..305).map(|number| event(&large, number, &payload)).collect();
    append(&bed.store, &events).await;
    let mut reader = bed.store.read().await.unwrap();
    let head = reader.log_room(&small).await.unwrap().unwrap();
    assert_eq!(reader.log_after(&head, 0).await.unwrap().len(), PAGE_EVENTS as usize);
    assert_eq!(reader.log_after(&head, 290).await.unwrap().len(), 10);
    let head = reader.log_room(&large).await.unwrap().unwrap();
    // The third crosses 256 KB.
    assert_eq!(reader.log_after(&head, 1).await.unwrap().len(), 3);
    drop(reader);
    assert_eq!(all_after(&bed.store, &large, 0).await.len(), 5);
}

async fn a_room_outlives_its_events(bed: &Bed) {
    let (room, payload) = (room("acme", "r:1"), Payload::json("12345678"));
    let events: Vec<_> =
        (1..=10).map(|number| Append { at_ms: NOW + number, ..event(&room, number, &payload) }).collect();
    append(&bed.store, &events).await;
    let kept = Kept { events: 8, bytes: u64::MAX >> 1, since_ms: 0 };
    let trim = async |kept: Kept| tx!(bed.store, tx => tx.trim_log(&room, &kept).await.unwrap());
    assert_eq!(trim(kept).await, 2);
    assert_eq!(trim(kept).await, 0);
    // "said" and eight bytes of data: five of them fit.
    assert_eq!(trim(Kept { bytes: 60, ..kept }).await, 3);
    assert_eq!(trim(Kept { since_ms: NOW + 8, ..kept }).await, 2);
    let offsets: Vec<_> =
        all_after(&bed.store, &room, 0).await.iter().map(|event| event.position.offset).collect();
    assert_eq!(offsets, [8, 9, 10]);
    let before = bed.store.read().await.unwrap().log_room(&room).await.unwrap().unwrap();
    assert_eq!((before.trimmed, before.trimmed_sequence), (7, 7));
    assert_eq!(trim(Kept { events: 0, ..kept }).await, 3);
    let after = bed.store.read().await.unwrap().log_room(&room).await.unwrap().unwrap();
    assert_eq!((after.top, after.trimmed, after.trimmed_sequence), (before.top, 10, 10));
    assert_eq!(places(&append(&bed.store, &[event(&room, 11, &payload)]).await), [(11, 11)]);
}

async fn rooms_are_walked_and_forgotten_only_as_they_were_seen(bed: &Bed) {
    let payload = Payload::json("1");
    let rooms: Vec<_> = (0..3).map(|number| room("acme", &format!("r:{number}"))).collect();
    let trim = Kept { events: 0, bytes: 1, since_ms: 0 };
    for (number, room) in (1..).zip(&rooms) {
        append(&bed.store, &[event(room, number, &payload)]).await;
    }
    tx!(bed.store, tx => tx.trim_log(&rooms[0], &trim).await.unwrap());
    let walk = async |behind, most| bed.store.read().await.unwrap().log_rooms(behind, most).await.unwrap();
    let first = walk(0, 2).await;
    let second = walk(first[1].place, 2).await;
    let seen: Vec<_> =
        first.iter().chain(&second).map(|room| (room.room.clone(), room.top, room.oldest_ms)).collect();
    let expected =
        [(rooms[0].clone(), 1, None), (rooms[1].clone(), 1, Some(NOW)), (rooms[2].clone(), 1, Some(NOW))];
    assert_eq!(seen, expected);
    let forget =
        async |at: usize, top| tx!(bed.store, tx => tx.forget_log_room(&rooms[at], top).await.unwrap());
    // One that keeps events, one to which something was appended since, and the one that is idle.
    assert!(!forget(1, 1).await);
    append(&bed.store, &[event(&rooms[0], 4, &payload)]).await;
    assert!(!forget(0, 1).await);
    tx!(bed.store, tx => tx.trim_log(&rooms[0], &trim).await.unwrap());
    assert!(forget(0, 2).await);
    assert_eq!(walk(0, 9).await.len(), 2);
}

async fn a_sequence_is_found_in_each_room(bed: &Bed) {
    let payload = Payload::json("1");
    let (one, two) = (room("acme", "r:1"), room("acme", "r:2"));
    for number in 1..=3 {
        append(&bed.store, &[event(&one, 2 * number, &payload), event(&two, 2 * number + 1, &payload)]).await;
    }
    let mut reader = bed.store.read().await.unwrap();
    let (first, second) =
        (reader.log_room(&one).await.unwrap().unwrap(), reader.log_room(&two).await.unwrap().unwrap());
    for (sequence, offsets) in [(0, (0, 0)), (1, (1, 0)), (4, (2, 2)), (5, (3, 2)), (99, (3, 3))] {
        let one = reader.log_offset_of(&first, sequence).await.unwrap();
        let two = reader.log_offset_of(&second, sequence).await.unwrap();
        assert_eq!((one, two), offsets, "sequence {sequence}");
    }
}

async fn a_damaged_event_is_reported(bed: &Bed) {
    let (room, payload) = (room("acme", "r:1"), Payload::json("1"));
    append(&bed.store, &[event(&room, 1, &payload), event(&room, 2, &payload)]).await;
    for damage in ["event = 'sung'", "sequence = 7", "at_ms = 1", "number = 9"] {
        bed.behind(&format!("UPDATE log_events SET {damage} WHERE place = 1")).await.unwrap();
        let mut reader = bed.store.read().await.unwrap();
        let head = reader.log_room(&room).await.unwrap().unwrap();
        let found = reader.log_after(&head, 0).await.unwrap();
        let damaged: Vec<_> = found.iter().map(|event| (event.position.offset, event.damaged)).collect();
        assert_eq!(damaged, [(1, true), (2, false)], "{damage}");
        assert_eq!((found[0].event.as_str(), found[0].payload.text()), ("", "null"));
        assert_eq!(reader.log_after(&head, 1).await.unwrap().len(), 1);
        drop(reader);
        let mend = format!(
            "UPDATE log_events SET event = 'said', sequence = 1, at_ms = {NOW}, number = 1 WHERE place = 1"
        );
        bed.behind(&mend).await.unwrap();
    }
    assert_eq!(all_after(&bed.store, &room, 0).await.len(), 2);
}

async fn names_and_keys_are_bounded(bed: &Bed) {
    let (room, payload) = (room("acme", "r:1"), Payload::json("1"));
    let long = "x".repeat(129);
    for wrong in [
        Append { key: Some(&long), ..event(&room, 1, &payload) },
        Append { key: Some(""), ..event(&room, 1, &payload) },
        Append { event: "", ..event(&room, 1, &payload) },
    ] {
        let mut tx = bed.store.begin().await.unwrap();
        assert!(matches!(tx.append(&[wrong]).await, Err(StoreError::Invalid(_))));
    }
}

async fn what_rooms_take_is_counted_in_bytes(bed: &Bed) {
    let (small, large, abroad) = (room("acme", "r:1"), room("acme", "r:2"), room("other", "r:1"));
    let (short, long) = (Payload::json("1"), Payload::json("\"xxxxxxxxxxxxxxxxxx\""));
    // 5 bytes each, 24 bytes each.
    let keyed = |number| Append { key: Some("k"), ..event(&large, number, &long) };
    append(&bed.store, &[event(&small, 1, &short), event(&large, 2, &long), keyed(3), keyed(4)]).await;
    append(&bed.store, &[keyed(5), event(&large, 6, &long), event(&abroad, 7, &short)]).await;
    let over = |bytes| async move { bed.store.read().await.unwrap().log_orgs_over(bytes).await.unwrap() };
    assert_eq!(over(5).await, [(Org::new("acme"), 5 + 3 * 24)]);
    assert_eq!(over(77).await, []);
    let largest = || async {
        bed.store.read().await.unwrap().log_largest_room(&Org::new("acme")).await.unwrap().unwrap()
    };
    assert_eq!(largest().await, (large.clone(), 72));
    let kept = Kept { events: u64::MAX, bytes: 30, since_ms: 0 };
    assert_eq!(tx!(bed.store, tx => tx.trim_log(&large, &kept).await.unwrap()), 2);
    assert_eq!(largest().await, (large.clone(), 24));
    let mut reader = bed.store.read().await.unwrap();
    let head = reader.log_room(&large).await.unwrap().unwrap();
    for (offset, sequence) in [(0, 3), (2, 3), (3, 4), (9, 4)] {
        assert_eq!(reader.log_sequence_at(&head, offset).await.unwrap(), sequence, "{offset}");
    }
    assert_eq!(reader.log_sequence(&Org::new("acme")).await.unwrap(), 4);
    assert_eq!(reader.log_sequence(&Org::new("nobody")).await.unwrap(), 0);
    let mut sequences = reader.log_sequences().await.unwrap();
    sequences.sort_unstable_by_key(|(_, sequence)| *sequence);
    assert_eq!(sequences, [(Org::new("other"), 1), (Org::new("acme"), 4)]);
}
