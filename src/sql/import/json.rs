//! Reads a line of JSON Lines as the fields of a row.

use serde::Deserialize;
use serde_json::Value;

use super::cells::Content;
use super::invalid;
use super::options::Reading;
use super::reject::{OURS, RAW};
use crate::error::{Error, FieldError, Result};
use crate::records::record::Record;
use crate::sql::catalog::TableInfo;

/// What a line holds, with the names of columns.
pub(super) fn read(line: &[u8], table: &TableInfo, reading: &Reading) -> Content {
    let read = parse(line).and_then(|record| named(record, table, reading));
    match read {
        Ok(record) => Content::Fields(Box::new(record)),
        Err(error) => Content::Bad(Box::new(error)),
    }
}

fn parse(line: &[u8]) -> Result<Record> {
    let text = std::str::from_utf8(line).map_err(|error| invalid(format!("no UTF-8: {error}")))?;
    let record: Record =
        serde_json::from_str(text).map_err(|error| invalid(format!("no JSON object: {error}")))?;
    // A line that was rejected because it was no object.
    match record.get(RAW) {
        Some(Value::String(raw)) => parse(raw.as_bytes()),
        Some(raw @ Value::Array(_)) => match Vec::<u8>::deserialize(raw) {
            Ok(raw) => parse(&raw),
            Err(error) => Err(invalid(format!("{RAW}: {error}"))),
        },
        _ => Ok(record),
    }
}

fn named(record: Record, table: &TableInfo, reading: &Reading) -> Result<Record> {
    let is_as_it_stands = reading.names.is_empty()
        && reading.ignored.is_empty()
        && !record.iter().any(|(name, _)| name.starts_with(OURS));
    let record = if is_as_it_stands {
        record
    } else {
        let mut named = Record::new();
        for (name, value) in record.into_map() {
            if name.starts_with(OURS) || reading.ignored.contains(&name) {
                continue;
            }
            let column = reading.names.get(&name).unwrap_or(&name);
            if named.insert(column.clone(), value).is_some() {
                return Err(invalid(format!("{column} is given twice")));
            }
        }
        named
    };
    check(&record, table).map(|()| record)
}

/// Whether all fields are columns that can be written.
pub(super) fn check(record: &Record, table: &TableInfo) -> Result<(), Error> {
    let mut problems = Vec::new();
    for (name, _) in record.iter() {
        match table.column(name) {
            None => problems.push(FieldError::new(name, table.unknown(name))),
            Some(column) if table.columns[column].generated => {
                problems.push(FieldError::new(
                    name,
                    format!("{}.{name} is computed by the database", table.name),
                ));
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let message = problems.iter().map(|each| each.message.as_str()).collect::<Vec<_>>().join("; ");
    Err(invalid(message).with_entity(table.name.to_string()).with_field_errors(problems))
}
