//! Clients that do not read: they end, and nobody else notices.

use crate::common::{Frame, Wire, config, with_server};

/// Bytes of one event; some hundreds fill what the kernel buffers for a connection.
const EVENT_BYTES: usize = 16 * 1024;

/// So many events may go by before the stuck clients are closed.
const MOST_EVENTS: usize = 20_000;

const STUCK: usize = 3;
const HEALTHY: usize = 5;

fn data(number: usize) -> String {
    format!("{{\"number\":{number},\"pad\":\"{}\"}}", "x".repeat(EVENT_BYTES))
}

fn number(text: &str) -> usize {
    let digits = text.split("\"number\":").nth(1).unwrap();
    digits.split(',').next().unwrap().parse().unwrap()
}

/// The number of the next event a healthy client hears.
fn next_number(wire: &mut Wire) -> usize {
    loop {
        match wire.next() {
            Frame::Text(text) if text.contains("\"number\":") => return number(&text),
            Frame::Text(_) | Frame::Other(_) => {}
            end => panic!("a healthy client was closed: {end:?}"),
        }
    }
}

struct Flood {
    codes: Vec<Option<u16>>,
    metrics: String,
}

/// Publishes until the stuck clients have been closed, while others hear every event.
fn flood(room: &'static str) -> Flood {
    let mut config = config();
    config.limits.queue_bytes = 256 * 1024;
    config.limits.lag_ms = 300;
    with_server(&config, move |addr, publisher| {
        let mut stuck: Vec<Wire> = (0..STUCK).map(|_| Wire::subscribed(addr, room)).collect();
        // Nothing is published before all of these have heard what was, so they are never behind.
        let mut healthy: Vec<Wire> = (0..HEALTHY).map(|_| Wire::subscribed(addr, room)).collect();
        let mut published = 0;
        while !metrics(addr).contains(&closed_as_slow()) {
            assert!(published < MOST_EVENTS, "{}", metrics(addr));
            for _ in 0..100 {
                published += 1;
                publisher.publish(room, "flood", data(published)).unwrap();
                for wire in &mut healthy {
                    assert_eq!(next_number(wire), published);
                }
            }
        }
        let codes = stuck.iter_mut().map(Wire::closed).collect();
        Flood { codes, metrics: metrics(addr) }
    })
}

fn closed_as_slow() -> String {
    format!("tidings_closes_total{{reason=\"too_slow\"}} {STUCK}\n")
}

fn metrics(addr: std::net::SocketAddr) -> String {
    let mut wire = Wire::connect(addr);
    wire.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    wire.head();
    wire.rest()
}

#[test]
fn clients_that_never_read_are_closed_with_4008_and_the_others_hear_everything() {
    assert_eq!(flood("open:flood").codes, [Some(4008); STUCK]);
}

#[test]
fn volatile_events_for_clients_that_never_read_are_dropped_and_counted() {
    let flood = flood("loose:flood");
    assert_eq!(flood.codes, [Some(4008); STUCK]);
    let dropped = flood.metrics.lines().find_map(|line| line.strip_prefix("tidings_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{}", flood.metrics);
}

#[test]
fn who_missed_more_than_a_queue_holds_resumes_and_hears_what_comes_after() {
    const MISSED: usize = 20;
    let mut config = config();
    config.limits.queue_bytes = 64 * 1024;
    // Who comes back without a message to name reads the history.
    config.rooms.entry("open".into()).or_default().history = Some("anyone".into());
    with_server(&config, |addr, publisher| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say("{\"type\":\"auth\"}");
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"open:away\"}");
        let answer = wire.hear("\"epoch\":\"");
        let epoch = answer.split("\"epoch\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        drop(wire);
        for number in 1..=MISSED {
            publisher.publish("open:away", "flood", data(number)).unwrap();
        }

        let mut wire = Wire::open(addr, "/ws");
        wire.say("{\"type\":\"auth\"}");
        let since = format!("{{\"epoch\":\"{epoch}\",\"offset\":0}}");
        wire.say(&format!("{{\"type\":\"subscribe\",\"id\":1,\"room\":\"open:away\",\"since\":{since}}}"));
        wire.hear("\"recovered\":true");
        publisher.publish("open:away", "flood", data(MISSED + 1)).unwrap();
        let heard = (1..=MISSED).map(|_| number(&wire.hear("\"number\":")));
        assert_eq!(heard.collect::<Vec<_>>(), (1..=MISSED).collect::<Vec<_>>());
        wire.hear("\"type\":\"resumed\"");
        assert_eq!(number(&wire.hear("\"number\":")), MISSED + 1);
    });
}
