//! What was read may be kept until its room tells of a change (K16).

use serde_json::{Value, json};
use tidings_testkit::client::http_whole;

use crate::bed::{Bed, Rest, hear, listens, subscribe, token};

/// Status, and the values of `ETag` and `Tidings-Position`.
async fn ask(server: std::net::SocketAddr, path: &str, tag: &str) -> (u16, String, Option<String>) {
    let token = token("viewer", &json!({}));
    let headers = format!("Authorization: Bearer {token}\r\nIf-None-Match: {tag}\r\n");
    let (status, head, _) = http_whole(server, &format!("GET /api/arena{path}"), &headers, "").await.unwrap();
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    (status, value("etag").unwrap_or_default(), value("tidings-position"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_asks_again_is_told_that_nothing_has_changed_and_from_where_changes_are_told() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    let mut viewer = listens(server.addr(), "viewer").await;
    let told = subscribe(&mut viewer, "match:m1").await;
    let (status, tag, position) = ask(server.addr(), "/matches/m1", "\"\"").await;
    assert_eq!((status, tag.len()), (200, 34), "{tag}");
    let at = |told: &Value, room: &str| {
        let text = |field: &str| told[field].as_str().unwrap().to_owned();
        format!("room={room}; epoch={}; offset={}; tag={}", text("epoch"), told["offset"], text("tag"))
    };
    assert_eq!(position, Some(at(&told, "match:m1")));
    assert_eq!(ask(server.addr(), "/matches/m1", &tag).await.0, 304);

    studio.done("POST /matches/m1/score", json!({"scores": [{"playerId": "ada", "score": 1}]})).await;
    let event = hear(&mut viewer, "matchUpdated").await;
    let (status, other, position) = ask(server.addr(), "/matches/m1", &tag).await;
    assert_eq!((status, position), (200, Some(at(&event, "match:m1"))));
    assert_ne!(tag, other);
    // A room tells of the first places alone; what is further down has a tag and no room.
    assert_eq!(subscribe(&mut viewer, "leaderboard:global").await["ok"], true);
    let (_, tag, position) = ask(server.addr(), "/leaderboards/global", "\"\"").await;
    assert!(position.unwrap().starts_with("room=leaderboard:global; epoch=") && tag.len() == 34);
    for path in ["/leaderboards/global?limit=51", "/leaderboards/global/around/ada", "/players/ada"] {
        let (status, tag, position) = ask(server.addr(), path, "\"\"").await;
        assert_eq!((status, tag.len(), position), (200, 34, None), "{path}");
    }
}
