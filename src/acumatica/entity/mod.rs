//! Records as the server keeps them, and as the caller wants them.

mod custom;
mod echo;
mod edit;
mod envelope;
mod file;
mod path;
mod plain;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::custom::CustomValue;
pub use self::file::FileLink;
use self::path::join;
use crate::{Error, ErrorKind, FieldError, Result};

/// A record: its fields, linked records, lines, custom fields and files.
///
/// The server wraps every field in `{"value": ..}`; an entity hides that both ways. Fields are named by
/// path: `CustomerID`, `MainContact.Email`, `Details[0].InventoryID`, `custom.Document.UsrColor`.
///
/// ```
/// use batchcall::acumatica::Entity;
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// #[serde(rename_all = "PascalCase")]
/// struct Order {
///     order_nbr: String,
///     note: Option<String>,
///     details: Vec<Line>,
/// }
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// #[serde(rename_all = "PascalCase")]
/// struct Line {
///     order_qty: f64,
/// }
///
/// let order = Order { order_nbr: "SO1".into(), note: None, details: vec![Line { order_qty: 2.0 }] };
/// let entity = Entity::encode(&order)?;
/// assert_eq!(
///     entity.clone().into_json()?,
///     json!({ "OrderNbr": { "value": "SO1" }, "Details": [{ "OrderQty": { "value": 2.0 } }] })
/// );
/// assert_eq!(entity.get_f64("Details[0].OrderQty"), Some(2.0));
/// assert_eq!(entity.decode::<Order>()?, order);
/// # Ok::<(), batchcall::Error>(())
/// ```
///
/// A record can be built without a type of your own:
///
/// ```
/// use batchcall::acumatica::Entity;
///
/// let order = Entity::new()
///     .with("CustomerID", "ABARTENDE")
///     .with("ShipToAddress.City", "Bern")
///     .with_detail("Details", Entity::new().with("InventoryID", "AALEGO500").with("OrderQty", 3))
///     .with_custom("Document", "UsrColor", "red");
/// order.check()?;
/// assert_eq!(order.get_str("ShipToAddress.City"), Some("Bern"));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entity {
    /// In the server's form.
    map: Map<String, Value>,
    /// The first thing that `with` could not do. It fails the sending, so that nothing is lost in silence.
    problem: Option<Box<str>>,
}

impl Entity {
    /// A record without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A record from the server's form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when it is no object.
    pub fn from_json(json: Value) -> Result<Self> {
        match json {
            Value::Object(map) => Ok(Self { map, problem: None }),
            other => Err(Error::new(
                ErrorKind::Protocol,
                format!("a record must be an object, not {}", kind(&other)),
            )),
        }
    }

    /// A record from a type of yours: fields are put into their envelopes, structs are linked records,
    /// lists of structs are lines.
    ///
    /// - `None` is left out, so that the server keeps what it has; [`clear`](Self::clear) empties a field.
    /// - `id`, `rowNumber`, `delete`, `files` and `_links` stay plain; `note` is a field.
    /// - `custom` holds views, and views hold fields: `{"Document": {"UsrColor": "red"}}`. Their types are
    ///   told by the values, as [`CustomValue`] does; dates are told by their form.
    /// - What is in an envelope already stays as it is; an object of `id` and `description` is a drop-down
    ///   value of contract 5.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], naming the path, for what the server's JSON cannot say: a float that is no number,
    /// bytes, map keys that are not text, lists that mix lines and values, or a value that is no record.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        match plain::to_plain(value, "")? {
            Value::Object(record) => Ok(Self { map: envelope::wrap(record, "")?, problem: None }),
            other => Err(Error::new(
                ErrorKind::Invalid,
                format!("a record must be a struct or a map, not {}", kind(&other)),
            )),
        }
    }

    /// The record as a type of yours, without envelopes.
    ///
    /// Fields without a value are absent, so they may be `Option` or `#[serde(default)]`. A drop-down value
    /// of contract 5 stays `{"id": .., "description": ..}`. Custom fields are `custom.View.Field`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`], naming the path of the first field that does not fit, in its message and its
    /// [`field_errors`](Error::field_errors).
    ///
    /// ```
    /// use batchcall::acumatica::Entity;
    /// use serde::Deserialize;
    /// use serde_json::json;
    ///
    /// #[derive(Deserialize, Debug)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Order { details: Vec<Line> }
    ///
    /// #[derive(Deserialize, Debug)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Line { #[allow(dead_code)] order_qty: f64 }
    ///
    /// let entity = Entity::from_json(json!({ "Details": [{ "OrderQty": { "value": "two" } }] }))?;
    /// let error = entity.decode::<Order>().unwrap_err();
    /// assert_eq!(error.field_errors()[0].path, "Details[0].OrderQty");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        read(Value::Object(envelope::unwrap(&self.map)), "")
    }

    /// A value by path, without its envelope; `None` where there is none.
    ///
    /// Linked records and lists of lines come as the server has them.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        Some(envelope::open(path::find(&self.map, path)?)).filter(|value| !value.is_null())
    }

    /// One field as a type of yours; `None` where it has no value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when the value does not fit the type.
    ///
    /// ```
    /// use batchcall::acumatica::{Date, Entity};
    /// use serde_json::json;
    ///
    /// let order = Entity::from_json(json!({ "Date": { "value": "2024-01-31T00:00:00+00:00" } }))?;
    /// assert_eq!(order.get_as::<Date>("Date")?, Some(Date::new(2024, 1, 31)?));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path) {
            Some(_) => {
                let value = path::find(&self.map, path).map_or(Value::Null, envelope::unwrap_node);
                read(value, path).map(Some)
            }
            None => Ok(None),
        }
    }

    /// A text by path; of a drop-down value its id.
    #[must_use]
    pub fn get_str(&self, path: &str) -> Option<&str> {
        match self.get(path)? {
            Value::String(text) => Some(text),
            choice if envelope::is_choice(choice) => choice.get("id")?.as_str(),
            _ => None,
        }
    }

    /// A whole number by path; the server writes some as `2.0`.
    #[must_use]
    pub fn get_i64(&self, path: &str) -> Option<i64> {
        let value = self.get(path)?;
        value.as_i64().or_else(|| {
            let text = value.as_f64().filter(|number| number.fract() == 0.0)?.to_string();
            text.parse().ok()
        })
    }

    /// A number by path.
    #[must_use]
    pub fn get_f64(&self, path: &str) -> Option<f64> {
        self.get(path)?.as_f64()
    }

    /// A yes or no by path.
    #[must_use]
    pub fn get_bool(&self, path: &str) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    /// A custom field with its type; `None` where the query did not ask for it or it has no value.
    #[must_use]
    pub fn custom(&self, view: &str, field: &str) -> Option<CustomValue> {
        CustomValue::from_json(self.map.get("custom")?.get(view)?.get(field)?)
    }

    /// The lines of a list, each a record of its own; none where the answer has none.
    pub fn details(&self, path: &str) -> impl Iterator<Item = Entity> + '_ {
        let lines = path::find(&self.map, path).and_then(Value::as_array);
        lines
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|map| Self { map: map.clone(), problem: None })
    }

    /// A linked record, or one line: `MainContact`, `Details[0]`.
    #[must_use]
    pub fn nested(&self, path: &str) -> Option<Entity> {
        match path::find(&self.map, path)? {
            Value::Object(map) if !map.is_empty() && !envelope::is_field(map) => {
                Some(Self { map: map.clone(), problem: None })
            }
            _ => None,
        }
    }

    /// The id. That of a record lasts; that of a line lasts for the session (Integration Development Guide,
    /// 2026 R1).
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.get_str("id").and_then(|id| Uuid::parse_str(id).ok())
    }

    /// The note.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.get_str("note")
    }

    /// The names of all that is in the record, as the server has them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The files attached to the record, where the query expands `files`.
    #[must_use]
    pub fn files(&self) -> Vec<FileLink> {
        let files = self.map.get("files").and_then(Value::as_array);
        files.into_iter().flatten().map(FileLink::read).collect()
    }

    /// An address that the server offers for this record, such as `files:put`.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&str> {
        self.map.get("_links")?.get(name)?.as_str()
    }

    /// What the server has against the record (with the path `""`), its fields and its lines.
    ///
    /// A refused record comes back with `error` texts at their places (HTTP 422).
    ///
    /// ```
    /// use batchcall::acumatica::Entity;
    /// use serde_json::json;
    ///
    /// let refused = Entity::from_json(json!({
    ///     "error": "Inserting 'AP Transactions' raised at least one error.",
    ///     "Details": [{ "Project": { "value": "X", "error": "Project cannot be found." } }],
    /// }))?;
    /// let errors = refused.errors();
    /// assert_eq!(errors[0].path, "");
    /// assert_eq!((errors[1].path.as_str(), errors[1].message.as_str()), ("Details[0].Project", "Project cannot be found."));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        collect_errors(&self.map, "", &mut errors);
        errors
    }

    /// The paths of fields that were sent but came back with another value or not at all.
    ///
    /// The server answers 200 to fields that it ignores: misspelt ones, ones that cannot be set, or all of
    /// them for a user who may only look. Linked records and lines are compared where the answer has them.
    /// A request that selects fields away makes them look ignored. `2` is `2.0`, points in time are compared as instants, blanks at the end of a text do not count.
    ///
    /// ```
    /// use batchcall::acumatica::Entity;
    /// use serde_json::json;
    ///
    /// let sent = Entity::new().with("Details[0].Quantity", 2);
    /// let received = Entity::from_json(json!({ "Details": [{ "OrderQty": { "value": 0.0 } }] }))?;
    /// assert_eq!(Entity::not_echoed(&sent, &received), ["Details[0].Quantity"]);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn not_echoed(sent: &Entity, received: &Entity) -> Vec<String> {
        echo::missing(&sent.map, &received.map, "")
    }

    /// Whether everything chained so far could be done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the first thing that could not, with its path.
    pub fn check(&self) -> Result<()> {
        match &self.problem {
            Some(problem) => Err(Error::new(ErrorKind::Invalid, &**problem)),
            None => Ok(()),
        }
    }

    /// The record in the server's form.
    #[must_use]
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.map
    }

    /// The record in the server's form, to be sent.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn into_json(self) -> Result<Value> {
        self.check()?;
        Ok(Value::Object(self.map))
    }
}

fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = error.path().to_string();
        let path = join(path, if at == "." { "" } else { &at });
        let message = error.inner().to_string();
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        Error::new(ErrorKind::Protocol, format!("cannot decode the record: {place}{message}"))
            .with_field_errors(vec![FieldError::new(path, message)])
            .with_source(error.into_inner())
    })
}

fn collect_errors(map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(message) =
        map.get("error").and_then(Value::as_str).filter(|message| !message.trim().is_empty())
    {
        errors.push(FieldError::new(path, message));
    }
    for (name, node) in map {
        let path = join(path, name);
        match node {
            Value::Object(inner) => collect_errors(inner, &path, errors),
            Value::Array(list) => {
                for (index, line) in list.iter().enumerate() {
                    if let Value::Object(line) = line {
                        collect_errors(line, &join(&path, &format!("[{index}]")), errors);
                    }
                }
            }
            _ => {}
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// In the server's form; fails like [`Entity::check`].
impl Serialize for Entity {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match &self.problem {
            Some(problem) => Err(ser::Error::custom(problem)),
            None => self.map.serialize(serializer),
        }
    }
}

/// From the server's form.
impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Self::from_json(json).map_err(|error| de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests;
