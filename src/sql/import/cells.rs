//! Rows on their way from the reader to a worker: the text of a chunk, and where in it the cells are.

use std::sync::Arc;

use crate::error::Error;
use crate::records::record::Record;
use crate::sql::run::Piece;

/// Rows that go together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The rows as they were read, one after the other, without line ends.
    pub(super) text: Vec<u8>,
    /// Cells in which a doubled quote was made one.
    pub(super) unquoted: Vec<u8>,
    pub(super) cells: Vec<Cell>,
    pub(super) entries: Vec<Entry>,
    /// The place of the first row in the input.
    pub(super) first: usize,
    places: Arc<[usize]>,
}

/// Where a cell is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) form: CellForm,
}

/// How a cell was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellForm {
    Plain,
    Quoted,
    /// In `unquoted`, not in `text`.
    Unquoted,
}

/// A row.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it begins; the first line is 1.
    pub(super) line: u64,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) content: Content,
}

/// What a row holds.
#[derive(Debug)]
pub(super) enum Content {
    /// Cells from this one on, as many as the header has.
    Cells(u32),
    Fields(Box<Record>),
    Bad(Box<Error>),
    Dropped,
}

impl Batch {
    pub(super) fn new(first: usize) -> Self {
        Self {
            text: Vec::new(),
            unquoted: Vec::new(),
            cells: Vec::new(),
            entries: Vec::new(),
            first,
            places: Arc::new([]),
        }
    }

    /// Adds a row's text, with what it holds.
    pub(super) fn push(&mut self, line: u64, raw: &[u8], content: Content) {
        let start = offset(self.text.len());
        self.text.extend_from_slice(raw);
        self.entries.push(Entry { line, start, end: offset(self.text.len()), content });
    }

    /// What it takes of memory, nearly.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.unquoted.len() + self.cells.len() * size_of::<Cell>()
    }

    pub(super) fn raw(&self, entry: &Entry) -> &[u8] {
        &self.text[entry.start as usize..entry.end as usize]
    }

    pub(super) fn bytes(&self, cell: Cell) -> &[u8] {
        let from = if cell.form == CellForm::Unquoted { &self.unquoted } else { &self.text };
        &from[cell.start as usize..cell.end as usize]
    }
}

/// An offset in the text of a chunk.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a chunk is smaller than 4 GiB: a row has at most 16 MiB")
}

impl Piece for Arc<Batch> {
    /// Rows of an import are known by their lines.
    fn places(&self) -> &Arc<[usize]> {
        &self.places
    }

    fn rows(&self) -> usize {
        self.entries.len()
    }
}
