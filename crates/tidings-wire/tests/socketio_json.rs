//! The JSON dialect of Socket.IO: what the reference server accepts, what it closes for, and round trips.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidings_wire::socketio::{Kind, Packet, decode, encode, event, is_reserved};
use tidings_wire::{CloseReason, Limits, Violation, engineio};

fn read(text: &str) -> Result<Packet<'_>, Violation> {
    decode(text, &Limits::default())
}

fn packet(kind: Kind) -> Packet<'static> {
    Packet { kind, namespace: "/", id: None, data: None, event: None, attachments: 0 }
}

/// What a whole WebSocket text frame comes to.
fn frame(text: &str) -> Result<(), CloseReason> {
    let limits = Limits::default();
    match engineio::decode_text(text, &limits).map_err(|bad| bad.reason)? {
        engineio::Packet::Message(message) => match decode(message, &limits) {
            Ok(_) => Ok(()),
            Err(bad) => Err(bad.reason),
        },
        _ => Ok(()),
    }
}

#[test]
fn what_the_reference_server_closes_for_is_a_violation() {
    use CloseReason::{Protocol, Structure};
    for (text, reason) in [
        ("4abc", Protocol),
        ("4", Protocol),
        ("", Protocol),
        ("42[]", Protocol),
        ("42{}", Protocol),
        ("42[\"echo\"", Protocol),
        ("40[]", Protocol),
        ("40\"s\"", Protocol),
        ("40null", Protocol),
        ("42abc[\"x\"]", Protocol),
        ("42[null]", Protocol),
        ("42[{}]", Protocol),
        ("42[[\"a\"]]", Protocol),
        ("42[true]", Protocol),
        ("42\"a\"", Protocol),
        ("41{}", Protocol),
        ("43{}", Protocol),
        ("43\"x\"", Protocol),
        ("44[]", Protocol),
        ("47", Protocol),
        ("45", Protocol),
        ("45[\"a\"]", Protocol),
        ("45x-[\"a\"]", Protocol),
        ("45-[\"a\"]", Protocol),
        ("451[\"a\"]", Protocol),
        ("45-1-[\"a\"]", Protocol),
        ("451.5-[\"a\"]", Protocol),
        ("451-", Protocol),
        ("461-1", Protocol),
        ("451-[]", Protocol),
        ("450-[\"a\"]", Structure),
        ("460-1[]", Structure),
        ("4511-[\"a\"]", Structure),
        ("459999999999-[\"a\"]", Structure),
        ("451-[\"a\",{\"_placeholder\":true,\"num\":1}]", Protocol),
        ("451-[\"a\",{\"_placeholder\":true,\"num\":-1}]", Protocol),
        ("451-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]", Protocol),
        ("451-[\"a\",{\"_placeholder\":true,\"num\":0.5}]", Protocol),
        ("451-[\"a\",{\"_placeholder\":true}]", Protocol),
        ("451-[\"a\",{\"_placeholder\":true,\"num\":0,\"num\":1}]", Protocol),
        ("451-[\"a\",{\"\\u005fplaceholder\":true,\"num\":9}]", Protocol),
        ("451-[\"a\",{\"b\":[{\"_placeholder\" : true , \"num\" : 99}]}]", Protocol),
        ("461-7[{\"_placeholder\":true,\"num\":1}]", Protocol),
        ("7", Protocol),
        ("x", Protocol),
    ] {
        assert_eq!(frame(text), Err(reason), "{text}");
    }
}

#[test]
fn what_the_reference_server_lets_pass_is_a_packet() {
    for text in [
        "40",
        "40{}",
        "40{\"token\":\"x\"}",
        "40/adm",
        "40/adm,",
        "40/adm,{\"a\":1}",
        "40/adm?token=1,{}",
        "41",
        "41/adm",
        "41/adm,",
        "42",
        "42/adm,",
        "42[\"a\"]",
        "42[1]",
        "42[1.5,2]",
        "42[\"\"]",
        "420[\"a\"]",
        "42/adm,13[\"a\",{\"_placeholder\":true,\"num\":99}]",
        "43",
        "430",
        "430[]",
        "43[]",
        "4312[1,null]",
        "44{\"message\":\"x\"}",
        "44\"x\"",
        "451-[\"a\",{\"_placeholder\":true,\"num\":0}]",
        "4510-[\"a\",{\"_placeholder\":true,\"num\":9}]",
        "452-[\"fewer\"]",
        "451-[\"twice\",{\"_placeholder\":true,\"num\":0},{\"num\":0,\"_placeholder\":true}]",
        "451-[\"own data\",{\"_placeholder\":1,\"num\":7},{\"_placeholder\":\"true\",\"num\":7}]",
        "451-[\"last wins\",{\"_placeholder\":true,\"_placeholder\":false,\"num\":7}]",
        "461-/adm,7[{\"_placeholder\":true,\"num\":0}]",
        "0",
        "0{}",
        "5",
        "6",
        "1",
        "3",
    ] {
        assert_eq!(frame(text), Ok(()), "{text}");
    }
}

#[test]
fn reserved_event_names_close_the_connection_however_they_are_written() {
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        assert!(is_reserved(name));
        assert_eq!(frame(&format!("42[\"{name}\"]")), Err(CloseReason::Protocol));
        assert_eq!(frame(&format!("451-[\"{name}\"]")), Err(CloseReason::Protocol));
    }
    assert_eq!(frame("42[\"\\u0063onnect\"]"), Err(CloseReason::Protocol));
    assert_eq!(frame("42[\"connected\"]"), Ok(()));
    assert_eq!(frame("42[\"a\",\"connect\"]"), Ok(()));
}

#[test]
fn the_parts_of_a_packet_are_found() {
    assert_eq!(read("0"), Ok(packet(Kind::Connect)));
    assert_eq!(read("2"), Ok(packet(Kind::Event)));
    assert_eq!(read("0/adm"), Ok(Packet { namespace: "/adm", ..packet(Kind::Connect) }));
    assert_eq!(read("1/adm,"), Ok(Packet { namespace: "/adm", ..packet(Kind::Disconnect) }));
    let said = read("2/adm,456[\"project:delete\",123]").unwrap();
    let data = Some("[\"project:delete\",123]");
    let event = said.event.clone();
    assert_eq!(said, Packet { namespace: "/adm", id: Some(456), data, event, ..packet(Kind::Event) });
    assert_eq!(
        read("61-/adm,0 [ {\"_placeholder\":true,\"num\":0} ] "),
        Ok(Packet {
            namespace: "/adm",
            id: Some(0),
            data: Some("[ {\"_placeholder\":true,\"num\":0} ]"),
            attachments: 1,
            ..packet(Kind::BinaryAck)
        })
    );
    // Without a comma everything after the slash is the name, as in Node.
    assert_eq!(read("2/adm[\"x\"]").unwrap().namespace, "/adm[\"x\"]");
    assert_eq!(read("0/adm?token=1,").unwrap().namespace, "/adm?token=1");
}

#[test]
fn ack_ids_have_at_most_nineteen_digits() {
    assert_eq!(read("39999999999999999999[]").unwrap().id, Some(9_999_999_999_999_999_999));
    assert_eq!(read("310000000000000000000[]").unwrap_err().reason, CloseReason::Protocol);
    assert_eq!(read("3007[]").unwrap().id, Some(7));
}

#[test]
fn namespaces_are_bounded_and_printable() {
    assert!(read(&format!("0/{}", "n".repeat(199))).is_ok());
    assert_eq!(read(&format!("0/{}", "n".repeat(200))).unwrap_err().reason, CloseReason::Structure);
    assert_eq!(read("0/a\u{1e}1").unwrap_err().reason, CloseReason::Protocol);
}

#[test]
fn sizes_and_depths_are_bounded() {
    let limits = Limits { message_bytes: 8, json_depth: 2, ..Limits::default() };
    assert!(decode("2[\"abc\"]", &limits).is_ok());
    assert_eq!(decode("2[\"abcd\"]", &limits).unwrap_err().reason, CloseReason::TooLarge);
    assert!(decode("2[1,[]]", &limits).is_ok());
    assert_eq!(decode("2[1,[[", &limits).unwrap_err().reason, CloseReason::Structure);
    for open in ["[", "{\"a\":"] {
        let bomb = open.repeat(100_000);
        assert_eq!(read(&format!("2[\"a\",{bomb}")).unwrap_err().reason, CloseReason::Structure);
        assert_eq!(read(&format!("51-[\"a\",{bomb}")).unwrap_err().reason, CloseReason::Structure);
    }
}

#[test]
fn an_event_is_split_into_name_and_arguments() {
    let split = event("[\"n\\u00e9\", 1 ,{\"a\":[2]}]").unwrap();
    assert_eq!(split.name, "né");
    assert_eq!(split.args.collect::<Vec<_>>(), ["1", "{\"a\":[2]}"]);
    assert_eq!(event("[1.50]").unwrap().name, "1.50");
    for data in ["[]", "{}", "[null]", "[\"\\ud800\"]", "\"a\"", ""] {
        assert!(event(data).is_none(), "{data}");
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn packets_are_written_as_the_reference_server_writes_them() {
    let cases = [
        (written(|out| encode::connect(out, "/", "s", None)), r#"40{"sid":"s"}"#),
        (written(|out| encode::connect(out, "/adm", "s", Some("p"))), r#"40/adm,{"sid":"s","pid":"p"}"#),
        (
            written(|out| encode::connect_error(out, "/x", "Invalid namespace", None)),
            r#"44/x,{"message":"Invalid namespace"}"#,
        ),
        (
            written(|out| encode::connect_error(out, "/", "no", Some("{\"code\":1}"))),
            r#"44{"message":"no","data":{"code":1}}"#,
        ),
        (written(|out| encode::disconnect(out, "/")), "41"),
        (written(|out| encode::disconnect(out, "/adm")), "41/adm,"),
        (written(|out| encode::event(out, "/", None, "a", &[], None, 0)), r#"42["a"]"#),
        (written(|out| encode::event(out, "/", None, "a", &["1"], Some("Q7"), 0)), r#"42["a",1,"Q7"]"#),
        (
            written(|out| encode::event(out, "/adm", Some(0), "a\"", &["{}"], None, 0)),
            r#"42/adm,0["a\"",{}]"#,
        ),
        (
            written(|out| {
                encode::event(out, "/adm", Some(3), "b", &[r#"{"_placeholder":true,"num":0}"#], None, 1);
            }),
            r#"451-/adm,3["b",{"_placeholder":true,"num":0}]"#,
        ),
        (written(|out| encode::ack(out, "/", 12, &[""; 0], 0)), "4312[]"),
        (written(|out| encode::ack(out, "/adm", 1, &["1", "\"x\""], 0)), r#"43/adm,1[1,"x"]"#),
        (
            written(|out| encode::ack(out, "/", 1, &[r#"{"_placeholder":true,"num":0}"#], 10)),
            r#"4610-1[{"_placeholder":true,"num":0}]"#,
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

proptest! {
    #[test]
    fn a_written_event_is_read_back(
        namespace in "/[a-z0-9?=]{0,12}",
        id in prop::option::of(0u64..=9_999_999_999_999_999_999),
        name: String,
        texts in prop::collection::vec(any::<String>(), 0..4),
        offset in prop::option::of("[a-z0-9]{1,8}"),
        attachments in 0u32..=10,
    ) {
        prop_assume!(!is_reserved(&name));
        let mut args: Vec<Value> = texts.into_iter().map(Value::from).collect();
        args.extend((0..attachments).map(|num| json!({"_placeholder": true, "num": num})));
        let raw: Vec<String> = args.iter().map(Value::to_string).collect();
        let raw: Vec<&str> = raw.iter().map(String::as_str).collect();
        let text = written(|out| encode::event(out, &namespace, id, &name, &raw, offset.as_deref(), attachments));
        let read = decode(&text[1..], &Limits::default()).unwrap();
        prop_assert_eq!(read.kind, Kind::Event.with_attachments(attachments > 0));
        prop_assert_eq!(read.namespace, namespace);
        prop_assert_eq!(read.id, id);
        prop_assert_eq!(read.attachments, attachments);
        let split = event(read.data.unwrap()).unwrap();
        prop_assert_eq!(split.name.as_ref(), name.as_str());
        let found: Vec<Value> = split.args.map(|raw| serde_json::from_str(raw).unwrap()).collect();
        prop_assert_eq!(&found[..args.len()], &args[..]);
        prop_assert_eq!(found.get(args.len()).cloned(), offset.map(Value::from));
    }

    #[test]
    fn the_arguments_of_an_event_are_the_same_whether_they_were_counted_or_not(
        args in prop::collection::vec(r#" {0,2}("[a-z,\]}]{0,3}"|[1-9][0-9]{0,2}|\{"a":\[1, ?2\] ?\}|\[\]|\[ \{\} ,null\]|true) {0,2}"#, 0..4),
        name in r#" ?("[a-z]{1,3}"|"\\n"|7) ?"#,
    ) {
        let text = format!("2[{}]", [name].into_iter().chain(args.clone()).collect::<Vec<_>>().join(","));
        let read = read(&text).unwrap();
        let (counted, sought) = (read.event.unwrap(), event(read.data.unwrap()).unwrap());
        prop_assert_eq!(counted.name, sought.name);
        let counted: Vec<&str> = counted.args.collect();
        prop_assert_eq!(&counted, &sought.args.collect::<Vec<_>>());
        prop_assert_eq!(counted, args.iter().map(|arg| arg.trim()).collect::<Vec<_>>());
    }

    #[test]
    fn a_written_answer_is_read_back(id in 0u64..=9_999_999_999_999_999_999, texts in prop::collection::vec(any::<String>(), 0..4)) {
        let raw: Vec<String> = texts.iter().map(|text| Value::from(text.as_str()).to_string()).collect();
        let raw: Vec<&str> = raw.iter().map(String::as_str).collect();
        let text = written(|out| encode::ack(out, "/", id, &raw, 0));
        let read = decode(&text[1..], &Limits::default()).unwrap();
        prop_assert_eq!((read.kind, read.id), (Kind::Ack, Some(id)));
        prop_assert_eq!(serde_json::from_str::<Vec<String>>(read.data.unwrap()).unwrap(), texts);
    }

    #[test]
    fn any_text_is_a_packet_with_checked_data_or_a_violation(text in r#"[0-7]([0-9]{1,2}-)?(/[a-z]{0,3},?)?[0-9]{0,3}[\[\]{}"a-z:,0-9]{0,16}"#) {
        if let Ok(read) = read(&text) {
            if let Some(data) = read.data {
                prop_assert!(serde_json::from_str::<Value>(data).is_ok());
            }
            prop_assert_eq!(read.kind.is_binary(), read.attachments > 0);
            prop_assert!(read.attachments <= 10);
        }
    }
}
