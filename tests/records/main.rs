//! Operations on records against the in-memory backend, and against stores that misbehave.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bugs;
mod fake;
mod families;
mod guards;
mod isolation;
mod order;
mod properties;
mod rollback;
mod runs;
mod scope;
mod sizes;
mod strategies;
mod stream;

use batchcall::{RecordOutcome, RecordReport};
use serde_json::{Value, json};

/// Rows with a name each.
pub(crate) fn rows(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"name": format!("partner {n}")})).collect()
}

/// The outcomes in words.
pub(crate) fn words(report: &RecordReport) -> Vec<&'static str> {
    report.outcomes().iter().map(RecordOutcome::as_str).collect()
}

/// Refuses rows with `"bad": true`.
pub(crate) fn no_bad_rows(_: &str, row: &Value) -> Option<String> {
    (row["bad"] == json!(true)).then(|| format!("{} is bad", row["name"]))
}

/// Rows of which those at some places are bad.
pub(crate) fn rows_with_bad(count: usize, bad: &[usize]) -> Vec<Value> {
    (0..count).map(|n| json!({"name": format!("partner {n}"), "bad": bad.contains(&n)})).collect()
}
