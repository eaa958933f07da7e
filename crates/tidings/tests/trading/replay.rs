//! Rooms that are fed from a file of prices (B2).

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_testkit::client::PATIENCE;
use tidings_trading::export;

use crate::bed::{Bed, Rest, rules};

const PRICES: u64 = 60;

/// A price each second of an hour long ago, and others of what the room does not trade.
fn tape() -> String {
    let mut csv = String::from("at,symbol,price,volume\n");
    for at in 0..PRICES {
        writeln!(csv, "2010-03-01T09:00:{at:02}Z,ACME,{},{}", at + 1, 100 + at).unwrap();
        writeln!(csv, "2010-03-01T09:00:{at:02}Z,OTHER,1,").unwrap();
    }
    csv
}

/// A room that is open, and fed from prices when it is started.
async fn fed(exchange: &Rest, more: Value, replay: Value) -> Value {
    exchange.done("POST /rooms", json!({"id": "r1", "name": "Fed", "rules": rules(more)})).await;
    exchange.done("POST /rooms/r1/open", Value::Null).await;
    exchange.done("POST /rooms/r1/replay", replay).await
}

/// Waits until so much of the file is done with.
async fn given(exchange: &Rest, least: u64) {
    let begun = Instant::now();
    while exchange.get("/rooms/r1/replay").await["given"].as_u64().unwrap() < least {
        assert!(begun.elapsed() < PATIENCE, "no prices came");
    }
}

/// Every price of the file is in the journal once, in its order.
async fn has_them_all(exchange: &Rest) {
    let shown = exchange.get("/rooms/r1/replay").await;
    assert_eq!((&shown["given"], &shown["nextAt"]), (&json!(2 * PRICES), &Value::Null), "{shown}");
    exchange.done("POST /rooms/r1/end", Value::Null).await;
    let lines = exchange.export("r1").await;
    export::verify(lines.iter().map(String::as_str)).unwrap();
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prices: Vec<&Value> =
        lines.iter().map(|line| &line["input"]).filter(|input| input["do"] == "price").collect();
    let expected: Vec<Value> = (0..PRICES)
        .map(|at| {
            let (price, volume) = ((at + 1).to_string(), (100 + at).to_string());
            json!({"do": "price", "symbol": "ACME", "price": price, "volume": volume})
        })
        .collect();
    assert_eq!(prices, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_fed_from_a_file_and_goes_on_where_it_was_after_the_server_was_killed() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        // Ten of its seconds are one, of which five of the file's are one.
        let replay = json!({"csv": tape(), "rate": 5});
        let set = fed(&exchange, json!({"speed": 10}), replay).await;
        assert_eq!(
            (&set["tape"], &set["given"], &set["total"]),
            (&json!("own"), &json!(0), &json!(2 * PRICES))
        );
        exchange.done("POST /rooms/r1/start", Value::Null).await;
        given(&exchange, 20).await;
        let shown = exchange.get("/rooms/r1").await;
        assert!(shown["prices"][0]["price"].is_string(), "{shown}");
        server.kill();
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        given(&exchange, 2 * PRICES).await;
        has_them_all(&exchange).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_database_give_each_price_once() {
    let [_, bed] = Bed::both().await;
    let (one, other) = (bed.serve(), bed.serve());
    let exchange = Rest::server(one.addr());
    fed(&exchange, json!({"speed": 10}), json!({"csv": tape(), "rate": 5})).await;
    exchange.done("POST /rooms/r1/start", Value::Null).await;
    given(&exchange, 2 * PRICES).await;
    drop(one);
    has_them_all(&Rest::server(other.addr())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_played_is_refused_with_its_line() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let (exchange, ada) = (Rest::server(server.addr()), Rest::user(server.addr(), "ada"));
        let made = json!({"id": "r1", "name": "Mine", "rules": rules(Value::Null)});
        ada.done("POST /rooms", made).await;
        let post = "POST /rooms/r1/replay";
        let head = "at,symbol,price\n2010-03-01,ACME,1\n";
        for (replay, says) in [
            (json!({"csv": format!("{head}2010-02-01,ACME,1\n")}), "csv: line 3: at: is earlier"),
            (json!({"csv": format!("{head}2010-03-02,ACME,1.234\n")}), "line 3: ACME: price: expected ticks"),
            (json!({"csv": "at,symbol,price\n2010-03-01,NONE,1\n"}), "the room has no instrument"),
            (json!({"tape": "sample"}), "the room has no instrument"),
            (json!({"tape": "server"}), "tape: expected sample"),
            (json!({"tape": "sample", "csv": head}), "expected either tape or csv"),
            (json!({}), "expected either tape or csv"),
            (json!({"csv": head, "rate": 0}), "expected 1 to"),
        ] {
            let (status, sentence) = exchange.refused(post, replay.clone()).await;
            assert!(status == 400 && sentence.contains(says), "{replay}: {status} {sentence}");
        }
        assert_eq!(ada.refused(post, json!({"csv": head})).await.0, 403, "who trades makes no prices");
        let eve = Rest::user(server.addr(), "eve");
        assert_eq!(eve.refused(post, json!({"csv": head})).await.0, 404, "a draft is its owner's");
        assert_eq!(ada.get("/rooms/r1/replay").await, json!({"tape": null}), "it is not fed");
        // What is larger than a command may be is taken here, up to a bound of its own.
        let long = format!("{head}{}", "# nothing\n".repeat(40_000));
        exchange.done(post, json!({"csv": long})).await;
        let longer = format!("{head}{}", "# nothing\n".repeat(110_000));
        let (status, sentence) = exchange.refused(post, json!({"csv": longer})).await;
        assert!(status == 400 && sentence.contains("at most 1048576 bytes"), "{status} {sentence}");
        ada.done("POST /rooms/r1/open", Value::Null).await;
        ada.done("POST /rooms/r1/start", Value::Null).await;
        assert_eq!(exchange.refused(post, json!({"csv": head})).await.0, 409, "it was started");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_fed_from_the_operators_file_and_a_wrong_one_keeps_the_server_from_starting() {
    for bed in Bed::both().await {
        let file = bed.place.path().join("prices.csv");
        std::fs::write(&file, tape()).unwrap();
        let server = bed.serve_with(&["--apps-trading-prices", file.to_str().unwrap()]);
        let ada = Rest::user(server.addr(), "ada");
        let set = fed(&ada, json!({"speed": 100}), json!({"tape": "server", "rate": 100})).await;
        assert_eq!(set["tape"], "server");
        server.kill();
        // It is kept with the room, so it may be another when the room begins.
        std::fs::write(&file, "at,symbol,price\n2010-03-01,ACME,one\n").unwrap();
        let mut command = bed.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--apps-trading-prices"]).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && said.contains("prices.csv: line 2: price: expected"), "{said}");
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.done("POST /rooms/r1/start", Value::Null).await;
        given(&exchange, 2 * PRICES).await;
        has_them_all(&exchange).await;
    }
}
