//! Looks at rows before they are sent: what `pre_process` makes of them, their columns, their keys.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::catalog::TableInfo;
use super::driver::RowStatus;
use super::fields::{Shape, Shapes};
use super::part::key_of;
use super::run::Piece;
use super::seen::Seen;
use super::table::{Hooks, Processed, Table};
use super::write::{Plan, Write};
use super::written::Written;
use crate::error::{Delivery, Error, ErrorKind, FieldError, Result};

/// A row of the caller's, or what `pre_process` made of it: boxed, because rows are moved about.
#[derive(Debug)]
pub(crate) enum Row<'r, T> {
    Borrowed(&'r T),
    Owned(Box<T>),
}

impl<T> Row<'_, T> {
    fn get(&self) -> &T {
        match self {
            Self::Borrowed(row) => row,
            Self::Owned(row) => row,
        }
    }
}

impl<T: Serialize> Serialize for Row<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

/// Rows with the same columns that go together.
#[derive(Debug)]
pub(crate) struct Group<R> {
    pub(crate) shape: Arc<Shape>,
    pub(crate) places: Arc<[usize]>,
    pub(crate) rows: Vec<R>,
    /// Rows that have no value in the key of an upsert and are simply added.
    pub(crate) keyless: bool,
}

impl<R: Send + Sync> Piece for Group<R> {
    fn places(&self) -> &Arc<[usize]> {
        &self.places
    }

    /// Rows without a key are added, each time anew.
    fn is_resendable(&self) -> bool {
        !self.keyless
    }
}

/// How many problems of the input one error lists.
const LISTED: usize = 100;

/// Looks at every row before anything is sent: the rows to send, by their columns.
pub(crate) fn prepare<'r, T: Serialize>(
    on: &Table<'_, T>,
    write: &Write<'_>,
    rows: &'r [T],
    written: &mut Written<T>,
) -> Result<Vec<Group<Row<'r, T>>>> {
    let mut look = Look::new(write);
    let mut problems = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if let Err(error) = look.at(place, row, &on.hooks, written) {
            problems.push((place, error));
        }
    }
    look.duplicates(written, &mut problems);
    if !problems.is_empty() && !on.config.continue_on_error {
        return Err(refusal(write.table, rows.len(), problems));
    }
    for (place, error) in problems {
        tell(&on.hooks, place, &error);
        written.fail(place, error);
    }
    Ok(look.into_groups())
}

/// One error for everything that is wrong with the input.
fn refusal(table: &TableInfo, rows: usize, mut problems: Vec<(usize, Error)>) -> Error {
    problems.sort_by_key(|(place, _)| *place);
    let bad = problems.len();
    let (place, first) = problems.first().map_or((0, ""), |(place, error)| (*place, error.message()));
    let message = format!("nothing was sent: {bad} of {rows} rows cannot be; row {place}: {first}");
    let mut listed = Vec::new();
    for (place, error) in &problems {
        if listed.len() >= LISTED {
            break;
        }
        let of_row = |path: &str, message: &str| {
            let path = if path.is_empty() { format!("{place}") } else { format!("{place}.{path}") };
            FieldError::new(path, message)
        };
        match error.field_errors() {
            [] => listed.push(of_row("", error.message())),
            fields => listed.extend(fields.iter().map(|field| of_row(&field.path, &field.message))),
        }
    }
    Error::new(ErrorKind::Invalid, message)
        .with_entity(table.name.to_string())
        .with_record_index(place)
        .with_field_errors(listed)
        .with_delivery(Delivery::NotSent)
}

/// Rows of one shape, with a key or without, and their places.
type Heap<R> = ((usize, bool), Vec<usize>, Vec<R>);

/// Sorts rows by their columns as they come.
pub(crate) struct Look<'w, R> {
    write: &'w Write<'w>,
    shapes: Shapes<'w>,
    key: Vec<&'w str>,
    groups: Vec<Heap<R>>,
    seen: Seen,
    /// Rows of which a later one is the same, and that one.
    superseded: Vec<(usize, usize)>,
}

impl<'w, R> Look<'w, R> {
    pub(crate) fn new(write: &'w Write<'w>) -> Self {
        let key = write.plan.key().iter().map(|column| write.table.columns[*column].name.as_str()).collect();
        Self {
            write,
            shapes: Shapes::new(write.table),
            key,
            groups: Vec::new(),
            seen: Seen::default(),
            superseded: Vec::new(),
        }
    }

    /// Takes a row as it is.
    pub(crate) fn take(&mut self, place: usize, row: R) -> Result<()>
    where
        R: Serialize,
    {
        let shape = self.shapes.of(&row).map_err(|problems| {
            let message = problems.iter().map(|each| each.message.as_str()).collect::<Vec<_>>().join("; ");
            invalid(self.write.table, place, message).with_field_errors(problems)
        })?;
        let mut keyless = false;
        if !self.key.is_empty() {
            let key =
                key_of(&row, &self.key).map_err(|refused| invalid(self.write.table, place, refused.0))?;
            match (key, self.write.plan) {
                (Some(key), _) => {
                    if let Some(earlier) = self.seen.insert(key, place) {
                        self.superseded.push((earlier, place));
                    }
                }
                (None, Plan::Update { .. }) => {
                    let message = format!("the row has no {}, which names it", self.key.join(", "));
                    let fields = vec![FieldError::new(self.key.join(", "), "is missing")];
                    return Err(invalid(self.write.table, place, message).with_field_errors(fields));
                }
                (None, _) => keyless = true,
            }
        }
        if let Plan::Update { key, fields } = self.write.plan {
            let sets = |column: &usize| {
                !key.contains(column) && fields.as_ref().is_none_or(|fields| fields.contains(column))
            };
            if !self.shapes.get(shape).columns.iter().any(sets) {
                return Err(invalid(self.write.table, place, "the row sets nothing".to_owned()));
            }
        }
        let number =
            self.groups.iter().position(|(each, ..)| *each == (shape, keyless)).unwrap_or_else(|| {
                self.groups.push(((shape, keyless), Vec::new(), Vec::new()));
                self.groups.len() - 1
            });
        let (_, places, rows) = &mut self.groups[number];
        places.push(place);
        rows.push(row);
        Ok(())
    }

    /// Rows that are the same as a later one are not sent; in an update they are an error.
    fn duplicates<T>(&mut self, written: &mut Written<T>, problems: &mut Vec<(usize, Error)>) {
        // From the last: a row hangs on one whose own fate is known by then.
        for (place, later) in self.take_superseded().into_iter().rev() {
            match self.write.plan {
                Plan::Update { .. } => {
                    let message = "a later row of the input has the same key".to_owned();
                    problems.push((place, invalid(self.write.table, place, message)));
                }
                _ => written.set_same(place, later, RowStatus::Superseded),
            }
        }
    }

    /// Takes out the rows that are the same as a later one: their places, and those of the later ones.
    pub(crate) fn take_superseded(&mut self) -> Vec<(usize, usize)> {
        let mut earlier = std::mem::take(&mut self.superseded);
        earlier.sort_unstable();
        if earlier.is_empty() {
            return earlier;
        }
        for (_, places, rows) in &mut self.groups {
            let is_left = |place: &usize| earlier.binary_search_by_key(place, |(place, _)| *place).is_err();
            let mut keep = places.iter().map(is_left);
            rows.retain(|_| keep.next().unwrap_or(true));
            places.retain(is_left);
        }
        earlier
    }

    pub(crate) fn rows(&self) -> usize {
        self.groups.iter().map(|(_, places, _)| places.len()).sum()
    }

    pub(crate) fn into_groups(self) -> Vec<Group<R>> {
        let shapes: Vec<Arc<Shape>> = self.shapes.into_shapes().into_iter().map(Arc::new).collect();
        let groups = self.groups.into_iter().filter(|(_, places, _)| !places.is_empty());
        groups
            .map(|((shape, keyless), places, rows)| Group {
                shape: Arc::clone(&shapes[shape]),
                places: places.into(),
                rows,
                keyless,
            })
            .collect()
    }
}

impl<'r, T: Serialize> Look<'_, Row<'r, T>> {
    /// Shows a row to `pre_process` and takes what that makes of it.
    pub(crate) fn at(
        &mut self,
        place: usize,
        row: &'r T,
        hooks: &Hooks<'_, T>,
        written: &mut Written<T>,
    ) -> Result<()> {
        let processed = match &hooks.before {
            None => Processed::Keep,
            Some(before) => before(row)?,
        };
        match processed {
            Processed::Keep => self.take(place, Row::Borrowed(row)),
            Processed::Change(row) => self.take(place, Row::Owned(Box::new(row))),
            Processed::Drop => {
                written.set(place, RowStatus::Dropped);
                Ok(())
            }
        }
    }
}

pub(crate) fn invalid(table: &TableInfo, place: usize, message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
        .with_entity(table.name.to_string())
        .with_record_index(place)
        .with_delivery(Delivery::NotSent)
}

pub(crate) fn tell<T>(hooks: &Hooks<'_, T>, place: usize, error: &Error) {
    if let Some(tell) = &mut *hooks.on_error.borrow_mut() {
        tell(place, error);
    }
}
