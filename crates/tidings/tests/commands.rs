//! What every door does with what is said there: how it is read, counted and done once.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tidings_testkit::Serving;
use tidings_testkit::bed::{Bed, Rest, code, listens, say};

fn bed() -> Bed {
    Bed::sqlite(env!("CARGO_BIN_EXE_tidings"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_in_the_order_of_the_fields_is_no_data_of_a_command_and_no_body() {
    let bed = bed();
    let server = bed.serve();
    let rest = |base, user: &str| Rest::new(server.addr(), base, user, &json!({"scope": "publish"}));
    let mut ada = listens(server.addr(), "ada").await;
    for data in [json!(["m1", "ready", null]), json!("m1"), json!(5), json!([])] {
        let said = say(&mut ada, "/matches", "matchAction", data.clone()).await;
        assert_eq!(said["error"]["message"], "data must be an object", "{data} {said}");
        let posted = rest("/api/commands", "ada").refused("POST /matches/matchAction", data.clone()).await;
        assert_eq!(posted, (400, "bad_request".into(), "data must be an object".into()), "{data}");
    }
    // Structs within the data as well, and they are named.
    let window = json!({"scope": "global", "window": ["top", 10, null, null]});
    let said = say(&mut ada, "/leaderboard", "subscribe", window).await;
    assert_eq!(said["error"]["message"], "window: invalid type: sequence, expected an object", "{said}");

    let arena = rest("/api/arena", "studio");
    let body = "the body must be an object".to_owned();
    let array = arena.refused("POST /players", json!(["ada", "Ada", "GB"])).await;
    assert_eq!(array, (400, "bad_request".into(), body.clone()));
    assert_eq!(arena.ask("GET /players/ada", Value::Null).await.0, 404, "nobody was made");
    let api = rest("/api", "studio");
    let array = api.refused("POST /publish", json!(["lobby:x", null, null, null, "said", 1])).await;
    assert_eq!(array, (400, "bad_request".into(), body));
    for receipt in [json!([1_000, 2]), json!([[1_000, 2]])] {
        let message = json!({"room": "lobby:x", "event": "said", "data": 1, "receipt": receipt});
        assert_eq!(api.refused("POST /publish", message).await.1, "bad_request", "{receipt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_body_or_a_query_is_told_with_the_name_of_the_field() {
    let bed = bed();
    let server = bed.serve();
    let rest = |base| Rest::new(server.addr(), base, "studio", &json!({"scope": "publish admin"}));
    let (api, arena, trading) = (rest("/api"), rest("/api/arena"), rest("/api/trading"));
    let rules = json!({"id": "r", "name": "R", "rules": {"startingCash": 5}});
    let players = json!({"players": ["ada", 5]});
    let message =
        |more: Value| json!({"messages": [{"room": "lobby:x", "event": "e", "data": 1, "key": more}]});
    let table = [
        (&arena, "POST /players", json!({"id": "ada", "displayName": 5}), "displayName: "),
        (&arena, "POST /players", json!({"id": "ada", "more": 5}), "more: unknown field"),
        (&arena, "POST /matches", players, "players[1]: "),
        (&arena, "GET /players?limit=x", Value::Null, "limit: "),
        (&trading, "POST /rooms", rules, "rules.startingCash: "),
        (&api, "POST /publish", json!({"room": "lobby:x", "event": 5, "data": 1}), "event: "),
        (&api, "POST /publish/batch", message(json!(5)), "messages[0].key: "),
        (&api, "POST /revocations", json!({"userId": "x", "before": "now"}), "before: "),
        (
            &api,
            "POST /auth/login",
            json!({"email": "a@b.example", "password": 12345}),
            "password: is not of the form",
        ),
    ];
    for (who, request, body, field) in table {
        let (status, code, message) = who.refused(request, body).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{request} {message}");
        assert!(message.starts_with(field), "{request}: {message}");
        assert!(!message.contains(" at line ") && !message.contains("12345"), "{request}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_subscribe_counts_as_the_engines_own_at_every_door() {
    let bed = bed();
    let flags = ["serve", "--listen", "127.0.0.1:0", "--host-publish=false"];
    let few =
        ["--limits-publish-per-minute", "2", "--limits-joins-burst", "4", "--limits-joins-per-second", "1"];
    let server = Serving::run(bed.command().args(flags).args(few));
    let rest = |base| Rest::new(server.addr(), base, "ada", &Value::Null);
    let mut ada = listens(server.addr(), "ada").await;
    let board = json!({"scope": "global"});
    let room = json!({"roomId": "none"});
    // Neither is taken from the two publishes a minute, nor says how many are left of them.
    for _ in 0..4 {
        let left = say(&mut ada, "/leaderboard", "unsubscribe", board.clone()).await;
        assert_eq!((&left["ok"], &left["remaining"]), (&json!(true), &Value::Null), "{left}");
        assert_eq!(say(&mut ada, "/trading", "unsubscribe", room.clone()).await["ok"], true);
        let posted = rest("/api/commands").done("POST /leaderboard/unsubscribe", board.clone()).await;
        assert_eq!(posted["remaining"], Value::Null, "{posted}");
    }
    for _ in 0..2 {
        let heard = say(&mut ada, "/leaderboard", "subscribe", board.clone()).await;
        assert_eq!((&heard["ok"], &heard["remaining"]), (&json!(true), &Value::Null), "{heard}");
        let refused = say(&mut ada, "/matches", "subscribe", json!({"matchId": "none"})).await;
        assert_eq!(code(&refused), "not_found", "{refused}");
    }
    // The connection's own limit of subscriptions holds for all of them together.
    let mut over = Vec::new();
    for (ns, data) in [("/trading", room), ("/leaderboard", board), ("/matches", json!({"matchId": "none"}))]
    {
        over.push(code(&say(&mut ada, ns, "subscribe", data).await).to_owned());
    }
    assert!(
        over.iter().filter(|code| *code == "rate_limited").count() >= 2,
        "one more came back at most: {over:?}"
    );
    // Everything else that apps are told is counted, as before.
    let mut codes = Vec::new();
    for _ in 0..3 {
        let end = json!({"matchId": "none", "resultType": "draw"});
        codes.push(code(&say(&mut ada, "/matches", "submitResult", end).await).to_owned());
    }
    assert_eq!(codes, ["forbidden", "forbidden", "rate_limited"]);
}
