//! A match from its making to its end, and what players hear of it (A3, A4, A5).

use serde_json::{Value, json};
use tidings_testkit::client::Heard;

use crate::bed::{Bed, Rest, code, hear, listens, say, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_match_is_heard_from_its_start_to_its_end_and_then_its_room_closes() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        studio.done("POST /matches", json!({"id": "m1", "players": ["ada", "bob"], "format": "bo3"})).await;
        let mut ada = listens(server.addr(), "ada").await;
        let mut eve = listens(server.addr(), "eve").await;
        let told = say(&mut ada, "/matches", "subscribe", json!({"matchId": "m1"})).await;
        assert_eq!((&told["ok"], &told["room"]), (&json!(true), &json!("match:m1")), "{told}");
        assert_eq!(told["snapshot"]["status"], "created");
        let told = subscribe(&mut eve, "match:m1").await;
        assert_eq!(told["snapshot"]["players"][1]["displayName"], "bob", "{told}");

        let mut bob = listens(server.addr(), "bob").await;
        for player in [&mut ada, &mut bob] {
            let said =
                say(player, "/matches", "matchAction", json!({"matchId": "m1", "action": "ready"})).await;
            assert_eq!(said["ok"], true, "{said}");
        }
        let action = hear(&mut eve, "playerAction").await;
        assert_eq!((&action["room"], &action["data"]["playerId"]), (&json!("match:m1"), &json!("ada")));
        assert_eq!((&action["data"]["matchId"], &action["data"]["action"]), (&json!("m1"), &json!("ready")));
        assert!(action["data"]["timestamp"].as_str().unwrap().ends_with('Z') && action["offset"].is_u64());
        let ready = hear(&mut eve, "matchUpdated").await;
        assert_eq!(ready["data"], json!({"matchId": "m1", "update": {"status": "ready"}}));

        studio.done("POST /matches/m1/start", json!({})).await;
        let started = hear(&mut eve, "matchStarted").await;
        let data = &started["data"];
        assert_eq!((&data["matchId"], &data["format"]), (&json!("m1"), &json!("bo3")));
        assert_eq!(data["players"][0], json!({"id": "ada", "displayName": "ada", "eloRating": 1200}));
        assert!(data["startTime"].as_str().unwrap().ends_with('Z'));

        let score = json!({"scores": [{"playerId": "ada", "score": 2}], "currentRound": 1});
        studio.done("POST /matches/m1/score", score).await;
        let updated = hear(&mut eve, "matchUpdated").await;
        let update = json!({"scores": [{"playerId": "ada", "score": 2}], "currentRound": 1});
        assert_eq!(updated["data"], json!({"matchId": "m1", "update": update}));
        let said = json!({"matchId": "m1", "action": "attack", "data": {"x": 3}});
        assert_eq!(say(&mut bob, "/matches", "matchAction", said).await["ok"], true);
        assert_eq!(hear(&mut eve, "playerAction").await["data"]["data"], json!({"x": 3}));

        assert_eq!(subscribe(&mut bob, "player:bob").await["ok"], true);
        let settled = studio.win("m1", "ada").await;
        assert_eq!(
            settled["ratings"][0],
            json!({"playerId": "ada", "oldRating": 1200, "newRating": 1220, "change": 20})
        );
        let completed = hear(&mut eve, "matchCompleted").await;
        let changes = json!([{"playerId": "ada", "change": 20}, {"playerId": "bob", "change": -20}]);
        let result =
            json!({"winnerId": "ada", "loserIds": ["bob"], "resultType": "win", "eloChanges": changes});
        assert_eq!(completed["data"], json!({"matchId": "m1", "result": result}));
        let elo = hear(&mut bob, "eloUpdate").await;
        let update = json!({"playerId": "bob", "oldRating": 1200, "newRating": 1180, "change": -20, "reason": "match:m1"});
        assert_eq!((&elo["room"], &elo["data"]), (&json!("player:bob"), &update));
        // The room closes behind the last event.
        loop {
            if let Heard::Other(body) = eve.hear().await.unwrap()
                && body["type"] == "left"
            {
                assert_eq!((&body["room"], &body["reason"]), (&json!("match:m1"), &json!("closed")));
                break;
            }
        }
        let shown = studio.get("/matches/m1").await;
        assert_eq!((&shown["status"], &shown["result"]), (&json!("completed"), &result), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn players_hear_of_their_profile_what_they_reached_and_what_friends_do() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
    let (ada, cleo) = (Rest::player(server.addr(), "ada"), Rest::player(server.addr(), "cleo"));
    assert_eq!(ada.done("PUT /players/ada/friends/cleo", Value::Null).await["mutual"], false);
    assert_eq!(cleo.done("PUT /players/cleo/friends/ada", Value::Null).await["mutual"], true);
    let mut hears_ada = listens(server.addr(), "ada").await;
    let mut hears_cleo = listens(server.addr(), "cleo").await;
    let told = subscribe(&mut hears_ada, "player:ada").await;
    assert_eq!(
        (&told["snapshot"]["eloRating"], &told["snapshot"]["rank"]),
        (&json!(1200), &json!(1)),
        "{told}"
    );
    subscribe(&mut hears_cleo, "player:cleo").await;
    // A player's room is the player's alone.
    assert_eq!(code(&subscribe(&mut hears_cleo, "player:ada").await), "not_found");

    ada.done("PATCH /players/ada", json!({"displayName": "Ada L."})).await;
    let updated = hear(&mut hears_ada, "profileUpdated").await;
    assert_eq!(updated["data"], json!({"playerId": "ada", "changes": {"displayName": "Ada L."}}));
    studio.play("m1", &["ada", "bob"], "ada").await;
    let unlocked = hear(&mut hears_ada, "achievementUnlocked").await;
    assert_eq!(
        (&unlocked["data"]["playerId"], &unlocked["data"]["achievement"]["id"]),
        (&json!("ada"), &json!("first-win"))
    );
    let friend = hear(&mut hears_cleo, "friendActivity").await;
    let activity = json!({"type": "match", "matchId": "m1", "result": "win", "eloRating": 1220});
    assert_eq!(friend["data"], json!({"playerId": "ada", "activity": activity}));
    assert_eq!(
        hear(&mut hears_cleo, "friendActivity").await["data"]["activity"]["achievement"]["id"],
        "first-win"
    );
    let friends = cleo.get("/players/cleo/friends").await;
    assert_eq!(
        (&friends["friends"][0]["id"], &friends["friends"][0]["online"]),
        (&json!("ada"), &json!(true))
    );
    drop(hears_ada);
    let gone = hear(&mut hears_cleo, "friendActivity").await;
    assert_eq!(gone["data"], json!({"playerId": "ada", "activity": {"type": "offline"}}));
    let shown = studio.get("/players/ada").await;
    assert_eq!(
        (&shown["wins"], &shown["achievements"][0]["id"], &shown["displayName"]),
        (&json!(1), &json!("first-win"), &json!("Ada L."))
    );
    assert!(shown["glicko2"]["rating"].as_f64().unwrap() > 1_600.0, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_submissions_under_one_key_one_counts() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        studio.start("m1", &["ada", "bob"], Value::Null).await;
        let body = json!({"winnerId": "bob", "resultType": "win"});
        let one = studio.try_ask("POST /matches/m1/result", Some("k1"), &body);
        let other = studio.try_ask("POST /matches/m1/result", Some("k1"), &body);
        let (one, other) = tokio::join!(one, other);
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
        let duplicates = [&one.1, &other.1].into_iter().filter(|answer| answer["duplicate"] == true).count();
        assert_eq!((duplicates, &one.1["ratings"]), (1, &other.1["ratings"]));
        // Without the key, or with another body, it is something else.
        assert_eq!(studio.refused("POST /matches/m1/result", body).await, (409, "conflict".into()));
        let draw = json!({"resultType": "draw"});
        let (status, answer) = studio.try_ask("POST /matches/m1/result", Some("k1"), &draw).await.unwrap();
        assert_eq!((status, code(&answer)), (409, "conflict"));
        let shown = studio.get("/players/bob").await;
        assert_eq!((&shown["games"], &shown["eloRating"]), (&json!(1), &json!(1220)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_are_listed_in_pages_the_newest_first_each_once() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        // Some of them in the same millisecond, as it may happen: then their ids decide.
        for n in 0..7 {
            studio.done("POST /matches", json!({"id": format!("m{n}"), "players": ["ada", "bob"]})).await;
        }
        studio.done("POST /matches/m3/void", json!({})).await;
        let all = ids(&studio.get("/matches").await);
        assert_eq!((all.len(), all.contains(&"m0".to_owned())), (7, true), "{all:?}");
        let (mut seen, mut last, mut path) = (Vec::new(), false, "/matches?limit=3".to_owned());
        while !last {
            let page = studio.get(&path).await;
            seen.push(ids(&page));
            last = page["more"] == false;
            path = format!("/matches?limit=3&before={}", seen.last().unwrap().last().unwrap());
        }
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
        assert_eq!(seen.concat(), all);
        let page = studio.get(&format!("/matches?status=voided&before={}", all[0])).await;
        assert_eq!((ids(&page), &page["more"]), (vec!["m3".to_owned()], &json!(false)));
        assert_eq!(
            studio.refused("GET /matches?before=nobody", Value::Null).await,
            (404, "not_found".into())
        );
    }
}

fn ids(page: &Value) -> Vec<String> {
    let matches = page["matches"].as_array().unwrap();
    matches.iter().map(|game| game["id"].as_str().unwrap().to_owned()).collect()
}
