//! What lets whoever follows find out that something is missing, and what the public hears of prices (B8).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidings_testkit::client::{Heard, PATIENCE, PlainClient};
use tidings_trading::decimal::Dec;
use tidings_trading::digest;

use crate::bed::{Bed, Rest, hear, listens, order, rules, say, subscribe};

/// Cash and quantities as a member knows them who does nothing but listen.
#[derive(Default)]
struct Known {
    cash: Dec,
    quantities: BTreeMap<String, Dec>,
    held: u64,
}

impl Known {
    fn hear(&mut self, event: &str, data: &Value) {
        let dec = |name: &str| data[name].as_str().unwrap().parse::<Dec>().unwrap();
        match event {
            "portfolio:updated" => self.cash = dec("cash"),
            "position:updated" => {
                self.quantities.insert(data["symbol"].as_str().unwrap().to_owned(), dec("quantity"));
            }
            "position:closed" => drop(self.quantities.remove(data["symbol"].as_str().unwrap())),
            "account:digest" => {
                let own = self.quantities.iter().map(|(symbol, quantity)| (symbol.as_str(), *quantity));
                assert_eq!(data["digest"], json!(digest::of_account("ada", self.cash, own)), "{data}");
                assert_eq!(data["userId"], "ada");
                self.held += 1;
            }
            _ => {}
        }
    }

    /// Listens until an order is cancelled.
    async fn listen(&mut self, client: &mut PlainClient) {
        let listening = async {
            loop {
                let Heard::Event { body, .. } = client.hear().await.unwrap() else { continue };
                let event = body["event"].as_str().unwrap().to_owned();
                self.hear(&event, &body["data"]);
                if event == "order:cancelled" {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_of_an_account_hold_for_whoever_has_followed_its_events() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], json!({})).await;
        let (mut ada, mut phone) = (listens(server.addr(), "ada").await, listens(server.addr(), "ada").await);
        let shown = subscribe(&mut phone, "trade:r1:ada").await["snapshot"]["account"].clone();
        let mut known = Known { cash: shown["cash"].as_str().unwrap().parse().unwrap(), ..Known::default() };
        assert_eq!(shown["digest"], json!(digest::of_account("ada", known.cash, [])));
        let before = shown["journal"].as_u64().unwrap();
        for round in 0..8 {
            // Marks come in between, and count for nothing.
            exchange.price("r1", &(10 + round).to_string(), None).await;
            let side = if round % 3 == 2 { "sell" } else { "buy" };
            let placed =
                say(&mut ada, "order:place", order(&round.to_string(), side, "2", Value::Null)).await;
            assert_eq!(placed["status"], "filled", "{placed}");
        }
        let limit = json!({"type": "limit", "price": "1"});
        say(&mut ada, "order:place", order("last", "buy", "2", limit)).await;
        say(&mut ada, "order:cancel", json!({"roomId": "r1", "orderId": "o9"})).await;
        known.listen(&mut phone).await;
        // Eight fills are three things each, and joining was one.
        assert_eq!(known.held, 1);
        let now = Rest::user(server.addr(), "ada").get("/rooms/r1/portfolio").await;
        assert!(now["journal"].as_u64().unwrap() >= before + 18, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_is_told_to_all_of_a_members_connections() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], json!({})).await;
        let (mut ada, mut phone) = (listens(server.addr(), "ada").await, listens(server.addr(), "ada").await);
        subscribe(&mut phone, "trade:r1:ada").await;
        exchange.price("r1", "10", Some("3")).await;
        let limit = json!({"type": "limit", "price": "11"});
        say(&mut ada, "order:place", order("a", "buy", "5", limit)).await;
        let filled = hear(&mut phone, "order:executed").await["data"].clone();
        assert_eq!((&filled["quantity"], &filled["remaining"]), (&json!("3"), &json!("2")));
        let placed = hear(&mut phone, "order:placed").await["data"].clone();
        let waits = &placed["order"];
        assert_eq!(
            (&placed["roomId"], &waits["orderId"], &waits["remaining"]),
            (&json!("r1"), &json!("o1"), &json!("2"))
        );
        assert_eq!(
            (&waits["type"], &waits["price"], &waits["status"]),
            (&json!("limit"), &json!("11"), &json!("open"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_heard_in_the_public_room_at_a_pace_of_their_own_and_are_not_kept() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.done("POST /rooms", json!({"id": "r1", "name": "Open", "rules": rules(json!({}))})).await;
        exchange.done("POST /rooms/r1/open", Value::Null).await;
        let mut eve = listens(server.addr(), "eve").await;
        let shown = subscribe(&mut eve, "trade:r1").await;
        for price in 1..=200 {
            exchange.price("r1", &price.to_string(), None).await;
        }
        let mut heard = Vec::new();
        while heard.last().is_none_or(|price| *price != json!("200")) {
            let told = hear(&mut eve, "market:price").await;
            assert!(told["offset"].is_null(), "{told}");
            assert_eq!((&told["data"]["roomId"], &told["data"]["symbol"]), (&json!("r1"), &json!("ACME")));
            heard.push(told["data"]["price"].clone());
        }
        assert!(
            heard.len() < 100,
            "two hundred prices are told as they are at a few moments: {}",
            heard.len()
        );
        let again = subscribe(&mut listens(server.addr(), "bob").await, "trade:r1").await;
        assert_eq!(again["snapshot"]["room"]["prices"], json!([{"symbol": "ACME", "price": "200"}]));
        assert_eq!(again["offset"], shown["offset"], "nothing was kept of them");
    }
}
