//! What every store of records promises, run over every backend.
//!
//! A backend takes part with a function that makes a [`Fixture`](suite::Fixture) - a store, rows that it
//! takes and refuses, a way to look at what it holds - and a line of [`conformance!`].
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[macro_use]
mod suite;

#[cfg(all(feature = "acumatica", feature = "sandbox"))]
mod acumatica;
mod memory;
#[cfg(all(feature = "odoo", feature = "sandbox"))]
mod odoo;
#[cfg(feature = "postgres")]
#[path = "../common/schema.rs"]
mod schema;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
