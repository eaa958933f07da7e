//! The bytes of an event in each dialect, to the letter.

#![allow(clippy::unwrap_used)]

mod common;

use common::room;
use proptest::prelude::*;
use tidings_core::frame::{
    Dialect, Form, Namespaces, encode, parse_resume_offset, resume_offset, write_message,
};
use tidings_core::{Epoch, Mark, MessageId, Payload, Position, Publication};
use tidings_wire::Limits;
use tidings_wire::websocket::{Decoder, Deflate, Incoming, Opcode};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

fn publication(payload: Payload, recorded: bool) -> Publication {
    let id = MessageId { node: 0xab, number: 0x1f };
    let position = recorded.then_some(Position { epoch: Epoch(0xe), offset: 7, tag: 0xc0de });
    Publication {
        position,
        sequence: if recorded { 0x2a } else { 0 },
        ..Publication::new(room("doc:1"), "changed", payload, id, 0)
    }
}

fn json() -> Payload {
    Payload::json(r#"{"a": 1}"#)
}

fn binary() -> Payload {
    Payload {
        json: r#"{"p":{"_placeholder":true,"num":0},"q":[{"num":1,"_placeholder":true}]}"#.into(),
        attachments: [b"one".as_slice().into(), b"\xff".as_slice().into()].into(),
    }
}

fn form(dialect: Dialect) -> Form {
    Form { dialect, namespace: 0, offset: false, place: false, deflate: 0, text_only: false }
}

fn bytes(publication: &Publication, form: Form) -> Vec<u8> {
    encode(publication, form, &Namespaces::new(["/adm"])).to_vec()
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 65_536);
    let mut frame = vec![opcode];
    if payload.len() < 126 {
        frame.push(payload.len() as u8);
    } else {
        frame.push(126);
        frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    frame.extend_from_slice(payload);
    frame
}

fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, payload.as_bytes())
}

#[test]
fn a_plain_event_names_room_message_and_position() {
    let volatile = r#"{"type":"event","room":"doc:1","event":"changed","data":{"a": 1},"messageId":"00000000000000ab-1f"}"#;
    assert_eq!(bytes(&publication(json(), false), form(Dialect::Plain)), text(volatile));
    let recorded = r#"{"type":"event","room":"doc:1","event":"changed","data":{"a": 1},"messageId":"00000000000000ab-1f","epoch":"000000000000000e","offset":7,"tag":"0000c0de"}"#;
    assert_eq!(bytes(&publication(json(), true), form(Dialect::Plain)), text(recorded));
}

#[test]
fn plain_events_carry_binary_as_base64_in_its_place() {
    let expected = r#"{"type":"event","room":"doc:1","event":"changed","data":{"p":"b25l","q":["/w=="]},"messageId":"00000000000000ab-1f"}"#;
    assert_eq!(bytes(&publication(binary(), false), form(Dialect::Plain)), text(expected));
}

#[test]
fn placeholders_without_attachments_are_data() {
    let payload = Payload::json(r#"{"_placeholder":true,"num":0}"#);
    let plain = bytes(&publication(payload.clone(), false), form(Dialect::Plain));
    assert!(
        String::from_utf8(plain[2..].to_vec()).unwrap().contains(r#""data":{"_placeholder":true,"num":0}"#)
    );
    let socket_io = bytes(&publication(payload, false), form(Dialect::SocketIo));
    assert_eq!(socket_io, text(r#"42["changed",{"_placeholder":true,"num":0}]"#));
}

#[test]
fn a_socket_io_event_carries_its_offset_if_recorded_and_wanted() {
    let plain = r#"42["changed",{"a": 1}]"#;
    let with_offset = r#"42["changed",{"a": 1},"00000000000000ab.2a"]"#;
    let wants = Form { offset: true, ..form(Dialect::SocketIo) };
    for (recorded, form, expected) in [
        (false, form(Dialect::SocketIo), plain),
        (true, form(Dialect::SocketIo), plain),
        (false, wants, plain),
        (true, wants, with_offset),
    ] {
        assert_eq!(bytes(&publication(json(), recorded), form), text(expected));
    }
}

#[test]
fn data_that_looks_like_an_offset_is_not_the_last_argument() {
    let wants = Form { offset: true, ..form(Dialect::SocketIo) };
    let forged = r#""00000000000000ab.ffffff.ffffff""#;
    let escaped = r#" "00000000000000\u0061b.ffffff""#;
    let packed = Form { dialect: Dialect::Msgpack, ..wants };
    for data in [forged, escaped] {
        let said = Payload::json(data);
        // Recorded, but read back for a newcomer, it has no offset of its own either.
        for (recorded, form) in [(false, wants), (true, form(Dialect::SocketIo))] {
            let expected = format!(r#"42["changed",{data},null]"#);
            assert_eq!(bytes(&publication(said.clone(), recorded), form), text(&expected));
        }
        let expected = format!(r#"42["changed",{data},"00000000000000ab.2a"]"#);
        assert_eq!(bytes(&publication(said.clone(), true), wants), text(&expected));
        assert!(bytes(&publication(said.clone(), false), packed).windows(2).any(|pair| pair[1] == 0xc0));
        let placed = Form { place: true, ..wants };
        assert!(!String::from_utf8_lossy(&bytes(&publication(said, false), placed)).contains("null"));
    }
    for data in [r#""1.5""#, r#""00000000000000ab""#, r#"["00000000000000ab.2a"]"#] {
        let said = publication(Payload::json(data), false);
        assert_eq!(bytes(&said, wants), text(&format!(r#"42["changed",{data}]"#)));
    }
}

#[test]
fn a_socket_io_event_says_where_it_stands_if_that_is_wanted() {
    let wants = Form { place: true, ..form(Dialect::SocketIo) };
    let volatile = r#"42["changed",{"a": 1},{"room":"doc:1","messageId":"00000000000000ab-1f"}]"#;
    assert_eq!(bytes(&publication(json(), false), wants), text(volatile));
    let place = r#"{"room":"doc:1","messageId":"00000000000000ab-1f","epoch":"000000000000000e","offset":7,"tag":"0000c0de"}"#;
    let recorded = format!(r#"42["changed",{{"a": 1}},{place}]"#);
    assert_eq!(bytes(&publication(json(), true), wants), text(&recorded));
    // The offset of recovery stays the last argument, where stock clients look for it.
    let both = format!(r#"42["changed",{{"a": 1}},{place},"00000000000000ab.2a"]"#);
    assert_eq!(bytes(&publication(json(), true), Form { offset: true, ..wants }), text(&both));
    let packed = bytes(&publication(json(), false), Form { place: true, ..form(Dialect::Msgpack) });
    assert!(String::from_utf8_lossy(&packed).contains("messageId"));
}

#[test]
fn an_event_that_asks_to_be_acknowledged_carries_its_id_in_every_dialect_and_no_offset() {
    let tracked = Publication { ack: Some(12), ..publication(json(), true) };
    let with_offset = Form { offset: true, ..form(Dialect::SocketIo) };
    assert_eq!(bytes(&tracked, with_offset), text(r#"4212["changed",{"a": 1}]"#));
    let plain = String::from_utf8_lossy(&bytes(&tracked, form(Dialect::Plain))).into_owned();
    assert!(plain.ends_with(r#""ack":true}"#), "{plain}");
    let packed = bytes(&tracked, Form { offset: true, ..form(Dialect::Msgpack) });
    let untracked = bytes(&publication(json(), true), form(Dialect::Msgpack));
    // The id is one more member of the packet: its name in three bytes and the number in one.
    assert_eq!(packed.len(), untracked.len() + 4);
}

#[test]
fn a_socket_io_event_names_the_namespace_of_the_subscription() {
    let form = Form { namespace: 1, ..form(Dialect::SocketIo) };
    assert_eq!(bytes(&publication(json(), false), form), text(r#"42/adm,["changed",{"a": 1}]"#));
}

#[test]
fn attachments_follow_their_packet_frame_by_frame() {
    let packet = r#"452-["changed",{"p":{"_placeholder":true,"num":0},"q":[{"num":1,"_placeholder":true}]}]"#;
    let expected = [text(packet), frame(BINARY, b"one"), frame(BINARY, b"\xff")].concat();
    assert_eq!(bytes(&publication(binary(), false), form(Dialect::SocketIo)), expected);
}

#[test]
fn a_msgpack_event_is_one_binary_message_with_its_binary_inside() {
    let mut expected =
        b"\x83\xa4type\x02\xa4data\x92\xa7changed\x82\xa1p\xc4\x03one\xa1q\x91\xc4\x01\xff".to_vec();
    expected.extend_from_slice(b"\xa3nsp\xa1/");
    assert_eq!(bytes(&publication(binary(), false), form(Dialect::Msgpack)), frame(BINARY, &expected));
}

#[test]
fn a_msgpack_event_carries_namespace_and_offset() {
    let form = Form { namespace: 1, offset: true, ..form(Dialect::Msgpack) };
    let mut expected =
        b"\x83\xa4type\x02\xa4data\x93\xa7changed\x81\xa1a\x01\xb300000000000000ab.2a".to_vec();
    expected.extend_from_slice(b"\xa3nsp\xa4/adm");
    assert_eq!(bytes(&publication(json(), true), form), frame(BINARY, &expected));
}

#[test]
fn small_messages_are_not_compressed_and_large_ones_come_back_whole() {
    for (length, compressed) in [(1_023, false), (1_024, true), (70_000, true)] {
        let payload = "tidings ".repeat(length / 8 + 1)[..length].to_owned();
        let mut out = Vec::new();
        write_message(&mut out, Opcode::Text, payload.as_bytes(), 15);
        assert_eq!(out[0] & 0x40 != 0, compressed);
        assert_eq!(out.len() < length, compressed);
        assert_eq!(read_back(&out), payload);
    }
}

fn read_back(frame: &[u8]) -> String {
    let head = if frame[1] < 126 { 2 } else { 4 };
    let mut masked = [&frame[..head], &[0; 4], &frame[head..]].concat();
    masked[1] |= 0x80;
    let mut decoder = Decoder::new(Some(Deflate { window_bits: 15 }));
    let Some(Incoming::Text(text)) = decoder.next(&mut &mut masked[..], &Limits::default()).unwrap() else {
        panic!("a text message was written")
    };
    text.to_owned()
}

#[test]
fn an_offset_is_read_as_it_is_written_and_nothing_else_is() {
    let mark = Mark { memory: 0x2a, durable: 0 };
    assert_eq!(resume_offset(0xab, mark), "00000000000000ab.2a");
    assert_eq!(parse_resume_offset("00000000000000ab.2a"), Some((0xab, mark)));
    assert_eq!(resume_offset(0xab, Mark { durable: 0x1f, ..mark }), "00000000000000ab.2a.1f");
    for text in [
        "",
        ".",
        "00000000000000ab",
        "00000000000000ab.",
        ".2a",
        "00000000000000ab.2a.",
        "00000000000000ab.2a.1.1",
        "00000000000000ab.2a.+1",
        "00000000000000ab..1",
        "00000000000000ab.xyz",
        "00000000000000ab.+2a",
        "+0000000000000ab.2a",
        "ab.2a",
        "1.5",
        "000000000000000ab.2a",
        "2a",
        "00000000000000ab.1ffffffffffffffff",
    ] {
        assert_eq!(parse_resume_offset(text), None, "{text:?}");
    }
}

#[test]
fn an_epoch_is_read_as_it_is_written() {
    assert_eq!(Epoch::parse(&Epoch(0xe).to_string()), Some(Epoch(0xe)));
    for text in ["", "e", "000000000000000g", "00000000000000000e", "+00000000000000e", "é00000000000000"] {
        assert_eq!(Epoch::parse(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_offset_comes_back(node in any::<u64>(), memory in any::<u64>(), durable in any::<u64>()) {
        let mark = Mark { memory, durable };
        prop_assert_eq!(parse_resume_offset(&resume_offset(node, mark)), Some((node, mark)));
    }

    #[test]
    fn a_tag_tells_messages_apart_and_is_stable(number in 1_u64..1_000_000) {
        let tag = |number| Position::of(Epoch(1), 1, MessageId { node: 9, number }).tag;
        prop_assert_eq!(tag(number), tag(number));
        prop_assert_ne!(tag(number), tag(number + 1));
    }
}
