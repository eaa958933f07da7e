//! Windows that nobody looks at any more, and who comes back to them (A7).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PlainClient, Position};

use crate::bed::{Bed, Rest, hear, listens, subscribe};
use crate::boards::{apply, rows};

const TOP: &str = "window:global:top:3:250";

/// By the player: rank and rating.
type Rows = BTreeMap<String, (u64, i64)>;

/// The windows' messages in a room's history.
async fn said(client: &mut PlainClient, room: &str) -> Vec<Value> {
    let told = client.ask(json!({"type": "history", "room": room, "limit": 1000})).await.unwrap();
    let events = told["events"].as_array().unwrap_or_else(|| panic!("no history: {told}"));
    events.iter().map(|event| event["data"].clone()).collect()
}

/// Whether everybody has left a window with a message.
fn is_end(said: &Value, size: usize) -> bool {
    let count = |name: &str| said[name].as_array().unwrap().len();
    (count("leave"), count("enter"), count("move")) == (size, 0, 0)
}

/// Waits until a room has heard that its window is over.
async fn has_ended(client: &mut PlainClient, room: &str) {
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut every = tokio::time::interval(Duration::from_millis(100));
    while !said(client, room).await.last().is_some_and(|last| is_end(last, 3)) {
        assert!(Instant::now() < deadline, "{room} has not ended");
        every.tick().await;
    }
}

async fn top(studio: &Rest) -> Rows {
    let board = studio.get("/leaderboards/global").await;
    rows(&board["entries"]).into_iter().filter(|(_, (rank, _))| *rank <= 3).collect()
}

/// Applies what is heard until the list is another one's, and says how far that was.
async fn follows(client: &mut PlainClient, list: &mut Rows, board: &Rows) -> Option<Position> {
    let mut place = None;
    while list != board {
        let update = hear(client, "windowUpdate").await;
        apply(list, &update["data"]);
        place = Position::of(&update);
    }
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_to_a_window_that_has_ended_has_the_right_list_by_what_it_missed() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR"), ("eve", "GB")]).await;
    let mut others = listens(server.addr(), "other").await;
    // Somebody looks at this one all the time.
    let mut stays = listens(server.addr(), "stays").await;
    let watched = "window:global:top:2:250";
    assert_eq!(subscribe(&mut stays, watched).await["ok"], true);

    let mut viewer = listens(server.addr(), "viewer").await;
    let told = subscribe(&mut viewer, TOP).await;
    let mut list = rows(&told["snapshot"]["entries"]);
    studio.play("m1", &["dan", "ada"], "dan").await;
    let place = follows(&mut viewer, &mut list, &top(&studio).await).await.unwrap();
    drop(viewer);

    has_ended(&mut others, TOP).await;
    // All of it happens while nobody looks.
    studio.play("m2", &["eve", "dan"], "eve").await;
    studio.play("m3", &["eve", "cleo"], "eve").await;
    let board = top(&studio).await;
    assert_ne!(list, board);

    let mut viewer = listens(server.addr(), "viewer").await;
    let told = viewer.ask(json!({"type": "subscribe", "room": TOP, "since": place.since()})).await.unwrap();
    assert_eq!((&told["recovered"], &told["snapshot"]), (&json!(true), &Value::Null), "{told}");
    // What it missed is sent before it is up to date: nothing has to be waited for.
    loop {
        match viewer.hear().await.unwrap() {
            Heard::Event { body, .. } if body["event"] == "windowUpdate" => apply(&mut list, &body["data"]),
            heard if heard.is("resumed") => break,
            heard => panic!("{heard:?}"),
        }
    }
    assert_eq!(list, board);
    studio.play("m4", &["bob", "eve"], "bob").await;
    follows(&mut viewer, &mut list, &top(&studio).await).await;

    let past = said(&mut stays, watched).await;
    assert!(!past.is_empty() && past.iter().all(|said| !is_end(said, 2)), "one that is looked at goes on");
}
