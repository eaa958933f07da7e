//! Rooms of whose objects only the changes are said: whoever merges what it hears has the object.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Kept, anyone, event, plain, recent, room, spec};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidings_core::pace::{Diffs, HELD_BYTES, SCOPES, Told, Topic};
use tidings_core::shard::Filter;
use tidings_core::{
    From, Hub, Keep, Kinds, Lane, Node, Payload, Post, Publication, Publish, QueueLimits, RoomSpec, Shard,
};

const FULL_EVERY: u32 = 20;

/// A node with one shard, and its mailbox.
fn node() -> (Node, Shard, Kept) {
    let mut kinds = Kinds::default();
    for (kind, keep) in [("vol", Keep::Nothing), ("rec", recent(100))] {
        kinds.declare(kind, RoomSpec { diff: Some(FULL_EVERY), ..spec(keep) });
    }
    let kept = Kept::endless();
    let node = Node::new(Hub::new(vec![Box::new(kept.clone()) as Box<dyn Post>]), kinds, 5);
    let shard = Shard::new(0, Arc::new(tidings_core::frame::Namespaces::new([])), QueueLimits::default());
    (node, shard, kept)
}

fn join(node: &Node, shard: &mut Shard, name: &str) -> u32 {
    let slot = shard.open().slot;
    node.join(shard, slot, plain(), &anyone(), &room(name), From::Now).unwrap();
    slot
}

fn say<'a>(name: &str, slot: &'a str, object: &Value) -> Publish<'a> {
    Publish { slot: Some(slot), payload: Payload::json(object.to_string()), ..event(name, "score") }
}

/// What is on its way to members: live, and all of it.
fn letters(kept: &Kept) -> Vec<(Value, Value)> {
    let letters = std::mem::take(&mut *kept.mail.lock().unwrap());
    letters.iter().map(|letter| (live(letter), whole(letter))).collect()
}

fn live(letter: &Publication) -> Value {
    letter.part.as_ref().map_or_else(|| whole(letter), |part| serde_json::from_slice(part).unwrap())
}

fn whole(letter: &Publication) -> Value {
    serde_json::from_str(letter.payload.text()).unwrap()
}

/// A merge patch (RFC 7396) of an object without objects in it.
fn merge(known: &mut Map<String, Value>, patch: &Value) {
    for (name, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(known.remove(name)),
            value => drop(known.insert(name.clone(), value.clone())),
        }
    }
}

#[test]
fn only_what_changed_is_said_and_whoever_comes_makes_the_next_one_whole() {
    for name in ["vol:1", "rec:1"] {
        let (node, mut shard, kept) = node();
        join(&node, &mut shard, name);
        let publish = |object: Value| {
            node.publish(say(name, "A", &object), None, 0).unwrap();
            letters(&kept).remove(0)
        };
        let first = json!({"home": 0, "away": 0});
        assert_eq!(publish(first.clone()), (first.clone(), first));
        assert_eq!(publish(json!({"home": 1, "away": 0})).0, json!({"home": 1}));
        assert_eq!(publish(json!({"home": 1, "away": 0})).0, json!({}));
        let (live, all) = publish(json!({"home": 1}));
        assert_eq!((live, all), (json!({"away": null}), json!({"home": 1, "away": null})));
        join(&node, &mut shard, name);
        let (live, all) = publish(json!({"home": 2}));
        assert_eq!(live, all, "somebody came");
        assert_eq!(live, json!({"home": 2, "away": null}), "it takes back what is gone");
        // Another slot is another object.
        node.publish(say(name, "B", &json!({"home": 2})), None, 0).unwrap();
        assert_eq!(letters(&kept)[0].0, json!({"home": 2}));
        assert_eq!(publish(json!({"home": 3})).0, json!({"home": 3}), "they know what is gone");
    }
}

#[test]
fn what_might_overtake_is_whole_and_so_is_what_follows() {
    let (node, mut shard, kept) = node();
    join(&node, &mut shard, "rec:1");
    let publish = |lane: Option<Lane>, volatile: bool, home: u32| {
        let what = Publish { lane, volatile, ..say("rec:1", "A", &json!({"home": home, "away": 0})) };
        node.publish(what, None, 0).unwrap();
        letters(&kept).remove(0).0.as_object().unwrap().len()
    };
    assert_eq!((publish(None, false, 1), publish(None, false, 2)), (2, 1));
    assert_eq!((publish(Some(Lane::Critical), false, 3), publish(None, false, 4)), (2, 2));
    assert_eq!((publish(None, true, 5), publish(None, false, 6)), (2, 2));
    assert_eq!(publish(Some(Lane::Normal), false, 7), 1, "that is the kind's own");
}

#[test]
fn members_that_hear_only_some_events_hear_them_whole() {
    let (node, mut shard, kept) = node();
    let choosy = join(&node, &mut shard, "rec:1");
    let other = join(&node, &mut shard, "rec:1");
    let filter = Filter { events: Some(["score".into()].into()), ..Filter::default() };
    shard.set_filter(choosy, &room("rec:1"), 0, filter);
    for home in 1..=2 {
        node.publish(say("rec:1", "A", &json!({"home": home, "away": 0})), None, 0).unwrap();
    }
    for letter in std::mem::take(&mut *kept.mail.lock().unwrap()) {
        shard.take(&letter);
    }
    let mut sent = Sent::default();
    shard.flush(&mut sent, usize::MAX);
    let parts = |slot: u32| sent.0[&slot].matches("\"away\"").count();
    assert_eq!((parts(choosy), parts(other)), (2, 1));
}

#[derive(Default)]
struct Sent(std::collections::HashMap<u32, String>);

impl tidings_core::Sink for Sent {
    fn send(&mut self, slot: u32, bytes: &[u8]) -> tidings_core::shard::Sent {
        *self.0.entry(slot).or_default() += &String::from_utf8_lossy(bytes);
        tidings_core::shard::Sent::Bytes(bytes.len())
    }
}

#[test]
fn what_is_remembered_is_bounded_and_beyond_it_all_is_said() {
    let mut diffs = Diffs::new(0);
    let names: Vec<String> = (0..=SCOPES).map(|number| number.to_string()).collect();
    for name in &names {
        assert_eq!(diffs.offer(Topic { event: "e", slot: Some(name) }, "{\"a\":1}"), Told::default());
    }
    let known = diffs.offer(Topic { event: "e", slot: Some(&names[0]) }, "{\"a\":1}");
    assert_eq!(known.part.as_deref(), Some("{}"));
    let beyond = diffs.offer(Topic { event: "e", slot: Some(&names[SCOPES]) }, "{\"a\":1}");
    assert_eq!(beyond, Told::default());
    // Objects of half the bytes: the third is not remembered.
    let mut diffs = Diffs::new(0);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(HELD_BYTES / 2 - 100));
    let parts: Vec<_> = ["A", "B", "C", "A", "C"]
        .into_iter()
        .map(|slot| diffs.offer(Topic { event: "e", slot: Some(slot) }, &large).part.is_some())
        .collect();
    assert_eq!(parts, [false, false, false, true, false]);
}

proptest! {
    /// Whenever one comes: from the first message behind that on, what was merged is the object. Who reads what is kept
    /// from anywhere and goes on live has it too.
    #[test]
    fn whoever_merges_what_it_hears_has_the_object(
        said in vec((btree_map("[a-c]", 0..3_u8, 0..4), 0..2_usize, any::<bool>()), 1..60),
        from in 0..60_usize,
    ) {
        let (node, mut shard, kept) = node();
        join(&node, &mut shard, "rec:1");
        // By slot: what each listener knows. The second reads all that is kept from a point, the others hear live.
        let mut listeners: Vec<[Option<Map<String, Value>>; 2]> = vec![[Some(Map::new()), Some(Map::new())]];
        let mut reader: [Map<String, Value>; 2] = Default::default();
        for (at, (object, slot, comes)) in said.iter().enumerate() {
            if *comes && at % 5 == 0 {
                join(&node, &mut shard, "rec:1");
                listeners.push([None, None]);
            }
            let object: Map<String, Value> =
                object.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let value = Value::Object(object.clone());
            node.publish(say("rec:1", ["A", "B"][*slot], &value), None, 0).unwrap();
            let (live, whole) = letters(&kept).remove(0);
            for listener in &mut listeners {
                let known = listener[*slot].get_or_insert_default();
                merge(known, &live);
                prop_assert_eq!(&*known, &object);
            }
            merge(&mut reader[*slot], if at < from { &whole } else { &live });
            prop_assert_eq!(&reader[*slot], &object);
        }
    }
}
