//! Recorded events that a full mailbox refused: who is to hear them hears them all the same, once and in order.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{Kept, anyone, event, plain, recent, room, spec};
use proptest::collection::vec;
use proptest::prelude::*;
use tidings_core::frame::{Form, Namespaces};
use tidings_core::recorder::Fate;
use tidings_core::shard::{Caught, Sent, Sink, Step};
use tidings_core::{
    ConnKey, From, Hub, Keep, Kinds, Node, Payload, Post, Publication, Publish, QueueLimits, Recorder, Shard,
};

/// Letters that the mailbox takes.
const MOST: usize = 4;

#[derive(Default)]
struct Sockets(HashMap<u32, String>);

impl Sink for Sockets {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        *self.0.entry(slot).or_default() += &String::from_utf8_lossy(bytes);
        Sent::Bytes(bytes.len())
    }
}

struct World {
    node: Node,
    kept: Kept,
    shard: Shard,
    sockets: Sockets,
    /// How many were refused before the mailbox was last emptied.
    refused: u64,
    said: usize,
}

impl World {
    fn new() -> Self {
        let kept = Kept::of(MOST);
        let mut kinds = Kinds::default();
        kinds.declare("rec", spec(recent(1_000)));
        kinds.declare("few", spec(recent(5)));
        kinds.declare("vol", spec(Keep::Nothing));
        let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
        let shard = Shard::new(0, Arc::new(Namespaces::new(["/adm"])), QueueLimits::default());
        Self { node, kept, shard, sockets: Sockets::default(), refused: 0, said: 0 }
    }

    fn client(&mut self, rooms: &[&str]) -> ConnKey {
        let key = self.shard.open();
        rooms.iter().for_each(|name| self.join(key, name, plain()));
        key
    }

    fn join(&mut self, key: ConnKey, name: &str, form: Form) {
        self.node.join(&mut self.shard, key.slot, form, &anyone(), &room(name), From::Now).unwrap();
    }

    /// Says the next number in a room.
    fn publish(&mut self, name: &str) {
        let payload = Payload::json(self.said.to_string());
        self.node.publish(Publish { payload, ..event(name, "e") }, None, 0).unwrap();
        self.said += 1;
    }

    /// Empties the mailbox; what was in it, and whether it has refused what came behind.
    fn empty(&mut self) -> (Vec<Arc<Publication>>, bool) {
        let letters = std::mem::take(&mut *self.kept.mail.lock().unwrap());
        let refused = self.node.hub().refused.load(Ordering::Relaxed);
        (letters, std::mem::replace(&mut self.refused, refused) != refused)
    }

    fn work_off(&mut self, (letters, refused): (Vec<Arc<Publication>>, bool)) {
        letters.iter().for_each(|letter| self.shard.take(letter));
        if refused {
            self.shard.look_back();
        }
        self.shard.flush(&mut self.sockets, usize::MAX);
    }

    /// Turns until nothing is left to be done; the numbers of what is lost.
    fn turns(&mut self) -> Vec<(u64, u64)> {
        let mut lost = Vec::new();
        loop {
            let mail = self.empty();
            self.work_off(mail);
            for key in self.shard.take_drained(usize::MAX) {
                assert_eq!(
                    self.shard.take_behind(key.slot),
                    None,
                    "it is not slow, and is not told that it is"
                );
                while let Caught::Lost(gap) = self.shard.catch_up(key.slot) {
                    lost.push(gap.range.unwrap());
                    self.shard.pass_over(key.slot, &gap);
                }
            }
            if !self.shard.has_work() && self.kept.mail.lock().unwrap().is_empty() {
                return lost;
            }
        }
    }

    fn got(&self, key: ConnKey) -> Vec<usize> {
        let text = self.sockets.0.get(&key.slot).map_or("", String::as_str);
        let data = text.split("\"data\":").skip(1);
        data.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
    }

    fn paused(&self) -> u64 {
        self.shard.counters.steps[Step::Paused as usize]
    }
}

#[test]
fn what_a_full_mailbox_refused_comes_though_nothing_follows_it() {
    let mut world = World::new();
    let key = world.client(&["rec:1"]);
    (0..MOST + 6).for_each(|_| world.publish("rec:1"));
    assert_eq!(world.node.hub().refused.load(Ordering::Relaxed), 6);
    assert_eq!(world.turns(), []);
    assert_eq!(world.got(key), (0..MOST + 6).collect::<Vec<_>>());
    assert!(!world.shard.is_behind(key.slot));
    // What comes now comes live.
    world.publish("rec:1");
    world.turns();
    assert_eq!(world.got(key).last(), Some(&(MOST + 6)));
    assert_eq!(world.paused(), 1);
}

#[test]
fn nothing_overtakes_what_was_refused_in_another_room() {
    let mut world = World::new();
    let keys = [world.client(&["rec:1", "rec:2"]), world.client(&["rec:2", "rec:1"])];
    (0..MOST + 2).for_each(|_| world.publish("rec:1"));
    let mail = world.empty();
    // There is room again: these come by mail, in the other room first.
    world.publish("rec:2");
    world.publish("rec:1");
    world.work_off(mail);
    assert_eq!(world.turns(), []);
    for key in keys {
        assert_eq!(world.got(key), (0..MOST + 4).collect::<Vec<_>>());
    }
}

#[test]
fn a_big_room_that_is_being_sent_round_goes_on_behind_what_was_refused() {
    let mut world = World::new();
    let keys: Vec<ConnKey> = (0..60).map(|_| world.client(&["rec:1", "rec:2"])).collect();
    (0..MOST - 1).for_each(|_| world.publish("rec:2"));
    (0..3).for_each(|_| world.publish("rec:1"));
    let (letters, refused) = world.empty();
    letters.iter().for_each(|letter| world.shard.take(letter));
    world.shard.flush(&mut world.sockets, 7);
    world.work_off((Vec::new(), refused));
    assert_eq!(world.turns(), []);
    for key in keys {
        assert_eq!(world.got(key), (0..MOST + 2).collect::<Vec<_>>());
    }
}

#[test]
fn who_is_in_the_room_twice_hears_it_twice() {
    let mut world = World::new();
    let key = world.client(&["rec:1"]);
    world.join(key, "rec:1", Form { namespace: 1, ..plain() });
    (0..MOST + 3).for_each(|_| world.publish("rec:1"));
    assert_eq!(world.turns(), []);
    let mut got = world.got(key);
    got.sort_unstable();
    assert_eq!(got, (0..MOST + 3).flat_map(|number| [number, number]).collect::<Vec<_>>());
}

#[test]
fn what_the_room_does_not_keep_is_told_as_lost() {
    let mut world = World::new();
    let key = world.client(&["few:1"]);
    (0..MOST + 8).for_each(|_| world.publish("few:1"));
    assert_eq!(world.turns(), [(5, 7)]);
    assert_eq!(world.got(key), (0..4).chain(7..12).collect::<Vec<_>>());
}

#[test]
fn what_was_refused_and_followed_is_explained_so() {
    let mut world = World::new();
    let recorder = Recorder::new(1_000);
    world.shard.trace_with(recorder.clock(), 100);
    world.node = world.node.with_recorder(Some(recorder));
    let key = world.client(&["rec:1"]);
    let ids: Vec<_> =
        (0..MOST + 1).map(|_| world.node.publish(event("rec:1", "e"), None, 0).unwrap().id).collect();
    let fate = |world: &World, at: usize| {
        let mut story = world.shard.story(key, &room("rec:1")).unwrap();
        world.shard.trace().unwrap().notes().for_each(|note| story.add(note));
        story.fates(&world.node.recorder().unwrap().find(ids[at]).unwrap())
    };
    assert_eq!(fate(&world, MOST), [Fate::Overrun]);
    world.turns();
    assert_eq!((fate(&world, MOST - 1), fate(&world, MOST)), (vec![Fate::Sent], vec![Fate::CaughtUp]));
}

/// The control: who lacks nothing is not held up.
#[test]
fn a_mailbox_that_refused_what_is_volatile_holds_nobody_up() {
    let mut world = World::new();
    (0..3).for_each(|_| world.publish("rec:1"));
    let key = world.client(&["rec:1", "vol:1"]);
    (0..MOST + 3).for_each(|_| world.publish("vol:1"));
    world.turns();
    assert_eq!((world.got(key).len(), world.paused()), (MOST, 0));
}

proptest! {
    #[test]
    fn everybody_hears_all_that_is_recorded_in_the_order_of_the_organisation(
        deeds in vec((0..3_usize, 0..8_usize, any::<bool>(), any::<bool>()), 1..80),
        crowd in prop_oneof![Just(0_usize), Just(40)],
    ) {
        let mut world = World::new();
        let rooms = ["rec:1", "rec:2", "rec:3"];
        let mut keys: Vec<(ConnKey, usize)> = vec![(world.client(&rooms), 0)];
        (0..crowd).for_each(|_| keys.push((world.client(&rooms), 0)));
        for (at, times, empties, comes) in deeds {
            (0..times).for_each(|_| world.publish(rooms[at]));
            if comes && keys.len() < 50 {
                keys.push((world.client(&rooms), world.said));
            }
            if empties {
                let mail = world.empty();
                world.publish(rooms[(at + 1) % rooms.len()]);
                world.work_off(mail);
                for key in world.shard.take_drained(1) {
                    prop_assert!(!matches!(world.shard.catch_up(key.slot), Caught::Lost(_)));
                }
            }
        }
        prop_assert_eq!(world.turns(), []);
        for (key, from) in keys {
            prop_assert_eq!(world.got(key), (from..world.said).collect::<Vec<_>>());
        }
    }
}
