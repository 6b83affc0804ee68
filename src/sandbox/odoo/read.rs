//! `read`: records as JSON.

use serde_json::{Map, Value};

use super::cell::Cell;
use super::environment::Environment;
use super::models::{MODELS, USERS};
use super::python::quoted;
use super::schema::{Column, Kind, ModelId};
use super::store::{Row, Store};
use super::trouble::{Result, Trouble};

/// Which fields to read, and how.
#[derive(Debug)]
pub(super) struct Reading {
    model: ModelId,
    columns: Vec<Column>,
    /// Whether a many2one is `[id, name]` and not the id alone.
    with_names: bool,
}

impl Reading {
    /// `load` is `_classic_read` unless it was given.
    pub(super) fn new(
        env: &Environment,
        model: ModelId,
        fields: Option<&Value>,
        load: Option<&Value>,
    ) -> Result<Self> {
        let shape = &MODELS[model];
        let names: Vec<&str> =
            fields.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let columns = if names.is_empty() {
            shape.columns().collect()
        } else {
            let find = |name: &&str| {
                shape.field(name).ok_or_else(|| {
                    let place = if env.version == 17 { "on model" } else { "on" };
                    Trouble::value(format!("Invalid field {} {place} {}", quoted(name), quoted(shape.name)))
                })
            };
            names.iter().map(find).collect::<Result<_>>()?
        };
        Ok(Self { model, columns, with_names: load.is_none_or(|load| load == "_classic_read") })
    }

    /// All fields, as tests see them.
    pub(super) fn everything(model: ModelId) -> Self {
        Self { model, columns: MODELS[model].columns().collect(), with_names: true }
    }

    /// The records of these ids, in their order; those that are gone are left out.
    pub(super) fn read(&self, store: &Store, ids: &[i64]) -> Vec<Value> {
        ids.iter().filter_map(|id| Some(self.record(store, *id, store.row(self.model, *id)?))).collect()
    }

    pub(super) fn record(&self, store: &Store, id: i64, row: &Row) -> Value {
        let mut record = Map::new();
        record.insert("id".to_owned(), id.into());
        for column in &self.columns {
            let cell = store.cell_of(self.model, id, row, *column);
            let field = column.1;
            let value = match (field.kind, &cell) {
                (Kind::Many2one(to, _), Cell::Int(id)) if self.with_names => {
                    vec![Value::from(*id), store.display_name(to, *id).into()].into()
                }
                // Passwords are written, never read.
                _ if self.model == USERS && field.name == "password" => Value::from(""),
                (kind, cell) => cell.to_json(kind),
            };
            record.insert(field.name.to_owned(), value);
        }
        Value::Object(record)
    }
}
