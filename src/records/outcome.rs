//! What became of one record.

use std::fmt;
use std::sync::Arc;

use super::record::RecordId;
use crate::error::{Delivery, Error};

/// What became of one record: exactly one per record, whatever happens. Whatever did not go well carries its
/// error, also what is in doubt.
///
/// ```
/// use batchcall::{RecordId, RecordOutcome};
///
/// let outcome = RecordOutcome::Created(RecordId::Int(7));
/// assert!(outcome.is_success());
/// assert_eq!(outcome.id(), Some(&RecordId::Int(7)));
/// assert_eq!(outcome.as_str(), "created");
///
/// // Sent, and no answer came: the error says why nobody knows.
/// use batchcall::{Delivery, Error, ErrorKind};
/// let lost = Error::new(ErrorKind::Connect, "connection reset").with_delivery(Delivery::MaybeSent);
/// let outcome = RecordOutcome::InDoubt(lost);
/// assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Connect);
/// assert!(!outcome.is_resendable());
/// ```
#[derive(Debug)]
pub enum RecordOutcome {
    /// It was created, under this id.
    Created(RecordId),
    /// It was there and was written.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was there, and as it should be.
    Unchanged,
    /// The store refused it, or it could not be sent: it was not applied.
    Failed(Error),
    /// It was sent and nothing is known of it: it may or may not have been applied. It is never sent
    /// again by itself. The error tells what became of the request: the connection broke, the time was over,
    /// the answer could not be read.
    InDoubt(Error),
    /// It was not sent; the error's kind says why.
    NotRun(Error),
    /// It was applied and then undone, because another one failed.
    RolledBack,
    /// It was applied and could not be undone: it is still there. The error names it.
    RollbackFailed(Error),
}

impl RecordOutcome {
    /// Whether the store is as the record says.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Updated | Self::Deleted | Self::Unchanged)
    }

    /// Whether it failed, or could not be undone.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::RollbackFailed(_))
    }

    /// Whether it may be sent again without harm: nothing of it is in the store, and nothing is in doubt.
    #[must_use]
    pub fn is_resendable(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::NotRun(_) | Self::RolledBack)
    }

    /// The id of the record that was created.
    #[must_use]
    pub fn id(&self) -> Option<&RecordId> {
        match self {
            Self::Created(id) => Some(id),
            _ => None,
        }
    }

    /// The error, where there is one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error)
            | Self::InDoubt(error)
            | Self::NotRun(error)
            | Self::RollbackFailed(error) => Some(error),
            _ => None,
        }
    }

    /// The outcome in words.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
            Self::Failed(_) => "failed",
            Self::InDoubt(_) => "in doubt",
            Self::NotRun(_) => "not run",
            Self::RolledBack => "rolled back",
            Self::RollbackFailed(_) => "not rolled back",
        }
    }

    /// With the model in its error, where the store did not say which record it was about.
    pub(crate) fn labelled(self, model: &str) -> Self {
        let label = |error: Error| match error.entity() {
            Some(_) => error,
            None => error.with_entity(model),
        };
        match self {
            Self::Failed(error) => Self::Failed(label(error)),
            Self::InDoubt(error) => Self::InDoubt(label(error)),
            Self::NotRun(error) => Self::NotRun(label(error)),
            other => other,
        }
    }

    /// What an error of a request makes of a record that was in it.
    pub(crate) fn of_error(error: Error) -> Self {
        if error.is_in_doubt() { Self::InDoubt(error) } else { Self::Failed(error) }
    }
}

impl fmt::Display for RecordOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Created(id) => write!(f, " {id}"),
            _ => self.error().map_or(Ok(()), |error| write!(f, ": {error}")),
        }
    }
}

/// One error that many records share: each gets its own copy, with its own place.
#[derive(Debug, Clone)]
pub(crate) struct SharedError(Arc<Error>);

impl SharedError {
    pub(crate) fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }

    pub(crate) fn get(&self) -> &Error {
        &self.0
    }

    /// A copy for the record at a place in its operation.
    pub(crate) fn at(&self, place: usize) -> Error {
        self.copy().with_record_index(place)
    }

    /// A copy.
    pub(crate) fn copy(&self) -> Error {
        let copy = Self::copy_of(&self.0);
        match std::error::Error::source(&*self.0) {
            Some(_) => copy.with_source(SourceOf(Arc::clone(&self.0))),
            None => copy,
        }
    }

    /// A copy of an error, without the error underneath.
    pub(crate) fn copy_of(from: &Error) -> Error {
        let mut error = Error::new(from.kind(), from.message())
            .with_attempts(from.attempts())
            .with_field_errors(from.field_errors().to_vec())
            .with_resendable(from.delivery() == Some(Delivery::MaybeSent) && !from.is_in_doubt())
            .with_permanent(!from.is_transient());
        if let Some(delivery) = from.delivery() {
            error = error.with_delivery(delivery);
        }
        if let Some(status) = from.status() {
            error = error.with_status(status);
        }
        if let Some(name) = from.remote_name() {
            error = error.with_remote_name(name);
        }
        if let Some(wait) = from.retry_after() {
            error = error.with_retry_after(wait);
        }
        if let Some(operation) = from.operation() {
            error = error.with_operation(operation);
        }
        if let Some(entity) = from.entity() {
            error = error.with_entity(entity);
        }
        if let Some(index) = from.record_index() {
            error = error.with_record_index(index);
        }
        error
    }
}

/// The error underneath one that was copied.
#[derive(Debug)]
struct SourceOf(Arc<Error>);

impl fmt::Display for SourceOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::error::Error::source(&*self.0).map_or(Ok(()), |source| write!(f, "{source}"))
    }
}

impl std::error::Error for SourceOf {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0).and_then(std::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, FieldError};
    use std::time::Duration;

    #[test]
    fn a_copy_says_all_that_the_error_said() {
        let base = || {
            Error::new(ErrorKind::Timeout, "too late")
                .with_delivery(Delivery::MaybeSent)
                .with_status(504)
                .with_remote_name("x.Y")
                .with_retry_after(Duration::from_secs(3))
                .with_operation("create")
                .with_entity("res.partner")
                .with_record_index(3)
                .with_attempts(2)
                .with_field_errors(vec![FieldError::new("name", "is required")])
                .with_source(std::io::Error::other("reset"))
        };
        for error in [base(), base().with_resendable(true), base().with_permanent(true)] {
            let (doubt, retry, text) = (error.is_in_doubt(), error.is_retryable(), error.to_string());
            let copy = SharedError::new(error).copy();
            assert_eq!((copy.is_in_doubt(), copy.is_retryable()), (doubt, retry));
            assert_eq!(copy.to_string(), text);
            assert_eq!(copy.retry_after(), Some(Duration::from_secs(3)));
            assert_eq!(copy.remote_name(), Some("x.Y"));
            assert_eq!(std::error::Error::source(&copy).unwrap().to_string(), "reset");
        }
    }
}
