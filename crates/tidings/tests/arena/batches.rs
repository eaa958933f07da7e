//! Events of a match leave in batches of 50 or 100 ms (A3, K11), and nothing of what they promise is lost by it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{Bed, Rest, hear, listens, say, subscribe};

const BATCH: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_a_match_is_answered_at_once_and_heard_with_its_batch() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        studio.start("m1", &["ada", "bob"], Value::Null).await;
        let mut viewer = listens(server.addr(), "viewer").await;
        assert_eq!(subscribe(&mut viewer, "match:m1").await["ok"], true);
        let mut ada = listens(server.addr(), "ada").await;
        let attack = |at: i32| json!({"matchId": "m1", "action": "attack", "data": at});
        // What was said before somebody came is not heard, so the first that is heard began the batch.
        let said = Instant::now();
        for at in 0..3 {
            assert_eq!(say(&mut ada, "/matches", "matchAction", attack(at)).await["ok"], true);
        }
        let first = hear(&mut viewer, "playerAction").await;
        // Its time runs from the round of the shard in which it came, which began a little earlier.
        assert!(said.elapsed() > BATCH / 2, "the first left after {:?}", said.elapsed());
        assert_eq!(first["data"]["data"], 0);
        let offset = first["offset"].as_u64().unwrap();
        for at in 1..3 {
            let next = hear(&mut viewer, "playerAction").await;
            assert_eq!((&next["data"]["data"], &next["offset"]), (&json!(at), &json!(offset + at as u64)));
        }
        // In the middle of a batch is as good a place as any to go on from.
        let mut back = listens(server.addr(), "viewer").await;
        let since = json!({"epoch": first["epoch"], "offset": offset, "tag": first["tag"]});
        let ask = json!({"type": "subscribe", "room": "match:m1", "since": since});
        assert_eq!(back.ask(ask).await.unwrap()["recovered"], true);
        for at in 1..3 {
            assert_eq!(hear(&mut back, "playerAction").await["data"]["data"], at);
        }
        studio.win("m1", "ada").await;
        assert_eq!(hear(&mut back, "matchCompleted").await["data"]["result"]["winnerId"], "ada");
    }
}

/// The control: other rooms of the same transactions do not wait.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hears_something_else_hears_the_batch_with_it() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    let mut ada = listens(server.addr(), "ada").await;
    for room in ["match:m1", "player:ada"] {
        assert_eq!(subscribe(&mut ada, room).await["ok"], true);
    }
    studio.win("m1", "ada").await;
    // In the order in which they were said, whatever waits.
    let completed = hear(&mut ada, "matchCompleted").await;
    let rating = hear(&mut ada, "eloUpdate").await;
    assert_eq!((&completed["room"], &rating["room"]), (&json!("match:m1"), &json!("player:ada")));
}
