//! How connections are opened: what the builder collected.

use std::time::Duration;

/// Everything that opening a connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) target: Target,
    /// The longest a statement may take; the batch's deadline counts besides.
    pub(crate) statement_timeout: Option<Duration>,
    /// The longest that opening may take.
    pub(crate) connect_timeout: Duration,
    /// PEM certificates that are trusted besides the public ones, for PostgreSQL.
    pub(crate) root_certificates: Vec<Vec<u8>>,
    /// How long SQLite waits for another writer.
    pub(crate) busy_timeout: Duration,
    /// Whether SQLite's journal is a write-ahead log.
    pub(crate) wal: bool,
}

/// Which database.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A URL of PostgreSQL's form, or `key=value` pairs; it may contain the password.
    #[cfg(feature = "postgres")]
    Postgres(crate::Secret),
    #[cfg(feature = "sqlite")]
    Sqlite(std::path::PathBuf),
    /// Private to one connection, gone with it.
    #[cfg(feature = "sqlite")]
    SqliteInMemory,
}
