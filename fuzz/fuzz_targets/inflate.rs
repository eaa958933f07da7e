//! What claims to be compressed inflates within the limit or is refused; what we compress comes back whole.
//!
//! Input: one byte that chooses the window, then the payload.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::websocket::{Decoder, Deflate, Incoming, compress};
use tidings_wire::{CloseReason, Limits, Violation};

const MESSAGE_BYTES: usize = 20_000;

fuzz_target!(|data: &[u8]| {
    let Some((&window, payload)) = data.split_first() else { return };
    match inflate(payload, MESSAGE_BYTES) {
        Ok(inflated) => assert!(inflated.len() <= MESSAGE_BYTES),
        Err(violation) => {
            assert!(matches!(violation.reason, CloseReason::Protocol | CloseReason::TooLarge));
        }
    }
    let mut compressed = Vec::new();
    compress(payload, window % 17, &mut compressed);
    // Incompressible bytes grow a little.
    let limit = payload.len().max(compressed.len());
    assert_eq!(inflate(&compressed, limit).as_deref(), Ok(payload));
});

/// Inflates the only way a client can make us to: as a binary message with RSV1.
fn inflate(payload: &[u8], message_bytes: usize) -> Result<Vec<u8>, Violation> {
    let limits = Limits { message_bytes, frame_bytes: usize::MAX, ..Limits::default() };
    let mut frame = frame_header(payload.len());
    frame.extend_from_slice(payload);
    let mut decoder = Decoder::new(Some(Deflate { window_bits: 15 }));
    match decoder.next(&mut &mut frame[..], &limits)? {
        Some(Incoming::Binary(inflated)) => Ok(inflated.to_vec()),
        other => panic!("a binary message came out as {other:?}"),
    }
}

/// FIN, RSV1, binary, masked with zeros.
fn frame_header(len: usize) -> Vec<u8> {
    let mut header = vec![0xC2];
    match len {
        0..=125 => header.push(0x80 | len as u8),
        126..=0xFFFF => {
            header.push(0xFE);
            header.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            header.push(0xFF);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}
