//! Many who ask a room at once share a transaction, and each is answered for itself.

use serde_json::{Value, json};

use crate::bed::{Bed, Rest, hear, listens, order, say, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_by_two_connections_at_once_is_one_order_and_both_are_told_how_it_stands() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        exchange.price("r1", "10", None).await;
        let (mut one, mut other) = (listens(server.addr(), "ada").await, listens(server.addr(), "ada").await);
        for at in 0..20 {
            let said = || order(&format!("a{at}"), "buy", "1", Value::Null);
            let (here, there) =
                tokio::join!(say(&mut one, "order:place", said()), say(&mut other, "order:place", said()));
            assert_eq!((&here["ok"], &there["ok"]), (&json!(true), &json!(true)), "{here} {there}");
            assert_eq!(here["orderId"], there["orderId"]);
            let repeats = [&here, &there].iter().filter(|reply| reply["duplicate"] == true).count();
            assert_eq!(repeats, 1, "{here} {there}");
        }
        assert_eq!(Rest::user(server.addr(), "ada").get("/rooms/r1/portfolio").await["trades"], 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_refused_undo_none_of_those_beside_them() {
    const MEMBERS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    for bed in Bed::both().await {
        let server = bed.serve();
        let (addr, exchange) = (server.addr(), Rest::server(server.addr()));
        exchange.room("r1", &MEMBERS, Value::Null).await;
        exchange.price("r1", "10", None).await;
        // Every other one asks for more than the cash that there is.
        let trades = |(at, user): (usize, &'static str)| {
            tokio::spawn(async move {
                let mut client = listens(addr, user).await;
                let mut hears = listens(addr, user).await;
                subscribe(&mut hears, &format!("trade:r1:{user}")).await;
                let quantity = if at % 2 == 0 { "1" } else { "1000" };
                let said = say(&mut client, "order:place", order("o", "buy", quantity, Value::Null)).await;
                let event = if at % 2 == 0 { "order:executed" } else { "order:failed" };
                (
                    said["ok"] == json!(at % 2 == 0),
                    hear(&mut hears, event).await["data"]["clientOrderId"] == "o",
                )
            })
        };
        let trading: Vec<_> = MEMBERS.into_iter().enumerate().map(trades).collect();
        for trades in trading {
            assert_eq!(trades.await.unwrap(), (true, true));
        }
        exchange.done("POST /rooms/r1/end", Value::Null).await;
        let placed =
            exchange.export("r1").await.iter().filter(|line| line.contains("\"do\":\"place\"")).count();
        assert_eq!(placed, MEMBERS.len() / 2, "what is refused is not in the journal");
    }
}
