//! Conditions: comparisons joined by `&`, `|` and `!`.

use std::ops::{BitAnd, BitOr, Not};

use super::dialect::Dialect;
use super::field::{Expr, call};
use crate::{Error, ErrorKind, Result};

/// A condition that records must meet.
///
/// Made by the comparisons of a [`Field`](super::Field) and joined by `&`, `|` and `!`. It knows no
/// dialect until it is rendered, so one filter serves every server.
///
/// ```
/// use batchcall::acumatica::{Dialect, field};
///
/// let filter = (field("Status").eq("Open") | field("Status").eq("Hold")) & !field("Total").lt(100);
/// assert_eq!(
///     filter.render(Dialect::Contract4)?,
///     "(Status eq 'Open' or Status eq 'Hold') and not (Total lt 100)"
/// );
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Filter(pub(super) Node);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Compare(Comparison, Expr, Expr),
    Call(&'static str, Vec<Expr>),
    In(Expr, Vec<Expr>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Raw(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Comparison(pub(super) &'static str);

impl Filter {
    /// A condition in the server's own words, for what the builder does not offer.
    ///
    /// It is sent as it is, so never put a value from outside into it: the builder quotes values.
    /// Joined to others it is put between parentheses.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, Filter, field};
    ///
    /// let filter = field("Status").eq("Open") & Filter::raw("a eq 1 or b eq 2");
    /// assert_eq!(filter.render(Dialect::OData4)?, "Status eq 'Open' and (a eq 1 or b eq 2)");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn raw(text: impl Into<String>) -> Self {
        Self(Node::Raw(text.into()))
    }

    /// The condition as the dialect spells it, not percent-encoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the dialect lacks a function or an operator, when a name is no name of
    /// a field, or when a value has no literal (a float that is no number, a list without values).
    pub fn render(&self, dialect: Dialect) -> Result<String> {
        match &self.0 {
            Node::Compare(comparison, left, right) => compare(*comparison, left, right, dialect),
            Node::Call(function, arguments) => call(function, arguments, dialect),
            Node::In(field, values) if values.is_empty() => {
                let name = field.render(dialect)?;
                Err(invalid(format!("the list that {name} is looked up in is empty, so nothing would match")))
            }
            Node::In(field, values) if dialect == Dialect::Contract5 && values.len() > 1 => {
                let values = values.iter().map(|value| value.render(dialect)).collect::<Result<Vec<_>>>()?;
                Ok(format!("{} in ({})", field.render(dialect)?, values.join(",")))
            }
            Node::In(field, values) => {
                let each = values.iter().map(|value| compare(Comparison("eq"), field, value, dialect));
                Ok(each.collect::<Result<Vec<_>>>()?.join(" or "))
            }
            Node::All(parts) => join(parts, " and ", dialect),
            Node::Any(parts) => join(parts, " or ", dialect),
            Node::Not(inner) => Ok(format!("not ({})", inner.render(dialect)?)),
            Node::Raw(text) if text.trim().is_empty() => Err(invalid("the filter is empty".to_owned())),
            Node::Raw(text) => Ok(text.clone()),
        }
    }

    /// Whether it must stand between parentheses beside another condition.
    fn is_compound(&self, dialect: Dialect) -> bool {
        match &self.0 {
            Node::All(_) | Node::Any(_) | Node::Raw(_) => true,
            Node::In(_, values) => dialect != Dialect::Contract5 && values.len() > 1,
            Node::Compare(..) | Node::Call(..) | Node::Not(_) => false,
        }
    }

    fn into_all(self) -> Vec<Self> {
        if let Node::All(parts) = self.0 { parts } else { vec![self] }
    }

    fn into_any(self) -> Vec<Self> {
        if let Node::Any(parts) = self.0 { parts } else { vec![self] }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn compare(Comparison(operator): Comparison, left: &Expr, right: &Expr, dialect: Dialect) -> Result<String> {
    let name = left.render(dialect)?;
    let value = right
        .render(dialect)
        .map_err(|error| Error::new(error.kind(), format!("{name} {operator} ..: {}", error.message())))?;
    Ok(format!("{name} {operator} {value}"))
}

fn join(parts: &[Filter], operator: &str, dialect: Dialect) -> Result<String> {
    let rendered = parts.iter().map(|part| {
        let text = part.render(dialect)?;
        Ok(if part.is_compound(dialect) { format!("({text})") } else { text })
    });
    Ok(rendered.collect::<Result<Vec<_>>>()?.join(operator))
}

impl BitAnd for Filter {
    type Output = Filter;

    fn bitand(self, other: Self) -> Self {
        let mut parts = self.into_all();
        parts.extend(other.into_all());
        Self(Node::All(parts))
    }
}

impl BitOr for Filter {
    type Output = Filter;

    fn bitor(self, other: Self) -> Self {
        let mut parts = self.into_any();
        parts.extend(other.into_any());
        Self(Node::Any(parts))
    }
}

impl Not for Filter {
    type Output = Filter;

    fn not(self) -> Self {
        match self.0 {
            Node::Not(inner) => *inner,
            node => Self(Node::Not(Box::new(Self(node)))),
        }
    }
}

#[cfg(test)]
mod tests;
