//! One value and the type of its column: what SQLite is given for it, or why it is refused.
//!
//! SQLite takes anything anywhere, and turns numbers that it cannot keep into others. So the types that
//! columns are declared with are enforced here, before the row is sent, as PostgreSQL would.
//!
//! A decimal column keeps whole numbers of 64 bits and floating point numbers. Decimal text is taken if
//! SQLite's number has the same digits; else it is refused, since SQLite would round it. Columns of longer
//! decimals are declared `TEXT`.

use std::fmt;
use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::super::catalog::ColumnType;
use super::moment;

/// How much of a value is shown.
const SHOWN: usize = 40;

/// A value without parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'v> {
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits.
    Big(i128),
    Float(f64),
    /// A short float: its own digits are fewer.
    Short(f32),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// Where text and bytes are made that the value itself does not have.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
}

/// What SQLite is given.
#[inline]
pub(super) fn fit<'v>(
    ty: &ColumnType,
    scalar: Scalar<'v>,
    scratch: &'v mut Scratch,
) -> Result<ValueRef<'v>, String> {
    if let Scalar::Text(text) = scalar
        && text.as_bytes().contains(&0)
    {
        return Err("the text contains NUL".to_owned());
    }
    match (ty, scalar) {
        (ColumnType::Int8 | ColumnType::Numeric | ColumnType::Any | ColumnType::Json, Scalar::Int(int)) => {
            Ok(ValueRef::Integer(int))
        }
        (ColumnType::Text | ColumnType::Any | ColumnType::Enum | ColumnType::Other, Scalar::Text(text)) => {
            Ok(ValueRef::Text(text.as_bytes()))
        }
        (ColumnType::Bytes | ColumnType::Any, Scalar::Bytes(bytes)) => Ok(ValueRef::Blob(bytes)),
        (ColumnType::Bool | ColumnType::Any, Scalar::Bool(value)) => Ok(ValueRef::Integer(value.into())),
        (ColumnType::Float8 | ColumnType::Float4 | ColumnType::Any, Scalar::Float(float))
            if !float.is_nan() =>
        {
            Ok(ValueRef::Real(float))
        }
        (
            ColumnType::Date | ColumnType::Time | ColumnType::Timestamp | ColumnType::TimestampTz,
            Scalar::Text(text),
        ) => match moment::write(&mut scratch.text, ty, text) {
            Some(()) => Ok(ValueRef::Text(scratch.text.as_bytes())),
            None => Err(refused(scalar, ty)),
        },
        _ => convert(ty, scalar, scratch).unwrap_or_else(|| Err(refused(scalar, ty))),
    }
}

/// The rarer pairs; `None` if they do not fit.
fn convert<'v>(
    ty: &ColumnType,
    scalar: Scalar<'v>,
    scratch: &'v mut Scratch,
) -> Option<Result<ValueRef<'v>, String>> {
    Some(Ok(match (ty, scalar) {
        (ColumnType::Bool, Scalar::Text(text)) => ValueRef::Integer(truth(text)?.into()),
        (ColumnType::Int2 | ColumnType::Int4, Scalar::Int(int)) => ValueRef::Integer(int),
        (ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8, scalar) => match scalar {
            Scalar::Big(big) => return Some(Err(format!("{big} is out of range for {}", noun(ty)))),
            Scalar::Text(text) => match text.parse::<i128>() {
                Ok(big) => match i64::try_from(big) {
                    Ok(int) => ValueRef::Integer(int),
                    Err(_) => return Some(Err(format!("{big} is out of range for {}", noun(ty)))),
                },
                Err(_) => return None,
            },
            Scalar::Float(float) => ValueRef::Integer(whole(float)?),
            Scalar::Short(float) => ValueRef::Integer(whole(float.into())?),
            _ => return None,
        },
        #[allow(clippy::cast_precision_loss, reason = "what a float column is for")]
        (ColumnType::Float4 | ColumnType::Float8, scalar) => match scalar {
            Scalar::Int(int) => ValueRef::Real(int as f64),
            Scalar::Big(big) => ValueRef::Real(big as f64),
            Scalar::Short(float) if !float.is_nan() => ValueRef::Real(float.into()),
            Scalar::Text(text) => {
                let float: f64 = text.parse().ok().filter(|float: &f64| !float.is_nan())?;
                let named = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
                if float.is_infinite() && !named {
                    return None;
                }
                ValueRef::Real(float)
            }
            _ => return None,
        },
        (ColumnType::Numeric, scalar) => return decimal(scalar, scratch),
        (ColumnType::Text | ColumnType::Enum | ColumnType::Other, scalar) => {
            scratch.text.clear();
            match scalar {
                Scalar::Int(int) => write!(scratch.text, "{int}").ok()?,
                Scalar::Big(big) => write!(scratch.text, "{big}").ok()?,
                Scalar::Float(float) => write!(scratch.text, "{float}").ok()?,
                Scalar::Short(float) => write!(scratch.text, "{float}").ok()?,
                _ => return None,
            }
            ValueRef::Text(scratch.text.as_bytes())
        }
        (ColumnType::Bytes, Scalar::Text(text)) => {
            unhex(&mut scratch.bytes, text.strip_prefix("\\x")?.as_bytes())?;
            ValueRef::Blob(&scratch.bytes)
        }
        (ColumnType::Uuid, scalar) => {
            let id = match scalar {
                Scalar::Text(text) => Uuid::try_parse(text).ok()?,
                Scalar::Bytes(bytes) => Uuid::from_slice(bytes).ok()?,
                _ => return None,
            };
            scratch.text.clear();
            write!(scratch.text, "{id}").ok()?;
            ValueRef::Text(scratch.text.as_bytes())
        }
        (ColumnType::Any, Scalar::Big(big)) => {
            return Some(Err(format!("{big} is out of range for a number of 64 bits")));
        }
        (ColumnType::Any, Scalar::Short(float)) if !float.is_nan() => ValueRef::Real(float.into()),
        (ColumnType::Json | ColumnType::Jsonb, Scalar::Int(int)) => ValueRef::Integer(int),
        (ColumnType::Json | ColumnType::Jsonb, Scalar::Float(float)) if float.is_finite() => {
            ValueRef::Real(float)
        }
        (ColumnType::Json | ColumnType::Jsonb, Scalar::Short(float)) if float.is_finite() => {
            ValueRef::Real(float.into())
        }
        (ColumnType::Json | ColumnType::Jsonb, Scalar::Bool(value)) => {
            ValueRef::Text(if value { b"true" } else { b"false" })
        }
        (ColumnType::Json | ColumnType::Jsonb, Scalar::Text(text)) => {
            scratch.bytes.clear();
            serde_json::to_writer(&mut scratch.bytes, text).ok()?;
            ValueRef::Text(&scratch.bytes)
        }
        _ => return None,
    }))
}

/// A number for a decimal column.
fn decimal<'v>(scalar: Scalar<'v>, scratch: &'v mut Scratch) -> Option<Result<ValueRef<'v>, String>> {
    let text = match scalar {
        Scalar::Float(float) if float.is_finite() => return Some(Ok(ValueRef::Real(float))),
        Scalar::Short(float) if float.is_finite() => {
            // By its own digits: 0.1, not 0.10000000149.
            scratch.text.clear();
            write!(scratch.text, "{float}").ok()?;
            scratch.text.as_str()
        }
        Scalar::Big(big) => return Some(Err(rounded(&big))),
        Scalar::Text(text) => text,
        _ => return None,
    };
    if let Some(value) = short(text) {
        return Some(Ok(value));
    }
    if let Ok(int) = text.parse::<i64>() {
        return Some(Ok(ValueRef::Integer(int)));
    }
    let wanted = Digits::of(text)?;
    let float: f64 = text.parse().ok()?;
    if float.is_finite() && Digits::of(&float.to_string()).is_some_and(|kept| kept == wanted) {
        return Some(Ok(ValueRef::Real(float)));
    }
    Some(Err(rounded(&text)))
}

/// A decimal of up to 15 digits, all of which a floating point number keeps. Both the digits as a whole number
/// and the power of ten are exact, so that their quotient is the nearest number there is.
fn short(text: &str) -> Option<ValueRef<'static>> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut number, mut count, mut point) = (0_i64, 0, None);
    for byte in digits {
        match byte {
            b'0'..=b'9' if count < 15 => {
                number = number * 10 + i64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    if count == 0 {
        return None;
    }
    let number = if negative { -number } else { number };
    #[allow(clippy::cast_precision_loss, reason = "15 digits are kept")]
    Some(match point {
        Some(point) if point < count => ValueRef::Real(number as f64 / POWERS[count - point]),
        _ => ValueRef::Integer(number),
    })
}

const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

fn rounded(value: &dyn fmt::Display) -> String {
    format!("{} has more digits than SQLite's numbers keep; a column of text does", shown(&value.to_string()))
}

/// A decimal number: its digits without zeros around, and where the point is.
#[derive(PartialEq)]
struct Digits {
    negative: bool,
    digits: String,
    /// The place of the point, counted from before the first digit.
    point: i64,
}

impl Digits {
    fn of(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0');
        let zeros = all.len() - digits.len();
        let digits = digits.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, point: 0 });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()? + i64::from(exponent);
        Some(Self { negative, digits, point })
    }
}

/// The whole number that a float is.
fn whole(float: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
}

/// PostgreSQL's spellings of true and false.
fn truth(text: &str) -> Option<bool> {
    match text {
        "t" | "true" | "y" | "yes" | "on" | "1" | "TRUE" | "True" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Writes the bytes that hexadecimal digits stand for.
fn unhex(out: &mut Vec<u8>, digits: &[u8]) -> Option<()> {
    out.clear();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    for [high, low] in pairs {
        out.push(value(*high)? << 4 | value(*low)?);
    }
    Some(())
}

/// `\x` and hexadecimal digits, PostgreSQL's spelling of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

#[cold]
fn refused(scalar: Scalar<'_>, ty: &ColumnType) -> String {
    let noun = noun(ty);
    match scalar {
        Scalar::Bool(value) => format!("\"{value}\" is not {noun}"),
        Scalar::Int(int) => format!("\"{int}\" is not {noun}"),
        Scalar::Big(big) => format!("\"{big}\" is not {noun}"),
        Scalar::Float(float) if float.is_nan() => "SQLite has no NaN".to_owned(),
        Scalar::Short(float) if float.is_nan() => "SQLite has no NaN".to_owned(),
        Scalar::Float(float) => format!("{} is not {noun}", shown(&float.to_string())),
        Scalar::Short(float) => format!("{} is not {noun}", shown(&float.to_string())),
        Scalar::Text(text) => format!("{} is not {noun}", shown(text)),
        Scalar::Bytes(bytes) => format!("{} bytes are not {noun}", bytes.len()),
    }
}

/// What a column of the type takes, in words.
pub(super) fn noun(ty: &ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "a boolean",
        ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 => "a whole number of 64 bits",
        ColumnType::Float4 | ColumnType::Float8 => "a floating point number",
        ColumnType::Numeric => "a decimal number",
        ColumnType::Text | ColumnType::Enum => "text",
        ColumnType::Bytes => "bytes",
        ColumnType::Date => "a date",
        ColumnType::Time => "a time",
        ColumnType::Timestamp => "a timestamp without time zone",
        ColumnType::TimestampTz => "a timestamp with time zone",
        ColumnType::Uuid => "a UUID",
        ColumnType::Json | ColumnType::Jsonb => "JSON",
        ColumnType::Array(_) => "an array",
        ColumnType::Other | ColumnType::Any => "a value that SQLite keeps",
    }
}

/// The beginning of a value.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}
