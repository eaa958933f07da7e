//! What is read of a member says where its own room stood.

use serde_json::{Value, json};
use tidings_testkit::client::http_whole;

use crate::bed::{Bed, Rest, hear, listens, token};

#[tokio::test(flavor = "multi_thread")]
async fn one_who_reads_its_orders_and_positions_hears_from_there_what_came_between() {
    let bed = Bed::sqlite();
    let order = |id: &str| json!({"clientOrderId": id, "symbol": "ACME", "side": "buy", "type": "market", "quantity": "1"});
    {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        exchange.price("r1", "20", None).await;
        Rest::user(server.addr(), "ada").done("POST /rooms/r1/orders", order("a")).await;
    }
    // Nobody has the room in memory.
    let server = bed.serve();
    let headers = format!("Authorization: Bearer {}\r\n", token("ada", &json!({})));
    let mut stood = Vec::new();
    for what in ["orders", "positions", "portfolio"] {
        let request = format!("GET /api/trading/rooms/r1/{what}");
        let (status, head, body) = http_whole(server.addr(), &request, &headers, "").await.unwrap();
        let position = head.lines().find_map(|line| line.strip_prefix("tidings-position: "));
        stood.push(position.unwrap_or_else(|| panic!("{what}: {status} {head}{body}")).to_owned());
    }
    assert_eq!((&stood[0], &stood[0]), (&stood[1], &stood[2]));
    let of =
        |name: &str| stood[0].split("; ").find_map(|part| part.strip_prefix(&format!("{name}="))).unwrap();
    assert_eq!(of("room"), "trade:r1:ada");
    let offset: u64 = of("offset").parse().unwrap();
    Rest::user(server.addr(), "ada").done("POST /rooms/r1/orders", order("b")).await;
    let mut ada = listens(server.addr(), "ada").await;
    let since = json!({"epoch": of("epoch"), "offset": offset, "tag": of("tag")});
    let asked = json!({"type": "subscribe", "room": "trade:r1:ada", "since": since});
    let told = ada.ask(asked).await.unwrap();
    assert_eq!(told["recovered"], true, "{told}");
    assert_eq!(hear(&mut ada, "order:executed").await["data"]["clientOrderId"], "b");
}
