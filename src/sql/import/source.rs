//! Reads the input, and cuts it in chunks of rows that know their lines.

use std::io::Read;

use super::cells::{Batch, Content};
use super::csv::{Cut, LONGEST, Scan, scan};
use super::layout::Layout;
use super::options::{Before, Format, Reading};
use super::{invalid, json};
use crate::error::{Error, ErrorKind, Result};
use crate::records::record::Record;
use crate::sql::catalog::TableInfo;
use crate::sql::failure::copy;
use crate::sql::table::Processed;

/// The input, as far as it was read.
pub(super) struct Source<'t, R> {
    reader: R,
    /// What was read and not taken begins at `at`.
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    broken: Option<Error>,
    /// Where the next row begins.
    line: u64,
    rows: usize,
    /// How far from `at` on quotes cannot be trusted.
    doubt: usize,
    format: Format,
    delimiter: u8,
    reading: &'t Reading,
    table: &'t TableInfo,
}

/// How much is read at once.
const BLOCK: usize = 256 << 10;

impl<'t, R: Read> Source<'t, R> {
    pub(super) fn open(
        reader: R,
        reading: &'t Reading,
        format: Format,
        delimiter: u8,
        table: &'t TableInfo,
    ) -> Result<Self> {
        let mut source = Self {
            reader,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            broken: None,
            line: 1,
            rows: 0,
            doubt: 0,
            format,
            delimiter,
            reading,
            table,
        };
        while source.buffer.len() < 3 && !source.ended {
            source.more()?;
        }
        if source.buffer.starts_with(b"\xef\xbb\xbf") {
            source.at = 3;
        }
        Ok(source)
    }

    /// Reads some more.
    fn more(&mut self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(copy(error));
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let had = self.buffer.len();
        // Of a long row the same part is looked at again, so it grows by as much as there is.
        let wanted = BLOCK.max(had) as u64;
        // Takes what came before an error, too.
        match self.reader.by_ref().take(wanted).read_to_end(&mut self.buffer) {
            Ok(read) => self.ended = (read as u64) < wanted,
            Err(error) => {
                let message = format!("the input cannot be read: {error}");
                self.broken = Some(Error::new(ErrorKind::Other, message));
            }
        }
        match &self.broken {
            Some(error) if self.buffer.len() == had => Err(copy(error)),
            _ => Ok(()),
        }
    }

    /// What the header says; `None` if there is nothing at all.
    pub(super) fn layout(&mut self, key: &[usize]) -> Result<Option<Layout>> {
        if self.format == Format::JsonLines {
            return Layout::of_json(self.table, self.reading, key).map(Some);
        }
        self.skip_blank()?;
        loop {
            let text = &self.buffer[self.at..];
            if text.is_empty() && self.ended {
                return Ok(None);
            }
            let mut header = Batch::new(0);
            let how = Cut { delimiter: self.delimiter, last: self.ended, strict: false };
            match scan(text, how, &mut header) {
                Scan::More => self.more()?,
                Scan::Bad { why, .. } => return Err(invalid(format!("the header cannot be read: {why}"))),
                Scan::Row { end, next, lines } => {
                    let cells = 0;
                    header.push(self.line, &text[..end], Content::Cells(cells));
                    self.at += next;
                    self.line += lines;
                    return Layout::of_csv(self.table, self.reading, &header, self.delimiter, key).map(Some);
                }
            }
        }
    }

    /// Leaves empty lines out.
    fn skip_blank(&mut self) -> Result<()> {
        loop {
            match &self.buffer[self.at..] {
                [b'\n', ..] => self.at += 1,
                [b'\r', b'\n', ..] => self.at += 2,
                [] | [b'\r'] if !self.ended => {
                    self.more()?;
                    continue;
                }
                _ => return Ok(()),
            }
            self.line += 1;
            self.doubt = self.doubt.saturating_sub(2);
        }
    }

    /// The next rows: so many, and so many bytes, at the most. `None` at the end.
    pub(super) fn next(
        &mut self,
        layout: &Layout,
        rows: usize,
        bytes: usize,
        before: Option<&Before<'_>>,
    ) -> Result<Option<Batch>> {
        let mut batch = Batch::new(self.rows);
        while batch.entries.len() < rows && batch.size() < bytes {
            let mut failed = self.skip_blank().err();
            let mut taken = false;
            while failed.is_none() && !(self.ended && self.at == self.buffer.len()) {
                if self.take(layout, &mut batch, before) {
                    taken = true;
                    break;
                }
                failed = self.more().err();
            }
            match failed {
                // What was read before goes its way, and the error comes up again.
                Some(_) if !batch.entries.is_empty() => break,
                Some(error) => return Err(error),
                None if !taken => break,
                None => {}
            }
        }
        self.rows += batch.entries.len();
        Ok(Some(batch).filter(|batch| !batch.entries.is_empty()))
    }

    /// Takes a row, if it is there whole.
    fn take(&mut self, layout: &Layout, batch: &mut Batch, before: Option<&Before<'_>>) -> bool {
        let text = &self.buffer[self.at..];
        let first_cell = super::cells::offset(batch.cells.len());
        let (end, next, lines, doubt, content) = match self.format {
            Format::Csv => {
                let how = Cut { delimiter: self.delimiter, last: self.ended, strict: self.doubt > 0 };
                match scan(text, how, batch) {
                    Scan::More => return false,
                    Scan::Row { end, next, lines } => {
                        let found = batch.cells.len() - first_cell as usize;
                        let content = if found == layout.width {
                            Content::Cells(first_cell)
                        } else {
                            batch.cells.truncate(first_cell as usize);
                            let [found, wanted] =
                                [found, layout.width].map(|all| all.saturating_sub(layout.added));
                            bad(format!("the row has {found} cells, the header {wanted}"))
                        };
                        (end, next, lines, self.doubt.saturating_sub(next), content)
                    }
                    Scan::Bad { end, next, doubt, why } => {
                        let doubt = doubt.max(self.doubt).saturating_sub(next);
                        (end, next, 1, doubt, bad(why.to_owned()))
                    }
                }
            }
            Format::JsonLines => match text.iter().position(|byte| *byte == b'\n') {
                None if !self.ended && text.len() <= LONGEST => return false,
                found => {
                    let end = found.unwrap_or(text.len());
                    let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
                    (line.len(), (end + 1).min(text.len()), 1, 0, json::read(line, self.table, self.reading))
                }
            },
        };
        if self.line >= self.reading.from_line {
            let raw = &text[..end];
            batch.push(self.line, raw, content);
            if let (Some(before), Some(entry)) = (before, batch.entries.len().checked_sub(1)) {
                let content = look(batch, entry, layout, self.table, before);
                batch.entries[entry].content = content;
            }
        } else {
            batch.cells.truncate(first_cell as usize);
        }
        self.at += next;
        self.line += lines;
        self.doubt = doubt;
        true
    }

    /// Lines that were read.
    pub(super) fn lines(&self) -> u64 {
        self.line - 1
    }

    /// The line from which on nothing was looked at; `None` at the end of the input.
    pub(super) fn unread_from(&self) -> Option<u64> {
        Some(self.line).filter(|_| !self.ended || self.at < self.buffer.len())
    }
}

fn bad(message: String) -> Content {
    Content::Bad(Box::new(invalid(message)))
}

/// Shows a row to `pre_process`.
fn look(batch: &mut Batch, entry: usize, layout: &Layout, table: &TableInfo, before: &Before<'_>) -> Content {
    let content = std::mem::replace(&mut batch.entries[entry].content, Content::Dropped);
    let (record, content) = match content {
        Content::Cells(first) => match layout.record(batch, first) {
            Ok(record) => (record, Content::Cells(first)),
            Err(error) => return Content::Bad(Box::new(error)),
        },
        Content::Fields(record) => ((*record).clone(), Content::Fields(record)),
        other => return other,
    };
    match before(&record) {
        Ok(Processed::Keep) => content,
        Ok(Processed::Change(record)) => changed(record, table),
        Ok(Processed::Drop) => Content::Dropped,
        Err(error) => Content::Bad(Box::new(error)),
    }
}

fn changed(record: Record, table: &TableInfo) -> Content {
    match json::check(&record, table) {
        Ok(()) => Content::Fields(Box::new(record)),
        Err(error) => Content::Bad(Box::new(error)),
    }
}
