//! What clients of the plain dialect say, and what is refused.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::borrow::Cow;
use tidings_wire::plain::{
    AuthBody, BadField, ClientMessage, DecodeError, HistoryBody, Lane, PresenceBody, PresenceSetBody,
    PublishBody, ReceiptWish, RoomBody, Since, SubscribeBody, WantedStatus, decode,
};
use tidings_wire::{CloseReason, Limits};

fn read(text: &str) -> Result<ClientMessage<'_>, DecodeError> {
    decode(text, &Limits::default())
}

fn refusal(text: &str) -> (Option<u64>, String) {
    match read(text) {
        Err(DecodeError::Refused { id, code: "bad_request", message }) => (id, message.into_owned()),
        other => panic!("{text} gave {other:?}"),
    }
}

#[test]
fn every_message_is_read() {
    let since = Since { epoch: "e1".into(), offset: 7, tag: Some("0a1b".into()) };
    for (text, message) in [
        (
            r#"{"type":"auth","token":"abc","recovery":false,"gaps":true}"#,
            ClientMessage::Auth(AuthBody {
                token: Some("abc".into()),
                recovery: Some(false),
                gaps: Some(true),
                persistent: None,
            }),
        ),
        (
            r#"{"type":"auth","persistent":true}"#,
            ClientMessage::Auth(AuthBody { token: None, recovery: None, gaps: None, persistent: Some(true) }),
        ),
        (
            r#"{"type":"subscribe","id":1,"room":"lobby:1","since":{"epoch":"e1","offset":7,"tag":"0a1b"},"rewind":5,"events":["a","b"],"minLane":"medium","persist":true}"#,
            ClientMessage::Subscribe {
                id: Some(1),
                body: SubscribeBody {
                    room: "lobby:1".into(),
                    since: Some(since.clone()),
                    rewind: Some(5),
                    events: Some(vec!["a".into(), "b".into()]),
                    min_lane: Some(Lane::Normal),
                    persist: true,
                },
            },
        ),
        (
            r#"{"type":"unsubscribe","id":0,"room":"lobby:1"}"#,
            ClientMessage::Unsubscribe {
                id: Some(0),
                body: RoomBody { room: "lobby:1".into(), persist: false },
            },
        ),
        (
            r#"{"type":"publish","id":2,"room":"r","event":"e","data":{"x":[1, 2]},"key":"k","lane":"critical","volatile":true,"exceptSelf":true,"slot":"s","receipt":{"timeoutMs":500,"tries":3}}"#,
            ClientMessage::Publish {
                id: Some(2),
                body: PublishBody {
                    room: "r".into(),
                    event: "e".into(),
                    data: r#"{"x":[1, 2]}"#,
                    key: Some("k".into()),
                    lane: Some(Lane::Critical),
                    volatile: true,
                    except_self: true,
                    slot: Some("s".into()),
                    receipt: Some(ReceiptWish { timeout_ms: Some(500), tries: Some(3) }),
                },
            },
        ),
        (
            r#"{"type":"history","id":3,"room":"r","since":{"epoch":"e1","offset":7,"tag":"0a1b"},"limit":10}"#,
            ClientMessage::History {
                id: Some(3),
                body: HistoryBody { room: "r".into(), since: Some(since), limit: Some(10) },
            },
        ),
        (
            r#"{"type":"presence","room":"r","page":2}"#,
            ClientMessage::Presence { id: None, body: PresenceBody { room: "r".into(), page: Some(2) } },
        ),
        (
            r#"{"type":"presence:set","id":6,"status":"away","until":9,"active":false,"info":{"a":1}}"#,
            ClientMessage::PresenceSet {
                id: Some(6),
                body: PresenceSetBody {
                    status: Some(WantedStatus::Away),
                    until: Some(9),
                    active: Some(false),
                    info: Some(r#"{"a":1}"#),
                },
            },
        ),
        (r#"{"type":"ping","id":4}"#, ClientMessage::Ping { id: Some(4) }),
        (
            r#"{"type":"command","id":2,"ns":"/matches","name":"matchAction","data":{"a":1},"key":"k"}"#,
            ClientMessage::Command {
                id: Some(2),
                namespace: "/matches".into(),
                name: "matchAction".into(),
                data: r#"{"a":1}"#,
                key: Some("k".into()),
            },
        ),
        (
            r#"{"type":"command","name":"n"}"#,
            ClientMessage::Command {
                id: None,
                namespace: "/".into(),
                name: "n".into(),
                data: "null",
                key: None,
            },
        ),
        (r#"{"type":"heartbeat"}"#, ClientMessage::Heartbeat),
        (r#"{"type":"ack","messageId":"m1"}"#, ClientMessage::Ack { message_id: "m1".into() }),
    ] {
        assert_eq!(read(text), Ok(message), "{text}");
    }
}

#[test]
fn what_is_no_bounded_object_closes_the_connection() {
    for (text, reason) in [
        ("", CloseReason::Protocol),
        ("hello", CloseReason::Protocol),
        ("{\"type\":\"ping\"", CloseReason::Protocol),
        ("{\"type\":\"ping\"} x", CloseReason::Protocol),
        ("[]", CloseReason::Protocol),
        ("\"ping\"", CloseReason::Protocol),
        ("1", CloseReason::Protocol),
        ("null", CloseReason::Protocol),
        (&format!("{{\"type\":\"publish\",\"data\":{}", "[".repeat(100_000)), CloseReason::Structure),
        (&"{\"type\":".repeat(100_000), CloseReason::Structure),
        (&format!("{{\"type\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(1_000_000)), CloseReason::TooLarge),
    ] {
        let Err(DecodeError::Violation(violation)) = read(text) else { panic!("{text:.40} was taken") };
        assert_eq!(violation.reason, reason, "{text:.40}");
    }
}

#[test]
fn a_bad_field_is_refused_under_the_commands_id_and_named() {
    for (text, id, problem) in [
        (r"{}", None, "type is missing"),
        (r#"{"id":9}"#, Some(9), "type is missing"),
        (r#"{"id":9,"type":5}"#, Some(9), "type must be a string"),
        (r#"{"id":9,"type":"shout"}"#, Some(9), "type is unknown"),
        (r#"{"type":"ping","id":-1}"#, None, "id must be a non-negative whole number"),
        (r#"{"type":"ping","id":1.5}"#, None, "id must be a non-negative whole number"),
        (r#"{"type":"ping","id":"1"}"#, None, "id must be a non-negative whole number"),
        (r#"{"type":"ping","id":10000000000000000000}"#, None, "id must be a non-negative whole number"),
        (r#"{"type":"ping","id":1,"id":2}"#, None, "id is given twice"),
        (r#"{"type":"ping","type":"ping"}"#, None, "type is given twice"),
        (r#"{"type":"ping","\u0074ype":"ping"}"#, None, "type is given twice"),
        (r#"{"type":"auth","gaps":1}"#, None, "gaps must be true or false"),
        (r#"{"type":"subscribe","id":1}"#, Some(1), "room is missing"),
        (r#"{"type":"subscribe","id":1,"room":null}"#, Some(1), "room is missing"),
        (r#"{"type":"subscribe","id":1,"room":""}"#, Some(1), "room must not be empty"),
        (r#"{"type":"subscribe","id":1,"room":["a"]}"#, Some(1), "room must be a string"),
        (r#"{"type":"subscribe","id":1,"room":"a\nb"}"#, Some(1), "room must not have control characters"),
        (r#"{"type":"subscribe","id":1,"room":"a\u0085"}"#, Some(1), "room must not have control characters"),
        (r#"{"type":"subscribe","id":1,"room":"\ud800"}"#, Some(1), "room must be a string"),
        (r#"{"type":"subscribe","id":1,"room":"a","room":"b"}"#, Some(1), "room is given twice"),
        (r#"{"type":"subscribe","id":1,"room":"a","since":7}"#, Some(1), "since must be an object"),
        (r#"{"type":"subscribe","id":1,"room":"a","since":{"offset":1}}"#, Some(1), "epoch is missing"),
        (r#"{"type":"subscribe","id":1,"room":"a","since":{"epoch":"e"}}"#, Some(1), "offset is missing"),
        (
            r#"{"type":"subscribe","id":1,"room":"a","since":{"epoch":1,"offset":1}}"#,
            Some(1),
            "epoch must be a string",
        ),
        (r#"{"type":"subscribe","id":1,"room":"a","rewind":4294967296}"#, Some(1), "rewind is too large"),
        (
            r#"{"type":"subscribe","id":1,"room":"a","events":"x"}"#,
            Some(1),
            "events must be a list of strings",
        ),
        (r#"{"type":"subscribe","id":1,"room":"a","events":[1]}"#, Some(1), "events must be a string"),
        (
            r#"{"type":"subscribe","id":1,"room":"a","minLane":"fast"}"#,
            Some(1),
            "minLane must be critical, high, normal or low",
        ),
        (r#"{"type":"publish","id":1,"room":"a","data":1}"#, Some(1), "event is missing"),
        (r#"{"type":"publish","id":1,"room":"a","event":"e"}"#, Some(1), "data is missing"),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"connect","data":1}"#,
            Some(1),
            "event is a reserved name",
        ),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"tidings:gap","data":1}"#,
            Some(1),
            "event is a reserved name",
        ),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"userOnline","data":1}"#,
            Some(1),
            "event is a reserved name",
        ),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"e","data":1,"data":2}"#,
            Some(1),
            "data is given twice",
        ),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"e","data":1,"key":""}"#,
            Some(1),
            "key must not be empty",
        ),
        (
            r#"{"type":"publish","id":1,"room":"a","event":"e","data":1,"volatile":0}"#,
            Some(1),
            "volatile must be true or false",
        ),
        (
            r#"{"type":"history","id":1,"room":"a","limit":"x"}"#,
            Some(1),
            "limit must be a non-negative whole number",
        ),
        (
            r#"{"type":"presence","id":1,"room":"a","page":-1}"#,
            Some(1),
            "page must be a non-negative whole number",
        ),
        (
            r#"{"type":"presence:set","id":1,"status":"gone"}"#,
            Some(1),
            "status must be online, away, invisible or auto",
        ),
        (r#"{"type":"presence:set","id":1,"active":1}"#, Some(1), "active must be true or false"),
        (r#"{"type":"command","id":1}"#, Some(1), "name is missing"),
        (r#"{"type":"command","id":1,"name":"n","ns":"matches"}"#, Some(1), "ns must start with a slash"),
        (r#"{"type":"ack"}"#, None, "messageId is missing"),
    ] {
        assert_eq!(refusal(text), (id, problem.to_owned()), "{text}");
    }
}

#[test]
fn a_token_that_cannot_be_one_is_a_bad_token() {
    let long = format!(r#"{{"type":"auth","token":"{}"}}"#, "x".repeat(16_385));
    for (text, problem) in [
        (r#"{"type":"auth","token":5}"#, "token must be a string"),
        (r#"{"type":"auth","token":null}"#, "token must be a string"),
        (r#"{"type":"auth","token":["a"],"persistent":true}"#, "token must be a string"),
        (r#"{"type":"auth","token":"a","token":"b"}"#, "token is given twice"),
        (&long, "token is too long"),
    ] {
        let Err(DecodeError::Refused { code, message, .. }) = read(text) else { panic!("{text:.40}") };
        assert_eq!((code, message.as_ref()), ("unauthorized", problem), "{text:.40}");
    }
}

#[test]
fn a_generic_command_is_the_same_flat_and_as_a_command_of_the_root() {
    for (flat, data) in [
        ("subscribe", json!({"room": "a", "since": {"epoch": "e", "offset": 3}})),
        ("unsubscribe", json!({"room": "a"})),
        ("publish", json!({"room": "a", "event": "e", "data": [1], "key": "k"})),
        ("history", json!({"room": "a", "limit": 2})),
        ("presence", json!({"room": "a", "page": 1})),
        ("presence:set", json!({"status": "away"})),
        ("ping", json!({})),
    ] {
        let mut flat = json!({"type": flat, "id": 7});
        let mut commands = [
            json!({"type": "command", "id": 7, "name": flat["type"], "data": data}),
            json!({"type": "command", "id": 7, "ns": "/", "name": flat["type"], "data": data}),
        ];
        flat.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        for command in &mut commands {
            assert_eq!(read(&command.to_string()), read(&flat.to_string()), "{command}");
            // Elsewhere it is an app's own.
            command["ns"] = "/app".into();
            assert!(matches!(read(&command.to_string()), Ok(ClientMessage::Command { .. })), "{command}");
        }
    }
    let publish = |key: &str, beside: &str| {
        let data = format!(r#"{{"room":"a","event":"e","data":1{key}}}"#);
        format!(r#"{{"type":"command","id":1,"name":"publish","data":{data}{beside}}}"#)
    };
    let key = |text: &str| match read(text) {
        Ok(ClientMessage::Publish { body, .. }) => body.key.map(Cow::into_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(key(&publish("", r#","key":"k""#)).as_deref(), Some("k"));
    assert_eq!(key(&publish(r#","key":"k""#, r#","key":"k""#)).as_deref(), Some("k"));
    let two = publish(r#","key":"k""#, r#","key":"other""#);
    assert_eq!(refusal(&two), (Some(1), "key is another than that of the data".to_owned()));
    // What is left out is nothing, and nothing is not enough everywhere.
    assert_eq!(read(r#"{"type":"command","name":"ping"}"#), Ok(ClientMessage::Ping { id: None }));
    let nothing = r#"{"type":"command","id":1,"name":"history","data":null}"#;
    assert_eq!(refusal(nothing), (Some(1), "room is missing".to_owned()));
}

#[test]
fn a_name_may_be_as_long_as_its_limit_and_no_longer() {
    let limits = Limits::default();
    let publish = |room: usize, event: usize, key: usize| {
        let (room, event, key) = ("r".repeat(room), "e".repeat(event), "k".repeat(key));
        json!({"type": "publish", "id": 1, "room": room, "event": event, "key": key, "data": null})
            .to_string()
    };
    assert!(read(&publish(limits.room_name_bytes, limits.event_name_bytes, limits.key_bytes)).is_ok());
    assert_eq!(refusal(&publish(limits.room_name_bytes + 1, 1, 1)).1, "room is too long");
    assert_eq!(refusal(&publish(1, limits.event_name_bytes + 1, 1)).1, "event is too long");
    assert_eq!(refusal(&publish(1, 1, limits.key_bytes + 1)).1, "key is too long");
    // Escapes count as what they stand for.
    let escaped =
        format!(r#"{{"type":"unsubscribe","room":"{}"}}"#, r"\u0061".repeat(limits.room_name_bytes));
    assert!(read(&escaped).is_ok());
    let names =
        |count: usize| json!({"type": "subscribe", "room": "r", "events": vec!["e"; count]}).to_string();
    assert!(read(&names(64)).is_ok());
    assert_eq!(refusal(&names(65)).1, "events has too many entries");
    // What cannot be a token is a bad one.
    let token = json!({"type": "auth", "token": "t".repeat(16_385)}).to_string();
    let refused =
        Err(DecodeError::Refused { id: None, code: "unauthorized", message: "token is too long".into() });
    assert_eq!(read(&token), refused);
}

#[test]
fn unknown_fields_and_nulls_are_not_looked_at() {
    let text = r#"{"x":{"room":5},"type":"subscribe","x":1,"id":null,"room":"r","since":null,"rewind":null,"events":null,"minLane":null}"#;
    let room = "r".into();
    let body =
        SubscribeBody { room, since: None, rewind: None, events: None, min_lane: None, persist: false };
    assert_eq!(read(text), Ok(ClientMessage::Subscribe { id: None, body }));
}

#[test]
fn a_payload_keeps_its_bytes_and_a_null_payload_is_one() {
    for data in ["null", "1.50", "\"\\u0041\"", "{ \"b\" : 1,\t\"a\":[ ] }", "12345678901234567890123"] {
        let text = format!(r#" {{ "data" : {data} , "type":"publish","room":"r","event":"e"}}"#);
        let Ok(ClientMessage::Publish { body, .. }) = read(&text) else { panic!("{text} was refused") };
        assert_eq!(body.data, data);
    }
}

#[test]
fn ordinary_messages_are_read_without_copies() {
    let text = r#"{"type":"publish","id":1,"room":"lobby:1","event":"said","data":{"t":"hi"},"key":"k1"}"#;
    let Ok(ClientMessage::Publish { body, .. }) = read(text) else { panic!("refused") };
    assert!(matches!(body.room, Cow::Borrowed("lobby:1")));
    assert!(matches!(body.event, Cow::Borrowed("said")));
    assert!(matches!(body.key, Some(Cow::Borrowed("k1"))));
}

#[test]
fn bodies_are_the_same_on_socket_io() {
    let limits = Limits::default();
    assert_eq!(RoomBody::parse(r#"{"room":"r"}"#, &limits).unwrap().room, "r");
    assert_eq!(PublishBody::parse(r#"{"room":"r","event":"e","data":[]}"#, &limits).unwrap().data, "[]");
    for argument in ["\"r\"", "[]", "null", "7", ""] {
        let bad = BadField { field: "body", problem: "must be an object" };
        assert_eq!(SubscribeBody::parse(argument, &limits), Err(bad));
        assert_eq!(HistoryBody::parse(argument, &limits), Err(bad));
        assert_eq!(PresenceBody::parse(argument, &limits), Err(bad));
        assert_eq!(PresenceSetBody::parse(argument), Err(bad));
        assert_eq!(AuthBody::parse(argument), Err(bad));
    }
}

#[test]
fn lanes_are_ordered_by_urgency() {
    assert!(Lane::ALL.windows(2).all(|pair| pair[0] > pair[1]));
    for lane in Lane::ALL {
        assert_eq!(Lane::parse(lane.as_str()), Some(lane));
    }
    assert_eq!(Lane::parse("medium"), Some(Lane::default()));
    assert_eq!(Lane::parse("Critical"), None);
}

proptest! {
    #[test]
    fn a_publication_is_read_as_serde_wrote_it(
        id in 0u64..=9_999_999_999_999_999_999, room in "[^\\p{Cc}]{1,40}", event in "[^\\p{Cc}]{1,40}", text: String, volatile: bool,
    ) {
        prop_assume!(!event.starts_with("tidings:") && !event.starts_with("user"));
        let data = json!({"text": text, "deep": [[{"a": null}]]});
        let message = json!({"type": "publish", "id": id, "room": room, "event": event, "data": data, "volatile": volatile});
        let message = message.to_string();
        let Ok(ClientMessage::Publish { id: read_id, body }) = read(&message) else { panic!("{message} was refused") };
        prop_assert_eq!(read_id, Some(id));
        prop_assert_eq!(body.room.into_owned(), room);
        prop_assert_eq!(body.event.into_owned(), event);
        prop_assert_eq!(serde_json::from_str::<Value>(body.data).unwrap(), data);
        prop_assert_eq!(body.volatile, volatile);
    }

    #[test]
    fn only_what_is_no_object_closes_the_connection(
        kind in "auth|subscribe|publish|command|ack|x", room in r#"[0-9]|"[a-z]{0,3}"|null|\{\}"#, tail in r#"[,{}"a:1]{0,6}"#,
    ) {
        let text = format!(r#"{{"type":"{kind}","room":{room}{tail}}}"#);
        let object = serde_json::from_str::<Value>(&text).is_ok();
        let violated = matches!(read(&text), Err(DecodeError::Violation(_)));
        prop_assert_eq!(violated, !object, "{}", text);
    }
}
