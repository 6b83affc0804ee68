//! A chunk on its way to a worker and back.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::chunk::Chunk;
use super::cut::Limits;
use super::kind::OperationKind;
use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::record::{Record, RecordId};
use crate::error::Error;

/// A chunk that owns what it has to.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    /// Its operation's place in the list.
    pub(crate) index: usize,
    pub(crate) operation: Cow<'a, Operation>,
    pub(crate) records: Cow<'a, [Record]>,
    pub(crate) ids: Cow<'a, [RecordId]>,
    pub(crate) places: Vec<usize>,
}

impl Load<'_> {
    pub(crate) fn chunk(&self) -> Chunk<'_> {
        Chunk { operation: &self.operation, records: &self.records, ids: &self.ids, places: &self.places }
    }
}

/// Some records of a chunk that do not lie side by side.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    operation: &'a Operation,
    records: Vec<Record>,
    ids: Vec<RecordId>,
    places: Vec<usize>,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(chunk: Chunk<'a>, which: &[usize]) -> Self {
        fn pick<T: Clone>(from: &[T], which: &[usize]) -> Vec<T> {
            if from.is_empty() { Vec::new() } else { which.iter().map(|&at| from[at].clone()).collect() }
        }
        Self {
            operation: chunk.operation,
            records: pick(chunk.records, which),
            ids: pick(chunk.ids, which),
            places: pick(chunk.places, which),
        }
    }

    pub(crate) fn chunk(&self) -> Chunk<'_> {
        Chunk { operation: self.operation, records: &self.records, ids: &self.ids, places: &self.places }
    }
}

/// What became of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// One for each record, in order.
    pub(crate) outcomes: Vec<Option<RecordOutcome>>,
    /// The ids of records that an upsert found.
    pub(crate) matched: Vec<(usize, RecordId)>,
    /// What records were before an update that may have to be undone.
    pub(crate) before: Vec<Option<Record>>,
    pub(crate) samples: Vec<Sample>,
}

/// How one request went.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) records: usize,
    pub(crate) took: Duration,
    pub(crate) error: Option<Error>,
}

/// How many bytes a value has as JSON.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => bytes_of_number(number),
        Value::String(text) => bytes_of_text(text),
        // Brackets, and commas between.
        Value::Array(values) => 2 + values.len().saturating_sub(1) + values.iter().map(bytes).sum::<usize>(),
        Value::Object(fields) => bytes_of_fields(fields),
    }
}

pub(crate) fn bytes_of_fields(fields: &Map<String, Value>) -> usize {
    let field = |(name, value): (&String, &Value)| bytes_of_text(name) + 1 + bytes(value);
    2 + fields.len().saturating_sub(1) + fields.iter().map(field).sum::<usize>()
}

fn bytes_of_number(number: &Number) -> usize {
    match number.as_u64() {
        Some(number) => number.checked_ilog10().map_or(1, |power| power as usize + 1),
        None => number.to_string().len(),
    }
}

fn bytes_of_text(text: &str) -> usize {
    let escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let escape = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 1,
        0..0x20 => 5,
        _ => 0,
    };
    // Mostly there is none: to know that is quick.
    let more = if text.as_bytes().iter().filter(|byte| escaped(byte)).count() == 0 {
        0
    } else {
        text.bytes().map(escape).sum()
    };
    2 + text.len() + more
}

/// The places of a chunk, as far as it may be filled.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    operation: &'a Operation,
    limits: &'a Limits,
    bytes: usize,
    pub(crate) places: Vec<usize>,
}

impl<'a> Filling<'a> {
    pub(crate) fn new(operation: &'a Operation, limits: &'a Limits) -> Self {
        let bytes = limits.bytes.map_or(0, |_| bytes_around(operation));
        Self { operation, limits, bytes, places: Vec::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.places.len() >= self.limits.records
    }

    /// Adds the record at a place; `false` when it does not fit any more. The first one always does.
    pub(crate) fn add(&mut self, place: usize) -> bool {
        if self.is_full() {
            return false;
        }
        if let Some(most) = self.limits.bytes {
            let bytes = self.bytes + bytes_of(self.operation, place);
            if bytes > most && !self.places.is_empty() {
                return false;
            }
            self.bytes = bytes;
        }
        self.places.push(place);
        true
    }
}

/// What a request costs beside its records: address, headers, names of parameters.
const AROUND: usize = 1024;

/// How many bytes a chunk of an operation has without its records.
pub(crate) fn bytes_around(operation: &Operation) -> usize {
    let shared = bytes(&operation.context)
        + bytes_of_fields(operation.values.as_map())
        + operation.keys.iter().map(|key| bytes_of_text(key) + 1).sum::<usize>()
        + 2;
    AROUND + operation.model.len() + shared
}

fn bytes_of_id(id: &RecordId) -> usize {
    match id {
        RecordId::Int(id) => bytes_of_number(&(*id).into()),
        RecordId::Text(id) => bytes_of_text(id),
        id => bytes(&id.to_json()),
    }
}

/// How many bytes the record at a place adds to a chunk.
pub(crate) fn bytes_of(operation: &Operation, place: usize) -> usize {
    let id = operation.ids.get(place).map_or(0, |id| bytes_of_id(id) + 1);
    let record = operation.records.get(place).map_or(0, |record| bytes_of_fields(record.as_map()) + 1);
    // An update of each may be sent as an object with its id in it.
    let named = if operation.kind == OperationKind::UpdateEach { 8 } else { 0 };
    id + record + named
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (0_u32..64).prop_map(|bits| Value::from(1_u64.checked_shl(bits).unwrap_or_default())),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ -~\n]{0,8}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn bytes_are_those_that_are_written(value in values()) {
            prop_assert_eq!(bytes(&value), value.to_string().len());
        }

        #[test]
        fn bytes_of_an_id_are_those_that_are_written(number: i64, text: String) {
            for id in [RecordId::Int(number), RecordId::Text(text), RecordId::Unknown] {
                prop_assert_eq!(bytes_of_id(&id), json!(id).to_string().len());
            }
        }
    }
}
