//! Which field of a row goes to which parameter: found by name at the first row, then by place.

use rusqlite::Statement;
use rusqlite::types::Value;
use serde::Serialize;

use super::super::catalog::TableInfo;
use super::bind::{Misfit, Place};
use super::cell::Scratch;
use super::fields::{Fields, Sink};

/// The columns that rows set, and where their values go.
#[derive(Debug)]
pub(super) struct Shape<'t> {
    table: &'t TableInfo,
    columns: &'t [usize],
    /// The parameter of each of `columns`; 0 is none.
    parameters: Vec<usize>,
    /// The place among `copies` of each of `columns`.
    copied: Vec<Option<usize>>,
    /// What the last row has in the columns that are copied.
    pub(super) copies: Vec<Value>,
    /// The fields in the order in which rows show them: where the name is, and which of `columns` it is.
    order: Vec<(usize, String, usize)>,
    scratch: Scratch,
    pub(super) bytes: u64,
}

impl<'t> Shape<'t> {
    /// All columns, one parameter each in their order; `copied` are copied.
    pub(super) fn new(table: &'t TableInfo, columns: &'t [usize], copied: &[usize]) -> Self {
        let place = |column: &usize| copied.iter().position(|each| each == column);
        Self {
            table,
            columns,
            parameters: (1..=columns.len()).collect(),
            copied: columns.iter().map(place).collect(),
            copies: vec![Value::Null; copied.len()],
            order: Vec::with_capacity(columns.len()),
            scratch: Scratch::default(),
            bytes: 0,
        }
    }

    /// Binds nothing, and copies the values of some columns.
    pub(super) fn copying(table: &'t TableInfo, columns: &'t [usize], copied: &[usize]) -> Self {
        let mut shape = Self::new(table, columns, copied);
        shape.parameters.fill(0);
        shape
    }

    /// Binds a row.
    #[inline]
    pub(super) fn bind<R: Serialize + ?Sized>(
        &mut self,
        stmt: &mut Statement<'_>,
        row: &R,
    ) -> Result<(), Misfit> {
        self.copies.fill(Value::Null);
        let mut sink = RowSink { shape: self, stmt, next: 0, strayed: false };
        row.serialize(Fields(&mut sink))?;
        let (next, strayed) = (sink.next, sink.strayed);
        if next != self.columns.len() || strayed {
            return self.check(row, next);
        }
        Ok(())
    }

    /// The error of a row that does not have each column once, if so it is.
    #[cold]
    fn check<R: Serialize + ?Sized>(&self, row: &R, fields: usize) -> Result<(), Misfit> {
        let mut seen = Seen { shape: self, count: vec![0; self.columns.len()] };
        row.serialize(Fields(&mut seen))?;
        for (slot, count) in seen.count.iter().enumerate() {
            let name = &self.table.columns[self.columns[slot]].name;
            match count {
                1 => {}
                0 => return Err(Misfit::new(format!("{name} is missing, of {fields} fields")).at(name)),
                _ => return Err(Misfit::new(format!("{name} is given twice")).at(name)),
            }
        }
        Ok(())
    }

    fn slot(&self, name: &str) -> Result<usize, Misfit> {
        let slot = self.columns.iter().position(|column| self.table.columns[*column].name == name);
        slot.ok_or_else(|| Misfit::new(self.table.unknown(name)).at(name))
    }
}

struct RowSink<'a, 't, 's> {
    shape: &'a mut Shape<'t>,
    stmt: &'a mut Statement<'s>,
    /// How many fields were shown.
    next: usize,
    /// Whether a field was not where the rows before had it.
    strayed: bool,
}

impl RowSink<'_, '_, '_> {
    /// The field's place among the columns.
    #[inline]
    fn find(&mut self, name: &str, lasting: bool) -> Result<usize, Misfit> {
        // Structs show the very same text each time; a map's keys may be others in the same place.
        let address = if lasting { name.as_ptr().addr() } else { 0 };
        if let Some((seen, known, slot)) = self.shape.order.get(self.next) {
            let same = lasting && *seen == address && known.len() == name.len();
            if same || known == name {
                return Ok(*slot);
            }
        }
        self.stray(name, address)
    }

    #[cold]
    fn stray(&mut self, name: &str, address: usize) -> Result<usize, Misfit> {
        let slot = self.shape.slot(name)?;
        let is_new = self.next == self.shape.order.len();
        let twice = self.shape.order.iter().any(|(_, _, known)| *known == slot);
        if is_new && !twice {
            self.shape.order.push((address, name.to_owned(), slot));
        } else {
            self.strayed = true;
        }
        Ok(slot)
    }
}

impl Sink for RowSink<'_, '_, '_> {
    #[inline]
    fn named<T: Serialize + ?Sized>(&mut self, name: &str, lasting: bool, value: &T) -> Result<(), Misfit> {
        let slot = self.find(name, lasting)?;
        self.next += 1;
        let shape = &mut *self.shape;
        let table: &TableInfo = shape.table;
        let column = &table.columns[shape.columns[slot]];
        let mut place = Place {
            stmt: self.stmt,
            parameter: shape.parameters[slot],
            ty: &column.ty,
            scratch: &mut shape.scratch,
            copy: shape.copied[slot].map(|place| &mut shape.copies[place]),
            bytes: &mut shape.bytes,
        };
        place.write(value).map_err(|misfit| misfit.at(&column.name))
    }

    fn placed<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Misfit> {
        Err(Misfit::new("a row is a struct or map, not a list"))
    }
}

/// Counts how often each column is given.
struct Seen<'a, 't> {
    shape: &'a Shape<'t>,
    count: Vec<usize>,
}

impl Sink for Seen<'_, '_> {
    fn named<T: Serialize + ?Sized>(&mut self, name: &str, _: bool, _: &T) -> Result<(), Misfit> {
        self.count[self.shape.slot(name)?] += 1;
        Ok(())
    }

    fn placed<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Misfit> {
        Ok(())
    }
}
