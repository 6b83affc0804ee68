//! Dates and times: ISO text to PostgreSQL's counts from 2000-01-01, and back. The fixed forms are read
//! by hand, because a bulk load reads millions of them; every other form is left to `jiff`.

use std::io::Write as _;

const DAY: i64 = 86_400_000_000;
/// Days from 1970 to 2000.
const EPOCH: i64 = 10_957;
/// The first and the last day that PostgreSQL's timestamps know, counted from 2000.
const FIRST: i64 = -2_451_545;
const LAST_STAMP: i64 = 106_751_991;
const LAST_DATE: i64 = 2_145_031_948;

/// Days from 2000-01-01 of a date.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let (text, before_christ) = era(text);
    let days = match date(text.as_bytes(), before_christ) {
        Some((days, [])) => days,
        _ if before_christ => return None,
        _ => {
            let date: jiff::civil::Date =
                text.parse().ok().filter(|date: &jiff::civil::Date| date.year() > 0)?;
            days_from_civil(
                date.year().into(),
                date.month().unsigned_abs().into(),
                date.day().unsigned_abs().into(),
            )
        }
    };
    (FIRST..=LAST_DATE).contains(&days).then(|| i32::try_from(days).ok())?
}

/// Microseconds since midnight.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    match time(text.as_bytes()) {
        Some((micros, [])) => Some(micros),
        _ => {
            let time: jiff::civil::Time = text.parse().ok()?;
            Some(time.duration_since(jiff::civil::Time::midnight()).as_micros().try_into().ok()?)
        }
    }
}

/// Microseconds from 2000-01-01. With `zoned` an offset is applied, and text without one is UTC; else only
/// the offset zero is taken.
pub(super) fn parse_stamp(text: &str, zoned: bool) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, before_christ) = era(text);
    let micros = match fixed_stamp(text.as_bytes(), before_christ) {
        Some((micros, offset)) if zoned || offset == 0 => micros - offset * 1_000_000,
        Some(_) => return None,
        None if before_christ => return None,
        None => match text.parse::<jiff::Timestamp>() {
            Ok(stamp) if zoned => stamp.as_microsecond() - EPOCH * DAY,
            _ => {
                let stamp: jiff::civil::DateTime = text.parse().ok()?;
                if stamp.year() < 1 {
                    return None;
                }
                let utc = stamp.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                utc.timestamp().as_microsecond() - EPOCH * DAY
            }
        },
    };
    (FIRST * DAY..LAST_STAMP.checked_mul(DAY)?).contains(&micros).then_some(micros)
}

/// Takes ` BC` off.
fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// A stamp in microseconds as it is written, and its offset in seconds.
fn fixed_stamp(text: &[u8], before_christ: bool) -> Option<(i64, i64)> {
    let (days, rest) = date(text, before_christ)?;
    let ([b'T' | b't' | b' ', rest @ ..], false) = (rest, rest.is_empty()) else {
        // A date alone is its midnight.
        return rest.is_empty().then_some((days * DAY, 0));
    };
    let (micros, rest) = time(rest)?;
    let offset = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = two(rest)?;
            let (minutes, rest) = part(rest)?;
            let (seconds, rest) = part(rest)?;
            if !rest.is_empty() || hours > 15 || minutes > 59 || seconds > 59 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60 + seconds;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    Some((days.checked_mul(DAY)? + micros, offset))
}

/// `YYYY-MM-DD`, with up to seven digits of a year.
fn date(text: &[u8], before_christ: bool) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(4..=7).contains(&digits) {
        return None;
    }
    let mut year = 0;
    for digit in &text[..digits] {
        year = year * 10 + i64::from(digit - b'0');
    }
    let [b'-', rest @ ..] = &text[digits..] else { return None };
    let (month, rest) = two(rest)?;
    let [b'-', rest @ ..] = rest else { return None };
    let (day, rest) = two(rest)?;
    if year == 0 {
        return None;
    }
    let year = if before_christ { 1 - year } else { year };
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    Some((days_from_civil(year, month, day), rest))
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f`, in microseconds; what is finer is rounded.
fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hours, rest) = two(text)?;
    let [b':', rest @ ..] = rest else { return None };
    let (minutes, rest) = two(rest)?;
    let (mut seconds, mut micros, mut rest) = (0, 0, rest);
    if let [b':', after @ ..] = rest {
        (seconds, rest) = two(after)?;
        if let [b'.' | b',', after @ ..] = rest {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            for place in 0..6 {
                micros = micros * 10 + after[..digits].get(place).map_or(0, |digit| i64::from(digit - b'0'));
            }
            if digits > 6 && after[6] >= b'5' {
                micros += 1;
            }
            rest = &after[digits..];
        }
    }
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    (minutes < 60 && seconds <= 60 && total <= DAY).then_some((total, rest))
}

fn two(text: &[u8]) -> Option<(i64, &[u8])> {
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] = text else { return None };
    Some((i64::from(a - b'0') * 10 + i64::from(b - b'0'), rest))
}

/// Two digits with or without a colon before them, or the end.
fn part(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [] => Some((0, text)),
        [b':', rest @ ..] => two(rest),
        rest => two(rest),
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 2000-01-01 in the Gregorian calendar, reckoned backwards too; the year 0 is 1 BC.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468 - EPOCH
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A date as text.
pub(super) fn date_text(days: i32) -> String {
    match days {
        i32::MAX => return "infinity".to_owned(),
        i32::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = Vec::with_capacity(16);
    let before_christ = write_date(&mut out, days.into());
    finish(out, before_christ)
}

/// A time of day as text, with a fraction where there is one.
pub(super) fn time_text(micros: i64) -> String {
    let mut out = Vec::with_capacity(16);
    write_time(&mut out, micros);
    finish(out, false)
}

/// A stamp as RFC 3339 text, in UTC if `zoned`.
pub(super) fn stamp_text(micros: i64, zoned: bool) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = Vec::with_capacity(32);
    let before_christ = write_date(&mut out, micros.div_euclid(DAY));
    out.push(b'T');
    write_time(&mut out, micros.rem_euclid(DAY));
    if zoned {
        out.push(b'Z');
    }
    finish(out, before_christ)
}

fn finish(mut out: Vec<u8>, before_christ: bool) -> String {
    if before_christ {
        out.extend_from_slice(b" BC");
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Writes a date and says whether it is before Christ.
fn write_date(out: &mut Vec<u8>, days: i64) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    before_christ
}

fn write_time(out: &mut Vec<u8>, micros: i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let _ = write!(out, "{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60);
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_in_all_their_forms() {
        let base = parse_stamp("2024-05-01T10:00:00Z", true).unwrap();
        for text in [
            "2024-05-01 10:00:00",
            "2024-05-01T10:00",
            "2024-05-01t10:00:00.000z",
            "2024-05-01T12:00:00+02:00",
            "2024-05-01 12:00:00+02",
            "2024-05-01T04:30:00-0530",
            "2024-05-01T10:00:00,0000",
            "20240501T100000Z",
            "2024-05-01T10:00:00Z[UTC]",
        ] {
            assert_eq!(parse_stamp(text, true), Some(base), "{text}");
        }
        assert_eq!(stamp_text(base, true), "2024-05-01T10:00:00Z");
        assert_eq!(stamp_text(base + 1, false), "2024-05-01T10:00:00.000001");
        assert_eq!(parse_stamp("2024-05-01T10:00:00.0000005Z", true), Some(base + 1));
        for text in
            ["", "2024-02-30T00:00:00", "2024-5-1", "2024-05-01T25:00:00", "2024-05-01T10:00:00+2", "x"]
        {
            assert_eq!(parse_stamp(text, true), None, "{text}");
        }
        assert_eq!(parse_stamp("2024-05-01T10:00:00Z", false), Some(base));
        assert_eq!(parse_stamp("2024-05-01T10:00:00+02:00", false), None);
    }

    #[test]
    fn every_day_of_a_thousand_years_survives() {
        for days in -200_000..200_000 {
            let text = date_text(days);
            assert_eq!(parse_date(&text), Some(days), "{text}");
        }
        for text in ["infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-01-01", "0001-12-31 BC"]
        {
            assert_eq!(date_text(parse_date(text).unwrap()), text);
        }
        for text in ["4714-11-23 BC", "5874898-01-01", "0000-01-01", "2023-02-29"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn times_run_from_midnight_to_midnight() {
        assert_eq!(parse_time("00:00"), Some(0));
        assert_eq!(parse_time("24:00:00"), Some(DAY));
        assert_eq!(time_text(parse_time("23:59:59.999999").unwrap()), "23:59:59.999999");
        assert_eq!(parse_time("24:00:01"), None);
        assert_eq!(parse_time("12:60"), None);
    }
}
