//! Rows that are read by their keys.

use serde::de::DeserializeOwned;

use super::cell_decode::Cell;
use super::decode::{Reader, Unreadable};
use super::failure::Trouble;
use super::keys::{arrays, matches, read_key, selected, unnest};
use super::raw_keys::RawKeys;
use super::session::{Connection, Param};
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::catalog::{TableInfo, quote};
use crate::sql::key::Key;

/// The column, and then the wanted ones, of the rows in which the column has one of the values.
fn any(table: &TableInfo, columns: &[usize], column: usize) -> String {
    format!(
        "SELECT {}{} FROM {} AS batchcall_t WHERE batchcall_t.{} = ANY($1::{}[])",
        selected(table, &[column]).trim_start_matches(", "),
        selected(table, columns),
        table.name.quoted(),
        quote(&table.columns[column].name),
        table.columns[column].type_name,
    )
}

impl Connection {
    /// The rows that the keys name, in their order.
    pub(super) fn fetch<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<Vec<Option<T>>> {
        let mut found: Vec<Option<T>> = std::iter::repeat_with(|| None).take(keys.len()).collect();
        if keys.is_empty() {
            return Ok(found);
        }
        let keys: Vec<&Key> = keys.iter().collect();
        if let [column] = key
            && self.fetch_any(table, columns, *column, &keys, &mut found)?
        {
            return Ok(found);
        }
        let sql = format!(
            "SELECT batchcall_k.o{} FROM {} JOIN {} AS batchcall_t ON {}",
            selected(table, columns),
            unnest(table, key, 1),
            table.name.quoted(),
            matches(table, key),
        );
        let statement = self.prepared(&sql, Some(table)).map_err(Trouble::into_error)?;
        let arrays = arrays(&statement, table, 0, key, &keys).map_err(|(_, error)| error)?;
        let params: Vec<Param<'_>> = arrays.iter().map(|array| Param::of(array)).collect();
        let reader = Reader::new(statement.columns());
        self.each_row(&statement, &params, Some(table), Delivery::NotSent, |row| {
            let place: usize = reader.value(row, 0)?;
            if let Some(slot @ None) = found.get_mut(place - 1) {
                *slot = Some(reader.read(row, 1)?);
            }
            Ok(())
        })
        .map_err(Trouble::into_error)?;
        Ok(found)
    }

    /// The same by one column, without a join: each row is told by its key. `false` if that cannot be done,
    /// or a key comes twice.
    fn fetch_any<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        column: usize,
        keys: &[&Key],
        found: &mut [Option<T>],
    ) -> Result<bool> {
        let wire = Wire::of(&self.types(table)?[column]);
        let Some(mut raw) = RawKeys::new([&wire], keys.len()) else { return Ok(false) };
        let statement =
            self.prepared(&any(table, columns, column), Some(table)).map_err(Trouble::into_error)?;
        let arrays = arrays(&statement, table, 0, &[column], keys).map_err(|(_, error)| error)?;
        let params: Vec<Param<'_>> = arrays.iter().map(|array| Param::of(array)).collect();
        for param in &params {
            let unreadable = |error: Unreadable| Error::new(ErrorKind::Protocol, error.to_string());
            let mut cells = Cell { raw: param.0, wire: &wire }.elements(&wire).map_err(unreadable)?;
            for place in 0..keys.len() {
                let cell = cells.next_cell().map_err(unreadable)?;
                raw.set(place, [cell.and_then(|cell| cell.raw)]);
            }
        }
        if !raw.is_distinct() {
            return Ok(false);
        }
        let reader = Reader::new(statement.columns());
        self.each_row(&statement, &params, Some(table), Delivery::NotSent, |row| {
            if let Some(slot @ None) = raw.place_of(row).and_then(|place| found.get_mut(place)) {
                *slot = Some(reader.read(row, 1)?);
            }
            Ok(())
        })
        .map_err(Trouble::into_error)?;
        Ok(true)
    }

    /// All rows in which a column has one of the values.
    pub(super) fn fetch_by<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, crate::sql::driver::Cost)> {
        self.ready()?;
        let sql = any(table, &[], column);
        let statement = self.prepared(&sql, Some(table)).map_err(Trouble::into_error)?;
        let values: Vec<&Key> = values.iter().collect();
        let arrays = arrays(&statement, table, 0, &[column], &values).map_err(|(_, error)| error)?;
        let params: Vec<Param<'_>> = arrays.iter().map(|array| Param::of(array)).collect();
        let rows =
            self.rows(&statement, &params, Some(table), Delivery::NotSent).map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(key) = read_key(&reader, row, 0, 1)? {
                found.push((key, reader.read(row, 1)?));
            }
        }
        Ok((found, self.cost))
    }
}
