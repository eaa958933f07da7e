//! What is refused by HTTP, and how it is said.

use std::net::SocketAddr;

use serde_json::Value;

use crate::common::{Wire, config, http, token, upgrade, with_server};

/// The head of an answer, and the code in its refusal object.
fn refused(addr: SocketAddr, request: &str, headers: &str) -> (String, String) {
    let (head, body) = http(addr, request, headers, "");
    let said: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{request}: {head}{body}"));
    assert!(head.contains("content-type: application/json"), "{request}: {head}");
    assert_eq!(said["ok"], false, "{request}: {body}");
    assert!(said["error"]["message"].is_string(), "{request}: {body}");
    (head, said["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_body_that_is_declared_too_large_is_refused_before_anything_of_it_comes() {
    with_server(&config(), |addr, _| {
        let server = token(serde_json::json!({ "sub": "backend", "scope": "publish", "roles": ["admin"] }));
        for path in [
            "/api/publish",
            "/api/publish/batch",
            "/api/commands/a/b",
            "/api/auth/login",
            "/api/revocations",
            "/api/dead-letters/redrive",
            "/api/admin/users/alice/disconnect",
            "/api/users",
        ] {
            for expects in ["", "Expect: 100-continue\r\n"] {
                let mut wire = Wire::connect(addr);
                wire.send(
                    format!(
                        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server}\r\n\
                         {expects}Content-Length: 5000000\r\n\r\n"
                    )
                    .as_bytes(),
                );
                let head = wire.head();
                assert!(head.starts_with("HTTP/1.1 413"), "{path} {expects}: {head}");
                let refusal = "{\"ok\":false,\"error\":{\"code\":\"too_large\"";
                assert_eq!(wire.exactly(refusal.len()), refusal, "{path}");
            }
        }
        // The control: what is not too large is waited for.
        let mut wire = Wire::connect(addr);
        wire.send(
            format!(
                "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server}\r\n\
                 Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            .as_bytes(),
        );
        assert!(wire.head().starts_with("HTTP/1.1 100"));
        wire.send(b"{}");
        assert!(wire.head().starts_with("HTTP/1.1 400"));
    });
}

#[test]
fn a_method_that_a_path_does_not_take_is_refused_with_those_it_takes() {
    with_server(&config(), |addr, _| {
        for (request, allow) in [
            ("GET /api/publish", "POST"),
            ("PUT /healthz", "GET,HEAD"),
            ("POST /api/rooms", "GET,HEAD"),
            ("DELETE /api/auth/login", "POST"),
        ] {
            let (head, code) = refused(addr, request, "");
            assert!(head.starts_with("HTTP/1.1 405"), "{request}: {head}");
            assert!(head.contains(&format!("allow: {allow}\r\n")), "{request}: {head}");
            assert_eq!(code, "bad_request", "{request}");
        }
    });
}

#[test]
fn a_foreign_page_and_a_name_that_is_none_are_refused_as_everything_else_is() {
    with_server(&config(), |addr, _| {
        let (head, code) = refused(addr, "GET /api/rooms", "Origin: https://evil.example\r\n");
        assert_eq!((&head[9..12], code.as_str()), ("403", "forbidden"));
        let claims = serde_json::json!({ "sub": "root", "roles": ["admin"] });
        let admin = format!("Authorization: Bearer {}\r\n", token(claims));
        for request in [
            "GET /api/dead-letters/%ff",
            "DELETE /api/dead-letters/%ff",
            "POST /api/dead-letters/%ff/redrive",
            "GET /api/deliveries/%ff",
            "GET /api/users/%ff/deliveries",
        ] {
            let (head, code) = refused(addr, request, &admin);
            assert!(head.starts_with("HTTP/1.1 4"), "{request}: {head}");
            assert!(matches!(code.as_str(), "not_found" | "bad_request"), "{request}: {code}");
        }
    });
}

/// The first line of what raw bytes are answered with.
fn status(addr: SocketAddr, request: &str) -> String {
    let mut wire = Wire::connect(addr);
    wire.send(request.as_bytes());
    wire.head().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_upgrade_with_a_body_or_a_header_given_twice_is_refused_and_a_list_of_protocols_is_not() {
    with_server(&config(), |addr, _| {
        for path in ["/ws", "/socket.io/?EIO=4&transport=websocket"] {
            let good = upgrade(path);
            assert!(status(addr, &good).starts_with("HTTP/1.1 101"), "the control");
            let with = |more: &str| good.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
            for more in [
                "Content-Length: 5",
                "Transfer-Encoding: chunked",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Version: 8",
            ] {
                let line = status(addr, &with(more));
                assert!(line.starts_with("HTTP/1.1 400"), "{path}, {more}: {line}");
            }
            assert!(status(addr, &with("Content-Length: 0")).starts_with("HTTP/1.1 101"), "{path}");
            for list in ["h2c, websocket", "WebSocket , h2c"] {
                let line = status(addr, &good.replace("Upgrade: websocket", &format!("Upgrade: {list}")));
                assert!(line.starts_with("HTTP/1.1 101"), "{path}, {list}: {line}");
            }
            let two = good.replace("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket");
            assert!(status(addr, &two).starts_with("HTTP/1.1 101"), "{path}");
        }
    });
}

/// A handshake at a path, with something against it.
type Asked<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_handshake_of_the_plain_protocol_is_refused_with_the_refusal_object_and_one_of_engine_io_with_its_own() {
    with_server(&config(), |addr, _| {
        let sent = |request: &str| {
            let mut wire = Wire::connect(addr);
            wire.send(request.as_bytes());
            (wire.head(), wire.rest())
        };
        let engine = "/socket.io/?EIO=4&transport=websocket";
        let with = |path: &str, more: &str| upgrade(path).replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
        let parameters = "&a=1".repeat(80);
        let cases: [(u16, &str, Asked<'_>); 6] = [
            (403, "forbidden", &|path| with(path, "Origin: https://evil.example")),
            (400, "bad_request", &|path| with(path, "Sec-WebSocket-Version: 13")),
            (400, "bad_request", &|path| upgrade(path).replace("dGhlIHNhbXBsZSBub25jZQ==", "short")),
            (426, "bad_request", &|path| upgrade(path).replace("Version: 13", "Version: 7")),
            (400, "bad_request", &|path| upgrade(path).replace("Host: 127.0.0.1\r\n", "")),
            (400, "bad_request", &|path| {
                upgrade(&format!("{path}{}{parameters}", if path.contains('?') { "" } else { "?" }))
            }),
        ];
        for (at, (status, code, request)) in cases.iter().enumerate() {
            let (head, body) = sent(&request("/ws"));
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{at}: {head}");
            assert!(head.contains("content-type: application/json"), "{at}: {head}");
            let said: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{at}: {body}"));
            assert_eq!((&said["ok"], said["error"]["code"].as_str()), (&false.into(), Some(*code)), "{at}");
            let (_, body) = sent(&request(engine));
            assert!(!body.starts_with('{') && !body.is_empty(), "{at}: a sentence: {body}");
        }
        let (head, code) = refused(addr, "GET /ws", "");
        assert!(head.starts_with("HTTP/1.1 426") && head.contains("upgrade: websocket"), "{head}");
        assert_eq!(code, "bad_request");
    });
}

#[test]
fn an_encoded_body_of_a_polling_session_is_refused() {
    with_server(&config(), |addr, _| {
        let path = "/socket.io/?EIO=4&transport=polling";
        let (_, open) = http(addr, &format!("GET {path}"), "", "");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let post = |headers: &str| http(addr, &format!("POST {path}&sid={sid}"), headers, "6");
        for coding in ["gzip", "br", "identity, gzip"] {
            let (head, _) = post(&format!("Content-Encoding: {coding}\r\n"));
            assert!(head.starts_with("HTTP/1.1 415"), "{coding}: {head}");
        }
        assert_eq!(post("Content-Encoding: Identity\r\n").1, "ok");
        assert_eq!(post("").1, "ok", "the session lives");
    });
}
