//! What all sessions of one client share: the configuration, and one gate, limiter and breaker.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::unversioned::transport::RustlsConnector;

use super::answer::Answer;
use super::breaker::Breaker;
use super::config::HttpConfig;
use super::gate::Gate;
use super::limiter::Limiter;
use super::request::Request;
use super::wire::{Line, Wire};
use crate::engine::connect::{Pause, Worker};
use crate::error::{Delivery, Error, ErrorKind, Result};

/// The server as one client sees it: a clone is the same.
#[derive(Clone)]
pub(crate) struct Host(Arc<HostState>);

struct HostState {
    config: HttpConfig,
    agent: Config,
    tls: Arc<RustlsConnector>,
    traffic: Mutex<Traffic>,
}

/// Whether and when a request may go. Shared by the sessions, locked for a moment and never while
/// anyone waits.
struct Traffic {
    gate: Gate,
    limiter: Limiter,
    breaker: Breaker,
}

/// What admission says to a request.
enum Admission {
    Go(Permit),
    Wait(Duration, Pause),
}

impl Host {
    /// Checks the configuration; sends nothing.
    pub(crate) fn new(config: HttpConfig) -> Result<Self> {
        config.check()?;
        let traffic = Mutex::new(Traffic {
            gate: Gate::new(),
            limiter: Limiter::new(config.requests_per_second, config.requests_per_minute),
            breaker: Breaker::new(config.patience, fastrand::Rng::new()),
        });
        let agent = config.to_agent()?;
        Ok(Self(Arc::new(HostState { config, agent, tls: Arc::default(), traffic })))
    }

    /// A connection of its own for one session.
    pub(crate) fn wire(&self, worker: &Worker) -> Wire {
        Wire::new(self.clone(), worker.clone())
    }

    /// One attempt on a fresh connection, past gate, limiter and breaker.
    ///
    /// # Errors
    ///
    /// As [`Wire::send`].
    pub(crate) fn send_once(&self, request: &Request, timeout: Duration) -> Result<Answer> {
        self.line().once(self, request, timeout)
    }

    pub(super) fn line(&self) -> Line {
        Line::new(self.0.agent.clone(), self.0.tls.clone(), self.config().connect_timeout)
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.0.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the request may go.
    pub(super) fn admit(&self, worker: &Worker) -> Result<Permit> {
        worker.check()?;
        let mut reserved = false;
        loop {
            match self.ask(&mut reserved)? {
                Admission::Go(permit) => return Ok(permit),
                Admission::Wait(wait, why) => worker.pause(wait, why)?,
            }
        }
    }

    fn ask(&self, reserved: &mut bool) -> Result<Admission> {
        let mut traffic = self.traffic();
        let now = Instant::now();
        if let Some(wait) = traffic.gate.wait(now) {
            if wait > self.config().retry.max_retry_after() {
                return Err(closed_for_long(wait));
            }
            return Ok(Admission::Wait(wait, Pause::Limit));
        }
        if let Some(wait) = traffic.breaker.wait(now) {
            return Ok(Admission::Wait(wait, Pause::Retry));
        }
        if !std::mem::replace(reserved, true) {
            let wait = traffic.limiter.reserve(now);
            if !wait.is_zero() {
                return Ok(Admission::Wait(wait, Pause::Limit));
            }
        }
        let gate_probe = traffic.gate.enter(now);
        let breaker_probe = traffic.breaker.enter();
        Ok(Admission::Go(Permit { host: self.clone(), gate_probe, breaker_probe, told: false }))
    }

    /// Whether requests are held back because the host refuses them.
    pub(super) fn is_paused(&self) -> bool {
        self.traffic().breaker.is_open()
    }

    /// Whether the host refused for longer than anyone should wait.
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.traffic().breaker.is_exhausted(Instant::now())
    }

    /// Whether the host has ever answered.
    pub(super) fn is_known(&self) -> bool {
        self.traffic().breaker.has_seen_the_host()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("config", &self.0.config).finish_non_exhaustive()
    }
}

fn closed_for_long(wait: Duration) -> Error {
    let seconds = wait.as_secs();
    Error::new(ErrorKind::RateLimited, format!("the server asked for no request in the next {seconds} s"))
        .with_delivery(Delivery::NotSent)
        .with_retry_after(wait)
}

/// The permission to send one attempt. However the attempt ends, the host learns of it: dropped
/// without a word, it says that the attempt told nothing.
pub(super) struct Permit {
    host: Host,
    gate_probe: bool,
    breaker_probe: bool,
    told: bool,
}

impl Permit {
    /// The server took the request.
    pub(super) fn answered(self) {
        let (gate_probe, now) = (self.gate_probe, Instant::now());
        self.tell(|traffic| {
            traffic.breaker.answered();
            traffic.gate.passed(gate_probe, now);
        });
    }

    /// The server asked for no request during that time.
    pub(super) fn throttled(self, wait: Duration) {
        self.tell(|traffic| {
            traffic.breaker.answered();
            traffic.gate.close(Instant::now(), wait);
        });
    }

    /// The host took no request.
    pub(super) fn refused(self) {
        let (gate_probe, breaker_probe, now) = (self.gate_probe, self.breaker_probe, Instant::now());
        self.tell(|traffic| {
            traffic.breaker.refused(breaker_probe, now);
            traffic.gate.released(gate_probe, now);
        });
    }

    fn tell(mut self, what: impl FnOnce(&mut Traffic)) {
        self.told = true;
        what(&mut self.host.traffic());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told && (self.gate_probe || self.breaker_probe) {
            let now = Instant::now();
            let mut traffic = self.host.traffic();
            traffic.gate.released(self.gate_probe, now);
            traffic.breaker.released(self.breaker_probe, now);
        }
    }
}
