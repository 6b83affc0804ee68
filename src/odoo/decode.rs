//! Reading Odoo's values into serde types: `false` for "nothing", `[id, name]` for a related record.
//!
//! Odoo says `false` where JSON would say `null`, and for a yes-or-no field that is no. What is meant is
//! known only to the type that is read into, so the decision is made there, by a deserializer of its own.

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

/// Reads a value into a type.
///
/// - `Option` of a `false` is `None`; only of `Option<bool>` it is `Some(false)`.
/// - A `String` of a `false` is empty, and so is a list.
/// - A number of `[id, name]` is the id, a `String` of it the name; `(i64, String)` takes both, as does
///   [`Many2one`](super::Many2one).
/// - An `enum` of unit variants takes the values of a selection field.
///
/// # Errors
///
/// [`Protocol`](ErrorKind::Protocol), naming the field that does not fit.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_path_to_error::deserialize(Cell(value)).map_err(|error| {
        let path = error.path().to_string();
        let message = match path.as_str() {
            "." => format!("a value does not fit: {}", error.inner()),
            path => format!("the field {path} does not fit: {}", error.inner()),
        };
        Error::new(ErrorKind::Protocol, message)
    })
}

/// One value of a record.
#[derive(Clone, Copy)]
struct Cell<'de>(&'de Value);

impl<'de> Cell<'de> {
    /// The parts of `[id, name]`.
    fn related(self) -> Option<(&'de Value, &'de str)> {
        match self.0.as_array()?.as_slice() {
            [id, Value::String(name)] if id.is_i64() => Some((id, name)),
            _ => None,
        }
    }

    /// A number, also that of a related record.
    fn number(self) -> &'de Value {
        self.related().map_or(self.0, |(id, _)| id)
    }

    fn is_nothing(self) -> bool {
        matches!(self.0, Value::Null | Value::Bool(false))
    }

    fn list<V: Visitor<'de>>(items: &'de [Value], visitor: V) -> Result<V::Value, serde_json::Error> {
        let mut items = Items(items.iter());
        let value = visitor.visit_seq(&mut items)?;
        match items.0.len() {
            0 => Ok(value),
            left => Err(de::Error::custom(format!("{left} more items than expected"))),
        }
    }

    fn map<V: Visitor<'de>>(map: &'de Map<String, Value>, visitor: V) -> Result<V::Value, serde_json::Error> {
        visitor.visit_map(Entries { entries: map.iter(), value: None })
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.number().$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => Self::list(items, visitor),
            Value::Object(map) => Self::map(map, visitor),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        // A visitor cannot be asked what it wants inside the option, and once asked to read it cannot
        // go back; the name of its type tells.
        let wants_bool = std::any::type_name::<V::Value>() == std::any::type_name::<Option<bool>>();
        match self.0 {
            Value::Null => visitor.visit_none(),
            Value::Bool(false) if !wants_bool => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_bool(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.related() {
            Some((_, name)) => visitor.visit_borrowed_str(name),
            None if self.is_nothing() => visitor.visit_borrowed_str(""),
            None => self.0.deserialize_str(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => Self::list(items, visitor),
            _ if self.is_nothing() => Self::list(&[], visitor),
            other => other.deserialize_seq(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Object(map) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries { entries: map.iter(), value: None }))
            }
            other => other.deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.is_nothing() { visitor.visit_unit() } else { self.0.deserialize_unit(visitor) }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit_struct map struct identifier }
}

struct Items<'de>(std::slice::Iter<'de, Value>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        self.0.next().map(|item| seed.deserialize(Cell(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    entries: serde_json::map::Iter<'de>,
    value: Option<&'de Value>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let value = self.value.take().expect("a value is asked for after its key");
        seed.deserialize(Cell(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::odoo::Many2one;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Person,
        Company,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Partner {
        id: i64,
        name: String,
        email: Option<String>,
        active: bool,
        verified: Option<bool>,
        country_id: Option<Many2one>,
        state_id: Option<i64>,
        parent_id: Option<(i64, String)>,
        category_id: Vec<i64>,
        credit: f64,
        kind: Option<Kind>,
        birthday: Option<String>,
    }

    #[test]
    fn a_record_as_the_server_sends_it_is_read_into_a_struct() {
        let full = json!({
            "id": 13, "name": "R1", "email": "r@example.com", "active": true, "verified": true,
            "country_id": [21, "Belgium"], "state_id": [3, "Antwerp"], "parent_id": [7, "ACME"],
            "category_id": [1, 2], "credit": 2.5, "kind": "company", "birthday": "2026-11-21", "color": 0,
        });
        let partner: Partner = decode(&full).unwrap();
        assert_eq!(partner.country_id, Some(Many2one { id: 21, name: "Belgium".into() }));
        assert_eq!((partner.state_id, partner.kind), (Some(3), Some(Kind::Company)));
        assert_eq!(partner.parent_id, Some((7, "ACME".into())));
        assert_eq!(partner.category_id, [1, 2]);

        let empty = json!({
            "id": 13, "name": false, "email": false, "active": false, "verified": false, "country_id": false,
            "state_id": false, "parent_id": false, "category_id": [], "credit": 0.0, "kind": false,
            "birthday": false,
        });
        let partner: Partner = decode(&empty).unwrap();
        assert_eq!(partner.name, "");
        assert_eq!((partner.email, partner.country_id, partner.kind), (None, None, None));
        assert_eq!((partner.active, partner.verified), (false, Some(false)));
    }

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        let error = decode::<Vec<Partner>>(&json!([{"id": "x"}])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.message().contains("[0].id"), "{error}");
        assert!(decode::<i64>(&json!(false)).is_err(), "no number is not zero");
    }

    #[test]
    fn the_name_of_a_related_record_is_text() {
        assert_eq!(decode::<String>(&json!([7, "ACME"])).unwrap(), "ACME");
        assert_eq!(decode::<i64>(&json!([7, "ACME"])).unwrap(), 7);
        assert!(decode::<i64>(&json!([7, 8])).is_err(), "two ids are not one");
        assert_eq!(decode::<Vec<i64>>(&json!(false)).unwrap(), Vec::<i64>::new());
    }

    proptest! {
        #[test]
        fn what_is_not_odoos_own_is_read_as_serde_json_reads_it(
            text in ".*", number: i64, yes: bool, list in prop::collection::vec(any::<u32>(), 0..5),
        ) {
            let value = json!({"a": text, "b": number, "c": yes, "d": list});
            #[derive(Debug, PartialEq, Deserialize)]
            struct All { a: Option<String>, b: Option<i64>, c: Option<bool>, d: Vec<u32> }
            prop_assert_eq!(decode::<All>(&value).unwrap(), serde_json::from_value::<All>(value).unwrap());
        }
    }
}
