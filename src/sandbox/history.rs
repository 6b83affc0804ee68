//! What happened on the server, to compare with what the client reports.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::faults::Fault;
use super::lock;

/// A snapshot of everything that happened on the server, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    events: Vec<Event>,
    max_open_sessions: usize,
    max_in_flight: usize,
    max_in_flight_per_session: usize,
}

/// One thing that happened, and when.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The time since the server was started.
    pub at: Duration,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A session was opened, by a login or by a bearer token.
    Login {
        /// The session, counted from 1.
        session: u64,
    },
    /// A login was refused.
    LoginRefused(Refusal),
    /// A session was closed by its client.
    Logout {
        /// The session.
        session: u64,
    },
    /// A session was ended by the server: idle for too long, on demand, or by a restart.
    Expired {
        /// The session.
        session: u64,
    },
    /// A request was answered, or was struck by a fault.
    Request(RequestEvent),
    /// Data changed.
    Effect(Effect),
}

/// Why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A wrong name, password or tenant.
    Credentials,
    /// All seats are taken.
    Seats,
    /// The body of the request cannot be read.
    Malformed,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RequestEvent {
    /// The number of the request, counted from 1 in the order of arrival.
    pub number: u64,
    /// When its head had arrived, since the start of the server.
    pub arrived: Duration,
    /// The HTTP method.
    pub method: String,
    /// The target: path and query.
    pub target: String,
    /// The session that it belongs to, where it belongs to one.
    pub session: Option<u64>,
    /// Whether it is a request for data, and not for sign-in, sign-out, tokens or descriptions.
    pub is_data: bool,
    /// The status of the answer; `None` where none was given.
    pub status: Option<u16>,
    /// What went wrong on demand.
    pub fault: Option<Fault>,
}

/// A change of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect {
    /// The entity or model.
    pub entity: String,
    /// The key; parts of a composite one are joined with `/`.
    pub key: String,
    /// What was done.
    pub action: Action,
    /// The session that did it.
    pub session: u64,
    /// The number of the request that did it; see [`RequestEvent::number`].
    pub request: u64,
    /// The place of this effect among all effects, counted from 1.
    pub sequence: u64,
    /// The time since the server was started.
    pub at: Duration,
}

/// What was done to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It was made.
    Insert,
    /// It was written to.
    Update,
    /// It was deleted.
    Delete,
    /// This action was run on it.
    Run(String),
    /// This file was attached to it.
    File(String),
}

impl History {
    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many sessions were opened.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::Login { .. }))
    }

    /// How many logins were refused, for whatever reason.
    #[must_use]
    pub fn refused_logins(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::LoginRefused(_)))
    }

    /// How many logins were refused because of a wrong name, password or tenant.
    #[must_use]
    pub fn wrong_passwords(&self) -> usize {
        self.count(|kind| *kind == EventKind::LoginRefused(Refusal::Credentials))
    }

    /// How many sessions were closed by their clients.
    #[must_use]
    pub fn logouts(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::Logout { .. }))
    }

    /// How many sessions the server ended.
    #[must_use]
    pub fn expired(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::Expired { .. }))
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.request_events().count()
    }

    /// How many requests for data came.
    #[must_use]
    pub fn data_requests(&self) -> usize {
        self.request_events().filter(|request| request.is_data).count()
    }

    /// All requests, in the order of their answers.
    pub fn request_events(&self) -> impl Iterator<Item = &RequestEvent> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Request(request) => Some(request),
            _ => None,
        })
    }

    /// How many requests were answered with this status.
    #[must_use]
    pub fn answered(&self, status: u16) -> usize {
        self.request_events().filter(|request| request.status == Some(status)).count()
    }

    /// All changes of the data, in order.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Effect(effect) => Some(effect),
            _ => None,
        })
    }

    /// The changes of one record, in order.
    pub fn effects_of<'a>(&'a self, entity: &'a str, key: &'a str) -> impl Iterator<Item = &'a Effect> {
        self.effects().filter(move |effect| effect.entity == entity && effect.key == key)
    }

    /// The most sessions that were open at once.
    #[must_use]
    pub fn max_open_sessions(&self) -> usize {
        self.max_open_sessions
    }

    /// The most requests that were under way at once: arrived and not answered.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// The most requests of one session that were under way at once; one that hangs on purpose is no longer
    /// counted, since nobody knows the moment at which its client gives up. The server serves them one at a
    /// time, so that a client with more than one gains nothing.
    #[must_use]
    pub fn max_in_flight_per_session(&self) -> usize {
        self.max_in_flight_per_session
    }

    fn count(&self, is: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is(&event.kind)).count()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests ({} for data), {} logins, {} refused, {} logouts, {} expired, {} effects, at most {} \
             sessions and {} requests at once",
            self.requests(),
            self.data_requests(),
            self.logins(),
            self.refused_logins(),
            self.logouts(),
            self.expired(),
            self.effects().count(),
            self.max_open_sessions,
            self.max_in_flight,
        )
    }
}

/// Writes the history while the server runs.
#[derive(Debug)]
pub(crate) struct Recorder {
    started: Instant,
    log: Mutex<Log>,
    keeps_requests: AtomicBool,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    effects: u64,
    open: usize,
    max_open: usize,
    per_session: HashMap<u64, usize>,
    max_per_session: usize,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            log: Mutex::default(),
            keeps_requests: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
        }
    }

    pub(crate) fn keep_requests(&self, keep: bool) {
        self.keeps_requests.store(keep, Ordering::Relaxed);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn login(&self, session: u64) {
        self.push(|log| {
            log.open += 1;
            log.max_open = log.max_open.max(log.open);
            EventKind::Login { session }
        });
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.push(|_| EventKind::LoginRefused(refusal));
    }

    pub(crate) fn logout(&self, session: u64) {
        self.push(|log| {
            log.open = log.open.saturating_sub(1);
            EventKind::Logout { session }
        });
    }

    pub(crate) fn expired(&self, session: u64) {
        self.push(|log| {
            log.open = log.open.saturating_sub(1);
            EventKind::Expired { session }
        });
    }

    pub(crate) fn request(&self, request: RequestEvent) {
        if self.keeps_requests.load(Ordering::Relaxed) {
            self.push(|_| EventKind::Request(request));
        }
    }

    pub(crate) fn effect(&self, entity: &str, key: &str, action: Action, session: u64, request: u64) {
        let at = self.elapsed();
        self.push(|log| {
            log.effects += 1;
            let (entity, key) = (entity.to_owned(), key.to_owned());
            EventKind::Effect(Effect { entity, key, action, session, request, sequence: log.effects, at })
        });
    }

    /// Counts a request as under way until the guard is dropped.
    pub(crate) fn under_way(&self) -> UnderWay<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_in_flight.fetch_max(now, Ordering::Relaxed);
        UnderWay { recorder: self, session: None }
    }

    pub(crate) fn snapshot(&self) -> History {
        let log = lock(&self.log);
        History {
            events: log.events.clone(),
            max_open_sessions: log.max_open,
            max_in_flight: self.max_in_flight.load(Ordering::Relaxed),
            max_in_flight_per_session: log.max_per_session,
        }
    }

    fn push(&self, kind: impl FnOnce(&mut Log) -> EventKind) {
        let mut log = lock(&self.log);
        let kind = kind(&mut log);
        let at = self.started.elapsed();
        log.events.push(Event { at, kind });
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    recorder: &'a Recorder,
    session: Option<u64>,
}

impl UnderWay<'_> {
    /// Says which session the request belongs to.
    pub(crate) fn belongs_to(&mut self, session: u64) {
        if self.session.is_none() {
            self.session = Some(session);
            let mut log = lock(&self.recorder.log);
            let count = log.per_session.entry(session).or_default();
            *count += 1;
            let count = *count;
            log.max_per_session = log.max_per_session.max(count);
        }
    }

    pub(crate) fn session(&self) -> Option<u64> {
        self.session
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.recorder.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(session) = self.session {
            let mut log = lock(&self.recorder.log);
            if let Some(count) = log.per_session.get_mut(&session) {
                *count -= 1;
                if *count == 0 {
                    log.per_session.remove(&session);
                }
            }
        }
    }
}
