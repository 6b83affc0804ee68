//! Verbs on tables, on SQLite and on PostgreSQL.
//!
//! Tests written with [`both!`] run on each. PostgreSQL is the server of `BATCHCALL_TEST_POSTGRES`, each test in
//! a schema of its own; `sh tests/postgres.sh cargo test` starts one. Without it the tests say that they did not
//! run, and in CI they fail.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[macro_use]
mod place;
#[path = "../common/schema.rs"]
mod schema;

mod bad_input;
mod cache;
#[cfg(feature = "postgres")]
mod faults;
mod import;
mod import_lines;
mod outcomes;
mod strategies;
#[cfg(feature = "postgres")]
mod tls;
mod uno;
mod verbs;
