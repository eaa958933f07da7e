//! Slices of checked JSON: elements of an array, members of an object.

use super::check::Named;

/// Iterates over the elements of the JSON array `array` as raw slices.
///
/// The text must have passed [`check`](super::check). A text that is not an array has no elements.
pub fn elements(array: &str) -> Elements<'_> {
    Elements { rest: inside(array, b'['), left: usize::MAX }
}

/// Iterates over the members of the JSON object `object` as pairs of key literal and raw value.
///
/// The text must have passed [`check`](super::check). Keys keep their quotes and escapes. A text that is not
/// an object has no members.
pub fn members(object: &str) -> Members<'_> {
    Members { rest: inside(object, b'{') }
}

/// The elements of an array; see [`elements`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elements<'a> {
    rest: &'a str,
    /// How many are still to come, if they were counted: where the last one ends is known without looking at it.
    left: usize,
}

impl<'a> Elements<'a> {
    /// No elements at all.
    pub const EMPTY: Self = Self { rest: "", left: 0 };
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.left == 1 {
            self.left = 0;
            return std::mem::take(&mut self.rest).trim_ascii().strip_suffix(']').map(str::trim_ascii_end);
        }
        let value = take_value(&mut self.rest)?;
        take_comma(&mut self.rest);
        self.left = self.left.saturating_sub(1);
        Some(value)
    }
}

/// The members of an object; see [`members`].
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let key = take_value(&mut self.rest)?;
        self.rest = self.rest.strip_prefix(':')?;
        let value = take_value(&mut self.rest)?;
        take_comma(&mut self.rest);
        Some((key, value))
    }
}

fn inside(container: &str, open: u8) -> &str {
    let start = skip_space(container.as_bytes(), 0);
    if container.as_bytes().get(start) == Some(&open) { &container[start + 1..] } else { "" }
}

/// Splits the array of an event into its name and the elements behind it.
pub(crate) fn name_and_args<'a>(array: &'a str, named: &Named) -> Option<(&'a str, Elements<'a>)> {
    let mut rest = array.get(skip_space(array.as_bytes(), named.name_end + 1)..)?;
    take_comma(&mut rest);
    Some((array.get(2..named.name_end)?, Elements { rest, left: named.count.saturating_sub(1) }))
}

/// Takes one value and the space around it; none at the end of the container.
fn take_value<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let bytes = rest.as_bytes();
    let start = skip_space(bytes, 0);
    let end = skip_value(bytes, start);
    let value = rest.get(start..end).filter(|value| !value.is_empty())?;
    *rest = rest.get(skip_space(bytes, end)..)?;
    Some(value)
}

fn take_comma(rest: &mut &str) {
    *rest = rest.strip_prefix(',').unwrap_or("");
}

/// The first position at or after `at` that is not JSON white space.
pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The position after the value that starts at `at`; `at` itself if none starts there.
pub(crate) fn skip_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1),
        Some(b'{' | b'[') => container_end(bytes, at),
        _ => scalar_end(bytes, at),
    }
}

/// The position after the closing quote of the string whose opening quote is just before `at`.
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = plain_run(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

fn container_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

fn scalar_end(bytes: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b':' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The first position at or after `at` of a quote, a backslash or a control character, or the end.
///
/// Most names and values are short: the first eight bytes are looked at where this is called.
#[inline]
pub(super) fn plain_run(bytes: &[u8], at: usize) -> usize {
    let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return long_run(bytes, at) };
    let marks = special_bytes(u64::from_le_bytes(*word));
    if marks == 0 { long_run(bytes, at + size_of::<u64>()) } else { at + first_marked(marks) }
}

/// Not inlined: what it needs in registers would be taken from its callers.
#[inline(never)]
fn long_run(bytes: &[u8], at: usize) -> usize {
    let Some(rest) = bytes.get(at..) else { return bytes.len() };
    let (words, last) = rest.as_chunks();
    let mut at = at;
    for word in words {
        let marks = special_bytes(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + first_marked(marks);
        }
        at += size_of::<u64>();
    }
    at + last.iter().position(|&byte| is_special(byte)).unwrap_or(last.len())
}

#[inline]
fn first_marked(marks: u64) -> usize {
    (marks.trailing_zeros() / u8::BITS) as usize
}

/// Sets the high bit of each byte of a word that ends a plain run.
///
/// Taking a number from all bytes at once sets the high bit of those that are smaller. A quote is the only byte
/// that takes a space's place when a bit is turned, so one subtraction finds it with the control characters. A
/// borrow spoils no marks but those above the first true one, and the lowest is all that is asked for.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quote_or_control = (word ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
    let backslash = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    (quote_or_control | backslash) & !word & (EACH * 0x80)
}

/// One in each byte of a word.
const EACH: u64 = u64::MAX / 255;

#[inline]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_ends_a_run_is_found_in_every_place_and_company() {
        for first in 0..=255_u8 {
            for (before, at) in
                [(b'a', 0), (b'!', 3), (b'[', 7), (0x80, 5), (0xff, 8), (b'#', 13), (b' ', 16)]
            {
                for after in [0, 0x1f, 0x20, b'"', b'!', b'\\', 0x7f, 0x80, 0xff] {
                    let mut text = vec![before; at];
                    text.push(first);
                    text.extend([after; 9]);
                    let naive = text.iter().position(|&byte| is_special(byte)).unwrap_or(text.len());
                    assert_eq!(plain_run(&text, 0), naive, "{text:?}");
                }
            }
        }
    }
}
