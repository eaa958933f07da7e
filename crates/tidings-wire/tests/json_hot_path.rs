//! What every message passes through takes nothing from the heap.
#![allow(clippy::unwrap_used)]

use allocation_counter::measure;
use std::hint::black_box;
use tidings_wire::engineio::{self, Packet};
use tidings_wire::{Limits, plain, socketio};

fn allocations(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

#[test]
fn a_socket_io_event_or_ack_is_parsed_without_the_heap() {
    let limits = Limits::default();
    for frame in [
        r#"42/chat,17["publish",{"room":"lobby:1","event":"said","data":{"text":"hi there","tags":["a","b",[1]]}}]"#,
        r#"4312[{"ok":true,"room":"lobby:1","messageId":"01HZX3","offset":1234,"extra":{"deep":[{"er":null}]}}]"#,
    ] {
        let count = allocations(|| {
            let Ok(Packet::Message(text)) = engineio::decode_text(frame, &limits) else {
                panic!("no message")
            };
            let packet = socketio::decode(text, &limits).unwrap();
            let data = packet.data.unwrap();
            black_box((socketio::event(data), socketio::count_placeholders(data)));
        });
        assert_eq!(count, 0, "{frame}");
    }
}

#[test]
fn a_plain_publication_is_parsed_without_the_heap() {
    let limits = Limits::default();
    let text = r#"{"type":"publish","id":7,"room":"lobby:1","event":"said","data":{"text":"hi","tags":["a",["b"]]},"key":"k1"}"#;
    assert_eq!(allocations(|| drop(black_box(plain::decode(text, &limits).unwrap()))), 0);
}

#[test]
fn an_event_is_written_into_a_buffer_that_is_large_enough() {
    let mut out = Vec::with_capacity(512);
    let count = allocations(|| {
        socketio::encode::event(&mut out, "/chat", Some(1), "said", &[r#"{"text":"hi"}"#], Some("e:1"), 0);
    });
    assert_eq!(count, 0);
}
