//! One request, and what is known about sending it twice.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use ureq::http::Method;

use crate::error::{Error, ErrorKind, Result};

/// Whether a request may go again after it may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Changes nothing.
    Read,
    /// A write that ends in the same state however often it is applied.
    Keyed,
    /// A write that must not be applied twice.
    Write,
}

impl Nature {
    /// Whether sending it again does no harm.
    pub(crate) fn is_resendable(self) -> bool {
        self != Self::Write
    }
}

/// A request as the backend wants it sent. `Debug` shows neither query, headers nor body.
#[derive(Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) nature: Nature,
    pub(super) timeout: Option<Duration>,
    pub(super) operation: Option<Cow<'static, str>>,
    pub(super) entity: Option<String>,
    pub(super) throttling_is_final: bool,
}

impl Request {
    /// A request to an address that is already encoded. GET, HEAD and OPTIONS are
    /// [`Nature::Read`], everything else is [`Nature::Write`] until told otherwise.
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        let nature = if method.is_safe() { Nature::Read } else { Nature::Write };
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            nature,
            timeout: None,
            operation: None,
            entity: None,
            throttling_is_final: false,
        }
    }

    /// Says whether it may go again.
    pub(crate) fn nature(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends these bytes, with their length.
    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends a value as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| {
            Error::new(ErrorKind::Invalid, "the input cannot be written as JSON").with_source(e)
        })?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// The time for one attempt. Defaults to the client's.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What is being done, for errors. Defaults to the method.
    pub(crate) fn operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// What it is done to, for errors.
    pub(crate) fn entity(mut self, entity: impl Into<String>) -> Self {
        self.entity = Some(entity.into());
        self
    }

    /// Sets a header that differs from one sending to the next, such as the session's cookies.
    pub(crate) fn set_header(&mut self, name: &'static str, value: String) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((Cow::Borrowed(name), value));
    }

    /// Removes a header that the last sending had and the next one has not.
    pub(crate) fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// The entity that errors name.
    pub(crate) fn entity_label(&self) -> Option<&str> {
        self.entity.as_deref()
    }

    /// Hands a 429 or 503 back at once and closes no gate: for a login, where it tells of seats and not
    /// of too many requests.
    pub(crate) fn throttling_is_final(mut self) -> Self {
        self.throttling_is_final = true;
        self
    }

    /// Adds what was being done to an error.
    pub(crate) fn label(&self, error: Error) -> Error {
        let operation = self.operation.as_deref().unwrap_or(self.method.as_str());
        let error = error.with_operation(operation);
        match &self.entity {
            Some(entity) => error.with_entity(entity.as_str()),
            None => error,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("entity", &self.entity)
            .field("nature", &self.nature)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}
