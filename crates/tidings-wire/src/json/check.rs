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
    let mut checker =
        Checker { bytes: text.as_bytes(), at: 0, depth: 0, objects: 0, max_depth: max_depth.min(MAX_DEPTH) };
    checker.text().map_err(|fault| match fault {
        NotJson => Violation::protocol("payload is not JSON"),
        TooDeep => Violation::structure("payload is nested too deeply"),
    })
}

/// What is wrong; as small as can be, since every step of the way may answer it.
enum Fault {
    NotJson,
    TooDeep,
}
use Fault::{NotJson, TooDeep};

struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// The innermost open container is the lowest bit: 1 for an object, 0 for an array.
    objects: u128,
    max_depth: u32,
}

impl Checker<'_> {
    fn text(&mut self) -> Result<(), Fault> {
        loop {
            let opened = self.value()?;
            if !opened && !self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Passes a scalar, an empty container, or the opening of a container; true if another value follows.
    fn value(&mut self) -> Result<bool, Fault> {
        match self.next_token()? {
            b'{' => {
                self.push(true)?;
                self.first_member()
            }
            b'[' => {
                self.push(false)?;
                Ok(!self.close_at_once(b']'))
            }
            b'"' => self.string(),
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            b'-' => self.number(),
            b'0'..=b'9' => {
                self.at -= 1;
                self.number()
            }
            _ => Err(NotJson),
        }
    }

    /// Passes commas and closing brackets after a value; true if another value follows.
    fn after_value(&mut self) -> Result<bool, Fault> {
        loop {
            if self.depth == 0 {
                self.at = skip_space(self.bytes, self.at);
                return if self.at == self.bytes.len() { Ok(false) } else { Err(NotJson) };
            }
            let in_object = self.objects & 1 == 1;
            match self.next_token()? {
                b',' if in_object => return self.key(),
                b',' => return Ok(true),
                b'}' if in_object => self.pop(),
                b']' if !in_object => self.pop(),
                _ => return Err(NotJson),
            }
        }
    }

    fn first_member(&mut self) -> Result<bool, Fault> {
        if self.close_at_once(b'}') { Ok(false) } else { self.key() }
    }

    fn key(&mut self) -> Result<bool, Fault> {
        self.expect(b'"')?;
        self.string()?;
        self.expect(b':')?;
        Ok(true)
    }

    #[inline]
    fn string(&mut self) -> Result<bool, Fault> {
        self.at = plain_run(self.bytes, self.at);
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.rest_of_string()
    }

    /// The rarer case, apart so that the common one stays small.
    #[cold]
    fn rest_of_string(&mut self) -> Result<bool, Fault> {
        loop {
            match self.next_byte()? {
                b'"' => return Ok(false),
                b'\\' => self.escape()?,
                _ => return Err(NotJson),
            }
            self.at = plain_run(self.bytes, self.at);
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.next_byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let hex = self.bytes.get(self.at..self.at + 4).ok_or(NotJson)?;
                self.at += 4;
                if hex.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(NotJson) }
            }
            _ => Err(NotJson),
        }
    }

    /// Passes a number whose minus sign, if any, is already passed.
    fn number(&mut self) -> Result<bool, Fault> {
        if self.eat(b'0') {
            // A zero stands alone: "01" is not a number.
        } else {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(false)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotJson) }
    }

    fn word(&mut self, rest: &[u8]) -> Result<bool, Fault> {
        if self.bytes[self.at..].starts_with(rest) {
            self.at += rest.len();
            Ok(false)
        } else {
            Err(NotJson)
        }
    }

    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == self.max_depth {
            return Err(TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn close_at_once(&mut self, close: u8) -> bool {
        self.at = skip_space(self.bytes, self.at);
        let closed = self.eat(close);
        if closed {
            self.pop();
        }
        closed
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next_token()? == byte { Ok(()) } else { Err(NotJson) }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn next_token(&mut self) -> Result<u8, Fault> {
        self.at = skip_space(self.bytes, self.at);
        self.next_byte()
    }

    fn next_byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(NotJson)?;
        self.at += 1;
        Ok(byte)
    }
}
