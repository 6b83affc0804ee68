//! Batches on PostgreSQL and SQLite: get, insert, update, upsert, delete, compute, and raw SQL.
//!
//! A [`Database`] has tables ([`Database::table`]), a [`Table`] has verbs, and a verb runs as its
//! [`BatchConfig`] says. The flow: rows -> looked at, grouped by columns, cut -> connections of the pool, one a
//! worker -> [`Written`], what became of every row.

#![allow(dead_code, unused_imports, reason = "the drivers are there before the tables that call them")]
#![allow(dead_code, reason = "the verbs that call it are built beside it")]

mod catalog;
mod config;
mod connection;
mod cut;
mod database;
mod delete;
mod driver;
mod failure;
mod fields;
mod key;
mod look;
mod metrics;
mod part;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod read;
mod records;
mod relation;
mod run;
mod seen;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod write;
mod written;

pub use config::BatchConfig;
pub use connection::Connection;
pub use database::{Database, DatabaseBuilder};
pub use driver::{Returning, RowStatus};
pub use failure::DatabaseError;
pub use key::Key;
pub use metrics::Metrics;
pub use relation::Relation;
pub use table::{Processed, Table};
pub use written::{RowError, WriteError, Written};
