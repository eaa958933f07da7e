//! Join, leave and publish: keys, full rooms, other people's rooms, and rooms that are forgotten.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{DAY_MS, HOUR_MS, anyone, event, node, node_with_mailboxes, plain, room, shard};
use tidings_core::kinds::Action;
use tidings_core::{Code, Denied, From, Identity, Node, Org, Payload, Publish, Refusal, Room};

fn refused(done: Result<(), Denied>) -> Code {
    Refusal::from(done.unwrap_err()).code
}

#[test]
fn a_key_answers_a_repeat_with_what_the_first_became() {
    let (node, _) = node();
    let keyed = || Publish { key: Some("k"), ..event("rec:1", "e") };
    let first = node.publish(keyed(), None, 0).unwrap();
    let again = node.publish(keyed(), None, 10 * 60_000 - 1).unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.id, first.position), (again.id, again.position));
    let after = node.publish(keyed(), None, 10 * 60_000).unwrap();
    assert!(!after.duplicate, "after the window it is a new message");
    assert_eq!(after.position.unwrap().offset, 2);
}

#[test]
fn a_key_used_with_another_event_is_a_conflict() {
    let (node, _) = node();
    let first = || Publish { key: Some("k"), ..event("rec:1", "e") };
    let with = |bytes: &'static [u8]| Payload {
        json: r#"{"_placeholder":true,"num":0}"#.into(),
        attachments: [bytes.into()].into(),
    };
    node.publish(first(), None, 0).unwrap();
    let others = [
        Publish { event: "f", ..first() },
        Publish { payload: Payload::json("2"), ..first() },
        Publish { payload: with(b"1"), ..first() },
    ];
    for other in others {
        assert_eq!(node.publish(other, None, 0).unwrap_err().code, Code::Conflict);
    }
    let binary = |bytes| Publish { key: Some("b"), payload: with(bytes), ..event("rec:1", "e") };
    node.publish(binary(b"one"), None, 0).unwrap();
    assert!(node.publish(binary(b"one"), None, 0).unwrap().duplicate);
    assert_eq!(node.publish(binary(b"two"), None, 0).unwrap_err().code, Code::Conflict);
}

#[test]
fn a_repeat_under_a_key_is_known_however_it_is_written() {
    let (node, _) = node();
    let say = |json: &'static str| {
        let publish = Publish { key: Some("k"), payload: Payload::json(json), ..event("rec:1", "e") };
        node.publish(publish, None, 0)
    };
    say(r#"{"name":"\u00e9","at":[1,2]}"#).unwrap();
    assert!(say("{ \"at\": [1, 2], \"name\": \"\u{e9}\" }").unwrap().duplicate);
    assert_eq!(say(r#"{"at":[2,1],"name":"\u00e9"}"#).unwrap_err().code, Code::Conflict);
}

#[test]
fn a_key_belongs_to_its_room() {
    let (node, _) = node();
    for name in ["rec:1", "rec:2"] {
        let published = node.publish(Publish { key: Some("k"), ..event(name, "e") }, None, 0).unwrap();
        assert!(!published.duplicate);
    }
}

#[test]
fn a_full_room_takes_nobody_until_one_leaves() {
    let (node, _) = node();
    let (mut here, mut there) = (shard(0), shard(1));
    let slots = [here.open().slot, here.open().slot];
    let other = there.open().slot;
    let two = room("two:1");
    node.join(&mut here, slots[0], plain(), &anyone(), &two, From::Now).unwrap();
    node.join(&mut there, other, plain(), &anyone(), &two, From::Now).unwrap();
    let full = node.join(&mut here, slots[1], plain(), &anyone(), &two, From::Now).unwrap_err();
    assert_eq!(Refusal::from(full).code, Code::Unavailable);
    assert!(!here.is_member(slots[1], &two, 0));
    assert!(node.leave(&mut there, other, &two, 0));
    node.join(&mut here, slots[1], plain(), &anyone(), &two, From::Now).unwrap();
    assert_eq!(node.hub().find(&two).unwrap().members(), 2);
}

#[test]
fn joining_twice_counts_once() {
    let (node, _) = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    for _ in 0..2 {
        node.join(&mut here, slot, plain(), &anyone(), &room("two:1"), From::Now).unwrap();
    }
    assert_eq!(node.hub().find(&room("two:1")).unwrap().members(), 1);
    assert!(node.leave(&mut here, slot, &room("two:1"), 0));
    assert!(!node.leave(&mut here, slot, &room("two:1"), 0));
    assert_eq!(node.hub().find(&room("two:1")).unwrap().members(), 0);
}

#[test]
fn only_shards_with_members_get_mail() {
    let (node, boxes) = node();
    let mut there = shard(1);
    let slot = there.open().slot;
    node.publish(event("vol:1", "nobody"), None, 0).unwrap();
    node.join(&mut there, slot, plain(), &anyone(), &room("vol:1"), From::Now).unwrap();
    node.publish(event("vol:1", "one"), None, 0).unwrap();
    node.leave(&mut there, slot, &room("vol:1"), 0);
    node.publish(event("vol:1", "nobody"), None, 0).unwrap();
    let events = |at: usize| -> Vec<String> {
        boxes[at].mail.lock().unwrap().iter().map(|mail| mail.event.to_string()).collect()
    };
    assert_eq!((events(0), events(1)), (vec![], vec!["one".to_owned()]));
}

#[test]
fn what_a_full_mailbox_refuses_is_counted() {
    let (node, _) = node_with_mailboxes(1);
    let mut here = shard(0);
    let slot = here.open().slot;
    node.join(&mut here, slot, plain(), &anyone(), &room("vol:1"), From::Now).unwrap();
    for _ in 0..3 {
        node.publish(event("vol:1", "e"), None, 0).unwrap();
    }
    assert_eq!(node.hub().refused.load(Ordering::Relaxed), 2);
}

#[test]
fn an_undeclared_kind_does_not_exist() {
    let (node, _) = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    let refused = node.join(&mut here, slot, plain(), &anyone(), &room("other:1"), From::Now).unwrap_err();
    assert_eq!(Refusal::from(refused).code, Code::NotFound);
    assert_eq!(node.publish(event("other:1", "e"), None, 0).unwrap_err().code, Code::NotFound);
    assert_eq!(node.hub().rooms(), 0);
}

#[test]
fn a_kind_may_bound_the_data_of_its_events() {
    let (node, _) = node();
    let with = |json: &'static str| Publish { payload: Payload::json(json), ..event("small:1", "e") };
    assert!(node.publish(with("12345678"), None, 0).is_ok());
    assert_eq!(node.publish(with("123456789"), None, 0).unwrap_err().code, Code::TooLarge);
}

#[test]
fn rooms_of_two_organisations_share_a_name_and_nothing_else() {
    let (node, boxes) = node();
    let (mut here, mut there) = (shard(0), shard(1));
    let ours = Org::new("ours");
    let insider = Identity { org: ours.clone(), ..anyone() };
    let our_room = Room::new(&ours, "rec:1", 200).unwrap();
    let (slot, other) = (here.open().slot, there.open().slot);
    node.join(&mut here, slot, plain(), &insider, &our_room, From::Now).unwrap();
    node.join(&mut there, other, plain(), &anyone(), &room("rec:1"), From::Now).unwrap();
    node.publish(Publish { room: our_room.clone(), ..event("rec:1", "secret") }, None, 0).unwrap();
    assert_eq!(boxes[0].mail.lock().unwrap().len(), 1);
    assert_eq!(boxes[1].mail.lock().unwrap().len(), 0);
    for action in [Action::Subscribe, Action::Publish, Action::History, Action::Presence] {
        assert_eq!(refused(node.admit(&anyone(), &our_room, action).map(drop)), Code::NotFound);
    }
    assert_eq!(refused(node.history(&anyone(), &our_room, None, 9).map(drop)), Code::NotFound);
    let theirs = node.history(&anyone(), &room("rec:1"), None, 9).unwrap().unwrap();
    assert!(theirs.events.is_empty());
}

#[test]
fn a_room_is_forgotten_only_when_nobody_can_miss_anything() {
    let (node, _) = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    node.join(&mut here, slot, plain(), &anyone(), &room("rec:1"), From::Now).unwrap();
    assert_eq!(node.sweep(0), 1, "it has a member");
    node.leave(&mut here, slot, &room("rec:1"), 0);
    assert_eq!(node.sweep(0), 0, "nothing was ever published");
    let first = node.publish(event("rec:1", "e"), None, 0).unwrap().position.unwrap();
    assert_eq!(node.sweep(2 * HOUR_MS), 1, "its events are gone, but its position is known");
    let next = node.publish(event("rec:1", "e"), None, 2 * HOUR_MS).unwrap().position.unwrap();
    assert_eq!((next.epoch, next.offset), (first.epoch, 2));
    assert_eq!(node.sweep(2 * HOUR_MS + DAY_MS), 0);
    let anew = node.publish(event("rec:1", "e"), None, 30 * HOUR_MS).unwrap().position.unwrap();
    assert_ne!(anew.epoch, first.epoch, "a lost history has another epoch");
    assert_eq!(anew.offset, 1);
}

#[test]
fn a_sweep_drops_old_events_of_rooms_with_members() {
    let (node, _) = node();
    let mut here = shard(0);
    let slot = here.open().slot;
    node.join(&mut here, slot, plain(), &anyone(), &room("rec:1"), From::Now).unwrap();
    let top = node.publish(event("rec:1", "e"), None, 0).unwrap().position.unwrap();
    let kept = |node: &Node| node.history(&anyone(), &room("rec:1"), None, 9).unwrap().unwrap();
    node.sweep(HOUR_MS - 1);
    assert_eq!(kept(&node).events.len(), 1);
    node.sweep(HOUR_MS);
    assert_eq!((kept(&node).events.len(), kept(&node).top), (0, top));
}

/// One thread forgets a room that is old enough while another publishes to it again: wherever the
/// two meet, what was acknowledged is kept.
#[test]
fn a_sweep_never_loses_an_acknowledged_event() {
    const ROUNDS: u64 = 100_000;
    let (node, _) = node();
    let (clock_ms, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                node.sweep(clock_ms.load(Ordering::Acquire));
            }
        });
        let publisher = scope.spawn(|| {
            for round in 1..=ROUNDS {
                let now_ms = round * 2 * DAY_MS;
                clock_ms.store(now_ms, Ordering::Release);
                let top = node.publish(event("rec:1", "e"), None, now_ms).unwrap().position.unwrap();
                let read = node.history(&anyone(), &room("rec:1"), None, 9).unwrap();
                assert_eq!(read.map(|read| (read.top, read.events.len())), Some((top, 1)), "round {round}");
            }
        });
        let end = publisher.join();
        done.store(true, Ordering::Relaxed);
        assert!(end.is_ok(), "an acknowledged event is gone");
    });
}

/// Members come and go while one thread forgets rooms and another publishes: a member gets by
/// mail, or from the history, all that was acknowledged after its join.
#[test]
fn a_member_that_joins_during_a_sweep_misses_nothing() {
    const ROUNDS: usize = 1_500;
    let (node, boxes) = node();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                node.sweep(0);
            }
        });
        let member = scope.spawn(|| {
            let mut here = shard(0);
            let slot = here.open().slot;
            for round in 0..ROUNDS {
                let name = format!("rec:{round}");
                let joined = node.join(&mut here, slot, plain(), &anyone(), &room(&name), From::Now).unwrap();
                let top = node.publish(event(&name, "e"), None, 0).unwrap().position.unwrap();
                assert_eq!((top.epoch, top.offset), (joined.top.unwrap().epoch, 1));
                assert_eq!(boxes[0].mail.lock().unwrap().pop().unwrap().position, Some(top));
                node.leave(&mut here, slot, &room(&name), 0);
            }
        });
        let end = member.join();
        done.store(true, Ordering::Relaxed);
        assert!(end.is_ok());
    });
}

#[test]
fn two_ids_and_two_epochs_do_not_tell_how_much_others_did_between_them() {
    let (node, _) = node();
    let published = || node.publish(event("rec:1", "e"), None, 1).unwrap();
    let ids: Vec<u64> = (0..100).map(|_| published().id.number).collect();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 100);
    assert!(ids.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000), "{ids:?}");
    // The number of the node is in every id: what follows from it would be known as well.
    let (other, _) = common::node();
    let first = |node: &Node| node.publish(event("rec:1", "e"), None, 1).unwrap();
    assert_ne!(first(&node).position.unwrap().epoch, first(&other).position.unwrap().epoch);
}

#[test]
fn who_comes_by_a_snapshot_is_sent_what_followed_it_and_nothing_it_shows() {
    let (node, mailboxes) = node();
    let say = || node.publish(event("rec:1", "e"), None, 0).unwrap().position.unwrap();
    let (first, second) = (say(), say());
    let offsets = |joined: &tidings_core::Joined| -> Vec<u64> {
        joined.missed.iter().map(|missed| missed.position.unwrap().offset).collect()
    };
    let join = |from| {
        let mut shard = shard(0);
        let slot = shard.open().slot;
        let joined = node.join(&mut shard, slot, plain(), &anyone(), &room("rec:1"), from);
        let joined = joined.map_err(|denied| Refusal::from(denied).code);
        (joined, shard, slot)
    };
    let (joined, ..) = join(From::Moment(Some(first)));
    let joined = joined.unwrap();
    assert_eq!((joined.top, offsets(&joined), joined.recovered), (Some(first), vec![2], None));
    let (joined, ..) = join(From::Moment(Some(second)));
    assert_eq!(offsets(&joined.unwrap()), [0_u64; 0]);
    let (joined, ..) = join(From::Moment(None));
    assert_eq!(offsets(&joined.unwrap()), [1, 2]);
    // The snapshot may show what is stored and not delivered yet.
    let ahead = tidings_core::Position { offset: 3, ..second };
    let (joined, mut ahead_of_all, slot) = join(From::Moment(Some(ahead)));
    assert_eq!(joined.unwrap().top, Some(ahead));
    mailboxes[0].mail.lock().unwrap().clear();
    let (third, fourth) = (say(), say());
    assert_eq!((third.offset, fourth.offset), (3, 4));
    let mail: Vec<_> = mailboxes[0].mail.lock().unwrap().drain(..).collect();
    ahead_of_all.take(&mail[0]);
    assert_eq!(ahead_of_all.waiting(slot), 0, "the snapshot shows the third");
    ahead_of_all.take(&mail[1]);
    assert!(ahead_of_all.waiting(slot) > 0);
    assert!(ahead_of_all.is_member(slot, &room("rec:1"), 0));
    // What lies further back than the room keeps cannot be completed.
    for _ in 0..200 {
        say();
    }
    let (joined, lost, slot) = join(From::Moment(Some(first)));
    assert_eq!(joined.unwrap_err(), Code::Unavailable);
    assert!(!lost.is_member(slot, &room("rec:1"), 0));
}
