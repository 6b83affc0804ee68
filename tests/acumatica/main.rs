//! The Acumatica client on real sockets: what it reports, compared with what the server saw.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod faults;
mod refusals;
mod regressions;
mod scripted;
mod sessions;
mod verbs;

use std::time::{Duration, Instant};

use batchcall::acumatica::AcumaticaBuilder;
use batchcall::sandbox::{AcumaticaSandbox, History, RequestEvent, Sandbox};
use batchcall::{Acumatica, Report, RetryPolicy};

/// Long enough that whoever waits for it to pass has hung.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// What the promise allows past the deadline.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

pub(crate) fn start(sandbox: AcumaticaSandbox) -> Sandbox {
    sandbox.start().unwrap()
}

/// Waits as short as they can be, so that a test of retries does not wait.
pub(crate) fn hasty() -> RetryPolicy {
    let short = Duration::from_millis(2);
    RetryPolicy::new().base(short).throttled_base(short).cap(Duration::from_millis(20))
}

/// A client of the sandbox, at a fixed version.
pub(crate) fn builder(sandbox: &Sandbox) -> AcumaticaBuilder {
    Acumatica::builder(sandbox.url())
        .login("admin", "admin")
        .tenant("Company")
        .endpoint("Default", "24.200.001")
        .retry(hasty())
}

pub(crate) fn client(sandbox: &Sandbox) -> Acumatica {
    builder(sandbox).build().unwrap()
}

/// Every session was logged out or ended by the server, and none is open.
#[track_caller]
pub(crate) fn assert_all_logged_out(sandbox: &Sandbox) {
    assert_eq!(sandbox.open_sessions(), 0, "sessions were left behind: {}", sandbox.history());
    let history = sandbox.history();
    assert_eq!(history.logins(), history.logouts() + history.expired(), "{history}");
}

/// The requests for data, in the order of their answers.
pub(crate) fn data(history: &History) -> impl Iterator<Item = &RequestEvent> {
    history.request_events().filter(|request| request.is_data)
}

/// How often the address was asked for with this method.
pub(crate) fn asked(history: &History, method: &str, end: &str) -> usize {
    history
        .request_events()
        .filter(|request| request.method == method && request.target.ends_with(end))
        .count()
}

/// All outcomes succeeded; if not, tells which did not.
#[track_caller]
pub(crate) fn assert_complete<T>(report: &Report<T>) {
    let failed: Vec<String> = report
        .failed_calls()
        .map(|o| format!("{}: {} {}", o.index(), o.status(), o.error().unwrap()))
        .collect();
    assert!(failed.is_empty(), "{} calls failed:\n{}", failed.len(), failed.join("\n"));
}

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
