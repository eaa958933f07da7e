//! Durable rooms: what is acknowledged is stored, and is there when the server comes back.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_core::{Org, Room};
use tidings_testkit::eventually;

use crate::common::{Wire, config};
use crate::disk::{Disk, is_in_log};
use crate::people::{plain, plain_in, post, socket_io, socket_io_in, token};

/// Rooms in the log, of which one is short.
pub(crate) fn disk() -> Disk {
    let mut config = config();
    for (kind, size) in [("notes", 1_000), ("short", 5)] {
        let mut room = config.rooms["open"].clone();
        (room.keep, room.size, room.history) = (Some("durable".into()), Some(size), Some("anyone".into()));
        config.rooms.insert(kind.into(), room);
    }
    Disk::sqlite(config)
}

fn ada(addr: SocketAddr) -> Wire {
    plain(addr, &token("ada", 600, json!({}))).0
}

fn publish(wire: &mut Wire, id: u64, room: &str, data: u64) -> Value {
    wire.ask(id, &format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{data}"))
}

fn history(wire: &mut Wire, id: u64, room: &str) -> Vec<(u64, Value)> {
    let answer = wire.ask(id, &format!("\"type\":\"history\",\"room\":\"{room}\",\"limit\":1000"));
    assert_eq!(answer["ok"], true, "{answer}");
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| (event["offset"].as_u64().unwrap(), event["data"].clone())).collect()
}

#[test]
fn an_event_is_acknowledged_as_synced_and_is_there_after_a_restart() {
    let disk = disk();
    let before = disk.served(|addr, _| {
        let mut hears = plain_in(addr, &token("bob", 600, json!({})), "notes:1");
        let mut ada = ada(addr);
        let acks: Vec<Value> = (1..=3).map(|data| publish(&mut ada, data, "notes:1", data)).collect();
        for (at, ack) in (1..).zip(&acks) {
            assert_eq!(
                (&ack["ok"], &ack["durability"], &ack["offset"]),
                (&json!(true), &json!("synced"), &json!(at))
            );
            assert!(hears.hear("\"said\"").contains(&format!("\"data\":{at}")));
        }
        acks
    });
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        assert_eq!(history(&mut ada, 1, "notes:1"), [(1, json!(1)), (2, json!(2)), (3, json!(3))]);
        // Who comes back with a position hears what it missed, and the room goes on in its epoch.
        let since = json!({"epoch": before[0]["epoch"], "offset": 1, "tag": before[0]["tag"]});
        let told = ada.ask(2, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!((&told["recovered"], &told["offset"]), (&json!(true), &json!(3)), "{told}");
        assert!(ada.hear("\"data\":2").contains("\"offset\":2"));
        assert!(ada.hear("\"data\":3").contains("\"offset\":3"));
        let ack = publish(&mut ada, 3, "notes:1", 4);
        assert_eq!((&ack["epoch"], &ack["offset"]), (&before[0]["epoch"], &json!(4)));
        assert_ne!(ack["messageId"], before[0]["messageId"]);
    });
}

#[test]
fn a_position_of_a_room_that_was_lost_is_told_as_a_gap() {
    let first = disk();
    let ack = first.served(|addr, _| publish(&mut ada(addr), 1, "notes:1", 1));
    let second = disk();
    second.served(move |addr, _| {
        let mut ada = ada(addr);
        publish(&mut ada, 1, "notes:1", 1);
        let since = json!({"epoch": ack["epoch"], "offset": ack["offset"], "tag": ack["tag"]});
        let told = ada.ask(2, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!(told["recovered"], false, "{told}");
        assert!(ada.hear("\"gap\"").contains("\"reason\":\"epoch\""));
    });
}

#[test]
fn every_door_publishes_to_one_order() {
    disk().served_with(|addr, _, publisher| {
        let who = token("ada", 600, json!({}));
        let mut hears = plain_in(addr, &token("bob", 600, json!({})), "notes:1");
        assert_eq!(publish(&mut ada(addr), 1, "notes:1", 1)["offset"], 1);
        let (mut stock, _) = socket_io_in(addr, &who, "notes:1");
        stock.say("422[\"publish\",{\"room\":\"notes:1\",\"event\":\"said\",\"data\":2,\"exceptSelf\":true}]");
        let ack = stock.hear("432[");
        assert!(ack.contains("\"offset\":2") && ack.contains("\"synced\""), "{ack}");
        // One that wants no acknowledgement, with binary.
        stock.say("451-[\"publish\",{\"room\":\"notes:1\",\"event\":\"said\",\"data\":{\"_placeholder\":true,\"num\":0}}]");
        stock.send(&crate::common::frame(0x82, &[1, 2, 3]));
        let answer = post(addr, "/api/publish", &who, "{\"room\":\"notes:1\",\"event\":\"said\",\"data\":4}");
        assert!(answer.contains("\"synced\""), "{answer}");
        let batch = "{\"messages\":[{\"room\":\"notes:1\",\"event\":\"said\",\"data\":5},\
                     {\"room\":\"loose:1\",\"event\":\"said\",\"data\":6}]}";
        let answer = post(addr, "/api/publish/batch", &who, batch);
        assert!(answer.contains("\"synced\"") && answer.contains("\"memory\""), "{answer}");
        publisher.publish("notes:1", "said", "7".into()).unwrap();
        let mut heard: Vec<String> = (0..6).map(|_| hears.hear("\"said\"")).collect();
        assert!(heard.iter().zip(1..).all(|(event, at)| event.contains(&format!("\"offset\":{at}"))), "{heard:?}");
        assert!(heard.remove(0).contains("\"data\":1") && heard[0].contains("\"data\":2"));
        // The publisher did not hear its second, and heard the binary one as binary.
        let own = stock.hear("51-");
        assert!(own.contains("\"said\""), "{own}");
    });
}

#[test]
fn the_key_of_a_batch_stands_for_all_of_it() {
    let mut disk = disk();
    disk.config.rooms.get_mut("open").unwrap().history = Some("anyone".into());
    disk.served(|addr, _| {
        let who = token("ada", 600, json!({}));
        for kind in ["notes", "open"] {
            let (room, other) = (format!("{kind}:1"), format!("{kind}:2"));
            let batch = |all: &[u8]| {
                let one = |data| json!({"room": room, "event": "said", "data": data});
                let messages: Vec<_> = all.iter().map(one).collect();
                post(addr, "/api/publish/batch", &who, &json!({"messages": messages, "key": "k"}).to_string())
            };
            assert!(!batch(&[1, 2]).contains("duplicate"));
            assert_eq!(batch(&[1, 2]).matches("\"duplicate\":true").count(), 2, "the same batch, in {room}");
            for another in [&[1, 2, 3][..], &[1], &[1, 3], &[3, 2]] {
                let answer = batch(another);
                assert!(answer.contains("\"conflict\"") && !answer.contains("messageId"), "{answer}");
            }
            let elsewhere = json!({"key": "k", "messages": [{"room": other, "event": "said", "data": 1},
                {"room": room, "event": "said", "data": 2}, {"room": room, "event": "said", "data": 3}]});
            let answer = post(addr, "/api/publish/batch", &who, &elsewhere.to_string());
            assert_eq!(answer.matches("\"conflict\"").count(), 2, "{answer}");
            let kept = ada(addr).ask(1, &format!("\"type\":\"history\",\"room\":\"{room}\""));
            let kept: Vec<_> =
                kept["events"].as_array().unwrap().iter().map(|event| &event["data"]).collect();
            assert_eq!(kept, [1, 2]);
        }
    });
}

#[test]
fn who_asks_for_no_event_of_a_history_is_told_whether_there_is_one() {
    let mut disk = disk();
    disk.config.rooms.get_mut("open").unwrap().history = Some("anyone".into());
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        for room in ["notes:1", "open:1"] {
            let [first, last] = [1, 2].map(|id| publish(&mut ada, id, room, id));
            for (told, limit, more, events) in
                [(&first, 0, true, 0), (&first, 1, false, 1), (&last, 0, false, 0)]
            {
                let since = json!({"epoch": told["epoch"], "offset": told["offset"], "tag": told["tag"]});
                let said = format!("\"room\":\"{room}\",\"since\":{since},\"limit\":{limit}");
                let answer = ada.ask(9, &format!("\"type\":\"history\",{said}"));
                let told = (answer["more"].as_bool(), answer["events"].as_array().map(Vec::len));
                assert_eq!(told, (Some(more), Some(events)), "{answer}");
                assert_eq!(answer["complete"], true, "{answer}");
            }
        }
    });
}

#[test]
fn what_is_said_in_a_row_is_answered_and_heard_in_that_order() {
    disk().served(|addr, _| {
        let mut hears = plain_in(addr, &token("bob", 600, json!({})), "notes:1");
        let mut ada = ada(addr);
        for id in 1..=300 {
            let body = format!("\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":{id}");
            ada.say(&format!("{{\"id\":{id},{body}}}"));
            if id % 7 == 0 {
                ada.say("{\"id\":0,\"type\":\"history\",\"room\":\"notes:1\",\"limit\":1}");
            }
        }
        for at in 1..=300 {
            let ack = ada.hear("\"messageId\":\"");
            let ack = if ack.contains("\"events\"") { ada.hear("\"durability\"") } else { ack };
            assert!(
                ack.contains(&format!("\"id\":{at},")) && ack.contains(&format!("\"offset\":{at},")),
                "{at}: {ack}"
            );
        }
        for at in 1..=300 {
            let event = hears.hear("\"said\"");
            assert!(
                event.contains(&format!("\"offset\":{at}")) && event.contains(&format!("\"data\":{at}")),
                "{event}"
            );
        }
    });
}

#[test]
fn a_key_is_known_after_a_restart() {
    let disk = disk();
    let say = |wire: &mut Wire, id: u64, data: u64| {
        let body = format!(
            "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":{data},\"key\":\"k\""
        );
        wire.ask(id, &body)
    };
    let first = disk.served(move |addr, _| {
        let mut ada = ada(addr);
        let first = say(&mut ada, 1, 1);
        let again = say(&mut ada, 2, 1);
        assert_eq!(
            (&again["duplicate"], &again["messageId"]),
            (&json!(true), &first["messageId"]),
            "{again}"
        );
        first
    });
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        let again = say(&mut ada, 1, 1);
        assert_eq!(
            (&again["duplicate"], &again["messageId"]),
            (&json!(true), &first["messageId"]),
            "{again}"
        );
        assert_eq!((&again["epoch"], &again["offset"]), (&first["epoch"], &first["offset"]));
        let other = say(&mut ada, 2, 2);
        assert_eq!(other["error"]["code"], "conflict", "{other}");
        assert_eq!(history(&mut ada, 3, "notes:1").len(), 1);
    });
}

#[test]
fn while_nothing_can_be_stored_publishes_are_refused_and_volatile_rooms_go_on() {
    disk().served(|addr, store| {
        let mut hears = plain_in(addr, &token("bob", 600, json!({})), "notes:1");
        let mut loose = plain_in(addr, &token("bob", 600, json!({})), "loose:1");
        let mut ada = ada(addr);
        assert_eq!(publish(&mut ada, 1, "notes:1", 1)["ok"], true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(store.close());
        let refused = publish(&mut ada, 2, "notes:1", 2);
        assert_eq!(
            (&refused["ok"], &refused["error"]["code"]),
            (&json!(false), &json!("unavailable")),
            "{refused}"
        );
        assert_eq!(refused["error"]["retryable"], true);
        assert_eq!(publish(&mut ada, 3, "loose:1", 3)["ok"], true);
        assert!(loose.hear("\"said\"").contains("\"data\":3"));
        // What is in memory can still be read; in what is not nothing can be said now.
        assert_eq!(history(&mut ada, 4, "notes:1"), [(1, json!(1))]);
        let absent = publish(&mut ada, 5, "notes:2", 5);
        assert_eq!(absent["error"]["code"], "unavailable", "{absent}");
        assert!(hears.hear("\"said\"").contains("\"data\":1"));
    });
}

#[test]
fn who_has_heard_nothing_in_an_empty_room_has_missed_nothing_after_a_restart() {
    let disk = disk();
    let told = disk.served(|addr, store| {
        let told = ada(addr).ask(1, "\"type\":\"subscribe\",\"room\":\"notes:1\"");
        assert!(!is_in_log(store, "notes:1"), "one who listens writes nothing");
        told
    });
    assert_eq!((&told["ok"], &told["offset"]), (&json!(true), &json!(0)), "{told}");
    let since = json!({"epoch": told["epoch"], "offset": 0});
    let back = format!("\"room\":\"notes:1\",\"since\":{since}");
    let (epoch, again) = (told["epoch"].clone(), back.clone());
    disk.served(move |addr, store| {
        let mut ada = ada(addr);
        // Nobody has it in memory: who looks into it is told the same as who enters it.
        for command in ["history", "subscribe"] {
            let told = ada.ask(1, &format!("\"type\":\"{command}\",{back}"));
            let whole = if command == "history" { "complete" } else { "recovered" };
            assert_eq!((&told[whole], &told["epoch"]), (&json!(true), &epoch), "{told}");
        }
        assert!(!is_in_log(store, "notes:1"));
        assert_eq!(publish(&mut ada, 2, "notes:1", 1)["epoch"], epoch);
        assert!(is_in_log(store, "notes:1"));
    });
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        let again = ada.ask(1, &format!("\"type\":\"subscribe\",{again}"));
        assert_eq!((&again["recovered"], &again["epoch"]), (&json!(true), &told["epoch"]), "{again}");
        assert!(ada.hear("\"said\"").contains("\"data\":1"));
    });
}

#[test]
fn a_stock_client_takes_its_session_up_again_and_hears_what_was_stored_meanwhile() {
    disk().served(|addr, _| {
        let who = token("bob", 600, json!({}));
        let mut ada = ada(addr);
        publish(&mut ada, 1, "notes:1", 1);
        let (mut bob, pid) = socket_io_in(addr, &who, "notes:1");
        publish(&mut ada, 2, "notes:1", 2);
        let heard = bob.hear("\"said\"");
        let offset = heard.rsplit('"').nth(1).unwrap().to_owned();
        drop(bob);
        (3..=5).for_each(|data| drop(publish(&mut ada, data, "notes:1", data)));
        let (mut bob, told) =
            crate::people::socket_io(addr, &who, &format!(",\"pid\":\"{pid}\",\"offset\":\"{offset}\""));
        assert!(told.contains(&pid), "{told}");
        for data in 3..=5 {
            assert!(bob.hear("\"said\"").contains(&format!("[\"said\",{data},")));
        }
    });
}

#[test]
fn what_a_kind_does_not_keep_is_deleted_and_the_room_stays_known() {
    let disk = disk();
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        (1..=8).for_each(|data| drop(publish(&mut ada, data, "short:1", data)));
    });
    disk.served(|addr, store| {
        let room = Room::new(&Org::default(), "short:1", 100).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let trimmed =
            || runtime.block_on(async { store.read().await.unwrap().log_room(&room).await.unwrap() });
        eventually("deleted", || trimmed().unwrap().trimmed >= 3);
        assert_eq!(trimmed().unwrap().top.offset, 8);
        assert_eq!(history(&mut ada(addr), 1, "short:1").len(), 5);
    });
}

#[test]
fn a_room_keeps_as_many_events_as_its_kind_says() {
    let disk = disk();
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        for data in 1..=8 {
            publish(&mut ada, data, "short:1", data);
        }
        assert_eq!(history(&mut ada, 9, "short:1").first(), Some(&(4, json!(4))));
    });
    disk.served(|addr, _| {
        assert_eq!(
            history(&mut ada(addr), 1, "short:1").iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            [4, 5, 6, 7, 8]
        );
    });
}

#[test]
fn what_memory_does_not_keep_for_its_bytes_is_read_from_the_log_now_and_after_a_restart() {
    let mut disk = disk();
    disk.config.limits.room_bytes = 64 * 1_024;
    let counted = |addr| history(&mut ada(addr), 99, "notes:1").iter().map(|(at, _)| *at).collect::<Vec<_>>();
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        for id in 1..=8 {
            let text = "x".repeat(20 * 1_024);
            let said =
                format!("\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":\"{text}\"");
            assert_eq!(ada.ask(id, &said)["offset"], id);
        }
        assert_eq!(counted(addr), (1..=8).collect::<Vec<_>>());
    });
    disk.served(move |addr, _| assert_eq!(counted(addr), (1..=8).collect::<Vec<_>>()));
}

#[test]
fn an_event_that_cannot_be_stored_is_refused_alone() {
    disk().served(|addr, _| {
        let mut ada = ada(addr);
        publish(&mut ada, 100, "notes:1", 0);
        for id in 1..=40 {
            // No database stores this key.
            let key = if id == 20 { "\\u0000" } else { "k" };
            ada.say(&format!(
                "{{\"id\":{id},\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":{id},\"key\":\"{key}{id}\"}}"
            ));
        }
        // One that is refused at once is answered before those that are being stored.
        for _ in 1..=40 {
            let ack: Value = serde_json::from_str(&ada.hear("\"type\":\"ack\"")).unwrap();
            assert_eq!(ack["ok"], ack["id"] != 20, "{ack}");
            assert!(ack["id"] != 20 || ack["error"]["code"] == "bad_request", "{ack}");
        }
        let who = token("bob", 600, json!({}));
        let spoilt = "{\"room\":\"notes:1\",\"event\":\"said\",\"data\":1,\"key\":\"\\u0000\"}";
        let answer = post(addr, "/api/publish", &who, spoilt);
        assert!(answer.contains("\"key: is empty, too long or not printable\""), "{answer}");
        assert_eq!(history(&mut ada, 99, "notes:1").len(), 40);
    });
}

#[test]
fn a_room_too_many_is_refused_at_once_at_every_door_and_costs_no_row() {
    let mut disk = disk();
    disk.served(|addr, _| assert_eq!(publish(&mut ada(addr), 1, "notes:old", 1)["ok"], true));
    (disk.config.no_limits, disk.config.limits.rooms_per_org) = (false, 2);
    disk.served(|addr, store| {
        let mut ada = ada(addr);
        // With a room of her own that is all there may be.
        assert_eq!(ada.ask(1, "\"type\":\"subscribe\",\"room\":\"notes:1\"")["ok"], true);
        let code = |answer: Value| answer["error"]["code"].clone();
        assert_eq!(code(publish(&mut ada, 2, "notes:new", 1)), "unavailable");
        assert_eq!(code(ada.ask(3, "\"type\":\"subscribe\",\"room\":\"notes:new\"")), "unavailable");
        assert_eq!(code(ada.ask(4, "\"type\":\"history\",\"room\":\"notes:old\"")), "unavailable");
        let receipt = "\"type\":\"publish\",\"room\":\"notes:new\",\"event\":\"e\",\"data\":1,\"receipt\":{}";
        assert_eq!(code(ada.ask(5, receipt)), "unavailable");
        let (mut stock, _) = socket_io(addr, &token("ada", 600, json!({})), "");
        stock.say("421[\"publish\",{\"room\":\"notes:new\",\"event\":\"e\",\"data\":1}]");
        assert!(stock.hear("431").contains("\"unavailable\""));
        let body = "{\"room\":\"notes:new\",\"event\":\"e\",\"data\":1}";
        let answer = post(addr, "/api/publish", &token("ada", 600, json!({})), body);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too many rooms"), "{answer}");
        // What is there goes on.
        assert_eq!(publish(&mut ada, 6, "notes:1", 1)["offset"], 1);
        assert!(!is_in_log(store, "notes:new"));
    });
}

#[test]
fn one_user_makes_so_many_rooms_of_the_log_and_enters_those_that_are_there() {
    let mut disk = disk();
    disk.served(|addr, _| {
        (1..=3).for_each(|at| drop(publish(&mut ada(addr), at, &format!("notes:{at}"), at)));
    });
    disk.config.no_limits = false;
    (disk.config.limits.new_rooms_per_minute, disk.config.limits.new_rooms_burst) = (1, 2);
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        let enter = |wire: &mut Wire, id: u64, room: &str| {
            wire.ask(id, &format!("\"type\":\"subscribe\",\"room\":\"{room}\""))
        };
        (1..=3).for_each(|at| assert_eq!(enter(&mut ada, at, &format!("notes:{at}"))["ok"], true));
        assert_eq!(enter(&mut ada, 4, "notes:4")["ok"], true);
        assert_eq!(publish(&mut ada, 5, "notes:5", 1)["offset"], 1);
        for told in [enter(&mut ada, 6, "notes:6"), publish(&mut ada, 7, "notes:6", 1)] {
            assert_eq!(told["error"]["code"], "rate_limited", "{told}");
            assert!(told["error"]["retryAfterMs"].as_u64().is_some_and(|wait| wait > 1_000), "{told}");
        }
        let body = "{\"room\":\"notes:6\",\"event\":\"e\",\"data\":1}";
        let answer = post(addr, "/api/publish", &token("ada", 600, json!({})), body);
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert_eq!(history(&mut ada, 8, "notes:6"), [], "looking into it makes none");
        let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
        assert_eq!(publish(&mut bob, 1, "notes:6", 1)["offset"], 1);
        assert_eq!(publish(&mut ada, 9, "notes:6", 2)["offset"], 2);
    });
}

#[test]
fn a_volatile_event_is_heard_and_not_stored() {
    disk().served(|addr, _| {
        let mut hears = plain_in(addr, &token("bob", 600, json!({})), "notes:1");
        let mut ada = ada(addr);
        let body =
            "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":1,\"volatile\":true";
        assert_eq!(ada.ask(1, body)["durability"], "memory");
        assert!(hears.hear("\"said\"").contains("\"data\":1"));
        assert_eq!(history(&mut ada, 2, "notes:1"), []);
    });
}

#[test]
fn many_who_enter_at_once_read_a_room_once_and_miss_nothing() {
    let disk = disk();
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        (1..=50).for_each(|data| drop(publish(&mut ada, data, "notes:1", data)));
    });
    disk.served(|addr, _| {
        let who = token("bob", 600, json!({}));
        let mut wires: Vec<Wire> = (0..40).map(|_| plain(addr, &who).0).collect();
        for wire in &mut wires {
            wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"notes:1\",\"rewind\":10}");
        }
        let mut ada = ada(addr);
        assert_eq!(publish(&mut ada, 1, "notes:1", 51)["offset"], 51);
        for wire in &mut wires {
            assert!(wire.hear("\"id\":1").contains("\"ok\":true"));
            let first = wire.hear("\"said\"");
            let first: Value = serde_json::from_str(&first).unwrap();
            // The publish may have been read as well.
            let mut at = first["offset"].as_u64().unwrap();
            assert!(at == 41 || at == 42, "{first}");
            while at < 51 {
                at += 1;
                assert!(wire.hear("\"said\"").contains(&format!("\"offset\":{at}")));
            }
        }
    });
}
