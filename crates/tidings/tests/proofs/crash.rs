//! The process ends between two steps of one publish.

use std::process::Command;

use serde_json::Value;
use tidings_testkit::client::PlainClient;
use tidings_testkit::history::{Demand, Fault, History, Verdict};
use tidings_testkit::{Place, Serving};

use crate::bed::{FLAGS, Publisher, catch_up, follow, hear_up_to, place, run, serve, stored};

const ROOM: &str = "notes:1";

/// A server that fails at a place.
fn doomed(place: &Place, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("FAILPOINTS", points).current_dir(place.path()).arg("serve").args(FLAGS);
    Serving::run(&mut command)
}

/// What came of a publish during which the server ended: the answer to its repetition, how often it was heard
/// by somebody with a position before and after, and whether it was stored when the server came back.
struct Outcome {
    answer: Value,
    before: u64,
    after: u64,
    stored: bool,
}

/// Publishes three messages; the server ends during the third, which is published again to its successor.
async fn interrupted(points: &str) -> Outcome {
    let place = place("");
    let server = doomed(&place, points);
    let mut history = History::new();
    let (mut follower, mut hears) = follow(server.addr(), ROOM, &mut history).await;
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    for message in 1..=2 {
        publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
    }
    hear_up_to(2, &mut follower, &mut hears, &mut history).await;
    publisher.publish(&mut client, 3, &mut history).await.unwrap();
    if points.ends_with("hang") {
        // It is heard and not answered: now the server is killed.
        hear_up_to(3, &mut follower, &mut hears, &mut history).await;
        server.kill();
    }
    let answer = client.hear().await.unwrap();
    assert!(matches!(answer, tidings_testkit::client::Heard::Closed(_)), "it was answered: {answer:?}");
    let before = follower.position().unwrap().offset - 2;

    let server = serve(place.path());
    let stored = stored(server.addr(), ROOM).await.len() == 3;
    let mut hears = PlainClient::sign_in(server.addr(), None).await.unwrap();
    follower.subscribe(&mut hears).await.unwrap();
    catch_up(&mut follower, &mut hears, &mut history).await;
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let answer = publisher.settle(&mut client, 3, &mut history).await.unwrap().unwrap();
    // Something after it shows that nothing comes late.
    publisher.settle(&mut client, 4, &mut history).await.unwrap().unwrap();
    hear_up_to(4, &mut follower, &mut hears, &mut history).await;
    let end = follower.position().unwrap().at();
    history.ended(follower.client(), follower.room(), end);
    let verdict = history.verdict(&Demand { acked: 4, delivered: 4, gaps: false });
    assert!(verdict.holds(), "{verdict}");
    assert_eq!((verdict.delivered, end.offset), (4, 4));
    Outcome { answer, before, after: 1 - before, stored }
}

#[test]
fn what_was_committed_and_not_delivered_is_heard_once_after_the_restart() {
    let Outcome { answer, before, after, stored } = run(interrupted("after_commit:3:abort"));
    assert!(stored, "it was committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

#[test]
fn what_was_delivered_and_not_acknowledged_is_not_heard_again_and_keeps_its_place() {
    let Outcome { answer, before, after, stored } = run(interrupted("after_delivery:3:hang"));
    assert!(stored, "it was committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    assert_eq!((before, after), (1, 0));
}

/// The control: before the commit there is nothing to come back to, and the repetition is the first.
#[test]
fn what_was_not_committed_is_stored_by_its_repetition() {
    let Outcome { answer, before, after, stored } = run(interrupted("before_commit:3:abort"));
    assert!(!stored, "it was not committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Null, &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

/// The answer to the commit of the third message is lost: it is stored, and the server does not know that.
async fn unknown_commit(points: &str) -> Verdict {
    let place = place("");
    let server = doomed(&place, points);
    let mut history = History::new();
    let (mut follower, mut hears) = follow(server.addr(), ROOM, &mut history).await;
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    for message in 1..=2 {
        publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
    }
    let refused = publisher.settle(&mut client, 3, &mut history).await.unwrap().unwrap_err();
    assert_eq!((&refused["code"], &refused["retryable"]), (&Value::from("unavailable"), &Value::Bool(true)));
    let deadline = std::time::Instant::now() + tidings_testkit::client::PATIENCE;
    let answer = loop {
        // While the database counts as away it is refused at once.
        if let Ok(answer) = publisher.settle(&mut client, 3, &mut history).await.unwrap() {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "it is refused for ever");
    };
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    publisher.settle(&mut client, 4, &mut history).await.unwrap().unwrap();
    hear_up_to(4, &mut follower, &mut hears, &mut history).await;
    let end = follower.position().unwrap().at();
    history.ended(follower.client(), follower.room(), end);
    history.verdict(&Demand { acked: 4, delivered: 3, gaps: false })
}

#[test]
fn what_was_committed_without_the_servers_knowing_is_heard_in_its_place() {
    let verdict = run(unknown_commit("commit_answer:3:lose"));
    assert!(verdict.holds() && verdict.delivered == 4, "{verdict}");
}

/// The control: without healing, those who are connected miss it and are not told.
#[test]
fn without_healing_what_was_committed_unknowingly_is_a_silent_gap() {
    let verdict = run(unknown_commit("commit_answer:3:lose,heal"));
    assert_eq!(
        verdict.count(|fault| matches!(fault, Fault::SilentGap { behind: 2, offset: 4, .. })),
        1,
        "{verdict}"
    );
}
