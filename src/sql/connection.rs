//! A session on a database: a connection of the pool, for as long as a worker has it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::{Cache, Forget};
use super::catalog::{TableInfo, TableName};
use super::driver::{Chunk, Cost, Done, Driver, OnConflict, Returning};
use super::key::Key;
use super::pool::Pool;
use super::settings::{Settings, Target};
use crate::engine::connect::{Interrupt, Worker};
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A session on a database: what a [`BatchCall`](crate::BatchCall) on a [`Database`](crate::Database) hands to
/// its closures.
///
/// It goes back to the pool when the worker is done. A transaction belongs to the call that began it: one that a
/// call leaves open, because of an error or otherwise, is rolled back.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::{BatchCall, Database};
///
/// let db = Database::open("sqlite::memory:")?;
/// let report = BatchCall::new(&db)
///     .calls([1, 2, 3], |session, n| session.query::<i64>("SELECT $1 * 10", (n,)))
///     .execute()?;
/// assert_eq!(report.into_all()?, [[10], [20], [30]]);
/// # } Ok(()) }
/// ```
pub struct Connection {
    home: Arc<Home>,
    worker: Worker,
    /// `None` between the loss of one connection and the opening of the next.
    live: Option<Live>,
    in_transaction: bool,
    /// The run of a call that the transaction belongs to; `None` if it goes on over several.
    run: Option<u64>,
}

/// Where connections come from and go back to.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) settings: Settings,
    pub(crate) pool: Pool<Live>,
    pub(crate) cache: Option<Cache>,
}

impl Home {
    /// Forgets rows of a table, or of all, at the end of what is done with it.
    fn forget<'h>(&'h self, table: Option<&'h TableInfo>) -> Forget<'h> {
        Forget { cache: self.cache.as_ref(), table }
    }
}

/// A connection to one of the databases.
#[derive(Debug)]
pub(crate) enum Live {
    #[cfg(feature = "postgres")]
    Postgres(Box<super::postgres::Connection>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<super::sqlite::Connection>),
}

/// The same on either database.
macro_rules! on {
    ($live:expr, $driver:ident => $body:expr) => {
        match $live {
            #[cfg(feature = "postgres")]
            Live::Postgres($driver) => $body,
            #[cfg(feature = "sqlite")]
            Live::Sqlite($driver) => $body,
        }
    };
}

impl Live {
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file is opened at once"))]
    fn open(settings: &Settings, deadline: Deadline) -> Result<Self> {
        match &settings.target {
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => super::postgres::Connection::open(settings, deadline)
                .map(|each| Self::Postgres(Box::new(each))),
            #[cfg(feature = "sqlite")]
            Target::Sqlite(_) | Target::SqliteInMemory => {
                super::sqlite::Connection::open(settings).map(|each| Self::Sqlite(Box::new(each)))
            }
        }
    }

    fn interrupt(&self) -> Interrupt {
        on!(self, driver => driver.interrupt())
    }

    /// The same, if it can be used again. A database in memory is gone with its connection, so what a panic
    /// left open there is undone.
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "only SQLite is mended"))]
    fn sound(mut self) -> Option<Self> {
        #[cfg(feature = "sqlite")]
        if let Self::Sqlite(driver) = &mut self
            && driver.is_broken()
        {
            let _ = driver.roll_back();
        }
        let broken = on!(&self, driver => driver.is_broken());
        (!broken).then_some(self)
    }
}

impl Connection {
    /// Takes an idle connection of the pool, or opens one.
    pub(crate) fn take(home: &Arc<Home>, worker: &Worker) -> Result<Self> {
        let idle = home.pool.take(worker.deadline(), || worker.check())?;
        // From here on the place is given back by `drop`.
        let mut connection = Self {
            home: Arc::clone(home),
            worker: worker.clone(),
            live: idle,
            in_transaction: false,
            run: None,
        };
        if connection.live.is_some() {
            worker.reused_session();
        }
        connection.ready()?;
        Ok(connection)
    }

    /// The worker that it is for.
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        self.live.as_ref().map(Live::interrupt)
    }

    /// Whether [`Connection::begin`] was called, and the connection has held since.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction && self.live.as_ref().is_some_and(|live| !on!(live, driver => driver.is_broken()))
    }

    /// A connection that works, the old one or a new one.
    fn ready(&mut self) -> Result<&mut Live> {
        self.worker.check()?;
        if self.run.is_some_and(|run| run != self.runs()) {
            // Of a call before this one, which is over.
            let _ = self.roll_back();
        }
        self.live = self.live.take().and_then(Live::sound);
        if self.live.is_none() {
            // Until its end is asked for, so that nothing that belongs to it is done outside.
            if self.in_transaction {
                let message = "the connection of the transaction is gone, and with it what was done";
                return Err(Error::new(ErrorKind::Interrupted, message).with_delivery(Delivery::NotSent));
            }
            let live = Live::open(&self.home.settings, self.worker.deadline())?;
            self.worker.on_interrupt(live.interrupt());
            self.live = Some(live);
        }
        let live = self.live.as_mut().expect("opened above");
        on!(live, driver => driver.set_deadline(self.worker.deadline()));
        // Again: an interrupt between the first look and `set_deadline` is forgotten by SQLite, but what it was
        // for is known before it is sent.
        self.worker.check()?;
        Ok(live)
    }

    /// Does something on a connection that works.
    fn run<R>(&mut self, work: impl FnOnce(&mut Live) -> Result<R>) -> Result<R> {
        let done = work(self.ready()?);
        done.map_err(|error| match self.worker.check() {
            // Told to end by us: why, the database does not know.
            Err(reason) if error.kind() == ErrorKind::Interrupted => error.with_kind(reason.kind()),
            _ => error,
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) when one is open; otherwise what the database says.
    pub fn begin(&mut self) -> Result<()> {
        self.begin_for_all()?;
        self.run = Some(self.runs());
        Ok(())
    }

    /// As [`begin`](Self::begin), for the calls that follow too.
    pub(crate) fn begin_for_all(&mut self) -> Result<()> {
        self.ready()?;
        if self.in_transaction {
            return Err(Error::new(ErrorKind::Invalid, "a transaction is open already")
                .with_delivery(Delivery::NotSent));
        }
        on!(self.ready()?, driver => driver.begin())?;
        (self.in_transaction, self.run) = (true, None);
        Ok(())
    }

    fn runs(&self) -> u64 {
        self.worker.counters().runs.load(Ordering::Relaxed)
    }

    /// Makes what was done since [`begin`](Self::begin) last. When that fails, it is undone: the transaction is
    /// over in any case.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](ErrorKind::Interrupted) when the connection was lost before, and nothing was done. When
    /// it is lost during the commit, the error is in doubt.
    pub fn commit(&mut self) -> Result<()> {
        let home = Arc::clone(&self.home);
        // What was written since the beginning shows from now on.
        let _forget = home.forget(None);
        let live = match self.ready() {
            Ok(live) => live,
            Err(error) => {
                // Lost, or not even asked for: then it is rolled back.
                let _ = self.roll_back();
                return Err(error);
            }
        };
        let done = on!(live, driver => driver.commit());
        if done.is_err() {
            // SQLite keeps it open.
            let _ = on!(live, driver => driver.roll_back());
        }
        (self.in_transaction, self.run) = (false, None);
        done
    }

    /// Undoes what was done since [`begin`](Self::begin). Does nothing where no transaction is open.
    ///
    /// # Errors
    ///
    /// As the database says; what was done is undone all the same, at the latest when the connection ends.
    pub fn roll_back(&mut self) -> Result<()> {
        self.run = None;
        if !std::mem::take(&mut self.in_transaction) {
            return Ok(());
        }
        // Also after the deadline: it must not stay open.
        match &mut self.live {
            Some(live) => on!(live, driver => driver.roll_back()),
            None => Ok(()),
        }
    }

    /// Runs a statement and says how many rows it affected.
    ///
    /// Parameters are a tuple or list for `$1`, `$2`, .., a struct or map for `:name`, or `()` for none.
    ///
    /// # Errors
    ///
    /// What the database says; [`Invalid`](ErrorKind::Invalid) for parameters that do not fit.
    pub fn execute(&mut self, sql: &str, params: impl Serialize) -> Result<u64> {
        Ok(self.execute_many(sql, &[params])?.first().copied().unwrap_or(0))
    }

    /// Runs a query and gives its rows, each as a struct, a map, a tuple or a single value.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); [`Protocol`](ErrorKind::Protocol) when a row does not fit the type.
    pub fn query<T: DeserializeOwned>(&mut self, sql: &str, params: impl Serialize) -> Result<Vec<T>> {
        Ok(self.query_many(sql, &[params])?.pop().unwrap_or_default())
    }

    /// Runs a statement once for each set of parameters, all in one transaction.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), with the place of the set in [`Error::record_index`].
    pub fn execute_many<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(None);
        self.run(|live| on!(live, driver => driver.execute(sql, sets)))
    }

    /// Runs a query once for each set of parameters.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), with the place of the set in [`Error::record_index`].
    pub fn query_many<P: Serialize, T: DeserializeOwned>(
        &mut self,
        sql: &str,
        sets: &[P],
    ) -> Result<Vec<Vec<T>>> {
        let home = Arc::clone(&self.home);
        let reads = sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let _forget = (!reads).then(|| home.forget(None));
        self.run(|live| on!(live, driver => driver.query(sql, sets)))
    }

    pub(crate) fn describe(&mut self, name: &TableName) -> Result<TableInfo> {
        self.run(|live| on!(live, driver => driver.describe(name)))
    }

    pub(crate) fn insert<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
    ) -> Result<Done<T>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(Some(chunk.table));
        self.run(|live| on!(live, driver => driver.insert(chunk)))
    }

    pub(crate) fn upsert<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(None);
        self.run(|live| on!(live, driver => driver.upsert(chunk, conflict)))
    }

    pub(crate) fn update<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        key: &[usize],
    ) -> Result<Done<T>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(None);
        self.run(|live| on!(live, driver => driver.update(chunk, key)))
    }

    pub(crate) fn update_all<V: Serialize>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        values: &V,
    ) -> Result<Done<()>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(None);
        self.run(|live| on!(live, driver => driver.update_all(table, key, keys, values)))
    }

    pub(crate) fn delete<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>> {
        let home = Arc::clone(&self.home);
        let _forget = home.forget(None);
        self.run(|live| on!(live, driver => driver.delete(table, key, keys, isolate, returning)))
    }

    pub(crate) fn get<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        key: &[usize],
        keys: &[Key],
    ) -> Result<(Vec<Option<T>>, Cost)> {
        self.run(|live| on!(live, driver => driver.get(table, columns, key, keys)))
    }

    pub(crate) fn get_by<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        column: usize,
        values: &[Key],
    ) -> Result<(Vec<(Key, T)>, Cost)> {
        self.run(|live| on!(live, driver => driver.get_by(table, column, values)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let clean = self.roll_back().is_ok() && !std::thread::panicking();
        match self.live.take().filter(|_| clean).and_then(Live::sound) {
            Some(live) => self.home.pool.put(live),
            None => self.home.pool.lose(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("in_transaction", &self.in_transaction).finish_non_exhaustive()
    }
}
