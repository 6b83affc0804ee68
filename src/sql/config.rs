//! How a verb on a table runs.

use std::time::Duration;

use crate::engine::retry::RetryPolicy;
use crate::engine::stop::{CancelToken, Deadline};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::size::BatchSize;
use crate::records::strategy::Strategy;

/// How a verb on a table runs: in how many pieces, on how many connections, and what happens on an error.
///
/// ```
/// use batchcall::sql::BatchConfig;
/// use batchcall::{BatchSize, Strategy};
/// use std::time::Duration;
///
/// let config = BatchConfig::new()
///     .strategy(Strategy::Parallel)
///     .max_workers(2)
///     .batch_size(BatchSize::Large)
///     .timeout(Duration::from_secs(60))
///     .continue_on_error(true);
/// ```
#[derive(Debug, Clone)]
pub struct BatchConfig {
    pub(crate) batch_size: BatchSize,
    pub(crate) max_workers: usize,
    pub(crate) strategy: Strategy,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
    pub(crate) continue_on_error: bool,
    pub(crate) one_transaction: bool,
    pub(crate) token: CancelToken,
}

impl BatchConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            batch_size: BatchSize::Auto,
            max_workers: 4,
            strategy: Strategy::Chunked,
            timeout: None,
            retry: RetryPolicy::new(),
            continue_on_error: false,
            one_transaction: false,
            token: CancelToken::new(),
        }
    }

    /// How many rows go to the database together. Defaults to [`BatchSize::Auto`], which looks at the size of
    /// the first rows and takes as many as make 32 MiB, 200,000 at most; on SQLite, which has one writer, 256 MiB
    /// and a million.
    #[must_use]
    pub fn batch_size(mut self, size: impl Into<BatchSize>) -> Self {
        self.batch_size = size.into();
        self
    }

    /// How many connections work at once, under the strategies that use several. Defaults to 4.
    #[must_use]
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = workers;
        self
    }

    /// How the rows are cut and sent. Defaults to [`Strategy::Chunked`].
    ///
    /// | strategy | transactions | connections |
    /// |---|---|---|
    /// | `SingleQuery` | one, with one statement for all rows of the same columns | 1 |
    /// | `Chunked` | one a chunk, one after the other | 1 |
    /// | `Parallel` | one a chunk | `max_workers` |
    /// | `Pipelined` | one a chunk; `pre_process` runs while earlier chunks are on their way | `max_workers` |
    /// | `Optimistic` | one for everything; if that is refused, one a chunk | 1 |
    /// | `OneByOne` | one a row | 1 |
    ///
    /// SQLite has one writer, so writes go on one connection there.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How long the whole verb may take. Defaults to no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How often a chunk is tried again after what passes by itself - a lost connection, a serialization
    /// failure, a deadlock, a lock that was not to be had, a server short of resources or shutting down
    /// (SQLSTATE 08, 40001, 40P01, 53, 55P03, 57P0x) - each time in a fresh transaction. Defaults to
    /// [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Whether rows that the database refuses are left out and named, and all others written. Otherwise
    /// the first one ends the verb: its chunk is undone, earlier chunks stay. Defaults to `false`.
    #[must_use]
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.continue_on_error = go_on;
        self
    }

    /// Whether everything goes in one transaction: all or nothing, or with
    /// [`continue_on_error`](Self::continue_on_error) all good rows or nothing. Needs one connection: with
    /// `Parallel` and `Pipelined` it is refused. Defaults to `false`.
    #[must_use]
    pub fn one_transaction(mut self, one: bool) -> Self {
        self.one_transaction = one;
        self
    }

    /// Ends the verb from elsewhere.
    #[must_use]
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.token = token.clone();
        self
    }

    /// When a verb that begins now must be over.
    pub(crate) fn deadline(&self) -> Deadline {
        self.timeout.map_or_else(Deadline::never, Deadline::after)
    }

    /// How many connections work at once: several only under the strategies that use them, and for writes
    /// only where there can be several writers.
    pub(crate) fn workers(&self, many_writers: bool, writes: bool) -> usize {
        let several = matches!(self.strategy, Strategy::Parallel | Strategy::Pipelined);
        if several && (!writes || many_writers) { self.max_workers } else { 1 }
    }

    /// Refuses settings that cannot be, with everything that is wrong with them.
    pub(crate) fn check(&self) -> Result<()> {
        match self.problems().as_slice() {
            [] => Ok(()),
            problems => {
                Err(Error::new(ErrorKind::Invalid, problems.join("; ")).with_delivery(Delivery::NotSent))
            }
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_workers == 0 || self.max_workers > 4096 {
            problems.push(format!("max_workers is 1 to 4096, not {}", self.max_workers));
        }
        if self.batch_size == BatchSize::Fixed(0) {
            problems.push("batch_size is 1 or more".to_owned());
        }
        if self.one_transaction && matches!(self.strategy, Strategy::Parallel | Strategy::Pipelined) {
            problems.push(format!(
                "one_transaction needs one connection, and {:?} uses several: take Chunked",
                self.strategy
            ));
        }
        problems
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self::new()
    }
}
