//! `load`: rows of text, created or updated by their external ids, with messages for each row.

use serde::Deserialize;
use serde_json::Value;

use super::args::Args;
use super::context::Context;
use super::refusal::is_concurrency_message;
use super::session::Session;
use crate::engine::connect::Pause;
use crate::error::{Delivery, Error, ErrorKind, FieldError, Result};

/// From so many errors on the server looks at no further rows.
const STOPS_AT: usize = 10;

/// What `load` made of the rows: all of them were loaded, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    ids: Option<Vec<i64>>,
    messages: Vec<LoadMessage>,
}

impl Loaded {
    /// The ids of the records, in the order of the rows; `None` when nothing was loaded.
    #[must_use]
    pub fn ids(&self) -> Option<&[i64]> {
        self.ids.as_deref()
    }

    /// Everything that the server said.
    #[must_use]
    pub fn messages(&self) -> &[LoadMessage] {
        &self.messages
    }

    /// The messages that kept the rows from being loaded.
    pub fn errors(&self) -> impl Iterator<Item = &LoadMessage> {
        self.messages.iter().filter(|message| message.is_error)
    }

    /// Whether the server stopped after ten errors: further rows may be wrong too.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        // It says so in a warning that is about no row; its text is translated.
        self.errors().count() >= STOPS_AT
            && self.messages.iter().any(|message| !message.is_error && message.rows.is_none())
    }
}

/// What the server said about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadMessage {
    /// Whether it is an error; otherwise a warning.
    pub is_error: bool,
    /// In the server's words.
    pub message: String,
    /// The first and the last row that it is about, counted from 0.
    pub rows: Option<(usize, usize)>,
    /// The field.
    pub field: Option<String>,
}

impl LoadMessage {
    /// The error of the record at an index of the caller's.
    #[must_use]
    pub fn to_error(&self, model: &str, index: usize) -> Error {
        let fields = self.field.iter().map(|field| FieldError::new(field.as_str(), self.message.as_str()));
        Error::new(ErrorKind::Rejected, self.message.as_str())
            .with_operation("load")
            .with_entity(model)
            .with_record_index(index)
            .with_field_errors(fields.collect())
            .with_delivery(Delivery::Answered)
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ids: Value,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: Value,
    rows: Option<Rows>,
    record: Option<usize>,
    #[serde(default)]
    field: Value,
    #[serde(default)]
    field_name: Value,
}

#[derive(Deserialize)]
struct Rows {
    from: usize,
    to: usize,
}

impl From<Message> for LoadMessage {
    fn from(message: Message) -> Self {
        let text = match &message.message {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let rows = message.rows.map(|rows| (rows.from, rows.to));
        let field = [&message.field, &message.field_name].into_iter().find_map(Value::as_str);
        Self {
            is_error: message.kind != "warning",
            message: text,
            rows: rows.or(message.record.map(|record| (record, record))),
            field: field.map(str::to_owned),
        }
    }
}

impl Session {
    /// Creates and updates records from rows of cells, all of them or none.
    ///
    /// The column `id` holds external ids: a record that has one is updated, otherwise it is created and
    /// given it. That makes loading the same rows twice as good as loading them once, so a load whose
    /// answer was lost goes again by itself - if every row names its record by `id` or `.id` and no column
    /// is for lines that have no id of their own. Other columns are fields; `field/id` and `field/.id` name
    /// related records by external id and by id. Cells are text, empty for "nothing".
    ///
    /// Another transaction in the way is told by the server like an error of a row. It is not taken for
    /// one: the load goes again.
    ///
    /// ```no_run
    /// # let client = batchcall::Odoo::from_env()?;
    /// # let mut session = client.session()?;
    /// let loaded = session.load(
    ///     "res.partner",
    ///     ["id", "name", "country_id/id"],
    ///     [["import.acme", "ACME", "base.be"], ["import.jo", "Jo", ""]],
    /// )?;
    /// match loaded.ids() {
    ///     Some(ids) => println!("{ids:?}"),
    ///     None => loaded.errors().for_each(|error| println!("{:?}: {}", error.rows, error.message)),
    /// }
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What befell the request. Rows that are refused are no error but a [`Loaded`] without ids.
    pub fn load<F: Into<String>, C: Into<Value>>(
        &mut self,
        model: &str,
        fields: impl IntoIterator<Item = F>,
        rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>,
    ) -> Result<Loaded> {
        let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
        let rows: Vec<Vec<Value>> =
            rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        let context = self.bulk_context();
        self.load_rows(model, &fields, rows, context)
    }

    pub(super) fn load_rows(
        &mut self,
        model: &str,
        fields: &[String],
        rows: Vec<Vec<Value>>,
        context: Context,
    ) -> Result<Loaded> {
        if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != fields.len()) {
            let message = format!("a row of {} cells for {} columns", row.len(), fields.len());
            return Err(Error::new(ErrorKind::Invalid, message)
                .with_operation("load")
                .with_entity(model)
                .with_record_index(index));
        }
        if rows.is_empty() {
            return Ok(Loaded { ids: Some(Vec::new()), messages: Vec::new() });
        }
        let repeatable = is_repeatable(fields, &rows);
        let args =
            Args::new().arg("fields", fields).arg("data", rows).context(context).idempotent_if(repeatable);
        let mut waits = self.client.settings.retry.throttled_backoff();
        let mut attempts = 1;
        loop {
            let answer: Answer = self.exchange_as(model, "load", &args)?;
            let loaded = Loaded {
                ids: serde_json::from_value(answer.ids).ok(),
                messages: answer.messages.into_iter().map(Into::into).collect(),
            };
            let concurrent = loaded.errors().find(|error| is_concurrency_message(&error.message));
            let Some(concurrent) = concurrent.filter(|_| loaded.ids.is_none()) else { return Ok(loaded) };
            // Nothing was loaded, and it is not the row's fault.
            let error = Error::new(ErrorKind::Unavailable, concurrent.message.as_str())
                .with_operation("load")
                .with_entity(model)
                .with_attempts(attempts)
                .with_delivery(Delivery::Answered);
            let Some(wait) = waits.next() else { return Err(error) };
            if self.pause(wait, Pause::Retry).is_err() {
                return Err(error);
            }
            attempts += 1;
        }
    }
}

/// Whether loading these rows twice ends in the same state as loading them once.
fn is_repeatable(fields: &[String], rows: &[Vec<Value>]) -> bool {
    let keys: Vec<usize> =
        (0..fields.len()).filter(|i| matches!(fields[*i].as_str(), "id" | ".id")).collect();
    let named = |row: &Vec<Value>| {
        keys.iter().any(|i| !matches!(&row[*i], Value::Null | Value::Bool(false)) && row[*i] != "")
    };
    // A line without an id of its own is added anew each time.
    let anonymous_lines = fields.iter().any(|column| match column.rsplit_once('/') {
        None | Some((_, "id" | ".id")) => false,
        Some((line, _)) => !fields
            .iter()
            .any(|other| other.strip_prefix(line).is_some_and(|rest| matches!(rest, "/id" | "/.id"))),
    });
    !anonymous_lines && !keys.is_empty() && rows.iter().all(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(value: Value) -> Vec<Vec<Value>> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rows_that_name_their_records_may_go_again_and_others_may_not() {
        for (fields, data, repeatable) in [
            (json!(["id", "name"]), json!([["x.a", "A"], ["x.b", "B"]]), true),
            (json!([".id", "name"]), json!([[7, "A"]]), true),
            (json!(["id", "parent_id/id"]), json!([["x.a", ""]]), true),
            (json!(["id", "name"]), json!([["x.a", "A"], ["", "B"]]), false),
            (json!(["name"]), json!([["A"]]), false),
            (json!(["id", "line_ids/name"]), json!([["x.a", "L"]]), false),
            (json!(["id", "line_ids/id", "line_ids/name"]), json!([["x.a", "x.l", "L"]]), true),
        ] {
            let fields: Vec<String> = serde_json::from_value(fields).unwrap();
            assert_eq!(is_repeatable(&fields, &rows(data)), repeatable, "{fields:?}");
        }
    }

    #[test]
    fn a_warning_about_no_row_cuts_nothing_short_by_itself() {
        let message = |is_error, rows| LoadMessage { is_error, message: String::new(), rows, field: None };
        let mut messages = vec![message(false, None), message(true, Some((0, 0)))];
        assert!(!Loaded { ids: None, messages: messages.clone() }.is_cut_short());
        messages.extend((1..10).map(|row| message(true, Some((row, row)))));
        assert!(Loaded { ids: None, messages: messages.clone() }.is_cut_short());
        messages.remove(0);
        assert!(!Loaded { ids: None, messages }.is_cut_short());
    }

    #[test]
    fn a_message_is_about_its_rows_and_its_field() {
        let message: Message = serde_json::from_value(json!({
            "rows": {"from": 3, "to": 4}, "record": 2, "type": "error", "message": "Contacts require a name",
            "field": "name", "field_name": "Name",
        }))
        .unwrap();
        let message = LoadMessage::from(message);
        assert_eq!((message.rows, message.field.as_deref()), (Some((3, 4)), Some("name")));
        let error = message.to_error("res.partner", 103);
        assert_eq!((error.record_index(), error.field_errors().len()), (Some(103), 1));
    }
}
