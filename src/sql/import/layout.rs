//! Which cell goes to which column, and what it means there.

use std::collections::HashSet;

use serde_json::Value;

use super::cells::{Batch, CellForm};
use super::csv::after;
use super::invalid;
use super::options::Reading;
use super::reject::OURS;
use crate::error::{FieldError, Result};
use crate::records::record::Record;
use crate::sql::catalog::{ColumnType, TableInfo};

/// What the header says.
#[derive(Debug)]
pub(super) struct Layout {
    /// The cells that are sent.
    pub(super) fields: Vec<Field>,
    /// The cells of a row.
    pub(super) width: usize,
    /// How many columns at the beginning were added by a reject file.
    pub(super) added: usize,
    nulls: Vec<String>,
    /// The header without those.
    header: Vec<u8>,
}

/// A cell of a row, and the column that it goes to.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) cell: usize,
    pub(super) column: usize,
    pub(super) name: String,
    /// Whether the column takes text as it is, so that a quoted null marker is text.
    texty: bool,
    /// Whether the text is a JSON document.
    pub(super) json: bool,
    /// Whether a null stands for the default.
    pub(super) defaults: bool,
}

impl Layout {
    /// The layout of JSON Lines: rows bring their names.
    pub(super) fn of_json(table: &TableInfo, reading: &Reading, _: &[usize]) -> Result<Self> {
        reading.names.values().map(|column| table.require(column)).collect::<Result<Vec<_>>>()?;
        Ok(Self { fields: Vec::new(), width: 0, added: 0, nulls: Vec::new(), header: Vec::new() })
    }

    /// Finds the columns that a header names, or everything that is wrong with it.
    pub(super) fn of_csv(
        table: &TableInfo,
        reading: &Reading,
        header: &Batch,
        delimiter: u8,
        key: &[usize],
    ) -> Result<Self> {
        let mut problems = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut seen = HashSet::new();
        let mut added = 0;
        for (cell, found) in header.cells.iter().enumerate() {
            let Ok(name) = std::str::from_utf8(header.bytes(*found)) else {
                problems.push(FieldError::new("", format!("the name of column {} is no UTF-8", cell + 1)));
                continue;
            };
            if !seen.insert(name.to_owned()) {
                problems.push(FieldError::new(name, format!("the header has {name:?} twice")));
                continue;
            }
            if name.starts_with(OURS) {
                added += usize::from(added == cell);
                continue;
            }
            if reading.ignored.contains(name) {
                continue;
            }
            let column = reading.names.get(name).map_or(name, String::as_str);
            let problem = match table.column(column) {
                Some(index) if table.columns[index].generated => {
                    format!("{}.{column} is computed by the database: ignore {name:?}", table.name)
                }
                Some(index) if fields.iter().any(|field| field.column == index) => {
                    format!("two columns of the header go to {}.{column}", table.name)
                }
                Some(index) => {
                    let info = &table.columns[index];
                    fields.push(Field {
                        cell,
                        column: index,
                        name: info.name.clone(),
                        texty: is_texty(&info.ty),
                        json: matches!(info.ty, ColumnType::Json | ColumnType::Jsonb),
                        defaults: !info.nullable && info.has_default,
                    });
                    continue;
                }
                None if name.is_empty() => format!("column {} of the header has no name", cell + 1),
                None => table.unknown(column),
            };
            problems.push(FieldError::new(name, problem));
        }
        for name in reading.names.keys().chain(&reading.ignored).filter(|name| !seen.contains(*name)) {
            problems.push(FieldError::new(name, format!("the header has no {name:?}")));
        }
        for column in key.iter().filter(|column| !fields.iter().any(|field| field.column == **column)) {
            let name = &table.columns[*column].name;
            problems
                .push(FieldError::new(name, format!("the header has no {name:?}, which tells rows apart")));
        }
        if fields.is_empty() && problems.is_empty() {
            problems.push(FieldError::new("", "the header has no column to import"));
        }
        if !problems.is_empty() {
            let message = problems.iter().map(|each| each.message.as_str()).collect::<Vec<_>>().join("; ");
            return Err(invalid(format!("nothing was sent: {message}"))
                .with_entity(table.name.to_string())
                .with_field_errors(problems));
        }
        let bare = &header.text[after(&header.text, delimiter, added)..];
        let (width, nulls) = (header.cells.len(), reading.nulls.clone());
        Ok(Self { fields, width, added, nulls, header: bare.to_vec() })
    }

    /// The header of a reject file, without what that adds.
    pub(super) fn reject_header(&self) -> (&[u8], usize) {
        (&self.header, self.added)
    }

    /// Whether a cell stands for null.
    pub(super) fn is_null(&self, field: &Field, text: &str, form: CellForm) -> bool {
        (form == CellForm::Plain || !field.texty) && self.nulls.iter().any(|marker| marker == text)
    }

    /// A row's cells as fields.
    pub(super) fn record(&self, batch: &Batch, first: u32) -> Result<Record> {
        self.fields
            .iter()
            .map(|field| {
                let cell = batch.cells[first as usize + field.cell];
                let text = std::str::from_utf8(batch.bytes(cell))
                    .map_err(|_| invalid(format!("{} is no UTF-8", field.name)))?;
                let null = self.is_null(field, text, cell.form);
                Ok((field.name.clone(), if null { Value::Null } else { Value::from(text) }))
            })
            .collect()
    }
}

fn is_texty(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Text | ColumnType::Bytes | ColumnType::Enum | ColumnType::Other | ColumnType::Any
    )
}
