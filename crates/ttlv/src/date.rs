//! Moments in RFC 3339's spelling.
//!
//! Must not know what time it is.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "every operand was checked to be the part of a date between the years 0 and 9999"
)]

const DAY: i64 = 86_400;
/// The seconds that four digits of a year can spell.
const SPELLED: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
const MICROSECONDS: i64 = 1_000_000;

/// Writes `2026-11-24T03:46:50Z`; false, and nothing written, if the year has not four digits.
pub(crate) fn encode(seconds: i64, out: &mut Vec<u8>) -> bool {
    let spelled = digits(seconds, out);
    if spelled {
        out.push(b'Z');
    }
    spelled
}

/// Writes `2026-11-24T03:46:50.123456Z`; false, and nothing written, if the year has not four
/// digits.
pub(crate) fn encode_extended(microseconds: i64, out: &mut Vec<u8>) -> bool {
    let spelled = digits(microseconds.div_euclid(MICROSECONDS), out);
    if spelled {
        let fraction = microseconds.rem_euclid(MICROSECONDS);
        out.push(b'.');
        two(fraction / 10_000, out);
        two(fraction / 100 % 100, out);
        two(fraction % 100, out);
        out.push(b'Z');
    }
    spelled
}

fn digits(seconds: i64, out: &mut Vec<u8>) -> bool {
    if !SPELLED.contains(&seconds) {
        return false;
    }
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    two(year / 100, out);
    two(year % 100, out);
    for (mark, part) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        two(part, out);
    }
    true
}

fn two(number: i64, out: &mut Vec<u8>) {
    let digit = |it: i64| b'0' + u8::try_from(it % 10).unwrap_or_default();
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

/// Seconds and microseconds since the Unix epoch. Digits beyond the sixth of a fraction are
/// dropped; the zone must be given.
pub(crate) fn decode(text: &str) -> Option<(i64, i64)> {
    let (date, rest) = text.as_bytes().split_first_chunk::<19>()?;
    #[rustfmt::skip]
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] =
        *date
    else {
        return None;
    };
    let year = parse2(y1, y2)? * 100 + parse2(y3, y4)?;
    let (month, day) = (parse2(m1, m2)?, parse2(d1, d2)?);
    let (hour, minute, second) = (parse2(h1, h2)?, parse2(n1, n2)?, parse2(s1, s2)?);
    // 60 is a leap second, which Unix time counts as the next.
    if !(1..=12).contains(&month)
        || !(1..=month_length(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some((local - offset(zone)?, fraction))
}

/// Seconds as microseconds, if there are not too many.
pub(crate) fn microseconds((seconds, fraction): (i64, i64)) -> Option<i64> {
    seconds.checked_mul(MICROSECONDS)?.checked_add(fraction)
}

fn parse2(tens: u8, ones: u8) -> Option<i64> {
    let digit = |it: u8| it.is_ascii_digit().then(|| i64::from(it - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// The microseconds that `rest` begins with, and what follows them.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', rest @ ..] = rest else {
        return Some((0, rest));
    };
    let length = rest.iter().take_while(|it| it.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(length)?;
    if digits.is_empty() {
        return None;
    }
    let mut value = 0;
    for place in 0..6 {
        value = value * 10 + digits.get(place).map_or(0, |it| i64::from(it - b'0'));
    }
    Some((value, rest))
}

/// How many seconds the zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [b'Z' | b'z'] => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (sign, parse2(h1, h2)?, parse2(m1, m2)?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * 3600 + minutes * 60;
    Some(if sign == b'-' { -ahead } else { ahead })
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the Unix epoch to a date of the Gregorian calendar. Years are counted from March, so
/// that the leap day is the last, and in eras of 400 years, after which the calendar repeats.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days`]: year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(seconds: i64) -> Option<String> {
        let mut out = Vec::new();
        encode(seconds, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_205_495_800, "2008-03-14T11:56:40Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (*SPELLED.start(), "0000-01-01T00:00:00Z"),
            (*SPELLED.end(), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(spelled(seconds).as_deref(), Some(text));
            assert_eq!(decode(text), Some((seconds, 0)));
        }
        assert_eq!(spelled(SPELLED.start() - 1), None);
        assert_eq!(spelled(SPELLED.end() + 1), None);
        assert_eq!(spelled(i64::MIN), None);
    }

    #[test]
    fn every_day_survives() {
        for day in -719_528..2_932_897 {
            let (year, month, of_month) = civil(day);
            assert!((1..=month_length(year, month)).contains(&of_month));
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn zones_and_fractions() {
        assert_eq!(decode("2001-01-01T10:00:00+10:00"), Some((978_307_200, 0)));
        assert_eq!(decode("2000-12-31T14:30:00-0930"), Some((978_307_200, 0)));
        assert_eq!(decode("1970-01-01T00:00:01.5Z"), Some((1, 500_000)));
        assert_eq!(decode("1970-01-01T00:00:01.1234569z"), Some((1, 123_456)));
        assert_eq!(decode("1969-12-31T23:59:60Z"), Some((0, 0)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "2001-01-01",
            "2001-01-01T10:00:00",
            "2001-01-01T10:00:00.Z",
            "2001-01-01T10:00:00ZZ",
            "2001-13-01T10:00:00Z",
            "2001-02-29T10:00:00Z",
            "2001-00-01T10:00:00Z",
            "2001-01-00T10:00:00Z",
            "2001-01-01T24:00:00Z",
            "2001-01-01T10:60:00Z",
            "2001-01-01T10:00:61Z",
            "2001-01-01T10:00:00+24:00",
            "2001-01-01T10:00:00+1:00",
            "+001-01-01T10:00:00Z",
            "2001-01-01 10:00:00Z",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
