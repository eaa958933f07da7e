//! Rooms whose events are paced, through every door.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_app::{Keeps, Per, RoomKind};
use tidings_core::pace::Pacing;
use tidings_server::config::RoomKindConfig;
use tidings_server::{Config, Footing, kinds};

use crate::common::{Frame, Wire, config, http, token, user, with_server};
use crate::people::socket_io_in;

/// Longer than a busy machine stands still: what is to be held has to be published within it.
const PACE: Duration = Duration::from_secs(3);

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
        assert!(begun.elapsed() > PACE / 2, "not before its time");
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
    for (wait, heard) in [(Duration::from_secs(15), 4), (PACE, 6)] {
        let wait_ms = wait.as_millis() as u64;
        let config = paced(|kind| (kind.batch_ms, kind.batch_events) = (Some(wait_ms), Some(4)));
        with_server(&config, move |addr, publisher| {
            let mut listener = Wire::subscribed(addr, "paced:1");
            let begun = Instant::now();
            for number in 1..=6 {
                publisher.publish("paced:1", "e", number.to_string()).unwrap();
            }
            for number in 1..=heard {
                let text = listener.hear("\"event\"");
                assert!(text.contains(&format!("\"data\":{number},")), "{text}");
            }
            let took = begun.elapsed();
            match heard {
                4 => assert!(took < wait, "what is full does not wait for its time"),
                _ => assert!(took > wait / 2, "what is not full waits"),
            }
        });
    }
}

#[test]
fn what_is_held_of_a_connection_that_is_gone_is_heard_in_its_time() {
    with_server(&throttled(), |addr, _| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let mut speaker = Wire::subscribed(addr, "open:1");
        publish(&mut speaker, 10, "A", 1);
        assert_eq!(publish(&mut speaker, 11, "A", 2)["held"], json!(true));
        speaker.send(&crate::common::frame(0x88, &1_000_u16.to_be_bytes()));
        while !matches!(speaker.next(), Frame::Close(_) | Frame::End) {}
        assert!(listener.hear("\"event\"").contains("\"data\":1,"));
        assert!(listener.hear("\"event\"").contains("\"data\":2,"));
    });
}

/// A room of whose objects only the changes are sent.
fn diffed() -> Config {
    paced(|kind| (kind.diff, kind.history) = (Some(50), Some("anyone".into())))
}

fn object(wire: &mut Wire, id: u64, slot: &str, object: &Value) -> Value {
    let body = format!("\"type\":\"publish\",\"room\":\"paced:1\",\"event\":\"e\",\"slot\":\"{slot}\"");
    let answer = wire.ask(id, &format!("{body},\"data\":{object}"));
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

fn heard(wire: &mut Wire) -> Value {
    let event: Value = serde_json::from_str(&wire.hear("\"event\":\"e\"")).unwrap();
    event["data"].clone()
}

#[test]
fn of_an_object_only_what_changed_is_sent_and_a_newcomer_gets_a_whole_one() {
    with_server(&diffed(), |addr, _| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let (mut stock, _) = socket_io_in(addr, &user("stock"), "paced:1");
        let mut speaker = Wire::subscribed(addr, "open:1");
        object(&mut speaker, 10, "A", &json!({"home": 0, "away": 0, "minute": 1}));
        let first = object(&mut speaker, 11, "A", &json!({"home": 1, "away": 0, "minute": 2}));
        assert_eq!(heard(&mut listener), json!({"home": 0, "away": 0, "minute": 1}));
        assert_eq!(heard(&mut listener), json!({"home": 1, "minute": 2}));
        assert!(stock.hear("[\"e\"").contains("{\"away\":0,\"home\":0,\"minute\":1}"));
        assert!(stock.hear("[\"e\"").contains("{\"home\":1,\"minute\":2}"));
        // What is kept is whole: for who reads it, for who wants the newest, and for who comes back.
        let history = speaker.ask(12, "\"type\":\"history\",\"room\":\"paced:1\"");
        assert_eq!(history["events"][1]["data"], json!({"home": 1, "away": 0, "minute": 2}));
        let mut newest = Wire::open(addr, "/ws");
        newest.say("{\"type\":\"auth\"}");
        newest.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"paced:1\",\"rewind\":1}");
        assert_eq!(heard(&mut newest), json!({"home": 1, "away": 0, "minute": 2}));
        let mut back = Wire::open(addr, "/ws");
        back.say("{\"type\":\"auth\"}");
        let since = json!({"epoch": first["epoch"], "offset": 1});
        back.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"paced:1\",\"since\":{since}}}"));
        assert_eq!(heard(&mut back), json!({"home": 1, "away": 0, "minute": 2}));
        // They came, so the next is whole for everybody, and then changes follow.
        object(&mut speaker, 13, "A", &json!({"home": 1, "away": 1, "minute": 3}));
        object(&mut speaker, 14, "A", &json!({"home": 1, "away": 1, "minute": 4}));
        for wire in [&mut listener, &mut newest, &mut back] {
            assert_eq!(heard(wire), json!({"home": 1, "away": 1, "minute": 3}));
            assert_eq!(heard(wire), json!({"minute": 4}));
        }
    });
}

/// The control: without the setting all of it is sent each time.
#[test]
fn without_diff_objects_are_sent_whole() {
    let config = paced(|_| {});
    with_server(&config, |addr, _| {
        let mut listener = Wire::subscribed(addr, "paced:1");
        let mut speaker = Wire::subscribed(addr, "open:1");
        for minute in 1..=3 {
            let whole = json!({"home": 0, "minute": minute});
            object(&mut speaker, 10 + minute, "A", &whole);
            assert_eq!(heard(&mut listener), whole);
        }
    });
}

#[test]
fn apps_pace_their_kinds_and_operators_cannot_make_durable_what_gives_way_to_newer() {
    let footing = Footing { loopback: true, stored: true };
    let second = Duration::from_secs(1);
    let mut apps = vec![
        RoomKind::new("board", "Ranks.", Keeps::Nothing).pace(second, Per::Room).diff(20),
        RoomKind::new("moves", "Moves.", Keeps::Nothing).batch(Duration::from_millis(100), 50),
    ];
    let declared = kinds(&config(), footing, &apps).unwrap();
    let of = |kind: &str| {
        let (_, spec) = declared.iter().find(|(known, _)| *known == kind).unwrap();
        (spec.pacing, spec.diff)
    };
    assert_eq!(of("board"), (Some(Pacing::Throttle { interval_ms: 1_000, per: Per::Room }), Some(20)));
    assert_eq!(of("moves"), (Some(Pacing::Batch { wait_ms: 100, most: 50 }), None));
    let mut durable = config();
    let room = RoomKindConfig { keep: Some("durable".into()), ..RoomKindConfig::default() };
    durable.rooms.insert("moves".into(), room.clone());
    assert!(kinds(&durable, footing, &apps).is_ok(), "what gathers gives way to nothing");
    durable.rooms.insert("board".into(), room);
    assert!(kinds(&durable, footing, &apps).unwrap_err().contains("durable"));
    durable.rooms.remove("board");
    apps.pop();
    apps.push(RoomKind::new("moves", "Moves.", Keeps::Nothing).diff(1));
    assert!(kinds(&durable, footing, &apps).unwrap_err().contains("diff"));
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
        (|kind| (kind.keep, kind.diff) = (Some("durable".into()), Some(1)), "diff: "),
    ] {
        let problem = refused(change);
        assert!(problem.starts_with("[rooms.paced] ") && problem.contains(part), "{problem}");
    }
}
