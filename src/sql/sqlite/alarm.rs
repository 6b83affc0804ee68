//! When a statement has to end: at a time, or because somebody says so.
//!
//! SQLite runs on the caller's thread and asks now and then whether it shall go on - while it computes, and
//! while it waits for another writer. Both questions are answered here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::engine::stop::Deadline;

/// Instructions of SQLite's machine between two questions: some ten microseconds.
const INSTRUCTIONS: i32 = 4_000;

/// The longest nap of one that waits for another writer.
const NAP: Duration = Duration::from_millis(10);

/// Shared with SQLite's callbacks.
#[derive(Debug)]
pub(super) struct Alarm {
    origin: Instant,
    /// Nanoseconds after `origin`; the greatest number is never.
    limit: AtomicU64,
    interrupted: AtomicBool,
}

impl Alarm {
    pub(super) fn new() -> Arc<Self> {
        let limit = AtomicU64::new(u64::MAX);
        Arc::new(Self { origin: Instant::now(), limit, interrupted: AtomicBool::new(false) })
    }

    /// Lets SQLite ask.
    pub(super) fn attach(
        self: &Arc<Self>,
        db: &mut rusqlite::Connection,
        busy: Duration,
    ) -> rusqlite::Result<()> {
        let alarm = Arc::clone(self);
        db.progress_handler(INSTRUCTIONS, Some(move || alarm.rings()))?;
        let alarm = Arc::clone(self);
        let mut since = Instant::now();
        db.busy_handler(Some(move |count: i32| {
            if count == 0 {
                since = Instant::now();
            }
            let left = busy.saturating_sub(since.elapsed());
            if left.is_zero() || alarm.rings() {
                return false;
            }
            let nap = Duration::from_millis(u64::from(count.unsigned_abs()) + 1).min(NAP);
            std::thread::sleep(nap.min(left).min(alarm.left()));
            true
        }))
    }

    pub(super) fn set(&self, deadline: Deadline) {
        let limit = deadline.instant().map_or(u64::MAX, |instant| {
            u64::try_from(instant.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
        });
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        match self.limit.load(Ordering::Relaxed) {
            u64::MAX => Duration::MAX,
            limit => Duration::from_nanos(limit).saturating_sub(self.origin.elapsed()),
        }
    }

    pub(super) fn rings(&self) -> bool {
        self.is_interrupted() || self.left().is_zero()
    }

    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Forgets an interrupt; what was written before that is seen after this.
    pub(super) fn forgive(&self) {
        self.interrupted.swap(false, Ordering::AcqRel);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }
}
