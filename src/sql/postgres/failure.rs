//! What PostgreSQL said of a failure, as the crate's error; and which row it means.

use std::error::Error as _;
use std::io;

use postgres::error::DbError;

use crate::error::{Delivery, Error, ErrorKind};
use crate::sql::failure::DatabaseError;

/// A failure inside a chunk.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The database refused a row: which one, where it said so.
    Data { error: Error, row: Option<usize> },
    /// Anything else: the chunk ends.
    Other(Error),
}

impl Trouble {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Data { error, .. } | Self::Other(error) => error,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Whether an error is about a row's data, so that its neighbours may be written without it.
pub(super) fn is_of_data(said: &DbError) -> bool {
    let code = said.code().code();
    matches!(code.get(..2), Some("22" | "23" | "44"))
        || code == "P0001"
        // A policy of row-level security; every other 42501 is about the table.
        || (code == "42501" && said.routine() == Some("ExecWithCheckOptions"))
}

/// The error of a statement that failed. `lost` says what a broken connection means for what was sent.
pub(super) fn error(cause: &postgres::Error, entity: Option<&str>, lost: Delivery) -> Error {
    let error = match cause.as_db_error() {
        Some(said) => said_error(said, lost),
        None => unsaid_error(cause, lost),
    };
    match entity {
        Some(entity) => error.with_entity(entity),
        None => error,
    }
}

fn said_error(said: &DbError, lost: Delivery) -> Error {
    let code = said.code().code();
    let kind = match code {
        "23505" | "23P01" => ErrorKind::Conflict,
        "42P01" | "3F000" | "3D000" => ErrorKind::NotFound,
        "42501" if is_of_data(said) => ErrorKind::Rejected,
        "42501" => ErrorKind::Forbidden,
        "P0001" => ErrorKind::Rejected,
        "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::Unavailable,
        // By `statement_timeout`, if one is set; the words are in the server's language.
        "57014" if said.message().contains("timeout") => ErrorKind::Timeout,
        "57014" => ErrorKind::Cancelled,
        _ => match code.get(..2) {
            Some("22" | "23" | "44") => ErrorKind::Rejected,
            Some("28") => ErrorKind::Auth,
            Some("42") => ErrorKind::Invalid,
            Some("53") => ErrorKind::Unavailable,
            Some("08") => ErrorKind::Interrupted,
            _ => ErrorKind::Database,
        },
    };
    // A server that ends the session answers, but not to what was asked.
    let delivery = if matches!(code, "57P01" | "57P02" | "57P03" | "57P05") || code.starts_with("08") {
        lost
    } else {
        Delivery::Answered
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    Error::new(kind, said.message()).with_remote_name(code).with_delivery(delivery).with_source(
        DatabaseError {
            message: said.message().to_owned(),
            sqlstate: Some(code.to_owned()),
            constraint: text(said.constraint()),
            table: text(said.table()),
            column: text(said.column()),
            detail: text(said.detail()),
            hint: text(said.hint()),
        },
    )
}

fn unsaid_error(cause: &postgres::Error, lost: Delivery) -> Error {
    let within = cause.source();
    let broken = cause.is_closed() || within.is_some_and(|within| within.is::<io::Error>());
    let message = match within {
        Some(within) => format!("{cause}: {within}"),
        None => cause.to_string(),
    };
    if broken {
        Error::new(ErrorKind::Interrupted, message).with_delivery(lost)
    } else {
        Error::new(ErrorKind::Protocol, message).with_delivery(lost)
    }
}

/// The error of a connection that could not be opened.
pub(super) fn opening(cause: &postgres::Error) -> Error {
    let error = match cause.as_db_error() {
        Some(said) => said_error(said, Delivery::NotSent),
        None => unsaid_error(cause, Delivery::NotSent),
    };
    let text = cause.to_string();
    match error.kind() {
        ErrorKind::Interrupted | ErrorKind::Protocol if text.contains("TLS") => {
            // A certificate that is not trusted is not trusted a second later either.
            let permanent = error.kind() == ErrorKind::Protocol || error.message().contains("certificate");
            Error::new(ErrorKind::Connect, error.message()).with_permanent(permanent)
        }
        ErrorKind::Interrupted => Error::new(ErrorKind::Connect, error.message()),
        ErrorKind::Protocol if text.contains("authentication") || text.contains("configuration") => {
            Error::new(ErrorKind::Auth, error.message())
        }
        _ => return error,
    }
    .with_delivery(Delivery::NotSent)
}

/// The line that COPY names in the context of an error: `COPY products, line 3, column price: "x"`.
///
/// The word for "line" is in the server's language, so the first number after the table's name is taken.
/// What a trigger adds stands before, and the value, which may contain anything, after it.
pub(super) fn copy_line(context: &str, table: &str) -> Option<usize> {
    let start = format!("COPY {table}, ");
    let found = context
        .match_indices(&start)
        .find(|(at, _)| *at == 0 || context.as_bytes()[at - 1] == b'\n')
        .map(|(at, _)| &context[at + start.len()..])
        // Languages that put the name first.
        .or_else(|| context.find(table).map(|at| &context[at + table.len()..]))?;
    let digits: String =
        found.chars().skip_while(|each| !each.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|line| *line > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_in_any_language() {
        assert_eq!(copy_line("COPY t, line 3", "t"), Some(3));
        assert_eq!(copy_line("COPY t2, line 3, column a7: \"line 9\"", "t2"), Some(3));
        assert_eq!(copy_line("COPY t, Zeile 12, Spalte a: \u{bb}x\u{ab}", "t"), Some(12));
        assert_eq!(copy_line("COPY t, 行 4", "t"), Some(4));
        assert_eq!(copy_line("t 복사, 5번째 줄", "t"), Some(5));
        assert_eq!(copy_line("COPY we\"ird, line 4, line 5, column a: \"1\"", "we\"ird, line 4"), Some(5));
        let trigger = "PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 2: \"a\"";
        assert_eq!(copy_line(trigger, "t"), Some(2));
        assert_eq!(copy_line("COPY t, line 2, column a: \"\nCOPY t, line 9\"", "t"), Some(2));
        assert_eq!(copy_line("SQL statement \"SELECT 1\"", "products"), None);
    }
}
