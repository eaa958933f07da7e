//! Sign-ins that are there and cannot be used: nobody becomes anonymous by one.

use std::net::SocketAddr;

use serde_json::json;
use tidings_server::Config;
use tidings_server::config::{NamespaceAuth, NamespaceConfig};

use crate::common::{Wire, config, http, token, upgrade, user, with_server};

const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

/// Anonymous clients are taken on the plain protocol, and in a namespace.
fn lenient() -> Config {
    let mut config = config();
    config.namespaces.insert("/open".into(), NamespaceConfig { auth: NamespaceAuth::Optional });
    config
}

/// A WebSocket with more headers.
fn open(addr: SocketAddr, path: &str, headers: &str) -> Wire {
    let mut wire = Wire::connect(addr);
    let host = format!("Host: 127.0.0.1\r\n{headers}");
    wire.send(upgrade(path).replace("Host: 127.0.0.1\r\n", &host).as_bytes());
    assert!(wire.head().starts_with("HTTP/1.1 101"));
    wire
}

/// What a Socket.IO client is told that connects to the namespace which takes everybody.
fn connects(addr: SocketAddr, query: &str, headers: &str, auth: &str) -> String {
    let mut wire = open(addr, &format!("{SOCKET_IO}{query}"), headers);
    wire.hear("\"sid\"");
    wire.say(&format!("40/open,{auth}"));
    wire.hear("/open,")
}

/// What a plain client is told that signs in like this.
fn signs_in(addr: SocketAddr, query: &str, headers: &str, auth: &str) -> String {
    let mut wire = open(addr, &format!("/ws{query}"), headers);
    wire.say(auth);
    wire.hear("\"type\"")
}

#[test]
fn a_token_that_is_no_text_or_stands_twice_is_refused_where_nobody_needs_one() {
    with_server(&lenient(), |addr, _| {
        for auth in ["", "{}", "{\"token\":null}"] {
            assert!(connects(addr, "", "", auth).starts_with("40"), "without a token: {auth}");
        }
        let good = user("alice");
        for auth in ["{\"token\":5}", "{\"token\":{}}", "{\"token\":[]}", "{\"token\":true}"] {
            let answer = connects(addr, "", "", auth);
            assert!(
                answer.starts_with("44") && answer.contains("token must be a string"),
                "{auth}: {answer}"
            );
            assert!(answer.contains("\"code\":\"unauthorized\""), "{auth}: {answer}");
        }
        for auth in [
            format!("{{\"token\":\"{good}\",\"token\":\"{good}\"}}"),
            format!("{{\"token\":null,\"token\":\"{good}\"}}"),
            "{\"token\":\"\"}".into(),
        ] {
            let answer = connects(addr, "", "", &auth);
            assert!(
                answer.starts_with("44") && answer.contains("\"code\":\"unauthorized\""),
                "{auth}: {answer}"
            );
        }
        assert!(signs_in(addr, "", "", "{\"type\":\"auth\"}").contains("auth:ok"), "the control");
        for auth in ["null", "5", "{}"] {
            let answer = signs_in(addr, "", "", &format!("{{\"type\":\"auth\",\"token\":{auth}}}"));
            assert!(answer.contains("token must be a string"), "{auth}: {answer}");
        }
    });
}

#[test]
fn what_a_handshake_shows_and_cannot_be_used_is_refused_where_nobody_needs_a_token() {
    with_server(&lenient(), |addr, _| {
        let good = user("alice");
        let key = "X-API-Key: tk_aaaaaaaaaaaa_b\r\n";
        for (query, headers) in [
            ("token=", ""),
            ("", "Authorization: Bearer \r\n"),
            ("", "Authorization: Bearer\r\n"),
            ("", "Authorization: bearer   \r\n"),
            ("", key),
        ] {
            let answer = connects(addr, &format!("&{query}"), headers, "");
            assert!(
                answer.starts_with("44") && answer.contains("\"code\":\"unauthorized\""),
                "{query} {headers}: {answer}"
            );
            let answer = signs_in(addr, &format!("?{query}"), headers, "{\"type\":\"auth\"}");
            assert!(answer.contains("\"code\":\"unauthorized\""), "{query} {headers}: {answer}");
        }
        // Which of a token and a key would count is nothing to guess about, as by HTTP.
        let auth = format!("{{\"type\":\"auth\",\"token\":\"{good}\"}}");
        assert!(signs_in(addr, "", key, &auth).contains("\"code\":\"unauthorized\""));
        // The first place with a token counts; another scheme is for somebody in front of the server.
        let basic = "Authorization: Basic dTpw\r\n";
        assert!(signs_in(addr, "", basic, "{\"type\":\"auth\"}").contains("auth:ok"));
        assert!(signs_in(addr, &format!("?token={good}"), "", "{\"type\":\"auth\"}").contains("\"alice\""));
    });
}

#[test]
fn a_token_whose_user_is_called_like_a_key_is_no_key_and_signs_nobody_in() {
    with_server(&config(), |addr, _| {
        let named = |claim: &str| token(json!({ claim: "key:abcd1234", "scope": "read" }));
        for claim in ["sub", "userId", "id"] {
            let bearer = format!("Authorization: Bearer {}\r\n", named(claim));
            let (head, body) = http(addr, "GET /api/rooms", &bearer, "");
            assert!(head.starts_with("HTTP/1.1 401"), "{claim}: {head}{body}");
        }
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", named("sub")));
        assert!(wire.hear("ack").contains("\"code\":\"unauthorized\""));
        assert_eq!(wire.closed(), Some(4401));
        let keyless = token(json!({ "sub": "keyless", "scope": "publish" }));
        let (head, _) = http(addr, "GET /api/rooms", &format!("Authorization: Bearer {keyless}\r\n"), "");
        assert!(head.starts_with("HTTP/1.1 200"), "the control");
    });
}
