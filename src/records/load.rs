//! A chunk on its way to a worker and back.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde::Serialize;

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
pub(crate) fn bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and JSON objects can be written.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
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
    let shared = bytes(&operation.context) + bytes(&operation.values) + bytes(&operation.keys);
    AROUND + operation.model.len() + shared
}

/// How many bytes the record at a place adds to a chunk.
pub(crate) fn bytes_of(operation: &Operation, place: usize) -> usize {
    let id = operation.ids.get(place).map_or(0, |id| bytes(id) + 1);
    let record = operation.records.get(place).map_or(0, |record| bytes(record) + 1);
    // An update of each may be sent as an object with its id in it.
    let named = if operation.kind == OperationKind::UpdateEach { 8 } else { 0 };
    id + record + named
}
