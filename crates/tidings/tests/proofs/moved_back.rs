//! A database that moves back under a running server, as when a replica takes over that had not heard of everything.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::client::{PATIENCE, PlainClient, http, publishing};
use tidings_testkit::history::{Demand, History};
use tidings_testkit::{Place, Postgres, Serving};

use crate::bed::{FLAGS, Publisher, follow, hear_up_to, place, run};

const ROOM: &str = "notes:1";
/// Messages that the older copy has, and messages in all.
const OLD: u64 = 5;
const ALL: u64 = 10;

/// What an older copy has of a log with one room.
const OLDER: [&str; 4] = [
    "DELETE FROM log_events WHERE place > 5",
    "DELETE FROM log_keys WHERE place > 5",
    "UPDATE log_rooms SET top = 5, node = e.node, number = e.number FROM log_events e \
     WHERE e.room_id = log_rooms.id AND e.place = 5",
    "UPDATE log_orgs SET sequence = 5",
];

fn serve(url: &str, place: &Place, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("DATABASE_URL", url).env("FAILPOINTS", points).current_dir(place.path());
    Serving::run(command.arg("serve").args(FLAGS))
}

async fn move_back(url: &str) {
    let options = StoreOptions { create: false, ..StoreOptions::default() };
    let store = Store::open(url, &options).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for sql in OLDER {
        tx.run(sql, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
}

/// What came of it.
struct Outcome {
    /// How the first publish behind it was refused, if it was.
    refused: Option<Value>,
    /// What `/readyz` said then.
    ready: (u16, String),
    /// Whether everything that was acknowledged was heard in its place.
    holds: bool,
    /// Whether a client was told after the next start that it had missed nothing.
    recovered: bool,
}

/// Publishes, moves the database back, publishes as much as was lost, and starts the server anew.
async fn moved_back(url: &str, points: &str) -> Outcome {
    let place = place("");
    let server = serve(url, &place, points);
    let mut history = History::new();
    let mut publisher = Publisher::new(&mut history, ROOM, true);
    let (mut follower, mut hears) = follow(server.addr(), ROOM, &mut history).await;
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    for message in 1..=ALL {
        publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
    }
    hear_up_to(ALL, &mut follower, &mut hears, &mut history).await;
    move_back(url).await;
    // As many as are lost: by numbers alone nobody could tell afterwards.
    let mut refused = None;
    for message in ALL + 1..=2 * ALL - OLD {
        if let Err(refusal) = publisher.settle(&mut client, message, &mut history).await.unwrap() {
            refused = refused.or(Some(refusal));
        }
    }
    let ready = http(server.addr(), "GET /readyz", "", "").await.unwrap();
    // The next start knows it by what the witness has written down.
    let witness = place.path().join("data/progress.json");
    let deadline = Instant::now() + PATIENCE;
    while refused.is_some() && !std::fs::read_to_string(&witness).unwrap().contains(&u64::MAX.to_string()) {
        assert!(Instant::now() < deadline, "it is not written down");
    }
    history.ended(follower.client(), follower.room(), follower.position().unwrap().at());
    let verdict = history.verdict(&Demand { acked: ALL as usize, delivered: ALL, gaps: false });
    println!("{verdict}");
    server.kill();

    let server = serve(url, &place, points);
    let mut returns = PlainClient::sign_in(server.addr(), None).await.unwrap();
    let since = follower.position().unwrap().since();
    let told = returns.ask(json!({"type": "subscribe", "room": ROOM, "since": since})).await.unwrap();
    let goes_on = returns.ask(publishing(ROOM, 1_000.into(), None)).await.unwrap();
    assert_eq!(goes_on["ok"], true, "{goes_on}");
    Outcome { refused, ready, holds: verdict.holds(), recovered: told["recovered"] == true }
}

/// Over each of the databases.
async fn over_both(points: &str) -> [Outcome; 2] {
    let folder = Place::new();
    let file = format!("sqlite:{}", folder.path().join("tidings.db").display());
    let postgres = Postgres::shared().database().await;
    [moved_back(&file, points).await, moved_back(&postgres, points).await]
}

#[test]
fn a_server_whose_database_moves_back_stores_nothing_and_its_clients_are_told_at_the_next_start() {
    for Outcome { refused, ready, holds, recovered } in run(over_both("")) {
        let refused = refused.expect("it goes on as if nothing had happened");
        assert_eq!((&refused["code"], &refused["retryable"]), (&"unavailable".into(), &true.into()));
        assert_eq!(ready, (503, "the database has moved back\ndegraded: yes\n".into()));
        assert!(holds && !recovered);
    }
}

/// The control: who does not look acknowledges what nobody hears, at places where something else was heard.
#[test]
fn a_server_that_does_not_look_whether_its_database_has_moved_back_is_found_out() {
    for Outcome { refused, holds, .. } in run(over_both("moved_back")) {
        assert!(refused.is_none() && !holds);
    }
}
