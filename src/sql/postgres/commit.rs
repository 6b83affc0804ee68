//! What became of a transaction whose commit was sent and not answered: the server remembers.

use std::thread;
use std::time::{Duration, Instant};

use super::connect;
use crate::engine::stop::Deadline;
use crate::sql::settings::Settings;

/// How long the server is asked: it may still be at work, or on its way up again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether the transaction with this number was committed; `None` if that cannot be learnt in time.
pub(super) fn outcome(settings: &Settings, deadline: Deadline, number: i64) -> Option<bool> {
    let until = deadline.min(Deadline::at(Instant::now() + PATIENCE));
    while !until.is_over() {
        if let Ok((mut client, _)) = connect::open(settings, until) {
            let status = client.query_one("SELECT txid_status($1)", &[&number]).ok()?;
            match status.try_get::<_, Option<&str>>(0).ok()? {
                Some("committed") => return Some(true),
                Some("aborted") => return Some(false),
                Some(_) => {}
                // Too long ago to be remembered.
                None => return None,
            }
        }
        thread::sleep(PAUSE.min(until.remaining().unwrap_or(PAUSE)));
    }
    None
}
