use crate::Violation;

/// One msgpack item; a container is only its length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Nil,
    Undefined,
    Bool(bool),
    Unsigned(u64),
    /// Always below zero.
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Array(u32),
    Map(u32),
    Date(i64),
    Ext(i8, &'a [u8]),
}

/// Reads msgpack items; every declared length is compared with what is left before it is believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn token(&mut self) -> Result<Token<'a>, Violation> {
        let [prefix] = self.array()?;
        match prefix {
            0x00..=0x7f => Ok(Token::Unsigned(u64::from(prefix))),
            0x80..=0x8f => self.map(u32::from(prefix & 0x0f)),
            0x90..=0x9f => self.list(u32::from(prefix & 0x0f)),
            0xa0..=0xbf => self.text(u32::from(prefix & 0x1f)),
            0xc0 => Ok(Token::Nil),
            0xc1 => Err(Violation::protocol("msgpack prefix c1 is never used")),
            0xc2 => Ok(Token::Bool(false)),
            0xc3 => Ok(Token::Bool(true)),
            0xc4..=0xc6 => {
                let length = self.length(prefix - 0xc4)?;
                self.take(length).map(Token::Bytes)
            }
            0xc7..=0xc9 => {
                let length = self.length(prefix - 0xc7)?;
                self.ext(length)
            }
            0xca => Ok(Token::Float(f64::from(f32::from_be_bytes(self.array()?)))),
            0xcb => Ok(Token::Float(f64::from_be_bytes(self.array()?))),
            0xcc => Ok(Token::Unsigned(u64::from(u8::from_be_bytes(self.array()?)))),
            0xcd => Ok(Token::Unsigned(u64::from(u16::from_be_bytes(self.array()?)))),
            0xce => Ok(Token::Unsigned(u64::from(u32::from_be_bytes(self.array()?)))),
            0xcf => Ok(Token::Unsigned(u64::from_be_bytes(self.array()?))),
            0xd0 => Ok(signed(i64::from(i8::from_be_bytes(self.array()?)))),
            0xd1 => Ok(signed(i64::from(i16::from_be_bytes(self.array()?)))),
            0xd2 => Ok(signed(i64::from(i32::from_be_bytes(self.array()?)))),
            0xd3 => Ok(signed(i64::from_be_bytes(self.array()?))),
            0xd4..=0xd8 => self.fixed_ext(1 << (prefix - 0xd4)),
            0xd9..=0xdb => {
                let length = self.length(prefix - 0xd9)?;
                self.text(length)
            }
            0xdc | 0xdd => {
                let length = self.length(prefix - 0xdb)?;
                self.list(length)
            }
            0xde | 0xdf => {
                let length = self.length(prefix - 0xdd)?;
                self.map(length)
            }
            0xe0..=0xff => Ok(signed(i64::from(prefix.cast_signed()))),
        }
    }

    /// Passes an `undefined` if one comes next.
    pub(super) fn take_undefined(&mut self) -> bool {
        let found = matches!(self.rest, [0xd4, 0, _, ..]);
        if found {
            self.rest = &self.rest[3..];
        }
        found
    }

    /// Passes one whole value, however deep, by counting what is still to come.
    pub(super) fn skip(&mut self) -> Result<(), Violation> {
        let mut pending = 1u64;
        while pending > 0 {
            pending -= 1;
            match self.token()? {
                Token::Array(length) => pending += u64::from(length),
                Token::Map(length) => pending += 2 * u64::from(length),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a length of one, two or four bytes.
    fn length(&mut self, log2_bytes: u8) -> Result<u32, Violation> {
        match log2_bytes {
            0 => self.array().map(u8::from_be_bytes).map(u32::from),
            1 => self.array().map(u16::from_be_bytes).map(u32::from),
            _ => self.array().map(u32::from_be_bytes),
        }
    }

    fn list(&self, length: u32) -> Result<Token<'a>, Violation> {
        self.room_for(u64::from(length))?;
        Ok(Token::Array(length))
    }

    fn map(&self, length: u32) -> Result<Token<'a>, Violation> {
        self.room_for(2 * u64::from(length))?;
        Ok(Token::Map(length))
    }

    /// An item is at least one byte.
    fn room_for(&self, items: u64) -> Result<(), Violation> {
        if items > self.rest.len() as u64 { Err(CUT_SHORT) } else { Ok(()) }
    }

    fn text(&mut self, length: u32) -> Result<Token<'a>, Violation> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Violation::utf8("msgpack text is not UTF-8"))?;
        Ok(Token::Text(text))
    }

    fn ext(&mut self, length: u32) -> Result<Token<'a>, Violation> {
        let [kind] = self.array()?;
        let data = self.take(length)?;
        Ok(if kind == 0 { Token::Bytes(data) } else { Token::Ext(kind.cast_signed(), data) })
    }

    fn fixed_ext(&mut self, length: u32) -> Result<Token<'a>, Violation> {
        let [kind] = self.array()?;
        let data = self.take(length)?;
        Ok(match (kind, <[u8; 8]>::try_from(data)) {
            (0, Ok(time)) => Token::Date(i64::from_be_bytes(time)),
            (0, _) if length == 1 => Token::Undefined,
            _ => Token::Ext(kind.cast_signed(), data),
        })
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.rest.split_at_checked(length as usize).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }
}

const CUT_SHORT: Violation = Violation::protocol("msgpack value is cut short");

fn signed(number: i64) -> Token<'static> {
    u64::try_from(number).map_or(Token::Signed(number), Token::Unsigned)
}
