//! Records with what became of them as files, which can be fed in again as they are.

use std::collections::HashSet;
use std::io::{BufRead, Read, Write};

use serde_json::Value;

use super::flow::StreamedRecord;
use super::outcome::RecordOutcome;
use super::parse::RESERVED;
use super::record::{Record, RecordId};
use super::report::{RecordEntry, RecordReport};
use crate::error::{Error, ErrorKind, Result};

/// Which records to export. Each is in one of all but [`All`](Self::All) and [`Resendable`](Self::Resendable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Select {
    /// All of them.
    All,
    /// Created, updated, deleted and unchanged ones.
    Succeeded,
    /// Refused ones.
    Failed,
    /// Those that were sent without an answer.
    InDoubt,
    /// Those that were not sent.
    NotRun,
    /// Those that were applied and undone.
    RolledBack,
    /// Those that were applied and could not be undone.
    RollbackFailed,
    /// All that may be fed in again without harm: failed, not run and rolled back.
    Resendable,
}

impl Select {
    /// Whether a record with this outcome is one.
    #[must_use]
    pub fn includes(self, outcome: &RecordOutcome) -> bool {
        match self {
            Self::All => true,
            Self::Succeeded => outcome.is_success(),
            Self::Failed => matches!(outcome, RecordOutcome::Failed(_)),
            Self::InDoubt => matches!(outcome, RecordOutcome::InDoubt(_)),
            Self::NotRun => matches!(outcome, RecordOutcome::NotRun(_)),
            Self::RolledBack => matches!(outcome, RecordOutcome::RolledBack),
            Self::RollbackFailed => matches!(outcome, RecordOutcome::RollbackFailed(_)),
            Self::Resendable => outcome.is_resendable(),
        }
    }
}

/// What an export adds to the columns of the input.
const COLUMNS: [&str; 8] = [
    "batchcall.index",
    "batchcall.operation",
    "batchcall.model",
    "batchcall.outcome",
    "batchcall.id",
    "batchcall.error_kind",
    "batchcall.message",
    "batchcall.field",
];

impl RecordReport {
    /// Writes records as JSON Lines: all fields of the input, and what became of it in fields that begin with
    /// `batchcall.`. Tells how many there were.
    ///
    /// Operations leave such fields out, so that a file can be fed in again as it is.
    ///
    /// ```
    /// use batchcall::memory::{Memory, Step};
    /// use batchcall::{ErrorKind, Executor, Operation, Record, Select};
    /// use serde_json::json;
    ///
    /// let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    /// let executor = Executor::new(&store).max_concurrent(1).batch_size(1);
    /// let report = executor.execute([Operation::create("m", [json!({"a": 1}), json!({"a": 2})])?])?;
    ///
    /// let mut file = Vec::new();
    /// assert_eq!(report.write_jsonl(Select::Failed, &mut file)?, 1);
    ///
    /// let again = executor.execute([Operation::create("m", Record::read_jsonl(&file[..])?)?])?;
    /// assert_eq!(again.totals().created, 1);
    /// assert_eq!(store.row("m", 2).unwrap(), *json!({"a": 2}).as_object().unwrap());
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Other`](ErrorKind::Other) when it cannot be written.
    pub fn write_jsonl(&self, select: Select, mut to: impl Write) -> Result<usize> {
        let mut written = 0;
        for entry in self.iter().filter(|entry| select.includes(entry.outcome())) {
            serde_json::to_writer(&mut to, &entry.to_row()).map_err(Error::other)?;
            to.write_all(b"\n").map_err(Error::other)?;
            written += 1;
        }
        to.flush().map_err(Error::other)?;
        Ok(written)
    }

    /// Writes records as CSV with a header: all columns of the input, and the same additions as
    /// [`write_jsonl`](Self::write_jsonl). Tells how many records there were.
    ///
    /// Text stands as it is, everything else as JSON; text that could be taken for JSON, such as `5` or
    /// `null`, stands in quotation marks of its own; a field that a record does not have is empty.
    /// [`Record::read_csv`] reads back what was written.
    ///
    /// # Errors
    ///
    /// [`Other`](ErrorKind::Other) when it cannot be written.
    pub fn write_csv(&self, select: Select, to: impl Write) -> Result<usize> {
        let chosen = || self.iter().filter(|entry| select.includes(entry.outcome()));
        let mut columns: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for entry in chosen() {
            for (name, _) in entry.input().iter() {
                if known.insert(name.clone()) {
                    columns.push(name.clone());
                }
            }
        }
        columns.extend(COLUMNS.map(str::to_owned));
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(&columns).map_err(Error::other)?;
        let mut written = 0;
        for entry in chosen() {
            let row = entry.to_row();
            let cells = columns.iter().map(|column| row.get(column).map_or_else(String::new, to_cell));
            csv.write_record(cells).map_err(Error::other)?;
            written += 1;
        }
        csv.flush().map_err(Error::other)?;
        Ok(written)
    }
}

impl RecordEntry<'_> {
    /// The input, with what became of it in fields that begin with `batchcall.`: a row of an export.
    #[must_use]
    pub fn to_row(&self) -> Record {
        let mut row = self.input();
        row.insert("batchcall.operation", self.operation_index());
        row.insert("batchcall.model", self.operation().model());
        add(&mut row, self.index(), self.outcome(), self.id().as_ref());
        row
    }
}

impl StreamedRecord {
    /// The input, with what became of it in fields that begin with `batchcall.`: a row of an export.
    #[must_use]
    pub fn to_row(&self) -> Record {
        let mut row = self.record.clone();
        add(&mut row, self.index, &self.outcome, self.id.as_ref());
        row
    }
}

fn add(row: &mut Record, index: usize, outcome: &RecordOutcome, id: Option<&RecordId>) {
    row.insert("batchcall.index", index);
    row.insert("batchcall.outcome", outcome.as_str());
    if let Some(id) = id {
        row.insert("batchcall.id", id.to_json());
    }
    if let Some(error) = outcome.error() {
        row.insert("batchcall.error_kind", error.kind().as_str());
        row.insert("batchcall.message", error.message());
        if !error.field_errors().is_empty() {
            let fields: Vec<&str> = error.field_errors().iter().map(|field| field.path.as_str()).collect();
            row.insert("batchcall.field", fields.join(", "));
        }
    }
}

impl Record {
    /// Reads records from JSON Lines, without what an export added. Empty lines are left out.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with the line that is no JSON object; [`Other`](ErrorKind::Other) when
    /// it cannot be read.
    pub fn read_jsonl(from: impl Read) -> Result<Vec<Self>> {
        let mut records = Vec::new();
        for (number, line) in std::io::BufReader::new(from).lines().enumerate() {
            let line = line.map_err(Error::other)?;
            if line.trim().is_empty() {
                continue;
            }
            let mut record: Self = serde_json::from_str(&line).map_err(|e| {
                Error::new(ErrorKind::Invalid, format!("line {} is no record: {e}", number + 1))
                    .with_source(e)
            })?;
            record.forget_export();
            records.push(record);
        }
        Ok(records)
    }

    /// Reads records from CSV with a header as [`write_csv`](RecordReport::write_csv) writes it, without what
    /// it added: cells that are JSON are taken as such, empty ones are no field, all others are text.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) when it is not CSV, or cannot be read.
    ///
    /// ```
    /// use batchcall::Record;
    /// use serde_json::json;
    ///
    /// let csv = "name,color,zip,batchcall.message\nACME,3,\"\"\"8001\"\"\",no name\n";
    /// let records = Record::read_csv(csv.as_bytes())?;
    /// assert_eq!(serde_json::to_value(&records).unwrap(), json!([{"name": "ACME", "color": 3, "zip": "8001"}]));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn read_csv(from: impl Read) -> Result<Vec<Self>> {
        let invalid = |e: csv::Error| Error::new(ErrorKind::Invalid, e.to_string()).with_source(e);
        let mut csv = csv::Reader::from_reader(from);
        let columns = csv.headers().map_err(invalid)?.clone();
        let mut records = Vec::new();
        for row in csv.records() {
            let row = row.map_err(invalid)?;
            let filled = columns.iter().zip(&row).filter(|(_, cell)| !cell.is_empty());
            let mut record: Self = filled.map(|(column, cell)| (column, from_cell(cell))).collect();
            record.forget_export();
            records.push(record);
        }
        Ok(records)
    }

    /// Takes out what an export added.
    pub(crate) fn forget_export(&mut self) {
        self.as_map_mut().retain(|name, _| !name.starts_with(RESERVED));
    }
}

/// A value as a cell.
fn to_cell(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && serde_json::from_str::<Value>(text).is_err() => {
            text.clone()
        }
        value => value.to_string(),
    }
}

/// The value that a cell is.
fn from_cell(cell: &str) -> Value {
    serde_json::from_str(cell).unwrap_or_else(|_| Value::from(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[0-9\", \\n\\r\\[{]{0,6}".prop_map(Value::from),
            prop::sample::select(vec!["null", "5", "\"5\"", "true", "[1]", "007", " 5", "=1+1"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_cell_holds_any_value(value in value()) {
            let cell = to_cell(&value);
            prop_assert!(!cell.is_empty());
            prop_assert_eq!(from_cell(&cell), value);
        }

        #[test]
        fn a_table_written_is_the_table_read(
            rows in prop::collection::vec(prop::collection::btree_map("[a-d,\" ]{1,3}", value(), 1..4), 1..6),
        ) {
            let operation = crate::Operation::create("m", &rows).unwrap();
            let not_run = || RecordOutcome::NotRun(Error::new(ErrorKind::Cancelled, "a, \"b\"\nc"));
            let report = RecordReport::new(
                vec![operation],
                std::iter::once(0..1).collect(),
                rows.iter().map(|_| not_run()).collect(),
                Default::default(),
                Default::default(),
            );
            let (mut csv, mut jsonl) = (Vec::new(), Vec::new());
            prop_assert_eq!(report.write_csv(Select::NotRun, &mut csv).unwrap(), rows.len());
            report.write_jsonl(Select::All, &mut jsonl).unwrap();
            prop_assert_eq!(json!(Record::read_csv(&csv[..]).unwrap()), json!(rows));
            prop_assert_eq!(json!(Record::read_jsonl(&jsonl[..]).unwrap()), json!(rows));
        }
    }

    #[test]
    fn a_row_tells_what_became_of_it() {
        let streamed = StreamedRecord {
            index: 3,
            record: Record::from_iter([("name", "ACME")]),
            id: None,
            outcome: RecordOutcome::Failed(
                Error::new(ErrorKind::Rejected, "no")
                    .with_field_errors(vec![crate::FieldError::new("name", "is taken")]),
            ),
        };
        assert_eq!(
            json!(streamed.to_row()),
            json!({
                "name": "ACME", "batchcall.index": 3, "batchcall.outcome": "failed",
                "batchcall.error_kind": "rejected", "batchcall.message": "no", "batchcall.field": "name",
            })
        );
    }
}
