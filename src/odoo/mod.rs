//! Odoo: a client, its sessions, domains, and the verbs of the ORM.
//!
//! [`Odoo`] is the backend to give to [`BatchCall`](crate::BatchCall); each worker gets a [`Session`]. Calls
//! go by JSON-2, the web session or JSON-RPC, see [`Protocol`]; results and errors are the same on each.
//! What is said here of the server was seen on Odoo 19.0, and read in the source of others.
//!
//! # Errors
//!
//! The server's own class is in [`remote_name`](crate::Error::remote_name), and the message is its own.
//!
//! | the server says | kind |
//! |---|---|
//! | `AccessDenied`, 401, a session that cannot be opened again | [`Auth`](crate::ErrorKind::Auth) |
//! | too many failed logins | [`RateLimited`](crate::ErrorKind::RateLimited), for a minute |
//! | `AccessError`, 403 | [`Forbidden`](crate::ErrorKind::Forbidden) |
//! | `MissingError`, unknown model or method, 404 | [`NotFound`](crate::ErrorKind::NotFound) |
//! | `UserError`, `ValidationError`, `RedirectWarning`, 4xx | [`Rejected`](crate::ErrorKind::Rejected) |
//! | `ValueError`, `KeyError`, `TypeError`: an unknown field, a wrong domain | [`Rejected`](crate::ErrorKind::Rejected) |
//! | `LockError`, serialization failure, deadlock | tried again, then [`Unavailable`](crate::ErrorKind::Unavailable) |
//! | any other 500 | [`Server`](crate::ErrorKind::Server), not tried again |
//! | a page where JSON was expected | [`Protocol`](crate::ErrorKind::Protocol) |
//!
//! # One call is one transaction
//!
//! The server commits a call before it answers and rolls a refused one back whole. Calls cannot be joined
//! in a transaction.

mod args;
mod builder;
mod cells;
mod client;
mod command;
mod context;
mod decode;
mod domain;
mod each;
mod find;
mod json2;
mod load;
mod login;
mod pages;
mod protocol;
mod records;
mod refusal;
mod row;
mod rpc;
mod session;
mod verbs;

pub use args::Args;
pub use builder::OdooBuilder;
pub use client::Odoo;
pub use command::Command;
pub use context::Context;
pub use decode::decode;
pub use domain::{Domain, Field, field};
pub use find::Find;
pub use load::{LoadMessage, Loaded};
pub use pages::Pages;
pub use protocol::Protocol;
pub use row::{Many2one, Row, iso};
pub use session::Session;
pub use verbs::FieldInfo;
