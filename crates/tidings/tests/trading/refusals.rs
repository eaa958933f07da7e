//! Who may not do what, and with which code it is said.

use serde_json::{Value, json};
use tidings_testkit::bed;
use tidings_testkit::client::PlainClient;

use crate::bed::{Bed, Rest, hear, listens, order, rules, say, subscribe, token};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_room_refuses_is_said_by_its_code() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada", "bob"], json!({"ordersPerSecond": 1, "orderBurst": 2})).await;
        let mut ada = listens(server.addr(), "ada").await;
        let no_price = say(&mut ada, "order:place", order("a", "buy", "1", Value::Null)).await;
        assert_eq!(no_price["error"]["code"], "conflict", "{no_price}");
        exchange.price("r1", "10", None).await;
        for (wrong, code, reason) in [
            (order("a", "buy", "0.5", Value::Null), "bad_request", "bad_size"),
            (order("a", "buy", "1", json!({"price": "10"})), "bad_request", "bad_tick"),
            (order("a", "buy", "1", json!({"type": "limit", "price": "9.999"})), "bad_request", "bad_tick"),
            (order("a", "buy", "1", json!({"symbol": "NONE"})), "not_found", "unknown_symbol"),
            (order("a", "buy", "1000", Value::Null), "conflict", "insufficient_cash"),
            (order("a", "sell", "1", Value::Null), "conflict", "insufficient_position"),
            (order("a", "buy", "1", json!({"roomId": "r2"})), "not_found", "no such room"),
        ] {
            let refused = say(&mut ada, "order:place", wrong.clone()).await;
            assert_eq!(refused["error"]["code"], code, "{wrong} {refused}");
            assert!(refused["error"]["message"].as_str().unwrap().starts_with(reason), "{refused}");
            // It took none of what the room takes; of a room that is not there nothing is known.
            let left = if reason == "no such room" { Value::Null } else { json!(2) };
            assert_eq!(refused["ordersRemaining"], left, "{refused}");
        }
        let mut hears = listens(server.addr(), "ada").await;
        subscribe(&mut hears, "trade:r1:ada").await;
        for (at, wrong) in
            [json!({"quantity": 1}), json!({"price": 10.5}), json!({"extra": 1}), json!({"side": "hold"})]
                .into_iter()
                .enumerate()
        {
            let id = format!("wrong{at}");
            let mut said = order(&id, "buy", "1", wrong.clone());
            let mut refused = say(&mut ada, "order:place", said.clone()).await;
            if at == 3 {
                // By HTTP it is the same.
                said.as_object_mut().unwrap().remove("roomId");
                hear(&mut hears, "order:failed").await;
                refused = Rest::user(server.addr(), "ada").ask("POST /rooms/r1/orders", said).await.1;
            }
            assert_eq!(refused["error"]["code"], "bad_request", "{wrong} {refused}");
            assert_eq!(refused["ordersRemaining"], 2, "{refused}");
            let failed = hear(&mut hears, "order:failed").await["data"].clone();
            let reason = json!({"code": "bad_order", "message": refused["error"]["message"]});
            assert_eq!(failed, json!({"roomId": "r1", "clientOrderId": id, "reason": reason}));
        }
        let none = say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "zz"})).await;
        assert_eq!(
            (&none["error"]["code"], &none["ordersRemaining"]),
            (&json!("not_found"), &json!(2)),
            "{none}"
        );
        let none = say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": 1})).await;
        assert_eq!(
            (&none["error"]["code"], &none["ordersRemaining"]),
            (&json!("bad_request"), &json!(2)),
            "{none}"
        );
        let mut eve = listens(server.addr(), "eve").await;
        let refused = say(&mut eve, "order:place", order("a", "buy", "1", Value::Null)).await;
        assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
        assert_eq!(refused["error"]["message"], "not_a_member: this is for members of the room");
        assert_eq!(refused["ordersRemaining"], Value::Null, "a room takes none of who is no member");
        let refused = say(&mut eve, "order:place", order("a", "buy", "1", json!({"quantity": 1}))).await;
        assert_eq!(refused["ordersRemaining"], Value::Null, "{refused}");

        let placed = say(&mut ada, "order:place", order("a", "buy", "1", Value::Null)).await;
        assert_eq!((&placed["orderId"], &placed["ordersRemaining"]), (&json!("o1"), &json!(1)));
        let again = say(&mut ada, "order:place", order("a", "buy", "1", Value::Null)).await;
        assert_eq!((&again["orderId"], &again["duplicate"]), (&json!("o1"), &json!(true)), "{again}");
        let other = say(&mut ada, "order:place", order("a", "buy", "2", Value::Null)).await;
        assert!(
            other["error"]["message"].as_str().unwrap().starts_with("duplicate_client_order_id"),
            "{other}"
        );
        let filled = say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o1"})).await;
        assert!(filled["error"]["message"].as_str().unwrap().starts_with("already_filled"), "{filled}");
        assert!(filled["ordersRemaining"].is_u64(), "{filled}");
        say(&mut ada, "order:place", order("b", "buy", "1", json!({"type": "limit", "price": "9"}))).await;
        // A second may have gone by, which lets one more through; not as many as there may be.
        let mut soon = Value::Null;
        for at in 0..40 {
            let low = order(&format!("c{at}"), "buy", "1", json!({"type": "limit", "price": "9"}));
            soon = say(&mut ada, "order:place", low).await;
            if soon["ok"] == false {
                break;
            }
        }
        assert_eq!(
            (&soon["error"]["code"], &soon["error"]["retryable"]),
            (&json!("rate_limited"), &json!(true))
        );
        assert_eq!(soon["ordersRemaining"], 0, "{soon}");
        assert!(soon["error"]["retryAfterMs"].as_u64().is_some_and(|ms| (1..=1_000).contains(&ms)), "{soon}");
        say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o2"})).await;
        let twice = say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o2"})).await;
        assert!(twice["error"]["message"].as_str().unwrap().starts_with("already_cancelled"), "{twice}");
        let theirs =
            Rest::user(server.addr(), "bob").refused("DELETE /rooms/r1/orders/o1", Value::Null).await;
        assert_eq!(theirs, (404, "unknown_order: there is no such order of yours".into()));
        assert_eq!(ada_has(&server).await, "1", "one order was filled, however often it was said");
    }
}

async fn ada_has(server: &tidings_testkit::Serving) -> String {
    let ada = Rest::user(server.addr(), "ada");
    ada.get("/rooms/r1/positions").await["positions"][0]["quantity"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_run_by_their_owner_and_accounts_are_their_members() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let (exchange, ada) = (Rest::server(server.addr()), Rest::user(server.addr(), "ada"));
        exchange.room("r1", &["ada", "bob"], Value::Null).await;
        for request in ["POST /rooms/r1/end", "POST /rooms/r1/snapshots"] {
            assert_eq!(ada.refused(request, Value::Null).await.0, 403, "{request}");
        }
        let prices = json!({"prices": [{"symbol": "ACME", "price": "1"}]});
        assert_eq!(ada.refused("POST /rooms/r1/prices", prices).await.0, 403, "who trades makes no prices");
        assert_eq!(ada.refused("GET /rooms/r1/portfolio?userId=bob", Value::Null).await.0, 403);
        assert_eq!(ada.refused("POST /rooms/r1/join", json!({"userId": "eve"})).await.0, 403);
        assert_eq!(ada.refused("GET /rooms/r1/export", Value::Null).await.0, 409, "it has not ended");
        assert_eq!(ada.refused("GET /rooms/r1/snapshots/1", Value::Null).await.0, 404);
        let drafted = json!({"id": "mine", "name": "Mine", "rules": rules(Value::Null)});
        ada.done("POST /rooms", drafted.clone()).await;
        assert_eq!(ada.refused("POST /rooms", drafted).await, (409, "there is a room of this id".into()));
        let bob = Rest::user(server.addr(), "bob");
        for request in
            ["GET /rooms/mine", "POST /rooms/mine/open", "POST /rooms/mine/join", "GET /rooms/none"]
        {
            assert_eq!(bob.refused(request, Value::Null).await.0, 404, "{request}");
        }
        assert_eq!(bob.get("/rooms").await["rooms"].as_array().unwrap().len(), 1);
        let wrong = json!({"name": "Wrong", "rules": rules(json!({"startingCash": "0"}))});
        assert!(bob.refused("POST /rooms", wrong).await.1.starts_with("startingCash"));

        let mut bob = listens(server.addr(), "bob").await;
        for (room, answer) in
            [("trade:r1:ada", "not_found"), ("trade:mine", "not_found"), ("trade:none", "not_found")]
        {
            assert_eq!(subscribe(&mut bob, room).await["error"]["code"], answer, "{room}");
        }
        assert_eq!(subscribe(&mut bob, "trade:r1:bob").await["ok"], true);
        let service = token("exchange", &json!({"scope": "publish"}));
        let mut service = PlainClient::sign_in(server.addr(), Some(&service)).await.unwrap();
        for (room, code) in [
            ("trade:r1", "forbidden"),
            ("trade:r1:bob", "forbidden"),
            ("trade:r1:ada", "not_found"),
            ("trade:mine", "not_found"),
            ("trade:none", "not_found"),
        ] {
            let spoken = json!({"type": "publish", "room": room, "event": "order:executed", "data": {}});
            let refused = bob.ask(spoken.clone()).await.unwrap();
            assert_eq!(refused["error"]["code"], code, "{room}: only the app speaks in its rooms");
            let code = if room == "trade:none" { code } else { "forbidden" };
            assert_eq!(
                service.ask(spoken).await.unwrap()["error"]["code"],
                code,
                "{room}: a server sees them all"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_which_one_cannot_be_are_refused_together_and_it_is_named() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        exchange.price("r1", "10", None).await;
        for (wrong, status, message) in [
            (json!({"symbol": "NO", "price": "2"}), 404, "prices[1]: unknown_symbol: "),
            (json!({"symbol": "ACME", "price": "2.001"}), 400, "prices[1]: bad_tick: "),
            (json!({"symbol": "ACME", "price": "2", "volume": "-1"}), 400, "prices[1]: bad_size: "),
            (json!({"symbol": "ACME", "price": 2}), 400, "prices[1].price: "),
        ] {
            let good = json!({"symbol": "ACME", "price": "3"});
            let refused =
                exchange.refused("POST /rooms/r1/prices", json!({"prices": [good, wrong, good]})).await;
            assert!(refused.0 == status && refused.1.starts_with(message), "{wrong}: {refused:?}");
        }
        let shown = exchange.get("/rooms/r1").await;
        assert_eq!(shown["prices"][0]["price"], "10", "nothing of them was taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_for_people_are_more_than_blanks_and_stand_on_one_line() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let exchange = Rest::server(server.addr());
    for name in ["", "   ", "\t", "two\nlines", "zero\0"] {
        let wrong = json!({"name": name, "rules": rules(Value::Null)});
        let refused = exchange.refused("POST /rooms", wrong).await;
        assert!(refused.0 == 400 && refused.1.starts_with("name: "), "{name:?}: {refused:?}");
    }
    exchange.room("r1", &[], json!({"lateJoin": true})).await;
    let wrong = json!({"userId": "ada", "name": " "});
    assert_eq!(exchange.refused("POST /rooms/r1/join", wrong).await.0, 400);
    let blank = bed::Rest::new(server.addr(), "/api/trading", "ada", &json!({"name": " \n "}));
    let joined = blank.done("POST /rooms/r1/join", Value::Null).await;
    assert_eq!(joined["name"], "ada", "a token without a name that can be shown: {joined}");
}
