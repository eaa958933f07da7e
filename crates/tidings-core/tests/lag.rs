//! Connections that fall behind: what is held back follows, once and in the order of their organisation.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::{Kept, anyone, event, plain, recent, room, spec};
use tidings_core::frame::{Form, Namespaces};
use tidings_core::shard::{Caught, Filter, Sent, Sink, Step};
use tidings_core::{ConnKey, From, Hub, Keep, Kinds, Lane, Node, Payload, Post, Publish, QueueLimits, Shard};

const LIMITS: QueueLimits = QueueLimits { bytes: 1 << 20, messages: 40 };

/// Sockets that take nothing until they are let.
#[derive(Default)]
struct Sockets {
    sent: HashMap<u32, Vec<u8>>,
    open: bool,
}

impl Sink for Sockets {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        if !self.open {
            return Sent::Bytes(0);
        }
        self.sent.entry(slot).or_default().extend_from_slice(bytes);
        Sent::Bytes(bytes.len())
    }
}

struct World {
    node: Node,
    kept: Kept,
    shard: Shard,
    sockets: Sockets,
}

impl World {
    fn new() -> Self {
        let kept = Kept::endless();
        let mut kinds = Kinds::default();
        kinds.declare("rec", spec(recent(1_000)));
        kinds.declare("few", spec(recent(5)));
        kinds.declare("vol", spec(Keep::Nothing));
        let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
        let shard = Shard::new(0, Arc::new(Namespaces::new(["/adm"])), LIMITS);
        Self { node, kept, shard, sockets: Sockets::default() }
    }

    fn client(&mut self, rooms: &[&str]) -> ConnKey {
        let key = self.shard.open();
        rooms.iter().for_each(|name| self.join(key, name, plain()));
        key
    }

    fn join(&mut self, key: ConnKey, name: &str, form: Form) {
        self.node.join(&mut self.shard, key.slot, form, &anyone(), &room(name), From::Now).unwrap();
    }

    fn publish(&mut self, name: &str, number: usize) {
        let payload = Payload::json(number.to_string());
        self.node.publish(Publish { payload, ..event(name, "e") }, None, 0).unwrap();
    }

    /// Lets the shard take what is on its way, and sends what can be sent.
    fn turn(&mut self) {
        for letter in std::mem::take(&mut *self.kept.mail.lock().unwrap()) {
            self.shard.take(&letter);
        }
        self.shard.flush(&mut self.sockets, usize::MAX);
    }

    /// Opens the sockets and goes on until nothing is left; the numbers of what is lost of a room.
    fn drain(&mut self, keys: &[ConnKey]) -> Vec<(u64, u64)> {
        self.sockets.open = true;
        keys.iter().for_each(|key| self.shard.writable(key.slot));
        let mut lost = Vec::new();
        while self.shard.has_work() {
            self.turn();
            for key in self.shard.take_drained(usize::MAX) {
                while let Caught::Lost(gap) = self.shard.catch_up(key.slot) {
                    lost.push(gap.range.unwrap());
                    self.shard.pass_over(key.slot, &gap);
                }
            }
        }
        lost
    }

    /// The numbers a client got, in their order.
    fn got(&self, key: ConnKey) -> Vec<usize> {
        let text = String::from_utf8_lossy(self.sockets.sent.get(&key.slot).map_or(&[], Vec::as_slice));
        let data = text.split("\"data\":").skip(1);
        data.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
    }
}

#[test]
fn what_is_held_back_of_several_rooms_follows_in_the_order_in_which_it_was_said() {
    let mut world = World::new();
    let key = world.client(&["rec:1", "rec:2"]);
    for number in 0..900 {
        world.publish(if number % 3 == 0 { "rec:1" } else { "rec:2" }, number);
        if number % 7 == 0 {
            world.turn();
        }
    }
    assert!(world.shard.is_behind(key.slot));
    assert_eq!(world.shard.take_behind(key.slot), Some(880), "half of the queue was pushed");
    assert_eq!(world.shard.take_behind(key.slot), None, "told once");
    assert_eq!(world.drain(&[key]), []);
    assert_eq!(world.got(key), (0..900).collect::<Vec<_>>());
    assert!(!world.shard.is_behind(key.slot));
    let steps = world.shard.counters.steps;
    assert_eq!((steps[Step::Paused as usize], steps[Step::CaughtUp as usize]), (1, 1));
    // What comes now comes live.
    world.publish("rec:1", 900);
    world.turn();
    assert_eq!(world.got(key).last(), Some(&900));
}

#[test]
fn what_a_slow_member_asks_for_again_is_followed_by_nothing_older() {
    for count in [150, 190] {
        let mut world = World::new();
        let key = world.client(&["rec:1"]);
        for number in 0..200 {
            world.publish("rec:1", number);
            world.turn();
        }
        assert!(world.shard.is_behind(key.slot));
        let from = From::Newest(count);
        let again =
            world.node.join(&mut world.shard, key.slot, plain(), &anyone(), &room("rec:1"), from).unwrap();
        assert_eq!(again.recovered, Some(true));
        for missed in &again.missed {
            world.shard.replay(key.slot, missed, Form { offset: false, ..plain() });
        }
        for number in 200..300 {
            world.publish("rec:1", number);
        }
        assert!(world.drain(&[key]).is_empty());
        let got = world.got(key);
        // What waited in the queue; then what was asked for, with what was held back before it, and what came since.
        let steps: Vec<_> = got.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert_eq!((got.first(), got.last()), (Some(&0), Some(&299)));
        assert!(steps.len() <= 1 && steps.iter().all(|step| step[1] <= step[0]), "{steps:?}");
    }
}

#[test]
fn what_was_read_before_it_was_taken_here_does_not_come_twice() {
    let mut world = World::new();
    let key = world.client(&["rec:1"]);
    (0..100).for_each(|number| world.publish("rec:1", number));
    world.turn();
    // These are in the room's memory, and still on their way to the shard when it catches up.
    (100..150).for_each(|number| world.publish("rec:1", number));
    let late = std::mem::take(&mut *world.kept.mail.lock().unwrap());
    world.drain(&[key]);
    assert_eq!(world.got(key), (0..150).collect::<Vec<_>>());
    late.iter().for_each(|letter| world.shard.take(letter));
    world.publish("rec:1", 150);
    world.turn();
    assert_eq!(world.got(key), (0..151).collect::<Vec<_>>());
}

#[test]
fn a_room_that_keeps_little_uses_the_whole_queue_before_its_events_are_lost() {
    let mut world = World::new();
    let key = world.client(&["few:1"]);
    (0..40).for_each(|number| world.publish("few:1", number));
    world.turn();
    assert!(!world.shard.is_behind(key.slot), "there was room in the queue");
    (40..60).for_each(|number| world.publish("few:1", number));
    world.turn();
    assert_eq!(world.drain(&[key]), [(41, 55)]);
    assert_eq!(world.got(key), (0..40).chain(55..60).collect::<Vec<_>>());
    assert_eq!(world.shard.counters.steps[Step::Lost as usize], 1);
}

#[test]
fn one_slow_member_of_a_big_room_keeps_nobody_waiting_and_gets_all_of_it() {
    let mut world = World::new();
    let keys: Vec<ConnKey> = (0..60).map(|_| world.client(&["rec:1"])).collect();
    // The first one's socket is full: an answer did not fit.
    world.shard.reply(keys[0].slot, |out| out.extend_from_slice(b"answer"));
    world.turn();
    world.sockets.open = true;
    for number in 0..300 {
        world.publish("rec:1", number);
        world.turn();
    }
    assert!(world.shard.is_behind(keys[0].slot));
    for key in &keys[1..] {
        assert_eq!(world.got(*key), (0..300).collect::<Vec<_>>());
        assert!(!world.shard.is_behind(key.slot));
    }
    assert_eq!(world.drain(&keys[..1]), []);
    assert_eq!(world.got(keys[0]), (0..300).collect::<Vec<_>>());
}

#[test]
fn filters_and_skipped_publishers_hold_for_what_follows_later() {
    let mut world = World::new();
    let key = world.client(&["rec:1"]);
    let filter = Filter { events: None, min_lane: Some(Lane::High), blind: false };
    world.shard.set_filter(key.slot, &room("rec:1"), 0, filter);
    for number in 0..200 {
        let payload = Payload::json(number.to_string());
        let lane = Some(if number % 2 == 0 { Lane::Critical } else { Lane::Normal });
        let skip = (number % 3 == 0).then_some((0, key));
        world.node.publish(Publish { payload, lane, skip, ..event("rec:1", "e") }, None, 0).unwrap();
    }
    world.turn();
    assert!(world.shard.is_behind(key.slot));
    world.drain(&[key]);
    let wanted = (0..200).filter(|number| number % 2 == 0 && number % 3 != 0);
    assert_eq!(world.got(key), wanted.collect::<Vec<_>>());
}

#[test]
fn who_is_in_a_room_twice_is_not_caught_up_but_closed_before_it_would_hear_something_twice() {
    let mut world = World::new();
    let key = world.client(&[]);
    world.join(key, "rec:1", plain());
    world.join(key, "rec:1", Form { namespace: 1, ..plain() });
    (0..100).for_each(|number| world.publish("rec:1", number));
    world.turn();
    assert!(!world.shard.is_behind(key.slot));
    assert_eq!(world.shard.take_overflowed(), [key]);
}

#[test]
fn volatile_events_of_other_lanes_go_on_while_recorded_ones_are_held_back() {
    let mut world = World::new();
    let key = world.client(&["rec:1", "vol:1"]);
    (0..100).for_each(|number| world.publish("rec:1", number));
    world.turn();
    assert!(world.shard.is_behind(key.slot));
    for (name, lane, number) in
        [("vol:1", Lane::Critical, 1_000), ("rec:1", Lane::Critical, 1_001), ("rec:1", Lane::Normal, 1_002)]
    {
        let payload = Payload::json(number.to_string());
        let what = Publish { payload, lane: Some(lane), volatile: true, ..event(name, "e") };
        world.node.publish(what, None, 0).unwrap();
    }
    world.turn();
    world.drain(&[key]);
    let got = world.got(key);
    assert_eq!(got[..2], [1_000, 1_001], "what is critical overtakes");
    assert_eq!(got[2..], (0..100).collect::<Vec<_>>(), "what would have stood behind them is dropped");
    let skipped: Vec<_> =
        world.shard.take_skipped(key.slot).into_iter().map(|(room, n)| (room.unwrap(), n)).collect();
    assert_eq!((skipped, world.shard.take_dropped(key.slot)), (vec![(room("rec:1"), 1)], 1));
}

#[test]
fn the_queue_never_holds_more_than_it_may() {
    let mut world = World::new();
    let key = world.client(&["rec:1", "vol:1"]);
    for number in 0..2_000 {
        world.publish(if number % 2 == 0 { "rec:1" } else { "vol:1" }, number);
        if number % 13 == 0 {
            world.turn();
            assert!(world.shard.messages_waiting(key.slot) <= LIMITS.messages);
            assert!(world.shard.waiting(key.slot) <= LIMITS.bytes);
        }
    }
    assert!(world.shard.take_overflowed().is_empty());
}

/// The organisation's numbers of the recorded events in what a client of recovery got.
fn sequences(bytes: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(bytes);
    let offsets =
        text.split(",\"0000000000000005.").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    offsets.map(|hex| u64::from_str_radix(&hex, 16).unwrap()).collect()
}

#[test]
fn the_order_of_an_organisation_holds_while_others_publish_at_the_same_time() {
    const EVENTS: usize = 4_000;
    let mut world = World::new();
    let key = world.client(&[]);
    let form = Form { dialect: tidings_core::frame::Dialect::SocketIo, offset: true, ..plain() };
    let rooms = ["rec:1", "rec:2", "rec:3"];
    rooms.iter().for_each(|name| world.join(key, name, form));
    let (node, at_work) = (&world.node, std::sync::atomic::AtomicUsize::new(rooms.len()));
    std::thread::scope(|scope| {
        for name in rooms {
            let at_work = &at_work;
            scope.spawn(move || {
                for _ in 0..EVENTS {
                    node.publish(event(name, "e"), None, 0).unwrap();
                }
                at_work.fetch_sub(1, std::sync::atomic::Ordering::Release);
            });
        }
        let mut turn = 0_usize;
        loop {
            let last = at_work.load(std::sync::atomic::Ordering::Acquire) == 0;
            for letter in std::mem::take(&mut *world.kept.mail.lock().unwrap()) {
                world.shard.take(&letter);
            }
            turn += 1;
            // Its socket takes something in every third turn, so it is behind all the time.
            world.sockets.open = turn.is_multiple_of(3) || last;
            world.shard.writable(key.slot);
            world.shard.flush(&mut world.sockets, usize::MAX);
            for key in world.shard.take_drained(usize::MAX) {
                while let Caught::Lost(gap) = world.shard.catch_up(key.slot) {
                    world.shard.pass_over(key.slot, &gap);
                }
            }
            if last && !world.shard.has_work() && world.kept.mail.lock().unwrap().is_empty() {
                break;
            }
        }
    });
    let got = sequences(&world.sockets.sent[&key.slot]);
    assert!(got.is_sorted_by(|one, other| one < other), "in order, and nothing twice");
    assert_eq!(got.last(), Some(&(3 * EVENTS as u64)));
    assert!(world.shard.counters.steps[Step::CaughtUp as usize] > 0);
}
