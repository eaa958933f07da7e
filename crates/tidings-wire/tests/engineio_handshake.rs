//! The query of an Engine.IO request and the refusals of a handshake.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::borrow::Cow;
use tidings_wire::engineio::{HandshakeError, MAX_PAIRS, Query, Transport};

#[test]
fn the_error_table_is_that_of_the_node_server() {
    for (error, status, body) in [
        (HandshakeError::TransportUnknown, 400, r#"{"code":0,"message":"Transport unknown"}"#),
        (HandshakeError::UnknownSid, 400, r#"{"code":1,"message":"Session ID unknown"}"#),
        (HandshakeError::BadHandshakeMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#),
        (HandshakeError::BadRequest, 400, r#"{"code":3,"message":"Bad request"}"#),
        (HandshakeError::FORBIDDEN, 403, r#"{"code":4,"message":"Forbidden"}"#),
        (HandshakeError::Forbidden("no \"you\"".into()), 403, r#"{"code":4,"message":"no \"you\""}"#),
        (HandshakeError::UnsupportedVersion, 400, r#"{"code":5,"message":"Unsupported protocol version"}"#),
    ] {
        assert_eq!(error.status(), status);
        assert_eq!(std::str::from_utf8(&error.body()).unwrap(), body);
        assert!(body.starts_with(&format!("{{\"code\":{},", error.code())));
    }
}

#[test]
fn a_query_is_read() {
    let query = Query::parse("EIO=4&transport=polling&t=P1x3&sid=abc&b64=1&room=a%20b+c&x").unwrap();
    assert_eq!(query.transport(), Ok(Transport::Polling));
    assert_eq!(query.version(), Ok(()));
    assert_eq!(query.sid.as_deref(), Some("abc"));
    assert!(query.b64);
    assert_eq!(query.pairs().nth(5).unwrap(), ("room".into(), "a b c".into()));
    assert_eq!(query.pairs().nth(6).unwrap(), ("x".into(), "".into()));
    assert_eq!(query.pairs().count(), 7);
}

#[test]
fn an_empty_query_has_nothing() {
    let query = Query::parse("").unwrap();
    assert_eq!(query, Query::default());
    assert_eq!(query.transport(), Err(HandshakeError::TransportUnknown));
    assert_eq!(query.version(), Err(HandshakeError::UnsupportedVersion));
}

#[test]
fn transports_and_versions_are_matched_exactly() {
    for transport in ["", "Polling", "webtransport", "websocket2", "__proto__"] {
        let text = format!("transport={transport}");
        assert_eq!(Query::parse(&text).unwrap().transport(), Err(HandshakeError::TransportUnknown));
    }
    for transport in [Transport::Polling, Transport::WebSocket] {
        let text = format!("transport={}", transport.as_str());
        assert_eq!(Query::parse(&text).unwrap().transport(), Ok(transport));
    }
    for version in ["", "3", "5", "04", "4.0", "abc"] {
        let text = format!("EIO={version}");
        assert_eq!(Query::parse(&text).unwrap().version(), Err(HandshakeError::UnsupportedVersion));
    }
}

#[test]
fn the_first_of_two_equal_parameters_counts() {
    let query = Query::parse("sid=a&sid=b&EIO=4&EIO=3").unwrap();
    assert_eq!(query.sid.as_deref(), Some("a"));
    assert_eq!(query.version(), Ok(()));
}

#[test]
fn percent_sequences_are_decoded_in_names_and_values() {
    let query = Query::parse("%73id=%C3%A9&t=%zz%4&j=%ff&&=x").unwrap();
    assert_eq!(query.sid.as_deref(), Some("é"));
    assert_eq!(query.t.as_deref(), Some("%zz%4"));
    assert_eq!(query.j.as_deref(), Some("\u{fffd}"));
    assert_eq!(query.pairs().last().unwrap(), ("".into(), "x".into()));
    assert!(matches!(Query::parse("sid=plain").unwrap().sid, Some(Cow::Borrowed("plain"))));
}

#[test]
fn too_many_parameters_are_a_bad_request() {
    assert!(Query::parse(&vec!["a=1"; MAX_PAIRS].join("&")).is_ok());
    assert_eq!(Query::parse(&vec!["a=1"; MAX_PAIRS + 1].join("&")), Err(HandshakeError::BadRequest));
    assert_eq!(Query::parse(&"&".repeat(1_000_000)), Err(HandshakeError::BadRequest));
}

#[test]
fn python_is_known_by_a_decimal_time() {
    for (t, python) in [
        ("1732190400.123456", true),
        ("1732190400", false),
        ("PZ6kCyn", false),
        ("6f2x.0", false),
        ("1.", false),
        (".5", false),
        ("1.2.3", false),
    ] {
        assert_eq!(Query::parse(&format!("t={t}")).unwrap().is_python(), python, "{t}");
    }
    assert!(!Query::parse("EIO=4").unwrap().is_python());
}

proptest! {
    #[test]
    fn an_encoded_value_comes_back(value: String, extra in "[ -~]{0,40}") {
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let text = format!("sid={encoded}&{extra}");
        if let Ok(query) = Query::parse(&text) {
            prop_assert_eq!(query.sid.as_deref(), Some(value.as_str()));
            prop_assert!(query.pairs().count() <= MAX_PAIRS);
        }
    }
}
