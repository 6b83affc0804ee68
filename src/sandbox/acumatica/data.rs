//! Reading and writing records.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::MissingRecord;
use super::apply::{Applying, key_text};
use super::envelope::{self, Show};
use super::errors;
use super::options::Options;
use super::record::{Node, Record, Store, Table};
use super::schema::EntityShape;
use super::seed::finish;
use super::site::{Site, Visit};
use crate::sandbox::history::Action;
use crate::sandbox::http::Response;

impl Site {
    pub(super) fn list(&self, visit: &Visit<'_>, entity: &'static EntityShape) -> Response {
        let options = match Options::parse(&visit.request.head, entity.shape, visit.dialect) {
            Ok(options) => options,
            Err(message) => return errors::query(&message),
        };
        let store = self.read();
        let found = store.table(entity).into_iter().flat_map(Table::iter).filter(|record| {
            options.filter.as_ref().is_none_or(|filter| filter.holds(&record.node, entity.shape))
        });
        // `$skip` goes before `$top`; without `$top` all come, and nobody says how many there are.
        let rows = found.skip(options.skip).take(options.top.unwrap_or(usize::MAX)).enumerate().map(
            |(i, record)| {
                let mut row = envelope::record(record, entity, &options, Show::Asked, visit.place());
                row["rowNumber"] = (i + 1).into();
                row
            },
        );
        Response::json(200, &rows.collect())
    }

    pub(super) fn get(&self, visit: &Visit<'_>, entity: &'static EntityShape, keys: &[&str]) -> Response {
        let options = match Options::parse(&visit.request.head, entity.shape, visit.dialect) {
            Ok(options) => options,
            Err(message) => return errors::query(&message),
        };
        let store = self.read();
        match find(&store, entity, keys) {
            Some(record) => {
                Response::json(200, &envelope::record(record, entity, &options, Show::Asked, visit.place()))
            }
            None => self.missing(),
        }
    }

    fn missing(&self) -> Response {
        match self.settings.missing {
            MissingRecord::NotFound => errors::not_found(),
            MissingRecord::ServerError => errors::exception(
                "PX.Api.ContractBased.NoEntitySatisfiesTheConditionException",
                "No entity satisfies the condition.",
            ),
        }
    }

    /// PUT: inserts or updates. PATCH: updates.
    pub(super) fn put(&self, visit: &Visit<'_>, entity: &'static EntityShape, patch: bool) -> Response {
        let sent = match body(&visit.request.body) {
            Ok(sent) => sent,
            Err(response) => return response,
        };
        let options = match Options::parse(&visit.request.head, entity.shape, visit.dialect) {
            Ok(options) => options,
            Err(message) => return errors::query(&message),
        };
        let any = |name: &str| visit.request.head.header(name).is_some_and(|value| value.trim() == "*");
        let mut store = self.write();
        let existing = target(&store, entity, &sent, &options).cloned();
        let is_new = existing.is_none();
        if (is_new && any("If-Match")) || ((!is_new || patch) && any("If-None-Match")) {
            return errors::message(412, "The precondition given in the request headers is not met.");
        }
        if is_new && patch {
            return errors::not_found();
        }
        let mut record =
            existing.unwrap_or_else(|| Record { node: Node::new(entity.shape), files: Vec::new() });
        if visit.session.is_view_only {
            // "200 does not prove that it was saved": the record comes back as it is.
            let answer = envelope::record(&record, entity, &options, Show::Sent(&sent), visit.place());
            return Response::json(200, &answer);
        }
        let old_key = record.node.key(entity);
        let mut applying = Applying::new(&store);
        if is_new {
            // `PX-CbApiBusinessDate` is the date of documents made by this request alone.
            if let (Some(date), Some(field)) =
                (visit.request.head.header("PX-CbApiBusinessDate"), entity.shape.field("Date"))
                && super::date::parse(date).is_some()
            {
                record.node.values.insert(field.name, date.into());
            }
            applying.node(&mut record.node, entity.shape, &sent);
        } else {
            // The keys of a record that exists are not changed.
            let rest: Map<String, Value> = sent
                .iter()
                .filter(|(name, _)| !entity.keys.contains(&name.as_str()))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            applying.node(&mut record.node, entity.shape, &rest);
        }
        let complaints = applying.complaints;
        if !complaints.is_empty() {
            return Response::json(422, &complaints.into_body(&sent, entity.title, is_new));
        }
        finish(&mut store, entity, &mut record.node, is_new);
        let key = if is_new { record.node.key(entity) } else { old_key };
        let answer = envelope::record(&record, entity, &options, Show::Sent(&sent), visit.place());
        store.table_mut(entity).put(&key, record);
        // Recorded while the table is locked, so that the history has the order of the effects.
        let action = if is_new { Action::Insert } else { Action::Update };
        self.effect(visit, entity, &key, action);
        Response::json(200, &answer)
    }

    pub(super) fn delete(&self, visit: &Visit<'_>, entity: &'static EntityShape, keys: &[&str]) -> Response {
        let mut store = self.write();
        let Some(key) = find(&store, entity, keys).map(|record| record.node.key(entity)) else {
            return errors::not_found();
        };
        store.table_mut(entity).remove(&key);
        self.effect(visit, entity, &key, Action::Delete);
        Response::new(204)
    }

    pub(super) fn effect(&self, visit: &Visit<'_>, entity: &EntityShape, key: &str, action: Action) {
        self.recorder.effect(entity.name(), key, action, visit.session.number, visit.number);
    }
}

/// The object in a body; an empty body and one that is not JSON get 400 with `modelState`.
pub(super) fn body(bytes: &[u8]) -> Result<Map<String, Value>, Response> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(errors::model_state("The request body should not be empty."));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(sent)) => Ok(sent),
        Ok(_) => Err(errors::model_state("The request body should be a JSON object.")),
        Err(e) => Err(errors::model_state(&format!("The request body is not valid JSON: {e}"))),
    }
}

/// The record of a path: by its keys, which `|` may part as well, or by its id.
pub(super) fn find<'a>(store: &'a Store, entity: &EntityShape, keys: &[&str]) -> Option<&'a Record> {
    let table = store.table(entity)?;
    if let [id] = keys
        && let Ok(id) = Uuid::parse_str(id)
    {
        return table.by_id(id);
    }
    let keys: Vec<&str> =
        if entity.keys.len() > 1 && keys.len() == 1 { keys[0].split('|').collect() } else { keys.to_vec() };
    // A key with a slash in it is not found by its path, but by its GUID.
    if keys.len() == entity.keys.len() { table.get(&keys.join("/")) } else { None }
}

/// The record that a body means: by id, by key fields, or by `$filter`; `None` for a new one.
pub(super) fn target<'a>(
    store: &'a Store,
    entity: &EntityShape,
    sent: &Map<String, Value>,
    options: &Options,
) -> Option<&'a Record> {
    let table = store.table(entity)?;
    if let Some(id) = key_text(sent.get("id")).and_then(|id| Uuid::parse_str(&id).ok()) {
        return table.by_id(id);
    }
    if let Some(filter) = &options.filter {
        return table.iter().find(|record| filter.holds(&record.node, entity.shape));
    }
    let keys: Option<Vec<String>> = entity
        .keys
        .iter()
        .map(|key| {
            let preset = || Some(entity.shape.field(key)?.default?.to_owned());
            key_text(sent.get(*key)).or_else(preset)
        })
        .collect();
    table.get(&keys?.join("/"))
}
