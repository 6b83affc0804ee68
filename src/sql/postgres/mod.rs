//! PostgreSQL.
//!
//! Rows go by COPY in binary, encoded straight into the buffer that is sent (`row`, `cell`, `copy`); what
//! COPY cannot do goes by way of a temporary table (`stage`) or one statement a row (`single`). Bad rows
//! are found by `isolate`; rows come back through `decode`.

mod catalog;
mod cell;
mod cell_decode;
mod commit;
mod connect;
mod copy;
mod decode;
mod failure;
mod insert;
mod isolate;
mod keys;
mod moment;
mod number;
mod orphans;
mod raw_keys;
mod read;
mod refusal;
mod row;
mod scan;
mod session;
mod single;
mod stage;
mod statement;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod upsert;
mod walk;
mod wire;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use session::Connection;

use super::catalog::{TableInfo, TableName};
use super::driver::{Chunk, Cost, Done, Driver, OnConflict, Returning};
use super::key::Key;
use crate::engine::connect::Interrupt;
use crate::error::Result;

impl Driver for Connection {
    fn describe(&mut self, name: &TableName) -> Result<TableInfo> {
        self.table_info(name)
    }

    fn begin(&mut self) -> Result<()> {
        self.begin_outer()
    }

    fn commit(&mut self) -> Result<()> {
        self.commit_outer()
    }

    fn roll_back(&mut self) -> Result<()> {
        self.roll_back_outer()
    }

    fn is_broken(&self) -> bool {
        self.broken()
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupter()
    }

    fn insert<R: Serialize, T: DeserializeOwned>(&mut self, chunk: &Chunk<'_, R>) -> Result<Done<T>> {
        self.insert_rows(chunk)
    }

    fn upsert<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        self.upsert_rows(chunk, conflict)
    }

    fn update<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>> {
        self.update_rows(chunk, key)
    }

    fn update_all<V: Serialize>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        values: &V,
    ) -> Result<Done<()>> {
        self.update_keys(table, key, keys, values)
    }

    fn delete<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>> {
        self.delete_keys(table, key, keys, isolate, returning)
    }

    fn get<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, Cost)> {
        self.ready()?;
        let rows = self.fetch(table, columns, key, keys)?;
        Ok((rows, self.cost))
    }

    fn get_by<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, Cost)> {
        self.fetch_by(table, column, values)
    }

    fn execute<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>> {
        self.execute_sets(sql, sets)
    }

    fn query<P: Serialize, T: DeserializeOwned>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<Vec<T>>> {
        self.query_sets(sql, sets)
    }
}
