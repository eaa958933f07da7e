//! A msgpack packet that is accepted is JSON inside, and means the same when it is packed again.
//!
//! Input: one binary message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::socketio::msgpack::{OwnedPacket, decode, encode};
use tidings_wire::socketio::{self, Kind};
use tidings_wire::{Limits, json};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { message_bytes: 20_000, ..Limits::default() };
    let Ok(packet) = decode(bytes, &limits) else { return };
    if let Some(data) = &packet.data {
        assert!(data.len() <= limits.message_bytes);
        json::check(data, limits.json_depth).expect("unpacked text is JSON");
        serde_json::from_str::<&serde_json::value::RawValue>(data).expect("for others as well");
    }
    assert!(packet.attachments.len() <= limits.attachments as usize);
    let Some(packed) = pack(&packet) else { return };
    // A text may be longer as the reference packs it than as the client did.
    let roomy = Limits { message_bytes: 200_000, ..limits };
    let again = decode(&packed, &roomy).expect("what we packed");
    assert_eq!((again.kind, &again.namespace, again.id), (packet.kind, &packet.namespace, packet.id));
    // An attachment that two placeholders name is packed twice.
    assert_eq!(inlined(&again), inlined(&packet));
});

fn pack(packet: &OwnedPacket) -> Option<Vec<u8>> {
    let (data, mut out) = (packet.data.as_deref()?, Vec::new());
    match packet.kind {
        Kind::Event | Kind::BinaryEvent => {
            let event = socketio::event(data).expect("a decoded event has a name");
            if !data.starts_with("[\"") {
                // A numeric name is written as text.
                return None;
            }
            let args: Vec<&str> = event.args.collect();
            encode::event(
                &mut out,
                &packet.namespace,
                packet.id,
                &event.name,
                &args,
                None,
                &packet.attachments,
            );
        }
        Kind::Ack | Kind::BinaryAck => {
            let args: Vec<&str> = json::elements(data).collect();
            encode::ack(&mut out, &packet.namespace, packet.id?, &args, &packet.attachments);
        }
        _ => return None,
    }
    Some(out)
}

fn inlined(packet: &OwnedPacket) -> String {
    let data = packet.data.as_deref().unwrap_or_default();
    if packet.attachments.is_empty() {
        return data.to_owned();
    }
    socketio::inline_attachments(data, &packet.attachments)
}
