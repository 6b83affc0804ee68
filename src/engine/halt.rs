//! When failures end a batch.

use std::sync::atomic::{AtomicU64, Ordering};

use super::outcome::Status;
use super::stop::{Reason, Stop};

/// A rule by which failures end a batch: no further call begins, those under way end by themselves.
///
/// Calls in doubt count as failures.
///
/// ```
/// use batchcall::memory::{Memory, Step};
/// use batchcall::{BatchCall, ErrorKind, Halt};
///
/// let memory = Memory::new().script(vec![Step::Fail(ErrorKind::Rejected); 10]);
/// let report = BatchCall::new(&memory)
///     .max_concurrent(1)
///     .halt(Halt::after_failures(3))
///     .calls(0..10, |session, n| session.echo(*n))
///     .execute()?;
/// assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (3, 7));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halt(Rule);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    AfterFailures(usize),
    FailureRate(f64),
}

/// How many calls must have ended before a failure rate says anything.
const SAMPLE: u64 = 20;

/// The bits that count calls that ended; the other half counts those that failed.
const ENDED: u32 = 32;

impl Halt {
    /// Ends the batch at the n-th failure.
    #[must_use]
    pub const fn after_failures(n: usize) -> Self {
        Self(Rule::AfterFailures(n))
    }

    /// Ends the batch when more than this share of the calls so far failed, from 0 to 1; looked at once
    /// 20 calls have ended.
    #[must_use]
    pub const fn failure_rate(share: f64) -> Self {
        Self(Rule::FailureRate(share))
    }

    /// What is wrong with the rule, if anything is.
    pub(crate) fn problem(self) -> Option<String> {
        match self.0 {
            Rule::AfterFailures(0) => Some("Halt::after_failures needs at least 1 failure".into()),
            Rule::FailureRate(share) if !(0.0..=1.0).contains(&share) => {
                Some(format!("Halt::failure_rate takes a share from 0 to 1, not {share}"))
            }
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn broken(self, failed: u64, ended: u64) -> Option<String> {
        let broken = match self.0 {
            Rule::AfterFailures(n) => failed >= n as u64,
            Rule::FailureRate(share) => ended >= SAMPLE && failed as f64 > share * ended as f64,
        };
        broken.then(|| format!("not run, the batch was halted after {failed} of {ended} calls had failed"))
    }
}

/// Counts failures for the halt rules. Done by the workers: the monitor may be late, in a slow callback.
#[derive(Debug)]
pub(crate) struct Tally {
    rules: Vec<Halt>,
    /// Calls that failed above, calls that ended in the lower bits: a rate must not be taken from counts of
    /// two instants.
    counts: AtomicU64,
}

impl Tally {
    pub(crate) fn new(rules: Vec<Halt>) -> Self {
        Self { rules, counts: AtomicU64::new(0) }
    }

    pub(crate) fn count(&self, status: Status, stop: &Stop) {
        if self.rules.is_empty() || status == Status::NotRun {
            return;
        }
        let one = if status == Status::Succeeded { 1 } else { (1 << ENDED) + 1 };
        let counts = self.counts.fetch_add(one, Ordering::AcqRel) + one;
        let (failed, ended) = (counts >> ENDED, counts & ((1 << ENDED) - 1));
        if let Some(broken) = self.rules.iter().find_map(|rule| rule.broken(failed, ended)) {
            stop.halt(Reason::Halted(broken));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_says_nothing_before_twenty_calls() {
        let rule = Halt::failure_rate(0.5);
        assert_eq!(rule.broken(19, 19), None);
        assert!(rule.broken(11, 20).is_some());
        assert_eq!(rule.broken(10, 20), None, "half is not more than half");
    }

    #[test]
    fn wrong_rules_are_named() {
        assert!(Halt::after_failures(0).problem().is_some());
        assert!(Halt::failure_rate(1.5).problem().is_some());
        assert!(Halt::failure_rate(f64::NAN).problem().is_some());
        assert!(Halt::failure_rate(0.1).problem().is_none());
    }
}
