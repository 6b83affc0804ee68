//! `Retry-After`: seconds or a date, read against the server's own clock.

use std::time::{Duration, SystemTime};

/// The wait that a `Retry-After` asks for; `None` when it is neither seconds nor a date.
///
/// A date is compared with the answer's own `Date`, so that a clock that differs from the server's
/// does no harm; `now` is used only where the answer has none. A date that has passed is no wait.
pub(super) fn parse(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds: for ever.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn seconds(value: &str, date: Option<&str>) -> Option<u64> {
        parse(value, date, SystemTime::UNIX_EPOCH).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(seconds("2", None), Some(2));
        assert_eq!(seconds(" 120 ", None), Some(120));
        assert_eq!(seconds("0", None), Some(0));
        assert_eq!(seconds("1000000000", None), Some(1_000_000_000));
        assert_eq!(seconds(&"9".repeat(40), None), Some(u64::MAX));
    }

    #[test]
    fn a_date_is_read_against_the_date_of_the_answer() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT", Some(DATE)), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT", Some(DATE)), Some(0));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:05 GMT", None), Some(5));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:05 GMT", Some("garbage")), Some(5));
    }

    #[test]
    fn garbage_is_no_wait() {
        for garbage in ["", "-1", "1.5", "soon", "1e9", "+3", "2 s", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(seconds(garbage, None), None, "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(value in ".*", date in proptest::option::of(".*")) {
            let _ = parse(&value, date.as_deref(), SystemTime::now());
        }
    }
}
