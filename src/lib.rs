//! Many calls at once against ERPs and databases, blocking, one authenticated session per worker,
//! every call accounted for.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod secret;

#[cfg(feature = "acumatica")]
pub mod acumatica;
#[cfg(feature = "sandbox")]
pub mod sandbox;

pub use error::{Delivery, Error, ErrorKind, FieldError, Result};
pub use secret::Secret;
