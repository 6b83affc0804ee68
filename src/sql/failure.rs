//! What the database itself said of an error.

use std::fmt;

use crate::error::Error;
use crate::records::outcome::SharedError;

/// A copy of an error, for another row that went down with it.
pub(crate) fn copy(error: &Error) -> Error {
    let copy = SharedError::copy_of(error);
    match DatabaseError::of(error) {
        Some(source) => copy.with_source(source.clone()),
        None => copy,
    }
}

/// What the database itself said: the source of an [`Error`] from PostgreSQL or SQLite.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::Database;
/// use batchcall::sql::DatabaseError;
///
/// let db = Database::open("sqlite::memory:")?;
/// let error = db.execute("CREATE TABEL t (id)", ()).unwrap_err();
/// assert!(DatabaseError::of(&error).is_some());
/// # } Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseError {
    pub(crate) message: String,
    pub(crate) sqlstate: Option<String>,
    pub(crate) constraint: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

impl DatabaseError {
    /// That of an error, if a database made it.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The database's message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The SQLSTATE such as `23505`; of SQLite the name of the extended code such as
    /// `SQLITE_CONSTRAINT_UNIQUE`.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    /// The constraint that was violated.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The column.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// More, such as which key was there already.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What the database suggests.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl std::error::Error for DatabaseError {}
