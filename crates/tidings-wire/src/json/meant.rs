//! What a JSON text says, whoever wrote it.

use std::borrow::Cow;

use super::{MAX_DEPTH, check, elements, members, string, write_string};

/// Bytes of a text that is read for what it says; a longer one stands for itself, which costs less.
const MEANT_BYTES: usize = 64 << 10;

/// What `text` says: without space between, members by their names, no escape that need not be.
///
/// Clients write the same in different ways: some put a space behind each comma, some escape what is not ASCII. Two
/// texts that say the same are one here. Numbers stay as they are written, so that none loses a digit, and of two
/// members with one name both. What is no JSON, nested deeper than [`MAX_DEPTH`] or longer than 64 KiB stands as it is.
pub fn meant(text: &str) -> Cow<'_, str> {
    if text.len() > MEANT_BYTES || check(text, MAX_DEPTH).is_err() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    write(&mut out, text.trim_ascii());
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn write(out: &mut Vec<u8>, value: &str) {
    match value.as_bytes().first() {
        Some(b'{') => write_members(out, value),
        Some(b'[') => {
            out.push(b'[');
            for (at, element) in elements(value).enumerate() {
                separate(out, at);
                write(out, element);
            }
            out.push(b']');
        }
        Some(b'"') => write_text(out, value),
        _ => out.extend_from_slice(value.as_bytes()),
    }
}

fn write_members(out: &mut Vec<u8>, object: &str) {
    let mut named: Vec<_> =
        members(object).map(|(key, value)| (string(key).unwrap_or(Cow::Borrowed(key)), key, value)).collect();
    // Those of one name stay in their order, of which a reader takes the last.
    named.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    out.push(b'{');
    for (at, (_, key, value)) in named.into_iter().enumerate() {
        separate(out, at);
        write_text(out, key);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

/// One with half a surrogate pair stays as it is: UTF-8 cannot carry that.
fn write_text(out: &mut Vec<u8>, literal: &str) {
    match string(literal) {
        Some(text) => write_string(out, &text),
        None => out.extend_from_slice(literal.as_bytes()),
    }
}
