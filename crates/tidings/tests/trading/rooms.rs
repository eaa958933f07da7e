//! A room from its making to its end, and what is heard of it (B2 to B6).

use serde_json::{Value, json};
use tidings_store::audit::AuditFilter;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::client::PATIENCE;
use tidings_trading::export;

use crate::bed::{Bed, Rest, hear, listens, order, rules, say, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_heard_from_its_making_to_its_end() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let (exchange, owner) = (Rest::server(server.addr()), Rest::user(server.addr(), "olga"));
        let made = json!({"id": "r1", "name": "First", "rules": rules(json!({"snapshotEveryMs": 1_000}))});
        assert_eq!(owner.done("POST /rooms", made).await, json!({"id": "r1", "state": "draft"}));
        let mut eve = listens(server.addr(), "eve").await;
        assert_eq!(
            subscribe(&mut eve, "trade:r1").await["error"]["code"],
            "not_found",
            "a draft is its owner's"
        );
        owner.done("POST /rooms/r1/open", Value::Null).await;
        let shown = subscribe(&mut eve, "trade:r1").await;
        assert_eq!(shown["snapshot"]["room"]["state"], "open", "{shown}");

        let ada = Rest::user(server.addr(), "ada");
        let account = ada.done("POST /rooms/r1/join", Value::Null).await;
        assert_eq!((&account["cash"], &account["name"]), (&json!("10000"), &json!("ADA")));
        exchange.done("POST /rooms/r1/join", json!({"userId": "bob", "name": "Bob"})).await;
        let joined = hear(&mut eve, "room:member_joined").await;
        assert_eq!(joined["room"], "trade:r1");
        assert_eq!(joined["data"], json!({"roomId": "r1", "userId": "ada", "name": "ADA"}));
        exchange.done("POST /rooms/r1/join", json!({"userId": "cy"})).await;
        exchange.done("POST /rooms/r1/leave", json!({"userId": "cy"})).await;
        assert_eq!(hear(&mut eve, "room:member_left").await["data"], json!({"roomId": "r1", "userId": "cy"}));
        owner.done("POST /rooms/r1/start", Value::Null).await;
        let state = hear(&mut eve, "room:state_changed").await;
        assert_eq!(state["data"], json!({"roomId": "r1", "oldState": "open", "newState": "running"}));
        let started = hear(&mut eve, "room:started").await;
        assert!(
            started["data"]["startedAt"].as_str().unwrap().ends_with('Z')
                && started["data"]["endsAt"].is_null()
        );

        trade(&exchange, server.addr()).await;

        let updated = hear(&mut eve, "leaderboard:updated").await;
        assert_eq!(
            (&updated["data"]["roomId"], updated["data"]["entries"].as_array().unwrap().len()),
            (&json!("r1"), 2)
        );
        exchange.price("r1", "5", None).await;
        let changed = hear(&mut eve, "leaderboard:ranking_changed").await;
        assert_eq!(changed["data"], json!({"roomId": "r1", "userId": "bob", "oldRank": 2, "newRank": 1}));
        let scheduled = hear(&mut eve, "leaderboard:snapshot_created").await;
        let id = scheduled["data"]["snapshotId"].as_str().unwrap();
        let kept = ada.get(&format!("/rooms/r1/snapshots/{id}")).await;
        assert_eq!(kept["entries"][0]["userId"], scheduled["data"]["entries"][0]["userId"]);
        owner.done("POST /rooms/r1/snapshots", Value::Null).await;

        owner.done("POST /rooms/r1/end", Value::Null).await;
        let ended = hear(&mut eve, "room:ended").await["data"].clone();
        let shown = ada.get("/rooms/r1").await;
        assert_eq!(
            (&shown["endedAt"], &shown["endsAt"]),
            (&ended["endedAt"], &Value::Null),
            "no end was announced"
        );
        let standings = ada.get("/rooms/r1/standings").await;
        assert_eq!(ended["finalOffset"], standings["journal"]);
        assert_eq!(ended["standings"][0]["userId"], "bob");
        assert_eq!(ended["standings"][1]["portfolioValue"], standings["standings"][1]["portfolioValue"]);
        // Whoever has the export computes the same.
        let lines = ada.export("r1").await;
        let room = export::verify(lines.iter().map(String::as_str)).unwrap();
        assert_eq!(json!(room.standings()), standings["standings"]);
        assert_eq!(json!(room.digest()), ada.get("/rooms/r1").await["digest"]);
        verified_by_anybody(&bed, &lines);
    }
}

/// The command that computes it, which needs no server; and that it finds out a place that was bought.
fn verified_by_anybody(bed: &Bed, lines: &[String]) {
    let said = bed.verify_room(&lines.join("\n"));
    assert_eq!(said.0, Some(0), "{}", said.1);
    assert!(
        said.1.contains("entries of the room r1 hold") && said.1.contains("\n1 bob 0 10000"),
        "{}",
        said.1
    );
    let bought = lines.join("\n").replace("\"quantity\":\"60\"", "\"quantity\":\"61\"").replace(
        "\"userId\":\"bob\",\"name\":\"Bob\",\"rank\":1",
        "\"userId\":\"bob\",\"name\":\"Bob\",\"rank\":2",
    );
    let (code, said) = bed.verify_room(&bought);
    assert!(code == Some(1) && said.contains("does not hold"), "{code:?} {said}");
}

/// `ada` trades, and hears of it in a room of her own.
async fn trade(exchange: &Rest, addr: std::net::SocketAddr) {
    let mut ada = listens(addr, "ada").await;
    let shown = subscribe(&mut ada, "trade:r1:ada").await;
    assert_eq!(shown["snapshot"]["account"]["equity"], "10000", "{shown}");
    exchange.price("r1", "10", Some("60")).await;
    let reply = say(&mut ada, "order:place", order("a", "buy", "100", Value::Null)).await;
    let expected = json!({"ok": true, "roomId": "r1", "orderId": "o1", "clientOrderId": "a", "status": "open",
                          "remainingQuantity": "40", "ordersRemaining": 999});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&reply[name], value, "{name} of {reply}");
    }
    let executed = hear(&mut ada, "order:executed").await;
    assert_eq!(executed["room"], "trade:r1:ada");
    assert!(executed["offset"].is_u64() && executed["epoch"].is_string());
    let mut data = executed["data"].clone();
    assert!(data["executedAt"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        data,
        json!({"roomId": "r1", "orderId": "o1", "clientOrderId": "a", "symbol": "ACME", "side": "buy", "quantity": "60",
               "price": "10", "fee": "0.6", "remaining": "40", "executedAt": null})
    );
    let position = hear(&mut ada, "position:updated").await;
    assert_eq!(
        position["data"],
        json!({"roomId": "r1", "userId": "ada", "symbol": "ACME", "quantity": "60", "averagePrice": "10",
               "markPrice": "10", "unrealisedPnl": "0"})
    );
    let portfolio = hear(&mut ada, "portfolio:updated").await;
    assert_eq!(
        portfolio["data"],
        json!({"roomId": "r1", "userId": "ada", "cash": "9399.4", "equity": "9999.4", "realisedPnl": "-0.6",
               "unrealisedPnl": "0"})
    );
    // The rest comes with the next price, and is not told before it.
    exchange.price("r1", "12", None).await;
    let rest = hear(&mut ada, "order:executed").await;
    assert_eq!((&rest["data"]["quantity"], &rest["data"]["remaining"]), (&json!("40"), &json!("0")));
    // Prices alone are told too, as marks.
    exchange.price("r1", "13", None).await;
    let marked = loop {
        let marked = hear(&mut ada, "position:updated").await;
        if marked["data"]["markPrice"] == "13" {
            break marked;
        }
    };
    assert_eq!(
        (&marked["data"]["quantity"], &marked["data"]["unrealisedPnl"]),
        (&json!("100"), &json!("220"))
    );

    let limit = json!({"type": "limit", "price": "20"});
    let placed = say(&mut ada, "order:place", order("b", "sell", "50", limit)).await;
    assert_eq!((&placed["status"], &placed["orderId"]), (&json!("open"), &json!("o2")));
    let cancelled = say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o2"})).await;
    assert_eq!((&cancelled["ok"], &cancelled["status"]), (&json!(true), &json!("cancelled")));
    let heard = hear(&mut ada, "order:cancelled").await;
    assert_eq!(heard["data"], json!({"roomId": "r1", "orderId": "o2", "remaining": "50"}));
    let failed = say(&mut ada, "order:place", order("c", "sell", "101", Value::Null)).await;
    assert_eq!(
        failed["error"]["message"], "insufficient_position: 101 is to be sold, 100 is free",
        "{failed}"
    );
    let heard = hear(&mut ada, "order:failed").await;
    let reason = json!({"code": "insufficient_position", "message": "101 is to be sold, 100 is free"});
    assert_eq!(heard["data"], json!({"roomId": "r1", "clientOrderId": "c", "reason": reason}));
    say(&mut ada, "order:place", order("d", "sell", "100", Value::Null)).await;
    let closed = hear(&mut ada, "position:closed").await;
    assert_eq!(
        closed["data"],
        json!({"roomId": "r1", "userId": "ada", "symbol": "ACME", "realisedPnl": "217.62"})
    );
    // What she does by HTTP is the same.
    let rest = Rest::user(addr, "ada");
    let bought =
        json!({"clientOrderId": "e", "symbol": "ACME", "side": "buy", "type": "market", "quantity": "100"});
    assert_eq!(rest.done("POST /rooms/r1/orders", bought).await["status"], "filled");
    let orders = rest.get("/rooms/r1/orders?limit=2").await;
    assert_eq!(
        (&orders["orders"][0]["orderId"], &orders["orders"][1]["orderId"]),
        (&json!("o4"), &json!("o3"))
    );
    assert_eq!(rest.get("/rooms/r1/positions").await["positions"][0]["quantity"], "100");
    let held = rest.get("/rooms/r1/portfolio").await;
    let cash: tidings_trading::decimal::Dec = held["cash"].as_str().unwrap().parse().unwrap();
    let held_digest = tidings_trading::digest::of_account("ada", cash, [("ACME", "100".parse().unwrap())]);
    assert_eq!(held["digest"], json!(held_digest), "what a client knows is what the server has");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_whose_clock_is_fast_ends_by_itself_when_its_time_is_over() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        let mut eve = listens(server.addr(), "eve").await;
        let made = json!({"id": "r1", "name": "Fast", "rules": rules(json!({"durationMs": 600_000, "speed": 1_000}))});
        exchange.done("POST /rooms", made).await;
        exchange.done("POST /rooms/r1/open", Value::Null).await;
        subscribe(&mut eve, "trade:r1").await;
        exchange.done("POST /rooms/r1/start", Value::Null).await;
        let started = hear(&mut eve, "room:started").await["data"].clone();
        assert!(started["endsAt"].as_str().unwrap() > started["startedAt"].as_str().unwrap());
        let ended = hear(&mut eve, "room:ended").await["data"].clone();
        assert_eq!(ended["endedAt"], started["endsAt"], "however late a timer is");
        let shown = exchange.get("/rooms/r1").await;
        assert_eq!((&shown["endsAt"], &shown["endedAt"]), (&started["endsAt"], &started["endsAt"]));
        let (status, sentence) = exchange.refused("POST /rooms/r1/end", Value::Null).await;
        assert_eq!((status, sentence.as_str()), (409, "room_not_running: this room is ended"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_after_subscribing_hears_its_orders_once_it_subscribes_again() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let exchange = Rest::server(server.addr());
    exchange.room("r1", &[], json!({"lateJoin": true})).await;
    exchange.price("r1", "10", None).await;
    let mut ada = listens(server.addr(), "ada").await;
    let early = say(&mut ada, "subscribe", json!({"roomId": "r1"})).await;
    assert_eq!(early["rooms"], json!(["trade:r1"]), "{early}");
    Rest::user(server.addr(), "ada").done("POST /rooms/r1/join", Value::Null).await;
    let again = say(&mut ada, "subscribe", json!({"roomId": "r1"})).await;
    assert_eq!(again["rooms"], json!(["trade:r1", "trade:r1:ada"]), "{again}");
    assert_eq!(say(&mut ada, "order:place", order("a", "buy", "1", Value::Null)).await["ok"], true);
    assert_eq!(hear(&mut ada, "order:executed").await["data"]["clientOrderId"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn fills_are_all_told_and_of_marks_the_newest() {
    const STEPS: u64 = 40;
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada", "bob"], Value::Null).await;
        exchange.price("r1", "10", None).await;
        let mut holds = listens(server.addr(), "bob").await;
        say(&mut holds, "order:place", order("a", "buy", "100", Value::Null)).await;
        let mut ada = listens(server.addr(), "ada").await;
        say(&mut ada, "order:place", order("a", "buy", "100", Value::Null)).await;
        for at in 1..=STEPS {
            let limit = json!({"type": "limit", "price": (10 + at).to_string()});
            let placed = say(&mut ada, "order:place", order(&format!("s{at}"), "sell", "1", limit)).await;
            assert_eq!(placed["ok"], true, "{placed}");
        }
        let mut trades = listens(server.addr(), "ada").await;
        subscribe(&mut trades, "trade:r1:ada").await;
        let shown = subscribe(&mut holds, "trade:r1:bob").await;
        assert_eq!(shown["snapshot"]["account"]["positions"][0]["quantity"], "100");
        let prices: Vec<Value> =
            (1..=STEPS).map(|at| json!({"symbol": "ACME", "price": (10 + at).to_string()})).collect();
        let taken = exchange.done("POST /rooms/r1/prices", json!({ "prices": prices })).await;
        assert_eq!(taken["taken"], STEPS);
        // Every fill, in order, each at its own price.
        for at in 1..=STEPS {
            let fill = hear(&mut trades, "order:executed").await;
            let (price, id) = (fill["data"]["price"].clone(), fill["data"]["clientOrderId"].clone());
            assert_eq!((price, id), (json!((10 + at).to_string()), json!(format!("s{at}"))));
        }
        // Of the same prices whoever only holds hears a few, and the last of them.
        let (mut marks, last) = (1, json!((10 + STEPS).to_string()));
        while hear(&mut holds, "position:updated").await["data"]["markPrice"] != last {
            marks += 1;
        }
        assert!(marks < STEPS / 2, "{marks} marks were told of {STEPS} prices");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_meets_hundreds_of_orders_fills_them_all_and_an_end_cancels_as_many() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada", "bob"], json!({"maxOpenOrders": 200})).await;
        let mut eve = listens(server.addr(), "eve").await;
        subscribe(&mut eve, "trade:r1").await;
        for (from, price) in [(0, "9"), (150, "5")] {
            for user in ["ada", "bob"] {
                let mut member = listens(server.addr(), user).await;
                for at in from..from + 150 {
                    let limit = json!({"type": "limit", "price": price});
                    let placed =
                        say(&mut member, "order:place", order(&format!("l{at}"), "buy", "1", limit)).await;
                    assert_eq!(placed["ok"], true, "{placed}");
                }
            }
            exchange.price("r1", "9", None).await;
            exchange.price("r1", "10", None).await;
        }
        for user in ["ada", "bob"] {
            let portfolio = Rest::user(server.addr(), user).get("/rooms/r1/portfolio").await;
            assert_eq!(
                (&portfolio["trades"], &portfolio["positions"][0]["quantity"]),
                (&json!(150), &json!("150"))
            );
            assert_eq!(portfolio["openOrders"].as_array().unwrap().len(), 150);
        }
        let mut ada = listens(server.addr(), "ada").await;
        subscribe(&mut ada, "trade:r1:ada").await;
        exchange.done("POST /rooms/r1/end", Value::Null).await;
        assert_eq!(hear(&mut eve, "room:ended").await["data"]["standings"][0]["userId"], "ada");
        for at in 0..150 {
            let cancelled = hear(&mut ada, "order:cancelled").await;
            assert_eq!(cancelled["data"]["remaining"], "1", "the {at}th of them");
        }
        let lines = exchange.export("r1").await;
        let noted = exported(&bed).await;
        assert_eq!((noted.0.as_str(), noted.1.as_deref()), ("user", Some("exchange")));
        assert!(noted.2.starts_with("trading room r1, from entry 0 to "), "{}", noted.2);
        assert!(lines.iter().any(|line| line.contains("\"goOn\"")), "one entry did not do it");
        export::verify(&lines).unwrap();
    }
}

/// The kind and name of who exported a room, and what that was, by the audit log, which is written a moment later.
async fn exported(bed: &Bed) -> (String, Option<String>, String) {
    let store = Store::open(&bed.url, &StoreOptions::default()).await.unwrap();
    let filter = AuditFilter { action: Some("export".into()), ..AuditFilter::default() };
    let noted = async {
        loop {
            let all = store.read().await.unwrap().audit_of_all(&filter, 9).await.unwrap();
            if let Some(first) = all.into_iter().next() {
                return first.entry;
            }
            tokio::task::yield_now().await;
        }
    };
    let entry = tokio::time::timeout(PATIENCE, noted).await.unwrap();
    store.close().await;
    (entry.actor_kind, entry.actor, entry.object.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn open_orders_of_a_program_that_died_are_cancelled_also_after_the_server_was_killed() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada", "bob"], json!({"speed": 100})).await;
        let mut ada = listens(server.addr(), "ada").await;
        for at in ["a", "b"] {
            let limit = json!({"type": "limit", "price": "9"});
            assert_eq!(say(&mut ada, "order:place", order(at, "buy", "1", limit)).await["ok"], true);
            let armed =
                say(&mut ada, "order:cancel_after", json!({"roomId": "r1", "afterMs": 86_400_000})).await;
            assert!(armed["cancelAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{armed}");
        }
        // Whoever is on the namespace hears both rooms by one command.
        let mut phone = listens(server.addr(), "ada").await;
        let told = say(&mut phone, "subscribe", json!({"roomId": "r1"})).await;
        assert_eq!(
            (&told["ok"], &told["rooms"]),
            (&json!(true), &json!(["trade:r1", "trade:r1:ada"])),
            "{told}"
        );
        assert_eq!(told["snapshot"]["account"]["openOrders"].as_array().unwrap().len(), 2);
        say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o1"})).await;
        assert_eq!(hear(&mut phone, "order:cancelled").await["data"]["orderId"], "o1");
        let told = say(&mut phone, "unsubscribe", json!({"roomId": "r1"})).await;
        assert_eq!(told["ok"], true, "{told}");
        let mut eve = listens(server.addr(), "eve").await;
        let told = say(&mut eve, "subscribe", json!({"roomId": "r1"})).await;
        assert_eq!((&told["rooms"], &told["snapshot"]["account"]), (&json!(["trade:r1"]), &Value::Null));
        let told = say(&mut eve, "subscribe", json!({"roomId": "none"})).await;
        assert_eq!(told["error"]["code"], "not_found", "{told}");
        let laid = say(&mut ada, "order:cancel_after", json!({"roomId": "r1"})).await;
        assert_eq!((&laid["ok"], &laid["cancelAt"]), (&json!(true), &Value::Null));
        let soon = say(&mut ada, "order:cancel_after", json!({"roomId": "r1", "afterMs": 10})).await;
        assert_eq!(soon["error"]["code"], "bad_request", "{soon}");
        let rest = Rest::user(server.addr(), "ada");
        rest.done("POST /rooms/r1/cancel-after", json!({"afterMs": 20_000})).await;
        server.kill();
        // That something is due in it stands in its row: nobody has to ask for the room before.
        let server = bed.serve();
        let mut ada = listens(server.addr(), "ada").await;
        let shown = subscribe(&mut ada, "trade:r1:ada").await;
        let open = shown["snapshot"]["account"]["openOrders"].as_array().unwrap().len();
        for _ in 0..open {
            assert_eq!(hear(&mut ada, "order:cancelled").await["data"]["remaining"], "1");
        }
        let orders = Rest::user(server.addr(), "ada").get("/rooms/r1/orders").await;
        let stand: Vec<&Value> =
            orders["orders"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
        assert_eq!(stand, ["cancelled", "cancelled"]);
    }
}
