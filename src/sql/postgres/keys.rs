//! What is done by key: rows are named by arrays of their keys, with the place of each, so that one
//! statement serves any number of keys and every row that comes back knows whose it is.

use std::fmt::Write as _;
use std::ops::Range;

use postgres::Statement;
use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::cell;
use super::decode::Reader;
use super::failure::Trouble;
use super::isolate::{Marks, Step, each};
use super::refusal::Refusal;
use super::row::{Field, Format, Layout};
use super::session::{Connection, Param};
use super::walk::{Shape, shape};
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::RecordId;
use crate::sql::catalog::{ColumnType, TableInfo, quote};
use crate::sql::driver::{Done, Returning, RowStatus};
use crate::sql::key::Key;

/// One part of each key.
struct Parts<'a>(&'a [&'a Key], usize);

/// One part of one key, as a value.
pub(super) struct Part<'a>(pub(super) &'a RecordId);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RecordId::Int(id) => serializer.serialize_i64(*id),
            RecordId::Text(id) => serializer.serialize_str(id),
            RecordId::New(_) | RecordId::Unknown => serializer.serialize_none(),
        }
    }
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for key in self.0 {
            match key.parts().get(self.1) {
                Some(part) => list.serialize_element(&Part(part))?,
                None => list.serialize_element(&())?,
            }
        }
        list.end()
    }
}

/// `unnest($1::t[], ..) WITH ORDINALITY AS batchcall_k(k0, .., o)`, numbered from `first`.
pub(super) fn unnest(table: &TableInfo, key: &[usize], first: usize) -> String {
    let arrays: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(index, column)| format!("${}::{}[]", index + first, table.columns[*column].type_name))
        .collect();
    let names: Vec<String> = (0..key.len()).map(|index| format!("k{index}, ")).collect();
    format!("unnest({}) WITH ORDINALITY AS batchcall_k({}o)", arrays.join(", "), names.concat())
}

/// The table's key columns equal to those of the keys.
pub(super) fn matches(table: &TableInfo, key: &[usize]) -> String {
    let equal: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(index, column)| {
            format!("batchcall_t.{} = batchcall_k.k{index}", quote(&table.columns[*column].name))
        })
        .collect();
    equal.join(" AND ")
}

/// A comma and then each column, as it can be read; all of them if none is named.
pub(super) fn selected(table: &TableInfo, columns: &[usize]) -> String {
    let mut list = String::new();
    let mut push = |column: usize| {
        let column = &table.columns[column];
        let name = quote(&column.name);
        // Written to a `String`, which cannot fail.
        let _ = match column.ty {
            ColumnType::Other => write!(list, ", batchcall_t.{name}::text AS {name}"),
            _ => write!(list, ", batchcall_t.{name}"),
        };
    };
    if columns.is_empty() {
        (0..table.columns.len()).for_each(&mut push);
    } else {
        columns.iter().copied().for_each(&mut push);
    }
    list
}

/// What a statement gives back besides the place of each row.
pub(super) fn returned(table: &TableInfo, returning: Returning) -> String {
    match returning {
        Returning::Nothing => String::new(),
        Returning::Keys if table.key.is_empty() => String::new(),
        Returning::Keys => selected(table, &table.key),
        Returning::Rows => selected(table, &[]),
    }
}

/// The key in columns `from..` of a row.
pub(super) fn read_key(
    reader: &Reader,
    row: &postgres::Row,
    from: usize,
    parts: usize,
) -> Result<Option<Key>> {
    let mut ids = Vec::with_capacity(parts);
    for at in from..from + parts {
        match reader.value::<serde_json::Value>(row, at)? {
            serde_json::Value::Number(number) => {
                ids.push(number.as_i64().map_or_else(|| RecordId::Text(number.to_string()), RecordId::Int));
            }
            serde_json::Value::String(text) => ids.push(RecordId::Text(text)),
            serde_json::Value::Null => return Ok(None),
            other => ids.push(RecordId::Text(other.to_string())),
        }
    }
    Ok((!ids.is_empty()).then(|| Key::of(ids)))
}

/// The arrays of some keys, as cells one after the other.
pub(super) fn arrays(
    statement: &Statement,
    table: &TableInfo,
    first: usize,
    key: &[usize],
    keys: &[&Key],
) -> Result<Vec<Vec<u8>>, (usize, Error)> {
    let entity = table.name.to_string();
    for (index, each) in keys.iter().enumerate() {
        if each.parts().len() != key.len() {
            let refusal = Refusal::new(format!(
                "a key of {entity} has {} parts, not {}",
                key.len(),
                each.parts().len()
            ));
            return Err((index, refusal.into_error(&entity, index)));
        }
    }
    let mut arrays = Vec::with_capacity(key.len());
    for (part, column) in key.iter().enumerate() {
        let wire = Wire::of(&statement.params()[first + part]);
        let mut array = Vec::with_capacity(keys.len() * 12 + 24);
        if let Err(refusal) = cell::write(&mut array, &wire, &Parts(keys, part)) {
            // One of them is not of the column's type: which?
            let column = &table.columns[*column].name;
            let element = match &wire {
                Wire::Array(element, _) => element,
                other => other,
            };
            let bad = keys
                .iter()
                .position(|key| cell::write(&mut Vec::new(), element, &Part(&key.parts()[part])).is_err());
            let bad = bad.unwrap_or_default();
            return Err((bad, refusal.at(column).into_error(&entity, bad)));
        }
        arrays.push(array);
    }
    Ok(arrays)
}

impl Connection {
    pub(super) fn delete_keys<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>> {
        self.ready()?;
        let sql = format!(
            "DELETE FROM {} AS batchcall_t USING {} WHERE {} RETURNING batchcall_k.o{}",
            table.name.quoted(),
            unnest(table, key, 1),
            matches(table, key),
            returned(table, returning),
        );
        self.by_key(table, key, keys, &sql, (&[], &Vec::new()), RowStatus::Deleted, isolate, returning)
    }

    pub(super) fn update_keys<V: Serialize>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        values: &V,
    ) -> Result<Done<()>> {
        self.ready()?;
        let entity = table.name.to_string();
        let refuse = |refusal: Refusal| {
            let error = refusal.into_error(&entity, 0);
            Error::new(ErrorKind::Invalid, error.message())
                .with_entity(&entity)
                .with_field_errors(error.field_errors().to_vec())
                .with_delivery(Delivery::NotSent)
        };
        let Shape::Named(names) = shape(values).map_err(refuse)? else {
            return Err(refuse(Refusal::new("the values to set have no names: take a struct or a map")));
        };
        let mut sets = Vec::with_capacity(names.len());
        let mut fields = Vec::with_capacity(names.len());
        let types = self.types(table)?;
        for (index, name) in names.iter().enumerate() {
            let column = table.require(name)?;
            sets.push(format!("{} = ${}", quote(name), index + 1));
            fields.push(Field { name: name.clone(), wire: Wire::of(&types[column]) });
        }
        let count = fields.len();
        let mut layout = Layout::new(fields, Format::Binary);
        let mut cells = Vec::new();
        layout.write(&mut cells, values).map_err(refuse)?;
        let ranges: Vec<Range<usize>> = (0..count).map(|index| layout.place(index)).collect();
        let sql = format!(
            "UPDATE {} AS batchcall_t SET {} FROM {} WHERE {} RETURNING batchcall_k.o",
            table.name.quoted(),
            sets.join(", "),
            unnest(table, key, count + 1),
            matches(table, key),
        );
        self.by_key(table, key, keys, &sql, (&ranges, &cells), RowStatus::Updated, false, Returning::Nothing)
    }

    #[allow(clippy::too_many_arguments, reason = "the two verbs above differ in each")]
    fn by_key<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        key: &[usize],
        keys: &[Key],
        sql: &str,
        values: (&[Range<usize>], &Vec<u8>),
        status: RowStatus,
        isolate: bool,
        returning: Returning,
    ) -> Result<Done<T>> {
        self.within(isolate, |connection| {
            let mut marks = Marks::default();
            let mut step = ByKey {
                table,
                key,
                keys,
                sql,
                values,
                status,
                returning,
                isolate,
                statuses: vec![RowStatus::Missing; keys.len()],
                found: Vec::new(),
                rows: Vec::new(),
            };
            if returning == Returning::Keys {
                step.found = vec![None; keys.len()];
            }
            if returning == Returning::Rows {
                step.rows.resize_with(keys.len(), || None);
            }
            if !keys.is_empty() {
                each(connection, 0..keys.len(), isolate, false, &mut marks, &mut step)?;
            }
            let errors = marks.into_errors();
            for (row, _) in &errors {
                step.statuses[*row] = RowStatus::Failed;
            }
            let ByKey { statuses, found, rows, .. } = step;
            Ok(Done { statuses, errors, keys: found, rows, cost: connection.cost })
        })
        .map(|mut done| {
            done.cost = self.cost;
            done
        })
    }
}

/// A statement over a range of keys.
struct ByKey<'a, T> {
    table: &'a TableInfo,
    key: &'a [usize],
    keys: &'a [Key],
    sql: &'a str,
    /// Parameters before the keys: where each lies in the cells.
    values: (&'a [Range<usize>], &'a Vec<u8>),
    status: RowStatus,
    returning: Returning,
    isolate: bool,
    statuses: Vec<RowStatus>,
    found: Vec<Option<Key>>,
    rows: Vec<Option<T>>,
}

impl<T: DeserializeOwned> Step for ByKey<'_, T> {
    fn apply(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> Result<(), Trouble> {
        let statement = connection.prepared(self.sql, Some(self.table))?;
        let first = self.values.0.len();
        // A key that cannot be one is marked, and the range done without it.
        let mut places: Vec<usize> = range.filter(|place| !marks.is_bad(*place)).collect();
        let arrays = loop {
            let keys: Vec<&Key> = places.iter().map(|place| &self.keys[*place]).collect();
            match arrays(&statement, self.table, first, self.key, &keys) {
                Ok(arrays) => break arrays,
                Err((bad, error)) if self.isolate => marks.mark(places.remove(bad), error),
                Err((_, error)) => return Err(Trouble::Other(error)),
            }
        };
        if places.is_empty() {
            return Ok(());
        }
        let mut params: Vec<Param<'_>> =
            self.values.0.iter().map(|range| Param::of(&self.values.1[range.clone()])).collect();
        params.extend(arrays.iter().map(|array| Param::of(array)));
        let rows = connection.rows(&statement, &params, Some(self.table), Delivery::NotSent)?;
        connection.check(self.table)?;
        let reader = Reader::new(statement.columns());
        for row in &rows {
            let place: usize = reader.value(row, 0)?;
            let place = places[place - 1];
            self.statuses[place] = self.status;
            match self.returning {
                Returning::Nothing => {}
                Returning::Keys => self.found[place] = read_key(&reader, row, 1, self.table.key.len())?,
                Returning::Rows => self.rows[place] = Some(reader.read(row, 1)?),
            }
        }
        Ok(())
    }
}
