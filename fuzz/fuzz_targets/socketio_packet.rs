//! A packet of the JSON dialect that is accepted comes back when it is written again, and its
//! payload stands every use it is put to.
//!
//! Input: the text after the Engine.IO `4`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::socketio::{self, Kind, Packet, encode, msgpack};
use tidings_wire::{CloseReason, Limits};

fuzz_target!(|text: &str| {
    let limits = Limits { room_name_bytes: 40, ..Limits::default() };
    let packet = match socketio::decode(text, &limits) {
        Ok(packet) => packet,
        Err(violation) => {
            assert!(matches!(violation.reason, CloseReason::Protocol | CloseReason::Structure));
            return;
        }
    };
    assert!(packet.attachments <= limits.attachments);
    assert_eq!(packet.kind.is_binary(), packet.attachments > 0);
    let Some(data) = packet.data else { return };
    if matches!(packet.kind, Kind::Event | Kind::BinaryEvent) {
        write_event(&packet, data, &limits);
    }
    let attachments: Vec<_> = (0..packet.attachments).map(|num| vec![num as u8; 4].into()).collect();
    if packet.attachments > 0 {
        let inlined = socketio::inline_attachments(data, &attachments);
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&inlined).is_ok());
        assert!(inlined.len() <= data.len() + 10 * limits.attachments as usize);
        let mut shifted = Vec::new();
        socketio::shift_placeholders(data, 3, &mut shifted);
        let shifted = std::str::from_utf8(&shifted).expect("digits for digits");
        assert_eq!(socketio::count_placeholders(shifted), socketio::count_placeholders(data));
    }
    let mut packed = Vec::new();
    msgpack::encode::ack(&mut packed, packet.namespace, 1, &[data], &attachments);
    let unpacked = msgpack::decode(&packed, &Limits { attachments: 100, json_depth: 40, ..limits });
    // Numbers beyond a double become infinite and then null; nothing else may fail.
    let unpacked = unpacked.expect("what we packed");
    assert!(
        unpacked
            .data
            .is_some_and(|data| data.starts_with("[[") || data.starts_with("[{") || data.starts_with("[\""))
    );
});

fn write_event(packet: &Packet<'_>, data: &str, limits: &Limits) {
    let event = socketio::event(data).expect("a decoded event has a name");
    let read = packet.event.clone().expect("it was read on the way");
    assert_eq!((&read.name, read.args.collect::<Vec<_>>()), (&event.name, event.args.collect::<Vec<_>>()));
    assert!(!socketio::is_reserved(&event.name));
    let args: Vec<&str> = event.args.collect();
    let mut written = Vec::new();
    encode::event(&mut written, packet.namespace, packet.id, &event.name, &args, None, packet.attachments);
    let written = String::from_utf8(written).expect("packets are text");
    let again = socketio::decode(&written[1..], limits).expect("what we wrote");
    assert_eq!(
        (again.kind, again.namespace, again.id, again.attachments),
        (packet.kind, packet.namespace, packet.id, packet.attachments)
    );
    let event_again = again.event.expect("it has a name");
    assert_eq!(event_again.name, event.name);
    assert_eq!(event_again.args.collect::<Vec<_>>(), args);
}
