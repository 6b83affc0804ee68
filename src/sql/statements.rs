//! A statement of the caller's for many parameter sets, in chunks.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::config::BatchConfig;
use super::database::Database;
use super::driver::Cost;
use super::failure::copy;
use super::run::{Answered, Fate, Piece, Run};
use crate::engine::progress::Progress;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::strategy::Strategy;

/// Parameter sets that go in one transaction.
struct Sets<'s, P> {
    places: Arc<[usize]>,
    sets: &'s [P],
}

impl<P: Sync> Piece for Sets<'_, P> {
    fn places(&self) -> &Arc<[usize]> {
        &self.places
    }
}

/// How many rows each set affected, or why it did not.
struct Affected {
    each: Vec<Result<u64>>,
    cost: Cost,
}

impl Answered for Affected {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn counts(&self) -> (usize, usize) {
        let failed = self.each.iter().filter(|each| each.is_err()).count();
        (self.each.len() - failed, failed)
    }
}

/// How many sets go together when nobody says.
const SETS: usize = 1000;

impl Database {
    /// Runs a statement once for each set of parameters, as a [`BatchConfig`] says: a transaction a chunk, on
    /// one connection or several. One result for each set, in their order: how many rows it affected.
    ///
    /// [`execute_many`](Self::execute_many) does everything in one transaction.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// use batchcall::Database;
    /// use batchcall::sql::BatchConfig;
    ///
    /// let db = Database::open("sqlite::memory:")?;
    /// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", ())?;
    /// let config = BatchConfig::new().batch_size(2).continue_on_error(true);
    /// let results = db.execute_chunked("INSERT INTO t VALUES ($1)", [[1], [2], [1], [3]], &config)?;
    /// assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    /// assert!(results[2].is_err());
    /// # } Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for settings that cannot be; what happens to a set is in its result. A set
    /// that was undone with its chunk has the error of the one that failed.
    pub fn execute_chunked<P: Serialize + Sync>(
        &self,
        sql: &str,
        params: impl AsRef<[P]>,
        config: &BatchConfig,
    ) -> Result<Vec<Result<u64>>> {
        let sets = params.as_ref();
        config.check()?;
        let (began, deadline) = (Instant::now(), config.deadline());
        let size = match config.strategy {
            Strategy::SingleQuery => sets.len(),
            Strategy::OneByOne => 1,
            _ => config.batch_size.fixed().unwrap_or(SETS),
        };
        let pieces = sets.chunks(size.max(1)).enumerate().map(|(number, part)| Sets {
            places: (number * size..number * size + part.len()).collect(),
            sets: part,
        });
        let mut metrics = super::metrics::Metrics::new("execute", sets.len(), config.strategy);
        let mut results: Vec<Option<Result<u64>>> = Vec::new();
        results.resize_with(sets.len(), || None);
        let mut on_progress = |_: &Progress| {};
        let mut run = Run::new(self, config, sets.len(), deadline, true, &mut on_progress);
        run.workers = run.workers.min(sets.len().div_ceil(size.max(1))).max(1);
        let apply = |connection: &mut super::connection::Connection, piece: &Sets<'_, P>| {
            let began = Instant::now();
            let statements = piece.sets.len() as u64;
            let each = match connection.execute_many(sql, piece.sets) {
                Ok(affected) => affected.into_iter().map(Ok).collect(),
                // The chunk was undone; those that are not to blame go again, each by itself.
                Err(error) if config.continue_on_error && error.record_index().is_some() => piece
                    .sets
                    .iter()
                    .map(|set| {
                        let affected = connection.execute_many(sql, std::slice::from_ref(set))?;
                        Ok(affected.first().copied().unwrap_or(0))
                    })
                    .collect(),
                Err(error) => return Err(error),
            };
            Ok(Affected { each, cost: Cost { statements, bytes: 0, server: began.elapsed() } })
        };
        run.each(&mut metrics, pieces, apply, |number, fate| {
            let places = number * size..(number * size + size).min(sets.len());
            match fate {
                Fate::Done(done) => {
                    for (place, each) in places.zip(done.each) {
                        results[place] = Some(each.map_err(|error| error.with_record_index(place)));
                    }
                }
                Fate::Failed(error) | Fate::NotRun(error) | Fate::Undone(error) => {
                    let bad = error.record_index().map(|set| places.start + set);
                    for place in places {
                        let error = copy(&error).with_record_index(bad.unwrap_or(place));
                        results[place] = Some(Err(error));
                    }
                }
            }
        })?;
        metrics.elapsed = began.elapsed();
        metrics.succeeded = results.iter().flatten().filter(|result| result.is_ok()).count();
        metrics.failed = sets.len() - metrics.succeeded;
        self.keep(metrics);
        let stopped = || {
            Error::new(ErrorKind::Cancelled, "not run: an earlier chunk failed")
                .with_delivery(Delivery::NotSent)
        };
        Ok(results.into_iter().map(|result| result.unwrap_or_else(|| Err(stopped()))).collect())
    }
}
