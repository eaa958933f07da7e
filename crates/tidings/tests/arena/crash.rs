//! The server is killed while results are submitted (A6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_arena::model::{INITIAL_RATING, Standing, rate};
use tidings_arena::store::ladders::{GLOBAL, everybody};
use tidings_arena::store::matches::results_since;
use tidings_core::Org;
use tidings_store::{Store, StoreOptions};
use tokio::sync::Notify;

use crate::bed::{Bed, Rest, code, places};

const ROUNDS: usize = 3;
const A_ROUND: usize = 40;

/// What those who submit know: matches that were answered.
type Answered = Arc<(Mutex<BTreeSet<String>>, Notify)>;

/// Submits results until the server is gone; each under a key, the match's id.
async fn submit(studio: Rest, matches: Vec<(String, String)>, answered: Answered) {
    for (id, winner) in matches {
        let body = json!({"winnerId": winner, "resultType": "win"});
        let asked = studio.try_ask(&format!("POST /matches/{id}/result"), Some(&id), &body).await;
        match asked {
            Ok((200, _)) => {
                answered.0.lock().unwrap().insert(id);
                answered.1.notify_one();
            }
            // It is gone, or about to be.
            _ => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_midst_of_results_it_loses_none_and_counts_none_twice() {
    for bed in Bed::both().await {
        let answered = Answered::default();
        let ids: Vec<String> = (0..10).map(|at| format!("p{at}")).collect();
        let mut all: Vec<(String, String)> = Vec::new();
        for round in 0..ROUNDS {
            let server = bed.serve();
            let studio = Rest::server(server.addr());
            if round == 0 {
                studio.people(&ids.iter().map(|id| (id.as_str(), "SE")).collect::<Vec<_>>()).await;
            }
            // What was not answered before is submitted again, under its key.
            let known = answered.0.lock().unwrap().clone();
            let mut open: Vec<(String, String)> =
                all.iter().filter(|(id, _)| !known.contains(id)).cloned().collect();
            for at in 0..A_ROUND {
                let (id, one) = (format!("m{round}-{at}"), at * 3 % 10);
                let players = [ids[one].as_str(), ids[(one + 1 + at % 8) % 10].as_str()];
                studio.start(&id, &players, Value::Null).await;
                open.push((id.clone(), players[at % 2].to_owned()));
                all.push((id, players[at % 2].to_owned()));
            }
            let before = known.len();
            let parts: Vec<Vec<_>> =
                (0..4).map(|at| open.iter().skip(at).step_by(4).cloned().collect()).collect();
            let submitting: Vec<_> = parts
                .into_iter()
                .map(|part| tokio::spawn(submit(studio.clone(), part, answered.clone())))
                .collect();
            // Somewhere between the first answers and the last.
            while answered.0.lock().unwrap().len() < before + 8 + 5 * round {
                answered.1.notified().await;
            }
            server.kill();
            for one in submitting {
                one.await.unwrap();
            }
        }
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        for (id, winner) in &all {
            let body = json!({"winnerId": winner, "resultType": "win"});
            let known = answered.0.lock().unwrap().contains(id);
            let (status, answer) =
                studio.try_ask(&format!("POST /matches/{id}/result"), Some(id), &body).await.unwrap();
            assert_eq!(status, 200, "{id}: {answer}");
            assert!(!known || answer["duplicate"] == true, "{id} was answered and is not known: {answer}");
            // Without the key it is refused: it counts already.
            let (_, again) = studio.ask(&format!("POST /matches/{id}/result"), body).await;
            assert_eq!(code(&again), "conflict");
        }
        let board = places(&studio.get("/leaderboards/global").await["entries"]);
        let completed = completed(&studio, &all).await;
        server.kill();
        assert!(completed.values().all(|count| *count == 1), "each was told once: {completed:?}");
        check(&bed, all.len(), &board).await;
        // What is loaded from the store is what was in memory.
        let server = bed.serve();
        assert_eq!(places(&Rest::server(server.addr()).get("/leaderboards/global").await["entries"]), board);
    }
}

/// How often each match was told to be over.
async fn completed(studio: &Rest, all: &[(String, String)]) -> BTreeMap<String, usize> {
    let mut client = crate::bed::listens(studio.addr, "viewer").await;
    let mut counts = BTreeMap::new();
    for (id, _) in all {
        let told = client.ask(json!({"type": "history", "room": format!("match:{id}")})).await.unwrap();
        let events = told["events"].as_array().unwrap_or_else(|| panic!("{told}"));
        counts.insert(id.clone(), events.iter().filter(|event| event["event"] == "matchCompleted").count());
    }
    counts
}

/// Recomputes everything from the stored results, and holds the store and the board against it.
async fn check(bed: &Bed, results: usize, board: &[(String, u64, i64)]) {
    let store = Store::open(&bed.url, &StoreOptions::default()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let org = Org::default();
    let played = results_since(&mut reader, &org, 0, 10_000).await.unwrap();
    assert_eq!(played.len(), results);
    let stored = everybody(&mut reader, &org, GLOBAL, 0, 1_000).await.unwrap();
    let mut all: BTreeMap<String, Standing> = stored
        .iter()
        .map(|placed| (placed.player.clone(), Standing::new(INITIAL_RATING, placed.number)))
        .collect();
    for result in &played {
        let before: Vec<Standing> = result.players.iter().map(|player| all[player]).collect();
        let winner = result.players.iter().position(|player| Some(player) == result.winner.as_ref());
        for (player, after) in result.players.iter().zip(rate(&before, winner, result.number, None)) {
            all.insert(player.clone(), after);
        }
    }
    for placed in &stored {
        let standing = all[&placed.player];
        assert_eq!((placed.rating, placed.reached), (standing.rating, standing.reached), "{}", placed.player);
    }
    let mut order: Vec<_> =
        stored.iter().map(|one| (-one.rating, one.reached, one.number, &one.player)).collect();
    order.sort();
    let order: Vec<_> = (1..).zip(order).map(|(rank, one)| (one.3.clone(), rank, -one.0)).collect();
    assert_eq!(board, order);
    drop(reader);
    store.close().await;
}
