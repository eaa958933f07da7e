//! A result brings scores with it.

use serde_json::{Value, json};

use crate::bed::Bed;

#[tokio::test]
async fn scores_that_come_with_a_result_are_told_before_the_end() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US")]).await;
        bed.cup(&["ada", "bob"]).await;
        let names = |room: &str| bed.said(room).into_iter().map(|(name, _)| name).collect::<Vec<_>>();

        bed.make("m1", &["ada", "bob"]).await.unwrap();
        bed.start("m1").await.unwrap();
        // Bob has nothing already, and nothing is told of him.
        bed.result("m1", Some("ada"), &[("ada", 2), ("bob", 0)]).await.unwrap();
        assert_eq!(names("match:m1"), ["matchStarted", "matchUpdated", "matchCompleted"]);
        let update = json!({"matchId": "m1", "update": {"scores": [{"playerId": "ada", "score": 2}]}});
        assert_eq!(bed.said("match:m1")[1].1, update);

        bed.play("m2", &["ada", "bob"], None).await;
        assert_eq!(names("match:m2"), ["matchStarted", "matchCompleted"], "none came with it");
        bed.make("m3", &["ada", "bob"]).await.unwrap();
        bed.start("m3").await.unwrap();
        bed.result("m3", Some("ada"), &[("ada", 0)]).await.unwrap();
        assert_eq!(names("match:m3"), ["matchStarted", "matchCompleted"], "it was known");
        assert!(bed.result("m3", Some("ada"), &[("ada", 1)]).await.is_err());
        let told: Vec<(String, Value)> = bed.said("match:m3");
        assert_eq!(told.len(), 2, "what is refused tells nothing");
    }
}
