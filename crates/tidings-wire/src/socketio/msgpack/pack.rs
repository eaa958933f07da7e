use crate::json::{self, skip_space, skip_value, string_end};
use crate::socketio::placeholder::{Placeholder, placeholders};
use bytes::Bytes;

/// Appends checked JSON as msgpack, its placeholders as the byte strings they stand for.
///
/// Without attachments a placeholder is an ordinary map. Integers keep 64 bits, everything else is a float.
pub(super) fn json(out: &mut Vec<u8>, json: &str, attachments: &[Bytes]) {
    let mut binary = match attachments {
        [] => Vec::new(),
        _ => placeholders(json).collect(),
    }
    .into_iter()
    .filter_map(|found: Placeholder| Some((found.span, attachments.get(found.num?.1 as usize)?)))
    .peekable();
    let mut lengths = lengths(json).into_iter();
    let text = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let start = at;
        at = match byte {
            b'"' => string_end(text, at + 1),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => skip_value(text, at),
            _ => at + 1,
        };
        match byte {
            b'{' | b'[' => {
                let length = lengths.next().unwrap_or(0);
                if let Some((span, bytes)) = binary.next_if(|(span, _)| span.start == start) {
                    self::bytes(out, bytes);
                    at = span.end;
                } else if byte == b'{' {
                    map(out, length);
                } else {
                    array(out, length);
                }
            }
            b'"' => string(out, &json::string_lossy(&json[start..at]).unwrap_or_default()),
            b'-' | b'0'..=b'9' => number(out, &json[start..at]),
            b't' => out.push(0xc3),
            b'f' => out.push(0xc2),
            b'n' => out.push(0xc0),
            _ => {}
        }
    }
}

/// The number of members of every container, in the order in which they open.
fn lengths(json: &str) -> Vec<u32> {
    let text = json.as_bytes();
    let (mut lengths, mut open) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => {
                let empty = matches!(text.get(skip_space(text, at)), Some(b'}' | b']'));
                open.push(lengths.len());
                lengths.push(u32::from(!empty));
            }
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(length) = open.last().and_then(|&index| lengths.get_mut(index)) {
                    *length += 1;
                }
            }
            _ => {}
        }
    }
    lengths
}

pub(super) fn map(out: &mut Vec<u8>, length: u32) {
    match u8::try_from(length) {
        Ok(short @ 0..=15) => out.push(0x80 | short),
        _ => sized(out, [None, Some(0xde), Some(0xdf)], length),
    }
}

pub(super) fn array(out: &mut Vec<u8>, length: u32) {
    match u8::try_from(length) {
        Ok(short @ 0..=15) => out.push(0x90 | short),
        _ => sized(out, [None, Some(0xdc), Some(0xdd)], length),
    }
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(short @ 0..=31) => out.push(0xa0 | short),
        _ => sized(out, [Some(0xd9), Some(0xda), Some(0xdb)], saturated(text.len())),
    }
    out.extend_from_slice(text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    sized(out, [Some(0xc4), Some(0xc5), Some(0xc6)], saturated(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Writes the shortest of the prefixes for a length of one, two and four bytes, and the length.
fn sized(out: &mut Vec<u8>, [one, two, four]: [Option<u8>; 3], length: u32) {
    if let (Some(prefix), Ok(length)) = (one, u8::try_from(length)) {
        out.extend_from_slice(&[prefix, length]);
    } else if let (Some(prefix), Ok(length)) = (two, u16::try_from(length)) {
        out.push(prefix);
        out.extend_from_slice(&length.to_be_bytes());
    } else if let Some(prefix) = four {
        out.push(prefix);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// Messages are bounded far below four gigabytes.
fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn number(out: &mut Vec<u8>, literal: &str) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = literal.parse() {
        return unsigned(out, number);
    }
    if let Ok(number) = literal.parse() {
        return signed(out, number);
    }
    let number: f64 = literal.parse().unwrap_or(f64::NAN);
    if number.fract() == 0.0 && number.abs() < EXACT {
        signed(out, number as i64);
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn signed(out: &mut Vec<u8>, number: i64) {
    if let Ok(number) = u64::try_from(number) {
        unsigned(out, number);
    } else if let Ok(small) = i8::try_from(number) {
        if small < -32 {
            out.push(0xd0);
        }
        out.push(small.cast_unsigned());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    if let Ok(small @ 0..=127) = u8::try_from(number) {
        out.push(small);
    } else if let Ok(number) = u32::try_from(number) {
        sized(out, [Some(0xcc), Some(0xcd), Some(0xce)], number);
    } else {
        out.push(0xcf);
        out.extend_from_slice(&number.to_be_bytes());
    }
}
