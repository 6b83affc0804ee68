//! The file of rows that were read and are not in the database.

use std::io::{BufWriter, Write};

use serde_json::{Map, Value};

use super::cells::{Batch, Content, Entry};
use super::csv::after;
use super::options::Format;
use crate::error::{Error, ErrorKind, Result};

/// What the names of added columns begin with.
pub(super) const OURS: &str = "batchcall.";
pub(super) const LINE: &str = "batchcall.line";
pub(super) const ERROR: &str = "batchcall.error";
/// A line that is no JSON object, as text; as bytes if it is none.
pub(super) const RAW: &str = "batchcall.raw";

/// The longest reason.
const SHOWN: usize = 1000;

/// Where rejected rows go.
pub(super) struct Rejects<'o> {
    to: Option<BufWriter<Box<dyn Write + 'o>>>,
    format: Format,
    delimiter: u8,
    header: Vec<u8>,
    /// How many columns of the input were added by a reject file that it is.
    added: usize,
    written: usize,
}

impl<'o> Rejects<'o> {
    pub(super) fn new(to: Option<Box<dyn Write + 'o>>, format: Format, delimiter: u8) -> Self {
        Self { to: to.map(BufWriter::new), format, delimiter, header: Vec::new(), added: 0, written: 0 }
    }

    pub(super) fn set_header(&mut self, (header, added): (&[u8], usize)) {
        self.header = header.to_vec();
        self.added = added;
    }

    /// Whether anybody wants them.
    pub(super) fn is_wanted(&self) -> bool {
        self.to.is_some()
    }

    /// Writes a row as it was read, with why it is here.
    pub(super) fn write(&mut self, batch: &Batch, entry: &Entry, why: &str) -> Result<()> {
        let Some(to) = &mut self.to else { return Ok(()) };
        let why: String =
            why.chars().take(SHOWN).map(|each| if each.is_control() { ' ' } else { each }).collect();
        let raw = batch.raw(entry);
        let mut row = Vec::with_capacity(raw.len() + why.len() + 40);
        match self.format {
            Format::Csv => {
                let by = char::from(self.delimiter);
                if self.written == 0 {
                    row.extend_from_slice(format!("{LINE}{by}{ERROR}{by}").as_bytes());
                    row.extend_from_slice(&self.header);
                    row.push(b'\n');
                }
                // Always quoted: text after a quote is how a reader finds out that one before was not closed.
                let why = why.replace('"', "\"\"");
                row.extend_from_slice(format!("{}{by}\"{why}\"{by}", entry.line).as_bytes());
                row.extend_from_slice(&raw[after(raw, self.delimiter, self.added)..]);
            }
            Format::JsonLines => json(&mut row, raw, entry, &why),
        }
        row.push(b'\n');
        to.write_all(&row).map_err(|error| refused(&error))?;
        self.written += 1;
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> Result<()> {
        match self.to {
            Some(mut to) => to.flush().map_err(|error| refused(&error)),
            None => Ok(()),
        }
    }
}

fn refused(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Other, format!("the reject file cannot be written: {error}"))
}

fn json(row: &mut Vec<u8>, raw: &[u8], entry: &Entry, why: &str) {
    let mut added = Map::new();
    added.insert(LINE.to_owned(), entry.line.into());
    added.insert(ERROR.to_owned(), why.into());
    let read: Option<Map<String, Value>> = serde_json::from_slice(raw).ok();
    match read {
        Some(fields) if !fields.keys().any(|name| name.starts_with(OURS)) => {
            // The text itself, since a number can have more digits than a value keeps.
            let own = Value::from(added).to_string();
            let body = raw.trim_ascii_start();
            row.extend_from_slice(&own.as_bytes()[..own.len() - 1]);
            if !fields.is_empty() {
                row.push(b',');
            }
            row.extend_from_slice(body.get(1..).unwrap_or_default());
        }
        Some(mut fields) => {
            fields.append(&mut added);
            row.extend_from_slice(Value::from(fields).to_string().as_bytes());
        }
        None => {
            debug_assert!(matches!(entry.content, Content::Bad(_)), "only a bad row is no object");
            let raw = std::str::from_utf8(raw).map_or_else(|_| raw.into(), Value::from);
            added.insert(RAW.to_owned(), raw);
            row.extend_from_slice(Value::from(added).to_string().as_bytes());
        }
    }
}
