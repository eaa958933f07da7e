//! Rates and counts of users and connections, through real sockets.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::{Anonymous, RoomKindConfig};

use crate::backend::{Backend, allow};
use crate::common::{DEADLINE, Frame, Wire, frame, http, limited, token, user, with_server};
use crate::disk::Disk;
use crate::hooks;
use crate::people::{self, post};

const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

/// A Socket.IO client that has asked to join `/`; what it was told.
fn socket_io(addr: SocketAddr, client: &str, auth: &Value) -> (Wire, String) {
    let mut wire = Wire::open_for(addr, SOCKET_IO, client).unwrap();
    wire.hear("\"sid\"");
    wire.say(&format!("40{auth}"));
    let answer = wire.hear("4");
    (wire, answer)
}

/// An event with an acknowledgement, and its first argument.
fn emit(wire: &mut Wire, id: u64, name: &str, data: &Value) -> Value {
    wire.say(&format!("42{id}{}", json!([name, data])));
    let answer = wire.hear(&format!("43{id}["));
    let args: Value = serde_json::from_str(&answer[format!("43{id}").len()..]).unwrap();
    args[0].clone()
}

/// Lets every socket say so many pings, then counts the answers: how many passed, of how many, and
/// in how many seconds.
fn storm(wires: &mut [Wire], pings: u64) -> (u64, u64, f64) {
    let burst: Vec<u8> = (0..pings)
        .flat_map(|id| frame(0x81, format!("{{\"type\":\"ping\",\"id\":{id}}}").as_bytes()))
        .collect();
    let began = Instant::now();
    wires.iter_mut().for_each(|wire| wire.send(&burst));
    let mut passed = 0;
    for wire in wires.iter_mut() {
        for _ in 0..pings {
            passed += u64::from(wire.hear("\"type\":\"ack\"").contains("\"ok\":true"));
        }
    }
    (passed, wires.len() as u64 * pings, began.elapsed().as_secs_f64())
}

/// Many sockets, each from an address of its own, and what passed of what they said.
fn storm_of(
    config: &Config,
    sockets: usize,
    pings: u64,
    who: fn(usize) -> (String, String),
) -> (u64, u64, f64) {
    with_server(config, move |addr, _| {
        let open = |at| {
            let (address, user) = who(at);
            Wire::open_for(addr, "/ws", &address).unwrap().sign_in(&user)
        };
        let mut wires: Vec<Wire> = (0..sockets).map(open).collect();
        let stormed = storm(&mut wires, pings);
        until_one_passes(&mut wires);
        stormed
    })
}

/// Signing in counts as well and may have used everything up, a storm may be over within a moment: then
/// nothing of it passes. What is refused takes nothing, so something passes soon.
fn until_one_passes(wires: &mut [Wire]) {
    let began = Instant::now();
    for at in 0.. {
        let wire = &mut wires[at % wires.len()];
        wire.say("{\"type\":\"ping\",\"id\":99}");
        if wire.hear("\"type\":\"ack\"").contains("\"ok\":true") {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "nothing passes any more");
    }
}

/// With limits the storm keeps within a tenth of burst and rate; without them it does not.
fn keeps_within(config: Config, sockets: usize, rate: (u64, u64), who: fn(usize) -> (String, String)) {
    let most = |seconds: f64| (rate.1 as f64 + rate.0 as f64 * seconds) * 1.1;
    let (passed, said, seconds) = storm_of(&config, sockets, 10, who);
    assert!(passed as f64 <= most(seconds), "{passed} of {said} in {seconds} s");
    assert!(passed < said);
    let (passed, said, seconds) = storm_of(&Config { no_limits: true, ..config }, sockets, 10, who);
    assert_eq!(passed, said, "the control: nothing is limited");
    assert!(passed as f64 > most(seconds), "the storm is too slow to show anything: {passed} in {seconds} s");
}

#[test]
fn two_hundred_sockets_of_one_user_share_its_bucket() {
    let mut config = limited();
    (config.limits.user_messages_per_second, config.limits.user_messages_burst) = (20, 40);
    config.limits.connections_per_user = 1_000;
    keeps_within(config, 200, (20, 40), |at| (format!("10.0.{}.{}", at / 200, at % 200 + 1), user("alice")));
}

#[test]
fn a_thousand_users_behind_one_network_share_its_bucket() {
    let mut config = limited();
    (config.limits.address_messages_per_second, config.limits.address_messages_burst) = (50, 100);
    config.limits.connections_per_network = 2_000;
    keeps_within(config, 1_000, (50, 100), |at| {
        (format!("2001:db8:1:2::{at:x}"), user(&format!("user-{at}")))
    });
}

#[test]
fn the_21st_socket_of_a_user_is_refused_until_another_leaves() {
    with_server(&limited(), |addr, _| {
        let open = |at: usize| Wire::open_for(addr, "/ws", &format!("10.0.0.{at}")).unwrap();
        let mut wires: Vec<Wire> = (1..=20).map(|at| open(at).sign_in(&user("alice"))).collect();
        let mut refused = open(21);
        refused.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", user("alice")));
        let refusal = refused.hear("ack");
        assert!(
            refusal.contains("\"code\":\"rate_limited\"") && refusal.contains("retryAfterMs"),
            "{refusal}"
        );
        assert_eq!(refused.closed(), Some(4429));
        let (_wire, refusal) = socket_io(addr, "10.0.0.22", &json!({ "token": user("alice") }));
        assert!(refusal.starts_with("44") && refusal.contains("\"code\":\"rate_limited\""), "{refusal}");
        open(23).sign_in(&user("bob"));
        let mut leaves = wires.pop().unwrap();
        leaves.send(&frame(0x88, &1000u16.to_be_bytes()));
        assert_eq!(leaves.closed(), Some(1000));
        open(24).sign_in(&user("alice"));
    });
}

#[test]
fn the_connections_of_an_organisation_are_counted_for_themselves() {
    let mut config = limited();
    config.limits.connections_per_org = 2;
    with_server(&config, |addr, _| {
        let of = |org: &str, id: &str| token(json!({ "sub": id, "org": org }));
        let _kept: Vec<Wire> =
            ["a", "b"].map(|id| Wire::open(addr, "/ws").sign_in(&of("acme", id))).into_iter().collect();
        let mut third = Wire::open(addr, "/ws");
        third.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", of("acme", "c")));
        assert!(third.hear("ack").contains("\"code\":\"unavailable\""));
        assert_eq!(third.closed(), Some(1013));
        Wire::open(addr, "/ws").sign_in(&of("other", "c"));
    });
}

#[test]
fn a_client_that_floods_is_refused_first_and_closed_with_4429_then() {
    with_server(&limited(), |addr, _| {
        let mut wire = Wire::open(addr, "/ws").sign_in(&user("alice"));
        let flood: Vec<u8> = (0..1_000)
            .flat_map(|id| frame(0x81, format!("{{\"type\":\"ping\",\"id\":{id}}}").as_bytes()))
            .collect();
        // The server may close before everything is written.
        let _ = std::io::Write::write_all(&mut wire.stream, &flood);
        let (mut passed, mut refused) = (0, 0);
        let code = loop {
            match wire.next() {
                Frame::Text(text) if text.contains("\"ok\":true") => passed += 1,
                Frame::Text(text) => {
                    assert!(
                        text.contains("\"code\":\"rate_limited\"") && text.contains("\"retryAfterMs\":"),
                        "{text}"
                    );
                    refused += 1;
                }
                Frame::Close(code) => break code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code, 4429);
        assert!(passed >= 99 && refused >= 50, "{passed} passed, {refused} refused");
    });
}

#[test]
fn pings_and_pongs_of_the_websocket_are_counted_too() {
    with_server(&limited(), |addr, _| {
        for opcode in [0x89, 0x8a] {
            let mut wire = Wire::open(addr, "/ws").sign_in(&user("alice"));
            let _ = std::io::Write::write_all(&mut wire.stream, &frame(opcode, b"").repeat(1_000));
            assert_eq!(wire.closed(), Some(4429));
        }
    });
}

#[test]
fn sockets_of_every_kind_and_requests_share_one_bucket_for_publishes() {
    with_server(&limited(), |addr, _| {
        let (mut plain, alice) = (Wire::open(addr, "/ws").sign_in(&user("alice")), user("alice"));
        let (mut socket_io, _) = socket_io(addr, "10.0.0.1", &json!({ "token": alice }));
        let headers = format!("Authorization: Bearer {alice}\r\n");
        let body = json!({ "room": "lobby:a", "event": "e", "data": 1 });
        for round in 0..33 {
            let left = |answer: &Value| answer["remaining"].as_u64();
            let by_plain =
                plain.ask(round, "\"type\":\"publish\",\"room\":\"lobby:a\",\"event\":\"e\",\"data\":1");
            let by_socket_io = emit(&mut socket_io, round, "publish", &body);
            let (_, by_request) = http(addr, "POST /api/publish", &headers, &body.to_string());
            let by_request: Value = serde_json::from_str(&by_request).unwrap();
            let first = left(&by_plain).unwrap();
            assert_eq!(first.max(99 - 3 * round), first, "only time gives some back");
            assert!(left(&by_socket_io) < left(&by_plain) || first < 2, "{by_plain} {by_socket_io}");
            assert_eq!(by_request["ok"], true, "{by_request}");
        }
        let mut refused = 0;
        // What time has given back meanwhile is used up.
        while refused == 0 {
            let (head, body) = http(addr, "POST /api/publish", &headers, &body.to_string());
            if head.starts_with("HTTP/1.1 429") {
                assert!(head.contains("retry-after: 1") && body.contains("\"remaining\":0"), "{head}{body}");
                refused += 1;
            }
        }
        let by_socket_io = emit(&mut socket_io, 90, "publish", &body);
        assert_eq!(by_socket_io["error"]["code"], "rate_limited");
        assert!(by_socket_io["error"]["retryAfterMs"].as_u64().unwrap() <= 600, "{by_socket_io}");
        assert_eq!(emit(&mut socket_io, 91, "ping", &json!({}))["ok"], true);
        assert_eq!(emit(&mut socket_io, 92, "subscribe", &json!({ "room": "lobby:a" }))["ok"], true);
        assert_eq!(emit(&mut socket_io, 93, "unsubscribe", &json!({ "room": "lobby:a" }))["ok"], true);
        let mut other = Wire::open(addr, "/ws").sign_in(&user("bob"));
        let publish = "\"type\":\"publish\",\"room\":\"lobby:a\",\"event\":\"e\",\"data\":1";
        assert_eq!(other.ask(1, publish)["remaining"], 99, "another user has a bucket of their own");
    });
}

#[test]
fn a_publish_the_backend_is_asked_about_costs_one() {
    let backend = Backend::start(|_| allow());
    let mut config = limited();
    let asking = hooks::asking(&backend);
    (config.hooks, config.rooms) = (asking.hooks, asking.rooms);
    with_server(&config, |addr, _| {
        let mut wire = Wire::open(addr, "/ws").sign_in(&user("alice"));
        for id in 0..3 {
            let room = format!("\"type\":\"publish\",\"room\":\"ask:{id}\",\"event\":\"e\",\"data\":1");
            let answer = wire.ask(id, &room);
            assert_eq!((&answer["ok"], &answer["remaining"]), (&json!(true), &json!(99 - id)), "{answer}");
        }
    });
}

#[test]
fn a_kind_of_rooms_may_set_its_own_bucket() {
    let mut config = limited();
    let anyone = |per_minute| RoomKindConfig {
        subscribe: Some("signed-in".into()),
        publish: Some("signed-in".into()),
        publish_per_minute: Some(per_minute),
        ..RoomKindConfig::default()
    };
    config.rooms.insert("cursor".into(), anyone(6_000));
    config.rooms.insert("vote".into(), anyone(1));
    with_server(&config, |addr, _| {
        let mut wire = Wire::open(addr, "/ws").sign_in(&user("alice"));
        let mut publish = |id, room: &str| {
            wire.ask(id, &format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"e\",\"data\":1"))
        };
        assert_eq!(publish(1, "vote:1")["remaining"], 0);
        assert_eq!(publish(2, "vote:2")["error"]["code"], "rate_limited", "by kind, not by room");
        assert_eq!(publish(3, "cursor:1")["remaining"], 5_999);
        assert_eq!(publish(4, "lobby:1")["remaining"], 99, "what kinds count is not in the general bucket");
    });
}

#[test]
fn subscriptions_and_rooms_are_limited() {
    let mut config = limited();
    (config.limits.joins_per_second, config.limits.joins_burst, config.limits.rooms_per_org) = (1, 3, 4);
    with_server(&config, |addr, _| {
        let subscribe = |wire: &mut Wire, id| {
            wire.ask(id, &format!("\"type\":\"subscribe\",\"room\":\"loose:{id}\""))["error"]["code"].clone()
        };
        // Each signed-in user is in a room of its own as well.
        let mut alice = Wire::open(addr, "/ws").sign_in(&user("alice"));
        assert_eq!([1, 2].map(|id| subscribe(&mut alice, id)), [Value::Null, Value::Null]);
        let mut bob = Wire::open(addr, "/ws").sign_in(&user("bob"));
        assert_eq!(subscribe(&mut bob, 3), "unavailable", "a fifth room");
        assert_eq!(subscribe(&mut bob, 1), Value::Null, "one that is there");
        let codes: Vec<Value> = (0..3).map(|_| subscribe(&mut alice, 1)).collect();
        assert!(codes.contains(&"rate_limited".into()), "{codes:?}");
    });
}

#[test]
fn one_user_makes_so_many_rooms_and_keeps_nobody_else_from_theirs() {
    let mut config = limited();
    (config.limits.new_rooms_per_minute, config.limits.new_rooms_burst) = (1, 3);
    with_server(&config, |addr, _| {
        let enters = |wire: &mut Wire, room: &str| {
            let told = wire.ask(1, &format!("\"type\":\"subscribe\",\"room\":\"{room}\""));
            let error = &told["error"];
            assert_eq!(error["retryAfterMs"].is_u64(), error["code"] == "rate_limited", "{told}");
            told["ok"] == true
        };
        let publishes = |wire: &mut Wire, room: &str, more: &str| {
            let body = format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"e\",\"data\":1{more}");
            wire.ask(2, &body)["ok"] == true
        };
        let mut alice = Wire::open(addr, "/ws").sign_in(&user("alice"));
        assert!(enters(&mut alice, "open:1") && publishes(&mut alice, "open:2", ""));
        assert!(publishes(&mut alice, "open:3", ",\"receipt\":{}"));
        let mut again = Wire::open(addr, "/ws").sign_in(&user("alice"));
        assert!(!enters(&mut alice, "open:4") && !enters(&mut again, "open:4"), "however many connections");
        assert!(!publishes(&mut again, "open:4", "") && !publishes(&mut again, "open:4", ",\"receipt\":{}"));
        let body = "{\"room\":\"open:4\",\"event\":\"e\",\"data\":1}";
        assert!(post(addr, "/api/publish", &user("alice"), body).starts_with("HTTP/1.1 429"));
        assert!(enters(&mut again, "open:1") && publishes(&mut again, "open:2", ""), "these are there");
        assert!(enters(&mut again, "loose:1"), "it is gone with her");
        assert!(publishes(&mut again, "open:4", ",\"volatile\":true"), "this makes none");
        let mut bob = Wire::open(addr, "/ws").sign_in(&user("bob"));
        assert!(enters(&mut bob, "open:4") && enters(&mut again, "open:4"), "others make theirs");
        let server = people::token("server", 600, json!({"scope": "publish"}));
        (5..20).for_each(|at| {
            let body = format!("{{\"room\":\"open:{at}\",\"event\":\"e\",\"data\":1}}");
            assert!(post(addr, "/api/publish", &server, &body).starts_with("HTTP/1.1 200"));
        });
    });
    config.no_limits = true;
    with_server(&config, |addr, _| {
        let mut alice = Wire::open(addr, "/ws").sign_in(&user("alice"));
        (1..9).for_each(|at| {
            let told = alice.ask(at, &format!("\"type\":\"subscribe\",\"room\":\"open:{at}\""));
            assert_eq!(told["ok"], true, "{told}");
        });
    });
}

#[test]
fn without_limits_a_connection_is_in_as_many_rooms_as_it_likes_and_in_no_more_namespaces() {
    let enters = |wire: &mut Wire, at: u64| {
        wire.ask(at, &format!("\"type\":\"subscribe\",\"room\":\"loose:{at}\""))["ok"] == true
    };
    let mut config = limited();
    (config.limits.rooms, config.limits.namespaces) = (5, 1);
    config.namespaces.insert("/other".into(), tidings_server::config::NamespaceConfig::default());
    with_server(&config, move |addr, _| {
        let mut alice = Wire::open(addr, "/ws").sign_in(&user("alice"));
        // Her own room is none of them.
        assert!((1..=5).all(|at| enters(&mut alice, at)) && !enters(&mut alice, 6), "the control");
    });
    config.no_limits = true;
    with_server(&config, move |addr, _| {
        let mut alice = Wire::open(addr, "/ws").sign_in(&user("alice"));
        assert!((1..300).all(|at| enters(&mut alice, at)));
        let (mut bob, answer) = socket_io(addr, "10.0.0.1", &json!({ "token": user("bob") }));
        assert!(answer.starts_with("40"), "{answer}");
        bob.say(&format!("40/other,{}", json!({ "token": user("bob") })));
        let refused = bob.hear("44/other,");
        assert!(refused.contains("bad_request"), "this is the structure of a connection: {refused}");
    });
}

#[test]
fn a_session_that_is_taken_up_is_not_counted_twice() {
    let mut config = limited();
    config.limits.connections_per_user = 1;
    with_server(&config, |addr, _| {
        let (_first, connected) = socket_io(addr, "10.0.0.1", &json!({ "token": user("alice") }));
        let connected: Value = serde_json::from_str(&connected[2..]).unwrap();
        // The first is still there, as far as the server knows.
        let (_second, answer) = socket_io(addr, "10.0.0.2", &json!({ "token": user("alice") }));
        assert!(answer.starts_with("44"), "the control: a stranger's session is one too many: {answer}");
        let resumes = json!({ "token": user("alice"), "pid": connected["pid"], "offset": "" });
        let (_third, answer) = socket_io(addr, "10.0.0.3", &resumes);
        assert!(answer.starts_with("40") && answer.contains(connected["sid"].as_str().unwrap()), "{answer}");
    });
}

#[test]
fn what_strangers_say_is_not_held_against_those_who_have_signed_in_beside_them() {
    let mut config = limited();
    config.auth.anonymous = Anonymous::Always;
    (config.limits.user_messages_per_second, config.limits.user_messages_burst) = (1, 5);
    with_server(&config, |addr, _| {
        let ping = |wire: &mut Wire, id| wire.ask(id, "\"type\":\"ping\"")["ok"] == true;
        let mut stranger = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap();
        stranger.say("{\"type\":\"auth\"}");
        stranger.hear("auth:ok");
        let mut alice = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap().sign_in(&user("alice"));
        let passed = (0..20).filter(|id| ping(&mut stranger, *id)).count();
        assert!((3..20).contains(&passed), "strangers of an address are as one user: {passed}");
        assert!(ping(&mut alice, 1), "the address itself has a thousand a second");
    });
}

#[test]
fn everybody_who_sits_on_a_connection_is_counted() {
    let mut config = limited();
    config.namespaces.insert("/second".into(), Default::default());
    (config.limits.user_messages_per_second, config.limits.user_messages_burst) = (1, 8);
    with_server(&config, |addr, _| {
        // Bob sits there first; what Alice says counts for her all the same.
        let mut both = Wire::open_for(addr, SOCKET_IO, "192.0.2.1").unwrap();
        both.hear("\"sid\"");
        both.say(&format!("40/second,{}", json!({ "token": user("bob") })));
        both.hear("40/second");
        both.say(&format!("40{}", json!({ "token": user("alice") })));
        both.hear("40{");
        let passes = |wire: &mut Wire, id| emit(wire, id, "ping", &json!({}))["ok"] == true;
        let passed = (0..20).filter(|id| passes(&mut both, *id)).count();
        assert!(passed < 12, "{passed}");
        let (mut alone, _) = socket_io(addr, "192.0.2.2", &json!({ "token": user("alice") }));
        let more = (0..20).filter(|id| passes(&mut alone, *id)).count();
        assert!(more < 12, "her bucket is the same from everywhere: {more}");
        assert!(passed + more < 16, "{passed} and {more}: the bucket has eight, and one a second");
    });
}

/// Rooms of the kind `notes` are in the log.
fn limited_with_log() -> Config {
    let mut config = limited();
    let mut notes = config.rooms["open"].clone();
    notes.keep = Some("durable".into());
    config.rooms.insert("notes".into(), notes);
    config
}

/// Rooms in the log that nobody has read yet, each entered and spoken in.
fn stored_rooms_are_counted_once(door: fn(SocketAddr) -> Wire, subscribe: fn(&mut Wire, u64) -> bool) {
    let mut config = limited_with_log();
    (config.limits.joins_per_second, config.limits.joins_burst) = (1, 10);
    Disk::sqlite(config).served(move |addr, _| {
        let mut wire = door(addr);
        let entered = (0..10).filter(|room| subscribe(&mut wire, *room)).count();
        assert_eq!(entered, 10, "each waits for the log, and counts once");
    });
}

#[test]
fn a_subscription_that_waits_for_the_log_counts_once() {
    let open = |addr| Wire::open(addr, "/ws").sign_in(&user("alice"));
    stored_rooms_are_counted_once(open, |wire, room| {
        wire.ask(room, &format!("\"type\":\"subscribe\",\"room\":\"notes:{room}\""))["ok"] == true
    });
}

#[test]
fn a_subscription_of_a_stock_client_that_waits_to_be_stored_counts_once() {
    let open = |addr| crate::people::socket_io(addr, &user("alice"), "").0;
    stored_rooms_are_counted_once(open, |wire, room| {
        wire.say(&format!("42{room}[\"subscribe\",{{\"room\":\"notes:{room}\"}}]"));
        wire.hear(&format!("43{room}[")).contains("\"ok\":true")
    });
}

#[test]
fn a_subscription_that_is_kept_for_its_user_counts_once() {
    let open = |addr| Wire::open(addr, "/ws").sign_in(&user("alice"));
    stored_rooms_are_counted_once(open, |wire, room| {
        let body = format!("\"type\":\"subscribe\",\"room\":\"notes:{room}\",\"persist\":true");
        wire.ask(room, &body)["ok"] == true
    });
}

#[test]
fn a_publish_to_a_room_that_is_read_first_counts_once() {
    let mut config = limited_with_log();
    config.limits.publish_per_minute = 5;
    Disk::sqlite(config).served(|addr, _| {
        let mut wire = Wire::open(addr, "/ws").sign_in(&user("alice"));
        let left = |wire: &mut Wire, room: u64| {
            let body = format!("\"type\":\"publish\",\"room\":\"notes:{room}\",\"event\":\"e\",\"data\":1");
            wire.ask(room, &body)["remaining"].as_u64()
        };
        assert_eq!([1, 2, 3].map(|room| left(&mut wire, room)), [Some(4), Some(3), Some(2)]);
    });
}
