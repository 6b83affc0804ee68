//! Acumatica's contract-based REST: what to read, records, and their keys.

mod entity;
mod key;
mod query;

pub use entity::{CustomValue, Entity, FileLink};
pub use key::{IntoKey, Key};
pub use query::{CustomKind, Date, DateTime, Dialect, Field, Filter, Operand, Query, custom_field, field};
