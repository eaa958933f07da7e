//! Engine.IO packets and payloads, with `engineioxide-core` as the oracle.
#![allow(clippy::unwrap_used)]

use engineioxide_core as oracle;
use proptest::prelude::*;
use std::borrow::Cow;
use tidings_wire::engineio::{Open, Packet, PayloadWriter, decode_payload, decode_text};
use tidings_wire::{CloseReason, Limits, Violation};

fn read(frame: &str) -> Result<Packet<'_>, Violation> {
    decode_text(frame, &Limits::default())
}

#[test]
fn every_packet_type_is_read() {
    for (frame, packet) in [
        ("0", Packet::Open),
        ("0{\"sid\":\"x\"}", Packet::Open),
        ("1", Packet::Close),
        ("2", Packet::Ping("")),
        ("2probe", Packet::Ping("probe")),
        ("3", Packet::Pong("")),
        ("3probe", Packet::Pong("probe")),
        ("4", Packet::Message("")),
        ("42[\"é\"]", Packet::Message("2[\"é\"]")),
        ("5", Packet::Upgrade),
        ("6", Packet::Noop),
        ("6ignored", Packet::Noop),
        ("b", Packet::Binary(Cow::Borrowed(b""))),
        ("bAQIDBA==", Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))),
        ("bAQIDBA", Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))),
    ] {
        assert_eq!(read(frame), Ok(packet), "{frame}");
    }
}

#[test]
fn an_empty_unknown_or_undecodable_packet_closes_the_connection() {
    for frame in ["", "7", "9x", "a", "é", "\u{1e}", " 4", "b!!!!", "bAQI=DBA=", "bé", "bA"] {
        assert_eq!(read(frame).unwrap_err().reason, CloseReason::Protocol, "{frame:?}");
    }
}

#[test]
fn a_packet_longer_than_a_message_may_be_is_too_large() {
    let limits = Limits { message_bytes: 10, ..Limits::default() };
    assert!(decode_text("4123456789", &limits).is_ok());
    assert_eq!(decode_text("41234567890", &limits).unwrap_err().reason, CloseReason::TooLarge);
    assert_eq!(decode_text("bAAAAAAAAAAAA", &limits).unwrap_err().reason, CloseReason::TooLarge);
}

#[test]
fn a_payload_is_read_packet_by_packet() {
    let body = "4hello\u{1e}2\u{1e}bAQIDBA==\u{1e}4é";
    let packets: Vec<_> = decode_payload(body, &Limits::default()).map(Result::unwrap).collect();
    assert_eq!(
        packets,
        [
            Packet::Message("hello"),
            Packet::Ping(""),
            Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4])),
            Packet::Message("é"),
        ]
    );
}

#[test]
fn a_payload_ends_at_its_first_bad_packet() {
    for (body, good) in [("", 0), ("\u{1e}", 0), ("4a\u{1e}", 1), ("4a\u{1e}abc\u{1e}4b", 1)] {
        let read: Vec<_> = decode_payload(body, &Limits::default()).collect();
        assert_eq!(read.len(), good + 1, "{body:?}");
        assert!(read[..good].iter().all(Result::is_ok));
        assert_eq!(read[good].clone().unwrap_err().reason, CloseReason::Protocol);
    }
}

#[test]
fn a_payload_with_too_many_packets_gives_none_of_them() {
    let limits = Limits { payload_packets: 3, ..Limits::default() };
    assert_eq!(decode_payload("4a\u{1e}4b\u{1e}4c", &limits).filter(Result::is_ok).count(), 3);
    let refused: Vec<_> = decode_payload("4a\u{1e}4b\u{1e}4c\u{1e}4d", &limits).collect();
    assert_eq!(refused, [Err(Violation::structure("too many packets in one payload"))]);
    let bomb = "\u{1e}".repeat(1_000_000);
    assert_eq!(decode_payload(&bomb, &Limits::default()).count(), 1);
}

#[test]
fn a_written_payload_joins_its_packets() {
    let mut writer = PayloadWriter::new();
    assert!(writer.is_empty());
    writer.push_text(b"2");
    writer.push_binary(&[1, 2, 3, 4]);
    writer.push_text(b"42[\"a\"]");
    assert_eq!(writer.len(), writer.clone().into_body().len());
    assert_eq!(writer.into_body(), b"2\x1ebAQIDBA==\x1e42[\"a\"]");
}

#[test]
fn the_open_packet_has_exactly_the_five_keys() {
    let open = Open {
        sid: "lv_VI97HAXpY6yYWAAAC",
        upgrades: &["websocket"],
        ping_interval_ms: 25_000,
        ping_timeout_ms: 20_000,
        max_payload: 1_000_000,
    };
    let mut out = Vec::new();
    open.write(&mut out);
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
    );
    out.clear();
    Open { upgrades: &[], ..open }.write(&mut out);
    assert!(std::str::from_utf8(&out).unwrap().contains(r#""upgrades":[],"#));
}

fn as_oracle(packet: &Packet<'_>) -> Option<oracle::Packet> {
    Some(match packet {
        Packet::Open | Packet::Ping(_) | Packet::Pong(_) => return None,
        Packet::Close => oracle::Packet::Close,
        Packet::Message(text) => oracle::Packet::Message(text.to_string().into()),
        Packet::Binary(bytes) => oracle::Packet::Binary(bytes.to_vec().into()),
        Packet::Upgrade => oracle::Packet::Upgrade,
        Packet::Noop => oracle::Packet::Noop,
    })
}

proptest! {
    #[test]
    fn packets_are_read_as_engineioxide_reads_them(frame in r"[0-9bx]?[A-Za-z0-9+/=\[\]é]{0,16}") {
        let theirs = oracle::Packet::parse(oracle::ProtocolVersion::V4, frame.clone());
        match read(&frame) {
            Ok(Packet::Ping(data)) => {
                let probe = matches!(theirs, Ok(oracle::Packet::PingUpgrade));
                prop_assert_eq!(probe, data == "probe");
            }
            Ok(Packet::Pong(data)) => {
                let probe = matches!(theirs, Ok(oracle::Packet::PongUpgrade));
                prop_assert_eq!(probe, data == "probe");
            }
            // The oracle is a server and takes no open packet; it also insists on base64 padding.
            Ok(Packet::Open) => prop_assert!(theirs.is_err()),
            Ok(packet) => if let Ok(theirs) = theirs {
                prop_assert_eq!(as_oracle(&packet).unwrap(), theirs);
            } else {
                prop_assert!(matches!(packet, Packet::Binary(_)));
            },
            Err(_) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn what_is_written_is_what_engineioxide_writes(parts in prop::collection::vec(
        prop_oneof![
            "[^\u{1e}]{0,12}".prop_map(|text| oracle::Packet::Message(text.into())),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| oracle::Packet::Binary(bytes.into())),
        ], 1..8)) {
        let mut writer = PayloadWriter::new();
        for part in &parts {
            match part {
                oracle::Packet::Message(text) => writer.push_text(format!("4{}", text.as_str()).as_bytes()),
                oracle::Packet::Binary(bytes) => writer.push_binary(bytes),
                _ => unreachable!(),
            }
        }
        let body = String::from_utf8(writer.into_body()).unwrap();
        let theirs: Vec<String> = parts.iter().cloned().map(String::from).collect();
        prop_assert_eq!(&body, &theirs.join("\u{1e}"));
        let read: Vec<_> = decode_payload(&body, &Limits::default()).map(|packet| as_oracle(&packet.unwrap()).unwrap()).collect();
        prop_assert_eq!(read, parts);
    }
}
