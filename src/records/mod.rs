//! Operations on records: operation -> validate -> plan -> chunks -> sessions -> outcomes -> report.
//!
//! Runs on the engine, against a [`RecordStore`](store::RecordStore); knows no backend.

mod brake;
pub(crate) mod capabilities;
pub(crate) mod chunk;
mod compensate;
mod config;
mod cut;
pub(crate) mod executor;
pub(crate) mod export;
pub(crate) mod failure;
mod family;
pub(crate) mod flow;
mod isolate;
pub(crate) mod kind;
pub(crate) mod load;
pub(crate) mod operation;
pub(crate) mod outcome;
mod parse;
pub(crate) mod plan;
pub(crate) mod problem;
pub(crate) mod record;
pub(crate) mod report;
mod schedule;
pub(crate) mod scope;
mod seat;
pub(crate) mod size;
mod slots;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod strategy;
mod tell;
mod validate;
mod waves;
