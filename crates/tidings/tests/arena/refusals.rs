//! What is refused, with which code, and that nothing of it is stored.

use serde_json::{Value, json};
use tidings_testkit::client::Heard;

use crate::bed::{Bed, Rest, code, listens, say, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_a_code_and_leaves_nothing() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
        studio.start("m1", &["ada", "bob"], json!({"maxScore": 10})).await;
        studio.done("POST /matches", json!({"id": "m2", "players": ["ada", "cleo"]})).await;
        let (bob, cleo) = (Rest::player(server.addr(), "bob"), Rest::player(server.addr(), "cleo"));
        let win = |winner: &str| json!({"winnerId": winner, "resultType": "win"});
        let before = studio.get("/leaderboards/global").await;
        let score = |score: i64| json!({"scores": [{"playerId": "ada", "score": score}]});
        let mut scored = win("ada");
        scored["scores"] = score(11)["scores"].clone();
        let twice = json!({"scores": [{"playerId": "ada", "score": 1}, {"playerId": "ada", "score": 2}]});
        let mut won_twice = win("ada");
        won_twice["scores"] = twice["scores"].clone();
        let table = [
            // A forged result, by one who plays and one who does not.
            (&bob, "POST /matches/m1/result", win("bob"), 403, "forbidden"),
            (&cleo, "POST /matches/m1/void", json!({}), 403, "forbidden"),
            (&cleo, "POST /matches", json!({"players": ["ada", "bob"]}), 403, "forbidden"),
            (&bob, "PATCH /players/ada", json!({"displayName": "x"}), 403, "forbidden"),
            (&studio, "POST /matches/m1/result", win("cleo"), 400, "bad_request"),
            (&studio, "POST /matches/m1/result", json!({"resultType": "win"}), 400, "bad_request"),
            (
                &studio,
                "POST /matches/m1/result",
                json!({"winnerId": "ada", "resultType": "draw"}),
                400,
                "bad_request",
            ),
            (
                &studio,
                "POST /matches/m1/result",
                json!({"winnerId": "ada", "resultType": "luck"}),
                400,
                "bad_request",
            ),
            (&studio, "POST /matches/m1/result", scored, 400, "bad_request"),
            (&studio, "POST /matches/m1/score", score(11), 400, "bad_request"),
            (&studio, "POST /matches/m1/score", score(-1), 400, "bad_request"),
            (
                &studio,
                "POST /matches/m1/score",
                json!({"scores": [{"playerId": "cleo", "score": 1}]}),
                400,
                "bad_request",
            ),
            (&studio, "POST /matches/m1/score", json!({}), 400, "bad_request"),
            (&studio, "POST /matches/m1/score", json!({"scores": []}), 400, "bad_request"),
            (&studio, "POST /matches/m1/start", json!({}), 409, "conflict"),
            (&studio, "POST /matches/m1/start", json!({"now": true}), 400, "bad_request"),
            (&studio, "POST /matches/m2/result", win("ada"), 409, "conflict"),
            (&studio, "POST /matches/m2/score", score(1), 409, "conflict"),
            (&studio, "POST /matches/nothing/result", win("ada"), 404, "not_found"),
            (&studio, "GET /matches/nothing", Value::Null, 404, "not_found"),
            (&studio, "POST /matches", json!({"players": ["ada", "nobody"]}), 404, "not_found"),
            (&studio, "POST /matches", json!({"players": ["ada", "ada"]}), 400, "bad_request"),
            (&studio, "POST /matches", json!({"players": ["ada"]}), 400, "bad_request"),
            (&studio, "POST /matches", json!({"id": "m1", "players": ["ada", "bob"]}), 409, "conflict"),
            (&studio, "POST /matches", json!({"id": "a:b", "players": ["ada", "bob"]}), 400, "bad_request"),
            (&studio, "POST /players", json!({"id": "ada", "displayName": "Ada"}), 409, "conflict"),
            (
                &studio,
                "POST /players",
                json!({"id": "x", "displayName": "X", "country": "gb"}),
                400,
                "bad_request",
            ),
            (
                &studio,
                "POST /players",
                json!({"id": "x", "displayName": "X", "country": "ZZ"}),
                400,
                "bad_request",
            ),
            (&bob, "PATCH /players/bob", json!({"country": "ZZ"}), 400, "bad_request"),
            (&studio, "GET /leaderboards/country/ZZ", Value::Null, 400, "bad_request"),
            (&studio, "POST /players", json!({"id": "x", "displayName": " \u{a0} "}), 400, "bad_request"),
            (&studio, "POST /players", json!({"id": "x", "displayName": "X\nY"}), 400, "bad_request"),
            (&studio, "POST /players", json!({"id": "x\n", "displayName": "X"}), 400, "bad_request"),
            (
                &studio,
                "POST /matches",
                json!({"players": ["ada", "bob"], "format": "1\tv1"}),
                400,
                "bad_request",
            ),
            (&bob, "PATCH /players/bob", json!({"displayName": " "}), 400, "bad_request"),
            (&bob, "PATCH /players/bob", json!({"displayName": "a\tb"}), 400, "bad_request"),
            (&studio, "POST /sessions", json!({"id": "blank", "name": " \u{2003}"}), 400, "bad_request"),
            (&studio, "POST /sessions", json!({"id": "two", "name": "a\nb"}), 400, "bad_request"),
            (&studio, "POST /matches/m1/score", twice, 400, "bad_request"),
            (&studio, "POST /matches/m1/result", won_twice, 400, "bad_request"),
            (&studio, "GET /players/nobody", Value::Null, 404, "not_found"),
            (&studio, "GET /leaderboards/session/nothing", Value::Null, 404, "not_found"),
            (&studio, "GET /leaderboards/global?ranking=1", Value::Null, 400, "bad_request"),
            (&studio, "GET /leaderboards/global?at=yesterday", Value::Null, 400, "bad_request"),
            (&studio, "GET /leaderboards/global/around/nobody", Value::Null, 404, "not_found"),
        ];
        for (who, request, body, status, expected) in table {
            assert_eq!(
                who.refused(request, body.clone()).await,
                (status, expected.to_owned()),
                "{request} {body}"
            );
        }
        assert_eq!(studio.get("/leaderboards/global").await["entries"], before["entries"]);
        assert_eq!(studio.get("/matches/m1").await["status"], "started");
        assert_eq!(studio.get("/matches/m1").await["players"][0]["score"], 0);
        let bob_is = studio.get("/players/bob").await;
        assert_eq!((&bob_is["displayName"], &bob_is["country"]), (&json!("bob"), &json!("US")));

        // What players say: only those of the match, and only while it goes on.
        let mut eve = listens(server.addr(), "cleo").await;
        let said =
            say(&mut eve, "/matches", "matchAction", json!({"matchId": "m1", "action": "attack"})).await;
        assert_eq!(code(&said), "forbidden", "{said}");
        let mut ada = listens(server.addr(), "ada").await;
        let long = json!({"matchId": "m1", "action": "attack", "data": "x".repeat(5_000)});
        assert_eq!(code(&say(&mut ada, "/matches", "matchAction", long).await), "bad_request");
        studio.win("m1", "ada").await;
        let said =
            say(&mut ada, "/matches", "matchAction", json!({"matchId": "m1", "action": "attack"})).await;
        assert_eq!(code(&said), "conflict");
        assert_eq!(studio.refused("POST /matches/m1/result", win("bob")).await, (409, "conflict".into()));
        studio.done("POST /matches/m1/void", json!({"reason": "cheating"})).await;
        assert_eq!(studio.refused("POST /matches/m1/void", json!({})).await, (409, "conflict".into()));
        for wrong in [
            json!({"scope": "country"}),
            json!({"scope": "global", "country": "FR"}),
            json!({"scope": "moon"}),
            json!({"scope": "country", "country": "fr"}),
            json!({"scope": "country", "country": "ZZ"}),
        ] {
            assert_eq!(
                code(&say(&mut ada, "/leaderboard", "subscribe", wrong.clone()).await),
                "bad_request",
                "{wrong}"
            );
        }
        assert_eq!(
            code(&say(&mut ada, "/matches", "subscribe", json!({"matchId": "nothing"})).await),
            "not_found"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_holds_its_limits() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
    let cup = json!({"id": "cup", "name": "Cup", "maxPlayers": 2, "maxMatches": 1});
    studio.done("POST /sessions", cup.clone()).await;
    assert_eq!(studio.refused("POST /sessions", cup).await, (409, "conflict".into()));
    let join = "POST /sessions/cup/players";
    let player = |id: &str| json!({"playerId": id});
    Rest::player(server.addr(), "ada").done(join, player("ada")).await;
    let forged = Rest::player(server.addr(), "ada").refused(join, player("bob")).await;
    assert_eq!(forged, (403, "forbidden".into()));
    studio.done(join, player("bob")).await;
    assert_eq!(studio.refused(join, player("bob")).await, (409, "conflict".into()));
    assert_eq!(studio.refused(join, player("cleo")).await, (409, "conflict".into()), "it is full");
    let game = |id: &str, other: &str| json!({"id": id, "players": ["ada", other], "sessionId": "cup"});
    assert_eq!(studio.refused("POST /matches", game("m0", "cleo")).await, (409, "conflict".into()));
    studio.done("POST /matches", game("m1", "bob")).await;
    assert_eq!(
        studio.refused("POST /matches", game("m2", "bob")).await,
        (409, "conflict".into()),
        "one match each"
    );
    studio.done("POST /matches/m1/start", json!({})).await;
    studio.done("POST /sessions/cup/close", json!({})).await;
    let late =
        studio.refused("POST /matches/m1/result", json!({"winnerId": "ada", "resultType": "win"})).await;
    assert_eq!(late, (409, "conflict".into()), "it was voided");
    assert_eq!(studio.get("/players/ada").await["games"], 0);
    let later = json!({"id": "next", "name": "Next", "startsAt": "2100-01-01T00:00:00Z"});
    studio.done("POST /sessions", later).await;
    for id in ["ada", "bob"] {
        studio.done("POST /sessions/next/players", player(id)).await;
    }
    let early = json!({"id": "m3", "players": ["ada", "bob"], "sessionId": "next"});
    assert_eq!(studio.refused("POST /matches", early).await, (409, "conflict".into()), "it has not begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_sees_nothing_of_another() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    studio.done("POST /sessions", json!({"id": "cup", "name": "Cup"})).await;
    let other = Rest::with(server.addr(), "rival", &json!({"org": "rivals", "scope": "publish"}));
    for gone in
        ["/matches/m1", "/players/ada", "/players/ada/history", "/sessions/cup", "/leaderboards/session/cup"]
    {
        assert_eq!(other.refused(&format!("GET {gone}"), Value::Null).await.0, 404, "{gone}");
    }
    for empty in [
        ("/leaderboards/global", "entries"),
        ("/leaderboards", "boards"),
        ("/matches", "matches"),
        ("/players", "players"),
        ("/sessions", "sessions"),
    ] {
        assert_eq!(other.get(empty.0).await[empty.1], json!([]), "{empty:?}");
    }
    let win = json!({"winnerId": "ada", "resultType": "win"});
    assert_eq!(other.refused("POST /matches/m1/result", win).await, (404, "not_found".into()));
    let token = crate::bed::token("ada", &json!({"org": "rivals"}));
    let mut ada = tidings_testkit::client::PlainClient::sign_in(server.addr(), Some(&token)).await.unwrap();
    assert_eq!(code(&subscribe(&mut ada, "match:m1").await), "not_found");
    assert_eq!(
        code(&say(&mut ada, "/matches", "matchAction", json!({"matchId": "m1", "action": "x"})).await),
        "not_found"
    );
    // The same names are other things there.
    other.people(&[("ada", "FR"), ("bob", "FR")]).await;
    other.play("m1", &["ada", "bob"], "bob").await;
    assert_eq!(studio.get("/players/ada").await["eloRating"], 1200);
    assert_eq!(subscribe(&mut ada, "leaderboard:global").await["ok"], true);
    studio.win("m1", "ada").await;
    other.play("m2", &["ada", "bob"], "bob").await;
    // What comes behind all of it marks the end.
    let rival = tidings_testkit::bed::Rest::new(
        server.addr(),
        "/api",
        "rival",
        &json!({"org": "rivals", "scope": "publish"}),
    );
    rival.done("POST /publish", json!({"userId": "ada", "event": "end", "data": 1})).await;
    loop {
        match ada.hear().await.unwrap() {
            Heard::Event { body, .. } if body["event"] == "end" => break,
            Heard::Event { body, .. } => {
                assert_ne!(body["event"], "matchCompleted", "a board's room hears no match of anybody");
            }
            Heard::Closed(code) => panic!("closed ({code:?}) before the end"),
            _ => {}
        }
    }
    let nobody =
        tidings_testkit::client::http(server.addr(), "GET /api/arena/players", "", "").await.unwrap();
    assert_eq!(nobody.0, 401, "{}", nobody.1);
}
