//! Telling the caller how far it has come, without slowing the workers down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::engine::progress::Progress;

/// Calls a progress callback on the caller's thread, which has chunks to hand out as well: so the callback
/// gets a twentieth of the time, and the last word.
pub(crate) struct Teller<F> {
    callback: Option<F>,
    progress: Progress,
    began: Instant,
    not_before: Instant,
    told: Option<usize>,
}

/// How many times as long as the callback took it is left alone.
const REST: u32 = 19;

impl<F: FnMut(&Progress)> Teller<F> {
    pub(crate) fn new(callback: F, total: usize) -> Self {
        let began = Instant::now();
        let progress = Progress { total, ..Progress::default() };
        Self { callback: Some(callback), progress, began, not_before: began, told: None }
    }

    /// So many records ran to their end, and so many of them succeeded.
    pub(crate) fn tell(&mut self, completed: usize, succeeded: usize, last: bool) {
        let now = Instant::now();
        if self.told == Some(completed) || (!last && now < self.not_before) {
            return;
        }
        self.told = Some(completed);
        let elapsed = now.saturating_duration_since(self.began);
        let progress =
            Progress { completed, succeeded, failed: completed - succeeded, elapsed, ..self.progress };
        let Some(callback) = &mut self.callback else { return };
        if catch_unwind(AssertUnwindSafe(|| callback(&progress))).is_err() {
            // The records and their outcomes matter more than the bar.
            self.callback = None;
        }
        let took = now.elapsed();
        self.not_before = now + took + took.saturating_mul(REST).min(Duration::from_secs(5));
    }
}
