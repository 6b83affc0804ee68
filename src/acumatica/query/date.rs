//! Dates and points in time as the ERP writes them: checked when made, so that a filter or a record
//! never carries half a date.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::scan::{Scanner, invalid};
use crate::{Error, ErrorKind, Result};

pub(super) const DAY: i64 = 86_400;

/// A day of the calendar, from year 1 to 9999.
///
/// Reads what the server writes for a date field, too, which up to contract 4 is a midnight
/// (`2024-01-31T00:00:00+00:00`): the day is taken as written.
///
/// ```
/// use batchcall::acumatica::Date;
///
/// let day = Date::parse("2024-02-29")?;
/// assert_eq!(day, Date::new(2024, 2, 29)?);
/// assert!(Date::new(2023, 2, 29).is_err());
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day by its parts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the calendar has no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self> {
        let date = Self { year, month, day };
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 || day > date.month_length()
        {
            return Err(invalid(&date.to_string(), "the calendar has no such day"));
        }
        Ok(date)
    }

    /// A day from `2024-01-31`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the text has another form or the calendar has no such day.
    pub fn parse(text: &str) -> Result<Self> {
        let mut scan = Scanner::new(text);
        let date = scan.date()?;
        scan.end()?;
        Ok(date)
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, January is 1.
    #[must_use]
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, the first is 1.
    #[must_use]
    pub fn day(self) -> u8 {
        self.day
    }

    /// The midnight, in UTC, with which this day begins.
    #[must_use]
    pub fn midnight(self) -> DateTime {
        DateTime { seconds: self.days_since_1970() * DAY, nanos: 0, offset_minutes: 0 }
    }

    fn month_length(self) -> u8 {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    // Howard Hinnant's "days from civil": years begin in March, so that the leap day comes last.
    pub(super) fn days_since_1970(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    fn from_days_since_1970(days: i64) -> Option<Self> {
        let days = days.checked_add(719_468)?;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?).ok()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .or_else(|error| lenient(&text).map(DateTime::date).ok_or(error))
            .map_err(|error| de::Error::custom(error.message()))
    }
}

/// A point in time with the offset it was written with.
///
/// Two are equal when they are the same instant, whatever their offsets.
///
/// ```
/// use batchcall::acumatica::DateTime;
///
/// let berlin = DateTime::parse("2024-01-31T10:00:00+02:00")?;
/// assert_eq!(berlin, DateTime::parse("2024-01-31T08:00:00Z")?);
/// assert_eq!(berlin.to_string(), "2024-01-31T10:00:00+02:00");
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct DateTime {
    /// Since 1970 in UTC.
    seconds: i64,
    nanos: u32,
    offset_minutes: i16,
}

impl DateTime {
    /// A point in time from `2024-01-31T10:00:00+02:00`, with a fraction of the second or without;
    /// `Z` is UTC.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the text has another form, names a time that no clock shows, or has
    /// no offset: without one it would mean another instant on every server.
    pub fn parse(text: &str) -> Result<Self> {
        let mut scan = Scanner::new(text);
        let (local, nanos) = scan.local()?;
        let Some(offset_minutes) = scan.offset()? else {
            return Err(invalid(text, "the offset is missing, write Z or one like +02:00"));
        };
        scan.end()?;
        let instant = Self { seconds: local - i64::from(offset_minutes) * 60, nanos, offset_minutes };
        Ok(instant)
    }

    /// The day on which it falls, at its own offset.
    #[must_use]
    pub fn date(self) -> Date {
        Date::from_days_since_1970(self.local_seconds().div_euclid(DAY)).unwrap_or(Date {
            year: 1,
            month: 1,
            day: 1,
        })
    }

    fn local_seconds(self) -> i64 {
        self.seconds + i64::from(self.offset_minutes) * 60
    }

    pub(crate) fn is_midnight(self) -> bool {
        self.local_seconds().rem_euclid(DAY) == 0 && self.nanos == 0
    }
}

/// What a server writes: `T` or a blank, offset or none (then UTC).
pub(crate) fn lenient(text: &str) -> Option<DateTime> {
    if let Ok(instant) = DateTime::parse(text) {
        return Some(instant);
    }
    let mut scan = Scanner::new(text);
    let (seconds, nanos) = scan.local().ok()?;
    scan.end().ok()?;
    Some(DateTime { seconds, nanos, offset_minutes: 0 })
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.local_seconds().rem_euclid(DAY);
        write!(f, "{}T{:02}:{:02}:{:02}", self.date(), second / 3600, second / 60 % 60, second % 60)?;
        if self.nanos != 0 {
            let fraction = format!("{:09}", self.nanos);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            0 => f.write_str("Z"),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DateTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<SystemTime> for DateTime {
    type Error = Error;

    /// The clock's time, in UTC.
    fn try_from(time: SystemTime) -> Result<Self> {
        let out_of_range = || Error::new(ErrorKind::Invalid, "the time is before 1970 or after 9999");
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| out_of_range())?;
        let seconds = i64::try_from(since.as_secs()).map_err(|_| out_of_range())?;
        Date::from_days_since_1970(seconds / DAY).ok_or_else(out_of_range)?;
        Ok(Self { seconds, nanos: since.subsec_nanos(), offset_minutes: 0 })
    }
}

impl PartialEq for DateTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DateTime {}

impl PartialOrd for DateTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DateTime {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

impl Hash for DateTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seconds, self.nanos).hash(state);
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_that_the_calendar_lacks_are_refused() {
        for text in ["2023-02-29", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00", "0000-01-01"] {
            assert_eq!(Date::parse(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
        for text in ["2024-1-31", "31.01.2024", "2024-01-31 ", "2024-01-31' or 1 eq 1", "", "2024-01-3é"] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
        assert!(Date::parse("2000-02-29").is_ok() && Date::parse("1900-02-29").is_err());
    }

    #[test]
    fn times_keep_fraction_and_offset() {
        let text = "2023-12-14T19:57:21.193+00:00";
        assert_eq!(DateTime::parse(text).unwrap().to_string(), "2023-12-14T19:57:21.193Z");
        let west = DateTime::parse("2024-01-01T00:30:00-09:30").unwrap();
        assert_eq!(west.to_string(), "2024-01-01T00:30:00-09:30");
        assert_eq!(west.date(), Date::new(2024, 1, 1).unwrap());
        assert!(west > DateTime::parse("2024-01-01T09:59:59Z").unwrap());
    }

    #[test]
    fn a_time_without_an_offset_is_refused_with_advice() {
        let error = DateTime::parse("2024-01-31T10:00:00").unwrap_err();
        assert!(error.message().contains("offset"), "{error}");
        for text in ["2024-01-31T24:00:00Z", "2024-01-31T10:60:00Z", "2024-01-31T10:00:00+15:00", "x"] {
            assert!(DateTime::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_clock_becomes_a_time() {
        let time = UNIX_EPOCH + std::time::Duration::from_millis(951_782_400_250);
        assert_eq!(DateTime::try_from(time).unwrap().to_string(), "2000-02-29T00:00:00.25Z");
    }

    #[test]
    fn a_date_reads_the_midnight_that_servers_send() {
        let date: Date = serde_json::from_str("\"2024-01-31T00:00:00+00:00\"").unwrap();
        assert_eq!(date.to_string(), "2024-01-31");
        assert!(serde_json::from_str::<Date>("\"soon\"").is_err());
    }

    proptest! {
        #[test]
        fn days_count_up_and_back(days in -719_162_i64..=2_932_896) {
            let date = Date::from_days_since_1970(days).unwrap();
            prop_assert_eq!(date.days_since_1970(), days);
            prop_assert_eq!(Date::parse(&date.to_string()).unwrap(), date);
        }

        #[test]
        fn times_print_as_they_were_read(
            seconds in -60_000_000_000_i64..250_000_000_000, nanos in 0_u32..1_000_000_000, offset in -840_i16..=840,
        ) {
            let time = DateTime { seconds, nanos, offset_minutes: offset };
            let back = DateTime::parse(&time.to_string()).unwrap();
            prop_assert_eq!((back.seconds, back.nanos, back.offset_minutes), (seconds, nanos, offset));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Date::parse(&text);
            let _ = DateTime::parse(&text);
            let _ = lenient(&text);
        }
    }
}
