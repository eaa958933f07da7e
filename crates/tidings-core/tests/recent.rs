//! The newest events of a room: what is kept, and when a reader is told that something is missing.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{DAY_MS, room};
use tidings_core::recent::{KeyRecord, Read, Recent};
use tidings_core::{Epoch, MessageId, Payload, Position, Publication};

const EPOCH: Epoch = Epoch(7);
const TTL_MS: u64 = 10_000;

fn id(number: u64) -> MessageId {
    MessageId { node: 1, number }
}

/// Appends the next event; its sequence is ten times its offset.
fn append(recent: &mut Recent, at_ms: u64) -> Position {
    let number = recent.top().offset + 1;
    let position = recent.next(id(number));
    recent.append(Arc::new(Publication {
        position: Some(position),
        sequence: 10 * number,
        durable: 100 * number,
        ..Publication::new(room("rec:1"), "e", Payload::json("1"), id(number), at_ms)
    }));
    position
}

/// A history that keeps `size` events, after `count` of them.
fn recent(size: usize, count: usize) -> Recent {
    let mut recent = Recent::new(EPOCH, size, Duration::from_millis(TTL_MS), usize::MAX);
    for _ in 0..count {
        append(&mut recent, 0);
    }
    recent
}

fn offsets(read: &Read) -> Vec<u64> {
    read.events.iter().map(|event| event.position.unwrap().offset).collect()
}

fn at(offset: u64) -> Position {
    Position::of(EPOCH, offset, id(offset))
}

#[test]
fn only_the_newest_events_are_kept() {
    for size in [0, 1, 3] {
        let recent = recent(size, 5);
        assert_eq!(recent.top(), at(5));
        assert_eq!(offsets(&recent.newest(9)), (6 - size as u64..=5).collect::<Vec<_>>());
    }
}

#[test]
fn the_events_take_so_many_bytes_together_and_the_newest_is_kept_whatever_it_takes() {
    let of_one = {
        let recent = recent(9, 1);
        recent.newest(1).events.pop().unwrap().bytes()
    };
    for (most, kept) in [(usize::MAX, 5), (3 * of_one, 3), (3 * of_one - 1, 2), (1, 1)] {
        let mut recent = Recent::new(EPOCH, 9, Duration::from_millis(TTL_MS), most);
        for _ in 0..5 {
            append(&mut recent, 0);
        }
        assert_eq!(offsets(&recent.newest(9)), (6 - kept..=5).collect::<Vec<_>>(), "{most} bytes");
        assert!(recent.after(at(5 - kept), 9).complete);
        assert!(kept == 5 || !recent.after(at(4 - kept), 9).complete, "one more is missed");
        recent.expire(TTL_MS);
        assert!(recent.newest(9).events.is_empty());
    }
}

#[test]
fn the_newest_so_many_are_read_oldest_first() {
    let recent = recent(4, 6);
    assert_eq!(offsets(&recent.newest(2)), [5, 6]);
    assert_eq!(offsets(&recent.newest(0)), [0; 0]);
    assert!(recent.newest(99).complete);
}

#[test]
fn what_is_after_a_position_is_complete_as_long_as_all_of_it_is_kept() {
    // Offsets 4, 5 and 6 are kept.
    let recent = recent(3, 6);
    let strange = Position { tag: at(5).tag ^ 1, ..at(5) };
    let strange_top = Position { tag: at(6).tag ^ 1, ..at(6) };
    let other_epoch = Position { epoch: Epoch(8), ..at(5) };
    let untagged = Position { tag: 0, ..at(5) };
    let cases = [
        ("the top", at(6), &[][..], true),
        ("inside", at(5), &[6], true),
        ("without a tag", untagged, &[6], true),
        ("the newest that is no longer kept", at(3), &[4, 5, 6], true),
        ("one before it", at(2), &[4, 5, 6], false),
        ("the start", Position::start(EPOCH), &[4, 5, 6], false),
        ("the future", at(7), &[4, 5, 6], false),
        ("the end of time", at(u64::MAX), &[4, 5, 6], false),
        ("another message there", strange, &[4, 5, 6], false),
        ("another message at the top", strange_top, &[4, 5, 6], false),
        ("another epoch", other_epoch, &[4, 5, 6], false),
        ("the top of another epoch", Position { epoch: Epoch(8), ..at(6) }, &[4, 5, 6], false),
    ];
    for (name, since, events, complete) in cases {
        let read = recent.after(since, usize::MAX);
        assert_eq!((offsets(&read), read.complete, read.top), (events.to_vec(), complete, at(6)), "{name}");
    }
}

#[test]
fn an_empty_history_has_nothing_to_miss() {
    let read = recent(3, 0).after(Position::start(EPOCH), 9);
    assert!(read.complete && read.events.is_empty());
    assert!(!recent(3, 0).after(Position::start(Epoch(8)), 9).complete);
    assert!(!recent(3, 0).after(at(1), 9).complete);
}

#[test]
fn a_limit_takes_the_oldest_so_that_the_rest_can_follow() {
    let recent = recent(9, 6);
    assert_eq!(offsets(&recent.after(at(1), 2)), [2, 3]);
    assert_eq!(offsets(&recent.after(at(3), 2)), [4, 5]);
}

#[test]
fn what_came_after_a_sequence_is_complete_as_long_as_all_of_it_is_kept() {
    // Sequences 40, 50 and 60 are kept.
    let recent = recent(3, 6);
    for (sequence, events, complete) in [
        (60, &[][..], true),
        (99, &[], true),
        (59, &[6], true),
        (40, &[5, 6], true),
        (30, &[4, 5, 6], true),
        (29, &[4, 5, 6], false),
        (0, &[4, 5, 6], false),
    ] {
        let read = recent.after_sequence(sequence);
        assert_eq!((offsets(&read), read.complete), (events.to_vec(), complete), "after {sequence}");
        let read = recent.after_durable(10 * sequence);
        assert_eq!(
            (offsets(&read), read.complete),
            (events.to_vec(), complete),
            "after {sequence}0 in the log"
        );
    }
}

#[test]
fn what_was_stored_begins_behind_what_is_no_longer_kept() {
    let mut filled = recent(9, 6);
    let events = filled.after_durable(200).events.into();
    let stored = Recent::stored(filled.top(), 200, 9, Duration::from_millis(TTL_MS), usize::MAX, events, 0);
    assert_eq!(offsets(&stored.after_durable(200)), [3, 4, 5, 6]);
    assert!(stored.after_durable(200).complete && !stored.after_durable(199).complete);
    assert_eq!((stored.read_to(), filled.read_to()), (600, 0));
    // Whoever was away while nothing was said has missed nothing, though nothing is kept.
    filled.expire(TTL_MS);
    assert!(filled.after_durable(600).complete && !filled.after_durable(599).complete);
}

#[test]
fn an_event_is_kept_for_its_time_and_no_longer() {
    let mut recent = recent(9, 0);
    append(&mut recent, 0);
    append(&mut recent, 5_000);
    recent.expire(TTL_MS - 1);
    assert_eq!(offsets(&recent.newest(9)), [1, 2]);
    recent.expire(TTL_MS);
    assert_eq!(offsets(&recent.newest(9)), [2]);
    assert!(!recent.after(Position::start(EPOCH), 9).complete);
    assert!(!recent.after_sequence(9).complete);
    assert!(recent.after_sequence(10).complete);
}

#[test]
fn being_away_while_nothing_was_published_is_no_gap() {
    let mut recent = recent(9, 2);
    recent.expire(TTL_MS);
    let read = recent.after(at(2), 9);
    assert!(read.complete && read.events.is_empty());
    assert!(!recent.after(at(1), 9).complete);
    assert!(!recent.after(Position { tag: at(2).tag ^ 1, ..at(2) }, 9).complete);
}

#[test]
fn who_may_not_read_the_history_hears_only_what_followed_a_message_it_knows() {
    let recent = recent(3, 5);
    let table = [
        (at(5), &[][..], true),
        (Position { tag: 0, ..at(5) }, &[], true),
        (at(4), &[5], true),
        (at(3), &[4, 5], true),
        (Position { tag: 0, ..at(3) }, &[], false),
        (Position { tag: at(3).tag ^ 1, ..at(3) }, &[], false),
        (Position { tag: at(5).tag ^ 1, ..at(5) }, &[], false),
        (at(2), &[], false),
        (Position::start(EPOCH), &[], false),
        (Position { epoch: Epoch(EPOCH.0 + 1), ..at(3) }, &[], false),
        (Position { offset: 6, ..at(5) }, &[], false),
        (Position { offset: u64::MAX, ..at(5) }, &[], false),
    ];
    for (since, events, complete) in table {
        let read = recent.after_heard(since);
        assert_eq!((offsets(&read), read.complete), (events.to_vec(), complete), "after {since:?}");
    }
}

#[test]
fn a_key_is_known_for_ten_minutes() {
    let mut recent = recent(9, 0);
    let record = KeyRecord { body: 1, id: id(1), position: None, at_ms: 1_000 };
    recent.remember("k", record);
    recent.expire(600_999);
    assert_eq!(recent.key("k").map(|known| (known.body, known.id)), Some((1, id(1))));
    recent.expire(601_000);
    assert!(recent.key("k").is_none());
}

#[test]
fn only_the_last_ten_thousand_keys_are_known() {
    let mut recent = recent(9, 0);
    for number in 0..=10_000 {
        let record = KeyRecord { body: number, id: id(number), position: None, at_ms: 0 };
        recent.remember(&format!("k{number}"), record);
    }
    assert!(recent.key("k0").is_none());
    assert!(recent.key("k1").is_some() && recent.key("k10000").is_some());
}

#[test]
fn a_history_retires_a_day_after_its_last_event() {
    let mut fresh = recent(9, 0);
    assert!(fresh.retire(0) && fresh.is_retired());
    let mut used = recent(9, 1);
    assert!(!used.retire(0), "an event is kept");
    assert!(!used.retire(DAY_MS - 1), "its position is still known");
    assert!(!used.is_retired());
    assert!(used.retire(DAY_MS));
}

#[test]
fn a_history_does_not_retire_while_a_key_is_known() {
    let mut recent = recent(9, 0);
    recent.remember("k", KeyRecord { body: 1, id: id(1), position: None, at_ms: 0 });
    assert!(!recent.retire(599_999));
    assert!(recent.retire(600_000));
}
