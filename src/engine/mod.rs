//! Closures on sessions: calls -> sessions -> workers -> outcomes -> progress, stats, report -> retry.
//!
//! Knows no backend, no HTTP and no SQL.

pub(crate) mod connect;
pub(crate) mod retry;
pub(crate) mod stop;
