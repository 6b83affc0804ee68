//! The sessions that a client has open: those that nobody uses are kept for the next batch, and those that
//! could not be logged out for the next opportunity.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Delivery, Error, ErrorKind, Result};

/// Sessions of one client; `L` is what it takes to log one out later.
#[derive(Debug)]
pub(crate) struct Seats<C, L> {
    state: Mutex<State<C, L>>,
    most: Option<usize>,
}

#[derive(Debug)]
struct State<C, L> {
    idle: Vec<(C, Instant)>,
    /// All sessions, used or not.
    open: usize,
    overdue: Vec<L>,
}

impl<C, L> Seats<C, L> {
    pub(crate) fn new(most: Option<usize>) -> Self {
        Self { state: Mutex::new(State { idle: Vec::new(), open: 0, overdue: Vec::new() }), most }
    }

    fn state(&self) -> MutexGuard<'_, State<C, L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open, used or not.
    pub(crate) fn open(&self) -> usize {
        self.state().open
    }

    /// Takes the place of a session that is about to be opened.
    pub(crate) fn reserve(&self) -> Result<()> {
        let mut state = self.state();
        if let Some(most) = self.most
            && state.open >= most
        {
            let message = format!("all {most} sessions that this client may open are in use");
            return Err(Error::new(ErrorKind::SeatLimit, message).with_delivery(Delivery::NotSent));
        }
        state.open += 1;
        Ok(())
    }

    /// A session is no more.
    pub(crate) fn release(&self) {
        self.state().open -= 1;
    }

    /// A session that nobody uses, and for how long nobody did.
    pub(crate) fn take(&self) -> Option<(C, Duration)> {
        self.state().idle.pop().map(|(session, since)| (session, since.elapsed()))
    }

    /// Keeps a session for the next to use.
    pub(crate) fn give_back(&self, session: C) {
        self.state().idle.push((session, Instant::now()));
    }

    /// Keeps what could not be logged out in time.
    pub(crate) fn put_off(&self, overdue: L) {
        self.state().overdue.push(overdue);
    }

    /// What could not be logged out before.
    pub(crate) fn take_overdue(&self) -> Vec<L> {
        std::mem::take(&mut self.state().overdue)
    }

    /// Logs out everything that nobody uses, and gives the first error. At once: a server that hangs
    /// costs one time-out, not one for each session.
    pub(crate) fn close(
        &self,
        idle: impl Fn(C) -> Result<()> + Sync,
        overdue: impl Fn(L) -> Result<()> + Sync,
    ) -> Result<()>
    where
        C: Send,
        L: Send,
    {
        let (sessions, left) = {
            let mut state = self.state();
            (std::mem::take(&mut state.idle), std::mem::take(&mut state.overdue))
        };
        let mut results = Vec::new();
        std::thread::scope(|scope| {
            let (idle, overdue) = (&idle, &overdue);
            let sessions = sessions.into_iter().map(|(session, _)| scope.spawn(move || idle(session)));
            let mut threads: Vec<_> = sessions.collect();
            threads.extend(left.into_iter().map(|left| scope.spawn(move || overdue(left))));
            results.extend(threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))));
        });
        results.into_iter().collect()
    }
}
