//! Many calls at once against ERPs and databases, blocking, one authenticated session per worker,
//! every call accounted for.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod engine;
mod error;
#[cfg(feature = "http")]
#[allow(dead_code, unused_imports, reason = "the first HTTP backend uses it")]
mod http;
mod secret;

#[cfg(feature = "sandbox")]
pub mod sandbox;

pub use engine::connect::{Connect, Interrupt, Pause, Worker};
pub use engine::retry::{Backoff, RetryPolicy};
pub use engine::stop::{CancelToken, Deadline};
pub use error::{Delivery, Error, ErrorKind, FieldError, Result};
pub use secret::Secret;
