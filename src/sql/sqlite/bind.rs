//! One value to one parameter of a statement: a serializer without values in between.

use std::fmt;

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::ser::{Impossible, Serialize, Serializer};

use super::super::catalog::ColumnType;
use super::cell::{self, Scalar, Scratch};
use super::failure;
use crate::error::{Delivery, Error, ErrorKind, FieldError};

/// Why a row cannot be bound.
#[derive(Debug)]
pub(super) enum Misfit {
    /// The value has parts: not an error yet, but for another way of writing it.
    Nested,
    Refused(Box<Refused>),
}

#[derive(Debug)]
pub(super) struct Refused {
    column: Option<String>,
    message: String,
    sqlite: Option<rusqlite::Error>,
}

impl Misfit {
    #[cold]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Refused(Box::new(Refused { column: None, message: message.into(), sqlite: None }))
    }

    /// Names the column or parameter.
    #[cold]
    pub(super) fn at(mut self, column: &str) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.column.get_or_insert_with(|| column.to_owned());
        }
        self
    }

    /// As an error of the input.
    pub(super) fn into_error(self) -> Error {
        let refused = match self {
            Self::Refused(refused) => *refused,
            Self::Nested => Refused { column: None, message: "a value with parts".into(), sqlite: None },
        };
        if let Some(failed) = refused.sqlite {
            return failure::error(failed, None);
        }
        let error = Error::new(ErrorKind::Invalid, refused.message.clone()).with_delivery(Delivery::NotSent);
        match refused.column {
            Some(column) => error.with_field_errors(vec![FieldError::new(column, refused.message)]),
            None => error,
        }
    }
}

impl From<rusqlite::Error> for Misfit {
    #[cold]
    fn from(failed: rusqlite::Error) -> Self {
        Self::Refused(Box::new(Refused { column: None, message: failed.to_string(), sqlite: Some(failed) }))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nested => f.write_str("a value with parts"),
            Self::Refused(refused) => f.write_str(&refused.message),
        }
    }
}

impl std::error::Error for Misfit {}

impl serde::ser::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// Where a value goes.
#[derive(Debug)]
pub(super) struct Place<'a, 's> {
    pub(super) stmt: &'a mut Statement<'s>,
    /// The parameter, from 1; 0 is none.
    pub(super) parameter: usize,
    pub(super) ty: &'a ColumnType,
    pub(super) scratch: &'a mut Scratch,
    /// A copy, if asked for.
    pub(super) copy: Option<&'a mut Value>,
    /// Counts what is sent.
    pub(super) bytes: &'a mut u64,
}

impl Place<'_, '_> {
    /// Binds a value.
    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        match value.serialize(&mut *self) {
            Err(Misfit::Nested) => self.nested(value),
            done => done,
        }
    }

    /// A value with parts: JSON where that is kept, bytes where those are.
    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let Self { stmt, parameter, ty, scratch, copy, bytes } = self;
        scratch.bytes.clear();
        serde_json::to_writer(&mut scratch.bytes, value).map_err(|error| Misfit::new(error.to_string()))?;
        let refused = |json: &[u8]| {
            let json = String::from_utf8_lossy(json);
            Misfit::new(format!("{} is not {}", cell::shown(&json), cell::noun(ty)))
        };
        match ty {
            ColumnType::Json | ColumnType::Jsonb | ColumnType::Text | ColumnType::Any => {
                put(stmt, *parameter, ValueRef::Text(&scratch.bytes), copy, bytes)
            }
            ColumnType::Bytes | ColumnType::Uuid => {
                let list: Vec<u8> =
                    serde_json::from_slice(&scratch.bytes).map_err(|_| refused(&scratch.bytes))?;
                self.scalar(Scalar::Bytes(&list))
            }
            _ => Err(refused(&scratch.bytes)),
        }
    }

    #[inline]
    fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), Misfit> {
        let Self { stmt, parameter, ty, scratch, copy, bytes } = self;
        let value = cell::fit(ty, scalar, scratch).map_err(Misfit::new)?;
        put(stmt, *parameter, value, copy, bytes)
    }

    #[inline]
    fn put(&mut self, value: ValueRef<'_>) -> Result<(), Misfit> {
        put(self.stmt, self.parameter, value, &mut self.copy, self.bytes)
    }
}

#[inline]
fn put(
    stmt: &mut Statement<'_>,
    parameter: usize,
    value: ValueRef<'_>,
    copy: &mut Option<&mut Value>,
    bytes: &mut u64,
) -> Result<(), Misfit> {
    *bytes += match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
    };
    if let Some(copy) = copy {
        **copy = owned(value);
    }
    if parameter > 0 {
        stmt.raw_bind_parameter(parameter, ToSqlOutput::Borrowed(value))?;
    }
    Ok(())
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Integer(int),
        ValueRef::Real(float) => Value::Real(float),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

type Never = Impossible<(), Misfit>;

impl Serializer for &mut Place<'_, '_> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_bool(self, value: bool) -> Result<(), Misfit> {
        self.scalar(Scalar::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value))
    }

    fn serialize_i128(self, value: i128) -> Result<(), Misfit> {
        self.scalar(i64::try_from(value).map_or(Scalar::Big(value), Scalar::Int))
    }

    fn serialize_u8(self, value: u8) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<(), Misfit> {
        self.scalar(Scalar::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<(), Misfit> {
        self.serialize_i128(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Misfit> {
        match i128::try_from(value) {
            Ok(value) => self.serialize_i128(value),
            Err(_) => self.serialize_str(&value.to_string()),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Misfit> {
        self.scalar(Scalar::Short(value))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Misfit> {
        self.scalar(Scalar::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<(), Misfit> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Misfit> {
        self.scalar(Scalar::Text(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Misfit> {
        self.scalar(Scalar::Bytes(value))
    }

    fn serialize_none(self) -> Result<(), Misfit> {
        self.put(ValueRef::Null)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        self.put(ValueRef::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Misfit> {
        self.put(ValueRef::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Misfit> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_tuple(self, _: usize) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Misfit> {
        Err(Misfit::Nested)
    }
}
