//! One place to wait and be woken when the server stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::lock;

/// Ends all waiting of the server's threads.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    /// The same, to be read once a request without a lock.
    flag: AtomicBool,
    bell: Condvar,
}

impl Stop {
    pub(crate) fn ring(&self) {
        *lock(&self.stopped) = true;
        self.flag.store(true, Ordering::Release);
        self.bell.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Waits this long; says whether the server stopped meanwhile.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        let mut stopped = lock(&self.stopped);
        while !*stopped {
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return false;
            }
            stopped = match self.bell.wait_timeout(stopped, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}
