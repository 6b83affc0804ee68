//! `load`: rows of texts become records; what is wrong with which row is told in messages.
//!
//! First all rows are converted, then the records are written, each under a savepoint. One error, and
//! nothing of the call remains.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::cell::Cell;
use super::convert::{By, Rows, Told, convert, extract};
use super::create::{Values, create};
use super::environment::Operation;
use super::models::{DATA, MODELS};
use super::python::is_true;
use super::schema::{Column, ModelId};
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use super::write::write;

/// What a column of the file is for.
#[derive(Debug)]
pub(super) enum Target {
    ExternalId,
    DatabaseId,
    Field(Column, By),
    /// A column of a one2many field.
    Child(Column, Box<Self>),
}

/// A load under way.
#[derive(Debug)]
pub(super) struct Loading<'t, 'a> {
    pub(super) tx: &'t mut Transaction<'a>,
    pub(super) model: ModelId,
    /// The module of external ids that name none.
    pub(super) module: String,
    is_update: bool,
    is_fixed: bool,
    batch: Vec<Pending>,
    /// The external ids in the batch: who refers to one has it written first.
    pub(super) waiting: HashSet<String>,
    /// Records by their names, for each model that was asked.
    pub(super) names: HashMap<ModelId, HashMap<String, Vec<i64>>>,
    ids: Vec<i64>,
    pub(super) messages: Vec<Value>,
}

/// A record that is converted and not written yet.
#[derive(Debug)]
struct Pending {
    external: Option<String>,
    database: Option<i64>,
    values: Values,
    rows: Rows,
}

/// Loads rows of texts.
pub(super) fn load(
    tx: &mut Transaction<'_>,
    model: ModelId,
    fields: &[String],
    data: &[Value],
) -> Result<Value> {
    let targets: Vec<Target> = fields.iter().map(|path| target(model, path)).collect::<Result<_>>()?;
    let context = &tx.env.context;
    let limit = context.get("_import_limit").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let mut loading = Loading {
        module: tx.env.text("module").unwrap_or("__import__").to_owned(),
        is_update: tx.env.text("mode") == Some("update"),
        is_fixed: context.get("noupdate").is_some_and(is_true),
        model,
        batch: Vec::new(),
        waiting: HashSet::new(),
        names: HashMap::new(),
        ids: Vec::new(),
        messages: Vec::new(),
        tx,
    };
    let start = loading.tx.savepoint();
    let mut next = 0;
    for rows in extract(&targets, data, limit.unwrap_or(usize::MAX)) {
        next = rows.to + 1;
        let converted = convert(&mut loading, &targets, data, &rows);
        let external = converted.external.map(|name| loading.complete(&name));
        if external.is_none() && converted.database.is_none() && loading.is_update {
            continue;
        }
        loading.waiting.extend(external.clone());
        loading.batch.push(Pending {
            external,
            database: converted.database,
            values: converted.values,
            rows,
        });
    }
    loading.flush();
    let Loading { tx, ids, messages, .. } = loading;
    let ids = if messages.iter().any(|message| message["type"] == "error") {
        tx.back_to(start);
        Value::Bool(false)
    } else {
        ids.into()
    };
    let next = if limit.is_some_and(|limit| next >= limit) { next } else { 0 };
    Ok(json!({"ids": ids, "messages": messages, "nextrow": next}))
}

/// What a column is for, by its heading.
fn target(model: ModelId, path: &str) -> Result<Target> {
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        // `country_id:id` is the older way to write it.
        None => match path.split_once(':') {
            Some((name, "id")) => (name, Some("id")),
            _ => (path, None),
        },
    };
    match (name, rest) {
        ("id", None) => return Ok(Target::ExternalId),
        (".id", None) => return Ok(Target::DatabaseId),
        _ => {}
    }
    let column = MODELS[model].field(name).ok_or_else(|| Trouble::key(name))?;
    if let (super::schema::Kind::One2many(to, _), Some(rest)) = (column.1.kind, rest) {
        return Ok(Target::Child(column, Box::new(target(to, rest)?)));
    }
    match rest {
        None => Ok(Target::Field(column, By::Name)),
        Some("id") => Ok(Target::Field(column, By::ExternalId)),
        Some(".id") => Ok(Target::Field(column, By::DatabaseId)),
        Some(other) => Err(Trouble::value(format!(
            "Can not create Many-To-One records indirectly, import the field separately: {other}"
        ))),
    }
}

impl Loading<'_, '_> {
    /// An external id with its module.
    pub(super) fn complete(&self, name: &str) -> String {
        if name.contains('.') { name.to_owned() } else { format!("{}.{name}", self.module) }
    }

    /// Writes what is converted so far, record by record, until there are too many errors.
    pub(super) fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.waiting.clear();
        if !batch.is_empty() {
            self.names.remove(&self.model);
        }
        let mut errors = 0;
        for (i, pending) in batch.iter().enumerate() {
            let savepoint = self.tx.savepoint();
            match self.apply(pending) {
                Ok(id) => self.ids.push(id),
                Err(trouble) => {
                    self.tx.back_to(savepoint);
                    self.messages.push(failure(&trouble, &pending.rows));
                    errors += 1;
                    if errors >= 10 && errors * 10 > i {
                        self.messages.push(json!({"type": "warning", "message":
                            "Found more than 10 errors and more than one error per 10 records, interrupted to avoid \
                             showing too many errors."}));
                        break;
                    }
                }
            }
        }
    }

    fn apply(&mut self, pending: &Pending) -> Result<i64> {
        let (model, tx) = (self.model, &mut *self.tx);
        if tx.conflicts {
            return Err(Trouble::serialization());
        }
        if let Some(id) = pending.database {
            tx.env.check_access(model, Operation::Write)?;
            write(tx, model, &[id], &pending.values)?;
            return Ok(id);
        }
        let Some(name) = &pending.external else {
            tx.env.check_access(model, Operation::Create)?;
            return create(tx, model, &pending.values);
        };
        let known = tx.store.target(name);
        if let Some(known) = known {
            if known.model != Some(model) {
                let found = known.model.map_or("unknown", |model| MODELS[model].name);
                return Err(Trouble::validation(format!(
                    "For external id {name} when trying to create/update a record of model {} found record of different \
                     model {found} ({})",
                    MODELS[model].name, known.id
                )));
            }
            if tx.store.row(model, known.id).is_some() {
                if !(self.is_update && known.is_fixed) {
                    tx.env.check_access(model, Operation::Write)?;
                    write(tx, model, &[known.id], &pending.values)?;
                }
                return Ok(known.id);
            }
            // The record is gone and its external id is not: it is made again.
            tx.remove(DATA, known.data)?;
        }
        tx.env.check_access(model, Operation::Create)?;
        let id = create(tx, model, &pending.values)?;
        let (module, own) = name.split_once('.').unwrap_or(("", name));
        name_record(tx, model, id, (module, own), self.is_fixed);
        Ok(id)
    }
}

/// Gives a record an external id. The server does so as superuser, and nobody calls it a change of theirs.
pub(super) fn name_record(
    tx: &mut Transaction<'_>,
    model: ModelId,
    id: i64,
    (module, name): (&str, &str),
    is_fixed: bool,
) {
    let shape = &MODELS[DATA];
    let mut row = tx.blank();
    row.reserve(5);
    row.set(shape.number("module"), Cell::text(module));
    row.set(shape.number("name"), Cell::text(name));
    row.set(shape.number("model"), Cell::text(MODELS[model].name));
    row.set(shape.number("res_id"), Cell::Int(id));
    row.set(shape.number("noupdate"), Cell::Bool(is_fixed));
    tx.insert(DATA, row);
}

/// The message of a record that could not be written.
fn failure(trouble: &Trouble, rows: &Rows) -> Value {
    let mut message = rows.message("error");
    if trouble.is_for_users() || trouble.is_serialization() {
        let text = trouble.in_load.as_ref().unwrap_or(&trouble.message);
        message.insert("message".into(), text.as_str().into());
        if let Some(field) = trouble.field {
            message.insert("field".into(), field.into());
        }
    } else {
        let class = trouble.name.strip_prefix("builtins.").unwrap_or(trouble.name);
        let text = format!("Unknown error during import: <class '{class}'>: {}", trouble.message);
        message.insert("message".into(), text.into());
        message.insert("moreinfo".into(), "Resolve other errors first".into());
    }
    Value::Object(message)
}

/// The message of a value that could not be converted.
pub(super) fn conversion(told: Told, column: Column, rows: &Rows) -> Value {
    let mut message: Map<String, Value> = rows.message(told.kind);
    let text = told.message.replace("{field}", column.1.label);
    message.insert("message".into(), text.into());
    message.insert("field".into(), column.1.name.into());
    message.insert("field_name".into(), column.1.label.into());
    if let Some(more) = told.more {
        message.insert("moreinfo".into(), more);
    }
    Value::Object(message)
}
