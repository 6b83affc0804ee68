//! Rows into a table by COPY, out of one buffer that is filled and sent by turns.

use std::io::Write as _;
use std::ops::Range;
use std::time::Instant;

use serde::Serialize;

use super::failure::Trouble;
use super::isolate::{Marks, Step};
use super::raw_keys::RawKeys;
use super::refusal::Refusal;
use super::row::{Format, Layout};
use super::session::{Connection, Param};
use crate::error::{Delivery, Error, ErrorKind};
use crate::sql::catalog::{TableInfo, quote_all};

/// How many bytes are gathered before they are sent.
const SLAB: usize = 256 * 1024;

/// What every binary COPY begins with: the signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A COPY of some columns.
pub(super) struct Copy<'a, R> {
    /// Named in errors; the context of an error names its COPY by `relation`.
    pub(super) table: &'a TableInfo,
    relation: String,
    sql: String,
    pub(super) layout: Layout,
    rows: &'a [R],
    /// Cells that are added to each row, as many bytes each time as the ends say.
    extra: Option<&'a Extra>,
    /// Whether each row begins with its place in the chunk.
    numbered: bool,
    /// Takes note of the cells of some fields, the key of each row.
    keys: Option<(Vec<usize>, RawKeys)>,
    isolate: bool,
    slab: Vec<u8>,
    sent: Vec<usize>,
}

/// Cells that the rows do not have themselves, such as ids taken from a sequence.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) columns: usize,
    /// The cells of all rows, ready to be sent.
    pub(super) cells: Vec<u8>,
    /// Where those of each row end.
    pub(super) ends: Vec<usize>,
}

impl Extra {
    fn of(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.cells[start..self.ends[row]]
    }
}

impl<'a, R: Serialize> Copy<'a, R> {
    /// Into `target`, whose columns are named in the order of the layout, extra cells last.
    pub(super) fn new(
        table: &'a TableInfo,
        (target, relation): (&str, &str),
        columns: &[&str],
        layout: Layout,
        rows: &'a [R],
        isolate: bool,
    ) -> Self {
        let format = if layout.format == Format::Binary { "binary" } else { "text" };
        let sql =
            format!("COPY {target} ({}) FROM STDIN (FORMAT {format})", quote_all(columns.iter().copied()));
        Self {
            table,
            relation: relation.to_owned(),
            sql,
            layout,
            rows,
            extra: None,
            numbered: false,
            keys: None,
            isolate,
            slab: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn with_extra(mut self, extra: Option<&'a Extra>) -> Self {
        self.extra = extra;
        self
    }

    /// Takes note of the keys of the rows, which are in these fields.
    pub(super) fn with_keys(mut self, keys: Option<(Vec<usize>, RawKeys)>) -> Self {
        self.keys = keys;
        self
    }

    /// The keys of the rows that were sent.
    pub(super) fn into_keys(self) -> Option<RawKeys> {
        self.keys.map(|(_, keys)| keys)
    }

    /// The first column is the row's place in the chunk.
    pub(super) fn numbered(mut self) -> Self {
        self.numbered = true;
        self
    }

    fn write(&mut self, row: usize) -> Result<(), Refusal> {
        let Self { slab, layout, rows, extra, numbered, keys, .. } = self;
        let binary = layout.format == Format::Binary;
        if binary {
            let extra = extra.map_or(0, |extra| extra.columns);
            let count = layout.fields.len() + extra + usize::from(*numbered);
            slab.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
        }
        if *numbered {
            let place = i32::try_from(row).unwrap_or(i32::MAX);
            if binary {
                slab.extend_from_slice(&[0, 0, 0, 4]);
                slab.extend_from_slice(&place.to_be_bytes());
            } else {
                let _ = write!(slab, "{place}");
                if !layout.fields.is_empty() {
                    slab.push(b'\t');
                }
            }
        }
        layout.write(slab, &rows[row])?;
        if let Some((fields, keys)) = keys {
            keys.set(row, fields.iter().map(|field| Param::of(&slab[layout.place(*field)]).0));
        }
        if let Some(extra) = extra {
            if !binary && (*numbered || !layout.fields.is_empty()) {
                slab.push(b'\t');
            }
            slab.extend_from_slice(extra.of(row));
        }
        if !binary {
            slab.push(b'\n');
        }
        Ok(())
    }
}

impl<R: Serialize> Step for Copy<'_, R> {
    fn mark_orphans(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> crate::error::Result<bool> {
        connection.mark_orphans(self.table, self.rows, &range, marks)
    }

    fn apply(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        marks: &mut Marks,
    ) -> Result<(), Trouble> {
        let statement = connection.prepared(&self.sql, Some(self.table))?;
        let began = Instant::now();
        let mut server = began.elapsed();
        let mut bytes = 0_u64;
        let opened = connection.client.copy_in(&statement);
        server += began.elapsed();
        let mut refused = None;
        let result = opened.and_then(|mut writer| {
            self.slab.clear();
            self.sent.clear();
            if self.layout.format == Format::Binary {
                self.slab.extend_from_slice(HEADER);
            }
            let mut flush = |slab: &mut Vec<u8>| {
                let began = Instant::now();
                let written = writer.write_all(slab);
                server += began.elapsed();
                bytes += slab.len() as u64;
                slab.clear();
                written
            };
            for row in range {
                if marks.is_bad(row) {
                    continue;
                }
                let start = self.slab.len();
                match self.write(row) {
                    Ok(()) => self.sent.push(row),
                    Err(refusal) => {
                        self.slab.truncate(start);
                        let error = refusal.into_error(&self.table.name.to_string(), row);
                        if !self.isolate {
                            // The writer is dropped, and with it the COPY.
                            refused = Some(error);
                            return Ok(());
                        }
                        marks.mark(row, error);
                    }
                }
                // A broken pipe is told by the end of the COPY, in the server's words.
                if self.slab.len() >= SLAB && flush(&mut self.slab).is_err() {
                    break;
                }
            }
            if self.layout.format == Format::Binary {
                self.slab.extend_from_slice(&[0xFF, 0xFF]);
            }
            let _ = flush(&mut self.slab);
            let began = Instant::now();
            let finished = writer.finish();
            server += began.elapsed();
            finished.map(|_| ())
        });
        connection.cost.server += server;
        connection.cost.statements += 1;
        connection.cost.bytes += bytes;
        if let Some(error) = refused {
            return Err(Trouble::Other(error));
        }
        if let Err(cause) = result {
            return Err(match connection.trouble(&cause, Some(self.table), Delivery::NotSent) {
                Trouble::Data { error, .. } => {
                    let context = cause.as_db_error().and_then(|said| said.where_());
                    let line = context.and_then(|context| super::failure::copy_line(context, &self.relation));
                    let row = line.and_then(|line| self.sent.get(line - 1)).copied();
                    Trouble::Data { error, row }
                }
                Trouble::Other(error) => Trouble::Other(error),
            });
        }
        connection.check(self.table)
    }
}

/// What is wrong with a chunk whose first row cannot be read.
pub(super) fn no_columns(table: &TableInfo) -> Error {
    Error::new(ErrorKind::Invalid, "the rows have no fields")
        .with_entity(table.name.to_string())
        .with_delivery(Delivery::NotSent)
}
