//! Acumatica's contract-based REST: a client, its sessions, records, queries.
//!
//! [`Acumatica`] is the backend to give to [`BatchCall`](crate::BatchCall); each worker gets a [`Session`].
//! Facts about the server are from its Integration Development Guide (2026 R1) and from recorded traffic.

mod actions;
mod address;
mod auth;
mod builder;
mod client;
mod entity;
mod files;
mod inquiry;
mod key;
mod pages;
mod query;
mod records;
mod records_store;
mod refusal;
mod scope;
mod session;
mod write;

pub use auth::OAuth;
pub use builder::AcumaticaBuilder;
pub use client::Acumatica;
pub use entity::{CustomValue, Entity, FileLink};
pub use inquiry::{Inquiries, InquirySession};
pub use key::{IntoKey, Key};
pub use pages::Pages;
pub use query::{CustomKind, Date, DateTime, Dialect, Field, Filter, Operand, Query, custom_field, field};
pub use scope::Scope;
pub use session::Session;
pub use write::Write;
