//! The caller's thread while a batch runs: outcomes, deadline, cancel -> slots, progress.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, never, select};

use super::outcome::Outcome;
use super::progress::Progress;
use super::stop::{Never, Stop};

/// Waits on the caller's thread for what the workers have to tell, and interrupts their sessions when
/// it is time to.
pub(crate) struct Monitor<'a> {
    stop: &'a Stop,
    deadline: Receiver<Instant>,
    now: Receiver<Never>,
}

/// What became of an item that was offered to the workers.
pub(crate) enum Offered<T> {
    Taken,
    Outcome(Outcome<T>),
    Woken,
    /// All workers are gone.
    Ended,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(stop: &'a Stop) -> Self {
        let now = stop.token().now().receiver().clone();
        Self { stop, deadline: stop.deadline().channel(), now }
    }

    /// The next outcome or block of them; `None` when all workers are gone.
    pub(crate) fn next<T>(&mut self, outcomes: &Receiver<T>) -> Option<T> {
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
            recv(outcomes) -> outcome => outcome.map_or(Offered::Ended, Offered::Outcome),
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
        self.stop.interrupts().fire();
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
    pub(crate) fn new(callback: Option<F>, total: usize, began: Instant) -> Self {
        let progress = Progress { total, ..Progress::default() };
        Self { callback, progress, began, told: None }
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
