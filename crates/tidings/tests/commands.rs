//! What every door does with what is said to apps: how it is read, counted and done once.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tidings_testkit::bed::{Bed, Rest, listens, say};

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
