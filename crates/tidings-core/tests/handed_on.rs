//! Rooms in memory whose process stops in order: what the next one goes on with.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Kept, anyone, event, plain, recent, room, shard, spec};
use tidings_core::node::Heard;
use tidings_core::{
    Bodies, Carried, Code, From, Hub, Joined, Keep, Kinds, Mark, Node, Payload, Position, Post, Publish,
    Published,
};

const ENDLESS: usize = usize::MAX;

/// A node with `rec` rooms of three events, and `vol` rooms.
fn node(id: u64) -> Node {
    let mut kinds = Kinds::default();
    kinds.declare("rec", spec(recent(3)));
    kinds.declare("vol", spec(Keep::Nothing));
    Node::new(Hub::new(vec![Box::new(Kept::endless()) as Box<dyn Post>]), kinds, id)
}

fn say(node: &Node, name: &str, data: &'static str) -> Published {
    node.publish(Publish { payload: Payload::json(data), ..event(name, "said") }, None, 1_000).unwrap()
}

fn keyed(node: &Node, data: &'static str) -> Result<Published, Code> {
    let what = Publish { payload: Payload::json(data), key: Some("k"), ..event("rec:1", "said") };
    node.publish(what, None, 2_000).map_err(|refusal| refusal.code)
}

fn join(node: &Node, from: From) -> Joined {
    let mut here = shard(0);
    let slot = here.open().slot;
    node.join(&mut here, slot, plain(), &anyone(), &room("rec:1"), from).unwrap()
}

fn heard(joined: &Joined) -> Vec<String> {
    joined.missed.iter().map(|event| event.payload.text().to_owned()).collect()
}

/// The next process, once the one before has stopped.
fn next(before: &Node, id: u64) -> (Node, Carried) {
    let (carried, left_out) = before.hand_on(ENDLESS, 3_000);
    assert_eq!(left_out, 0);
    let node = node(id);
    node.go_on_with(carried.clone(), 3_000);
    (node, carried)
}

#[test]
fn positions_and_numbers_go_on_in_the_next_process() {
    let first = node(1);
    let positions: Vec<Position> =
        ["1", "2", "3", "4", "5"].map(|data| say(&first, "rec:1", data).position.unwrap()).into();
    let (second, _) = next(&first, 2);
    assert_eq!(say(&second, "rec:1", "6").position.unwrap().offset, 6);

    let after = |position| From::Position(position);
    let joined = join(&second, after(positions[3]));
    assert_eq!((joined.recovered, heard(&joined)), (Some(true), vec!["5".into(), "6".into()]));
    // Three are kept: what came before is a gap, as it was in the first.
    assert_eq!(join(&second, after(positions[1])).recovered, Some(false));
    let wrong = Position { tag: positions[4].tag ^ 1, ..positions[4] };
    assert_eq!(join(&second, after(wrong)).recovered, Some(false));

    let from = |memory| {
        let heard = Heard::To(Mark { memory, durable: 0 });
        From::Sequence { heard, since: Mark::default() }
    };
    assert_eq!(heard(&join(&second, from(4))), ["5", "6"]);
    assert_eq!(join(&second, from(4)).recovered, Some(true));
    assert_eq!(join(&second, from(2)).recovered, Some(false));
}

#[test]
fn numbers_are_known_by_their_process_as_long_as_memory_went_on() {
    let first = node(1);
    say(&first, "rec:1", "1");
    let (second, _) = next(&first, 2);
    let (third, _) = next(&second, 3);
    assert!([1, 2, 3].into_iter().all(|process| third.counts_as(process)));
    assert!(third.has_carried(1, &room("rec:1")) && third.has_carried(2, &room("rec:1")));
    assert!(!third.has_carried(3, &room("rec:1")), "it did not end");
    assert!(!third.has_carried(1, &room("rec:2")) && !third.has_carried(9, &room("rec:1")));
    assert!(!third.counts_as(9) && !second.counts_as(3));

    let mut last = third;
    for id in 4..40 {
        last = next(&last, id).0;
    }
    assert!(last.counts_as(39) && last.counts_as(24) && !last.counts_as(1), "of processes some are known");
}

#[test]
fn what_was_handed_on_stays_as_it_is() {
    let first = node(1);
    say(&first, "rec:1", "1");
    let (second, carried) = next(&first, 2);
    let refused = first.publish(event("rec:1", "said"), None, 4_000).unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::Unavailable, Some(1_000)));
    let elsewhere = first.publish(event("rec:new", "said"), None, 4_000).unwrap_err();
    assert_eq!(elsewhere.code, Code::Unavailable);
    first.publish(event("vol:1", "said"), None, 4_000).unwrap();
    let volatile = Publish { volatile: true, ..event("rec:1", "said") };
    first.publish(volatile, None, 4_000).unwrap();
    assert_eq!(carried.rooms.len(), 1);
    assert_eq!(heard(&join(&second, From::Newest(9))), ["1"]);
}

#[test]
fn a_key_stands_for_the_same_event_in_the_next_process() {
    let first = node(1);
    let published = keyed(&first, "1").unwrap();
    let (second, _) = next(&first, 2);
    let again = keyed(&second, "1").unwrap();
    assert_eq!((again.id, again.position, again.duplicate), (published.id, published.position, true));
    assert_eq!(keyed(&second, "2"), Err(Code::Conflict));

    // A version that counts bodies otherwise knows no key.
    let (carried, _) = second.hand_on(ENDLESS, 3_000);
    let third = node(3);
    let bodies = Bodies { proof: carried.bodies.proof ^ 1, ..carried.bodies };
    third.go_on_with(Carried { bodies, ..carried }, 3_000);
    assert!(!keyed(&third, "2").unwrap().duplicate);
}

#[test]
fn the_largest_rooms_are_left_out_where_not_all_have_place() {
    let first = node(1);
    say(&first, "rec:1", "1");
    let large = Payload::json(format!("\"{}\"", "x".repeat(10_000)));
    first.publish(Publish { payload: large, ..event("rec:2", "said") }, None, 1_000).unwrap();
    say(&first, "rec:3", "1");
    let (carried, left_out) = first.hand_on(5_000, 3_000);
    let mut names: Vec<_> = carried.rooms.iter().map(|(room, _)| room.name()).collect();
    names.sort_unstable();
    assert_eq!((names, left_out), (vec!["rec:1", "rec:3"], 1));
    let second = node(2);
    assert_eq!(second.go_on_with(carried, 3_000), 2);
    assert!(!second.has_carried(1, &room("rec:2")));
}

#[test]
fn a_room_whose_kind_or_time_has_changed_is_as_it_is_now() {
    let first = node(1);
    say(&first, "rec:1", "1");
    let (carried, _) = first.hand_on(ENDLESS, 3_000);
    let mut kinds = Kinds::default();
    kinds.declare("rec", spec(Keep::Nothing));
    let second = Node::new(Hub::new(vec![Box::new(Kept::endless()) as Box<dyn Post>]), kinds, 2);
    assert_eq!(second.go_on_with(carried, 3_000), 0);
    assert!(!second.has_carried(1, &room("rec:1")));

    let first = node(1);
    let position = say(&first, "rec:1", "1").position.unwrap();
    let (carried, _) = first.hand_on(ENDLESS, 3_000);
    let late = Duration::from_secs(3_700).as_millis() as u64;
    let second = node(2);
    assert_eq!(second.go_on_with(carried, late), 1);
    assert_eq!(heard(&join(&second, From::Newest(9))), Vec::<String>::new());
    assert_eq!(join(&second, From::Position(position)).recovered, Some(true), "nothing was said since");
    let before = Position::start(position.epoch);
    assert_eq!(join(&second, From::Position(before)).recovered, Some(false));
}
