//! Rows of other tables that belong to the rows of a `get`: one query a relation, never one a row.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::catalog::{TableInfo, TableName};
use super::connection::Connection;
use super::key::Key;
use super::part::key_of;
use super::table::Table;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::Record;

/// Rows of another table that [`get`](Table::get) loads besides, in a field of the row's type.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use batchcall::Database;
/// use batchcall::sql::Relation;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Line {
///     id: i64,
///     order_id: i64,
/// }
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Order {
///     id: i64,
///     #[serde(default)]
///     lines: Vec<Line>,
/// }
///
/// let db = Database::open("sqlite::memory:")?;
/// db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)", ())?;
/// db.execute("CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders)", ())?;
/// db.execute("INSERT INTO orders VALUES (1), (2)", ())?;
/// db.execute("INSERT INTO lines VALUES (10, 1), (11, 1)", ())?;
///
/// let orders = db.table::<Order>("orders").load_relations([Relation::many("lines")]).get([1, 2])?;
/// assert_eq!(orders[0].as_ref().unwrap().lines, [Line { id: 10, order_id: 1 }, Line { id: 11, order_id: 1 }]);
/// assert_eq!(orders[1].as_ref().unwrap().lines, []);
/// # } Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Relation {
    field: String,
    many: bool,
    table: Option<String>,
    column: Option<String>,
}

impl Relation {
    /// One row that each row refers to, in this field. Defaults to the table that the column `{field}_id`
    /// refers to.
    pub fn one(field: impl Into<String>) -> Self {
        Self { field: field.into(), many: false, table: None, column: None }
    }

    /// The rows that refer to each row, in this field. Defaults to the table `{field}` and its column that
    /// refers here.
    pub fn many(field: impl Into<String>) -> Self {
        Self { field: field.into(), many: true, table: None, column: None }
    }

    /// The other table.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// The column that refers: of this table for [`one`](Self::one), of the other for [`many`](Self::many).
    pub fn column(mut self, name: impl Into<String>) -> Self {
        self.column = Some(name.into());
        self
    }
}

/// Puts the related rows in the rows.
pub(crate) fn load<T: DeserializeOwned>(
    on: &Table<'_, T>,
    mut rows: Vec<Option<Record>>,
    deadline: Deadline,
) -> Result<Vec<Option<T>>> {
    let table = on.describe(deadline)?;
    let mut connection = on.db.connection_until(deadline)?;
    for relation in on.relations() {
        let joint = joint(on, &mut connection, &table, relation)?;
        fill(&mut connection, &mut rows, relation, &joint)?;
    }
    let typed = |record: Record| {
        serde_json::from_value(Value::Object(record.into_map())).map_err(|error| {
            Error::new(
                ErrorKind::Protocol,
                format!("a row with its relations does not fit the type: {error}"),
            )
            .with_entity(table.name.to_string())
            .with_delivery(Delivery::Answered)
        })
    };
    rows.into_iter().map(|row| row.map(typed).transpose()).collect()
}

/// How two tables hang together.
struct Joint {
    other: std::sync::Arc<TableInfo>,
    /// The column here, and the column there.
    here: String,
    there: usize,
}

fn joint<T>(
    on: &Table<'_, T>,
    connection: &mut Connection,
    table: &TableInfo,
    relation: &Relation,
) -> Result<Joint> {
    let Relation { field, many, table: other, column } = relation;
    let unclear = |what: &str| {
        let message = format!("the relation {field:?} of {}: {what}", table.name);
        Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent)
    };
    let in_our_schema = |name: &str| -> Result<TableName> {
        let mut name = TableName::parse(name)?;
        name.schema = name.schema.or_else(|| table.name.schema.clone());
        Ok(name)
    };
    if *many {
        let name = in_our_schema(other.as_deref().unwrap_or(field))?;
        let other = on.db.describe_on(connection, &name)?;
        let refers = other.foreign_keys.iter().find(|key| {
            key.columns.len() == 1
                && key.table.name == table.name.name
                && column.as_ref().is_none_or(|column| *column == key.columns[0])
        });
        let (here, there) = match (refers, column) {
            (Some(key), _) => (key.referred[0].clone(), key.columns[0].clone()),
            (None, Some(column)) => {
                (only_key(table).ok_or_else(|| unclear("no single key here"))?, column.clone())
            }
            (None, None) => {
                return Err(unclear(&format!("no column of {name} refers here; name it with column")));
            }
        };
        let there = other.require(&there)?;
        return Ok(Joint { other, here, there });
    }
    let here = column.clone().unwrap_or_else(|| format!("{field}_id"));
    table.require(&here)?;
    let refers = table.foreign_keys.iter().find(|key| key.columns == [here.clone()]);
    let name = match (other, refers) {
        (Some(other), _) => in_our_schema(other)?,
        (None, Some(key)) => key.table.clone(),
        (None, None) => {
            return Err(unclear(&format!("{here} refers to no table; name it with table")));
        }
    };
    let other = on.db.describe_on(connection, &name)?;
    let there = match refers.filter(|key| key.table.name == name.name) {
        Some(key) => key.referred[0].clone(),
        None => only_key(&other).ok_or_else(|| unclear("the other table has no single key"))?,
    };
    let there = other.require(&there)?;
    Ok(Joint { other, here, there })
}

fn only_key(table: &TableInfo) -> Option<String> {
    match table.key.as_slice() {
        [column] => Some(table.columns[*column].name.clone()),
        _ => None,
    }
}

fn fill(
    connection: &mut Connection,
    rows: &mut [Option<Record>],
    relation: &Relation,
    joint: &Joint,
) -> Result<()> {
    let value_of = |row: &Record| key_of(row, &[&joint.here]).ok().flatten();
    let mut values: Vec<Key> = rows.iter().flatten().filter_map(value_of).collect();
    values.sort_unstable();
    values.dedup();
    let mut found: HashMap<Key, Vec<Value>> = HashMap::new();
    if !values.is_empty() {
        let (related, _) = connection.get_by::<Record>(&joint.other, joint.there, &values)?;
        for (key, row) in related {
            found.entry(key).or_default().push(Value::Object(row.into_map()));
        }
    }
    for row in rows.iter_mut().flatten() {
        let related = value_of(row).and_then(|key| found.get(&key)).cloned().unwrap_or_default();
        let value = if relation.many {
            Value::Array(related)
        } else {
            related.into_iter().next().unwrap_or(Value::Null)
        };
        row.insert(relation.field.clone(), value);
    }
    Ok(())
}
