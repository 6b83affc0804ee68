//! One value to its binary form, straight into the buffer that is sent: a serializer without values in
//! between. The column's type decides; what does not fit is refused here, before its row leaves.

use std::io::Write as _;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, Serializer};
use uuid::Uuid;

use super::refusal::Refusal;
use super::wire::Wire;
use super::{moment, number, text};

type Result<T = ()> = std::result::Result<T, Refusal>;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Writes a value with its length before it; NULL is the length -1.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, wire: &Wire, value: &T) -> Result {
    match wire {
        Wire::Json | Wire::Jsonb => {
            let start = begin(out);
            if *wire == Wire::Jsonb {
                out.push(1);
            }
            let text = out.len();
            serde_json::to_writer(&mut *out, value).map_err(|error| Refusal::new(error.to_string()))?;
            if out[text..] == *b"null" {
                out.truncate(start);
                out.extend_from_slice(&NULL);
                return Ok(());
            }
            end(out, start)
        }
        Wire::Other => {
            let start = begin(out);
            if text::write(out, wire, value)? {
                end(out, start)
            } else {
                out.truncate(start);
                out.extend_from_slice(&NULL);
                Ok(())
            }
        }
        _ => value.serialize(Cell { out, wire }),
    }
}

fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    start
}

fn end(out: &mut [u8], start: usize) -> Result {
    let length = i32::try_from(out.len() - start - 4).map_err(|_| Refusal::new("longer than 2 GiB"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

struct Cell<'a> {
    out: &'a mut Vec<u8>,
    wire: &'a Wire,
}

impl Cell<'_> {
    #[inline]
    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) -> Result {
        let start = begin(self.out);
        self.out.extend_from_slice(&bytes);
        end(self.out, start)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result {
        let start = begin(self.out);
        self.out.extend_from_slice(bytes);
        end(self.out, start)
    }

    #[inline]
    fn int<I: Copy + std::fmt::Display>(&mut self, value: I, wide: Option<i64>) -> Result
    where
        i128: TryFrom<I>,
    {
        let range = || Refusal::new(format!("{value} is out of range for {}", self.wire.noun()));
        match self.wire {
            Wire::Int8 => {
                let value = wide.ok_or_else(range)?;
                self.fixed(value.to_be_bytes())
            }
            Wire::Int4 => {
                let value = wide.and_then(|value| i32::try_from(value).ok()).ok_or_else(range)?;
                self.fixed(value.to_be_bytes())
            }
            Wire::Int2 => {
                let value = wide.and_then(|value| i16::try_from(value).ok()).ok_or_else(range)?;
                self.fixed(value.to_be_bytes())
            }
            Wire::Oid => {
                let value = wide.and_then(|value| u32::try_from(value).ok()).ok_or_else(range)?;
                self.fixed(value.to_be_bytes())
            }
            #[allow(clippy::cast_precision_loss, reason = "what a float column is for")]
            Wire::Float8 if wide.is_some() => self.fixed((wide.unwrap_or_default() as f64).to_be_bytes()),
            #[allow(clippy::cast_precision_loss, reason = "what a float column is for")]
            Wire::Float4 if wide.is_some() => self.fixed((wide.unwrap_or_default() as f32).to_be_bytes()),
            Wire::Numeric if wide.is_some() => {
                let start = begin(self.out);
                let value = wide.unwrap_or_default();
                number::write_int(self.out, value.unsigned_abs(), value < 0);
                end(self.out, start)
            }
            Wire::Numeric | Wire::Float4 | Wire::Float8 | Wire::Text => self.short_text(&value),
            Wire::Date | Wire::Time | Wire::Timestamp | Wire::TimestampTz => Err(Refusal::new(format!(
                "the number {value} is not {}: is it seconds or microseconds? Give ISO text",
                self.wire.noun()
            ))),
            _ => Err(Refusal::value(value, self.wire.noun())),
        }
    }

    /// A number by way of its shortest text.
    fn short_text(&mut self, value: &dyn std::fmt::Display) -> Result {
        // The longest f64 has 309 digits before the point, the smallest 340 characters.
        let mut buffer = [0_u8; 512];
        let mut rest = &mut buffer[..];
        write!(rest, "{value}").map_err(|_| Refusal::value(value, self.wire.noun()))?;
        let left = rest.len();
        let length = buffer.len() - left;
        let text = std::str::from_utf8(&buffer[..length]).map_err(|_| Refusal::new("not text"))?;
        self.text(text)
    }

    #[inline]
    fn text(&mut self, value: &str) -> Result {
        if *self.wire == Wire::Text {
            if value.as_bytes().contains(&0) {
                return Err(Refusal::new("the text contains NUL, which PostgreSQL cannot store"));
            }
            return self.bytes(value.as_bytes());
        }
        self.parsed(value).ok_or_else(|| Refusal::value(value, self.wire.noun()))?
    }

    /// Text for a column of another type.
    fn parsed(&mut self, value: &str) -> Option<Result> {
        Some(match self.wire {
            Wire::Bool => match value {
                "t" | "true" | "y" | "yes" | "on" | "1" | "TRUE" | "True" => self.fixed([1]),
                "f" | "false" | "n" | "no" | "off" | "0" | "FALSE" | "False" => self.fixed([0]),
                _ => return None,
            },
            Wire::Int2 => self.fixed(value.parse::<i16>().ok()?.to_be_bytes()),
            Wire::Int4 => self.fixed(value.parse::<i32>().ok()?.to_be_bytes()),
            Wire::Int8 => self.fixed(value.parse::<i64>().ok()?.to_be_bytes()),
            Wire::Oid => self.fixed(value.parse::<u32>().ok()?.to_be_bytes()),
            Wire::Float4 => self.fixed(float(value.parse::<f32>().ok()?, value)?.to_be_bytes()),
            Wire::Float8 => self.fixed(float(value.parse::<f64>().ok()?, value)?.to_be_bytes()),
            Wire::Numeric => {
                let start = begin(self.out);
                number::write_text(self.out, value)?;
                end(self.out, start)
            }
            Wire::Bytes => {
                let start = begin(self.out);
                unhex(self.out, value.strip_prefix("\\x")?.as_bytes())?;
                end(self.out, start)
            }
            Wire::Date => self.fixed(moment::parse_date(value)?.to_be_bytes()),
            Wire::Time => self.fixed(moment::parse_time(value)?.to_be_bytes()),
            Wire::Timestamp => self.fixed(moment::parse_stamp(value, false)?.to_be_bytes()),
            Wire::TimestampTz => self.fixed(moment::parse_stamp(value, true)?.to_be_bytes()),
            Wire::Uuid => self.fixed(*Uuid::try_parse(value).ok()?.as_bytes()),
            _ => return None,
        })
    }
}

impl<'a> Cell<'a> {
    fn list(self, length: Option<usize>) -> Result<List<'a>> {
        let Self { out, wire } = self;
        let start = out.len();
        match wire {
            Wire::Array(element, oid) => {
                begin(out);
                for part in [1, 0, *oid, 0, 1] {
                    out.extend_from_slice(&part.to_be_bytes());
                }
                Ok(List { out, start, wire, element: Some(element), count: 0, nulls: false })
            }
            Wire::Bytes | Wire::Uuid => {
                begin(out);
                out.reserve(length.unwrap_or_default());
                Ok(List { out, start, wire, element: None, count: 0, nulls: false })
            }
            _ => Err(Refusal::new(format!("a list is not {}", wire.noun()))),
        }
    }
}

/// A float that text named: infinite only if the text says so.
fn float<F: Into<f64> + Copy>(value: F, text: &str) -> Option<F> {
    let infinite = value.into().is_infinite();
    (!infinite || text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'))).then_some(value)
}

/// Writes the bytes that hexadecimal digits stand for.
fn unhex(out: &mut Vec<u8>, digits: &[u8]) -> Option<()> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    for [high, low] in pairs {
        out.push(value(*high)? << 4 | value(*low)?);
    }
    Some(())
}

impl<'a> Serializer for Cell<'a> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = Impossible<(), Refusal>;
    type SerializeMap = Impossible<(), Refusal>;
    type SerializeStruct = Impossible<(), Refusal>;
    type SerializeStructVariant = Impossible<(), Refusal>;

    fn serialize_bool(mut self, value: bool) -> Result {
        match self.wire {
            Wire::Bool => self.fixed([u8::from(value)]),
            wire => Err(Refusal::value(value, wire.noun())),
        }
    }

    fn serialize_i8(self, value: i8) -> Result {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(mut self, value: i64) -> Result {
        self.int(value, Some(value))
    }

    fn serialize_i128(mut self, value: i128) -> Result {
        self.int(value, i64::try_from(value).ok())
    }

    fn serialize_u8(self, value: u8) -> Result {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(mut self, value: u64) -> Result {
        self.int(value, i64::try_from(value).ok())
    }

    fn serialize_u128(mut self, value: u128) -> Result {
        match i128::try_from(value) {
            Ok(value) => self.serialize_i128(value),
            Err(_) => self.short_text(&value),
        }
    }

    fn serialize_f32(mut self, value: f32) -> Result {
        match self.wire {
            Wire::Float4 => self.fixed(value.to_be_bytes()),
            // By its own shortest text: 0.1, not 0.10000000149.
            Wire::Numeric | Wire::Text => self.short_text(&value),
            _ => self.serialize_f64(value.into()),
        }
    }

    #[inline]
    fn serialize_f64(mut self, value: f64) -> Result {
        match self.wire {
            Wire::Float8 => self.fixed(value.to_be_bytes()),
            Wire::Float4 => {
                #[allow(clippy::cast_possible_truncation, reason = "checked on the next line")]
                let short = value as f32;
                if short.is_infinite() && value.is_finite() {
                    return Err(Refusal::new(format!("{value} is out of range for {}", self.wire.noun())));
                }
                self.fixed(short.to_be_bytes())
            }
            Wire::Numeric | Wire::Text => self.short_text(&value),
            Wire::Int2 | Wire::Int4 | Wire::Int8 if value.fract() == 0.0 && value.abs() < 9e15 =>
            {
                #[allow(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
                self.serialize_i64(value as i64)
            }
            wire => Err(Refusal::value(value, wire.noun())),
        }
    }

    fn serialize_char(self, value: char) -> Result {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(mut self, value: &str) -> Result {
        self.text(value)
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result {
        match self.wire {
            Wire::Bytes => self.bytes(value),
            Wire::Uuid if value.len() == 16 => self.bytes(value),
            wire => Err(Refusal::new(format!("{} bytes are not {}", value.len(), wire.noun()))),
        }
    }

    fn serialize_none(self) -> Result {
        self.out.extend_from_slice(&NULL);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result {
        Err(Refusal::new(format!("a variant of {name} with a value is not {}", self.wire.noun())))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List<'a>> {
        self.list(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<List<'a>> {
        self.list(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<List<'a>> {
        self.list(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(Refusal::new(format!("a variant of {name} with values is not {}", self.wire.noun())))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap> {
        Err(Refusal::new(format!("a map is not {}", self.wire.noun())))
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Self::SerializeStruct> {
        Err(Refusal::new(format!("a {name} is not {}", self.wire.noun())))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Err(Refusal::new(format!("a variant of {name} with fields is not {}", self.wire.noun())))
    }
}

/// The elements of an array, or bytes one by one.
pub(super) struct List<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    wire: &'a Wire,
    element: Option<&'a Wire>,
    count: u32,
    nulls: bool,
}

impl List<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let start = self.out.len();
        match self.element {
            Some(element) => {
                write(self.out, element, value)?;
                self.nulls |= self.out[start..] == NULL;
            }
            None => {
                // As a smallint, of which a byte is the lower half.
                write(self.out, &Wire::Int2, value)?;
                let [0, 0, 0, 2, 0, byte] = self.out[start..] else {
                    return Err(Refusal::new(format!("an element is no byte of {}", self.wire.noun())));
                };
                self.out.truncate(start);
                self.out.push(byte);
            }
        }
        self.count += 1;
        Ok(())
    }

    fn close(self) -> Result {
        if self.element.is_some() {
            let at = self.start + 4;
            if self.count == 0 {
                // An array without elements has no dimensions.
                self.out.truncate(at + 12);
                self.out[at..at + 4].copy_from_slice(&[0; 4]);
            } else {
                self.out[at + 4..at + 8].copy_from_slice(&u32::from(self.nulls).to_be_bytes());
                self.out[at + 12..at + 16].copy_from_slice(&self.count.to_be_bytes());
            }
        } else if *self.wire == Wire::Uuid && self.count != 16 {
            return Err(Refusal::new(format!("{} bytes are not a UUID", self.count)));
        }
        end(self.out, self.start)
    }
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.push(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeTuple for List<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.push(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeTupleStruct for List<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.push(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}
