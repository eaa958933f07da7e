//! A server as a demo trades by itself, also when it is started again.

use serde_json::Value;
use tidings_testkit::bed;

use crate::bed::{Rest, hear, listens, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_trades_in_a_room_that_is_fed_from_real_prices() {
    let bed = bed::Bed::sqlite(env!("CARGO_BIN_EXE_tidings"));
    let mut journal = 0;
    for _ in 0..2 {
        let server = bed.serve_with(&["--demo"]);
        let exchange = Rest::server(server.addr());
        let shown = loop {
            let (status, shown) = exchange.ask("GET /rooms/demo", Value::Null).await;
            if status == 200 && shown["state"] == "running" && shown["prices"].as_array().unwrap().len() > 4 {
                break shown;
            }
        };
        let seq = shown["journal"].as_u64().unwrap();
        assert!(seq >= journal, "it goes on in the same room: {seq} after {journal}");
        assert_eq!(exchange.get("/rooms/demo/replay").await["tape"], "sample");
        // Those who can sign in are in it from the start.
        let mut alice = listens(server.addr(), "demo-alice").await;
        assert_eq!(subscribe(&mut alice, "trade:demo:demo-alice").await["ok"], true);
        assert_eq!(subscribe(&mut alice, "trade:demo").await["ok"], true);
        let standings = hear(&mut alice, "leaderboard:updated").await;
        assert!(standings["data"]["entries"].as_array().unwrap().len() >= 16, "{standings}");
        let trades = loop {
            let shown = exchange.get("/rooms/demo/standings").await;
            let trades: u64 = shown["standings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["trades"].as_u64().unwrap())
                .sum();
            if trades > 3 {
                break trades;
            }
        };
        assert!(trades > 3);
        // After the second start what was traded before is there at once: more has to come.
        journal = loop {
            let now = exchange.get("/rooms/demo").await["journal"].as_u64().unwrap();
            if now > seq {
                break now;
            }
        };
        server.kill();
    }
}
