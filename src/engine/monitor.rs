//! The caller's thread while a batch runs: outcomes, deadline, cancel -> slots, progress.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, never, select};

use super::connect::Interrupt;
use super::outcome::Outcome;
use super::progress::Progress;
use super::stop::{Never, Stop};

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
    fn fire(&self) {
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

/// Waits on the caller's thread for what the workers have to tell, and interrupts their sessions when
/// it is time to.
pub(crate) struct Monitor<'a> {
    stop: &'a Stop,
    interrupts: &'a Interrupts,
    deadline: Receiver<Instant>,
    now: Receiver<Never>,
}

/// What became of an item that was offered to the workers.
pub(crate) enum Offered<T> {
    Taken,
    Outcome(Outcome<T>),
    Woken,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(stop: &'a Stop, interrupts: &'a Interrupts) -> Self {
        let now = stop.token().now().receiver().clone();
        Self { stop, interrupts, deadline: stop.deadline().channel(), now }
    }

    /// The next outcome; `None` when all workers are gone.
    pub(crate) fn next<T>(&mut self, outcomes: &Receiver<Outcome<T>>) -> Option<Outcome<T>> {
        loop {
            select! {
                recv(outcomes) -> outcome => return outcome.ok(),
                recv(self.deadline) -> _ => self.fire(),
                recv(self.now) -> _ => self.fire(),
            }
        }
    }

    /// Waits until a worker takes the item, one has an outcome, or it is time to stop.
    pub(crate) fn offer<T, I>(
        &mut self,
        outcomes: &Receiver<Outcome<T>>,
        items: &Sender<I>,
        item: &mut Option<I>,
    ) -> Offered<T> {
        select! {
            recv(outcomes) -> outcome => outcome.map_or(Offered::Woken, Offered::Outcome),
            send(items, item.take().expect("an item to offer")) -> _ => Offered::Taken,
            recv(self.deadline) -> _ => {
                self.fire();
                Offered::Woken
            },
            recv(self.now) -> _ => {
                self.fire();
                Offered::Woken
            },
            recv(self.stop.halted().receiver()) -> _ => Offered::Woken,
            recv(self.stop.token().drain().receiver()) -> _ => Offered::Woken,
        }
    }

    fn fire(&mut self) {
        self.interrupts.fire();
        (self.deadline, self.now) = (never(), never());
    }
}

/// Calls the progress callback, on the caller's thread, until it panics.
pub(crate) struct Reporter<F> {
    callback: Option<F>,
    progress: Progress,
    began: Instant,
    told: Option<usize>,
}

impl<F: FnMut(&Progress)> Reporter<F> {
    pub(crate) fn new(callback: F, total: usize, began: Instant) -> Self {
        let progress = Progress { total, ..Progress::default() };
        Self { callback: Some(callback), progress, began, told: None }
    }

    pub(crate) fn count(&mut self, succeeded: bool) {
        self.progress.completed += 1;
        *(if succeeded { &mut self.progress.succeeded } else { &mut self.progress.failed }) += 1;
    }

    /// Tells the callback, unless it knows already. A callback that panicked is not called again: the
    /// calls and their outcomes matter more than the bar.
    pub(crate) fn tell(&mut self) {
        if self.told == Some(self.progress.completed) {
            return;
        }
        self.told = Some(self.progress.completed);
        self.progress.elapsed = self.began.elapsed();
        let progress = &self.progress;
        if let Some(callback) = &mut self.callback
            && catch_unwind(AssertUnwindSafe(|| callback(progress))).is_err()
        {
            self.callback = None;
        }
    }
}
