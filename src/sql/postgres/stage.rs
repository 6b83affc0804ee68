//! By way of a temporary table: the rows go there by COPY, each with its place in the chunk, and one
//! statement moves them on. For upserts and updates, and for what COPY does not reach.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::copy::{Copy, Extra, no_columns};
use super::decode::Reader;
use super::failure::Trouble;
use super::insert::{done, layout, refers_to_itself};
use super::isolate::{Marks, Step, each};
use super::keys::{read_key, returned};
use super::session::{Connection, Param};
use super::walk::key_of;
use crate::error::{Delivery, Result};
use crate::records::record::RecordId;
use crate::sql::catalog::{TableInfo, quote, quote_all};
use crate::sql::driver::{Chunk, Done, OnConflict, Returning, RowStatus};
use crate::sql::key::Key;

/// Rows in the temporary table.
pub(super) struct Stage {
    /// Its name, ready for a statement.
    pub(super) name: String,
    /// The columns of the target, in the order of `c0`, `c1`..
    columns: Vec<usize>,
}

impl Stage {
    /// What stands for a column of the target.
    fn of(&self, column: usize) -> String {
        let at = self.columns.iter().position(|each| *each == column).unwrap_or_default();
        format!("batchcall_s.c{at}")
    }

    fn list(&self) -> String {
        let names: Vec<String> = (0..self.columns.len()).map(|at| format!("batchcall_s.c{at}")).collect();
        names.join(", ")
    }

    fn names(&self, table: &TableInfo) -> String {
        quote_all(self.columns.iter().map(|column| table.columns[*column].name.as_str()))
    }
}

impl Connection {
    /// Puts the rows of a chunk into a temporary table, with `extra` cells for the columns `absent`.
    pub(super) fn stage<R: Serialize>(
        &mut self,
        chunk: &Chunk<'_, R>,
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
        let mut copy = Copy::new(table, (&name, &relation), &names, layout, chunk.rows, chunk.isolate)
            .with_extra(extra)
            .numbered();
        each(self, 0..chunk.rows.len(), chunk.isolate, false, marks, &mut copy)?;
        Ok(Stage { name, columns })
    }

    /// Inserts rows where COPY does not reach, such as a view. Their keys are known or not asked for.
    pub(super) fn insert_staged<R: Serialize>(
        &mut self,
        chunk: &Chunk<'_, R>,
        absent: &[usize],
        extra: Option<&Extra>,
        marks: &mut Marks,
    ) -> Result<()> {
        let stage = self.stage(chunk, absent, extra, marks)?;
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

    pub(super) fn upsert_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        self.ready()?;
        if chunk.rows.is_empty() {
            return Ok(done(Vec::new(), Marks::new(0)));
        }
        if chunk.columns.is_empty() {
            return Err(no_columns(chunk.table));
        }
        let result = self.within(chunk.isolate, |connection| {
            if conflict.key.is_empty() {
                connection.insert_singly(chunk, true)
            } else {
                connection.upsert_staged(chunk, conflict)
            }
        });
        result.map(|mut done| {
            done.cost = self.cost;
            done
        })
    }

    fn upsert_staged<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let mut marks = Marks::new(chunk.rows.len());
        let stage = self.stage(chunk, &[], None, &mut marks)?;
        let column = |column: &usize| quote(&table.columns[*column].name);
        let action = if conflict.update.is_empty() {
            "NOTHING".to_owned()
        } else {
            let sets = conflict.update.iter().map(|each| format!("{0} = EXCLUDED.{0}", column(each)));
            format!("UPDATE SET {}", sets.collect::<Vec<_>>().join(", "))
        };
        let staged: Vec<String> = conflict.key.iter().map(|each| stage.of(*each)).collect();
        let given: Vec<String> = staged.iter().map(|each| format!("{each} IS NOT NULL")).collect();
        let keys: Vec<String> = conflict
            .key
            .iter()
            .enumerate()
            .map(|(at, each)| format!(", batchcall_t.{} AS batchcall_k{at}", column(each)))
            .collect();
        let equal: Vec<String> = staged
            .iter()
            .enumerate()
            .map(|(at, each)| format!("{each} = batchcall_w.batchcall_k{at}"))
            .collect();
        let back = match chunk.returning {
            Returning::Nothing => &[][..],
            Returning::Keys => &table.key[..],
            Returning::Rows => &(0..table.columns.len()).collect::<Vec<_>>()[..],
        };
        let back: Vec<String> = back.iter().map(|each| format!(", batchcall_w.{}", column(each))).collect();
        // Only a plain table tells by itself which of its rows are new; of others it is asked what was there
        // before the statement, which a concurrent writer may have changed since.
        let plain = self.is_plain(table)?;
        let new = if plain { "batchcall_t.xmax = 0" } else { "NULL::bool" };
        let was_there: Vec<String> = conflict
            .key
            .iter()
            .zip(&staged)
            .map(|(each, staged)| format!("batchcall_o.{} = {staged}", column(each)))
            .collect();
        let told = if plain {
            "batchcall_w.batchcall_new".to_owned()
        } else {
            let target = table.name.quoted();
            format!("NOT EXISTS (SELECT FROM {target} AS batchcall_o WHERE {})", was_there.join(" AND "))
        };
        // The rows come back in no order and without their places; the key tells them.
        let sql = format!(
            "WITH batchcall_w AS (INSERT INTO {target} AS batchcall_t ({columns}) OVERRIDING SYSTEM VALUE \
               SELECT {values} FROM {stage} AS batchcall_s \
               WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4 AND {given} ORDER BY {staged} \
               ON CONFLICT ({conflict}) DO {action} \
               RETURNING {new} AS batchcall_new{keys}{returned}) \
             SELECT batchcall_s.o, {told}{back} \
             FROM batchcall_w JOIN {stage} AS batchcall_s ON {equal} \
             WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4",
            target = table.name.quoted(),
            columns = stage.names(table),
            values = stage.list(),
            stage = stage.name,
            given = given.join(" AND "),
            staged = staged.join(", "),
            conflict = conflict.key.iter().map(column).collect::<Vec<_>>().join(", "),
            keys = keys.concat(),
            returned = returned(table, chunk.returning),
            back = back.concat(),
            equal = equal.join(" AND "),
        );
        let mut move_on: Staged<'_, T> = Staged::new(table, &sql, chunk.rows.len());
        move_on.tells_new = true;
        move_on.returning = chunk.returning;
        move_on.otherwise = RowStatus::Unchanged;
        move_on.make_room(chunk.rows.len());
        let rows = 0..chunk.rows.len();
        each(self, rows, chunk.isolate, refers_to_itself(table), &mut marks, &mut move_on)?;
        let plain = if conflict.key.iter().any(|each| table.columns[*each].nullable) {
            without_key(chunk, conflict.key, &marks)
        } else {
            Vec::new()
        };
        let mut all = done(move_on.statuses, marks);
        (all.keys, all.rows) = (move_on.keys, move_on.rows);
        if !plain.is_empty() {
            self.insert_without_key(chunk, &plain, &mut all)?;
        }
        Ok(all)
    }

    fn is_plain(&mut self, table: &TableInfo) -> Result<bool> {
        let sql = "SELECT relkind = 'r' FROM pg_class WHERE oid = to_regclass($1::text)";
        let statement = self.prepared(sql, Some(table)).map_err(Trouble::into_error)?;
        let name = table.name.quoted();
        let params = [Param(Some(name.as_bytes()))];
        let rows =
            self.rows(&statement, &params, Some(table), Delivery::NotSent).map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        rows.first().map_or(Ok(false), |row| reader.value(row, 0))
    }

    /// Rows with NULL in their key meet no other row: they are inserted.
    fn insert_without_key<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        places: &[usize],
        all: &mut Done<T>,
    ) -> Result<()> {
        let rows: Vec<&R> = places.iter().map(|place| &chunk.rows[*place]).collect();
        let part = Chunk {
            table: chunk.table,
            columns: chunk.columns,
            rows: &rows,
            isolate: chunk.isolate,
            returning: chunk.returning,
            bulk: chunk.bulk,
        };
        let placed = |index: usize| places.get(index).copied().unwrap_or_default();
        let inserted: Done<T> = self.insert_within(&part).map_err(|error| match error.record_index() {
            Some(index) => error.with_record_index(placed(index)),
            None => error,
        })?;
        for (index, status) in inserted.statuses.into_iter().enumerate() {
            all.statuses[placed(index)] = status;
        }
        for (index, error) in inserted.errors {
            all.errors.push((placed(index), error.with_record_index(placed(index))));
        }
        all.errors.sort_by_key(|(place, _)| *place);
        for (index, key) in inserted.keys.into_iter().enumerate() {
            all.keys[placed(index)] = key;
        }
        for (index, row) in inserted.rows.into_iter().enumerate() {
            all.rows[placed(index)] = row;
        }
        Ok(())
    }

    pub(super) fn update_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>> {
        self.ready()?;
        if chunk.rows.is_empty() {
            return Ok(done(Vec::new(), Marks::new(0)));
        }
        let table = chunk.table;
        let result = self.within(chunk.isolate, |connection| {
            let mut marks = Marks::new(chunk.rows.len());
            let stage = connection.stage(chunk, &[], None, &mut marks)?;
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
            let mut move_on: Staged<'_, T> = Staged::new(table, &sql, chunk.rows.len());
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

/// The places of rows with NULL in their key, without the bad ones.
fn without_key<R: Serialize>(chunk: &Chunk<'_, R>, key: &[usize], marks: &Marks) -> Vec<usize> {
    let names: Vec<&str> = key.iter().map(|column| chunk.table.columns[*column].name.as_str()).collect();
    (0..chunk.rows.len())
        .filter(|place| !marks.is_bad(*place))
        .filter(|place| {
            key_of(&chunk.rows[*place], &names).is_ok_and(|parts| parts.contains(&RecordId::Unknown))
        })
        .collect()
}

/// A statement over a range of staged rows.
struct Staged<'a, T> {
    table: &'a TableInfo,
    sql: &'a str,
    /// Whether the second column says that the row is new.
    tells_new: bool,
    returning: Returning,
    found: RowStatus,
    otherwise: RowStatus,
    statuses: Vec<RowStatus>,
    keys: Vec<Option<Key>>,
    rows: Vec<Option<T>>,
}

impl<'a, T> Staged<'a, T> {
    fn new(table: &'a TableInfo, sql: &'a str, rows: usize) -> Self {
        Self {
            table,
            sql,
            tells_new: false,
            returning: Returning::Nothing,
            found: RowStatus::Inserted,
            otherwise: RowStatus::Inserted,
            statuses: vec![RowStatus::NotRun; rows],
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn make_room(&mut self, rows: usize) {
        match self.returning {
            Returning::Nothing => {}
            Returning::Keys => self.keys = vec![None; rows],
            Returning::Rows => self.rows.resize_with(rows, || None),
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
        let rows = connection.rows(&statement, &params, Some(self.table), Delivery::NotSent)?;
        connection.check(self.table)?;
        self.statuses[range].fill(self.otherwise);
        let reader = Reader::new(statement.columns());
        let from = 1 + usize::from(self.tells_new);
        for row in &rows {
            let place: usize = reader.value(row, 0)?;
            self.statuses[place] = match self.tells_new {
                true if reader.value(row, 1)? => RowStatus::Inserted,
                true => RowStatus::Updated,
                false => self.found,
            };
            match self.returning {
                Returning::Nothing => {}
                Returning::Keys => self.keys[place] = read_key(&reader, row, from, self.table.key.len())?,
                Returning::Rows => self.rows[place] = Some(reader.read(row, from)?),
            }
        }
        Ok(())
    }
}
