//! A record, and what names one.

use std::borrow::Borrow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The fields of a record: a JSON object.
///
/// ```
/// use batchcall::Record;
/// use serde_json::json;
///
/// let record = Record::from_iter([("name", json!("ACME")), ("active", json!(true))]);
/// assert_eq!(record.get("name"), Some(&json!("ACME")));
/// assert_eq!(record.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(Map<String, Value>);

impl Record {
    /// A record without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// Sets a field, and gives back what it was.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(field.into(), value.into())
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field)
    }

    /// The fields with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields as a JSON object.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The fields as a JSON object, to change in place.
    pub(crate) fn as_map_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The fields, taken out.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Map<String, Value>> for Record {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Record {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What names a record in its store.
///
/// Numbers and text are ids as stores give them. A [`Reference`] stands for a record that does not exist
/// yet; it is written `{"$ref": {"operation": .., "record": ..}}` and can be put wherever an id can, also
/// deep inside a value.
///
/// ```
/// use batchcall::RecordId;
///
/// assert_eq!(RecordId::from(7), RecordId::Int(7));
/// assert_eq!(RecordId::from("CUST001").to_string(), "CUST001");
/// assert!(serde_json::from_str::<RecordId>("true").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum RecordId {
    /// A number.
    Int(i64),
    /// Text: a key, or an id such as a UUID.
    Text(String),
    /// A record that another operation makes.
    New(Reference),
    /// The store did not tell, because it was not asked to: see
    /// [`return_ids`](crate::Operation::return_ids).
    #[default]
    Unknown,
}

/// Stands for a record that an operation makes: it becomes that record's id before anything that
/// refers to it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// The operation that makes the record.
    pub operation: Uuid,
    /// The place of the record in it, from 0.
    #[serde(default)]
    pub record: usize,
}

/// The one member of an object that is a reference.
const REFERENCE: &str = "$ref";

impl Reference {
    /// The reference that a JSON value is, if it is one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        Self::deserialize(object.get(REFERENCE)?).ok()
    }

    /// Calls `found` with every reference in a value.
    pub(crate) fn each_in(value: &Value, found: &mut impl FnMut(Self)) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| Self::each_in(value, found)),
            Value::Object(fields) => match Self::of(value) {
                Some(reference) => found(reference),
                None => fields.values().for_each(|value| Self::each_in(value, found)),
            },
            _ => {}
        }
    }

    /// Puts ids in the place of all references in a value.
    pub(crate) fn resolve_in(value: &mut Value, id: &mut impl FnMut(Self) -> Value) {
        if let Some(reference) = Self::of(value) {
            *value = id(reference);
            return;
        }
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| Self::resolve_in(value, id)),
            Value::Object(fields) => fields.values_mut().for_each(|value| Self::resolve_in(value, id)),
            _ => {}
        }
    }
}

impl RecordId {
    /// The number, where it is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(id) => Some(*id),
            _ => None,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(id) => Some(id),
            _ => None,
        }
    }

    /// The reference, where the record is not made yet.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        match self {
            Self::New(reference) => Some(*reference),
            _ => None,
        }
    }

    /// The id that a JSON value is; the error says what is wrong with it.
    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .ok_or_else(|| format!("an id is a whole number or text, not {number}")),
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Object(_) => Reference::of(value)
                .map(Self::New)
                .ok_or_else(|| "an id is a whole number or text, not an object".to_owned()),
            Value::Bool(_) => Err(format!("an id is a whole number or text, not {value}")),
            Value::Null => Err("the id is missing".to_owned()),
            Value::Array(_) => Err("an id is a whole number or text, not a list".to_owned()),
        }
    }

    /// The id as it stands in JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Int(id) => Value::from(*id),
            Self::Text(id) => Value::from(id.as_str()),
            Self::New(reference) => {
                json!({ REFERENCE: { "operation": reference.operation, "record": reference.record } })
            }
            Self::Unknown => Value::Null,
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
            Self::New(reference) => write!(f, "record {} of {}", reference.record, reference.operation),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::Unknown),
            value => Self::from_json(&value).map_err(D::Error::custom),
        }
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for RecordId {
            fn from(id: $int) -> Self {
                // What no store counts up to is left to the store to refuse.
                i64::try_from(id).map_or_else(|_| Self::Text(id.to_string()), Self::Int)
            }
        }

        impl From<&$int> for RecordId {
            fn from(id: &$int) -> Self {
                Self::from(*id)
            }
        }
    )*};
}
from_int!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl From<&str> for RecordId {
    fn from(id: &str) -> Self {
        Self::Text(id.to_owned())
    }
}

impl From<String> for RecordId {
    fn from(id: String) -> Self {
        Self::Text(id)
    }
}

impl From<&String> for RecordId {
    fn from(id: &String) -> Self {
        Self::Text(id.clone())
    }
}

impl From<Uuid> for RecordId {
    fn from(id: Uuid) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<Reference> for RecordId {
    fn from(reference: Reference) -> Self {
        Self::New(reference)
    }
}

impl From<&Self> for RecordId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl Borrow<Map<String, Value>> for Record {
    fn borrow(&self) -> &Map<String, Value> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_json() {
        let reference = Reference { operation: Uuid::new_v4(), record: 3 };
        for id in [RecordId::Int(7), RecordId::from("A/B"), RecordId::New(reference), RecordId::Unknown] {
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<RecordId>(&json).unwrap(), id, "{json}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for json in ["true", "1.5", "[1]", "{}", "9223372036854775808"] {
            assert!(serde_json::from_str::<RecordId>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn references_are_found_and_resolved_at_any_depth() {
        let reference = Reference { operation: Uuid::new_v4(), record: 2 };
        let id = RecordId::New(reference);
        let mut value = json!({"parent_id": id, "category_id": [[6, 0, [1, id]]], "name": "$ref"});
        let mut found = 0;
        Reference::each_in(&value, &mut |each| {
            assert_eq!(each, reference);
            found += 1;
        });
        assert_eq!(found, 2);
        Reference::resolve_in(&mut value, &mut |_| json!(9));
        assert_eq!(value, json!({"parent_id": 9, "category_id": [[6, 0, [1, 9]]], "name": "$ref"}));
    }
}
