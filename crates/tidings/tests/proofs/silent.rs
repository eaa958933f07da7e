//! A shard that takes nothing any more is found, told, and given nobody (K8, K15).

use std::time::{Duration, Instant};

use serde_json::json;
use tidings_testkit::client::{PlainClient, http};
use tokio::time::interval;

use crate::bed::{place, run, serve_without};

/// Until it has to be known: five seconds of silence, and some for a busy machine.
const FOUND_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks; who asks without a pause makes the machine as busy as that.
const LOOK: Duration = Duration::from_millis(100);

#[test]
fn a_dead_shard_makes_the_server_unready_and_whoever_comes_is_placed_with_the_living() {
    run(async {
        // Of two shards the second one hangs at its first beat, as if its thread were stuck.
        let place = place("shards = 2");
        // From before the silence: no moment of it is left out, however late this test gets its turn.
        let begun = Instant::now();
        let server = serve_without(place.path(), "beat_1:1:hang");
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            let (status, body) = http(server.addr(), "GET /readyz", "", "").await.unwrap();
            if status == 503 {
                assert_eq!(body, "a shard does not deliver\ndegraded: yes\n");
                break;
            }
            assert!(begun.elapsed() < FOUND_WITHIN, "nobody has noticed: {body}");
        }
        assert!(begun.elapsed() > Duration::from_secs(4), "a moment's silence is no death");
        for at in 0..6 {
            let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
            let asked = client.ask(json!({"type": "subscribe", "room": "loose:1"}));
            let told = tokio::time::timeout(Duration::from_secs(20), asked).await;
            assert_eq!(told.unwrap_or_else(|_| panic!("client {at} is with the dead")).unwrap()["ok"], true);
        }
        let metrics = http(server.addr(), "GET /metrics", "", "").await.unwrap().1;
        assert!(metrics.contains("tidings_degraded 1"), "{metrics}");
    });
}

/// The control: shards that answer are none of it.
#[test]
fn shards_that_answer_leave_the_server_ready() {
    run(async {
        let place = place("shards = 2");
        let server = serve_without(place.path(), "beat_9:1:hang");
        let (begun, mut looks) = (Instant::now(), interval(LOOK));
        while begun.elapsed() < Duration::from_secs(7) {
            looks.tick().await;
            let (status, body) = http(server.addr(), "GET /readyz", "", "").await.unwrap();
            assert_eq!((status, &*body), (200, "ready\ndegraded: no\n"));
        }
    });
}
