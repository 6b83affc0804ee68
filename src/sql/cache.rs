//! Rows that `get` has read, kept for a while: what it asks before the database.
//!
//! A row is found under the generation of its table, and a write begins a new one when it ends, however it
//! ends. So a `get` that read before a write and keeps its rows after it keeps them where nobody looks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::catalog::{TableInfo, TableName};
use super::key::Key;
use crate::records::record::Record;

/// Rows that [`Table::get`](super::Table::get) keeps: how many, and for how long.
///
/// A write through the same [`Database`](crate::Database) forgets rows: adding rows, those of their table;
/// everything else, those of all tables, since keys cascade. So do statements of
/// [`execute`](crate::Database::execute), and queries that do not begin with `SELECT`. What other programs and
/// triggers write shows after the time to live, or after [`forget_rows`](crate::Database::forget_rows).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::sql::CacheConfig;
/// use batchcall::{Database, Record};
/// use std::time::Duration;
///
/// let cache = CacheConfig::new().capacity(1000).time_to_live(Duration::from_secs(60));
/// let db = Database::builder("sqlite::memory:").cache(cache).build()?;
/// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", ())?;
/// db.execute("INSERT INTO t VALUES (1, 10)", ())?;
///
/// let t = db.table::<Record>("t");
/// t.get([1])?;
/// t.get([1])?;
/// let hits: Vec<_> = db.metrics().iter().map(|each| each.cache_hits).collect();
/// assert_eq!(hits, [0, 1]);
/// # } Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct CacheConfig {
    capacity: u64,
    time_to_live: Duration,
}

impl CacheConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { capacity: 10_000, time_to_live: Duration::from_secs(60) }
    }

    /// The most rows. Defaults to 10,000.
    #[must_use]
    pub fn capacity(mut self, rows: u64) -> Self {
        self.capacity = rows;
        self
    }

    /// How long a row is kept. Defaults to 60 seconds.
    #[must_use]
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = time;
        self
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Rows by what names them.
#[derive(Debug)]
pub(crate) struct Cache {
    rows: moka::sync::Cache<Place, Arc<Record>>,
    /// Of all tables.
    generation: AtomicU64,
    /// Of single tables, by their names without schema and case: two of the same name forget together.
    generations: Mutex<HashMap<String, u64>>,
}

/// Where a row is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    shelf: Shelf,
    row: Key,
}

/// A table at a moment, as rows are looked for in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shelf {
    table: Arc<TableName>,
    key: Arc<[usize]>,
    generations: (u64, u64),
}

impl Cache {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        let rows = moka::sync::Cache::builder()
            .max_capacity(config.capacity)
            .time_to_live(config.time_to_live)
            .build();
        Self { rows, generation: AtomicU64::new(0), generations: Mutex::default() }
    }

    /// Where rows are that are read from now on.
    pub(crate) fn shelf(&self, table: &TableInfo, key: &[usize]) -> Shelf {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let own = generations.get(&table.name.name.to_lowercase()).copied().unwrap_or(0);
        Shelf {
            table: Arc::new(table.name.clone()),
            key: key.into(),
            generations: (self.generation.load(Ordering::Acquire), own),
        }
    }

    pub(crate) fn row(&self, shelf: &Shelf, row: &Key) -> Option<Arc<Record>> {
        self.rows.get(&Place { shelf: shelf.clone(), row: row.clone() })
    }

    pub(crate) fn keep(&self, shelf: &Shelf, row: &Key, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.rows.insert(Place { shelf: shelf.clone(), row: row.clone() }, Arc::clone(&record));
        record
    }

    pub(crate) fn forget(&self, table: &TableInfo) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        *generations.entry(table.name.name.to_lowercase()).or_default() += 1;
    }

    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// Forgets rows when it goes, whichever way the write ends.
#[derive(Debug)]
pub(crate) struct Forget<'c> {
    pub(crate) cache: Option<&'c Cache>,
    /// Of which table; `None` for all.
    pub(crate) table: Option<&'c TableInfo>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        match (self.cache, self.table) {
            (Some(cache), Some(table)) => cache.forget(table),
            (Some(cache), None) => cache.forget_all(),
            (None, _) => {}
        }
    }
}

/// The rows as the caller's type; `None` if one of them cannot become it by way of a record.
pub(crate) fn typed<T: DeserializeOwned>(rows: &[Option<Arc<Record>>]) -> Option<Vec<Option<T>>> {
    rows.iter()
        .map(|row| match row {
            Some(record) => T::deserialize(record.as_map()).ok().map(Some),
            None => Some(None),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableInfo {
        TableInfo {
            name: TableName::parse(name).unwrap(),
            columns: Vec::new(),
            key: vec![0],
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            copies: true,
        }
    }

    #[test]
    fn a_row_read_before_a_write_and_kept_after_it_is_not_found() {
        let cache = Cache::new(&CacheConfig::new());
        let (table, other, key) = (table("t"), table("u"), Key::from(1));
        for forget in [true, false] {
            let reading = cache.shelf(&table, &[0]);
            let beside = cache.shelf(&other, &[0]);
            drop(Forget { cache: Some(&cache), table: Some(&table).filter(|_| forget) });
            cache.keep(&reading, &key, Record::from_iter([("n", "old")]));
            cache.keep(&beside, &key, Record::new());
            assert!(cache.row(&cache.shelf(&table, &[0]), &key).is_none());
            assert_eq!(cache.row(&cache.shelf(&other, &[0]), &key).is_some(), forget);
        }
    }

    #[test]
    fn rows_are_apart_by_table_key_columns_and_key() {
        let cache = Cache::new(&CacheConfig::new());
        let (a, b) = (table("one.t"), table("two.t"));
        cache.keep(&cache.shelf(&a, &[0]), &Key::from(1), Record::new());
        assert!(cache.row(&cache.shelf(&a, &[0]), &Key::from(1)).is_some());
        for (table, key, row) in [(&b, 0, Key::from(1)), (&a, 1, Key::from(1)), (&a, 0, Key::from("1"))] {
            assert!(cache.row(&cache.shelf(table, &[key]), &row).is_none(), "{key} {row}");
        }
    }

    #[test]
    fn no_more_rows_than_the_capacity_are_kept_and_none_for_longer_than_its_time() {
        let cache = Cache::new(&CacheConfig::new().capacity(10));
        let shelf = cache.shelf(&table("t"), &[0]);
        (0..100).for_each(|id| drop(cache.keep(&shelf, &Key::from(id), Record::new())));
        cache.rows.run_pending_tasks();
        assert!(cache.rows.entry_count() <= 10);
        let cache = Cache::new(&CacheConfig::new().time_to_live(Duration::ZERO));
        cache.keep(&shelf, &Key::from(1), Record::new());
        assert!(cache.row(&shelf, &Key::from(1)).is_none());
    }
}
