//! The life of a worker: open session -> take call -> run -> send outcome -> close session.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::batch::Shared;
use super::connect::{Connect, Pause, Worker, nanos};
use super::outcome::{Outcome, Ticket};
use super::queue::Queue;
use crate::error::{Error, ErrorKind, Result};

/// Runs calls until none is left, or none may begin.
///
/// Nothing in here can take the worker down: the backend's code and the user's run behind
/// `catch_unwind`, and a call that was taken always ends in an outcome. `tell` says whether anybody still
/// wants them.
pub(crate) fn work<C, Q, T>(
    shared: &Shared<'_, C>,
    queue: &Q,
    worker: &Worker,
    mut tell: impl FnMut(Outcome<T>) -> bool,
) where
    C: Connect,
    Q: Queue<C::Session, T>,
{
    let mut seat = Seat { shared, worker, session: None, opened_before: false };
    while queue.wait(worker.stop()) {
        if !seat.open(queue) {
            break;
        }
        let Some((call, ticket, queued_since)) = queue.take(worker.stop()) else { continue };
        let outcome = seat.run(queue, &call, ticket, queued_since);
        // An item of a stream is dropped here: foreign code too.
        let _ = caught("dropping an item", || {
            drop(call);
            Ok(())
        });
        if !tell(outcome) {
            break; // The caller's side panicked, and waits for us to be gone.
        }
    }
    seat.close();
    shared.logins.left(worker.stop());
}

/// A worker's place, with a session or without.
struct Seat<'a, 'env, C: Connect> {
    shared: &'a Shared<'env, C>,
    worker: &'a Worker,
    session: Option<C::Session>,
    opened_before: bool,
}

impl<C: Connect> Seat<'_, '_, C> {
    /// Sees to it that there is a session: `false` when there will be none, or nothing is left to do.
    fn open<Q: Queue<C::Session, T>, T>(&mut self, queue: &Q) -> bool {
        let Shared { connect, logins, .. } = self.shared;
        let interrupts = self.worker.stop().interrupts();
        while self.session.is_none() {
            // The seat of a session that broke is ours to take again; any other needs a permit.
            let permit = if std::mem::take(&mut self.opened_before) {
                None
            } else {
                match logins.permit(self.worker.stop(), queue.exhausted()) {
                    Some(permit) => Some(permit),
                    None => return false,
                }
            };
            if logins.is_closed() {
                return false;
            }
            let counters = self.worker.counters();
            let reused = counters.reused.load(Ordering::Relaxed);
            let began = Instant::now();
            let opened = caught("opening a session", || connect.connect(self.worker));
            match opened {
                Ok(session) => {
                    let is_new = counters.reused.load(Ordering::Relaxed) == reused;
                    if is_new {
                        counters.logins.fetch_add(1, Ordering::Relaxed);
                        counters.login_time.fetch_add(nanos(began.elapsed()), Ordering::Relaxed);
                    }
                    let interrupt =
                        caught("preparing to interrupt a session", || Ok(connect.interrupt(&session)));
                    interrupts.arm(self.worker.id(), interrupt.unwrap_or(None));
                    self.session = Some(session);
                    match permit {
                        Some(permit) if is_new => logins.succeeded(permit),
                        Some(permit) => logins.reused(permit),
                        None => logins.reopened(),
                    }
                }
                Err(error) => {
                    interrupts.disarm(self.worker.id());
                    counters.login_time.fetch_add(nanos(began.elapsed()), Ordering::Relaxed);
                    if error.kind() == ErrorKind::SeatLimit {
                        counters.refused_seats.fetch_add(1, Ordering::Relaxed);
                    }
                    logins.refused(permit, &error, self.worker.stop());
                }
            }
        }
        true
    }

    /// Runs one call to its outcome.
    fn run<Q: Queue<C::Session, T>, T>(
        &mut self,
        queue: &Q,
        call: &Q::Call,
        ticket: Ticket,
        queued_since: Instant,
    ) -> Outcome<T> {
        let Shared { tally, retry, .. } = self.shared;
        let began = Instant::now();
        let queued = began.saturating_duration_since(queued_since);
        if let Some(reason) = self.worker.stop().reason() {
            return ticket.not_run(reason.to_error(), queued);
        }
        let waited = self.worker.limit_waited();
        let mut attempts = 0;
        let mut backoff = None;
        let result = loop {
            attempts += 1;
            self.worker.counters().runs.fetch_add(1, Ordering::Relaxed);
            let session = self.session.as_mut().expect("a session was opened for the call");
            let result = caught("the call", || queue.run(call, session));
            let Err(error) = &result else { break result };
            if error.kind() == ErrorKind::Panicked {
                break result;
            }
            // Only a batch that said that its calls may run twice gets here with a policy.
            let Some(policy) = retry.as_ref().filter(|_| error.is_transient()) else { break result };
            let throttled = error.kind() == ErrorKind::RateLimited;
            let waits = || if throttled { policy.throttled_backoff() } else { policy.backoff() };
            let Some(wait) = backoff.get_or_insert_with(waits).next() else { break result };
            if error.retry_after().is_some_and(|asked| asked > policy.max_retry_after()) {
                break result;
            }
            let wait = error.retry_after().map_or(wait, |asked| asked.max(wait));
            if self.worker.pause(wait, Pause::Retry).is_err() {
                break result;
            }
            self.worker.count_retry();
        };
        let elapsed = began.elapsed().saturating_sub(self.worker.limit_waited().saturating_sub(waited));
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Panicked) {
            // Whatever the panic left behind in the session is not for the next call.
            self.close();
        }
        let outcome = ticket.ran(result, attempts, queued, elapsed);
        tally.count(outcome.status(), self.worker.stop());
        outcome
    }

    /// Closes the session, if there is one.
    fn close(&mut self) {
        let Some(session) = self.session.take() else { return };
        self.worker.stop().interrupts().disarm(self.worker.id());
        let closed = caught("closing a session", || self.shared.connect.disconnect(session));
        if closed.is_err() {
            self.worker.counters().failed_logouts.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.logins.session_closed();
        self.opened_before = true;
    }
}

/// A worker that is taken down all the same leaves no session behind.
impl<C: Connect> Drop for Seat<'_, '_, C> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs foreign code; a panic becomes an error.
pub(crate) fn caught<R>(what: &str, run: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let error = Error::new(ErrorKind::Panicked, format!("{what} panicked: {}", panic_text(&*panic)));
        // What was panicked with may panic again when it is dropped.
        std::mem::forget(panic);
        Err(error)
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
