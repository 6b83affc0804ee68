//! Why a value cannot be sent: found by the encoder, before anything of its row leaves.

use std::fmt;

use crate::error::{Delivery, Error, ErrorKind, FieldError};

/// How much of a value is shown.
const SHOWN: usize = 40;

/// A value that its column does not take. Boxed, so that the results of the encoder stay small.
#[derive(Debug)]
pub(super) struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    field: Option<String>,
    message: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { field: None, message: message.into() }))
    }

    /// A value that is not what the noun says.
    #[cold]
    pub(super) fn value(value: impl fmt::Display, noun: &str) -> Self {
        Self::new(format!("{} is not {noun}", shown(&value.to_string())))
    }

    /// Names the column or parameter.
    #[cold]
    pub(super) fn at(mut self, field: &str) -> Self {
        self.0.field.get_or_insert_with(|| field.to_owned());
        self
    }

    /// As the error of a row.
    pub(super) fn into_error(self, entity: &str, row: usize) -> Error {
        let Inner { field, message } = *self.0;
        let error = Error::new(ErrorKind::Invalid, message.clone())
            .with_delivery(Delivery::NotSent)
            .with_record_index(row);
        let error = if entity.is_empty() { error } else { error.with_entity(entity) };
        match field {
            Some(field) => error.with_field_errors(vec![FieldError::new(field, message)]),
            None => error,
        }
    }
}

/// The beginning of a value.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Refusal {}

impl serde::ser::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
