//! What every door does with what is said and asked there: how it is read, counted, done once and kept.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_testkit::Serving;
use tidings_testkit::bed::{Bed, Rest, code, listens, say, token};
use tidings_testkit::client::{http, http_whole};

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

/// A Socket.IO client that polls, in a namespace.
struct Polling {
    addr: SocketAddr,
    path: String,
    ns: &'static str,
}

impl Polling {
    async fn open(addr: SocketAddr, ns: &'static str, user: &str) -> Self {
        let path = "/socket.io/?EIO=4&transport=polling".to_owned();
        let (_, opened) = http(addr, &format!("GET {path}"), "", "").await.unwrap();
        let opened: Value = serde_json::from_str(&opened[1..]).unwrap();
        let client = Self { addr, path: format!("{path}&sid={}", opened["sid"].as_str().unwrap()), ns };
        client
            .hears(&format!("40{ns},{}", json!({"token": token(user, &Value::Null)})), &format!("40{ns},"))
            .await;
        client
    }

    /// Says a packet; what comes behind the start of its answer.
    async fn hears(&self, packet: &str, start: &str) -> String {
        let said = http(self.addr, &format!("POST {}", self.path), "", packet).await.unwrap();
        assert_eq!(said, (200, "ok".to_owned()), "{packet}");
        loop {
            let (status, heard) = http(self.addr, &format!("GET {}", self.path), "", "").await.unwrap();
            assert_eq!(status, 200, "{heard}");
            if let Some(answer) = heard.split('\u{1e}').find_map(|packet| packet.strip_prefix(start)) {
                return answer.to_owned();
            }
        }
    }

    /// Says a command with what stands behind its data; the answer.
    async fn say(&self, id: u64, name: &str, data: &Value, behind: &Value) -> Value {
        let packet = format!("42{},{id}{}", self.ns, json!([name, data, behind]));
        let answer = self.hears(&packet, &format!("43{},{id}", self.ns)).await;
        serde_json::from_str::<Value>(&answer).unwrap()[0].take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_refused_and_not_left_out() {
    let bed = bed();
    let server = bed.serve();
    let ada = Polling::open(server.addr(), "/leaderboard", "ada").await;
    let board = json!({"scope": "global"});
    let long = "x".repeat(129);
    let wrong = [
        (json!({"key": 5}), "key must be a string"),
        (json!({"key": ["a"]}), "key must be a string"),
        (json!({"key": ""}), "key must not be empty"),
        (json!({"key": long}), "key is too long"),
        (json!({"key": "a\nb"}), "key must not have control characters"),
    ];
    let mut plain = listens(server.addr(), "ada").await;
    for (at, (behind, sentence)) in (0..).zip(wrong) {
        let refused = ada.say(at, "unsubscribe", &board, &behind).await;
        assert_eq!((code(&refused), &refused["error"]["message"]), ("bad_request", &json!(sentence)));
        let same = json!({"type": "command", "ns": "/leaderboard", "name": "unsubscribe", "data": board, "key": behind["key"]});
        assert_eq!(
            plain.ask(same).await.unwrap()["error"],
            refused["error"],
            "as the plain protocol says it"
        );
    }
    for (at, behind) in
        (10..).zip([json!({"key": "a"}), json!({"key": null}), json!({}), json!("a"), Value::Null])
    {
        assert_eq!(ada.say(at, "unsubscribe", &board, &behind).await["ok"], true, "{behind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_takes_its_key_from_the_header_as_well_and_no_two_that_differ() {
    let bed = bed();
    let server = bed.serve();
    let rest = Rest::new(server.addr(), "/api", "ada", &Value::Null);
    let message = json!({"room": "lobby:x", "event": "said", "data": 1});
    let mut keyed = message.clone();
    keyed["key"] = json!("k1");
    let batch = json!({"messages": [message, message]});
    for (request, body) in [("POST /publish", &message), ("POST /publish/batch", &batch)] {
        let key = Some(if body == &message { "k1" } else { "k2" });
        let ids = |answer: &Value| match answer["results"].as_array() {
            Some(results) => results.iter().map(|one| one["messageId"].clone()).collect(),
            None => vec![answer["messageId"].clone()],
        };
        let (status, first) = rest.try_ask(request, key, body).await.unwrap();
        let (_, again) = rest.try_ask(request, key, body).await.unwrap();
        assert_eq!((status, ids(&again)), (200, ids(&first)), "{request} {again}");
        assert!(again.to_string().contains("\"duplicate\":true"), "{request} {again}");
        let mut other = body.clone();
        other["key"] = json!("another");
        let (status, refused) = rest.try_ask(request, key, &other).await.unwrap();
        assert_eq!((status, code(&refused)), (400, "bad_request"), "{request} {refused}");
    }
    let (_, same) = rest.try_ask("POST /publish", Some("k1"), &keyed).await.unwrap();
    assert_eq!(same["duplicate"], true, "the same key twice is one: {same}");
    let (_, alone) = rest.try_ask("POST /publish", None, &keyed).await.unwrap();
    assert_eq!(alone["duplicate"], true, "{alone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_under_a_key_is_the_same_however_it_is_spaced_and_ordered() {
    let bed = bed();
    let server = bed.serve();
    let token = token("studio", &json!({"scope": "publish"}));
    let headers = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nIdempotency-Key: ada:add\r\n"
    );
    let add =
        async |body: &str| http(server.addr(), "POST /api/arena/matches", &headers, body).await.unwrap();
    let rest = Rest::new(server.addr(), "/api/arena", "studio", &json!({"scope": "publish"}));
    for id in ["ada", "bob"] {
        rest.done("POST /players", json!({"id": id, "displayName": id})).await;
    }
    let (status, first) = add(r#"{"id":"m1","players":["ada","bob"]}"#).await;
    assert!(status < 300 && !first.contains("duplicate"), "{first}");
    let (status, again) = add("{ \"players\": [\"ada\", \"b\\u006fb\"],\n  \"id\": \"m1\" }").await;
    assert!(status < 300 && again.contains("\"duplicate\":true"), "{status} {again}");
    let (status, other) = add(r#"{"id":"m1","players":["bob","ada"]}"#).await;
    assert_eq!(status, 409, "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_in_a_lobby_who_is_there() {
    let bed = bed();
    let server = bed.serve();
    let rest = Rest::new(server.addr(), "/api", "ada", &Value::Null);
    let mut ada = listens(server.addr(), "ada").await;
    for event in ["userOnline", "userOffline", "tidings:presence"] {
        let message =
            json!({"type": "publish", "room": "lobby:x", "event": event, "data": {"userId": "bob"}});
        let refused = ada.ask(message.clone()).await.unwrap();
        assert_eq!(refused["error"]["message"], "event is a reserved name", "{event} {refused}");
        assert_eq!(rest.refused("POST /publish", message).await.1, "bad_request", "{event}");
    }
}

/// Status, `ETag` and `Tidings-Position` of something that is read.
async fn read(addr: SocketAddr, path: &str, tag: &str) -> (u16, Option<String>, Option<String>) {
    let token = token("studio", &json!({"scope": "publish"}));
    let headers = format!("Authorization: Bearer {token}\r\nIf-None-Match: {tag}\r\n");
    let (status, head, _) = http_whole(addr, &format!("GET {path}"), &headers, "").await.unwrap();
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    (status, value("etag"), value("tidings-position"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_is_asked_for_has_a_tag_and_a_history_the_place_it_is_dropped_from() {
    let bed = bed();
    let server = bed.serve();
    let mut ada = listens(server.addr(), "ada").await;
    assert_eq!(ada.ask(json!({"type": "subscribe", "room": "lobby:x"})).await.unwrap()["ok"], true);
    let said = json!({"type": "publish", "room": "lobby:x", "event": "said", "data": 1});
    let at = ada.ask(said.clone()).await.unwrap();
    let text = |field: &str| at[field].as_str().unwrap().to_owned();
    let place = format!("room=lobby:x; epoch={}; offset=1; tag={}", text("epoch"), text("tag"));
    let room = "/api/rooms/lobby:x";
    let paths = [
        (format!("{room}/history"), Some(&place)),
        // Of somebody who is there it is said when, which is new each time.
        ("/api/rooms/lobby:empty/presence".to_owned(), None),
        (format!("{room}/stats"), Some(&place)),
        ("/api/rooms".to_owned(), None),
        ("/api/users/bob/presence".to_owned(), None),
        ("/api/apps".to_owned(), None),
        ("/api/openapi.json".to_owned(), None),
    ];
    for (path, place) in &paths {
        let (status, tag, position) = read(server.addr(), path, "\"\"").await;
        assert_eq!((status, position.as_ref()), (200, *place), "{path}");
        let tag = tag.unwrap_or_else(|| panic!("{path} has no tag"));
        assert_eq!(read(server.addr(), path, &tag).await, (304, Some(tag.clone()), position), "{path}");
    }
    let (_, before, _) = read(server.addr(), &paths[0].0, "\"\"").await;
    assert_eq!(ada.ask(said).await.unwrap()["offset"], 2);
    let (status, after, _) = read(server.addr(), &paths[0].0, &before.clone().unwrap()).await;
    assert_eq!(status, 200);
    assert_ne!(after, before);
    assert_eq!(read(server.addr(), "/api/rooms/nothing:x/history", "\"\"").await, (404, None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_takes_and_answers_is_described() {
    let bed = bed();
    let server =
        Serving::run(bed.command().args(["serve", "--listen", "127.0.0.1:0", "--host-publish=false"]));
    let (_, text) = http(server.addr(), "GET /api/asyncapi.json", "", "").await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let described =
        |kind: &str, field: &str| document["components"]["schemas"][kind]["properties"].get(field).is_some();
    let mut ada = listens(server.addr(), "ada").await;
    let position = json!({"epoch": "0".repeat(16), "offset": 0});
    let table = [
        (
            "PublishEvent",
            "PublishedEvent",
            json!({"type": "publish", "room": "lobby:x", "event": "e", "data": 1, "slot": "s"}),
        ),
        ("OfHistory", "History", json!({"type": "history", "room": "lobby:x", "since": position})),
        ("PresenceSet", "PresenceWas", json!({"type": "presence:set", "status": "away"})),
    ];
    for (taken, told, message) in table {
        let answer = ada.ask(message.clone()).await.unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for field in fields(&message).iter().filter(|field| *field != "type") {
            assert!(described(taken, field), "{taken} {field}");
        }
        for field in fields(&answer).iter().filter(|field| !["type", "id", "ok"].contains(&field.as_str())) {
            assert!(described(told, field), "{told} {field}");
        }
    }
    assert!(described("PublishedEvent", "held"));
    for event in ["tidings:token", "tidings:skipped", "tidings:behind"] {
        assert!(document["components"]["messages"].get(format!("root.{event}")).is_some(), "{event}");
    }
}
