//! The header of a client's frame: every rule it can break, checked as soon as its bytes are there.

use super::frame::{MAX_CONTROL_PAYLOAD, Opcode};
use crate::{Limits, Violation};

/// The longest header of a client's frame: two bytes, a 64-bit length and the mask.
pub(super) const MAX_CLIENT_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;

/// A client's frame, judged by its header alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    /// FIN: nothing of this message follows.
    pub(super) last: bool,
    /// RSV1: the message that starts here is compressed.
    pub(super) compressed: bool,
    /// Bytes of payload, already within the limits.
    pub(super) len: usize,
    pub(super) mask: [u8; MASK_BYTES],
}

/// What a header is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) limits: &'a Limits,
    /// Whether compression was negotiated.
    pub(super) deflate: bool,
    /// Bytes of the fragmented message that is not finished yet, if there is one.
    pub(super) open: Option<usize>,
}

/// Reads the header at the front of `bytes`, and how long it is; `None` while it is incomplete.
///
/// A broken rule is reported with the first byte that breaks it, so that the verdict does not depend on
/// how the bytes were cut into reads (RFC 6455 section 5.2).
#[inline]
pub(super) fn read(bytes: &[u8], rules: &Rules<'_>) -> Result<Option<(Header, usize)>, Violation> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let opcode = read_first(first, rules)?;
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    if second & MASKED == 0 {
        return Err(Violation::protocol("client frame is not masked"));
    }
    let short = second & !MASKED;
    if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
        return Err(Violation::protocol("control frame longer than 125 bytes"));
    }
    let Some((len, mask_at)) = read_length(short, bytes)? else { return Ok(None) };
    let len = check_size(len, opcode, rules)?;
    let Some(&mask) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let header = Header { opcode, last: first & FIN != 0, compressed: first & RSV1 != 0, len, mask };
    Ok(Some((header, mask_at + MASK_BYTES)))
}

#[inline]
fn read_first(first: u8, rules: &Rules<'_>) -> Result<Opcode, Violation> {
    if first & RSV2_AND_3 != 0 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let Some(opcode) = Opcode::from_u8(first & OPCODE) else {
        return Err(Violation::protocol("reserved opcode"));
    };
    let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    if first & RSV1 != 0 && !(rules.deflate && starts_message) {
        return Err(Violation::protocol("RSV1 set where no compressed message starts"));
    }
    if opcode.is_control() && first & FIN == 0 {
        return Err(Violation::protocol("fragmented control frame"));
    }
    if opcode == Opcode::Continuation && rules.open.is_none() {
        return Err(Violation::protocol("continuation without a message"));
    }
    if starts_message && rules.open.is_some() {
        return Err(Violation::protocol("new message inside a fragmented one"));
    }
    Ok(opcode)
}

/// The payload's length and where the mask starts; only the shortest encoding is accepted.
#[inline]
fn read_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let extended = bytes.get(2..).unwrap_or_default();
    match short {
        0..=125 => Ok(Some((u64::from(short), 2))),
        126 => {
            let Some(&len) = extended.first_chunk() else { return Ok(None) };
            let len = u16::from_be_bytes(len);
            if len < 126 {
                return Err(Violation::protocol("length not in its shortest form"));
            }
            Ok(Some((u64::from(len), 4)))
        }
        _ => {
            let Some(&len) = extended.first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(len);
            if len > i64::MAX as u64 {
                return Err(Violation::protocol("length with its highest bit set"));
            }
            if len <= u64::from(u16::MAX) {
                return Err(Violation::protocol("length not in its shortest form"));
            }
            Ok(Some((len, 10)))
        }
    }
}

#[inline]
fn check_size(len: u64, opcode: Opcode, rules: &Rules<'_>) -> Result<usize, Violation> {
    let Ok(len) = usize::try_from(len) else {
        return Err(Violation::too_large("frame over the limit"));
    };
    if opcode.is_control() {
        return Ok(len);
    }
    if len > rules.limits.frame_bytes {
        return Err(Violation::too_large("frame over the limit"));
    }
    let left = rules.limits.message_bytes.saturating_sub(rules.open.unwrap_or(0));
    if len > left {
        return Err(Violation::too_large("message over the limit"));
    }
    Ok(len)
}

/// Undoes the mask of `payload`, whose first byte was masked with `mask[0]` (RFC 6455 section 5.3).
#[inline]
pub(super) fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    let [a, b, c, d] = mask;
    let pattern = [a, b, c, d, a, b, c, d];
    let wide = u64::from_ne_bytes(pattern);
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(pattern) {
        *byte ^= mask;
    }
}

/// The mask for the bytes that follow `taken` bytes of payload.
pub(super) fn turn(mut mask: [u8; MASK_BYTES], taken: usize) -> [u8; MASK_BYTES] {
    mask.rotate_left(taken % MASK_BYTES);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_agrees_with_the_rfc_byte_by_byte() {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        for len in 0..70_usize {
            let plain: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut masked: Vec<u8> =
                plain.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            for cut in 0..=len {
                let mut masked = masked.clone();
                let (head, tail) = masked.split_at_mut(cut);
                unmask(head, mask);
                unmask(tail, turn(mask, cut));
                assert_eq!(masked, plain, "length {len}, cut at {cut}");
            }
            unmask(&mut masked, mask);
            assert_eq!(masked, plain, "length {len}");
        }
    }
}
