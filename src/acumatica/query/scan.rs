//! Reading dates and times: fixed forms, strictly.

use super::date::{DAY, Date};
use crate::{Error, ErrorKind, Result};

/// Reads fixed forms from the front of a text.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
    text: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), text }
    }

    pub(super) fn date(&mut self) -> Result<Date> {
        let year = self.number(4)?;
        self.byte(b"-")?;
        let month = self.number(2)?;
        self.byte(b"-")?;
        let day = self.number(2)?;
        // Two digits fit a byte, four a u16.
        let narrow = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
        Date::new(u16::try_from(year).unwrap_or(u16::MAX), narrow(month), narrow(day))
    }

    /// Seconds since 1970 as if the clock showed UTC, and the nanoseconds.
    pub(super) fn local(&mut self) -> Result<(i64, u32)> {
        let date = self.date()?;
        self.byte(b"Tt ")?;
        let hour = self.number(2)?;
        self.byte(b":")?;
        let minute = self.number(2)?;
        let mut second = 0;
        if self.rest.first() == Some(&b':') {
            self.byte(b":")?;
            second = self.number(2)?;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(invalid(self.text, "no clock shows this time"));
        }
        let nanos = if self.rest.first() == Some(&b'.') { self.fraction()? } else { 0 };
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Ok((date.days_since_1970() * DAY + of_day, nanos))
    }

    fn fraction(&mut self) -> Result<u32> {
        self.byte(b".")?;
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return Err(invalid(self.text, "a second has one to nine digits after the point"));
        }
        let scale = u32::try_from(9 - digits).unwrap_or(0);
        Ok(self.number(digits)? * 10_u32.pow(scale))
    }

    pub(super) fn offset(&mut self) -> Result<Option<i16>> {
        let sign = match self.rest.first() {
            Some(b'Z' | b'z') => {
                self.rest = &self.rest[1..];
                return Ok(Some(0));
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Ok(None),
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2)?;
        self.byte(b":")?;
        let minutes = self.number(2)?;
        if hours > 14 || minutes > 59 {
            return Err(invalid(self.text, "no place on earth has this offset"));
        }
        Ok(i16::try_from(hours * 60 + minutes).ok().map(|minutes| sign * minutes))
    }

    fn number(&mut self, digits: usize) -> Result<u32> {
        let (number, rest) = match self.rest.split_at_checked(digits) {
            Some((number, rest)) if number.iter().all(u8::is_ascii_digit) => (number, rest),
            _ => return Err(invalid(self.text, "it must look like 2024-01-31 or 2024-01-31T10:00:00Z")),
        };
        self.rest = rest;
        Ok(number.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    fn byte(&mut self, allowed: &[u8]) -> Result<()> {
        match self.rest.split_first() {
            Some((byte, rest)) if allowed.contains(byte) => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(invalid(self.text, "it must look like 2024-01-31 or 2024-01-31T10:00:00Z")),
        }
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(invalid(self.text, "something follows it")) }
    }
}

pub(super) fn invalid(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{text:?} is not a date: {why}"))
}
