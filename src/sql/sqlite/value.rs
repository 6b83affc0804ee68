//! One value of a row to the caller's type, by what the column is declared as and what SQLite has there.

use rusqlite::types::ValueRef;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::super::catalog::ColumnType;
use super::cell;
use super::decode::Unread;
use super::moment;

/// A value and the type of its column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) value: ValueRef<'a>,
    pub(super) ty: &'a ColumnType,
}

type Answer<'de, V> = Result<<V as Visitor<'de>>::Value, Unread>;

fn utf8(bytes: &[u8]) -> Result<&str, Unread> {
    std::str::from_utf8(bytes).map_err(|_| Unread::new("the text is not UTF-8"))
}

#[allow(clippy::needless_pass_by_value, reason = "given to map_err")]
fn json(error: serde_json::Error) -> Unread {
    Unread::new(format!("the text is not the JSON that was expected: {error}"))
}

impl Cell<'_> {
    fn is_json(&self) -> bool {
        matches!(self.ty, ColumnType::Json | ColumnType::Jsonb)
    }

    /// As a column of its type is in data without types.
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match (self.value, self.ty) {
            (ValueRef::Null, _) => visitor.visit_unit(),
            (ValueRef::Integer(int @ (0 | 1)), ColumnType::Bool) => visitor.visit_bool(int == 1),
            // As text no digit is lost, and it is the same as from PostgreSQL.
            (ValueRef::Integer(int), ColumnType::Numeric) => visitor.visit_string(int.to_string()),
            (ValueRef::Real(float), ColumnType::Numeric) => visitor.visit_string(float.to_string()),
            #[allow(clippy::cast_precision_loss, reason = "the column is one of floats")]
            (ValueRef::Integer(int), ColumnType::Float8) => visitor.visit_f64(int as f64),
            (ValueRef::Integer(int), _) => visitor.visit_i64(int),
            (ValueRef::Real(float), _) => visitor.visit_f64(float),
            (ValueRef::Text(text), ColumnType::Json | ColumnType::Jsonb) => {
                serde_json::Deserializer::from_reader(text).deserialize_any(visitor).map_err(json)
            }
            (ValueRef::Text(text), _) => self.text(utf8(text)?, visitor),
            (ValueRef::Blob(bytes), _) => visitor.visit_string(self.blob(bytes)),
        }
    }

    /// Bytes as text.
    fn blob(&self, bytes: &[u8]) -> String {
        match (self.ty, uuid::Uuid::from_slice(bytes)) {
            (ColumnType::Uuid, Ok(id)) => id.to_string(),
            _ => cell::hex(bytes),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, text: &str, visitor: V) -> Answer<'de, V> {
        let spelled = match self.ty {
            ColumnType::Timestamp => moment::spell(text, false),
            ColumnType::TimestampTz => moment::spell(text, true),
            _ => None,
        };
        match spelled {
            Some(spelled) => visitor.visit_string(spelled),
            None => visitor.visit_str(text),
        }
    }

    /// For a caller who wants text.
    fn string<'de, V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Text(text) if self.is_json() => match serde_json::from_slice::<String>(text) {
                Ok(inner) => visitor.visit_string(inner),
                // Anything but a JSON string is given as JSON text.
                Err(_) => visitor.visit_str(utf8(text)?),
            },
            ValueRef::Integer(int) if self.is_json() => visitor.visit_string(int.to_string()),
            ValueRef::Real(float) if self.is_json() => visitor.visit_string(float.to_string()),
            _ => self.any(visitor),
        }
    }

    /// For a caller who wants a whole number.
    fn int<'de, V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Integer(int) if *self.ty != ColumnType::Bool => visitor.visit_i64(int),
            #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            ValueRef::Real(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
                visitor.visit_i64(float as i64)
            }
            ValueRef::Real(float) => visitor.visit_f64(float),
            _ => self.any(visitor),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match (self.value, self.ty) {
            #[allow(clippy::cast_precision_loss, reason = "the caller wants a float")]
            (ValueRef::Integer(int), ty) if *ty != ColumnType::Bool => visitor.visit_f64(int as f64),
            (ValueRef::Real(float), _) => visitor.visit_f64(float),
            (ValueRef::Text(text), ColumnType::Numeric) => match utf8(text)?.parse() {
                Ok(float) => visitor.visit_f64(float),
                Err(_) => self.any(visitor),
            },
            _ => self.any(visitor),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Blob(bytes) => {
                let bytes = bytes.iter().copied();
                visitor.visit_seq(SeqDeserializer::<_, Unread>::new(bytes))
            }
            ValueRef::Text(text) if self.keeps_json() => {
                serde_json::Deserializer::from_reader(text).deserialize_seq(visitor).map_err(json)
            }
            _ => self.any(visitor),
        }
    }

    /// Whether values with parts are kept here, as JSON.
    fn keeps_json(&self) -> bool {
        self.is_json() || matches!(self.ty, ColumnType::Text | ColumnType::Any)
    }
}

macro_rules! by {
    ($way:ident: $($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
            self.$way(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Cell<'_> {
    type Error = Unread;

    by!(any: deserialize_any deserialize_unit deserialize_identifier);
    by!(int: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128);
    by!(float: deserialize_f32 deserialize_f64);
    by!(string: deserialize_char deserialize_str deserialize_string);
    by!(list: deserialize_seq);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match (self.value, self.ty) {
            // An expression has no declared type, and SQLite's truth is a number.
            (ValueRef::Integer(int @ (0 | 1)), _) => visitor.visit_bool(int == 1),
            _ => self.any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Blob(bytes) => visitor.visit_bytes(bytes),
            ValueRef::Text(text) => visitor.visit_bytes(text),
            _ => self.any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Answer<'de, V> {
        self.any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Answer<'de, V> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Answer<'de, V> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Answer<'de, V> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        match self.value {
            ValueRef::Text(text) if self.keeps_json() => {
                serde_json::Deserializer::from_reader(text).deserialize_map(visitor).map_err(json)
            }
            _ => self.any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Answer<'de, V> {
        match self.value {
            ValueRef::Text(text) if self.keeps_json() => serde_json::Deserializer::from_reader(text)
                .deserialize_struct(name, fields, visitor)
                .map_err(json),
            _ => self.any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Answer<'de, V> {
        let ValueRef::Text(text) = self.value else {
            return self.any(visitor);
        };
        if self.is_json() || text.starts_with(b"{") {
            return serde_json::Deserializer::from_reader(text)
                .deserialize_enum(name, variants, visitor)
                .map_err(json);
        }
        let text: StrDeserializer<'_, Unread> = utf8(text)?.into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Answer<'de, V> {
        visitor.visit_unit()
    }
}
