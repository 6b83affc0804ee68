//! Batches on PostgreSQL and SQLite.

#![allow(dead_code, reason = "the verbs that call it are built beside it")]

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
