//! Rows written one by one, each told what became of it.

use std::collections::BTreeMap;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::catalog::{TableInfo, quote};
use super::super::driver::{Chunk, Cost, Done, OnConflict, Returning, RowStatus};
use super::super::key::Key;
use super::decode::{self, Field, Unread};
use super::keys::{fields, list, matches, numbered, of_row, part};
use super::shape::Shape;
use super::{Connection, catalog, deferred};
use crate::error::{Error, ErrorKind, Result};

/// What a statement is asked to give back of the row that it wrote.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) what: Returning,
    /// A view's triggers do the writing, and SQLite does not count what they do.
    is_view: bool,
    columns: String,
    key_columns: String,
    fields: Vec<Field>,
}

/// What became of one row.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) status: RowStatus,
    pub(super) key: Option<Key>,
    /// In a box, since mostly there is none and an answer is handed on often.
    pub(super) row: Option<Box<T>>,
}

/// The rows that are left out, with the reasons.
pub(super) type Skip = BTreeMap<usize, Option<Error>>;

impl Ask {
    pub(super) fn new(connection: &Connection, table: &TableInfo, what: Returning) -> Result<Self> {
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let is_view = catalog::is_view(&connection.db, &table.name)
            .map_err(|failed| connection.failed(failed, Some(&table.name)))?;
        Ok(Self {
            what,
            is_view,
            columns: list(table, &all),
            key_columns: list(table, &table.key),
            fields: fields(table, &all),
        })
    }

    /// The clause; `keys` says that keys are to be asked for.
    fn returning(&self, keys: bool) -> String {
        match self.what {
            Returning::Rows => format!(" RETURNING {}", self.columns),
            Returning::Keys if keys && !self.key_columns.is_empty() => {
                format!(" RETURNING {}", self.key_columns)
            }
            _ if self.is_view => " RETURNING 1".to_owned(),
            _ => String::new(),
        }
    }
}

impl Connection {
    /// Prepares a statement that gives back what is asked for.
    pub(super) fn prepare_asking(
        &self,
        table: &TableInfo,
        sql: &str,
        ask: &Ask,
        keys: bool,
    ) -> Result<CachedStatement<'_>> {
        if ask.is_view {
            // A view with triggers for other verbs: only without `RETURNING` does SQLite say that it has none
            // for this one, and with it does nothing.
            drop(self.prepare(table, sql)?);
        }
        self.prepare(table, &format!("{sql}{}", ask.returning(keys)))
    }

    /// Runs a statement whose parameters are bound, for one row; `Missing` if it wrote none.
    pub(super) fn run<T: DeserializeOwned>(&self, stmt: &mut Statement<'_>, ask: &Ask) -> Result<Answer<T>> {
        let failed = |failed| self.failed(failed, None);
        if stmt.column_count() == 0 {
            let wrote = stmt.raw_execute().map_err(failed)? > 0;
            let status = if wrote { RowStatus::Updated } else { RowStatus::Missing };
            return Ok(Answer { status, key: None, row: None });
        }
        let mut rows = stmt.raw_query();
        let mut answer = Answer { status: RowStatus::Missing, key: None, row: None };
        while let Some(row) = rows.next().map_err(failed)? {
            if answer.status != RowStatus::Missing {
                continue;
            }
            answer.status = RowStatus::Updated;
            match ask.what {
                Returning::Rows => {
                    answer.row = Some(Box::new(decode::row(&ask.fields, row).map_err(Unread::into_error)?));
                }
                Returning::Keys if !ask.key_columns.is_empty() => {
                    let count = row.as_ref().column_count();
                    let parts = (0..count).map(|at| row.get_ref(at).map(part));
                    answer.key = Some(Key::of(parts.collect::<rusqlite::Result<Vec<_>>>().map_err(failed)?));
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Takes rows one by one. A row that is refused is marked (`isolate`) or ends it; what is no row's fault
    /// ends it in any case.
    pub(super) fn each<R, T>(
        &self,
        table: &TableInfo,
        rows: &[R],
        skip: &Skip,
        (isolate, returning): (bool, Returning),
        mut take: impl FnMut(usize, &R) -> Result<Answer<T>>,
    ) -> Result<Done<T>> {
        let since = Instant::now();
        let mut done = Done {
            statuses: Vec::with_capacity(rows.len()),
            errors: Vec::new(),
            keys: Vec::new(),
            rows: Vec::new(),
            cost: Cost::default(),
        };
        for (index, row) in rows.iter().enumerate() {
            let mut answer = Answer { status: RowStatus::Failed, key: None, row: None };
            if !skip.contains_key(&index) {
                // The clock is asked now and then; SQLite asks it in statements that take long.
                if index % 64 == 0 || self.alarm.is_interrupted() {
                    self.go_on(Some(&table.name))?;
                }
                done.cost.statements += 1;
                match take(index, row) {
                    Ok(taken) => answer = taken,
                    Err(error) => {
                        let its_fault = matches!(
                            error.kind(),
                            ErrorKind::Conflict | ErrorKind::Rejected | ErrorKind::Invalid
                        );
                        let error = if error.entity().is_none() {
                            error.with_entity(table.name.to_string())
                        } else {
                            error
                        };
                        if !its_fault {
                            return Err(error);
                        }
                        let error = error.with_record_index(index);
                        // A trigger may undo the whole transaction.
                        if !isolate || self.db.is_autocommit() {
                            return Err(error);
                        }
                        done.errors.push((index, error));
                    }
                }
            }
            done.statuses.push(answer.status);
            match returning {
                Returning::Nothing => {}
                Returning::Keys => done.keys.push(answer.key),
                Returning::Rows => done.rows.push(answer.row.map(|row| *row)),
            }
        }
        done.cost.server = since.elapsed();
        Ok(done)
    }

    pub(super) fn insert_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let keyed = Keyed::of(self, chunk)?;
        let ask = Ask::new(self, table, chunk.returning)?;
        let sql = insert_into(chunk);
        let run = |connection: &Self, skip: &Skip| {
            let mut stmt = connection.prepare_asking(table, &sql, &ask, keyed == Keyed::Returned)?;
            let copied = if keyed == Keyed::Given { table.key.as_slice() } else { &[] };
            let mut shape = Shape::new(table, chunk.columns, copied);
            let mut done = connection.each(
                table,
                chunk.rows,
                skip,
                (chunk.isolate, chunk.returning),
                |index, row| {
                    shape.bind(&mut stmt, row).map_err(|misfit| of_row(misfit, table, index))?;
                    let mut answer: Answer<T> = connection.run(&mut stmt, &ask)?;
                    let wrote = answer.status != RowStatus::Missing;
                    // A trigger may have said that there is nothing to do.
                    answer.status = if wrote { RowStatus::Inserted } else { RowStatus::Unchanged };
                    match keyed {
                        Keyed::Given => answer.key = Some(given(&shape)),
                        Keyed::Rowid if wrote => {
                            answer.key = Some(Key::from(connection.db.last_insert_rowid()));
                        }
                        _ => {}
                    }
                    Ok(answer)
                },
            )?;
            done.cost.bytes = shape.bytes;
            Ok(done)
        };
        self.finish(chunk, &run)
    }

    pub(super) fn upsert_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let ask = Ask::new(self, table, chunk.returning)?;
        let target =
            if conflict.key.is_empty() { String::new() } else { format!(" ({})", list(table, conflict.key)) };
        let action = if conflict.update.is_empty() {
            "NOTHING".to_owned()
        } else {
            let set = conflict.update.iter().map(|column| quote(&table.columns[*column].name));
            let set = set.map(|name| format!("{name} = excluded.{name}")).collect::<Vec<_>>().join(", ");
            format!("UPDATE SET {set}")
        };
        let sql = format!("{} ON CONFLICT{target} DO {action}", insert_into(chunk));
        let probe = (!conflict.key.is_empty()).then(|| {
            let wanted = match ask.what {
                _ if !conflict.update.is_empty() => "1",
                Returning::Rows => ask.columns.as_str(),
                Returning::Keys if !ask.key_columns.is_empty() => ask.key_columns.as_str(),
                _ => "1",
            };
            format!("SELECT {wanted} FROM {} WHERE {}", table.name.quoted(), matches(table, conflict.key, 1))
        });
        let run = |connection: &Self, skip: &Skip| {
            let mut stmt = connection.prepare_asking(table, &sql, &ask, true)?;
            let mut probe = probe.as_ref().map(|sql| connection.prepare(table, sql)).transpose()?;
            let mut shape = Shape::new(table, chunk.columns, conflict.key);
            let mut done = connection.each(
                table,
                chunk.rows,
                skip,
                (chunk.isolate, chunk.returning),
                |index, row| {
                    shape.bind(&mut stmt, row).map_err(|misfit| of_row(misfit, table, index))?;
                    let is_there = match &mut probe {
                        None => false,
                        Some(probe) if conflict.update.is_empty() => {
                            if let Some(there) = connection.probe(probe, &shape, &ask)? {
                                return Ok(there);
                            }
                            false
                        }
                        Some(probe) => connection.was_there(probe, &shape)?,
                    };
                    let mut answer: Answer<T> = connection.run(&mut stmt, &ask)?;
                    answer.status = match answer.status {
                        RowStatus::Missing => RowStatus::Unchanged,
                        _ if is_there => RowStatus::Updated,
                        _ => RowStatus::Inserted,
                    };
                    Ok(answer)
                },
            )?;
            done.cost.bytes = shape.bytes;
            Ok(done)
        };
        self.finish(chunk, &run)
    }

    /// The row that has the key which the last row gives.
    fn probe<T: DeserializeOwned>(
        &self,
        probe: &mut CachedStatement<'_>,
        shape: &Shape<'_>,
        ask: &Ask,
    ) -> Result<Option<Answer<T>>> {
        bind_copies(probe, shape).map_err(|failed| self.failed(failed, None))?;
        let mut answer = self.run(probe, ask)?;
        if answer.status == RowStatus::Missing {
            return Ok(None);
        }
        answer.status = RowStatus::Unchanged;
        Ok(Some(answer))
    }

    fn was_there(&self, probe: &mut CachedStatement<'_>, shape: &Shape<'_>) -> Result<bool> {
        bind_copies(probe, shape).map_err(|failed| self.failed(failed, None))?;
        let mut rows = probe.raw_query();
        rows.next().map(|row| row.is_some()).map_err(|failed| self.failed(failed, None))
    }

    pub(super) fn update_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let ask = Ask::new(self, table, chunk.returning)?;
        let parameter =
            |column: &usize| chunk.columns.iter().position(|each| each == column).map(|at| at + 1);
        let assign = |column: &usize| {
            let name = quote(&table.columns[*column].name);
            parameter(column).map(|at| format!("{name} = ?{at}"))
        };
        let set: Vec<String> =
            chunk.columns.iter().filter(|column| !key.contains(column)).filter_map(assign).collect();
        let set = if set.is_empty() { key.iter().filter_map(assign).collect() } else { set };
        let found: Vec<String> = key.iter().filter_map(assign).collect();
        let number = chunk.columns.len() + 1;
        let run = |connection: &Self, skip: &Skip| {
            let mut keys = Shape::copying(table, chunk.columns, key);
            let numbers = connection.numbers(table, key, chunk.rows.len(), |index, values| {
                let mut stmt = connection.prepare(table, "SELECT 1")?;
                if keys.bind(&mut stmt, &chunk.rows[index]).is_ok() {
                    values.extend_from_slice(&keys.copies);
                }
                Ok(())
            })?;
            let sql = format!(
                "UPDATE {} SET {} WHERE {}{}",
                table.name.quoted(),
                set.join(", "),
                found.join(" AND "),
                numbered(table, numbers.as_ref(), number),
            );
            let mut stmt = connection.prepare_asking(table, &sql, &ask, true)?;
            let mut shape = Shape::new(table, chunk.columns, &[]);
            let mut done = connection.each(
                table,
                chunk.rows,
                skip,
                (chunk.isolate, chunk.returning),
                |index, row| {
                    shape.bind(&mut stmt, row).map_err(|misfit| of_row(misfit, table, index))?;
                    let numbers = numbers.as_ref().map(|all| all[index].as_slice());
                    connection.run_numbers(&mut stmt, &ask, number, numbers)
                },
            )?;
            done.cost.bytes = shape.bytes;
            Ok(done)
        };
        self.finish(chunk, &run)
    }

    /// Runs a chunk to its commit.
    fn finish<R: Serialize, T>(
        &mut self,
        chunk: &Chunk<'_, R>,
        run: &dyn Fn(&Self, &Skip) -> Result<Done<T>>,
    ) -> Result<Done<T>> {
        let orphans = |connection: &Self, done: &Done<T>| deferred::orphans(connection, chunk, done);
        self.settle(chunk.rows, chunk.isolate, run, &orphans)
    }
}

fn insert_into<R>(chunk: &Chunk<'_, R>) -> String {
    let table = chunk.table;
    if chunk.columns.is_empty() {
        return format!("INSERT INTO {} DEFAULT VALUES", table.name.quoted());
    }
    let parameters: Vec<String> = (1..=chunk.columns.len()).map(|at| format!("?{at}")).collect();
    let columns = list(table, chunk.columns);
    format!("INSERT INTO {} ({columns}) VALUES ({})", table.name.quoted(), parameters.join(", "))
}

fn bind_copies(probe: &mut Statement<'_>, shape: &Shape<'_>) -> rusqlite::Result<()> {
    for (at, value) in shape.copies.iter().enumerate() {
        probe.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}

/// The key that the last row gives.
fn given(shape: &Shape<'_>) -> Key {
    Key::of(shape.copies.iter().map(|value: &Value| part(value.into())))
}

/// Where the keys of inserted rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyed {
    NotAsked,
    /// The rows have them.
    Given,
    /// SQLite numbers the rows.
    Rowid,
    Returned,
}

impl Keyed {
    fn of<R>(connection: &Connection, chunk: &Chunk<'_, R>) -> Result<Self> {
        let table = chunk.table;
        if chunk.returning != Returning::Keys || table.key.is_empty() {
            return Ok(Self::NotAsked);
        }
        if let [only] = table.key[..] {
            let rowid = catalog::is_rowid(&connection.db, &table.name, &table.columns[only]);
            if rowid.map_err(|failed| connection.failed(failed, Some(&table.name)))? {
                return Ok(Self::Rowid);
            }
        }
        // A key that may be NULL may also get its value from a default or a trigger.
        let given = |column: &usize| chunk.columns.contains(column) && !table.columns[*column].nullable;
        Ok(if table.key.iter().all(given) { Self::Given } else { Self::Returned })
    }
}
