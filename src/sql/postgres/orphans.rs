//! Rows that refer to what is not there: found all at once, where a foreign key refuses a range of rows.
//!
//! The server names one such row and stops; to halve the range for each costs some twenty statements a row.
//! One query a foreign key tells them all.

use std::ops::Range;

use serde::Serialize;
use serde::de::IgnoredAny;

use super::isolate::Marks;
use super::session::Connection;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::catalog::{ForeignKey, TableInfo};
use crate::sql::failure::DatabaseError;
use crate::sql::key::Key;
use crate::sql::part::key_of;

impl Connection {
    /// Marks the rows of the range whose parent is not there; says whether there were any.
    ///
    /// Rows that refer to their own table are not looked at, for the parent may be among them; nor are tables
    /// that show this user only some of their rows.
    pub(super) fn mark_orphans<R: Serialize>(
        &mut self,
        table: &TableInfo,
        rows: &[R],
        range: &Range<usize>,
        marks: &mut Marks,
    ) -> Result<bool> {
        // What describing a table costs is no cost of the rows.
        let cost = self.cost;
        let mut any = false;
        for foreign in table.foreign_keys.iter().filter(|foreign| foreign.table.name != table.name.name) {
            let names: Vec<&str> = foreign.columns.iter().map(String::as_str).collect();
            let (mut places, mut keys) = (Vec::new(), Vec::new());
            for row in range.clone().filter(|row| !marks.is_bad(*row)) {
                if let Ok(Some(key)) = key_of(&rows[row], &names) {
                    places.push(row);
                    keys.push(key);
                }
            }
            let parents = self.table_info(&foreign.table)?;
            let referred: Option<Vec<usize>> =
                foreign.referred.iter().map(|name| parents.column(name)).collect();
            let Some(referred) = referred.filter(|_| parents.copies && !keys.is_empty()) else { continue };
            let found = self.fetch::<IgnoredAny>(&parents, &referred, &referred, &keys)?;
            for ((row, key), _) in places.iter().zip(&keys).zip(found).filter(|(_, found)| found.is_none()) {
                marks.mark(*row, orphan(table, foreign, key));
                any = true;
            }
        }
        let looked = self.cost.statements;
        self.cost = cost;
        self.cost.statements += looked;
        Ok(any)
    }
}

/// What the server says of a row without its parent.
fn orphan(table: &TableInfo, foreign: &ForeignKey, key: &Key) -> Error {
    let named = foreign.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let message =
        format!("insert or update on table \"{}\" violates foreign key constraint{named}", table.name.name);
    let values: Vec<String> = key.parts().iter().map(ToString::to_string).collect();
    let detail = format!(
        "Key ({})=({}) is not present in table \"{}\".",
        foreign.columns.join(", "),
        values.join(", "),
        foreign.table.name
    );
    Error::new(ErrorKind::Rejected, message.clone())
        .with_remote_name("23503")
        .with_entity(table.name.to_string())
        .with_delivery(Delivery::Answered)
        .with_source(DatabaseError {
            message,
            sqlstate: Some("23503".to_owned()),
            constraint: foreign.name.clone(),
            table: Some(table.name.name.clone()),
            detail: Some(detail),
            ..DatabaseError::default()
        })
}
