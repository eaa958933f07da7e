//! A server as a demo plays by itself, also when it is started again.

use serde_json::json;

use crate::bed::{Bed, Rest, hear, listens, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_moves_boards_and_matches_and_only_the_demo_does() {
    let bed = Bed::sqlite();
    for _ in 0..2 {
        let server = bed.serve_with(&["--demo"]);
        let mut viewer = listens(server.addr(), "viewer").await;
        assert_eq!(subscribe(&mut viewer, "leaderboard:global").await["ok"], true);
        // Everybody comes first, and then they play.
        while hear(&mut viewer, "leaderboardUpdate").await["data"]["entries"].as_array().unwrap().len() < 50 {
        }
        let change = hear(&mut viewer, "rankChange").await;
        assert_eq!(change["data"]["scope"], "global");
        let studio = Rest::server(server.addr());
        assert_eq!(studio.get("/leaderboards/global").await["total"], 204);
        let boards = studio.get("/leaderboards").await;
        let cup = json!({"scope": "session", "sessionId": "winter-cup", "players": 41});
        assert!(boards["boards"].as_array().unwrap().contains(&cup), "{boards}");
        server.kill();
    }
    let fresh = Bed::sqlite();
    let server = fresh.serve();
    // Boards are there, and nobody is on them.
    assert_eq!(Rest::server(server.addr()).get("/leaderboards").await["boards"], json!([]));
}
