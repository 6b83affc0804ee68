//! One value to its text form, for types that have no binary form here, and for COPY as text.

use serde::Serialize;
use serde_json::Value;

use super::cell;
use super::cell_decode::Cell;
use super::decode::Unreadable;
use super::refusal::Refusal;
use super::wire::Wire;

type Result<T> = std::result::Result<T, Refusal>;

/// Writes a value as the type's input function reads it; `false` is NULL, and nothing is written.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, wire: &Wire, value: &T) -> Result<bool> {
    match wire {
        Wire::Json | Wire::Jsonb => {
            let start = out.len();
            serde_json::to_writer(&mut *out, value).map_err(|error| Refusal::new(error.to_string()))?;
            let null = out[start..] == *b"null";
            if null {
                out.truncate(start);
            }
            Ok(!null)
        }
        Wire::Other => {
            let value = serde_json::to_value(value).map_err(|error| Refusal::new(error.to_string()))?;
            plain(out, &value)
        }
        // By way of the binary form, so that the same values are taken and refused either way.
        _ => {
            let mut raw = Vec::new();
            cell::write(&mut raw, wire, value)?;
            let raw = if raw[..4] == (-1_i32).to_be_bytes() { None } else { Some(&raw[4..]) };
            render(out, Cell { raw, wire }).map_err(|unreadable| Refusal::new(unreadable.to_string()))
        }
    }
}

/// Writes what a binary form stands for.
fn render(out: &mut Vec<u8>, cell: Cell<'_>) -> std::result::Result<bool, Unreadable> {
    if cell.raw.is_none() {
        return Ok(false);
    }
    let Wire::Array(element, _) = cell.wire else {
        out.extend_from_slice(cell.text()?.as_bytes());
        return Ok(true);
    };
    let mut elements = cell.elements(element)?;
    let mut list = List::open(out);
    while let Some(cell) = elements.next_cell()? {
        let mut text = Vec::new();
        let there = render(&mut text, cell)?;
        list.push(there.then_some(&*text));
    }
    list.close();
    Ok(true)
}

/// The literal of an array.
struct List<'a>(&'a mut Vec<u8>, u8);

impl<'a> List<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        Self(out, b'{')
    }

    fn next(&mut self) -> &mut Vec<u8> {
        self.0.push(self.1);
        self.1 = b',';
        self.0
    }

    fn push(&mut self, element: Option<&[u8]>) {
        let out = self.next();
        let Some(text) = element else {
            out.extend_from_slice(b"NULL");
            return;
        };
        out.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }

    fn close(mut self) {
        if self.1 == b'{' {
            self.next();
        }
        self.0.push(b'}');
    }
}

/// Writes a value for a type that only the server knows.
fn plain(out: &mut Vec<u8>, value: &Value) -> Result<bool> {
    match value {
        Value::Null => return Ok(false),
        Value::Array(elements) => {
            let mut list = List::open(out);
            for element in elements {
                if element.is_array() {
                    plain(list.next(), element)?;
                } else {
                    let mut text = Vec::new();
                    let there = plain(&mut text, element)?;
                    list.push(there.then_some(&*text));
                }
            }
            list.close();
        }
        Value::String(text) if text.contains('\0') => {
            return Err(Refusal::new("the text contains NUL, which PostgreSQL cannot store"));
        }
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
    Ok(true)
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
        let floats = Wire::Array(Box::new(Wire::Float8), 701);
        let mut out = Vec::new();
        write_field(&mut out, &floats, &[Some(f64::NAN), None, Some(f64::NEG_INFINITY)]).unwrap();
        assert_eq!(out, b"{\"NaN\",NULL,\"-inf\"}");
        assert_eq!(field(&floats, &json!([])), "{}");
        assert_eq!(field(&Wire::Bytes, &json!([0, 255])), "\\\\x00ff");
        assert_eq!(field(&Wire::Other, &json!(["a\"b", null, "c,d", 1])), r#"{"a\\"b",NULL,"c,d","1"}"#);
        assert_eq!(field(&Wire::TimestampTz, &json!("2024-05-01 10:00:00")), "2024-05-01T10:00:00Z");
    }
}
