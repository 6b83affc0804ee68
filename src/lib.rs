//! Many calls at once against ERPs, blocking, one authenticated session per worker, every call accounted
//! for.
//!
//! A [`BatchCall`] collects closures on sessions and runs them on a pool of workers; a [`Report`] says of
//! each what became of it. The flow, and where to look for it:
//!
//! calls ([`BatchCall`]) -> sessions ([`Connect`]) -> workers -> outcomes ([`Outcome`]) ->
//! [`Progress`], [`Stats`], [`Report`] -> retry ([`BatchCall::retry_failed_calls`])
//!
//! ```
//! use batchcall::memory::{Memory, Step};
//! use batchcall::{BatchCall, ErrorKind, Status};
//!
//! // A backend of three records whose second request is refused.
//! let client = Memory::new()
//!     .with_record("CUST001", "Alfa")
//!     .with_record("CUST002", "Beta")
//!     .with_record("CUST003", "Gamma")
//!     .script([Step::Answer, Step::Fail(ErrorKind::Unavailable)]);
//!
//! let batch = BatchCall::new(&client)
//!     .max_concurrent(1)
//!     .calls(["CUST001", "CUST002", "CUST003"], |session, id| session.get(id));
//! let first = batch.execute()?;
//! assert_eq!(first.outcomes()[1].status(), Status::Failed);
//!
//! let again = batch.retry_failed_calls(&first).execute()?;
//! let report = first.merge(again);
//! println!("{report}");
//! assert_eq!(report.into_all()?, ["Alfa", "Beta", "Gamma"]);
//! # Ok::<(), batchcall::Error>(())
//! ```
//!
//! # Questions
//!
//! **Why does `execute` not return before a hung closure does?** Because calls may borrow, and because work
//! that goes on after the report is a lie. I/O through the sessions of this crate is interrupted at the
//! deadline; a closure that blocks elsewhere is its author's.
//!
//! **Why one [`Error`] type?** So that `?` in a closure needs no annotation. [`Error::other`] carries
//! foreign errors.
//!
//! **Why is no call run again by itself?** A closure may send two requests, and only a request knows
//! whether it may go again. Requests are retried inside the session; calls only in a batch that says
//! [`idempotent`](BatchCall::idempotent), or when you ask.
//!
//! **What is a call in doubt?** A write that was sent and not answered. Look whether it was applied, then
//! use [`retry_where`](BatchCall::retry_where).
//!
//! **How do I use a system that is not here?** Implement [`Connect`] for it.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod engine;
mod error;
#[cfg(feature = "http")]
mod http;
pub mod memory;
mod records;
mod secret;

#[cfg(feature = "acumatica")]
pub mod acumatica;
#[cfg(feature = "odoo")]
pub mod odoo;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod sql;

#[cfg(feature = "acumatica")]
pub use acumatica::Acumatica;
pub use engine::batch::BatchCall;
pub use engine::connect::{Connect, Interrupt, Pause, Worker};
pub use engine::halt::Halt;
pub use engine::join::{Join, join};
pub use engine::outcome::{Outcome, Status};
pub use engine::progress::Progress;
pub use engine::report::{BatchError, Report};
pub use engine::retry::{Backoff, RetryPolicy};
pub use engine::stats::Stats;
pub use engine::stop::{CancelToken, Deadline};
pub use error::{Delivery, Error, ErrorKind, FieldError, Result};
#[cfg(feature = "odoo")]
pub use odoo::Odoo;
pub use records::capabilities::Capabilities;
pub use records::chunk::{Answer, Applied, Chunk};
pub use records::executor::Executor;
pub use records::export::Select;
pub use records::failure::RecordsError;
pub use records::flow::{Flow, StreamedRecord};
pub use records::kind::{OperationKind, OperationStatus};
pub use records::operation::{Operation, Part};
pub use records::outcome::RecordOutcome;
pub use records::plan::{Plan, PlannedRequest};
pub use records::problem::Problem;
pub use records::record::{Record, RecordId, Reference};
pub use records::report::{RecordEntry, RecordReport};
pub use records::scope::{BatchContext, NewRecord};
pub use records::size::BatchSize;
pub use records::stats::{RecordStats, Totals};
pub use records::store::RecordStore;
pub use records::strategy::Strategy;
pub use secret::Secret;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use sql::Database;

/// The programs of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
