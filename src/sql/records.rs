//! Operations on records, run on a database: chunk -> rows with the same columns -> statements -> answer.
//!
//! A model is a table. The database names every row that it refuses, so a chunk is not all or nothing: its
//! good rows are written and its bad ones told.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::catalog::{TableInfo, TableName};
use super::connection::Connection;
use super::database::Database;
use super::driver::{Done, Returning, RowStatus};
use super::key::Key;
use super::look::Look;
use super::write::{Plan, Write};
use crate::error::{Delivery, Error, ErrorKind, FieldError, Result};
use crate::records::capabilities::Capabilities;
use crate::records::chunk::{Answer, Applied, Chunk};
use crate::records::record::{Record, RecordId};
use crate::records::store::RecordStore;

/// [`Operation`](crate::Operation)s on tables: the model is the table's name, the id its primary key - of several
/// columns, a text such as `["EWR",2013]`.
impl RecordStore for Database {
    fn capabilities(&self) -> Capabilities {
        // An error of a whole chunk undoes it; what is refused row by row is in the answer.
        Capabilities::new().atomic_chunks(true).upsert(true).text_ids(true).reads(true).transactions(true)
    }

    fn create(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<Answer> {
        let table = self.table_of(session, chunk)?;
        let returning = wanted(&table, chunk);
        write(session, &table, &Plan::Insert, returning, chunk.records().iter())
    }

    fn upsert(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<Answer> {
        let table = self.table_of(session, chunk)?;
        let plan = Plan::upsert(&table, chunk.keys(), None)?;
        let returning = wanted(&table, chunk);
        write(session, &table, &plan, returning, chunk.records().iter())
    }

    fn update_each(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<Answer> {
        let table = self.table_of(session, chunk)?;
        let key = key_of(&table)?;
        let keys = keys(&table, chunk.ids())?;
        let rows = chunk.records().iter().zip(&keys).map(|(record, id)| Named { record, id, table: &table });
        let plan = Plan::Update { key: key.clone(), fields: None };
        write(session, &table, &plan, Returning::Nothing, rows)
    }

    fn update(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<Answer> {
        let table = self.table_of(session, chunk)?;
        let key = key_of(&table)?;
        let unknown: Vec<FieldError> = (chunk.values().iter())
            .filter(|(name, _)| table.column(name).is_none())
            .map(|(name, _)| FieldError::new(name, table.unknown(name)))
            .collect();
        if let Some(first) = unknown.first() {
            return Err(Error::new(ErrorKind::Invalid, first.message.clone())
                .with_entity(table.name.to_string())
                .with_field_errors(unknown)
                .with_delivery(Delivery::NotSent));
        }
        let done = session.update_all(&table, &key, &keys(&table, chunk.ids())?, chunk.values())?;
        Ok(answer(&table, done))
    }

    fn delete(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<Answer> {
        let table = self.table_of(session, chunk)?;
        let (key, keys) = (key_of(&table)?, keys(&table, chunk.ids())?);
        let done = session.delete::<Record>(&table, &key, &keys, true, Returning::Nothing)?;
        let gone = done.statuses.contains(&RowStatus::Missing);
        let mut answer = answer(&table, done);
        if gone {
            let missing = |each: &Result<Applied>| {
                each.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)
            };
            answer.iter_mut().filter(|each| missing(each)).for_each(|each| *each = Ok(Applied::Deleted));
        }
        Ok(answer)
    }

    fn read(
        &self,
        session: &mut Connection,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        let table = self.describe_on(session, &TableName::parse(model)?)?;
        let columns = fields.iter().map(|name| table.require(name)).collect::<Result<Vec<_>>>()?;
        let (rows, _) = session.get(&table, &columns, &key_of(&table)?, &keys(&table, ids)?)?;
        Ok(rows)
    }

    fn begin(&self, session: &mut Connection) -> Result<()> {
        session.begin_for_all()
    }

    fn commit(&self, session: &mut Connection) -> Result<()> {
        session.commit()
    }

    fn roll_back(&self, session: &mut Connection) -> Result<()> {
        session.roll_back()
    }
}

impl Database {
    fn table_of(&self, session: &mut Connection, chunk: &Chunk<'_>) -> Result<std::sync::Arc<TableInfo>> {
        self.describe_on(session, &TableName::parse(chunk.model())?)
    }
}

/// What has to come back.
fn wanted(table: &TableInfo, chunk: &Chunk<'_>) -> Returning {
    if chunk.return_ids() && !table.key.is_empty() { Returning::Keys } else { Returning::Nothing }
}

/// Writes rows, grouped by their columns, in one transaction.
fn write<R: Serialize>(
    session: &mut Connection,
    table: &TableInfo,
    plan: &Plan,
    returning: Returning,
    rows: impl Iterator<Item = R>,
) -> Result<Answer> {
    let write = Write { table, plan, bulk: true, returning };
    let mut look = Look::new(&write);
    let mut answers: Vec<Option<Result<Applied>>> = Vec::new();
    for (place, row) in rows.enumerate() {
        answers.push(look.take(place, row).err().map(Err));
    }
    let twice = look.take_superseded();
    for (place, _) in &twice {
        let message = "a later record of the same request has the same key";
        let error = Error::new(ErrorKind::Conflict, message).with_delivery(Delivery::NotSent);
        answers[*place] = Some(Err(error));
    }
    let groups = look.into_groups();
    let own = groups.len() > 1 && !session.is_in_transaction();
    if own {
        session.begin()?;
    }
    for group in groups {
        let sent = write.send::<R, Record>(session, &group, true).map_err(|error| {
            if own {
                let _ = session.roll_back();
            }
            match error.record_index().and_then(|row| group.places.get(row)) {
                Some(place) => error.with_record_index(*place),
                None => error,
            }
        });
        let done = sent?;
        for (place, each) in group.places.iter().zip(answer(table, done)) {
            answers[*place] = Some(each);
        }
    }
    if own {
        session.commit()?;
    }
    let unanswered =
        || Error::new(ErrorKind::Protocol, "no answer for this record").with_delivery(Delivery::MaybeSent);
    Ok(answers.into_iter().map(|each| each.unwrap_or_else(|| Err(unanswered()))).collect())
}

/// What became of rows, in the words of records.
fn answer<T>(table: &TableInfo, done: Done<T>) -> Answer {
    let Done { statuses, errors, keys, .. } = done;
    let mut errors = errors.into_iter().peekable();
    let mut keys = keys.into_iter();
    let mut answer = Vec::with_capacity(statuses.len());
    for (place, status) in statuses.into_iter().enumerate() {
        let id = keys.next().flatten().map_or(RecordId::Unknown, |key| id(&key));
        answer.push(match status {
            RowStatus::Inserted => Ok(Applied::Created(id)),
            RowStatus::Updated if id == RecordId::Unknown => Ok(Applied::Updated),
            RowStatus::Updated => Ok(Applied::Matched(id)),
            RowStatus::Unchanged => Ok(Applied::Unchanged),
            RowStatus::Deleted => Ok(Applied::Deleted),
            RowStatus::Missing => {
                let message = format!("{} has no row with this key", table.name);
                Err(Error::new(ErrorKind::NotFound, message)
                    .with_entity(table.name.to_string())
                    .with_delivery(Delivery::Answered))
            }
            _ => {
                let own = errors.next_if(|(row, _)| *row == place).map(|(_, error)| error);
                Err(own.unwrap_or_else(|| Error::new(ErrorKind::Database, format!("the row is {status}"))))
            }
        });
    }
    answer
}

fn key_of(table: &TableInfo) -> Result<Vec<usize>> {
    if table.key.is_empty() {
        let message = format!("{} has no primary key, so none of its rows can be named", table.name);
        return Err(Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent));
    }
    Ok(table.key.clone())
}

/// A key as an id; one of several columns as the text of a JSON list.
fn id(key: &Key) -> RecordId {
    match key.parts() {
        [one] => one.clone(),
        parts => RecordId::Text(Value::Array(parts.iter().map(RecordId::to_json).collect()).to_string()),
    }
}

/// Ids as keys.
fn keys(table: &TableInfo, ids: &[RecordId]) -> Result<Vec<Key>> {
    let parts = table.key.len();
    let key = |(place, id): (usize, &RecordId)| {
        if parts == 1 {
            return Ok(Key::from(id));
        }
        let list: Option<Vec<RecordId>> = id.as_str().and_then(|text| serde_json::from_str(text).ok());
        list.filter(|list| list.len() == parts).map(Key::of).ok_or_else(|| {
            let message = format!("{id} is no key of {}: write a JSON list of {parts} values", table.name);
            Error::new(ErrorKind::Invalid, message).with_record_index(place).with_delivery(Delivery::NotSent)
        })
    };
    ids.iter().enumerate().map(key).collect()
}

/// A record together with the key of the row that it is for.
struct Named<'a> {
    record: &'a Record,
    id: &'a Key,
    table: &'a TableInfo,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, part) in self.table.key.iter().zip(self.id.parts()) {
            map.serialize_entry(&self.table.columns[*column].name, part)?;
        }
        let is_key =
            |name: &str| self.table.key.iter().any(|column| self.table.columns[*column].name == name);
        for (name, value) in self.record.iter().filter(|(name, _)| !is_key(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
