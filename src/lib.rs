//! Many calls at once against ERPs and databases, blocking, one authenticated session per worker,
//! every call accounted for.
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
#[cfg(feature = "sandbox")]
pub mod sandbox;

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
pub use records::capabilities::Capabilities;
pub use records::chunk::{Answer, Applied, Chunk};
pub use records::executor::Executor;
pub use records::flow::{Flow, StreamedRecord};
pub use records::operation::{Operation, OperationKind, OperationStatus, Part};
pub use records::outcome::RecordOutcome;
pub use records::plan::{Plan, PlannedRequest};
pub use records::problem::Problem;
pub use records::record::{Record, RecordId, Reference};
pub use records::report::{RecordEntry, RecordReport, RecordsError};
pub use records::scope::{BatchContext, NewRecord};
pub use records::size::BatchSize;
pub use records::stats::{RecordStats, Totals};
pub use records::store::RecordStore;
pub use records::strategy::Strategy;
pub use secret::Secret;
