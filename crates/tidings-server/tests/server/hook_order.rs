//! A client that waits for the backend: what it says keeps its order, and nobody else waits.

use crate::backend::{Backend, Reply, allow, deny};
use crate::common::{Frame, Wire, with_server};
use crate::hooks::{ack, asking, plain, socket_io, subscribe, token};

#[test]
fn a_publish_said_after_an_asked_subscribe_is_carried_out_after_it() {
    let backend = Backend::start(|_| allow());
    let gate = backend.clone();
    with_server(&asking(&backend), move |addr, _| {
        for round in 0..20 {
            let room = format!("ask:{round}");
            gate.gate(false);
            let asked = gate.count();
            let mut wire = plain(addr, "ana");
            wire.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"{room}\"}}"));
            wire.say(&format!(
                "{{\"type\":\"publish\",\"id\":2,\"room\":\"{room}\",\"event\":\"e\",\"data\":1}}"
            ));
            // These two need nobody's leave, and wait all the same.
            wire.say("{\"type\":\"publish\",\"id\":3,\"room\":\"open:1\",\"event\":\"e\",\"data\":1}");
            wire.say("{\"type\":\"unsubscribe\",\"id\":4,\"room\":\"open:1\"}");
            wire.say("{\"type\":\"ping\",\"id\":5}");
            gate.await_count(asked + 1);
            assert!(
                matches!(wire.next(), Frame::Text(text) if text.contains("\"id\":5")),
                "a ping does not wait"
            );

            // Nobody else does either.
            let mut other = plain(addr, "bob");
            assert_eq!(subscribe(&mut other, 1, "open:1")["ok"], true);

            gate.gate(true);
            let mut heard = Vec::new();
            while heard.len() < 5 {
                match wire.next() {
                    Frame::Text(text) => heard.push(text),
                    other => panic!("{other:?}"),
                }
            }
            let kinds: Vec<&str> = heard
                .iter()
                .map(|text| match text {
                    text if text.contains("\"type\":\"event\"") => "event",
                    text if text.contains("\"id\":1,\"ok\":true") => "1",
                    text if text.contains("\"id\":2,\"ok\":true") => "2",
                    text if text.contains("\"id\":3,\"ok\":true") => "3",
                    text if text.contains("\"id\":4,\"ok\":true") => "4",
                    _ => "?",
                })
                .collect();
            let acks: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "event").collect();
            assert_eq!(acks, ["1", "2", "3", "4"], "{heard:?}");
            // It hears its own event, so the subscription was carried out first.
            let event = kinds.iter().position(|kind| *kind == "event");
            assert!(event > Some(0), "{heard:?}");
        }
    });
}

#[test]
fn a_command_that_asks_behind_another_that_asks_waits_for_it() {
    let backend = Backend::start(|request| if request.json()["room"] == "ask:no" { deny() } else { allow() });
    let gate = backend.clone();
    with_server(&asking(&backend), move |addr, _| {
        gate.gate(false);
        let mut wire = socket_io(addr, "ana");
        for (id, room) in ["ask:1", "ask:no", "ask:2", "open:1", "ask:3"].into_iter().enumerate() {
            wire.say(&format!("42{id}[\"subscribe\",{{\"room\":\"{room}\"}}]"));
        }
        wire.say("425[\"history\",{\"room\":\"ask:1\"}]");
        gate.await_count(1);
        assert_eq!(gate.count(), 1, "one question at a time");
        gate.gate(true);
        for id in 0..6 {
            let Frame::Text(text) = wire.next() else { panic!() };
            assert!(text.starts_with(&format!("43{id}[")), "{text}");
            assert_eq!(text.contains("not_found"), id == 1, "{text}");
        }
    });
    let rooms: Vec<_> = backend.requests().iter().map(|request| request.json()["room"].clone()).collect();
    assert_eq!(rooms, ["ask:1", "ask:no", "ask:2", "ask:3", "ask:1"]);
}

#[test]
fn a_subscription_with_rewind_asks_about_both_and_is_refused_by_either() {
    let backend = Backend::start(|request| {
        let question = request.json();
        let no = question["action"] == "history" && question["user"] == "eve";
        if no { deny() } else { allow() }
    });
    with_server(&asking(&backend), |addr, _| {
        let rewind = "{\"type\":\"subscribe\",\"id\":1,\"room\":\"ask:1\",\"rewind\":5}";
        for (user, ok) in [("ana", true), ("eve", false)] {
            let mut wire = plain(addr, user);
            wire.say(rewind);
            assert_eq!(ack(&mut wire, 1)["ok"], ok, "{user}");
        }
    });
    let actions: Vec<_> = backend.requests().iter().map(|request| request.json()["action"].clone()).collect();
    assert_eq!(actions, ["history", "subscribe", "history"]);
}

#[test]
fn what_waits_behind_a_slow_backend_is_bounded_and_the_rest_is_refused() {
    let backend = Backend::start(|_| allow());
    let gate = backend.clone();
    with_server(&asking(&backend), move |addr, _| {
        gate.gate(false);
        let mut wire = plain(addr, "ana");
        wire.say("{\"type\":\"subscribe\",\"id\":0,\"room\":\"ask:1\"}");
        gate.await_count(1);
        let large = "x".repeat(300_000);
        for id in 1..=5 {
            wire.say(&format!(
                "{{\"type\":\"publish\",\"id\":{id},\"room\":\"open:1\",\"event\":\"e\",\"data\":\"{large}\"}}"
            ));
        }
        // Three of them fit into a mebibyte.
        for id in [4, 5] {
            let refused = ack(&mut wire, id);
            assert_eq!(refused["error"]["code"], "unavailable");
        }
        gate.gate(true);
        for id in 0..=3 {
            assert_eq!(ack(&mut wire, id)["ok"], true);
        }
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_nothing_with_it() {
    let backend = Backend::start(|_| allow());
    let gate = backend.clone();
    with_server(&asking(&backend), move |addr, _| {
        gate.gate(false);
        let mut wire = plain(addr, "ana");
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"ask:1\"}");
        wire.say("{\"type\":\"publish\",\"id\":2,\"room\":\"open:1\",\"event\":\"e\",\"data\":1}");
        gate.await_count(1);
        drop(wire);
        gate.gate(true);
        let mut next = plain(addr, "bob");
        assert_eq!(subscribe(&mut next, 1, "ask:1")["ok"], true);
        let presence = crate::hooks::http(addr, "bob", "GET /api/rooms/ask:1/stats", "").1;
        assert!(presence.contains("\"connections\":1"), "{presence}");
    });
}

/// The private id a CONNECT answer carries.
fn pid(connect: &str) -> String {
    connect.split("\"pid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn a_session_is_taken_up_with_the_rooms_the_backend_still_allows() {
    let backend = Backend::start(|_| allow());
    let hook = backend.clone();
    with_server(&asking(&backend), move |addr, publisher| {
        let open = || {
            let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
            wire.hear("0{");
            wire
        };
        let mut wire = open();
        wire.say(&format!("40{{\"token\":\"{}\"}}", token("ana")));
        let pid = pid(&wire.hear("40{"));
        wire.say("420[\"subscribe\",{\"room\":\"ask:1\"}]");
        wire.hear("430[");
        publisher.publish("ask:1", "e", "\"first\"".into()).unwrap();
        let heard = wire.hear("first");
        let offset = heard.rsplit('"').nth(1).unwrap().to_owned();
        drop(wire);
        publisher.publish("ask:1", "e", "\"missed\"".into()).unwrap();

        // The backend is away: the client is sent off, and its session stays.
        hook.answers(|_| Reply::Close);
        let resume =
            format!("40{{\"token\":\"{}\",\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}", token("ana"));
        let mut early = open();
        early.say(&resume);
        assert_eq!(early.closed(), Some(1013));

        hook.answers(|_| allow());
        let mut back = open();
        back.say(&resume);
        assert!(back.hear("40{").contains(&pid), "the same session");
        assert!(back.hear("missed").contains("\"e\""));
        drop(back);

        // The next time the backend says no: the session goes on without the room.
        publisher.publish("ask:1", "e", "\"hidden\"".into()).unwrap();
        hook.answers(|_| deny());
        let mut without = open();
        without.say(&resume);
        assert!(without.hear("40{").contains(&pid));
        assert!(without.hear("4").contains("tidings:left"), "it is told that it is out of it");
        without.say("420[\"ping\"]");
        let Frame::Text(text) = without.next() else { panic!() };
        assert!(text.starts_with("430["), "{text}");
    });
}

#[test]
fn an_answer_for_one_who_left_the_namespace_does_nothing_for_the_next_one_there() {
    let backend = Backend::start(|_| allow());
    let gate = backend.clone();
    with_server(&asking(&backend), move |addr, publisher| {
        gate.gate(false);
        let mut wire = socket_io(addr, "ana");
        wire.say("420[\"subscribe\",{\"room\":\"ask:1\"}]");
        wire.say("421[\"subscribe\",{\"room\":\"open:1\"}]");
        gate.await_count(1);
        wire.say("41");
        wire.say(&format!("40{{\"token\":\"{}\"}}", token("eve")));
        wire.hear("40{");
        gate.gate(true);
        // Its own command is the first thing that is done for it.
        wire.say("422[\"subscribe\",{\"room\":\"open:2\"}]");
        assert!(matches!(wire.next(), Frame::Text(text) if text.starts_with("432[")));
        for room in ["ask:1", "open:1", "open:2"] {
            publisher.publish(room, "e", "1".into()).unwrap();
        }
        assert!(wire.hear("42[\"e\"").starts_with("42["));
        let stats =
            |room: &str| crate::hooks::http(addr, "bob", &format!("GET /api/rooms/{room}/stats"), "").1;
        assert!(stats("ask:1").contains("\"connections\":0"), "{}", stats("ask:1"));
    });
}
