//! Rooms whose events are paced: what is heard, what is recorded, and what publishers are told.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Kept, event, recent, room, spec};
use tidings_core::pace::{HELD_BYTES, Pacing, Per};
use tidings_core::{
    Code, From, Hub, Keep, Kinds, Node, Payload, Post, Publish, QueueLimits, RoomSpec, Shard,
};

const SECOND: Pacing = Pacing::Throttle { interval_ms: 1_000, per: Per::Slot };
const BATCH: Pacing = Pacing::Batch { wait_ms: 100, most: 3 };

fn kinds(pacing: Pacing) -> Kinds {
    let mut kinds = Kinds::default();
    kinds.declare("vol", RoomSpec { pacing: Some(pacing), ..spec(Keep::Nothing) });
    kinds.declare("rec", RoomSpec { pacing: Some(pacing), ..spec(recent(100)) });
    kinds.declare("free", spec(recent(100)));
    kinds
}

/// A node with one shard that has a member in a `vol` and a `rec` room; and its mailbox.
fn node(pacing: Pacing) -> (Node, Shard, Kept) {
    let kept = Kept::endless();
    let hub = Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]);
    let node = Node::new(hub, kinds(pacing), 5);
    let mut shard = Shard::new(0, Arc::new(tidings_core::frame::Namespaces::new([])), QueueLimits::default());
    let slot = shard.open().slot;
    for name in ["vol:1", "rec:1", "free:1"] {
        node.join(&mut shard, slot, common::plain(), &common::anyone(), &room(name), From::Now).unwrap();
    }
    (node, shard, kept)
}

fn heard(kept: &Kept) -> Vec<String> {
    let letters = std::mem::take(&mut *kept.mail.lock().unwrap());
    letters.iter().map(|letter| format!("{}={}", letter.event, letter.payload.text())).collect()
}

fn of<'a>(name: &str, slot: &'a str, data: &'static str) -> Publish<'a> {
    Publish { slot: Some(slot), payload: Payload::json(data), ..event(name, "price") }
}

#[test]
fn of_one_slot_the_newest_is_heard_once_an_interval_and_other_slots_do_not_wait() {
    let (node, _shard, kept) = node(SECOND);
    for name in ["vol:1", "rec:1"] {
        assert!(!node.publish(of(name, "A", "1"), None, 0).unwrap().held);
        assert!(node.publish(of(name, "A", "2"), None, 100).unwrap().held);
        assert!(node.publish(of(name, "A", "3"), None, 200).unwrap().held);
        assert!(!node.publish(of(name, "B", "9"), None, 300).unwrap().held);
        assert_eq!(heard(&kept), ["price=1", "price=9"]);
    }
    assert_eq!(node.release(999), Some(1_000));
    assert!(heard(&kept).is_empty());
    assert_eq!(node.release(1_000), Some(1_300));
    assert_eq!(heard(&kept), ["price=3", "price=3"]);
    assert_eq!((node.pace_counts().held, node.pace_counts().replaced), (4, 2));
    assert_eq!(node.release(5_000), None, "valves that hold nothing are forgotten");
}

#[test]
fn who_has_read_the_clock_a_moment_before_what_waits_came_releases_nothing_and_goes_on() {
    for pacing in [SECOND, BATCH] {
        let (node, _shard, kept) = node(pacing);
        for number in ["1", "2"] {
            node.publish(of("vol:1", "A", number), None, 50_000).unwrap();
        }
        let at_once = heard(&kept).len();
        for before in [49_999, 49_000, 41_000] {
            assert!(node.release(before).is_some_and(|due| due > 50_000), "{before}");
            assert!(heard(&kept).is_empty(), "{before}");
        }
        // Put back for good it is noticed, and nothing waits for hours.
        let _ = node.release(10_000);
        assert_eq!(at_once + heard(&kept).len(), if pacing == SECOND { 2 } else { 1 });
    }
}

#[test]
fn only_what_comes_through_is_recorded_so_offsets_have_no_holes() {
    let (node, _shard, kept) = node(SECOND);
    let first = node.publish(of("rec:1", "A", "1"), None, 0).unwrap();
    assert_eq!(first.position.unwrap().offset, 1);
    for number in ["2", "3", "4"] {
        assert_eq!(node.publish(of("rec:1", "A", number), None, 10).unwrap().position, None);
    }
    let _ = node.release(1_000);
    let offsets: Vec<u64> =
        kept.mail.lock().unwrap().iter().map(|letter| letter.position.unwrap().offset).collect();
    assert_eq!((offsets, heard(&kept)), (vec![1, 2], vec!["price=1".into(), "price=4".into()]));
    let read = node.history(&common::anyone(), &room("rec:1"), None, 10).unwrap().unwrap();
    assert_eq!((read.top.offset, read.events.len()), (2, 2));
}

#[test]
fn the_id_a_publisher_was_told_is_the_one_that_is_heard_later() {
    let (node, _shard, kept) = node(SECOND);
    node.publish(of("rec:1", "A", "1"), None, 0).unwrap();
    let held = node.publish(of("rec:1", "A", "2"), None, 1).unwrap();
    let _ = node.release(1_000);
    assert_eq!(kept.mail.lock().unwrap().last().unwrap().id, held.id);
}

#[test]
fn a_key_stands_for_what_was_held_and_for_what_was_replaced() {
    let (node, _shard, kept) = node(SECOND);
    let keyed = |key, data| Publish { key: Some(key), ..of("rec:1", "A", data) };
    node.publish(of("rec:1", "A", "1"), None, 0).unwrap();
    let replaced = node.publish(keyed("k1", "2"), None, 1).unwrap();
    let held = node.publish(keyed("k2", "3"), None, 2).unwrap();
    let again = node.publish(keyed("k2", "3"), None, 3).unwrap();
    assert!(again.duplicate && again.id == held.id && again.position.is_none());
    assert_eq!(node.publish(keyed("k2", "4"), None, 4).unwrap_err().code, Code::Conflict);
    let _ = node.release(1_000);
    let again = node.publish(keyed("k2", "3"), None, 1_001).unwrap();
    assert!(again.duplicate && again.position.unwrap().offset == 2, "by then it has its place");
    let again = node.publish(keyed("k1", "2"), None, 1_002).unwrap();
    assert!(again.duplicate && again.id == replaced.id && again.position.is_none());
    assert_eq!(heard(&kept), ["price=1", "price=3"]);
}

#[test]
fn a_batch_leaves_in_order_and_the_one_that_fills_it_knows_its_place() {
    let (node, _shard, kept) = node(BATCH);
    for number in ["1", "2"] {
        let payload = Payload::json(number);
        assert!(node.publish(Publish { payload, ..event("rec:1", "e") }, None, 0).unwrap().held);
    }
    let last =
        node.publish(Publish { payload: Payload::json("3"), ..event("rec:1", "f") }, None, 50).unwrap();
    assert_eq!((last.held, last.position.unwrap().offset), (false, 3));
    assert_eq!(heard(&kept), ["e=1", "e=2", "f=3"]);
    node.publish(event("rec:1", "g"), None, 60).unwrap();
    assert_eq!(node.release(60), Some(160));
    assert_eq!(node.release(160), None);
    assert_eq!(heard(&kept), ["g=1"]);
}

#[test]
fn what_is_due_is_not_overtaken_by_what_is_published_before_it_is_released() {
    let (node, _shard, kept) = node(SECOND);
    node.publish(of("rec:1", "A", "1"), None, 0).unwrap();
    node.publish(of("rec:1", "A", "2"), None, 1).unwrap();
    assert!(node.publish(of("rec:1", "A", "3"), None, 1_500).unwrap().held);
    assert_eq!(heard(&kept), ["price=1", "price=2"]);
    let _ = node.release(2_500);
    assert_eq!(heard(&kept), ["price=3"]);
}

#[test]
fn too_much_is_refused_with_the_time_to_wait() {
    let (node, _shard, _) = node(SECOND);
    let large = |slot| {
        let payload = Payload::json(vec![b'1'; HELD_BYTES / 2 + 1]);
        Publish { slot: Some(slot), payload, ..event("vol:1", "e") }
    };
    for slot in ["A", "B"] {
        assert!(!node.publish(large(slot), None, 0).unwrap().held);
    }
    assert!(node.publish(large("A"), None, 1).unwrap().held);
    let refused = node.publish(large("B"), None, 1).unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::RateLimited, Some(1_000)));
    assert_eq!(node.pace_counts().refused, 1);
    assert!(!node.publish(event("free:1", "e"), None, 1).unwrap().held, "others do not notice");
}

#[test]
fn whoever_releases_is_woken_when_something_is_due_earlier_than_it_knows() {
    let (node, _shard, _) = node(SECOND);
    let woken = Arc::new(AtomicU32::new(0));
    let count = woken.clone();
    node.on_held(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    node.publish(of("rec:1", "A", "1"), None, 500).unwrap();
    node.publish(of("rec:1", "B", "1"), None, 600).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "of what is due later it hears when it comes for the first");
    node.publish(of("vol:1", "A", "1"), None, 100).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 2);
}

#[test]
fn an_event_whose_kind_is_gone_by_then_is_counted_as_lost() {
    let (node, _shard, kept) = node(SECOND);
    node.publish(of("vol:1", "A", "1"), None, 0).unwrap();
    node.publish(of("vol:1", "A", "2"), None, 1).unwrap();
    node.replace_kinds(Kinds::default());
    let _ = node.release(1_000);
    assert_eq!((heard(&kept), node.pace_counts().lost), (vec!["price=1".to_owned()], 1));
}

#[test]
fn another_pace_takes_effect_with_the_next_event_and_loses_nothing() {
    let (node, _shard, kept) = node(SECOND);
    node.publish(of("vol:1", "A", "1"), None, 0).unwrap();
    node.publish(of("vol:1", "A", "2"), None, 1).unwrap();
    node.replace_kinds(kinds(BATCH));
    assert!(node.publish(of("vol:1", "A", "3"), None, 2).unwrap().held);
    assert_eq!(heard(&kept), ["price=1", "price=2"]);
    let _ = node.release(102);
    assert_eq!(heard(&kept), ["price=3"]);
}

#[test]
fn a_shard_that_publishes_hears_what_comes_through_at_once() {
    let (node, mut shard, kept) = node(BATCH);
    for _ in 0..3 {
        node.publish(event("vol:1", "e"), Some(&mut shard), 0).unwrap();
    }
    assert!(heard(&kept).is_empty(), "nothing went by mail");
    assert_eq!(shard.counters.taken, 3);
}

#[test]
fn what_the_engine_says_of_a_room_is_not_paced() {
    let (node, _shard, kept) = node(SECOND);
    for number in ["1", "2", "3"] {
        let payload = Payload::json(number);
        let what = Publish { payload, volatile: true, ..event("rec:1", "tidings:presence") };
        assert!(!node.publish(what, None, 0).unwrap().held);
    }
    assert_eq!(heard(&kept).len(), 3);
}

#[test]
fn once_paces_are_lifted_nothing_waits_and_nothing_is_overtaken() {
    for pacing in [SECOND, BATCH] {
        let (node, mut shard, kept) = node(pacing);
        for name in ["vol:1", "rec:1"] {
            for number in ["1", "2", "3", "4"] {
                node.publish(of(name, "A", number), None, 10).unwrap();
            }
            heard(&kept);
        }
        node.lift_paces(20);
        assert_eq!(heard(&kept), ["price=4", "price=4"]);
        for name in ["vol:1", "rec:1"] {
            let published = node.publish(of(name, "A", "5"), Some(&mut shard), 30).unwrap();
            assert!(!published.held);
            assert_eq!(heard(&kept), ["price=5"], "behind what was held, by the mailbox");
        }
        assert_eq!(node.release(u64::MAX), None);
    }
}
