//! The marker that a publication carries through the server: when it was due, and which one it is.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// `T=` and 19 digits of nanoseconds, a comma and 8 digits of sequence.
pub(crate) const BLANK: &str = "T=0000000000000000000,00000000";
const TIME: usize = 19;
const SEQUENCE: usize = 8;

static START: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("T="));

/// What a marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Nanoseconds on the bench's clock.
    pub(crate) at: u64,
    /// The publication's number.
    pub(crate) sequence: u32,
}

impl Marker {
    /// Finds the first marker in a message, without parsing the message.
    pub(crate) fn find(message: &[u8]) -> Option<Self> {
        START.find_iter(message).find_map(|start| Self::read(message.get(start..start + BLANK.len())?))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let at = number(text.get(2..2 + TIME)?)?;
        let sequence = number(text.get(3 + TIME..)?)?;
        (text.get(2 + TIME) == Some(&b',')).then_some(Self { at, sequence: u32::try_from(sequence).ok()? })
    }

    /// Overwrites the blank at `offset` in a finished frame.
    pub(crate) fn write(self, frame: &mut [u8], offset: usize) {
        put(frame, offset + 2, TIME, self.at);
        put(frame, offset + 3 + TIME, SEQUENCE, u64::from(self.sequence));
    }
}

/// Where the blank stands in a finished frame.
pub(crate) fn blank_in(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame, BLANK.as_bytes())
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn put(frame: &mut [u8], start: usize, width: usize, number: u64) {
    let mut rest = number;
    for byte in frame.get_mut(start..start + width).unwrap_or_default().iter_mut().rev() {
        *byte = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_marker_comes_back_as_it_was_written() {
        let mut frame = format!("42[\"e\",{{\"T=\":\"{BLANK}\"}}]").into_bytes();
        let offset = blank_in(&frame).unwrap();
        let marker = Marker { at: 1_795_000_000_123_456_789, sequence: 12_345_678 };
        marker.write(&mut frame, offset);
        assert_eq!(Marker::find(&frame), Some(marker));
        assert!(String::from_utf8(frame).unwrap().contains("T=1795000000123456789,12345678"));
    }

    #[test]
    fn a_message_without_a_whole_marker_has_none() {
        for text in [
            "",
            "T=",
            "T=1795000000123456789",
            "T=179500000012345678x,12345678",
            "T=1795000000123456789.12345678",
        ] {
            assert_eq!(Marker::find(text.as_bytes()), None, "{text}");
        }
    }
}
