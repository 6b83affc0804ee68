//! Fields and what can be computed from them: the operands of a filter.

use std::fmt;
use std::ops::{Add, Div, Mul, Rem, Sub};

use super::dialect::Dialect;
use super::filter::{Comparison, Filter, Node};
use super::literal::{Literal, Operand, quoted};
use crate::{Error, ErrorKind, Result};

/// A field of the entity, or something computed from fields.
///
/// Made by [`field`] and [`custom_field`]; its comparisons make a [`Filter`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Field(pub(super) Expr);

/// Names a field: `Status`, or one of a linked entity: `MainContact/Email`, `MainContact.Email`.
///
/// Fields of detail lines cannot be filtered by: the result is unpredictable (Integration Development
/// Guide, 2026 R1).
///
/// ```
/// use batchcall::acumatica::{Dialect, field};
///
/// let filter = field("Status").eq("Active") & field("MainContact.Email").ends_with("@example.com");
/// assert_eq!(
///     filter.render(Dialect::Contract4)?,
///     "Status eq 'Active' and endswith(MainContact/Email,'@example.com')"
/// );
/// # Ok::<(), batchcall::Error>(())
/// ```
pub fn field(path: impl Into<String>) -> Field {
    Field(Expr::Path(path.into()))
}

/// Names a field that the endpoint does not define: one of a customization, a form or a user.
///
/// A user-defined field is `Attribute` and its id: `custom_field(CustomKind::String, "Document",
/// "AttributeCOLOR")`.
///
/// ```
/// use batchcall::acumatica::{CustomKind, Dialect, custom_field};
///
/// let filter = custom_field(CustomKind::String, "ItemSettings", "UsrRepairType").eq("Battery");
/// assert_eq!(
///     filter.render(Dialect::Contract4)?,
///     "cf.String(f='ItemSettings.UsrRepairType') eq 'Battery'"
/// );
/// assert_eq!(
///     filter.render(Dialect::Contract5)?,
///     "cf.String('ItemSettings.UsrRepairType') eq 'Battery'"
/// );
/// # Ok::<(), batchcall::Error>(())
/// ```
pub fn custom_field(kind: CustomKind, view: impl Into<String>, field: impl Into<String>) -> Field {
    Field(Expr::Custom { kind, view: view.into(), field: field.into() })
}

/// The type of a custom field, as the server names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CustomKind {
    /// Yes or no.
    Boolean,
    /// A whole number of one byte.
    Byte,
    /// A date, with its time.
    DateTime,
    /// A decimal number: money, quantities.
    Decimal,
    /// A floating-point number.
    Double,
    /// An id.
    Guid,
    /// A whole number of four bytes.
    Int,
    /// A whole number of eight bytes.
    Long,
    /// A whole number of two bytes.
    Short,
    /// Text.
    String,
}

impl CustomKind {
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Byte,
        Self::DateTime,
        Self::Decimal,
        Self::Double,
        Self::Guid,
        Self::Int,
        Self::Long,
        Self::Short,
        Self::String,
    ];

    /// The name as filters have it: `String` of `cf.String(..)`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "Boolean",
            Self::Byte => "Byte",
            Self::DateTime => "DateTime",
            Self::Decimal => "Decimal",
            Self::Double => "Double",
            Self::Guid => "Guid",
            Self::Int => "Int",
            Self::Long => "Long",
            Self::Short => "Short",
            Self::String => "String",
        }
    }

    /// The name as records have it: `CustomStringField`.
    #[must_use]
    pub fn type_name(self) -> String {
        format!("Custom{}Field", self.as_str())
    }

    /// The kind that a record's `type` names.
    #[must_use]
    pub fn of_type_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("Custom")?.strip_suffix("Field")?;
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Path(String),
    Custom { kind: CustomKind, view: String, field: String },
    Literal(Literal),
    Call(&'static str, Vec<Expr>),
    Arithmetic(&'static str, Box<Expr>, Box<Expr>),
}

impl Expr {
    pub(super) fn render(&self, dialect: Dialect) -> Result<String> {
        match self {
            Self::Path(path) => field_path(path),
            Self::Custom { kind, view, field } => {
                let name = quoted(&format!("{}.{}", custom_name(view)?, custom_name(field)?));
                match dialect {
                    Dialect::Contract4 => Ok(format!("cf.{kind}(f={name})")),
                    Dialect::Contract5 => Ok(format!("cf.{kind}({name})")),
                    Dialect::OData4 => Err(lacks(dialect, "custom fields", "")),
                }
            }
            Self::Literal(literal) => literal.render(dialect),
            Self::Call(function, arguments) => call(function, arguments, dialect),
            Self::Arithmetic(operator, ..) if dialect == Dialect::Contract4 => {
                Err(lacks(dialect, &format!("the operator {operator}"), ""))
            }
            Self::Arithmetic(operator, left, right) => {
                Ok(format!("({} {operator} {})", left.render(dialect)?, right.render(dialect)?))
            }
        }
    }
}

/// A function, where the dialect has it. `contains` is how both spell "is part of": contract 4 has
/// `substringof`, which takes its arguments the other way round.
pub(super) fn call(function: &str, arguments: &[Expr], dialect: Dialect) -> Result<String> {
    let mut rendered =
        arguments.iter().map(|argument| argument.render(dialect)).collect::<Result<Vec<_>>>()?;
    let name = match (dialect, function) {
        (Dialect::Contract4, "contains") => {
            rendered.reverse();
            "substringof"
        }
        (Dialect::Contract4, "startswith" | "endswith") => function,
        (Dialect::Contract4, _) => {
            let known = "; it has contains (as substringof), starts_with and ends_with";
            return Err(lacks(dialect, &format!("the function {function}"), known));
        }
        _ => function,
    };
    Ok(format!("{name}({})", rendered.join(",")))
}

pub(super) fn lacks(dialect: Dialect, what: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{dialect} lacks {what}{hint}"))
}

/// A path with slashes, where every name is one: nothing in it can end the name and begin a condition.
pub(super) fn field_path(path: &str) -> Result<String> {
    let name = |name: &str| {
        name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if path.split(['/', '.']).all(name) {
        Ok(path.replace('.', "/"))
    } else {
        Err(Error::new(
            ErrorKind::Invalid,
            format!("{path:?} is not the name of a field, write one like Status or MainContact/Email"),
        ))
    }
}

/// A view or field of a customization. Ids of attributes may hold more than letters.
pub(super) fn custom_name(name: &str) -> Result<&str> {
    let breaks = |c: char| c.is_control() || ",/.()$;".contains(c);
    if name.trim().is_empty() || name.contains(breaks) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{name:?} is not the name of a custom field or its view"),
        ));
    }
    Ok(name)
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $operator:literal)*) => {$(
        $(#[$doc])*
        pub fn $name(self, value: impl Into<Operand>) -> Filter {
            Filter(Node::Compare(Comparison($operator), self.0, value.into().0))
        }
    )*};
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// Contract 4 has no such function and refuses it.
        pub fn $name(self) -> Field {
            self.call(stringify!($name), [])
        }
    )*};
}

impl Field {
    comparisons! {
        /// Equal; `None` is null.
        eq "eq"
        /// Not equal.
        ne "ne"
        /// Greater.
        gt "gt"
        /// Greater or equal.
        ge "ge"
        /// Less.
        lt "lt"
        /// Less or equal.
        le "le"
    }

    /// From `low` to `high`, both included.
    ///
    /// ```
    /// use batchcall::acumatica::{Date, Dialect, field};
    ///
    /// let january = field("Date").between(Date::new(2024, 1, 1)?, Date::new(2024, 1, 31)?);
    /// assert_eq!(january.render(Dialect::Contract5)?, "Date ge 2024-01-01 and Date le 2024-01-31");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn between(self, low: impl Into<Operand>, high: impl Into<Operand>) -> Filter {
        self.clone().ge(low) & self.le(high)
    }

    /// One of the values: `in` where the dialect has it (contract 5), else one comparison each.
    ///
    /// A list without values is refused when the filter is rendered: it would match nothing.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, field};
    ///
    /// let filter = field("Status").in_list(["Open", "Hold"]);
    /// assert_eq!(filter.render(Dialect::Contract4)?, "Status eq 'Open' or Status eq 'Hold'");
    /// assert_eq!(filter.render(Dialect::Contract5)?, "Status in ('Open','Hold')");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn in_list<V: Into<Operand>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        Filter(Node::In(self.0, values.into_iter().map(|value| value.into().0).collect()))
    }

    /// Has no value.
    pub fn is_null(&self) -> Filter {
        self.clone().eq(None::<&str>)
    }

    /// Has a value.
    pub fn is_not_null(&self) -> Filter {
        self.clone().ne(None::<&str>)
    }

    /// Has the text in it; rendered as `substringof` for contract 4.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, field};
    ///
    /// let filter = field("Description").contains("5' pipe");
    /// assert_eq!(filter.render(Dialect::Contract4)?, "substringof('5'' pipe',Description)");
    /// assert_eq!(filter.render(Dialect::Contract5)?, "contains(Description,'5'' pipe')");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn contains(self, text: impl Into<Operand>) -> Filter {
        Filter(Node::Call("contains", vec![self.0, text.into().0]))
    }

    /// Begins with the text.
    pub fn starts_with(self, text: impl Into<Operand>) -> Filter {
        Filter(Node::Call("startswith", vec![self.0, text.into().0]))
    }

    /// Ends with the text.
    pub fn ends_with(self, text: impl Into<Operand>) -> Filter {
        Filter(Node::Call("endswith", vec![self.0, text.into().0]))
    }

    functions! {
        /// The number of characters.
        length
        /// The text in small letters.
        tolower
        /// The text in capital letters.
        toupper
        /// The text without blanks around it.
        trim
        /// The year of a date.
        year
        /// The month of a date.
        month
        /// The day of the month of a date.
        day
        /// The hour of a point in time.
        hour
        /// The minute of a point in time.
        minute
        /// The second of a point in time.
        second
        /// The day of a point in time.
        date
        /// The number rounded to the nearest whole one.
        round
        /// The number rounded down.
        floor
        /// The number rounded up.
        ceiling
    }

    /// Where the text begins in it, counted from 0.
    ///
    /// Contract 4 has no such function and refuses it.
    pub fn indexof(self, text: impl Into<Operand>) -> Field {
        self.call("indexof", [text.into().0])
    }

    /// The text from a position on, counted from 0.
    ///
    /// Contract 4 has no such function and refuses it.
    pub fn substring(self, start: u32) -> Field {
        self.call("substring", [Operand::from(start).0])
    }

    /// The text with another after it.
    ///
    /// Contract 4 has no such function and refuses it.
    pub fn concat(self, text: impl Into<Operand>) -> Field {
        self.call("concat", [text.into().0])
    }

    fn call<const N: usize>(self, function: &'static str, more: [Expr; N]) -> Field {
        Field(Expr::Call(function, std::iter::once(self.0).chain(more).collect()))
    }
}

macro_rules! arithmetic {
    ($($operator:ident $method:ident $name:literal)*) => {$(
        /// Refused by contract 4, which documents no arithmetic.
        impl<T: Into<Operand>> $operator<T> for Field {
            type Output = Field;

            fn $method(self, other: T) -> Field {
                Field(Expr::Arithmetic($name, Box::new(self.0), Box::new(other.into().0)))
            }
        }
    )*};
}
arithmetic! { Add add "add" Sub sub "sub" Mul mul "mul" Div div "div" Rem rem "mod" }
