//! What became of every row of a write.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::driver::{Done, RowStatus};
use super::failure::copy;
use super::key::Key;
use super::metrics::Metrics;
use super::run::Run;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// What became of every row of a write, in the order of the input.
///
/// The counts add up to the rows of the input, always.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::sql::{BatchConfig, RowStatus};
/// use batchcall::{Database, Record};
///
/// let db = Database::open("sqlite::memory:")?;
/// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", ())?;
/// let rows: Vec<Record> = [1, 2, 2, 3].iter().map(|id| Record::from_iter([("id", *id)])).collect();
///
/// let written = db
///     .table::<Record>("t")
///     .config(BatchConfig::new().continue_on_error(true))
///     .insert(&rows)?;
/// assert_eq!((written.inserted(), written.failed()), (3, 1));
/// assert_eq!(written.statuses()[2], RowStatus::Failed);
/// assert_eq!(written.errors()[0].index(), 2);
/// # } Ok(()) }
/// ```
pub struct Written<T = ()> {
    statuses: Vec<RowStatus>,
    errors: Vec<RowError>,
    keys: Vec<Option<Key>>,
    rows: Vec<Option<T>>,
    /// Rows that were not sent because another, named second, has the same key.
    same: Vec<(usize, usize)>,
    metrics: Metrics,
}

/// Why a row was not written. Rows that went down together share their error.
#[derive(Debug, Clone)]
pub struct RowError {
    index: usize,
    error: Arc<Error>,
}

impl RowError {
    /// The row's place in the input.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl<T> Written<T> {
    /// Nothing has happened yet to any of so many rows.
    pub(crate) fn new(rows: usize, metrics: Metrics) -> Self {
        let statuses = vec![RowStatus::NotRun; rows];
        Self { statuses, errors: Vec::new(), keys: Vec::new(), rows: Vec::new(), same: Vec::new(), metrics }
    }

    /// What became of the rows at these places.
    pub(crate) fn take(&mut self, places: &[usize], done: Done<T>) {
        for (place, status) in places.iter().zip(done.statuses) {
            self.statuses[*place] = status;
        }
        for (row, error) in done.errors {
            self.fail(places[row], error);
        }
        spread(&mut self.keys, places, done.keys, self.statuses.len());
        spread(&mut self.rows, places, done.rows, self.statuses.len());
    }

    /// A row was refused.
    pub(crate) fn fail(&mut self, place: usize, error: Error) {
        self.statuses[place] = RowStatus::Failed;
        self.errors.push(RowError { index: place, error: Arc::new(error.with_record_index(place)) });
    }

    /// One thing became of all the rows at these places.
    pub(crate) fn all(&mut self, places: &[usize], status: RowStatus, error: &Arc<Error>) {
        for place in places {
            self.statuses[*place] = status;
            self.errors.push(RowError { index: *place, error: Arc::clone(error) });
        }
    }

    /// The chunk with these rows ended in an error and is undone.
    pub(crate) fn chunk_failed(&mut self, places: &[usize], error: Error) {
        if error.is_in_doubt() {
            self.all(places, RowStatus::InDoubt, &Arc::new(error));
            return;
        }
        let Some(bad) = error.record_index().filter(|row| *row < places.len()) else {
            self.all(places, RowStatus::Failed, &Arc::new(error));
            return;
        };
        let error = Arc::new(error.with_record_index(places[bad]));
        for (row, place) in places.iter().enumerate() {
            let status = if row == bad { RowStatus::Failed } else { RowStatus::RolledBack };
            self.statuses[*place] = status;
            self.errors.push(RowError { index: *place, error: Arc::clone(&error) });
        }
    }

    /// The row is as its status says, but something else went wrong with it.
    pub(crate) fn note(&mut self, place: usize, error: Error) {
        self.errors.push(RowError { index: place, error: Arc::new(error.with_record_index(place)) });
    }

    /// Whether nothing at all went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.is_complete()
    }

    pub(crate) fn set(&mut self, place: usize, status: RowStatus) {
        self.statuses[place] = status;
    }

    /// A row is not sent, because `other` has the same key: this becomes of it if that one succeeds.
    pub(crate) fn set_same(&mut self, place: usize, other: usize, status: RowStatus) {
        self.statuses[place] = status;
        self.same.push((place, other));
    }

    /// Ends the progress with what became of all rows in the end, those that were not sent among them.
    pub(crate) fn tell_last(&mut self, run: &mut Run<'_>) {
        self.follow();
        let succeeded = self.succeeded();
        run.tell_last(succeeded, self.total() - self.not_run() - succeeded);
    }

    /// What became of rows that hang on others which did not succeed.
    fn follow(&mut self) {
        for (place, other) in std::mem::take(&mut self.same) {
            let status = self.statuses[other];
            if !status.is_failure() {
                continue;
            }
            // Whether the other row is there, nobody knows: so it is of what this row would do.
            let in_doubt = status == RowStatus::InDoubt;
            self.statuses[place] = if in_doubt { status } else { RowStatus::NotRun };
            let message = format!("not sent: row {other} has the same key, and is {status}");
            let delivery = if in_doubt { Delivery::MaybeSent } else { Delivery::NotSent };
            let error = Error::new(ErrorKind::Dependency, message).with_delivery(delivery);
            self.note(place, error);
        }
    }

    pub(crate) fn metrics_mut(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// Everything has been told.
    pub(crate) fn finish(mut self) -> Self {
        self.follow();
        self.errors.sort_by_key(|error| error.index);
        self.metrics.succeeded = self.succeeded();
        self.metrics.failed = self.total() - self.metrics.succeeded;
        self
    }

    /// Rows of the input.
    #[must_use]
    pub fn total(&self) -> usize {
        self.statuses.len()
    }

    /// What became of each row.
    #[must_use]
    pub fn statuses(&self) -> &[RowStatus] {
        &self.statuses
    }

    /// How many rows this became of.
    #[must_use]
    pub fn count(&self, status: RowStatus) -> usize {
        self.statuses.iter().filter(|each| **each == status).count()
    }

    /// Rows that are new.
    #[must_use]
    pub fn inserted(&self) -> usize {
        self.count(RowStatus::Inserted)
    }

    /// Rows that were overwritten.
    #[must_use]
    pub fn updated(&self) -> usize {
        self.count(RowStatus::Updated)
    }

    /// Rows that are gone.
    #[must_use]
    pub fn deleted(&self) -> usize {
        self.count(RowStatus::Deleted)
    }

    /// Rows whose key nobody has.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.count(RowStatus::Missing)
    }

    /// Rows that were refused.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(RowStatus::Failed)
    }

    /// Rows that may have been written or not.
    #[must_use]
    pub fn in_doubt(&self) -> usize {
        self.count(RowStatus::InDoubt)
    }

    /// Rows that were not tried.
    #[must_use]
    pub fn not_run(&self) -> usize {
        self.count(RowStatus::NotRun)
    }

    /// Rows of the database that are different now: inserted, updated or deleted.
    #[must_use]
    pub fn affected(&self) -> usize {
        self.inserted() + self.updated() + self.deleted()
    }

    /// Rows of which nothing is left to do: all but those that failed, are in doubt, were not run or were
    /// rolled back.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.statuses.iter().filter(|status| !status.is_failure()).count()
    }

    /// Whether every row succeeded. A key that was not there is no failure: look at
    /// [`missing`](Self::missing).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.succeeded() == self.total()
    }

    /// Why rows were not written, in the order of the input.
    #[must_use]
    pub fn errors(&self) -> &[RowError] {
        &self.errors
    }

    /// The primary keys of the rows, one for each of the input, if they were asked for; else empty.
    #[must_use]
    pub fn keys(&self) -> &[Option<Key>] {
        &self.keys
    }

    /// The rows as they are in the database, one for each of the input, if they were asked for; else empty.
    #[must_use]
    pub fn rows(&self) -> &[Option<T>] {
        &self.rows
    }

    /// As [`rows`](Self::rows), given away.
    #[must_use]
    pub fn into_rows(self) -> Vec<Option<T>> {
        self.rows
    }

    pub(crate) fn rows_mut(&mut self) -> &mut [Option<T>] {
        &mut self.rows
    }

    /// What it cost.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The same, if every row succeeded.
    ///
    /// # Errors
    ///
    /// [`WriteError`] with all of this, if one did not.
    pub fn require_all(self) -> Result<Self, WriteError<T>> {
        if self.is_complete() { Ok(self) } else { Err(WriteError::new(self, None)) }
    }
}

impl RowStatus {
    /// Whether the row is not, or not surely, as the caller wanted it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::InDoubt | Self::NotRun | Self::RolledBack)
    }

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
            Self::Missing => "missing",
            Self::Superseded => "superseded",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::InDoubt => "in doubt",
            Self::NotRun => "not run",
            Self::RolledBack => "rolled back",
        }
    }

    const ALL: [Self; 11] = [
        Self::Inserted,
        Self::Updated,
        Self::Deleted,
        Self::Unchanged,
        Self::Missing,
        Self::Superseded,
        Self::Dropped,
        Self::Failed,
        Self::InDoubt,
        Self::NotRun,
        Self::RolledBack,
    ];
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Puts values at their places in a list for all rows, which is made when the first come.
fn spread<V>(all: &mut Vec<Option<V>>, places: &[usize], values: Vec<Option<V>>, rows: usize) {
    if values.is_empty() {
        return;
    }
    if all.is_empty() {
        all.resize_with(rows, || None);
    }
    for (place, value) in places.iter().zip(values) {
        all[*place] = value;
    }
}

/// How many errors a summary shows.
const SHOWN: usize = 5;

impl<T> fmt::Display for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} rows", self.metrics.operation, self.total())?;
        for status in RowStatus::ALL {
            let count = self.count(status);
            if count > 0 {
                write!(f, ", {count} {status}")?;
            }
        }
        let of_their_own =
            self.errors.iter().filter(|error| self.statuses[error.index] != RowStatus::RolledBack);
        for error in of_their_own.clone().take(SHOWN) {
            write!(f, "\n  row {}: {}", error.index, error.error)?;
        }
        let left = of_their_own.skip(SHOWN).count();
        if left > 0 {
            write!(f, "\n  and {left} more")?;
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("summary", &self.to_string())
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// A write in which a row did not succeed, with everything that is known of all of them.
///
/// Turns into an [`Error`] by `?`: that of the first row which failed.
pub struct WriteError<T = ()>(Box<Failure<T>>);

struct Failure<T> {
    written: Written<T>,
    error: Arc<Error>,
}

impl<T> WriteError<T> {
    /// `error` is of the whole input; without one it is that of the first bad row.
    pub(crate) fn new(written: Written<T>, error: Option<Error>) -> Self {
        let error = error.map(Arc::new).unwrap_or_else(|| {
            let first = written
                .errors
                .iter()
                .find(|error| written.statuses[error.index] == RowStatus::Failed)
                .or(written.errors.first());
            first.map_or_else(
                || Arc::new(Error::new(ErrorKind::Cancelled, "rows were not run")),
                |first| Arc::clone(&first.error),
            )
        });
        Self(Box::new(Failure { written, error }))
    }

    /// The error of the first row that failed, or of input that was refused before anything was sent.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// What became of every row.
    #[must_use]
    pub fn written(&self) -> &Written<T> {
        &self.0.written
    }

    /// What became of every row, given back.
    #[must_use]
    pub fn into_written(self) -> Written<T> {
        self.0.written
    }
}

impl<T> fmt::Display for WriteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { written, error } = &*self.0;
        let bad = written.total() - written.succeeded();
        write!(f, "{bad} of {} rows did not succeed: {error}", written.total())
    }
}

impl<T> fmt::Debug for WriteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteError").field("error", &self.0.error).field("written", &self.0.written).finish()
    }
}

impl<T> StdError for WriteError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0.error)
    }
}

impl<T> From<WriteError<T>> for Error {
    fn from(error: WriteError<T>) -> Self {
        let Failure { written, error } = *error.0;
        drop(written);
        Arc::try_unwrap(error).unwrap_or_else(|shared| copy(&shared))
    }
}
