//! The value of a field, and how it comes from JSON and goes back.

use serde_json::Value;

use super::models::MODELS;
use super::python::{is_true, quoted, repr};
use super::schema::{Field, Kind, ModelId};
use super::trouble::{Result, Trouble};

/// The value of a field. `Unset` is SQL's NULL, which JSON shows as `false`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Cell {
    #[default]
    Unset,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    /// The ids of a many2many field.
    Ids(Box<[i64]>),
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The ids of a many2many or, as a list, the id of a many2one.
    pub(super) fn ids(&self) -> &[i64] {
        match self {
            Self::Ids(ids) => ids,
            Self::Int(id) => std::slice::from_ref(id),
            _ => &[],
        }
    }

    /// As `read` shows it, but for relational fields.
    pub(super) fn to_json(&self, kind: Kind) -> Value {
        match (self, kind) {
            (Self::Unset, Kind::Integer) => 0.into(),
            (Self::Unset, Kind::Float) => Value::from(0.0),
            (Self::Unset, Kind::Many2many(_) | Kind::One2many(..)) => Value::Array(Vec::new()),
            (Self::Unset, _) => Value::Bool(false),
            (Self::Bool(is), _) => Value::Bool(*is),
            (Self::Int(value), _) => (*value).into(),
            (Self::Float(value), _) => Value::from(*value),
            (Self::Text(text), _) => Value::from(&**text),
            (Self::Ids(ids), _) => ids.to_vec().into(),
        }
    }

    /// Converts what `create` and `write` were given, but for x2many commands.
    pub(super) fn from_json(model: ModelId, field: &Field, value: &Value) -> Result<Self> {
        let wrong = || {
            Trouble::value(format!("Wrong value for {}.{}: {}", MODELS[model].name, field.name, repr(value)))
        };
        Ok(match field.kind {
            Kind::Boolean => Self::Bool(is_true(value)),
            Kind::Char | Kind::Text | Kind::Html => match value {
                Value::Null | Value::Bool(false) => Self::Unset,
                Value::String(text) => Self::text(text),
                other => Self::text(&repr(other)),
            },
            Kind::Integer => match value {
                Value::Null | Value::Bool(false) => Self::Int(0),
                Value::Bool(true) => Self::Int(1),
                Value::Number(number) => Self::Int(truncated(number)),
                Value::String(text) => Self::Int(text.trim().parse().map_err(|_| {
                    Trouble::value(format!("invalid literal for int() with base 10: {}", quoted(text)))
                })?),
                _ => return Err(not_a_number("int() argument", value)),
            },
            Kind::Float => match value {
                Value::Null | Value::Bool(false) => Self::Float(0.0),
                Value::Bool(true) => Self::Float(1.0),
                Value::Number(number) => Self::Float(number.as_f64().unwrap_or_default()),
                Value::String(text) => Self::Float(text.trim().parse().map_err(|_| {
                    Trouble::value(format!("could not convert string to float: {}", quoted(text)))
                })?),
                _ => return Err(not_a_number("float() argument", value)),
            },
            Kind::Selection(choices) => match value {
                Value::Null | Value::Bool(false) => Self::Unset,
                Value::String(text) if choices.iter().any(|(key, _)| key == text) => Self::text(text),
                _ => return Err(wrong()),
            },
            Kind::Date => match value {
                Value::Null | Value::Bool(false) => Self::Unset,
                Value::String(text) if text.is_empty() => Self::Unset,
                Value::String(text) => {
                    // A date field takes the date of a time.
                    let date = text.get(..10).filter(|date| is_date(date));
                    Self::text(date.ok_or_else(|| does_not_match(text, "%Y-%m-%d"))?)
                }
                _ => return Err(wrong()),
            },
            Kind::Datetime => match value {
                Value::Null | Value::Bool(false) => Self::Unset,
                Value::String(text) if text.is_empty() => Self::Unset,
                Value::String(text) if is_date(text) => Self::text(&format!("{text} 00:00:00")),
                Value::String(text) if is_datetime(text) => Self::text(text),
                Value::String(text) => return Err(does_not_match(text, "%Y-%m-%d %H:%M:%S")),
                _ => return Err(wrong()),
            },
            Kind::Many2one(..) => match value {
                Value::Null | Value::Bool(false) => Self::Unset,
                Value::Number(number) if number.as_i64() == Some(0) => Self::Unset,
                Value::Number(number) if number.is_i64() => Self::Int(truncated(number)),
                // What `read` gave is taken back.
                Value::Array(pair) if pair.first().is_some_and(Value::is_i64) => {
                    Self::Int(pair[0].as_i64().unwrap_or_default())
                }
                _ => return Err(wrong()),
            },
            Kind::Many2many(_) | Kind::One2many(..) => return Err(wrong()),
        })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "as Python's int() does")]
fn truncated(number: &serde_json::Number) -> i64 {
    number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64)
}

fn not_a_number(what: &str, value: &Value) -> Trouble {
    let kind = if value.is_array() { "list" } else { "dict" };
    Trouble::kind(format!("{what} must be a string, a bytes-like object or a real number, not '{kind}'"))
}

fn does_not_match(text: &str, format: &str) -> Trouble {
    Trouble::value(format!("time data {} does not match format '{format}'", quoted(text)))
}

/// Whether it is a date as Odoo writes one: `2012-12-31`.
pub(super) fn is_date(text: &str) -> bool {
    fits(text, b"0000-00-00") && {
        let number = |range: std::ops::Range<usize>| text[range].parse::<u8>().unwrap_or(0);
        (1..=12).contains(&number(5..7)) && (1..=31).contains(&number(8..10))
    }
}

/// Whether it is a time as Odoo writes one: `2012-12-31 23:59:59`.
pub(super) fn is_datetime(text: &str) -> bool {
    fits(text, b"0000-00-00 00:00:00") && is_date(&text[..10]) && &text[11..13] < "24" && &text[14..16] < "60"
}

fn fits(text: &str, pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b == *p })
}
