//! What was said before is read back: in bounded pieces, whoever filled the room and however it is asked for.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::{Config, Publisher};

use crate::common::{Frame, Wire, config, http, limited, user, with_server};

/// An event of so many bytes.
fn say(publisher: &Publisher, room: &str, bytes: usize) {
    publisher.publish(room, "said", format!("\"{}\"", "x".repeat(bytes))).unwrap();
}

fn history(addr: SocketAddr, query: &str) -> Value {
    let headers = format!("Authorization: Bearer {}\r\n", user("reader"));
    let (_, body) = http(addr, &format!("GET /api/rooms/lobby:past/history{query}"), &headers, "");
    serde_json::from_str(&body).unwrap()
}

fn offsets(answer: &Value) -> Vec<u64> {
    answer["events"].as_array().unwrap().iter().map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[test]
fn an_answer_holds_as_many_bytes_as_a_message_may_have_and_says_where_to_go_on() {
    with_server(&config(), |addr, publisher| {
        (0..6).for_each(|_| say(&publisher, "lobby:past", 400_000));
        let newest = history(addr, "?limit=1000");
        assert_eq!((offsets(&newest), &newest["more"]), (vec![5, 6], &json!(true)));
        let epoch = newest["epoch"].as_str().unwrap().to_owned();
        let (mut heard, mut answers) = (Vec::new(), 0);
        while *heard.last().unwrap_or(&0) < 6 {
            let since = heard.last().copied().unwrap_or(0);
            let answer = history(addr, &format!("?limit=1000&since={epoch}:{since}"));
            assert_eq!(answer["complete"], true);
            heard.extend(offsets(&answer));
            assert_eq!(answer["more"], *heard.last().unwrap() < 6);
            answers += 1;
        }
        assert_eq!((heard, answers), ((1..=6).collect(), 3));
    });
}

#[test]
fn one_event_is_answered_whatever_it_takes() {
    with_server(&config(), |addr, publisher| {
        (0..2).for_each(|_| say(&publisher, "lobby:past", 1_500_000));
        assert_eq!(offsets(&history(addr, "")), [2]);
    });
}

#[test]
fn a_room_keeps_so_many_bytes_and_tells_those_who_missed_more() {
    let kept = |config: &Config| {
        with_server(config, |addr, publisher| {
            (0..10).for_each(|_| say(&publisher, "lobby:past", 3_000));
            let answer = history(addr, "");
            let (epoch, mut wire) = (answer["epoch"].clone(), Wire::open(addr, "/ws").sign_in(&user("late")));
            let since = json!({ "epoch": epoch, "offset": 1 });
            let joined =
                wire.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"lobby:past\",\"since\":{since}"));
            (offsets(&answer), joined["recovered"].as_bool().unwrap())
        })
    };
    let mut config = config();
    assert_eq!(kept(&config), ((1..=10).collect(), true), "the control");
    config.limits.room_bytes = 10_000;
    assert_eq!(kept(&config), (vec![8, 9, 10], false));
}

#[test]
fn who_does_not_take_what_it_missed_is_not_sent_more_of_it() {
    with_server(&full(), |addr, publisher| {
        (0..24).for_each(|_| say(&publisher, "lobby:past", 1_000_000));
        let mut wire = Wire::open(addr, "/ws").sign_in(&user("greedy"));
        for id in 1..=3 {
            wire.say(&format!(
                "{{\"type\":\"subscribe\",\"id\":{id},\"room\":\"lobby:past\",\"rewind\":99}}"
            ));
            wire.say("{\"type\":\"unsubscribe\",\"id\":9,\"room\":\"lobby:past\"}");
        }
        assert!(wire.hear("\"id\":1,").contains("\"ok\":true"), "one room's past fits, however large");
        for id in 2..=3 {
            let refused = wire.hear(&format!("\"id\":{id},"));
            assert!(refused.contains("\"rate_limited\"") && refused.contains("retryAfterMs"), "{refused}");
        }
        let body = "\"type\":\"subscribe\",\"room\":\"lobby:past\",\"rewind\":1";
        assert_eq!(wire.ask(4, body)["ok"], true, "who has taken it may ask again");
    });
}

#[test]
fn a_session_that_missed_too_much_begins_afresh() {
    for (events, recovered) in [(20, true), (40, false)] {
        with_server(&full(), move |addr, publisher| {
            let (mut wire, hello) = socket_io(addr, "");
            let pid = hello["pid"].as_str().unwrap().to_owned();
            wire.say("421[\"subscribe\",{\"room\":\"lobby:past\"}]");
            wire.hear("431[");
            drop(wire);
            (0..events).for_each(|_| say(&publisher, "lobby:past", 1_000_000));
            let (_, hello) = socket_io(addr, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
            assert_eq!(hello["pid"] == pid, recovered, "{events} events");
        });
    }
}

#[test]
fn a_server_without_memory_reads_nothing_back() {
    let asked = |config: &Config| {
        with_server(config, |addr, publisher| {
            say(&publisher, "lobby:past", 1);
            history(addr, "")["error"]["code"].clone()
        })
    };
    let mut config = limited();
    assert_eq!(asked(&config), Value::Null, "the control");
    config.limits.memory_bytes = 1;
    assert_eq!(asked(&config), "unavailable");
}

/// Rooms may keep more than one connection may be sent.
fn full() -> Config {
    let mut config = config();
    config.limits.room_bytes = 64 << 20;
    config
}

/// A Socket.IO client that has joined, and what it was told.
fn socket_io(addr: SocketAddr, more: &str) -> (Wire, Value) {
    let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
    wire.hear("\"sid\"");
    wire.say(&format!("40{{\"token\":\"{}\"{more}}}", user("greedy")));
    loop {
        match wire.next() {
            Frame::Text(text) if text.starts_with("40") => {
                return (wire, serde_json::from_str(&text[2..]).unwrap());
            }
            Frame::Text(_) | Frame::Other(_) => {}
            end => panic!("{end:?}"),
        }
    }
}
