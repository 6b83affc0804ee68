//! How far a batch has come, for the person who waits.

use std::time::Duration;

/// How far a batch has come.
///
/// Counts never fall, and the last one that a callback sees is exact. A call that never ran is not
/// completed.
///
/// ```
/// use batchcall::Progress;
/// use std::time::Duration;
///
/// let progress =
///     Progress { completed: 30, succeeded: 29, failed: 1, total: 120, elapsed: Duration::from_secs(10) };
/// assert_eq!(progress.rate(), 3.0);
/// assert_eq!(progress.eta(), Some(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Calls that ran to their end: succeeded and failed together.
    pub completed: usize,
    /// Calls that returned `Ok`.
    pub succeeded: usize,
    /// Calls that failed, those in doubt among them.
    pub failed: usize,
    /// All calls of the batch.
    pub total: usize,
    /// Time since the batch began.
    pub elapsed: Duration,
}

impl Progress {
    /// Calls completed in a second, so far; 0 before the first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.completed as f64 / seconds } else { 0.0 }
    }

    /// The time left at the rate so far; `None` before the first call is completed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    pub fn eta(&self) -> Option<Duration> {
        let rate = self.rate();
        let left = self.total.saturating_sub(self.completed) as f64;
        if rate > 0.0 { Duration::try_from_secs_f64(left / rate).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_divided_by_zero() {
        let none = Progress::default();
        assert_eq!((none.rate(), none.eta()), (0.0, None));
    }
}
