//! Those who go back further than memory reaches: how far, and who they see in the room meanwhile.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::config::RoomKindConfig;

use crate::catch_up::{self, event, fill};
use crate::common::Wire;
use crate::disk::Disk;
use crate::people::{plain, plain_in, token};

/// Rooms that keep more than memory does, whose members see each other.
fn disk() -> Disk {
    let mut disk = catch_up::disk();
    let notes = &disk.config.rooms["notes"];
    let roster = RoomKindConfig {
        presence: Some("signed-in".into()),
        roster: Some("members".into()),
        ..notes.clone()
    };
    disk.config.rooms.insert("notes".into(), roster);
    disk
}

fn user(id: &str) -> String {
    token(id, 600, json!({}))
}

/// A client that subscribes as `more` says, and what it is answered.
fn subscribes(addr: SocketAddr, id: &str, more: &str) -> (Wire, Value) {
    let (mut wire, _) = plain(addr, &user(id));
    let told = wire.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",{more}"));
    assert_eq!(told["ok"], true, "{told}");
    (wire, told)
}

/// The data of the next event of presence.
fn news(wire: &mut Wire) -> Value {
    serde_json::from_str::<Value>(&wire.hear("tidings:presence")).unwrap()["data"].clone()
}

#[test]
fn a_rewind_goes_on_in_the_log_where_memory_ends() {
    let disk = catch_up::disk();
    disk.served(|addr, _| fill(addr, &["notes:1"], 1..=700));
    disk.served(|addr, _| {
        // What no page of the log begins with, all there is, more than there is, and what memory has.
        for (at, count) in [650_u64, 701, 4_000_000_000, 3].into_iter().enumerate() {
            let top = 700 + at as u64;
            let (mut bob, told) = subscribes(addr, "bob", &format!("\"rewind\":{count}"));
            assert_eq!((&told["recovered"], &told["offset"]), (&json!(true), &json!(top)), "{told}");
            for number in (top + 1).saturating_sub(count).max(1)..=top {
                assert_eq!(event(&bob.hear("\"type\":\"")), (number, number), "of {count}");
            }
            assert!(bob.hear("\"type\":\"").contains("\"resumed\""));
            fill(addr, &["notes:1"], top + 1..=top + 1);
            assert_eq!(event(&bob.hear("\"type\":\"")).0, top + 1);
        }
    });
}

#[test]
fn a_rewind_gets_what_the_room_keeps_and_is_told_that_it_is_all() {
    let mut disk = catch_up::disk();
    disk.config.rooms.get_mut("notes").unwrap().size = Some(200);
    disk.served(|addr, _| {
        fill(addr, &["notes:1"], 1..=700);
        let (mut bob, told) = subscribes(addr, "bob", "\"rewind\":500");
        assert_eq!(told["recovered"], true, "{told}");
        for number in 501..=700 {
            assert_eq!(event(&bob.hear("\"type\":\"")).0, number);
        }
        assert!(bob.hear("\"type\":\"").contains("\"resumed\""));
    });
}

#[test]
fn who_catches_up_sees_who_is_there_and_who_came_meanwhile() {
    let disk = disk();
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=12_000).remove(0));
    disk.served(move |addr, _| {
        let mut ann = plain_in(addr, &user("ann"), "notes:1");
        assert_eq!(news(&mut ann)["joined"][0]["userId"], "ann");
        let since = json!({"epoch": first["epoch"], "offset": 0});
        let (mut bob, told) = subscribes(addr, "bob", &format!("\"since\":{since}"));
        let presence = &told["presence"];
        assert_eq!(presence["counts"], json!({"connections": 1, "users": 1}), "{told}");
        assert_eq!(presence["members"][0]["userId"], "ann", "{told}");
        // He reads nothing yet, and so has not caught up.
        let _eve = plain_in(addr, &user("eve"), "notes:1");
        assert_eq!(news(&mut ann)["joined"][0]["userId"], "eve");
        let told = news(&mut bob);
        assert!(told["version"].as_u64() > presence["version"].as_u64(), "{told}");
        assert_eq!((&told["reread"], &told["counts"]["users"]), (&json!(true), &json!(3)), "{told}");
        let next = news(&mut bob);
        assert_eq!(next["version"].as_u64(), told["version"].as_u64().map(|version| version + 1), "{next}");
        assert_eq!(next["joined"][0]["userId"], "bob", "{next}");
    });
}

#[test]
fn who_catches_up_in_an_empty_room_is_told_so_and_who_may_not_see_the_others_is_not() {
    let mut disk = disk();
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=300).remove(0));
    let since = json!({"epoch": first["epoch"], "offset": 0});
    let since_too = since.clone();
    disk.served(move |addr, _| {
        let (mut bob, told) = subscribes(addr, "bob", &format!("\"since\":{since}"));
        assert_eq!(told["presence"]["counts"], json!({"connections": 0, "users": 0}), "{told}");
        assert_eq!(told["presence"]["members"], json!([]));
        assert_eq!(news(&mut bob)["counts"]["users"], 1);
        // Who wants only some events is told of nobody.
        let (mut eve, _) = subscribes(addr, "eve", &format!("\"since\":{since},\"events\":[\"said\"]"));
        (0..300).for_each(|_| drop(eve.hear("\"said\"")));
        assert!(eve.hear("\"").contains("\"resumed\""));
    });
    disk.config.rooms.get_mut("notes").unwrap().presence = Some("nobody".into());
    disk.served(move |addr, _| {
        let (mut bob, told) = subscribes(addr, "bob", &format!("\"since\":{since_too}"));
        assert_eq!(told.get("presence"), None, "{told}");
        (0..300).for_each(|_| drop(bob.hear("\"said\"")));
        assert!(bob.hear("\"").contains("\"resumed\""));
    });
}
