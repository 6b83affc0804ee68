//! From the caller's types to JSON without loss: what JSON cannot say is refused with its path, where
//! `serde_json` alone would write null for a float that is no number.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};
use serde_json::{Map, Value};

use super::path::join;
use crate::{Error, ErrorKind, FieldError, Result};

/// Any value as plain JSON.
pub(super) fn to_plain<T: Serialize + ?Sized>(value: &T, path: &str) -> Result<Value> {
    value.serialize(Plain).map_err(|problem| {
        let path = join(path, &problem.path);
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        Error::new(ErrorKind::Invalid, format!("cannot encode the record: {place}{}", problem.message))
            .with_field_errors(vec![FieldError::new(path, problem.message)])
    })
}

#[derive(Debug)]
struct Problem {
    path: String,
    message: String,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    fn at(self, step: &str) -> Self {
        Self { path: join(step, &self.path), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl ser::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

type Outcome = std::result::Result<Value, Problem>;

struct Plain;

macro_rules! by_serde_json {
    ($($method:ident $type:ty),*) => {$(
        fn $method(self, value: $type) -> Outcome {
            serde_json::value::Serializer.$method(value).map_err(ser::Error::custom)
        }
    )*};
}

impl Serializer for Plain {
    type Ok = Value;
    type Error = Problem;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    by_serde_json!(
        serialize_bool bool, serialize_char char, serialize_str &str,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    );

    fn serialize_f32(self, value: f32) -> Outcome {
        // By its digits: widened bit by bit, 0.1 would be sent as 0.10000000149011612.
        self.serialize_f64(value.to_string().parse().unwrap_or_else(|_| value.into()))
    }

    fn serialize_f64(self, value: f64) -> Outcome {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(Problem::new(format!("{value} is no number that JSON can say"))),
        }
    }

    fn serialize_bytes(self, _: &[u8]) -> Outcome {
        Err(Problem::new("bytes cannot be a field, attach them as a file"))
    }

    fn serialize_none(self) -> Outcome {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Outcome {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Outcome {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Outcome {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Outcome {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Outcome {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Outcome {
        let value = value.serialize(self).map_err(|problem| problem.at(variant))?;
        Ok(Value::Object(Map::from_iter([(variant.to_owned(), value)])))
    }

    fn serialize_seq(self, length: Option<usize>) -> std::result::Result<List, Problem> {
        // The hint is the caller's word: not worth trusting with memory.
        Ok(List { variant: None, items: Vec::with_capacity(length.unwrap_or(0).min(1024)) })
    }

    fn serialize_tuple(self, length: usize) -> std::result::Result<List, Problem> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> std::result::Result<List, Problem> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<List, Problem> {
        Ok(List { variant: Some(variant), items: Vec::new() })
    }

    fn serialize_map(self, _: Option<usize>) -> std::result::Result<Members, Problem> {
        Ok(Members::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> std::result::Result<Members, Problem> {
        Ok(Members::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<Members, Problem> {
        Ok(Members { variant: Some(variant), ..Members::default() })
    }
}

fn variant(name: Option<&str>, value: Value) -> Value {
    match name {
        Some(name) => Value::Object(Map::from_iter([(name.to_owned(), value)])),
        None => value,
    }
}

struct List {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> std::result::Result<(), Problem> {
        let step = format!("[{}]", self.items.len());
        self.items.push(item.serialize(Plain).map_err(|problem| problem.at(&step))?);
        Ok(())
    }

    fn finish(self) -> Outcome {
        Ok(variant(self.variant, Value::Array(self.items)))
    }
}

#[derive(Default)]
struct Members {
    variant: Option<&'static str>,
    map: Map<String, Value>,
    key: String,
}

impl Members {
    fn insert<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> std::result::Result<(), Problem> {
        let value = value.serialize(Plain).map_err(|problem| problem.at(name))?;
        self.map.insert(name.to_owned(), value);
        Ok(())
    }

    fn finish(self) -> Outcome {
        Ok(variant(self.variant, Value::Object(self.map)))
    }
}

macro_rules! compounds {
    ($($collector:ident $trait:ident $method:ident ($($name:ident)?);)*) => {$(
        impl ser::$trait for $collector {
            type Ok = Value;
            type Error = Problem;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> std::result::Result<(), Problem> {
                compounds!(@add self value $($name)?)
            }

            fn end(self) -> Outcome {
                self.finish()
            }
        }
    )*};
    (@add $self:ident $value:ident) => { $self.push($value) };
    (@add $self:ident $value:ident $name:ident) => { $self.insert($name, $value) };
}
compounds! {
    List SerializeSeq serialize_element ();
    List SerializeTuple serialize_element ();
    List SerializeTupleStruct serialize_field ();
    List SerializeTupleVariant serialize_field ();
    Members SerializeStruct serialize_field (name);
    Members SerializeStructVariant serialize_field (name);
}

impl ser::SerializeMap for Members {
    type Ok = Value;
    type Error = Problem;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> std::result::Result<(), Problem> {
        match key.serialize(Plain)? {
            Value::String(key) => self.key = key,
            other => return Err(Problem::new(format!("the key {other} of a map is not text"))),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> std::result::Result<(), Problem> {
        let key = std::mem::take(&mut self.key);
        self.insert(&key, value)
    }

    fn end(self) -> Outcome {
        self.finish()
    }
}
