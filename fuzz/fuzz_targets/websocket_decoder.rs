//! A client's bytes give the same messages and the same verdict however they are cut into reads.
//!
//! Input: one byte of switches, four lengths of reads (used in turn), the client's bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::websocket::{Decoder, Deflate};
use tidings_wire::{Limits, Violation};

const COMPRESSION: u8 = 1;

fuzz_target!(|data: &[u8]| {
    let Some((&[switches, lengths @ ..], bytes)) = data.split_first_chunk::<5>() else { return };
    let whole = decode(switches, [bytes]);
    let cut = decode(switches, cut(bytes, lengths));
    assert_eq!(whole, cut);
});

fn cut(bytes: &[u8], lengths: [u8; 4]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut lengths = lengths.into_iter().cycle();
    std::iter::from_fn(|| {
        let length = usize::from(lengths.next()?) + 1;
        let (read, left) = rest.split_at(length.min(rest.len()));
        rest = left;
        (!read.is_empty()).then_some(read)
    })
    .collect()
}

fn decode<'a>(switches: u8, reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Violation>) {
    let limits = Limits { message_bytes: 4_000, frame_bytes: 3_000, fragments: 8, ..Limits::default() };
    let mut decoder = Decoder::new((switches & COMPRESSION != 0).then_some(Deflate { window_bits: 15 }));
    let mut messages = Vec::new();
    for read in reads {
        let mut buffer = read.to_vec();
        let mut input = &mut buffer[..];
        loop {
            match decoder.next(&mut input, &limits) {
                Ok(Some(incoming)) => messages.push(format!("{incoming:?}")),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(decoder.held(), 0, "a refused client leaves nothing behind");
                    return (messages, Some(violation));
                }
            }
        }
        assert!(input.is_empty(), "a read is used up");
        assert!(decoder.held() <= limits.message_bytes + 500, "{} bytes held", decoder.held());
    }
    (messages, None)
}
