//! Times as people write them: a date, an RFC 3339 time, or how long from now.
//!
//! It must not know what ends or begins at one.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::error::Error;

/// What a number may be followed by, and how many seconds that is.
const UNITS: [(char, i64); 4] = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

/// A time that is still to come, in whole seconds.
pub(crate) fn later(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let time = time(text.trim(), now).ok_or_else(|| {
        Error::usage(format!("{text:?} is no time")).hint(
            "write a date (2030-01-31: from its first second on, in UTC), a time \
             (2030-01-31T12:00:00Z), or how long from now (30m, 12h, 90d, 4w)",
        )
    })?;
    if time <= now {
        return Err(Error::usage(format!("{} is over", shown(time)))
            .hint("name a time that is still to come"));
    }
    Ok(time)
}

/// A time as it is shown and sent: RFC 3339, in UTC, in whole seconds.
pub(crate) fn shown(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(seconds) = seconds(text) {
        return Timestamp::from_second(now.as_second().checked_add(seconds)?).ok();
    }
    // jiff takes any time for a date, and leaves out what follows.
    if text.len() == "2030-01-31".len() {
        let date: Date = text.parse().ok()?;
        return TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok();
    }
    let time: Timestamp = text.parse().ok()?;
    Timestamp::from_second(time.as_second()).ok()
}

/// `90d`, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (unit, size) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count = text.strip_suffix(unit)?;
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    count.parse::<i64>().ok()?.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let now: Timestamp = "2029-12-31T23:00:00.5Z".parse().unwrap();
        for (text, expected) in [
            ("30m", "2029-12-31T23:30:00Z"),
            ("12h", "2030-01-01T11:00:00Z"),
            ("90d", "2030-03-31T23:00:00Z"),
            ("1w", "2030-01-07T23:00:00Z"),
            ("2030-01-31", "2030-01-31T00:00:00Z"),
            ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
            ("2030-01-31T12:00:00.75Z", "2030-01-31T12:00:00Z"),
            (" 2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00Z"),
        ] {
            assert_eq!(later(text, now).map(shown).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_to_come_is_refused() {
        let now: Timestamp = "2029-12-31T23:00:00Z".parse().unwrap();
        for text in [
            "",
            "d",
            "0d",
            "-1d",
            "1.5h",
            "90",
            "90x",
            "9223372036854775807w",
            "99999999999999d",
            "tomorrow",
            "2030-02-30",
            "2030-01-31T12:00:00",
            "2029-12-31",
            "2029-12-31T23:00:00Z",
        ] {
            assert!(later(text, now).is_err(), "{text}");
        }
    }
}
