//! Sign-ins that are there and cannot be used: nobody becomes anonymous by one.

use serde_json::json;

use crate::common::{Wire, config, http, token, with_server};

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
