//! A crowd that missed the same comes back at once: it is read once for all of them.
//!
//! `CROWD` says how many they are, and `CROWD_SECONDS` how long it may take; `make soak` has five thousand.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PlainClient, http};
use tidings_testkit::settings;
use tokio::task::JoinSet;

use crate::bed::{place, run, serve_without};

const ROOM: &str = "notes:1";
/// Each of them has heard the first message, and misses those that follow.
const MISSED: u64 = 1_000;
/// So many of them at most are kept in memory.
const MEMORY: &str = "[limits]\nroom_bytes = 65536\n[heartbeat]\ninterval_ms = 600000\n";
/// Reads of the log that are few enough, however many come.
const FEW: u64 = 50;
/// Those that sign in at the same time.
const AT_ONCE: usize = 100;

/// What it cost to have everybody back.
struct Back {
    reads: u64,
    took: Duration,
}

/// Publishes the messages that are missed; the position of the first.
async fn fill(addr: SocketAddr) -> Value {
    let mut client = PlainClient::sign_in(addr, None).await.unwrap();
    let first = json!({"type": "publish", "room": ROOM, "event": "said", "data": 1});
    let first = client.ask(first).await.unwrap();
    let (mut sent, mut acked) = (1, 1);
    while acked <= MISSED {
        while sent <= MISSED && sent < acked + 256 {
            sent += 1;
            client.publish(ROOM, sent.into(), None).await.unwrap();
        }
        if let Heard::Ack { body, .. } = client.hear().await.unwrap() {
            assert_eq!(body["ok"], true, "{body}");
            acked += 1;
        }
    }
    json!({"epoch": first["epoch"], "offset": first["offset"], "tag": first["tag"]})
}

/// Reads of the log by the server so far.
async fn reads(addr: SocketAddr) -> u64 {
    let (_, metrics) = http(addr, "GET /metrics", "", "").await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("tidings_log_pages_read_total")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Signs in so many clients, some at a time.
async fn clients(addr: SocketAddr, count: usize) -> Vec<PlainClient> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let mut coming = JoinSet::new();
        for _ in 0..AT_ONCE.min(count - clients.len()) {
            coming.spawn(PlainClient::sign_in(addr, None));
        }
        clients.extend(coming.join_all().await.into_iter().map(Result::unwrap));
    }
    clients
}

/// Comes back, and hears each message once and in its place.
async fn comes_back(mut client: PlainClient, since: Value) -> io::Result<()> {
    client.command(json!({"type": "subscribe", "room": ROOM, "since": since})).await?;
    let mut next = 2;
    while next <= MISSED + 1 {
        let text = client.hear_text().await?;
        if text.starts_with("{\"type\":\"event\"") {
            let place = format!("\"offset\":{next},");
            assert!(text.contains(&place), "{text} instead of {next}");
            next += 1;
        }
        assert!(!text.contains("\"type\":\"gap\""), "{text}");
    }
    Ok(())
}

async fn everybody_comes_back(count: usize, points: &str) -> Back {
    let place = place(MEMORY);
    let server = serve_without(place.path(), points);
    let addr = server.addr();
    let since = fill(addr).await;
    let clients = clients(addr, count).await;
    let (before, start) = (reads(addr).await, Instant::now());
    let mut coming = JoinSet::new();
    clients.into_iter().for_each(|client| drop(coming.spawn(comes_back(client, since.clone()))));
    coming.join_all().await.into_iter().for_each(Result::unwrap);
    let took = start.elapsed();
    let reads = reads(addr).await - before;
    println!("{count} clients that missed {MISSED} messages: {reads} reads, back after {took:?}");
    Back { reads, took }
}

#[test]
fn a_crowd_that_missed_the_same_comes_back_with_few_reads() {
    let crowd = settings::number("CROWD").unwrap_or(300) as usize;
    let Back { reads, took } = run(everybody_comes_back(crowd, ""));
    assert!((1..=FEW).contains(&reads), "{reads} reads for {crowd} clients");
    settings::promised("CROWD_SECONDS", took);
}

/// The control: where a page serves but one, each client costs its own.
#[test]
fn without_sharing_what_was_read_each_client_costs_its_own_reads() {
    let Back { reads, .. } = run(everybody_comes_back(100, "shared_pages"));
    assert!(reads > 2 * FEW, "{reads} reads for 100 clients");
}
