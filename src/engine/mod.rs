//! Closures on sessions: calls -> sessions -> workers -> outcomes -> progress, stats, report -> retry.
//!
//! Knows no backend, no HTTP and no SQL.

pub(crate) mod batch;
pub(crate) mod connect;
pub(crate) mod halt;
mod interrupts;
pub(crate) mod join;
mod logins;
mod monitor;
pub(crate) mod outcome;
mod pool;
pub(crate) mod progress;
mod queue;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod worker;
