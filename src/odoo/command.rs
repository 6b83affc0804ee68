//! Commands for one2many and many2many fields: what to do with the records on the other side.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// What to do with the records of a one2many or many2many field.
///
/// ```
/// use batchcall::odoo::Command;
/// use serde_json::json;
///
/// let order = json!({
///     "partner_id": 7,
///     "tag_ids": [Command::set([1, 2])],
///     "order_line": [Command::create(json!({"product_id": 3})), Command::delete(9)],
/// });
/// assert_eq!(order["tag_ids"], json!([[6, 0, [1, 2]]]));
/// assert_eq!(order["order_line"], json!([[0, 0, {"product_id": 3}], [2, 9, 0]]));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a command does nothing until it is sent as a value"]
pub struct Command(Value);

impl Command {
    /// Creates a record with these values and links it.
    pub fn create(values: impl Into<Value>) -> Self {
        Self(json!([0, 0, values.into()]))
    }

    /// Writes values to a record that is linked.
    pub fn update(id: i64, values: impl Into<Value>) -> Self {
        Self(json!([1, id, values.into()]))
    }

    /// Deletes a record that is linked.
    pub fn delete(id: i64) -> Self {
        Self(json!([2, id, 0]))
    }

    /// Removes the link to a record, which stays.
    pub fn unlink(id: i64) -> Self {
        Self(json!([3, id, 0]))
    }

    /// Links a record that exists.
    pub fn link(id: i64) -> Self {
        Self(json!([4, id, 0]))
    }

    /// Removes all links.
    pub fn clear() -> Self {
        Self(json!([5, 0, 0]))
    }

    /// Links these records and no others.
    pub fn set(ids: impl IntoIterator<Item = i64>) -> Self {
        Self(json!([6, 0, ids.into_iter().collect::<Vec<_>>()]))
    }
}

impl From<Command> for Value {
    fn from(command: Command) -> Self {
        command.0
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Whether writing these values twice ends in the same state as writing them once.
///
/// Plain values do, and so do the commands that update a record by id, clear the links and set them.
/// A command that creates a record would create a second one; one that deletes, unlinks or links a
/// record acts on what others may have changed in between.
pub(super) fn is_repeatable(values: &Map<String, Value>) -> bool {
    values.values().all(|value| match value {
        Value::Array(items) => items.iter().all(|item| match item.as_array().map(Vec::as_slice) {
            Some([code, rest @ ..]) => match code.as_u64() {
                Some(1) => rest.get(1).and_then(Value::as_object).is_none_or(is_repeatable),
                Some(0 | 2 | 3 | 4) => false,
                _ => true,
            },
            _ => true,
        }),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_the_tuple_that_odoo_expects() {
        for (command, tuple) in [
            (Command::create(json!({"a": 1})), json!([0, 0, {"a": 1}])),
            (Command::update(5, json!({"a": 1})), json!([1, 5, {"a": 1}])),
            (Command::delete(5), json!([2, 5, 0])),
            (Command::unlink(5), json!([3, 5, 0])),
            (Command::link(5), json!([4, 5, 0])),
            (Command::clear(), json!([5, 0, 0])),
            (Command::set([5, 6]), json!([6, 0, [5, 6]])),
        ] {
            assert_eq!(Value::from(command), tuple);
        }
    }

    #[test]
    fn only_values_that_say_what_is_to_be_are_repeatable() {
        for (values, repeatable) in [
            (json!({"name": "x", "parent_id": 7, "active": false, "note": null}), true),
            (json!({"tag_ids": [[6, 0, [1]]]}), true),
            (json!({"tag_ids": [[5, 0, 0]]}), true),
            (json!({"line_ids": [[1, 5, {"qty": 2}]]}), true),
            (json!({"line_ids": [[1, 5, {"sub_ids": [[0, 0, {}]]}]]}), false),
            (json!({"line_ids": [[0, 0, {}]]}), false),
            (json!({"line_ids": [[6, 0, [1]], [2, 5, 0]]}), false),
            (json!({"line_ids": [[3, 5, 0]]}), false),
            (json!({"line_ids": [[4, 5]]}), false),
            (json!({"payload": [1, 2, 3]}), true),
        ] {
            assert_eq!(is_repeatable(values.as_object().unwrap()), repeatable, "{values}");
        }
    }
}
