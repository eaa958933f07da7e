//! Durable rooms that nobody needs: when they are forgotten, and what is known of them afterwards.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use common::{HOUR_MS, Kept, anyone, event, plain, room, shard, spec};
use tidings_core::node::Heard;
use tidings_core::recent::Recent;
use tidings_core::{
    Epoch, From, Hub, Keep, Kinds, Mark, MessageId, Node, Payload, Position, Post, Publication, Shard,
};

const EPOCH: Epoch = Epoch(7);

/// How long a room in which nothing was said stays, with the time between two sweeps.
const SOON_MS: u64 = 40_000;

fn node() -> Node {
    let mut kinds = Kinds::default();
    let ttl = Duration::from_secs(86_400);
    kinds.declare("log", spec(Keep::Durable { size: 100, ttl, bytes: usize::MAX, log_bytes: u64::MAX }));
    let node = Node::new(Hub::new(vec![Box::new(Kept::endless()) as Box<dyn Post>]), kinds, 5);
    node.know_log(&tidings_core::Org::default(), 0);
    node
}

/// Reads a room with what the log has of it.
fn load(node: &Node, name: &str, events: &[Arc<Publication>], now_ms: u64) {
    let top = events.last().and_then(|event| event.position).unwrap_or(Position::start(EPOCH));
    let events: VecDeque<_> = events.iter().cloned().collect();
    node.install(&room(name), |size, ttl, bytes| Recent::stored(top, 0, size, ttl, bytes, events, now_ms))
        .unwrap();
}

fn at(offset: u64, sequence: u64) -> (MessageId, Position) {
    let id = MessageId { node: 5, number: 1_000 + sequence };
    (id, Position::of(EPOCH, offset, id))
}

/// Says something in a room, as the log's writer does.
fn say(node: &Node, name: &str, offset: u64, sequence: u64) -> Arc<Publication> {
    let (id, position) = at(offset, sequence);
    node.deliver_logged(event(name, "e"), id, position, sequence, 0).unwrap();
    Arc::new(Publication {
        position: Some(position),
        durable: sequence,
        ..Publication::new(room(name), "e", Payload::json("1"), id, 0)
    })
}

fn enter(node: &Node, here: &mut Shard, slot: u32, name: &str, from: From) -> Option<bool> {
    node.join(here, slot, plain(), &anyone(), &room(name), from).unwrap().recovered
}

#[test]
fn one_in_which_nothing_was_said_is_forgotten_soon_and_another_an_hour_later() {
    let node = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    for name in ["log:silent", "log:spoken"] {
        load(&node, name, &[], 0);
        enter(&node, &mut here, slot, name, From::Now);
    }
    say(&node, "log:spoken", 1, 1);
    assert_eq!(node.sweep(HOUR_MS), 2, "they have members");
    for name in ["log:silent", "log:spoken"] {
        node.leave(&mut here, slot, &room(name), 0);
    }
    load(&node, "log:new", &[], HOUR_MS - 1);
    assert_eq!(node.sweep(HOUR_MS - 1), 2, "one has just been read, the other has something said");
    assert_eq!(node.sweep(HOUR_MS - 1 + SOON_MS), 0);
    load(&node, "log:silent", &[], 0);
    load(&node, "log:spoken", &[], 0);
    say(&node, "log:spoken", 1, 2);
    assert_eq!(node.sweep(SOON_MS), 1);
    assert!(node.hub().find(&room("log:spoken")).is_some());
}

#[test]
fn one_for_which_an_event_is_in_line_is_not_forgotten() {
    let node = node();
    load(&node, "log:1", &[], 0);
    let held = node.hub().find(&room("log:1"));
    assert_eq!(node.sweep(HOUR_MS), 1);
    drop(held);
    assert_eq!(node.sweep(HOUR_MS), 0);
}

#[test]
fn who_comes_back_to_one_that_was_forgotten_is_sent_what_was_said_since() {
    let node = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    for name in ["log:1", "log:other"] {
        load(&node, name, &[], 0);
    }
    let org = tidings_core::Org::default();
    let since = node.mark_of(&org);
    assert_eq!(node.sweep(SOON_MS), 0);
    // While it is forgotten something is said in it, and something else that the client hears.
    let first = say(&node, "log:1", 1, 1);
    load(&node, "log:other", &[], 0);
    say(&node, "log:other", 1, 2);
    let heard = node.mark_of(&org);
    assert!(heard.memory > since.memory);
    load(&node, "log:1", &[first], 0);
    let mut back = |from| {
        let recovered = enter(&node, &mut here, slot, "log:1", from);
        node.leave(&mut here, slot, &room("log:1"), 0);
        recovered
    };
    assert_eq!(back(From::Position(Position::start(EPOCH))), Some(true));
    assert_eq!(back(From::Position(Position::start(Epoch(8)))), Some(false), "another history");
    let to = Mark { durable: 0, ..heard };
    assert_eq!(back(From::Sequence { heard: Heard::To(to), since }), Some(true), "the log's numbers tell");
    let flushed = From::Sequence { heard: Heard::Flushed(heard.memory), since };
    assert_eq!(back(flushed), Some(false), "this process' numbers do not");
}
