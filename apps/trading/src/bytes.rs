//! Numbers and texts as bytes, each written in one way: seven bits in a byte, the lowest first, and what may be less than
//! nothing folded so that small numbers of both signs are short. There are no floats.

use crate::decimal::Dec;
use crate::journal::Hash;

/// Bytes that are being written.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn flag(&mut self, yes: bool) {
        self.byte(yes.into());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.wide(number.into());
    }

    /// How many there are, or a place.
    pub(crate) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    pub(crate) fn signed(&mut self, number: i128) {
        self.wide((number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned());
    }

    pub(crate) fn dec(&mut self, dec: Dec) {
        self.signed(dec.as_units());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn hash(&mut self, hash: Hash) {
        self.0.extend_from_slice(hash.as_bytes());
    }

    /// Whether there is something, and what.
    pub(crate) fn perhaps<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn wide(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }
}

/// Bytes that are being read; nothing where they are not what was expected, or end.
#[derive(Debug)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide()?).ok()
    }

    /// A place.
    pub(crate) fn place(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// How many follow: never more than there are bytes.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.place().filter(|count| *count <= self.0.len())
    }

    pub(crate) fn signed(&mut self) -> Option<i128> {
        let folded = self.wide()?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    pub(crate) fn dec(&mut self) -> Option<Dec> {
        self.signed().map(Dec::units)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let count = self.count()?;
        std::str::from_utf8(self.take(count)?).ok()
    }

    pub(crate) fn hash(&mut self) -> Option<Hash> {
        Hash::from_bytes(self.take(Hash::BYTES)?)
    }

    pub(crate) fn perhaps<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn wide(&mut self) -> Option<u128> {
        let mut number = 0_u128;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            // The last byte has room for two bits.
            if shift > 0 && bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number: u64, signed: i128, text: String, flag: bool, some: Option<u64>) {
            let mut out = Out::default();
            out.number(number);
            out.signed(signed);
            out.text(&text);
            out.flag(flag);
            out.perhaps(some, Out::number);
            let mut from = In(&out.0);
            prop_assert_eq!(from.number(), Some(number));
            prop_assert_eq!(from.signed(), Some(signed));
            prop_assert_eq!(from.text(), Some(text.as_str()));
            prop_assert_eq!(from.flag(), Some(flag));
            prop_assert_eq!(from.perhaps(In::number), Some(some));
            prop_assert!(from.0.is_empty());
        }

        #[test]
        fn what_is_cut_off_is_not_read(signed: i128, text: String) {
            let mut out = Out::default();
            out.text(&text);
            out.signed(signed);
            let mut from = In(&out.0[..out.0.len() - 1]);
            prop_assert!(from.text().and_then(|_| from.signed()).is_none());
        }
    }

    #[test]
    fn the_ends_of_numbers_are_read_and_what_is_beyond_them_is_not() {
        for signed in [i128::MIN, -1, 0, 1, i128::MAX] {
            let mut out = Out::default();
            out.signed(signed);
            assert_eq!(In(&out.0).signed(), Some(signed));
        }
        let mut out = Out::default();
        out.signed(-1);
        out.signed(63);
        assert_eq!(out.0, [1, 126], "small numbers of both signs are short");
        out = Out::default();
        out.wide(u128::from(u64::MAX) + 1);
        assert_eq!(In(&out.0).number(), None);
        let mut beyond = [0xff_u8; 19];
        beyond[18] = 3;
        assert_eq!(In(&beyond).wide(), Some(u128::MAX));
        beyond[18] = 4;
        assert_eq!(In(&beyond).wide(), None);
        assert_eq!(In(&[0xff; 40]).wide(), None);
    }

    #[test]
    fn a_count_is_never_more_than_there_are_bytes() {
        assert_eq!(In(&[3, 0, 0, 0]).count(), Some(3));
        assert_eq!(In(&[4, 0, 0, 0]).count(), None);
    }
}
