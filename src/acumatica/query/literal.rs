//! Values inside a filter, and how each dialect spells them.

use std::borrow::Cow;

use uuid::Uuid;

use super::date::{Date, DateTime};
use super::dialect::Dialect;
use super::field::{Expr, Field};
use crate::{Error, ErrorKind, Result};

/// What a field is compared with: a value, or another field.
///
/// Made by `into()` from text, numbers, `bool`, [`Uuid`], [`Date`], [`DateTime`], [`Field`], and an
/// `Option` of any of them, where `None` is `null`.
///
/// ```
/// use batchcall::acumatica::{Dialect, field};
///
/// let filter = field("CustomerName").eq("O'Hara & Sons");
/// assert_eq!(filter.render(Dialect::Contract4)?, "CustomerName eq 'O''Hara & Sons'");
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Operand(pub(super) Expr);

impl Operand {
    /// A number with all its digits, such as `12.50`, which a float would not keep.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the text is no plain decimal number.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, Operand, field};
    ///
    /// let filter = field("UnitPrice").ge(Operand::decimal("1234567890123.45")?);
    /// assert_eq!(filter.render(Dialect::OData4)?, "UnitPrice ge 1234567890123.45");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn decimal(text: &str) -> Result<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if plain(whole) && plain(fraction) {
            Ok(Self(Expr::Literal(Literal::Number(text.to_owned()))))
        } else {
            Err(Error::new(
                ErrorKind::Invalid,
                format!("{text:?} is not a decimal number, write one like 12.50"),
            ))
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(String),
    Float(f64),
    Text(String),
    Guid(Uuid),
    Date(Date),
    DateTime(DateTime),
}

impl Literal {
    pub(super) fn render(&self, dialect: Dialect) -> Result<String> {
        let contract4 = dialect == Dialect::Contract4;
        Ok(match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(digits) => digits.clone(),
            // `Display` of a float never uses an exponent, which OData 3 servers may not read.
            Self::Float(value) if value.is_finite() => value.to_string(),
            Self::Float(value) => {
                return Err(Error::new(ErrorKind::Invalid, format!("{value} cannot be compared with")));
            }
            Self::Text(text) => quoted(text),
            Self::Guid(id) if contract4 => format!("guid'{id}'"),
            Self::Guid(id) => id.to_string(),
            // Contract 4 keeps days as midnights: there is no literal for a day alone in OData 3.
            Self::Date(date) if contract4 => format!("datetimeoffset'{}'", date.midnight()),
            Self::Date(date) => date.to_string(),
            Self::DateTime(time) if contract4 => format!("datetimeoffset'{time}'"),
            Self::DateTime(time) => time.to_string(),
        })
    }
}

/// A text between quotes; the quotes in it doubled, which is all that OData escapes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

macro_rules! operands {
    ($($type:ty => |$value:ident| $literal:expr;)*) => {$(
        impl From<$type> for Operand {
            fn from($value: $type) -> Self {
                Self(Expr::Literal($literal))
            }
        }
    )*};
}
operands! {
    &str => |value| Literal::Text(value.to_owned());
    String => |value| Literal::Text(value);
    &String => |value| Literal::Text(value.clone());
    Cow<'_, str> => |value| Literal::Text(value.into_owned());
    char => |value| Literal::Text(value.to_string());
    bool => |value| Literal::Bool(value);
    i8 => |value| Literal::Number(value.to_string());
    i16 => |value| Literal::Number(value.to_string());
    i32 => |value| Literal::Number(value.to_string());
    i64 => |value| Literal::Number(value.to_string());
    isize => |value| Literal::Number(value.to_string());
    u8 => |value| Literal::Number(value.to_string());
    u16 => |value| Literal::Number(value.to_string());
    u32 => |value| Literal::Number(value.to_string());
    u64 => |value| Literal::Number(value.to_string());
    usize => |value| Literal::Number(value.to_string());
    f32 => |value| Literal::Float(value.into());
    f64 => |value| Literal::Float(value);
    Uuid => |value| Literal::Guid(value);
    Date => |value| Literal::Date(value);
    DateTime => |value| Literal::DateTime(value);
}

/// So that `in_list(&ids)` takes a borrowed list.
macro_rules! borrowed {
    ($($type:ty),*) => {$(
        impl From<&$type> for Operand {
            fn from(value: &$type) -> Self {
                (*value).into()
            }
        }
    )*};
}
borrowed!(
    &str, char, bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, Uuid, Date, DateTime
);

impl From<Field> for Operand {
    fn from(field: Field) -> Self {
        Self(field.0)
    }
}

impl<T: Into<Operand>> From<Option<T>> for Operand {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Expr::Literal(Literal::Null)), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::field::field;
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Contract4, Dialect::Contract5, Dialect::OData4];

    fn render(value: impl Into<Operand>) -> [String; 3] {
        let operand = value.into();
        ALL.map(|dialect| operand.0.render(dialect).unwrap())
    }

    #[test]
    fn each_dialect_spells_ids_and_dates_its_own_way() {
        let id = Uuid::from_u128(0x1234);
        assert_eq!(render(id)[0], format!("guid'{id}'"));
        assert_eq!(render(id)[1..], [id.to_string(), id.to_string()]);
        let day = Date::new(2024, 1, 31).unwrap();
        assert_eq!(render(day), ["datetimeoffset'2024-01-31T00:00:00Z'", "2024-01-31", "2024-01-31"]);
        let time = "2024-01-31T10:00:00+02:00";
        let bare = time.to_owned();
        assert_eq!(
            render(DateTime::parse(time).unwrap()),
            [format!("datetimeoffset'{time}'"), bare.clone(), bare]
        );
    }

    #[test]
    fn plain_values_are_the_same_everywhere() {
        assert_eq!(render(true), ["true"; 3]);
        assert_eq!(render(-7_i64), ["-7"; 3]);
        assert_eq!(render(u64::MAX), ["18446744073709551615"; 3]);
        assert_eq!(render(2.5), ["2.5"; 3]);
        assert_eq!(render(0.1_f32).map(|text| text.starts_with("0.1")), [true; 3]);
        assert_eq!(render(None::<&str>), ["null"; 3]);
        assert_eq!(render(Some("x")), ["'x'"; 3]);
        let ids: &[i32] = &[7, 8];
        let numbers = field("A").in_list(ids) & field("B").in_list(["x"].iter());
        assert_eq!(numbers.render(Dialect::Contract4).unwrap(), "(A eq 7 or A eq 8) and B eq 'x'");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Operand::from(value).0.render(Dialect::OData4).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        for text in ["", "-", "1e5", "1.", ".5", "1,5", "1 or 1 eq 1", "٣"] {
            assert!(Operand::decimal(text).is_err(), "{text}");
        }
        assert!(Operand::decimal("-12.50").is_ok());
    }

    proptest! {
        #[test]
        fn floats_survive_without_an_exponent(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            for text in render(value) {
                prop_assert!(!text.contains(['e', 'E']));
                prop_assert_eq!(text.parse::<f64>().unwrap(), value);
            }
        }
    }
}
