//! The texts of a `load` as values.

use serde_json::{Map, Value, json};

use super::cell::{is_date, is_datetime};
use super::create::Values;
use super::load::{Loading, Target, conversion};
use super::models::MODELS;
use super::schema::{Column, Kind, ModelId};

/// How a column names the records of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Name,
    ExternalId,
    DatabaseId,
}

/// The rows of one record: more than one where it has one2many columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The number of the record.
    pub(super) record: usize,
}

impl Rows {
    /// A message about these rows, to be filled.
    pub(super) fn message(&self, kind: &str) -> Map<String, Value> {
        Map::from_iter([
            ("rows".to_owned(), json!({"from": self.from, "to": self.to})),
            ("record".to_owned(), self.record.into()),
            ("type".to_owned(), kind.into()),
        ])
    }
}

/// What a conversion has to say; `{field}` stands for the label of the field.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) more: Option<Value>,
}

impl Told {
    fn error(message: String) -> Self {
        Self { kind: "error", message, more: None }
    }

    fn with(mut self, more: impl Into<Value>) -> Self {
        self.more = Some(more.into());
        self
    }
}

/// A record as `create` and `write` take it.
#[derive(Debug, Default)]
pub(super) struct Converted {
    pub(super) external: Option<String>,
    pub(super) database: Option<i64>,
    pub(super) values: Values,
}

/// Cuts the data into records: a row that fills one2many columns alone goes on with the record before it.
pub(super) fn extract(targets: &[Target], data: &[Value], limit: usize) -> Vec<Rows> {
    let is_filled = |row: &Value, at: usize| !scalar(row.get(at)).is_empty();
    let is_child = |at: usize| matches!(targets[at], Target::Child(..));
    let has_children = (0..targets.len()).any(is_child);
    let mut found = Vec::new();
    let mut from = 0;
    while from < data.len() && from < limit {
        let mut to = from;
        while has_children && to + 1 < data.len() {
            let row = &data[to + 1];
            let own = (0..targets.len()).any(|at| !is_child(at) && is_filled(row, at));
            let children = (0..targets.len()).any(|at| is_child(at) && is_filled(row, at));
            if own || !children {
                break;
            }
            to += 1;
        }
        found.push(Rows { from, to, record: found.len() });
        from = to + 1;
    }
    found
}

/// Converts one record. What cannot be converted is told, and left out.
pub(super) fn convert(
    loading: &mut Loading<'_, '_>,
    targets: &[Target],
    data: &[Value],
    rows: &Rows,
) -> Converted {
    let mut converted = Converted::default();
    let row = &data[rows.from];
    for (at, target) in targets.iter().enumerate() {
        let text = scalar(row.get(at));
        match target {
            Target::ExternalId => converted.external = Some(text).filter(|text| !text.is_empty()),
            Target::DatabaseId => converted.database = database_id(loading, &text, rows),
            Target::Field(column, by) => {
                value(loading, &mut converted.values, *column, *by, &text, rows);
            }
            Target::Child(column, _) => {
                if !converted.values.contains_key(column.1.name) {
                    let commands = children(loading, targets, column.1.name, data, rows);
                    if !commands.is_empty() {
                        converted.values.insert(column.1.name.to_owned(), commands.into());
                    }
                }
            }
        }
    }
    converted
}

/// A cell as text: clients send numbers and `false` now and then.
fn scalar(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null | Value::Bool(false)) => String::new(),
        Some(Value::Bool(true)) => "True".into(),
        Some(other) => other.to_string(),
    }
}

fn database_id(loading: &mut Loading<'_, '_>, text: &str, rows: &Rows) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let id = text.parse::<i64>().ok();
    let is_there = id.is_some_and(|id| loading.tx.store.row(loading.model, id).is_some());
    if !is_there {
        let what = if id.is_some() { "Unknown" } else { "Invalid" };
        let mut message = rows.message("error");
        message.insert("message".into(), format!("{what} database identifier '{text}'").into());
        message.insert("field".into(), ".id".into());
        loading.messages.push(Value::Object(message));
    }
    id.filter(|_| is_there)
}

/// Converts one cell into the values of a record.
fn value(
    loading: &mut Loading<'_, '_>,
    values: &mut Values,
    column: Column,
    by: By,
    text: &str,
    rows: &Rows,
) {
    let name = column.1.name.to_owned();
    if text.is_empty() {
        values.insert(name, Value::Bool(false));
        return;
    }
    let mut told = None;
    let result = match column.1.kind {
        Kind::Many2one(to, _) => {
            find(loading, to, by, text, &mut told).map(|id| id.map_or(Value::Bool(false), Value::from))
        }
        Kind::Many2many(to) => text
            .split(',')
            .map(|one| find(loading, to, by, one.trim(), &mut told))
            .collect::<Result<Vec<_>, _>>()
            .map(|ids| json!([[6, 0, ids.into_iter().flatten().collect::<Vec<_>>()]])),
        kind => plain(kind, text),
    };
    let told = match result {
        Ok(value) => {
            values.insert(name, value);
            told
        }
        Err(error) => Some(error),
    };
    loading.messages.extend(told.map(|told| conversion(told, column, rows)));
}

/// The value of a field that is no relation.
fn plain(kind: Kind, text: &str) -> Result<Value, Told> {
    Ok(match kind {
        Kind::Integer => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => {
                return Err(Told::error(format!(
                    "'{text}' does not seem to be an integer for field '{{field}}'"
                )));
            }
        },
        Kind::Float => match text.parse::<f64>() {
            Ok(number) => number.into(),
            Err(_) => {
                return Err(Told::error(format!(
                    "'{text}' does not seem to be a number for field '{{field}}'"
                )));
            }
        },
        Kind::Boolean => match text.to_lowercase().as_str() {
            "1" | "true" | "yes" | "t" | "y" => true.into(),
            "0" | "false" | "no" | "f" | "n" => false.into(),
            _ => {
                return Err(Told::error(format!("Unknown value '{text}' for boolean field '{{field}}'"))
                    .with("Use '1' for yes and '0' for no"));
            }
        },
        Kind::Date if !is_date(text) => {
            return Err(Told::error(format!(
                "'{text}' does not seem to be a valid date for field '{{field}}'"
            ))
            .with("Use the format '2012-12-31'"));
        }
        Kind::Datetime if !is_datetime(text) && !is_date(text) => {
            return Err(Told::error(format!(
                "'{text}' does not seem to be a valid datetime for field '{{field}}'"
            ))
            .with("Use the format '2012-12-31 23:59:59'"));
        }
        Kind::Selection(choices) => {
            let wanted = text.to_lowercase();
            let found = choices.iter().find(|(key, label)| *key == text || label.to_lowercase() == wanted);
            match found {
                Some((key, _)) => (*key).into(),
                None => {
                    let labels: Vec<&str> = choices.iter().map(|(_, label)| *label).collect();
                    let message = format!("Value '{text}' not found in selection field '{{field}}'");
                    return Err(Told::error(message).with(labels));
                }
            }
        }
        _ => text.into(),
    })
}

/// The record that a cell names. `None` where the name is empty.
fn find(
    loading: &mut Loading<'_, '_>,
    to: ModelId,
    by: By,
    text: &str,
    told: &mut Option<Told>,
) -> Result<Option<i64>, Told> {
    if text.is_empty() {
        return Ok(None);
    }
    let (kind, found) = match by {
        By::ExternalId => {
            let name = loading.complete(text);
            if loading.waiting.contains(&name) {
                loading.flush();
            }
            let target = loading.tx.store.target(&name);
            let found = target.filter(|target| target.model == Some(to)).map(|target| target.id);
            ("external id", found.filter(|id| loading.tx.store.row(to, *id).is_some()))
        }
        By::DatabaseId => {
            let Ok(id) = text.parse::<i64>() else {
                return Err(Told::error(format!("Invalid database id '{text}' for the field '{{field}}'")));
            };
            ("database id", Some(id).filter(|id| loading.tx.store.row(to, *id).is_some()))
        }
        By::Name => {
            if to == loading.model {
                loading.flush();
            }
            let store = &loading.tx.store;
            let names = loading.names.entry(to).or_insert_with(|| {
                let mut names: std::collections::HashMap<String, Vec<i64>> = std::collections::HashMap::new();
                for (id, _) in store.table(to).iter() {
                    names.entry(store.display_name(to, id)).or_default().push(id);
                }
                names
            });
            let matches = names.get(text).map_or(&[][..], Vec::as_slice);
            if matches.len() > 1 {
                *told = Some(Told {
                    kind: "warning",
                    message: format!(
                        "Found multiple matches for value '{text}' in field '{{field}}' ({} matches)",
                        matches.len()
                    ),
                    more: None,
                });
            }
            ("name", matches.first().copied())
        }
    };
    found.map(Some).ok_or_else(|| {
        let message = format!("No matching record found for {kind} '{text}' in field '{{field}}'");
        Told::error(message).with(json!({
            "type": "ir.actions.act_window", "target": "new", "res_model": MODELS[to].name,
            "name": "Possible Values", "domain": [], "context": {"create": false, "edit": false},
        }))
    })
}

/// The commands of a one2many field: a child a row.
fn children(
    loading: &mut Loading<'_, '_>,
    targets: &[Target],
    field: &str,
    data: &[Value],
    rows: &Rows,
) -> Vec<Value> {
    let mut commands = Vec::new();
    for row in &data[rows.from..=rows.to] {
        let mut values = Values::new();
        let mut known = None;
        let mut is_filled = false;
        for (at, target) in targets.iter().enumerate() {
            let Target::Child(column, inner) = target else { continue };
            let text = scalar(row.get(at));
            if column.1.name != field || text.is_empty() {
                continue;
            }
            is_filled = true;
            let to = column.1.relation().unwrap_or(loading.model);
            match &**inner {
                Target::Field(column, by) => value(loading, &mut values, *column, *by, &text, rows),
                Target::ExternalId | Target::DatabaseId => {
                    let by =
                        if matches!(**inner, Target::ExternalId) { By::ExternalId } else { By::DatabaseId };
                    match find(loading, to, by, &text, &mut None) {
                        Ok(id) => known = id,
                        Err(told) => loading.messages.push(conversion(told, *column, rows)),
                    }
                }
                // Children of children are beyond this stand-in.
                Target::Child(..) => {}
            }
        }
        if is_filled {
            commands.extend(match known {
                Some(id) => vec![json!([4, id, 0]), json!([1, id, values])],
                None => vec![json!([0, 0, values])],
            });
        }
    }
    commands
}
