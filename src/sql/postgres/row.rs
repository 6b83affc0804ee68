//! A row to the cells that are sent: fields are matched to columns by name. Rows of one type come with
//! their fields in one order, and COPY's column list follows the first row's, so that matching is one
//! comparison a field; a row in another order is written and then put in order.

use serde::Serialize;

use super::refusal::Refusal;
use super::walk::{NONE, Visit, Walk};
use super::wire::Wire;
use super::{cell, text};

type Result<T = ()> = std::result::Result<T, Refusal>;

/// How cells are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Each with its length before it.
    Binary,
    /// COPY's text, with tabs between.
    Text,
}

/// A column or parameter.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) wire: Wire,
}

/// What the cells of a row are, in their order.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    pub(super) format: Format,
    /// Whether fields of a row that are not in the layout are passed over; else they are refused.
    pub(super) lax: bool,
    /// Where the name of each field lay in the struct that was written last; 0 if it was none.
    addresses: Vec<usize>,
    /// Where each cell of the row that was written last lies: its field, its start, its end.
    places: Vec<(usize, usize, usize)>,
    scratch: Vec<u8>,
}

impl Layout {
    pub(super) fn new(fields: Vec<Field>, format: Format) -> Self {
        let addresses = vec![0; fields.len()];
        Self { fields, format, lax: false, addresses, places: Vec::new(), scratch: Vec::new() }
    }

    /// Writes a row's cells. After an error what was written of the row is to be cut off.
    pub(super) fn write<R: Serialize + ?Sized>(&mut self, out: &mut Vec<u8>, row: &R) -> Result {
        let start = out.len();
        self.places.clear();
        let mut cells = Cells { layout: self, out, next: 0, ordered: true };
        row.serialize(Walk(&mut cells))?;
        let ordered = cells.ordered;
        if self.places.len() != self.fields.len() || !ordered {
            self.order(out, start)?;
        }
        Ok(())
    }

    /// Where field `index` of the row that was written last lies.
    pub(super) fn place(&self, index: usize) -> std::ops::Range<usize> {
        let (_, start, end) = self.places[index];
        start..end
    }

    #[cold]
    fn order(&mut self, out: &mut Vec<u8>, start: usize) -> Result {
        self.places.sort_by_key(|place| place.0);
        for (index, field) in self.fields.iter().enumerate() {
            if self.places.get(index).is_none_or(|place| place.0 != index) {
                let twice = index > 0 && self.places.get(index).is_some_and(|place| place.0 == index - 1);
                let name = if twice { &self.fields[index - 1].name } else { &field.name };
                let why = if twice { "comes twice" } else { "is missing" };
                return Err(Refusal::new(format!("{name} {why}")).at(name));
            }
        }
        if let Some(extra) = self.places.get(self.fields.len()) {
            let name = &self.fields[extra.0].name;
            return Err(Refusal::new(format!("{name} comes twice")).at(name));
        }
        self.scratch.clear();
        for (index, place) in self.places.iter_mut().enumerate() {
            if index > 0 && self.format == Format::Text {
                self.scratch.push(b'\t');
            }
            let from = start + self.scratch.len();
            self.scratch.extend_from_slice(&out[place.1..place.2]);
            (place.1, place.2) = (from, start + self.scratch.len());
        }
        out.truncate(start);
        out.extend_from_slice(&self.scratch);
        Ok(())
    }
}

struct Cells<'a> {
    layout: &'a mut Layout,
    out: &'a mut Vec<u8>,
    next: usize,
    ordered: bool,
}

impl Cells<'_> {
    #[cold]
    fn search(&mut self, name: &str) -> Result<usize> {
        match self.layout.fields.iter().position(|field| field.name == name) {
            Some(found) => {
                self.ordered = false;
                Ok(found)
            }
            None if self.layout.lax => Ok(NONE),
            None => Err(Refusal::new(format!("{name} is not one of the columns of the first row")).at(name)),
        }
    }
}

impl Visit for Cells<'_> {
    #[inline]
    fn named(&mut self, name: &str) -> Result<usize> {
        if self.layout.fields.get(self.next).is_some_and(|field| field.name == name) {
            return Ok(self.next);
        }
        self.search(name)
    }

    #[inline]
    fn constant(&mut self, name: &'static str) -> Result<usize> {
        let (next, address) = (self.next, name.as_ptr().addr());
        let Some(field) = self.layout.fields.get(next) else { return self.search(name) };
        // The same constant is mostly at the same address, which saves comparing it.
        if self.layout.addresses[next] == address && field.name.len() == name.len() {
            return Ok(next);
        }
        if field.name == name {
            self.layout.addresses[next] = address;
            return Ok(next);
        }
        self.search(name)
    }

    fn placed(&mut self) -> Result<usize> {
        if self.next < self.layout.fields.len() {
            return Ok(self.next);
        }
        Err(Refusal::new(format!("more than the {} values needed", self.layout.fields.len())))
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> Result {
        let Some(field) = self.layout.fields.get(index) else { return Ok(()) };
        if self.layout.format == Format::Text && index > 0 && self.ordered {
            self.out.push(b'\t');
        }
        let start = self.out.len();
        match self.layout.format {
            Format::Binary => cell::write(self.out, &field.wire, value),
            Format::Text => text::write_field(self.out, &field.wire, value),
        }
        .map_err(|refusal| refusal.at(&field.name))?;
        self.layout.places.push((index, start, self.out.len()));
        self.next = index + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layout(format: Format) -> Layout {
        let field = |name: &str, wire| Field { name: name.to_owned(), wire };
        Layout::new(vec![field("b", Wire::Int2), field("a", Wire::Text)], format)
    }

    #[test]
    fn a_row_in_another_order_is_put_in_order() {
        let expected = [0, 0, 0, 2, 0, 7, 0, 0, 0, 1, b'x'];
        #[derive(Serialize)]
        struct Ordered {
            b: i32,
            a: &'static str,
        }
        let mut out = vec![9];
        let mut layout = layout(Format::Binary);
        layout.write(&mut out, &Ordered { b: 7, a: "x" }).unwrap();
        assert_eq!(out[1..], expected);
        out.truncate(1);
        layout.write(&mut out, &json!({"a": "x", "b": 7})).unwrap();
        assert_eq!(out[1..], expected);
        assert_eq!(out[layout.place(1)], expected[6..]);
        let mut out = Vec::new();
        super::tests::layout(Format::Text).write(&mut out, &json!({"a": "x", "b": 7})).unwrap();
        assert_eq!(out, b"7\tx");
    }

    #[test]
    fn what_does_not_fit_names_its_column() {
        let refuse = |row| {
            let error = layout(Format::Binary).write(&mut Vec::new(), &row).unwrap_err().into_error("t", 3);
            (error.field_errors()[0].path.clone(), error.message().to_owned())
        };
        assert_eq!(refuse(json!({"b": 70_000, "a": ""})).1, "70000 is out of range for a smallint");
        assert_eq!(refuse(json!({"b": "x".repeat(50), "a": ""})).0, "b");
        assert!(refuse(json!({"b": "x".repeat(50), "a": ""})).1.len() < 80);
        assert_eq!(refuse(json!({"a": "\0", "b": 1})).0, "a");
        assert_eq!(refuse(json!({"a": "x"})), ("b".to_owned(), "b is missing".to_owned()));
        assert_eq!(refuse(json!({"a": "x", "b": 1, "c": 1})).0, "c");
    }
}
