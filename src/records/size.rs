//! How many records go in one request.

use std::time::Duration;

use super::load::Sample;
use crate::error::{Error, ErrorKind};

/// How many records go in one request.
///
/// ```
/// use batchcall::BatchSize;
///
/// assert_eq!(BatchSize::default(), BatchSize::Fixed(100));
/// assert_eq!(BatchSize::from(500), BatchSize::Fixed(500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchSize {
    /// This many, and fewer where the store takes fewer; 0 is refused.
    Fixed(usize),
    /// 100: complex records.
    Small,
    /// 500: most records.
    Medium,
    /// 1,000: simple records.
    Large,
    /// 5,000: very simple records.
    XLarge,
    /// As many as the server answers within a second: begins with 100, grows while requests are fast, at
    /// most eightfold at a time, and halves when one times out, is too large for the server (HTTP 413, 504)
    /// or takes more than ten seconds; from then on it grows by a quarter, and seldom to what was too large.
    /// Never more than the store takes, in records and in bytes. The last requests are smaller, so that all
    /// sessions finish together.
    Auto,
}

impl BatchSize {
    /// The number; `None` for [`BatchSize::Auto`].
    ///
    /// ```
    /// use batchcall::BatchSize;
    ///
    /// assert_eq!(BatchSize::Large.fixed(), Some(1000));
    /// assert_eq!(BatchSize::Auto.fixed(), None);
    /// ```
    #[must_use]
    pub fn fixed(self) -> Option<usize> {
        match self {
            Self::Fixed(records) => Some(records),
            Self::Small => Some(100),
            Self::Medium => Some(500),
            Self::Large => Some(1000),
            Self::XLarge => Some(5000),
            Self::Auto => None,
        }
    }
}

impl Default for BatchSize {
    fn default() -> Self {
        Self::Fixed(100)
    }
}

impl From<usize> for BatchSize {
    fn from(records: usize) -> Self {
        Self::Fixed(records)
    }
}

/// Where [`BatchSize::Auto`] begins.
const FIRST: usize = 100;

/// Where it ends, if the store has no limit: the server's time per record does not fall any more.
const MOST: usize = 10_000;

/// A request that takes less is fast: there is room for more records.
const FAST: Duration = Duration::from_secs(1);

/// A request that takes more comes too close to the limits of servers and proxies.
const SLOW: Duration = Duration::from_secs(10);

/// It grows at most so many times at once: the first requests are few records, and tell little of many.
const LEAP: f64 = 8.0;

/// So many answers after a request that was too large it tries a larger one than its ceiling.
const CALM: u32 = 10;

/// The state of [`BatchSize::Auto`]. Time comes from outside.
#[derive(Debug, Clone)]
pub(crate) struct AutoSize {
    size: usize,
    most: usize,
    /// Until the first setback it grows by leaps.
    leaping: bool,
    /// What a request that was too large leaves to grow to.
    ceiling: usize,
    /// How many answers there were since at the ceiling.
    calm: u32,
    /// The time for a record, by the last answer; a request's own time included.
    pace: Duration,
}

impl AutoSize {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let most = limit.unwrap_or(MOST).clamp(1, MOST);
        Self { size: FIRST.min(most), most, leaping: true, ceiling: most, calm: 0, pace: Duration::ZERO }
    }

    /// How many records to put in the next request.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// What the requests tell that a chunk took.
    pub(crate) fn learn(&mut self, samples: &[Sample]) {
        for sample in samples.iter().filter(|sample| sample.records > 0) {
            match &sample.error {
                // Those that follow are of a search for bad or long records.
                None => return self.answered(sample.records, sample.took),
                Some(error) => self.failed(sample.records, error),
            }
        }
    }

    /// A request with so many records was answered after that time.
    fn answered(&mut self, records: usize, took: Duration) {
        self.pace = took / u32::try_from(records).unwrap_or(u32::MAX).max(1);
        if took > SLOW {
            self.set_back(records);
        } else if took < FAST && records == self.size {
            // Any other one was cut before the last change, or is a rest: it says nothing about this size.
            let room = FAST.div_duration_f64(took.max(Duration::from_nanos(1))).min(LEAP);
            let quarter = self.size + self.size.div_ceil(4);
            let grown = if self.leaping { times(self.size, room) } else { quarter };
            if grown > self.ceiling {
                self.calm += 1;
                if self.calm == CALM {
                    // It may have been one long record.
                    (self.ceiling, self.calm) = (quarter.min(self.most), 0);
                }
            }
            self.size = grown.min(self.ceiling).max(self.size);
        }
    }

    /// How many records to put in the next request, so that all sessions finish together: of those that are
    /// left, and those that are under way, an equal part. Never so few that requests are all it costs.
    pub(crate) fn share(&self, left: usize, under_way: usize, sessions: usize) -> usize {
        self.size.min((left + under_way).div_ceil(sessions.max(1)).max(FIRST))
    }

    /// How many records of a request that was sent so long ago are still to be done.
    pub(crate) fn still_to_do(&self, records: usize, since: Duration) -> usize {
        if self.pace.is_zero() {
            return records;
        }
        records.saturating_sub(times(1, since.div_duration_f64(self.pace)))
    }

    /// A request with so many records failed.
    fn failed(&mut self, records: usize, error: &Error) {
        if is_too_large(error) {
            // What is a little smaller would be too large again, a few records on.
            (self.ceiling, self.calm) = (self.ceiling.min(records - records.div_ceil(4)).max(1), 0);
            self.set_back(records);
        } else if error.kind() == ErrorKind::Timeout || error.status() == Some(504) {
            self.set_back(records);
        }
    }

    fn set_back(&mut self, records: usize) {
        // Half of what was too much; others of that size, on their way at the same time, change nothing.
        self.size = self.size.min(records / 2).max(1);
        self.leaping = false;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rounded down"
)]
fn times(records: usize, factor: f64) -> usize {
    (records as f64 * factor) as usize
}

/// Whether the server took nothing of a request because it was too large.
pub(crate) fn is_too_large(error: &Error) -> bool {
    error.status() == Some(413) && !error.is_in_doubt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUICK: Duration = Duration::from_millis(100);

    fn too_large() -> Error {
        Error::new(ErrorKind::Rejected, "").with_status(413)
    }

    /// The sizes of one request after the other on a server that takes so long for each and for a record.
    fn sizes(auto: &mut AutoSize, requests: usize, latency: Duration, row: Duration) -> Vec<usize> {
        let sent = |_| {
            let size = auto.size();
            auto.answered(size, latency + row * u32::try_from(size).unwrap());
            size
        };
        (0..requests).map(sent).collect()
    }

    #[test]
    fn it_leaps_to_a_second_of_the_servers_time_and_stays_there() {
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        for (latency, row, steps) in [
            // 230 ms, then nearly a second.
            (ms(30), ms(2), &[100, 434, 483, 484, 484][..]),
            (ms(30), us(300), &[100, 800, 2962, 3224, 3233]),
            // Nothing tells it to stop before its limit.
            (ms(1), us(1), &[100, 800, 6400, 10_000, 10_000]),
            // Too slow to grow, and not so slow that it would shrink.
            (ms(30), ms(20), &[100, 100, 100]),
        ] {
            assert_eq!(sizes(&mut AutoSize::new(None), steps.len(), latency, row), steps);
        }
        assert_eq!(sizes(&mut AutoSize::new(Some(250)), 3, ms(1), us(1)), [100, 250, 250]);
    }

    #[test]
    fn after_a_setback_it_grows_by_a_quarter() {
        let mut auto = AutoSize::new(None);
        auto.answered(100, QUICK);
        auto.failed(800, &Error::new(ErrorKind::Timeout, ""));
        assert_eq!(sizes(&mut auto, 4, QUICK, Duration::ZERO), [400, 500, 625, 782]);
    }

    #[test]
    fn it_seldom_grows_to_what_was_too_large() {
        // The server takes 990 records.
        let mut auto = AutoSize::new(None);
        let mut refused = 0;
        for _ in 0..100 {
            let size = auto.size();
            if size > 990 {
                refused += 1;
                auto.failed(size, &too_large());
            } else {
                auto.answered(size, QUICK);
            }
        }
        assert!(refused <= 10, "{refused}");
        assert!((500..=990).contains(&auto.size()), "{}", auto.size());
        // It was a long record, and is over.
        auto.failed(2, &too_large());
        assert_eq!(auto.size(), 1);
        let grown = sizes(&mut auto, 200, QUICK, Duration::ZERO);
        assert!(grown[199] > 100, "{grown:?}");
    }

    #[test]
    fn the_last_records_are_shared_among_the_sessions() {
        let mut auto = AutoSize::new(None);
        assert_eq!(auto.share(20_000, 0, 5), 100);
        auto.answered(100, QUICK);
        assert_eq!((auto.size(), auto.share(20_000, 0, 5)), (800, 800));
        // All five are free, and take the same part.
        assert_eq!(auto.share(3_000, 0, 5), 600);
        assert_eq!(auto.share(2_400, 600, 5), 600);
        assert_eq!(auto.share(600, 2_400, 5), 600);
        // Not so few that requests are all that it costs.
        assert_eq!(auto.share(150, 0, 5), 100);
        // One session takes what it can.
        assert_eq!(auto.share(700, 0, 1), 700);
    }

    #[test]
    fn what_is_under_way_is_done_as_fast_as_the_last_request_was() {
        let mut auto = AutoSize::new(None);
        let ms = Duration::from_millis;
        assert_eq!(auto.still_to_do(500, ms(100)), 500);
        auto.answered(100, ms(100));
        assert_eq!(auto.still_to_do(500, ms(0)), 500);
        assert_eq!(auto.still_to_do(500, ms(200)), 300);
        assert_eq!(auto.still_to_do(500, ms(900)), 0);
    }

    #[test]
    fn chunks_of_one_size_that_fail_together_halve_it_once() {
        let mut auto = AutoSize::new(None);
        for _ in 0..5 {
            auto.failed(100, &Error::new(ErrorKind::Timeout, ""));
        }
        assert_eq!(auto.size(), 50);
        for _ in 0..5 {
            auto.failed(100, &Error::new(ErrorKind::Rejected, "").with_status(422));
        }
        assert_eq!(auto.size(), 50);
    }

    #[test]
    fn chunks_of_one_size_that_are_fast_together_let_it_grow_once() {
        let mut auto = AutoSize::new(None);
        for _ in 0..5 {
            auto.answered(100, QUICK);
        }
        assert_eq!(auto.size(), 800);
    }

    #[test]
    fn a_slow_answer_and_a_504_halve_it_and_one_in_between_leaves_it() {
        let mut auto = AutoSize::new(None);
        auto.answered(100, Duration::from_secs(5));
        assert_eq!(auto.size(), 100);
        auto.answered(100, Duration::from_secs(11));
        assert_eq!(auto.size(), 50);
        auto.failed(50, &Error::new(ErrorKind::Unavailable, "").with_status(504));
        assert_eq!(auto.size(), 25);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_limit(
            limit in prop::option::of(0_usize..20_000),
            steps in prop::collection::vec((0_u64..20, any::<bool>(), 0_usize..20_000), 0..60),
        ) {
            let mut auto = AutoSize::new(limit);
            for (seconds, fails, records) in steps {
                if fails {
                    auto.failed(records, &too_large());
                } else {
                    auto.answered(auto.size(), Duration::from_secs(seconds));
                }
                prop_assert!(auto.size() >= 1 && auto.size() <= limit.unwrap_or(MOST).max(1));
                let share = auto.share(records, records / 2, 5);
                prop_assert!(share >= 1 && share <= auto.size());
            }
        }
    }
}
