//! Records in memory: a tree of values, and the tables that hold the trees.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::schema::{EntityShape, Kind, Shape};

/// A record or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: Uuid,
    pub(super) note: Option<String>,
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) linked: BTreeMap<&'static str, Node>,
    pub(super) details: BTreeMap<&'static str, Vec<Node>>,
    /// By view and field.
    pub(super) custom: BTreeMap<(&'static str, &'static str), Value>,
}

impl Node {
    /// A new node with the defaults of its shape.
    pub(super) fn new(shape: &Shape) -> Self {
        let presets = shape.fields.iter().filter_map(|field| {
            let text = field.default?;
            let value = match field.kind {
                Kind::Text | Kind::Choice(_) | Kind::Date => Value::from(text),
                Kind::Decimal => Value::from(text.parse::<f64>().ok()?),
                Kind::Int => Value::from(text.parse::<i64>().ok()?),
                Kind::Bool => Value::from(text == "true"),
            };
            Some((field.name, value))
        });
        Self {
            id: Uuid::new_v4(),
            note: None,
            values: presets.collect(),
            linked: shape.linked.iter().map(|(name, shape)| (*name, Self::new(shape))).collect(),
            details: shape.details.iter().map(|(name, _)| (*name, Vec::new())).collect(),
            custom: BTreeMap::new(),
        }
    }

    /// A value as text: numbers and booleans too, nothing as the empty text.
    pub(super) fn text(&self, name: &str) -> String {
        match self.values.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        self.values.get(name).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// The keys, joined with `/`.
    pub(super) fn key(&self, entity: &EntityShape) -> String {
        entity.keys.iter().map(|key| self.text(key)).collect::<Vec<_>>().join("/")
    }
}

/// A file attached to a record.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) bytes: Vec<u8>,
}

/// A top-level record with its files.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) node: Node,
    pub(super) files: Vec<File>,
}

/// All records of one entity, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<String, Record>,
    keys: HashMap<Uuid, String>,
    numbered: u64,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        self.rows.get(&fold(key))
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Record> {
        self.rows.get_mut(&fold(key))
    }

    pub(super) fn by_id(&self, id: Uuid) -> Option<&Record> {
        self.rows.get(self.keys.get(&id)?)
    }

    pub(super) fn put(&mut self, key: &str, record: Record) {
        let key = fold(key);
        self.keys.insert(record.node.id, key.clone());
        self.rows.insert(key, record);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Record> {
        let record = self.rows.remove(&fold(key))?;
        self.keys.remove(&record.node.id);
        Some(record)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.rows.values()
    }

    /// The next number, such as `SO000042`.
    pub(super) fn next_number(&mut self, prefix: &str) -> String {
        self.numbered += 1;
        format!("{prefix}{:06}", self.numbered)
    }
}

/// Keys are compared as SQL Server's default collation does it: without regard to case and to spaces at
/// the end.
fn fold(key: &str) -> String {
    key.trim_end().to_uppercase()
}

/// All tables of the tenant.
#[derive(Debug, Default)]
pub(super) struct Store {
    tables: HashMap<&'static str, Table>,
}

impl Store {
    pub(super) fn table(&self, entity: &EntityShape) -> Option<&Table> {
        self.tables.get(entity.name())
    }

    pub(super) fn table_mut(&mut self, entity: &'static EntityShape) -> &mut Table {
        self.tables.entry(entity.name()).or_default()
    }

    pub(super) fn has(&self, entity: &str, key: &str) -> bool {
        self.tables.get(entity).is_some_and(|table| table.get(key).is_some())
    }

    /// A file by its id, wherever it is attached.
    pub(super) fn file(&self, id: Uuid) -> Option<&File> {
        self.tables.values().flat_map(Table::iter).flat_map(|record| &record.files).find(|file| file.id == id)
    }
}
