//! Keys that no index finds: one walk through the table for all of them, not one for each.
//!
//! The keys go to a temporary table, whose columns are declared as those that they are for, so that SQLite
//! compares them as it compares a parameter. SQLite makes an index for the one statement that joins it.

use rusqlite::types::Value;
use serde::de::DeserializeOwned;

use super::super::catalog::{TableInfo, quote};
use super::super::key::Key;
use super::cell::Scratch;
use super::decode::{self, Unread};
use super::keys::{bind_key, fields, matches, of_row};
use super::{Connection, catalog};
use crate::error::{Error, Result};

/// So few keys are looked for one by one in any case.
const FEW: usize = 8;

/// The numbers of the rows that each key names.
pub(super) type Found = Vec<Vec<i64>>;

impl Connection {
    /// Whether finding the rows of a key means to go through the table.
    pub(super) fn is_scan(&self, table: &TableInfo, key: &[usize], keys: usize) -> Result<bool> {
        if keys < FEW {
            return Ok(false);
        }
        let found = matches(table, key, 1);
        let mut stmt = self.prepare(
            table,
            &format!("EXPLAIN QUERY PLAN SELECT 1 FROM {} WHERE {found}", table.name.quoted()),
        )?;
        let failed = |failed| self.failed(failed, Some(&table.name));
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            if row.get_ref("detail").map_err(failed)?.as_bytes().is_ok_and(|plan| plan.starts_with(b"SCAN")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The row of each key, read in one walk.
    pub(super) fn scan_keys<T: DeserializeOwned>(
        &self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, u64)> {
        let mut bytes = 0;
        let mut scratch = Scratch::default();
        let failed = |failed| self.failed(failed, Some(&table.name));
        self.keep_keys(table, key, keys.len(), |index, values| {
            let mut stmt = self.prepare(table, "SELECT 1")?;
            bind_key(&mut stmt, table, key, &keys[index], 1, (&mut scratch, &mut bytes), Some(values))
                .map_err(|misfit| of_row(misfit, table, index))
        })?;
        let mut answer = Vec::new();
        answer.resize_with(keys.len(), || None);
        let mut stmt = self.prepare(table, &joined(table, key, &list_of(table, columns)))?;
        let fields = fields(table, columns);
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let place: i64 = row.get(columns.len()).map_err(failed)?;
            // Of several rows the first, as one key alone would find it.
            if let Some(place @ None) = usize::try_from(place).ok().and_then(|place| answer.get_mut(place)) {
                let row = decode::row(&fields, row).map_err(Unread::into_error);
                *place = Some(row.map_err(|error| error.with_entity(table.name.to_string()))?);
            }
        }
        Ok((answer, bytes))
    }

    /// The numbers of the rows that each key names, found in one walk. `None` where one a key has to do: an
    /// index finds them, or the rows have no numbers.
    pub(super) fn numbers(
        &self,
        table: &TableInfo,
        key: &[usize],
        keys: usize,
        values: impl FnMut(usize, &mut Vec<Value>) -> Result<()>,
    ) -> Result<Option<Found>> {
        let failed = |failed| self.failed(failed, Some(&table.name));
        let Some(number) = number(table) else { return Ok(None) };
        if !self.is_scan(table, key, keys)? || !catalog::has_rowid(&self.db, &table.name).map_err(failed)? {
            return Ok(None);
        }
        self.keep_keys(table, key, keys, values)?;
        let mut found = vec![Vec::new(); keys];
        let mut stmt = self.prepare(table, &joined(table, key, &format!("t.{number}")))?;
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let place: i64 = row.get(1).map_err(failed)?;
            if let Some(numbers) = usize::try_from(place).ok().and_then(|place| found.get_mut(place)) {
                numbers.push(row.get(0).map_err(failed)?);
            }
        }
        drop(rows);
        drop(stmt);
        // A commit would keep it.
        self.command("DROP TABLE temp.batchcall_keys")?;
        Ok(Some(found))
    }

    /// Makes the temporary table. What has no values is not in it. The end of the transaction takes it away.
    fn keep_keys(
        &self,
        table: &TableInfo,
        key: &[usize],
        keys: usize,
        mut values: impl FnMut(usize, &mut Vec<Value>) -> Result<()>,
    ) -> Result<()> {
        let failed = |failed| self.failed(failed, Some(&table.name));
        let columns: String = key
            .iter()
            .enumerate()
            .map(|(at, column)| {
                // In a strict table ANY is no type, elsewhere it makes numbers of text: none does for both.
                match table.columns[*column].type_name.as_str() {
                    "" | "ANY" => format!(", k{at}"),
                    declared => format!(", k{at} {}", quote(declared)),
                }
            })
            .collect();
        self.command(&format!("CREATE TEMP TABLE batchcall_keys (place INTEGER PRIMARY KEY{columns})"))?;
        let parameters: String = (0..key.len()).map(|at| format!(", ?{}", at + 2)).collect();
        let mut stmt =
            self.prepare(table, &format!("INSERT INTO temp.batchcall_keys VALUES (?1{parameters})"))?;
        let mut parts = Vec::with_capacity(key.len());
        for index in 0..keys {
            if index % 64 == 0 {
                self.go_on(Some(&table.name))?;
            }
            parts.clear();
            values(index, &mut parts)?;
            if parts.len() != key.len() {
                continue;
            }
            stmt.raw_bind_parameter(1, i64::try_from(index).map_err(Error::other)?).map_err(failed)?;
            for (at, part) in parts.iter().enumerate() {
                stmt.raw_bind_parameter(at + 2, part).map_err(failed)?;
            }
            stmt.raw_execute().map_err(failed)?;
        }
        Ok(())
    }
}

/// The walk: the table outside, the keys inside, the column's own collation first.
fn joined(table: &TableInfo, key: &[usize], wanted: &str) -> String {
    let same = key.iter().enumerate();
    let same = same.map(|(at, column)| format!("t.{} = k.k{at}", quote(&table.columns[*column].name)));
    format!(
        "SELECT {wanted}, k.place FROM {} AS t CROSS JOIN temp.batchcall_keys AS k ON {}",
        table.name.quoted(),
        same.collect::<Vec<_>>().join(" AND "),
    )
}

fn list_of(table: &TableInfo, columns: &[usize]) -> String {
    let names = columns.iter().map(|column| format!("t.{}", quote(&table.columns[*column].name)));
    names.collect::<Vec<_>>().join(", ")
}

/// The name that the row's number has, if no column has taken all three.
pub(super) fn number(table: &TableInfo) -> Option<&'static str> {
    let is_taken = |name: &str| table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| !is_taken(name))
}
