//! What a shard promises beside the model: writes are few and bounded, slots are told apart, laggards found.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::{anyone, event, node, plain, room};
use tidings_core::frame::{Form, Namespaces};
use tidings_core::shard::{Sent, Sink};
use tidings_core::{ConnKey, From, Node, Payload, Publish, QueueLimits, Shard};

/// Sockets that take everything, or so many bytes and no more.
#[derive(Default)]
struct Sockets {
    writes: Vec<(u32, Vec<u8>)>,
    room: HashMap<u32, usize>,
}

impl Sink for Sockets {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent {
        let room = self.room.entry(slot).or_insert(usize::MAX);
        let count = bytes.len().min(*room);
        *room -= count;
        self.writes.push((slot, bytes[..count].to_vec()));
        Sent::Bytes(count)
    }
}

impl Sockets {
    /// The names of the events a slot got, in their order.
    fn events(&self, slot: u32) -> Vec<String> {
        let bytes: Vec<u8> =
            self.writes.iter().filter(|(at, _)| *at == slot).flat_map(|(_, bytes)| bytes.clone()).collect();
        let text = String::from_utf8_lossy(&bytes);
        text.split("\"event\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }
}

fn shard_with(members: usize, rooms: &[&str], limits: QueueLimits) -> (Node, Shard, Vec<ConnKey>) {
    let (node, _) = node();
    let mut shard = Shard::new(0, Arc::new(Namespaces::new(["/adm"])), limits);
    let keys: Vec<ConnKey> = (0..members).map(|_| shard.open()).collect();
    for key in &keys {
        for name in rooms {
            node.join(&mut shard, key.slot, plain(), &anyone(), &room(name), From::Now).unwrap();
        }
    }
    (node, shard, keys)
}

fn publish(node: &Node, shard: &mut Shard, what: Publish<'_>) {
    node.publish(what, Some(shard), 0).unwrap();
}

#[test]
fn events_that_meet_in_one_turn_are_one_write_per_member() {
    for members in [5, 40] {
        let (node, mut shard, keys) = shard_with(members, &["vol:1"], QueueLimits::default());
        for number in 0..10 {
            publish(&node, &mut shard, event("vol:1", &format!("e{number}")));
        }
        let mut sockets = Sockets::default();
        shard.flush(&mut sockets, usize::MAX);
        assert_eq!(sockets.writes.len(), members);
        let expected: Vec<String> = (0..10).map(|number| format!("e{number}")).collect();
        assert!(keys.iter().all(|key| sockets.events(key.slot) == expected));
        assert_eq!((shard.counters.writes, shard.counters.delivered), (members as u64, 10 * members as u64));
        assert!(!shard.has_work());
    }
}

#[test]
fn a_turn_sends_to_no_more_members_of_big_rooms_than_it_may() {
    let (node, mut shard, keys) = shard_with(40, &["vol:1"], QueueLimits::default());
    publish(&node, &mut shard, event("vol:1", "e"));
    let mut sockets = Sockets::default();
    for turn in 1..=4 {
        assert!(shard.has_work());
        shard.flush(&mut sockets, 10);
        assert_eq!(sockets.writes.len(), 10 * turn);
    }
    assert!(!shard.has_work());
    assert!(keys.iter().all(|key| sockets.events(key.slot) == ["e"]));
}

#[test]
fn gathered_writes_stay_within_a_socket_s_buffer() {
    let (node, mut shard, keys) = shard_with(40, &["vol:1"], QueueLimits::default());
    let data = format!("\"{}\"", "x".repeat(50_000));
    for number in 0..6 {
        let payload = Payload::json(data.clone());
        publish(&node, &mut shard, Publish { payload, ..event("vol:1", &format!("e{number}")) });
    }
    let mut sockets = Sockets::default();
    shard.flush(&mut sockets, usize::MAX);
    assert_eq!(sockets.writes.len(), 3 * keys.len());
    assert!(sockets.writes.iter().all(|(_, bytes)| bytes.len() < 130 * 1024));
    assert_eq!(sockets.events(keys[7].slot), ["e0", "e1", "e2", "e3", "e4", "e5"]);
}

#[test]
fn more_big_rooms_than_there_are_runs_lose_nothing() {
    let names: Vec<String> = (0..100).map(|number| format!("vol:{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (node, mut shard, keys) = shard_with(40, &names, QueueLimits::default());
    for turn in 0..2 {
        for name in &names {
            publish(&node, &mut shard, event(name, &format!("{name}/{turn}")));
        }
    }
    let mut sockets = Sockets::default();
    while shard.has_work() {
        shard.flush(&mut sockets, 100);
    }
    for key in &keys {
        let events = sockets.events(key.slot);
        assert_eq!(events.len(), 200);
        for name in &names {
            let place = |turn| events.iter().position(|event| *event == format!("{name}/{turn}"));
            assert!(place(0).unwrap() < place(1).unwrap());
        }
    }
    assert!(shard.take_overflowed().is_empty());
}

#[test]
fn a_skipped_connection_is_told_from_one_that_took_its_slot() {
    let (node, mut shard, keys) = shard_with(2, &["vol:1"], QueueLimits::default());
    node.leave_all(&mut shard, keys[0].slot, None);
    shard.close(keys[0]);
    let reused = shard.open();
    assert_eq!(reused.slot, keys[0].slot);
    assert!(shard.holds(reused) && !shard.holds(keys[0]));
    node.join(&mut shard, reused.slot, plain(), &anyone(), &room("vol:1"), From::Now).unwrap();
    let mut sockets = Sockets::default();
    publish(&node, &mut shard, Publish { skip: Some((0, keys[0])), ..event("vol:1", "one") });
    publish(&node, &mut shard, Publish { skip: Some((0, reused)), ..event("vol:1", "two") });
    publish(&node, &mut shard, Publish { skip: Some((1, reused)), ..event("vol:1", "three") });
    shard.flush(&mut sockets, usize::MAX);
    assert_eq!(sockets.events(reused.slot), ["one", "three"]);
    assert_eq!(sockets.events(keys[1].slot), ["one", "two", "three"]);
}

#[test]
fn recipients_of_a_tracked_event_are_those_it_is_sent_to() {
    for members in [3, 40] {
        let (node, mut shard, keys) = shard_with(members, &["vol:1"], QueueLimits::default());
        publish(&node, &mut shard, event("vol:1", "before"));
        assert!(shard.take_reached().is_empty(), "nobody is asked for what is not tracked");
        let tracked = Publish { ack: Some(7), skip: Some((0, keys[1])), ..event("vol:1", "tracked") };
        publish(&node, &mut shard, tracked);
        let reached = shard.take_reached();
        assert_eq!((reached.len(), reached[0].publication.ack), (1, Some(7)));
        let mut who: Vec<_> = reached[0].recipients.iter().map(|(key, _)| *key).collect();
        who.sort_by_key(|key| key.slot);
        let others: Vec<_> = keys.iter().copied().filter(|key| *key != keys[1]).collect();
        assert_eq!(who, others);
        assert!(shard.take_reached().is_empty());

        let mut sockets = Sockets::default();
        shard.flush(&mut sockets, usize::MAX);
        assert_eq!(sockets.events(keys[0].slot), ["before", "tracked"], "the order stays");
        assert_eq!(sockets.events(keys[1].slot), ["before"]);

        let again = [(keys[0], plain()), (keys[2], plain())];
        shard.send_again(again, &reached[0].publication);
        shard.flush(&mut sockets, usize::MAX);
        assert_eq!(sockets.events(keys[0].slot), ["before", "tracked", "tracked"]);
        assert_eq!(sockets.events(keys[1].slot), ["before"]);
    }
}

#[test]
fn closing_with_an_old_key_closes_nobody() {
    let (_, mut shard, keys) = shard_with(1, &[], QueueLimits::default());
    shard.close(keys[0]);
    let reused = shard.open();
    shard.close(keys[0]);
    assert!(shard.holds(reused));
    assert_eq!(shard.len(), 1);
}

#[test]
fn a_connection_that_stays_over_half_full_is_a_laggard() {
    let limits = QueueLimits { bytes: 1_000, messages: 100 };
    let (node, mut shard, keys) = shard_with(2, &["vol:1"], limits);
    let mut sockets = Sockets::default();
    sockets.room.insert(keys[0].slot, 10);
    for at in 0..8 {
        shard.tick(100 + at);
        publish(&node, &mut shard, event("vol:1", "e"));
        shard.flush(&mut sockets, usize::MAX);
    }
    shard.tick(5_000);
    assert_eq!(shard.laggards(4_000), [keys[0]]);
    assert_eq!(shard.laggards(4_900), []);
    assert!(shard.take_dropped(keys[0].slot) > 0);
    assert_eq!(shard.take_dropped(keys[0].slot), 0, "told once");
    assert_eq!(shard.take_dropped(keys[1].slot), 0);
    sockets.room.insert(keys[0].slot, usize::MAX);
    shard.writable(keys[0].slot);
    shard.flush(&mut sockets, usize::MAX);
    assert_eq!((shard.laggards(0), shard.waiting(keys[0].slot)), (vec![], 0));
}

#[test]
fn an_overflow_is_told_once_and_nothing_follows_it() {
    let limits = QueueLimits { bytes: 300, messages: 100 };
    let (_node, mut shard, keys) = shard_with(1, &["rec:1"], limits);
    let mut sockets = Sockets::default();
    sockets.room.insert(keys[0].slot, 0);
    let (source, boxes) = common::node();
    let mut other = common::shard(0);
    let slot = other.open().slot;
    source.join(&mut other, slot, plain(), &anyone(), &room("rec:1"), From::Now).unwrap();
    for name in ["fits", "would fit"] {
        source.publish(event("rec:1", name), None, 0).unwrap();
    }
    let mut letters = std::mem::take(&mut *boxes[0].mail.lock().unwrap()).into_iter();
    shard.take(&letters.next().unwrap());
    shard.reply(keys[0].slot, |out| out.resize(out.len() + 200, b'x'));
    shard.take(&letters.next().unwrap());
    shard.reply(keys[0].slot, |out| out.extend_from_slice(b"late"));
    assert_eq!(shard.take_overflowed(), keys);
    assert_eq!(shard.take_overflowed(), []);
    sockets.room.insert(keys[0].slot, usize::MAX);
    shard.flush(&mut sockets, usize::MAX);
    assert_eq!(sockets.events(keys[0].slot), ["fits"]);
    assert_eq!(shard.flushed(keys[0].slot), 1);
}

#[test]
fn members_are_listed_with_the_form_they_are_served_in() {
    let (node, mut shard, keys) = shard_with(2, &["vol:1"], QueueLimits::default());
    let admin = Form { namespace: 1, ..plain() };
    node.join(&mut shard, keys[1].slot, admin, &anyone(), &room("vol:1"), From::Now).unwrap();
    node.join(&mut shard, keys[1].slot, admin, &anyone(), &room("vol:2"), From::Now).unwrap();
    let members: Vec<(ConnKey, u8)> =
        shard.members(&room("vol:1")).map(|(key, form)| (key, form.namespace)).collect();
    assert_eq!(members, [(keys[0], 0), (keys[1], 0), (keys[1], 1)]);
    assert_eq!(shard.rooms_of(keys[1].slot), 3);
    assert_eq!(shard.room_names(keys[1].slot, 1), [room("vol:1"), room("vol:2")]);
    assert_eq!(node.leave_all(&mut shard, keys[1].slot, Some(1)).len(), 2);
    assert_eq!(shard.room_names(keys[1].slot, 0), [room("vol:1")]);
    assert!(shard.entry(&room("vol:2")).is_none());
}
