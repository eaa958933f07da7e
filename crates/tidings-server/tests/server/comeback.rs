//! Sessions of stock clients that outlive the process: the server is stopped without a word, another one
//! is started over the same database, and clients go on where they were.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_testkit::{eventually, settings};

use crate::common::{Frame, Wire, config, http, with_server};
use crate::disk::Disk;
use crate::people::{plain, post, socket_io, socket_io_in, token};

/// A file, for servers with rooms in the log.
pub(crate) fn disk() -> Disk {
    Disk::sqlite(durable())
}

/// Rooms in the log, to be entered and read by anyone.
pub(crate) fn durable() -> Config {
    let mut config = config();
    let mut room = config.rooms["open"].clone();
    (room.keep, room.size, room.history) = (Some("durable".into()), Some(1_000), Some("anyone".into()));
    config.rooms.insert("notes".into(), room.clone());
    room.ttl_seconds = Some(1);
    config.rooms.insert("brief".into(), room);
    config
}

pub(crate) fn ada(addr: SocketAddr) -> Wire {
    plain(addr, &token("ada", 600, json!({}))).0
}

pub(crate) fn bob() -> String {
    token("bob", 600, json!({}))
}

pub(crate) fn publish(wire: &mut Wire, room: &str, data: u64) {
    let body = format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"said\",\"data\":{data}");
    assert_eq!(wire.ask(data, &body)["ok"], true);
}

/// Subscribes a stock client to one room more.
pub(crate) fn subscribe(wire: &mut Wire, room: &str) {
    wire.say(&format!("427[\"subscribe\",{{\"room\":\"{room}\"}}]"));
    assert!(wire.hear("437[").contains("\"ok\":true"));
}

/// An event that a stock client has heard: its data, and the offset behind it.
pub(crate) fn said(wire: &mut Wire) -> (u64, String) {
    let event = wire.hear("[\"said\"");
    let body: Value = serde_json::from_str(event.trim_start_matches("42")).unwrap();
    (body[1].as_u64().unwrap(), body[2].as_str().unwrap_or_default().to_owned())
}

/// Comes back with a private id, and the offset of what was heard last if there is one.
pub(crate) fn come_back(addr: SocketAddr, who: &str, pid: &str, offset: &str) -> (Wire, bool) {
    let offset = if offset.is_empty() { String::new() } else { format!(",\"offset\":\"{offset}\"") };
    let (wire, told) = socket_io(addr, who, &format!(",\"pid\":\"{pid}\"{offset}"));
    assert!(told.starts_with("40{"), "{told}");
    let recovered = told.contains(pid);
    (wire, recovered)
}

/// A client in rooms that has heard the first event of the last of them.
fn one_who_has_heard(disk: &Disk, rooms: &'static [&'static str]) -> (String, String) {
    disk.served(|addr, _| {
        let (mut bob, pid) = socket_io_in(addr, &bob(), rooms[0]);
        rooms[1..].iter().for_each(|room| subscribe(&mut bob, room));
        publish(&mut ada(addr), rooms[rooms.len() - 1], 1);
        (pid, said(&mut bob).1)
    })
}

fn goes_on_in_another_process(disk: &Disk) {
    let (pid, offset) = one_who_has_heard(disk, &["notes:2", "notes:1"]);
    // What was published while nobody was there is in the log alone.
    disk.served(|addr, _| {
        let mut ada = ada(addr);
        (2..=3).for_each(|data| publish(&mut ada, "notes:1", data));
        publish(&mut ada, "notes:2", 4);
    });
    disk.served(move |addr, _| {
        publish(&mut ada(addr), "notes:1", 5);
        let (mut bob_wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        let mut heard: Vec<(u64, String)> = (0..3).map(|_| said(&mut bob_wire)).collect();
        drop(bob_wire);
        // Cut in the middle of what was missed, it goes on behind what it has heard.
        let (mut bob_wire, recovered) = come_back(addr, &bob(), &pid, &heard[1].1);
        assert!(recovered);
        heard.truncate(2);
        heard.extend((0..2).map(|_| said(&mut bob_wire)));
        assert_eq!(heard.iter().map(|(data, _)| *data).collect::<Vec<_>>(), [2, 3, 4, 5]);
        // It is in its rooms again, and nothing is repeated.
        publish(&mut ada(addr), "notes:2", 6);
        let (data, last) = said(&mut bob_wire);
        assert_eq!(data, 6);
        drop(bob_wire);
        let (mut bob_wire, recovered) = come_back(addr, &bob(), &pid, &last);
        assert!(recovered);
        publish(&mut ada(addr), "notes:1", 7);
        assert_eq!(said(&mut bob_wire).0, 7);
    });
}

#[test]
fn a_stock_client_goes_on_in_another_process() {
    goes_on_in_another_process(&disk());
}

#[test]
fn a_stock_client_goes_on_in_another_process_over_postgresql() {
    goes_on_in_another_process(&Disk::postgres(durable()));
}

#[test]
fn without_stored_sessions_it_begins_afresh() {
    let mut disk = disk();
    disk.config.recovery.stored = false;
    let (pid, offset) = one_who_has_heard(&disk, &["notes:1"]);
    disk.served(move |addr, _| assert!(!come_back(addr, &bob(), &pid, &offset).1));
}

#[test]
fn who_has_heard_nothing_yet_gets_what_came_after_it_subscribed() {
    let disk = disk();
    let pid = disk.served(|addr, _| {
        let mut ada = ada(addr);
        publish(&mut ada, "notes:1", 1);
        socket_io_in(addr, &bob(), "notes:1").1
    });
    disk.served(move |addr, _| {
        publish(&mut ada(addr), "notes:1", 2);
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, "");
        assert!(recovered);
        assert_eq!(said(&mut wire).0, 2);
    });
}

#[test]
fn a_session_outlives_many_processes_and_is_found_whatever_the_number_of_shards() {
    let mut disk = disk();
    disk.config.shards = 3;
    let (pid, mut offset) = one_who_has_heard(&disk, &["notes:1"]);
    for (shards, data) in [(1, 2), (2, 3), (5, 4), (1, 5)] {
        disk.config.shards = shards;
        let (pid, before) = (pid.clone(), offset.clone());
        offset = disk.served(move |addr, _| {
            publish(&mut ada(addr), "notes:1", data);
            let (mut wire, recovered) = come_back(addr, &bob(), &pid, &before);
            assert!(recovered, "{shards} shards");
            let (heard, offset) = said(&mut wire);
            assert_eq!(heard, data);
            offset
        });
    }
}

#[test]
fn a_session_has_one_holder_and_the_newest_wins() {
    let disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["notes:1"]);
    disk.served(move |addr, _| {
        let stranger = token("eve", 600, json!({}));
        assert!(!come_back(addr, &stranger, &pid, &offset).1);
        let abroad = token("bob", 600, json!({"org": "rival"}));
        assert!(!come_back(addr, &abroad, &pid, &offset).1);
        let mut all: Vec<Wire> =
            (0..4).map(|_| Wire::open(addr, "/socket.io/?EIO=4&transport=websocket")).collect();
        for wire in &mut all {
            wire.hear("0{");
        }
        for wire in &mut all {
            wire.say(&format!("40{{\"token\":\"{}\",\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}", bob()));
        }
        // One after the other has it; each but the last is replaced.
        let told: Vec<bool> = all.iter_mut().map(|wire| wire.hear("40{").contains(&pid)).collect();
        assert!(told.iter().all(|recovered| *recovered), "{told:?}");
        publish(&mut ada(addr), "notes:1", 2);
        let mut ends = [0; 2];
        for wire in &mut all {
            match wire.next() {
                Frame::Close(4409) => ends[0] += 1,
                Frame::Text(text) if text.contains("[\"said\",2") => ends[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ends, [3, 1]);
    });
}

#[test]
fn a_session_that_its_client_ended_is_over_and_a_room_it_left_is_left() {
    let disk = disk();
    let (ended, left) = disk.served(|addr, _| {
        let (mut first, ended) = socket_io_in(addr, &bob(), "notes:1");
        first.say("41");
        let (mut second, left) = socket_io_in(addr, &bob(), "notes:1");
        subscribe(&mut second, "notes:2");
        second.say("429[\"unsubscribe\",{\"room\":\"notes:1\"}]");
        second.hear("439[");
        (ended, left)
    });
    disk.served(move |addr, _| {
        assert!(!come_back(addr, &bob(), &ended, "").1);
        let (mut wire, recovered) = come_back(addr, &bob(), &left, "");
        assert!(recovered);
        let mut ada = ada(addr);
        publish(&mut ada, "notes:1", 1);
        publish(&mut ada, "notes:2", 2);
        assert_eq!(said(&mut wire).0, 2);
    });
}

#[test]
fn a_session_whose_token_was_called_back_is_not_taken_up() {
    let disk = disk();
    let pid = disk.served(|addr, _| {
        let who = token("bob", 600, json!({"jti": "a"}));
        socket_io_in(addr, &who, "notes:1").1
    });
    disk.served(move |addr, _| {
        let admin = token("root", 600, json!({"roles": ["admin"]}));
        assert!(post(addr, "/api/revocations", &admin, "{\"jti\":\"a\"}").contains("\"ok\":true"));
        assert!(!come_back(addr, &bob(), &pid, "").1);
    });
}

#[test]
fn a_room_one_may_no_longer_enter_is_left_out() {
    let mut disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["notes:1"]);
    disk.config.rooms.get_mut("notes").unwrap().subscribe = Some("role:member".into());
    disk.served(move |addr, _| {
        let admin = token("root", 600, json!({"roles": ["member"]}));
        publish(&mut plain(addr, &admin).0, "notes:1", 2);
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        let told = wire.next();
        let left = "42[\"tidings:left\",{\"room\":\"notes:1\",\"reason\":\"forbidden\"}]";
        assert_eq!(told, Frame::Text(left.into()));
        wire.say("428[\"ping\"]");
        assert!(matches!(wire.next(), Frame::Text(text) if text.starts_with("438")));
    });
}

/// A client that comes back to find that others have taken its place in one of its rooms: whether its session goes on,
/// and what it hears.
fn comes_back_to_a_full_room(gaps: bool) -> (bool, Vec<String>) {
    let mut disk = disk();
    disk.config.rooms.get_mut("notes").unwrap().members = Some(1);
    disk.served(move |addr, _| {
        let (mut wire, pid) = socket_io_in(addr, &bob(), "notes:1");
        subscribe(&mut wire, "brief:1");
        publish(&mut ada(addr), "notes:1", 1);
        let offset = said(&mut wire).1;
        drop(wire);
        let mut ada = ada(addr);
        let enter = "\"type\":\"subscribe\",\"room\":\"notes:1\"";
        eventually("the place is free", || ada.ask(5, enter)["ok"] == true);
        publish(&mut ada, "notes:1", 2);
        publish(&mut ada, "brief:1", 3);
        let (mut wire, told) =
            socket_io(addr, &bob(), &format!(",\"gaps\":{gaps},\"pid\":\"{pid}\",\"offset\":\"{offset}\""));
        wire.say("4299[\"ping\"]");
        let mut heard = Vec::new();
        loop {
            match wire.next() {
                Frame::Text(text) if text.starts_with("4399[") => return (told.contains(&pid), heard),
                Frame::Text(text) => heard.push(text),
                other => panic!("{other:?}"),
            }
        }
    })
}

#[test]
fn one_who_comes_back_to_a_full_room_is_told_that_it_is_out() {
    let (goes_on, heard) = comes_back_to_a_full_room(true);
    assert!(goes_on);
    assert_eq!(heard[0], "42[\"tidings:gap\",{\"room\":\"notes:1\",\"reason\":\"overflow\"}]");
    assert_eq!(heard[1], "42[\"tidings:left\",{\"room\":\"notes:1\",\"reason\":\"full\"}]");
    assert!(heard[2].starts_with("42[\"said\",3,"), "{heard:?}");
    assert_eq!(heard.len(), 3, "{heard:?}");
}

#[test]
fn one_who_does_not_ask_for_gaps_begins_afresh_where_a_room_is_full() {
    assert_eq!(comes_back_to_a_full_room(false), (false, Vec::new()));
}

#[test]
fn what_was_said_in_memory_alone_is_told_as_lost() {
    let disk = disk();
    let (pid, offset) = disk.served(|addr, _| {
        let (mut bob, pid) = socket_io_in(addr, &bob(), "open:1");
        subscribe(&mut bob, "notes:1");
        subscribe(&mut bob, "open:silent");
        let mut ada = ada(addr);
        publish(&mut ada, "open:1", 1);
        publish(&mut ada, "notes:1", 2);
        said(&mut bob);
        (pid, said(&mut bob).1)
    });
    disk.served(move |addr, _| {
        publish(&mut ada(addr), "notes:1", 3);
        publish(&mut ada(addr), "open:1", 4);
        let (mut wire, told) =
            socket_io(addr, &bob(), &format!(",\"gaps\":true,\"pid\":\"{pid}\",\"offset\":\"{offset}\""));
        assert!(told.contains(&pid), "{told}");
        let gap = wire.hear("tidings:gap");
        assert_eq!(gap, "42[\"tidings:gap\",{\"room\":\"open:1\",\"reason\":\"epoch\"}]");
        assert_eq!((said(&mut wire).0, said(&mut wire).0), (3, 4), "what has been said since is there");
        drop(wire);
        // Known now, the session goes on from here.
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        assert_eq!((said(&mut wire).0, said(&mut wire).0), (3, 4));
    });
}

#[test]
fn what_the_next_process_says_in_a_silent_room_before_one_is_back_is_heard() {
    let disk = disk();
    let (pid, offset) = disk.served(|addr, _| {
        let (mut bob, pid) = socket_io_in(addr, &bob(), "notes:1");
        subscribe(&mut bob, "open:silent");
        publish(&mut ada(addr), "notes:1", 1);
        (pid, said(&mut bob).1)
    });
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        publish(&mut ada, "notes:1", 2);
        publish(&mut ada, "open:silent", 3);
        publish(&mut ada, "notes:1", 4);
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        let heard = everything(&mut wire);
        assert_eq!(heard.iter().map(|(data, _)| *data).collect::<Vec<_>>(), [2, 3, 4]);
        drop(wire);
        // Cut in the middle of that, it goes on behind what it has heard, each event once.
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &heard[1].1);
        assert!(recovered);
        assert_eq!(everything(&mut wire).iter().map(|(data, _)| *data).collect::<Vec<_>>(), [4]);
    });
}

#[test]
fn who_does_not_ask_for_gaps_begins_afresh_where_something_in_memory_was_lost() {
    let disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["notes:1", "open:1"]);
    disk.served(move |addr, _| assert!(!come_back(addr, &bob(), &pid, &offset).1));
}

#[test]
fn what_a_process_in_between_said_in_a_silent_room_is_told_as_lost() {
    let disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["open:1", "notes:1"]);
    disk.served(|addr, _| publish(&mut ada(addr), "open:1", 2));
    disk.served(move |addr, _| assert!(!come_back(addr, &bob(), &pid, &offset).1));
}

#[test]
fn an_offset_that_was_spoilt_proves_nothing_to_another_process() {
    let disk = disk();
    let (pid, _) = one_who_has_heard(&disk, &["notes:1"]);
    disk.served(move |addr, _| assert!(!come_back(addr, &bob(), &pid, "a word").1));
}

#[test]
fn an_idle_client_has_missed_nothing_though_nothing_is_kept() {
    let disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["brief:1"]);
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        let mut kept = || ada.ask(100, "\"type\":\"history\",\"room\":\"brief:1\",\"limit\":9");
        eventually("older than its room keeps it", || kept()["events"] == json!([]));
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        publish(&mut ada, "brief:1", 2);
        assert_eq!(said(&mut wire).0, 2);
    });
}

#[test]
fn while_the_store_is_away_nobody_is_told_that_its_session_is_gone() {
    let disk = disk();
    let (pid, offset) = one_who_has_heard(&disk, &["notes:1"]);
    let (again, before) = (pid.clone(), offset.clone());
    disk.served(move |addr, store| {
        let (mut there, _) = socket_io_in(addr, &bob(), "loose:1");
        tokio::runtime::Handle::current().block_on(store.close());
        let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        wire.hear("0{");
        wire.say(&format!("40{{\"token\":\"{}\",\"pid\":\"{again}\",\"offset\":\"{before}\"}}", bob()));
        assert_eq!(wire.closed(), Some(1013));
        // Rooms that are in memory alone go on.
        subscribe(&mut there, "open:1");
    });
    disk.served(move |addr, _| assert!(come_back(addr, &bob(), &pid, &offset).1));
}

#[test]
fn while_the_store_is_away_a_room_can_be_left() {
    disk().served(move |addr, store| {
        let (mut wire, _) = socket_io_in(addr, &bob(), "notes:1");
        tokio::runtime::Handle::current().block_on(store.close());
        wire.say("428[\"unsubscribe\",{\"room\":\"notes:1\"}]");
        assert_eq!(wire.hear("438["), "438[{\"ok\":true}]");
    });
}

/// Everything a client is sent at once, up to the answer to a ping behind it.
pub(crate) fn everything(wire: &mut Wire) -> Vec<(u64, String)> {
    wire.say("4299[\"ping\"]");
    let mut all = Vec::new();
    loop {
        let text = wire.hear("4");
        if text.starts_with("4399[") {
            return all;
        }
        if let Some(body) = text.strip_prefix("42").filter(|body| body.starts_with("[\"said\"")) {
            let body: Value = serde_json::from_str(body).unwrap();
            all.push((body[1].as_u64().unwrap(), body[2].as_str().unwrap_or_default().to_owned()));
        }
    }
}

/// Rooms of a client that is cut again and again.
const ROOMS: u64 = 20;

/// The room of an event, in no order.
fn room_of(number: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % ROOMS
}

/// What a client in many rooms has heard that was cut at other places each time, 150 times (or `RESUMES`), and how
/// much was said.
///
/// `by_room`: as if what it missed had come room after room, so that the offset of the last event it has heard
/// says more than is true.
fn heard_over_many_cuts(by_room: bool) -> (Vec<u64>, u64) {
    const A_ROUND: u64 = 10;
    let rounds = settings::number("RESUMES").unwrap_or(150);
    disk().served(move |addr, _| {
        let (mut wire, pid) = socket_io_in(addr, &bob(), "notes:0");
        (1..ROOMS).for_each(|room| subscribe(&mut wire, &format!("notes:{room}")));
        let (mut ada, mut heard, mut offset) = (ada(addr), Vec::new(), String::new());
        let mut seed = 0x2545_f491_u64;
        for round in 0..rounds {
            for number in round * A_ROUND + 1..=(round + 1) * A_ROUND {
                publish(&mut ada, &format!("notes:{}", room_of(number)), number);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (next, recovered) = come_back(addr, &bob(), &pid, &offset);
            assert!(recovered, "round {round}");
            drop(std::mem::replace(&mut wire, next));
            let mut owed = everything(&mut wire);
            if by_room {
                owed.sort_by_key(|(number, _)| (room_of(*number), *number));
            }
            let part =
                if round + 1 == rounds { owed.len() } else { (seed >> 40) as usize % (owed.len() + 1) };
            for (number, at) in owed.into_iter().take(part) {
                heard.push(number);
                offset = at;
            }
        }
        (heard, rounds * A_ROUND)
    })
}

#[test]
fn one_offset_over_twenty_rooms_loses_and_repeats_nothing_wherever_it_is_cut() {
    let (heard, said) = heard_over_many_cuts(false);
    assert_eq!(heard, (1..=said).collect::<Vec<_>>());
}

#[test]
fn if_what_was_missed_came_room_after_room_the_same_cuts_would_lose_some() {
    let (mut heard, said) = heard_over_many_cuts(true);
    heard.sort_unstable();
    heard.dedup();
    assert!((heard.len() as u64) < said, "nothing was lost");
}

#[test]
fn a_session_that_its_client_ended_after_taking_it_up_is_known_no_more() {
    with_server(&config(), |addr, _| {
        let kept = |wanted: &str| {
            let line = format!("tidings_sessions_kept {wanted}\n");
            eventually(&line, || http(addr, "GET /metrics", "", "").1.contains(&line));
        };
        let (bob_wire, pid) = socket_io_in(addr, &bob(), "lobby:1");
        drop(bob_wire);
        kept("1");
        let (mut bob_wire, recovered) = come_back(addr, &bob(), &pid, "");
        assert!(recovered);
        kept("1");
        // As `socket.disconnect()` of a stock client.
        bob_wire.say("41");
        kept("0");
    });
}
