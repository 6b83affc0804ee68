//! The driver against a real server: `sh tests/postgres.sh cargo test --features postgres`.

mod isolation;
mod speed;
mod types;
mod verbs;
mod wire;

use std::time::Duration;

use serde_json::{Value, json};

use super::Connection;
use crate::engine::stop::Deadline;
use crate::secret::Secret;
use crate::sql::catalog::{TableInfo, TableName};
use crate::sql::driver::{Chunk, Done, Driver, Returning};
use crate::sql::settings::{Settings, Target};

/// A connection with a schema of its own, which is dropped with it.
pub(super) struct Base {
    pub(super) connection: Connection,
    pub(super) schema: String,
}

pub(super) fn settings(address: &str) -> Settings {
    Settings {
        target: Target::Postgres(Secret::new(address)),
        statement_timeout: None,
        connect_timeout: Duration::from_secs(5),
        root_certificates: Vec::new(),
        busy_timeout: Duration::ZERO,
        wal: false,
    }
}

/// The address of the server, or `None` after having said loudly that the test is left out.
#[allow(clippy::print_stderr, reason = "a test that does not run must be seen")]
pub(super) fn address() -> Option<String> {
    let address = std::env::var("BATCHCALL_TEST_POSTGRES").ok();
    let wanted = ["CI", "BATCHCALL_REQUIRE_POSTGRES"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(address.is_some() || !wanted, "BATCHCALL_TEST_POSTGRES is not set: run by tests/postgres.sh");
    if address.is_none() {
        eprintln!("LEFT OUT, no PostgreSQL: run `sh tests/postgres.sh cargo test --features postgres`");
    }
    address
}

pub(super) fn open() -> Option<Connection> {
    Some(Connection::open(&settings(&address()?), Deadline::never()).unwrap())
}

pub(super) fn base() -> Option<Base> {
    let mut connection = open()?;
    let schema = format!("t_{}", uuid::Uuid::new_v4().simple());
    connection.execute(&format!("CREATE SCHEMA {schema}"), &[()]).unwrap();
    connection.execute(&format!("SET search_path = {schema}"), &[()]).unwrap();
    Some(Base { connection, schema })
}

impl Drop for Base {
    fn drop(&mut self) {
        if let Some(mut connection) = open() {
            let _ = connection.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema), &[()]);
        }
    }
}

impl Base {
    pub(super) fn run(&mut self, sql: &str) {
        self.connection.execute(sql, &[()]).unwrap();
    }

    pub(super) fn table(&mut self, name: &str) -> TableInfo {
        self.connection.describe(&TableName::parse(name).unwrap()).unwrap()
    }

    pub(super) fn all(&mut self, sql: &str) -> Vec<Value> {
        self.connection.query::<_, Value>(sql, &[()]).unwrap().remove(0)
    }

    pub(super) fn count(&mut self, table: &str) -> i64 {
        self.connection.query::<_, i64>(&format!("SELECT count(*) FROM {table}"), &[()]).unwrap()[0][0]
    }

    /// Inserts rows that all have the columns of the first.
    pub(super) fn insert(
        &mut self,
        table: &str,
        rows: &[Value],
        isolate: bool,
        returning: Returning,
    ) -> Done<Value> {
        self.try_insert(table, rows, isolate, returning).unwrap()
    }

    pub(super) fn try_insert(
        &mut self,
        table: &str,
        rows: &[Value],
        isolate: bool,
        returning: Returning,
    ) -> crate::Result<Done<Value>> {
        let table = self.table(table);
        let columns = columns(&table, &rows[0]);
        let chunk = Chunk { table: &table, columns: &columns, rows, isolate, returning, bulk: true };
        self.connection.insert(&chunk)
    }
}

pub(super) fn columns(table: &TableInfo, row: &Value) -> Vec<usize> {
    row.as_object().unwrap().keys().map(|name| table.column(name).unwrap()).collect()
}

pub(super) fn numbered(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(|id| json!({"id": id, "name": format!("row {id}")})).collect()
}
