//! The one error type: what failed, what the server said, and whether it may go again.
//!
//! Every layer adds what it alone knows: the wire adds [`Delivery`], the backend the server's own
//! words and fields, the engine the attempts. The caller reads one type with `?` and no annotations.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a call, a login or a record.
///
/// Small (one pointer), `Send + Sync + 'static`, and without secrets: neither `Display` nor `Debug`
/// shows a password, a token or a cookie.
///
/// # Which constructor
///
/// 1. You know the kind: [`Error::new`].
/// 2. Some other library failed and its kind does not matter: [`Error::other`].
/// 3. Both: `Error::new(kind, "what was being done").with_source(e)`.
///
/// ```
/// use batchcall::{Delivery, Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "maintenance until 6:00")
///     .with_status(503)
///     .with_delivery(Delivery::Answered);
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert!(error.is_retryable());
/// assert_eq!(error.to_string(), "unavailable (HTTP 503): maintenance until 6:00");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    delivery: Option<Delivery>,
    resendable: bool,
    permanent: bool,
    status: Option<u16>,
    remote_name: Option<String>,
    field_errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    operation: Option<String>,
    entity: Option<String>,
    record_index: Option<usize>,
    attempts: u32,
}

/// The class of an [`Error`]: it decides what may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong and was refused before anything was sent. Never retried.
    Invalid,
    /// The server refused the credentials, or a session ended and could not be opened again. Never
    /// retried: a second try with a wrong password locks accounts.
    Auth,
    /// The server has no free session (licence seats, API login limit). Not a failed call: the worker
    /// waits for a seat and tries again.
    SeatLimit,
    /// The user may not do this. Never retried.
    Forbidden,
    /// The record, entity, action or address does not exist. Never retried.
    NotFound,
    /// The record was changed or made by someone else (HTTP 409, 412). Never retried.
    Conflict,
    /// The server's rules refused the data. Never retried.
    Rejected,
    /// The server asked for fewer requests (HTTP 429). Retried after the time it named.
    RateLimited,
    /// The server is down for a moment (HTTP 503, 502, 504). Retried where the request may go again.
    Unavailable,
    /// The server failed by itself (HTTP 500 and the like). Not retried: the same request
    /// fails the same way.
    Server,
    /// No connection, or it broke. Retried where the request may go again.
    Connect,
    /// A time limit passed: the request's, the call's or the batch's. Retried where the request may go
    /// again and time is left.
    Timeout,
    /// The session was interrupted while the call was running. Retryable, but not by itself: the batch was
    /// ending.
    Interrupted,
    /// The batch was cancelled or halted before or while the call ran. Retried only on request.
    Cancelled,
    /// The server's answer cannot be read. Not retried.
    Protocol,
    /// The call, or the code that opens or closes sessions, panicked. Not retried.
    Panicked,
    /// The database refused the statement. Retried only for the classes that say "try again".
    Database,
    /// The journal cannot be written or read. Nothing is sent without it.
    Journal,
    /// A record or call that this one depends on did not succeed. Not retried by itself.
    Dependency,
    /// Anything else: an error of another library, or of your own code. Not retried.
    Other,
}

impl ErrorKind {
    /// The kind in words, as `Display` prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid input",
            Self::Auth => "authentication failed",
            Self::SeatLimit => "no free session",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Server => "server error",
            Self::Connect => "connection failed",
            Self::Timeout => "timed out",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Protocol => "unreadable answer",
            Self::Panicked => "panicked",
            Self::Database => "database error",
            Self::Journal => "journal error",
            Self::Dependency => "dependency failed",
            Self::Other => "error",
        }
    }

    /// Whether the cause passes by itself, so that a later try may succeed.
    fn is_transient(self) -> bool {
        matches!(
            self,
            Self::SeatLimit
                | Self::RateLimited
                | Self::Unavailable
                | Self::Connect
                | Self::Timeout
                | Self::Interrupted
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a request had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Not a byte of it was written: it is always safe to send again.
    NotSent,
    /// Some of it was written and no answer came: the server may or may not have acted.
    MaybeSent,
    /// The server answered.
    Answered,
}

/// What the server has against one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FieldError {
    /// Where: `CustomerID`, `Details[0].Project`.
    pub path: String,
    /// Why, in the server's words.
    pub message: String,
}

impl FieldError {
    /// Names a field and what is wrong with it.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl Error {
    /// An error of a known kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            delivery: None,
            resendable: false,
            permanent: false,
            status: None,
            remote_name: None,
            field_errors: Vec::new(),
            retry_after: None,
            operation: None,
            entity: None,
            record_index: None,
            attempts: 0,
        }))
    }

    /// Carries any other error: [`ErrorKind::Other`], its text as the message.
    ///
    /// ```
    /// use batchcall::{Error, ErrorKind};
    ///
    /// fn parse(text: &str) -> batchcall::Result<i32> {
    ///     text.parse().map_err(Error::other)
    /// }
    /// assert_eq!(parse("x").unwrap_err().kind(), ErrorKind::Other);
    /// ```
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let error = error.into();
        Self::new(ErrorKind::Other, error.to_string()).with_boxed_source(error)
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.with_boxed_source(source.into())
    }

    fn with_boxed_source(mut self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Says how far the request had come.
    ///
    /// [`Delivery::MaybeSent`] makes the call's outcome in doubt, unless
    /// [`with_resendable`](Self::with_resendable) says that the request may go again.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = Some(delivery);
        self
    }

    /// Says that sending the request again does no harm, such as a read, or a write by key.
    /// Defaults to `false`.
    #[must_use]
    pub fn with_resendable(mut self, resendable: bool) -> Self {
        self.0.resendable = resendable;
        self
    }

    /// Says that the cause does not pass by itself, although its kind's usually does: a certificate that is
    /// not trusted is a failed connection that no second try mends. Defaults to `false`.
    #[must_use]
    pub fn with_permanent(mut self, permanent: bool) -> Self {
        self.0.permanent = permanent;
        self
    }

    /// Adds the time that the server asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the server's own name for the error, such as `PX.Data.PXException` or a SQLSTATE.
    #[must_use]
    pub fn with_remote_name(mut self, name: impl Into<String>) -> Self {
        self.0.remote_name = Some(name.into());
        self
    }

    /// Adds what the server has against single fields.
    #[must_use]
    pub fn with_field_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.field_errors = errors;
        self
    }

    /// Adds what was being done, such as `PUT` or `write`.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Adds the entity, model or table, with the key where one is known, such as `Customer/ABC`.
    #[must_use]
    pub fn with_entity(mut self, entity: impl Into<String>) -> Self {
        self.0.entity = Some(entity.into());
        self
    }

    /// Adds the index of the record in its input.
    #[must_use]
    pub fn with_record_index(mut self, index: usize) -> Self {
        self.0.record_index = Some(index);
        self
    }

    /// The same with another class: what looked like one thing was another.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds how often the request was sent or tried.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened: the server's own message where there is one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status, where there was an HTTP answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own name for the error, such as `odoo.exceptions.ValidationError`.
    #[must_use]
    pub fn remote_name(&self) -> Option<&str> {
        self.0.remote_name.as_deref()
    }

    /// What the server has against single fields; empty where it named none.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.field_errors
    }

    /// The time that the server asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How far the request had come, where that is known.
    #[must_use]
    pub fn delivery(&self) -> Option<Delivery> {
        self.0.delivery
    }

    /// What was being done, such as `PUT`.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The entity, model or table, with the key where one is known.
    #[must_use]
    pub fn entity(&self) -> Option<&str> {
        self.0.entity.as_deref()
    }

    /// The index of the record in its input.
    #[must_use]
    pub fn record_index(&self) -> Option<usize> {
        self.0.record_index
    }

    /// How often the request was tried; 0 where nobody counted.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the request was sent, got no answer, and cannot be sent again without risk.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.0.delivery == Some(Delivery::MaybeSent) && !self.0.resendable
    }

    /// Whether the same call may be run again with hope and without harm: the cause passes by itself,
    /// and nothing is in doubt.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_transient() && !self.is_in_doubt()
    }

    /// Whether the cause passes by itself, whatever became of the request.
    pub(crate) fn is_transient(&self) -> bool {
        self.0.kind.is_transient() && !self.0.permanent
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = &inner.operation {
            f.write_str(operation)?;
        }
        if let Some(entity) = &inner.entity {
            let gap = if inner.operation.is_some() { " " } else { "" };
            write!(f, "{gap}{entity}")?;
        }
        if let Some(index) = inner.record_index {
            write!(f, "[{index}]")?;
        }
        if inner.operation.is_some() || inner.entity.is_some() || inner.record_index.is_some() {
            f.write_str(": ")?;
        }
        f.write_str(inner.kind.as_str())?;
        match (inner.status, inner.attempts) {
            (None, 0 | 1) => {}
            (Some(status), 0 | 1) => write!(f, " (HTTP {status})")?,
            (None, attempts) => write!(f, " ({attempts} attempts)")?,
            (Some(status), attempts) => write!(f, " (HTTP {status}, {attempts} attempts)")?,
        }
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        for field in &inner.field_errors {
            if !inner.message.contains(&field.message) {
                write!(f, "; {}: {}", field.path, field.message)?;
            } else if !inner.message.contains(&field.path) {
                write!(f, "; field {}", field.path)?;
            }
        }
        if self.is_in_doubt() {
            f.write_str("; sent without an answer: look whether it was applied before sending it again")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &inner.kind).field("message", &inner.message);
        if let Some(status) = &inner.status {
            debug.field("status", status);
        }
        if let Some(delivery) = &inner.delivery {
            debug.field("delivery", delivery);
        }
        if let Some(operation) = &inner.operation {
            debug.field("operation", operation);
        }
        if let Some(entity) = &inner.entity {
            debug.field("entity", entity);
        }
        if let Some(index) = &inner.record_index {
            debug.field("record_index", index);
        }
        if let Some(name) = &inner.remote_name {
            debug.field("remote_name", name);
        }
        if !inner.field_errors.is_empty() {
            debug.field("field_errors", &inner.field_errors);
        }
        if let Some(wait) = &inner.retry_after {
            debug.field("retry_after", wait);
        }
        if inner.attempts > 0 {
            debug.field("attempts", &inner.attempts);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_names_place_kind_status_attempts_message_and_fields() {
        let error = Error::new(ErrorKind::Rejected, "Inserting 'Details' raised an error")
            .with_operation("PUT")
            .with_entity("SalesOrder")
            .with_record_index(4)
            .with_status(422)
            .with_attempts(2)
            .with_field_errors(vec![FieldError::new("Details[0].Project", "is required")]);
        assert_eq!(
            error.to_string(),
            "PUT SalesOrder[4]: rejected (HTTP 422, 2 attempts): Inserting 'Details' raised an error; \
             Details[0].Project: is required"
        );
    }

    #[test]
    fn only_a_write_without_an_answer_is_in_doubt() {
        let lost = || Error::new(ErrorKind::Connect, "reset").with_delivery(Delivery::MaybeSent);
        assert!(lost().is_in_doubt() && !lost().is_retryable());
        let read = lost().with_resendable(true);
        assert!(!read.is_in_doubt() && read.is_retryable());
        let unsent = Error::new(ErrorKind::Connect, "refused").with_delivery(Delivery::NotSent);
        assert!(!unsent.is_in_doubt() && unsent.is_retryable());
    }

    #[test]
    fn permanent_kinds_are_never_retryable() {
        for kind in [ErrorKind::Invalid, ErrorKind::Auth, ErrorKind::NotFound, ErrorKind::Rejected] {
            assert!(!Error::new(kind, "").with_delivery(Delivery::Answered).is_retryable(), "{kind:?}");
        }
    }
}
