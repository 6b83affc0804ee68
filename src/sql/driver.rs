//! The seam between the verbs and the databases: what one connection does with one chunk.
//!
//! A chunk is applied in a transaction. If none is open, it is the chunk's own: when the method returns
//! `Ok`, what `Done` calls written is committed; when it returns `Err`, nothing of the chunk is there - or,
//! if the connection broke during the commit, the error is in doubt. If one was opened by
//! [`Driver::begin`], the chunk is applied inside it, behind a savepoint, and `Err` means that it is undone
//! to there.
//!
//! A row that the database refuses is marked as failed in `Done` and its neighbours are written
//! (`isolate`), or the chunk ends with that row's error, its place in the chunk in
//! [`Error::record_index`], and nothing written.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::catalog::{TableInfo, TableName};
use super::key::Key;
use crate::engine::connect::Interrupt;
use crate::error::{Error, Result};

/// Rows that go to the database together. All have the same columns.
#[derive(Debug)]
pub(crate) struct Chunk<'a, R> {
    pub(crate) table: &'a TableInfo,
    /// What each row is serialised to: a struct or map with these columns and no others, in any order.
    pub(crate) columns: &'a [usize],
    pub(crate) rows: &'a [R],
    /// Whether bad rows are found and their neighbours written.
    pub(crate) isolate: bool,
    pub(crate) returning: Returning,
    /// Whether COPY or its like may be used; else one statement a row.
    pub(crate) bulk: bool,
}

/// What comes back of the rows that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Returning {
    /// Only what became of each.
    #[default]
    Nothing,
    /// Their primary keys.
    Keys,
    /// The whole rows, with defaults filled in.
    Rows,
}

/// What an upsert does about a row that is there already.
#[derive(Debug)]
pub(crate) struct OnConflict<'a> {
    /// The columns that name a row; none means any unique key, and needs `update` to be empty.
    pub(crate) key: &'a [usize],
    /// The columns that are overwritten; without any, the row is left as it is.
    pub(crate) update: &'a [usize],
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RowStatus {
    /// It is new.
    Inserted,
    /// It was there and has been overwritten.
    Updated,
    /// It was there and is gone.
    Deleted,
    /// It was there and was left as it is.
    Unchanged,
    /// No row has this key.
    Missing,
    /// A later row of the input has the same key and was written instead.
    Superseded,
    /// Left out by `pre_process`.
    Dropped,
    /// Refused, not written.
    Failed,
    /// Sent, not answered, and not safe to send again: written or not.
    InDoubt,
    /// Not tried.
    NotRun,
    /// Written and undone again, with its transaction.
    RolledBack,
}

/// What became of the rows of a chunk. As many entries as rows.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) statuses: Vec<RowStatus>,
    /// Why rows failed, by their place in the chunk.
    pub(crate) errors: Vec<(usize, Error)>,
    /// The keys, if asked for; else empty.
    pub(crate) keys: Vec<Option<Key>>,
    /// The rows, if asked for; else empty.
    pub(crate) rows: Vec<Option<T>>,
    pub(crate) cost: Cost,
}

/// What a chunk cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Statements sent, COPY counted as one; without begin, commit and savepoints.
    pub(crate) statements: u64,
    /// Bytes of rows sent.
    pub(crate) bytes: u64,
    /// Time spent waiting for the database.
    pub(crate) server: Duration,
}

/// One connection.
pub(crate) trait Driver {
    /// The table's columns and keys. `NotFound`, with the nearest name, if there is no such table.
    fn describe(&mut self, name: &TableName) -> Result<TableInfo>;

    fn begin(&mut self) -> Result<()>;
    fn commit(&mut self) -> Result<()>;
    fn roll_back(&mut self) -> Result<()>;

    /// Whether it can be used again.
    fn is_broken(&self) -> bool;

    /// Ends the statement that runs, from another thread.
    fn interrupt(&self) -> Interrupt;

    fn insert<R: Serialize, T: DeserializeOwned>(&mut self, chunk: &Chunk<'_, R>) -> Result<Done<T>>;

    /// No two rows of the chunk have the same key.
    fn upsert<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>>;

    /// Sets the other columns of the rows that `key` names. No two rows of the chunk have the same key.
    fn update<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>>;

    /// Sets the same values, a struct or map, in the rows that the keys name.
    fn update_all<V: Serialize>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        values: &V,
    ) -> Result<Done<()>>;

    /// Deletes the rows that the keys name; `Missing` for those that are not there. With `isolate` a row
    /// that something refers to is failed and the others are deleted.
    fn delete<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>>;

    /// The rows that the keys name, in their order; one key may come twice. `columns` empty means all.
    fn get<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, Cost)>;

    /// All rows in which `column` has one of the values, with the value that each has, in no order.
    fn get_by<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, Cost)>;

    /// Runs a statement once for each set of parameters, and says how many rows each affected. Parameters
    /// are a list or tuple for `$1, $2` (SQLite: `?1, ?2` too), or a struct or map for `:name`.
    fn execute<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>>;

    /// Runs a query once for each set of parameters, and gives the rows of each.
    fn query<P: Serialize, T: DeserializeOwned>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<Vec<T>>>;
}
