//! Acumatica as a store of records: one `PUT` or `DELETE` for each record.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::client::Acumatica;
use super::entity::Entity;
use super::session::Session;
use super::write::Write;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::capabilities::Capabilities;
use crate::records::chunk::{Answer, Applied, Chunk};
use crate::records::record::{Record, RecordId};
use crate::records::store::RecordStore;

/// What names a record in the body of a request.
const ID: &str = "id";

/// - A model is an entity; a request is about one record, because the server has no bulk requests.
/// - The id of a record is the one that the server gives it (a UUID). Records to update or delete may also be
///   named by their key, such as `CUST001`; an update by key looks the id up first.
/// - Creates are refused with [`Conflict`](ErrorKind::Conflict) where the key is taken.
/// - An upsert goes by the key fields of the form, whichever fields it names: it is an update, and then a
///   create where there is nothing to update.
/// - Records name each other by their keys, which are known before: references are not needed, and refused.
impl RecordStore for Acumatica {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .atomic_chunks(true)
            .max_records(1)
            .upsert(true)
            .text_ids(true)
            .references(false)
            .reads(true)
    }

    fn create(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        each(chunk, |at| {
            let body = chunk.records()[at].as_map();
            session.write_entity(chunk.model(), body, Write::create_only()).map(|new| created(&new))
        })
    }

    fn update(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        each(chunk, |at| update(session, chunk, &chunk.ids()[at], chunk.values()))
    }

    fn update_each(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        each(chunk, |at| update(session, chunk, &chunk.ids()[at], &chunk.records()[at]))
    }

    fn delete(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        each(chunk, |at| {
            match name(&chunk.ids()[at])? {
                Name::Id(id) => session.delete_by_id(chunk.model(), id)?,
                Name::Key(key) => session.delete_by_id(chunk.model(), key)?,
            }
            Ok(Applied::Deleted)
        })
    }

    fn upsert(&self, session: &mut Session, chunk: &Chunk<'_>) -> Result<Answer> {
        each(chunk, |at| {
            let body = chunk.records()[at].as_map();
            match session.write_entity(chunk.model(), body, Write::update_only().keyed(true)) {
                Ok(entity) => Ok(entity.id().map_or(Applied::Updated, |id| Applied::Matched(id.into()))),
                Err(error) if error.kind() == ErrorKind::Conflict && !error.is_in_doubt() => {
                    session.write_entity(chunk.model(), body, Write::create_only()).map(|new| created(&new))
                }
                Err(error) => Err(error),
            }
        })
    }

    fn read(
        &self,
        session: &mut Session,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        let read = |id: &RecordId| match fetch(session, model, id) {
            Ok(entity) => {
                let value = |field: &str| entity.get(field).cloned().unwrap_or(Value::Null);
                Ok(Some(fields.iter().map(|field| (*field, value(field))).collect()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        ids.iter().map(read).collect()
    }
}

/// One request for each record: an error is the record's own, unless there is only the one.
fn each(chunk: &Chunk<'_>, mut apply: impl FnMut(usize) -> Result<Applied>) -> Result<Answer> {
    Ok((0..chunk.len()).map(&mut apply).collect())
}

fn created(entity: &Entity) -> Applied {
    Applied::Created(entity.id().map_or(RecordId::Unknown, RecordId::from))
}

/// A record is named by its id or by its key.
enum Name<'a> {
    Id(Uuid),
    Key(&'a str),
}

fn name(id: &RecordId) -> Result<Name<'_>> {
    let text = id.as_str().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("{id} is no id of a record in Acumatica: those are text"))
            .with_delivery(Delivery::NotSent)
    })?;
    Ok(Uuid::parse_str(text).map_or(Name::Key(text), Name::Id))
}

fn fetch(session: &mut Session, model: &str, id: &RecordId) -> Result<Entity> {
    match name(id)? {
        Name::Id(id) => session.get_by_id(model, id),
        Name::Key(key) => session.get_by_id(model, key),
    }
}

fn update(session: &mut Session, chunk: &Chunk<'_>, id: &RecordId, values: &Record) -> Result<Applied> {
    let model = chunk.model();
    let id = match name(id)? {
        Name::Id(id) => id,
        Name::Key(key) => session.get_by_id(model, key)?.id().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, format!("record {key} has no id"))
                .with_delivery(Delivery::NotSent)
        })?,
    };
    let mut body: Map<String, Value> = values.as_map().clone();
    body.insert(ID.to_owned(), id.to_string().into());
    // Writing the same values twice is writing them once.
    match session.write_entity(model, &body, Write::update_only().keyed(true)) {
        Ok(_) => Ok(Applied::Updated),
        // There is nothing with that id.
        Err(error) if error.kind() == ErrorKind::Conflict && !error.is_in_doubt() => {
            Err(Error::new(ErrorKind::NotFound, error.message())
                .with_entity(format!("{model}/{id}"))
                .with_delivery(Delivery::Answered))
        }
        Err(error) => Err(error),
    }
}
