//! One session's line to the server, and the retry loop around each of its requests.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http;
use ureq::unversioned::transport::RustlsConnector;

use super::answer::Answer;
use super::failure::{Attempt, Failure};
use super::host::Host;
use super::phase::Phase;
use super::request::Request;
use super::tries::{Next, Tries};
use super::{body, socket};
use crate::engine::connect::{Interrupt, Pause, Worker};
use crate::error::Result;

/// A timeout so long that nobody waits for it; `Instant` can hold it.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

const PAYLOAD_TOO_LARGE: u16 = 413;

/// One session's line to the server.
#[derive(Debug)]
pub(crate) struct Wire {
    host: Host,
    worker: Worker,
    line: Line,
}

impl Wire {
    pub(super) fn new(host: Host, worker: Worker) -> Self {
        let line = host.line();
        Self { host, worker, line }
    }

    /// The worker that the session lives on.
    #[cfg_attr(not(feature = "acumatica"), allow(dead_code, reason = "Odoo's sessions keep their own"))]
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// A session that was kept open moves to the worker of another batch.
    pub(crate) fn attach(&mut self, worker: &Worker) {
        self.worker = worker.clone();
    }

    /// Sends a request as often as that is safe and useful, and gives the last answer.
    ///
    /// # Errors
    ///
    /// When there is no answer: every error says how far the request had come.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        let mut tries = Tries::new(&self.host.config().retry, request.nature);
        // What the last attempt ended with, should the waiting before the next one be cut short.
        let mut last: Option<Result<Answer>> = None;
        loop {
            let permit = match self.host.admit(&self.worker) {
                Ok(permit) => permit,
                Err(stopped) => return last.unwrap_or_else(|| Err(request.label(stopped))),
            };
            let attempt = tries.begin();
            if attempt > 1 {
                self.worker.count_retry();
            }
            let timeout = request.timeout.unwrap_or(self.host.config().timeout);
            let deadline = self.worker.deadline().instant();
            let (ended, next) = match self.line.attempt(&self.host, request, timeout, deadline) {
                Ok(mut answer) => {
                    answer.attempts = attempt;
                    answer.after_loss = tries.is_maybe_sent();
                    let next = tries.after_answer(&answer, request, &self.host, permit);
                    (Ok(answer), next)
                }
                Err(failure) => {
                    let next = tries.after_failure(&failure, &self.host, permit);
                    (Err(tries.finish(request, failure)), next)
                }
            };
            match next {
                Next::Stop => return ended,
                Next::Again(wait) if !wait.is_zero() && self.worker.pause(wait, Pause::Retry).is_err() => {
                    return ended;
                }
                Next::Again(_) => last = Some(ended),
            }
        }
    }

    /// One attempt without gate, limiter and breaker, and whatever the worker's deadline: for a
    /// logout. Goes over the session's own connection, or a fresh one after an interrupt.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(crate) fn send_once(&mut self, request: &Request, timeout: Duration) -> Result<Answer> {
        if self.is_interrupted() {
            return self.host.send_once(request, timeout);
        }
        self.line.once(&self.host, request, timeout)
    }

    /// Ends the request that is running, from another thread; after that the wire is of no use except
    /// for [`send_once`](Self::send_once).
    pub(crate) fn interrupt(&self) -> Interrupt {
        let (agent, phase) = (self.line.agent.clone(), self.line.phase.clone());
        Box::new(move || {
            phase.interrupt();
            agent.shutdown();
        })
    }

    /// Whether it was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.line.phase.is_interrupted()
    }
}

/// A connection that is opened when needed and kept while it lives.
#[derive(Debug)]
pub(super) struct Line {
    agent: Agent,
    phase: Arc<Phase>,
}

impl Line {
    pub(super) fn new(config: Config, tls: Arc<RustlsConnector>, connect_timeout: Duration) -> Self {
        let phase = Arc::new(Phase::new());
        Self { agent: socket::agent(config, tls, &phase, connect_timeout), phase }
    }

    /// A request that is tried once; a second time where the kept connection turned out to be closed
    /// and that does no harm.
    pub(super) fn once(&self, host: &Host, request: &Request, timeout: Duration) -> Result<Answer> {
        let began = Instant::now();
        let mut tries = Tries::new(&host.config().retry, request.nature);
        loop {
            tries.begin();
            let left = timeout.saturating_sub(began.elapsed());
            match self.attempt(host, request, left, None) {
                Ok(answer) => return Ok(answer),
                Err(failure) if tries.is_clean_resend(&failure) => {}
                Err(failure) => return Err(tries.finish(request, failure)),
            }
        }
    }

    /// One attempt, over at `timeout` from now or at the deadline.
    fn attempt(
        &self,
        host: &Host,
        request: &Request,
        timeout: Duration,
        deadline: Option<Instant>,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let uri = request
            .url
            .parse::<http::Uri>()
            .map_err(|e| Failure::invalid(format!("the address cannot be read: {e}")))?;
        let name = host_of(&uri)?;
        let by_timeout = began + timeout.min(FAR);
        let until = deadline.map_or(by_timeout, |deadline| deadline.min(by_timeout));
        self.phase.begin(until);
        let attempt = |status| Attempt {
            host: &name,
            trace: self.phase.trace(),
            interrupted: self.phase.is_interrupted(),
            connect_timeout: host.config().connect_timeout,
            timeout,
            by_deadline: until < by_timeout,
            deadline_is_over: deadline.is_some_and(|deadline| deadline <= Instant::now()),
            status,
        };
        let response = self.run(request, uri).map_err(|e| match e {
            Unsent::Invalid(failure) => failure,
            Unsent::Client(e) => Failure::read(e, &attempt(None)),
        })?;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let cut_off = self.phase.trace().cut_off;
        if cut_off || status == PAYLOAD_TOO_LARGE {
            // A server that does not read the whole request hangs up, some time: a write that goes out just
            // before would be in doubt.
            self.phase.spend();
        }
        if status < 400 && cut_off {
            // Only a refusal makes sense before the whole request has arrived.
            return Err(Failure::read(io::Error::from(io::ErrorKind::BrokenPipe).into(), &attempt(None)));
        }
        let most = host.config().max_body;
        let body = match body::read(body, &parts.headers, most, &self.phase) {
            Ok(body) => body,
            Err(cut) => {
                let attempt = attempt(Some(status));
                // What an error status says stands, whether or not its explanation is complete.
                if status >= 400 && !attempt.interrupted {
                    cut.so_far
                } else {
                    return Err(match cut.error {
                        Some(error) => Failure::read(error, &attempt),
                        None => Failure::too_long(&attempt, most),
                    });
                }
            }
        };
        Ok(Answer {
            status,
            headers: parts.headers,
            body,
            attempts: 1,
            after_loss: false,
            elapsed: began.elapsed(),
        })
    }

    fn run(&self, request: &Request, uri: http::Uri) -> Result<http::Response<ureq::Body>, Unsent> {
        let mut head = http::Request::builder().method(request.method.clone()).uri(uri);
        for (name, value) in &request.headers {
            let mut value = http::HeaderValue::from_str(value).map_err(|_| {
                Unsent::Invalid(Failure::invalid(format!(
                    "the header {name} has a value that cannot be sent"
                )))
            })?;
            value.set_sensitive(true);
            head = head.header(name.as_ref(), value);
        }
        let client = Unsent::Client;
        match &request.body {
            // A slice is sent with its length; nothing is copied.
            Some(body) => {
                let head = head.body(body.as_slice()).map_err(|e| client(e.into()))?;
                self.agent.run(head).map_err(client)
            }
            // A method that usually has a body says that this one is empty.
            None if !request.method.is_safe() && request.method != http::Method::DELETE => {
                let head = head.body(&[][..]).map_err(|e| client(e.into()))?;
                self.agent.run(head).map_err(client)
            }
            None => {
                let head = head.body(()).map_err(|e| client(e.into()))?;
                self.agent.run(head).map_err(client)
            }
        }
    }
}

enum Unsent {
    Invalid(Failure),
    Client(ureq::Error),
}

/// `host:port`, without user and password.
fn host_of(uri: &http::Uri) -> Result<String, Failure> {
    let incomplete = || Failure::invalid("the address needs a scheme and a host: https://erp.example.com");
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(incomplete());
    }
    let authority = uri.authority().ok_or_else(incomplete)?;
    let host = authority.as_str();
    Ok(host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned())
}
