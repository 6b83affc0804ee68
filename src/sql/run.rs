//! Runs the pieces of a verb on connections: pieces -> workers -> what became of their rows.
//!
//! Two ways. [`each`]: a transaction a piece, on as many connections as there are workers. [`together`]: one
//! transaction for all, on one connection. Both begin again, in a fresh transaction, after what passes by
//! itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::config::BatchConfig;
use super::connection::Connection;
use super::database::Database;
use super::driver::{Cost, Done, RowStatus};
use super::failure::copy;
use super::metrics::Metrics;
use crate::engine::batch::BatchCall;
use crate::engine::connect::{Pause, Worker};
use crate::engine::outcome::{Outcome, Status};
use crate::engine::progress::Progress;
use crate::engine::stop::{Deadline, Stop};
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A verb's settings, when it is to end, and how far it has come.
pub(crate) struct Run<'a> {
    pub(crate) db: &'a Database,
    pub(crate) config: &'a BatchConfig,
    pub(crate) deadline: Deadline,
    /// Whether a piece may be sent again when nobody knows if it was applied.
    pub(crate) resendable: bool,
    pub(crate) workers: usize,
    pub(crate) on_progress: &'a mut dyn FnMut(&Progress),
    pub(crate) progress: Progress,
    /// How far it was when the progress was last told.
    pub(crate) told: usize,
    pub(crate) began: Instant,
}

impl<'a> Run<'a> {
    /// Of so many rows; nothing has been done yet.
    pub(crate) fn new(
        db: &'a Database,
        config: &'a BatchConfig,
        total: usize,
        deadline: Deadline,
        writes: bool,
        on_progress: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        Self {
            db,
            config,
            deadline,
            resendable: false,
            workers: config.workers(db.has_many_writers(), writes),
            on_progress,
            progress: Progress { total, ..Progress::default() },
            told: 0,
            began: Instant::now(),
        }
    }

    /// The pieces may be sent again when nobody knows if they were applied.
    pub(crate) fn resendable(mut self, resendable: bool) -> Self {
        self.resendable = resendable;
        self
    }
}

/// What became of a piece.
pub(crate) enum Fate<D> {
    Done(D),
    /// Nothing of it is there, or the error is in doubt.
    Failed(Error),
    NotRun(Error),
    /// It was done and then undone with everything else.
    Undone(Error),
}

/// Rows, or keys, that go together.
pub(crate) trait Piece: Send + Sync {
    /// Their places in the input.
    fn places(&self) -> &Arc<[usize]>;

    fn rows(&self) -> usize {
        self.places().len()
    }

    /// Whether doing it twice is the same as doing it once, if that is so of the verb.
    fn is_resendable(&self) -> bool {
        true
    }
}

/// What a piece turned into, as far as the run has to know.
pub(crate) trait Answered: Send {
    fn cost(&self) -> Cost;
    /// Rows that succeeded, and that failed.
    fn counts(&self) -> (usize, usize);
}

impl<T: Send> Answered for Done<T> {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn counts(&self) -> (usize, usize) {
        let failed = self.statuses.iter().filter(|status| **status == RowStatus::Failed).count();
        (self.statuses.len() - failed, failed)
    }
}

impl Run<'_> {
    pub(crate) fn batch<'d, D>(&self, db: &'d Database, workers: usize) -> BatchCall<'d, Database, D> {
        BatchCall::new(db).max_concurrent(workers).deadline(self.deadline).cancel_token(&self.config.token)
    }

    /// A transaction a piece. `sink` is told of every piece that was taken; those of `pieces` that were not
    /// stay where they are.
    pub(crate) fn each<P: Piece, D: Answered>(
        &mut self,
        metrics: &mut Metrics,
        pieces: impl Iterator<Item = P>,
        apply: impl Fn(&mut Connection, &P) -> Result<D> + Sync,
        mut sink: impl FnMut(usize, Fate<D>),
    ) -> Result<()> {
        let retries = AtomicU64::new(0);
        let sizes = RefCell::new(HashMap::new());
        let counted = pieces.enumerate().inspect(|(number, piece)| {
            sizes.borrow_mut().insert(*number, piece.rows());
        });
        let (config, resendable) = (self.config, self.resendable);
        let batch = self.batch(self.db, self.workers).fail_fast(!config.continue_on_error);
        metrics.workers = metrics.workers.max(self.workers);
        batch.stream(
            counted,
            |connection, (_, piece)| {
                let resendable = resendable && piece.is_resendable();
                persist(config, resendable, &retries, connection, |connection| {
                    let began = Instant::now();
                    apply(connection, piece).map(|done| (done, began.elapsed()))
                })
            },
            |outcome: Outcome<(D, Duration)>| {
                let number = outcome.index();
                let rows = sizes.borrow_mut().remove(&number).unwrap_or(0);
                let not_run = outcome.status() == Status::NotRun;
                let fate = match outcome.into_result() {
                    Ok((done, took)) => {
                        metrics.chunk(rows, done.cost(), took);
                        let (succeeded, failed) = done.counts();
                        self.tell(succeeded, failed);
                        Fate::Done(done)
                    }
                    Err(error) if not_run => Fate::NotRun(error),
                    Err(error) => {
                        metrics.chunk(rows, Cost::default(), Duration::ZERO);
                        self.tell(0, rows);
                        Fate::Failed(error)
                    }
                };
                sink(number, fate);
            },
        )?;
        metrics.retries += retries.into_inner();
        Ok(())
    }

    /// One transaction for all pieces: their fates, in their order.
    pub(crate) fn together<P: Piece, D: Answered>(
        &mut self,
        metrics: &mut Metrics,
        pieces: &[P],
        apply: impl Fn(&mut Connection, &P) -> Result<D> + Sync,
    ) -> Result<Vec<Fate<D>>> {
        let worker = Worker::new(0, Stop::new(self.deadline, self.config.token.clone(), 1));
        let resendable = self.resendable && pieces.iter().all(Piece::is_resendable);
        let mut waits = self.config.retry.backoff();
        loop {
            let before = (self.progress, metrics.chunks, metrics.largest_chunk);
            let fates = self.once(metrics, pieces, &apply)?;
            let again = fates.iter().find_map(|fate| match fate {
                Fate::Failed(error) => Some(may_go_again(error, resendable)),
                _ => None,
            });
            let wait = if again == Some(true) { waits.next() } else { None };
            match wait {
                Some(wait) if worker.pause(wait, Pause::Retry).is_ok() => {
                    metrics.retries += 1;
                    (self.progress, metrics.chunks, metrics.largest_chunk) = before;
                }
                _ => return Ok(fates),
            }
        }
    }

    fn once<P: Piece, D: Answered>(
        &mut self,
        metrics: &mut Metrics,
        pieces: &[P],
        apply: &(impl Fn(&mut Connection, &P) -> Result<D> + Sync),
    ) -> Result<Vec<Fate<D>>> {
        let mut fates: Vec<Option<Fate<D>>> = Vec::new();
        fates.resize_with(pieces.len(), || None);
        let last = pieces.len() - 1;
        metrics.workers = metrics.workers.max(1);
        let batch = self.batch(self.db, 1).fail_fast(true);
        // An error of the commit is not one of the last piece alone.
        let mut commit = None;
        batch.stream(
            0..pieces.len(),
            |connection, &number| {
                if number == 0 {
                    connection.begin_for_all()?;
                } else if !connection.is_in_transaction() {
                    let message = "the transaction was lost, and with it what was done";
                    return Err(Error::new(ErrorKind::Interrupted, message).with_delivery(Delivery::NotSent));
                }
                let began = Instant::now();
                let done = apply(connection, &pieces[number]).inspect_err(|_| {
                    let _ = connection.roll_back();
                })?;
                let took = began.elapsed();
                let committed = if number == last { connection.commit() } else { Ok(()) };
                match committed {
                    Ok(()) => Ok((done, took, None)),
                    Err(error) => Ok((done, took, Some(error))),
                }
            },
            |outcome: Outcome<(D, Duration, Option<Error>)>| {
                let number = outcome.index();
                let rows = pieces[number].rows();
                let not_run = outcome.status() == Status::NotRun;
                fates[number] = Some(match outcome.into_result() {
                    Ok((done, took, refused)) => {
                        metrics.chunk(rows, done.cost(), took);
                        let (succeeded, failed) = done.counts();
                        self.tell(succeeded, failed);
                        commit = refused;
                        Fate::Done(done)
                    }
                    Err(error) if not_run => Fate::NotRun(error),
                    Err(error) => {
                        // Told at the very end: it may begin again, in smaller pieces or as it is.
                        metrics.chunk(rows, Cost::default(), Duration::ZERO);
                        Fate::Failed(error)
                    }
                });
            },
        )?;
        if let Some(error) = commit {
            // In doubt: every row is. Otherwise every row was undone by it.
            return Ok(pieces.iter().map(|_| Fate::Failed(copy(&error))).collect());
        }
        let committed = matches!(fates.last(), Some(Some(Fate::Done(_))));
        let cause = fates.iter().flatten().find_map(|fate| match fate {
            Fate::Failed(error) | Fate::NotRun(error) => Some(copy(error)),
            _ => None,
        });
        let stopped = || Error::new(ErrorKind::Cancelled, "not run: the verb was ended before");
        Ok(fates
            .into_iter()
            .map(|fate| match fate {
                Some(Fate::Done(_)) if !committed => Fate::Undone(cause.as_ref().map_or_else(stopped, copy)),
                Some(fate) => fate,
                None => Fate::NotRun(cause.as_ref().map_or_else(stopped, copy)),
            })
            .collect())
    }

    pub(crate) fn tell(&mut self, succeeded: usize, failed: usize) {
        self.progress.completed += succeeded + failed;
        self.progress.succeeded += succeeded;
        self.progress.failed += failed;
        // Nobody knows the length of an import's input.
        self.progress.total = self.progress.total.max(self.progress.completed);
        self.progress.elapsed = self.began.elapsed();
        // What begins again is told of when it is further than it was.
        if self.progress.completed >= self.told {
            self.told = self.progress.completed;
            (self.on_progress)(&self.progress);
        }
    }

    /// Tells what became of the rows that were run, where that is other than what was told last: not all that
    /// was done lasted.
    pub(crate) fn tell_last(&mut self, succeeded: usize, failed: usize) {
        let Progress { succeeded: told_of, failed: told_failed, .. } = self.progress;
        if (told_of, told_failed) != (succeeded, failed) {
            (self.progress.completed, self.progress.succeeded, self.progress.failed) = (0, 0, 0);
            self.tell(succeeded, failed);
        }
    }
}

/// Whether what failed may be done again with hope and without harm.
fn may_go_again(error: &Error, resendable: bool) -> bool {
    error.is_transient() && (resendable || !error.is_in_doubt())
}

/// Tries again what fails for a reason that passes by itself, in a fresh transaction each time.
pub(crate) fn persist<D>(
    config: &BatchConfig,
    resendable: bool,
    retries: &AtomicU64,
    connection: &mut Connection,
    mut run: impl FnMut(&mut Connection) -> Result<D>,
) -> Result<D> {
    let mut waits = config.retry.backoff();
    let mut attempts = 1;
    loop {
        let error = match run(connection) {
            Ok(done) => return Ok(done),
            Err(error) => error.with_attempts(attempts),
        };
        let Some(wait) = waits.next().filter(|_| may_go_again(&error, resendable)) else {
            return Err(error);
        };
        if connection.worker().pause(wait, Pause::Retry).is_err() {
            return Err(error);
        }
        connection.worker().count_retry();
        retries.fetch_add(1, Ordering::Relaxed);
        attempts += 1;
    }
}
