//! What clients of the plain dialect hear.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidings_wire::plain::server::{
    AuthOk, Event, Gap, Refusal, ack, auth_ok, behind, event, gap, heartbeat, reconnect, refusal, resumed,
    skipped, skipped_body,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn sign_in_is_answered() {
    let auth = AuthOk {
        user_id: Some("u1"),
        org: "default",
        session_id: "s1",
        expires_at: Some("2026-01-01T00:00:00Z"),
    };
    assert_eq!(
        written(|out| auth_ok(out, &auth)),
        r#"{"type":"auth:ok","userId":"u1","org":"default","sessionId":"s1","expiresAt":"2026-01-01T00:00:00Z"}"#
    );
    let nobody = AuthOk { user_id: None, expires_at: None, ..auth };
    assert_eq!(
        written(|out| auth_ok(out, &nobody)),
        r#"{"type":"auth:ok","userId":null,"org":"default","sessionId":"s1","expiresAt":null}"#
    );
}

#[test]
fn an_answer_is_the_body_of_a_socket_io_ack_made_flat() {
    for (id, body, expected) in [
        (Some(1), r#"{"ok":true}"#, r#"{"type":"ack","id":1,"ok":true}"#),
        (Some(0), r#" { "ok":true, "room":"r" } "#, r#"{"type":"ack","id":0,"ok":true, "room":"r"}"#),
        (None, "{}", r#"{"type":"ack"}"#),
    ] {
        assert_eq!(written(|out| ack(out, id, body)), expected);
    }
}

#[test]
fn a_refusal_is_an_answer_with_its_error() {
    let busy =
        Refusal { code: "rate_limited", message: "too \"fast\"", retryable: true, retry_after_ms: Some(500) };
    let error = r#"{"code":"rate_limited","message":"too \"fast\"","retryable":true,"retryAfterMs":500}"#;
    assert_eq!(
        written(|out| refusal(out, Some(7), &busy)),
        format!(r#"{{"type":"ack","id":7,"ok":false,"error":{error}}}"#)
    );
    let never = Refusal { retryable: false, retry_after_ms: None, ..busy };
    let text = written(|out| refusal(out, None, &never));
    assert!(
        text.starts_with(r#"{"type":"ack","ok":false,"#) && text.ends_with(r#""retryable":false}}"#),
        "{text}"
    );
}

#[test]
fn events_carry_their_position_if_they_have_one() {
    let said = Event {
        room: "lobby:1",
        event: "said",
        data: r#"{ "t":1 }"#,
        message_id: "m1",
        epoch: Some("e1"),
        offset: Some(9_007_199_254_740_993),
        tag: Some("0a1b2c3d"),
        ack: true,
    };
    assert_eq!(
        written(|out| event(out, &said)),
        r#"{"type":"event","room":"lobby:1","event":"said","data":{ "t":1 },"messageId":"m1","epoch":"e1","offset":9007199254740993,"tag":"0a1b2c3d","ack":true}"#
    );
    let passing = Event { epoch: None, offset: None, tag: None, ack: false, ..said };
    assert_eq!(
        written(|out| event(out, &passing)),
        r#"{"type":"event","room":"lobby:1","event":"said","data":{ "t":1 },"messageId":"m1"}"#
    );
}

#[test]
fn gaps_and_signs_of_life_are_told() {
    let lost = Gap { room: "r", reason: "trimmed", from: Some(3), to: Some(9), resume_at: Some(10) };
    for (text, expected) in [
        (
            written(|out| gap(out, &lost)),
            r#"{"type":"gap","room":"r","reason":"trimmed","from":3,"to":9,"resumeAt":10}"#,
        ),
        (
            written(|out| gap(out, &Gap { reason: "epoch", from: None, to: None, resume_at: None, ..lost })),
            r#"{"type":"gap","room":"r","reason":"epoch","from":null,"to":null,"resumeAt":null}"#,
        ),
        (
            written(|out| resumed(out, "r", "e1", 12)),
            r#"{"type":"resumed","room":"r","epoch":"e1","offset":12}"#,
        ),
        (written(|out| reconnect(out, 1500)), r#"{"type":"reconnect","afterMs":1500}"#),
        (written(|out| skipped(out, Some("r"), 7)), r#"{"type":"skipped","room":"r","count":7}"#),
        (written(|out| skipped(out, None, 7)), r#"{"type":"skipped","count":7}"#),
        (written(|out| skipped_body(out, None, 7)), r#"{"count":7}"#),
        (written(|out| skipped_body(out, Some("r"), 7)), r#"{"room":"r","count":7}"#),
        (written(|out| behind(out, 512)), r#"{"type":"behind","events":512}"#),
        (written(|out| heartbeat(out, 0)), r#"{"type":"heartbeat"}"#),
        (written(|out| heartbeat(out, 3)), r#"{"type":"heartbeat","dropped":3}"#),
    ] {
        assert_eq!(text, expected);
    }
}

proptest! {
    #[test]
    fn any_text_in_a_message_comes_back(room: String, name: String, id: String, offset: u64) {
        let said = Event { room: &room, event: &name, data: "[1]", message_id: &id, epoch: Some(&room), offset: Some(offset), tag: None, ack: false };
        let read: Value = serde_json::from_str(&written(|out| event(out, &said))).unwrap();
        prop_assert_eq!(read, json!({"type": "event", "room": room, "event": name, "data": [1], "messageId": id, "epoch": room, "offset": offset}));
    }
}
