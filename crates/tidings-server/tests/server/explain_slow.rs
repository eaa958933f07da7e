//! What became of a message for a user whose client reads too slowly.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::Config;

use crate::common::{Wire, config, http, with_server};
use crate::people::{plain, plain_in, token};

/// Bytes of one event; some hundreds fill what the kernel buffers for a connection.
const EVENT_BYTES: usize = 16 * 1024;

/// So many events may go by before something is done about a slow client.
const MOST_EVENTS: usize = 20_000;

fn patient() -> Config {
    let mut config = config();
    config.limits.queue_bytes = 256 * 1024;
    config.limits.lag_ms = 600_000;
    config.limits.room_bytes = 1 << 30;
    config.rooms.entry("open".into()).or_default().size = Some(20_000);
    config
}

fn explained(addr: SocketAddr, id: &str) -> Value {
    let admin = token("root", 600, json!({"roles": ["admin"]}));
    let header = format!("Authorization: Bearer {admin}\r\n");
    let (_, body) = http(addr, &format!("GET /api/explain?messageId={id}&userId=slow"), &header, "");
    serde_json::from_str(&body).unwrap()
}

fn verdict(addr: SocketAddr, id: &str) -> String {
    explained(addr, id)["verdict"].as_str().unwrap().to_owned()
}

fn publish(wire: &mut Wire, room: &str, data: &str) -> String {
    let body = format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"flood\",\"data\":{data}");
    let answer = wire.ask(77, &body);
    answer["messageId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Publishes at the pace of a client that reads; the ids up to the first with this verdict.
fn flood_until(addr: SocketAddr, speaker: &mut Wire, room: &str, wanted: &str) -> Vec<String> {
    let mut pace = Wire::subscribed(addr, room);
    let mut ids = Vec::new();
    let pad = "x".repeat(EVENT_BYTES);
    loop {
        assert!(ids.len() < MOST_EVENTS, "never {wanted}");
        for _ in 0..20 {
            let data = format!("{{\"number\":{},\"pad\":\"{pad}\"}}", ids.len());
            ids.push(publish(speaker, room, &data));
            pace.hear(&format!("\"number\":{},", ids.len() - 1));
        }
        if verdict(addr, ids.last().unwrap()) == wanted {
            return ids;
        }
    }
}

fn slow(addr: SocketAddr, room: &str) -> Wire {
    plain_in(addr, &token("slow", 600, json!({})), room)
}

#[test]
fn volatile_events_dropped_for_a_slow_client_are_said_to_be_perhaps_dropped() {
    with_server(&patient(), |addr, _| {
        let mut speaker = plain(addr, &token("speaker", 600, json!({}))).0;
        let mut wire = slow(addr, "loose:1");
        let first = publish(&mut speaker, "loose:1", "0");
        wire.hear("\"flood\"");
        let ids = flood_until(addr, &mut speaker, "loose:1", "dropped_or_sent");
        let told = explained(addr, ids.last().unwrap());
        let hops = told["hops"].as_array().unwrap();
        let dropped = hops.last().unwrap()["dropped"].as_u64().unwrap();
        assert!(dropped > 0 && dropped <= ids.len() as u64, "{told}");
        // What went out before the client fell behind was not dropped.
        assert_eq!(verdict(addr, &first), "sent");
    });
}

#[test]
fn recorded_events_are_held_back_and_then_caught_up() {
    with_server(&patient(), |addr, _| {
        let mut speaker = plain(addr, &token("speaker", 600, json!({}))).0;
        let mut wire = slow(addr, "open:1");
        let ids = flood_until(addr, &mut speaker, "open:1", "held_back");
        let (first, last) = (&ids[0], ids.last().unwrap());
        assert_eq!(verdict(addr, first), "sent");
        wire.hear(&format!("\"number\":{},", ids.len() - 1));
        assert_eq!(verdict(addr, last), "caught_up");
        let live = publish(&mut speaker, "open:1", "{\"live\":1}");
        wire.hear("\"live\"");
        assert_eq!(verdict(addr, &live), "sent");
    });
}

#[test]
fn what_waited_for_a_client_that_was_closed_as_too_slow_was_not_sent() {
    let mut config = patient();
    config.limits.lag_ms = 300;
    with_server(&config, |addr, _| {
        let mut speaker = plain(addr, &token("speaker", 600, json!({}))).0;
        let mut wire = slow(addr, "open:1");
        let ids = flood_until(addr, &mut speaker, "open:1", "closed_before");
        assert_eq!(wire.closed(), Some(4008));
        let told = explained(addr, ids.last().unwrap());
        let hops = told["hops"].as_array().unwrap();
        assert_eq!(hops.last().unwrap()["closed"]["reason"], "too_slow", "{told}");
        let verdicts: Vec<String> = ids.iter().map(|id| verdict(addr, id)).collect();
        let at = |wanted: &str| verdicts.iter().position(|verdict| verdict == wanted);
        assert_eq!(at("sent"), Some(0), "{verdicts:?}");
        let (closed, after) = (at("closed").unwrap(), at("closed_before").unwrap());
        assert!(verdicts[..closed].iter().all(|verdict| verdict == "sent"), "{verdicts:?}");
        assert!(verdicts[closed..after].iter().all(|verdict| verdict == "closed"), "{verdicts:?}");
    });
}
