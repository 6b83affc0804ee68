//! What all sessions of one client share.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::config::HttpConfig;
use super::request::Request;
use super::wire::Wire;
use crate::engine::connect::Worker;
use crate::error::{Error, ErrorKind, Result};

/// The server as one client sees it: a clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct Host(Arc<HostState>);

#[derive(Debug)]
struct HostState {
    config: HttpConfig,
}

impl Host {
    /// Checks the configuration; sends nothing.
    pub(crate) fn new(config: HttpConfig) -> Result<Self> {
        config.check()?;
        config.to_agent()?;
        Ok(Self(Arc::new(HostState { config })))
    }

    /// A connection of its own for one session.
    pub(crate) fn wire(&self, worker: &Worker) -> Wire {
        Wire::new(self.clone(), worker.clone())
    }

    /// One attempt on a fresh connection, past gate, limiter and breaker.
    pub(crate) fn send_once(&self, request: &Request, timeout: Duration) -> Result<Answer> {
        let _ = (request, timeout, &self.0.config);
        Err(Error::new(ErrorKind::Other, "not built yet"))
    }
}
