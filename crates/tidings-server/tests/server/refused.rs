//! What is refused by HTTP, and how it is said.

use crate::common::{Wire, config, token, with_server};

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
