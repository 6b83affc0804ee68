//! Rows named by their keys: read, deleted, set to the same values. One prepared statement, run a key at a
//! time, so that the answer has the keys' order.

use std::collections::HashMap;
use std::time::Instant;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::catalog::{TableInfo, quote};
use super::super::driver::{Cost, Done, Returning, RowStatus};
use super::super::key::Key;
use super::bind::{Misfit, Place};
use super::cell::{self, Scratch};
use super::decode::{self, Field, Unread};
use super::fields::{Fields, Sink};
use super::scan::{Found, number};
use super::write::{Answer, Ask, Skip};
use super::{Connection, shape::Shape};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::RecordId;

/// `"a" = ?1 AND "b" = ?2`, with parameters from `first`.
pub(super) fn matches(table: &TableInfo, key: &[usize], first: usize) -> String {
    let parts = key.iter().enumerate();
    let parts =
        parts.map(|(at, column)| format!("{} = ?{}", quote(&table.columns[*column].name), first + at));
    parts.collect::<Vec<_>>().join(" AND ")
}

/// The columns of a table, for a statement.
pub(super) fn list(table: &TableInfo, columns: &[usize]) -> String {
    super::super::catalog::quote_all(columns.iter().map(|column| table.columns[*column].name.as_str()))
}

/// The columns of a table, for the decoder.
pub(super) fn fields(table: &TableInfo, columns: &[usize]) -> Vec<Field> {
    let column = |index: &usize| &table.columns[*index];
    columns
        .iter()
        .map(column)
        .map(|column| Field { name: column.name.clone(), ty: column.ty.clone() })
        .collect()
}

/// A value that SQLite has, as a part of a key.
pub(super) fn part(value: ValueRef<'_>) -> RecordId {
    match value {
        ValueRef::Null => RecordId::Unknown,
        ValueRef::Integer(int) => RecordId::Int(int),
        ValueRef::Real(float) => RecordId::Text(float.to_string()),
        ValueRef::Text(text) => RecordId::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => RecordId::Text(cell::hex(bytes)),
    }
}

/// Binds a key's parts from the parameter `first` on; copies them if asked for.
pub(super) fn bind_key(
    stmt: &mut Statement<'_>,
    table: &TableInfo,
    columns: &[usize],
    key: &Key,
    first: usize,
    (scratch, bytes): (&mut Scratch, &mut u64),
    mut copies: Option<&mut Vec<Value>>,
) -> std::result::Result<(), Misfit> {
    let parts = key.parts();
    if parts.len() != columns.len() {
        let message = format!("the key {key} has {} parts, not {}", parts.len(), columns.len());
        return Err(Misfit::new(message));
    }
    for (at, (part, column)) in parts.iter().zip(columns).enumerate() {
        let column = &table.columns[*column];
        let mut copy = Value::Null;
        let mut place = Place {
            stmt,
            parameter: if copies.is_some() { 0 } else { first + at },
            ty: &column.ty,
            scratch,
            copy: copies.is_some().then_some(&mut copy),
            bytes,
        };
        let written = match part {
            RecordId::Int(id) => place.write(id),
            RecordId::Text(id) => place.write(id),
            other => Err(Misfit::new(format!("{other} is no key of a row"))),
        };
        written.map_err(|misfit| misfit.at(&column.name))?;
        if let Some(copies) = &mut copies {
            copies.push(copy);
        }
    }
    Ok(())
}

impl Connection {
    pub(super) fn prepare(&self, table: &TableInfo, sql: &str) -> Result<CachedStatement<'_>> {
        self.db.prepare_cached(sql).map_err(|failed| self.failed(failed, Some(&table.name)))
    }

    pub(super) fn get_keys<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, Cost)> {
        self.reading(|connection| connection.read_keys(table, columns, key, keys))
    }

    fn read_keys<T: DeserializeOwned>(
        &self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, Cost)> {
        let since = Instant::now();
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let columns = if columns.is_empty() { &all } else { columns };
        if self.is_scan(table, key, keys.len())? {
            let (rows, bytes) = self.scan_keys(table, columns, key, keys)?;
            return Ok((rows, Cost { statements: 1, bytes, server: since.elapsed() }));
        }
        let found = matches(table, key, 1);
        let sql = format!("SELECT {} FROM {} WHERE {found}", list(table, columns), table.name.quoted());
        let mut stmt = self.prepare(table, &sql)?;
        let fields = fields(table, columns);
        let (mut scratch, mut bytes) = (Scratch::default(), 0);
        let mut answer = Vec::with_capacity(keys.len());
        for (index, each) in keys.iter().enumerate() {
            // The clock is asked now and then; SQLite asks it in statements that take long.
            if index % 64 == 0 || self.alarm.is_interrupted() {
                self.go_on(Some(&table.name))?;
            }
            bind_key(&mut stmt, table, key, each, 1, (&mut scratch, &mut bytes), None)
                .map_err(|misfit| of_row(misfit, table, index))?;
            let mut rows = stmt.raw_query();
            let row = rows.next().map_err(|failed| self.failed(failed, Some(&table.name)))?;
            let row = row.map(|row| decode::row(&fields, row)).transpose();
            answer.push(row.map_err(|unread| unread.into_error().with_entity(table.name.to_string()))?);
        }
        let cost = Cost { statements: keys.len() as u64, bytes, server: since.elapsed() };
        Ok((answer, cost))
    }

    /// As [`numbers`](Self::numbers), of keys; a key that is refused is for the statement to refuse.
    fn numbers_of(&self, table: &TableInfo, key: &[usize], keys: &[Key]) -> Result<Option<Found>> {
        let (mut scratch, mut bytes) = (Scratch::default(), 0);
        self.numbers(table, key, keys.len(), |index, values| {
            let mut stmt = self.prepare(table, "SELECT 1")?;
            let key =
                bind_key(&mut stmt, table, key, &keys[index], 1, (&mut scratch, &mut bytes), Some(values));
            if key.is_err() {
                values.clear();
            }
            Ok(())
        })
    }

    /// Runs a statement for each of the rows that a key names, or for the key if they are not known.
    pub(super) fn run_numbers<T: DeserializeOwned>(
        &self,
        stmt: &mut Statement<'_>,
        ask: &Ask,
        parameter: usize,
        numbers: Option<&[i64]>,
    ) -> Result<Answer<T>> {
        let Some(numbers) = numbers else { return self.run(stmt, ask) };
        let mut first = Answer { status: RowStatus::Missing, key: None, row: None };
        for number in numbers {
            stmt.raw_bind_parameter(parameter, number).map_err(|failed| self.failed(failed, None))?;
            let answer = self.run(stmt, ask)?;
            if first.status == RowStatus::Missing {
                first = answer;
            }
        }
        Ok(first)
    }

    pub(super) fn get_related<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, Cost)> {
        self.check()?;
        self.arm();
        let since = Instant::now();
        let all: Vec<usize> = (0..table.columns.len()).collect();
        // One statement and not one a value: a column without an index is gone through once.
        let sql = format!(
            "SELECT {}, {name} FROM {} WHERE {name} IN (SELECT value FROM json_each(?1))",
            list(table, &all),
            table.name.quoted(),
            name = quote(&table.columns[column].name),
        );
        let mut stmt = self.prepare(table, &sql)?;
        let (mut scratch, mut bytes) = (Scratch::default(), 0);
        let mut asked: HashMap<RecordId, &Key> = HashMap::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let mut copies = Vec::with_capacity(1);
            bind_key(&mut stmt, table, &[column], value, 1, (&mut scratch, &mut bytes), Some(&mut copies))
                .map_err(|misfit| of_row(misfit, table, index))?;
            asked.extend(copies.iter().map(|copy| (part(copy.into()), value)));
        }
        let list = serde_json::to_string(&asked.keys().collect::<Vec<_>>()).map_err(Error::other)?;
        let failed = |failed| self.failed(failed, Some(&table.name));
        stmt.raw_bind_parameter(1, &list).map_err(failed)?;
        let fields = fields(table, &all);
        let mut rows = stmt.raw_query();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let own = part(row.get_ref(all.len()).map_err(failed)?);
            let key = asked.get(&own).map_or_else(|| Key::from(own), |asked| (*asked).clone());
            let row = decode::row(&fields, row).map_err(Unread::into_error)?;
            answer.push((key, row));
        }
        Ok((answer, Cost { statements: 1, bytes, server: since.elapsed() }))
    }

    pub(super) fn delete_keys<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>> {
        let ask = Ask::new(self, table, returning)?;
        let run = |connection: &Self, skip: &Skip| {
            let numbers = connection.numbers_of(table, key, keys)?;
            let sql = format!(
                "DELETE FROM {} WHERE {}{}",
                table.name.quoted(),
                matches(table, key, 1),
                numbered(table, numbers.as_ref(), key.len() + 1),
            );
            let mut stmt = connection.prepare_asking(
                table,
                &sql,
                &ask,
                returning == Returning::Keys && key != table.key,
            )?;
            let (mut scratch, mut bytes) = (Scratch::default(), 0);
            let mut done = connection.each(table, keys, skip, (isolate, returning), |index, each| {
                bind_key(&mut stmt, table, key, each, 1, (&mut scratch, &mut bytes), None)
                    .map_err(|misfit| of_row(misfit, table, index))?;
                let numbers = numbers.as_ref().map(|all| all[index].as_slice());
                let mut answer = connection.run_numbers(&mut stmt, &ask, key.len() + 1, numbers)?;
                if answer.status != RowStatus::Missing {
                    answer.status = RowStatus::Deleted;
                    if returning == Returning::Keys && answer.key.is_none() {
                        answer.key = Some(each.clone());
                    }
                }
                Ok(answer)
            })?;
            done.cost.bytes = bytes;
            Ok(done)
        };
        self.settle(keys, isolate, &run, &|_, _| Ok(Vec::new()))
    }

    pub(super) fn update_keys<V: Serialize>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        values: &V,
    ) -> Result<Done<()>> {
        let mut names = Names { table, columns: Vec::new() };
        values.serialize(Fields(&mut names)).map_err(Misfit::into_error)?;
        let columns = names.columns;
        if columns.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no columns to set")
                .with_entity(table.name.to_string())
                .with_delivery(Delivery::NotSent));
        }
        let ask = Ask::new(self, table, Returning::Nothing)?;
        let set = columns.iter().enumerate();
        let set = set.map(|(at, column)| format!("{} = ?{}", quote(&table.columns[*column].name), at + 1));
        let set = set.collect::<Vec<_>>().join(", ");
        let number = columns.len() + key.len() + 1;
        let run = |connection: &Self, skip: &Skip| {
            let numbers = connection.numbers_of(table, key, keys)?;
            let sql = format!(
                "UPDATE {} SET {set} WHERE {}{}",
                table.name.quoted(),
                matches(table, key, columns.len() + 1),
                numbered(table, numbers.as_ref(), number),
            );
            let mut stmt = connection.prepare_asking(table, &sql, &ask, false)?;
            let mut shape = Shape::new(table, &columns, &[]);
            shape
                .bind(&mut stmt, values)
                .map_err(|misfit| misfit.into_error().with_entity(table.name.to_string()))?;
            let (mut scratch, mut bytes) = (Scratch::default(), 0);
            let mut done =
                connection.each(table, keys, skip, (false, Returning::Nothing), |index, each| {
                    bind_key(
                        &mut stmt,
                        table,
                        key,
                        each,
                        columns.len() + 1,
                        (&mut scratch, &mut bytes),
                        None,
                    )
                    .map_err(|misfit| of_row(misfit, table, index))?;
                    let numbers = numbers.as_ref().map(|all| all[index].as_slice());
                    connection.run_numbers(&mut stmt, &ask, number, numbers)
                })?;
            done.cost.bytes = bytes + shape.bytes;
            Ok(done)
        };
        self.settle(keys, false, &run, &|_, _| Ok(Vec::new()))
    }
}

/// The condition that names a row by its number too.
pub(super) fn numbered(table: &TableInfo, numbers: Option<&Found>, parameter: usize) -> String {
    match numbers.and_then(|_| number(table)) {
        Some(number) => format!(" AND {number} = ?{parameter}"),
        None => String::new(),
    }
}

/// An error of the input, with the row's place.
pub(super) fn of_row(misfit: Misfit, table: &TableInfo, index: usize) -> Error {
    misfit.into_error().with_entity(table.name.to_string()).with_record_index(index)
}

/// The columns that values are for.
struct Names<'t> {
    table: &'t TableInfo,
    columns: Vec<usize>,
}

impl Sink for Names<'_> {
    fn named<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        _: bool,
        _: &T,
    ) -> std::result::Result<(), Misfit> {
        let column = self.table.column(name);
        let column = column.ok_or_else(|| Misfit::new(self.table.unknown(name)).at(name))?;
        if self.table.columns[column].generated {
            let message = format!("{}.{name} is computed by the database", self.table.name);
            return Err(Misfit::new(message).at(name));
        }
        self.columns.push(column);
        Ok(())
    }

    fn placed<T: Serialize + ?Sized>(&mut self, _: &T) -> std::result::Result<(), Misfit> {
        Err(Misfit::new("values are a struct or map, not a list"))
    }
}
