//! All chunks of an import in one transaction, as they come.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::engine::connect::Pause;
use crate::engine::outcome::{Outcome, Status};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::connection::Connection;
use crate::sql::driver::Cost;
use crate::sql::failure::copy;
use crate::sql::metrics::Metrics;
use crate::sql::run::{Answered, Fate, Piece, Run};

/// How the transaction ended.
pub(super) enum Ended {
    Committed,
    /// Nothing is there; why, if something failed.
    Undone(Option<Error>),
    /// The connection broke while it was committed.
    InDoubt(Error),
}

/// A chunk, or the end after so many.
enum Step<P> {
    Piece(P),
    Commit(usize),
}

/// How often the end looks whether the caller's thread has heard of all chunks.
const LOOK: Duration = Duration::from_millis(1);

/// Applies chunks one after the other, and commits after the last one if `may_commit`. `sink` is told of each
/// as it goes; what it was told counts only if the transaction is committed.
pub(super) fn together<P: Piece, D: Answered>(
    run: &mut Run<'_>,
    metrics: &mut Metrics,
    mut pieces: impl Iterator<Item = P>,
    may_commit: impl Fn() -> bool,
    apply: impl Fn(&mut Connection, &P) -> Result<D> + Sync,
    mut sink: impl FnMut(usize, Fate<D>),
) -> Result<Ended> {
    metrics.workers = 1;
    let batch = run.batch(run.db, 1).fail_fast(true);
    let (mut over, mut steps) = (false, 0);
    let ended = RefCell::new(Ended::Undone(None));
    let mut sizes = Vec::new();
    let sizes_of_all = RefCell::new(&mut sizes);
    let (settled, forbidden) = (AtomicUsize::new(0), AtomicBool::new(false));
    let items = std::iter::from_fn(|| {
        if over {
            return None;
        }
        let step = pieces.next().map(Step::Piece);
        over = step.is_none();
        sizes_of_all.borrow_mut().push(match &step {
            Some(Step::Piece(piece)) => piece.rows(),
            _ => 0,
        });
        let step = step.or_else(|| (steps > 0 && may_commit()).then_some(Step::Commit(steps)));
        steps += 1;
        step.map(|step| (steps == 1, step))
    });
    batch.stream(
        items,
        |connection, (first, step)| {
            if *first {
                connection.begin_for_all()?;
            }
            match step {
                Step::Piece(piece) => {
                    let began = Instant::now();
                    apply(connection, piece).map(|done| Some((done, began.elapsed())))
                }
                // What the last chunks came to may forbid it.
                Step::Commit(chunks) => {
                    while settled.load(Ordering::Acquire) < *chunks {
                        connection.worker().pause(LOOK, Pause::Poll)?;
                    }
                    if forbidden.load(Ordering::Acquire) {
                        let message = "not committed: the import was ended before";
                        return Err(
                            Error::new(ErrorKind::Cancelled, message).with_delivery(Delivery::NotSent)
                        );
                    }
                    connection.commit().map(|()| None)
                }
            }
        },
        |outcome: Outcome<Option<(D, Duration)>>| {
            let number = outcome.index();
            let rows = sizes_of_all.borrow().get(number).copied().unwrap_or(0);
            let not_run = outcome.status() == Status::NotRun;
            let is_chunk = rows > 0;
            match outcome.into_result() {
                Ok(None) => *ended.borrow_mut() = Ended::Committed,
                Ok(Some((done, took))) => {
                    metrics.chunk(rows, done.cost(), took);
                    let (succeeded, failed) = done.counts();
                    run.tell(succeeded, failed);
                    sink(number, Fate::Done(done));
                }
                // Of the commit.
                Err(error) if rows == 0 => {
                    let known = std::mem::replace(&mut *ended.borrow_mut(), Ended::Undone(None));
                    *ended.borrow_mut() = match known {
                        Ended::Undone(None) if error.is_in_doubt() => Ended::InDoubt(error),
                        Ended::Undone(None) => Ended::Undone(Some(error)),
                        known => known,
                    };
                }
                Err(error) => {
                    if let Ended::Undone(cause @ None) = &mut *ended.borrow_mut() {
                        *cause = Some(copy(&error));
                    }
                    if !not_run {
                        metrics.chunk(rows, Cost::default(), Duration::ZERO);
                        run.tell(0, rows);
                    }
                    sink(number, if not_run { Fate::NotRun(error) } else { Fate::Failed(error) });
                }
            }
            if is_chunk {
                forbidden.fetch_or(!may_commit(), Ordering::AcqRel);
                settled.fetch_add(1, Ordering::AcqRel);
            }
        },
    )?;
    if steps <= 1 {
        return Ok(Ended::Committed);
    }
    Ok(ended.into_inner())
}
