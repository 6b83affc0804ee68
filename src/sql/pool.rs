//! Open connections that wait for their next use.
//!
//! One lock and one condition: a connection is taken out whole and put back whole, and nobody asks the
//! server whether it is alive - a broken one says so itself and is not put back.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// At most so many connections, some in use and some idle.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    state: Mutex<State<T>>,
    freed: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    idle: Vec<T>,
    taken: usize,
}

/// How long somebody waits for a connection that others hold, at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often somebody who waits looks whether the batch was stopped.
const LOOK: Duration = Duration::from_millis(20);

impl<T> Pool<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { idle: Vec::new(), taken: 0 }), freed: Condvar::new(), most }
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// A place: with an idle connection, or for a new one. Must be given back by [`Pool::put`] or
    /// [`Pool::lose`].
    pub(crate) fn take(&self, deadline: Deadline, check: impl Fn() -> Result<()>) -> Result<Option<T>> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            check()?;
            if state.taken < self.most {
                state.taken += 1;
                // The one used last: the others may be closed by the server for being idle.
                return Ok(state.idle.pop());
            }
            if deadline.is_over() || Instant::now() >= until {
                let kind = if deadline.is_over() { ErrorKind::Timeout } else { ErrorKind::SeatLimit };
                let message = format!(
                    "all {} connections are in use; give back one, or raise max_connections",
                    self.most
                );
                return Err(Error::new(kind, message).with_delivery(Delivery::NotSent));
            }
            state = self.freed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives a connection back for others.
    pub(crate) fn put(&self, connection: T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.taken -= 1;
        state.idle.push(connection);
        self.freed.notify_one();
    }

    /// Gives the place back, without a connection.
    pub(crate) fn lose(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.taken -= 1;
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_given_back_is_used_again_and_a_lost_one_is_not() {
        let pool = Pool::new(1);
        assert_eq!(pool.take(Deadline::never(), || Ok(())).unwrap(), None);
        pool.put(7);
        assert_eq!(pool.take(Deadline::never(), || Ok(())).unwrap(), Some(7));
        pool.lose();
        assert_eq!(pool.take(Deadline::never(), || Ok(())).unwrap(), None);
    }

    #[test]
    fn no_more_than_the_most_are_out_and_who_waits_gives_up_at_the_deadline() {
        let pool: Pool<()> = Pool::new(1);
        pool.take(Deadline::never(), || Ok(())).unwrap();
        let soon = Deadline::after(Duration::from_millis(5));
        assert_eq!(pool.take(soon, || Ok(())).unwrap_err().kind(), ErrorKind::Timeout);
        let stopped = || Err(Error::new(ErrorKind::Cancelled, "stopped"));
        assert_eq!(pool.take(Deadline::never(), stopped).unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn who_waits_is_woken() {
        let pool = Pool::new(1);
        pool.take(Deadline::never(), || Ok(())).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.take(Deadline::never(), || Ok(())).unwrap());
            pool.put(3);
            assert_eq!(waiter.join().unwrap(), Some(3));
        });
    }
}
