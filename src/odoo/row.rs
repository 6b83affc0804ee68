//! A record as it was read, and the values in it.

use std::fmt;

use serde::de::{self, DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::decode::decode;
use crate::error::{Error, ErrorKind, Result};

/// A record as it was read: the fields that were asked for, and always `id`.
///
/// ```
/// use batchcall::odoo::Row;
/// use serde::Deserialize;
/// use serde_json::json;
///
/// #[derive(Deserialize)]
/// struct Partner { id: i64, name: String, email: Option<String> }
///
/// let row: Row = serde_json::from_value(json!({"id": 13, "name": "R1", "email": false}))?;
/// assert_eq!(row.id(), 13);
/// assert_eq!(row.get_str("email"), None);
/// let partner: Partner = row.decode()?;
/// assert_eq!(partner.email, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Row(Map<String, Value>);

impl Row {
    /// The id; 0 where there is none, as in a record that was never saved.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.0.get("id").and_then(Value::as_i64).unwrap_or_default()
    }

    /// The value of a field. `None` where it was not asked for, and where Odoo says `false`, unless that
    /// may be the value itself: use [`decode`](Self::decode) or [`as_json`](Self::as_json) for yes and no.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }

    /// A text; of a related record its name.
    #[must_use]
    pub fn get_str(&self, field: &str) -> Option<&str> {
        let value = self.get(field)?;
        value.as_str().or_else(|| value.get(1)?.as_str())
    }

    /// A whole number; of a related record its id.
    #[must_use]
    pub fn get_i64(&self, field: &str) -> Option<i64> {
        let value = self.get(field)?;
        value.as_i64().or_else(|| value.get(1)?.is_string().then(|| value.get(0)?.as_i64())?)
    }

    /// Yes or no.
    #[must_use]
    pub fn get_bool(&self, field: &str) -> Option<bool> {
        self.0.get(field)?.as_bool()
    }

    /// The record as a serde type, with Odoo's values understood: see [`decode`](super::decode()).
    ///
    /// # Errors
    ///
    /// [`Protocol`](ErrorKind::Protocol), naming the field that does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        // A map cannot be borrowed as a value.
        decode(&Value::Object(self.0.clone())).map_err(|error| self.labelled(&error))
    }

    /// As [`decode`](Self::decode), without a copy.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn into<T: DeserializeOwned>(self) -> Result<T> {
        let value = Value::Object(self.0);
        decode(&value).map_err(|error| match value {
            Value::Object(map) => Self(map).labelled(&error),
            _ => error,
        })
    }

    fn labelled(&self, error: &Error) -> Error {
        Error::new(ErrorKind::Protocol, format!("record {}: {}", self.id(), error.message()))
    }

    /// The fields as they came.
    #[must_use]
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The fields as they came.
    #[must_use]
    pub fn into_json(self) -> Map<String, Value> {
        self.0
    }
}

/// A related record: its id and its name.
///
/// Read from `[id, name]`, from an id alone, and from `{"id": .., "display_name": ..}`; written as the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Many2one {
    /// The id.
    pub id: i64,
    /// The display name; empty where it was not read.
    pub name: String,
}

impl From<Many2one> for Value {
    fn from(related: Many2one) -> Self {
        related.id.into()
    }
}

impl Serialize for Many2one {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.id)
    }
}

impl<'de> Deserialize<'de> for Many2one {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;

        impl<'de> Visitor<'de> for Shapes {
            type Value = Many2one;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[id, name] of a related record")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<Many2one, E> {
                Ok(Many2one { id, name: String::new() })
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Many2one, E> {
                self.visit_i64(i64::try_from(id).map_err(E::custom)?)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Many2one, A::Error> {
                let id = items.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let name = items.next_element::<Option<String>>()?.flatten().unwrap_or_default();
                Ok(Many2one { id, name })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Many2one, A::Error> {
                let (mut id, mut name) = (None, String::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "id" => id = Some(map.next_value()?),
                        "display_name" => name = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Many2one { id: id.ok_or_else(|| de::Error::missing_field("id"))?, name })
            }
        }

        deserializer.deserialize_any(Shapes)
    }
}

/// For `#[serde(with = "batchcall::odoo::iso")]`: dates and times of other libraries, which write ISO 8601,
/// in Odoo's form (`2026-11-21 03:47:28`, in UTC).
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// // Stands for a type such as chrono's NaiveDateTime or jiff's civil DateTime.
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// #[serde(transparent)]
/// struct Iso(String);
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     #[serde(with = "batchcall::odoo::iso")]
///     date_order: Iso,
/// }
///
/// let order: Order = serde_json::from_str(r#"{"date_order": "2026-11-21 03:47:28"}"#)?;
/// assert_eq!(order.date_order, Iso("2026-11-21T03:47:28".into()));
/// assert_eq!(serde_json::to_string(&order)?, r#"{"date_order":"2026-11-21 03:47:28"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub mod iso {
    use serde::de::value::StringDeserializer;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Reads Odoo's form into a type that reads ISO 8601.
    ///
    /// # Errors
    ///
    /// That of the type.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::deserialize(StringDeserializer::new(text.replacen(' ', "T", 1)))
    }

    /// Writes a type that writes ISO 8601 in Odoo's form. Fractions of seconds are cut off.
    ///
    /// # Errors
    ///
    /// For a value that is not written as text, and for an offset other than `Z`: Odoo keeps UTC.
    pub fn serialize<S: Serializer, T: Serialize>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        let value = serde_json::to_value(value).map_err(S::Error::custom)?;
        let text = value.as_str().ok_or_else(|| S::Error::custom("not a date or time in ISO 8601"))?;
        let (date, time) = text.split_once('T').unwrap_or((text, ""));
        if time.is_empty() {
            return serializer.serialize_str(date);
        }
        let time = time.strip_suffix('Z').or_else(|| time.strip_suffix("+00:00")).unwrap_or(time);
        let time = time.split('.').next().unwrap_or_default();
        if time.contains(['+', '-', '[']) {
            return Err(S::Error::custom(format!("{text} is not in UTC, as Odoo keeps it")));
        }
        // chrono leaves the seconds out where they are zero.
        let seconds = if time.len() == 5 { ":00" } else { "" };
        serializer.serialize_str(&format!("{date} {time}{seconds}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        let row = json!({"id": 13, "name": "R1", "email": false, "country_id": [21, "Belgium"], "active": false,
                         "category_id": [1, 2], "create_date": "2026-11-21 03:47:28"});
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn values_are_read_by_name() {
        let row = row();
        assert_eq!((row.get_str("name"), row.get_str("email")), (Some("R1"), None));
        assert_eq!((row.get_str("country_id"), row.get_i64("country_id")), (Some("Belgium"), Some(21)));
        assert_eq!(row.get_i64("category_id"), None, "two records are not one");
        assert_eq!(row.get_bool("active"), Some(false));
        assert_eq!(row.get("missing"), None);
    }

    #[test]
    fn a_related_record_is_read_in_every_shape_and_written_as_its_id() {
        let shapes = [json!([21, "Belgium"]), json!({"id": 21, "display_name": "Belgium", "code": "BE"})];
        for shape in shapes {
            let related: Many2one = decode(&shape).unwrap();
            assert_eq!(related, Many2one { id: 21, name: "Belgium".into() });
            assert_eq!(json!(related), json!(21));
        }
        assert_eq!(decode::<Many2one>(&json!(21)).unwrap().name, "");
        assert!(decode::<Many2one>(&json!({"display_name": "x"})).is_err());
    }

    #[test]
    fn a_row_that_does_not_fit_says_which_it_is() {
        #[derive(Debug, Deserialize)]
        struct Wrong {
            #[serde(rename = "name")]
            _name: i64,
        }
        let error = row().decode::<Wrong>().unwrap_err();
        assert!(error.message().contains("record 13") && error.message().contains("name"), "{error}");
    }

    #[test]
    fn times_are_written_in_utc_or_not_at_all() {
        #[derive(Serialize)]
        struct At(#[serde(with = "iso")] &'static str);
        for (text, written) in [
            ("2026-11-21T03:47:28", Some("2026-11-21 03:47:28")),
            ("2026-11-21T03:47:28.123456Z", Some("2026-11-21 03:47:28")),
            ("2026-11-21T03:47:28+00:00", Some("2026-11-21 03:47:28")),
            ("2026-11-21T03:47", Some("2026-11-21 03:47:00")),
            ("2026-11-21", Some("2026-11-21")),
            ("2026-11-21T03:47:28+02:00", None),
        ] {
            assert_eq!(serde_json::to_value(At(text)).ok(), written.map(Value::from), "{text}");
        }
    }
}
