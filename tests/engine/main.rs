//! The engine's seven rules and everything that `BatchCall` promises, against the in-memory backend and
//! against backends that misbehave.
#![expect(clippy::unwrap_used, reason = "tests")]

mod deadline;
mod halts;
mod logins;
mod nested;
mod outcomes;
mod progress;
mod report;
mod retries;
mod seats;
mod stream;

use std::time::{Duration, Instant};

/// Long enough that whoever waits for it to pass has hung.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// What the promise allows past the deadline.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// Waits for something that another thread brings about; gives up after ten seconds.
pub(crate) fn eventually(mut happened: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if happened() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}
