//! Boards and windows as they are told (A1, A2, A7).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PlainClient};

use crate::bed::{Bed, Rest, code, hear, listens, places, say, subscribe};

/// What somebody sees who applies every message to what was there before.
#[derive(Default)]
struct Seen {
    entries: Vec<(String, u64, i64)>,
    updates: usize,
    changes: Vec<Value>,
}

impl Seen {
    /// Takes an update in, and holds its `diff` against both lists.
    fn take(&mut self, data: &Value) {
        let now = places(&data["entries"]);
        let rank =
            |list: &[(String, u64, i64)], id: &str| list.iter().find(|one| one.0 == id).map(|one| one.1);
        let mut expected: BTreeMap<String, (i64, Option<u64>)> = BTreeMap::new();
        for (id, new, _) in &now {
            let old = rank(&self.entries, id);
            if old != Some(*new) {
                expected.insert(id.clone(), (old.map_or(0, |old| old as i64 - *new as i64), old));
            }
        }
        let told = data["diff"].as_array().unwrap().iter().map(|step| {
            let id = step["playerId"].as_str().unwrap().to_owned();
            (id, (step["moved"].as_i64().unwrap(), step["oldRank"].as_u64()))
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
        self.entries = now;
        self.updates += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_is_told_at_most_once_a_second_with_exactly_what_has_changed() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        let people = [("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR"), ("eve", "GB")];
        studio.people(&people).await;
        let mut viewer = listens(server.addr(), "viewer").await;
        let told = say(&mut viewer, "/leaderboard", "subscribe", json!({"scope": "global"})).await;
        assert_eq!((&told["ok"], &told["room"]), (&json!(true), &json!("leaderboard:global")), "{told}");
        let begun = Instant::now();
        let mut seen = Seen::default();
        let mut answered = Vec::new();
        for round in 0..24_usize {
            let (one, other) = (people[round % 5].0, people[(round * 2 + 1) % 5].0);
            if one != other {
                let settled = studio.play(&format!("m{round}"), &[one, other], one).await;
                answered.extend(
                    settled["ranks"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter(|change| {
                            change["scope"] == "global" && change["oldRank"] != change["newRank"]
                        })
                        .cloned(),
                );
            }
        }
        let board = places(&studio.get("/leaderboards/global").await["entries"]);
        while seen.entries != board || seen.changes.len() < answered.len() {
            if let Heard::Event { body, .. } = viewer.hear().await.unwrap() {
                match body["event"].as_str() {
                    Some("leaderboardUpdate") => {
                        assert_eq!(body["data"]["scope"], "global");
                        if seen.updates == 0 {
                            // What it was before, the newcomer does not know.
                            seen.entries = places(&body["data"]["entries"]);
                            seen.updates = 1;
                        } else {
                            seen.take(&body["data"]);
                        }
                    }
                    Some("rankChange") => seen.changes.push(body["data"].clone()),
                    _ => {}
                }
            }
        }
        assert_eq!(seen.changes, answered, "each result tells of those whose place it changed");
        assert!(!answered.is_empty() && answered[0]["eloChange"].is_i64());
        // The first comes at once, one each second follows.
        let most = begun.elapsed().as_secs() as usize + 3;
        assert!(seen.updates <= most, "{} updates in {:?}", seen.updates, begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_onto_a_board_and_who_leaves_it_is_told_there() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB")]).await;
    let mut viewer = listens(server.addr(), "viewer").await;
    let france = json!({"scope": "country", "country": "FR"});
    assert_eq!(say(&mut viewer, "/leaderboard", "subscribe", france).await["ok"], true);
    studio.people(&[("cleo", "FR")]).await;
    let joined = hear(&mut viewer, "playerJoined").await;
    assert_eq!(
        joined["data"],
        json!({"playerId": "cleo", "displayName": "cleo", "eloRating": 1200, "scope": "country", "country": "FR"})
    );
    studio.done("PATCH /players/cleo", json!({"country": "GB"})).await;
    assert_eq!(hear(&mut viewer, "playerLeft").await["data"]["playerId"], "cleo");
    studio.done("POST /sessions", json!({"id": "cup", "name": "Cup", "initialRating": 1000})).await;
    let cup = json!({"scope": "session", "sessionId": "cup"});
    assert_eq!(say(&mut viewer, "/leaderboard", "subscribe", cup.clone()).await["snapshot"]["total"], 0);
    for player in ["ada", "cleo"] {
        studio.done("POST /sessions/cup/players", json!({"playerId": player})).await;
    }
    let joined = hear(&mut viewer, "playerJoined").await;
    assert_eq!((&joined["data"]["sessionId"], &joined["data"]["eloRating"]), (&json!("cup"), &json!(1000)));
    studio.start("m1", &["ada", "cleo"], json!({"sessionId": "cup"})).await;
    studio.win("m1", "cleo").await;
    let change = hear(&mut viewer, "rankChange").await;
    let expected = json!({"playerId": "ada", "oldRank": 1, "newRank": 2, "eloChange": -20, "scope": "session", "sessionId": "cup"});
    let told = [change["data"].clone(), hear(&mut viewer, "rankChange").await["data"].clone()];
    assert!(told.contains(&expected), "{told:?}");
    // A result counts for everybody's ladder, the country's and the session's.
    let boards = ["/leaderboards/global", "/leaderboards/country/GB", "/leaderboards/session/cup"];
    for (board, rating) in boards.into_iter().zip([1220, 1220, 1020]) {
        let top = &studio.get(board).await["entries"][0];
        assert_eq!(
            (&top["playerId"], &top["eloRating"], &top["rank"]),
            (&json!("cleo"), &json!(rating), &json!(1))
        );
    }
    assert_eq!(say(&mut viewer, "/leaderboard", "unsubscribe", cup).await["ok"], true);
}

/// Applies a window's message.
pub(crate) fn apply(rows: &mut BTreeMap<String, (u64, i64)>, data: &Value) {
    for gone in data["leave"].as_array().unwrap() {
        rows.remove(gone.as_str().unwrap());
    }
    for (id, rank, rating) in places(&data["enter"]) {
        rows.insert(id, (rank, rating));
    }
    for shift in data["move"].as_array().unwrap() {
        let place = (shift["to"].as_u64().unwrap(), shift["eloRating"].as_i64().unwrap());
        let known = rows.insert(shift["playerId"].as_str().unwrap().to_owned(), place);
        assert!(known.is_some(), "who moves was there: {shift}");
    }
}

pub(crate) fn rows(entries: &Value) -> BTreeMap<String, (u64, i64)> {
    places(entries).into_iter().map(|(id, rank, rating)| (id, (rank, rating))).collect()
}

/// Hears a window until it shows what the board says.
async fn converges(
    client: &mut PlainClient,
    rows: &mut BTreeMap<String, (u64, i64)>,
    board: &BTreeMap<String, (u64, i64)>,
) {
    while rows != board {
        let update = hear(client, "windowUpdate").await;
        apply(rows, &update["data"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_kept_live_by_who_enters_leaves_and_moves() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    let ids: Vec<String> = (0..12).map(|at| format!("p{at:02}")).collect();
    let people: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "SE")).collect();
    studio.people(&people).await;
    studio.done("PUT /players/p06/friends/p11", Value::Null).await;
    let mut me = listens(server.addr(), "p06").await;
    let mut windows = Vec::new();
    for window in [
        json!({"kind": "top", "size": 3, "everyMs": 250}),
        json!({"kind": "around", "k": 2, "everyMs": 250}),
        json!({"kind": "friends", "everyMs": 250}),
    ] {
        // Each on a connection of its own, so that nothing is heard for another.
        let mut client = listens(server.addr(), "p06").await;
        let told =
            say(&mut client, "/leaderboard", "subscribe", json!({"scope": "global", "window": window})).await;
        assert_eq!(told["ok"], true, "{told}");
        windows.push((client, rows(&told["snapshot"]["entries"])));
    }
    assert_eq!(windows.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>(), [3, 5, 2]);
    // The same by its room's name; what is somebody else's is not there.
    let told = subscribe(&mut me, "window:global:top:3:250").await;
    assert_eq!(places(&told["snapshot"]["entries"]).len(), 3, "{told}");
    for foreign in [
        "window:global:friends:250:p07",
        "window:global:top:03:250",
        "window:global:top:0:250",
        "window:moon:top:3:250",
    ] {
        assert_eq!(code(&subscribe(&mut me, foreign).await), "not_found", "{foreign}");
    }
    for round in 0..30_usize {
        let (one, other) = (&ids[round * 5 % 12], &ids[(round * 7 + 1) % 12]);
        if one != other {
            studio.play(&format!("m{round}"), &[one, other], one).await;
        }
    }
    let board = studio.get("/leaderboards/global").await;
    let top: BTreeMap<_, _> =
        rows(&board["entries"]).into_iter().filter(|(_, (rank, _))| *rank <= 3).collect();
    let around = rows(&studio.get("/leaderboards/global/around/p06?k=2").await["entries"]);
    let friends: BTreeMap<_, _> =
        rows(&board["entries"]).into_iter().filter(|(id, _)| id == "p06" || id == "p11").collect();
    for ((client, rows), expected) in windows.iter_mut().zip([top, around, friends]) {
        tokio::time::timeout(Duration::from_secs(20), converges(client, rows, &expected)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ties_are_the_firsts_and_a_board_can_be_seen_as_it_was() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR")]).await;
        let before = studio.get("/leaderboards/global").await;
        // Cleo reaches 1220 first, then Ada does: both have it, and Cleo stands before her.
        studio.play("m1", &["cleo", "dan"], "cleo").await;
        studio.play("m2", &["ada", "bob"], "ada").await;
        let order = |board: &Value| {
            places(&board["entries"]).into_iter().map(|(id, rank, _)| (id, rank)).collect::<Vec<_>>()
        };
        let ranked = |list: &[(&str, u64)]| {
            list.iter().map(|(id, rank)| ((*id).to_owned(), *rank)).collect::<Vec<_>>()
        };
        for (ranking, expected) in [
            ("1234", [("cleo", 1), ("ada", 2), ("dan", 3), ("bob", 4)]),
            ("1224", [("cleo", 1), ("ada", 1), ("dan", 3), ("bob", 3)]),
            ("1223", [("cleo", 1), ("ada", 1), ("dan", 2), ("bob", 2)]),
        ] {
            let board = studio.get(&format!("/leaderboards/global?ranking={ranking}")).await;
            assert_eq!(order(&board), ranked(&expected), "{ranking}");
        }
        let game = studio.get("/matches/m1").await;
        let at = game["startTime"].as_str().unwrap();
        let then = studio.get(&format!("/leaderboards/global?at={at}")).await;
        assert_eq!(then["entries"], before["entries"], "before the first result");
        let ended = game["endedAt"].as_str().unwrap();
        let then = studio.get(&format!("/leaderboards/country/FR?at={ended}")).await;
        assert_eq!(order(&then), ranked(&[("cleo", 1), ("dan", 2)]));
        let page = studio.get("/leaderboards/global?limit=2&offset=1").await;
        assert_eq!((order(&page), &page["total"]), (ranked(&[("ada", 2), ("dan", 3)]), &json!(4)));
        let around = studio.get("/leaderboards/global/around/dan?k=1").await;
        assert_eq!(order(&around), ranked(&[("ada", 2), ("dan", 3), ("bob", 4)]));
    }
}
