//! Rates of requests and of wrong sign-ins.

use std::net::SocketAddr;

use serde_json::json;

use crate::common::{Wire, http, limited, token, user, with_server};

fn headers(client: &str, token: &str) -> String {
    format!("X-Forwarded-For: {client}\r\nAuthorization: Bearer {token}\r\n")
}

const PUBLISH: &str = "{\"room\":\"lobby:a\",\"event\":\"e\",\"data\":1}";

#[test]
fn an_address_has_so_many_requests_a_minute_and_is_told_what_is_left() {
    let mut config = limited();
    config.limits.requests_per_minute = 3;
    with_server(&config, |addr, _| {
        let get =
            |client: &str, path: &str| http(addr, &format!("GET {path}"), &headers(client, &user("a")), "");
        let (head, _) = get("192.0.2.1", "/api/rooms/lobby:a/stats");
        assert!(
            head.contains("ratelimit-limit: 3\r\n") && head.contains("ratelimit-remaining: 2\r\n"),
            "{head}"
        );
        get("192.0.2.1", "/api/rooms/lobby:a/stats");
        get("192.0.2.1", "/nothing");
        let (head, body) = get("192.0.2.1", "/api/rooms/lobby:a/stats");
        assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after: "), "{head}");
        assert!(
            head.contains("ratelimit-remaining: 0\r\n") && body.contains("\"retryAfterMs\":"),
            "{head}{body}"
        );
        assert!(get("192.0.2.1", "/healthz").0.starts_with("HTTP/1.1 200"), "health is free");
        assert!(
            get("192.0.2.2", "/api/rooms/lobby:a/stats").0.starts_with("HTTP/1.1 200"),
            "another address"
        );
        // A network of IPv6 is one address.
        for at in 1..=3 {
            get(&format!("2001:db8::{at}"), "/");
        }
        assert!(get("2001:db8::ffff", "/").0.starts_with("HTTP/1.1 429"));
    });
}

#[test]
fn the_demo_takes_twice_as_many_requests() {
    let mut config = limited();
    (config.limits.requests_per_minute, config.demo) = (3, true);
    with_server(&config, |addr, _| {
        let (head, _) = http(addr, "GET /api/rooms", &headers("192.0.2.1", &user("a")), "");
        assert!(head.contains("ratelimit-limit: 6\r\n"), "{head}");
    });
}

#[test]
fn a_server_publishes_out_of_a_larger_budget_and_not_as_requests() {
    let mut config = limited();
    (config.limits.requests_per_minute, config.limits.publish_per_minute) = (2, 1);
    with_server(&config, |addr, _| {
        let server = headers("192.0.2.1", &token(json!({ "sub": "backend", "scope": "publish" })));
        for at in 0..20 {
            let (head, body) = http(addr, "POST /api/publish", &server, PUBLISH);
            assert!(
                head.starts_with("HTTP/1.1 200") && body.contains("\"remaining\":59"),
                "{at}: {head}{body}"
            );
        }
        let admin = headers("192.0.2.1", &token(json!({ "sub": "root", "roles": ["admin"] })));
        assert!(
            http(addr, "POST /api/publish", &admin, PUBLISH).1.contains("\"remaining\":0"),
            "a role is no scope"
        );
        http(addr, "GET /", &admin, "");
        assert!(http(addr, "POST /api/publish", &admin, PUBLISH).0.starts_with("HTTP/1.1 429"));
        assert!(
            http(addr, "POST /api/publish", &server, PUBLISH).0.starts_with("HTTP/1.1 200"),
            "whoever else"
        );
    });
}

/// Whether a good token is taken at an address, by HTTP and on both protocols.
fn signs_in(addr: SocketAddr, client: &str) -> [bool; 3] {
    let good = user("alice");
    let (head, _) = http(addr, "GET /api/rooms/lobby:a/stats", &headers(client, &good), "");
    let mut plain = Wire::open_for(addr, "/ws", client).unwrap();
    plain.say(&format!("{{\"type\":\"auth\",\"token\":\"{good}\"}}"));
    let by_plain = plain.hear("type");
    let mut socket_io = Wire::open_for(addr, "/socket.io/?EIO=4&transport=websocket", client).unwrap();
    socket_io.hear("\"sid\"");
    socket_io.say(&format!("40{{\"token\":\"{good}\"}}"));
    let by_socket_io = socket_io.hear("4");
    for refused in [&by_plain, &by_socket_io].into_iter().filter(|text| text.contains("code")) {
        assert!(refused.contains("rate_limited") && refused.contains("retryAfterMs"), "{refused}");
    }
    [head.starts_with("HTTP/1.1 200"), by_plain.contains("auth:ok"), by_socket_io.starts_with("40")]
}

#[test]
fn ten_wrong_tokens_keep_an_address_out_at_every_door() {
    with_server(&limited(), |addr, _| {
        let wrong = |client: &str| http(addr, "GET /api/rooms", &headers(client, "a.b.c"), "").0;
        for _ in 0..4 {
            assert!(wrong("192.0.2.1").starts_with("HTTP/1.1 401"));
        }
        for _ in 0..5 {
            let mut wire = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap();
            wire.say("{\"type\":\"auth\",\"token\":\"a.b.c\"}");
            assert_eq!(wire.closed(), Some(4401));
        }
        assert_eq!(signs_in(addr, "192.0.2.1"), [true; 3], "nine are forgiven");
        assert!(wrong("192.0.2.1").starts_with("HTTP/1.1 401"));
        assert!(wrong("192.0.2.1").starts_with("HTTP/1.1 429"));
        assert_eq!(signs_in(addr, "192.0.2.1"), [false; 3]);
        assert_eq!(signs_in(addr, "192.0.2.2"), [true; 3], "another address");
    });
}

#[test]
fn wrong_tokens_beyond_the_budget_of_requests_count_as_well() {
    let mut config = limited();
    config.limits.requests_per_minute = 1;
    with_server(&config, |addr, _| {
        let server = token(json!({ "sub": "backend", "scope": "publish" }));
        let publish = |token: &str| http(addr, "POST /api/publish", &headers("192.0.2.1", token), PUBLISH).0;
        http(addr, "GET /", &headers("192.0.2.1", &user("a")), "");
        for _ in 0..9 {
            assert!(publish("a.b.c").starts_with("HTTP/1.1 429"));
        }
        assert!(publish(&server).starts_with("HTTP/1.1 200"), "nine are forgiven");
        assert!(publish("a.b.c").starts_with("HTTP/1.1 429"));
        assert!(publish(&server).starts_with("HTTP/1.1 429"), "nobody signs in at that address any more");
    });
}

#[test]
fn a_server_reads_as_much_as_its_address_may() {
    let mut config = limited();
    config.limits.requests_per_minute = 1;
    with_server(&config, |addr, _| {
        let server = headers("192.0.2.1", &token(json!({ "sub": "backend", "scope": "publish" })));
        assert!(http(addr, "GET /api/rooms", &server, "").0.starts_with("HTTP/1.1 200"));
        assert!(http(addr, "GET /api/rooms", &server, "").0.starts_with("HTTP/1.1 429"));
        assert!(http(addr, "POST /api/publish", &server, PUBLISH).0.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_publish_costs_the_same_whether_there_is_such_a_room_or_not() {
    with_server(&limited(), |addr, _| {
        let publish = |room: &str| {
            let body = format!("{{\"room\":\"{room}\",\"event\":\"e\",\"data\":1}}");
            http(addr, "POST /api/publish", &headers("192.0.2.1", &user("alice")), &body)
        };
        for room in ["nothing:1", "user:bob"] {
            assert!(publish(room).0.starts_with("HTTP/1.1 404"), "{room}");
        }
        assert!(publish("lobby:a").1.contains("\"remaining\":97"));
    });
}

#[test]
fn a_batch_whose_key_leaves_no_place_for_the_number_of_a_message_is_refused_whole() {
    with_server(&limited(), |addr, _| {
        let batch = |key: usize| {
            let messages = "{\"room\":\"lobby:a\",\"event\":\"e\",\"data\":1}";
            let body = format!("{{\"messages\":[{messages}],\"key\":\"{}\"}}", "k".repeat(key));
            http(addr, "POST /api/publish/batch", &headers("192.0.2.1", &user("alice")), &body)
        };
        assert!(batch(124).1.contains("\"ok\":true,\"room\""), "{}", batch(124).1);
        let (head, body) = batch(125);
        assert!(head.starts_with("HTTP/1.1 400") && body.contains("at most 124 bytes"), "{head}{body}");
    });
}

#[test]
fn tokens_that_were_or_will_be_good_keep_nobody_out() {
    with_server(&limited(), |addr, _| {
        let expired = token(json!({ "sub": "alice", "exp": 1_000_000_000 }));
        let coming = token(json!({ "sub": "alice", "nbf": 4_000_000_000_u64, "exp": 4_000_000_001_u64 }));
        for honest in [&expired, &coming].into_iter().cycle().take(40) {
            let (head, _) = http(addr, "GET /api/rooms", &headers("192.0.2.1", honest), "");
            assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        }
        assert_eq!(signs_in(addr, "192.0.2.1"), [true; 3]);
    });
}

#[test]
fn unknown_sessions_are_counted_as_requests() {
    let mut config = limited();
    config.limits.requests_per_minute = 5;
    with_server(&config, |addr, _| {
        let guess = |at: u32| {
            let sid = format!("{at:0>32}");
            let request = format!("GET /socket.io/?EIO=4&transport=polling&sid={sid}");
            http(addr, &request, "X-Forwarded-For: 192.0.2.1\r\n", "").0
        };
        let answers: Vec<String> = (0..7).map(guess).collect();
        assert!(answers[..5].iter().all(|head| head.starts_with("HTTP/1.1 400")), "{answers:?}");
        assert!(answers[5..].iter().all(|head| head.starts_with("HTTP/1.1 429")), "{answers:?}");
    });
}

#[test]
fn requests_that_are_no_handshake_are_counted_too() {
    let mut config = limited();
    config.limits.requests_per_minute = 2;
    with_server(&config, |addr, _| {
        for (client, path) in [("192.0.2.1", "/ws"), ("192.0.2.2", "/socket.io/?EIO=4&transport=nothing")] {
            let ask = || http(addr, &format!("GET {path}"), &format!("X-Forwarded-For: {client}\r\n"), "").0;
            let answers = [(); 3].map(|()| ask());
            assert!(answers[..2].iter().all(|head| !head.starts_with("HTTP/1.1 429")), "{answers:?}");
            assert!(answers[2].starts_with("HTTP/1.1 429"), "{answers:?}");
        }
    });
}

#[test]
fn upgrades_that_are_none_and_pages_of_foreign_origins_are_counted_too() {
    let mut config = limited();
    config.limits.requests_per_minute = 2;
    with_server(&config, |addr, _| {
        let bad = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        let foreign = "Origin: https://evil.example\r\n";
        for (client, path, more) in [
            ("192.0.2.1", "/ws", bad),
            ("192.0.2.2", "/socket.io/?EIO=4&transport=websocket", bad),
            ("192.0.2.3", "/api/rooms", foreign),
        ] {
            let from = format!("X-Forwarded-For: {client}\r\n{more}");
            let answers = [(); 3].map(|()| http(addr, &format!("GET {path}"), &from, "").0);
            assert!(answers[..2].iter().all(|head| !head.starts_with("HTTP/1.1 429")), "{answers:?}");
            assert!(answers[2].starts_with("HTTP/1.1 429"), "{answers:?}");
        }
    });
}

#[test]
fn what_a_browser_asks_before_it_asks_is_counted_too() {
    let mut config = limited();
    config.limits.requests_per_minute = 2;
    config.allow_origin = vec!["https://page.example".into()];
    with_server(&config, |addr, _| {
        let asks = |client: &str, path: &str| {
            let page = "Origin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n";
            let from = format!("X-Forwarded-For: {client}\r\n{page}");
            http(addr, &format!("OPTIONS {path}"), &from, "").0
        };
        let answers = [(); 3].map(|()| asks("192.0.2.1", "/api/publish"));
        assert!(answers[..2].iter().all(|head| head.starts_with("HTTP/1.1 204")), "{answers:?}");
        assert!(answers[2].starts_with("HTTP/1.1 429"), "{answers:?}");
        assert!(answers[2].contains("access-control-allow-origin: "), "a page reads why: {answers:?}");
        // Each poll of a page has a URL of its own, and so a preflight; it is counted as little as the poll is.
        let polls = [(); 3].map(|()| asks("192.0.2.2", "/socket.io/?EIO=4&transport=polling&sid=x"));
        assert!(polls.iter().all(|head| head.starts_with("HTTP/1.1 204")), "{polls:?}");
    });
}

#[test]
fn a_polling_session_that_floods_is_over() {
    with_server(&limited(), |addr, _| {
        let client = "X-Forwarded-For: 192.0.2.1\r\n";
        let path = "/socket.io/?EIO=4&transport=polling";
        let (_, open) = http(addr, &format!("GET {path}"), client, "");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let post = |body: &str| http(addr, &format!("POST {path}&sid={sid}"), client, body).0;
        assert!(post(&format!("40{{\"token\":\"{}\"}}", user("alice"))).starts_with("HTTP/1.1 200"));
        let packets = ["3"; 60].join("\u{1e}");
        let answers: Vec<String> = (0..4).map(|_| post(&packets)).collect();
        assert!(answers[0].starts_with("HTTP/1.1 200"), "{answers:?}");
        assert!(answers[3].starts_with("HTTP/1.1 400"), "{answers:?}");
    });
}

#[test]
fn metrics_name_what_was_refused_and_what_is_there() {
    let mut config = limited();
    config.limits.connections_per_address = 1;
    with_server(&config, |addr, _| {
        let _kept = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap();
        assert!(Wire::open_for(addr, "/ws", "192.0.2.1").is_err());
        let operator = token(json!({"sub": "root", "scope": "admin"}));
        let (_, metrics) = http(addr, "GET /metrics", &headers("192.0.2.2", &operator), "");
        assert!(
            metrics.contains("tidings_limit_refusals_total{limit=\"address_connections\"} 1"),
            "{metrics}"
        );
        assert!(metrics.contains("tidings_limit_occupancy{of=\"connections\"} 1"), "{metrics}");
        assert!(metrics.contains("tidings_limit_occupancy{of=\"unauthenticated\"} 1"), "{metrics}");
    });
}
