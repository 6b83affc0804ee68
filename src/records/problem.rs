//! What is wrong with the input: everything, each with its place.

use std::fmt;

use crate::error::{Delivery, Error, ErrorKind, FieldError};

/// One thing that is wrong with an operation, found before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which operation of the list, from 0; `None` where only one was looked at.
    pub operation: Option<usize>,
    /// Which record of the operation, from 0; `None` where it is about the whole operation.
    pub record: Option<usize>,
    /// Which field of the record.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// About a whole operation.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { operation: None, record: None, field: None, message: message.into() }
    }

    /// About a record.
    pub(crate) fn of_record(record: usize, message: impl Into<String>) -> Self {
        Self { record: Some(record), ..Self::new(message) }
    }

    /// About a field.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// In an operation of a list.
    pub(crate) fn operation(mut self, operation: usize) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Where it is: `operation 1, record 3, field id`.
    #[must_use]
    pub fn place(&self) -> String {
        let parts = [
            self.operation.map(|operation| format!("operation {operation}")),
            self.record.map(|record| format!("record {record}")),
            self.field.as_ref().map(|field| format!("field {field}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        if place.is_empty() { f.write_str(&self.message) } else { write!(f, "{place}: {}", self.message) }
    }
}

/// How many problems an error's message spells out; all of them are in its fields.
const SPELLED: usize = 10;

/// Refuses what has problems: one error that names them all.
pub(crate) fn refuse(problems: &[Problem]) -> crate::Result<()> {
    let Some(first) = problems.first() else { return Ok(()) };
    let mut message = problems.iter().take(SPELLED).map(Problem::to_string).collect::<Vec<_>>().join("; ");
    if problems.len() > SPELLED {
        message.push_str(&format!("; and {} more", problems.len() - SPELLED));
    }
    let fields = problems.iter().map(|problem| FieldError::new(problem.place(), problem.message.as_str()));
    let error = Error::new(ErrorKind::Invalid, message)
        .with_field_errors(fields.collect())
        .with_delivery(Delivery::NotSent);
    Err(match first.record {
        Some(record) if problems.len() == 1 => error.with_record_index(record),
        _ => error,
    })
}
