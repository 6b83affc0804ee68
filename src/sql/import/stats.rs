//! What became of every row of an import.

use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;

use super::cells::Batch;
use super::reject::Rejects;
use crate::error::{Error, ErrorKind, Result};
use crate::records::strategy::Strategy;
use crate::sql::driver::{Done, RowStatus};
use crate::sql::failure::{DatabaseError, copy};
use crate::sql::look::tell;
use crate::sql::metrics::Metrics;
use crate::sql::run::Fate;
use crate::sql::table::Hooks;

/// What became of every row of an import: `total` is the sum of all counts from `inserted` to `not_run`, always.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::sql::ImportOptions;
/// use batchcall::{Database, Record};
///
/// let db = Database::open("sqlite::memory:")?;
/// db.execute("CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT)", ())?;
/// db.execute("INSERT INTO airlines VALUES ('AA', 'American')", ())?;
///
/// let csv = "carrier,name\nAA,American Airlines Inc.\nDL,Delta\nDL,Delta Air Lines Inc.\n";
/// let stats = db
///     .table::<Record>("airlines")
///     .import(csv.as_bytes(), ImportOptions::csv().unique_fields(["carrier"]))?;
/// assert_eq!((stats.total, stats.inserted, stats.updated, stats.superseded), (3, 1, 1, 1));
/// # } Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "rows that were refused are told here"]
pub struct ImportStats {
    /// Rows that were read.
    pub total: usize,
    /// Rows that are new.
    pub inserted: usize,
    /// Rows that were there, from before or from earlier in the input, and have been overwritten.
    pub updated: usize,
    /// Rows that were there, from before or from earlier in the input, and were left as they are.
    pub skipped: usize,
    /// Rows that were not sent because a later one, in the same chunk, has the same unique fields.
    pub superseded: usize,
    /// Rows that `pre_process` left out.
    pub dropped: usize,
    /// Rows that were refused, and those not sent because of one with the same unique fields that was.
    pub failed: usize,
    /// Rows that were written and undone, with a row of their chunk or with the transaction.
    pub rolled_back: usize,
    /// Rows that were sent without an answer: written or not.
    pub in_doubt: usize,
    /// Rows that were read and not sent.
    pub not_run: usize,
    /// Rows in the reject file.
    pub rejected: usize,
    /// Lines that were read, with the header.
    pub lines: u64,
    /// The line from which on nothing was read; `None`: the input was read to its end.
    pub unread_from: Option<u64>,
    /// The lines of rows in doubt: the first and last of each chunk.
    pub in_doubt_lines: Vec<RangeInclusive<u64>>,
    /// The first hundred rows that were refused, and why.
    pub errors: Vec<LineError>,
    /// From beginning to end.
    pub elapsed: Duration,
    /// What it cost.
    pub metrics: Metrics,
    began: Instant,
    /// Why rows were not sent.
    stopped: Option<Arc<Error>>,
}

/// How many errors are kept: a reject file has them all.
const KEPT: usize = 100;

/// How many errors a summary shows.
const SHOWN: usize = 5;

/// Why a row was refused.
#[derive(Debug, Clone)]
pub struct LineError {
    line: u64,
    error: Arc<Error>,
}

impl LineError {
    /// Where the row begins; the first line is 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

/// An error in words, without the place that it carries: the line tells it.
fn reason(error: &Error) -> String {
    let mut reason = error.message().to_owned();
    let detail = DatabaseError::of(error).and_then(DatabaseError::detail);
    if let Some(detail) = detail.filter(|detail| !reason.contains(*detail)) {
        reason = format!("{reason} ({detail})");
    }
    match error.field_errors() {
        [field] if !field.path.is_empty() && !reason.contains(&field.path) => {
            format!("{}: {reason}", field.path)
        }
        _ => reason,
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, reason(&self.error))
    }
}

impl ImportStats {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self {
            total: 0,
            inserted: 0,
            updated: 0,
            skipped: 0,
            superseded: 0,
            dropped: 0,
            failed: 0,
            rolled_back: 0,
            in_doubt: 0,
            not_run: 0,
            rejected: 0,
            lines: 0,
            unread_from: None,
            in_doubt_lines: Vec::new(),
            errors: Vec::new(),
            elapsed: Duration::ZERO,
            metrics: Metrics::new("import", 0, strategy),
            began: Instant::now(),
            stopped: None,
        }
    }

    /// Rows of the input a second; 0 before any time has passed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rows_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.total as f64 / seconds } else { 0.0 }
    }

    /// Rows of which nothing is left to do.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.inserted + self.updated + self.skipped + self.superseded + self.dropped
    }

    /// Whether the input was read to its end, and nothing is left to do of any row.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unread_from.is_none() && self.succeeded() == self.total
    }

    fn counter(&mut self, status: RowStatus) -> &mut usize {
        match status {
            RowStatus::Inserted => &mut self.inserted,
            RowStatus::Updated => &mut self.updated,
            RowStatus::Unchanged => &mut self.skipped,
            RowStatus::Superseded => &mut self.superseded,
            RowStatus::Dropped => &mut self.dropped,
            RowStatus::Failed => &mut self.failed,
            RowStatus::RolledBack => &mut self.rolled_back,
            RowStatus::InDoubt => &mut self.in_doubt,
            // An import neither deletes rows nor looks for them.
            RowStatus::NotRun | RowStatus::Deleted | RowStatus::Missing => &mut self.not_run,
        }
    }

    /// What became of a chunk becomes of its rows.
    pub(super) fn settle<T>(
        &mut self,
        batch: &Batch,
        fate: Fate<Done<IgnoredAny>>,
        resendable: bool,
        rejects: &mut Rejects<'_>,
        hooks: &Hooks<'_, T>,
    ) -> Result<()> {
        let rows = batch.entries.len();
        self.total += rows;
        let (statuses, mut errors, why) = match fate {
            Fate::Done(done) => (done.statuses, done.errors, String::new()),
            Fate::Failed(error) if error.is_in_doubt() => {
                let lines = batch.entries.first().zip(batch.entries.last());
                self.in_doubt_lines.extend(lines.map(|(first, last)| first.line..=last.line));
                let why = format!("in doubt: {}", reason(&error));
                self.first_error(batch, 0, error);
                (vec![RowStatus::InDoubt; rows], Vec::new(), why)
            }
            Fate::Failed(error) => match error.record_index().filter(|bad| *bad < rows) {
                Some(bad) => {
                    let mut statuses = vec![RowStatus::RolledBack; rows];
                    statuses[bad] = RowStatus::Failed;
                    let why =
                        format!("rolled back with line {}: {}", batch.entries[bad].line, reason(&error));
                    (statuses, vec![(bad, error)], why)
                }
                None => {
                    let why = reason(&error);
                    self.first_error(batch, 0, error);
                    (vec![RowStatus::Failed; rows], Vec::new(), why)
                }
            },
            Fate::NotRun(error) => {
                let why = format!("not sent: {}", reason(&error));
                self.stopped.get_or_insert(Arc::new(error));
                (vec![RowStatus::NotRun; rows], Vec::new(), why)
            }
            Fate::Undone(error) => {
                (vec![RowStatus::RolledBack; rows], Vec::new(), format!("rolled back: {}", reason(&error)))
            }
        };
        errors.sort_by_key(|(row, _)| *row);
        let mut errors = errors.into_iter().peekable();
        for (row, (entry, status)) in batch.entries.iter().zip(statuses).enumerate() {
            *self.counter(status) += 1;
            let own = errors.next_if(|(place, _)| *place == row).map(|(_, error)| error);
            let is_rejected = match status {
                RowStatus::InDoubt => resendable,
                status => status.is_failure(),
            };
            if is_rejected && rejects.is_wanted() {
                match &own {
                    Some(error) => rejects.write(batch, entry, &reason(error))?,
                    None => rejects.write(batch, entry, &why)?,
                }
                self.rejected += 1;
            }
            if let Some(error) = own {
                let place = batch.first + row;
                let error = error.with_record_index(place);
                tell(hooks, place, &error);
                self.first_error(batch, row, error);
            }
        }
        Ok(())
    }

    fn first_error(&mut self, batch: &Batch, row: usize, error: Error) {
        if self.errors.len() < KEPT {
            let line = batch.entries.get(row).map_or(0, |entry| entry.line);
            self.errors.push(LineError { line, error: Arc::new(error) });
        }
    }

    /// The transaction came to nothing: what was written is not.
    pub(super) fn undo(&mut self, status: RowStatus) {
        let written = self.inserted + self.updated + self.skipped + self.superseded;
        (self.inserted, self.updated, self.skipped, self.superseded) = (0, 0, 0, 0);
        *self.counter(status) += written;
        if status == RowStatus::InDoubt {
            self.in_doubt_lines.push(1..=self.lines);
        }
    }

    /// Why an import ended before its input, when no row is to blame.
    pub(super) fn why_stopped(&self) -> Error {
        match &self.stopped {
            Some(error) => copy(error),
            None => Error::new(ErrorKind::Cancelled, "the import was ended before its input"),
        }
    }

    /// Everything has been told.
    pub(super) fn finish(&mut self) {
        self.errors.sort_by_key(|error| error.line);
        self.elapsed = self.began.elapsed();
        self.metrics.rows = self.total;
        self.metrics.succeeded = self.succeeded();
        self.metrics.failed = self.total - self.succeeded();
        self.metrics.elapsed = self.elapsed;
    }
}

impl fmt::Display for ImportStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "import: {} rows in {:.3} s ({:.0} rows/s)",
            self.total,
            self.elapsed.as_secs_f64(),
            self.rows_per_second()
        )?;
        for (count, what) in [
            (self.inserted, "inserted"),
            (self.updated, "updated"),
            (self.skipped, "skipped"),
            (self.superseded, "superseded"),
            (self.dropped, "dropped"),
            (self.failed, "failed"),
            (self.rolled_back, "rolled back"),
            (self.in_doubt, "in doubt"),
            (self.not_run, "not sent"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some(line) = self.unread_from {
            write!(f, "; not read from line {line} on")?;
        }
        for error in self.errors.iter().take(SHOWN) {
            write!(f, "\n  {error}")?;
        }
        if self.errors.len() > SHOWN {
            write!(f, "\n  and more")?;
        }
        Ok(())
    }
}

/// An import that ended early, or in which a row did not succeed, with everything that is known of the rows.
///
/// Turns into an [`Error`] by `?`.
pub struct ImportError(Box<Failure>);

struct Failure {
    stats: ImportStats,
    line: Option<u64>,
    error: Arc<Error>,
}

impl ImportError {
    /// `error` is of the whole import; without one it is that of the first bad row.
    pub(super) fn new(stats: ImportStats, error: Option<Error>) -> Self {
        let (line, error) = match (error, stats.errors.first()) {
            (Some(error), _) => (None, Arc::new(error)),
            (None, Some(first)) => (Some(first.line), Arc::clone(&first.error)),
            (None, None) => (None, Arc::new(stats.why_stopped())),
        };
        Self(Box::new(Failure { stats, line, error }))
    }

    /// Why the import ended, or the error of the first row that was refused.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// The line of the row that ended the import, if one did.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// What became of every row that was read.
    pub fn stats(&self) -> &ImportStats {
        &self.0.stats
    }

    /// What became of every row that was read, given back.
    pub fn into_stats(self) -> ImportStats {
        self.0.stats
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { stats, line, error } = &*self.0;
        match line {
            Some(line) => write!(f, "line {line}: {}", reason(error))?,
            None => write!(f, "{error}")?,
        }
        if stats.total > 0 {
            let bad = stats.total - stats.succeeded();
            write!(f, " ({bad} of {} rows did not succeed", stats.total)?;
            if let Some(line) = stats.unread_from {
                write!(f, ", and nothing was read from line {line} on")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportError").field("error", &self.0.error).field("stats", &self.0.stats).finish()
    }
}

impl StdError for ImportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0.error)
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        let Failure { stats, error, .. } = *error.0;
        drop(stats);
        Arc::try_unwrap(error).unwrap_or_else(|shared| copy(&shared))
    }
}
