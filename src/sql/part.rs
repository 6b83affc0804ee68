//! The key of a row, and its parts.

use serde::ser::{Impossible, Serialize, Serializer};
use serde_json::Value;

use super::fields::{Fields, Refused, Visitor};
use super::key::Key;
use crate::records::record::RecordId;

/// The key of a row: the values of these fields. `None` if one of them is missing or null.
pub(crate) fn key_of<R: Serialize + ?Sized>(row: &R, names: &[&str]) -> Result<Option<Key>, Refused> {
    if let [name] = names {
        let mut value = One { name, found: None };
        row.serialize(Fields(&mut value))?;
        return Ok(value.found.map(Key::from));
    }
    let mut values = Values { names, found: vec![None; names.len()] };
    row.serialize(Fields(&mut values))?;
    let parts: Option<Vec<RecordId>> = values.found.into_iter().collect();
    Ok(parts.map(Key::of))
}

/// Takes the values of a few fields.
struct Values<'n> {
    names: &'n [&'n str],
    found: Vec<Option<RecordId>>,
}

impl Visitor for Values<'_> {
    fn field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), Refused> {
        let Some(place) = self.names.iter().position(|each| *each == name) else { return Ok(()) };
        self.found[place] = part_of(value).map_err(|error| Refused(format!("{name}: {error}")))?;
        Ok(())
    }
}

/// Takes the value of one field.
struct One<'n> {
    name: &'n str,
    found: Option<RecordId>,
}

impl Visitor for One<'_> {
    fn field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), Refused> {
        if name == self.name {
            self.found = part_of(value).map_err(|error| Refused(format!("{name}: {error}")))?;
        }
        Ok(())
    }
}

/// The value of a column that names rows; `None` for null. Numbers and texts are taken as they are, anything
/// else by way of JSON.
pub(crate) fn part_of<V: Serialize + ?Sized>(value: &V) -> Result<Option<RecordId>, serde_json::Error> {
    if let Ok(part) = value.serialize(Part) {
        return Ok(part);
    }
    Ok(match serde_json::to_value(value)? {
        Value::Null => None,
        Value::String(text) => Some(RecordId::Text(text)),
        Value::Number(number) => {
            Some(number.as_i64().map_or_else(|| RecordId::Text(number.to_string()), RecordId::Int))
        }
        other => Some(RecordId::Text(other.to_string())),
    })
}

struct Part;

/// Neither number nor text.
#[derive(Debug, thiserror::Error)]
#[error("neither number nor text")]
struct Other;

impl serde::ser::Error for Other {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

type Taken = Result<Option<RecordId>, Other>;

macro_rules! take_int {
    ($($method:ident $ty:ty,)*) => {$(
        fn $method(self, value: $ty) -> Taken {
            i64::try_from(value).map(|id| Some(RecordId::Int(id))).map_err(|_| Other)
        }
    )*};
}

macro_rules! leave {
    ($($method:ident($($ty:ty),*) -> $given:ty,)*) => {$(
        fn $method(self, $(_: $ty),*) -> Result<$given, Other> {
            Err(Other)
        }
    )*};
}

type No = Impossible<Option<RecordId>, Other>;

impl Serializer for Part {
    type Ok = Option<RecordId>;
    type Error = Other;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    take_int! {
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
    }

    leave! {
        serialize_bool(bool) -> Option<RecordId>,
        serialize_f32(f32) -> Option<RecordId>,
        serialize_f64(f64) -> Option<RecordId>,
        serialize_char(char) -> Option<RecordId>,
        serialize_bytes(&[u8]) -> Option<RecordId>,
        serialize_unit_struct(&'static str) -> Option<RecordId>,
        serialize_unit_variant(&'static str, u32, &'static str) -> Option<RecordId>,
        serialize_seq(Option<usize>) -> No,
        serialize_tuple(usize) -> No,
        serialize_tuple_struct(&'static str, usize) -> No,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No,
        serialize_map(Option<usize>) -> No,
        serialize_struct(&'static str, usize) -> No,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No,
    }

    fn serialize_str(self, value: &str) -> Taken {
        Ok(Some(RecordId::Text(value.to_owned())))
    }

    fn serialize_none(self) -> Taken {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Taken {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Taken {
        Ok(None)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Taken {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Taken {
        Err(Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_taken_and_the_rest_is_as_json_writes_it() {
        assert_eq!(part_of(&Some(7_u8)).unwrap(), Some(RecordId::Int(7)));
        assert_eq!(part_of(&u64::MAX).unwrap(), Some(RecordId::Text(u64::MAX.to_string())));
        assert_eq!(part_of("x").unwrap(), Some(RecordId::Text("x".to_owned())));
        assert_eq!(part_of(&None::<i32>).unwrap(), None);
        assert_eq!(part_of(&Value::Null).unwrap(), None);
        assert_eq!(part_of(&true).unwrap(), Some(RecordId::Text("true".to_owned())));
        assert_eq!(part_of(&[1, 2]).unwrap(), Some(RecordId::Text("[1,2]".to_owned())));
    }
}
