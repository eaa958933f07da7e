//! What waits for a connection of a room it has left: its number may be another organisation's room by then.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Kept, anyone, plain, spec};
use tidings_core::frame::Namespaces;
use tidings_core::shard::{Sent, Sink};
use tidings_core::{
    ConnKey, From, Hub, Identity, Keep, Kinds, Lane, Node, Org, Payload, Post, Publish, QueueLimits, Room,
    Shard,
};

const LIMITS: QueueLimits = QueueLimits { bytes: 1 << 20, messages: 40 };

/// Sockets that take nothing.
struct Full;

impl Sink for Full {
    fn send(&mut self, _slot: u32, _bytes: &[u8]) -> Sent {
        Sent::Bytes(0)
    }
}

/// One shard of which two organisations have connections.
struct World {
    node: Node,
    kept: Kept,
    shard: Shard,
}

fn room(org: &str, name: &str) -> Room {
    Room::new(&Org::new(org), name, 200).unwrap()
}

impl World {
    fn new() -> Self {
        let kept = Kept::endless();
        let mut kinds = Kinds::default();
        kinds.declare("vol", spec(Keep::Nothing));
        let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
        Self { node, kept, shard: Shard::new(0, Arc::new(Namespaces::new([])), LIMITS) }
    }

    fn client(&mut self, org: &str, names: &[&str]) -> ConnKey {
        let key = self.shard.open();
        let who = Identity { org: Org::new(org), ..anyone() };
        for name in names {
            self.node.join(&mut self.shard, key.slot, plain(), &who, &room(org, name), From::Now).unwrap();
        }
        key
    }

    fn publish(&mut self, name: &str, lane: Lane, times: usize, ack: Option<u64>) {
        for _ in 0..times {
            let what = Publish::new(room("acme", name), "e", Payload::json("1"));
            self.node.publish(Publish { lane: Some(lane), ack, ..what }, None, 0).unwrap();
        }
        for letter in std::mem::take(&mut *self.kept.mail.lock().unwrap()) {
            self.shard.take(&letter);
        }
        self.shard.flush(&mut Full, usize::MAX);
    }

    fn leave(&mut self, key: ConnKey, name: &str) {
        assert!(self.node.leave(&mut self.shard, key.slot, &room("acme", name), 0));
    }

    /// Displaces what waits for a client of its lane `low`; what it is told of that.
    fn skipped(&mut self, key: ConnKey) -> Vec<(Option<Room>, u32)> {
        self.publish("vol:other", Lane::Critical, 60, None);
        self.shard.take_skipped(key.slot)
    }

    /// What it is told of the rooms of others.
    fn strange(skipped: &[(Option<Room>, u32)]) -> Vec<&Room> {
        let rooms = skipped.iter().filter_map(|(room, _)| room.as_ref());
        rooms.filter(|room| **room != self::room("acme", "vol:other")).collect()
    }
}

#[test]
fn what_waits_of_a_room_that_was_left_never_has_the_name_of_the_next() {
    let mut world = World::new();
    let slow = world.client("acme", &["vol:mine", "vol:other"]);
    world.publish("vol:mine", Lane::Low, 20, None);
    world.leave(slow, "vol:mine");
    world.client("rival", &["vol:secret"]);
    let skipped = world.skipped(slow);
    assert_eq!(World::strange(&skipped), Vec::<&Room>::new());
    let unnamed = skipped.iter().find(|(room, _)| room.is_none()).map(|(_, count)| *count);
    assert!(unnamed.is_some_and(|count| count > 0), "what is dropped is told all the same: {skipped:?}");
}

#[test]
fn what_is_dropped_after_a_room_was_left_is_not_told_with_the_name_of_the_next() {
    let mut world = World::new();
    let slow = world.client("acme", &["vol:mine", "vol:other"]);
    world.publish("vol:mine", Lane::Low, 20, None);
    // So somebody is sent out of a room: first it leaves, then what could stand behind the notice is dropped.
    world.leave(slow, "vol:mine");
    world.shard.drop_volatile(slow.slot);
    world.client("rival", &["vol:secret"]);
    let skipped = world.shard.take_skipped(slow.slot);
    assert_eq!(skipped, [(None, 20)]);
}

#[test]
fn a_room_that_others_left_later_is_not_told_by_the_name_of_the_next_either() {
    let mut world = World::new();
    let slow = world.client("acme", &["vol:mine", "vol:other"]);
    let last = world.client("acme", &["vol:mine"]);
    world.publish("vol:mine", Lane::Low, 20, None);
    world.leave(slow, "vol:mine");
    world.leave(last, "vol:mine");
    world.client("rival", &["vol:secret"]);
    assert_eq!(World::strange(&world.skipped(slow)), Vec::<&Room>::new());
}

#[test]
fn what_is_sent_again_to_one_that_has_left_does_not_keep_the_number_of_its_room() {
    let mut world = World::new();
    let slow = world.client("acme", &["vol:mine", "vol:other"]);
    let last = world.client("acme", &["vol:mine"]);
    // It has to queue something so that more can be in its way.
    world.publish("vol:other", Lane::Low, 1, None);
    world.publish("vol:mine", Lane::Low, 1, Some(7));
    let reached = world.shard.take_reached().remove(0);
    world.leave(slow, "vol:mine");
    world.shard.drop_volatile(slow.slot);
    for _ in 0..10 {
        world.shard.send_again([(slow, plain())], &reached.publication);
    }
    world.leave(last, "vol:mine");
    world.client("rival", &["vol:secret"]);
    world.shard.drop_volatile(slow.slot);
    let skipped = world.shard.take_skipped(slow.slot);
    assert_eq!(World::strange(&skipped), Vec::<&Room>::new());
}
