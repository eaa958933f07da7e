//! Who comes and goes in a room, as its members see it.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::RoomKindConfig;
use tidings_testkit::eventually_told;

use crate::common::{DEADLINE, Frame, Wire, config, http, token, with_server};
use crate::people::{plain, socket_io};

const ROOM: &str = "team:1";

/// Rooms `team` whose members see each other by this rule.
fn teams(presence: &str) -> Config {
    let mut config = config();
    let kind = RoomKindConfig {
        subscribe: Some("signed-in".into()),
        publish: Some("signed-in".into()),
        presence: Some(presence.into()),
        roster: Some("members".into()),
        ..RoomKindConfig::default()
    };
    config.rooms.insert("team".into(), kind);
    config
}

fn with_grace(grace_ms: u64) -> Config {
    let mut config = teams("signed-in");
    config.presence.grace_ms = grace_ms;
    config
}

fn user(id: &str) -> String {
    token(json!({ "sub": id, "name": format!("The {id}") }))
}

/// A server's token.
fn shop() -> String {
    token(json!({ "sub": "shop", "scope": "publish" }))
}

/// A plain client in the room, and the answer to its `subscribe`.
fn member(addr: SocketAddr, token: &str) -> (Wire, Value) {
    let (mut wire, _) = plain(addr, token);
    let answer = wire.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"{ROOM}\""));
    assert_eq!(answer["ok"], true, "{answer}");
    (wire, answer)
}

/// The data of the next event of presence.
fn news(wire: &mut Wire) -> Value {
    let text = wire.hear("\"event\":\"tidings:presence\"");
    serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
}

/// Events of presence until one says that `user` is in `list`, that one included.
fn until(wire: &mut Wire, list: &str, user: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        heard.push(news(wire));
        if names(&heard[heard.len() - 1], list).contains(&user.to_owned()) {
            return heard;
        }
    }
}

fn names(news: &Value, list: &str) -> Vec<String> {
    let list = news[list].as_array().cloned().unwrap_or_default();
    list.iter().map(|seen| seen["userId"].as_str().unwrap().to_owned()).collect()
}

/// How often somebody is in a list of these events.
fn count(heard: &[Value], list: &str, user: &str) -> usize {
    heard.iter().filter(|news| names(news, list).contains(&user.to_owned())).count()
}

fn ask_presence(wire: &mut Wire, id: u64, page: usize) -> Value {
    wire.ask(id, &format!("\"type\":\"presence\",\"room\":\"{ROOM}\",\"page\":{page}"))
}

fn get(addr: SocketAddr, path: &str, token: &str) -> Value {
    let (_, body) = http(addr, &format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"), "");
    serde_json::from_str(&body).unwrap()
}

/// Waits until so many connections are in the room; what is shown of it may lag behind.
fn wait_for_connections(addr: SocketAddr, count: u64) {
    let stats = || get(addr, &format!("/api/rooms/{ROOM}/stats"), &shop());
    eventually_told("so many connections", stats, |stats| stats["connections"] == count);
}

#[test]
fn a_newcomer_sees_who_is_there_and_the_others_see_it_come() {
    with_server(&teams("signed-in"), |addr, _| {
        let (mut ann, answer) = member(addr, &user("ann"));
        assert_eq!(answer["presence"]["counts"], json!({"connections": 1, "users": 1}));
        assert_eq!(answer["presence"]["members"][0]["userId"], "ann");
        assert_eq!(names(&news(&mut ann), "joined"), ["ann"]);
        let (mut bob, answer) = member(addr, &user("bob"));
        assert_eq!(names(&answer["presence"], "members"), ["ann", "bob"]);
        let told = news(&mut ann);
        assert_eq!((names(&told, "joined"), &told["room"]), (vec!["bob".into()], &json!(ROOM)));
        assert_eq!(told["counts"], json!({"connections": 2, "users": 2}));
        let answer = ask_presence(&mut bob, 7, 0);
        let mut first = answer["members"][0].clone();
        let seen = first.as_object_mut().unwrap().remove("lastSeen").unwrap();
        assert!(seen.as_str().unwrap().ends_with('Z'));
        assert_eq!(first, json!({"userId": "ann", "name": "The ann", "status": "online", "devices": 1}));
        assert_eq!((&answer["more"], &answer["room"]), (&json!(false), &json!(ROOM)));
        let by_http = get(addr, &format!("/api/rooms/{ROOM}/presence"), &user("bob"));
        assert_eq!(names(&by_http, "members"), ["ann", "bob"]);
        assert_eq!(by_http["counts"], answer["counts"]);
        let other = get(addr, &format!("/api/rooms/{ROOM}/presence?page=1"), &user("bob"));
        assert_eq!(other["members"], json!([]));
        for page in ["-1", "1.5", "one", ""] {
            let refused = get(addr, &format!("/api/rooms/{ROOM}/presence?page={page}"), &user("bob"));
            assert_eq!(refused["error"]["code"], "bad_request", "{page:?}");
        }
    });
}

#[test]
fn a_page_that_is_loaded_again_makes_no_leave_and_no_join() {
    with_server(&with_grace(5_000), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        drop(bob);
        wait_for_connections(addr, 1);
        let (_bob, _) = member(addr, &user("bob"));
        // Whoever is lost after that is gone later than bob would be.
        let (eve, _) = member(addr, &user("eve"));
        drop(eve);
        let heard = until(&mut ann, "left", "eve");
        assert_eq!((count(&heard, "left", "bob"), count(&heard, "joined", "bob")), (0, 0), "{heard:?}");
    });
}

#[test]
fn without_a_grace_a_page_that_is_loaded_again_makes_both() {
    with_server(&with_grace(0), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        drop(bob);
        until(&mut ann, "left", "bob");
        let (_bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
    });
}

#[test]
fn who_unsubscribes_leaves_without_a_grace() {
    with_server(&with_grace(3_600_000), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (mut bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        bob.ask(2, &format!("\"type\":\"unsubscribe\",\"room\":\"{ROOM}\""));
        until(&mut ann, "left", "bob");
    });
}

#[test]
fn two_connections_of_a_user_are_one_member_with_two_devices() {
    with_server(&with_grace(100), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (one, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        let (_two, answer) = member(addr, &user("bob"));
        assert_eq!(answer["presence"]["counts"], json!({"connections": 3, "users": 2}));
        let told = until(&mut ann, "changed", "bob").pop().unwrap();
        assert_eq!(told["changed"][0]["devices"], 2);
        drop(one);
        let heard = until(&mut ann, "changed", "bob");
        assert_eq!(heard[heard.len() - 1]["changed"][0]["devices"], 1);
        assert_eq!(count(&heard, "left", "bob"), 0);
    });
}

#[test]
fn a_dead_client_leaves_when_its_time_to_answer_is_over_whatever_the_grace() {
    let mut config = with_grace(3_600_000);
    (config.heartbeat.interval_ms, config.heartbeat.timeout_ms) = (300, 3_000);
    with_server(&config, |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (mut dead, _) = socket_io(addr, &user("bob"), "");
        dead.say(&format!("421[\"subscribe\",{{\"room\":\"{ROOM}\"}}]"));
        dead.hear("431[");
        // It never answers a ping, and its socket stays open.
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < DEADLINE);
            let text = match ann.next() {
                Frame::Text(text) => text,
                Frame::Other(_) => continue,
                end => panic!("{end:?} of one who answers"),
            };
            if text.contains("heartbeat") {
                ann.say("{\"type\":\"heartbeat\"}");
            }
            if text.contains("tidings:presence") && text.contains("\"left\":[{\"userId\":\"bob\"") {
                break;
            }
        }
    });
}

#[test]
fn who_says_nothing_is_away_until_it_says_something() {
    let mut config = teams("signed-in");
    config.presence.idle_seconds = 3;
    with_server(&config, |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (mut bob, _) = member(addr, &user("bob"));
        let away = until(&mut ann, "changed", "bob").pop().unwrap();
        assert!(away["changed"].as_array().unwrap().iter().all(|seen| seen["status"] == "away"), "{away}");
        bob.say("{\"type\":\"heartbeat\"}");
        let answer = bob.ask(3, "\"type\":\"ping\"");
        assert_eq!(answer["ok"], true, "signs of life say nothing about who is there");
        assert_eq!(bob.ask(4, "\"type\":\"presence:set\"")["status"], "auto");
        let back = until(&mut ann, "changed", "bob");
        assert_eq!(back[back.len() - 1]["changed"][0]["status"], "online");
    });
}

#[test]
fn a_client_says_itself_that_nobody_is_there_or_what_others_are_to_see() {
    with_server(&teams("signed-in"), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (mut bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        let mut status = |body: &str, id| {
            let answer = bob.ask(id, &format!("\"type\":\"presence:set\",{body}"));
            assert_eq!(answer["ok"], true, "{answer}");
            let told = until(&mut ann, "changed", "bob").pop().unwrap();
            told["changed"][0]["status"].as_str().unwrap().to_owned()
        };
        assert_eq!(status("\"active\":false", 2), "away");
        assert_eq!(status("\"status\":\"online\"", 3), "online");
        assert_eq!(status("\"status\":\"away\",\"until\":4102444800000", 4), "away");
        assert_eq!(status("\"status\":\"auto\"", 5), "online");
        bob.ask(6, "\"type\":\"presence:set\",\"info\":{\"busy\":[1]}");
        let told = until(&mut ann, "changed", "bob").pop().unwrap();
        assert_eq!(told["changed"][0]["info"], json!({"busy": [1]}));
    });
}

#[test]
fn what_cannot_be_set_is_refused_with_a_code() {
    with_server(&teams("signed-in"), |addr, _| {
        let (mut bob, _) = member(addr, &user("bob"));
        let long = format!("\"info\":\"{}\"", "x".repeat(1_024));
        let bad = [
            "\"status\":\"here\"",
            "\"status\":1",
            "\"status\":\"away\",\"until\":5",
            "\"until\":4102444800000",
            "\"active\":1",
            &long,
        ];
        for (id, body) in bad.iter().enumerate() {
            let answer = bob.ask(10 + id as u64, &format!("\"type\":\"presence:set\",{body}"));
            assert_eq!(answer["error"]["code"], "bad_request", "{body}: {answer}");
        }
        let mut nobody = Wire::open(addr, "/ws");
        nobody.say("{\"type\":\"auth\"}");
        nobody.hear("auth:ok");
        let answer = nobody.ask(1, "\"type\":\"presence:set\",\"status\":\"away\"");
        assert_eq!(answer["error"]["code"], "forbidden");
    });
}

#[test]
fn the_invisible_are_seen_by_nobody_but_themselves() {
    let mut config = teams("signed-in");
    config.rooms.get_mut("open").unwrap().presence = Some("anyone".into());
    with_server(&config, |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (mut bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        assert_eq!(bob.ask(2, "\"type\":\"presence:set\",\"status\":\"invisible\"")["status"], "invisible");
        until(&mut ann, "left", "bob");
        assert_eq!(names(&ask_presence(&mut ann, 3, 0), "members"), ["ann"]);
        assert_eq!(ask_presence(&mut ann, 4, 0)["counts"], json!({"connections": 1, "users": 1}));
        assert_eq!(names(&ask_presence(&mut bob, 3, 0), "members"), ["ann", "bob"]);
        // Another device of it is as little seen, in this room and in one that keeps no roster.
        let (mut two, answer) = member(addr, &user("bob"));
        assert_eq!(answer["presence"]["counts"]["users"], 2);
        two.ask(5, "\"type\":\"subscribe\",\"room\":\"open:1\"");
        let answer = get(addr, "/api/rooms/open:1/presence", &user("ann"));
        assert_eq!(answer["counts"], json!({"connections": 0, "users": 0}));
        assert_eq!(get(addr, "/api/rooms/open:1/presence", &user("bob"))["counts"]["users"], 1);
        bob.ask(6, "\"type\":\"presence:set\",\"status\":\"auto\"");
        let heard = until(&mut ann, "joined", "bob");
        assert_eq!(count(&heard, "changed", "bob"), 0, "the second device was not told");
    });
}

#[test]
fn who_may_not_see_the_others_gets_nothing_of_them() {
    with_server(&teams("role:boss"), |addr, publisher| {
        let (mut boss, answer) = member(addr, &token(json!({ "sub": "boss", "roles": ["boss"] })));
        assert_eq!(answer["presence"]["counts"]["users"], 1);
        let (mut ann, answer) = member(addr, &user("ann"));
        assert!(answer.get("presence").is_none(), "{answer}");
        assert_eq!(ask_presence(&mut ann, 2, 0)["error"]["code"], "forbidden");
        let (_bob, _) = member(addr, &user("bob"));
        until(&mut boss, "joined", "bob");
        publisher.publish(ROOM, "mark", "1".into()).unwrap();
        loop {
            let text = match ann.next() {
                Frame::Text(text) => text,
                Frame::Other(_) => continue,
                end => panic!("{end:?} before the mark"),
            };
            assert!(!text.contains("tidings:presence"), "{text}");
            if text.contains("\"mark\"") {
                break;
            }
        }
    });
}

#[test]
fn rights_that_change_with_a_token_decide_what_is_seen_from_then_on() {
    with_server(&teams("role:boss"), |addr, publisher| {
        let (mut ann, _) = member(addr, &user("ann"));
        ann.say(&format!(
            "{{\"type\":\"auth\",\"token\":\"{}\"}}",
            token(json!({ "sub": "ann", "roles": ["boss"] }))
        ));
        ann.hear("auth:ok");
        let (_bob, _) = member(addr, &user("bob"));
        until(&mut ann, "joined", "bob");
        ann.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", user("ann")));
        ann.hear("auth:ok");
        let (mut boss, _) = member(addr, &token(json!({ "sub": "boss", "roles": ["boss"] })));
        until(&mut boss, "joined", "boss");
        publisher.publish(ROOM, "mark", "1".into()).unwrap();
        let told = loop {
            match ann.next() {
                Frame::Text(text) if text.contains("\"mark\"") => break false,
                Frame::Text(text) if text.contains("\"boss\"") => break true,
                Frame::Text(_) | Frame::Other(_) => {}
                end => panic!("{end:?} before the mark"),
            }
        };
        assert!(!told);
    });
}

#[test]
fn a_client_that_wants_only_some_events_is_still_blind_if_it_may_not_see() {
    with_server(&teams("role:boss"), |addr, publisher| {
        let (mut ann, _) = plain(addr, &user("ann"));
        let events = "\"events\":[\"tidings:presence\",\"mark\"]";
        ann.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"{ROOM}\",{events}"));
        let (mut boss, _) = member(addr, &token(json!({ "sub": "boss", "roles": ["boss"] })));
        until(&mut boss, "joined", "boss");
        publisher.publish(ROOM, "mark", "1".into()).unwrap();
        let Frame::Text(text) = ann.next() else { panic!("no text") };
        assert!(text.contains("\"mark\""), "{text}");
    });
}

#[test]
fn a_room_of_the_same_name_elsewhere_has_other_members() {
    with_server(&teams("signed-in"), |addr, _| {
        let (mut ann, _) = member(addr, &user("ann"));
        let (_other, answer) = member(addr, &token(json!({ "sub": "ann", "org": "other" })));
        assert_eq!(answer["presence"]["counts"], json!({"connections": 1, "users": 1}));
        let (_bob, _) = member(addr, &user("bob"));
        let heard = until(&mut ann, "joined", "bob");
        assert!(heard.iter().all(|news| news["counts"]["users"].as_u64().unwrap() <= 2), "{heard:?}");
    });
}

#[test]
fn stock_clients_get_the_same() {
    with_server(&teams("signed-in"), |addr, _| {
        let (mut ann, _) = socket_io(addr, &user("ann"), "");
        ann.say(&format!("421[\"subscribe\",{{\"room\":\"{ROOM}\"}}]"));
        let answer = ann.hear("431[");
        assert!(answer.contains("\"presence\":{\"version\":"), "{answer}");
        let told = ann.hear("42[\"tidings:presence\",{\"room\":\"team:1\"");
        assert!(told.ends_with("}]"), "no trailing offset: {told}");
        ann.say("422[\"presence:set\",{\"status\":\"away\"}]");
        assert!(ann.hear("432[").contains("\"status\":\"away\""));
        assert!(ann.hear("\"changed\":[{\"userId\":\"ann\"").contains("\"away\""));
    });
}
