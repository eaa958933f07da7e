use crate::Violation;
use crate::json::{self, MAX_DEPTH, skip_space, string_end};
use base64::Engine;
use bytes::Bytes;
use std::ops::Range;

/// Counts the objects with `"_placeholder":true` in checked JSON.
///
/// In a payload without attachments these are the client's own data. Such a payload cannot be joined with one
/// that has attachments: in a binary packet the clients would take the objects for placeholders and break
/// the connection.
pub fn count_placeholders(json: &str) -> usize {
    // An escaped key is a key all the same; nearly every payload has neither.
    let bytes = json.as_bytes();
    let possible = memchr::memmem::find(bytes, b"_placeholder").is_some()
        || memchr::memmem::find(bytes, b"\\u").is_some();
    if possible { placeholders(json).count() } else { 0 }
}

/// Appends checked JSON to `out` with the number of each placeholder raised by `by`.
///
/// So a payload takes its place behind `by` attachments of others. Only for payloads that have attachments;
/// see [`count_placeholders`] for those that have not.
pub fn shift_placeholders(json: &str, by: u32, out: &mut Vec<u8>) {
    let mut done = 0;
    for placeholder in placeholders(json) {
        let Some((digits, num)) = placeholder.num else { continue };
        out.extend_from_slice(&json.as_bytes()[done..digits.start]);
        out.extend_from_slice(itoa::Buffer::new().format(u64::from(num) + u64::from(by)).as_bytes());
        done = digits.end;
    }
    out.extend_from_slice(&json.as_bytes()[done..]);
}

/// Checked JSON with each placeholder replaced by its attachment as a base64 string.
///
/// For dialects that carry text alone. Only for payloads that have attachments, as [`shift_placeholders`].
pub fn inline_attachments(json: &str, attachments: &[Bytes]) -> String {
    let mut out =
        String::with_capacity(json.len() + attachments.iter().map(|a| a.len() * 4 / 3 + 4).sum::<usize>());
    let mut done = 0;
    for placeholder in placeholders(json) {
        let Some(bytes) = placeholder.num.and_then(|(_, num)| attachments.get(num as usize)) else {
            continue;
        };
        out.push_str(&json[done..placeholder.span.start]);
        out.push('"');
        base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut out);
        out.push('"');
        done = placeholder.span.end;
    }
    out.push_str(&json[done..]);
    out
}

/// Checks that each placeholder names one of `attachments` attachments.
///
/// Several may name the same one and some may be named by none, as in Node.
pub(super) fn check_placeholders(json: &str, attachments: u32) -> Result<(), Violation> {
    let fits = |found: Placeholder| found.num.is_some_and(|(_, num)| num < attachments);
    if placeholders(json).all(fits) {
        Ok(())
    } else {
        Err(Violation::protocol("placeholder without attachment"))
    }
}

/// An object with `"_placeholder":true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placeholder {
    /// Where the object is.
    pub(super) span: Range<usize>,
    /// Where its number is and what it is; none if it has no usable one or holds arrays or objects.
    pub(super) num: Option<(Range<usize>, u32)>,
}

/// Finds the placeholders in checked JSON, in one pass, in the order in which they end.
pub(super) fn placeholders(json: &str) -> Placeholders<'_> {
    Placeholders { json, at: 0, open: Vec::new() }
}

pub(super) struct Placeholders<'a> {
    json: &'a str,
    at: usize,
    open: Vec<Container>,
}

struct Container {
    start: usize,
    marked: bool,
    nested: bool,
    num: Option<(Range<usize>, u32)>,
}

impl Iterator for Placeholders<'_> {
    type Item = Placeholder;

    fn next(&mut self) -> Option<Placeholder> {
        while let Some(&byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => self.open()?,
                b'}' | b']' => {
                    self.at += 1;
                    if let Some(closed) = self.open.pop().filter(|closed| closed.marked) {
                        let num = closed.num.filter(|_| !closed.nested);
                        return Some(Placeholder { span: closed.start..self.at, num });
                    }
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

impl Placeholders<'_> {
    /// Enters a container; none beyond the depth that checked JSON can have.
    fn open(&mut self) -> Option<()> {
        if self.open.len() == MAX_DEPTH as usize {
            return None;
        }
        if let Some(parent) = self.open.last_mut() {
            parent.nested = true;
        }
        self.open.push(Container { start: self.at, marked: false, nested: false, num: None });
        self.at += 1;
        Some(())
    }

    /// Passes a string, and notes what follows it if it is one of the two keys.
    fn string(&mut self) {
        let bytes = self.json.as_bytes();
        let start = self.at;
        self.at = string_end(bytes, start + 1);
        let colon = skip_space(bytes, self.at);
        if bytes.get(colon) != Some(&b':') {
            return;
        }
        let key = self.json.get(start..self.at).and_then(json::string);
        let value = skip_space(bytes, colon + 1);
        self.at = value;
        let Some(object) = self.open.last_mut() else { return };
        match key.as_deref() {
            Some("_placeholder") => object.marked = bytes[value..].starts_with(b"true"),
            Some("num") => object.num = number(self.json, value),
            _ => {}
        }
    }
}

fn number(json: &str, start: usize) -> Option<(Range<usize>, u32)> {
    // Only digits are worth looking at; skipping a container here would make the search quadratic.
    json.as_bytes().get(start).filter(|byte| byte.is_ascii_digit())?;
    let end = json::skip_value(json.as_bytes(), start);
    let num = u32::try_from(json::unsigned(json.get(start..end)?)?).ok()?;
    Some((start..end, num))
}
