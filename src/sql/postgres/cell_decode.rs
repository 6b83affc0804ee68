//! One value as it came, in binary, to the type that is asked for.

use serde::de::{Deserializer, Error as _, IntoDeserializer, SeqAccess, Visitor};
use uuid::Uuid;

use super::decode::Unreadable;
use super::wire::Wire;
use super::{moment, number};

type Result<T> = std::result::Result<T, Unreadable>;

/// A value.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) raw: Option<&'a [u8]>,
    pub(super) wire: &'a Wire,
}

impl<'a> Cell<'a> {
    fn there(&self) -> Result<&'a [u8]> {
        self.raw.ok_or_else(|| Unreadable::custom("is NULL, but the type it is read as has no room for that"))
    }

    fn fixed<const N: usize>(&self) -> Result<[u8; N]> {
        self.there()?.try_into().map_err(|_| Unreadable::custom("has an unexpected length"))
    }

    fn str(&self) -> Result<&'a str> {
        std::str::from_utf8(self.there()?).map_err(Unreadable::custom)
    }

    fn is_json(&self) -> bool {
        self.raw.is_some() && matches!(self.wire, Wire::Json | Wire::Jsonb)
    }

    fn json(&self) -> Result<serde_json::Deserializer<serde_json::de::SliceRead<'a>>> {
        let raw = self.there()?;
        let text = if *self.wire == Wire::Jsonb { raw.get(1..).unwrap_or_default() } else { raw };
        Ok(serde_json::Deserializer::from_slice(text))
    }

    /// The value as text, for every type that is text outside the database.
    pub(super) fn text(&self) -> Result<String> {
        Ok(match self.wire {
            Wire::Numeric => {
                number::text(self.there()?).ok_or_else(|| Unreadable::custom("is no decimal number"))?
            }
            Wire::Date => moment::date_text(i32::from_be_bytes(self.fixed()?)),
            Wire::Time => moment::time_text(i64::from_be_bytes(self.fixed()?)),
            Wire::Timestamp => moment::stamp_text(i64::from_be_bytes(self.fixed()?), false),
            Wire::TimestampTz => moment::stamp_text(i64::from_be_bytes(self.fixed()?), true),
            Wire::Uuid => Uuid::from_bytes(self.fixed()?).to_string(),
            Wire::Bytes => {
                let raw = self.there()?;
                let mut out = String::with_capacity(2 + raw.len() * 2);
                out.push_str("\\x");
                for byte in raw {
                    for digit in [byte >> 4, byte & 15] {
                        out.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                    }
                }
                out
            }
            Wire::Bool => if self.fixed::<1>()? == [0] { "f" } else { "t" }.to_owned(),
            Wire::Int2 => i16::from_be_bytes(self.fixed()?).to_string(),
            Wire::Int4 => i32::from_be_bytes(self.fixed()?).to_string(),
            Wire::Int8 => i64::from_be_bytes(self.fixed()?).to_string(),
            Wire::Oid => u32::from_be_bytes(self.fixed()?).to_string(),
            Wire::Float4 => f32::from_be_bytes(self.fixed()?).to_string(),
            Wire::Float8 => f64::from_be_bytes(self.fixed()?).to_string(),
            Wire::Jsonb => String::from_utf8_lossy(self.there()?.get(1..).unwrap_or_default()).into_owned(),
            _ => self.str()?.to_owned(),
        })
    }

    /// A decimal number that is whole, for a caller who wants an integer.
    fn whole(&self) -> Result<i128> {
        let text = self.text()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        if fraction.bytes().any(|digit| digit != b'0') {
            return Err(Unreadable::custom(format!("{text} is not a whole number")));
        }
        whole.parse().map_err(|_| Unreadable::custom(format!("{text} does not fit an integer")))
    }

    fn array<V: Visitor<'a>>(self, element: &'a Wire, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self.elements(element)?)
    }

    pub(super) fn elements(self, element: &'a Wire) -> Result<Elements<'a>> {
        let raw = self.there()?;
        let short = || Unreadable::custom("is no array");
        let int =
            |at: usize| -> Option<i32> { Some(i32::from_be_bytes(raw.get(at..at + 4)?.try_into().ok()?)) };
        let count = match int(0).ok_or_else(short)? {
            0 => 0,
            1 => int(12).ok_or_else(short)?,
            more => return Err(Unreadable::custom(format!("has {more} dimensions; only one is read"))),
        };
        let rest = raw.get(20..).unwrap_or_default();
        Ok(Elements { rest, left: count, element })
    }
}

/// The elements of an array.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
    left: i32,
    element: &'a Wire,
}

impl<'a> Elements<'a> {
    pub(super) fn next_cell(&mut self) -> Result<Option<Cell<'a>>> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        let short = || Unreadable::custom("the array is cut off");
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(short)?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Ok(Some(Cell { raw: None, wire: self.element }));
        };
        let (raw, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        Ok(Some(Cell { raw: Some(raw), wire: self.element }))
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Unreadable;

    fn next_element_seed<S: serde::de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.next_cell()?.map(|cell| seed.deserialize(cell)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

fn of_json(error: &serde_json::Error) -> Unreadable {
    Unreadable::custom(error)
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            if *self.wire == Wire::Numeric {
                let whole = self.whole()?;
                return match (i64::try_from(whole), u64::try_from(whole)) {
                    (Ok(whole), _) => visitor.visit_i64(whole),
                    (_, Ok(whole)) => visitor.visit_u64(whole),
                    _ => visitor.visit_i128(whole),
                };
            }
            if self.is_json() {
                return self.json()?.$method(visitor).map_err(|error| of_json(&error));
            }
            self.deserialize_any(visitor)
        }
    )*};
}

macro_rules! plain {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            if self.is_json() {
                return self.json()?.$method(visitor).map_err(|error| of_json(&error));
            }
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let Some(raw) = self.raw else { return visitor.visit_unit() };
        match self.wire {
            Wire::Bool => visitor.visit_bool(self.fixed::<1>()? != [0]),
            Wire::Int2 => visitor.visit_i64(i16::from_be_bytes(self.fixed()?).into()),
            Wire::Int4 => visitor.visit_i64(i32::from_be_bytes(self.fixed()?).into()),
            Wire::Int8 => visitor.visit_i64(i64::from_be_bytes(self.fixed()?)),
            Wire::Oid => visitor.visit_i64(u32::from_be_bytes(self.fixed()?).into()),
            Wire::Float4 => visitor.visit_f32(f32::from_be_bytes(self.fixed()?)),
            Wire::Float8 => visitor.visit_f64(f64::from_be_bytes(self.fixed()?)),
            Wire::Text => visitor.visit_str(self.str()?),
            Wire::Json | Wire::Jsonb => {
                self.json()?.deserialize_any(visitor).map_err(|error| of_json(&error))
            }
            Wire::Array(element, _) => self.array(element, visitor),
            Wire::Void => visitor.visit_unit(),
            Wire::Other => Err(Unreadable::custom(format!(
                "its type has no form here ({} bytes): select it as text, with ::text",
                raw.len()
            ))),
            _ => visitor.visit_string(self.text()?),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    plain! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_map
        deserialize_identifier
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.wire {
            Wire::Numeric => {
                let text = self.text()?;
                let value: f64 = text.parse().map_err(|_| Unreadable::custom("is no number"))?;
                if value.is_infinite() && !text.ends_with("Infinity") {
                    return Err(Unreadable::custom("is too large for a float"));
                }
                visitor.visit_f64(value)
            }
            Wire::Json | Wire::Jsonb if self.raw.is_some() => {
                self.json()?.deserialize_f64(visitor).map_err(|error| of_json(&error))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.wire {
            Wire::Bytes | Wire::Uuid | Wire::Text => visitor.visit_bytes(self.there()?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.raw {
            None => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if self.is_json() {
            return self.json()?.deserialize_newtype_struct(name, visitor).map_err(|error| of_json(&error));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.wire {
            Wire::Bytes | Wire::Uuid => {
                let bytes = self.there()?.iter().copied();
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(bytes))
            }
            Wire::Json | Wire::Jsonb if self.raw.is_some() => {
                self.json()?.deserialize_seq(visitor).map_err(|error| of_json(&error))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if self.is_json() {
            return self.json()?.deserialize_struct(name, fields, visitor).map_err(|error| of_json(&error));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if self.is_json() {
            return self.json()?.deserialize_enum(name, variants, visitor).map_err(|error| of_json(&error));
        }
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }
}
