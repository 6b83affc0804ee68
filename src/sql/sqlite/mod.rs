//! SQLite: one connection, which runs on the caller's thread.
//!
//! A chunk is one transaction, or a savepoint in the caller's; in it each row is one run of a prepared
//! statement. A row that SQLite refuses undoes only itself, so finding bad rows costs nothing.

mod alarm;
mod bind;
mod catalog;
mod cell;
mod decode;
mod deferred;
mod failure;
mod fields;
mod keys;
mod moment;
mod query;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::alarm::Alarm;
use super::catalog::{TableInfo, TableName};
use super::driver::{Chunk, Cost, Done, Driver, OnConflict, Returning};
use super::key::Key;
use super::settings::{Settings, Target};
use crate::engine::connect::Interrupt;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// Prepared statements that are kept.
const STATEMENTS: usize = 64;

/// A connection to a file, or a database in memory.
pub(crate) struct Connection {
    db: rusqlite::Connection,
    alarm: Arc<Alarm>,
    deadline: Deadline,
    statement_timeout: Option<Duration>,
    /// Whether the caller's transaction is open, and whether SQLite itself has undone it.
    transaction: Transaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    Lost,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a database; a file that is not there is made, in a directory that has to be there.
    pub(crate) fn open(settings: &Settings) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (db, path) = match &settings.target {
            Target::Sqlite(path) => (rusqlite::Connection::open_with_flags(path, flags), Some(path)),
            _ => (rusqlite::Connection::open_in_memory_with_flags(flags), None),
        };
        let refuse = |failed: rusqlite::Error| {
            let error = failure::error(failed, None);
            let why = match path {
                Some(path) if path.is_dir() => format!("cannot open {}: it is a directory", path.display()),
                Some(path) if path.parent().is_some_and(|at| !at.as_os_str().is_empty() && !at.is_dir()) => {
                    format!("cannot open {}: its directory does not exist", path.display())
                }
                Some(path) => format!("cannot open {}: {}", path.display(), error.message()),
                None => format!("cannot open a database in memory: {}", error.message()),
            };
            let name = error.remote_name().unwrap_or_default().to_owned();
            Error::new(error.kind(), why)
                .with_remote_name(name)
                .with_delivery(Delivery::NotSent)
                .with_source(error)
        };
        let mut db = db.map_err(refuse)?;
        let alarm = Alarm::new();
        alarm.attach(&mut db, settings.busy_timeout).map_err(refuse)?;
        alarm.set(Deadline::after(settings.connect_timeout));
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.pragma_update(None, "foreign_keys", true).map_err(refuse)?;
        // The first that reads the file: what is no database is found here.
        db.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(())).map_err(refuse)?;
        if settings.wal && path.is_some() {
            db.pragma_update(None, "journal_mode", "wal").map_err(refuse)?;
        }
        alarm.set(Deadline::never());
        Ok(Self {
            db,
            alarm,
            deadline: Deadline::never(),
            statement_timeout: settings.statement_timeout,
            transaction: Transaction::None,
        })
    }

    /// Statements that run longer are ended. An interrupt that came before is forgotten: whoever made it has
    /// said before why, so a caller who asks for that after this call has not missed it.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
        self.alarm.forgive();
    }

    /// Starts the clock of a statement or chunk.
    fn arm(&self) {
        let own = self.statement_timeout.map_or(Deadline::never(), Deadline::after);
        self.alarm.set(self.deadline.min(own));
    }

    /// A failure, with what only the connection knows: why a statement was ended.
    fn failed(&self, failed: rusqlite::Error, table: Option<&TableName>) -> Error {
        stopped(&self.alarm, &failed, table).unwrap_or_else(|| failure::error(failed, table))
    }

    /// Whether the caller's transaction is still there.
    fn check(&mut self) -> Result<()> {
        if self.transaction == Transaction::Open && self.db.is_autocommit() {
            self.transaction = Transaction::Lost;
        }
        if self.transaction == Transaction::Lost {
            let message = "the transaction was undone by SQLite after an error; roll it back";
            return Err(Error::new(ErrorKind::Database, message).with_delivery(Delivery::NotSent));
        }
        Ok(())
    }

    /// The error of whoever asks to go on after the time is over.
    fn go_on(&self, table: Option<&TableName>) -> Result<()> {
        if !self.alarm.rings() {
            return Ok(());
        }
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        Err(self.failed(rusqlite::Error::SqliteFailure(code, None), table))
    }

    fn command(&self, sql: &str) -> Result<()> {
        self.raw(sql).map_err(|failed| self.failed(failed, None))
    }

    /// Runs one of the few statements that have neither parameters nor rows.
    fn raw(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.raw_execute().map(|_| ())
    }

    fn is_nested(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// Opens a chunk's transaction or savepoint.
    fn open_chunk(&mut self) -> Result<()> {
        self.check()?;
        self.arm();
        self.command(if self.is_nested() { "SAVEPOINT batchcall_chunk" } else { "BEGIN IMMEDIATE" })
    }

    fn keep_chunk(&self) -> rusqlite::Result<()> {
        self.raw(if self.is_nested() { "RELEASE batchcall_chunk" } else { "COMMIT" })
    }

    /// Undoes a chunk; nothing is left to undo where SQLite has done so itself.
    fn undo_chunk(&self) {
        if self.db.is_autocommit() {
            return;
        }
        // What was interrupted has to be undone nevertheless.
        self.alarm.set(Deadline::never());
        let interrupted = self.alarm.is_interrupted();
        self.alarm.forgive();
        let undone = if self.is_nested() {
            self.raw("ROLLBACK TO batchcall_chunk").and_then(|()| self.raw("RELEASE batchcall_chunk"))
        } else {
            self.raw("ROLLBACK")
        };
        if undone.is_err() && !self.is_nested() {
            self.db.flush_prepared_statement_cache();
            let _ = self.db.execute_batch("ROLLBACK");
        }
        if interrupted {
            self.alarm.interrupt();
        }
    }

    /// Runs something that reads, in a transaction: what it sees is of one moment, and the file is locked once
    /// and not for each statement. Nothing of it stays, such as a temporary table.
    fn reading<X>(&mut self, work: impl FnOnce(&Self) -> Result<X>) -> Result<X> {
        self.check()?;
        self.arm();
        self.command(if self.is_nested() { "SAVEPOINT batchcall_chunk" } else { "BEGIN" })?;
        let done = work(self);
        self.undo_chunk();
        done
    }

    /// Runs something that writes, as a whole.
    fn within<X>(&mut self, work: impl FnOnce(&Self) -> Result<X>) -> Result<X> {
        self.open_chunk()?;
        let done = work(self).and_then(|done| {
            self.keep_chunk().map_err(|failed| self.failed(failed, None))?;
            Ok(done)
        });
        if done.is_err() {
            self.undo_chunk();
        }
        done
    }
}

/// The error of a statement that was ended.
fn stopped(alarm: &Alarm, failed: &rusqlite::Error, table: Option<&TableName>) -> Option<Error> {
    if !(failure::is_stopped(failed) && alarm.rings()) {
        return None;
    }
    let (kind, message) = if alarm.is_interrupted() {
        (ErrorKind::Interrupted, "the statement was interrupted")
    } else {
        (ErrorKind::Timeout, "the statement took longer than there was time")
    };
    let error =
        Error::new(kind, message).with_remote_name("SQLITE_INTERRUPT").with_delivery(Delivery::Answered);
    Some(match table {
        Some(table) => error.with_entity(table.to_string()),
        None => error,
    })
}

impl Driver for Connection {
    fn describe(&mut self, name: &TableName) -> Result<TableInfo> {
        self.arm();
        catalog::describe(&self.db, name)
    }

    fn begin(&mut self) -> Result<()> {
        self.arm();
        self.go_on(None)?;
        self.command("BEGIN IMMEDIATE")?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.arm();
        self.check()?;
        match self.raw("COMMIT") {
            Ok(()) => {
                self.transaction = Transaction::None;
                Ok(())
            }
            // SQLite leaves it open; nobody commits it twice.
            Err(failed) => {
                let error = self.failed(failed, None);
                self.roll_back()?;
                Err(error)
            }
        }
    }

    fn roll_back(&mut self) -> Result<()> {
        self.transaction = Transaction::None;
        self.undo_chunk();
        Ok(())
    }

    fn is_broken(&self) -> bool {
        // A transaction that nobody owns: it could be neither committed nor undone.
        self.transaction == Transaction::None && !self.db.is_autocommit()
    }

    fn interrupt(&self) -> Interrupt {
        let alarm = Arc::clone(&self.alarm);
        let handle = self.db.get_interrupt_handle();
        Box::new(move || {
            alarm.interrupt();
            handle.interrupt();
        })
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
        self.get_keys(table, columns, key, keys)
    }

    fn get_by<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, Cost)> {
        self.get_related(table, column, values)
    }

    fn execute<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>> {
        self.execute_sets(sql, sets)
    }

    fn query<P: Serialize, T: DeserializeOwned>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<Vec<T>>> {
        self.query_sets(sql, sets)
    }
}
