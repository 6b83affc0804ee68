//! Who may log in, and when.
//!
//! A login is the one request that can do harm by being repeated: a wrong password tried by ten
//! workers locks the account, and ten logins at a server with three seats throw other people out. So
//! a worker needs a permit to log in. There is one at first; a login that succeeds gives out two, so
//! the number of logins under way doubles - or one for every worker, where the backend knows how many
//! sessions it may have. The first refused seat ends that: from then on there is
//! one permit, and the worker that holds it tries again after a while. Everything else that is
//! refused for good closes the desk: nobody logs in again, and who has a session goes on with it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select, unbounded};

use super::retry::{Backoff, RetryPolicy};
use super::stop::{Reason, Signal, Stop};
use crate::error::{Error, ErrorKind};

/// How long to wait before asking for another seat while the batch goes on with those it has.
const PROBE: Duration = Duration::from_secs(30);

/// The first and the longest wait for a seat while there is none at all.
const SEAT_BASE: Duration = Duration::from_millis(500);
const SEAT_CAP: Duration = Duration::from_secs(20);

/// Permission to log in once.
#[derive(Debug)]
pub(crate) struct Permit {
    not_before: Option<Instant>,
    waits: Backoff,
    refusals: u32,
}

/// The desk where permits are given out.
#[derive(Debug)]
pub(crate) struct Logins {
    permits: (Sender<Permit>, Receiver<Permit>),
    /// Permits held by workers or waiting in the channel.
    outstanding: AtomicUsize,
    /// Sessions that are open.
    live: AtomicUsize,
    limited: AtomicBool,
    closed: Signal,
    refusal: OnceLock<(ErrorKind, String)>,
    attempts: u32,
    probe: Duration,
    /// The permits that a success gives out.
    more: usize,
}

impl Logins {
    pub(crate) fn new(policy: &RetryPolicy, more: usize) -> Self {
        let permits = unbounded();
        let logins = Self {
            permits,
            outstanding: AtomicUsize::new(1),
            live: AtomicUsize::new(0),
            limited: AtomicBool::new(false),
            closed: Signal::new(),
            refusal: OnceLock::new(),
            attempts: policy.max_attempts(),
            probe: PROBE,
            more,
        };
        logins.give(None);
        logins
    }

    fn give(&self, permit: Option<Permit>) {
        let permit = permit.unwrap_or_else(|| Permit {
            not_before: None,
            waits: Backoff::new(SEAT_BASE, SEAT_CAP, fastrand::Rng::new()),
            refusals: 0,
        });
        // The receiver lives as long as the desk, so the channel cannot be closed.
        let _ = self.permits.0.send(permit);
    }

    /// Waits for a permit and for its time. `None`: the work is done, the batch is over, or nobody
    /// logs in any more.
    pub(crate) fn permit(&self, stop: &Stop, exhausted: &Signal) -> Option<Permit> {
        let permit = select! {
            recv(self.permits.1) -> permit => permit.ok()?,
            recv(exhausted.receiver()) -> _ => return None,
            recv(self.closed.receiver()) -> _ => return None,
            recv(stop.halted().receiver()) -> _ => return None,
            recv(stop.token().drain().receiver()) -> _ => return None,
            recv(stop.deadline().channel()) -> _ => return None,
        };
        let wait =
            permit.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        let over = exhausted.is_raised()
            || self.closed.is_raised()
            || (!wait.is_zero() && stop.wait_or(wait, exhausted.receiver()) != Ok(false))
            || stop.reason().is_some();
        if over {
            // Passed on, so that whoever else waits for it sees the same and leaves too.
            self.give(Some(permit));
            return None;
        }
        Some(permit)
    }

    /// A login succeeded.
    pub(crate) fn succeeded(&self, permit: Permit) {
        self.live.fetch_add(1, Ordering::AcqRel);
        if !self.limited.load(Ordering::Acquire) {
            self.outstanding.fetch_add(self.more - 1, Ordering::AcqRel);
            (0..self.more).for_each(|_| self.give(None));
        } else if permit.not_before.is_some() {
            // A probe found a free seat: perhaps there is another.
            self.give(None);
        } else {
            self.give(Some(Permit { not_before: Some(Instant::now() + self.probe), ..permit }));
        }
    }

    /// A login was refused.
    pub(crate) fn refused(&self, permit: Option<Permit>, error: &Error, stop: &Stop) {
        let alone = self.live.load(Ordering::Acquire) == 0;
        let refusals = permit.as_ref().map_or(0, |permit| permit.refusals) + 1;
        // An error with attempts behind it was retried below, where more is known of it.
        let again = error.kind() == ErrorKind::SeatLimit
            || (error.is_retryable() && (!alone || (error.attempts() <= 1 && refusals < self.attempts)));
        if !again {
            let _ = self.refusal.set((error.kind(), refusal_text(error)));
            self.closed.raise();
            if alone {
                self.give_up(stop);
            }
            return;
        }
        let mut mine = permit;
        if !self.limited.swap(true, Ordering::AcqRel) {
            // Permits that nobody has taken yet would be refused one after the other.
            for untaken in self.permits.1.try_iter() {
                if mine.replace(untaken).is_some() {
                    self.outstanding.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
        // Whoever lost a session has no permit and may have found none; somebody else has the last one.
        let Some(mut permit) = mine else { return };
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        let wait = if alone { permit.waits.next().unwrap_or(SEAT_CAP) } else { self.probe };
        permit.not_before = Some(Instant::now() + error.retry_after().map_or(wait, |asked| asked.max(wait)));
        permit.refusals = refusals;
        self.give(Some(permit));
    }

    /// Whether nobody logs in any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_raised()
    }

    /// A session was opened without a permit, in the place of one that was lost.
    pub(crate) fn reopened(&self) {
        self.live.fetch_add(1, Ordering::AcqRel);
    }

    /// A session was closed.
    pub(crate) fn session_closed(&self) {
        self.live.fetch_sub(1, Ordering::AcqRel);
    }

    /// A worker leaves without a session: when it was the last, the batch is over.
    pub(crate) fn left(&self, stop: &Stop) {
        if self.is_closed() && self.live.load(Ordering::Acquire) == 0 {
            self.give_up(stop);
        }
    }

    fn give_up(&self, stop: &Stop) {
        if let Some((kind, message)) = self.refusal.get() {
            stop.halt(Reason::NoSession { kind: *kind, message: message.clone() });
        }
    }
}

fn refusal_text(error: &Error) -> String {
    format!("not run, no session could be opened: {error}")
}
