//! A database that is away for a while, or open and silent.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_store::{Store, StoreOptions, Tx};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient, http, publishing};
use tidings_testkit::history::{Demand, History};
use tidings_testkit::{Place, Postgres, Serving, settings};
use tokio::time::timeout;

use crate::bed::{FLAGS, Publisher, catch_up, follow, hear_up_to, place, run, serve_without, stored};

const ROOM: &str = "notes:1";
/// How long the database is away; `STORE_AWAY_SECONDS` says otherwise.
const AWAY: Duration = Duration::from_secs(6);
/// Who publishes meanwhile is refused at once, and in the first moment within the server's patience of 2 s. On a busy
/// machine that is later, but before a statement would be given up, which is how long it would take without that patience.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// How the database goes away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// As in a crash.
    Ended,
    /// Connections stay open and nothing is answered.
    Silent,
}

fn away() -> Duration {
    settings::number("STORE_AWAY_SECONDS").map_or(AWAY, Duration::from_secs)
}

/// The status and body of `/readyz`, and the lines of `/metrics` that tell of the store.
async fn told(server: &Serving) -> (u16, String, Vec<String>) {
    let (status, ready) = http(server.addr(), "GET /readyz", "", "").await.unwrap();
    let (_, metrics) = http(server.addr(), "GET /metrics", "", "").await.unwrap();
    let ours = ["tidings_store_breaker", "tidings_degraded"];
    let lines = metrics.lines().filter(|line| ours.iter().any(|name| line.starts_with(name)));
    (status, ready, lines.map(str::to_owned).collect())
}

/// The same once it is not ready; what it knows of its store may be a second old.
async fn told_not_ready(server: &Serving) -> (String, Vec<String>) {
    let begun = Instant::now();
    loop {
        let (status, ready, metrics) = told(server).await;
        if status == 503 {
            return (ready, metrics);
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {ready}");
    }
}

/// A server over a PostgreSQL.
async fn serve_over(url: &str, place: &Place, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("DATABASE_URL", url).env("FAILPOINTS", points).current_dir(place.path());
    Serving::run(command.arg("serve").args(FLAGS))
}

/// A server with that database, two subscribers, and a publisher that goes on all the time.
async fn outage(how: How) {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let url = postgres.database().await;
    let place = place("");
    let server = serve_over(&url, &place, "").await;
    let addr = server.addr();
    let mut history = History::new();
    let (mut follower, mut hears) = follow(addr, ROOM, &mut history).await;
    let (mut behind, gone) = follow(addr, ROOM, &mut history).await;
    let (loose, mut hears_loose) = follow(addr, "loose:1", &mut history).await;
    let mut client = PlainClient::sign_in(addr, None).await.unwrap();
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    for message in 1..=30 {
        publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
    }
    // A room that has events, and that the next server reads only when it is asked for.
    drop(gone);
    assert_eq!(told(&server).await.1, "ready\ndegraded: no\n");

    match how {
        How::Ended => postgres.crash(),
        How::Silent => postgres.freeze(),
    }
    let since = Instant::now();
    let (mut top, mut refused, mut slowest) = (30, 0, Duration::ZERO);
    let mut fresh: Option<(PlainClient, tidings_testkit::client::Follower)> = None;
    while since.elapsed() < away() {
        // Some messages, over and over.
        let message = 31 + refused % 100;
        top = top.max(message);
        let start = Instant::now();
        let answer = publisher.settle(&mut client, message, &mut history).await.unwrap();
        slowest = slowest.max(start.elapsed());
        let refusal = answer.expect_err("nothing can be stored");
        assert_eq!((&refusal["code"], &refusal["retryable"]), (&json!("unavailable"), &json!(true)));
        refused += 1;
        // Volatile rooms go on, and so does what is in memory.
        client.publish("loose:1", message.into(), None).await.unwrap();
        while !matches!(hears_loose.hear().await.unwrap(), Heard::Event { .. }) {}
        if fresh.is_some() {
            continue;
        }
        assert_eq!(stored(addr, ROOM).await.len(), 30);
        let mut returns = PlainClient::sign_in(addr, None).await.unwrap();
        behind.subscribe(&mut returns).await.unwrap();
        catch_up(&mut behind, &mut returns, &mut history).await;
        // A room that has to be read: its subscriber waits.
        let mut waits = PlainClient::sign_in(addr, None).await.unwrap();
        let mut unread = tidings_testkit::client::Follower::new(&mut history, "default", "notes:unread");
        unread.subscribe(&mut waits).await.unwrap();
        fresh = Some((waits, unread));
        let (ready, metrics) = told_not_ready(&server).await;
        assert_eq!(ready, "the store does not answer\ndegraded: yes\n");
        assert!(metrics.contains(&"tidings_degraded 1".to_owned()), "{metrics:?}");
        assert!(!metrics.contains(&"tidings_store_breaker 0".to_owned()), "{metrics:?}");
        returns_later(&mut behind, returns, &mut history).await;
    }
    println!("{refused} refused, the slowest after {slowest:?}");
    assert!(refused > 0 && slowest < REFUSED_WITHIN, "{slowest:?}");

    match how {
        How::Ended => {
            postgres = tokio::task::spawn_blocking(move || {
                postgres.come_back();
                postgres
            })
            .await
            .unwrap();
        }
        How::Silent => postgres.thaw(),
    }
    let back = Instant::now();
    // The waiting subscription is granted, with no gap.
    let (mut waits, mut unread) = fresh.unwrap();
    catch_up(&mut unread, &mut waits, &mut history).await;
    for again in 31..=top {
        while publisher.settle(&mut client, again, &mut history).await.unwrap().is_err() {
            assert!(back.elapsed() < PATIENCE, "it does not recover");
        }
    }
    println!("everything is stored {:?} after the database came back", back.elapsed());
    // An answer about the store is good for a second.
    let metrics = loop {
        let (status, ready, metrics) = told(&server).await;
        if (status, &*ready) == (200, "ready\ndegraded: no\n") {
            break metrics;
        }
        assert!(back.elapsed() < PATIENCE, "{ready}");
    };
    assert!(metrics.contains(&"tidings_store_breaker 0".to_owned()), "{metrics:?}");

    assert_eq!(stored(addr, ROOM).await.last().unwrap().0, top, "each is stored once");
    hear_up_to(top, &mut follower, &mut hears, &mut history).await;
    let mut returns = PlainClient::sign_in(addr, None).await.unwrap();
    behind.subscribe(&mut returns).await.unwrap();
    hear_up_to(top, &mut behind, &mut returns, &mut history).await;
    for follower in [&follower, &behind, &unread] {
        history.ended(follower.client(), follower.room(), follower.position().unwrap().at());
    }
    history.volatile(loose.room());
    let verdict = history.verdict(&Demand { acked: top as usize, delivered: 2 * top, gaps: false });
    println!("{verdict}");
    assert!(verdict.holds(), "{verdict}");
    drop(server);
    drop(postgres);
}

/// It has heard what it missed, and goes away again.
async fn returns_later(
    behind: &mut tidings_testkit::client::Follower,
    client: PlainClient,
    history: &mut History,
) {
    assert!(history.at(behind.client(), behind.room()).is_some_and(|at| at.offset == 30));
    drop(client);
}

#[test]
fn while_the_database_is_gone_publishes_are_refused_and_nobody_is_told_of_a_gap() {
    run(outage(How::Ended));
}

#[test]
fn while_the_database_is_silent_nobody_waits_for_it_longer_than_the_servers_patience() {
    run(outage(How::Silent));
}

/// How long somebody waits for an answer while the database is silent: a publisher, and one who wants to enter a room
/// that is not in memory. `None`: they were not answered while it was away.
struct Patience {
    publisher: Option<Duration>,
    /// Whether the other is told to come again, instead of waiting until it is known what there is.
    subscriber_refused: bool,
}

/// Asks both of a server whose database is silent.
async fn patience(points: &str) -> Patience {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let url = postgres.database().await;
    let place = place("");
    let server = serve_over(&url, &place, points).await;
    let mut history = History::new();
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    publisher.settle(&mut client, 1, &mut history).await.unwrap().unwrap();
    postgres.freeze();
    let start = Instant::now();
    let answer = timeout(AWAY, publisher.settle(&mut client, 2, &mut history)).await;
    let publisher = answer.ok().map(|answer| {
        assert!(answer.unwrap().is_err(), "nothing can be stored");
        start.elapsed()
    });
    let mut waits = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let unread = json!({"type": "subscribe", "room": "notes:unread"});
    let answer = timeout(AWAY, waits.ask(unread)).await;
    let subscriber_refused = answer.is_ok_and(|answer| answer.unwrap()["ok"] == false);
    postgres.thaw();
    drop(server);
    drop(postgres);
    Patience { publisher, subscriber_refused }
}

#[test]
fn a_publisher_is_told_soon_and_a_subscriber_waits_while_the_database_is_silent() {
    let Patience { publisher, subscriber_refused } = run(patience(""));
    assert!(publisher.is_some_and(|took| took < REFUSED_WITHIN), "{publisher:?}");
    assert!(!subscriber_refused, "it has to come again, as if something were wrong with it");
}

/// The control: without the server's own patience the publisher waits as long as the way to the database does.
#[test]
fn a_server_that_waits_for_its_database_makes_its_publishers_wait() {
    let publisher = run(patience("patience")).publisher;
    assert!(publisher.is_none_or(|took| took > REFUSED_WITHIN), "{publisher:?}");
}

/// The control: without waiting until it is known what there is, a subscriber is refused.
#[test]
fn a_server_that_does_not_wait_for_its_database_refuses_subscribers() {
    assert!(run(patience("recovering")).subscriber_refused);
}

/// Does something as the owner of a PostgreSQL, and is gone again.
async fn as_owner(url: &str, sql: &'static str) {
    let owner = Store::open(url, &StoreOptions::default()).await.unwrap();
    let mut tx = owner.begin().await.unwrap();
    tx.rows(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
    owner.close().await;
}

#[test]
fn a_database_that_refuses_us_is_away_until_it_takes_us_again() {
    run(async {
        let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let url = postgres.database().await;
        as_owner(&url, "CREATE ROLE keeper LOGIN SUPERUSER").await;
        let place = place("");
        let server = serve_over(&url.replace("postgres@", "keeper@"), &place, "").await;
        let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
        let said = |number: u64| publishing(ROOM, number.into(), None);
        assert_eq!(client.ask(said(1)).await.unwrap()["ok"], true);
        // As when a password is changed before the server knows of it.
        as_owner(&url, "ALTER ROLE keeper NOLOGIN").await;
        as_owner(&url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'")
            .await;
        // Who comes before anything has failed is refused with it.
        let refused = client.ask(said(2)).await.unwrap();
        assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
        let mut waits = PlainClient::sign_in(server.addr(), None).await.unwrap();
        let unread = json!({"type": "subscribe", "room": "notes:unread"});
        let waits = tokio::spawn(async move { waits.ask(unread).await });
        let since = Instant::now();
        while since.elapsed() < AWAY {
            let refused = client.ask(said(2)).await.unwrap();
            assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
        }
        let (_, metrics) = told_not_ready(&server).await;
        assert!(!metrics.contains(&"tidings_store_breaker 0".to_owned()), "{metrics:?}");
        as_owner(&url, "ALTER ROLE keeper LOGIN").await;
        let answer = waits.await.unwrap().unwrap();
        assert_eq!(answer["ok"], true, "who subscribed has waited for it: {answer}");
        let back = Instant::now();
        while client.ask(said(3)).await.unwrap()["ok"] != true {
            assert!(back.elapsed() < PATIENCE, "it does not recover");
        }
        drop(server);
        drop(postgres);
    });
}

#[test]
fn a_second_signal_ends_a_server_at_once_that_cannot_leave_its_database() {
    run(async {
        let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let url = postgres.database().await;
        let place = place("");
        let mut server = serve_over(&url, &place, "").await;
        postgres.freeze();
        // A connection was given back that does not answer; it is waited for as long as for a statement.
        told_not_ready(&server).await;
        server.signal("TERM");
        // Two signals that come together are one.
        while let Ok((_, ready)) = http(server.addr(), "GET /readyz", "", "").await
            && !ready.starts_with("draining")
        {}
        server.signal("TERM");
        let since = Instant::now();
        let ended = tokio::task::spawn_blocking(move || server.wait());
        assert!(
            ended.await.unwrap().success() && since.elapsed() < Duration::from_secs(3),
            "{:?}",
            since.elapsed()
        );
        drop(postgres);
    });
}

/// Somebody who writes the file of a server's database and does not stop: a tool, another program.
async fn writes(place: &Place) -> Tx {
    let file = place.path().join("data/tidings.db");
    let options = StoreOptions { create: false, ..StoreOptions::default() };
    Store::open(&format!("sqlite:{}", file.display()), &options).await.unwrap().begin().await.unwrap()
}

/// Longer than it takes until the server asks its database again.
const KEPT_OUT: Duration = Duration::from_secs(4);

/// How long those who publish one after the other wait while another process writes the file, and what is known of it then.
async fn kept_out(points: &str) -> (Vec<Duration>, String) {
    let place = place("");
    let server = serve_without(place.path(), points);
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let said = |number: u64| publishing(ROOM, number.into(), None);
    assert_eq!(client.ask(said(1)).await.unwrap()["ok"], true);
    let lock = writes(&place).await;
    let (begun, mut waited) = (Instant::now(), Vec::new());
    while begun.elapsed() < KEPT_OUT {
        let since = Instant::now();
        let answer = client.ask(said(2)).await.unwrap();
        assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
        waited.push(since.elapsed());
    }
    // What is not in memory can be read all the same.
    let unread = json!({"type": "subscribe", "room": "notes:unread"});
    assert_eq!(client.ask(unread).await.unwrap()["ok"], true);
    let (_, ready, _) = told(&server).await;
    drop(lock);
    let back = Instant::now();
    while client.ask(said(3)).await.unwrap()["ok"] != true {
        assert!(back.elapsed() < PATIENCE, "it does not recover");
    }
    (waited, ready)
}

#[test]
fn while_another_process_writes_the_file_nobody_waits_for_it_longer_than_the_servers_patience() {
    let (waited, ready) = run(kept_out(""));
    assert!(waited[0] < REFUSED_WITHIN, "{waited:?}");
    // Who comes later is refused at once: that the file can be read says nothing of writing.
    let slowest = waited[1..].iter().max();
    assert!(slowest.is_some_and(|took| *took < Duration::from_secs(1)), "{slowest:?}");
    assert_eq!(ready, "ready\ndegraded: yes\n");
}

/// The control: without that patience the first waits as long as for a slow disk.
#[test]
fn a_server_that_is_patient_with_the_lock_of_another_process_makes_its_publishers_wait() {
    let (waited, _) = run(kept_out("patience"));
    assert!(waited[0] > KEPT_OUT, "{waited:?}");
}
