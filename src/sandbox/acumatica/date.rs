//! Dates as Acumatica writes and reads them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, with milliseconds: `2023-12-14T19:57:21.193+00:00` (recorded traffic 2023).
pub(in crate::sandbox) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    write(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Today, as a date field holds it: `T00:00:00+00:00` (recorded traffic 2023).
pub(super) fn today() -> String {
    format!("{}T00:00:00+00:00", &now()[..10])
}

fn write(millis: i64) -> String {
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}+00:00", rest % 1000)
}

/// Milliseconds since 1970 of a date, or date and time, with or without offset; UTC without.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut millis = days(year, month, day) * 86_400_000;
    if let Some(time) = time {
        let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
            Some(at) => time.split_at(at),
            None => (time, ""),
        };
        let mut parts = clock.split(':');
        let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
        let (second, fraction) = parts.next().map_or(("0", ""), |s| s.split_once('.').unwrap_or((s, "")));
        let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
        millis += hour * 3_600_000 + minute * 60_000 + number(second)? * 1000 + number(&fraction)?;
        if let Some(sign) = offset.chars().next().filter(|c| matches!(c, '+' | '-')) {
            let (hours, minutes) = offset[1..].split_once(':')?;
            let shift = number(hours)? * 3_600_000 + number(minutes)? * 60_000;
            millis += if sign == '+' { -shift } else { shift };
        }
    }
    Some(millis)
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

// Days from and to the civil calendar, after Howard Hinnant's algorithms.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_written_is_read_again() {
        for millis in [0, 951_782_400_123, 1_702_583_841_193, 4_107_542_399_999] {
            assert_eq!(parse(&write(millis)), Some(millis));
        }
        assert_eq!(write(1_702_583_841_193), "2023-12-14T19:57:21.193+00:00");
    }

    #[test]
    fn offsets_are_heeded() {
        assert_eq!(parse("2023-12-14T21:57:21+02:00"), parse("2023-12-14T19:57:21Z"));
        assert_eq!(parse("2023-12-14"), parse("2023-12-14T00:00:00+00:00"));
        assert_eq!(parse("yesterday"), None);
    }
}
