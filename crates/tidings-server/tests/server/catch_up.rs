//! Those who missed more than memory keeps get it from the log, page by page, and then what is said live.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_testkit::eventually_told;

use crate::comeback::{self, ada};
use crate::common::{Frame, Wire, http};
use crate::disk::{Disk, is_in_log};
use crate::people::{plain, socket_io, socket_io_in, token};

/// Bytes of each event's data: a few of them are more than memory keeps.
const BYTES: usize = 1_000;

/// A database whose rooms keep more than memory does.
pub(crate) fn disk() -> Disk {
    let mut disk = comeback::disk();
    disk.config.limits.room_bytes = 64 * 1_024;
    let room = disk.config.rooms.get_mut("notes").unwrap();
    room.size = Some(100_000);
    disk
}

/// Publishes numbered events to rooms in turn, many at once; the epoch and tag of each room's first.
pub(crate) fn fill(addr: SocketAddr, rooms: &[&str], numbers: std::ops::RangeInclusive<u64>) -> Vec<Value> {
    let mut wire = ada(addr);
    let text = "x".repeat(BYTES);
    let (mut firsts, mut open) = (vec![Value::Null; rooms.len()], 0);
    let mut take = |wire: &mut Wire| {
        let ack: Value = serde_json::from_str(&wire.hear("\"messageId\"")).unwrap();
        assert_eq!(ack["ok"], true, "{ack}");
        let at = rooms.iter().position(|room| ack["room"] == **room).unwrap();
        if ack["offset"] == 1 {
            firsts[at] = ack;
        }
    };
    for number in numbers {
        let room = rooms[number as usize % rooms.len()];
        wire.say(&format!(
            "{{\"type\":\"publish\",\"id\":{number},\"room\":\"{room}\",\"event\":\"said\",\"data\":[{number},\"{text}\"]}}"
        ));
        open += 1;
        if open == 200 {
            (0..open).for_each(|_| take(&mut wire));
            open = 0;
        }
    }
    (0..open).for_each(|_| take(&mut wire));
    firsts
}

/// The number and the offset of an event of the plain protocol.
pub(crate) fn event(text: &str) -> (u64, u64) {
    let event: Value = serde_json::from_str(text).unwrap();
    (event["data"][0].as_u64().unwrap(), event["offset"].as_u64().unwrap())
}

#[test]
fn twelve_thousand_missed_events_come_in_order_and_live_ones_behind_them() {
    let disk = disk();
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=12_000).remove(0));
    disk.served(move |addr, _| {
        let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
        let told = bob.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!((&told["ok"], &told["recovered"]), (&json!(true), &json!(true)), "{told}");
        assert_eq!(told["offset"], 12_000);
        // Others speak while it catches up.
        let mut speaking = ada(addr);
        for data in 12_001..=12_050 {
            let body =
                format!("\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":[{data}]");
            assert_eq!(speaking.ask(data, &body)["offset"], data);
        }
        for number in 2..=12_000 {
            assert_eq!(event(&bob.hear("\"said\"")), (number, number));
        }
        // Some of them may be behind the word that it is up to date; none is missing.
        let mut resumed = false;
        for number in 12_001..=12_050 {
            loop {
                let text = match bob.next() {
                    Frame::Text(text) => text,
                    other => panic!("{other:?}"),
                };
                if text.contains("\"resumed\"") {
                    resumed = true;
                } else if text.contains("\"said\"") {
                    break assert_eq!(event(&text), (number, number));
                }
            }
        }
        if !resumed {
            bob.hear("\"resumed\"");
        }
        let body = "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":[12051]";
        speaking.ask(12_051, body);
        assert_eq!(event(&bob.hear("\"said\"")).0, 12_051);
    });
}

#[test]
fn who_may_not_read_the_history_has_to_know_the_message_it_names() {
    let mut disk = disk();
    disk.config.rooms.get_mut("notes").unwrap().history = Some("nobody".into());
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=300).remove(0));
    disk.served(move |addr, _| {
        let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": "00000bad"});
        let told = bob.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!(told["recovered"], false, "{told}");
        assert!(bob.hear("\"type\":\"").contains("\"gap\""));
        assert!(bob.hear("\"type\":\"").contains("\"resumed\""));
        let (mut knows, _) = plain(addr, &token("bob", 600, json!({})));
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
        let told = knows.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"notes:1\",\"since\":{since}"));
        assert_eq!(told["recovered"], true, "{told}");
        for number in 2..=300 {
            assert_eq!(event(&knows.hear("\"said\"")), (number, number));
        }
        knows.hear("\"resumed\"");
    });
}

#[test]
fn one_who_leaves_a_room_while_it_catches_up_hears_no_more_of_it() {
    let disk = disk();
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=3_000).remove(0));
    disk.served(move |addr, _| {
        let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
        let since = json!({"epoch": first["epoch"], "offset": 0});
        bob.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"notes:1\",\"since\":{since}}}"));
        assert_eq!(event(&bob.hear("\"said\"")).0, 1);
        bob.say("{\"type\":\"unsubscribe\",\"id\":2,\"room\":\"notes:1\"}");
        bob.hear("\"id\":2");
        bob.say("{\"type\":\"ping\",\"id\":3}");
        let text = bob.hear("\"");
        assert!(text.contains("\"id\":3"), "{text}");
    });
}

#[test]
fn one_who_subscribes_again_while_it_catches_up_loses_nothing() {
    let disk = disk();
    let first = disk.served(|addr, _| fill(addr, &["notes:1"], 1..=3_000).remove(0));
    for again in
        ["", ",\"since\":{\"epoch\":EPOCH,\"offset\":2990}", ",\"rewind\":5", ",\"events\":[\"said\"]"]
    {
        let again = again.replace("EPOCH", &first["epoch"].to_string());
        let since = json!({"epoch": first["epoch"], "offset": 0});
        disk.served(move |addr, _| {
            let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
            let subscribe = "\"type\":\"subscribe\",\"room\":\"notes:1\"";
            bob.say(&format!("{{\"id\":1,{subscribe},\"since\":{since}}}"));
            bob.say(&format!("{{\"id\":2,{subscribe}{again}}}"));
            let (mut last, mut answers, mut resumed) = (0, 0, false);
            while last < 3_000 || answers < 2 || !resumed {
                let told: Value = serde_json::from_str(&bob.hear("\"")).unwrap();
                match told["type"].as_str().unwrap() {
                    "event" => {
                        let offset = told["offset"].as_u64().unwrap();
                        assert!(offset <= last + 1, "{offset} after {last}, with {again}");
                        last = last.max(offset);
                    }
                    "ack" => {
                        assert_eq!(told["ok"], true, "{told}");
                        let asks = told["id"] == 1 || again.contains("since") || again.contains("rewind");
                        assert_eq!(told["recovered"], if asks { json!(true) } else { Value::Null }, "{told}");
                        answers += 1;
                    }
                    "resumed" => resumed = true,
                    _ => panic!("{told}"),
                }
            }
        });
    }
}

/// The numbers and offsets of a page of history.
fn numbers(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event["data"][0].as_u64().unwrap()).collect();
    assert!(events.iter().zip(&numbers).all(|(event, number)| event["offset"] == *number), "{answer}");
    numbers
}

#[test]
fn the_history_goes_back_further_than_memory() {
    let disk = disk();
    disk.served(|addr, _| drop(fill(addr, &["notes:1"], 1..=1_200)));
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        let newest = ada.ask(1, "\"type\":\"history\",\"room\":\"notes:1\",\"limit\":300");
        assert_eq!(numbers(&newest), (901..=1_200).collect::<Vec<_>>());
        let (epoch, mut after, mut all) = (newest["epoch"].clone(), 0, Vec::new());
        loop {
            let since = json!({"epoch": epoch, "offset": after});
            let body = format!("\"type\":\"history\",\"room\":\"notes:1\",\"limit\":1000,\"since\":{since}");
            let page = ada.ask(2 + after, &body);
            assert_eq!(page["complete"], true);
            let numbers = numbers(&page);
            after = *numbers.last().unwrap();
            all.extend(numbers);
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(all, (1..=1_200).collect::<Vec<_>>());
        let who = format!("Authorization: Bearer {}\r\n", token("ada", 600, json!({})));
        let path = format!("GET /api/rooms/notes:1/history?limit=5&since={}:700", epoch.as_str().unwrap());
        let (_, body) = http(addr, &path, &who, "");
        assert_eq!(numbers(&serde_json::from_str(&body).unwrap()), [701, 702, 703, 704, 705]);
    });
}

/// The number of an event of a stock client, and the offset behind it.
fn stock(text: &str) -> (u64, String) {
    let body: Value = serde_json::from_str(text.trim_start_matches("42")).unwrap();
    (body[1][0].as_u64().unwrap(), body[2].as_str().unwrap().to_owned())
}

#[test]
fn a_stock_client_gets_more_than_memory_keeps_of_many_rooms_in_one_order() {
    let disk = disk();
    let rooms = ["notes:0", "notes:1", "notes:2"];
    let who = || token("bob", 600, json!({}));
    let (pid, offset) = disk.served(move |addr, _| {
        let (mut bob, pid) = socket_io_in(addr, &who(), rooms[0]);
        for room in &rooms[1..] {
            bob.say(&format!("427[\"subscribe\",{{\"room\":\"{room}\"}}]"));
            bob.hear("437[");
        }
        fill(addr, &rooms, 1..=1);
        (pid, stock(&bob.hear("\"said\"")).1)
    });
    disk.served(move |addr, _| drop(fill(addr, &rooms, 2..=900)));
    disk.served(move |addr, _| {
        let come_back = |offset: &str| {
            let (wire, told) =
                socket_io(addr, &who(), &format!(",\"pid\":\"{pid}\",\"offset\":\"{offset}\""));
            assert!(told.contains(&pid), "{told}");
            wire
        };
        let (mut at, mut offset) = (1, offset);
        // Cut again and again in the middle of what it missed.
        for cut in [3, 250, 251, 640, 899, 900] {
            let mut wire = come_back(&offset);
            while at < cut {
                let (number, next) = stock(&wire.hear("\"said\""));
                assert_eq!(number, at + 1);
                (at, offset) = (number, next);
            }
        }
        let mut wire = come_back(&offset);
        fill(addr, &rooms, 901..=905);
        for number in 901..=905 {
            assert_eq!(stock(&wire.hear("\"said\"")).0, number);
        }
    });
}

#[test]
fn looking_into_a_room_in_which_nobody_was_does_not_make_it() {
    disk().served(|addr, store| {
        let mut ada = ada(addr);
        let nothing = ada.ask(1, "\"type\":\"history\",\"room\":\"notes:none\"");
        assert_eq!(
            (&nothing["ok"], &nothing["events"], &nothing["more"]),
            (&json!(true), &json!([]), &json!(false))
        );
        let since = json!({"epoch": "00000000000000ab", "offset": 0});
        let body = format!("\"type\":\"history\",\"room\":\"notes:none\",\"since\":{since}");
        assert_eq!(ada.ask(2, &body)["complete"], false);
        assert!(!is_in_log(store, "notes:none"));
        let rooms = ada.ask(3, "\"type\":\"subscribe\",\"room\":\"notes:none\"");
        assert_eq!((&rooms["ok"], &rooms["epoch"]), (&json!(true), &nothing["epoch"]), "{rooms}");
        assert!(!is_in_log(store, "notes:none"), "nor does who enters it and says nothing");
    });
}

#[test]
fn what_is_read_from_the_log_is_not_left_out_for_a_lane_that_the_log_does_not_keep() {
    let disk = disk();
    let first = disk.served(|addr, _| {
        let first = fill(addr, &["notes:1"], 1..=1).remove(0);
        let mut ada = ada(addr);
        let body =
            "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":[2],\"lane\":\"critical\"";
        assert_eq!(ada.ask(1, body)["ok"], true);
        first
    });
    // It is behind what memory keeps, and in it.
    for numbers in [None, Some(3..=300)] {
        let first = first.clone();
        disk.served(move |addr, _| {
            if let Some(numbers) = numbers {
                fill(addr, &["notes:1"], numbers);
            }
            let (mut bob, _) = plain(addr, &token("bob", 600, json!({})));
            let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
            bob.say(&format!(
                "{{\"type\":\"subscribe\",\"id\":1,\"room\":\"notes:1\",\"since\":{since},\"minLane\":\"critical\"}}"
            ));
            assert_eq!(event(&bob.hear("\"said\"")), (2, 2));
        });
    }
}

/// What a server says of a step that was taken against slow clients.
fn step(addr: SocketAddr, step: &str) -> u64 {
    let (_, figures) = http(addr, "GET /metrics", "", "");
    let name = format!("tidings_slow_client_steps_total{{step=\"{step}\"}} ");
    figures.lines().find_map(|line| line.strip_prefix(&*name)).unwrap().parse().unwrap()
}

#[test]
fn a_slow_stock_client_is_served_from_the_log_and_goes_on_wherever_its_connection_breaks() {
    const EVENTS: u64 = 9_000;
    let mut disk = disk();
    (disk.config.limits.queue_bytes, disk.config.limits.lag_ms) = (128 * 1_024, 600_000);
    // It answers nothing while it reads nothing.
    disk.config.heartbeat.interval_ms = 3_600_000;
    disk.served(|addr, _| {
        let who = token("bob", 600, json!({}));
        let rooms = ["notes:1", "open:1", "notes:2"];
        let (mut bob, pid) = socket_io_in(addr, &who, rooms[0]);
        // Its kernel takes little that is not read.
        socket2::SockRef::from(&bob.stream).set_recv_buffer_size(65_536).unwrap();
        for room in &rooms[1..] {
            bob.say(&format!("427[\"subscribe\",{{\"room\":\"{room}\"}}]"));
            bob.hear("437[");
        }
        let mut speaking = ada(addr);
        // In the log in turn, and in memory now and then.
        for last in (300..=EVENTS).step_by(300) {
            fill(addr, &[rooms[0], rooms[2]], last - 299..=last - 1);
            let body = format!(
                "\"type\":\"publish\",\"room\":\"{}\",\"event\":\"said\",\"data\":[{last}]",
                rooms[1]
            );
            assert_eq!(speaking.ask(last, &body)["ok"], true);
        }
        assert!(step(addr, "paused") > 0, "it was not slow enough");
        let (mut at, mut offset) = (0, String::new());
        // Cut where it is served from the log.
        for cut in [4_000, 6_000, EVENTS] {
            while at < cut {
                let (number, next) = stock(&bob.hear("\"said\""));
                assert_eq!(number, at + 1);
                (at, offset) = (number, next);
            }
            drop(bob);
            let (wire, told) = socket_io(addr, &who, &format!(",\"pid\":\"{pid}\",\"offset\":\"{offset}\""));
            assert!(told.contains(&pid), "{told}");
            bob = wire;
        }
        let body = "\"type\":\"publish\",\"room\":\"notes:1\",\"event\":\"said\",\"data\":[9001]";
        speaking.ask(EVENTS + 1, body);
        assert_eq!(stock(&bob.hear("\"said\"")).0, EVENTS + 1, "nothing comes twice");
        assert_eq!((step(addr, "lost"), step(addr, "overflowed")), (0, 0));
    });
}

/// Changes the database behind the server's back.
fn behind(disk: &Disk, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store =
            tidings_store::Store::open(disk.url(), &tidings_store::StoreOptions::default()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run(sql, &[]).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    });
}

#[test]
fn a_damaged_event_is_a_gap_that_is_told_and_the_room_goes_on() {
    let disk = disk();
    let who = || token("bob", 600, json!({}));
    let (pid, offset, first) = disk.served(move |addr, _| {
        let (mut bob, pid) = socket_io_in(addr, &who(), "notes:1");
        let first = fill(addr, &["notes:1"], 1..=1).remove(0);
        (pid, stock(&bob.hear("\"said\"")).1, first)
    });
    disk.served(|addr, _| drop(fill(addr, &["notes:1"], 2..=300)));
    // One in the pages, one in memory.
    behind(&disk, "UPDATE log_events SET data = x'31' WHERE place IN (100, 290)");
    disk.served(move |addr, _| {
        let (mut plain, _) = plain(addr, &token("bob", 600, json!({})));
        let since = json!({"epoch": first["epoch"], "offset": 1, "tag": first["tag"]});
        plain.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"notes:1\",\"since\":{since}}}"));
        for offset in 2..=300 {
            if [100, 290].contains(&offset) {
                let gap: Value = serde_json::from_str(&plain.hear("\"gap\"")).unwrap();
                assert_eq!((&gap["reason"], &gap["from"]), (&json!("corrupt"), &json!(offset)), "{gap}");
                assert_eq!((&gap["to"], &gap["resumeAt"]), (&json!(offset), &json!(offset + 1)));
            } else {
                assert_eq!(event(&plain.hear("\"type\":\"event\"")), (offset, offset));
            }
        }
        // A stock client that does not ask for gaps begins afresh; one that does gets the rest.
        let more = format!(",\"pid\":\"{pid}\",\"offset\":\"{offset}\"");
        let (_, told) = socket_io(addr, &token("eve", 600, json!({})), &more);
        assert!(!told.contains(&pid));
        let (mut bob, told) = socket_io(addr, &who(), &format!("{more},\"gaps\":true"));
        assert!(told.contains(&pid), "{told}");
        assert_eq!(
            bob.hear("tidings:gap"),
            "42[\"tidings:gap\",{\"room\":\"notes:1\",\"reason\":\"corrupt\"}]"
        );
        let numbers: Vec<u64> = (0..297).map(|_| stock(&bob.hear("\"said\"")).0).collect();
        assert_eq!(numbers, (2..=300).filter(|at| ![100, 290].contains(at)).collect::<Vec<_>>());
        let mut ada = ada(addr);
        let whole = ada.ask(1, "\"type\":\"history\",\"room\":\"notes:1\",\"limit\":1000");
        assert_eq!(numbers_of(&whole).len(), 298);
        fill(addr, &["notes:1"], 301..=301);
        assert_eq!(stock(&bob.hear("\"said\"")).0, 301);
        let (_, figures) = http(addr, "GET /metrics", "", "");
        let line = figures.lines().find(|line| line.starts_with("tidings_log_events_damaged_total")).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
    });
}

fn numbers_of(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| event["data"][0].as_u64().unwrap()).collect()
}

/// Asks until the log of a room begins where it should.
fn trimmed_to(addr: SocketAddr, room: &str, at_most: usize) -> Value {
    let (mut ada, mut id) = (ada(addr), 0);
    let ask = || {
        id += 1;
        let answer = ada.ask(id, &format!("\"type\":\"history\",\"room\":\"{room}\",\"limit\":1000"));
        let since = json!({"epoch": answer["epoch"], "offset": 0});
        let body = format!("\"type\":\"history\",\"room\":\"{room}\",\"limit\":1000,\"since\":{since}");
        ada.ask(1_000_000 + id, &body)
    };
    eventually_told("trimmed", ask, |answer| numbers_of(answer).len() <= at_most)
}

#[test]
fn a_kind_keeps_as_many_bytes_in_the_log_as_it_says() {
    let mut disk = disk();
    disk.config.limits.room_bytes = 1;
    disk.config.rooms.get_mut("notes").unwrap().bytes = Some(50_500);
    disk.served(|addr, _| drop(fill(addr, &["notes:1"], 1..=200)));
    disk.served(|addr, _| {
        let answer = trimmed_to(addr, "notes:1", 60);
        assert_eq!(answer["complete"], false);
        assert_eq!(numbers_of(&answer).last(), Some(&200));
        assert!(numbers_of(&answer).len() >= 48, "{}", numbers_of(&answer).len());
    });
}

#[test]
fn an_organisation_whose_log_is_full_loses_the_oldest_of_its_largest_room() {
    let mut disk = disk();
    disk.config.limits.room_bytes = 1;
    disk.config.limits.log_bytes_per_org = 100_000;
    disk.served(|addr, _| {
        fill(addr, &["notes:small"], 1..=10);
        fill(addr, &["notes:large"], 1..=300);
    });
    disk.served(|addr, _| {
        let large = trimmed_to(addr, "notes:large", 100);
        assert_eq!(numbers_of(&large).last(), Some(&300));
        assert_eq!(numbers_of(&trimmed_to(addr, "notes:small", 10)).len(), 10);
    });
}
