//! Inserting: by COPY, with the keys that the database would make taken first where they are asked for.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::copy::{Copy, Extra, no_columns};
use super::decode::{Raw, Reader};
use super::failure::Trouble;
use super::isolate::{Marks, each};
use super::keys::{Part, read_key};
use super::row::{Field, Format, Layout};
use super::session::{Connection, Param};
use super::text;
use super::walk::{Shape, key_of, shape};
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::record::RecordId;
use crate::sql::catalog::TableInfo;
use crate::sql::driver::{Chunk, Done, Returning, RowStatus};
use crate::sql::key::Key;

/// Which columns the rows have, in the order of the first row, and how they are sent.
pub(super) fn layout<R: Serialize>(connection: &mut Connection, chunk: &Chunk<'_, R>) -> Result<Layout> {
    let table = chunk.table;
    let mut order = chunk.columns.to_vec();
    if let Some(Shape::Named(names)) = chunk.rows.first().and_then(|row| shape(row).ok()) {
        let named: Option<Vec<usize>> = names.iter().map(|name| table.column(name)).collect();
        // A first row that does not fit is refused by itself.
        if let Some(named) = named {
            let mut sorted = (named.clone(), order.clone());
            sorted.0.sort_unstable();
            sorted.1.sort_unstable();
            if sorted.0 == sorted.1 {
                order = named;
            }
        }
    }
    let types = connection.types(table)?;
    let fields: Vec<Field> = order
        .iter()
        .map(|column| Field { name: table.columns[*column].name.clone(), wire: Wire::of(&types[*column]) })
        .collect();
    let text = fields.iter().any(|field| field.wire == Wire::Other);
    Ok(Layout::new(fields, if text { Format::Text } else { Format::Binary }))
}

/// Whether a failed row may succeed when others of its table are there.
pub(super) fn refers_to_itself(table: &TableInfo) -> bool {
    table.foreign_keys.iter().any(|key| key.table.name == table.name.name)
}

/// Puts the statuses together: every row has one, the bad ones are failed.
pub(super) fn done<T>(mut statuses: Vec<RowStatus>, marks: Marks) -> Done<T> {
    let errors = marks.into_errors();
    for (row, _) in &errors {
        statuses[*row] = RowStatus::Failed;
    }
    Done { statuses, errors, keys: Vec::new(), rows: Vec::new(), cost: crate::sql::driver::Cost::default() }
}

impl Connection {
    pub(super) fn insert_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
    ) -> Result<Done<T>> {
        self.ready()?;
        if chunk.rows.is_empty() {
            return Ok(done(Vec::new(), Marks::default()));
        }
        if chunk.columns.is_empty() {
            return Err(no_columns(chunk.table));
        }
        let result = self.within(chunk.isolate, |connection| connection.insert_within(chunk));
        result.map(|mut done| {
            done.cost = self.cost;
            done
        })
    }

    /// Inserts inside the transaction that is open.
    pub(super) fn insert_within<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
    ) -> Result<Done<T>> {
        if chunk.bulk && keys_are_known(chunk) {
            self.insert_in_bulk(chunk)
        } else {
            self.insert_singly(chunk, false)
        }
    }

    fn insert_in_bulk<R: Serialize, T: DeserializeOwned>(&mut self, chunk: &Chunk<'_, R>) -> Result<Done<T>> {
        let table = chunk.table;
        let layout = layout(self, chunk)?;
        let wants_keys = chunk.returning != Returning::Nothing && !table.key.is_empty();
        let absent: Vec<usize> = if wants_keys {
            table.key.iter().copied().filter(|column| !chunk.columns.contains(column)).collect()
        } else {
            Vec::new()
        };
        let (extra, taken) = if absent.is_empty() {
            (None, Vec::new())
        } else {
            let (extra, taken) = self.take_defaults(table, &absent, chunk.rows.len(), layout.format)?;
            (Some(extra), taken)
        };
        let mut marks = Marks::default();
        if table.copies {
            let columns: Vec<String> = layout
                .fields
                .iter()
                .map(|field| field.name.clone())
                .chain(absent.iter().map(|column| table.columns[*column].name.clone()))
                .collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let target = (&*table.name.quoted(), &*table.name.name);
            let mut copy = Copy::new(table, target, &columns, layout, chunk.rows, chunk.isolate)
                .with_extra(extra.as_ref());
            let rows = 0..chunk.rows.len();
            each(self, rows, chunk.isolate, refers_to_itself(table), &mut marks, &mut copy)?;
        } else {
            self.insert_staged(chunk, &absent, extra.as_ref(), &mut marks)?;
        }
        let keys = if wants_keys { known_keys(chunk, &absent, &taken, &marks) } else { Vec::new() };
        let mut done = done(vec![RowStatus::Inserted; chunk.rows.len()], marks);
        match chunk.returning {
            Returning::Nothing => {}
            Returning::Keys if keys.is_empty() => done.keys = vec![None; chunk.rows.len()],
            Returning::Keys => done.keys = keys,
            Returning::Rows => done.rows = self.rows_of(table, &keys)?,
        }
        Ok(done)
    }

    /// The rows of these keys, read back in the same transaction.
    pub(super) fn rows_of<T: DeserializeOwned>(
        &mut self,
        table: &TableInfo,
        keys: &[Option<Key>],
    ) -> Result<Vec<Option<T>>> {
        let there: Vec<Key> = keys.iter().flatten().cloned().collect();
        let mut found = self.fetch(table, &[], &table.key, &there)?.into_iter();
        Ok(keys.iter().map(|key| key.as_ref().and_then(|_| found.next().flatten())).collect())
    }

    /// Takes as many values of the columns' defaults as there are rows: as cells to be sent, and as ids.
    fn take_defaults(
        &mut self,
        table: &TableInfo,
        columns: &[usize],
        count: usize,
        format: Format,
    ) -> Result<(Extra, Vec<Vec<RecordId>>)> {
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            let info = &table.columns[*column];
            let default = match &info.sequence {
                Some(sequence) => format!("nextval({sequence})"),
                None => self.default_of(table, &info.name)?,
            };
            values.push(format!("({default})::{}", info.type_name));
        }
        let sql = format!("SELECT {} FROM generate_series(1, $1::int8)", values.join(", "));
        let statement = self.prepared(&sql, Some(table)).map_err(Trouble::into_error)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX).to_be_bytes();
        let rows = self
            .rows(&statement, &[Param(Some(&count))], Some(table), Delivery::NotSent)
            .map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        let mut extra = Extra { columns: columns.len(), ..Extra::default() };
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let ids = match read_key(&reader, row, 0, columns.len())? {
                Some(key) => key.parts().to_vec(),
                None => vec![RecordId::Unknown; columns.len()],
            };
            for (at, id) in ids.iter().enumerate() {
                match format {
                    Format::Binary => {
                        let raw: Raw<'_> = row.get(at);
                        let raw = raw.0.unwrap_or_default();
                        extra
                            .cells
                            .extend_from_slice(&u32::try_from(raw.len()).unwrap_or(u32::MAX).to_be_bytes());
                        extra.cells.extend_from_slice(raw);
                    }
                    Format::Text => {
                        if at > 0 {
                            extra.cells.push(b'\t');
                        }
                        // Text of a key cannot be refused: it has just come from the database.
                        let _ = text::write_field(&mut extra.cells, &Wire::Text, &Part(id));
                    }
                }
            }
            extra.ends.push(extra.cells.len());
            taken.push(ids);
        }
        Ok((extra, taken))
    }

    /// A column's default as an expression.
    fn default_of(&mut self, table: &TableInfo, column: &str) -> Result<String> {
        let sql = "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d \
            JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
            WHERE d.adrelid = to_regclass($1::text) AND a.attname = $2::text";
        let statement = self.prepared(sql, Some(table)).map_err(Trouble::into_error)?;
        let quoted = table.name.quoted();
        let params = [Param(Some(quoted.as_bytes())), Param(Some(column.as_bytes()))];
        let rows =
            self.rows(&statement, &params, Some(table), Delivery::NotSent).map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        match rows.first() {
            Some(row) => reader.value(row, 0),
            None => Err(Error::new(ErrorKind::Database, format!("{column} has no default any more"))
                .with_entity(table.name.to_string())
                .with_delivery(Delivery::Answered)),
        }
    }
}

/// Whether the key of each row can be told without asking the database for it afterwards.
fn keys_are_known<R>(chunk: &Chunk<'_, R>) -> bool {
    let table = chunk.table;
    match chunk.returning {
        Returning::Nothing => true,
        Returning::Keys if table.key.is_empty() => true,
        Returning::Rows if table.key.is_empty() => false,
        _ => table.key.iter().all(|column| {
            let info = &table.columns[*column];
            chunk.columns.contains(column) || (info.has_default && !info.generated)
        }),
    }
}

/// The key of each row, from the row itself and from what was taken for it.
fn known_keys<R: Serialize>(
    chunk: &Chunk<'_, R>,
    absent: &[usize],
    taken: &[Vec<RecordId>],
    marks: &Marks,
) -> Vec<Option<Key>> {
    let table = chunk.table;
    let present: Vec<&str> = table
        .key
        .iter()
        .filter(|column| !absent.contains(column))
        .map(|column| table.columns[*column].name.as_str())
        .collect();
    let of = |row: usize| -> Option<Key> {
        if marks.is_bad(row) {
            return None;
        }
        let mut own = key_of(&chunk.rows[row], &present).ok()?.into_iter();
        let mut other = taken.get(row).cloned().unwrap_or_default().into_iter();
        let parts: Option<Vec<RecordId>> = table
            .key
            .iter()
            .map(|column| if absent.contains(column) { other.next() } else { own.next() })
            .collect();
        let parts = parts?;
        (!parts.contains(&RecordId::Unknown)).then(|| Key::of(parts))
    };
    (0..chunk.rows.len()).map(of).collect()
}
