//! Stand-in servers on loopback, for tests, examples and benchmarks.
//!
//! [`Sandbox::acumatica`] builds an Acumatica: real sockets, HTTP/1.1 with keep-alive, records in memory,
//! and the facts of the real one, the unpleasant ones included: seats, licence limits, sessions that
//! serve one request at a time, errors in four shapes. [`Sandbox::odoo`] builds an Odoo of version 17 or 19,
//! with its three wires, transactions and `load`. [`Faults`] makes the network and the server
//! misbehave on demand, the same way for the same seed. [`History`] tells what really happened, to compare
//! with what the client believes.
//!
//! It listens on 127.0.0.1 alone and knows nothing of the rest of the crate: any client may talk to it.
//!
//! ```
//! use batchcall::sandbox::Sandbox;
//!
//! let sandbox = Sandbox::acumatica().seats(2).start()?;
//! assert!(sandbox.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(sandbox.open_sessions(), 0);
//! assert_eq!(sandbox.record("Customer", "CUST001").unwrap()["CustomerID"]["value"], "CUST001");
//! # Ok::<(), batchcall::Error>(())
//! ```

mod acumatica;
mod connection;
mod faults;
mod history;
mod http;
mod odoo;
mod plan;
mod recorder;
mod running;
mod server;
mod stop;

use std::sync::{Mutex, MutexGuard};

pub use acumatica::{AcumaticaSandbox, MissingRecord, SeatRefusal};
pub use faults::{Calls, Fault, Faults, RetryAfter};
pub use history::{Action, Effect, Event, EventKind, History, Refusal, RequestEvent};
pub use odoo::OdooSandbox;
pub use running::Sandbox;

/// Locks, whatever became of the last holder: a panic in one request must not take the server down.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
