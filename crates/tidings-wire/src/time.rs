//! Moments as clients read and write them: ISO 8601 in UTC, to the millisecond.

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// A moment as text, such as `2026-11-21T21:45:00.000Z`, from milliseconds since 1970.
pub fn iso8601(at_ms: u64) -> String {
    let (days, rest) = (at_ms / DAY as u64, at_ms % DAY as u64);
    let (year, month, day) = civil(days as i64);
    let (hour, minute, second, milli) =
        (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Reads such a text; seconds and their parts may be left out, the `Z` may not.
///
/// `None` for what is no moment, or lies before 1970.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers::<3>(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] =
        numbers::<3>(&if clock.len() == 5 { format!("{clock}:00") } else { clock.into() }, ':')?;
    let milli = match fraction {
        "" => 0,
        digits if digits.len() <= 9 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{digits:0<3}")[..3].parse().ok()?
        }
        _ => return None,
    };
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let days = days(year as i64, month as i64, day as i64);
    // A day that the month does not have is another month's.
    if !fits || civil(days) != (year as i64, month as i64, day as i64) {
        return None;
    }
    Some(u64::try_from(days * DAY).ok()? + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli)
}

fn numbers<const COUNT: usize>(text: &str, between: char) -> Option<[u64; COUNT]> {
    let mut found = [0; COUNT];
    let mut parts = text.split(between);
    for (at, number) in found.iter_mut().enumerate() {
        let part = parts.next().filter(|part| part.len() == if between == '-' && at == 0 { 4 } else { 2 })?;
        *number = part.bytes().all(|digit| digit.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(found)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counted in eras of 400 years that begin on the first of March, so that leap days come last.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
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

/// The other way round.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_297_500_123, "2026-11-21T21:45:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!((iso8601(ms).as_str(), parse(text)), (text, Some(ms)));
        }
        assert_eq!(parse("2026-11-21T21:45Z"), Some(1_795_297_500_000));
        assert_eq!(parse("2026-11-21T21:45:00.5Z"), Some(1_795_297_500_500));
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T21:45:00",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "1969-12-31T00:00:00Z",
            "2026-11-21T21:45:00.Z1Z",
            "+026-11-21T21:45:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn known_times_are_written_as_they_should() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(iso8601(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso8601(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(iso8601(1_709_251_200_000), "2024-03-01T00:00:00.000Z");
        assert_eq!(iso8601(1_795_219_200_000), "2026-11-21T00:00:00.000Z");
        assert_eq!(iso8601(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
        assert_eq!(iso8601(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn the_last_time_that_can_be_told_is_told() {
        assert!(iso8601(u64::MAX).ends_with('Z'));
    }
}
