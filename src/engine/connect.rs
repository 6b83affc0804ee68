//! The one seam: how a worker opens a session, stops it in the middle of a request, and closes it.
//!
//! The engine knows nothing of what a session is. A backend implements [`Connect`]; what the engine
//! has to tell it - the deadline, the cancel, where to count - travels in a [`Worker`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::stop::{CancelToken, Deadline, Reason, Stop};
use crate::error::{Error, Result};

/// Stops one session in the middle of its I/O, from another thread.
pub type Interrupt = Box<dyn FnOnce() + Send>;

/// Opens and closes the sessions of a backend.
///
/// A session is opened, used and closed on one worker thread, and needs no `Send`.
///
/// ```
/// use batchcall::{BatchCall, Connect, Error, ErrorKind, Result, Worker};
///
/// struct Greeter;
///
/// impl Connect for Greeter {
///     type Session = String;
///
///     fn connect(&self, worker: &Worker) -> Result<String> {
///         Ok(format!("worker {}", worker.id()))
///     }
/// }
///
/// let report = BatchCall::new(&Greeter)
///     .call(|session| Ok(session.starts_with("worker")))
///     .execute()?;
/// assert_eq!(report.into_all().unwrap(), [true]);
/// # Ok::<(), batchcall::Error>(())
/// ```
pub trait Connect: Sync {
    /// One authenticated conversation.
    type Session;

    /// Opens a session, in time for [`Worker::deadline`].
    ///
    /// # Errors
    ///
    /// The kind decides what the batch does: [`SeatLimit`](crate::ErrorKind::SeatLimit) gives the
    /// worker's place up and goes on with the sessions there are; a kind that passes by itself is
    /// tried again with growing waits; [`Auth`](crate::ErrorKind::Auth) and every other kind is final:
    /// nobody tries to log in again.
    fn connect(&self, worker: &Worker) -> Result<Self::Session>;

    /// How many sessions may be open at once, where that is known, as from a licence. A batch then has no more
    /// workers than that, and they log in together once the first has. Defaults to `None`: logins are
    /// tried two, four, eight at a time, so that a server with few seats refuses few.
    fn max_sessions(&self) -> Option<usize> {
        None
    }

    /// Something that ends the session's current I/O from another thread: called at the deadline.
    /// Defaults to `None`: such a session's calls end by themselves.
    fn interrupt(&self, session: &Self::Session) -> Option<Interrupt> {
        let _ = session;
        None
    }

    /// Closes a session: logs it out, or gives it back to the backend's own pool. Within
    /// [`Worker::time_to_close`]. Defaults to dropping it.
    ///
    /// # Errors
    ///
    /// An error is counted in the statistics and harms no outcome.
    fn disconnect(&self, session: Self::Session) -> Result<()> {
        drop(session);
        Ok(())
    }
}

impl<C: Connect + ?Sized> Connect for &C {
    type Session = C::Session;

    fn connect(&self, worker: &Worker) -> Result<Self::Session> {
        (**self).connect(worker)
    }

    fn max_sessions(&self) -> Option<usize> {
        (**self).max_sessions()
    }

    fn interrupt(&self, session: &Self::Session) -> Option<Interrupt> {
        (**self).interrupt(session)
    }

    fn disconnect(&self, session: Self::Session) -> Result<()> {
        (**self).disconnect(session)
    }
}

/// What a session knows of the worker that it lives on: when to stop, and where to count.
///
/// A cheap handle; a backend keeps a clone in its session.
#[derive(Debug, Clone)]
pub struct Worker(Arc<WorkerState>);

#[derive(Debug)]
struct WorkerState {
    id: usize,
    stop: Stop,
    counters: Counters,
}

/// What a pause is for; the statistics tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pause {
    /// Before a request, so as to keep a rate limit.
    Limit,
    /// Before trying a request again.
    Retry,
    /// While the server works on something that was asked for. Counts as the call's own time.
    Poll,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) logins: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) limit_wait: AtomicU64,
    pub(crate) retry_wait: AtomicU64,
    pub(crate) refused_seats: AtomicU64,
    pub(crate) failed_logouts: AtomicU64,
    pub(crate) login_time: AtomicU64,
    /// Calls that were run, each run counted: a session tells by it what belongs to one call.
    pub(crate) runs: AtomicU64,
}

/// How long a session may take to close when nothing presses.
const CLOSE: Duration = Duration::from_secs(5);

/// How long after the deadline a session may still use to close; with what it takes to notice the
/// deadline, this keeps `execute` within deadline + 250 ms.
const CLOSE_AFTER_DEADLINE: Duration = Duration::from_millis(150);

impl Worker {
    pub(crate) fn new(id: usize, stop: Stop) -> Self {
        Self(Arc::new(WorkerState { id, stop, counters: Counters::default() }))
    }

    /// A worker outside any batch, for a session that is used by hand.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Connect, Deadline, Worker};
    ///
    /// let memory = Memory::new();
    /// let mut session = memory.connect(&Worker::detached(Deadline::never()))?;
    /// assert_eq!(session.echo(7)?, 7);
    /// memory.disconnect(session)?;
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn detached(deadline: Deadline) -> Self {
        Self::new(0, Stop::new(deadline, CancelToken::new(), 1))
    }

    /// Which worker of the batch this is, from 0.
    #[must_use]
    pub fn id(&self) -> usize {
        self.0.id
    }

    /// When everything must be over; every request carries it.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.0.stop.deadline()
    }

    /// How long closing a session may take: 5 s, and not past the deadline + 150 ms.
    #[must_use]
    pub fn time_to_close(&self) -> Duration {
        match self.deadline().instant() {
            None => CLOSE,
            Some(instant) => {
                (instant + CLOSE_AFTER_DEADLINE).saturating_duration_since(Instant::now()).min(CLOSE)
            }
        }
    }

    /// Whether nothing new should begin: the deadline passed, or the batch was cancelled or halted.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stop.reason().is_some()
    }

    /// Fails when nothing new should begin.
    ///
    /// # Errors
    ///
    /// [`Timeout`](crate::ErrorKind::Timeout) or [`Cancelled`](crate::ErrorKind::Cancelled), marked as
    /// not sent.
    pub fn check(&self) -> Result<()> {
        self.0.stop.reason().map_or(Ok(()), |reason| Err(reason.to_error()))
    }

    /// Names what ends the I/O of [`Connect::connect`] while it is under way, so that
    /// [`CancelToken::cancel_now`] stops a login too. What [`Connect::interrupt`] gives takes its place
    /// once the session is open.
    pub fn on_interrupt(&self, interrupt: Interrupt) {
        self.0.stop.interrupts().arm(self.0.id, Some(interrupt));
    }

    /// Waits, and is woken by everything that ends the batch.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), when it was woken.
    pub fn pause(&self, duration: Duration, why: Pause) -> Result<()> {
        if duration.is_zero() {
            return self.check();
        }
        let began = Instant::now();
        let waited = self.0.stop.wait(duration);
        let counter = match why {
            Pause::Limit => Some(&self.0.counters.limit_wait),
            Pause::Retry => Some(&self.0.counters.retry_wait),
            Pause::Poll => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(nanos(began.elapsed()), Ordering::Relaxed);
        }
        waited.map_err(|reason| reason.to_error())
    }

    /// Counts a request or call that is tried again.
    pub fn count_retry(&self) {
        self.0.counters.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a login made by the session itself, after its first one had expired. The login made by
    /// [`Connect::connect`] counts by itself.
    pub fn count_login(&self) {
        self.0.counters.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the batch: a session that had expired was refused when it logged in again, so every other
    /// login would be refused too. Calls that have not begun are not run, with the error's kind.
    pub fn end_batch(&self, refusal: &Error) {
        let message = format!("not run, the session could not be opened again: {refusal}");
        self.0.stop.halt(Reason::NoSession { kind: refusal.kind(), message });
    }

    /// Says that `connect` took a session that was open already, so that no login is counted.
    pub fn reused_session(&self) {
        self.0.counters.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.0.stop
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The time spent waiting for rate limits so far.
    pub(crate) fn limit_waited(&self) -> Duration {
        Duration::from_nanos(self.0.counters.limit_wait.load(Ordering::Relaxed))
    }
}

/// A duration as the nanoseconds that counters and outcomes keep: half the size of a `Duration`, and
/// enough for 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
