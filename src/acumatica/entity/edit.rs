//! Building and changing records.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::path::{self, Step, invalid};
use super::{CustomValue, Entity, envelope, plain};
use crate::Result;
use crate::acumatica::CustomKind;

impl Entity {
    /// Sets a field, a linked record or a line; records and the next line are made where they are missing.
    ///
    /// Takes anything that [`encode`](Self::encode) takes, plain values too. `None` changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a path that is none, that leads through a plain field or beyond the end of a
    /// list, and for a value that JSON cannot say. The record is then unchanged.
    ///
    /// ```
    /// use batchcall::acumatica::Entity;
    ///
    /// let mut order = Entity::new();
    /// order.set("Details[0].OrderQty", 2)?;
    /// assert!(order.set("Details[5].OrderQty", 2).is_err());
    /// assert!(order.set("Total", f64::NAN).is_err());
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn set(&mut self, path: &str, value: impl Serialize) -> Result<()> {
        let steps = path::parse(path)?;
        let node = match (plain::to_plain(&value, path)?, steps.as_slice()) {
            (Value::Null, _) => return Ok(()),
            (value, [.., Step::Name("custom"), Step::Name(_), Step::Name(_)]) => {
                envelope::wrap_custom(value, path)?
            }
            (Value::Object(record), [.., Step::Index(_)]) => Value::Object(envelope::wrap(record, path)?),
            (value, [.., Step::Name(name)]) => {
                let parent = path.strip_suffix(name).unwrap_or("").trim_end_matches(['.', '/']);
                envelope::wrap_member(name, value, parent)?
            }
            (value, _) => value,
        };
        path::put(&mut self.map, path, &steps, node)
    }

    /// [`set`](Self::set), for chaining. What cannot be set fails [`check`](Self::check) and the sending.
    #[must_use]
    pub fn with(self, path: &str, value: impl Serialize) -> Self {
        self.try_with(|entity| entity.set(path, value))
    }

    /// Empties a field: sends null, where [`set`](Self::set) with `None` leaves it alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) as [`set`](Self::set).
    pub fn clear(&mut self, path: &str) -> Result<()> {
        let steps = path::parse(path)?;
        let mut empty = json!({ "value": null });
        if let [.., Step::Name("custom"), Step::Name(_), Step::Name(_)] = steps.as_slice() {
            let kind = path::find(&self.map, path).and_then(|field| field.get("type")).cloned();
            empty["type"] = kind.unwrap_or_else(|| CustomKind::String.type_name().into());
        }
        path::put(&mut self.map, path, &steps, empty)
    }

    /// [`clear`](Self::clear), for chaining.
    #[must_use]
    pub fn with_cleared(self, path: &str) -> Self {
        self.try_with(|entity| entity.clear(path))
    }

    /// Sets a field that the endpoint does not define, by its view and name; `Attribute` and its id for a
    /// user-defined one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty name, and for a float that is no number.
    ///
    /// ```
    /// use batchcall::acumatica::{CustomKind, CustomValue, Entity};
    ///
    /// let mut item = Entity::new();
    /// item.set_custom("ItemSettings", "UsrRate", CustomValue::new(CustomKind::Decimal, 3))?;
    /// item.set_custom("ItemSettings", "UsrActive", true)?;
    /// assert_eq!(item.custom("ItemSettings", "UsrRate").unwrap().value(), 3);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn set_custom(&mut self, view: &str, field: &str, value: impl Into<CustomValue>) -> Result<()> {
        let path = format!("custom.{view}.{field}");
        if view.trim().is_empty() || field.trim().is_empty() {
            return Err(invalid(&path, "is not the path of a custom field"));
        }
        let Some(node) = value.into().to_json() else {
            return Err(invalid(&path, "cannot be set: it is no number that JSON can say"));
        };
        let steps = [Step::Name("custom"), Step::Name(view), Step::Name(field)];
        path::put(&mut self.map, &path, &steps, node)
    }

    /// [`set_custom`](Self::set_custom), for chaining.
    #[must_use]
    pub fn with_custom(self, view: &str, field: &str, value: impl Into<CustomValue>) -> Self {
        self.try_with(|entity| entity.set_custom(view, field, value))
    }

    /// Adds a line to a list, which is made where it is missing.
    ///
    /// A line without id and keys is always added by the server, so sending it again doubles it
    /// (Integration Development Guide, 2026 R1).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the path leads to something else than a list, or the line has a problem.
    pub fn push_detail(&mut self, path: &str, line: Entity) -> Result<()> {
        let count = match path::find(&self.map, path) {
            Some(Value::Array(lines)) => lines.len(),
            Some(_) => return Err(invalid(path, "is no list")),
            None => 0,
        };
        let mut steps = path::parse(path)?;
        steps.push(Step::Index(count));
        let line = line.into_json()?;
        path::put(&mut self.map, path, &steps, line)
    }

    /// [`push_detail`](Self::push_detail), for chaining.
    #[must_use]
    pub fn with_detail(self, path: &str, line: Entity) -> Self {
        self.try_with(|entity| entity.push_detail(path, line))
    }

    /// Marks a line, named by its id, to be removed from its document.
    #[must_use]
    pub fn mark_deleted(mut self) -> Self {
        self.map.insert("delete".to_owned(), Value::Bool(true));
        self
    }

    /// Names the record by its id: it is then updated, whatever its keys.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.map.insert("id".to_owned(), id.to_string().into());
        self
    }

    fn try_with(mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Self {
        if let Err(error) = change(&mut self) {
            self.problem.get_or_insert_with(|| error.message().into());
        }
        self
    }
}
