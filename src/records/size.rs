//! How many records go in one request.

use std::time::Duration;

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
    /// As many as the server answers within a second: begins with 100, doubles while requests are fast,
    /// and halves when one times out, is too large for the server (HTTP 413, 504) or takes more than ten
    /// seconds; from then on it grows by a quarter. Never more than the store takes, in records and in
    /// bytes.
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

/// The state of [`BatchSize::Auto`]. Time comes from outside.
#[derive(Debug, Clone)]
pub(crate) struct AutoSize {
    size: usize,
    most: usize,
    /// Until the first setback the size doubles.
    doubling: bool,
}

impl AutoSize {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let most = limit.unwrap_or(MOST).clamp(1, MOST);
        Self { size: FIRST.min(most), most, doubling: true }
    }

    /// How many records to put in the next request.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A request with so many records was answered after that time.
    pub(crate) fn answered(&mut self, records: usize, took: Duration) {
        if took > SLOW {
            self.set_back(records);
        } else if took < FAST && records == self.size {
            // Any other one was cut before the last change, or is a rest: it says nothing about this size.
            let grown = if self.doubling { self.size * 2 } else { self.size + self.size.div_ceil(4) };
            self.size = grown.min(self.most);
        }
    }

    /// A request with so many records failed.
    pub(crate) fn failed(&mut self, records: usize, error: &Error) {
        if is_too_large(error) || error.kind() == ErrorKind::Timeout || error.status() == Some(504) {
            self.set_back(records);
        }
    }

    fn set_back(&mut self, records: usize) {
        // Half of what was too much; others of that size, on their way at the same time, change nothing.
        self.size = self.size.min(records / 2).max(1);
        self.doubling = false;
    }
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

    #[test]
    fn it_doubles_until_a_setback_and_then_grows_by_a_quarter() {
        let mut auto = AutoSize::new(None);
        let mut sizes = vec![auto.size()];
        for _ in 0..3 {
            auto.answered(auto.size(), QUICK);
            sizes.push(auto.size());
        }
        auto.failed(800, &too_large());
        sizes.push(auto.size());
        auto.answered(400, QUICK);
        sizes.push(auto.size());
        assert_eq!(sizes, [100, 200, 400, 800, 400, 500]);
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
    fn chunks_of_one_size_that_are_fast_together_double_it_once() {
        let mut auto = AutoSize::new(None);
        for _ in 0..5 {
            auto.answered(100, QUICK);
        }
        assert_eq!(auto.size(), 200);
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
            }
        }
    }
}
