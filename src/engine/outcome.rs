//! What became of one call.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::connect::nanos;
use crate::error::{Error, ErrorKind, Result};

/// What became of a call, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It ran and returned `Ok`.
    Succeeded,
    /// It ran and failed, and it is known that it did.
    Failed,
    /// A write was sent and no answer came: it may or may not have been applied. Not retried
    /// unless you ask for it.
    InDoubt,
    /// It never began: nothing was sent.
    NotRun,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::InDoubt => "in doubt",
            Self::NotRun => "not run",
        })
    }
}

/// What became of one call: exactly one per call, whatever happens.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{BatchCall, Status};
///
/// let memory = Memory::new();
/// let report = BatchCall::new(&memory)
///     .call_named("the answer", |session| session.echo(42))
///     .execute()?;
/// let outcome = &report.outcomes()[0];
/// assert_eq!(outcome.index(), 0);
/// assert_eq!(outcome.name(), Some("the answer"));
/// assert_eq!(outcome.status(), Status::Succeeded);
/// assert_eq!(outcome.result().unwrap(), &42);
/// assert_eq!(outcome.attempts(), 1);
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
pub struct Outcome<T> {
    index: usize,
    name: Option<Arc<str>>,
    id: Uuid,
    result: Result<T>,
    attempts: u32,
    ran: bool,
    queued: u64,
    elapsed: u64,
}

/// Which call an outcome belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) index: usize,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) id: Uuid,
}

impl Ticket {
    /// The outcome of a call that ran.
    pub(crate) fn ran<T>(
        self,
        result: Result<T>,
        attempts: u32,
        queued: Duration,
        elapsed: Duration,
    ) -> Outcome<T> {
        Outcome {
            index: self.index,
            name: self.name,
            id: self.id,
            result,
            attempts,
            ran: true,
            queued: nanos(queued),
            elapsed: nanos(elapsed),
        }
    }

    /// The outcome of a call that never began.
    pub(crate) fn not_run<T>(self, why: Error, queued: Duration) -> Outcome<T> {
        Outcome {
            index: self.index,
            name: self.name,
            id: self.id,
            result: Err(why),
            attempts: 0,
            ran: false,
            queued: nanos(queued),
            elapsed: 0,
        }
    }
}

impl<T> Outcome<T> {
    /// The place of the call in its batch, from 0; the same over retries.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The name given to the call, if one was.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The id of the call, the same over retries.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What became of it.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.result {
            Ok(_) => Status::Succeeded,
            Err(_) if !self.ran => Status::NotRun,
            Err(error) if error.is_in_doubt() => Status::InDoubt,
            Err(_) => Status::Failed,
        }
    }

    /// What it returned.
    ///
    /// # Errors
    ///
    /// The call's error; for a call that never ran, an error whose kind says why.
    pub fn result(&self) -> Result<&T, &Error> {
        self.result.as_ref()
    }

    /// What it returned, taken out of the outcome.
    ///
    /// # Errors
    ///
    /// As [`result`](Self::result).
    pub fn into_result(self) -> Result<T> {
        self.result
    }

    /// The error, if it did not succeed.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err()
    }

    /// Whether it succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.result.is_ok()
    }

    /// Whether running it again may help and cannot do harm: it never ran, for a reason that passes, or its
    /// error [is retryable](Error::is_retryable).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.result {
            Ok(_) => false,
            // A batch that ended because credentials were refused would end so again.
            Err(error) if !self.ran => {
                !matches!(error.kind(), ErrorKind::Auth | ErrorKind::Forbidden | ErrorKind::Invalid)
            }
            Err(error) => error.is_retryable(),
        }
    }

    /// How often the closure was run; 0 for a call that never began. Summed by
    /// [`Report::merge`](crate::Report::merge).
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long it waited for a worker: from the start of the batch, or in a stream from when its item was taken.
    #[must_use]
    pub fn queued(&self) -> Duration {
        Duration::from_nanos(self.queued)
    }

    /// How long it ran, without the login of its session and without waits for a rate limit.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed)
    }

    /// Takes the place of an earlier outcome of the same call.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        self.attempts += earlier.attempts;
        self
    }

    /// Counts the attempts of a later run in.
    pub(crate) fn count_attempts_of(&mut self, later: &Self) {
        self.attempts += later.attempts;
    }

    /// How a person is told which call this is: `call 3`, or `call 3 "JFK"`.
    pub(crate) fn label(&self) -> String {
        match self.name() {
            Some(name) => format!("call {} {name:?}", self.index),
            None => format!("call {}", self.index),
        }
    }
}

/// The id of a call: derived from its batch's, so that none has to be stored and a retry has the same.
pub(crate) fn call_id(batch: Uuid, index: usize) -> Uuid {
    let (high, low) = batch.as_u64_pair();
    // An odd multiplier makes this one-to-one: no two calls of a batch share an id.
    let low = low.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) & (u64::MAX >> 2);
    let bytes = ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
    Uuid::new_v8(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn calls_of_a_batch_have_different_ids_and_the_same_over_time() {
        let batch = Uuid::new_v4();
        let ids: HashSet<_> = (0..10_000).map(|index| call_id(batch, index)).collect();
        assert_eq!(ids.len(), 10_000);
        assert_eq!(call_id(batch, 77), call_id(batch, 77));
        assert_ne!(call_id(batch, 77), call_id(Uuid::new_v4(), 77));
    }
}
