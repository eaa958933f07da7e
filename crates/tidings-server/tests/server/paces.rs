//! Rooms whose events are paced, through every door.

use std::time::{Duration, Instant};

use serde_json::json;
use tidings_server::config::RoomKindConfig;
use tidings_server::{Config, Footing, kinds};

use crate::common::{Frame, Wire, config, http, token, with_server};

const PACE: Duration = Duration::from_millis(300);

fn paced(change: impl FnOnce(&mut RoomKindConfig)) -> Config {
    let mut config = config();
    let mut kind = config.rooms["open"].clone();
    change(&mut kind);
    config.rooms.insert("paced".into(), kind);
    config
}

fn throttled() -> Config {
    paced(|kind| (kind.pace_ms, kind.pace_per) = (Some(PACE.as_millis() as u64), Some("slot".into())))
}

fn publish(wire: &mut Wire, id: u64, slot: &str, data: u32) -> serde_json::Value {
    wire.ask(
        id,
        &format!(
            "\"type\":\"publish\",\"room\":\"paced:1\",\"event\":\"e\",\"data\":{data},\"slot\":\"{slot}\""
        ),
    )
}

#[test]
fn what_comes_too_fast_by_any_door_is_held_and_the_newest_follows_in_time() {
    with_server(&throttled(), |addr, publisher| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let mut speaker = Wire::subscribed(addr, "open:1");
        let begun = Instant::now();
        let first = publish(&mut speaker, 10, "A", 1);
        assert_eq!((&first["offset"], &first["held"]), (&json!(1), &json!(null)));
        let held = publish(&mut speaker, 11, "A", 2);
        assert_eq!((&held["offset"], &held["held"]), (&json!(null), &json!(true)));
        let server = token(json!({ "sub": "s", "scope": "publish" }));
        let body = "{\"room\":\"paced:1\",\"event\":\"e\",\"data\":3,\"slot\":\"A\"}";
        let headers = format!("Authorization: Bearer {server}\r\nContent-Type: application/json\r\n");
        let (head, answer) = http(addr, "POST /api/publish", &headers, body);
        assert!(head.starts_with("HTTP/1.1 200") && answer.contains("\"held\":true"), "{head}{answer}");
        let newest: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(listener.hear("\"event\"").contains("\"data\":1,"));
        let follows = listener.hear("\"event\"");
        assert!(begun.elapsed() >= PACE, "not before its time");
        assert!(follows.contains("\"data\":3,") && follows.contains("\"offset\":2,"), "{follows}");
        assert!(follows.contains(newest["messageId"].as_str().unwrap()));
        // The process itself publishes without a slot, which is a scope of its own.
        for number in 4..=6 {
            publisher.publish("paced:1", "e", number.to_string()).unwrap();
        }
        assert!(listener.hear("\"event\"").contains("\"data\":4,"));
        assert!(listener.hear("\"event\"").contains("\"data\":6,"));
    });
}

#[test]
fn slots_do_not_wait_for_each_other_and_without_a_pace_nothing_waits() {
    with_server(&throttled(), |addr, _| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let mut speaker = Wire::subscribed(addr, "open:1");
        for (id, slot) in [(10, "A"), (11, "B"), (12, "C")] {
            assert_eq!(publish(&mut speaker, id, slot, id as u32)["held"], json!(null));
            assert!(listener.hear("\"event\"").contains(&format!("\"data\":{id},")));
        }
    });
}

#[test]
fn a_batch_leaves_together_when_it_is_full_or_its_time_has_come() {
    let config = paced(|kind| (kind.batch_ms, kind.batch_events) = (Some(200), Some(4)));
    with_server(&config, |addr, publisher| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let heard = |listener: &mut Wire, count: usize| -> Vec<String> {
            (0..count).map(|_| listener.hear("\"event\"")).collect()
        };
        let begun = Instant::now();
        for number in 1..=6 {
            publisher.publish("paced:1", "e", number.to_string()).unwrap();
        }
        let full = heard(&mut listener, 4);
        assert!(begun.elapsed() < Duration::from_millis(200), "it did not wait for its time");
        let rest = heard(&mut listener, 2);
        assert!(begun.elapsed() >= Duration::from_millis(200));
        for (at, text) in full.iter().chain(&rest).enumerate() {
            assert!(text.contains(&format!("\"data\":{},", at + 1)), "{text}");
        }
    });
}

#[test]
fn nothing_is_held_for_a_connection_that_is_gone_or_a_server_that_stops() {
    with_server(&throttled(), |addr, _| {
        let mut speaker = Wire::subscribed(addr, "open:1");
        publish(&mut speaker, 10, "A", 1);
        publish(&mut speaker, 11, "A", 2);
        speaker.send(&crate::common::frame(0x88, &1_000_u16.to_be_bytes()));
        while !matches!(speaker.next(), Frame::Close(_) | Frame::End) {}
        let mut late = Wire::open(addr, "/ws");
        late.say("{\"type\":\"auth\"}");
        late.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"paced:1\"}");
        assert!(late.hear("\"event\"").contains("\"data\":2,"), "what was held is said all the same");
    });
}

#[test]
fn a_pace_that_means_nothing_is_refused_with_the_key_that_is_wrong() {
    let footing = Footing { loopback: true, stored: false };
    let refused = |change: fn(&mut RoomKindConfig)| kinds(&paced(change), footing, &[]).unwrap_err();
    for (change, part) in [
        (
            (|kind| (kind.pace_ms, kind.batch_ms) = (Some(1), Some(1))) as fn(&mut RoomKindConfig),
            "one of the two",
        ),
        (|kind| (kind.pace_ms, kind.pace_per) = (Some(1), Some("user".into())), "pace_per: one of"),
        (|kind| kind.pace_per = Some("room".into()), "pace_per needs pace_ms"),
        (|kind| kind.batch_events = Some(3), "batch_events needs batch_ms"),
        (|kind| (kind.keep, kind.pace_ms) = (Some("durable".into()), Some(1)), "durable"),
        (|kind| (kind.keep, kind.batch_ms) = (Some("durable".into()), Some(1)), "durable"),
    ] {
        let problem = refused(change);
        assert!(problem.starts_with("[rooms.paced] ") && problem.contains(part), "{problem}");
    }
}
