//! The server is killed while members trade: nothing is lost, nothing is done twice, and the room goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tidings_trading::export;
use tidings_trading::journal::Hash;
use tidings_trading::order::Status;
use tokio::sync::Notify;

use crate::bed::{Bed, Rest, listens, order, say};

const MEMBERS: [&str; 4] = ["ada", "bob", "cyd", "dee"];
const ORDERS: usize = 40;
const ROUNDS: usize = 3;

/// How many orders were answered, by anybody.
type Answered = Arc<(AtomicUsize, Notify)>;

/// Places orders until the server is gone, and says again what was not answered; how far it came.
async fn trades(addr: std::net::SocketAddr, user: &'static str, from: usize, answered: Answered) -> usize {
    let mut client = listens(addr, user).await;
    for at in from..ORDERS {
        let side = if at % 3 == 2 { "sell" } else { "buy" };
        let said = order(&format!("{user}-{at}"), side, "1", Value::Null);
        let asked = json!({"type": "command", "ns": "/trading", "name": "order:place", "data": said});
        match client.ask(asked).await {
            Ok(answer) if answer["ok"] == true => {
                answered.0.fetch_add(1, Ordering::Relaxed);
                answered.1.notify_one();
            }
            // It is gone, or about to be.
            _ => return at,
        }
    }
    ORDERS
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_midst_of_trading_it_loses_no_order_and_does_none_twice() {
    for bed in Bed::both().await {
        let answered = Answered::default();
        let mut places: BTreeMap<&str, usize> = MEMBERS.into_iter().map(|user| (user, 0)).collect();
        for round in 0..=ROUNDS {
            let server = bed.serve();
            let exchange = Rest::server(server.addr());
            if round == 0 {
                exchange.room("r1", &MEMBERS, Value::Null).await;
                exchange.price("r1", "10", None).await;
            }
            let trading: Vec<_> = MEMBERS
                .into_iter()
                .map(|user| (user, tokio::spawn(trades(server.addr(), user, places[user], answered.clone()))))
                .collect();
            if round < ROUNDS {
                // Somewhere in the midst of it.
                while answered.0.load(Ordering::Relaxed) < (round + 1) * 30 {
                    answered.1.notified().await;
                }
                server.kill();
            }
            for (user, trading) in trading {
                places.insert(user, trading.await.unwrap());
            }
        }
        assert!(places.values().all(|at| *at == ORDERS), "{places:?}");
        balances(&bed).await;
    }
}

/// Every order is there once, and everybody has what the orders come to.
async fn balances(bed: &Bed) {
    let server = bed.serve();
    let exchange = Rest::server(server.addr());
    let mut shown = BTreeMap::new();
    for user in MEMBERS {
        let portfolio = Rest::user(server.addr(), user).get("/rooms/r1/portfolio").await;
        // Of forty orders thirteen sell: 27 are bought at 10, each at a fee of a cent.
        assert_eq!((&portfolio["cash"], &portfolio["trades"]), (&json!("9859.6"), &json!(40)), "{portfolio}");
        assert_eq!(portfolio["positions"][0]["quantity"], "14", "{portfolio}");
        shown.insert(user, portfolio["digest"].clone());
    }
    let mut ada = listens(server.addr(), "ada").await;
    let again = say(&mut ada, "order:place", order("ada-7", "buy", "1", Value::Null)).await;
    assert_eq!((&again["ok"], &again["duplicate"]), (&json!(true), &json!(true)), "{again}");
    exchange.done("POST /rooms/r1/end", Value::Null).await;
    let lines = exchange.export("r1").await;
    let room = export::verify(lines.iter().map(String::as_str)).unwrap();
    assert_eq!(room.orders().len(), MEMBERS.len() * ORDERS);
    assert!(room.orders().iter().all(|order| order.status == Status::Filled));
    for user in MEMBERS {
        let digest: Hash = serde_json::from_value(shown[user].clone()).unwrap();
        assert_eq!(room.account_digest(user).unwrap(), digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_database_trade_in_one_room_without_contradiction() {
    let [_, bed] = Bed::both().await;
    let (one, other) = (bed.serve(), bed.serve());
    let exchange = Rest::server(one.addr());
    exchange.room("r1", &MEMBERS, Value::Null).await;
    exchange.price("r1", "10", None).await;
    let answered = Answered::default();
    // Two members are at each server, so that every entry of one has to be read by the other.
    let trading: Vec<_> = MEMBERS
        .into_iter()
        .zip([one.addr(), other.addr(), one.addr(), other.addr()])
        .map(|(user, addr)| tokio::spawn(trades_for_certain(addr, user, answered.clone())))
        .collect();
    for trading in trading {
        trading.await.unwrap();
    }
    let seen = |addr| async move { Rest::server(addr).get("/rooms/r1").await };
    let (here, there) = (seen(one.addr()).await, seen(other.addr()).await);
    assert_eq!((&here["chain"], &here["digest"]), (&there["chain"], &there["digest"]));
    drop((one, other));
    balances(&bed).await;
}

/// All orders of a member; what is not answered, or may be tried again, is said again.
async fn trades_for_certain(addr: std::net::SocketAddr, user: &'static str, answered: Answered) {
    let mut at = 0;
    while at < ORDERS {
        at = trades(addr, user, at, answered.clone()).await;
    }
}
