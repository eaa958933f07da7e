//! Connections that are behind what memory has: they are lent what the log has, in the order of their organisation.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use common::{Kept, anyone, event, plain, recent, room, spec};
use tidings_core::frame::{Dialect, Form, Namespaces};
use tidings_core::recent::Recent;
use tidings_core::shard::{Caught, InLog, Sent, Sink};
use tidings_core::{
    ConnKey, Epoch, From, Hub, Keep, Kinds, MessageId, Node, Org, Payload, Position, Post, Publication,
    Publish, QueueLimits, Room, Shard,
};

const LIMITS: QueueLimits = QueueLimits { bytes: 16 << 10, messages: 40 };
const EPOCH: Epoch = Epoch(9);
/// Events of a room that memory keeps, about.
const IN_MEMORY: usize = 10;
/// Events of one page of the log.
const PAGE: usize = 32;

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

/// A node, one shard, and a log of durable rooms.
struct World {
    node: Node,
    kept: Kept,
    shard: Shard,
    sockets: Sockets,
    log: HashMap<Room, Vec<Arc<Publication>>>,
    sequence: u64,
    /// The most that was lent to one connection at once.
    most_lent: usize,
}

impl World {
    fn new() -> Self {
        Self::with(Kept::endless())
    }

    fn with(kept: Kept) -> Self {
        let mut kinds = Kinds::default();
        let ttl = Duration::from_secs(3_600);
        let bytes = IN_MEMORY * 260;
        kinds.declare("log", spec(Keep::Durable { size: 10_000, ttl, bytes, log_bytes: u64::MAX }));
        kinds.declare("rec", spec(recent(10_000)));
        let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
        node.know_log(&Org::default(), 0);
        let shard = Shard::new(0, Arc::new(Namespaces::new(["/adm"])), LIMITS);
        let (sockets, log) = (Sockets::default(), HashMap::new());
        Self { node, kept, shard, sockets, log, sequence: 0, most_lent: 0 }
    }

    fn load(&self, name: &str) {
        let start = Position::start(EPOCH);
        let stored = |size, ttl, bytes| Recent::stored(start, 0, size, ttl, bytes, VecDeque::new(), 0);
        self.node.install(&room(name), stored).unwrap();
        self.node.note_log(&room(name), 0);
    }

    fn client(&mut self, rooms: &[&str], form: Form) -> ConnKey {
        let key = self.shard.open();
        for name in rooms {
            self.node.join(&mut self.shard, key.slot, form, &anyone(), &room(name), From::Now).unwrap();
        }
        key
    }

    /// Says something in a room, as the log's writer does where it is durable.
    fn publish(&mut self, name: &str, number: usize) {
        let what = Publish { payload: Payload::json(number.to_string()), ..event(name, "e") };
        if !name.starts_with("log") {
            self.node.publish(what, None, 0).unwrap();
            return;
        }
        self.sequence += 1;
        let id = MessageId { node: 5, number: 1_000_000 + self.sequence };
        let log = self.log.entry(what.room.clone()).or_default();
        let position = Position::of(EPOCH, log.len() as u64 + 1, id);
        log.push(Arc::new(Publication {
            position: Some(position),
            durable: self.sequence,
            ..Publication::new(what.room.clone(), what.event, what.payload.clone(), id, 0)
        }));
        self.node.deliver_logged(what, id, position, self.sequence, 0).unwrap();
    }

    fn turn(&mut self) {
        for letter in std::mem::take(&mut *self.kept.mail.lock().unwrap()) {
            self.shard.take(&letter);
        }
        self.shard.flush(&mut self.sockets, usize::MAX);
    }

    /// Opens the sockets and goes on until nothing is left; what is lost, and whether it is damaged.
    fn drain(&mut self, key: ConnKey) -> Vec<(u64, u64, bool)> {
        self.sockets.open = true;
        self.shard.writable(key.slot);
        let mut lost = Vec::new();
        while self.shard.has_work() {
            self.turn();
            for key in self.shard.take_drained(usize::MAX) {
                lost.extend(self.catch_up(key));
            }
        }
        lost
    }

    fn catch_up(&mut self, key: ConnKey) -> Vec<(u64, u64, bool)> {
        let mut lost = Vec::new();
        loop {
            match self.shard.catch_up(key.slot) {
                Caught::Up | Caught::Behind => return lost,
                Caught::InLog(wanted) => {
                    let page = self.page(&wanted);
                    self.shard.lend(key.slot, &wanted, &page);
                    self.most_lent = self.most_lent.max(self.shard.lent(key.slot));
                }
                Caught::Lost(gap) => {
                    let (from, to) = gap.range.unwrap();
                    lost.push((from, to, gap.is_damaged));
                    self.shard.pass_over(key.slot, &gap);
                }
            }
        }
    }

    fn page(&self, wanted: &InLog) -> Vec<Arc<Publication>> {
        assert_eq!(wanted.epoch, EPOCH);
        let after = |event: &&Arc<Publication>| event.position.unwrap().offset > wanted.after;
        self.log[&wanted.room].iter().filter(after).take(PAGE).cloned().collect()
    }

    fn text(&self, key: ConnKey) -> String {
        String::from_utf8_lossy(self.sockets.sent.get(&key.slot).map_or(&[], Vec::as_slice)).into_owned()
    }

    /// The numbers a plain client got, in their order.
    fn got(&self, key: ConnKey) -> Vec<usize> {
        let text = self.text(key);
        let data = text.split("\"data\":").skip(1);
        data.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
    }
}

/// Three rooms, two of them in the log.
const ROOMS: [&str; 3] = ["log:1", "rec:1", "log:2"];

#[test]
fn what_memory_has_no_more_follows_from_the_log_in_the_order_in_which_it_was_said() {
    let mut world = World::new();
    ["log:1", "log:2"].iter().for_each(|name| world.load(name));
    let key = world.client(&ROOMS, plain());
    for number in 0..900 {
        // Long stretches of one room, so that pages of the others end within them.
        world.publish(ROOMS[number / 70 % 3], number);
        if number % 7 == 0 {
            world.turn();
        }
    }
    assert!(world.shard.is_behind(key.slot));
    assert_eq!(world.drain(key), []);
    assert_eq!(world.got(key), (0..900).collect::<Vec<_>>());
    assert!(!world.shard.is_behind(key.slot) && world.shard.lent(key.slot) == 0);
    // What comes now comes live.
    world.publish("log:1", 900);
    world.turn();
    assert_eq!(world.got(key).last(), Some(&900));
}

#[test]
fn what_a_full_mailbox_refused_follows_from_the_log_where_memory_begins_later() {
    let mut world = World::with(Kept::of(4));
    ["log:1", "log:2"].iter().for_each(|name| world.load(name));
    let key = world.client(&ROOMS, plain());
    world.sockets.open = true;
    (0..300).for_each(|number| world.publish(ROOMS[number / 7 % 3], number));
    assert_eq!(world.node.hub().refused.load(std::sync::atomic::Ordering::Relaxed), 296);
    world.turn();
    world.shard.look_back();
    assert_eq!(world.drain(key), []);
    assert_eq!(world.got(key), (0..300).collect::<Vec<_>>());
    assert!(world.most_lent > 0, "memory alone did not have it");
}

/// Both numbers of the offsets that a stock client got, and the numbers of its events.
fn offsets(text: &str) -> Vec<(u64, u64)> {
    let offsets =
        text.split(",\"0000000000000005.").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let both = |offset: String| {
        let (memory, durable) = offset.split_once('.').unwrap_or((&offset, "0"));
        (u64::from_str_radix(memory, 16).unwrap(), u64::from_str_radix(durable, 16).unwrap())
    };
    offsets.map(both).collect()
}

#[test]
fn the_offset_of_a_stock_client_is_true_for_all_its_rooms_while_it_is_served_from_the_log() {
    let mut world = World::new();
    ["log:1", "log:2"].iter().for_each(|name| world.load(name));
    let form = Form { dialect: Dialect::SocketIo, offset: true, ..plain() };
    let key = world.client(&ROOMS, form);
    let mut truth = Vec::new();
    for number in 0..600 {
        let name = ROOMS[number / 50 % 3];
        world.publish(name, number);
        truth.push((number as u64 + 1, world.sequence));
        world.turn();
    }
    assert_eq!(world.drain(key), []);
    let got: Vec<_> = world
        .text(key)
        .split("[\"e\",")
        .skip(1)
        .map(|rest| rest.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(got, (0..600).map(|number| number.to_string()).collect::<Vec<_>>());
    // What it says of rooms in memory is at most what was heard; of the log it is exact. Both only grow.
    let offsets = offsets(&world.text(key));
    assert_eq!(offsets.len(), 600);
    let mut heard_in_memory = 0;
    for (at, ((memory, durable), (true_memory, true_durable))) in offsets.iter().zip(&truth).enumerate() {
        if ROOMS[at / 50 % 3] == "rec:1" {
            heard_in_memory = *true_memory;
        }
        assert_eq!(durable, true_durable, "event {at}");
        assert!((heard_in_memory..=*true_memory).contains(memory), "event {at}: {memory}");
    }
    assert!(offsets.is_sorted());
}

#[test]
fn what_is_lent_is_bounded_and_what_the_log_has_lost_or_damaged_is_told() {
    let mut world = World::new();
    ["log:1", "log:2"].iter().for_each(|name| world.load(name));
    let key = world.client(&["log:1", "log:2"], plain());
    for number in 0..400 {
        world.publish(["log:1", "log:2"][number % 2], number);
        world.turn();
    }
    // The log has forgotten some of what comes next, and one event is damaged.
    let log = world.log.get_mut(&room("log:1")).unwrap();
    log.drain(..40);
    let damaged = Publication { event: "".into(), ..(*log[100]).clone() };
    log[100] = Arc::new(damaged);
    let lost = world.drain(key);
    let first = lost[0].0;
    assert_eq!(lost, [(first, 40, false), (141, 141, true)]);
    let wanted = |number: &usize| {
        let offset = *number as u64 / 2 + 1;
        number % 2 == 1 || (offset < first || offset > 40) && offset != 141
    };
    assert_eq!(world.got(key), (0..400).filter(wanted).collect::<Vec<_>>());
    assert!((1..=LIMITS.bytes).contains(&world.most_lent), "{} bytes", world.most_lent);
}

#[test]
fn what_was_read_for_a_place_that_one_has_left_is_not_sent() {
    let mut world = World::new();
    world.load("log:1");
    let key = world.client(&["log:1"], plain());
    for number in 0..200 {
        world.publish("log:1", number);
        world.turn();
    }
    world.sockets.open = true;
    world.shard.writable(key.slot);
    world.turn();
    assert_eq!(world.shard.take_drained(1), [key]);
    let Caught::InLog(wanted) = world.shard.catch_up(key.slot) else { panic!("it is in memory") };
    assert!(matches!(world.shard.catch_up(key.slot), Caught::Behind), "it is read once");
    world.node.leave(&mut world.shard, key.slot, &room("log:1"), 0);
    world.node.join(&mut world.shard, key.slot, plain(), &anyone(), &room("log:1"), From::Now).unwrap();
    let page = world.page(&wanted);
    world.shard.lend(key.slot, &wanted, &page);
    assert_eq!(world.shard.lent(key.slot), 0);
    assert!(matches!(world.shard.catch_up(key.slot), Caught::Up));
    world.publish("log:1", 200);
    world.turn();
    assert_eq!(world.got(key).last(), Some(&200));
    assert!(world.got(key).len() < 100, "nothing of before it came again");
}
