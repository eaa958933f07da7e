//! Who is in a room and subscribes once more: what it asks for it is told, and its newest wish counts.

use serde_json::{Value, json};

use crate::comeback::disk;
use crate::common::{config, limited, user, with_server};
use crate::people::{plain, socket_io, token};

/// What the next events say, up to the word that everything missed is sent.
fn replayed(wire: &mut crate::common::Wire) -> Vec<(u64, Value)> {
    let mut events = Vec::new();
    loop {
        let text = wire.hear("\"type\":\"");
        let told: Value = serde_json::from_str(&text).unwrap();
        match told["type"].as_str().unwrap() {
            "event" => events.push((told["offset"].as_u64().unwrap(), told["data"].clone())),
            "resumed" => return events,
            _ => panic!("{text}"),
        }
    }
}

#[test]
fn a_personal_room_goes_on_behind_a_position() {
    with_server(&config(), |addr, publisher| {
        let (mut dan, _) = plain(addr, &user("dan"));
        publisher.publish("user:dan", "said", "1".to_owned()).unwrap();
        let first: Value = serde_json::from_str(&dan.hear("\"said\"")).unwrap();
        drop(dan);
        for data in ["2", "3"] {
            publisher.publish("user:dan", "said", data.to_owned()).unwrap();
        }

        // Everybody is in the personal room from the start.
        let (mut dan, _) = plain(addr, &user("dan"));
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
        let told = dan.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"user:dan\",\"since\":{since}"));
        assert_eq!((&told["recovered"], &told["offset"]), (&json!(true), &json!(3)), "{told}");
        assert_eq!(replayed(&mut dan), [(2, json!(2)), (3, json!(3))]);
        let told = dan.ask(2, "\"type\":\"subscribe\",\"room\":\"user:dan\",\"rewind\":1");
        assert_eq!(told["recovered"], true, "{told}");
        assert_eq!(replayed(&mut dan), [(3, json!(3))]);
        let lost = json!({"epoch": "00000000000000ff", "offset": 1});
        let told = dan.ask(3, &format!("\"type\":\"subscribe\",\"room\":\"user:dan\",\"since\":{lost}"));
        assert_eq!(told["recovered"], false, "{told}");
        assert!(dan.hear("\"gap\"").contains("\"reason\":\"epoch\""));
        // It is in the room once.
        publisher.publish("user:dan", "said", "4".to_owned()).unwrap();
        publisher.publish("user:dan", "said", "5".to_owned()).unwrap();
        while !dan.hear("\"said\"").contains("\"data\":4") {}
        assert!(dan.hear("\"said\"").contains("\"data\":5"));
    });
}

#[test]
fn the_answer_comes_first_and_then_what_was_missed_by_socket_io_too() {
    with_server(&config(), |addr, publisher| {
        let (mut eve, _) = socket_io(addr, &user("eve"), "");
        eve.say("421[\"subscribe\",{\"room\":\"lobby:one\"}]");
        assert!(eve.hear("431[").contains("\"ok\":true"));
        for data in ["1", "2"] {
            publisher.publish("lobby:one", "said", data.to_owned()).unwrap();
            eve.hear("\"said\"");
        }
        eve.say("422[\"subscribe\",{\"room\":\"lobby:one\",\"rewind\":5}]");
        assert!(eve.hear("432[").contains("\"recovered\":true"));
        // One room's past does not move the single offset.
        assert_eq!(eve.hear("\"said\""), "42[\"said\",1]");
        assert_eq!(eve.hear("\"said\""), "42[\"said\",2]");
        assert!(eve.hear("42[").contains("tidings:resumed"));
    });
}

#[test]
fn a_member_that_missed_more_than_memory_keeps_gets_it_from_the_log() {
    let mut disk = disk();
    disk.config.limits.room_bytes = 1_000;
    disk.served(|addr, _| {
        let (mut ada, _) = plain(addr, &token("ada", 600, json!({})));
        let told = ada.ask(1, "\"type\":\"subscribe\",\"room\":\"notes:1\"");
        assert_eq!(told["ok"], true, "{told}");
        let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
        let text = "x".repeat(400);
        for number in 1..=20 {
            let said = format!("\"room\":\"notes:1\",\"event\":\"said\",\"data\":[{number},\"{text}\"]");
            assert_eq!(bob.ask(number, &format!("\"type\":\"publish\",{said}"))["ok"], true);
        }
        let heard: Vec<String> = (1..=20).map(|_| ada.hear("\"said\"")).collect();
        let first: Value = serde_json::from_str(&heard[0]).unwrap();
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
        let told = ada.ask(2, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!(told["recovered"], true, "{told}");
        let offsets: Vec<u64> = replayed(&mut ada).into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(offsets, (2..=20).collect::<Vec<_>>());
        bob.ask(21, "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":[21]");
        assert!(ada.hear("\"said\"").contains("[21]"));
    });
}

#[test]
fn the_newest_subscription_says_what_is_wanted() {
    with_server(&config(), |addr, publisher| {
        let (mut dan, _) = plain(addr, &user("dan"));
        let say = |event: &str| publisher.publish("lobby:two", event, "1".to_owned()).unwrap();
        dan.ask(1, "\"type\":\"subscribe\",\"room\":\"lobby:two\",\"events\":[\"wanted\"]");
        say("other");
        say("wanted");
        assert!(dan.hear("\"event\",").contains("\"wanted\""));
        dan.ask(2, "\"type\":\"subscribe\",\"room\":\"lobby:two\"");
        say("other");
        assert!(dan.hear("\"event\",").contains("\"other\""));
    });
}

#[test]
fn who_is_in_as_many_rooms_as_it_may_be_can_still_change_what_it_wants_of_one() {
    let mut config = limited();
    config.limits.rooms = 1;
    with_server(&config, |addr, _| {
        let (mut dan, _) = plain(addr, &user("dan"));
        assert_eq!(dan.ask(1, "\"type\":\"subscribe\",\"room\":\"lobby:one\"")["ok"], true);
        assert_eq!(dan.ask(2, "\"type\":\"subscribe\",\"room\":\"lobby:two\"")["ok"], false);
        assert_eq!(dan.ask(3, "\"type\":\"subscribe\",\"room\":\"lobby:one\",\"rewind\":1")["ok"], true);
    });
}
