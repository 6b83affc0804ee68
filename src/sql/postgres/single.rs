//! Inserting with one statement a row: where nothing faster is wanted or possible.

use std::ops::Range;

use postgres::Statement;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decode::Reader;
use super::failure::Trouble;
use super::insert::{done, layout, refers_to_itself};
use super::isolate::{Marks, Step, each};
use super::keys::{read_key, returned};
use super::row::{Format, Layout};
use super::session::{Connection, Param};
use crate::error::{Delivery, Result};
use crate::sql::catalog::{TableInfo, quote_all};
use crate::sql::driver::{Chunk, Done, Returning, RowStatus};
use crate::sql::key::Key;

impl Connection {
    pub(super) fn insert_singly<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        skip_conflicts: bool,
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let mut layout = layout(self, chunk)?;
        // Parameters have their own format each.
        layout.format = Format::Binary;
        let values: Vec<String> = (1..=layout.fields.len()).map(|number| format!("${number}")).collect();
        let list = returned(table, chunk.returning);
        // Without a list there is still a row back for each that was inserted.
        let list = list.strip_prefix(", ").unwrap_or("1");
        let conflict = if skip_conflicts { " ON CONFLICT DO NOTHING" } else { "" };
        let sql = format!(
            "INSERT INTO {} AS batchcall_t ({}) OVERRIDING SYSTEM VALUE VALUES ({}){conflict} RETURNING {list}",
            table.name.quoted(),
            quote_all(layout.fields.iter().map(|field| field.name.as_str())),
            values.join(", "),
        );
        let statement = self.prepared(&sql, Some(table)).map_err(Trouble::into_error)?;
        let mut marks = Marks::default();
        let mut step = Single {
            table,
            statement,
            layout,
            rows: chunk.rows,
            isolate: chunk.isolate,
            returning: chunk.returning,
            statuses: vec![RowStatus::Inserted; chunk.rows.len()],
            keys: Vec::new(),
            found: Vec::new(),
        };
        if chunk.returning == Returning::Keys {
            step.keys = vec![None; chunk.rows.len()];
        }
        if chunk.returning == Returning::Rows {
            step.found.resize_with(chunk.rows.len(), || None);
        }
        let rows = 0..chunk.rows.len();
        each(self, rows, chunk.isolate, refers_to_itself(table), &mut marks, &mut step)?;
        let mut done = done(step.statuses, marks);
        (done.keys, done.rows) = (step.keys, step.found);
        for (row, _) in &done.errors {
            if let Some(key) = done.keys.get_mut(*row) {
                *key = None;
            }
            if let Some(found) = done.rows.get_mut(*row) {
                *found = None;
            }
        }
        Ok(done)
    }
}

struct Single<'a, R, T> {
    table: &'a TableInfo,
    statement: Statement,
    layout: Layout,
    rows: &'a [R],
    isolate: bool,
    returning: Returning,
    statuses: Vec<RowStatus>,
    keys: Vec<Option<Key>>,
    found: Vec<Option<T>>,
}

impl<R: Serialize, T: DeserializeOwned> Step for Single<'_, R, T> {
    fn apply(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> Result<(), Trouble> {
        let reader = Reader::new(self.statement.columns());
        let mut cells = Vec::new();
        for row in range {
            if marks.is_bad(row) {
                continue;
            }
            cells.clear();
            if let Err(refusal) = self.layout.write(&mut cells, &self.rows[row]) {
                let error = refusal.into_error(&self.table.name.to_string(), row);
                if !self.isolate {
                    return Err(Trouble::Other(error));
                }
                marks.mark(row, error);
                continue;
            }
            let params: Vec<Param<'_>> = (0..self.layout.fields.len())
                .map(|index| Param::of(&cells[self.layout.place(index)]))
                .collect();
            let answer = connection
                .rows(&self.statement, &params, Some(self.table), Delivery::NotSent)
                .and_then(|rows| connection.check(self.table).map(|()| rows));
            let rows = answer.map_err(|trouble| match trouble {
                Trouble::Data { error, .. } => Trouble::Data { error, row: Some(row) },
                other => other,
            })?;
            let Some(answer) = rows.first() else {
                self.statuses[row] = RowStatus::Unchanged;
                continue;
            };
            match self.returning {
                Returning::Nothing => {}
                Returning::Keys if self.table.key.is_empty() => {}
                Returning::Keys => self.keys[row] = read_key(&reader, answer, 0, self.table.key.len())?,
                Returning::Rows => self.found[row] = Some(reader.read(answer, 0)?),
            }
        }
        Ok(())
    }
}
