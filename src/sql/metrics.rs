//! What a verb cost, and what its figures suggest.

use std::fmt;
use std::time::Duration;

use super::driver::Cost;
use crate::records::strategy::Strategy;

/// What a verb cost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// The verb, such as `insert`.
    pub operation: &'static str,
    /// The rows of the input.
    pub rows: usize,
    /// Those of them that succeeded.
    pub succeeded: usize,
    /// Those of them that failed, are in doubt or were undone.
    pub failed: usize,
    /// The pieces that the input was cut in.
    pub chunks: usize,
    /// The rows of the largest piece.
    pub largest_chunk: usize,
    /// Bytes of rows that were sent.
    pub bytes: u64,
    /// Statements sent, without those that begin and end transactions.
    pub statements: u64,
    /// How often a chunk was tried again.
    pub retries: u64,
    /// Connections that worked at once, at most.
    pub workers: usize,
    /// How the rows were cut.
    pub strategy: Strategy,
    /// From beginning to end.
    pub elapsed: Duration,
    /// Time that workers waited for the database, added up.
    pub server_time: Duration,
    /// Time that workers spent otherwise, added up: turning rows into bytes and back.
    pub client_time: Duration,
    /// Rows served by the cache.
    pub cache_hits: usize,
}

impl Metrics {
    pub(crate) fn new(operation: &'static str, rows: usize, strategy: Strategy) -> Self {
        Self {
            operation,
            rows,
            succeeded: 0,
            failed: 0,
            chunks: 0,
            largest_chunk: 0,
            bytes: 0,
            statements: 0,
            retries: 0,
            workers: 0,
            strategy,
            elapsed: Duration::ZERO,
            server_time: Duration::ZERO,
            client_time: Duration::ZERO,
            cache_hits: 0,
        }
    }

    /// A chunk of so many rows was worked on for so long.
    pub(crate) fn chunk(&mut self, rows: usize, cost: Cost, took: Duration) {
        self.chunks += 1;
        self.largest_chunk = self.largest_chunk.max(rows);
        self.bytes += cost.bytes;
        self.statements += cost.statements;
        self.server_time += cost.server;
        self.client_time += took.saturating_sub(cost.server);
    }

    /// Rows of the input a second; 0 before any time has passed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rows_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.rows as f64 / seconds } else { 0.0 }
    }

    /// What the figures suggest, in words; nothing if there is nothing to be gained.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// use batchcall::sql::BatchConfig;
    /// use batchcall::{Database, Record};
    ///
    /// let db = Database::open("sqlite::memory:")?;
    /// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", ())?;
    /// let rows: Vec<Record> = (0..2000).map(|id| Record::from_iter([("id", id)])).collect();
    /// let written = db.table::<Record>("t").config(BatchConfig::new().batch_size(10)).insert(&rows)?;
    /// assert!(written.metrics().recommendations()[0].contains("larger batch_size"));
    /// # } Ok(()) }
    /// ```
    #[must_use]
    pub fn recommendations(&self) -> Vec<String> {
        let mut all = Vec::new();
        let several = matches!(self.strategy, Strategy::Parallel | Strategy::Pipelined);
        if self.strategy == Strategy::OneByOne && self.rows > 100 {
            all.push(format!(
                "{} rows went one by one: Chunked sends them together and keeps the same outcomes",
                self.rows
            ));
        } else if self.chunks >= 10 && self.largest_chunk < 1000 {
            all.push(format!(
                "{} chunks of at most {} rows: a larger batch_size, or BatchSize::Auto, saves round trips",
                self.chunks, self.largest_chunk
            ));
        }
        if !several && self.chunks >= 4 && self.server_time > self.client_time * 2 && self.rows >= 10_000 {
            all.push(format!(
                "{:.0} % of the time was spent waiting for the database: Parallel uses several connections",
                share(self.server_time, self.server_time + self.client_time)
            ));
        }
        if several && self.workers > self.chunks && self.chunks > 0 {
            all.push(format!(
                "{} chunks kept only as many of the {} workers busy: a smaller batch_size gives each its part",
                self.chunks, self.workers
            ));
        }
        if self.retries > 0 && self.retries * 10 > self.chunks as u64 {
            all.push(format!(
                "{} retries for {} chunks: look for deadlocks, or use fewer workers",
                self.retries, self.chunks
            ));
        }
        if self.failed * 100 > self.rows * 5 {
            all.push(format!(
                "{} of {} rows failed, and each costs statements of its own: check them with pre_process",
                self.failed, self.rows
            ));
        }
        if self.strategy == Strategy::SingleQuery && self.bytes > 256 << 20 {
            all.push(format!(
                "{} MiB in one transaction: Chunked keeps locks short and loses less when it breaks",
                self.bytes >> 20
            ));
        }
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_nanos() as f64 / whole.as_nanos().max(1) as f64
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} rows in {:.3} s ({:.0} rows/s): {} chunks, {} statements, {} retries, {:.3} s in the \
             database, {:.3} s in the client",
            self.operation,
            self.rows,
            self.elapsed.as_secs_f64(),
            self.rows_per_second(),
            self.chunks,
            self.statements,
            self.retries,
            self.server_time.as_secs_f64(),
            self.client_time.as_secs_f64(),
        )
    }
}
