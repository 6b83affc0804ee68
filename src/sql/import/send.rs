//! Sends a chunk, on a worker: looks at each row, sets aside what cannot be sent, and hands the rest to the
//! connection, rows of the same columns together.

use serde::de::IgnoredAny;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::cells::{Batch, Cell, CellForm, Content};
use super::invalid;
use super::keys::{self, Keys};
use super::layout::{Field, Layout};
use super::options::OnConflict;
use crate::error::{Error, Result};
use crate::records::record::Record;
use crate::sql::catalog::TableInfo;
use crate::sql::connection::Connection;
use crate::sql::driver::{self, Chunk, Cost, Done, Returning, RowStatus};
use crate::sql::failure::copy;

/// Everything about an import that is the same for all chunks.
pub(super) struct Sending<'s> {
    pub(super) table: &'s TableInfo,
    pub(super) layout: &'s Layout,
    /// The columns that tell rows apart.
    pub(super) key: &'s [usize],
    pub(super) on_conflict: OnConflict,
    pub(super) isolate: bool,
    pub(super) bulk: bool,
}

/// A chunk's text, checked once as a whole where it can be.
#[derive(Clone, Copy)]
struct Text<'b> {
    batch: &'b Batch,
    raw: Option<&'b str>,
    unquoted: Option<&'b str>,
}

impl<'b> Text<'b> {
    fn of(batch: &'b Batch) -> Self {
        Self {
            batch,
            raw: std::str::from_utf8(&batch.text).ok(),
            unquoted: std::str::from_utf8(&batch.unquoted).ok(),
        }
    }

    fn is_checked(self) -> bool {
        self.raw.is_some() && self.unquoted.is_some()
    }

    /// `None`: it is no UTF-8.
    fn get(self, cell: Cell) -> Option<&'b str> {
        let whole = if cell.form == CellForm::Unquoted { self.unquoted } else { self.raw };
        match whole {
            Some(whole) => whole.get(cell.start as usize..cell.end as usize),
            None => std::str::from_utf8(self.batch.bytes(cell)).ok(),
        }
    }
}

/// Rows with the same columns.
struct Group<'b> {
    shape: Shape,
    rows: Vec<(usize, Held<'b>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// All cells but those with a bit: nulls that are left to the default.
    Cells(u64),
    Columns(Vec<usize>),
}

#[derive(Clone, Copy)]
enum Held<'b> {
    Cells(u32),
    Fields(&'b Record),
}

impl Sending<'_> {
    /// Sends a chunk, in one transaction.
    pub(super) fn send(&self, connection: &mut Connection, batch: &Batch) -> Result<Done<IgnoredAny>> {
        let mut done = Done {
            statuses: vec![RowStatus::NotRun; batch.entries.len()],
            errors: Vec::new(),
            keys: Vec::new(),
            rows: Vec::new(),
            cost: Cost::default(),
        };
        let text = Text::of(batch);
        let mut same = Vec::new();
        let groups = self.look(text, &mut done, &mut same)?;
        if groups.is_empty() {
            return Ok(done);
        }
        let own = groups.len() > 1 && !connection.is_in_transaction();
        if own {
            connection.begin()?;
        }
        for group in groups {
            if let Err(error) = self.send_group(connection, text, group, &mut done) {
                if own {
                    // The error that matters is the first.
                    let _ = connection.roll_back();
                }
                return Err(error);
            }
        }
        if own {
            connection.commit()?;
        }
        // From the last: a row may hang on one that hangs on another.
        for (place, other) in same.into_iter().rev() {
            if done.statuses[other] == RowStatus::Failed {
                let line = batch.entries[other].line;
                let names = self.key_names().join(", ");
                let error = invalid(format!("not sent: line {line} has the same {names}, and was refused"));
                self.refuse(place, error, &mut done)?;
            }
        }
        Ok(done)
    }

    /// Sorts the rows of a chunk by their columns. `same` are those that are not sent because of another.
    fn look<'b>(
        &self,
        text: Text<'b>,
        done: &mut Done<IgnoredAny>,
        same: &mut Vec<(usize, usize)>,
    ) -> Result<Vec<Group<'b>>> {
        let mut groups: Vec<Group<'b>> = Vec::new();
        let mut keys = Keys::default();
        let mut gone = false;
        let defaults = self.layout.fields.iter().any(|field| field.defaults);
        let json = self.layout.fields.iter().any(|field| field.json);
        for (place, entry) in text.batch.entries.iter().enumerate() {
            let found = match &entry.content {
                Content::Dropped => {
                    done.statuses[place] = RowStatus::Dropped;
                    continue;
                }
                Content::Bad(error) => Err(copy(error)),
                Content::Cells(first) => self.look_at_cells(text, *first, defaults, json),
                Content::Fields(record) => Ok((self.shape_of(record), Held::Fields(record))),
            };
            let keyed = found.and_then(|found| Ok((self.key_of(text, found.1)?, found)));
            let (key, (shape, held)) = match keyed {
                Ok(found) => found,
                Err(error) => {
                    self.refuse(place, error, done)?;
                    continue;
                }
            };
            if let Some(key) = key {
                let twin = keys.same(key, place, self.on_conflict != OnConflict::Update);
                match (twin, self.on_conflict) {
                    (None, _) => {}
                    (Some(earlier), OnConflict::Update) => {
                        done.statuses[earlier] = RowStatus::Superseded;
                        same.push((earlier, place));
                        gone = true;
                    }
                    (Some(earlier), OnConflict::Skip) => {
                        same.push((place, earlier));
                        done.statuses[place] = RowStatus::Unchanged;
                        continue;
                    }
                    (Some(earlier), OnConflict::Fail) => {
                        let line = text.batch.entries[earlier].line;
                        let names = self.key_names().join(", ");
                        self.refuse(place, invalid(format!("line {line} has the same {names}")), done)?;
                        continue;
                    }
                }
            }
            // Rows mostly have the columns of the row before.
            match groups.iter_mut().find(|group| group.shape == shape) {
                Some(group) => group.rows.push((place, held)),
                None => groups.push(Group { shape, rows: vec![(place, held)] }),
            }
        }
        if gone {
            for group in &mut groups {
                group.rows.retain(|(place, _)| done.statuses[*place] != RowStatus::Superseded);
            }
            groups.retain(|group| !group.rows.is_empty());
        }
        Ok(groups)
    }

    /// A row that cannot be sent is set aside, or ends the chunk.
    fn refuse(&self, place: usize, error: Error, done: &mut Done<IgnoredAny>) -> Result<()> {
        let error = error.with_record_index(place);
        if !self.isolate {
            return Err(error);
        }
        done.statuses[place] = RowStatus::Failed;
        done.errors.push((place, error));
        Ok(())
    }

    fn look_at_cells<'b>(
        &self,
        text: Text<'b>,
        first: u32,
        defaults: bool,
        json: bool,
    ) -> Result<(Shape, Held<'b>)> {
        let mut mask = 0;
        if !text.is_checked() || defaults || json {
            for (number, field) in self.layout.fields.iter().enumerate() {
                let cell = text.batch.cells[first as usize + field.cell];
                let Some(value) = text.get(cell) else {
                    return Err(invalid(format!("{} is no UTF-8", field.name)));
                };
                let null = (field.defaults || field.json) && self.layout.is_null(field, value, cell.form);
                if field.defaults && null && number < 64 {
                    mask |= 1 << number;
                }
                if field.json && !null {
                    serde_json::from_str::<IgnoredAny>(value)
                        .map_err(|error| invalid(format!("{} is no JSON: {error}", field.name)))?;
                }
            }
        }
        Ok((Shape::Cells(mask), Held::Cells(first)))
    }

    /// The columns of a row that brings its names; a null that stands for the default is left out.
    fn shape_of(&self, record: &Record) -> Shape {
        let found = record.iter().filter_map(|(name, value)| {
            let index = self.table.column(name)?;
            let column = &self.table.columns[index];
            let default = value.is_null() && !column.nullable && column.has_default;
            (!default).then_some(index)
        });
        let mut columns: Vec<usize> = found.collect();
        columns.sort_unstable();
        Shape::Columns(columns)
    }

    fn key_names(&self) -> Vec<&str> {
        self.key.iter().map(|column| self.table.columns[*column].name.as_str()).collect()
    }

    /// What tells the row apart, if something does.
    fn key_of(&self, text: Text<'_>, held: Held<'_>) -> Result<Option<String>> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let mut key = String::new();
        for column in self.key {
            let info = &self.table.columns[*column];
            let missing = || invalid(format!("{} has no value, and tells rows apart", info.name));
            match held {
                Held::Cells(first) => {
                    let field = self.layout.fields.iter().find(|field| field.column == *column);
                    let field = field.ok_or_else(missing)?;
                    let cell = text.batch.cells[first as usize + field.cell];
                    let value = text.get(cell).filter(|value| !self.layout.is_null(field, value, cell.form));
                    keys::add(&mut key, value.ok_or_else(missing)?, &info.ty);
                }
                Held::Fields(record) => match record.get(&info.name) {
                    None | Some(Value::Null) => return Err(missing()),
                    Some(Value::String(value)) => keys::add(&mut key, value, &info.ty),
                    Some(value) => keys::add(&mut key, &value.to_string(), &info.ty),
                },
            }
        }
        Ok(Some(key))
    }

    fn send_group(
        &self,
        connection: &mut Connection,
        text: Text<'_>,
        Group { shape, rows }: Group<'_>,
        done: &mut Done<IgnoredAny>,
    ) -> Result<()> {
        let (columns, cells): (Vec<usize>, Vec<&Field>) = match shape {
            Shape::Cells(mask) => {
                let sent = self.layout.fields.iter().enumerate();
                let sent = sent.filter(|(number, _)| *number >= 64 || mask >> number & 1 == 0);
                sent.map(|(_, field)| (field.column, field)).unzip()
            }
            Shape::Columns(columns) => (columns, Vec::new()),
        };
        let way = Way { sending: self, text, columns: &columns, cells: &cells };
        let sent: Vec<Row<'_>> = rows.iter().map(|(_, held)| Row { way: &way, held: *held }).collect();
        let chunk = Chunk {
            table: self.table,
            columns: &columns,
            rows: &sent,
            isolate: self.isolate,
            returning: Returning::Nothing,
            bulk: self.bulk,
        };
        let sent: Result<Done<IgnoredAny>> = if self.key.is_empty() || self.on_conflict == OnConflict::Fail {
            connection.insert(&chunk)
        } else {
            let update: Vec<usize> = match self.on_conflict {
                OnConflict::Update => {
                    columns.iter().copied().filter(|column| !self.key.contains(column)).collect()
                }
                _ => Vec::new(),
            };
            connection.upsert(&chunk, &driver::OnConflict { key: self.key, update: &update })
        };
        let sent = sent.map_err(|error| match error.record_index().and_then(|row| rows.get(row)) {
            Some((place, _)) => error.with_record_index(*place),
            None => error,
        })?;
        for ((place, _), status) in rows.iter().zip(sent.statuses) {
            done.statuses[*place] = status;
        }
        let errors = sent.errors.into_iter().filter_map(|(row, error)| Some((rows.get(row)?.0, error)));
        done.errors.extend(errors);
        add(&mut done.cost, sent.cost);
        Ok(())
    }
}

fn add(cost: &mut Cost, more: Cost) {
    cost.statements += more.statements;
    cost.bytes += more.bytes;
    cost.server += more.server;
}

/// How the rows of a group are written.
struct Way<'w> {
    sending: &'w Sending<'w>,
    text: Text<'w>,
    columns: &'w [usize],
    cells: &'w [&'w Field],
}

/// A row as the connection sees it: a map of columns, made of slices of the chunk's text.
struct Row<'w> {
    way: &'w Way<'w>,
    held: Held<'w>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Way { sending, text, columns, cells } = self.way;
        let mut map = serializer.serialize_map(Some(columns.len()))?;
        match self.held {
            Held::Cells(first) => {
                for field in *cells {
                    let cell = text.batch.cells[first as usize + field.cell];
                    let value = text.get(cell).ok_or_else(|| S::Error::custom("no UTF-8"))?;
                    if sending.layout.is_null(field, value, cell.form) {
                        map.serialize_entry(field.name.as_str(), &None::<()>)?;
                    } else if field.json {
                        let value: Value = serde_json::from_str(value).map_err(S::Error::custom)?;
                        map.serialize_entry(field.name.as_str(), &value)?;
                    } else {
                        map.serialize_entry(field.name.as_str(), value)?;
                    }
                }
            }
            Held::Fields(record) => {
                for (name, value) in record.iter() {
                    if sending.table.column(name).is_some_and(|column| columns.contains(&column)) {
                        map.serialize_entry(name, value)?;
                    }
                }
            }
        }
        map.end()
    }
}
