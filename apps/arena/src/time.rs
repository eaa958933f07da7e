//! Moments as clients read and write them: ISO 8601 in UTC, to the millisecond.

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// A moment as text, such as `2026-11-21T21:45:00.000Z`.
pub fn iso(ms: u64) -> String {
    let (days, rest) = (ms / DAY, ms % DAY);
    let (year, month, day) = date(days as i64);
    let (hour, minute, second, milli) =
        (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Reads such a text; seconds and their parts may be left out, the `Z` may not.
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
    if !fits || date_of(days) != (year, month, day) {
        return None;
    }
    Some(u64::try_from(days).ok()? * DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli)
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

fn date_of(days: i64) -> (u64, u64, u64) {
    let (year, month, day) = date(days);
    (year as u64, month, day)
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar, by years that begin in March.
fn date(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u64, day as u64)
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
            assert_eq!((iso(ms).as_str(), parse(text)), (text, Some(ms)));
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
}
