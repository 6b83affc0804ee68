//! Rows to the caller's types: structs, maps, tuples and single values.

use std::fmt;

use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::super::catalog::ColumnType;
use super::catalog::column_type;
use super::value::Cell;
use crate::error::{Delivery, Error, ErrorKind, FieldError};

/// A column of a result.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: ColumnType,
}

/// The columns of a statement's result, with the types that they are declared with; an expression has none.
pub(super) fn fields(stmt: &Statement<'_>) -> Vec<Field> {
    stmt.columns()
        .map(|column| Field {
            name: column.name().to_owned(),
            ty: column.decl_type().map_or(ColumnType::Any, column_type),
        })
        .collect()
}

/// Reads a row.
pub(super) fn row<T: DeserializeOwned>(fields: &[Field], row: &Row<'_>) -> Result<T, Unread> {
    T::deserialize(Columns { fields, row })
}

/// Why a row does not fit the caller's type.
#[derive(Debug)]
pub(super) struct Unread(Box<Inner>);

#[derive(Debug)]
struct Inner {
    column: Option<String>,
    message: String,
}

impl Unread {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { column: None, message: message.into() }))
    }

    #[cold]
    fn at(mut self, column: &str) -> Self {
        self.0.column.get_or_insert_with(|| column.to_owned());
        self
    }

    pub(super) fn into_error(self) -> Error {
        let Inner { column, message } = *self.0;
        let text = match &column {
            Some(column) => format!("column {column}: {message}"),
            None => message.clone(),
        };
        let error = Error::new(ErrorKind::Protocol, text).with_delivery(Delivery::Answered);
        match column {
            Some(column) => error.with_field_errors(vec![FieldError::new(column, message)]),
            None => error,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

struct Columns<'a, 'r> {
    fields: &'a [Field],
    row: &'a Row<'r>,
}

impl<'a> Columns<'a, '_> {
    fn cell(&self, index: usize) -> Result<Cell<'a>, Unread> {
        let value = self.row.get_ref(index).map_err(|error| Unread::new(error.to_string()))?;
        Ok(Cell { value, ty: &self.fields[index].ty })
    }

    /// The one column, for a type that is one value.
    fn only(&self) -> Result<Cell<'a>, Unread> {
        match self.fields {
            [_] => self.cell(0),
            fields => Err(Unread::new(format!("{} columns for one value", fields.len()))),
        }
    }
}

macro_rules! single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
            self.only()?.$method(visitor).map_err(|error| error.at(&self.fields[0].name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Columns<'_, '_> {
    type Error = Unread;

    single!(deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_identifier);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_map(Walk { columns: self, next: 0 })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_seq(Walk { columns: self, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Unread> {
        if length != self.fields.len() {
            return Err(Unread::new(format!("{} columns for {length} values", self.fields.len())));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        match self.fields {
            [_] if self.only()?.value == ValueRef::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        let cell = self.only()?;
        cell.deserialize_enum(name, variants, visitor).map_err(|error| error.at(&self.fields[0].name))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_unit()
    }
}

/// Goes from column to column.
struct Walk<'a, 'r> {
    columns: Columns<'a, 'r>,
    next: usize,
}

impl Walk<'_, '_> {
    fn value<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unread> {
        let index = self.next;
        self.next += 1;
        let cell = self.columns.cell(index)?;
        seed.deserialize(cell).map_err(|error| error.at(&self.columns.fields[index].name))
    }
}

impl<'de> MapAccess<'de> for Walk<'_, '_> {
    type Error = Unread;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unread> {
        match self.columns.fields.get(self.next) {
            Some(field) => seed.deserialize(ColumnName(&field.name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unread> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.fields.len() - self.next)
    }
}

impl<'de> SeqAccess<'de> for Walk<'_, '_> {
    type Error = Unread;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unread> {
        if self.next == self.columns.fields.len() {
            return Ok(None);
        }
        self.value(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.fields.len() - self.next)
    }
}

struct ColumnName<'a>(&'a str);

impl<'de> Deserializer<'de> for ColumnName<'_> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
