//! Rooms that are over are removed, with everything of theirs (B7).

use std::time::Instant;

use serde_json::{Value, json};
use tidings_app::Org;
use tidings_store::{Store, StoreOptions, args};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient};
use tidings_trading::images::rows::{self, Name};
use tidings_trading::journal::Hash;

use crate::bed::{Bed, Rest, listens, order, rules, say, subscribe};

/// Waits until somebody is taken out of a room.
async fn taken_out(client: &mut PlainClient, room: &str) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match client.hear().await.unwrap() {
            Heard::Other(body) if body["room"] == room && body["reason"] == "closed" => return,
            Heard::Event { body, .. } if body["room"] == room && body["data"]["reason"] == "closed" => return,
            Heard::Closed(code) => panic!("closed ({code:?})"),
            _ => {}
        }
    }
    panic!("nobody was taken out of {room}");
}

/// Rows that are left of rooms.
async fn left(bed: &Bed) -> i64 {
    let store = Store::open(&bed.url, &StoreOptions::default()).await.unwrap();
    let sql = "SELECT (SELECT count(*) FROM trading_rooms) + (SELECT count(*) FROM trading_journal) + \
               (SELECT count(*) FROM trading_snapshots) + (SELECT count(*) FROM trading_replays) + \
               (SELECT count(*) FROM trading_tapes) + (SELECT count(*) FROM trading_removed) + \
               (SELECT count(*) FROM trading_images) + (SELECT count(*) FROM trading_image_parts)";
    let row = store.read().await.unwrap().row(sql, args![]).await.unwrap();
    let left = row.unwrap().int(0).unwrap();
    store.close().await;
    left
}

/// Gives a room an image.
async fn give_image(bed: &Bed) {
    let store = Store::open(&bed.url, &StoreOptions::default()).await.unwrap();
    let (key, mut tx) = ((Org::default(), "r1".to_owned()), store.begin().await.unwrap());
    let name = Name { seq: 1, version: 1 };
    for part in 0..3 {
        rows::add_part(&mut tx, &key, name, (part, b"part")).await.unwrap();
    }
    assert!(rows::name_it(&mut tx, &key, (name, Hash::of("link"), 3), 1).await.unwrap());
    tx.commit().await.unwrap();
    store.close().await;
}

const SOON: [&str; 2] = ["--apps-trading-keep-ended-seconds=1", "--apps-trading-keep-unjoined-seconds=3600"];

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_ended_is_removed_in_time_and_its_id_is_free_again() {
    for bed in Bed::both().await {
        let server = bed.serve_with(&SOON);
        let exchange = Rest::server(server.addr());
        exchange.done("POST /rooms", json!({"id": "r1", "name": "Old", "rules": rules(Value::Null)})).await;
        exchange.done("POST /rooms/r1/replay", json!({"csv": "at,symbol,price\n2010-03-01,ACME,10\n"})).await;
        exchange.done("POST /rooms/r1/open", Value::Null).await;
        Rest::user(server.addr(), "ada").done("POST /rooms/r1/join", Value::Null).await;
        let (mut eve, mut ada) = (listens(server.addr(), "eve").await, listens(server.addr(), "ada").await);
        subscribe(&mut eve, "trade:r1").await;
        subscribe(&mut ada, "trade:r1:ada").await;
        exchange.done("POST /rooms/r1/start", Value::Null).await;
        exchange.done("POST /rooms/r1/snapshots", Value::Null).await;
        give_image(&bed).await;
        exchange.done("POST /rooms/r1/end", Value::Null).await;
        exchange
            .done("POST /rooms", json!({"id": "draft", "name": "New", "rules": rules(Value::Null)}))
            .await;
        taken_out(&mut eve, "trade:r1").await;
        taken_out(&mut ada, "trade:r1:ada").await;
        assert_eq!(exchange.refused("GET /rooms/r1", Value::Null).await.0, 404);
        assert_eq!(exchange.refused("GET /rooms/r1/export", Value::Null).await.0, 404);
        assert_eq!(subscribe(&mut eve, "trade:r1").await["error"]["code"], "not_found");
        let history = eve.ask(json!({"type": "history", "room": "trade:r1"})).await.unwrap();
        assert_eq!(history["error"]["code"], "not_found", "{history}");
        let placed = say(&mut ada, "order:place", order("a", "buy", "1", Value::Null)).await;
        assert_eq!(placed["error"]["code"], "not_found", "{placed}");
        // A draft is young: it stays, and with it one row.
        let begun = Instant::now();
        while left(&bed).await > 1 {
            assert!(begun.elapsed() < PATIENCE, "its journal is still there");
        }
        assert_eq!(exchange.get("/rooms/draft").await["state"], "draft");
        // The next of the same id begins from nothing.
        exchange.room("r1", &["bob"], Value::Null).await;
        let shown = exchange.get("/rooms/r1").await;
        assert_eq!((&shown["members"], &shown["journal"]), (&json!(1), &json!(3)), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_nobody_joined_is_removed_in_time_and_one_with_a_member_stays() {
    for bed in Bed::both().await {
        let server = bed.serve_with(&["--apps-trading-keep-unjoined-seconds=1"]);
        let exchange = Rest::server(server.addr());
        let make = async |id: &str| {
            exchange
                .done("POST /rooms", json!({"id": id, "name": "A room", "rules": rules(Value::Null)}))
                .await;
            exchange.done(&format!("POST /rooms/{id}/open"), Value::Null).await;
        };
        make("r1").await;
        exchange.done("POST /rooms/r1/join", json!({"userId": "ada"})).await;
        make("r2").await;
        let mut eve = listens(server.addr(), "eve").await;
        subscribe(&mut eve, "trade:r2").await;
        taken_out(&mut eve, "trade:r2").await;
        assert_eq!(exchange.refused("GET /rooms/r2", Value::Null).await.0, 404);
        assert_eq!(exchange.get("/rooms/r1").await["members"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lets_go_of_a_room_that_another_has_removed() {
    let [_, bed] = Bed::both().await;
    let keeps = bed.serve();
    let exchange = Rest::server(keeps.addr());
    exchange.room("r1", &["ada"], Value::Null).await;
    let mut ada = listens(keeps.addr(), "ada").await;
    subscribe(&mut ada, "trade:r1:ada").await;
    exchange.done("POST /rooms/r1/end", Value::Null).await;
    let _removes = bed.serve_with(&SOON);
    taken_out(&mut ada, "trade:r1:ada").await;
    assert_eq!(exchange.refused("GET /rooms/r1", Value::Null).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_an_id_that_was_used_before_is_another_on_every_server() {
    let [_, bed] = Bed::both().await;
    let (remembers, removes) = (bed.serve(), bed.serve_with(&SOON));
    let (here, there) = (Rest::server(remembers.addr()), Rest::server(removes.addr()));
    here.room("r1", &["ada"], Value::Null).await;
    here.price("r1", "10", None).await;
    here.done("POST /rooms/r1/end", Value::Null).await;
    let begun = Instant::now();
    while there.ask("GET /rooms/r1", Value::Null).await.0 != 404 {
        assert!(begun.elapsed() < PATIENCE, "it was not removed");
    }
    // Its journal may take another step.
    let made = json!({"id": "r1", "name": "Next", "rules": rules(json!({"startingCash": "500"}))});
    while there.ask("POST /rooms", made.clone()).await.0 != 201 {
        assert!(begun.elapsed() < PATIENCE, "its id is not free");
    }
    for (request, body) in [("open", Value::Null), ("join", json!({"userId": "bob"})), ("start", Value::Null)]
    {
        there.done(&format!("POST /rooms/r1/{request}"), body).await;
    }
    there.price("r1", "20", None).await;
    // This one may not have noticed yet, and goes by what stands in the database.
    let mut bob = listens(remembers.addr(), "bob").await;
    let placed = say(&mut bob, "order:place", order("a", "buy", "10", Value::Null)).await;
    assert_eq!(placed["status"], "filled", "{placed}");
    let portfolio = Rest::user(remembers.addr(), "bob").get("/rooms/r1/portfolio").await;
    assert_eq!(portfolio["cash"], "299.8", "{portfolio}");
    let (one, other) = (here.get("/rooms/r1").await, there.get("/rooms/r1").await);
    assert_eq!((&one["chain"], &one["digest"]), (&other["chain"], &other["digest"]));
}
