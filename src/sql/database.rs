//! The way in: a URL, its pool of connections, its tables.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::{Cache, CacheConfig};
use super::catalog::{TableInfo, TableName};
use super::connection::{Connection, Home};
use super::metrics::Metrics;
use super::pool::Pool;
use super::settings::{Settings, Target};
use super::table::Table;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A PostgreSQL or SQLite database, and its open connections.
///
/// Cheap to clone; clones share the connections. Connections are opened when they are first needed, at most
/// [`max_connections`](DatabaseBuilder::max_connections) of them, and are closed with the last clone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::Database;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Product {
///     id: i64,
///     name: String,
///     price: f64,
/// }
///
/// let db = Database::open("sqlite::memory:")?;
/// db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL)", ())?;
///
/// let products = db.table::<Product>("products");
/// let written = products.insert([
///     Product { id: 1, name: "Nut".into(), price: 0.05 },
///     Product { id: 2, name: "Bolt".into(), price: 0.25 },
/// ])?;
/// assert_eq!(written.inserted(), 2);
///
/// let found = products.get([2, 3])?;
/// assert_eq!(found[0].as_ref().map(|product| product.name.as_str()), Some("Bolt"));
/// assert_eq!(found[1], None);
/// # } Ok(()) }
/// ```
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    home: Arc<Home>,
    tables: Mutex<HashMap<TableName, Arc<TableInfo>>>,
    metrics: Mutex<Vec<Metrics>>,
}

/// How a [`Database`] is opened.
#[derive(Debug, Clone)]
#[must_use]
pub struct DatabaseBuilder {
    max_connections: usize,
    cache: Option<CacheConfig>,
    settings: Result<Settings, String>,
}

/// How many verbs' figures are kept.
const KEPT: usize = 1000;

impl Database {
    /// A database by its URL, with the defaults: `postgres://user:password@host/name`, `sqlite:path` or
    /// `sqlite::memory:`.
    ///
    /// Connects once, so that a wrong password or name is told here.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a URL that is none, or whose database this build has no feature for;
    /// otherwise as [`DatabaseBuilder::build`].
    pub fn open(url: &str) -> Result<Self> {
        Self::builder(url).build()
    }

    /// A database by its URL.
    pub fn builder(url: &str) -> DatabaseBuilder {
        let settings = target(url).map(|target| Settings {
            target,
            statement_timeout: None,
            connect_timeout: Duration::from_secs(10),
            root_certificates: Vec::new(),
            busy_timeout: Duration::from_secs(5),
            wal: false,
        });
        DatabaseBuilder { max_connections: 8, cache: None, settings }
    }

    /// A table or view, by its name or `schema.name`, with rows of this type: a struct, or
    /// [`Record`](crate::Record) for whatever columns there are.
    ///
    /// Nothing is asked of the database yet; a table that does not exist is told by its verbs.
    pub fn table<T>(&self, name: &str) -> Table<'_, T> {
        Table::new(self, name)
    }

    /// Runs a statement, or several without parameters separated by `;`, and says how many rows it affected.
    ///
    /// Parameters are a tuple or list for `$1`, `$2`, .., a struct or map for `:name`, or `()` for none.
    ///
    /// # Errors
    ///
    /// What the database says; [`Invalid`](ErrorKind::Invalid) for parameters that do not fit.
    pub fn execute(&self, sql: &str, params: impl Serialize) -> Result<u64> {
        self.connection()?.execute(sql, params)
    }

    /// Runs a query and gives its rows, each as a struct, a map, a tuple or a single value.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); [`Protocol`](ErrorKind::Protocol) when a row does not fit the type.
    pub fn query<T: DeserializeOwned>(&self, sql: &str, params: impl Serialize) -> Result<Vec<T>> {
        self.connection()?.query(sql, params)
    }

    /// Runs a statement once for each set of parameters, all in one transaction, and says how many rows each
    /// affected.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// use batchcall::Database;
    ///
    /// let db = Database::open("sqlite::memory:")?;
    /// db.execute("CREATE TABLE stock (id INTEGER PRIMARY KEY, level INTEGER)", ())?;
    /// db.execute_many("INSERT INTO stock VALUES ($1, $2)", &[(1, 10), (2, 20)])?;
    /// assert_eq!(db.execute_many("UPDATE stock SET level = 0 WHERE id = $1", &[[1], [3]])?, [1, 0]);
    /// # } Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), with the place of the set in [`Error::record_index`]; nothing is done
    /// then.
    pub fn execute_many<P: Serialize>(&self, sql: &str, params: impl AsRef<[P]>) -> Result<Vec<u64>> {
        self.connection()?.execute_many(sql, params.as_ref())
    }

    /// Runs a query once for each set of parameters, and gives the rows of each.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), with the place of the set in [`Error::record_index`].
    pub fn query_many<P: Serialize, T: DeserializeOwned>(
        &self,
        sql: &str,
        params: impl AsRef<[P]>,
    ) -> Result<Vec<Vec<T>>> {
        self.connection()?.query_many(sql, params.as_ref())
    }

    /// A connection for the caller's own thread, back in the pool when it is dropped.
    ///
    /// # Errors
    ///
    /// [`SeatLimit`](ErrorKind::SeatLimit) when all connections are in use for half a minute; otherwise why none
    /// could be opened.
    pub fn connection(&self) -> Result<Connection> {
        self.connection_until(Deadline::never())
    }

    pub(crate) fn connection_until(&self, deadline: Deadline) -> Result<Connection> {
        Connection::take(&self.0.home, &Worker::detached(deadline))
    }

    /// What the database says of a table, asked once.
    pub(crate) fn describe(&self, name: &TableName, deadline: Deadline) -> Result<Arc<TableInfo>> {
        if let Some(info) = self.tables().get(name) {
            return Ok(Arc::clone(info));
        }
        self.describe_on(&mut self.connection_until(deadline)?, name)
    }

    /// As [`Database::describe`], on a connection at hand.
    pub(crate) fn describe_on(
        &self,
        connection: &mut Connection,
        name: &TableName,
    ) -> Result<Arc<TableInfo>> {
        if let Some(info) = self.tables().get(name) {
            return Ok(Arc::clone(info));
        }
        let info = Arc::new(connection.describe(name)?);
        self.tables().insert(name.clone(), Arc::clone(&info));
        Ok(info)
    }

    /// Forgets what was asked about tables. Needed after `ALTER TABLE`, by this program or another.
    pub fn forget_tables(&self) {
        self.tables().clear();
        self.forget_rows();
    }

    /// Forgets the rows that were kept by [`cache`](DatabaseBuilder::cache). Needed where another program, or a
    /// trigger, writes rows that have to show before their time to live is over.
    pub fn forget_rows(&self) {
        if let Some(cache) = self.cache() {
            cache.forget_all();
        }
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.home.cache.as_ref()
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, HashMap<TableName, Arc<TableInfo>>> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures of the last verbs on its tables, the latest last; at most a thousand.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metrics> {
        self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keep(&self, metrics: Metrics) {
        let mut kept = self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(metrics);
    }

    /// Whether several connections may write at once.
    pub(crate) fn has_many_writers(&self) -> bool {
        match self.0.home.settings.target {
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Target::Sqlite(_) | Target::SqliteInMemory => false,
        }
    }
}

impl DatabaseBuilder {
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        if let Ok(settings) = &mut self.settings {
            set(settings);
        }
        self
    }

    /// The most connections at once. Defaults to 8; SQLite in memory has one.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Keeps rows that [`Table::get`] has read. Defaults to keeping none.
    pub fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The longest that a statement may take. Defaults to no limit but the batch's deadline.
    pub fn statement_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.statement_timeout = Some(timeout))
    }

    /// The longest that opening a connection may take. Defaults to 10 seconds.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.connect_timeout = timeout)
    }

    /// A PEM certificate to trust besides the public ones, for TLS to PostgreSQL; `sslmode` in the URL says
    /// whether TLS is used.
    pub fn root_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        self.set(|settings| settings.root_certificates.push(pem.into()))
    }

    /// How long SQLite waits for another process that writes. Defaults to 5 seconds.
    pub fn busy_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.busy_timeout = timeout)
    }

    /// Whether SQLite's journal is a write-ahead log: readers and a writer at once, but slower for one large
    /// load (790,000 rows/s instead of 985,000 where we measured). Defaults to `false`.
    pub fn wal(self, wal: bool) -> Self {
        self.set(|settings| settings.wal = wal)
    }

    /// The database, with one connection open.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a URL that is none; [`Auth`](ErrorKind::Auth) for a wrong password,
    /// [`NotFound`](ErrorKind::NotFound) for a database that is not there, [`Connect`](ErrorKind::Connect)
    /// when the server cannot be reached.
    pub fn build(self) -> Result<Database> {
        let refuse =
            |message: String| Err(Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent));
        let settings = match self.settings {
            Ok(settings) => settings,
            Err(message) => return refuse(message),
        };
        if self.max_connections == 0 {
            return refuse("max_connections is 1 or more".to_owned());
        }
        let most = match settings.target {
            // Each connection would have a database of its own.
            #[cfg(feature = "sqlite")]
            Target::SqliteInMemory => 1,
            _ => self.max_connections,
        };
        let cache = self.cache.as_ref().map(Cache::new);
        let home = Arc::new(Home { settings, pool: Pool::new(most), cache });
        let database = Database(Arc::new(Inner {
            home,
            tables: Mutex::new(HashMap::new()),
            metrics: Mutex::new(Vec::new()),
        }));
        drop(database.connection()?);
        Ok(database)
    }
}

/// Which database a URL names.
fn target(url: &str) -> Result<Target, String> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(Target::Postgres(crate::Secret::new(url))),
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => Err("PostgreSQL needs the feature `postgres` of batchcall".to_owned()),
        #[cfg(feature = "sqlite")]
        "sqlite" => match url["sqlite:".len()..].trim_start_matches("//") {
            "" => Err("sqlite: needs a path, or :memory:".to_owned()),
            ":memory:" => Ok(Target::SqliteInMemory),
            path => Ok(Target::Sqlite(std::path::PathBuf::from(path))),
        },
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err("SQLite needs the feature `sqlite` of batchcall".to_owned()),
        // The text may hold a password.
        _ => {
            Err("a database is postgres://user:password@host/name, sqlite:path or sqlite::memory:".to_owned())
        }
    }
}

impl Connect for Database {
    type Session = Connection;

    fn connect(&self, worker: &Worker) -> Result<Connection> {
        Connection::take(&self.0.home, worker)
    }

    fn max_sessions(&self) -> Option<usize> {
        Some(self.0.home.pool.most())
    }

    fn interrupt(&self, session: &Connection) -> Option<Interrupt> {
        session.interrupt()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0.home.settings.target {
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => "PostgreSQL",
            #[cfg(feature = "sqlite")]
            Target::Sqlite(_) | Target::SqliteInMemory => "SQLite",
        };
        f.debug_struct("Database").field("kind", &kind).finish_non_exhaustive()
    }
}
