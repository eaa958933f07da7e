//! SIGTERM while everybody publishes.

use std::time::{Duration, Instant};

use tidings_testkit::client::{Heard, PlainClient};
use tidings_testkit::history::{At, Demand, History, Verdict};
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use crate::bed::{Publisher, catch_up, follow, place, run, serve, serve_without, stored};

const ROOM: &str = "notes:1";
const PUBLISHERS: u64 = 12;
const SUBSCRIBERS: usize = 60;
/// Commands of a publisher that wait for their answer.
const OPEN: usize = 4;
/// Messages that are acknowledged before the server is told to leave.
const WARM: u64 = 25;

/// What became of one publisher.
struct Left {
    history: Vec<(u64, Result<serde_json::Value, serde_json::Value>)>,
    sent: u64,
    /// Sent, and neither acknowledged nor refused when the connection was closed.
    unanswered: usize,
    code: Option<u16>,
    after: Duration,
}

/// Publishes without a pause until it is told that the server leaves, then waits for what is open.
async fn publish_until_told(mut client: PlainClient, number: u64, warm: Sender<()>) -> Left {
    // Only what this one says: the judging is done over all of them.
    let mut own = History::new();
    let mut publisher = Publisher::new(&mut own, ROOM, true);
    let (mut sent, mut answers, mut told) = (0, Vec::new(), None);
    loop {
        while told.is_none() && publisher.open.len() < OPEN {
            sent += 1;
            let message = number * 1_000_000 + sent;
            if publisher.publish(&mut client, message, &mut own).await.is_err() {
                break;
            }
        }
        let heard = client.hear().await.unwrap();
        if let Heard::Closed(code) = heard {
            let after = told.map_or(Duration::ZERO, |told: Instant| told.elapsed());
            let unanswered = publisher.open.len();
            return Left { history: answers, sent, unanswered, code, after };
        }
        if heard.is("reconnect") {
            told = Some(Instant::now());
        }
        answers.extend(publisher.take(&heard, &mut own));
        if answers.len() as u64 == WARM {
            warm.send(()).await.unwrap();
        }
    }
}

/// What came of a server that was told to leave.
struct Outcome {
    left: Vec<Left>,
    code: Option<i32>,
    verdict: Verdict,
}

/// Tells a server to leave while everybody publishes, and goes on at the next.
fn leaves(points: &str) -> Outcome {
    let place = place("");
    let mut server = serve_without(place.path(), points);
    let mut history = History::new();
    let addr = server.addr();
    let (mut followers, left, code, took) = run(async {
        // Half of the publishers came first and are the first to leave.
        let (mut clients, mut followers) = (Vec::new(), Vec::new());
        for _ in 0..PUBLISHERS / 2 {
            clients.push(PlainClient::sign_in(addr, None).await.unwrap());
        }
        for _ in 0..SUBSCRIBERS {
            followers.push(follow(addr, ROOM, &mut history).await);
        }
        for _ in PUBLISHERS / 2..PUBLISHERS {
            clients.push(PlainClient::sign_in(addr, None).await.unwrap());
        }
        let (warm, mut warmed) = tokio::sync::mpsc::channel(PUBLISHERS as usize);
        let publishers: Vec<_> = (1..=PUBLISHERS)
            .map(|number| tokio::spawn(publish_until_told(clients.remove(0), number, warm.clone())))
            .collect();
        for _ in 0..PUBLISHERS {
            warmed.recv().await.unwrap();
        }
        let start = Instant::now();
        server.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || server.wait());
        let mut left = Vec::new();
        for publisher in publishers {
            left.push(publisher.await.unwrap());
        }
        let status =
            timeout(Duration::from_secs(25), ended).await.expect("it leaves within its budget").unwrap();
        // What each subscriber was sent before its connection was closed is in its socket.
        let mut heard = Vec::new();
        for (follower, client) in followers {
            heard.push((follower, rest(client).await));
        }
        (heard, left, status.code(), start.elapsed())
    });
    println!(
        "gone after {took:?}; closes after {:?}",
        left.iter().map(|left| left.after).collect::<Vec<_>>()
    );

    let room = history.room("default", ROOM);
    for (number, one) in (1..).zip(&left) {
        (1..=one.sent).for_each(|sent| history.publishing(room, number * 1_000_000 + sent));
    }
    for (follower, heard) in &mut followers {
        for heard in heard.iter() {
            follower.take(heard, &mut history);
        }
    }
    for (message, answer) in left.iter().flat_map(|left| &left.history) {
        if let Ok(answer) = answer {
            let at = tidings_testkit::client::Position::of(answer).unwrap().at();
            history.acked(room, *message, Some(&message.to_string()), at);
        }
    }
    let acked = history.acked_count();

    // Everybody comes back to the next server and goes on where it was.
    let server = serve(place.path());
    let verdict = run(async {
        let end = stored(server.addr(), ROOM).await.last().unwrap().0;
        for (mut follower, _) in followers {
            let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
            follower.subscribe(&mut client).await.unwrap();
            catch_up(&mut follower, &mut client, &mut history).await;
            let epoch = history.top_acked(room).unwrap().epoch;
            history.ended(follower.client(), room, At { epoch, offset: end });
        }
        let demand = Demand { acked, delivered: acked as u64, gaps: false };
        history.verdict(&demand)
    });
    println!("{verdict}");
    Outcome { left, code, verdict }
}

#[test]
fn a_server_that_is_told_to_leave_answers_every_publish_and_loses_none() {
    let Outcome { left, code, verdict } = leaves("");
    assert_eq!(code, Some(0));
    for one in &left {
        assert_eq!(one.unanswered, 0, "of {} that were sent, {} were answered", one.sent, one.history.len());
        assert_eq!(one.code, Some(1012));
    }
    // Not all at once: the last is closed later than the first.
    let closes = left.iter().map(|left| left.after);
    assert!(closes.clone().max().unwrap() - closes.min().unwrap() > Duration::from_millis(50));
    assert!(verdict.holds(), "{verdict}");
}

/// The control: a server that stops at once leaves publishers without an answer and without a word. What it had
/// acknowledged is there all the same.
#[test]
fn a_server_that_does_not_drain_leaves_publishers_without_their_answers() {
    let Outcome { left, verdict, .. } = leaves("drain");
    let unanswered: usize = left.iter().map(|left| left.unanswered).sum();
    assert!(unanswered > 0, "all of them were answered");
    assert!(left.iter().all(|left| left.code != Some(1012)), "somebody was told");
    assert!(verdict.holds(), "{verdict}");
}

async fn rest(mut client: PlainClient) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        match client.hear().await.unwrap() {
            Heard::Closed(_) => return heard,
            other => heard.push(other),
        }
    }
}
