use std::io::Write as _;

/// Appends a JavaScript time as `Date.prototype.toJSON` writes it: quoted ISO 8601, or `null` out of range.
///
/// ECMA-262 section 21.4.1.32: years outside 0 to 9999 have a sign and six digits.
pub(super) fn write(out: &mut Vec<u8>, milliseconds: i64) {
    const MOST: u64 = 8_640_000_000_000_000;
    if milliseconds.unsigned_abs() > MOST {
        out.extend_from_slice(b"null");
        return;
    }
    let (year, month, day) = civil(milliseconds.div_euclid(86_400_000));
    let time = milliseconds.rem_euclid(86_400_000);
    let (seconds, millis) = (time / 1000, time % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _infallible =
        if (0..=9999).contains(&year) { write!(out, "\"{year:04}") } else { write!(out, "\"{year:+07}") };
    let _infallible = write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z\"");
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counted in eras of 400 years that begin on the first of March, so that leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_era_zero = days + 719_468;
    let era = since_era_zero.div_euclid(146_097);
    let day_of_era = since_era_zero.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
