//! What the licence allows: requests at once, requests a minute, and a queue of 20.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sandbox::lock;
use crate::sandbox::stop::Stop;

/// The limits of the licence (screen SM604000).
#[derive(Debug)]
pub(super) struct Licence {
    pub(super) cores: Option<usize>,
    pub(super) queue: usize,
    pub(super) per_minute: Option<u32>,
    /// How long a "minute" lasts: tests do not wait for one.
    pub(super) minute: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    queued: usize,
    window: Option<(Instant, u32)>,
}

/// The longest time in the queue (Integration Development Guide 2026 R1).
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The request was declined: HTTP 429.
#[derive(Debug)]
pub(super) struct Declined;

/// A core that serves a request.
#[derive(Debug)]
pub(super) struct Core<'a>(Option<&'a Licence>);

impl Licence {
    pub(super) fn new(cores: Option<usize>, queue: usize, per_minute: Option<u32>, minute: Duration) -> Self {
        Self { cores, queue, per_minute, minute, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for the licence, or declines.
    pub(super) fn admit(&self, stop: &Stop) -> Result<Core<'_>, Declined> {
        if self.per_minute.is_some() {
            self.pace(stop)?;
        }
        let Some(cores) = self.cores else { return Ok(Core(None)) };
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = lock(&self.state);
        if state.running >= cores {
            if state.queued >= self.queue {
                return Err(Declined);
            }
            state.queued += 1;
            while state.running >= cores && !stop.is_stopped() {
                if Instant::now() >= deadline {
                    state.queued -= 1;
                    return Err(Declined);
                }
                // Woken now and then to see whether the server stops.
                let woken = self.freed.wait_timeout(state, Duration::from_millis(50));
                state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            }
            state.queued -= 1;
            if stop.is_stopped() {
                return Err(Declined);
            }
        }
        state.running += 1;
        Ok(Core(Some(self)))
    }

    /// Once the minute holds half of the limit, each request is delayed by the seconds that remain, divided
    /// by the requests that remain (Integration Development Guide 2026 R1). Nobody tells the client.
    fn pace(&self, stop: &Stop) -> Result<(), Declined> {
        let Some(limit) = self.per_minute else { return Ok(()) };
        loop {
            let mut state = lock(&self.state);
            let now = Instant::now();
            let (start, used) = match state.window {
                Some((start, used)) if now < start + self.minute => (start, used),
                _ => (now, 0),
            };
            let left = (start + self.minute).saturating_duration_since(now);
            if used < limit {
                state.window = Some((start, used + 1));
                if used < limit / 2 {
                    return Ok(());
                }
                if state.queued >= self.queue {
                    // A declined request does not count.
                    state.window = Some((start, used));
                    return Err(Declined);
                }
                state.queued += 1;
                drop(state);
                stop.sleep(left / (limit - used));
                lock(&self.state).queued -= 1;
                return Ok(());
            }
            if state.queued >= self.queue {
                return Err(Declined);
            }
            state.queued += 1;
            drop(state);
            let stopped = stop.sleep(left);
            lock(&self.state).queued -= 1;
            if stopped {
                return Err(Declined);
            }
        }
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        if let Some(licence) = self.0 {
            lock(&licence.state).running -= 1;
            licence.freed.notify_one();
        }
    }
}
