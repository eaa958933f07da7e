//! Stored events of a batched kind gather in the outboxes of those who hear them.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use common::{Kept, anyone, event, plain, room, spec};
use tidings_core::frame::Namespaces;
use tidings_core::pace::Pacing;
use tidings_core::recent::Recent;
use tidings_core::shard::{Sent, Sink};
use tidings_core::{
    ConnKey, Epoch, From, Hub, Keep, Kinds, MessageId, Node, Org, Payload, Position, Post, Publish,
    QueueLimits, RoomSpec, Shard,
};

const EPOCH: Epoch = Epoch(9);
const MOST: usize = 5;

/// Each write by itself, as the numbers that were in it.
#[derive(Default)]
struct Writes(Vec<(u32, Vec<u64>)>);

impl Sink for Writes {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        let text = String::from_utf8_lossy(bytes);
        let numbers = text.split("\"data\":").skip(1);
        let numbers = numbers.map(|rest| rest.split([',', '}']).next().unwrap().trim().parse().unwrap());
        self.0.push((slot, numbers.collect()));
        Sent::Bytes(bytes.len())
    }
}

/// One shard with rooms `slow` (batched), `log` (not) and `fast` (batched for a shorter time), all stored.
struct World {
    node: Node,
    kept: Kept,
    shard: Shard,
    writes: Writes,
    offsets: [u64; 3],
    sequence: u64,
}

const ROOMS: [&str; 3] = ["slow:1", "log:1", "fast:1"];

impl World {
    fn new() -> Self {
        let kept = Kept::endless();
        let ttl = Duration::from_secs(3_600);
        let keep = Keep::Durable { size: 1_000, ttl, bytes: usize::MAX, log_bytes: u64::MAX };
        let mut kinds = Kinds::default();
        let pacing = Some(Pacing::Batch { wait_ms: 100, most: MOST });
        kinds.declare("slow", RoomSpec { pacing, ..spec(keep) });
        kinds.declare("log", spec(keep));
        let pacing = Some(Pacing::Batch { wait_ms: 20, most: MOST });
        kinds.declare("fast", RoomSpec { pacing, ..spec(keep) });
        let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
        node.know_log(&Org::default(), 0);
        for name in ROOMS {
            let start = Position::start(EPOCH);
            let stored = |size, ttl, bytes| Recent::stored(start, 0, size, ttl, bytes, VecDeque::new(), 0);
            node.install(&room(name), stored).unwrap();
            node.note_log(&room(name), 0);
        }
        let shard = Shard::new(0, Arc::new(Namespaces::new([])), QueueLimits::default());
        Self { node, kept, shard, writes: Writes::default(), offsets: [0; 3], sequence: 0 }
    }

    fn client(&mut self, rooms: &[&str]) -> ConnKey {
        let key = self.shard.open();
        for name in rooms {
            self.node.join(&mut self.shard, key.slot, plain(), &anyone(), &room(name), From::Now).unwrap();
        }
        key
    }

    /// Says the next number in a room.
    fn publish(&mut self, name: &str) {
        self.sequence += 1;
        let at = ROOMS.iter().position(|known| *known == name).unwrap();
        self.offsets[at] += 1;
        let what = Publish { payload: Payload::json(self.sequence.to_string()), ..event(name, "e") };
        let id = MessageId { node: 5, number: self.sequence };
        let position = Position::of(EPOCH, self.offsets[at], id);
        self.node.deliver_logged(what, id, position, self.sequence, 0).unwrap();
    }

    /// A turn at a time; what was written in it.
    fn turn(&mut self, now_ms: u64) -> Vec<(u32, Vec<u64>)> {
        self.shard.tick(now_ms);
        for letter in std::mem::take(&mut *self.kept.mail.lock().unwrap()) {
            self.shard.take(&letter);
        }
        self.shard.flush(&mut self.writes, usize::MAX);
        std::mem::take(&mut self.writes.0)
    }
}

#[test]
fn the_first_waits_for_others_and_all_leave_in_one_write() {
    let mut world = World::new();
    let slot = world.client(&["slow:1"]).slot;
    world.publish("slow:1");
    assert_eq!(world.turn(1_000), []);
    assert!(!world.shard.has_work(), "nobody turns in circles meanwhile");
    assert_eq!(world.shard.gathered_due_ms(), Some(1_100));
    world.publish("slow:1");
    assert_eq!(world.turn(1_099), []);
    assert_eq!(world.turn(1_100), [(slot, vec![1, 2])]);
    assert_eq!(world.shard.flushed(slot), 2);
    assert_eq!(world.shard.gathered_due_ms(), None);
}

/// The control: a kind that is not batched writes with each turn.
#[test]
fn without_a_batch_each_leaves_with_its_turn() {
    let mut world = World::new();
    let slot = world.client(&["log:1"]).slot;
    for number in 1..=3 {
        world.publish("log:1");
        assert_eq!(world.turn(1_000 + number), [(slot, vec![number])]);
    }
}

#[test]
fn so_many_leave_at_once_and_the_next_wait_anew() {
    let mut world = World::new();
    let slot = world.client(&["slow:1"]).slot;
    for number in 1..=6 {
        world.publish("slow:1");
        let expected = if number == 5 { vec![(slot, vec![1, 2, 3, 4, 5])] } else { vec![] };
        assert_eq!(world.turn(1_000 + number * 10), expected);
    }
    // The sixth waits from when it came, not from when the first did.
    assert_eq!(world.turn(1_159), []);
    assert_eq!(world.turn(1_160), [(slot, vec![6])]);
}

#[test]
fn whatever_else_is_sent_takes_along_what_waits_in_the_order_both_came() {
    let mut world = World::new();
    let both = world.client(&["slow:1", "log:1"]).slot;
    let one = world.client(&["slow:1"]).slot;
    world.publish("slow:1");
    assert_eq!(world.turn(1_000), []);
    world.publish("log:1");
    assert_eq!(world.turn(1_010), [(both, vec![1, 2])]);
    assert_eq!(world.turn(1_100), [(one, vec![1])]);
}

#[test]
fn a_room_of_many_gathers_too() {
    let mut world = World::new();
    let slots: Vec<u32> = (0..100).map(|_| world.client(&["slow:1"]).slot).collect();
    for now_ms in [1_000, 1_050] {
        world.publish("slow:1");
        assert_eq!(world.turn(now_ms), []);
    }
    let mut written = world.turn(1_100);
    written.sort_unstable();
    assert_eq!(written, slots.iter().map(|slot| (*slot, vec![1, 2])).collect::<Vec<_>>());
}

#[test]
fn of_two_kinds_the_more_impatient_one_says_when() {
    let mut world = World::new();
    let slot = world.client(&ROOMS).slot;
    world.publish("slow:1");
    assert_eq!(world.turn(1_000), []);
    world.publish("fast:1");
    assert_eq!(world.turn(1_010), []);
    assert_eq!(world.shard.gathered_due_ms(), Some(1_030));
    assert_eq!(world.turn(1_030), [(slot, vec![1, 2])]);
    assert_eq!(world.shard.gathered_due_ms(), None, "nothing is left of what it was due for at first");
    // The other way round nothing changes.
    world.publish("fast:1");
    assert_eq!(world.turn(1_040), []);
    world.publish("slow:1");
    assert_eq!(world.turn(1_050), []);
    assert_eq!(world.turn(1_060), [(slot, vec![3, 4])]);
}

#[test]
fn what_leaves_with_something_else_is_not_what_the_next_waits_for() {
    let mut world = World::new();
    let slot = world.client(&ROOMS).slot;
    world.publish("slow:1");
    assert_eq!(world.turn(1_000), []);
    world.publish("log:1");
    assert_eq!(world.turn(1_010), [(slot, vec![1, 2])]);
    world.publish("fast:1");
    assert_eq!(world.turn(1_020), []);
    assert_eq!(world.turn(1_040), [(slot, vec![3])]);
    assert_eq!(world.shard.gathered_due_ms(), None);
}

#[test]
fn one_that_is_about_to_end_is_sent_what_waits() {
    let mut world = World::new();
    let (going, staying) = (world.client(&["slow:1"]), world.client(&["slow:1"]));
    world.publish("slow:1");
    assert_eq!(world.turn(1_000), []);
    world.shard.hurry(going);
    assert_eq!(world.turn(1_001), [(going.slot, vec![1])]);
    world.shard.leave_all(going.slot, None);
    world.shard.close(going);
    // Whoever has its slot now has nothing to do with what it waited for.
    let next = world.client(&["slow:1"]);
    assert_eq!(next.slot, going.slot);
    assert_eq!(world.turn(1_100), [(staying.slot, vec![1])]);
}

#[test]
fn large_events_do_not_wait_until_the_queue_is_half_full() {
    let mut world = World::new();
    let slot = world.client(&["slow:1"]).slot;
    for offset in 1..=2 {
        let payload = Payload::json(format!("{offset}{}", " ".repeat(40 << 10)));
        let what = Publish { payload, ..event("slow:1", "e") };
        let id = MessageId { node: 5, number: offset };
        world.node.deliver_logged(what, id, Position::of(EPOCH, offset, id), offset, 0).unwrap();
    }
    world.shard.tick(1_000);
    for letter in std::mem::take(&mut *world.kept.mail.lock().unwrap()) {
        world.shard.take(&letter);
    }
    assert!(world.shard.has_work(), "it does not wait");
    world.shard.flush(&mut world.writes, usize::MAX);
    assert_eq!(world.shard.flushed(slot), 2);
}
