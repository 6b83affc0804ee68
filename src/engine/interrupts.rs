//! What is interrupted at the deadline: a slot for each worker.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::connect::Interrupt;

/// What can be interrupted, a slot for each worker.
///
/// Each slot has a lock, for one reason: a session that goes back to its backend's pool must not be
/// interrupted a moment later in the middle of another batch. Taking the interrupt out of its slot is
/// what decides.
pub(crate) struct Interrupts {
    slots: Vec<Mutex<Option<Interrupt>>>,
    fired: AtomicBool,
}

impl Interrupts {
    pub(crate) fn new(workers: usize) -> Self {
        Self { slots: (0..workers).map(|_| Mutex::default()).collect(), fired: AtomicBool::new(false) }
    }

    fn slot(&self, worker: usize) -> MutexGuard<'_, Option<Interrupt>> {
        self.slots[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a worker's session one that can be interrupted; at once, when it comes too late.
    pub(crate) fn arm(&self, worker: usize, interrupt: Option<Interrupt>) {
        *self.slot(worker) = interrupt;
        if self.fired.load(Ordering::SeqCst) {
            self.fire_one(worker);
        }
    }

    /// From here on the worker's session is not interrupted any more.
    pub(crate) fn disarm(&self, worker: usize) {
        self.slot(worker).take();
    }

    /// Interrupts every session, and every one that is opened from now on.
    pub(crate) fn fire(&self) {
        self.fired.store(true, Ordering::SeqCst);
        for worker in 0..self.slots.len() {
            self.fire_one(worker);
        }
    }

    /// Under the slot's lock, so that `disarm` does not return while the interrupt runs.
    fn fire_one(&self, worker: usize) {
        let mut slot = self.slot(worker);
        if let Some(interrupt) = slot.take() {
            // Foreign code; a panic in it leaves the session to its own deadline.
            let _ = catch_unwind(AssertUnwindSafe(interrupt));
        }
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts").field("fired", &self.fired).finish_non_exhaustive()
    }
}
