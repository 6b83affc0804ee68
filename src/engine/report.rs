//! All outcomes of a batch, in the order in which its calls were added.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use super::outcome::{Outcome, Status};
use super::stats::Stats;
use crate::error::{Error, ErrorKind, Result};

/// All outcomes of a batch, in the order in which its calls were added, with the statistics.
///
/// Its `Display` is the summary that a person reads.
///
/// ```
/// use batchcall::memory::{Memory, Step};
/// use batchcall::{BatchCall, ErrorKind};
///
/// let memory = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
/// let report = BatchCall::new(&memory)
///     .max_concurrent(1)
///     .calls(["a", "b", "c"], |session, text| session.echo(*text))
///     .execute()?;
///
/// assert_eq!(report.successful_results().copied().collect::<Vec<_>>(), ["a", "c"]);
/// assert_eq!(report.failed_calls().map(|outcome| outcome.index()).collect::<Vec<_>>(), [1]);
/// println!("{report}");
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
pub struct Report<T> {
    outcomes: Vec<Outcome<T>>,
    stats: Stats,
}

impl<T> Report<T> {
    pub(crate) fn new(outcomes: Vec<Outcome<T>>, stats: Stats) -> Self {
        Self { outcomes, stats }
    }

    /// All outcomes, in the order in which the calls were added.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome<T>] {
        &self.outcomes
    }

    /// All outcomes, taken out of the report.
    #[must_use]
    pub fn into_outcomes(self) -> Vec<Outcome<T>> {
        self.outcomes
    }

    /// Counts and times.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether every call succeeded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stats.successful_calls == self.stats.total_calls
    }

    /// What the calls that succeeded returned, in order.
    pub fn successful_results(&self) -> impl Iterator<Item = &T> {
        self.outcomes.iter().filter_map(|outcome| outcome.result().ok())
    }

    /// The outcomes of all calls that did not succeed, in order: failed, in doubt and not run.
    pub fn failed_calls(&self) -> impl Iterator<Item = &Outcome<T>> {
        self.outcomes.iter().filter(|outcome| !outcome.is_success())
    }

    /// What each call returned, in order: errors as values.
    #[must_use]
    pub fn into_results(self) -> Vec<Result<T>> {
        self.outcomes.into_iter().map(Outcome::into_result).collect()
    }

    /// What the calls returned, if all succeeded.
    ///
    /// # Errors
    ///
    /// The error of the first call that did not; it owns the report, so nothing is lost.
    ///
    /// ```
    /// use batchcall::memory::{Memory, Step};
    /// use batchcall::{BatchCall, ErrorKind};
    ///
    /// let memory = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::NotFound)]);
    /// let report =
    ///     BatchCall::new(&memory).max_concurrent(1).calls([1, 2], |s, n| s.echo(*n)).execute()?;
    /// let error = report.into_all().unwrap_err();
    /// assert_eq!(error.error().kind(), ErrorKind::NotFound);
    /// assert_eq!(error.into_report().successful_results().count(), 1);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn into_all(self) -> Result<Vec<T>, BatchError<T>> {
        match self.outcomes.iter().position(|outcome| !outcome.is_success()) {
            Some(first) => Err(BatchError::new(self, first, None)),
            None => Ok(self.outcomes.into_iter().filter_map(|outcome| outcome.into_result().ok()).collect()),
        }
    }

    /// As [`into_all`](Self::into_all), for a known number of calls.
    ///
    /// # Errors
    ///
    /// As [`into_all`](Self::into_all); [`ErrorKind::Invalid`] when there are not `N` calls.
    ///
    /// ```
    /// use batchcall::BatchCall;
    /// use batchcall::memory::Memory;
    ///
    /// let memory = Memory::new();
    /// let report =
    ///     BatchCall::new(&memory).call(|s| s.echo("a")).call(|s| s.echo("b")).execute()?;
    /// let [a, b] = report.into_array()?;
    /// assert_eq!((a, b), ("a", "b"));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn into_array<const N: usize>(self) -> Result<[T; N], BatchError<T>> {
        let calls = self.outcomes.len();
        if calls != N {
            let wrong =
                Error::new(ErrorKind::Invalid, format!("{N} results wanted from a batch of {calls} calls"));
            return Err(BatchError::new(self, 0, Some(wrong)));
        }
        let results = self.into_all()?;
        Ok(results.try_into().unwrap_or_else(|_| unreachable!("the number of calls was compared above")))
    }

    /// This report with the outcomes of a retry put in: places and ids stay, attempts are summed,
    /// successes are untouched, a retry that never ran does not hide why the call had failed, and a call in
    /// doubt stays so until it succeeds.
    ///
    /// Outcomes of a different batch are put behind the others: nothing is lost.
    #[must_use]
    pub fn merge(mut self, again: Self) -> Self {
        let places: HashMap<Uuid, usize> =
            self.outcomes.iter().enumerate().map(|(place, outcome)| (outcome.id(), place)).collect();
        for outcome in again.outcomes {
            match places.get(&outcome.id()) {
                None => self.outcomes.push(outcome),
                Some(&place) => {
                    let earlier = &mut self.outcomes[place];
                    let hides = outcome.status() == Status::NotRun && earlier.status() != Status::NotRun;
                    if earlier.status() == Status::InDoubt && !outcome.is_success() {
                        // The retry failed; whether the first run was applied is still not known.
                        earlier.count_attempts_of(&outcome);
                    } else if !earlier.is_success() && !hides {
                        *earlier = outcome.after(earlier);
                    }
                }
            }
        }
        self.stats = self.stats.merged(&again.stats, &self.outcomes);
        self
    }
}

impl<T> IntoIterator for Report<T> {
    type Item = Outcome<T>;
    type IntoIter = std::vec::IntoIter<Outcome<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Report<T> {
    type Item = &'a Outcome<T>;
    type IntoIter = std::slice::Iter<'a, Outcome<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.iter()
    }
}

/// How many calls of each cause are named.
const NAMED: usize = 3;

/// How many causes are listed.
const CAUSES: usize = 10;

impl<T> fmt::Display for Report<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        writeln!(
            f,
            "{} calls: {} succeeded, {} failed, {} in doubt, {} not run ({:.1} % succeeded)",
            stats.total_calls,
            stats.successful_calls,
            stats.failed_calls,
            stats.in_doubt_calls,
            stats.not_run_calls,
            stats.success_rate() * 100.0,
        )?;
        writeln!(
            f,
            "time:  {} on {} workers, {:.1} calls/s",
            Time(stats.total_time),
            stats.concurrency_level,
            stats.calls_per_second(),
        )?;
        write!(
            f,
            "calls: average {}, shortest {}, median {}, 95 % {}, 99 % {}, longest {}",
            Time(stats.average_call_time),
            Time(stats.min_call_time),
            Time(stats.percentile(50.0)),
            Time(stats.percentile(95.0)),
            Time(stats.percentile(99.0)),
            Time(stats.max_call_time),
        )?;
        let slowest =
            self.outcomes.iter().filter(|o| o.status() != Status::NotRun).max_by_key(|o| o.elapsed());
        if let Some(slowest) = slowest {
            write!(f, " ({})", slowest.label())?;
        }
        write!(
            f,
            "\nwaits: queue {} on average; all workers: logins {} ({}), rate limits {}, between retries {} ({})",
            Time(stats.average_queue_time),
            Time(stats.login_time),
            stats.logins,
            Time(stats.limit_wait),
            Time(stats.retry_wait),
            stats.retries,
        )?;
        if stats.refused_seats > 0 {
            write!(
                f,
                "\nseats: {} logins refused, the batch went on with fewer sessions",
                stats.refused_seats
            )?;
        }
        if stats.failed_logouts > 0 {
            write!(
                f,
                "\nseats: {} sessions could not be logged out and stay open until the server ends them",
                stats.failed_logouts
            )?;
        }
        self.write_causes(f)
    }
}

impl<T> Report<T> {
    fn write_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Cause = (Status, ErrorKind, Option<u16>);
        type Calls<'a, T> = Vec<(&'a Outcome<T>, &'a Error)>;
        let mut causes: Vec<(Cause, Calls<'_, T>)> = Vec::new();
        for outcome in self.failed_calls() {
            let Some(error) = outcome.error() else { continue };
            let cause = (outcome.status(), error.kind(), error.status());
            match causes.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, calls)) => calls.push((outcome, error)),
                None => causes.push((cause, vec![(outcome, error)])),
            }
        }
        // Stable: causes of the same size stay in the order of their first call.
        causes.sort_by_key(|(_, calls)| std::cmp::Reverse(calls.len()));
        for ((status, kind, http), calls) in causes.iter().take(CAUSES) {
            write!(f, "\n{} x {status}, {kind}", calls.len())?;
            if let Some(http) = http {
                write!(f, " (HTTP {http})")?;
            }
            for (outcome, error) in calls.iter().take(NAMED) {
                write!(f, "\n    {}: {error}", outcome.label())?;
            }
            if calls.len() > NAMED {
                write!(f, "\n    and {} more", calls.len() - NAMED)?;
            }
        }
        if causes.len() > CAUSES {
            write!(f, "\nand {} more causes", causes.len() - CAUSES)?;
        }
        Ok(())
    }
}

/// A duration as people read it: three figures and a unit.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if self.0.is_zero() {
            f.write_str("0 s")
        } else if seconds >= 120.0 {
            write!(f, "{}:{:02} min", self.0.as_secs() / 60, self.0.as_secs() % 60)
        } else if seconds >= 1.0 {
            write!(f, "{seconds:.2} s")
        } else if seconds >= 0.001 {
            write!(f, "{:.1} ms", seconds * 1e3)
        } else {
            write!(f, "{:.1} us", seconds * 1e6)
        }
    }
}

/// The error of a batch that was to succeed as a whole; it owns the report.
///
/// Turns into an [`Error`] with `?`: the first call's.
pub struct BatchError<T>(Box<Failure<T>>);

struct Failure<T> {
    report: Report<T>,
    first: usize,
    wrong: Option<Error>,
}

impl<T> BatchError<T> {
    fn new(report: Report<T>, first: usize, wrong: Option<Error>) -> Self {
        Self(Box::new(Failure { report, first, wrong }))
    }

    /// The error of the first call that did not succeed.
    ///
    /// # Panics
    ///
    /// Never: a batch error has an error.
    #[must_use]
    pub fn error(&self) -> &Error {
        let failure = &*self.0;
        failure
            .wrong
            .as_ref()
            .or_else(|| failure.report.outcomes[failure.first].error())
            .expect("the first call that did not succeed has an error")
    }

    /// The report.
    #[must_use]
    pub fn report(&self) -> &Report<T> {
        &self.0.report
    }

    /// The report, given back.
    #[must_use]
    pub fn into_report(self) -> Report<T> {
        self.0.report
    }
}

impl<T> fmt::Display for BatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = &*self.0;
        if let Some(wrong) = &failure.wrong {
            return write!(f, "{wrong}");
        }
        let stats = failure.report.stats();
        write!(
            f,
            "{} of {} calls did not succeed; the first is {}",
            stats.total_calls - stats.successful_calls,
            stats.total_calls,
            failure.report.outcomes[failure.first].label(),
        )
    }
}

impl<T> fmt::Debug for BatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchError")
            .field("error", self.error())
            .field("stats", self.0.report.stats())
            .finish_non_exhaustive()
    }
}

impl<T> StdError for BatchError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.error())
    }
}

impl<T> From<BatchError<T>> for Error {
    fn from(error: BatchError<T>) -> Self {
        let mut failure = *error.0;
        match failure.wrong {
            Some(wrong) => wrong,
            None => match failure.report.outcomes.swap_remove(failure.first).into_result() {
                Err(error) => error,
                Ok(_) => unreachable!("the first call that did not succeed has an error"),
            },
        }
    }
}
