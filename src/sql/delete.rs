//! Deletes rows by their keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::catalog::TableInfo;
use super::cut::{Keys, cut_keys};
use super::driver::RowStatus;
use super::key::Key;
use super::look::invalid;
use super::table::Table;
use super::write::{conclude, dispatch};
use super::written::{WriteError, Written};
use crate::error::Result;

/// Deletes by key.
pub(crate) fn delete<T: DeserializeOwned + Serialize + Send + Sync>(
    on: &Table<'_, T>,
    keys: Vec<Key>,
) -> Result<Written<T>, WriteError<T>> {
    let (began, deadline) = (Instant::now(), on.deadline());
    let mut written = Written::new(keys.len(), on.metrics("delete", keys.len()));
    if keys.is_empty() {
        return Ok(written);
    }
    let found = on.describe(deadline).and_then(|table| on.key_columns(&table).map(|key| (table, key)));
    let (table, key) = match found {
        Ok(found) => found,
        Err(error) => return Err(WriteError::new(written, Some(error))),
    };
    let ran = check_keys(&table, &key, &keys).and_then(|()| {
        // A key that comes twice is gone the second time.
        let mut seen = HashMap::new();
        let (mut places, mut first) = (Vec::new(), Vec::new());
        for (place, each) in keys.into_iter().enumerate() {
            match seen.entry(each) {
                Entry::Occupied(entry) => written.set_same(place, *entry.get(), RowStatus::Missing),
                Entry::Vacant(entry) => {
                    places.push(place);
                    first.push(entry.key().clone());
                    entry.insert(place);
                }
            }
        }
        let (total, returning) = (written.total(), on.returned());
        on.run(total, deadline, true, true, |run| {
            let (size, strategy) = (on.config.batch_size, on.config.strategy);
            let whole = vec![Keys { places: places.into(), keys: first }];
            let cut = |whole, workers| cut_keys(whole, size, strategy, workers);
            let ran = dispatch(on, run, &mut written, whole, cut, |connection, piece, isolate| {
                connection.delete::<T>(&table, &key, &piece.keys, isolate, returning)
            });
            written.tell_last(run);
            ran
        })
    });
    conclude(on, written, began, ran)
}

/// Refuses keys that have another number of parts than the key has columns.
pub(crate) fn check_keys(table: &TableInfo, key: &[usize], keys: &[Key]) -> Result<()> {
    let bad: Vec<usize> = (0..keys.len()).filter(|place| keys[*place].parts().len() != key.len()).collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let names: Vec<_> = key.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let message = format!(
        "{} of {} keys do not have the {} parts ({}); the first is {}",
        bad.len(),
        keys.len(),
        key.len(),
        names.join(", "),
        keys[*first],
    );
    Err(invalid(table, *first, message))
}
