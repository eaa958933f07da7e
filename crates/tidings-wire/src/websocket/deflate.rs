//! permessage-deflate (RFC 7692) without context takeover: nothing is kept between two messages, and one
//! compressed frame can be shared by everybody who negotiated the same window.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::Violation;

mod negotiation;

pub(super) use negotiation::negotiate;

/// The end of every compressed message, left out on the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The smallest window the compressor has, in bits: raw deflate with 8 bits does not exist in zlib.
const SMALLEST_WINDOW: u8 = 9;
const LARGEST_WINDOW: u8 = 15;

/// The first room for an inflated message, in bytes; it grows with what really comes out.
const FIRST_ROOM: usize = 512;

/// What the server is willing to negotiate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The largest window the server compresses with, in bits: 9 to 15, other values are moved there.
    pub window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self { window_bits: LARGEST_WINDOW }
    }
}

/// What was negotiated with one client; neither side keeps a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// The window the server compresses with for this client, in bits: 9 to 15.
    pub window_bits: u8,
}

/// Appends the payload of a compressed message, to be framed with RSV1 (RFC 7692 section 7.2.1).
///
/// `window_bits` is that of [`Deflate`]; values outside of 9 to 15 are moved there.
pub fn compress(payload: &[u8], window_bits: u8, out: &mut Vec<u8>) {
    let start = out.len();
    if deflate(payload, window_bits, out).is_some() && out[start..].ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    } else {
        out.truncate(start);
        store(payload, out);
    }
}

fn deflate(payload: &[u8], window_bits: u8, out: &mut Vec<u8>) -> Option<()> {
    let window = window_bits.clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
    let mut compressor = Compress::new_with_window_bits(Compression::default(), false, window);
    let mut rest = payload;
    loop {
        // More than deflate can make of it: a full buffer would end in a second flush mark.
        out.reserve(rest.len() + rest.len() / 8 + rest.len() / 64 + 64);
        let before = compressor.total_in();
        compressor.compress_vec(rest, out, FlushCompress::Sync).ok()?;
        rest = rest.get((compressor.total_in() - before) as usize..)?;
        if rest.is_empty() && out.len() < out.capacity() {
            return Some(());
        }
    }
}

/// Appends `payload` uncompressed but in deflate's form, which needs no compressor and cannot fail.
fn store(payload: &[u8], out: &mut Vec<u8>) {
    const STORED_BLOCK: u8 = 0;
    for block in payload.chunks(usize::from(u16::MAX)) {
        let len = block.len() as u16;
        out.push(STORED_BLOCK);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.push(STORED_BLOCK);
}

/// Inflates the payload of a compressed message of at most `limit` bytes (RFC 7692 section 7.2.2).
///
/// Room grows with what comes out and stops one byte behind the limit. A block marked as final ends the
/// message: what follows it could refer to nothing but the window, and no client is known to do so.
///
/// # Errors
/// 1009 for more than `limit` bytes, 1002 for what is no deflate stream.
pub(super) fn inflate(payload: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
    let mut inflation = Inflation { inflater: Decompress::new(false), out: Vec::new(), limit };
    match inflation.feed(payload)? {
        None => {
            inflation.feed(&TAIL)?;
        }
        // One zero byte stands for the empty block that carries the tail (section 7.2.3.4).
        Some([] | [0]) => {}
        Some(_) => return Err(Violation::protocol("compressed data after its final block")),
    }
    Ok(inflation.out)
}

struct Inflation {
    inflater: Decompress,
    out: Vec<u8>,
    limit: usize,
}

impl Inflation {
    /// Inflates `bytes`; answers what follows the final block if there was one.
    fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Violation> {
        const BROKEN: Violation = Violation::protocol("compressed data does not inflate");
        let mut rest = bytes;
        loop {
            self.make_room(rest.len());
            let before = self.inflater.total_in();
            let status = self
                .inflater
                .decompress_vec(rest, &mut self.out, FlushDecompress::None)
                .map_err(|_| BROKEN)?;
            rest = rest.get((self.inflater.total_in() - before) as usize..).unwrap_or_default();
            if self.out.len() > self.limit {
                return Err(Violation::too_large("message over the limit after inflation"));
            }
            if status == Status::StreamEnd {
                return Ok(Some(rest));
            }
            if self.out.len() < self.out.capacity() {
                return if rest.is_empty() { Ok(None) } else { Err(BROKEN) };
            }
        }
    }

    /// One byte more than the limit is room enough to see that the limit is passed.
    fn make_room(&mut self, coming: usize) {
        if self.out.len() < self.out.capacity() {
            return;
        }
        let target = (self.out.capacity() * 2).max(coming.saturating_mul(2)).max(FIRST_ROOM);
        let target = target.min(self.limit.saturating_add(1));
        self.out.reserve_exact(target.saturating_sub(self.out.len()).max(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::CloseReason;

    #[test]
    fn stored_blocks_inflate_to_what_they_hold() {
        for len in [0, 1, 65_535, 65_536, 200_000] {
            let payload: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let mut out = Vec::new();
            store(&payload, &mut out);
            assert_eq!(inflate(&out, len).unwrap(), payload, "length {len}");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_inflate() {
        let one_block = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
        let final_block = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
        let two_blocks = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
        for payload in [&one_block[..], &stored, &final_block, &two_blocks] {
            assert_eq!(inflate(payload, 5).unwrap(), b"Hello", "{payload:x?}");
        }
        assert_eq!(inflate(&[0x00], 0).unwrap(), b"");
    }

    #[test]
    fn hello_compresses_to_the_example_of_the_rfc() {
        let mut out = Vec::new();
        compress(b"Hello", 15, &mut out);
        assert_eq!(out, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
        out.clear();
        compress(b"", 15, &mut out);
        assert_eq!(out, [0x00]);
    }

    #[test]
    fn every_window_comes_back_whole() {
        let text: Vec<u8> = (0..100_000_u64).flat_map(|at| (at * at % 977).to_le_bytes()).collect();
        for window in 0..=u8::MAX {
            let mut out = vec![0xEE];
            compress(&text[..20_000], window, &mut out);
            assert_eq!(out[0], 0xEE);
            assert_eq!(inflate(&out[1..], 20_000).unwrap(), text[..20_000], "window {window}");
        }
        let mut out = Vec::new();
        compress(&text, 15, &mut out);
        assert!(out.len() < text.len() / 2);
        assert_eq!(inflate(&out, text.len()).unwrap(), text);
    }

    #[test]
    fn no_reference_reaches_back_further_than_the_window() {
        let text: Vec<u8> = (0..40_000_u64).flat_map(|at| (at * at % 3_977).to_le_bytes()).collect();
        for window in SMALLEST_WINDOW..=LARGEST_WINDOW {
            let mut compressed = Vec::new();
            compress(&text, window, &mut compressed);
            // Output in small steps: what is older than the window is then really gone.
            let mut inflater = Decompress::new_with_window_bits(false, window);
            let mut step = [0; 7];
            let mut out = Vec::new();
            while out.len() < text.len() {
                let (read, written) = (inflater.total_in() as usize, inflater.total_out());
                inflater.decompress(&compressed[read..], &mut step, FlushDecompress::None).unwrap();
                let written = (inflater.total_out() - written) as usize;
                assert!(written > 0, "window {window}");
                out.extend_from_slice(&step[..written]);
            }
            assert_eq!(out, text, "window {window}");
        }
    }

    #[test]
    fn the_limit_is_met_exactly() {
        for len in [0, 1, 511, 512, 513, 1_023, 1_024, 1_025, 70_000] {
            let mut out = Vec::new();
            compress(&vec![7; len], 15, &mut out);
            assert_eq!(inflate(&out, len).unwrap().len(), len);
            if len > 0 {
                assert_eq!(inflate(&out, len - 1).unwrap_err().reason, CloseReason::TooLarge);
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let mut bomb = Vec::new();
        compress(&vec![0; 50_000_000], 15, &mut bomb);
        assert!(bomb.len() < 60_000);
        let mut inflation = Inflation { inflater: Decompress::new(false), out: Vec::new(), limit: 1_000_000 };
        let violation = inflation.feed(&bomb).unwrap_err();
        assert_eq!(violation.reason, CloseReason::TooLarge);
        assert!(inflation.out.capacity() <= 1_000_001, "{} bytes", inflation.out.capacity());
        assert!(inflation.inflater.total_out() <= 1_000_001);
    }

    #[test]
    fn what_is_no_deflate_stream_is_a_protocol_error() {
        for payload in
            [&[0xFF; 8][..], &[0x07], &[0x00, 1, 0, 1, 0, 9], &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0, 9]]
        {
            assert_eq!(inflate(payload, 1_000).unwrap_err().reason, CloseReason::Protocol, "{payload:x?}");
        }
    }
}
