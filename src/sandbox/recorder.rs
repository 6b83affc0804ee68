//! Writes the history while the server runs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::history::{Action, Effect, Event, EventKind, History, Refusal, RequestEvent};
use super::lock;

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
            EventKind::Effect(Effect {
                entity: entity.to_owned(),
                key: key.to_owned(),
                action,
                external_id: None,
                name: None,
                session,
                request,
                sequence: log.effects,
                at,
            })
        });
    }

    /// All effects of one transaction, in one piece: no other transaction's effect is among them.
    pub(crate) fn effects(&self, effects: impl Iterator<Item = Effect>) {
        let mut log = lock(&self.log);
        let at = self.elapsed();
        for effect in effects {
            log.effects += 1;
            let effect = Effect { sequence: log.effects, at, ..effect };
            log.events.push(Event { at, kind: EventKind::Effect(effect) });
        }
    }

    pub(crate) fn authenticated(&self, user: i64) {
        self.push(|_| EventKind::Authenticated { user });
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
