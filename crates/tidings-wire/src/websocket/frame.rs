//! The frames a server sends: final and unmasked, so that the header is part of the shared bytes.

/// The longest header a server writes, in bytes: two, and eight for a 64-bit length.
pub const MAX_SERVER_HEADER: usize = 10;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CLOSE_CODE_BYTES: usize = 2;

/// What a frame is (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The last frame of this direction.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or is sent unasked.
    Pong,
}

impl Opcode {
    /// The four bits on the wire.
    pub const fn to_u8(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Reads the four bits; `None` for a reserved opcode.
    pub const fn from_u8(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a close, ping or pong: at most 125 bytes, never fragmented (section 5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// How many bytes the header of a server frame with `payload_len` bytes takes: 2, 4 or 10.
pub const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => MAX_SERVER_HEADER,
    }
}

/// Appends the header of a final, unmasked frame; `compressed` sets RSV1 (RFC 7692 section 6).
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize, compressed: bool) {
    out.push(FIN | if compressed { RSV1 } else { 0 } | opcode.to_u8());
    match payload_len {
        0..=125 => out.push(payload_len as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
}

/// Appends a whole, final, unmasked and uncompressed frame.
///
/// The caller keeps a control frame's payload within [`MAX_CONTROL_PAYLOAD`].
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    debug_assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL_PAYLOAD, "control frame too long");
    out.reserve(header_len(payload.len()) + payload.len());
    write_header(out, opcode, payload.len(), false);
    out.extend_from_slice(payload);
}

/// Appends a close frame; `sentence` is cut to 123 bytes at a character's end (section 5.5.1).
pub fn write_close(out: &mut Vec<u8>, code: u16, sentence: &str) {
    let end = sentence.floor_char_boundary(MAX_CONTROL_PAYLOAD - CLOSE_CODE_BYTES);
    write_header(out, Opcode::Close, CLOSE_CODE_BYTES + end, false);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&sentence.as_bytes()[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_short_as_its_length_allows() {
        let cases: [(usize, &[u8]); 7] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xFFFF, &[0x81, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (1_000_000, &[0x81, 127, 0, 0, 0, 0, 0, 0x0F, 0x42, 0x40]),
            (u32::MAX as usize, &[0x81, 127, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ];
        for (len, expected) in cases {
            let mut out = Vec::new();
            write_header(&mut out, Opcode::Text, len, false);
            assert_eq!(out, expected, "length {len}");
            assert_eq!(out.len(), header_len(len), "length {len}");
        }
    }

    #[test]
    fn a_compressed_frame_carries_rsv1() {
        let mut out = Vec::new();
        write_header(&mut out, Opcode::Binary, 3, true);
        assert_eq!(out, [0xC2, 3]);
    }

    #[test]
    fn opcodes_survive_the_way_to_the_wire_and_back() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|bits| Opcode::from_u8(*bits).is_some()).collect();
        assert_eq!(known, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for bits in known {
            assert_eq!(Opcode::from_u8(bits).map(Opcode::to_u8), Some(bits));
        }
    }

    #[test]
    fn a_frame_is_its_header_and_its_payload() {
        let mut out = vec![0xEE];
        write_frame(&mut out, Opcode::Pong, b"hi");
        assert_eq!(out, [0xEE, 0x8A, 2, b'h', b'i']);
    }

    #[test]
    fn a_close_frame_carries_the_code_and_the_sentence() {
        let mut out = Vec::new();
        write_close(&mut out, 1002, "no");
        assert_eq!(out, [0x88, 4, 0x03, 0xEA, b'n', b'o']);
    }

    #[test]
    fn a_long_close_sentence_is_cut_at_the_end_of_a_character() {
        for (sentence, kept) in [("a".repeat(124), 123), ("é".repeat(62), 122), ("a".repeat(123), 123)] {
            let mut out = Vec::new();
            write_close(&mut out, 1000, &sentence);
            assert_eq!(out.len(), 2 + 2 + kept);
            assert_eq!(usize::from(out[1]), 2 + kept);
            assert_eq!(std::str::from_utf8(&out[4..]), Ok(&sentence[..kept]));
        }
    }
}
