//! Odoo as a store of records: each chunk is one call, which is one transaction of the server.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::args::Bulk;
use super::cells::{self, Sheet};
use super::client::Odoo;
use super::context::Context;
use super::domain::{Domain, field};
use super::each::{Row, is_about_records};
use super::find::Find;
use super::session::Session;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::capabilities::Capabilities;
use crate::records::chunk::{Answer, Applied, Chunk};
use crate::records::outcome::SharedError;
use crate::records::record::{Record, RecordId};
use crate::records::store::RecordStore;

/// Below what a server takes by default, 128 MiB (`web.max_file_upload_size`).
const MAX_BYTES: usize = 100 << 20;

/// What finds a record by its external id.
const EXTERNAL_ID: &str = "id";

/// - Creates are one `create` for each chunk; the server does not say which record it refuses.
/// - Updates are one `write`; different values are one `web_save_multi` from Odoo 19 on, and `load` before.
/// - Deletes count records that are gone already as deleted.
/// - Upserts by `["id"]`, the external id, go by `load`: its messages name the rows that are refused, and one
///   whose answer is lost goes again by itself. Fields are columns as `load` knows them, such as
///   `country_id/id`.
/// - Upserts by other fields look the records up and create or write them. Two clients that do so at once
///   may both create one; external ids are unique.
/// - Requests that touch the same parent at once are a conflict: the server tries again for some seconds, then
///   answers `could not serialize access`, and the request goes again. [`Operation::group_by`] with `parent_id`,
///   `order_id` and the like keeps them off each other.
///
/// [`Operation::group_by`]: crate::Operation::group_by
impl RecordStore for Odoo {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().atomic_chunks(true).upsert(true).reads(true).max_bytes(MAX_BYTES)
    }

    fn create(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        let context = lean_context(session, chunk);
        let records = Bulk::Records(chunk.records());
        let ids = session.create_records(chunk.model(), records, chunk.len(), context)?;
        Ok(ids.into_iter().map(|id| Ok(Applied::Created(id.into()))).collect())
    }

    fn update(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        let ids = numbers(chunk)?;
        let context = own_context(chunk);
        session
            .write_in(chunk.model(), ids.iter().copied(), chunk.values().as_map(), &context)
            .map_err(|error| locate(error, chunk.model(), &ids))?;
        Ok(ids.iter().map(|_| Ok(Applied::Updated)).collect())
    }

    fn update_each(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        let ids = numbers(chunk)?;
        let values = chunk.records().iter().map(Record::as_map);
        let rows: Vec<Row<'_>> = ids.iter().copied().zip(values).collect();
        let context = own_context(chunk);
        let each = session
            .write_rows(chunk.model(), &rows, &context)
            .map_err(|error| locate(error, chunk.model(), &ids))?;
        Ok(each.into_iter().map(|result| result.map(|()| Applied::Updated)).collect())
    }

    fn delete(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        let ids = numbers(chunk)?;
        let own = own_context(chunk);
        session.with_context(own, |session| session.unlink_existing(chunk.model(), ids.iter().copied()))?;
        Ok(ids.iter().map(|_| Ok(Applied::Deleted)).collect())
    }

    fn upsert(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        if chunk.keys() == [EXTERNAL_ID] {
            upsert_by_external_id(session, chunk)
        } else {
            upsert_by_fields(session, chunk)
        }
    }

    fn read(
        &self,
        session: &mut Session,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        let numbers = ids.iter().map(number).collect::<Result<Vec<_>>>()?;
        let rows = session.read(model, numbers.iter().copied(), fields.iter().copied())?;
        let mut found: HashMap<i64, Record> =
            rows.into_iter().map(|row| (row.id(), writable(row.into_json()))).collect();
        Ok(numbers.iter().map(|id| found.remove(id)).collect())
    }
}

/// The context of the operation.
fn own_context(chunk: &Chunk<'_>) -> Context {
    Context::from(chunk.context().clone())
}

/// The lean context, and that of the operation: for what creates. Updates stay tracked.
fn lean_context(session: &Session, chunk: &Chunk<'_>) -> Context {
    session.bulk_context().and(&own_context(chunk))
}

fn number(id: &RecordId) -> Result<i64> {
    id.as_i64().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("{id} is no id of a record in Odoo, which are numbers"))
            .with_delivery(Delivery::NotSent)
    })
}

fn numbers(chunk: &Chunk<'_>) -> Result<Vec<i64>> {
    let numbered = chunk.ids().iter().enumerate();
    numbered.map(|(index, id)| number(id).map_err(|error| error.with_record_index(index))).collect()
}

/// Says which record of the chunk is missing: `(Record: res.partner(13,), User: 2)`, in every language.
fn locate(error: Error, model: &str, ids: &[i64]) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let missing = error
        .message()
        .split_once(&format!("{model}("))
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i64>().ok());
    match missing.and_then(|missing| ids.iter().position(|id| *id == missing)) {
        Some(index) => error.with_record_index(index),
        None => error,
    }
}

/// Values as they were read, in the form in which they are written.
fn writable(fields: Map<String, Value>) -> Record {
    let fields = fields.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Array(items) => match items.as_slice() {
                // A related record.
                [id, Value::String(_)] if id.is_i64() => id.clone(),
                ids if ids.iter().all(Value::is_i64) => json!([[6, 0, ids]]),
                _ => Value::Array(items),
            },
            other => other,
        };
        (name, value)
    });
    fields.collect()
}

fn upsert_by_external_id(session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
    let model = chunk.model();
    let fields = session.field_types(model)?;
    let records = chunk.records().iter().map(Record::as_map).enumerate();
    let (sheets, left) = cells::sheets(records, &fields);
    if let Some(place) = left.first() {
        let message = "a list cannot be loaded with an external id: use columns such as category_id/id";
        return Err(Error::new(ErrorKind::Invalid, message)
            .with_entity(model)
            .with_record_index(*place)
            .with_delivery(Delivery::NotSent));
    }
    let known = known_external_ids(session, chunk)?;
    let own = lean_context(session, chunk);
    let mut answer: Vec<Result<Applied>> = (0..chunk.len()).map(|_| Ok(Applied::Withheld)).collect();
    let alone = sheets.len() == 1;
    for sheet in sheets {
        let places = sheet.places.clone();
        match load_sheet(session, chunk, sheet, &own, &mut answer) {
            Ok(ids) => {
                for (place, id) in places.iter().zip(ids) {
                    let name = external_id(&chunk.records()[*place]);
                    let was_there = name.is_some_and(|name| known.contains_key(&name));
                    let id = RecordId::from(id);
                    answer[*place] = Ok(if was_there { Applied::Matched(id) } else { Applied::Created(id) });
                }
            }
            Err(error) if alone => return Err(error),
            // Other sheets may be in already: each is a transaction of its own.
            Err(error) => {
                let error = SharedError::new(error);
                places.iter().for_each(|place| answer[*place] = Err(error.copy()));
            }
        }
    }
    Ok(answer)
}

/// Loads rows with the same fields and gives their ids: none where rows are refused, whose errors are in
/// the answer then.
fn load_sheet(
    session: &mut Session,
    chunk: &Chunk<'_>,
    sheet: Sheet,
    own: &Context,
    answer: &mut Answer,
) -> Result<Vec<i64>> {
    let model = chunk.model();
    let Sheet { columns, rows, places } = sheet;
    let loaded = session.load_rows(model, &columns, rows, own.clone())?;
    if let Some(ids) = loaded.ids() {
        if ids.len() == places.len() {
            return Ok(ids.to_vec());
        }
        let message = format!("{} rows were loaded, and {} ids came back", places.len(), ids.len());
        return Err(Error::new(ErrorKind::Protocol, message)
            .with_entity(model)
            .with_delivery(Delivery::MaybeSent));
    }
    let mut named = false;
    for message in loaded.errors() {
        // A message about no row is about all of them.
        let Some((from, to)) = message.rows else { continue };
        for place in places.iter().take(to.saturating_add(1)).skip(from) {
            named = true;
            answer[*place] = Err(message.to_error(model, *place));
        }
    }
    if named {
        return Ok(Vec::new());
    }
    let reason = loaded.errors().next().map_or("nothing was loaded, and no reason was given", |e| &e.message);
    Err(Error::new(ErrorKind::Rejected, reason)
        .with_operation("load")
        .with_entity(model)
        .with_delivery(Delivery::Answered))
}

/// The external id of a record, with the module that `load` puts before one without.
fn external_id(record: &Record) -> Option<(String, String)> {
    let name = record.get(EXTERNAL_ID)?.as_str()?;
    let (module, name) = name.split_once('.').unwrap_or(("__import__", name));
    Some((module.to_owned(), name.to_owned()))
}

/// The external ids of a chunk that are there already, so that what is created can be told from what is
/// updated.
fn known_external_ids(session: &mut Session, chunk: &Chunk<'_>) -> Result<BTreeMap<(String, String), i64>> {
    let mut modules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, name) in chunk.records().iter().filter_map(external_id) {
        modules.entry(module).or_default().push(name);
    }
    let of_modules =
        modules.into_iter().map(|(module, names)| field("module").eq(module) & field("name").is_in(names));
    let domain = Domain::any_of(of_modules) & field("model").eq(chunk.model());
    let rows = session.search_read("ir.model.data", domain, Find::fields(["module", "name", "res_id"]))?;
    let known = rows.into_iter().filter_map(|row| {
        let name = (row.get_str("module")?.to_owned(), row.get_str("name")?.to_owned());
        Some((name, row.get_i64("res_id")?))
    });
    Ok(known.collect())
}

/// Looks the records up by the fields that are their key, creates those that are not there and writes the
/// others.
fn upsert_by_fields(session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
    let (model, keys, records) = (chunk.model(), chunk.keys(), chunk.records());
    let wanted: HashMap<String, usize> =
        records.iter().enumerate().map(|(place, record)| (key_of(record.as_map(), keys), place)).collect();
    let domain = match keys {
        [key] => field(key.as_str()).is_in(records.iter().filter_map(|record| record.get(key).cloned())),
        keys => Domain::any_of(records.iter().map(|record| {
            let value = |key: &String| record.get(key).cloned().unwrap_or_default();
            Domain::every(keys.iter().map(|key| field(key.as_str()).eq(value(key))))
        })),
    };
    let find = Find::fields(keys.iter().cloned()).context(Context::new().active_test(false));
    let mut found: Vec<Vec<i64>> = vec![Vec::new(); records.len()];
    for row in session.search_read(model, domain, find)? {
        let Some(place) = wanted.get(&key_of(row.as_json(), keys)) else {
            // It would be created a second time.
            let message =
                format!("record {} was found by {keys:?}, but none has its key as written", row.id());
            return Err(Error::new(ErrorKind::Invalid, message).with_entity(model));
        };
        found[*place].push(row.id());
    }
    let mut answer: Vec<Result<Applied>> = (0..records.len()).map(|_| Ok(Applied::Withheld)).collect();
    let (mut new, mut there) = (Vec::new(), Vec::new());
    for (place, ids) in found.iter().enumerate() {
        match ids.as_slice() {
            [] => new.push(place),
            [id] => there.push((place, *id)),
            many => {
                let message = format!("its key is that of {} records: {many:?}", many.len());
                answer[place] = Err(Error::new(ErrorKind::Conflict, message)
                    .with_entity(model)
                    .with_record_index(place)
                    .with_delivery(Delivery::Answered));
            }
        }
    }
    let own = lean_context(session, chunk);
    // Two requests are two transactions: what the first one does stays, so only its refusal is the chunk's.
    if !new.is_empty() {
        let ids = session.create_records(model, Bulk::Chosen(records, &new), new.len(), own.clone())?;
        for (place, id) in new.iter().zip(ids) {
            answer[*place] = Ok(Applied::Created(id.into()));
        }
    }
    let rows: Vec<Row<'_>> = there.iter().map(|(place, id)| (*id, records[*place].as_map())).collect();
    let ended = if new.is_empty() {
        session.write_rows(model, &rows, &own)?
    } else {
        write_halving(session, model, &rows, &own)
    };
    for ((place, id), result) in there.into_iter().zip(ended) {
        answer[place] = result.map(|()| Applied::Matched(id.into()));
    }
    Ok(answer)
}

/// Writes rows, halving those that are refused until the bad ones are found.
fn write_halving(session: &mut Session, model: &str, rows: &[Row<'_>], context: &Context) -> Vec<Result<()>> {
    match session.write_rows(model, rows, context) {
        Ok(each) => each,
        Err(error) if rows.len() == 1 => vec![Err(error)],
        Err(error) if !is_about_records(&error) => {
            let error = SharedError::new(error);
            rows.iter().map(|_| Err(error.copy())).collect()
        }
        Err(_) => {
            let (left, right) = rows.split_at(rows.len() / 2);
            let mut each = write_halving(session, model, left, context);
            each.extend(write_halving(session, model, right, context));
            each
        }
    }
}

/// The key of a record, as text to compare by; of a related record its id.
fn key_of(record: &Map<String, Value>, keys: &[String]) -> String {
    let plain = |value: &Value| match value {
        Value::Null => Value::Bool(false),
        // 1.0 and 1 are the same key.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => json!(format!("{float}")),
            _ => json!(number.to_string()),
        },
        value => value.clone(),
    };
    let value = |key: &String| match record.get(key) {
        Some(Value::Array(pair)) if pair.len() == 2 && pair[1].is_string() => plain(&pair[0]),
        Some(value) => plain(value),
        None => Value::Bool(false),
    };
    Value::from(keys.iter().map(value).collect::<Vec<_>>()).to_string()
}

#[cfg(all(test, feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod tests;
