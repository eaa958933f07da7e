//! Presence in big rooms, announcements to everybody, and what outlives a server.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::config::RoomKindConfig;
use tidings_server::{Config, Extras, Server};
use tidings_store::{Store, StoreOptions};

use crate::common::{Frame, Wire, config, token, user, with_server};
use crate::people::{plain, plain_in, socket_io};

fn crowds(roster: &str) -> Config {
    let mut config = config();
    config.presence.grace_ms = 300;
    let kind = RoomKindConfig {
        subscribe: Some("signed-in".into()),
        publish: Some("signed-in".into()),
        presence: Some("signed-in".into()),
        roster: Some(roster.into()),
        ..RoomKindConfig::default()
    };
    config.rooms.insert("crowd".into(), kind);
    config
}

/// Frames of presence until the mark.
fn frames(wire: &mut Wire) -> usize {
    let mut frames = 0;
    loop {
        match wire.next() {
            Frame::Text(text) if text.contains("\"mark\"") => return frames,
            Frame::Text(text) => frames += usize::from(text.contains("tidings:presence")),
            Frame::Other(_) => {}
            end => panic!("{end:?}"),
        }
    }
}

#[test]
fn a_thousand_that_come_at_once_cost_messages_in_proportion_and_are_listed_by_pages() {
    const MEMBERS: usize = 1_005;
    let mut config = crowds("members");
    // The first to come answers nothing while the others come.
    config.heartbeat.interval_ms = 3_600_000;
    with_server(&config, |addr, publisher| {
        let join = |id: usize| plain_in(addr, &user(&format!("u{id:04}")), "crowd:1");
        let mut wires: Vec<Wire> = (0..MEMBERS).map(join).collect();
        let mut page = |page: usize| {
            let body = format!("\"type\":\"presence\",\"room\":\"crowd:1\",\"page\":{page}");
            wires[0].ask(10 + page as u64, &body)
        };
        let (first, second) = (page(0), page(1));
        assert_eq!(first["counts"], json!({"connections": MEMBERS, "users": MEMBERS}));
        let ids =
            |page: &Value| page["members"].as_array().unwrap().iter().map(|m| m["userId"].clone()).collect();
        let (mut all, rest): (Vec<Value>, Vec<Value>) = (ids(&first), ids(&second));
        assert_eq!((all.len(), &first["more"]), (1_000, &json!(true)));
        assert_eq!((rest.len(), &second["more"]), (MEMBERS - 1_000, &json!(false)));
        all.extend(rest);
        assert_eq!(all, (0..MEMBERS).map(|id| json!(format!("u{id:04}"))).collect::<Vec<_>>());
        // The last newcomer hears at last that all are there; then nothing is on its way any more.
        let told = format!("\"connections\":{MEMBERS},\"users\":{MEMBERS}}}}}");
        wires[MEMBERS - 1].hear(&told);
        publisher.publish("crowd:1", "mark", "1".into()).unwrap();
        let total: usize = wires.iter_mut().map(frames).sum();
        let naive = MEMBERS * (MEMBERS + 1) / 2;
        println!("{MEMBERS} members: {total} frames; each join told by itself: {naive}");
        assert!(total < 40 * MEMBERS && total < naive / 10, "{total} frames");
    });
}

#[test]
fn where_only_counts_are_shown_nobody_is_named() {
    with_server(&crowds("counts"), |addr, _| {
        let mut ann = plain_in(addr, &user("ann"), "crowd:1");
        let mut bob = plain(addr, &user("bob")).0;
        let answer = bob.ask(2, "\"type\":\"subscribe\",\"room\":\"crowd:1\"");
        assert_eq!(answer["presence"]["counts"], json!({"connections": 2, "users": 2}));
        assert!(answer["presence"].get("members").is_none());
        let told = ann.hear("\"connections\":2");
        assert!(told.contains("tidings:presence") && !told.contains("bob"), "{told}");
        let answer = bob.ask(3, "\"type\":\"presence\",\"room\":\"crowd:1\"");
        assert!(answer.get("members").is_none() && answer["more"] == false, "{answer}");
    });
}

fn announcing(up_to: usize) -> Config {
    let mut config = crowds("counts");
    config.presence.announce_up_to = up_to;
    config
}

#[test]
fn the_first_connection_of_a_user_is_announced_and_the_last() {
    with_server(&announcing(1_000), |addr, _| {
        let (mut ann, _) = socket_io(addr, &user("ann"), "");
        let (mut elsewhere, _) = plain(addr, &token(json!({ "sub": "zoe", "org": "other" })));
        let (one, _) = plain(addr, &user("bob"));
        assert_eq!(ann.hear("userOnline"), "42[\"userOnline\",{\"userId\":\"bob\"}]");
        let (two, _) = plain(addr, &user("bob"));
        let (mut eve, _) = plain(addr, &user("eve"));
        assert!(ann.hear("user").contains("{\"userId\":\"eve\"}"), "a second connection is no news");
        drop(one);
        drop(two);
        assert_eq!(ann.hear("userOffline"), "42[\"userOffline\",{\"userId\":\"bob\"}]");
        assert!(eve.hear("userOffline").contains("bob"));
        // Another organisation hears of none of that, nor does one hear of oneself.
        let (_yan, _) = plain(addr, &token(json!({ "sub": "yan", "org": "other" })));
        assert!(elsewhere.hear("\"event\":\"user").contains("yan"));
    });
}

#[test]
fn a_connection_that_comes_back_within_the_grace_is_not_announced() {
    let mut config = announcing(1_000);
    config.presence.grace_ms = 5_000;
    with_server(&config, |addr, _| {
        let (mut ann, _) = plain(addr, &user("ann"));
        let (bob, _) = plain(addr, &user("bob"));
        assert!(ann.hear("\"event\":\"user").contains("userOnline"));
        drop(bob);
        let (_bob, _) = plain(addr, &user("bob"));
        let (eve, _) = plain(addr, &user("eve"));
        assert!(ann.hear("\"event\":\"user").contains("eve"));
        drop(eve);
        assert!(ann.hear("\"event\":\"user").contains("eve"), "bob would have gone before");
    });
}

#[test]
fn above_so_many_connections_nobody_is_announced() {
    with_server(&announcing(2), |addr, publisher| {
        let mut ann = plain_in(addr, &user("ann"), "crowd:1");
        let _others: Vec<_> = ["bob", "eve"].map(|id| plain_in(addr, &user(id), "crowd:1")).into();
        // Were they announced, that would have come with the batch in which the room was told.
        ann.hear("\"connections\":3,\"users\":3");
        publisher.publish("crowd:1", "mark", "1".into()).unwrap();
        loop {
            let text = match ann.next() {
                Frame::Text(text) => text,
                Frame::Other(_) => continue,
                end => panic!("{end:?} before the mark"),
            };
            assert!(!text.contains("userOnline"), "{text}");
            if text.contains("\"mark\"") {
                break;
            }
        }
    });
}

#[test]
fn whether_a_user_is_there_is_for_itself_and_for_servers() {
    with_server(&announcing(1_000), |addr, _| {
        let (mut ann, _) = plain(addr, &user("ann"));
        let server = token(json!({ "sub": "backend", "scope": "publish" }));
        let of_ann = |token: &str| {
            let bearer = format!("Authorization: Bearer {token}\r\n");
            let (_, body) = crate::common::http(addr, "GET /api/users/ann/presence", &bearer, "");
            serde_json::from_str::<Value>(&body).unwrap()
        };
        let seen = of_ann(&server);
        assert_eq!((&seen["status"], &seen["devices"]), (&json!("online"), &json!(1)), "{seen}");
        assert!(seen["lastSeen"].is_string());
        assert_eq!(of_ann(&user("bob"))["error"]["code"], "forbidden");
        let elsewhere = token(json!({ "sub": "backend", "scope": "publish", "org": "other" }));
        assert_eq!(of_ann(&elsewhere)["status"], "offline", "another organisation's ann");
        ann.ask(1, "\"type\":\"presence:set\",\"status\":\"invisible\"");
        assert_eq!(of_ann(&server)["status"], "offline");
        assert_eq!(of_ann(&user("ann"))["status"], "online");
    });
}

/// Speaks to a server over this store, which then stops.
async fn visited(store: &Store, visit: impl FnOnce(SocketAddr) + Send + 'static) {
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    let server = Server::start(&crowds("members"), extras).await.unwrap();
    let addr = server.addr();
    tokio::task::spawn_blocking(move || visit(addr)).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_user_was_last_there_outlives_the_server() {
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    let seen = async |user: &str| store.read().await.unwrap().last_seen(&Org::default(), user).await.unwrap();
    visited(&store, |addr| drop(plain_in(addr, &user("ann"), "crowd:1"))).await;
    let first = seen("ann").await.unwrap();
    assert_eq!(seen("bob").await, None);
    visited(&store, |addr| drop(plain_in(addr, &user("bob"), "crowd:1"))).await;
    assert_eq!(seen("ann").await, Some(first), "still known");
    assert!(seen("bob").await.unwrap() >= first);
    visited(&store, |addr| {
        let bearer = format!("Authorization: Bearer {}\r\n", user("ann"));
        let (_, body) = crate::common::http(addr, "GET /api/users/ann/presence", &bearer, "");
        assert!(body.contains("\"status\":\"offline\",\"devices\":0,\"lastSeen\":\"20"), "{body}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_invisible_were_there_is_not_stored() {
    let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
    visited(&store, |addr| {
        // What one has set holds before one comes to a room.
        let (mut ann, _) = plain(addr, &token(json!({ "sub": "ann" })));
        ann.ask(1, "\"type\":\"presence:set\",\"status\":\"invisible\"");
        ann.ask(2, "\"type\":\"subscribe\",\"room\":\"crowd:1\"");
        drop(plain_in(addr, &user("bob"), "crowd:1"));
    })
    .await;
    let mut read = store.read().await.unwrap();
    assert_eq!(read.last_seen(&Org::default(), "ann").await.unwrap(), None);
    assert!(read.last_seen(&Org::default(), "bob").await.unwrap().is_some());
}

#[test]
fn the_figures_say_what_presence_costs() {
    with_server(&crowds("members"), |addr, _| {
        let mut ann = plain_in(addr, &user("ann"), "crowd:1");
        ann.hear("tidings:presence");
        let (_, body) = crate::common::http(addr, "GET /metrics", "", "");
        for line in
            ["tidings_presence_rooms 1", "tidings_presence_connections 1", "tidings_presence_events_total 1"]
        {
            assert!(body.contains(line), "{line} in {body}");
        }
    });
}
