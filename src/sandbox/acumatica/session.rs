//! Sessions: seats, cookies, one request at a time, and how they end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sandbox::lock;
use crate::sandbox::recorder::Recorder;

/// A signed-in session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number in the history.
    pub(super) number: u64,
    /// The value of the cookie.
    pub(super) id: String,
    /// Whether its user may not write.
    pub(super) is_view_only: bool,
    /// Held while a request of this session is served: one at a time, as ASP.NET's session lock does.
    pub(super) gate: Mutex<()>,
    /// Requests so far, for expiry by count.
    pub(super) served: AtomicU64,
    last_used: Mutex<Instant>,
    ended: AtomicBool,
    /// The action chosen on the processing form, which is state of the session.
    pub(super) chosen: Mutex<Option<String>>,
    /// The screen on which an action of this session runs on, and until when.
    pub(super) busy: Mutex<Option<(&'static str, Instant)>>,
}

impl Session {
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// How a login that finds no free seat is refused.
///
/// Four ways are known; which one a server uses depends on its version, on the kind of sign-in and on what
/// stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SeatRefusal {
    /// HTTP 429 on login (Integration Development Guide 2026 R1).
    #[default]
    TooManyRequests,
    /// HTTP 500 whose body says "API Login Limit".
    LoginLimit,
    /// HTTP 302 to an error page that says so in its address.
    Redirect,
    /// Login succeeds with 204, and every request after it gets 401.
    UnauthorizedAfterLogin,
}

/// All sessions of the server.
#[derive(Debug)]
pub(super) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    opened: AtomicU64,
    pub(super) seats: usize,
    pub(super) idle: Duration,
    recorder: Arc<Recorder>,
    randomness: Mutex<fastrand::Rng>,
}

impl Sessions {
    pub(super) fn new(seats: usize, idle: Duration, recorder: Arc<Recorder>) -> Self {
        Self {
            open: Mutex::default(),
            opened: AtomicU64::new(0),
            seats,
            idle,
            recorder,
            // Not seeded: a cookie of an earlier server must not fit a later one.
            randomness: Mutex::new(fastrand::Rng::new()),
        }
    }

    /// Opens a session, if a seat is free.
    pub(super) fn open(&self, is_view_only: bool) -> Option<Arc<Session>> {
        let mut open = lock(&self.open);
        self.reclaim(&mut open);
        if open.len() >= self.seats {
            return None;
        }
        let session = Arc::new(Session {
            number: self.opened.fetch_add(1, Ordering::Relaxed) + 1,
            id: self.random(24),
            is_view_only,
            gate: Mutex::default(),
            served: AtomicU64::new(0),
            last_used: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
            chosen: Mutex::default(),
            busy: Mutex::default(),
        });
        open.insert(session.id.clone(), Arc::clone(&session));
        self.recorder.login(session.number);
        Some(session)
    }

    /// The open session of this id, which is used now.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let mut open = lock(&self.open);
        let session = Arc::clone(open.get(id)?);
        let mut last_used = lock(&session.last_used);
        if last_used.elapsed() >= self.idle {
            drop(last_used);
            self.end(&mut open, id);
            return None;
        }
        *last_used = Instant::now();
        drop(last_used);
        Some(session)
    }

    /// Closes a session on behalf of its client.
    pub(super) fn close(&self, id: &str) -> bool {
        let closed = lock(&self.open).remove(id);
        if let Some(session) = &closed {
            session.ended.store(true, Ordering::Release);
            self.recorder.logout(session.number);
        }
        closed.is_some()
    }

    /// Ends a session on behalf of the server.
    pub(super) fn expire(&self, id: &str) {
        self.end(&mut lock(&self.open), id);
    }

    pub(super) fn expire_all(&self) {
        let mut open = lock(&self.open);
        let ids: Vec<String> = open.keys().cloned().collect();
        for id in ids {
            self.end(&mut open, &id);
        }
    }

    pub(super) fn count(&self) -> usize {
        let mut open = lock(&self.open);
        self.reclaim(&mut open);
        open.len()
    }

    /// A random text of lower-case letters and digits, as session ids are.
    pub(super) fn random(&self, length: usize) -> String {
        let mut randomness = lock(&self.randomness);
        (0..length)
            .map(|_| char::from(*randomness.choice(b"abcdefghijklmnopqrstuvwxyz012345").expect("not empty")))
            .collect()
    }

    /// Ends the sessions that were idle for too long: the server frees their seats by itself.
    fn reclaim(&self, open: &mut HashMap<String, Arc<Session>>) {
        let idle: Vec<String> = open
            .values()
            .filter(|session| lock(&session.last_used).elapsed() >= self.idle)
            .map(|session| session.id.clone())
            .collect();
        for id in idle {
            self.end(open, &id);
        }
    }

    fn end(&self, open: &mut HashMap<String, Arc<Session>>, id: &str) {
        if let Some(session) = open.remove(id) {
            session.ended.store(true, Ordering::Release);
            self.recorder.expired(session.number);
        }
    }
}
