//! Slices of checked JSON: elements of an array, members of an object.

/// Iterates over the elements of the JSON array `array` as raw slices.
///
/// The text must have passed [`check`](super::check). A text that is not an array has no elements.
pub fn elements(array: &str) -> Elements<'_> {
    Elements { rest: inside(array, b'[') }
}

/// Iterates over the members of the JSON object `object` as pairs of key literal and raw value.
///
/// The text must have passed [`check`](super::check). Keys keep their quotes and escapes. A text that is not
/// an object has no members.
pub fn members(object: &str) -> Members<'_> {
    Members { rest: inside(object, b'{') }
}

/// The elements of an array; see [`elements`].
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    /// No elements at all.
    pub const EMPTY: Self = Self { rest: "" };
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let value = take_value(&mut self.rest)?;
        take_comma(&mut self.rest);
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
pub(super) fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let marks = special_bytes(u64::from_le_bytes(chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
        at += 1;
    }
    at.min(bytes.len())
}

/// Marks the high bit of each byte that ends a plain run; exact for the lowest marked byte.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    (below(quote, 1) | below(slash, 1) | below(word, 0x20)) & HIGH
}
