//! The time of a session is up, or it is closed.

use serde_json::{Value, json};
use tidings_testkit::client::Heard;

use crate::bed::{Bed, Rest, hear, listens, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_time_is_up_reads_as_closed() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB")]).await;
        let over = json!({"id": "over", "name": "Over", "endsAt": "2020-01-01T00:00:00Z"});
        assert_eq!(studio.done("POST /sessions", over).await["status"], "closed");
        let later = json!({"id": "later", "name": "Later", "endsAt": "2100-01-01T00:00:00Z"});
        assert_eq!(studio.done("POST /sessions", later).await["status"], "open");
        studio.done("POST /sessions", json!({"id": "open", "name": "Open"})).await;
        assert_eq!(studio.get("/sessions/over").await["status"], "closed");
        for (query, expected) in [
            ("", json!(["later", "open", "over"])),
            ("?status=open", json!(["later", "open"])),
            ("?status=closed", json!(["over"])),
        ] {
            let listed = studio.get(&format!("/sessions{query}")).await;
            let mut ids: Vec<&Value> =
                listed["sessions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
            ids.sort_by_key(|id| id.as_str());
            assert_eq!(json!(ids), expected, "{query}");
        }
        let late = studio.refused("POST /sessions/over/players", json!({"playerId": "ada"})).await;
        assert_eq!(late, (409, "conflict".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hears_a_match_of_a_session_that_is_closed_hears_it_voided_and_is_taken_out() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        studio.done("POST /sessions", json!({"id": "cup", "name": "Cup"})).await;
        for id in ["ada", "bob"] {
            studio.done("POST /sessions/cup/players", json!({"playerId": id})).await;
        }
        studio.start("m1", &["ada", "bob"], json!({"sessionId": "cup"})).await;
        let mut eve = listens(server.addr(), "eve").await;
        assert_eq!(subscribe(&mut eve, "match:m1").await["ok"], true);

        assert_eq!(studio.done("POST /sessions/cup/close", json!({})).await["status"], "closed");
        let updated = hear(&mut eve, "matchUpdated").await;
        assert_eq!(updated["data"], json!({"matchId": "m1", "update": {"status": "voided"}}));
        loop {
            if let Heard::Other(body) = eve.hear().await.unwrap()
                && body["type"] == "left"
            {
                assert_eq!((&body["room"], &body["reason"]), (&json!("match:m1"), &json!("closed")));
                break;
            }
        }
        let shown = studio.get("/matches/m1").await;
        assert_eq!(
            (&shown["status"], &shown["voidReason"]),
            (&json!("voided"), &json!("the session was closed"))
        );
        for (request, body) in [
            ("POST /matches/m1/result", json!({"winnerId": "ada", "resultType": "win"})),
            ("POST /matches/m1/score", json!({"scores": [{"playerId": "ada", "score": 1}]})),
            ("POST /sessions/cup/close", json!({})),
        ] {
            assert_eq!(studio.refused(request, body).await, (409, "conflict".into()), "{request}");
        }
    }
}
