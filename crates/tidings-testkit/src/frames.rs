//! WebSocket frames (RFC 6455 section 5.2) as a client writes and reads them.
//!
//! Written apart from the server's own codec, so that a mistake of one is not hidden by the other.

use std::ops::Range;

/// Appends one masked frame; `flags` are FIN and the reserved bits.
pub fn write_masked(out: &mut Vec<u8>, flags: u8, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(flags | opcode);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
}

/// A frame from a server at the beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromServer {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    /// Where its payload is; it ends where the next frame begins.
    pub payload: Range<usize>,
}

impl FromServer {
    /// The frame that `bytes` begin with, if all of it is there.
    ///
    /// # Panics
    /// If it is masked: a server's frames are not (section 5.1).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, length, ref rest @ ..] = bytes else { return None };
        assert!(length < 0x80, "a server does not mask");
        let (length, head) = match length {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        (bytes.len() - head >= length).then_some(Self { first, payload: head..head + length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_once_its_last_byte_is_there() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut bytes = vec![0x82];
            match head {
                2 => bytes.push(length as u8),
                4 => bytes.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
                _ => bytes.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
            }
            bytes.resize(head + length, 7);
            for part in [0, 1, head - 1, head + length - 1] {
                assert_eq!(FromServer::parse(&bytes[..part]), None, "{part} of {}", bytes.len());
            }
            bytes.push(0x81);
            let found = FromServer { first: 0x82, payload: head..head + length };
            assert_eq!(FromServer::parse(&bytes), Some(found));
        }
    }

    #[test]
    fn a_masked_frame_is_the_one_of_the_standard() {
        // RFC 6455 section 5.7.
        let mut frame = Vec::new();
        write_masked(&mut frame, 0x80, 1, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
