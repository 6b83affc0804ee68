//! The `{"value": ..}` around every field: put on before sending, taken off after receiving.
//!
//! Fields are `{"value": ..}`, without a value `{}`; `id`, `rowNumber`, `delete`, `error`, `files` and
//! `_links` stand plain; custom fields are `custom.View.Field = {"type": .., "value": ..}` (Integration
//! Development Guide, 2026 R1).

use serde_json::{Map, Value, json};

use super::custom::CustomValue;
use super::path::{invalid, join};
use crate::Result;
use crate::acumatica::CustomKind;

/// What the server has without an envelope.
pub(super) const PLAIN: [&str; 6] = ["id", "rowNumber", "delete", "error", "files", "_links"];

/// Whether an object is the envelope of one field, and not a record. Fields of records begin with a
/// capital letter, so these three names never are any.
pub(super) fn is_field(map: &Map<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|key| matches!(key.as_str(), "value" | "type" | "error"))
}

/// Whether an object is the value of a drop-down list, which contract 5 writes
/// `{"id": .., "description": ..}`, and not a record, whose id is a [`Uuid`](uuid::Uuid).
pub(super) fn is_choice(value: &Value) -> bool {
    let Value::Object(map) = value else { return false };
    let named = !map.is_empty() && map.keys().all(|key| matches!(key.as_str(), "id" | "description"));
    let record = match map.get("id") {
        Some(Value::String(id)) => uuid::Uuid::parse_str(id).is_ok() && map.len() == 1,
        Some(_) => false,
        None => true,
    };
    named && !record
}

/// What is in the envelope, null in an empty one; anything else as it is.
pub(super) fn open(node: &Value) -> &Value {
    match node {
        Value::Object(map) if map.is_empty() => &Value::Null,
        Value::Object(map) if is_field(map) => map.get("value").unwrap_or(&Value::Null),
        other => other,
    }
}

/// A record without envelopes; fields without a value are left out.
pub(super) fn unwrap(record: &Map<String, Value>) -> Map<String, Value> {
    let fields = record.iter().map(|(name, node)| (name.clone(), unwrap_node(node)));
    fields.filter(|(_, value)| !value.is_null()).collect()
}

pub(super) fn unwrap_node(node: &Value) -> Value {
    match node {
        Value::Object(map) if map.is_empty() => Value::Null,
        Value::Object(map) if is_field(map) => map.get("value").cloned().unwrap_or(Value::Null),
        Value::Object(map) => Value::Object(unwrap(map)),
        Value::Array(list) => list
            .iter()
            .map(|line| match line {
                // A line of which the server says only that it is wrong is a line still.
                Value::Object(map) if !(is_field(map) && map.contains_key("value")) => {
                    Value::Object(unwrap(map))
                }
                other => unwrap_node(other),
            })
            .collect(),
        plain => plain.clone(),
    }
}

/// A record in envelopes. What is in one already stays; nulls are left out.
pub(super) fn wrap(record: Map<String, Value>, path: &str) -> Result<Map<String, Value>> {
    let mut wrapped = Map::new();
    for (name, value) in record {
        if !value.is_null() {
            let node = wrap_member(&name, value, path)?;
            wrapped.insert(name, node);
        }
    }
    Ok(wrapped)
}

/// One field, linked record or list of lines of a record.
pub(super) fn wrap_member(name: &str, value: Value, path: &str) -> Result<Value> {
    let path = join(path, name);
    match value {
        value if PLAIN.contains(&name) => Ok(value),
        Value::Object(views) if name == "custom" => wrap_views(views, &path),
        choice if is_choice(&choice) => Ok(json!({ "value": choice })),
        Value::Object(map) if is_field(&map) => Ok(Value::Object(map)),
        Value::Object(map) => wrap(map, &path).map(Value::Object),
        Value::Array(list) => wrap_list(list, &path),
        scalar => Ok(json!({ "value": scalar })),
    }
}

/// Lines of a document, or the values of a field that takes several.
fn wrap_list(list: Vec<Value>, path: &str) -> Result<Value> {
    let records = list.iter().all(|item| item.is_object() && !is_choice(item));
    let values =
        list.iter().all(|item| is_choice(item) || !matches!(item, Value::Object(_) | Value::Array(_)));
    if let Some(index) = list.iter().position(|item| item.is_null() || item.is_array()) {
        let problem = "is a list or nothing, where a line or a value must be";
        return Err(invalid(&join(path, &format!("[{index}]")), problem));
    }
    if records {
        let lines = list.into_iter().enumerate().map(|(index, item)| match item {
            Value::Object(map) => wrap(map, &join(path, &format!("[{index}]"))).map(Value::Object),
            other => Ok(other),
        });
        lines.collect::<Result<Vec<_>>>().map(Value::Array)
    } else if values {
        Ok(json!({ "value": list }))
    } else {
        Err(invalid(path, "has lines and plain values in one list"))
    }
}

fn wrap_views(views: Map<String, Value>, path: &str) -> Result<Value> {
    let mut wrapped = Map::new();
    for (view, fields) in views {
        let path = join(path, &view);
        let Value::Object(fields) = fields else {
            return Err(invalid(&path, "must be the fields of a view: custom fields are custom.View.Field"));
        };
        let mut members = Map::new();
        for (name, value) in fields {
            if !value.is_null() {
                let member = wrap_custom(value, &join(&path, &name))?;
                members.insert(name, member);
            }
        }
        wrapped.insert(view, Value::Object(members));
    }
    Ok(Value::Object(wrapped))
}

/// A custom field, its type told by the value where it is not given.
pub(super) fn wrap_custom(value: Value, path: &str) -> Result<Value> {
    match value {
        Value::Object(mut field) if is_field(&field) => {
            if !field.contains_key("type") {
                let kind = CustomValue::kind_of(field.get("value").unwrap_or(&Value::Null));
                field.insert("type".to_owned(), kind.type_name().into());
            }
            Ok(Value::Object(field))
        }
        choice if is_choice(&choice) => {
            Ok(json!({ "type": CustomKind::String.type_name(), "value": choice }))
        }
        Value::Object(_) | Value::Array(_) => {
            Err(invalid(path, "is a custom field and takes one plain value"))
        }
        plain => Ok(json!({ "type": CustomValue::kind_of(&plain).type_name(), "value": plain })),
    }
}
