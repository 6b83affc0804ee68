//! Dates and times: checked, and brought to one spelling in which text sorts as time does.
//!
//! SQLite has no such types and keeps text. What goes in has the form of `CURRENT_TIMESTAMP`, with `Z` where
//! the column has a time zone; what comes out has a `T` between date and time.

use std::fmt::Write as _;

use jiff::civil;

use super::super::catalog::ColumnType;

/// Writes the one spelling of a date or time; `None` if it is none.
pub(super) fn write(out: &mut String, ty: &ColumnType, text: &str) -> Option<()> {
    out.clear();
    match ty {
        ColumnType::Date => {
            if text.contains(':') {
                return None;
            }
            if is_date(text.as_bytes()) {
                out.push_str(text);
            } else {
                write!(out, "{}", text.parse::<civil::Date>().ok()?).ok()?;
            }
        }
        ColumnType::Time => {
            if is_time(text.as_bytes()) {
                out.push_str(text);
            } else {
                write!(out, "{}", text.parse::<civil::Time>().ok()?).ok()?;
            }
        }
        _ => stamp(out, *ty == ColumnType::TimestampTz, text)?,
    }
    Some(())
}

/// Text with an offset is brought to UTC if the column has a time zone; else only the offset zero is taken.
fn stamp(out: &mut String, zoned: bool, text: &str) -> Option<()> {
    let bytes = text.as_bytes();
    let (civil, utc) = match bytes {
        [rest @ .., b'Z' | b'z'] => (rest, true),
        rest => (rest, false),
    };
    if let Some((date, [b'T' | b't' | b' ', time @ ..])) = civil.split_at_checked(10)
        && is_date(date)
        && is_time(time)
    {
        out.push_str(&text[..10]);
        out.push(' ');
        out.push_str(&text[11..text.len() - usize::from(utc)]);
    } else {
        let instant = text.parse::<jiff::Timestamp>().ok();
        let stamp = match instant {
            Some(instant) => {
                let here: civil::DateTime = text.parse().ok()?;
                let stamp = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
                if !zoned && stamp != here {
                    return None;
                }
                stamp
            }
            None => text.parse().ok()?,
        };
        let (date, time) = (stamp.date(), stamp.time());
        write!(out, "{date} {time}").ok()?;
    }
    if zoned {
        out.push('Z');
    }
    Some(())
}

/// The form in which a stamp is given to the caller.
pub(super) fn spell(text: &str, zoned: bool) -> Option<String> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix([' ', 'T'])?;
    if !is_date(date.as_bytes()) {
        return None;
    }
    let offset = time.ends_with(['Z', 'z']) || time.contains(['+', '-']);
    Some(format!("{date}T{time}{}", if zoned && !offset { "Z" } else { "" }))
}

fn two(text: &[u8]) -> Option<u8> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        _ => None,
    }
}

/// `YYYY-MM-DD`, a day that there is.
fn is_date(text: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return false };
    let (Some(century), Some(year)) = (two(&[*y1, *y2]), two(&[*y3, *y4])) else { return false };
    let (Some(month), Some(day)) = (two(&[*m1, *m2]), two(&[*d1, *d2])) else { return false };
    let leap = year.is_multiple_of(4) && (year != 0 || century.is_multiple_of(4));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day) && (century, year) != (0, 0)
}

/// `HH:MM:SS`, with up to nine digits of a fraction.
fn is_time(text: &[u8]) -> bool {
    let Some(([h1, h2, b':', m1, m2, b':', s1, s2], rest)) = text.split_at_checked(8) else { return false };
    let below = |digits: [u8; 2], limit| two(&digits).is_some_and(|value| value < limit);
    if !(below([*h1, *h2], 24) && below([*m1, *m2], 60) && below([*s1, *s2], 60)) {
        return false;
    }
    match rest {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
