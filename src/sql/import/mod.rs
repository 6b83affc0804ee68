//! [`Table::import`]: a reader's bytes -> rows with their lines -> chunks -> connections -> what became of
//! every row, and a file of those that were refused.
//!
//! The caller's thread reads, cuts and counts lines, and writes the reject file; the workers look at cells,
//! find duplicates and encode. Between them stand a few chunks, however long the input is.

mod cells;
mod csv;
mod json;
mod keys;
mod layout;
mod options;
mod reject;
mod send;
mod source;
mod stats;
mod transaction;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

pub use options::{Format, ImportOptions, OnConflict};
pub use stats::{ImportError, ImportStats, LineError};

use self::cells::Batch;
use self::reject::Rejects;
use self::send::Sending;
use self::source::Source;
use super::driver::RowStatus;
use super::run::Fate;
use super::table::Table;
use super::write::Plan;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::strategy::Strategy;

/// What chunks of an import may hold of memory together.
const MEMORY: usize = 28 << 20;

/// The most bytes of one: enough for a server's own pace.
const CHUNK: usize = 4 << 20;

impl<T> Table<'_, T> {
    /// Imports rows from CSV with a header, or from JSON Lines.
    ///
    /// The input is read once, from beginning to end, and never held whole: a few chunks of it, 64 MiB at the
    /// most, are under way at a time. Chunks go out as the [`config`](Self::config) says: one after the other
    /// on one connection, or under `Parallel` and `Pipelined` on several. With
    /// [`one_transaction`](super::BatchConfig::one_transaction) or `SingleQuery` all go in one transaction,
    /// which is not tried again when it breaks, since the reader cannot be read twice. `Optimistic` is
    /// `Chunked`.
    ///
    /// Cells are text and become what their column is; what does not fit is refused with its line. Without
    /// [`continue_on_error`](super::BatchConfig::continue_on_error) the first such row ends the import, its
    /// chunk undone; with it, bad rows are left out, counted, and written to the
    /// [`reject file`](ImportOptions::reject_to).
    ///
    /// `T` does not matter: rows are not turned into it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// use batchcall::sql::{BatchConfig, ImportOptions};
    /// use batchcall::{Database, Record};
    ///
    /// let db = Database::open("sqlite::memory:")?;
    /// db.execute("CREATE TABLE planes (tailnum TEXT PRIMARY KEY, seats INTEGER)", ())?;
    /// let planes = db.table::<Record>("planes").config(BatchConfig::new().continue_on_error(true));
    ///
    /// let csv = "tailnum,seats\nN10156,55\nN102UW,many\nN103US,NA\n";
    /// let mut rejected = Vec::new();
    /// let stats = planes.import(
    ///     csv.as_bytes(),
    ///     ImportOptions::csv().nulls(["", "NA"]).reject_to(&mut rejected),
    /// )?;
    /// assert_eq!((stats.total, stats.inserted, stats.failed), (3, 2, 1));
    /// assert_eq!(stats.errors[0].line(), 3);
    ///
    /// // Corrected, the rejected rows go in as they are.
    /// let corrected = String::from_utf8(rejected)?.replace("N102UW,many", "N102UW,182");
    /// assert_eq!(planes.import(corrected.as_bytes(), ImportOptions::csv())?.inserted, 1);
    /// # } Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ImportError`], with what became of every row that was read, when the import ended before its input
    /// did, or without `continue_on_error` when a row did not succeed. [`Invalid`](ErrorKind::Invalid) before
    /// anything is sent for columns that the table does not have, or options that do not fit together.
    pub fn import(&self, reader: impl Read, options: ImportOptions<'_>) -> Result<ImportStats, ImportError> {
        let mut stats = ImportStats::new(self.config.strategy);
        let deadline = self.deadline();
        let ran = import(self, reader, options, deadline, &mut stats);
        stats.finish();
        self.db.keep(stats.metrics.clone());
        match ran {
            Err(error) => Err(ImportError::new(stats, Some(error))),
            Ok(()) if !self.config.continue_on_error && !stats.is_complete() => {
                Err(ImportError::new(stats, None))
            }
            Ok(()) => Ok(stats),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent)
}

fn import<T>(
    on: &Table<'_, T>,
    reader: impl Read,
    options: ImportOptions<'_>,
    deadline: Deadline,
    stats: &mut ImportStats,
) -> Result<()> {
    let problems = options.problems();
    if !problems.is_empty() {
        return Err(invalid(problems.join("; ")));
    }
    if on.hooks.before.is_some() {
        return Err(invalid(
            "pre_process of the table sees rows of its type, which an import does not make: give one to \
             ImportOptions::pre_process",
        ));
    }
    let table = on.describe(deadline)?;
    let key = if options.unique.is_empty() {
        Vec::new()
    } else {
        let plan = Plan::upsert(&table, &options.unique, None)?;
        plan.key().to_vec()
    };
    let together = on.config.one_transaction || on.config.strategy == Strategy::SingleQuery;
    // One row after the other has to win.
    let ordered = !key.is_empty() && options.on_conflict != OnConflict::Fail;
    let resendable = ordered;
    let rejects = RefCell::new(Rejects::new(options.reject_to, options.format, options.delimiter));
    on.run(0, deadline, resendable, true, |run| {
        if ordered || together {
            run.workers = 1;
        }
        // As many chunks as the engine has under way, at hand and answered.
        let most = (MEMORY / (run.workers * 5)).min(CHUNK);
        let rows = match on.config.strategy {
            Strategy::OneByOne => 1,
            _ => on.config.batch_size.fixed().unwrap_or(usize::MAX),
        };
        let mut source = Source::open(reader, &options.reading, options.format, options.delimiter, &table)?;
        let Some(layout) = source.layout(&key)? else { return Ok(()) };
        rejects.borrow_mut().set_header(layout.reject_header());
        let sending = Sending {
            table: &table,
            layout: &layout,
            key: &key,
            on_conflict: options.on_conflict,
            isolate: on.config.continue_on_error,
            bulk: on.config.strategy != Strategy::OneByOne,
        };
        let mut metrics = stats.metrics.clone();
        // The iterator and the sink take turns on this thread.
        let under_way: RefCell<HashMap<usize, Arc<Batch>>> = RefCell::default();
        let stopped: RefCell<Option<Error>> = RefCell::default();
        let mut number = 0;
        let pieces = std::iter::from_fn(|| {
            if stopped.borrow().is_some() {
                return None;
            }
            match source.next(&layout, rows, most, options.before.as_deref()) {
                Ok(Some(batch)) => {
                    let batch = Arc::new(batch);
                    under_way.borrow_mut().insert(number, Arc::clone(&batch));
                    number += 1;
                    Some(batch)
                }
                Ok(None) => None,
                Err(error) => {
                    *stopped.borrow_mut() = Some(error);
                    None
                }
            }
        });
        let sink = |number: usize, fate: Fate<_>| {
            let Some(batch) = under_way.borrow_mut().remove(&number) else { return };
            let settled = stats.settle(&batch, fate, resendable, &mut rejects.borrow_mut(), &on.hooks);
            let too_many = options.max_rejects.filter(|most| stats.failed > *most);
            if let Err(error) = settled {
                stopped.borrow_mut().get_or_insert(error);
            } else if let Some(most) = too_many {
                let message = format!("{} rows were refused, more than {most}", stats.failed);
                stopped.borrow_mut().get_or_insert(Error::new(ErrorKind::Rejected, message));
            }
        };
        let apply = |connection: &mut _, batch: &Arc<Batch>| sending.send(connection, batch);
        let ran = if together {
            let may_commit = || stopped.borrow().is_none();
            transaction::together(run, &mut metrics, pieces, may_commit, apply, sink)
        } else {
            run.each(&mut metrics, pieces, apply, sink).map(|()| transaction::Ended::Committed)
        };
        stats.metrics = metrics;
        stats.lines = source.lines();
        stats.unread_from = source.unread_from();
        let flushed = rejects.into_inner().finish();
        match ran? {
            transaction::Ended::Committed => {}
            transaction::Ended::Undone(error) => {
                stats.undo(RowStatus::RolledBack);
                run.tell_last(0, stats.total - stats.not_run);
                if stopped.borrow().is_none() {
                    return Err(error.unwrap_or_else(|| stats.why_stopped()));
                }
            }
            transaction::Ended::InDoubt(error) => {
                stats.undo(RowStatus::InDoubt);
                run.tell_last(0, stats.total - stats.not_run);
                return Err(error);
            }
        }
        if let Some(error) = stopped.into_inner() {
            return Err(error);
        }
        flushed?;
        // A row that was refused ends it only without `continue_on_error`, and is the error then.
        let is_cut = stats.unread_from.is_some() || stats.not_run > 0;
        if is_cut && (on.config.continue_on_error || stats.errors.is_empty()) {
            return Err(stats.why_stopped());
        }
        Ok(())
    })
}
