//! Servers that stop in order, and what the next one goes on with of what was in memory alone.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::comeback::{ada, bob, come_back, disk, durable, everything, publish, said, subscribe};
use crate::common::Wire;
use crate::disk::Disk;
use crate::people::{plain, post, socket_io, socket_io_in, token};

/// What a client hears when it comes back, without the offsets.
fn heard(wire: &mut Wire) -> Vec<u64> {
    everything(wire).into_iter().map(|(data, _)| data).collect()
}

/// Subscribes a plain client from a place it knows.
fn plain_since(addr: SocketAddr, since: &Value) -> (Wire, Value) {
    let mut wire = plain(addr, &bob()).0;
    let answer = wire.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"open:1\",\"since\":{since}"));
    (wire, answer)
}

/// A room in memory over two restarts: what one missed who was away is there, what it has heard is not repeated, and
/// the numbers go on.
fn goes_on_in_memory(disk: &Disk) {
    let (pid, offset) = disk.served_to_the_end(|addr| {
        let (mut wire, pid) = socket_io_in(addr, &bob(), "open:1");
        let mut ada = ada(addr);
        publish(&mut ada, "open:1", 1);
        let offset = said(&mut wire).1;
        drop(wire);
        publish(&mut ada, "open:1", 2);
        (pid, offset)
    });
    disk.served_to_the_end(|addr| publish(&mut ada(addr), "open:1", 3));
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        publish(&mut ada, "open:1", 4);
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        let all = everything(&mut wire);
        assert_eq!(all.iter().map(|(data, _)| *data).collect::<Vec<_>>(), [2, 3, 4]);
        drop(wire);
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &all[1].1);
        assert!(recovered);
        assert_eq!(heard(&mut wire), [4], "cut in the middle of that, it goes on there");
        let next = ada.ask(9, "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"said\",\"data\":5");
        assert_eq!(next["offset"], 5);
    });
}

#[test]
fn a_stock_client_misses_nothing_in_memory() {
    goes_on_in_memory(&disk());
}

#[test]
fn a_stock_client_misses_nothing_in_memory_over_postgresql() {
    goes_on_in_memory(&Disk::postgres(durable()));
}

#[test]
fn who_is_connected_until_the_end_goes_on_and_hears_nothing_twice() {
    let disk = disk();
    let (pid, offset, _cut) = disk.served_to_the_end(|addr| {
        let (mut wire, pid) = socket_io_in(addr, &bob(), "open:1");
        subscribe(&mut wire, "open:silent");
        subscribe(&mut wire, "loose:1");
        publish(&mut ada(addr), "open:1", 1);
        let offset = said(&mut wire).1;
        (pid, offset, wire)
    });
    disk.served(move |addr, _| {
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        assert_eq!(heard(&mut wire), Vec::<u64>::new());
        let mut ada = ada(addr);
        publish(&mut ada, "loose:1", 2);
        publish(&mut ada, "open:silent", 3);
        publish(&mut ada, "open:1", 4);
        assert_eq!(heard(&mut wire), [2, 3, 4]);
    });
}

#[test]
fn who_had_heard_nothing_yet_gets_what_came_after_it_subscribed_and_no_more() {
    let disk = disk();
    let pid = disk.served_to_the_end(|addr| {
        let mut ada = ada(addr);
        publish(&mut ada, "open:1", 1);
        let pid = socket_io_in(addr, &bob(), "open:1").1;
        publish(&mut ada, "open:1", 2);
        pid
    });
    disk.served(move |addr, _| {
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, "");
        assert!(recovered);
        assert_eq!(heard(&mut wire), [2]);
    });
}

#[test]
fn a_personal_room_goes_on() {
    let disk = disk();
    let say = |addr: SocketAddr, data: u64| {
        let server = token("backend", 600, json!({"scope": "publish"}));
        let body = format!("{{\"userId\":\"bob\",\"event\":\"said\",\"data\":{data}}}");
        assert!(post(addr, "/api/publish", &server, &body).contains("\"ok\":true"));
    };
    let (pid, offset) = disk.served_to_the_end(move |addr| {
        let (mut wire, told) = socket_io(addr, &bob(), "");
        let told: Value = serde_json::from_str(told.trim_start_matches("40")).unwrap();
        say(addr, 1);
        let offset = said(&mut wire).1;
        drop(wire);
        say(addr, 2);
        (told["pid"].as_str().unwrap().to_owned(), offset)
    });
    disk.served(move |addr, _| {
        let (mut wire, recovered) = come_back(addr, &bob(), &pid, &offset);
        assert!(recovered);
        assert_eq!(heard(&mut wire), [2]);
    });
}

#[test]
fn a_plain_client_resumes_in_memory_and_is_told_of_a_gap_after_a_crash() {
    let disk = disk();
    let since = disk.served_to_the_end(|addr| {
        let mut ada = ada(addr);
        let said = ada.ask(1, "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"said\",\"data\":1");
        publish(&mut ada, "open:1", 2);
        json!({"epoch": said["epoch"], "offset": said["offset"], "tag": said["tag"]})
    });
    let again = since.clone();
    disk.served(move |addr, _| {
        let (mut wire, answer) = plain_since(addr, &since);
        assert_eq!((&answer["recovered"], &answer["offset"]), (&json!(true), &json!(2)), "{answer}");
        assert!(wire.hear("\"type\":\"event\"").contains("\"data\":2,"));
    });
    // That one did not stop in order.
    disk.served(move |addr, _| {
        let (_, answer) = plain_since(addr, &again);
        assert_eq!((&answer["recovered"], &answer["offset"]), (&json!(false), &json!(0)), "{answer}");
    });
}

#[test]
fn what_was_handed_on_to_a_process_that_crashed_is_told_as_lost() {
    let disk = disk();
    let (pid, offset) = disk.served_to_the_end(|addr| {
        let (mut wire, pid) = socket_io_in(addr, &bob(), "open:1");
        publish(&mut ada(addr), "open:1", 1);
        (pid, said(&mut wire).1)
    });
    let (again, before) = (pid.clone(), offset.clone());
    disk.served(move |addr, _| assert!(come_back(addr, &bob(), &again, &before).1));
    disk.served(move |addr, _| assert!(!come_back(addr, &bob(), &pid, &offset).1));
}

#[test]
fn a_publish_that_is_said_again_to_the_next_process_is_a_repeat() {
    let disk = disk();
    let body = "\"type\":\"publish\",\"room\":\"open:1\",\"event\":\"said\",\"data\":1,\"key\":\"k\"";
    let first = disk.served_to_the_end(move |addr| ada(addr).ask(1, body));
    disk.served(move |addr, _| {
        let mut ada = ada(addr);
        let again = ada.ask(1, body);
        assert_eq!((&again["duplicate"], &again["messageId"]), (&json!(true), &first["messageId"]));
        let other = ada.ask(2, &body.replace("\"data\":1", "\"data\":2"));
        assert_eq!(other["error"]["code"], "conflict");
    });
}

#[test]
fn a_session_of_another_user_is_not_had() {
    let disk = disk();
    let pid = disk.served_to_the_end(|addr| socket_io_in(addr, &bob(), "open:1").1);
    disk.served(move |addr, _| {
        assert!(!come_back(addr, &token("eve", 600, json!({})), &pid, "").1);
        assert!(come_back(addr, &bob(), &pid, "").1);
    });
}
