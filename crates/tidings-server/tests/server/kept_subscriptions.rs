//! Persistent subscriptions: kept for a user over connections and restarts, until they are ended.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_core::Org;
use tidings_store::Store;
use tidings_store::subscriptions::Subscription;
use tidings_testkit::eventually;

use crate::common::{DEADLINE, Frame, Wire, config, frame};
use crate::disk::Disk;
use crate::people::{plain, socket_io, token};

fn disk() -> Disk {
    let mut disk = Disk::sqlite(config());
    disk.config.heartbeat.interval_ms = 100;
    let mut notes = disk.config.rooms["open"].clone();
    (notes.keep, notes.history) = (Some("durable".into()), Some("anyone".into()));
    disk.config.rooms.insert("notes".into(), notes.clone());
    notes.subscribe = Some("role:member".into());
    disk.config.rooms.insert("club".into(), notes);
    disk
}

fn user(id: &str) -> String {
    token(id, 600, json!({}))
}

/// A plain client that takes up what is kept for its user.
fn back(addr: SocketAddr, token: &str) -> Wire {
    let mut wire = Wire::open(addr, "/ws");
    wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{token}\",\"persistent\":true}}"));
    wire.hear("auth:ok");
    wire
}

fn persist(wire: &mut Wire, id: u64, room: &str) -> Value {
    wire.ask(id, &format!("\"type\":\"subscribe\",\"room\":\"{room}\",\"persist\":true"))
}

fn say(addr: SocketAddr, room: &str, data: u64) -> Value {
    let (mut ada, _) = plain(addr, &user("ada"));
    ada.ask(1, &format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{data}"))
}

/// What is kept for somebody.
fn kept(store: &Store, org: &str, user: &str) -> Vec<Subscription> {
    let (store, org, user) = (store.clone(), Org::new(org), user.to_owned());
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(async { store.read().await.unwrap().subscriptions(&org, &user).await.unwrap() })
}

/// The rooms of a user's kept subscriptions by name: those of one millisecond have no other order.
fn rooms(store: &Store, org: &str, user: &str) -> Vec<String> {
    let mut rooms: Vec<_> = kept(store, org, user).into_iter().map(|one| one.room).collect();
    rooms.sort();
    rooms
}

/// Answers pings until a user's place in its first room is at `offset`; what was said meanwhile.
fn heard_until(wire: &mut Wire, store: &Store, user: &str, offset: u64) -> Vec<String> {
    let (deadline, mut texts) = (Instant::now() + DEADLINE, Vec::new());
    // A ping may have come while something else was waited for; none follows before it is answered.
    wire.send(&frame(0x8a, b""));
    loop {
        match wire.next() {
            Frame::Other(9) => wire.send(&frame(0x8a, b"")),
            Frame::Text(text) => texts.push(text),
            other => panic!("{other:?} while a place was to be noted"),
        }
        if kept(store, "default", user)[0].heard.is_some_and(|heard| heard.offset >= offset) {
            return texts;
        }
        assert!(Instant::now() < deadline, "the place is not noted: {texts:?}");
    }
}

#[test]
fn a_user_who_comes_back_after_a_restart_is_in_its_rooms_and_hears_what_it_missed() {
    let disk = disk();
    disk.served(|addr, store| {
        let (mut bob, _) = plain(addr, &user("bob"));
        assert_eq!(persist(&mut bob, 1, "notes:1")["ok"], true);
        say(addr, "notes:1", 1);
        let heard = heard_until(&mut bob, store, "bob", 1);
        assert!(heard.iter().any(|text| text.contains("\"data\":1")), "{heard:?}");
    });
    disk.served(|addr, _| {
        say(addr, "notes:1", 2);
        // One that does not ask for it is in no room.
        let (mut other, _) = plain(addr, &user("bob"));
        let mut bob = back(addr, &user("bob"));
        let told: Value = serde_json::from_str(&bob.hear("\"type\":\"subscribed\"")).unwrap();
        assert_eq!(
            (&told["room"], &told["recovered"], &told["offset"]),
            (&json!("notes:1"), &json!(true), &json!(2))
        );
        assert!(bob.hear("\"said\"").contains("\"data\":2"), "the first was heard before");
        say(addr, "notes:1", 3);
        assert!(bob.hear("\"said\"").contains("\"data\":3"));
        other.say("{\"type\":\"ping\",\"id\":9}");
        loop {
            match other.next() {
                Frame::Text(text) if text.contains("\"id\":9") => break,
                Frame::Text(text) => assert!(!text.contains("\"said\""), "{text}"),
                _ => {}
            }
        }
    });
}

#[test]
fn what_came_after_the_last_answered_heartbeat_comes_again_and_nothing_is_lost() {
    let disk = disk();
    disk.served(|addr, store| {
        let (mut bob, _) = plain(addr, &user("bob"));
        persist(&mut bob, 1, "notes:1");
        say(addr, "notes:1", 1);
        heard_until(&mut bob, store, "bob", 1);
        // It is written to the socket of one who never answers again.
        say(addr, "notes:1", 2);
        bob.hear("\"data\":2");
    });
    disk.served(|addr, _| {
        let (mut bob, told) = socket_io(addr, &user("bob"), ",\"persistent\":true");
        assert!(told.starts_with("40{"), "{told}");
        assert!(bob.hear("tidings:subscribed").contains("\"recovered\":true"));
        assert!(bob.hear("\"said\"").contains("[\"said\",2]"));
        assert!(bob.hear("tidings:resumed").contains("\"offset\":2"));
    });
}

#[test]
fn a_subscription_ends_by_unsubscribing_here_or_from_any_other_device() {
    disk().served(|addr, store| {
        let (mut bob, _) = plain(addr, &user("bob"));
        for (id, room) in [(1, "notes:1"), (2, "notes:2"), (3, "loose:1")] {
            assert_eq!(persist(&mut bob, id, room)["ok"], true);
        }
        assert_eq!(rooms(store, "default", "bob").len(), 3);
        assert_eq!(bob.ask(4, "\"type\":\"unsubscribe\",\"room\":\"notes:1\"")["ok"], true);
        assert_eq!(rooms(store, "default", "bob"), ["loose:1", "notes:2"]);
        let (mut other, _) = plain(addr, &user("bob"));
        other.ask(5, "\"type\":\"unsubscribe\",\"room\":\"notes:2\"");
        assert_eq!(rooms(store, "default", "bob"), ["loose:1", "notes:2"], "it was not this one's");
        other.ask(6, "\"type\":\"unsubscribe\",\"room\":\"notes:2\",\"persist\":true");
        assert_eq!(rooms(store, "default", "bob"), ["loose:1"]);
        let mut again = back(addr, &user("bob"));
        assert!(again.hear("\"type\":\"subscribed\"").contains("loose:1"));
    });
}

/// Says so much in a room that memory does not keep what came first.
fn say_much(addr: SocketAddr, room: &str, numbers: std::ops::RangeInclusive<u64>) {
    let (mut ada, _) = plain(addr, &user("ada"));
    let pad = "x".repeat(300);
    for number in numbers {
        let data = format!("{{\"number\":{number},\"pad\":\"{pad}\"}}");
        let said = ada.ask(
            number,
            &format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{data}"),
        );
        assert_eq!(said["ok"], true, "{said}");
    }
}

#[test]
fn who_catches_up_from_the_log_is_followed_once_it_is_there_and_may_end_it() {
    let mut disk = disk();
    disk.config.limits.room_bytes = 2_000;
    disk.served(|addr, store| {
        let (mut bob, _) = plain(addr, &user("bob"));
        assert_eq!(persist(&mut bob, 1, "notes:1")["ok"], true);
        say_much(addr, "notes:1", 1..=1);
        heard_until(&mut bob, store, "bob", 1);
    });
    disk.served(|addr, store| {
        // Somebody is there and hears all of it: how far that one is says nothing of who is still on the way.
        let (mut ada, _) = plain(addr, &user("ada"));
        assert_eq!(ada.ask(1, "\"type\":\"subscribe\",\"room\":\"notes:1\"")["ok"], true);
        say_much(addr, "notes:1", 2..=40);
        let mut bob = back(addr, &user("bob"));
        assert!(bob.hear("\"type\":\"subscribed\"").contains("\"offset\":40"));
        assert!(bob.hear("\"said\"").contains("\"offset\":2,"), "the first was heard before");
        bob.hear("\"type\":\"resumed\"");
        heard_until(&mut bob, store, "bob", 40);
        // A device that comes now has nothing to hear again.
        let mut again = back(addr, &user("bob"));
        again.hear("\"type\":\"subscribed\"");
        assert!(!again.hear("\"type\":\"resumed\"").contains("\"said\""));
        say_much(addr, "notes:1", 41..=80);
        let mut last = back(addr, &user("bob"));
        last.hear("\"type\":\"resumed\"");
        last.ask(9, "\"type\":\"unsubscribe\",\"room\":\"notes:1\"");
        assert_eq!(rooms(store, "default", "bob"), Vec::<String>::new(), "it had taken that up");
    });
}

#[test]
fn a_room_that_may_not_be_entered_any_more_is_dropped_with_a_notice() {
    disk().served(|addr, store| {
        let member = token("bob", 600, json!({"roles": ["member"]}));
        let (mut bob, _) = plain(addr, &member);
        for (id, room) in [(1, "club:1"), (2, "notes:1")] {
            assert_eq!(persist(&mut bob, id, room)["ok"], true);
        }
        let mut bob = back(addr, &user("bob"));
        let left: Value = serde_json::from_str(&bob.hear("\"type\":\"left\"")).unwrap();
        assert_eq!((&left["room"], &left["kept"]), (&json!("club:1"), &json!(false)), "{left}");
        assert!(bob.hear("\"type\":\"subscribed\"").contains("notes:1"));
        eventually("without what is forbidden", || rooms(store, "default", "bob") == ["notes:1"]);
    });
}

#[test]
fn only_what_is_allowed_is_kept_for_users_and_only_so_much() {
    let mut disk = disk();
    disk.config.receipts.subscriptions_per_user = 1;
    disk.served(|addr, store| {
        let (mut bob, _) = plain(addr, &user("bob"));
        assert_eq!(persist(&mut bob, 1, "club:1")["ok"], false);
        assert_eq!(rooms(store, "default", "bob"), Vec::<String>::new());
        assert_eq!(persist(&mut bob, 2, "notes:1")["ok"], true);
        let second = persist(&mut bob, 3, "notes:2");
        assert_eq!(second["error"]["code"], "forbidden", "{second}");
        assert_eq!(persist(&mut bob, 4, "notes:1")["ok"], true, "the same once more takes no place");
        let mut nobody = Wire::open(addr, "/ws");
        nobody.say("{\"type\":\"auth\"}");
        nobody.hear("auth:ok");
        assert_eq!(persist(&mut nobody, 5, "notes:1")["error"]["code"], "forbidden");
        // The same name in another organisation is another user.
        assert_eq!(rooms(store, "other", "bob"), Vec::<String>::new());
        let mut other = back(addr, &token("bob", 600, json!({"org": "other"})));
        other.say("{\"type\":\"ping\",\"id\":9}");
        loop {
            match other.next() {
                Frame::Text(text) if text.contains("\"id\":9") => break,
                Frame::Text(text) => assert!(!text.contains("subscribed"), "{text}"),
                _ => {}
            }
        }
    });
}
