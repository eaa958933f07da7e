//! The process ends between two steps of one publish.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PlainClient};
use tidings_testkit::history::{Demand, Fault, History, Verdict};
use tidings_testkit::{Postgres, Serving};

use crate::bed::{FLAGS, Publisher, catch_up, follow, hear_up_to, place, run, serve_without, stored};

const ROOM: &str = "notes:1";

/// What came of a publish during which the server ended: the answer to its repetition, how often it was heard
/// by somebody with a position before and after, and whether it was stored when the server came back.
struct Outcome {
    answer: Value,
    before: u64,
    after: u64,
    stored: bool,
}

/// Where a server keeps its rooms.
#[derive(Clone, Copy)]
enum On {
    Sqlite,
    /// Where what was published before has it know the rooms, so that what fails is one statement.
    Postgres,
}

impl On {
    /// The address of a new database; SQLite has its file in the server's own place.
    async fn database(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Postgres::shared().database().await),
        }
    }
}

/// A server on that database.
fn serve_on(url: Option<&str>, place: &Path, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("FAILPOINTS", points).envs(url.map(|url| ("DATABASE_URL", url)));
    Serving::run(command.current_dir(place).arg("serve").args(FLAGS))
}

/// Publishes three messages; the server ends during the third, which is published again to its successor.
async fn interrupted(on: On, points: &str) -> Outcome {
    let (place, url) = (place(""), on.database().await);
    let server = serve_on(url.as_deref(), place.path(), points);
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
    assert!(matches!(answer, Heard::Closed(_)), "it was answered: {answer:?}");
    let before = follower.position().unwrap().offset - 2;

    let server = serve_on(url.as_deref(), place.path(), "");
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
    let Outcome { answer, before, after, stored } = run(interrupted(On::Sqlite, "after_commit:3:abort"));
    assert!(stored, "it was committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

#[test]
fn what_was_delivered_and_not_acknowledged_is_not_heard_again_and_keeps_its_place() {
    let Outcome { answer, before, after, stored } = run(interrupted(On::Sqlite, "after_delivery:3:hang"));
    assert!(stored, "it was committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    assert_eq!((before, after), (1, 0));
}

/// The control: before the commit there is nothing to come back to, and the repetition is the first.
#[test]
fn what_was_not_committed_is_stored_by_its_repetition() {
    let Outcome { answer, before, after, stored } = run(interrupted(On::Sqlite, "before_commit:3:abort"));
    assert!(!stored, "it was not committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Null, &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

#[test]
fn on_postgresql_what_was_committed_in_one_statement_is_heard_once_after_the_restart() {
    let Outcome { answer, before, after, stored } = run(interrupted(On::Postgres, "after_commit:3:abort"));
    assert!(stored, "it was committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Bool(true), &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

/// The control: before the statement is sent nothing is stored.
#[test]
fn on_postgresql_what_was_not_sent_is_stored_by_its_repetition() {
    let Outcome { answer, before, after, stored } = run(interrupted(On::Postgres, "before_commit:3:abort"));
    assert!(!stored, "it was not committed");
    assert_eq!((&answer["duplicate"], &answer["offset"]), (&Value::Null, &Value::from(3)));
    assert_eq!((before, after), (0, 1));
}

/// The answer to the commit of the third message is lost: it is stored, and the server does not know that.
async fn unknown_commit(on: On, points: &str) -> Verdict {
    let (place, url) = (place(""), on.database().await);
    let server = serve_on(url.as_deref(), place.path(), points);
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
    let verdict = run(unknown_commit(On::Sqlite, "commit_answer:3:lose"));
    assert!(verdict.holds() && verdict.delivered == 4, "{verdict}");
}

#[test]
fn on_postgresql_what_one_statement_committed_without_the_servers_knowing_is_heard_in_its_place() {
    let verdict = run(unknown_commit(On::Postgres, "commit_answer:3:lose"));
    assert!(verdict.holds() && verdict.delivered == 4, "{verdict}");
}

/// The control: without healing, those who are connected miss it and are not told.
#[test]
fn without_healing_what_was_committed_unknowingly_is_a_silent_gap() {
    let verdict = run(unknown_commit(On::Sqlite, "commit_answer:3:lose,heal"));
    assert_eq!(
        verdict.count(|fault| matches!(fault, Fault::SilentGap { behind: 2, offset: 4, .. })),
        1,
        "{verdict}"
    );
}

/// What is heard of an event whose commit was not answered: by its publisher, which is in the room and does not
/// want its own, and by one that wants only what is critical, as it is. Each hears the plain event behind it.
async fn healed(points: &str) -> (Vec<String>, Vec<String>) {
    let place = place("");
    let server = serve_without(place.path(), points);
    let mut publisher = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let mut choosy = PlainClient::sign_in(server.addr(), None).await.unwrap();
    publisher.ask(json!({"type": "subscribe", "room": ROOM})).await.unwrap();
    choosy.ask(json!({"type": "subscribe", "room": ROOM, "minLane": "critical"})).await.unwrap();
    let alarm = json!({"type": "publish", "room": ROOM, "event": "alarm", "data": 1, "lane": "critical",
                       "exceptSelf": true, "key": "a"});
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    publisher.command(alarm.clone()).await.unwrap();
    let refused = hear_until(&mut publisher, &mut own, |_, ack| ack.is_some()).await.unwrap();
    assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
    let deadline = std::time::Instant::now() + tidings_testkit::client::PATIENCE;
    let mut known = Value::Null;
    while known["duplicate"] != true {
        assert!(std::time::Instant::now() < deadline, "it is refused for ever: {known}");
        publisher.command(alarm.clone()).await.unwrap();
        known = hear_until(&mut publisher, &mut own, |_, ack| ack.is_some()).await.unwrap();
    }
    let end = json!({"type": "publish", "room": ROOM, "event": "end", "data": 2, "lane": "critical"});
    publisher.command(end).await.unwrap();
    let is_end = |names: &[String], _: &Option<Value>| names.last().is_some_and(|name| name == "end");
    hear_until(&mut publisher, &mut own, is_end).await;
    hear_until(&mut choosy, &mut theirs, is_end).await;
    (own, theirs)
}

/// Hears on, and notes the names of events, until it is enough; the last answer.
async fn hear_until(
    client: &mut PlainClient,
    names: &mut Vec<String>,
    enough: impl Fn(&[String], &Option<Value>) -> bool,
) -> Option<Value> {
    let mut answer = None;
    while !enough(names, &answer) {
        match client.hear().await.unwrap() {
            Heard::Event { body, .. } => names.push(body["event"].as_str().unwrap().to_owned()),
            Heard::Ack { body, .. } => answer = Some(body),
            Heard::Closed(code) => panic!("closed: {code:?}"),
            Heard::Other(_) => {}
        }
    }
    answer
}

#[test]
fn what_is_heard_late_has_its_lane_and_spares_its_publisher() {
    let (publisher, choosy) = run(healed("commit_answer:1:lose"));
    assert_eq!((publisher, choosy), (vec!["end".into()], vec!["alarm".into(), "end".into()]));
}

/// The control: the log alone knows neither.
#[test]
fn without_what_the_server_remembers_what_is_heard_late_has_lost_both() {
    let (publisher, choosy) = run(healed("commit_answer:1:lose,manner"));
    assert_eq!((publisher, choosy), (vec!["alarm".into(), "end".into()], vec!["end".into()]));
}
