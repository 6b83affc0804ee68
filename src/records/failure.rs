//! The error of records that were all to succeed.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use super::outcome::SharedError;
use super::report::RecordReport;
use super::stats::RecordStats;
use crate::error::{Error, ErrorKind};

/// The error of records that were all to succeed; it owns the report.
///
/// Turns into an [`Error`] with `?`: the first record's.
pub struct RecordsError(Box<Failure>);

struct Failure {
    report: RecordReport,
    first: usize,
    error: Error,
}

impl RecordsError {
    /// The record at `first` is the first that did not succeed.
    pub(crate) fn new(report: RecordReport, first: usize) -> Self {
        let error = match report.outcomes[first].error() {
            Some(error) => SharedError::copy_of(error),
            None => Error::new(ErrorKind::Cancelled, "it was undone, because another record failed")
                .with_record_index(first),
        };
        Self(Box::new(Failure { report, first, error }))
    }

    /// Nothing was sent.
    pub(crate) fn refused(error: Error) -> Self {
        let report =
            RecordReport::new(Vec::new(), Vec::new(), Vec::new(), HashMap::new(), RecordStats::default());
        Self(Box::new(Failure { report, first: 0, error }))
    }

    /// The error of the first record that did not succeed, or of input that was refused.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// The report; empty when the input was refused.
    #[must_use]
    pub fn report(&self) -> &RecordReport {
        &self.0.report
    }

    /// The report, given back.
    #[must_use]
    pub fn into_report(self) -> RecordReport {
        self.0.report
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { report, first, error } = &*self.0;
        let totals = report.totals();
        if totals.records == 0 {
            return error.fmt(f);
        }
        let missing = totals.records - totals.succeeded();
        write!(f, "{missing} of {} records did not succeed; the first is record {first}", totals.records)
    }
}

impl fmt::Debug for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordsError")
            .field("error", self.error())
            .field("totals", &self.report().totals())
            .finish_non_exhaustive()
    }
}

impl StdError for RecordsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.error())
    }
}

impl From<RecordsError> for Error {
    fn from(error: RecordsError) -> Self {
        error.0.error
    }
}
