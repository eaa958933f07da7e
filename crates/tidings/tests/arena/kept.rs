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

#[tokio::test(flavor = "multi_thread")]
async fn one_who_reads_what_nobody_listens_to_hears_from_there_what_came_between() {
    let bed = Bed::sqlite();
    {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "US")]).await;
        studio.play("m1", &["ada", "bob"], "ada").await;
        studio.start("m2", &["ada", "bob"], Value::Null).await;
    }
    let server = bed.serve();
    let rooms = ["leaderboard:global", "match:m2"];
    let mut stood = Vec::new();
    for path in ["/leaderboards/global", "/matches/m2"] {
        let (status, _, position) = ask(server.addr(), path, "\"\"").await;
        stood.push(position.unwrap_or_else(|| panic!("{path}: {status}, and nothing of where it stands")));
    }
    Rest::server(server.addr()).win("m2", "bob").await;
    let mut viewer = listens(server.addr(), "viewer").await;
    for (room, stood) in rooms.into_iter().zip(stood) {
        let of = |name: &str| {
            let found = stood.split("; ").find_map(|part| part.strip_prefix(&format!("{name}=")));
            found.unwrap_or_else(|| panic!("{stood}")).to_owned()
        };
        assert_eq!(of("room"), room);
        let offset: u64 = of("offset").parse().unwrap();
        assert!(offset > 0, "{stood}");
        let since = json!({"epoch": of("epoch"), "offset": offset, "tag": of("tag")});
        let told = viewer.ask(json!({"type": "subscribe", "room": room, "since": since})).await.unwrap();
        assert_eq!(told["recovered"], true, "{told}");
        assert_eq!(
            hear(&mut viewer, if room == rooms[0] { "rankChange" } else { "matchCompleted" }).await["room"],
            room
        );
    }
}
