//! When to stop: one place to wait and be woken.
//!
//! Everything in a batch that waits - for a seat, for a limiter, between two tries - waits here, so
//! that a deadline, a cancel or a halt wakes it at once. A [`Signal`] is a channel that nobody sends
//! on: raising it drops the sender, and every receiver, however many, sees the disconnect.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, at, bounded, never, select};

use super::interrupts::Interrupts;
use crate::error::{Delivery, Error, ErrorKind};

/// The instant at which something must be over, or never.
///
/// ```
/// use batchcall::Deadline;
/// use std::time::Duration;
///
/// assert_eq!(Deadline::never().remaining(), None);
/// let soon = Deadline::after(Duration::from_secs(30));
/// assert!(soon.remaining().unwrap() <= Duration::from_secs(30));
/// assert!(!soon.is_over());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// A deadline that far from now; one too far to be told is [`Deadline::never`].
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// A deadline at an instant.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// The instant, where there is one.
    #[must_use]
    pub const fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The time left, zero when it is over; `None` when there is no deadline.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|instant| instant.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|instant| instant <= Instant::now())
    }

    /// The earlier of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// Says something at the deadline.
    pub(crate) fn channel(self) -> Receiver<Instant> {
        self.0.map_or_else(never, at)
    }
}

/// An event that happens once and is seen by everyone who waits for it.
#[derive(Debug)]
pub(crate) struct Signal {
    raised: AtomicBool,
    sender: Mutex<Option<Sender<Never>>>,
    receiver: Receiver<Never>,
}

/// Never sent: a signal's channel only ever disconnects.
#[derive(Debug)]
pub(crate) enum Never {}

impl Signal {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = bounded(0);
        Self { raised: AtomicBool::new(false), sender: Mutex::new(Some(sender)), receiver }
    }

    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Disconnects when the signal is raised.
    pub(crate) fn receiver(&self) -> &Receiver<Never> {
        &self.receiver
    }
}

/// Cancels a batch from anywhere: another thread, a signal handler, a progress callback.
///
/// A clone is the same token. One token can be given to several batches; it stays cancelled.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{BatchCall, CancelToken, ErrorKind};
///
/// let memory = Memory::new();
/// let token = CancelToken::new();
/// token.cancel();
/// let report = BatchCall::new(&memory)
///     .cancel_token(&token)
///     .calls(1..=3, |session, n| session.echo(*n))
///     .execute()?;
/// assert_eq!(report.stats().not_run_calls, 3);
/// assert!(report.outcomes().iter().all(|o| o.result().unwrap_err().kind() == ErrorKind::Cancelled));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CancelToken(Arc<TokenSignals>);

#[derive(Debug)]
struct TokenSignals {
    drain: Signal,
    now: Signal,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(TokenSignals { drain: Signal::new(), now: Signal::new() }))
    }

    /// Drains the batch: no further call begins, waits between two tries end, requests that are
    /// already out get their answer.
    pub fn cancel(&self) {
        self.0.drain.raise();
    }

    /// Stops the batch at once: as [`cancel`](Self::cancel), and the sessions are interrupted in the
    /// middle of their requests. A write without an answer is then in doubt.
    pub fn cancel_now(&self) {
        self.0.drain.raise();
        self.0.now.raise();
    }

    /// Whether it was cancelled, either way.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.drain.is_raised()
    }

    pub(crate) fn drain(&self) -> &Signal {
        &self.0.drain
    }

    pub(crate) fn now(&self) -> &Signal {
        &self.0.now
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

/// Why no further call begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reason {
    Deadline,
    Cancelled,
    /// `fail_fast` or a halt rule, in words.
    Halted(String),
    /// Nobody can log in any more.
    NoSession {
        kind: ErrorKind,
        message: String,
    },
}

impl Reason {
    /// What a call that never ran is told.
    pub(crate) fn to_error(&self) -> Error {
        let (kind, message) = match self {
            Self::Deadline => (ErrorKind::Timeout, "the deadline passed before the call began"),
            Self::Cancelled => (ErrorKind::Cancelled, "cancelled before the call began"),
            Self::Halted(rule) => (ErrorKind::Cancelled, rule.as_str()),
            Self::NoSession { kind, message } => (*kind, message.as_str()),
        };
        Error::new(kind, message).with_delivery(Delivery::NotSent)
    }
}

/// The stop signal of one batch, as its workers see it.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<StopState>);

#[derive(Debug)]
struct StopState {
    deadline: Deadline,
    token: CancelToken,
    halt: Signal,
    reason: OnceLock<Reason>,
    interrupts: Interrupts,
}

impl Stop {
    pub(crate) fn new(deadline: Deadline, token: CancelToken, workers: usize) -> Self {
        let interrupts = Interrupts::new(workers);
        Self(Arc::new(StopState {
            deadline,
            token,
            halt: Signal::new(),
            reason: OnceLock::new(),
            interrupts,
        }))
    }

    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.0.interrupts
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    pub(crate) fn token(&self) -> &CancelToken {
        &self.0.token
    }

    /// Ends the batch from inside; the first reason stays.
    pub(crate) fn halt(&self, reason: Reason) {
        // Calls that the deadline or a cancel ended look like failures; they are not why it is over.
        let reason = if self.0.token.is_cancelled() {
            Reason::Cancelled
        } else if self.0.deadline.is_over() {
            Reason::Deadline
        } else {
            reason
        };
        let _ = self.0.reason.set(reason);
        self.0.halt.raise();
    }

    pub(crate) fn halted(&self) -> &Signal {
        &self.0.halt
    }

    /// Why no further call may begin, if that is so. Cheap: two loads, and a clock reading where
    /// there is a deadline.
    pub(crate) fn reason(&self) -> Option<Reason> {
        if self.0.halt.is_raised() {
            return self.0.reason.get().cloned();
        }
        if self.0.token.is_cancelled() {
            return Some(Reason::Cancelled);
        }
        self.0.deadline.is_over().then_some(Reason::Deadline)
    }

    /// Waits, unless there is a reason to stop.
    pub(crate) fn wait(&self, duration: Duration) -> Result<(), Reason> {
        self.wait_or(duration, &never::<Never>()).map(|_| ())
    }

    /// Waits until the time is over (`false`), `wake` disconnects or says something (`true`), or there
    /// is a reason to stop.
    pub(crate) fn wait_or<T>(&self, duration: Duration, wake: &Receiver<T>) -> Result<bool, Reason> {
        if let Some(reason) = self.reason() {
            return Err(reason);
        }
        select! {
            recv(self.0.halt.receiver()) -> _ => {}
            recv(self.0.token.drain().receiver()) -> _ => {}
            recv(self.0.deadline.channel()) -> _ => {}
            recv(after(duration)) -> _ => return Ok(false),
            recv(wake) -> _ => return Ok(true),
        }
        Err(self.reason().unwrap_or(Reason::Deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn every_waiter_is_woken_by_one_cancel() {
        let token = CancelToken::new();
        let stop = Stop::new(Deadline::never(), token.clone(), 1);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| stop.wait(LONG))).collect();
            token.cancel();
            for waiter in waiters {
                assert!(matches!(waiter.join().unwrap(), Err(Reason::Cancelled)));
            }
        });
    }

    #[test]
    fn a_wait_ends_at_the_deadline_and_says_so() {
        let stop = Stop::new(Deadline::after(Duration::from_millis(5)), CancelToken::new(), 1);
        assert!(matches!(stop.wait(LONG), Err(Reason::Deadline)));
    }

    #[test]
    fn the_first_reason_stays() {
        let stop = Stop::new(Deadline::never(), CancelToken::new(), 1);
        stop.halt(Reason::Halted("first".into()));
        stop.halt(Reason::Halted("second".into()));
        assert_eq!(stop.reason().unwrap().to_error().message(), "first");
    }

    #[test]
    fn a_timeout_beyond_the_clock_is_no_deadline() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::never());
    }

    #[test]
    fn the_earlier_deadline_wins() {
        let now = Instant::now();
        let (soon, late) = (Deadline::at(now), Deadline::at(now + LONG));
        assert_eq!(soon.min(late), soon);
        assert_eq!(Deadline::never().min(late), late);
        assert_eq!(late.min(Deadline::never()), late);
    }
}
