//! A polling body gives packets or one error, and what was read comes back when it is written again.
//!
//! Input: the body of a POST.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::Limits;
use tidings_wire::engineio::{Packet, PayloadWriter, decode_payload};

fuzz_target!(|body: &str| {
    let limits = Limits { message_bytes: 500, payload_packets: 8, ..Limits::default() };
    let read: Vec<_> = decode_payload(body, &limits).collect();
    assert!(read.len() <= 8);
    let good: Vec<&Packet<'_>> = read.iter().flatten().collect();
    assert!(read.len() - good.len() <= 1, "reading ends with the first error");
    if good.len() < read.len() {
        return;
    }
    let mut writer = PayloadWriter::new();
    for packet in &good {
        match packet {
            Packet::Open => writer.push_text(b"0"),
            Packet::Close => writer.push_text(b"1"),
            Packet::Ping(data) => writer.push_text(&[b"2", data.as_bytes()].concat()),
            Packet::Pong(data) => writer.push_text(&[b"3", data.as_bytes()].concat()),
            Packet::Message(text) => writer.push_text(&[b"4", text.as_bytes()].concat()),
            Packet::Binary(bytes) => writer.push_binary(bytes),
            Packet::Upgrade => writer.push_text(b"5"),
            Packet::Noop => writer.push_text(b"6"),
        }
    }
    let written = String::from_utf8(writer.into_body()).expect("packets are text");
    // Padding may be longer than what the client left out.
    let roomy = Limits { message_bytes: 1_000, ..limits };
    let again: Vec<_> = decode_payload(&written, &roomy).collect::<Result<_, _>>().expect("what we wrote");
    assert_eq!(again.iter().collect::<Vec<_>>(), good);
});
