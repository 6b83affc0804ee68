//! Reads rows by their keys: cut -> run -> rows in the order of the keys.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cut::{Keys, cut_keys};
use super::delete::check_keys;
use super::driver::Cost;
use super::failure::copy;
use super::key::Key;
use super::metrics::Metrics;
use super::relation;
use super::run::{Answered, Fate};
use super::table::Table;
use super::write::may_be_cut;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::Record;
use crate::records::strategy::Strategy;

/// What came of a piece: for each of its keys the row, or what was made of it.
struct Read<U> {
    rows: Vec<Result<Option<U>>>,
    cost: Cost,
}

impl<U: Send> Answered for Read<U> {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn counts(&self) -> (usize, usize) {
        let failed = self.rows.iter().filter(|row| row.is_err()).count();
        (self.rows.len() - failed, failed)
    }
}

/// [`Table::get`].
pub(crate) fn get<T: Serialize + DeserializeOwned + Send + Sync>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
) -> Result<Vec<Option<T>>> {
    let deadline = on.deadline();
    let mut rows: Vec<Option<T>> = if on.relations().is_empty() {
        fetch(on, keys, deadline, "get", Ok)?.into_iter().collect::<Result<_>>()?
    } else {
        let rows =
            fetch(on, keys, deadline, "get", Ok)?.into_iter().collect::<Result<Vec<Option<Record>>>>()?;
        relation::load(on, rows, deadline)?
    };
    if let Some(after) = &on.hooks.after {
        for row in &mut rows {
            *row = row.take().map(after).transpose()?.flatten();
        }
    }
    Ok(rows)
}

/// [`Table::compute`].
pub(crate) fn compute<T: Serialize + DeserializeOwned + Send + Sync, U: Send>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
    f: impl Fn(T) -> Result<U> + Sync,
) -> Result<Vec<Result<U>>> {
    let named = keys.clone();
    let rows = fetch(on, keys, on.deadline(), "compute", f)?;
    let not_found = |key: &Key| {
        Error::new(ErrorKind::NotFound, format!("no row has the key {key}")).with_delivery(Delivery::Answered)
    };
    let results = rows.into_iter().zip(&named).enumerate().map(|(place, (row, key))| {
        row.and_then(|row| row.ok_or_else(|| not_found(key))).map_err(|error| error.with_record_index(place))
    });
    Ok(results.collect())
}

/// For each key its row, seen through `f`.
fn fetch<T, R: DeserializeOwned, U: Send>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
    deadline: Deadline,
    operation: &'static str,
    f: impl Fn(R) -> Result<U> + Sync,
) -> Result<Vec<Result<Option<U>>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let table = on.describe(deadline)?;
    let key = on.key_columns(&table)?;
    check_keys(&table, &key, &keys)?;
    let began = Instant::now();
    let places: Arc<[usize]> = (0..keys.len()).collect();
    let mut metrics = Metrics::new(operation, keys.len(), on.config.strategy);
    let mut rows: Vec<Option<Result<Option<U>>>> = Vec::new();
    rows.resize_with(keys.len(), || None);
    let strategy = on.config.strategy;
    on.run(keys.len(), deadline, true, false, |run| {
        let (mut cut_by, spare) = match strategy {
            Strategy::Optimistic => (Strategy::SingleQuery, Some(keys.clone())),
            strategy => (strategy, None),
        };
        let (mut keys, mut spare) = (Some(keys), spare);
        while let Some(keys) = keys.take().or_else(|| spare.take()) {
            let pieces = cut_keys(
                vec![Keys { places: places.clone(), keys }],
                on.config.batch_size,
                cut_by,
                run.workers,
            );
            run.workers = run.workers.min(pieces.len());
            let of: Vec<_> = pieces.iter().map(|piece| Arc::clone(&piece.places)).collect();
            let (before, mut refused) = (run.progress, false);
            run.each(
                &mut metrics,
                pieces.into_iter(),
                |connection, piece| {
                    let (rows, cost) = connection.get::<R>(&table, &[], &key, &piece.keys)?;
                    Ok(Read { rows: rows.into_iter().map(|row| row.map(&f).transpose()).collect(), cost })
                },
                |number, fate| {
                    let error = match fate {
                        Fate::Done(read) => {
                            for (place, row) in of[number].iter().zip(read.rows) {
                                rows[*place] = Some(row);
                            }
                            return;
                        }
                        Fate::Failed(error) | Fate::NotRun(error) | Fate::Undone(error) => error,
                    };
                    refused |= may_be_cut(&error);
                    of[number].iter().for_each(|place| rows[*place] = Some(Err(copy(&error))));
                },
            )?;
            if !refused {
                break;
            }
            if spare.is_some() {
                (cut_by, run.progress) = (Strategy::Chunked, before);
            }
        }
        Result::<()>::Ok(())
    })?;
    let stopped = || {
        Error::new(ErrorKind::Cancelled, "not read: an earlier chunk failed").with_delivery(Delivery::NotSent)
    };
    let rows: Vec<_> = rows.into_iter().map(|row| row.unwrap_or_else(|| Err(stopped()))).collect();
    metrics.succeeded = rows.iter().filter(|row| row.is_ok()).count();
    metrics.elapsed = began.elapsed();
    metrics.failed = rows.len() - metrics.succeeded;
    on.db.keep(metrics);
    Ok(rows)
}
