//! A running server, in the hands of a test.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::faults::Faults;
use super::history::History;
use super::plan::FaultPlan;
use super::server::Server;
use crate::Result;

/// A stand-in server that is running; dropping it stops it.
pub struct Sandbox {
    server: Server,
    url: String,
    seed: u64,
}

impl Sandbox {
    pub(crate) fn new(server: Server, base_path: &str, seed: u64) -> Self {
        let url = format!("http://127.0.0.1:{}{base_path}", server.port());
        Self { server, url, seed }
    }

    /// The base URL, without a slash at its end: what a client is given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// What happened so far.
    #[must_use]
    pub fn history(&self) -> History {
        self.server.shared.recorder.snapshot()
    }

    /// How many sessions are open now. Those that were idle for too long are ended first.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.server.shared.site.open_sessions()
    }

    /// Ends all sessions at once: their next requests get 401, those of Odoo the error 100.
    pub fn expire_sessions(&self) {
        self.server.shared.site.expire_sessions();
    }

    /// A record as the server holds it, with its details; parts of a composite key are joined with `/`,
    /// such as `SO/SO000001`. A record of Odoo is found by its id or by its external id.
    #[must_use]
    pub fn record(&self, entity: &str, key: &str) -> Option<Value> {
        self.server.shared.site.record(entity, key)
    }

    /// All records of an entity, with their details, in the order of their keys.
    #[must_use]
    pub fn records(&self, entity: &str) -> Vec<Value> {
        self.server.shared.site.records(entity)
    }

    /// The API key of a user, where the ERP has such keys, as Odoo has.
    #[must_use]
    pub fn api_key(&self, login: &str) -> Option<String> {
        self.server.shared.site.api_key(login)
    }

    /// From now on these faults strike; requests are counted from 1 again.
    pub fn set_faults(&self, faults: Faults) {
        let plan = Arc::new(FaultPlan::new(faults, self.seed));
        *self.server.shared.faults.write().unwrap_or_else(|e| e.into_inner()) = plan;
    }

    /// From now on nothing goes wrong.
    pub fn clear_faults(&self) {
        self.set_faults(Faults::none());
    }

    /// Kills the server: it resets all connections, refuses new ones, and loses all sessions. The records
    /// stay. When this returns, no request is being served.
    pub fn pause(&self) {
        self.server.pause();
        self.server.shared.site.expire_sessions();
    }

    /// Starts the server again, on the same port, after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) if the port was taken meanwhile.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }

    /// Stops the server and joins its threads, as dropping it does.
    pub fn stop(self) {
        drop(self);
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("url", &self.url).finish_non_exhaustive()
    }
}
