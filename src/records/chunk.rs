//! The part of an operation that goes out in one request, and what a store answers to it.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::kind::OperationKind;
use super::operation::Operation;
use super::record::{Record, RecordId};
use crate::engine::outcome::call_id;

/// The part of an operation that goes out in one request.
///
/// Which parts are there depends on the kind:
///
/// | kind | [`ids`](Self::ids) | [`records`](Self::records) | [`values`](Self::values) | [`keys`](Self::keys) |
/// |---|---|---|---|---|
/// | create | | all fields | | |
/// | update | which | | what to write to all of them | |
/// | update_each | which | what to write to each, without `id` | | |
/// | delete | which | | | |
/// | upsert | | all fields | | what tells whether a record is there |
///
/// References are resolved: ids are numbers or text.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) records: &'a [Record],
    pub(crate) ids: &'a [RecordId],
    /// The place of each record in its operation.
    pub(crate) places: &'a [usize],
}

impl<'a> Chunk<'a> {
    /// What is to be done.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.operation.kind()
    }

    /// The model, entity or table.
    #[must_use]
    pub fn model(&self) -> &'a str {
        self.operation.model()
    }

    /// The context of the operation, for backends that have one; empty where none was given.
    #[must_use]
    pub fn context(&self) -> &'a Map<String, Value> {
        self.operation.context_ref()
    }

    /// The number of records, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a chunk is never empty")]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Which records are updated or deleted, one id for each; empty for creates and upserts.
    #[must_use]
    pub fn ids(&self) -> &'a [RecordId] {
        self.ids
    }

    /// The fields of each record; empty for updates that write the same to all, and for deletes.
    #[must_use]
    pub fn records(&self) -> &'a [Record] {
        self.records
    }

    /// What an update writes to all of its records; empty for every other kind.
    #[must_use]
    pub fn values(&self) -> &'a Record {
        self.operation.values()
    }

    /// The fields by which an upsert finds its records; empty for every other kind.
    #[must_use]
    pub fn keys(&self) -> &'a [String] {
        self.operation.keys()
    }

    /// Whether the ids of created records are wanted; where not, a store may save itself the trouble and
    /// answer [`RecordId::Unknown`].
    #[must_use]
    pub fn return_ids(&self) -> bool {
        self.operation.returns_ids()
    }

    /// The place of a record of this chunk in its operation.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    #[must_use]
    pub fn place(&self, record: usize) -> usize {
        self.places[record]
    }

    /// An id for a record of this chunk that is the same whenever it is sent, in whatever chunk, also by a
    /// retry: for idempotency keys and external ids.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    #[must_use]
    pub fn record_uuid(&self, record: usize) -> Uuid {
        let (root, offset) = self.operation.root();
        call_id(root, offset + self.places[record])
    }

    /// Some of the records.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let Self { operation, records, ids, places } = *self;
        Self {
            operation,
            records: if records.is_empty() { records } else { &records[range.clone()] },
            ids: if ids.is_empty() { ids } else { &ids[range.clone()] },
            places: &places[range],
        }
    }
}

/// What a store did with one record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// Created under this id.
    Created(RecordId),
    /// Updated.
    Updated,
    /// Found by the keys of an upsert under this id, and updated.
    Matched(RecordId),
    /// Deleted, or gone already.
    Deleted,
    /// Found as it should be; nothing was written.
    Unchanged,
    /// Not applied, because others of the chunk were refused, whose errors are in the same answer. It is
    /// sent again without them. For stores that apply all or nothing and name every bad record.
    Withheld,
}

/// What a store answers to a chunk: for each record what it did or why it refused, in the chunk's order.
pub type Answer = Vec<crate::Result<Applied>>;
