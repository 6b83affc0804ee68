//! A table and its verbs.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::catalog::{TableInfo, TableName};
use super::config::BatchConfig;
use super::database::Database;
use super::delete;
use super::driver::Returning;
use super::key::Key;
use super::metrics::Metrics;
use super::read;
use super::relation::Relation;
use super::run::Run;
use super::write::{self, Verb};
use super::written::{WriteError, Written};
use crate::engine::progress::Progress;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A table of a [`Database`], with rows of type `T`.
///
/// `T` is a struct with a field for each column that matters, or [`Record`](crate::Record). Fields that a row
/// does not serialize are left to the database's defaults, and so is a `None` in a column that takes no null
/// but has a default - such as the id of a row that is not there yet.
///
/// Verbs look at every row first; what cannot be sent - an unknown column, a row that is neither struct nor
/// map - is told of all rows at once, and nothing is sent.
///
/// While a verb runs it has a connection for each of its workers. So [`on_progress`](Self::on_progress),
/// [`on_error`](Self::on_error) and the function of [`compute`](Self::compute), when they use the same database,
/// need one besides, or wait in vain for half a minute; SQLite in memory has but one.
#[must_use = "a table does nothing until a verb is called"]
pub struct Table<'d, T> {
    pub(crate) db: &'d Database,
    name: String,
    pub(crate) config: Cow<'d, BatchConfig>,
    key: Option<Vec<String>>,
    returning: Returning,
    pub(crate) hooks: Hooks<'d, T>,
    relations: Vec<Relation>,
    caches: bool,
    rows: PhantomData<fn(T) -> T>,
}

type Before<'d, T> = Box<dyn Fn(&T) -> Result<Processed<T>> + 'd>;
type After<'d, T> = Box<dyn Fn(T) -> Result<Option<T>> + 'd>;
type OnError<'d> = Box<dyn FnMut(usize, &Error) + 'd>;
type OnProgress<'d> = Box<dyn FnMut(&Progress) + 'd>;

/// What the caller wants to see and change. They run on the caller's thread.
pub(crate) struct Hooks<'d, T> {
    pub(crate) before: Option<Before<'d, T>>,
    pub(crate) after: Option<After<'d, T>>,
    pub(crate) on_error: RefCell<Option<OnError<'d>>>,
    pub(crate) on_progress: RefCell<Option<OnProgress<'d>>>,
}

/// Every other field that a row has: what [`update`](Table::update) and [`upsert`](Table::upsert) overwrite when
/// no fields are named.
pub const ALL: [&str; 0] = [];

/// The primary key: what tells rows apart in [`upsert`](Table::upsert) and [`insert_new`](Table::insert_new) when
/// no columns are named.
pub const PRIMARY_KEY: [&str; 0] = [];

fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

/// What [`Table::pre_process`] says of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed<T> {
    /// Write it as it is.
    Keep,
    /// Write this instead.
    Change(T),
    /// Leave it out.
    Drop,
}

impl<'d, T> Table<'d, T> {
    pub(crate) fn new(db: &'d Database, name: &str) -> Self {
        Self {
            db,
            name: name.to_owned(),
            config: Cow::Owned(BatchConfig::new()),
            key: None,
            returning: Returning::Nothing,
            hooks: Hooks {
                before: None,
                after: None,
                on_error: RefCell::new(None),
                on_progress: RefCell::new(None),
            },
            relations: Vec::new(),
            caches: true,
            rows: PhantomData,
        }
    }

    /// How its verbs run. Defaults to [`BatchConfig::new`].
    pub fn config(mut self, config: BatchConfig) -> Self {
        self.config = Cow::Owned(config);
        self
    }

    /// The columns that name a row. Defaults to the primary key.
    pub fn key<I>(mut self, columns: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.key = Some(names(columns));
        self
    }

    /// What comes back of the rows that are written. Defaults to [`Returning::Nothing`].
    pub fn returning(mut self, returning: Returning) -> Self {
        self.returning = returning;
        self
    }

    /// Looks at each row before it is written: keep it, change it, drop it, or fail it.
    pub fn pre_process(mut self, process: impl Fn(&T) -> Result<Processed<T>> + 'd) -> Self {
        self.hooks.before = Some(Box::new(process));
        self
    }

    /// Looks at each row that comes back - of `get`, or of a write that returns rows: change it, drop it
    /// (`None`), or fail it.
    pub fn post_process(mut self, process: impl Fn(T) -> Result<Option<T>> + 'd) -> Self {
        self.hooks.after = Some(Box::new(process));
        self
    }

    /// Is told of each row that fails, with its place in the input.
    pub fn on_error(self, tell: impl FnMut(usize, &Error) + 'd) -> Self {
        *self.hooks.on_error.borrow_mut() = Some(Box::new(tell));
        self
    }

    /// Is told how far a verb has come, after each chunk.
    pub fn on_progress(self, tell: impl FnMut(&Progress) + 'd) -> Self {
        *self.hooks.on_progress.borrow_mut() = Some(Box::new(tell));
        self
    }

    /// What [`get`](Self::get) loads besides: one query a relation, however many rows.
    pub fn load_relations(mut self, relations: impl IntoIterator<Item = Relation>) -> Self {
        self.relations.extend(relations);
        self
    }

    /// Whether [`get`](Self::get) may answer from the database's [`cache`](super::DatabaseBuilder::cache), and
    /// keep what it reads there. With [`load_relations`](Self::load_relations), and of a view, it never does.
    /// Defaults to `true`.
    pub fn use_cache(mut self, caches: bool) -> Self {
        self.caches = caches;
        self
    }

    pub(crate) fn caches(&self) -> bool {
        self.caches
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn relations(&self) -> &[Relation] {
        &self.relations
    }

    pub(crate) fn returned(&self) -> Returning {
        self.returning
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.config.deadline()
    }

    /// The table as the database describes it, if the settings are sound.
    pub(crate) fn describe(&self, deadline: Deadline) -> Result<Arc<TableInfo>> {
        self.config.check()?;
        self.db.describe(&TableName::parse(&self.name)?, deadline)
    }

    /// The columns that name a row.
    pub(crate) fn key_columns(&self, table: &TableInfo) -> Result<Vec<usize>> {
        let key = match &self.key {
            Some(names) => names.iter().map(|name| table.require(name)).collect::<Result<Vec<_>>>()?,
            None => table.key.clone(),
        };
        if key.is_empty() {
            let message = format!("{} has no primary key: name the columns with Table::key", table.name);
            return Err(Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent));
        }
        Ok(key)
    }

    /// Runs pieces with the settings of this table.
    pub(crate) fn run<R>(
        &self,
        total: usize,
        deadline: Deadline,
        resendable: bool,
        writes: bool,
        run: impl FnOnce(&mut Run<'_>) -> R,
    ) -> R {
        let mut hook = self.hooks.on_progress.borrow_mut();
        let mut on_progress = |progress: &Progress| {
            if let Some(tell) = &mut *hook {
                tell(progress);
            }
        };
        run(&mut Run::new(self.db, &self.config, total, deadline, writes, &mut on_progress)
            .resendable(resendable))
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Table<'_, T> {
    /// The rows that these keys name, one for each, in their order; `None` for a key that nobody has.
    ///
    /// # Errors
    ///
    /// The first one; nothing is given then.
    pub fn get<I>(&self, ids: I) -> Result<Vec<Option<T>>>
    where
        I: IntoIterator,
        I::Item: Into<Key>,
    {
        read::get(self, ids.into_iter().map(Into::into).collect())
    }

    /// Applies a function to the rows that these keys name, on the workers: one result for each key, in
    /// their order. A key that nobody has is [`NotFound`](ErrorKind::NotFound), and a row at which the function
    /// panics [`Panicked`](ErrorKind::Panicked).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// use batchcall::{Database, ErrorKind, Record};
    ///
    /// let db = Database::open("sqlite::memory:")?;
    /// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", ())?;
    /// db.execute("INSERT INTO t VALUES (1, 10), (2, 20)", ())?;
    ///
    /// let doubled = db.table::<Record>("t").compute([1, 2, 3], |row| Ok(row.get("n").cloned()))?;
    /// assert_eq!(doubled[1].as_ref().unwrap(), &Some(20.into()));
    /// assert_eq!(doubled[2].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    /// # } Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Only when nothing was started; what happens to a row is in its result.
    pub fn compute<I, U>(&self, ids: I, f: impl Fn(T) -> Result<U> + Sync) -> Result<Vec<Result<U>>>
    where
        I: IntoIterator,
        I::Item: Into<Key>,
        U: Send,
    {
        read::compute(self, ids.into_iter().map(Into::into).collect(), f)
    }

    /// Adds rows.
    ///
    /// # Errors
    ///
    /// [`WriteError`] with what became of every row, when one did not succeed; with
    /// [`continue_on_error`](BatchConfig::continue_on_error) only when nothing could be started.
    pub fn insert(&self, records: impl AsRef<[T]>) -> Result<Written<T>, WriteError<T>> {
        write::rows(self, records.as_ref(), &Verb::Insert)
    }

    /// Overwrites these fields of rows that are there, or [`ALL`] that a row has. Rows are named
    /// by the key; one that nobody has is [`Missing`](super::RowStatus::Missing).
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); [`Invalid`](ErrorKind::Invalid) when a row has no key, or two have the same.
    pub fn update<I>(&self, records: impl AsRef<[T]>, fields: I) -> Result<Written<T>, WriteError<T>>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let fields = names(fields);
        write::rows(self, records.as_ref(), &Verb::Update { fields })
    }

    /// Adds rows, and overwrites those that are there. Two rows are the same when they agree in `conflict`,
    /// columns with a unique constraint, or [`PRIMARY_KEY`]. Of a row that is there `update` is overwritten, or
    /// [`ALL`] other fields that the new row has.
    ///
    /// Of rows of the input that are the same the last is written, and the others are
    /// [`Superseded`](super::RowStatus::Superseded), or [`NotRun`](super::RowStatus::NotRun) if that one is not
    /// written. A row without a value in a column of `conflict` is added.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn upsert<I, J>(
        &self,
        records: impl AsRef<[T]>,
        conflict: I,
        update: J,
    ) -> Result<Written<T>, WriteError<T>>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
        J: IntoIterator,
        J::Item: AsRef<str>,
    {
        let verb = Verb::Upsert {
            conflict: names(conflict),
            update: Some(names(update)).filter(|each| !each.is_empty()),
        };
        write::rows(self, records.as_ref(), &verb)
    }

    /// Adds the rows that are not there, and leaves the others as they are:
    /// [`Unchanged`](super::RowStatus::Unchanged). `conflict` as in [`upsert`](Self::upsert).
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_new<I>(&self, records: impl AsRef<[T]>, conflict: I) -> Result<Written<T>, WriteError<T>>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let conflict = names(conflict);
        write::rows(self, records.as_ref(), &Verb::Upsert { conflict, update: Some(Vec::new()) })
    }

    /// Deletes the rows that these keys name; a key that nobody has is
    /// [`Missing`](super::RowStatus::Missing).
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn delete<I>(&self, ids: I) -> Result<Written<T>, WriteError<T>>
    where
        I: IntoIterator,
        I::Item: Into<Key>,
    {
        delete::delete(self, ids.into_iter().map(Into::into).collect())
    }

    pub(crate) fn metrics(&self, operation: &'static str, rows: usize) -> Metrics {
        Metrics::new(operation, rows, self.config.strategy)
    }
}

impl<T> fmt::Debug for Table<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
