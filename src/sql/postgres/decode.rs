//! Rows as they come, in binary, to the caller's type.

use std::error::Error as StdError;
use std::fmt;

use postgres::types::{FromSql, Type};
use postgres::{Column, Row};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::cell_decode::Cell;
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A value's bytes as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Why a value is not what the caller wanted.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Unreadable {}

impl serde::de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Unreadable {
    fn at(self, column: &str) -> Self {
        Self(format!("column {column}: {}", self.0))
    }
}

/// What the columns of an answer are.
#[derive(Debug)]
pub(super) struct Reader {
    columns: Vec<(String, Wire)>,
}

impl Reader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|column| (column.name().to_owned(), Wire::of(column.type_())));
        Self { columns: columns.collect() }
    }

    /// Reads the columns of a row from `from` on.
    pub(super) fn read<T: DeserializeOwned>(&self, row: &Row, from: usize) -> Result<T> {
        T::deserialize(Cells { columns: &self.columns[from..], row, at: from }).map_err(|unreadable| {
            Error::new(
                ErrorKind::Protocol,
                format!("a row does not fit the type it is read as: {unreadable}"),
            )
            .with_delivery(Delivery::Answered)
        })
    }

    /// One value of a row.
    pub(super) fn value<T: DeserializeOwned>(&self, row: &Row, at: usize) -> Result<T> {
        let cells = Cells { columns: &self.columns[at..], row, at };
        cells.cell(0).and_then(T::deserialize).map_err(|unreadable| {
            Error::new(ErrorKind::Protocol, unreadable.to_string()).with_delivery(Delivery::Answered)
        })
    }
}

#[derive(Clone, Copy)]
struct Cells<'a> {
    columns: &'a [(String, Wire)],
    row: &'a Row,
    at: usize,
}

impl<'a> Cells<'a> {
    fn cell(&self, index: usize) -> Result<Cell<'a>, Unreadable> {
        let raw: Raw<'a> =
            self.row.try_get(self.at + index).map_err(|error| Unreadable(error.to_string()))?;
        Ok(Cell { raw: raw.0, wire: &self.columns[index].1 })
    }

    /// The only cell, for a row that is read as one value.
    fn only(&self) -> Result<Cell<'a>, Unreadable> {
        if self.columns.len() != 1 {
            let count = self.columns.len();
            return Err(Unreadable(format!("{count} columns are not one value; take a struct or a tuple")));
        }
        self.cell(0)
    }
}

macro_rules! only {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            self.only()?.$method(visitor).map_err(|error| error.at(&self.columns[0].0))
        }
    )*};
}

impl<'de> Deserializer<'de> for Cells<'de> {
    type Error = Unreadable;

    only! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(Fields { cells: self, next: 0 })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.columns.len() {
            1 if self.cell(0)?.raw.is_none() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(Fields { cells: self, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { map struct ignored_any }
}

/// The fields of a row, by name or by place.
struct Fields<'a> {
    cells: Cells<'a>,
    next: usize,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some((name, _)) = self.cells.columns.get(self.next) else { return Ok(None) };
        let name: StrDeserializer<'_, Unreadable> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unreadable> {
        let at = self.next;
        self.next += 1;
        seed.deserialize(self.cells.cell(at)?).map_err(|error| error.at(&self.cells.columns[at].0))
    }
}

impl<'de> SeqAccess<'de> for Fields<'de> {
    type Error = Unreadable;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unreadable> {
        if self.next == self.cells.columns.len() {
            return Ok(None);
        }
        self.next_value_seed(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.cells.columns.len() - self.next)
    }
}
