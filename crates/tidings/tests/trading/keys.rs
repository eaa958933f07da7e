//! What is asked under a key is done once, and a repeat is answered as the first was.

use serde_json::{Value, json};
use tidings_testkit::client::PlainClient;

use crate::bed::{Bed, Rest, hear, listens, order, rules, subscribe};

/// Asks twice under a key, and for something else under it, which is a conflict; what was answered first.
async fn twice(who: &Rest, request: &str, body: Value) -> Value {
    let key = request.replace(['/', ' '], "-");
    let (status, first) = who.try_ask(request, Some(&key), &body).await.unwrap();
    assert!(status < 300, "{request}: {first}");
    let (again, mut second) = who.try_ask(request, Some(&key), &body).await.unwrap();
    assert_eq!((again, second["duplicate"].take()), (status, json!(true)), "{request}: {second}");
    second.as_object_mut().unwrap().remove("duplicate");
    assert_eq!(first, second, "{request}");
    let other = json!({"id": "other", "name": "Another", "rules": rules(Value::Null)});
    let (status, other) = who.try_ask("POST /rooms", Some(&key), &other).await.unwrap();
    assert_eq!((status, &other["error"]["code"]), (409, &json!("conflict")), "{request}: {other}");
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_twice_under_a_key_by_http_is_done_once() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        let ada = Rest::user(server.addr(), "ada");
        let made = |id, more| json!({"id": id, "name": "A room", "rules": rules(more)});
        twice(&exchange, "POST /rooms", made("r1", Value::Null)).await;
        let fed = json!({"instruments": [{
            "symbol": "AAPL", "tickSize": "0.01", "lotSize": "1", "minQuantity": "1", "maxQuantity": "1000",
            "maxPosition": "5000", "maxPrice": "100000",
        }]});
        exchange.done("POST /rooms", made("r2", fed)).await;
        let fed = twice(&exchange, "POST /rooms/r2/replay", json!({"tape": "sample", "rate": 1})).await;
        assert_eq!(fed["given"], 0, "{fed}");
        assert_eq!(twice(&exchange, "POST /rooms/r1/open", Value::Null).await["state"], "open");
        assert_eq!(twice(&ada, "POST /rooms/r1/join", Value::Null).await["cash"], "10000");
        exchange.done("POST /rooms/r1/join", json!({"userId": "bob"})).await;
        twice(&exchange, "POST /rooms/r1/leave", json!({"userId": "bob"})).await;
        assert_eq!(twice(&exchange, "POST /rooms/r1/start", Value::Null).await["state"], "running");
        let price = |volume| json!({"prices": [{"symbol": "ACME", "price": "10", "volume": volume}]});
        twice(&exchange, "POST /rooms/r1/prices", price("0")).await;
        let buy = json!({"clientOrderId": "a", "symbol": "ACME", "side": "buy", "type": "market", "quantity": "100"});
        assert_eq!(twice(&ada, "POST /rooms/r1/orders", buy).await["orderId"], "o1");
        let body = price("30");
        let sell = |key| exchange.try_ask("POST /rooms/r1/prices", Some(key), &body);
        for _ in 0..3 {
            assert_eq!(sell("thirty").await.unwrap().1["taken"], 1);
        }
        assert_eq!(
            ada.get("/rooms/r1/positions").await["positions"][0]["quantity"],
            "30",
            "the volume counts once"
        );
        let other = exchange.try_ask("POST /rooms/r1/prices", Some("thirty"), &price("31")).await.unwrap();
        assert_eq!((other.0, &other.1["error"]["code"]), (409, &json!("conflict")), "{}", other.1);
        twice(&ada, "POST /rooms/r1/cancel-after", json!({"afterMs": 60_000})).await;
        twice(&ada, "DELETE /rooms/r1/orders/o1", Value::Null).await;
        let kept = twice(&exchange, "POST /rooms/r1/snapshots", Value::Null).await;
        assert_eq!(kept["snapshotId"], "1");
        assert_eq!(exchange.get("/rooms/r1/snapshots").await["snapshots"].as_array().unwrap().len(), 1);
        assert_eq!(twice(&exchange, "POST /rooms/r1/end", Value::Null).await["state"], "ended");
        let long =
            exchange.try_ask("POST /rooms/r1/end", Some(&"k".repeat(129)), &Value::Null).await.unwrap();
        assert_eq!(long.0, 400, "{}", long.1);
        let lines = exchange.export("r1").await;
        assert_eq!(lines.iter().filter(|line| line.contains("\"price\",")).count(), 2, "{lines:?}");
    }
}

async fn say(client: &mut PlainClient, key: &str, name: &str, data: Value) -> Value {
    let asked = json!({"type": "command", "ns": "/trading", "name": name, "key": key, "data": data});
    client.ask(asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_twice_under_a_key_by_socket_is_done_once_also_over_a_kill() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        exchange.price("r1", "10", None).await;
        let mut ada = listens(server.addr(), "ada").await;
        let low = |client| order(client, "buy", "1", json!({"type": "limit", "price": "1"}));
        let first = say(&mut ada, "K", "order:place", low("a")).await;
        assert_eq!((&first["orderId"], &first["duplicate"]), (&json!("o1"), &Value::Null), "{first}");
        for (name, data) in [
            ("order:place", low("b")),
            ("order:cancel", json!({"roomId": "r1", "orderId": "o1"})),
            ("order:cancel_after", json!({"roomId": "r1", "afterMs": 60_000})),
        ] {
            let other = say(&mut ada, "K", name, data).await;
            assert_eq!(other["error"]["code"], "conflict", "{name}: {other}");
        }
        // What is refused leaves the key as it was.
        let refused = say(&mut ada, "L", "order:place", order("c", "sell", "1", Value::Null)).await;
        assert_eq!(refused["error"]["code"], "conflict", "{refused}");
        let placed = say(&mut ada, "L", "order:place", low("b")).await;
        assert_eq!(placed["orderId"], "o2", "{placed}");
        let cancelled = say(&mut ada, "M", "order:cancel", json!({"roomId": "r1", "orderId": "o2"})).await;
        let again = say(&mut ada, "M", "order:cancel", json!({"roomId": "r1", "orderId": "o2"})).await;
        assert_eq!((&again["status"], &again["duplicate"]), (&cancelled["status"], &json!(true)), "{again}");
        let switch = json!({"roomId": "r1", "afterMs": 60_000});
        let armed = say(&mut ada, "N", "order:cancel_after", switch.clone()).await;
        let again = say(&mut ada, "N", "order:cancel_after", switch).await;
        assert_eq!((&again["cancelAt"], &again["duplicate"]), (&armed["cancelAt"], &json!(true)), "{again}");
        server.kill();
        let server = bed.serve();
        let mut ada = listens(server.addr(), "ada").await;
        let again = say(&mut ada, "K", "order:place", low("a")).await;
        assert_eq!((&again["orderId"], &again["duplicate"]), (&json!("o1"), &json!(true)), "{again}");
        let orders = Rest::user(server.addr(), "ada").get("/rooms/r1/orders").await;
        assert_eq!(orders["orders"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_under_one_key_are_one_and_under_keys_of_their_own_all_of_them() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], json!({"maxOpenOrders": 200})).await;
        exchange.price("r1", "10", Some("0")).await;
        let mut hears = listens(server.addr(), "ada").await;
        subscribe(&mut hears, "trade:r1:ada").await;
        let body = json!({"prices": [{"symbol": "ACME", "price": "11", "volume": "1"}]});
        let asks = |key: String| {
            let (exchange, body) = (exchange.clone(), body.clone());
            tokio::spawn(async move {
                // A busy server asks one to come back, which a key is for.
                loop {
                    let answered = exchange.try_ask("POST /rooms/r1/prices", Some(&key), &body).await;
                    match answered {
                        Ok((200, answer)) => return answer,
                        Ok((503, _)) | Err(_) => {}
                        Ok(other) => panic!("{other:?}"),
                    }
                }
            })
        };
        let bought = order("a", "buy", "500", Value::Null);
        let mut ada = listens(server.addr(), "ada").await;
        assert_eq!(say(&mut ada, "o", "order:place", bought).await["ok"], true);
        let same: Vec<_> = (0..20).map(|_| asks("same".into())).collect();
        let own: Vec<_> = (0..60).map(|at| asks(format!("own-{at}"))).collect();
        for asking in same.into_iter().chain(own) {
            assert_eq!(asking.await.unwrap()["taken"], 1);
        }
        for _ in 0..61 {
            assert_eq!(hear(&mut hears, "order:executed").await["data"]["quantity"], "1");
        }
        let held = Rest::user(server.addr(), "ada").get("/rooms/r1/positions").await;
        assert_eq!(held["positions"][0]["quantity"], "61");
    }
}
