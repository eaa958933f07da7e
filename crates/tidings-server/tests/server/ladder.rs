//! Clients that read too slowly, step by step: each step is told and counted.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::{Frame, Wire, config, user, with_server};

/// Bytes of one event; some hundreds fill what the kernel buffers for a connection.
const EVENT_BYTES: usize = 16 * 1024;

/// So many events may go by before a step is taken.
const MOST_EVENTS: usize = 20_000;

/// More than the kernel buffers and a queue holds, in a ring that keeps it all.
const RING: usize = 20_000;

fn data(number: usize) -> String {
    format!("{{\"number\":{number},\"pad\":\"{}\"}}", "x".repeat(EVENT_BYTES))
}

fn metric(addr: SocketAddr, name: &str) -> u64 {
    let mut wire = Wire::connect(addr);
    wire.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    wire.head();
    let metrics = wire.rest();
    let value = metrics.lines().find_map(|line| line.strip_prefix(&format!("tidings_{name} ")));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

fn step(addr: SocketAddr, step: &str) -> u64 {
    metric(addr, &format!("slow_client_steps_total{{step=\"{step}\"}}"))
}

fn dropped(addr: SocketAddr, lane: &str) -> u64 {
    metric(addr, &format!("dropped_by_lane_total{{lane=\"{lane}\"}}"))
}

/// A server on which nobody is closed for being slow while a test lasts, with rooms that keep so many events.
fn patient(size: usize) -> tidings_server::Config {
    let mut config = config();
    config.limits.queue_bytes = 256 * 1024;
    config.limits.lag_ms = 600_000;
    config.limits.room_bytes = 1 << 30;
    config.rooms.entry("open".into()).or_default().size = Some(size);
    config
}

/// Publishes event after event, at the pace of a client that reads, until a step was taken; the last number.
fn publish_until(
    addr: SocketAddr,
    publisher: &tidings_server::Publisher,
    room: &str,
    done: impl Fn() -> bool,
) -> usize {
    let mut pace = Wire::subscribed(addr, room);
    let mut published = 0;
    while !done() {
        assert!(published < MOST_EVENTS, "no step was taken");
        for _ in 0..50 {
            published += 1;
            publisher.publish(room, "flood", data(published)).unwrap();
            pace.hear(&format!("\"number\":{published},"));
        }
    }
    published
}

/// What a client hears up to the event of this number.
fn heard_until(wire: &mut Wire, last: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        match wire.next() {
            Frame::Text(text) => {
                let mut message: Value = serde_json::from_str(&text).unwrap();
                if let Some(data) = message.get_mut("data") {
                    data.as_object_mut().unwrap().remove("pad");
                }
                let is_last = message["data"]["number"] == json!(last);
                heard.push(message);
                if is_last {
                    return heard;
                }
            }
            Frame::Other(_) => {}
            end => panic!("{end:?} before event {last}"),
        }
    }
}

fn numbers(heard: &[Value]) -> Vec<usize> {
    heard.iter().filter_map(|message| message["data"]["number"].as_u64()).map(|n| n as usize).collect()
}

fn of_type<'a>(heard: &'a [Value], kind: &str) -> Vec<&'a Value> {
    heard.iter().filter(|message| message["type"] == kind).collect()
}

#[test]
fn recorded_events_that_were_held_back_follow_once_and_in_order() {
    with_server(&patient(RING), |addr, publisher| {
        let mut slow = Wire::subscribed(addr, "open:slow");
        let held = publish_until(addr, &publisher, "open:slow", || step(addr, "paused") > 0);
        for number in held + 1..=held + 300 {
            publisher.publish("open:slow", "flood", data(number)).unwrap();
        }
        let last = held + 300;
        let heard = heard_until(&mut slow, last);
        assert_eq!(numbers(&heard), (1..=last).collect::<Vec<_>>());
        let told = of_type(&heard, "behind");
        assert!(told.iter().all(|told| told["events"].as_u64().unwrap() > 0) && !told.is_empty());
        // It hears again what comes live.
        publisher.publish("open:slow", "flood", data(last + 1)).unwrap();
        assert_eq!(numbers(&heard_until(&mut slow, last + 1)), [last + 1]);
        assert!(step(addr, "caught_up") > 0);
        assert_eq!((step(addr, "lost"), step(addr, "overflowed")), (0, 0));
    });
}

#[test]
fn what_a_room_no_longer_keeps_is_told_as_a_gap_with_its_exact_ends() {
    with_server(&patient(20), |addr, publisher| {
        let mut slow = Wire::subscribed(addr, "open:slow");
        let held = publish_until(addr, &publisher, "open:slow", || step(addr, "paused") > 0);
        let mut pace = Wire::subscribed(addr, "open:slow");
        for number in held + 1..=held + 100 {
            publisher.publish("open:slow", "flood", data(number)).unwrap();
            pace.hear(&format!("\"number\":{number},"));
        }
        let heard = heard_until(&mut slow, held + 100);
        let mut next = 1;
        for message in &heard {
            match message["type"].as_str().unwrap() {
                "event" => {
                    assert_eq!(
                        (&message["offset"], &message["data"]["number"]),
                        (&json!(next), &json!(next))
                    );
                    next += 1;
                }
                "gap" => {
                    assert_eq!(message["reason"], "overflow");
                    assert_eq!(message["from"], json!(next));
                    next = message["resumeAt"].as_u64().unwrap();
                    assert_eq!(message["to"], json!(next - 1));
                }
                _ => {}
            }
        }
        assert!(!of_type(&heard, "gap").is_empty());
        assert_eq!(next as usize, held + 101);
        assert!(step(addr, "lost") > 0);
    });
}

#[test]
fn a_stock_client_whose_events_are_gone_is_closed_with_4008_and_no_hole_before_it() {
    with_server(&patient(20), |addr, publisher| {
        let mut slow = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        slow.say(&format!("40{{\"token\":\"{}\"}}", user("slow")));
        slow.hear("40{");
        slow.say("420[\"subscribe\",{\"room\":\"open:slow\"}]");
        slow.hear("430[");
        let held = publish_until(addr, &publisher, "open:slow", || step(addr, "paused") > 0);
        for number in held + 1..=held + 100 {
            publisher.publish("open:slow", "flood", data(number)).unwrap();
        }
        let mut heard = Vec::new();
        let code = loop {
            match slow.next() {
                Frame::Text(text) if text.starts_with("42[\"flood\"") => {
                    let number = text.split("\"number\":").nth(1).unwrap().split(',').next().unwrap();
                    heard.push(number.parse::<usize>().unwrap());
                }
                Frame::Text(text) => assert!(!text.contains("tidings:"), "it did not ask for gaps: {text}"),
                Frame::Other(_) => {}
                Frame::Close(code) => break code,
                Frame::End => panic!("closed without a word"),
            }
        };
        assert_eq!(code, 4008);
        assert_eq!(heard, (1..=heard.len()).collect::<Vec<_>>());
        assert!(heard.len() < held + 100);
    });
}

#[test]
fn a_client_is_told_how_much_it_was_spared_in_each_room() {
    with_server(&patient(RING), |addr, publisher| {
        let mut slow = Wire::subscribed(addr, "loose:slow");
        let last = publish_until(addr, &publisher, "loose:slow", || dropped(addr, "normal") > 20);
        slow.say("{\"type\":\"subscribe\",\"id\":2,\"room\":\"open:end\"}");
        let mut heard = Vec::new();
        let told = loop {
            let Frame::Text(text) = slow.next() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            match message["type"].as_str().unwrap() {
                "event" => heard.push(message["data"]["number"].as_u64().unwrap()),
                "skipped" => break message,
                _ => {}
            }
        };
        assert_eq!(told["room"], "loose:slow");
        assert!(heard.is_sorted_by(|one, other| one < other));
        // The notice may come before the last events; what was dropped, came and is to come is all there was.
        slow.say("{\"type\":\"heartbeat\"}");
        let mut more = 0;
        let beat = loop {
            let Frame::Text(text) = slow.next() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            match message["type"].as_str().unwrap() {
                "event" => more += 1,
                "heartbeat" => break message,
                _ => {}
            }
        };
        assert_eq!(beat["dropped"], told["count"], "the same count by heartbeat");
        assert_eq!(heard.len() + more + told["count"].as_u64().unwrap() as usize, last);
        assert!(step(addr, "told") > 0 && step(addr, "dropped") > 0);
    });
}

/// A client that publishes, and waits for each answer.
struct Speaker(Wire, u64);

impl Speaker {
    fn new(addr: SocketAddr) -> Self {
        let mut wire = Wire::open(addr, "/ws");
        wire.say("{\"type\":\"auth\"}");
        wire.hear("auth:ok");
        Self(wire, 0)
    }

    fn publish(&mut self, room: &str, event: &str, number: usize, more: &str) -> Value {
        self.1 += 1;
        let data = data(number);
        let body =
            format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"{event}\",\"data\":{data}{more}");
        let answer = self.0.ask(self.1, &body);
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }
}

#[test]
fn a_newer_event_of_a_slot_takes_the_place_of_an_older_one_and_the_newest_always_comes() {
    with_server(&patient(RING), |addr, _| {
        let (mut slow, mut speaker) = (Wire::subscribed(addr, "loose:slow"), Speaker::new(addr));
        let slots = ["A", "B", "C"];
        let mut number = 0;
        while step(addr, "replaced") < 30 {
            assert!(number < MOST_EVENTS);
            for slot in slots.iter().cycle().take(60) {
                number += 1;
                speaker.publish("loose:slow", slot, number, &format!(",\"slot\":\"{slot}\""));
            }
        }
        // What took an older one's place stands where that stood, so the last one published need not come last.
        speaker.publish("loose:slow", "end", number + 1, "");
        let heard = heard_until(&mut slow, number + 1);
        for (at, slot) in slots.iter().enumerate() {
            let of_slot: Vec<Value> =
                heard.iter().filter(|message| message["event"] == *slot).cloned().collect();
            let of_slot = numbers(&of_slot);
            assert!(of_slot.is_sorted_by(|one, other| one < other), "an older one never follows a newer one");
            assert_eq!(of_slot.last(), Some(&(number - 2 + at)), "the newest of {slot}");
        }
        assert_eq!(step(addr, "dropped"), 0, "nothing but older values was lost");
        assert_eq!(numbers(&heard).len() as u64 + step(addr, "replaced"), number as u64 + 1);
    });
}

#[test]
fn a_flood_in_the_low_lane_neither_drops_nor_delays_what_is_critical() {
    with_server(&patient(RING), |addr, _| {
        let (mut slow, mut speaker) = (Wire::subscribed(addr, "loose:slow"), Speaker::new(addr));
        let mut low = 0;
        while dropped(addr, "low") < 20 {
            assert!(low < MOST_EVENTS);
            for _ in 0..50 {
                low += 1;
                speaker.publish("loose:slow", "flood", low, ",\"lane\":\"low\"");
            }
        }
        for number in 1..=5 {
            speaker.publish("loose:slow", "alarm", 1_000_000 + number, ",\"lane\":\"critical\"");
        }
        assert_eq!(dropped(addr, "critical"), 0);
        let heard = heard_until(&mut slow, 1_000_005);
        let alarms: Vec<usize> = numbers(&heard).into_iter().filter(|number| *number > 1_000_000).collect();
        assert_eq!(alarms, (1_000_001..=1_000_005).collect::<Vec<_>>());
        let after = slow.hear("\"event\":\"flood\"");
        assert!(after.contains("\"number\":"), "what waited in the low lane comes behind");
    });
}

#[test]
fn who_lags_too_long_is_closed_with_4008_although_its_events_could_follow() {
    let mut config = patient(RING);
    config.limits.lag_ms = 300;
    with_server(&config, |addr, publisher| {
        let mut stuck = Wire::subscribed(addr, "open:slow");
        let closed = || metric(addr, "closes_total{reason=\"too_slow\"}") > 0;
        publish_until(addr, &publisher, "open:slow", closed);
        assert!(step(addr, "paused") > 0);
        assert_eq!(stuck.closed(), Some(4008));
    });
}
