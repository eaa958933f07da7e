//! JSON string and number literals.

use super::scan::plain_run;
use std::borrow::Cow;

/// Decodes the JSON string literal `literal`, quotes included; borrowed when it has no escapes.
///
/// None if it is no string literal or if an escape is half a surrogate pair, which UTF-8 cannot carry.
pub fn string(literal: &str) -> Option<Cow<'_, str>> {
    decode(literal, |_lone| None)
}

/// Decodes a JSON string literal as [`string`] does, with U+FFFD for half a surrogate pair.
pub fn string_lossy(literal: &str) -> Option<Cow<'_, str>> {
    decode(literal, |_lone| Some(char::REPLACEMENT_CHARACTER))
}

/// Reads a JSON number literal that is a whole number of at most 19 digits.
///
/// Nineteen digits always fit in 64 bits; a sign, a fraction or an exponent gives none.
pub fn unsigned(literal: &str) -> Option<u64> {
    if !(1..=19).contains(&literal.len()) {
        return None;
    }
    literal
        .bytes()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Appends `text` as a JSON string literal, quotes included.
///
/// Only what RFC 8259 section 7 demands is escaped: the quote, the backslash and control characters.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut start = 0;
    loop {
        let stop = plain_run(bytes, start);
        out.extend_from_slice(&bytes[start..stop]);
        let Some(&byte) = bytes.get(stop) else { break };
        write_escape(out, byte);
        start = stop + 1;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn decode(literal: &str, lone: fn(u32) -> Option<char>) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if plain_run(inner.as_bytes(), 0) == inner.len() {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        let stop = plain_run(rest.as_bytes(), 0);
        text.push_str(&rest[..stop]);
        rest = &rest[stop..];
        if rest.is_empty() {
            return Some(Cow::Owned(text));
        }
        rest = rest.strip_prefix('\\')?;
        text.push(take_escape(&mut rest, lone)?);
    }
}

fn take_escape(rest: &mut &str, lone: fn(u32) -> Option<char>) -> Option<char> {
    let escaped = rest.bytes().next().filter(u8::is_ascii)?;
    *rest = &rest[1..];
    Some(match escaped {
        b'"' | b'\\' | b'/' => char::from(escaped),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return take_unicode(rest, lone),
        _ => return None,
    })
}

fn take_unicode(rest: &mut &str, lone: fn(u32) -> Option<char>) -> Option<char> {
    let first = take_hex(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Some(character);
    }
    let mut ahead = *rest;
    if first < 0xdc00
        && let Some(after) = ahead.strip_prefix("\\u")
    {
        ahead = after;
        let second = take_hex(&mut ahead)?;
        if (0xdc00..0xe000).contains(&second) {
            *rest = ahead;
            return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
    }
    lone(first)
}

fn take_hex(rest: &mut &str) -> Option<u32> {
    let hex = rest.get(..4)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    *rest = &rest[4..];
    u32::from_str_radix(hex, 16).ok()
}
