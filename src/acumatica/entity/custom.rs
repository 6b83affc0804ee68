//! Values of custom fields, which carry their type.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::acumatica::{CustomKind, Date, DateTime};

/// The value of a custom field, with its type.
///
/// Made by `into()`: `bool` is `Boolean`, whole numbers are `Int` (`Long` where they need it), floats are
/// `Decimal`, [`Date`] and [`DateTime`] are `DateTime`, [`Uuid`] is `Guid`, text is `String`. Where the field
/// has another type, such as a whole number in a `Decimal` field, say so with [`new`](Self::new).
///
/// ```
/// use batchcall::acumatica::{CustomKind, CustomValue};
///
/// assert_eq!(CustomValue::from(7).kind(), CustomKind::Int);
/// assert_eq!(CustomValue::new(CustomKind::Decimal, 7).kind(), CustomKind::Decimal);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CustomValue {
    kind: CustomKind,
    /// `None` is a number that JSON cannot say; refused where it is put into a record.
    value: Option<Value>,
}

impl CustomValue {
    /// A value of a type that you name.
    #[must_use]
    pub fn new(kind: CustomKind, value: impl Into<Self>) -> Self {
        Self { kind, ..value.into() }
    }

    /// No value: empties the field.
    #[must_use]
    pub fn null(kind: CustomKind) -> Self {
        Self { kind, value: Some(Value::Null) }
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> CustomKind {
        self.kind
    }

    /// The value itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.value.as_ref().unwrap_or(&Value::Null)
    }

    /// The server's form, unless the value has none.
    pub(super) fn to_json(&self) -> Option<Value> {
        self.value.as_ref().map(|value| json!({ "type": self.kind.type_name(), "value": value }))
    }

    pub(super) fn from_json(node: &Value) -> Option<Self> {
        let value = node.get("value")?.clone();
        let named = node.get("type").and_then(Value::as_str).and_then(CustomKind::of_type_name);
        Some(Self { kind: named.unwrap_or_else(|| Self::kind_of(&value)), value: Some(value) })
    }

    pub(super) fn kind_of(value: &Value) -> CustomKind {
        match value {
            Value::Bool(_) => CustomKind::Boolean,
            Value::Number(number) if number.is_f64() => CustomKind::Decimal,
            Value::Number(number) => match number.as_i64().map(i32::try_from) {
                Some(Ok(_)) => CustomKind::Int,
                _ => CustomKind::Long,
            },
            Value::String(text) if Date::parse(text).is_ok() || DateTime::parse(text).is_ok() => {
                CustomKind::DateTime
            }
            _ => CustomKind::String,
        }
    }
}

macro_rules! values {
    ($($type:ty => |$value:ident| $kind:expr, $json:expr;)*) => {$(
        impl From<$type> for CustomValue {
            fn from($value: $type) -> Self {
                Self { kind: $kind, value: $json }
            }
        }
    )*};
}
values! {
    bool => |value| CustomKind::Boolean, Some(value.into());
    &str => |value| CustomKind::String, Some(value.into());
    String => |value| CustomKind::String, Some(value.into());
    &String => |value| CustomKind::String, Some(value.as_str().into());
    Date => |value| CustomKind::DateTime, Some(value.to_string().into());
    DateTime => |value| CustomKind::DateTime, Some(value.to_string().into());
    Uuid => |value| CustomKind::Guid, Some(value.to_string().into());
    f64 => |value| CustomKind::Decimal, serde_json::Number::from_f64(value).map(Value::Number);
    i8 => |value| CustomKind::Int, Some(value.into());
    i16 => |value| CustomKind::Int, Some(value.into());
    i32 => |value| CustomKind::Int, Some(value.into());
    i64 => |value| Self::kind_of(&value.into()), Some(value.into());
    u8 => |value| CustomKind::Int, Some(value.into());
    u16 => |value| CustomKind::Int, Some(value.into());
    u32 => |value| Self::kind_of(&value.into()), Some(value.into());
    u64 => |value| Self::kind_of(&value.into()), Some(value.into());
}
