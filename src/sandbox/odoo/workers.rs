//! The worker processes: how many calls are served at once.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::sandbox::lock;
use crate::sandbox::stop::Stop;

/// The workers of the server.
#[derive(Debug)]
pub(super) struct Workers {
    most: Option<usize>,
    busy: Mutex<usize>,
    freed: Condvar,
}

/// A worker that serves a call.
#[derive(Debug)]
pub(super) struct Worker<'a>(Option<&'a Workers>);

impl Workers {
    pub(super) fn new(most: Option<usize>) -> Self {
        Self { most, busy: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for a free worker.
    pub(super) fn take(&self, stop: &Stop) -> Worker<'_> {
        let Some(most) = self.most else { return Worker(None) };
        let mut busy = lock(&self.busy);
        while *busy >= most && !stop.is_stopped() {
            // Woken now and then to see whether the server stops.
            let woken = self.freed.wait_timeout(busy, Duration::from_millis(50));
            busy = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        *busy += 1;
        Worker(Some(self))
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if let Some(workers) = self.0 {
            *lock(&workers.busy) -= 1;
            workers.freed.notify_one();
        }
    }
}
