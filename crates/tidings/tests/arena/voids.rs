//! A voided match: what came of it is computed again, and everybody is told (A7).

use serde_json::{Value, json};

use crate::bed::{Bed, Rest, hear, listens, places, subscribe};

/// The same matches, with or without the first.
async fn plays(studio: &Rest, with_first: bool) {
    studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR")]).await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    if with_first {
        studio.win("m1", "ada").await;
    }
    studio.play("m2", &["bob", "cleo"], "bob").await;
    studio.play("m3", &["cleo", "dan"], "dan").await;
    studio.play("m4", &["ada", "dan"], "ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_match_leaves_everything_as_if_it_had_never_been() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        plays(&studio, true).await;
        let without = Rest::with(server.addr(), "studio", &json!({"org": "without", "scope": "publish"}));
        plays(&without, false).await;
        assert_ne!(
            studio.get("/leaderboards/global").await["entries"],
            without.get("/leaderboards/global").await["entries"]
        );

        let mut bob = listens(server.addr(), "bob").await;
        subscribe(&mut bob, "player:bob").await;
        let mut viewer = listens(server.addr(), "viewer").await;
        subscribe(&mut viewer, "leaderboard:global").await;
        let old = studio.get("/players/bob").await["eloRating"].as_i64().unwrap();
        let voided = studio.done("POST /matches/m1/void", json!({"reason": "cheating"})).await;
        // The first was between Ada and Bob; through Bob it reached Cleo, through her Dan.
        assert_eq!(voided["recomputed"], 3, "{voided}");
        let corrected = without.get("/players/bob").await["eloRating"].as_i64().unwrap();
        let elo = hear(&mut bob, "eloUpdate").await;
        let update = json!({"playerId": "bob", "oldRating": old, "newRating": corrected, "change": corrected - old, "reason": "void:m1"});
        assert_eq!(elo["data"], update);
        let board = places(&studio.get("/leaderboards/global").await["entries"]);
        while places(&hear(&mut viewer, "leaderboardUpdate").await["data"]["entries"]) != board {}
        for id in ["ada", "bob", "cleo", "dan"] {
            let path = format!("/players/{id}");
            let (mut one, mut other) = (studio.get(&path).await, without.get(&path).await);
            for shown in [&mut one, &mut other] {
                // Times differ, and the numbers by which places were reached.
                for field in ["createdAt", "achievements", "rank", "countryRank", "online"] {
                    shown[field] = Value::Null;
                }
            }
            assert_eq!(one, other);
        }
        assert_eq!(board, places(&without.get("/leaderboards/global").await["entries"]));
        let shown = studio.get("/matches/m1").await;
        assert_eq!(
            (&shown["status"], &shown["voidReason"], &shown["result"]),
            (&json!("voided"), &json!("cheating"), &Value::Null)
        );
        let history = studio.get("/players/ada/history").await;
        assert!(
            history["history"].as_array().unwrap().iter().all(|past| past["matchId"] != "m1"),
            "{history}"
        );
        // Boards of moments are those of the results as they are now.
        let ended = studio.get("/matches/m1").await["endedAt"].clone();
        let then = studio.get(&format!("/leaderboards/global?at={}", ended.as_str().unwrap())).await;
        assert!(places(&then["entries"]).iter().all(|(_, _, rating)| *rating == 1200), "{then}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reached_by_a_voided_match_was_not_reached() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.play("m1", &["ada", "bob"], "ada").await;
    assert_eq!(studio.get("/players/ada").await["achievements"][0]["id"], "first-win");
    let mut ada = listens(server.addr(), "ada").await;
    subscribe(&mut ada, "player:ada").await;
    studio.done("POST /matches/m1/void", json!({})).await;
    let changes = json!({"achievements": []});
    assert_eq!(
        hear(&mut ada, "profileUpdated").await["data"],
        json!({"playerId": "ada", "changes": changes})
    );
    assert_eq!(studio.get("/players/ada").await["achievements"], json!([]));
    // One that was never decided ends without a trace.
    studio.start("m2", &["ada", "bob"], Value::Null).await;
    let voided = studio.done("POST /matches/m2/void", json!({})).await;
    assert_eq!((&voided["recomputed"], &voided["corrections"]), (&json!(0), &json!([])));
    assert_eq!(studio.get("/players/ada").await["games"], 0);
}
