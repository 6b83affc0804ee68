//! One session's connection and the retry loop around each of its requests.

use std::time::Duration;

use super::answer::Answer;
use super::host::Host;
use super::request::Request;
use crate::engine::connect::{Interrupt, Worker};
use crate::error::{Error, ErrorKind, Result};

/// One session's line to the server.
#[derive(Debug)]
pub(crate) struct Wire {
    host: Host,
    worker: Worker,
}

impl Wire {
    pub(super) fn new(host: Host, worker: Worker) -> Self {
        Self { host, worker }
    }

    /// A session that was kept open moves to the worker of another batch.
    pub(crate) fn attach(&mut self, worker: &Worker) {
        self.worker = worker.clone();
    }

    /// The worker that the session lives on.
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Sends a request as often as that is safe and useful, and gives the last answer.
    ///
    /// # Errors
    ///
    /// When there is no answer: every error says how far the request had come.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        let _ = request;
        Err(Error::new(ErrorKind::Other, "not built yet"))
    }

    /// One attempt without gate, limiter and breaker, and whatever the worker's deadline: for a
    /// logout. Goes over the session's own connection, or a fresh one after an interrupt.
    pub(crate) fn send_once(&mut self, request: &Request, timeout: Duration) -> Result<Answer> {
        self.host.send_once(request, timeout)
    }

    /// Ends the request that is running, from another thread; after that the wire is of no use except
    /// for [`send_once`](Self::send_once).
    pub(crate) fn interrupt(&self) -> Interrupt {
        Box::new(|| {})
    }

    /// Whether it was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        false
    }
}
