//! By way of a temporary table: the rows go there by COPY, each with its place in the chunk, and one
//! statement moves them on. For upserts (`upsert`) and updates, and for what COPY does not reach.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;

use postgres::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cell_decode::Cell;
use super::copy::{Copy, Extra};
use super::decode::{Raw, Reader, Unreadable};
use super::failure::Trouble;
use super::insert::{done, layout, refers_to_itself};
use super::isolate::{Marks, Step, each};
use super::keys::{read_key, returned};
use super::raw_keys::RawKeys;
use super::row::Format;
use super::session::{Connection, Param};
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::catalog::{TableInfo, quote, quote_all};
use crate::sql::driver::{Chunk, Done, Returning, RowStatus};
use crate::sql::key::Key;

/// Rows in the temporary table.
pub(super) struct Stage {
    /// Its name, ready for a statement.
    pub(super) name: String,
    /// The columns of the target, in the order of `c0`, `c1`..
    columns: Vec<usize>,
    /// The keys of the rows, if they were asked for and can be told by their bytes.
    pub(super) keys: Option<RawKeys>,
}

impl Stage {
    /// What stands for a column of the target.
    pub(super) fn of(&self, column: usize) -> String {
        let at = self.columns.iter().position(|each| *each == column).unwrap_or_default();
        format!("batchcall_s.c{at}")
    }

    pub(super) fn list(&self) -> String {
        let names: Vec<String> = (0..self.columns.len()).map(|at| format!("batchcall_s.c{at}")).collect();
        names.join(", ")
    }

    pub(super) fn names(&self, table: &TableInfo) -> String {
        quote_all(self.columns.iter().map(|column| table.columns[*column].name.as_str()))
    }
}

impl Connection {
    /// Puts the rows of a chunk into a temporary table, with `extra` cells for the columns `absent`. Takes
    /// note of the values of the columns `key`.
    pub(super) fn stage<R: Serialize>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
        absent: &[usize],
        extra: Option<&Extra>,
        marks: &mut Marks,
    ) -> Result<Stage> {
        let table = chunk.table;
        let layout = layout(self, chunk)?;
        let mut columns: Vec<usize> =
            layout.fields.iter().filter_map(|field| table.column(&field.name)).collect();
        columns.extend(absent);
        let types: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!(", c{at} {}", table.columns[*column].type_name))
            .collect();
        // Named by its shape, so that whoever finds it there finds the columns that it needs.
        let mut hasher = DefaultHasher::new();
        types.hash(&mut hasher);
        let relation = format!("batchcall_{:016x}", hasher.finish());
        let name = format!("pg_temp.{relation}");
        let types = types.concat();
        let create =
            format!("CREATE TEMP TABLE IF NOT EXISTS {relation} (o int4{types}) ON COMMIT DELETE ROWS");
        // Rows of an earlier chunk are still there if the transaction is the caller's.
        let empty = if self.is_outer() { format!("; TRUNCATE {name}") } else { String::new() };
        self.simple(&format!("{create}{empty}"), Delivery::NotSent)?;
        let mut names = vec!["o".to_owned()];
        names.extend((0..columns.len()).map(|at| format!("c{at}")));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let fields: Option<Vec<usize>> =
            key.iter().map(|key| columns.iter().position(|column| column == key)).collect();
        let fields = fields.filter(|_| layout.format == Format::Binary).unwrap_or_default();
        let wires = fields.iter().filter_map(|field| layout.fields.get(*field)).map(|field| &field.wire);
        let keys = RawKeys::new(wires, chunk.rows.len()).map(|keys| (fields.clone(), keys));
        let mut copy = Copy::new(table, (&name, &relation), &names, layout, chunk.rows, chunk.isolate)
            .with_extra(extra)
            .with_keys(keys)
            .numbered();
        each(self, 0..chunk.rows.len(), chunk.isolate, false, marks, &mut copy)?;
        let keys = copy.into_keys();
        Ok(Stage { name, columns, keys })
    }

    /// Inserts rows where COPY does not reach, such as a view. Their keys are known or not asked for.
    pub(super) fn insert_staged<R: Serialize>(
        &mut self,
        chunk: &Chunk<'_, R>,
        absent: &[usize],
        extra: Option<&Extra>,
        marks: &mut Marks,
    ) -> Result<()> {
        let stage = self.stage(chunk, &[], absent, extra, marks)?;
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS batchcall_s \
             WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4 ORDER BY batchcall_s.o",
            chunk.table.name.quoted(),
            stage.names(chunk.table),
            stage.list(),
            stage.name,
        );
        let mut move_on: Staged<'_, serde::de::IgnoredAny> = Staged::new(chunk.table, &sql, chunk.rows.len());
        let rows = 0..chunk.rows.len();
        each(self, rows, chunk.isolate, refers_to_itself(chunk.table), marks, &mut move_on)
    }

    pub(super) fn update_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>> {
        self.ready()?;
        if chunk.rows.is_empty() {
            return Ok(done(Vec::new(), Marks::default()));
        }
        let table = chunk.table;
        let result = self.within(chunk.isolate, |connection| {
            let mut marks = Marks::default();
            let stage = connection.stage(chunk, &[], &[], None, &mut marks)?;
            let column = |column: &usize| quote(&table.columns[*column].name);
            let equal: Vec<String> = key
                .iter()
                .map(|each| format!("batchcall_t.{} = {}", column(each), stage.of(*each)))
                .collect();
            let equal = equal.join(" AND ");
            let sets: Vec<String> = stage
                .columns
                .iter()
                .filter(|each| !key.contains(each))
                .map(|each| format!("{} = {}", column(each), stage.of(*each)))
                .collect();
            let list = returned(table, chunk.returning);
            let (target, stage) = (table.name.quoted(), &stage.name);
            let packed = chunk.returning == Returning::Nothing;
            let sql = if sets.is_empty() {
                format!(
                    "SELECT batchcall_s.o{list} FROM {target} AS batchcall_t JOIN {stage} AS batchcall_s \
                     ON {equal} WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4"
                )
            } else {
                format!(
                    "UPDATE {target} AS batchcall_t SET {} FROM {stage} AS batchcall_s \
                     WHERE {equal} AND batchcall_s.o BETWEEN $1::int4 AND $2::int4 \
                     RETURNING batchcall_s.o{list}",
                    sets.join(", ")
                )
            };
            let sql = if packed && !sets.is_empty() {
                format!("WITH batchcall_w AS ({sql}) SELECT array_agg(o) FROM batchcall_w")
            } else {
                sql
            };
            let mut move_on: Staged<'_, T> = Staged::new(table, &sql, chunk.rows.len());
            move_on.packed = packed && !sets.is_empty();
            move_on.returning = chunk.returning;
            move_on.found = if sets.is_empty() { RowStatus::Unchanged } else { RowStatus::Updated };
            move_on.otherwise = RowStatus::Missing;
            move_on.make_room(chunk.rows.len());
            let rows = 0..chunk.rows.len();
            each(connection, rows, chunk.isolate, refers_to_itself(table), &mut marks, &mut move_on)?;
            let mut all = done(move_on.statuses, marks);
            (all.keys, all.rows) = (move_on.keys, move_on.rows);
            Ok(all)
        });
        result.map(|mut done| {
            done.cost = self.cost;
            done
        })
    }
}

/// A statement over a range of staged rows.
pub(super) struct Staged<'a, T> {
    table: &'a TableInfo,
    sql: &'a str,
    /// The keys by which rows are told, in the first columns; without, the first column is their place.
    pub(super) by: Option<RawKeys>,
    /// Whether one row comes back, of arrays; each row would cost more than what it says.
    pub(super) packed: bool,
    /// Whether the next column says that the row is new.
    pub(super) tells_new: bool,
    pub(super) returning: Returning,
    pub(super) found: RowStatus,
    pub(super) otherwise: RowStatus,
    pub(super) statuses: Vec<RowStatus>,
    pub(super) keys: Vec<Option<Key>>,
    pub(super) rows: Vec<Option<T>>,
}

impl<'a, T> Staged<'a, T> {
    pub(super) fn new(table: &'a TableInfo, sql: &'a str, rows: usize) -> Self {
        Self {
            table,
            sql,
            by: None,
            packed: false,
            tells_new: false,
            returning: Returning::Nothing,
            found: RowStatus::Inserted,
            otherwise: RowStatus::Inserted,
            statuses: vec![RowStatus::NotRun; rows],
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) fn make_room(&mut self, rows: usize) {
        match self.returning {
            Returning::Nothing => {}
            Returning::Keys => self.keys = vec![None; rows],
            Returning::Rows => self.rows.resize_with(rows, || None),
        }
    }
}

impl<T> Staged<'_, T> {
    /// Reads arrays with an element a row: its key or its place, and whether it is new.
    fn unpack(&mut self, row: &Row) -> Result<()> {
        let unreadable = |error: Unreadable| {
            Error::new(ErrorKind::Protocol, error.to_string()).with_delivery(Delivery::Answered)
        };
        let mut arrays = Vec::with_capacity(row.len());
        for at in 0..row.len() {
            // Without any row there is no array.
            let Raw(Some(raw)) = row.get(at) else { return Ok(()) };
            let cell = Cell { raw: Some(raw), wire: &Wire::Other };
            arrays.push(cell.elements(&Wire::Other).map_err(unreadable)?);
        }
        let mut cells = Vec::with_capacity(arrays.len());
        loop {
            cells.clear();
            for array in &mut arrays {
                let Some(cell) = array.next_cell().map_err(unreadable)? else { return Ok(()) };
                cells.push(cell.raw);
            }
            let new = if self.tells_new { cells.pop().flatten() == Some(&[1]) } else { false };
            let place = match &mut self.by {
                Some(by) => by.place(cells.iter().copied()),
                None => {
                    cells[0].and_then(|raw| usize::try_from(i32::from_be_bytes(raw.try_into().ok()?)).ok())
                }
            };
            // A trigger may have changed the key.
            if let Some(status) = place.and_then(|place| self.statuses.get_mut(place)) {
                *status = match self.tells_new {
                    true if new => RowStatus::Inserted,
                    true => RowStatus::Updated,
                    false => self.found,
                };
            }
        }
    }
}

impl<T: DeserializeOwned> Step for Staged<'_, T> {
    fn apply(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        _marks: &mut Marks,
    ) -> Result<(), Trouble> {
        let statement = connection.prepared(self.sql, Some(self.table))?;
        let place = |row: usize| i32::try_from(row).unwrap_or(i32::MAX).to_be_bytes();
        let (first, last) = (place(range.start), place(range.end.saturating_sub(1)));
        let params = [Param(Some(&first)), Param(Some(&last))];
        self.statuses[range].fill(self.otherwise);
        if self.packed {
            let rows = connection.rows(&statement, &params, Some(self.table), Delivery::NotSent)?;
            rows.first().map_or(Ok(()), |row| self.unpack(row))?;
            return connection.check(self.table);
        }
        let Self { table, by, tells_new, returning, found, .. } = self;
        let reader = Reader::new(statement.columns());
        let told = by.as_ref().map_or(1, RawKeys::parts);
        let from = told + usize::from(*tells_new);
        connection.each_row(&statement, &params, Some(table), Delivery::NotSent, |row| {
            let place = match by {
                Some(by) => by.place_of(row),
                None => Some(reader.value(row, 0)?),
            };
            // A trigger may have changed the key.
            let Some(place) = place else { return Ok(()) };
            self.statuses[place] = match *tells_new {
                true if reader.value(row, told)? => RowStatus::Inserted,
                true => RowStatus::Updated,
                false => *found,
            };
            match *returning {
                Returning::Nothing => {}
                Returning::Keys => self.keys[place] = read_key(&reader, row, from, table.key.len())?,
                Returning::Rows => self.rows[place] = Some(reader.read(row, from)?),
            }
            Ok(())
        })?;
        connection.check(self.table)
    }
}
