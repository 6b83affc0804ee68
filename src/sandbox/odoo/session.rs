//! Web sessions: a cookie, a user, a database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sandbox::lock;
use crate::sandbox::recorder::Recorder;

/// A signed-in session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Its number in the history.
    pub(super) number: u64,
    /// The value of the cookie.
    pub(super) id: String,
    pub(super) user: i64,
    pub(super) database: String,
    last_used: Instant,
}

/// All sessions of the server.
#[derive(Debug)]
pub(super) struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    opened: AtomicU64,
    idle: Duration,
    recorder: Arc<Recorder>,
}

impl Sessions {
    pub(super) fn new(idle: Duration, recorder: Arc<Recorder>) -> Self {
        Self { open: Mutex::default(), opened: AtomicU64::new(0), idle, recorder }
    }

    /// Opens a session; the one that the client came with is ended: its cookie is good no more.
    pub(super) fn open(&self, user: i64, database: &str, old: Option<&str>) -> Session {
        let session = Session {
            number: self.opened.fetch_add(1, Ordering::Relaxed) + 1,
            // Not seeded: a cookie of an earlier server must not fit a later one.
            id: random(84),
            user,
            database: database.to_owned(),
            last_used: Instant::now(),
        };
        let mut open = lock(&self.open);
        if let Some(old) = old.and_then(|old| open.remove(old)) {
            self.recorder.expired(old.number);
        }
        open.insert(session.id.clone(), session.clone());
        self.recorder.login(session.number);
        session
    }

    /// The open session of this id, which is used now.
    pub(super) fn find(&self, id: &str) -> Option<Session> {
        let mut open = lock(&self.open);
        let session = open.get_mut(id)?;
        if session.last_used.elapsed() >= self.idle {
            let number = session.number;
            open.remove(id);
            self.recorder.expired(number);
            return None;
        }
        session.last_used = Instant::now();
        Some(session.clone())
    }

    /// Closes a session on behalf of its client.
    pub(super) fn close(&self, id: &str) {
        if let Some(session) = lock(&self.open).remove(id) {
            self.recorder.logout(session.number);
        }
    }

    /// Ends a session on behalf of the server.
    pub(super) fn expire(&self, id: &str) {
        if let Some(session) = lock(&self.open).remove(id) {
            self.recorder.expired(session.number);
        }
    }

    pub(super) fn expire_all(&self) {
        for (_, session) in lock(&self.open).drain() {
            self.recorder.expired(session.number);
        }
    }

    pub(super) fn count(&self) -> usize {
        let mut open = lock(&self.open);
        let idle: Vec<String> =
            open.values().filter(|s| s.last_used.elapsed() >= self.idle).map(|s| s.id.clone()).collect();
        for session in idle.iter().filter_map(|id| open.remove(id)) {
            self.recorder.expired(session.number);
        }
        open.len()
    }
}

/// A random text as session ids and API keys are.
pub(super) fn random(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..length).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect()
}
