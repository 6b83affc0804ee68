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

/// How often one that probes looks whether the other sessions are still there.
const LOOK: Duration = Duration::from_millis(500);

/// Permission to log in once.
#[derive(Debug)]
pub(crate) struct Permit {
    not_before: Option<Instant>,
    /// Whether it asks for a seat more while others have one.
    probes: bool,
    seat_waits: Backoff,
    waits: Backoff,
    failures: u32,
}

/// The desk where permits are given out.
#[derive(Debug)]
pub(crate) struct Logins {
    permits: (Sender<Permit>, Receiver<Permit>),
    /// Permits held by workers or waiting in the channel.
    outstanding: AtomicUsize,
    /// Sessions that are open.
    live: AtomicUsize,
    /// Whether a login has succeeded.
    proven: AtomicBool,
    /// Whether a seat was refused.
    limited: AtomicBool,
    closed: Signal,
    refusal: OnceLock<(ErrorKind, String)>,
    policy: RetryPolicy,
    /// The sessions that may be opened together, where that is known.
    known: Option<usize>,
}

impl Logins {
    pub(crate) fn new(policy: &RetryPolicy, known: Option<usize>) -> Self {
        let logins = Self {
            permits: unbounded(),
            outstanding: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            proven: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            closed: Signal::new(),
            refusal: OnceLock::new(),
            policy: policy.clone(),
            known,
        };
        logins.issue(1);
        logins
    }

    /// Gives out new permits.
    fn issue(&self, permits: usize) {
        self.outstanding.fetch_add(permits, Ordering::AcqRel);
        for _ in 0..permits {
            self.give(Permit {
                not_before: None,
                probes: false,
                seat_waits: Backoff::new(SEAT_BASE, SEAT_CAP, fastrand::Rng::new()),
                waits: self.policy.clone().attempts(u32::MAX).backoff(),
                failures: 0,
            });
        }
    }

    fn give(&self, permit: Permit) {
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
        let in_time = self.wait(&permit, stop, exhausted);
        let over = !in_time || exhausted.is_raised() || self.closed.is_raised() || stop.reason().is_some();
        if over {
            // Passed on, so that whoever else waits for it sees the same and leaves too.
            self.give(permit);
            return None;
        }
        Some(permit)
    }

    /// Waits for a permit's time. One that probes has none to wait for once the last session is gone.
    fn wait(&self, permit: &Permit, stop: &Stop, exhausted: &Signal) -> bool {
        let Some(not_before) = permit.not_before else { return true };
        loop {
            let left = not_before.saturating_duration_since(Instant::now());
            if left.is_zero() || (permit.probes && self.live.load(Ordering::Acquire) == 0) {
                return true;
            }
            let slice = if permit.probes { left.min(LOOK) } else { left };
            if stop.wait_or(slice, exhausted.receiver()) != Ok(false) {
                return false;
            }
        }
    }

    /// A login succeeded.
    pub(crate) fn succeeded(&self, permit: Permit) {
        self.live.fetch_add(1, Ordering::AcqRel);
        let first = !self.proven.swap(true, Ordering::AcqRel);
        if self.limited.load(Ordering::Acquire) {
            // A probe that found a free seat looks for another at once; anyone else waits a while.
            let not_before = if permit.probes { None } else { later(PROBE) };
            self.give(Permit { not_before, ..permit });
            return;
        }
        let more = match self.known {
            Some(sessions) if first => sessions,
            Some(_) => 1,
            None => 2,
        };
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.issue(more);
    }

    /// A session was open already: that says nothing of the credentials.
    pub(crate) fn reused(&self, permit: Permit) {
        self.live.fetch_add(1, Ordering::AcqRel);
        self.give(permit);
    }

    /// A login was refused.
    pub(crate) fn refused(&self, permit: Option<Permit>, error: &Error, stop: &Stop) {
        let alone = self.live.load(Ordering::Acquire) == 0;
        let failures = permit.as_ref().map_or(0, |permit| permit.failures) + 1;
        let no_seat = error.kind() == ErrorKind::SeatLimit;
        // An error with attempts behind it was retried below, where more is known of it.
        let passes = error.is_retryable()
            && (!alone || (error.attempts() <= 1 && failures < self.policy.max_attempts()));
        if !no_seat && !passes {
            let _ = self.refusal.set((error.kind(), refusal_text(error)));
            self.closed.raise();
            if alone {
                self.give_up(stop);
            }
            return;
        }
        let Some(mut permit) = (if no_seat { self.without_seat(permit) } else { permit }) else { return };
        let wait = match (no_seat, alone) {
            (true, true) => permit.seat_waits.next(),
            (true, false) => Some(PROBE),
            (false, _) => permit.waits.next(),
        };
        let wait = wait.unwrap_or(SEAT_CAP);
        permit.probes = no_seat && !alone;
        permit.not_before = later(error.retry_after().map_or(wait, |asked| asked.max(wait)));
        permit.failures = failures;
        self.give(permit);
    }

    /// From here on there is one permit; whoever gets it here has the last one.
    fn without_seat(&self, permit: Option<Permit>) -> Option<Permit> {
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
        let permit = mine?;
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        Some(permit)
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

/// That far from now, a year for a time beyond the clock.
fn later(wait: Duration) -> Option<Instant> {
    Some(
        Instant::now()
            .checked_add(wait)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(365 * 24 * 3600)),
    )
}
