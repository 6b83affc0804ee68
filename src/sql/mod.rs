//! Batches on PostgreSQL and SQLite.

#![allow(dead_code, unused_imports, reason = "the drivers are there before the tables that call them")]

mod catalog;
mod driver;
mod failure;
mod key;
#[cfg(feature = "postgres")]
mod postgres;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use driver::{Returning, RowStatus};
pub use failure::DatabaseError;
pub use key::Key;
