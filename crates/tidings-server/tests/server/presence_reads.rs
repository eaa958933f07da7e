//! Presence as it is read by HTTP: what the invisible are counted in, and that nothing new has no new tag.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::RoomKindConfig;

use crate::common::{config, http, token, user, with_server};
use crate::people::{plain, plain_in};

/// Rooms `team` with a roster, and `open` without one.
fn teams() -> Config {
    let mut config = config();
    let kind = RoomKindConfig {
        subscribe: Some("signed-in".into()),
        presence: Some("signed-in".into()),
        roster: Some("members".into()),
        ..RoomKindConfig::default()
    };
    config.rooms.insert("team".into(), kind);
    config.rooms.get_mut("open").unwrap().presence = Some("anyone".into());
    config
}

/// The head and the body of an answer.
fn read(addr: SocketAddr, path: &str, token: &str, more: &str) -> (String, Value) {
    let headers = format!("Authorization: Bearer {token}\r\n{more}");
    let (head, body) = http(addr, &format!("GET {path}"), &headers, "");
    (head, serde_json::from_str(&body).unwrap_or_default())
}

fn connections(addr: SocketAddr, room: &str, token: &str) -> Value {
    read(addr, &format!("/api/rooms/{room}/stats"), token, "").1["connections"].clone()
}

#[test]
fn the_invisible_are_in_no_number_of_those_who_are_no_servers() {
    with_server(&teams(), |addr, _| {
        let shop = token(json!({ "sub": "shop", "scope": "publish" }));
        for room in ["team:1", "open:1"] {
            let _ann = plain_in(addr, &user("ann"), room);
            let mut bob = plain_in(addr, &user("bob"), room);
            assert_eq!(connections(addr, room, &user("ann")), 2, "{room}");
            let said = bob.ask(2, "\"type\":\"presence:set\",\"status\":\"invisible\"");
            assert_eq!(said["status"], "invisible");
            assert_eq!(connections(addr, room, &user("ann")), 1, "{room}: another member counts it");
            assert_eq!(connections(addr, room, &user("bob")), 2, "{room}: it does not count itself");
            assert_eq!(connections(addr, room, &shop), 2, "{room}: a server does not see what there is");
            let (_, listed) = read(addr, &format!("/api/rooms?limit=1&after={}", &room[..4]), &shop, "");
            assert_eq!(listed["rooms"][0], json!({"room": room, "connections": 2}));
            bob.ask(3, "\"type\":\"presence:set\",\"status\":\"auto\"");
            assert_eq!(connections(addr, room, &user("ann")), 2, "{room}");
        }
    });
}

#[test]
fn who_reads_presence_again_is_told_that_nothing_has_changed() {
    with_server(&teams(), |addr, _| {
        for room in ["team:1", "open:1"] {
            let _ann = plain_in(addr, &user("ann"), room);
            let (_bob, _) = plain(addr, &user("bob"));
            for path in [format!("/api/rooms/{room}/presence"), "/api/users/ann/presence".to_owned()] {
                let (head, _) = read(addr, &path, &user("ann"), "");
                let tag = head.lines().find(|line| line.to_lowercase().starts_with("etag:")).unwrap();
                let tag = format!("If-None-Match: {}\r\n", tag[5..].trim());
                // Times of milliseconds that are taken anew are other ones soon.
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(300) {
                    let (head, body) = read(addr, &path, &user("ann"), &tag);
                    assert!(head.starts_with("HTTP/1.1 304"), "{path}: {head} {body}");
                }
            }
        }
    });
}
