//! Reads rows by their keys: cut -> run -> rows in the order of the keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::{Cache, typed};
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
use crate::engine::worker::caught;
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
    let cache = on.db.cache().filter(|_| on.caches() && on.relations().is_empty());
    let kept = cache.map(|cache| get_kept(on, cache, &keys, deadline)).transpose()?.flatten();
    let mut rows: Vec<Option<T>> = match kept {
        Some(rows) => rows,
        None if on.relations().is_empty() => {
            fetch(on, keys, 0, deadline, "get", Ok)?.into_iter().collect::<Result<_>>()?
        }
        None => {
            let rows = fetch(on, keys, 0, deadline, "get", Ok)?;
            relation::load(on, rows.into_iter().collect::<Result<Vec<Option<Record>>>>()?, deadline)?
        }
    };
    if let Some(after) = &on.hooks.after {
        for row in &mut rows {
            *row = row.take().map(after).transpose()?.flatten();
        }
    }
    Ok(rows)
}

/// The rows that are kept, and those that are not from the database, which are kept from then on. `None` for
/// what is not kept: views, and rows that are other than their record.
fn get_kept<T: Serialize + DeserializeOwned + Send + Sync>(
    on: &Table<'_, T>,
    cache: &Cache,
    keys: &[Key],
    deadline: Deadline,
) -> Result<Option<Vec<Option<T>>>> {
    if keys.is_empty() {
        return Ok(None);
    }
    let table = on.describe(deadline)?;
    let key = on.key_columns(&table)?;
    if table.key.is_empty() {
        return Ok(None);
    }
    // Before anything is read, so that what a write changes meanwhile is not kept.
    let shelf = cache.shelf(&table, &key);
    let mut rows: Vec<Option<Arc<Record>>> = keys.iter().map(|key| cache.row(&shelf, key)).collect();
    let mut missed: Vec<Key> = Vec::new();
    let mut places: HashMap<&Key, Vec<usize>> = HashMap::new();
    for (place, key) in keys.iter().enumerate().filter(|(place, _)| rows[*place].is_none()) {
        let of_key = places.entry(key).or_insert_with(|| {
            missed.push(key.clone());
            Vec::new()
        });
        of_key.push(place);
    }
    let hits = rows.iter().flatten().count();
    let read = fetch(on, missed.clone(), hits, deadline, "get", Ok)?;
    for (key, row) in missed.iter().zip(read) {
        let row: Option<Record> = row?;
        let row = row.map(|record| cache.keep(&shelf, key, record));
        places[key].iter().for_each(|place| rows[*place].clone_from(&row));
    }
    Ok(typed(&rows))
}

/// [`Table::compute`].
pub(crate) fn compute<T: Serialize + DeserializeOwned + Send + Sync, U: Send>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
    f: impl Fn(T) -> Result<U> + Sync,
) -> Result<Vec<Result<U>>> {
    let named = keys.clone();
    let rows =
        fetch(on, keys, 0, on.deadline(), "compute", |row| caught("the computation of a row", || f(row)))?;
    let not_found = |key: &Key| {
        Error::new(ErrorKind::NotFound, format!("no row has the key {key}")).with_delivery(Delivery::Answered)
    };
    let results = rows.into_iter().zip(&named).enumerate().map(|(place, (row, key))| {
        row.and_then(|row| row.ok_or_else(|| not_found(key))).map_err(|error| {
            let error = if error.entity().is_none() { error.with_entity(on.name()) } else { error };
            error.with_record_index(place)
        })
    });
    Ok(results.collect())
}

/// For each key its row, seen through `f`. `hits` rows were there already.
fn fetch<T, R: DeserializeOwned, U: Send>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
    hits: usize,
    deadline: Deadline,
    operation: &'static str,
    f: impl Fn(R) -> Result<U> + Sync,
) -> Result<Vec<Result<Option<U>>>> {
    let mut metrics = Metrics::new(operation, keys.len() + hits, on.config.strategy);
    metrics.cache_hits = hits;
    if keys.is_empty() {
        if hits > 0 {
            metrics.succeeded = hits;
            on.db.keep(metrics);
        }
        return Ok(Vec::new());
    }
    let table = on.describe(deadline)?;
    let key = on.key_columns(&table)?;
    check_keys(&table, &key, &keys)?;
    let began = Instant::now();
    let places: Arc<[usize]> = (0..keys.len()).collect();
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
    let read = rows.iter().filter(|row| row.is_ok()).count();
    metrics.succeeded = hits + read;
    metrics.failed = rows.len() - read;
    metrics.elapsed = began.elapsed();
    on.db.keep(metrics);
    Ok(rows)
}
