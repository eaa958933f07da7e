//! Clients that have not signed in: what they may send, and how many of them there may be.

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::json;
use tidings_server::Config;
use tidings_server::config::{NamespaceAuth, NamespaceConfig};
use tidings_testkit::eventually_told;

use crate::common::{DEADLINE, Wire, config, frame, http, limited, upgrade, user, with_server};

const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// The most that somebody says at once who has not signed in.
const MOST: usize = 16 * 1024;

/// The head of a text frame, of which nothing follows.
fn declares(length: usize) -> Vec<u8> {
    match u16::try_from(length) {
        Ok(length) => [&[0x81, 0xfe][..], &length.to_be_bytes(), &[0; 4]].concat(),
        Err(_) => [&[0x81, 0xff][..], &(length as u64).to_be_bytes(), &[0; 4]].concat(),
    }
}

/// A text made as long as this with a field that nobody reads.
fn padded(text: &str, length: usize) -> String {
    let open = text.strip_suffix('}').unwrap();
    let more = length - open.len() - ",\"more\":\"\"}".len();
    format!("{open},\"more\":\"{}\"}}", "x".repeat(more))
}

/// With a namespace that takes everybody.
fn optional() -> Config {
    let mut config = config();
    config.namespaces.insert("/open".into(), NamespaceConfig { auth: NamespaceAuth::Optional });
    config
}

#[test]
fn who_has_not_signed_in_says_little_at_once_and_who_has_says_much() {
    with_server(&optional(), |addr, _| {
        for length in [MOST + 1, 950_000] {
            let mut plain = Wire::open(addr, "/ws");
            plain.send(&declares(length));
            assert_eq!(plain.closed(), Some(1009), "plain, {length}");
            let mut socket_io = Wire::open(addr, SOCKET_IO);
            socket_io.send(&declares(length));
            assert_eq!(socket_io.closed(), Some(1009), "Socket.IO, {length}");
        }
        let mut parts = Wire::open(addr, "/ws");
        parts.send(&frame(0x01, &[b'x'; MOST]));
        parts.send(&frame(0x80, b"x"));
        assert_eq!(parts.closed(), Some(1009), "in fragments");

        let long = "x".repeat(100_000);
        let publish = json!({ "type": "publish", "room": "open:1", "event": "e", "data": long }).to_string();
        for auth in [json!({ "type": "auth", "token": user("alice") }), json!({ "type": "auth" })] {
            let mut plain = Wire::open(addr, "/ws");
            plain.say(&padded(&auth.to_string(), MOST));
            plain.hear("auth:ok");
            plain.say(&publish);
            assert!(plain.hear("ack").contains("\"ok\":true"));
        }
        let auth = format!("40{}", json!({ "token": user("alice") }));
        for (connect, joined, event) in
            [(auth.as_str(), "40{", "421"), ("40/open,{\"a\":1}", "40/open,{", "42/open,1")]
        {
            let mut socket_io = Wire::open(addr, SOCKET_IO);
            socket_io.say(&padded(connect, MOST));
            socket_io.hear(joined);
            socket_io.say(&format!("{event}{}", json!(["ping", long])));
            assert!(socket_io.hear("43").starts_with("43"), "{connect}");
        }
    });
}

#[test]
fn a_polling_session_posts_little_until_it_has_signed_in() {
    with_server(&config(), |addr, _| {
        let (_, open) = http(addr, &format!("GET {POLLING}"), "", "");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let path = format!("{POLLING}&sid={sid}");
        let begins = |body: &str| {
            let mut wire = Wire::connect(addr);
            wire.send(format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{body}").as_bytes());
            wire.head()[9..12].to_owned()
        };
        let post = |body: &str| http(addr, &format!("POST {path}"), "", body);
        // Nothing follows its declaration.
        assert_eq!(begins(&format!("Content-Length: {}\r\n\r\n", MOST + 1)), "413");
        let chunk = format!("{:x}\r\n{}\r\n", MOST + 1, "x".repeat(MOST + 1));
        assert_eq!(begins(&format!("Transfer-Encoding: chunked\r\n\r\n{chunk}")), "413");
        let auth = padded(&format!("40{}", json!({ "token": user("alice") })), MOST);
        assert_eq!(post(&auth).1, "ok", "the session lives");
        assert!(http(addr, &format!("GET {path}"), "", "").1.starts_with("40{"));
        let long = json!({ "room": "open:1", "event": "e", "data": "x".repeat(100_000) });
        assert_eq!(post(&format!("421{}", json!(["publish", long]))).1, "ok");
        let (_, answer) = http(addr, &format!("GET {path}"), "", "");
        assert!(answer.starts_with("431[{\"ok\":true"), "{answer}");
    });
}

/// The status of a request whose body is announced and does not come.
fn announced(addr: SocketAddr, request: &str, headers: &str, length: usize) -> String {
    let mut wire = Wire::connect(addr);
    let head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {length}\r\n\r\n");
    wire.send(head.as_bytes());
    wire.head().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn who_asks_is_judged_before_anything_of_a_body_is_read() {
    with_server(&config(), |addr, _| {
        for (request, length) in [
            ("POST /api/publish", 900_000),
            ("POST /api/publish/batch", 900_000),
            ("POST /api/commands/shop/take", 900_000),
            ("POST /api/revocations", 4_000),
            ("POST /api/dead-letters/redrive", 4_000),
            ("POST /api/dead-letters/00000000000000000000000000/redrive", 4_000),
            ("POST /api/admin/users/alice/disconnect", 4_000),
        ] {
            let wrong = announced(addr, request, "Authorization: Bearer a.b.c\r\n", length);
            assert!(wrong.starts_with("HTTP/1.1 401"), "{request}: {wrong}");
            if !request.contains("commands") {
                let nobody = announced(addr, request, "", length);
                assert!(nobody.starts_with("HTTP/1.1 401"), "{request}: {nobody}");
            }
        }
    });
}

#[test]
fn who_is_refused_while_it_still_sends_reads_why_and_goes_on() {
    with_server(&config(), |addr, _| {
        let mut wire = Wire::connect(addr);
        wire.send(
            b"POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a.b.c\r\n\
              Content-Length: 900000\r\n\r\n",
        );
        let head = wire.head();
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        assert!(wire.exactly(length.parse().unwrap()).contains("\"unauthorized\""));
        wire.send(&vec![b'x'; 900_000]);
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert!(wire.head().starts_with("HTTP/1.1 200"));
    });
}

/// A socket of one of this machine's own addresses.
fn connect_from(addr: SocketAddr, last: u8) -> Wire {
    let stream = tokio::runtime::Handle::current().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(addr).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    Wire { stream, read: Vec::new() }
}

/// A figure of the server's.
fn figure(addr: SocketAddr, name: &str) -> usize {
    let mut wire = connect_from(addr, 99);
    wire.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let answer = wire.rest();
    assert!(answer.starts_with("HTTP/1.1 200"), "the figures are kept out: {answer}");
    let line = answer.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn strangers_of_ten_addresses_leave_places_for_others() {
    let request = upgrade("/ws");
    for begin in ["", "GET / HTTP/1.1\r\n", request.as_str()] {
        let mut config = Config { trusted_proxies: Vec::new(), ..limited() };
        (config.limits.plain_auth_ms, config.limits.requests_per_minute) = (60_000, 1_000_000);
        let begin = begin.to_owned();
        with_server(&config, move |addr, _| {
            let mut crowd: Vec<Wire> =
                (0..1_000).map(|at| connect_from(addr, 10 + (at / 100) as u8)).collect();
            for wire in &mut crowd {
                // Who was refused already takes nothing any more.
                let _ = wire.stream.write_all(begin.as_bytes());
            }
            // Each of them has been taken in or turned away.
            let known = || {
                figure(addr, "tidings_limit_occupancy{of=\"unauthenticated\"}")
                    + figure(addr, "tidings_limit_refusals_total{limit=\"unauthenticated\"}")
            };
            eventually_told("all known", known, |known| *known >= crowd.len());
            let taken = figure(addr, "tidings_limit_occupancy{of=\"unauthenticated\"}");
            assert!((500..950).contains(&taken), "{begin:?}: {taken}");
            let mut health = connect_from(addr, 98);
            health.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            assert!(health.head().starts_with("HTTP/1.1 200"), "{begin:?}");
            for path in ["/ws", SOCKET_IO] {
                let mut good = connect_from(addr, 97);
                good.send(upgrade(path).as_bytes());
                let head = good.head();
                assert!(head.starts_with("HTTP/1.1 101"), "{begin:?}, {path}: {head}");
            }
            drop(crowd);
        });
    }
}

#[test]
fn a_request_that_comes_whole_is_answered_although_there_is_no_place_for_strangers() {
    let mut config = limited();
    config.limits.unauthenticated = 1;
    with_server(&config, |addr, _| {
        let _stranger = Wire::open_for(addr, "/ws", "192.0.2.1").unwrap();
        assert!(Wire::open_for(addr, "/ws", "192.0.2.2").is_err(), "the control");
        let (head, _) = http(addr, "GET /healthz", "", "");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}
