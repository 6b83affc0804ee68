//! What happened on the server, to compare with what the client reports.

use std::fmt;
use std::time::Duration;

use super::faults::Fault;

/// A snapshot of everything that happened on the server, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub(super) events: Vec<Event>,
    pub(super) max_open_sessions: usize,
    pub(super) max_in_flight: usize,
    pub(super) max_in_flight_per_session: usize,
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
    /// A name and a password were found right without a session being opened, as Odoo's
    /// `common.authenticate` does.
    Authenticated {
        /// The id of the user.
        user: i64,
    },
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
    /// Odoo: the external id of the record, such as `__import__.customer_1`, where it has one.
    pub external_id: Option<String>,
    /// Odoo: the name of the record, where it has one.
    pub name: Option<String>,
    /// The session that did it; 0 where there is none, as on Odoo's `/jsonrpc` and JSON-2.
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

    /// How many times a name and a password were found right without a session being opened.
    #[must_use]
    pub fn authentications(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::Authenticated { .. }))
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
