//! Batches on PostgreSQL and SQLite: get, insert, update, upsert, delete, compute, import, and raw SQL.
//!
//! A [`Database`] has tables ([`Database::table`]), a [`Table`] has verbs, and a verb runs as its
//! [`BatchConfig`] says. The flow: rows -> looked at, grouped by columns, cut -> connections of the pool, one a
//! worker -> [`Written`], what became of every row.

#![cfg_attr(
    not(all(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "what the other database needs")
)]

mod cache;
mod catalog;
mod config;
mod connection;
mod cut;
mod database;
mod delete;
mod driver;
mod failure;
mod fields;
mod import;
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
mod statements;
mod table;
mod write;
mod written;

pub use cache::CacheConfig;
pub use config::BatchConfig;
pub use connection::Connection;
pub use database::{Database, DatabaseBuilder};
pub use driver::{Returning, RowStatus};
pub use failure::DatabaseError;
pub use import::{Format, ImportError, ImportOptions, ImportStats, LineError, OnConflict};
pub use key::Key;
pub use metrics::Metrics;
pub use relation::Relation;
pub use table::{ALL, PRIMARY_KEY, Processed, Table};
pub use written::{RowError, WriteError, Written};
