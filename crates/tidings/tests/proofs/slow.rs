//! A client that reads too slowly for what memory keeps: it is served from the log, and loses nothing.

use tidings_testkit::client::{Follower, Heard, PlainClient, http};
use tidings_testkit::history::{Demand, History, Verdict};

use crate::bed::{ORG, Publisher, hear_up_to, place, run, serve_without};

const ROOM: &str = "notes:1";
/// Memory keeps some tens of messages, and who reads nothing meanwhile may take its time.
const MEMORY: &str = "[limits]\nroom_bytes = 65536\nlag_ms = 600000\n[heartbeat]\ninterval_ms = 600000\n";
const MESSAGES: u64 = 6_000;
/// Letters of each: all of them are more than the kernel and a queue hold.
const LETTERS: usize = 2_000;
/// What the slow client's kernel takes before it is read.
const NARROW: u32 = 4_096;
const OPEN: usize = 100;

/// Publishes messages up to a number, some at a time.
async fn publish(publisher: &mut Publisher, client: &mut PlainClient, upto: u64, history: &mut History) {
    let mut next = history.acked_count() as u64 + 1;
    while next <= upto || !publisher.open.is_empty() {
        while next <= upto && publisher.open.len() < OPEN {
            publisher.publish(client, next, history).await.unwrap();
            next += 1;
        }
        let heard = client.hear().await.unwrap();
        if let Some((message, answer)) = publisher.take(&heard, history) {
            answer.unwrap_or_else(|refusal| panic!("{message}: {refusal}"));
        }
    }
}

/// What came of it: the verdict, whether the client was told that it is behind, and with which code it was closed.
struct Outcome {
    verdict: Verdict,
    told: bool,
    closed: Option<u16>,
    steps: String,
}

/// A client subscribes, reads nothing while others speak, and then all of it, while they speak on. What they say is
/// about a few things of which the newest counts, which must not make one event stand for others that have places.
async fn slow(points: &str) -> Outcome {
    let place = place(MEMORY);
    let server = serve_without(place.path(), points);
    let mut history = History::new();
    let mut slow = PlainClient::sign_in_narrow(server.addr(), None, NARROW).await.unwrap();
    let mut follower = Follower::new(&mut history, ORG, ROOM);
    follower.subscribe(&mut slow).await.unwrap();
    while !follower.is_caught_up() {
        let heard = slow.hear().await.unwrap();
        follower.take(&heard, &mut history);
    }
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    (publisher.pad, publisher.slots) = (LETTERS, 3);
    publish(&mut publisher, &mut client, MESSAGES, &mut history).await;
    let (mut told, mut closed) = (false, None);
    while follower.position().is_none_or(|position| position.offset < MESSAGES) {
        let heard = slow.hear().await.unwrap();
        told |= heard.is("behind");
        if let Heard::Closed(code) = heard {
            closed = code;
            break;
        }
        follower.take(&heard, &mut history);
        // Others go on while it reads.
        let position = follower.position().map_or(0, |position| position.offset);
        if position == MESSAGES / 2 {
            publish(&mut publisher, &mut client, MESSAGES + 50, &mut history).await;
        }
    }
    let upto = history.acked_count() as u64;
    if closed.is_none() {
        hear_up_to(upto, &mut follower, &mut slow, &mut history).await;
        // It hears again what comes live.
        publish(&mut publisher, &mut client, upto + 1, &mut history).await;
        hear_up_to(upto + 1, &mut follower, &mut slow, &mut history).await;
    }
    let end = history.top_acked(publisher.id).unwrap();
    history.ended(follower.client(), follower.room(), end);
    let (_, metrics) = http(server.addr(), "GET /metrics", "", "").await.unwrap();
    let steps = metrics.lines().filter(|line| line.contains("slow_client_steps_total{"));
    let steps = steps.collect::<Vec<_>>().join("\n");
    let verdict = history.verdict(&Demand { acked: upto as usize, delivered: 1_000, gaps: false });
    println!("{verdict}\n{steps}");
    Outcome { verdict, told, closed, steps }
}

#[test]
fn a_client_that_is_slower_than_memory_is_long_is_sent_each_place_once_from_the_log() {
    let Outcome { verdict, told, closed, steps } = run(slow(""));
    assert!(verdict.holds(), "{verdict}");
    assert!(told, "it was not told that it is behind");
    assert_eq!(closed, None);
    assert!(steps.contains("step=\"lost\"} 0") && !steps.contains("step=\"paused\"} 0"), "{steps}");
}

/// The control: from memory alone it cannot be served, and is told of a gap.
#[test]
fn without_the_log_a_client_that_is_slower_than_memory_is_long_is_told_of_a_gap() {
    let Outcome { verdict, steps, .. } = run(slow("log_behind"));
    assert!(!verdict.holds() && verdict.gap_messages > 0, "{verdict}");
    assert!(!steps.contains("step=\"lost\"} 0"), "{steps}");
}
