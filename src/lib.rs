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
#[cfg(feature = "odoo")]
pub mod odoo;
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
#[cfg(feature = "odoo")]
pub use odoo::Odoo;
pub use records::capabilities::Capabilities;
pub use records::chunk::{Answer, Applied, Chunk};
pub use records::operation::{Operation, OperationKind, OperationStatus, Part};
pub use records::outcome::RecordOutcome;
pub use records::problem::Problem;
pub use records::record::{Record, RecordId, Reference};
pub use records::store::RecordStore;
pub use secret::Secret;
