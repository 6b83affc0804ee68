//! SQLite's errors as the crate's: the kind, the constraint and the column that the message names.

use rusqlite::ffi;

use super::super::catalog::TableName;
use super::super::failure::DatabaseError;
use crate::error::{Delivery, Error, ErrorKind, FieldError};

/// What SQLite refused, as the crate's error.
pub(super) fn error(failed: rusqlite::Error, table: Option<&TableName>) -> Error {
    let (code, text) = match &failed {
        rusqlite::Error::SqliteFailure(code, text) => {
            (*code, text.clone().unwrap_or_else(|| code.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, sql, offset } => {
            let at = usize::try_from(*offset).ok().and_then(|offset| sql.get(offset..));
            let near: String = at.unwrap_or_default().chars().take(40).collect();
            let text = if near.is_empty() { msg.clone() } else { format!("{msg}, at {near:?}") };
            (*error, text)
        }
        rusqlite::Error::MultipleStatement => {
            return Error::new(ErrorKind::Invalid, "several statements take no parameters")
                .with_delivery(Delivery::NotSent);
        }
        other => {
            let message = other.to_string();
            return Error::new(ErrorKind::Database, message)
                .with_source(failed)
                .with_delivery(Delivery::Answered);
        }
    };
    let place = Place::read(&text);
    let table_name = table.map(ToString::to_string).or_else(|| place.table.clone());
    let source = DatabaseError {
        message: text.clone(),
        sqlstate: Some(name(code.extended_code).to_owned()),
        constraint: place.constraint,
        table: table_name.clone(),
        column: place.column.clone(),
        detail: None,
        hint: None,
    };
    let mut error = Error::new(kind(code.extended_code, &text), text.clone())
        .with_remote_name(name(code.extended_code))
        .with_delivery(Delivery::Answered)
        .with_source(source);
    if let Some(name) = table_name {
        error = error.with_entity(name);
    }
    if let Some(column) = place.column {
        error = error.with_field_errors(vec![FieldError::new(column, text)]);
    }
    error
}

/// Whether a commit failed because of a reference to a row that is not there.
pub(super) fn is_foreign_key(failed: &rusqlite::Error) -> bool {
    matches!(failed, rusqlite::Error::SqliteFailure(code, _)
        if code.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Whether a statement was ended, or ended waiting.
pub(super) fn is_stopped(failed: &rusqlite::Error) -> bool {
    failed.sqlite_error_code().is_some_and(|code| {
        matches!(code, rusqlite::ErrorCode::OperationInterrupted | rusqlite::ErrorCode::DatabaseBusy)
    })
}

fn kind(extended: i32, text: &str) -> ErrorKind {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return ErrorKind::Conflict;
        }
        _ => {}
    }
    match extended & 0xff {
        ffi::SQLITE_CONSTRAINT => ErrorKind::Rejected,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => ErrorKind::Unavailable,
        ffi::SQLITE_INTERRUPT => ErrorKind::Timeout,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => ErrorKind::Forbidden,
        ffi::SQLITE_CANTOPEN => ErrorKind::NotFound,
        ffi::SQLITE_MISMATCH | ffi::SQLITE_TOOBIG | ffi::SQLITE_RANGE => ErrorKind::Invalid,
        ffi::SQLITE_ERROR if text.starts_with("no such table") => ErrorKind::NotFound,
        ffi::SQLITE_ERROR if is_wrong_sql(text) => ErrorKind::Invalid,
        _ => ErrorKind::Database,
    }
}

fn is_wrong_sql(text: &str) -> bool {
    const STARTS: [&str; 5] =
        ["no such column", "no such function", "incomplete input", "unrecognized token", "ambiguous column"];
    STARTS.iter().any(|start| text.starts_with(start))
        || text.contains("syntax error")
        || text.contains(" has no column named ")
        || text.starts_with("wrong number of arguments")
        || text.contains(" values for ")
        || text.starts_with("cannot modify ")
        || text.starts_with("too many SQL variables")
}

/// What a message says of where it failed.
#[derive(Debug, Default, PartialEq)]
struct Place {
    constraint: Option<String>,
    table: Option<String>,
    column: Option<String>,
}

impl Place {
    /// From `UNIQUE constraint failed: t.a, t.b`, `CHECK constraint failed: price_is_positive`,
    /// `cannot store TEXT value in INTEGER column t.a`.
    fn read(text: &str) -> Self {
        if let Some((_, place)) = text.split_once("value in ").filter(|_| text.starts_with("cannot store ")) {
            let (table, column) = place
                .split_once(" column ")
                .and_then(|(_, column)| column.split_once('.'))
                .map_or((None, None), |(table, column)| (Some(table.to_owned()), Some(column.to_owned())));
            return Self { constraint: None, table, column };
        }
        let Some((what, rest)) = text.split_once(" constraint failed: ") else {
            return Self::default();
        };
        let constraint = Some(rest.to_owned());
        if what == "CHECK" || rest.starts_with("index '") {
            let constraint = rest.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\''));
            return Self { constraint: Some(constraint.unwrap_or(rest).to_owned()), ..Self::default() };
        }
        let mut columns = rest.split(", ").filter_map(|each| each.split_once('.'));
        let first = columns.next();
        let only = first.filter(|_| columns.next().is_none());
        Self {
            constraint: constraint.filter(|_| what != "NOT NULL"),
            table: first.map(|(table, _)| table.to_owned()),
            column: only.map(|(_, column)| column.to_owned()),
        }
    }
}

macro_rules! names {
    ($($code:ident),* $(,)?) => {
        /// The name of an extended code, or that of the plain code in it.
        fn name(extended: i32) -> &'static str {
            match extended {
                $(ffi::$code => stringify!($code),)*
                _ if extended > 0xff => name(extended & 0xff),
                _ => "SQLITE_ERROR",
            }
        }
    };
}
names![
    SQLITE_INTERNAL,
    SQLITE_PERM,
    SQLITE_ABORT,
    SQLITE_BUSY,
    SQLITE_LOCKED,
    SQLITE_NOMEM,
    SQLITE_READONLY,
    SQLITE_INTERRUPT,
    SQLITE_IOERR,
    SQLITE_CORRUPT,
    SQLITE_NOTFOUND,
    SQLITE_FULL,
    SQLITE_CANTOPEN,
    SQLITE_PROTOCOL,
    SQLITE_SCHEMA,
    SQLITE_TOOBIG,
    SQLITE_CONSTRAINT,
    SQLITE_MISMATCH,
    SQLITE_MISUSE,
    SQLITE_NOLFS,
    SQLITE_AUTH,
    SQLITE_RANGE,
    SQLITE_NOTADB,
    SQLITE_ABORT_ROLLBACK,
    SQLITE_BUSY_RECOVERY,
    SQLITE_BUSY_SNAPSHOT,
    SQLITE_BUSY_TIMEOUT,
    SQLITE_LOCKED_SHAREDCACHE,
    SQLITE_LOCKED_VTAB,
    SQLITE_CONSTRAINT_CHECK,
    SQLITE_CONSTRAINT_COMMITHOOK,
    SQLITE_CONSTRAINT_DATATYPE,
    SQLITE_CONSTRAINT_FOREIGNKEY,
    SQLITE_CONSTRAINT_FUNCTION,
    SQLITE_CONSTRAINT_NOTNULL,
    SQLITE_CONSTRAINT_PINNED,
    SQLITE_CONSTRAINT_PRIMARYKEY,
    SQLITE_CONSTRAINT_ROWID,
    SQLITE_CONSTRAINT_TRIGGER,
    SQLITE_CONSTRAINT_UNIQUE,
    SQLITE_CONSTRAINT_VTAB,
    SQLITE_READONLY_CANTLOCK,
    SQLITE_READONLY_DBMOVED,
    SQLITE_READONLY_DIRECTORY,
    SQLITE_READONLY_RECOVERY,
    SQLITE_READONLY_ROLLBACK,
    SQLITE_CANTOPEN_ISDIR,
    SQLITE_CANTOPEN_FULLPATH,
    SQLITE_CANTOPEN_NOTEMPDIR,
    SQLITE_CORRUPT_INDEX,
    SQLITE_CORRUPT_SEQUENCE,
    SQLITE_CORRUPT_VTAB,
    SQLITE_IOERR_FSYNC,
    SQLITE_IOERR_NOMEM,
    SQLITE_IOERR_READ,
    SQLITE_IOERR_SHORT_READ,
    SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE,
    SQLITE_IOERR_LOCK,
    SQLITE_AUTH_USER,
];
