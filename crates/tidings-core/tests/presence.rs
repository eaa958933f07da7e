//! What a room is told of who comes and goes, and what that costs.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{plain, room, shard, spec};
use compact_str::CompactString;
use tidings_core::kinds::Kinds;
use tidings_core::node::From;
use tidings_core::presence::{BATCH_MS, Change, News, Presence, RoomNews, SENDS_PER_SECOND, Times};
use tidings_core::roster::{Counts, Device, Status, Wish};
use tidings_core::{ConnKey, Hub, Identity, Keep, Node, Org, Roll, RoomSpec, Rule, UserKey};

const MEMBERS: Roll = Roll::Members { full: 100, deltas: 1_000 };

fn who(id: usize) -> Identity {
    Identity { user: Some(CompactString::from(id.to_string())), ..Identity::anonymous() }
}

fn user(id: usize) -> UserKey {
    UserKey::new(&Org::default(), &id.to_string())
}

fn device(id: usize) -> Device {
    Device::new(0, ConnKey { slot: id as u32, generation: 1 }, 0)
}

fn of_rooms(news: Vec<News>) -> Vec<RoomNews> {
    let rooms = news.into_iter().filter_map(|news| match news {
        News::Room(news) => Some(news),
        News::Everybody { .. } | News::Shown(_) => None,
    });
    rooms.collect()
}

/// So many join at a rate in a second; the events that told it, and the frames these came to.
fn all_join(roll: Roll, members: usize, per_second: usize) -> (usize, usize) {
    let (presence, place) = (Presence::default(), room("chat:1"));
    let (mut events, mut frames, mut joined) = (0, 0, 0);
    let mut now_ms = 10_000;
    while joined < members || presence.next_ms() < u64::MAX {
        for _ in 0..per_second / 100 {
            if joined < members {
                presence.join(&who(joined), &place, roll, device(joined), now_ms);
                joined += 1;
            }
        }
        for news in of_rooms(presence.look(now_ms)) {
            events += 1;
            frames += news.counts.connections;
        }
        now_ms += 10;
    }
    (events, frames)
}

#[test]
fn so_many_that_come_at_once_cost_messages_in_proportion_to_their_number() {
    let (events, frames) = all_join(MEMBERS, 10_000, 1_000_000);
    let naive = 10_000 * 10_001 / 2;
    println!("10,000 at once: {events} events, {frames} frames; each told for itself: {naive} frames");
    assert!(events <= 2 && frames <= 2 * 10_000, "{events} events, {frames} frames");
    // The control: were each told for itself, this bound would not hold.
    assert!(naive > 1_000 * frames);
}

/// How long it takes to look at two thousand of a room who were lost one after the other, each in a millisecond of
/// its own, when their grace is over.
fn time_to_lose_two_thousand_of(members: usize) -> Duration {
    let (presence, place) = (Presence::default(), room("chat:1"));
    (0..members).for_each(|id| presence.join(&who(id), &place, MEMBERS, device(id), 10_000));
    drop(presence.look(20_000));
    (0..2_000).for_each(|id| presence.leave(&place, device(id), true, 20_000 + id as u64));
    let begun = Instant::now();
    while presence.next_ms() < u64::MAX {
        drop(presence.look(presence.next_ms()));
    }
    let took = begun.elapsed();
    assert_eq!(presence.figures().1, members - 2_000);
    took
}

#[test]
fn who_is_lost_one_after_the_other_costs_no_more_in_a_room_of_many_than_in_one_of_few() {
    let few = time_to_lose_two_thousand_of(2_500);
    // Of several, since a machine that does something else meanwhile takes longer.
    let many = (0..3).map(|_| time_to_lose_two_thousand_of(50_000)).min().unwrap();
    println!("of 2,500: {few:?}; of 50,000: {many:?}");
    // Were all looked at whenever somebody's time is over, it would be twenty times as much, and more for what is far
    // apart in memory.
    assert!(many < few * 8, "{few:?} and {many:?}");
}

#[test]
fn at_a_steady_rate_twice_as_many_cost_twice_as_many_messages() {
    let per_member = |members| all_join(MEMBERS, members, 2_000).1 / members;
    let (few, many) = (per_member(10_000), per_member(80_000));
    // The control: batches of a fixed length are the more of them the longer it takes, for more members each.
    let in_fixed_batches = |members: usize| members / 2 * 1_000 / 2_000 / BATCH_MS as usize;
    println!("frames a member: {few} of 10,000, {many} of 80,000");
    println!("in fixed batches: {} and {}", in_fixed_batches(10_000), in_fixed_batches(80_000));
    assert!(few >= 5 && many <= 12, "{few} and {many} frames a member");
    assert!(in_fixed_batches(80_000) > 6 * many);
    assert_eq!(SENDS_PER_SECOND, 20_000, "which makes ten sends for each of 2,000 in a second");
}

#[test]
fn what_happens_within_a_batch_is_told_at_once() {
    let (presence, place) = (Presence::default(), room("chat:1"));
    for id in 0..5 {
        presence.join(&who(id), &place, MEMBERS, device(id), 1_000 + id as u64);
    }
    assert_eq!(presence.next_ms(), 1_000 + BATCH_MS);
    assert!(presence.look(1_000 + BATCH_MS - 1).is_empty());
    let news = of_rooms(presence.look(1_000 + BATCH_MS));
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].changes.as_ref().unwrap().joined.len(), 5);
    assert_eq!(news[0].counts, Counts { connections: 5, users: 5 });
    assert!(presence.look(60_000).is_empty(), "and not again");
}

#[test]
fn what_is_undone_before_it_was_told_is_told_to_who_was_shown_it_and_to_nobody_else() {
    for looks in [false, true] {
        let (presence, place) = (Presence::default(), room("chat:1"));
        presence.join(&who(1), &place, MEMBERS, device(1), 10_000);
        presence.look(11_000);
        // Somebody comes, and one who is there is away; then both are as before.
        presence.join(&who(2), &place, MEMBERS, device(2), 12_000);
        presence.signal(&place, device(1), true, 12_000);
        if looks {
            let view = presence.view_of_newcomer(&place, None).unwrap();
            assert_eq!(view.page.unwrap().members.len(), 2);
        }
        presence.leave(&place, device(2), false, 12_010);
        presence.signal(&place, device(1), false, 12_010);
        let news = of_rooms(presence.look(12_000 + BATCH_MS)).pop();
        let Some(news) = news.filter(|_| looks) else {
            assert!(!looks, "whoever looked is not told");
            continue;
        };
        let changes = news.changes.unwrap();
        assert_eq!((&changes.left[0].user, news.counts.users), (&user(2), 1));
        assert_eq!((&changes.changed[0].user, changes.changed[0].status), (&user(1), Status::Online));
        assert!(changes.joined.is_empty() && presence.look(60_000).is_empty());
    }
}

#[test]
fn counts_that_somebody_was_shown_are_taken_back() {
    let (presence, place) = (Presence::default(), room("chat:1"));
    presence.join(&who(1), &place, MEMBERS, device(1), 10_000);
    presence.look(11_000);
    presence.join(&Identity::anonymous(), &place, MEMBERS, device(2), 12_000);
    assert_eq!(presence.view(&place, None, 0).unwrap().counts.connections, 2);
    presence.leave(&place, device(2), false, 12_010);
    let news = of_rooms(presence.look(12_000 + BATCH_MS)).pop().unwrap();
    assert_eq!((news.counts.connections, news.changes.unwrap().is_empty()), (1, true));
    assert!(presence.look(60_000).is_empty());
}

#[test]
fn too_many_for_lists_are_told_counts_until_they_are_clearly_fewer() {
    let roll = Roll::Members { full: 2, deltas: 8 };
    let (presence, place) = (Presence::default(), room("chat:1"));
    let next = |presence: &Presence| of_rooms(presence.look(presence.next_ms())).pop().unwrap();
    let mut now_ms = 10_000;
    for id in 0..9 {
        presence.join(&who(id), &place, roll, device(id), now_ms);
    }
    let news = next(&presence);
    assert_eq!((news.changes, news.counts.users), (None, 9));
    for id in 0..4 {
        now_ms += 1_000;
        presence.leave(&place, device(id), false, now_ms);
        let news = next(&presence);
        let left = 8 - id;
        // Seven and six are not yet clearly fewer than eight.
        assert_eq!(news.reread, left == 5, "{left}");
        assert_eq!(news.changes.is_some(), left == 5);
        assert_eq!(news.counts.users, left);
    }
    presence.leave(&place, device(4), false, now_ms + 1_000);
    let news = next(&presence);
    assert_eq!(news.changes.unwrap().left[0].user, user(4));
    assert!(!news.reread);
}

/// A wish that ends in thirty days.
fn wish(wish: Wish) -> Change {
    Change { shown: Some(Some(wish)), for_ms: Some(30 * common::DAY_MS), ..Change::default() }
}

#[test]
fn a_room_that_is_empty_is_forgotten_though_a_wish_of_who_was_there_goes_on() {
    for shown in [Wish::Status(Status::Away), Wish::Invisible] {
        let (presence, place) = (Presence::default(), room("chat:1"));
        presence.set(&user(1), wish(shown), 10_000).unwrap();
        presence.join(&who(1), &place, MEMBERS, device(1), 10_000);
        presence.look(11_000);
        presence.leave(&place, device(1), false, 12_000);
        presence.look(13_000);
        assert_eq!(presence.figures(), (0, 0), "{shown:?}");
    }
}

#[test]
fn everybody_of_an_empty_namespace_is_forgotten_though_wishes_go_on() {
    for shown in [Wish::Status(Status::Away), Wish::Invisible] {
        let presence = Presence::new(Times { announce_up_to: 10, grace_ms: 0, ..Times::default() });
        presence.set(&user(1), wish(shown), 10_000).unwrap();
        presence.seated(&who(1), 0, device(1), 10_000);
        presence.look(11_000);
        presence.unseated(&who(1), 0, device(1), 12_000);
        presence.look(13_000);
        assert_eq!(presence.namespaces(), 0, "{shown:?}");
    }
}

#[test]
fn versions_have_no_holes() {
    let (presence, place) = (Presence::default(), room("chat:1"));
    presence.join(&who(0), &place, MEMBERS, device(0), 10_000);
    let first = presence.view(&place, None, 0).unwrap().version;
    for id in 1..5 {
        let news = of_rooms(presence.look(10_000 + id * 1_000)).pop().unwrap();
        assert_eq!(news.version, first + id);
        presence.join(&who(id as usize), &place, MEMBERS, device(id as usize), 10_000 + id * 1_000);
    }
}

#[test]
fn what_a_user_sets_holds_in_rooms_it_comes_to_later() {
    let presence = Presence::default();
    let hide = Change { shown: Some(Some(Wish::Invisible)), for_ms: Some(5_000), info: None };
    presence.set(&user(1), hide, 10_000).unwrap();
    presence.join(&who(1), &room("chat:1"), MEMBERS, device(1), 10_001);
    presence.join(&who(2), &room("chat:1"), MEMBERS, device(2), 10_001);
    presence.sweep(10_002);
    let seen = |asker| presence.view(&room("chat:1"), Some(&user(asker)), 0).unwrap();
    assert_eq!(seen(2).counts.users, 1);
    assert_eq!(seen(1).counts.users, 2);
    assert_eq!(seen(1).page.unwrap().members.len(), 2);
    presence.look(10_300);
    let news = of_rooms(presence.look(15_000)).pop().unwrap();
    assert_eq!(news.changes.unwrap().joined[0].user, user(1), "until it is over");
}

#[test]
fn apps_are_told_who_is_seen_again_because_the_time_is_over() {
    let presence = Presence::default();
    let set = |shown, for_ms, now_ms| {
        let change = Change { shown: Some(shown), for_ms: Some(for_ms), info: None };
        presence.set(&user(1), change, now_ms).unwrap();
    };
    let told = |now_ms| presence.look(now_ms).contains(&News::Shown(user(1)));
    let hidden = Some(Wish::Invisible);
    // A longer time stands in for a shorter one, and whatever forgets it meanwhile, it is told once.
    set(hidden, 1_000, 10_000);
    set(hidden, 5_000, 10_500);
    assert!(!told(11_000));
    assert_eq!(presence.next_ms(), 15_500);
    presence.sweep(15_500);
    presence.join(&who(1), &room("chat:1"), MEMBERS, device(1), 15_500);
    assert!(told(15_500) && !told(20_000));
    // Who says so himself has told it himself, and another wish hides nobody.
    set(hidden, 1_000, 20_000);
    set(None, 1_000, 20_500);
    set(Some(Wish::Status(Status::Away)), 1_000, 20_500);
    assert!(!told(30_000));
}

#[test]
fn an_empty_room_leaves_nothing_behind() {
    let presence = Presence::default();
    presence.join(&who(1), &room("chat:1"), MEMBERS, device(1), 10_000);
    presence.leave(&room("chat:1"), device(1), true, 11_000);
    presence.look(11_250);
    assert_eq!(presence.figures(), (1, 1));
    presence.look(16_000);
    presence.look(16_250);
    assert_eq!(presence.figures(), (0, 0));
    assert_eq!(presence.next_ms(), u64::MAX);
}

#[test]
fn a_room_without_a_roster_costs_nothing() {
    let (node, mut here) = (node(Rule::Anyone), shard(0));
    let key = here.open();
    let joined = node.join(&mut here, key.slot, plain(), &who(1), &room("quiet:1"), From::Now).unwrap();
    assert_eq!(joined.roll, Roll::Off);
    assert!(!here.attends());
    assert_eq!(node.presence().figures(), (0, 0));
    assert_eq!(node.presence().next_ms(), u64::MAX);
}

#[test]
fn who_may_not_see_the_others_is_told_nothing_of_them() {
    for (rule, sees) in [(Rule::Anyone, true), (Rule::Nobody, false)] {
        let (node, mut here) = (node(rule), shard(0));
        let key = here.open();
        let joined = node.join(&mut here, key.slot, plain(), &who(1), &room("chat:1"), From::Now).unwrap();
        assert_eq!(joined.roll.is_on(), sees);
        let filter = node.leave_all(&mut here, key.slot, None).pop().unwrap().filter;
        assert_eq!(filter.is_some_and(|filter| filter.blind), !sees);
    }
}

#[test]
fn organisations_have_rosters_of_their_own() {
    let presence = Presence::default();
    let elsewhere = tidings_core::Room::new(&Org::new("other"), "chat:1", 200).unwrap();
    presence.join(&who(1), &room("chat:1"), MEMBERS, device(1), 10_000);
    assert!(presence.view(&elsewhere, None, 0).is_none());
    let other = Identity { org: Org::new("other"), ..who(1) };
    presence.join(&other, &elsewhere, MEMBERS, device(2), 10_000);
    assert_eq!(presence.view(&elsewhere, None, 0).unwrap().counts.users, 1);
    assert_eq!(presence.view(&room("chat:1"), None, 0).unwrap().counts.users, 1);
}

/// What everybody was told: who came online, and who went offline.
fn announced(news: Vec<News>) -> (Vec<String>, Vec<String>) {
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for news in news {
        if let News::Everybody { online, offline, .. } = news {
            came.extend(online.iter().map(|user| user.id().to_owned()));
            went.extend(offline.iter().map(|user| user.id().to_owned()));
        }
    }
    (came, went)
}

#[test]
fn the_first_connection_of_a_user_is_announced_and_the_last_after_the_grace() {
    let presence = Presence::new(Times { announce_up_to: 10, ..Times::default() });
    presence.seated(&who(1), 0, device(1), 10_000);
    presence.seated(&who(1), 0, device(2), 10_001);
    assert_eq!(announced(presence.look(10_250)), (vec!["1".into()], vec![]));
    presence.unseated(&who(1), 0, device(1), 11_000);
    assert_eq!(announced(presence.look(16_500)), (vec![], vec![]), "one is left");
    presence.unseated(&who(1), 0, device(2), 20_000);
    assert_eq!(announced(presence.look(24_999)), (vec![], vec![]), "it may come back");
    assert_eq!(announced(presence.look(25_000)), (vec![], vec!["1".into()]));
}

#[test]
fn above_so_many_connections_nobody_is_announced_until_there_are_half_as_many() {
    let presence = Presence::new(Times { announce_up_to: 4, grace_ms: 0, ..Times::default() });
    for id in 0..5 {
        assert!(!presence.seated(&who(id), 0, device(id), 10_000));
    }
    assert_eq!(announced(presence.look(11_000)), (vec![], vec![]), "five are too many");
    assert!(!presence.unseated(&who(0), 0, device(0), 12_000));
    assert!(!presence.unseated(&who(1), 0, device(1), 12_000));
    assert!(presence.unseated(&who(2), 0, device(2), 12_000), "all are to be counted again");
    for id in [3, 4] {
        presence.recount(&who(id), 0, device(id), 12_100);
    }
    presence.unseated(&who(3), 0, device(3), 20_000);
    assert_eq!(announced(presence.look(20_250)), (vec![], vec!["3".into()]), "who was counted is known");
}

fn node(presence: Rule) -> Node {
    let mut kinds = Kinds::default();
    kinds.declare("quiet", spec(Keep::Nothing));
    kinds.declare("chat", RoomSpec { roll: MEMBERS, presence, ..spec(Keep::Nothing) });
    Node::new(Hub::new(Vec::new()), kinds, 5)
}
