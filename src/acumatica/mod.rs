//! Acumatica's contract-based REST: what to read, records, and their keys.

mod key;
mod query;

pub use key::{IntoKey, Key};
pub use query::{CustomKind, Date, DateTime, Dialect, Field, Filter, Operand, Query, custom_field, field};
