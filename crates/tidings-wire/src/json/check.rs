//! The structure check: one pass over the bytes, no heap, no recursion.

use super::scan::{plain_run, skip_space};
use crate::Violation;

/// The deepest nesting [`check`] can be asked to allow.
///
/// Higher limits are read as this one: the open containers are remembered as the bits of one word.
pub const MAX_DEPTH: u32 = 128;

/// Checks that `text` is exactly one JSON value nested at most `max_depth` deep, without building it.
///
/// `[]` has depth 1. The grammar is RFC 8259; a lone surrogate escape is allowed, as every JSON parser of a
/// client allows it.
///
/// # Errors
/// [`Violation::structure`] as soon as the nesting exceeds `max_depth`, [`Violation::protocol`] if the text
/// is not JSON.
pub fn check(text: &str, max_depth: u32) -> Result<(), Violation> {
    walk(text.as_bytes(), 0, false, Open::default(), max_depth.min(MAX_DEPTH)).map(drop).map_err(said)
}

/// What a check finds out about an array whose first element is a plain string, without space before it.
pub(crate) struct Named {
    /// Where the closing quote of that string is.
    pub(crate) name_end: usize,
    /// How many elements the array has.
    pub(crate) count: usize,
}

/// Checks as [`check`] does; nearly every event begins with a plain name, which then is not looked for again.
pub(crate) fn check_named(text: &str, max_depth: u32) -> Result<Option<Named>, Violation> {
    let (bytes, max_depth) = (text.as_bytes(), max_depth.min(MAX_DEPTH));
    let name_end = if bytes.starts_with(b"[\"") { plain_run(bytes, 2) } else { 0 };
    if name_end == 0 || bytes.get(name_end) != Some(&b'"') || max_depth == 0 {
        return check(text, max_depth).map(|()| None);
    }
    let mut open = Open::default();
    open.push(false);
    let count = walk(bytes, name_end + 1, true, open, max_depth).map_err(said)?;
    Ok(Some(Named { name_end, count }))
}

#[cold]
fn said(fault: Fault) -> Violation {
    match fault {
        NotJson => Violation::protocol("payload is not JSON"),
        TooDeep => Violation::structure("payload is nested too deeply"),
    }
}

/// What is wrong; as small as can be, since every step of the way may answer it.
enum Fault {
    NotJson,
    TooDeep,
}
use Fault::{NotJson, TooDeep};

/// Where the next byte is, or what is wrong with this one.
///
/// Every step is given the place and gives the next one, so that it is in a register all the way: a place behind a
/// reference is stored and loaded at each byte, which made the walk half as fast.
type Next = Result<usize, Fault>;

/// The containers that are open.
#[derive(Default)]
struct Open {
    depth: u32,
    /// The innermost is the lowest bit: 1 for an object, 0 for an array.
    objects: u128,
    /// Values that have begun in the outermost one.
    begun: usize,
}

impl Open {
    #[inline]
    fn push(&mut self, object: bool) {
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.begun += usize::from(self.depth == 1);
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// Passes all of the text from `at` on, where a value begins or, if one has `ended`, what follows it; how many values
/// the outermost container has.
///
/// One loop for both, so that its parts stand in it once and are not called.
fn walk(
    bytes: &[u8],
    mut at: usize,
    mut ended: bool,
    mut open: Open,
    max_depth: u32,
) -> Result<usize, Fault> {
    loop {
        if ended {
            match after_value(bytes, at, &mut open)? {
                Some(next) => at = next,
                None => return Ok(open.begun),
            }
        }
        at = value(bytes, at, &mut open, max_depth)?;
        ended = true;
    }
}

/// Passes opening brackets and the first value that is not followed into: a scalar, or an empty container.
#[inline]
fn value(bytes: &[u8], mut at: usize, open: &mut Open, max_depth: u32) -> Next {
    loop {
        let (start, first) = token(bytes, at)?;
        if first == b'"' {
            return string(bytes, start + 1);
        }
        if !matches!(first, b'{' | b'[') {
            return scalar(bytes, start, first);
        }
        if open.depth == max_depth {
            return Err(TooDeep);
        }
        let object = first == b'{';
        let (inside, next) = token(bytes, start + 1)?;
        // In ASCII each closing bracket is two behind its opening one.
        if next == first + 2 {
            return Ok(inside + 1);
        }
        open.push(object);
        at = if object { key(bytes, inside)? } else { inside };
    }
}

/// Passes closing brackets and a comma after a value: where another value begins, or none at the end of the text.
#[inline]
fn after_value(bytes: &[u8], mut at: usize, open: &mut Open) -> Result<Option<usize>, Fault> {
    while open.depth > 0 {
        let (place, byte) = token(bytes, at)?;
        at = place + 1;
        if byte == b',' {
            open.begun += usize::from(open.depth == 1);
            return if open.in_object() { key(bytes, at).map(Some) } else { Ok(Some(at)) };
        }
        if byte != if open.in_object() { b'}' } else { b']' } {
            return Err(NotJson);
        }
        open.pop();
    }
    if skip_space(bytes, at) == bytes.len() { Ok(None) } else { Err(NotJson) }
}

/// Passes a member's name and its colon.
#[inline]
fn key(bytes: &[u8], at: usize) -> Next {
    let (start, first) = token(bytes, at)?;
    if first != b'"' {
        return Err(NotJson);
    }
    let (colon, byte) = token(bytes, string(bytes, start + 1)?)?;
    if byte == b':' { Ok(colon + 1) } else { Err(NotJson) }
}

#[inline]
fn scalar(bytes: &[u8], at: usize, first: u8) -> Next {
    match first {
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        b'-' => number(bytes, at + 1),
        b'0'..=b'9' => number(bytes, at),
        _ => Err(NotJson),
    }
}

/// Passes a string behind its opening quote.
#[inline]
fn string(bytes: &[u8], at: usize) -> Next {
    let end = plain_run(bytes, at);
    if bytes.get(end) == Some(&b'"') { Ok(end + 1) } else { rest_of_string(bytes, end) }
}

/// The rarer case, apart so that the common one stays small.
#[cold]
fn rest_of_string(bytes: &[u8], mut at: usize) -> Next {
    loop {
        match byte(bytes, at)? {
            b'"' => return Ok(at + 1),
            b'\\' => at = plain_run(bytes, escape(bytes, at + 1)?),
            _ => return Err(NotJson),
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Next {
    match byte(bytes, at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
        b'u' => {
            let hex = bytes.get(at + 1..at + 5).ok_or(NotJson)?;
            if hex.iter().all(u8::is_ascii_hexdigit) { Ok(at + 5) } else { Err(NotJson) }
        }
        _ => Err(NotJson),
    }
}

/// Passes a number whose minus sign, if any, is already passed.
#[inline]
fn number(bytes: &[u8], at: usize) -> Next {
    // A zero stands alone: "01" is not a number.
    let mut at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = digits(bytes, at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

#[inline]
fn digits(bytes: &[u8], start: usize) -> Next {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(NotJson) }
}

#[inline]
fn word(bytes: &[u8], at: usize, word: &[u8]) -> Next {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(NotJson) }
}

/// The next byte that is not white space, and where it is.
#[inline]
fn token(bytes: &[u8], at: usize) -> Result<(usize, u8), Fault> {
    match bytes.get(at) {
        Some(&byte) if byte > b' ' => Ok((at, byte)),
        _ => behind_space(bytes, at),
    }
}

/// Apart, since clients write no space between tokens.
#[cold]
fn behind_space(bytes: &[u8], at: usize) -> Result<(usize, u8), Fault> {
    let at = skip_space(bytes, at);
    Ok((at, byte(bytes, at)?))
}

#[inline]
fn byte(bytes: &[u8], at: usize) -> Result<u8, Fault> {
    bytes.get(at).copied().ok_or(NotJson)
}
