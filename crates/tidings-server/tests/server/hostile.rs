//! Bad input: a clear refusal, nothing kept, and the next client is served.

use std::io::Write;

use serde_json::json;

use crate::common::{Frame, Wire, config, frame, limited, token, upgrade, with_server};

/// What a server answers to raw bytes: the first line of the answer, or nothing.
fn status(bytes: Vec<u8>) -> String {
    with_server(&config(), move |addr, _| {
        let mut wire = Wire::connect(addr);
        // A server may refuse and close before everything is written.
        let _ = wire.stream.write_all(&bytes);
        let head = wire.head();
        let mut healthy = Wire::connect(addr);
        healthy.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert!(healthy.head().starts_with("HTTP/1.1 200"), "the next client is not served");
        head.lines().next().unwrap_or_default().to_owned()
    })
}

/// The code with which a WebSocket is closed after some bytes.
fn close_code(path: &'static str, bytes: Vec<u8>) -> Option<u16> {
    with_server(&config(), move |addr, _| {
        let mut wire = Wire::open(addr, path);
        if path == "/ws" {
            wire.say("{\"type\":\"auth\"}");
            wire.hear("auth:ok");
        } else {
            wire.hear("\"sid\"");
        }
        let _ = wire.stream.write_all(&bytes);
        wire.closed()
    })
}

const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let long = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(status(long.into_bytes()), "HTTP/1.1 431 Request Header Fields Too Large");
    let many: String = (0..100).map(|at| format!("X-{at}: 1\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n");
    assert_eq!(status(many.into_bytes()), "HTTP/1.1 431 Request Header Fields Too Large");
}

#[test]
fn a_request_with_two_lengths_is_refused() {
    let smuggled = "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\
                    Content-Length: 6\r\n\r\nhello";
    assert_eq!(status(smuggled.as_bytes().to_vec()), "HTTP/1.1 400 Bad Request");
    let both = "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n";
    assert_eq!(status(both.as_bytes().to_vec()), "HTTP/1.1 400 Bad Request");
}

#[test]
fn a_request_that_names_no_host_or_two_is_refused() {
    let asked = |hosts: &str| status(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n").into_bytes());
    assert_eq!(asked("Host: 127.0.0.1\r\n"), "HTTP/1.1 200 OK");
    assert_eq!(asked(""), "HTTP/1.1 400 Bad Request");
    assert_eq!(asked("Host: 127.0.0.1\r\nHost: a.example\r\n"), "HTTP/1.1 400 Bad Request");
    let upgrade = upgrade("/ws");
    assert!(status(upgrade.clone().into_bytes()).starts_with("HTTP/1.1 101"), "the control");
    let doubled = upgrade.replace("Host: 127.0.0.1", "Host: 127.0.0.1\r\nHost: a.example");
    assert_eq!(status(doubled.into_bytes()), "HTTP/1.1 400 Bad Request");
}

#[test]
fn a_request_whose_target_names_another_host_than_its_header_is_refused() {
    let asked = |target: &str, path: &str| {
        status(format!("GET {target}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes())
    };
    for path in ["/healthz", "/socket.io/?EIO=4&transport=polling"] {
        for same in ["", "http://127.0.0.1", "http://127.0.0.1:80"] {
            assert_eq!(asked(same, path), "HTTP/1.1 200 OK", "{same}{path}");
        }
        for other in ["http://evil.test", "http://127.0.0.1:81", "https://127.0.0.1:80", "http://a@127.0.0.1"]
        {
            assert_eq!(asked(other, path), "HTTP/1.1 400 Bad Request", "{other}{path}");
        }
    }
    let upgrade = |target: &str| status(upgrade("/ws").replace("/ws", target).into_bytes());
    assert!(upgrade("http://127.0.0.1/ws").starts_with("HTTP/1.1 101"), "the control");
    assert_eq!(upgrade("http://evil.test/ws"), "HTTP/1.1 400 Bad Request");
}

#[test]
fn every_answer_of_every_door_says_that_it_is_what_it_says_it_is() {
    let polls =
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
    let asked = [
        format!("{polls}\r\n"),
        format!("{}\r\n", polls.replace("EIO=4", "EIO=9")),
        format!("{}\r\n", polls.replace("GET /socket.io", "POST /socket.io")),
        format!("{polls}Origin: https://evil.test\r\n\r\n"),
        format!("{}Origin: http://127.0.0.1\r\n\r\n", polls.replace("GET", "OPTIONS")),
        format!("{}\r\n", polls.replace("Host: 127.0.0.1\r\n", "")),
        format!("{}\r\n", polls.replace("/socket.io/?EIO=4&transport=polling", "/ws")),
    ];
    for asked in asked {
        let sent = asked.clone();
        let answer = with_server(&config(), move |addr, _| {
            let mut wire = Wire::connect(addr);
            wire.send(sent.as_bytes());
            wire.rest()
        });
        let nosniff = answer.to_ascii_lowercase().matches("x-content-type-options: nosniff\r\n").count();
        assert_eq!(nosniff, 1, "{asked}{answer}");
    }
}

#[test]
fn a_body_whose_end_is_in_doubt_is_refused_and_nothing_behind_it_is_a_request() {
    let answers = |coding: &str| {
        let coding = coding.to_owned();
        with_server(&config(), move |addr, _| {
            let mut wire = Wire::connect(addr);
            wire.send(
                format!(
                    "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\n{coding}\r\n0\r\n\r\n\
                     GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                )
                .as_bytes(),
            );
            wire.rest().split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect::<Vec<_>>()
        })
    };
    assert_eq!(answers("Transfer-Encoding: chunked\r\n"), ["401", "200"], "the control");
    assert_eq!(answers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), ["501"]);
    assert_eq!(answers("Transfer-Encoding: gzip, chunked\r\n"), ["501"]);
    // The chunks count, and whatever follows is not looked at.
    assert_eq!(answers("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), ["401"]);
    assert_eq!(answers("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), ["401"]);
}

#[test]
fn an_array_is_no_message_whatever_it_holds() {
    let published = |body: &'static str| {
        with_server(&config(), move |addr, _| {
            let token = crate::common::token(serde_json::json!({ "sub": "backend", "scope": "publish" }));
            let headers = format!("Authorization: Bearer {token}\r\n");
            crate::common::http(addr, "POST /api/publish", &headers, body).1
        })
    };
    assert!(published("{\"room\":\"open:1\",\"event\":\"e\",\"data\":1}").contains("\"ok\":true"));
    let array = published("[\"open:1\",null,null,null,\"e\",1,null,null,false]");
    assert!(array.contains("\"code\":\"bad_request\"") && array.contains("an object"), "{array}");
}

#[test]
fn a_batch_goes_to_so_many_rooms_and_its_answer_is_no_flood() {
    let published = |messages: usize| {
        with_server(&config(), move |addr, _| {
            let headers = format!("Authorization: Bearer {}\r\n", crate::common::user("alice"));
            let rooms = vec!["a"; 100];
            let message = serde_json::json!({ "rooms": rooms, "event": "e", "data": 0 });
            let body = serde_json::json!({ "messages": vec![message; messages] }).to_string();
            crate::common::http(addr, "POST /api/publish/batch", &headers, &body).1
        })
    };
    let all = published(100);
    assert_eq!(all.matches("\"bad_request\"").count(), 10_000, "the control");
    assert!(all.len() < 2_000_000, "{} bytes", all.len());
    assert!(published(101).contains("\"too_large\""));
}

#[test]
fn a_body_that_is_too_large_encoded_or_deep_is_refused() {
    assert_eq!(status(request("/api/publish", "", &vec![b'x'; 1_000_001])), "HTTP/1.1 413 Payload Too Large");
    let gzip = "Content-Encoding: gzip\r\n";
    assert_eq!(status(request("/api/publish", gzip, b"{}")), "HTTP/1.1 400 Bad Request");
    assert_eq!(status(request("/api/publish", "", b"{}")), "HTTP/1.1 401 Unauthorized");
}

#[test]
fn garbage_instead_of_http_is_refused() {
    assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec()), "HTTP/1.1 400 Bad Request");
}

#[test]
fn an_upgrade_that_breaks_a_rule_is_refused_before_the_101() {
    for (good, bad) in [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: short"),
        ("Connection: Upgrade", "Connection: keep-alive"),
    ] {
        let line = status(upgrade("/ws").replace(good, bad).into_bytes());
        assert!(line.starts_with("HTTP/1.1 4"), "{bad}: {line}");
    }
}

#[test]
fn a_frame_is_judged_by_its_header() {
    let declares = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    for path in ["/ws", SOCKET_IO] {
        assert_eq!(close_code(path, declares(1_000_001)), Some(1009), "{path}");
        assert_eq!(close_code(path, declares(i64::MAX as u64)), Some(1009), "{path}");
        assert_eq!(close_code(path, declares(u64::MAX)), Some(1002), "{path}");
        assert_eq!(close_code(path, vec![0x81, 0x01, b'x']), Some(1002), "unmasked, {path}");
        assert_eq!(close_code(path, frame(0x81, &[0xff, 0xfe])), Some(1007), "{path}");
        assert_eq!(close_code(path, frame(0xc1, b"x")), Some(1002), "reserved bit, {path}");
    }
}

#[test]
fn a_flood_of_fragments_ends_with_1008() {
    let mut flood = frame(0x01, b"");
    for _ in 0..2_000 {
        flood.extend(frame(0x00, b""));
    }
    assert_eq!(close_code("/ws", flood), Some(1008));
}

#[test]
fn deep_json_is_refused_on_every_door() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(close_code("/ws", frame(0x81, deep.as_bytes())), Some(1008));
    let event = format!("42[\"e\",{deep}]");
    // Who has not signed in says no more than 16 KiB, however deep it is.
    let connect = format!("40{{\"token\":\"{}\"}}", crate::common::user("alice"));
    let bytes = [frame(0x81, connect.as_bytes()), frame(0x81, event.as_bytes())].concat();
    assert_eq!(close_code(SOCKET_IO, bytes), Some(1008));
}

#[test]
fn a_plain_client_is_told_what_was_wrong_and_stays() {
    with_server(&config(), |addr, _| {
        let mut wire = Wire::subscribed(addr, "open:1");
        let table = [
            ("{\"type\":\"nothing\",\"id\":2}", "\"id\":2,\"ok\":false,\"error\":{\"code\":\"bad_request\""),
            (
                "{\"type\":\"subscribe\",\"id\":3,\"room\":7}",
                "\"id\":3,\"ok\":false,\"error\":{\"code\":\"bad_request\"",
            ),
            ("{\"type\":\"subscribe\",\"id\":4,\"room\":\"nokind:1\"}", "\"code\":\"not_found\""),
            (
                "{\"type\":\"publish\",\"id\":5,\"room\":\"open:1\",\"event\":\"disconnect\",\"data\":1}",
                "\"code\":\"bad_request\"",
            ),
            ("{\"type\":\"command\",\"id\":6,\"ns\":\"/x\",\"name\":\"y\"}", "\"code\":\"not_found\""),
            ("{\"type\":\"ping\",\"id\":7}", "\"id\":7,\"ok\":true"),
        ];
        for (said, heard) in table {
            wire.say(said);
            let answer = wire.hear("\"type\":\"ack\"");
            assert!(answer.contains(heard), "{said}: {answer}");
        }
    });
}

#[test]
fn a_client_that_does_not_sign_in_is_closed_with_4401() {
    let mut config = config();
    config.limits.plain_auth_ms = 200;
    with_server(&config, |addr, _| assert_eq!(Wire::open(addr, "/ws").closed(), Some(4401)));
}

#[test]
fn a_bad_token_is_refused_and_never_taken_for_anonymous() {
    with_server(&config(), |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say("{\"type\":\"auth\",\"token\":\"e30.e30.e30\"}");
        assert!(wire.hear("ack").contains("\"code\":\"unauthorized\""));
        assert_eq!(wire.closed(), Some(4401));
    });
}

#[test]
fn more_rooms_and_namespaces_than_allowed_are_refused() {
    let mut config = limited();
    config.limits.rooms = 3;
    with_server(&config, |addr, _| {
        let mut wire = Wire::subscribed(addr, "open:1");
        for at in 2..=3 {
            wire.say(&format!("{{\"type\":\"subscribe\",\"id\":{at},\"room\":\"open:{at}\"}}"));
            assert!(wire.hear("ack").contains("\"ok\":true"));
        }
        wire.say("{\"type\":\"subscribe\",\"id\":9,\"room\":\"open:9\"}");
        assert!(wire.hear("ack").contains("\"ok\":false"));
        // The personal room that somebody signed in did not ask for is not one of the three.
        let mut wire = Wire::open(addr, "/ws").sign_in(&token(json!({"sub": "ada"})));
        for (at, ok) in [(1, true), (2, true), (3, true), (4, false)] {
            wire.say(&format!("{{\"type\":\"subscribe\",\"id\":{at},\"room\":\"open:{at}\"}}"));
            assert!(wire.hear("ack").contains(&format!("\"ok\":{ok}")), "room {at}");
        }
    });
}

#[test]
fn a_publish_that_is_cut_off_publishes_nothing() {
    with_server(&config(), |addr, _| {
        let mut hears = Wire::subscribed(addr, "open:cut");
        let publish =
            "{\"type\":\"publish\",\"id\":2,\"room\":\"open:cut\",\"event\":\"e\",\"data\":\"half\"}";
        let whole = frame(0x81, publish.as_bytes());
        for cut in 1..whole.len() {
            let mut wire = Wire::subscribed(addr, "open:other");
            wire.send(&whole[..cut]);
        }
        let mut wire = Wire::subscribed(addr, "open:other");
        wire.send(&frame(0x81, publish.replace("half", "whole").as_bytes()));
        let first = hears.hear("\"type\":\"event\"");
        assert!(first.contains("\"whole\"") && first.contains("\"offset\":1"), "{first}");
        assert!(matches!(wire.next(), Frame::Text(_)));
    });
}
