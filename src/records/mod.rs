//! Operations on records: operation -> validate -> plan -> chunks -> sessions -> outcomes -> report.
//!
//! Runs on the engine, against a [`RecordStore`](store::RecordStore); knows no backend.

pub(crate) mod capabilities;
pub(crate) mod chunk;
pub(crate) mod operation;
pub(crate) mod outcome;
mod parse;
pub(crate) mod problem;
pub(crate) mod record;
pub(crate) mod store;
mod validate;
