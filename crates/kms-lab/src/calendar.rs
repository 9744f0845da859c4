//! Moments as the XML encoding spells them, written here a second time so that the codec under
//! test is not its own judge.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, now.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2024-01-01T00:00:00+00:00`.
pub(crate) fn spell(moment: i64) -> String {
    let (days, seconds) = (moment.div_euclid(86_400), moment.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

/// Reads what [`spell`] writes, with any offset, `Z`, and fractions, which are dropped.
pub(crate) fn read(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let clock = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let zone = text.get(19..)?.trim_start_matches(|one: char| one == '.' || one.is_ascii_digit());
    let offset = match zone.as_bytes() {
        [] | b"Z" => 0,
        [sign, rest @ ..] => {
            let rest = std::str::from_utf8(rest).ok()?;
            let (hours, minutes) = rest.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
    };
    Some(days * 86_400 + clock - offset)
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March, so that the leap day
/// is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{read, spell};

    #[test]
    fn moments_are_read_as_they_are_spelt() {
        for (moment, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (1_709_164_800, "2024-02-29T00:00:00+00:00"),
            (951_782_399, "2000-02-28T23:59:59+00:00"),
            (-1, "1969-12-31T23:59:59+00:00"),
        ] {
            assert_eq!(spell(moment), text);
            assert_eq!(read(text), Some(moment));
        }
        assert_eq!(read("2012-04-27T10:12:21.5+02:00"), read("2012-04-27T08:12:21Z"));
    }
}
