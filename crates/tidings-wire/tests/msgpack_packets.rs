//! The msgpack dialect of Socket.IO: vectors written by `socket.io-msgpack-parser` 3.0.2, and `rmpv` as the
//! oracle.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;
use rmpv::Value as Packed;
use serde_json::{Value, json};
use tidings_wire::socketio::msgpack::{OwnedPacket, decode, encode};
use tidings_wire::socketio::{Kind, event, is_reserved};
use tidings_wire::{CloseReason, Limits, Violation};

const VECTORS: &str = include_str!("msgpack_vectors.tsv");

struct Vector {
    name: &'static str,
    packed: Vec<u8>,
    packet: OwnedPacket,
    canonical: bool,
}

fn vectors() -> Vec<Vector> {
    VECTORS.lines().filter(|line| !line.starts_with('#')).map(vector).collect()
}

fn vector(line: &'static str) -> Vector {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, kind, namespace, id, packed, attachments, data, canonical] = fields[..] else {
        panic!("{line}")
    };
    let attachments: Vec<Bytes> = match attachments {
        "-" => Vec::new(),
        list => list.split(',').map(|hex| unhex(hex).into()).collect(),
    };
    let kind = match (kind, attachments.is_empty()) {
        ("0", _) => Kind::Connect,
        ("1", _) => Kind::Disconnect,
        ("2", true) => Kind::Event,
        ("2", false) => Kind::BinaryEvent,
        ("3", true) => Kind::Ack,
        _ => Kind::ConnectError,
    };
    let packet = OwnedPacket {
        kind,
        namespace: namespace.to_owned(),
        id: id.parse().ok(),
        data: Some(data.to_owned()).filter(|data| data != "-"),
        attachments,
    };
    Vector { name, packed: unhex(packed), packet, canonical: canonical == "canonical" }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn read(bytes: &[u8]) -> Result<OwnedPacket, Violation> {
    decode(bytes, &Limits::default())
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn packed(value: &Packed) -> Vec<u8> {
    written(|out| rmpv::encode::write_value(out, value).unwrap())
}

fn map(fields: Vec<(&str, Packed)>) -> Packed {
    Packed::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// An event whose only argument is `value`.
fn event_with(value: Packed) -> Vec<u8> {
    let data = Packed::Array(vec!["e".into(), value]);
    packed(&map(vec![("type", 2.into()), ("nsp", "/".into()), ("data", data)]))
}

/// What the argument of such an event comes to.
fn argument(value: Packed) -> Result<String, CloseReason> {
    let packet = read(&event_with(value)).map_err(|violation| violation.reason)?;
    let argument = event(&packet.data.unwrap()).unwrap().args.next().unwrap().to_owned();
    Ok(argument)
}

#[test]
fn packets_of_the_reference_parser_are_read() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 25);
    for Vector { name, packed, packet, .. } in vectors {
        assert_eq!(read(&packed), Ok(packet), "{name}");
    }
}

#[test]
fn packets_are_written_as_the_reference_parser_writes_them() {
    let mut compared = 0;
    for Vector { name, packed, packet, canonical } in vectors() {
        let data = packet.data.as_deref().unwrap_or_default();
        let write = |out: &mut Vec<u8>| match packet.kind {
            Kind::Event | Kind::BinaryEvent => {
                let split = event(data).unwrap();
                let args: Vec<&str> = split.args.collect();
                encode::event(
                    out,
                    &packet.namespace,
                    packet.id,
                    &split.name,
                    &args,
                    None,
                    &packet.attachments,
                );
            }
            Kind::Ack => {
                let args: Vec<&str> = tidings_wire::json::elements(data).collect();
                encode::ack(out, &packet.namespace, packet.id.unwrap(), &args, &[]);
            }
            Kind::Disconnect => encode::disconnect(out, &packet.namespace),
            _ => encode::connect_error(out, &packet.namespace, "no", Some("{\"code\":1}")),
        };
        // A number for a name becomes text here, and only a client signs in or sends an error without object.
        if canonical && !["numeric", "connect_auth", "connect_error_text"].contains(&name) {
            assert_eq!(written(write), packed, "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}

#[test]
fn the_answer_to_connect_is_read_by_the_oracle() {
    for pid in [None, Some("p1")] {
        let bytes = written(|out| encode::connect(out, "/adm", "s1", pid));
        let read = rmpv::decode::read_value(&mut &bytes[..]).unwrap();
        let data = [("sid", Some("s1")), ("pid", pid)];
        let data = data.into_iter().filter_map(|(key, value)| Some((key, value?.into()))).collect();
        assert_eq!(read, map(vec![("type", 0.into()), ("data", map(data)), ("nsp", "/adm".into())]));
    }
}

#[test]
fn an_event_carries_its_offset_and_its_bytes_at_their_places() {
    let attachments = [Bytes::from_static(b"zero"), Bytes::from_static(b"one")];
    let args = [r#"{"_placeholder":true,"num":1}"#, r#"[{"a":{"num":0,"_placeholder":true},"b":[]}]"#];
    let bytes = written(|out| encode::event(out, "/", Some(3), "e", &args, Some("off"), &attachments));
    let read = rmpv::decode::read_value(&mut &bytes[..]).unwrap();
    let inner = map(vec![("a", Packed::Binary(b"zero".to_vec())), ("b", Packed::Array(vec![]))]);
    let data = vec!["e".into(), Packed::Binary(b"one".to_vec()), Packed::Array(vec![inner]), "off".into()];
    assert_eq!(read["data"], Packed::Array(data));
    assert_eq!(read["id"], 3.into());
}

#[test]
fn what_the_reference_decoder_refuses_is_a_violation() {
    let with = |fields| packed(&map(fields));
    let data = || Packed::Array(vec!["a".into()]);
    let nsp = || Packed::from("/");
    for (packet, what) in [
        (packed(&7.into()), "a number"),
        (packed(&Packed::Nil), "nil"),
        (packed(&Packed::Array(vec![])), "an array"),
        (vec![], "nothing"),
        (b"0".to_vec(), "the JSON dialect"),
        (with(vec![("nsp", nsp()), ("data", data())]), "no type"),
        (with(vec![("type", 5.into()), ("nsp", nsp()), ("data", data())]), "type 5"),
        (with(vec![("type", "2".into()), ("nsp", nsp()), ("data", data())]), "a type as text"),
        (with(vec![("type", (-1).into()), ("nsp", nsp()), ("data", data())]), "a negative type"),
        (with(vec![("type", 2.into()), ("data", data())]), "no namespace"),
        (with(vec![("type", 2.into()), ("nsp", 1.into()), ("data", data())]), "a number as namespace"),
        (with(vec![("type", 2.into()), ("nsp", nsp())]), "an event without data"),
        (with(vec![("type", 3.into()), ("nsp", nsp())]), "an answer without data"),
        (with(vec![("type", 4.into()), ("nsp", nsp())]), "an error without data"),
        (with(vec![("type", 2.into()), ("nsp", nsp()), ("data", Packed::Nil)]), "an event with nil"),
        (with(vec![("type", 0.into()), ("nsp", nsp()), ("data", Packed::Nil)]), "a connect with nil"),
        (with(vec![("type", 0.into()), ("nsp", nsp()), ("data", data())]), "a connect with an array"),
        (with(vec![("type", 1.into()), ("nsp", nsp()), ("data", map(vec![]))]), "a disconnect with data"),
        (with(vec![("type", 2.into()), ("nsp", nsp()), ("data", "a".into())]), "an event with text"),
        (with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data()), ("id", Packed::Nil)]), "a nil id"),
        (with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data()), ("id", 1.5.into())]), "a broken id"),
        (
            with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data()), ("id", "1".into())]),
            "an id as text",
        ),
        ([event_with(1.into()), vec![0]].concat(), "trailing bytes"),
    ] {
        assert_eq!(read(&packet).map_err(|bad| bad.reason), Err(CloseReason::Protocol), "{what}");
    }
}

#[test]
fn what_the_reference_decoder_overlooks_is_a_violation_too() {
    let with = |fields| packed(&map(fields));
    let data = |name: Packed| Packed::Array(vec![name]);
    let nsp = || Packed::from("/");
    for (packet, what) in [
        (
            with(vec![("type", 2.into()), ("nsp", nsp()), ("data", Packed::Array(vec![]))]),
            "an event without name",
        ),
        (with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data(Packed::Nil))]), "nil as name"),
        (
            with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data("disconnect".into()))]),
            "a reserved name",
        ),
        (
            with(vec![("type", 2.into()), ("nsp", nsp()), ("data", data("a".into())), ("id", (-1).into())]),
            "an id below zero",
        ),
        (
            with(vec![
                ("type", 2.into()),
                ("nsp", nsp()),
                ("data", data("a".into())),
                ("id", u64::MAX.into()),
            ]),
            "an id of twenty digits",
        ),
        (
            with(vec![("type", 2.into()), ("nsp", nsp()), ("nsp", nsp()), ("data", data("a".into()))]),
            "two namespaces",
        ),
        (
            with(vec![("type", 2.into()), ("nsp", "/a\n".into()), ("data", data("a".into()))]),
            "a control character",
        ),
    ] {
        assert_eq!(read(&packet).map_err(|bad| bad.reason), Err(CloseReason::Protocol), "{what}");
    }
    let long = with(vec![("type", 0.into()), ("nsp", "/".repeat(201).into())]);
    assert_eq!(read(&long).unwrap_err().reason, CloseReason::Structure);
}

#[test]
fn fields_the_dialect_does_not_know_are_passed_over_however_deep() {
    let mut bytes = vec![0x83];
    bytes.extend_from_slice(b"\xa4type\x01\xa1x");
    bytes.extend_from_slice(&[0x91; 100_000]);
    bytes.extend_from_slice(b"\xc0\xa3nsp\xa1/");
    assert_eq!(read(&bytes).unwrap().kind, Kind::Disconnect);
}

#[test]
fn whole_floats_are_whole_numbers() {
    let data = Packed::Array(vec!["a".into(), 5.0.into(), (-0.0).into(), 1e15.into(), Packed::F32(0.5)]);
    let packet = map(vec![("type", 2.0.into()), ("nsp", "/".into()), ("data", data), ("id", 7.0.into())]);
    let packet = read(&packed(&packet)).unwrap();
    assert_eq!(packet.id, Some(7));
    assert_eq!(packet.data.unwrap(), "[\"a\",5,0,1000000000000000,0.5]");
}

#[test]
fn integers_keep_all_their_digits_both_ways() {
    for number in [Packed::from(u64::MAX), Packed::from(i64::MIN), Packed::from(9_007_199_254_740_993u64)] {
        let text = argument(number.clone()).unwrap();
        assert_eq!(text, number.to_string());
        let bytes = written(|out| encode::event(out, "/", None, "e", &[&text], None, &[]));
        assert_eq!(rmpv::decode::read_value(&mut &bytes[..]).unwrap()["data"][1], number);
    }
}

#[test]
fn values_json_does_not_have_become_what_the_table_says() {
    let date = |milliseconds: i64| Packed::Ext(0, milliseconds.to_be_bytes().to_vec());
    for (value, text) in [
        (f64::NAN.into(), "null"),
        (f64::NEG_INFINITY.into(), "null"),
        (Packed::Ext(0, vec![0]), "null"),
        (
            map(vec![("a", Packed::Ext(0, vec![0])), ("b", 1.into()), ("c", Packed::Ext(0, vec![0]))]),
            "{\"b\":1}",
        ),
        (map(vec![("a", Packed::Ext(0, vec![0]))]), "{}"),
        (Packed::Map(vec![(7.into(), 1.into()), ((-7).into(), 2.into())]), "{\"7\":1,\"-7\":2}"),
        (date(951_782_400_000), "\"2000-02-29T00:00:00.000Z\""),
        (date(-62_167_219_200_000), "\"0000-01-01T00:00:00.000Z\""),
        (date(-8_640_000_000_000_000), "\"-271821-04-20T00:00:00.000Z\""),
        (date(8_640_000_000_000_001), "null"),
        (date(i64::MIN), "null"),
        (Packed::Ext(5, vec![1, 2, 3, 4]), "[5,{\"_placeholder\":true,\"num\":0}]"),
        (Packed::Ext(0, vec![1, 2]), "[0,{\"_placeholder\":true,\"num\":0}]"),
        (Packed::Ext(0, vec![1, 2, 3]), "{\"_placeholder\":true,\"num\":0}"),
    ] {
        assert_eq!(argument(value.clone()), Ok(text.to_owned()), "{value}");
    }
    assert_eq!(argument(Packed::Map(vec![(Packed::Nil, 1.into())])), Err(CloseReason::Protocol));
    assert_eq!(argument(Packed::Map(vec![(Packed::Array(vec![]), 1.into())])), Err(CloseReason::Protocol));
}

#[test]
fn text_that_is_not_utf_8_closes_the_connection() {
    let mut bytes = event_with("abc".into());
    let at = bytes.windows(3).position(|window| window == b"abc").unwrap();
    bytes[at] = 0xff;
    assert_eq!(read(&bytes).unwrap_err().reason, CloseReason::InvalidUtf8);
}

#[test]
fn depth_and_attachments_are_bounded_as_in_the_json_dialect() {
    let nested = |levels: usize| (0..levels).fold(Packed::Nil, |inner, _| Packed::Array(vec![inner]));
    assert!(argument(nested(31)).is_ok());
    assert_eq!(argument(nested(32)), Err(CloseReason::Structure));
    let bytes_inside =
        |levels: usize| (0..levels).fold(Packed::Binary(vec![1]), |inner, _| map(vec![("a", inner)]));
    assert!(argument(bytes_inside(30)).is_ok());
    assert_eq!(argument(bytes_inside(31)), Err(CloseReason::Structure));
    let blobs = |count: usize| Packed::Array(vec![Packed::Binary(vec![1]); count]);
    assert!(argument(blobs(10)).is_ok());
    assert_eq!(argument(blobs(11)), Err(CloseReason::Structure));
}

#[test]
fn a_placeholder_of_the_clients_own_must_fit_the_attachments_it_sends() {
    let own = |num: u8| map(vec![("_placeholder", true.into()), ("num", num.into())]);
    assert!(argument(own(99)).is_ok());
    let beside = |num: u8| Packed::Array(vec![own(num), Packed::Binary(vec![1])]);
    assert!(argument(beside(0)).is_ok());
    assert_eq!(argument(beside(1)), Err(CloseReason::Protocol));
}

#[test]
fn a_hundred_thousand_brackets_are_refused() {
    for bracket in [&[0x91][..], b"\x81\xa1a"] {
        let mut bytes = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e".to_vec();
        bytes.extend_from_slice(&bracket.repeat(100_000));
        assert_eq!(read(&bytes).unwrap_err().reason, CloseReason::Structure);
    }
    let deep = "[".repeat(100_000);
    let bytes = written(|out| encode::event(out, "/", None, "e", &[&deep], None, &[Bytes::new()]));
    assert!(bytes.len() > 100_000);
}

#[test]
fn a_declared_length_beyond_the_message_is_refused_before_anything_is_kept() {
    let head = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e";
    for bomb in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
        b"\xdc\xff\xff",
        b"\xde\xff\xff",
        b"\xda\xff\xff",
        b"\xc5\xff\xff",
        b"\xd8\x05\x00",
        b"\xdf\x00\x00\x00\x02\xa1a\xc0\xc0",
        b"\xc1",
        b"",
    ] {
        let bytes = [head, bomb].concat();
        assert_eq!(read(&bytes).unwrap_err().reason, CloseReason::Protocol, "{bomb:x?}");
    }
    assert_eq!(read(b"\xdf\xff\xff\xff\xff").unwrap_err().reason, CloseReason::Protocol);
}

#[test]
fn a_payload_is_as_long_as_its_json() {
    let limits = Limits { message_bytes: 100, ..Limits::default() };
    let nils = |count: usize| event_with(Packed::Array(vec![Packed::Nil; count]));
    assert!(decode(&nils(15), &limits).is_ok());
    assert_eq!(decode(&nils(25), &limits).unwrap_err().reason, CloseReason::TooLarge);
    assert_eq!(decode(&[0; 101], &limits).unwrap_err().reason, CloseReason::TooLarge);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Compares as JavaScript would: 5 and 5.0 are one number.
fn same(ours: &Packed, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Packed::Nil, Value::Null) => true,
        (Packed::Boolean(ours), Value::Bool(theirs)) => ours == theirs,
        (Packed::String(ours), Value::String(theirs)) => ours.as_str() == Some(theirs),
        (Packed::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Packed::Map(ours), Value::Object(theirs)) => {
            let member = |(key, value): &(Packed, Packed)| {
                theirs.get(key.as_str().unwrap()).is_some_and(|theirs| same(value, theirs))
            };
            ours.len() == theirs.len() && ours.iter().all(member)
        }
        (ours, Value::Number(theirs)) if !theirs.is_f64() => {
            ours.as_u64() == theirs.as_u64() && ours.as_i64() == theirs.as_i64()
        }
        (ours, Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        _ => false,
    }
}

proptest! {
    #[test]
    fn packed_json_is_read_by_the_oracle_and_by_us(value in any_json(), pretty: bool, name: String, id: Option<u32>) {
        prop_assume!(!is_reserved(&name));
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let id = id.map(u64::from);
        let bytes = written(|out| encode::event(out, "/n", id, &name, &[&text], None, &[]));
        let mut rest = &bytes[..];
        let oracle = rmpv::decode::read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert!(same(&oracle["data"][1], &value), "{} became {}", text, oracle);

        let packet = read(&bytes).unwrap();
        prop_assert_eq!((packet.kind, packet.namespace.as_str(), packet.id), (Kind::Event, "/n", id));
        let data = packet.data.unwrap();
        let split = event(&data).unwrap();
        prop_assert_eq!(split.name.as_ref(), name.as_str());
        let again = written(|out| encode::event(out, "/n", id, &name, &split.args.collect::<Vec<_>>(), None, &[]));
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn bytes_come_back_in_their_places(blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..=10)) {
        let attachments: Vec<Bytes> = blobs.into_iter().map(Bytes::from).collect();
        let args: Vec<String> = (0..attachments.len())
            .map(|num| json!({"x": [{"_placeholder": true, "num": num}]}).to_string())
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let packet = read(&written(|out| encode::ack(out, "/", 1, &args, &attachments))).unwrap();
        prop_assert_eq!(packet.kind, Kind::BinaryAck);
        prop_assert_eq!(packet.attachments, attachments);
        let again: Vec<Value> = serde_json::from_str(&packet.data.unwrap()).unwrap();
        let args: Vec<Value> = args.iter().map(|arg| serde_json::from_str(arg).unwrap()).collect();
        prop_assert_eq!(again, args);
    }

    #[test]
    fn any_bytes_are_a_packet_with_valid_data_or_a_violation(tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = [&b"\x83\xa4type\x03\xa3nsp\xa1/\xa4data"[..], &tail].concat();
        if let Ok(packet) = read(&bytes) {
            prop_assert!(serde_json::from_str::<Vec<Value>>(&packet.data.unwrap()).is_ok());
        }
    }

    #[test]
    fn any_items_are_judged_as_the_oracle_judges_them(mut bytes in prop::collection::vec(prop_oneof![
        any::<u8>(), 0x90u8..0x93, 0x80u8..0x82, 0xa0u8..0xa3, 0xc0u8..0xe0,
    ], 0..24)) {
        // The oracle reads the byte that the format never uses as nil; we refuse it.
        bytes.iter_mut().filter(|byte| **byte == 0xc1).for_each(|byte| *byte = 0xc0);
        // Packed as an unknown field the value may be anything; only its extent matters.
        let mut rest = &bytes[..];
        let exact = rmpv::decode::read_value_ref(&mut rest).is_ok() && rest.is_empty();
        let mut packet = b"\x83\xa4type\x01\xa3nsp\xa1/\xa1x".to_vec();
        packet.append(&mut bytes);
        match read(&packet) {
            Ok(_) => prop_assert!(exact),
            // The oracle lets text be any bytes; we do not.
            Err(violation) => prop_assert!(!exact || violation.reason == CloseReason::InvalidUtf8),
        }
    }

    #[test]
    fn unchecked_text_is_packed_without_panic(text in r#"([\[\]{}:,"\\é]|"_placeholder":true|"num":0|-|1e5){0,24}"#) {
        let bytes = written(|out| encode::ack(out, "/", 0, &[&text], &[Bytes::from_static(b"x")]));
        prop_assert!(bytes.starts_with(b"\x84\xa4type\x03"));
    }
}
