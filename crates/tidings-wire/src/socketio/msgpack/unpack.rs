use super::date;
use super::reader::{Reader, Token};
use crate::json::{MAX_DEPTH, write_string};
use crate::{Limits, Violation};
use bytes::Bytes;
use std::io::Write as _;

/// A msgpack value as JSON text and the byte strings taken out of it.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub(super) json: Vec<u8>,
    pub(super) attachments: Vec<Bytes>,
}

/// Reads one value as JSON text, without recursion.
///
/// The text is held to [`Limits::message_bytes`] like the text of a JSON client: a null is one byte packed and
/// four unpacked.
pub(super) fn unpack(reader: &mut Reader<'_>, limits: &Limits) -> Result<Unpacked, Violation> {
    let mut unpacker = Unpacker { out: Unpacked::default(), open: Vec::new(), limits };
    loop {
        unpacker.value(reader.token()?)?;
        if !unpacker.advance(reader)? {
            return Ok(unpacker.out);
        }
    }
}

struct Unpacker<'l> {
    out: Unpacked,
    open: Vec<Container>,
    limits: &'l Limits,
}

struct Container {
    map: bool,
    left: u32,
    empty: bool,
}

impl Unpacker<'_> {
    fn value(&mut self, token: Token<'_>) -> Result<(), Violation> {
        match token {
            Token::Nil | Token::Undefined => self.put(b"null"),
            Token::Bool(true) => self.put(b"true"),
            Token::Bool(false) => self.put(b"false"),
            Token::Unsigned(number) => self.put(itoa::Buffer::new().format(number).as_bytes()),
            Token::Signed(number) => self.put(itoa::Buffer::new().format(number).as_bytes()),
            Token::Float(number) => self.float(number),
            Token::Text(text) => self.text(text),
            Token::Bytes(bytes) => self.attach(bytes, 1),
            Token::Array(length) => self.enter(false, length),
            Token::Map(length) => self.enter(true, length),
            Token::Date(milliseconds) => {
                date::write(&mut self.out.json, milliseconds);
                self.put(b"")
            }
            Token::Ext(kind, bytes) => {
                self.put(b"[")?;
                self.put(itoa::Buffer::new().format(kind).as_bytes())?;
                self.put(b",")?;
                self.attach(bytes, 2)?;
                self.put(b"]")
            }
        }
    }

    /// Closes what is complete and goes to where the next value belongs; false if there is none.
    fn advance(&mut self, reader: &mut Reader<'_>) -> Result<bool, Violation> {
        while let Some(container) = self.open.last_mut() {
            if container.left == 0 {
                let close: &[u8] = if container.map { b"}" } else { b"]" };
                self.open.pop();
                self.put(close)?;
                continue;
            }
            container.left -= 1;
            if self.member(reader)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes what stands before a member's value; false if the member is left out.
    fn member(&mut self, reader: &mut Reader<'_>) -> Result<bool, Violation> {
        let map = self.open.last().is_some_and(|container| container.map);
        let key = if map { Some(reader.token()?) } else { None };
        if map && reader.take_undefined() {
            return Ok(false);
        }
        if let Some(container) = self.open.last_mut()
            && !std::mem::replace(&mut container.empty, false)
        {
            self.put(b",")?;
        }
        match key {
            None => Ok(true),
            Some(key) => self.key(key).map(|()| true),
        }
    }

    fn key(&mut self, key: Token<'_>) -> Result<(), Violation> {
        match key {
            Token::Text(text) => self.text(text)?,
            // What other packers write as numbers is text in JavaScript.
            Token::Unsigned(number) => self.text(itoa::Buffer::new().format(number))?,
            Token::Signed(number) => self.text(itoa::Buffer::new().format(number))?,
            _ => return Err(Violation::protocol("msgpack key is neither text nor integer")),
        }
        self.put(b":")
    }

    fn enter(&mut self, map: bool, length: u32) -> Result<(), Violation> {
        self.depth_for(1)?;
        self.open.push(Container { map, left: length, empty: true });
        self.put(if map { b"{" } else { b"[" })
    }

    fn attach(&mut self, bytes: &[u8], levels: usize) -> Result<(), Violation> {
        self.depth_for(levels)?;
        let num = self.out.attachments.len();
        if num >= self.limits.attachments as usize {
            return Err(Violation::structure("too many attachments"));
        }
        self.out.attachments.push(Bytes::copy_from_slice(bytes));
        self.put(b"{\"_placeholder\":true,\"num\":")?;
        self.put(itoa::Buffer::new().format(num).as_bytes())?;
        self.put(b"}")
    }

    fn depth_for(&self, levels: usize) -> Result<(), Violation> {
        if self.open.len() + levels > self.limits.json_depth.min(MAX_DEPTH) as usize {
            return Err(Violation::structure("payload is nested too deeply"));
        }
        Ok(())
    }

    fn float(&mut self, number: f64) -> Result<(), Violation> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if !number.is_finite() {
            return self.put(b"null");
        }
        // Writing to a Vec cannot fail.
        let _infallible = if number.fract() == 0.0 && number.abs() < EXACT {
            // A whole number is written like one, as JavaScript does.
            write!(self.out.json, "{}", number as i64)
        } else {
            serde_json::to_writer(&mut self.out.json, &number).map_err(std::io::Error::from)
        };
        self.put(b"")
    }

    fn text(&mut self, text: &str) -> Result<(), Violation> {
        self.space_for(text.len())?;
        write_string(&mut self.out.json, text);
        self.put(b"")
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.space_for(bytes.len())?;
        self.out.json.extend_from_slice(bytes);
        Ok(())
    }

    fn space_for(&self, bytes: usize) -> Result<(), Violation> {
        if self.out.json.len() + bytes > self.limits.message_bytes {
            return Err(Violation::too_large("payload is too long as JSON"));
        }
        Ok(())
    }
}
