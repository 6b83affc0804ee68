//! Finding the rows that the database refuses, so that their neighbours are written.
//!
//! COPY says which line it stumbled over: the rows before it are sent again, it is marked, and the work
//! goes on behind it. Where nothing is said - the check of a foreign key, a deferred constraint, a
//! statement over staged rows - the range is halved until one row is left.

use std::collections::BTreeMap;
use std::ops::Range;

use super::failure::Trouble;
use super::session::Connection;
use crate::error::{Delivery, Error, Result};

/// How many rows go together after one was refused; doubled with every success.
const STEP: usize = 200;

/// The SQLSTATE of a row whose parent is not there.
const FOREIGN_KEY: &str = "23503";

/// Why rows failed, by their place in the chunk.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<usize, Error>);

impl Marks {
    pub(super) fn is_bad(&self, row: usize) -> bool {
        self.0.contains_key(&row)
    }

    pub(super) fn mark(&mut self, row: usize, error: Error) {
        self.0.insert(row, error.with_record_index(row));
    }

    pub(super) fn into_errors(self) -> Vec<(usize, Error)> {
        self.0.into_iter().collect()
    }
}

/// What is done with a range of rows. It passes over rows that are marked.
pub(super) trait Step {
    fn apply(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> Result<(), Trouble>;

    /// Marks all rows of the range whose parent is not there, as far as that can be told at once.
    fn mark_orphans(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> Result<bool> {
        let _ = (connection, range, marks);
        Ok(false)
    }
}

/// Applies a step to all rows. With `isolate` a row that is refused is marked, and the others are done;
/// else the first refusal is the error. With `again`, rows that refer to rows of the same table get a
/// second try when all others are there.
pub(super) fn each(
    connection: &mut Connection,
    rows: Range<usize>,
    isolate: bool,
    again: bool,
    marks: &mut Marks,
    step: &mut impl Step,
) -> Result<()> {
    if !isolate {
        return step.apply(connection, rows, marks).map_err(|trouble| match trouble {
            Trouble::Data { error, row: Some(row) } => error.with_record_index(row),
            trouble => trouble.into_error(),
        });
    }
    connection.simple("SAVEPOINT batchcall_row", Delivery::NotSent)?;
    let mut at = rows.start;
    let mut take = rows.len();
    // A row that was refused after rows that are now sent again.
    let mut pending: Option<(usize, Error)> = None;
    let mut referring = Vec::new();
    let mut orphans_are_marked = false;
    while at < rows.end {
        let end = at.saturating_add(take).min(rows.end);
        match step.apply(connection, at..end, marks) {
            Ok(()) => {
                keep(connection)?;
                at = end;
                match pending.take() {
                    Some((row, error)) => {
                        marks.mark(row, error);
                        at = row + 1;
                        take = STEP;
                    }
                    None => take = take.saturating_mul(2),
                }
            }
            Err(Trouble::Other(error)) => return Err(error),
            Err(Trouble::Data { error, row }) => {
                drop_back(connection)?;
                pending = None;
                match row.filter(|row| (at..end).contains(row)) {
                    Some(row) if row == at => {
                        marks.mark(row, error);
                        at = row + 1;
                        take = STEP;
                    }
                    Some(row) => {
                        take = row - at;
                        pending = Some((row, error));
                    }
                    None if end - at == 1 => {
                        if again && error.remote_name() == Some(FOREIGN_KEY) {
                            referring.push(at);
                        }
                        marks.mark(at, error);
                        at = end;
                    }
                    None => {
                        let found = !std::mem::replace(&mut orphans_are_marked, true)
                            && error.remote_name() == Some(FOREIGN_KEY)
                            && step.mark_orphans(connection, at..rows.end, marks)?;
                        if !found {
                            take = (end - at) / 2;
                        }
                    }
                }
            }
        }
    }
    // A row may refer to one that was sent after it, in a part that was split off.
    let mut progress = true;
    while progress && !referring.is_empty() {
        progress = false;
        let mut still = Vec::new();
        for row in referring {
            let before = marks.0.remove(&row);
            match step.apply(connection, row..row + 1, marks) {
                Ok(()) => {
                    keep(connection)?;
                    progress = true;
                }
                Err(Trouble::Other(error)) => return Err(error),
                Err(Trouble::Data { .. }) => {
                    drop_back(connection)?;
                    marks.0.extend(before.map(|error| (row, error)));
                    still.push(row);
                }
            }
        }
        // Chains are resolved from their end, which may be either.
        still.reverse();
        referring = still;
    }
    connection.simple("RELEASE SAVEPOINT batchcall_row", Delivery::NotSent)
}

fn keep(connection: &mut Connection) -> Result<()> {
    connection.simple("RELEASE SAVEPOINT batchcall_row; SAVEPOINT batchcall_row", Delivery::NotSent)
}

fn drop_back(connection: &mut Connection) -> Result<()> {
    connection.simple("ROLLBACK TO SAVEPOINT batchcall_row", Delivery::NotSent)
}
