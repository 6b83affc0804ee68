//! Ending a run from inside.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Delivery, Error, ErrorKind};

/// Ends a run from inside, on the first failure or on too many. Seen by all workers at once, so that
/// what is at hand already is not sent either.
#[derive(Debug)]
pub(crate) struct Brake {
    after: Option<usize>,
    failures: AtomicUsize,
    pulled: AtomicBool,
}

impl Brake {
    pub(crate) fn new(after: Option<usize>) -> Self {
        Self { after, failures: AtomicUsize::new(0), pulled: AtomicBool::new(false) }
    }

    pub(crate) fn count(&self, failures: usize) {
        let failures = self.failures.fetch_add(failures, Ordering::AcqRel) + failures;
        if self.after.is_some_and(|after| failures >= after) {
            self.pull();
        }
    }

    pub(crate) fn pull(&self) {
        self.pulled.store(true, Ordering::Release);
    }

    pub(crate) fn is_pulled(&self) -> bool {
        self.pulled.load(Ordering::Acquire)
    }

    /// What a record that is not sent any more is told.
    pub(crate) fn why(&self) -> Error {
        let message = match self.after {
            Some(1) | None => "not sent: another record failed, and the batch ends at the first failure",
            Some(_) => "not sent: too many records failed",
        };
        Error::new(ErrorKind::Cancelled, message).with_delivery(Delivery::NotSent)
    }
}
