//! Counts and times of a run of operations.

use std::time::Duration;

use super::outcome::RecordOutcome;
use crate::engine::stats::Stats;

/// How many records ended how.
///
/// ```
/// use batchcall::{RecordOutcome, Totals};
///
/// let totals = Totals::of(&[RecordOutcome::Updated, RecordOutcome::RolledBack]);
/// assert_eq!((totals.records, totals.updated, totals.succeeded()), (2, 1, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// All records; the others add up to it.
    pub records: usize,
    /// Created.
    pub created: usize,
    /// Updated.
    pub updated: usize,
    /// Deleted.
    pub deleted: usize,
    /// Found as they should be.
    pub unchanged: usize,
    /// Refused, or not to be sent.
    pub failed: usize,
    /// Sent without an answer.
    pub in_doubt: usize,
    /// Not sent.
    pub not_run: usize,
    /// Applied and undone.
    pub rolled_back: usize,
    /// Applied, and not to be undone.
    pub rollback_failed: usize,
}

impl Totals {
    /// Counts outcomes.
    #[must_use]
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a RecordOutcome>) -> Self {
        let mut totals = Self::default();
        for outcome in outcomes {
            totals.count(outcome);
        }
        totals
    }

    pub(crate) fn count(&mut self, outcome: &RecordOutcome) {
        self.records += 1;
        *match outcome {
            RecordOutcome::Created(_) => &mut self.created,
            RecordOutcome::Updated => &mut self.updated,
            RecordOutcome::Deleted => &mut self.deleted,
            RecordOutcome::Unchanged => &mut self.unchanged,
            RecordOutcome::Failed(_) => &mut self.failed,
            RecordOutcome::InDoubt(_) => &mut self.in_doubt,
            RecordOutcome::NotRun(_) => &mut self.not_run,
            RecordOutcome::RolledBack => &mut self.rolled_back,
            RecordOutcome::RollbackFailed(_) => &mut self.rollback_failed,
        } += 1;
    }

    /// The records that are in the store as they were given.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.created + self.updated + self.deleted + self.unchanged
    }
}

/// What a run cost.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RecordStats {
    /// How the records ended.
    pub totals: Totals,
    /// The requests that were made of the store, those to find bad records and to undo among them. Retries
    /// that the store makes by itself are not.
    pub requests: usize,
    /// The most records in one request.
    pub largest_request: usize,
    /// From the start to the end, logouts included.
    pub total_time: Duration,
    /// Sessions opened.
    pub logins: usize,
    /// Requests that the store sent again.
    pub retries: usize,
    /// Sessions that could not be closed in time or at all.
    pub failed_logouts: usize,
    /// The time of all workers spent waiting for a rate limit.
    pub limit_wait: Duration,
    /// The time of all workers spent waiting between two tries.
    pub retry_wait: Duration,
    /// The number of workers.
    pub concurrency_level: usize,
}

impl RecordStats {
    /// Records that ended in the store in a second; 0 when it took no time.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn records_per_second(&self) -> f64 {
        let seconds = self.total_time.as_secs_f64();
        if seconds > 0.0 { self.totals.succeeded() as f64 / seconds } else { 0.0 }
    }

    pub(crate) fn add_engine(&mut self, stats: &Stats) {
        self.total_time += stats.total_time;
        self.logins += stats.logins;
        self.retries += stats.retries;
        self.failed_logouts += stats.failed_logouts;
        self.limit_wait += stats.limit_wait;
        self.retry_wait += stats.retry_wait;
        self.concurrency_level = self.concurrency_level.max(stats.concurrency_level);
    }

    /// Adds what a retry cost.
    pub(crate) fn add(&mut self, again: &Self) {
        self.requests += again.requests;
        self.largest_request = self.largest_request.max(again.largest_request);
        self.total_time += again.total_time;
        self.logins += again.logins;
        self.retries += again.retries;
        self.failed_logouts += again.failed_logouts;
        self.limit_wait += again.limit_wait;
        self.retry_wait += again.retry_wait;
        self.concurrency_level = self.concurrency_level.max(again.concurrency_level);
    }

    pub(crate) fn add_request(&mut self, records: usize) {
        self.requests += 1;
        self.largest_request = self.largest_request.max(records);
    }
}
