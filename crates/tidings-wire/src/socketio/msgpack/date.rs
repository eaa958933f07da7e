use std::io::Write as _;

use crate::time::{DAY, civil};

/// Appends a JavaScript time as `Date.prototype.toJSON` writes it: quoted ISO 8601, or `null` out of range.
///
/// ECMA-262 section 21.4.1.32: years outside 0 to 9999 have a sign and six digits.
pub(super) fn write(out: &mut Vec<u8>, milliseconds: i64) {
    const MOST: u64 = 8_640_000_000_000_000;
    if milliseconds.unsigned_abs() > MOST {
        out.extend_from_slice(b"null");
        return;
    }
    let (year, month, day) = civil(milliseconds.div_euclid(DAY));
    let time = milliseconds.rem_euclid(DAY);
    let (seconds, millis) = (time / 1000, time % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _infallible =
        if (0..=9999).contains(&year) { write!(out, "\"{year:04}") } else { write!(out, "\"{year:+07}") };
    let _infallible = write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z\"");
}
