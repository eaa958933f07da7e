//! The time of a session is up, or it is closed.

use serde_json::{Value, json};

use crate::bed::{Bed, Rest};

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
