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

/// Merges as RFC 7396 has it.
fn merge(known: &mut Map<String, Value>, patch: &Value) {
    for (name, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(known.remove(name)),
            Value::Object(_) => {
                let inner = known.entry(name.clone()).or_insert(Value::Null);
                let mut merged = inner.as_object().cloned().unwrap_or_default();
                merge(&mut merged, value);
                *inner = Value::Object(merged);
            }
            value => drop(known.insert(name.clone(), value.clone())),
        }
    }
}

/// A number, or an object of such.
fn inner() -> impl Strategy<Value = Value> {
    let number = (0..3_u8).prop_map(|number| json!(number));
    let object = |of| btree_map("[x-z]", of, 0..3).prop_map(|object| json!(object));
    number.clone().prop_recursive(2, 8, 3, move |of| prop_oneof![number.clone(), object(of)])
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

/// Lets the shard take the first of what is on its way, and sends what came of it: to each slot the event and its data.
fn take_one(shard: &mut Shard, kept: &Kept) -> std::collections::HashMap<u32, (String, Value)> {
    let letter = kept.mail.lock().unwrap().remove(0);
    shard.take(&letter);
    let mut sent = Sent::default();
    shard.flush(&mut sent, usize::MAX);
    let read = |text: String| {
        let (_, rest) = text.split_once("\"event\":\"").unwrap();
        let (event, rest) = rest.split_once('"').unwrap();
        let (_, data) = rest.split_once("\"data\":").unwrap();
        // The objects of these tests are flat.
        let (data, _) = data.split_once('}').unwrap();
        (event.to_owned(), serde_json::from_str(&format!("{data}}}")).unwrap())
    };
    sent.0.into_iter().map(|(slot, text)| (slot, read(text))).collect()
}

#[test]
fn who_comes_while_changes_are_on_their_way_hears_all_of_what_they_are_of() {
    for name in ["vol:1", "rec:1"] {
        for others in [1, 40] {
            let (node, mut shard, kept) = node();
            let known: Vec<u32> = (0..others).map(|_| join(&node, &mut shard, name)).collect();
            let publish = |label: &str, n: u32| {
                let payload = Payload::json(json!({"const": 1, "n": n}).to_string());
                node.publish(Publish { payload, ..event(name, label) }, None, 0).unwrap();
            };
            publish("A", 0);
            take_one(&mut shard, &kept);
            // A change, something that is whole since it is new, and a change again: all before anybody comes.
            (1..=3).for_each(|n| publish(if n == 2 { "B" } else { "A" }, n));
            let newcomer = join(&node, &mut shard, name);
            publish("A", 4);
            publish("A", 5);
            for n in 1..=5 {
                let heard = take_one(&mut shard, &kept);
                let (whole, part) = (json!({"const": 1, "n": n}), json!({"n": n}));
                let own = heard.get(&newcomer).map(|(_, data)| data.clone());
                // What is recorded it has read; what is not it is sent, and whole.
                let expected = match n {
                    1..=3 => (name == "vol:1").then_some(&whole),
                    4 => Some(&whole),
                    _ => Some(&part),
                };
                assert_eq!(own.as_ref(), expected, "{name}, {n} for one of {others}");
                let for_all = if matches!(n, 2 | 4) { &whole } else { &part };
                assert!(known.iter().all(|slot| heard[slot].1 == *for_all), "{name}, {n}");
            }
        }
    }
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
        said in vec((btree_map("[a-c]", inner(), 0..4), 0..2_usize, any::<bool>()), 1..60),
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

    /// The same where nothing is kept, and what is said arrives later than it is said.
    #[test]
    fn whoever_comes_while_things_are_on_their_way_has_the_object_with_the_first_it_hears(
        said in vec((btree_map("[a-c]", 0..3_u8, 0..4), 0..2_usize, 0..3_usize, any::<bool>()), 1..60),
    ) {
        let (node, mut shard, kept) = node();
        join(&node, &mut shard, "vol:1");
        // What each listener knows, by the event; and what is on its way.
        let mut known: std::collections::HashMap<(u32, String), Map<String, Value>> = Default::default();
        let mut coming = std::collections::VecDeque::new();
        for (object, at, arrive, comes) in said {
            let object: Map<String, Value> =
                object.into_iter().map(|(name, value)| (name, json!(value))).collect();
            let payload = Payload::json(Value::Object(object.clone()).to_string());
            node.publish(Publish { payload, ..event("vol:1", ["A", "B"][at]) }, None, 0).unwrap();
            coming.push_back(object);
            if comes && shard.len() < 40 {
                join(&node, &mut shard, "vol:1");
            }
            for _ in 0..arrive.min(coming.len()) {
                let object = coming.pop_front().unwrap();
                let heard = take_one(&mut shard, &kept);
                prop_assert_eq!(heard.len(), shard.len());
                for (slot, (event, data)) in heard {
                    let known = known.entry((slot, event)).or_default();
                    merge(known, &data);
                    prop_assert_eq!(&*known, &object);
                }
            }
        }
    }
}
