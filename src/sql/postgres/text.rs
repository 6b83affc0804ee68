//! One value to its text form, for types that have no binary form here, and for COPY as text.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::moment;
use super::refusal::Refusal;
use super::wire::Wire;

type Result<T> = std::result::Result<T, Refusal>;

/// Writes a value as the type's input function reads it; `false` is NULL, and nothing is written.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, wire: &Wire, value: &T) -> Result<bool> {
    // Types without a binary form are rare enough to go by way of a value; only JSON text is long.
    if matches!(wire, Wire::Json | Wire::Jsonb) {
        let start = out.len();
        serde_json::to_writer(&mut *out, value).map_err(|error| Refusal::new(error.to_string()))?;
        let null = out[start..] == *b"null";
        if null {
            out.truncate(start);
        }
        return Ok(!null);
    }
    let value = serde_json::to_value(value).map_err(|error| Refusal::new(error.to_string()))?;
    plain(out, wire, &value)
}

fn plain(out: &mut Vec<u8>, wire: &Wire, value: &Value) -> Result<bool> {
    match (value, wire) {
        (Value::Null, _) => return Ok(false),
        (Value::Array(bytes), Wire::Bytes) => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                let byte = byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
                let byte = byte.ok_or_else(|| Refusal::new("an element is no byte"))?;
                let _ = write!(out, "{byte:02x}");
            }
        }
        (Value::Array(elements), Wire::Array(..) | Wire::Other) => {
            let inner = match wire {
                Wire::Array(element, _) => element,
                _ => wire,
            };
            array(out, inner, elements)?;
        }
        (Value::Bool(value), _) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        (Value::Number(number), _) => {
            let _ = write!(out, "{number}");
        }
        (Value::String(text), Wire::TimestampTz) => {
            // The server would take text without an offset in its session's time zone.
            let micros = moment::parse_stamp(text, true).ok_or_else(|| Refusal::value(text, wire.noun()))?;
            out.extend_from_slice(moment::stamp_text(micros, true).as_bytes());
        }
        (Value::String(text), _) => {
            if text.contains('\0') {
                return Err(Refusal::new("the text contains NUL, which PostgreSQL cannot store"));
            }
            out.extend_from_slice(text.as_bytes());
        }
        (Value::Array(_) | Value::Object(_), _) => {
            let _ = write!(out, "{value}");
        }
    }
    Ok(true)
}

fn array(out: &mut Vec<u8>, element: &Wire, values: &[Value]) -> Result<()> {
    out.push(b'{');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if let (Value::Array(inner), Wire::Other) = (value, element) {
            array(out, element, inner)?;
            continue;
        }
        let start = out.len();
        let there = match element {
            Wire::Json | Wire::Jsonb => write(out, element, value)?,
            _ => plain(out, element, value)?,
        };
        if there {
            let text = out.split_off(start);
            out.push(b'"');
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(b"NULL");
        }
    }
    out.push(b'}');
    Ok(())
}

/// Writes a value as a field of COPY's text format, without the tab after it.
pub(super) fn write_field<T: Serialize + ?Sized>(out: &mut Vec<u8>, wire: &Wire, value: &T) -> Result<()> {
    let start = out.len();
    if !write(out, wire, value)? {
        out.extend_from_slice(b"\\N");
        return Ok(());
    }
    if out[start..].iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
        let text = out.split_off(start);
        for byte in text {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                byte => out.push(byte),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(wire: &Wire, value: &Value) -> String {
        let mut out = Vec::new();
        write_field(&mut out, wire, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_escaped() {
        assert_eq!(field(&Wire::Text, &json!("a\tb\\c\nd\r")), "a\\tb\\\\c\\nd\\r");
        assert_eq!(field(&Wire::Text, &json!(null)), "\\N");
        assert_eq!(field(&Wire::Text, &json!("\\N")), "\\\\N");
        assert_eq!(field(&Wire::Jsonb, &json!({"a": "\n"})), "{\"a\":\"\\\\n\"}");
        assert_eq!(field(&Wire::Bytes, &json!([0, 255])), "\\\\x00ff");
        assert_eq!(field(&Wire::Other, &json!(["a\"b", null, "c,d", 1])), r#"{"a\\"b",NULL,"c,d","1"}"#);
        assert_eq!(field(&Wire::TimestampTz, &json!("2024-05-01 10:00:00")), "2024-05-01T10:00:00Z");
    }
}
