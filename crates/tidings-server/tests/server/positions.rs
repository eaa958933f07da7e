//! Where a room stood before it was read: who subscribes from there misses nothing.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::{Wire, http, user};
use crate::disk::Disk;
use crate::durable;
use crate::people::plain;

/// What a read of a room is answered with: status, the header `Tidings-Position` as `since`, the body.
fn read(addr: SocketAddr, who: &str, room: &str, what: &str) -> (u16, Option<Value>, Value) {
    let headers = format!("Authorization: Bearer {}\r\n", user(who));
    let (head, body) = http(addr, &format!("GET /api/rooms/{room}/{what}"), &headers, "");
    let told = head.lines().find_map(|line| line.strip_prefix("tidings-position: "));
    let since = told.map(|told| {
        let of = |name: &str| {
            told.split("; ").find_map(|part| part.strip_prefix(&format!("{name}="))).unwrap().to_owned()
        };
        assert_eq!(of("room"), room);
        json!({"epoch": of("epoch"), "offset": of("offset").parse::<u64>().unwrap(), "tag": of("tag")})
    });
    (head[9..12].parse().unwrap(), since, serde_json::from_str(&body).unwrap())
}

/// A database, and rooms in which anyone may see who is there.
fn disk() -> Disk {
    let mut disk = durable::disk();
    disk.config.rooms.values_mut().for_each(|kind| kind.presence = Some("anyone".into()));
    disk
}

fn publish(wire: &mut Wire, id: u64, room: &str, data: u64) {
    let body = format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{data}");
    assert_eq!(wire.ask(id, &body)["ok"], true);
}

/// Somebody who subscribes from where a read stood, hears what came between.
fn recovers(addr: SocketAddr, room: &str, since: &Value, between: &str) {
    let (mut bob, _) = plain(addr, &user("bob"));
    let told = bob.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"{room}\",\"since\":{since}"));
    assert_eq!((&told["ok"], &told["recovered"]), (&json!(true), &json!(true)), "{room}: {told}");
    assert!(bob.hear("\"said\"").contains(between), "{room}");
    bob.hear("\"resumed\"");
}

#[test]
fn one_who_reads_a_room_that_nobody_has_in_memory_learns_where_it_stood() {
    let disk = disk();
    disk.served(|addr, _| {
        let (mut ada, _) = plain(addr, &user("ada"));
        for what in ["history", "stats"] {
            // Nothing was ever said there, and looking makes nothing.
            let room = format!("notes:{what}");
            let (status, since, body) = read(addr, "bob", &room, what);
            assert_eq!((status, &body["room"]), (200, &json!(room)));
            let since = since.unwrap();
            assert_eq!(since["offset"], 0);
            publish(&mut ada, 1, &room, 1);
            recovers(addr, &room, &since, "\"offset\":1");
            publish(&mut ada, 2, &room, 2);
        }
    });
    disk.served(|addr, _| {
        for what in ["history", "stats"] {
            let room = format!("notes:{what}");
            let (_, since, body) = read(addr, "bob", &room, what);
            let since = since.unwrap();
            assert_eq!(since["offset"], 2, "{what}");
            if what == "stats" {
                assert_eq!((&body["epoch"], &body["tag"]), (&since["epoch"], &since["tag"]));
                assert_eq!((&body["offset"], &body["connections"]), (&json!(2), &json!(0)));
            }
            let (mut ada, _) = plain(addr, &user("ada"));
            publish(&mut ada, 1, &room, 3);
            recovers(addr, &room, &since, "\"offset\":3");
            assert_eq!(read(addr, "bob", &room, what).1.unwrap()["offset"], 3, "it is in memory now");
        }
    });
}

#[test]
fn a_room_that_keeps_nothing_or_is_not_there_says_nothing_of_where_it_stands() {
    disk().served(|addr, _| {
        let none = |room: &str, what: &str, status: u16| {
            let (told, since, body) = read(addr, "bob", room, what);
            assert_eq!((told, since), (status, None), "{room} {what}: {body}");
        };
        none("loose:1", "stats", 200);
        // The epoch of what is kept in memory alone begins with the room.
        none("open:1", "stats", 200);
        // Who may not see a room learns nothing of it.
        none("user:ada", "stats", 404);
        none("user:ada", "history", 404);
        // Who comes and goes is told in events that have no place.
        none("notes:1", "presence", 200);
        let _in_memory = Wire::subscribed(addr, "open:1");
        assert_eq!(read(addr, "bob", "open:1", "stats").1.unwrap()["offset"], 0);
    });
}
