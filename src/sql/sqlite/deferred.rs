//! References that are checked at the commit: which rows of a chunk are to blame when it fails.

use serde::Serialize;

use super::super::catalog::quote;
use super::super::driver::{Chunk, Done, RowStatus};
use super::shape::Shape;
use super::write::Skip;
use super::{Connection, failure};
use crate::error::{Error, Result};

/// Finds the rows of a chunk that refer to a row which is not there.
type Orphans<'a, T> = dyn Fn(&Connection, &Done<T>) -> Result<Vec<usize>> + 'a;

impl Connection {
    /// Runs a chunk and commits it. If the commit fails for references, the rows at fault are found and left
    /// out, and the chunk is run again.
    pub(super) fn settle<R, T>(
        &mut self,
        rows: &[R],
        isolate: bool,
        run: &dyn Fn(&Self, &Skip) -> Result<Done<T>>,
        orphans: &Orphans<'_, T>,
    ) -> Result<Done<T>> {
        let mut skip = Skip::new();
        loop {
            self.open_chunk()?;
            let mut done = match run(self, &skip) {
                Ok(done) => done,
                Err(error) => {
                    self.undo_chunk();
                    return Err(error);
                }
            };
            let failed = match self.keep_chunk() {
                Ok(()) => {
                    let left_out = skip.into_iter().filter_map(|(index, error)| Some((index, error?)));
                    done.errors.extend(left_out);
                    done.errors.sort_by_key(|(index, _)| *index);
                    return Ok(done);
                }
                Err(failed) => failed,
            };
            let refused = failure::is_foreign_key(&failed);
            let found = if refused { orphans(self, &done) } else { Ok(Vec::new()) };
            self.undo_chunk();
            let mut found = found?;
            if refused && found.is_empty() {
                found = self.search(rows.len(), &skip, run)?;
            }
            let error = |index| stopped_or(self, &failed).with_record_index(index);
            match found.first() {
                Some(_) if isolate => {
                    skip.extend(found.into_iter().map(|index| (index, Some(error(index)))));
                }
                Some(first) => return Err(error(*first)),
                None => return Err(stopped_or(self, &failed)),
            }
        }
    }

    /// Rows that cannot be committed, found by halving; nothing stays written. What no row's own values
    /// show, such as a parent that was deleted, is found so.
    fn search<T>(
        &mut self,
        count: usize,
        skip: &Skip,
        run: &dyn Fn(&Self, &Skip) -> Result<Done<T>>,
    ) -> Result<Vec<usize>> {
        let mut kept: Vec<bool> = vec![false; count];
        let before = self.trial(&kept, skip, run)?;
        let mut waiting = vec![(0, count)];
        let mut bad = Vec::new();
        while let Some((from, to)) = waiting.pop() {
            kept[from..to].fill(true);
            if self.trial(&kept, skip, run)? <= before {
                continue;
            }
            kept[from..to].fill(false);
            if to - from == 1 {
                bad.push(from);
            } else {
                let middle = from.midpoint(to);
                waiting.extend([(middle, to), (from, middle)]);
            }
        }
        // A row may be good with another that came after it.
        let mut good = true;
        while good {
            good = false;
            let mut index = 0;
            while index < bad.len() {
                kept[bad[index]] = true;
                if self.trial(&kept, skip, run)? <= before {
                    bad.swap_remove(index);
                    good = true;
                } else {
                    kept[bad[index]] = false;
                    index += 1;
                }
            }
        }
        bad.sort_unstable();
        Ok(bad)
    }

    /// How many references lead nowhere once these rows are written.
    fn trial<T>(
        &mut self,
        kept: &[bool],
        skip: &Skip,
        run: &dyn Fn(&Self, &Skip) -> Result<Done<T>>,
    ) -> Result<usize> {
        self.open_chunk()?;
        let without = (0..kept.len()).filter(|index| !kept[*index] || skip.contains_key(index));
        let without: Skip = without.map(|index| (index, None)).collect();
        let count = run(self, &without).and_then(|_| {
            let count = || {
                let mut stmt = self.db.prepare_cached("PRAGMA foreign_key_check")?;
                let mut rows = stmt.raw_query();
                let mut count = 0;
                while rows.next()?.is_some() {
                    count += 1;
                }
                Ok(count)
            };
            count().map_err(|failed| self.failed(failed, None))
        });
        self.undo_chunk();
        count
    }
}

fn stopped_or(connection: &Connection, failed: &rusqlite::Error) -> Error {
    let copy = match failed {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        _ => return Error::other(failed.to_string()),
    };
    connection.failed(copy, None)
}

/// The rows that refer to a row which is not there, by their own values.
pub(super) fn orphans<R: Serialize, T>(
    connection: &Connection,
    chunk: &Chunk<'_, R>,
    done: &Done<T>,
) -> Result<Vec<usize>> {
    let table = chunk.table;
    let mut found = Vec::new();
    for key in &table.foreign_keys {
        let columns: Option<Vec<usize>> = key.columns.iter().map(|name| table.column(name)).collect();
        let Some(columns) = columns.filter(|all| all.iter().all(|column| chunk.columns.contains(column)))
        else {
            continue;
        };
        if key.referred.len() != columns.len() {
            continue;
        }
        let parts = key.referred.iter().enumerate();
        let parts: Vec<String> = parts.map(|(at, name)| format!("{} = ?{}", quote(name), at + 1)).collect();
        let sql = format!("SELECT 1 FROM {} WHERE {}", key.table.quoted(), parts.join(" AND "));
        let mut probe = connection.prepare(table, &sql)?;
        // Binds nothing but takes the values: a statement without parameters is asked for none.
        let mut shape = Shape::copying(table, chunk.columns, &columns);
        for (index, row) in chunk.rows.iter().enumerate() {
            let written = matches!(done.statuses[index], RowStatus::Inserted | RowStatus::Updated);
            if !written || shape.bind(&mut probe, row).is_err() {
                continue;
            }
            if shape.copies.contains(&rusqlite::types::Value::Null) {
                continue;
            }
            let failed = |failed| connection.failed(failed, Some(&table.name));
            for (at, value) in shape.copies.iter().enumerate() {
                probe.raw_bind_parameter(at + 1, value).map_err(failed)?;
            }
            if probe.raw_query().next().map_err(failed)?.is_none() {
                found.push(index);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
