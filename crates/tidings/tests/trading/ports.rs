//! REST on one port and the plain protocol on another, by two variables (B1), and what is known of who listens (B7).

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_testkit::bed::token;
use tidings_testkit::client::{Heard, PlainClient, http};
use tidings_testkit::{Serving, free_port};

use crate::bed::{Bed, Rest, hear, order, say, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn rest_is_on_port_and_the_plain_protocol_on_ws_port_and_one_trades_by_both() {
    for bed in Bed::both().await {
        let (rest, sockets) = (free_port(), free_port());
        let mut command = bed.command();
        command.arg("serve").envs([("PORT", rest.to_string()), ("WS_PORT", sockets.to_string())]);
        // Not each 25 seconds. That who says nothing is closed after five is tested in `serve.rs`.
        command.env("TIDINGS_HEARTBEAT__INTERVAL_MS", "1000");
        let server = Serving::run(&mut command);
        let sockets = SocketAddr::from(([127, 0, 0, 1], sockets));
        assert_eq!(server.addr(), SocketAddr::from(([127, 0, 0, 1], rest)));

        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        exchange.price("r1", "10", None).await;
        let mut ada = PlainClient::sign_in(sockets, Some(&token("ada", &Value::Null))).await.unwrap();
        assert_eq!(subscribe(&mut ada, "trade:r1:ada").await["snapshot"]["account"]["cash"], "10000");
        assert_eq!(subscribe(&mut ada, "trade:r1").await["snapshot"]["room"]["state"], "running");
        // By the socket, and by HTTP; both are heard on the socket.
        assert_eq!(
            say(&mut ada, "order:place", order("a", "buy", "7", Value::Null)).await["status"],
            "filled"
        );
        assert_eq!(hear(&mut ada, "order:executed").await["data"]["clientOrderId"], "a");
        let placed = json!({"clientOrderId": "b", "symbol": "ACME", "side": "sell", "type": "market", "quantity": "2"});
        let rest = Rest::user(server.addr(), "ada");
        assert_eq!(rest.done("POST /rooms/r1/orders", placed).await["status"], "filled");
        assert_eq!(hear(&mut ada, "order:executed").await["data"]["clientOrderId"], "b");
        assert_eq!(rest.get("/rooms/r1/positions").await["positions"][0]["quantity"], "5");

        assert_eq!(listeners(&server, "trade:r1").await, 1);
        let mut eve = PlainClient::sign_in(sockets, Some(&token("eve", &Value::Null))).await.unwrap();
        subscribe(&mut eve, "trade:r1").await;
        assert_eq!(listeners(&server, "trade:r1").await, 2);
        let left = eve.ask(json!({"type": "unsubscribe", "room": "trade:r1"})).await.unwrap();
        assert_eq!(left["ok"], true, "{left}");
        assert_eq!(listeners(&server, "trade:r1").await, 1);
        // The server looks after each connection.
        loop {
            match eve.hear().await.unwrap() {
                Heard::Other(body) if body["type"] == "ping" || body["type"] == "heartbeat" => break,
                Heard::Closed(code) => panic!("closed ({code:?}) without a heartbeat"),
                _ => {}
            }
        }
        let mut stranger = PlainClient::connect(sockets).await.unwrap();
        stranger.say(&json!({"type": "subscribe", "id": 1, "room": "trade:r1"})).await.unwrap();
        let closed = loop {
            if let Heard::Closed(code) = stranger.hear().await.unwrap() {
                break code;
            }
        };
        assert_eq!(closed, Some(4401), "the sign-in comes first");
    }
}

/// How many listen to a room.
async fn listeners(server: &Serving, room: &str) -> u64 {
    let headers = format!("Authorization: Bearer {}\r\n", token("ada", &Value::Null));
    let asked = http(server.addr(), &format!("GET /api/rooms/{room}/stats"), &headers, "").await;
    let (status, answer) = asked.unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["connections"].as_u64().unwrap()
}
