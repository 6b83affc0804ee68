//! An operation: what is to become of some records, as plain data.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::kind::{OperationKind, OperationStatus};
use super::problem::{Problem, refuse};
use super::record::{Record, RecordId, Reference};
use crate::error::{Error, ErrorKind, Result};

/// Where a part comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// The operation that it was cut from.
    pub operation: Uuid,
    /// The place of its first record in that operation.
    pub offset: usize,
}

/// What is to become of some records: plain data, made by [`create`](Self::create),
/// [`update`](Self::update), [`update_each`](Self::update_each), [`delete`](Self::delete) and
/// [`upsert`](Self::upsert), or from JSON.
///
/// Records are anything that serde writes as objects; they are copied, never changed. Every constructor
/// refuses what cannot be sent, with all that is wrong. Fields whose names begin with `batchcall.` are left
/// out: the columns that an [export](crate::RecordReport::write_csv) adds.
///
/// ```
/// use batchcall::Operation;
/// use serde_json::json;
///
/// let operation = Operation::create("res.partner", [json!({"name": "ACME"}), json!({"name": "Jo"})])?
///     .priority(10)
///     .context(json!({"tracking_disable": true}));
/// assert_eq!(operation.len(), 2);
///
/// let again: Operation = serde_json::from_str(&serde_json::to_string(&operation)?)?;
/// assert_eq!(again, operation);
///
/// let wrong = Operation::update("res.partner", [0, 7, 7], json!({})).unwrap_err();
/// assert_eq!(wrong.field_errors().len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub(crate) id: Uuid,
    pub(crate) kind: OperationKind,
    pub(crate) model: String,
    pub(crate) records: Vec<Record>,
    pub(crate) ids: Vec<RecordId>,
    pub(crate) values: Record,
    pub(crate) keys: Vec<String>,
    pub(crate) group_by: Vec<String>,
    pub(crate) priority: i32,
    pub(crate) context: Value,
    pub(crate) return_ids: bool,
    pub(crate) status: OperationStatus,
    pub(crate) created_at: SystemTime,
    pub(crate) started_at: Option<SystemTime>,
    pub(crate) finished_at: Option<SystemTime>,
    pub(crate) duration: Option<Duration>,
    pub(crate) part_of: Option<Part>,
}

impl Operation {
    /// Without records; not valid yet.
    pub(crate) fn empty(kind: OperationKind, model: impl Into<String>) -> Self {
        Self { id: Uuid::new_v4(), ..Self::nameless(kind, model) }
    }

    /// As `empty`, without an id of its own.
    pub(crate) fn nameless(kind: OperationKind, model: impl Into<String>) -> Self {
        Self {
            id: Uuid::nil(),
            kind,
            model: model.into(),
            records: Vec::new(),
            ids: Vec::new(),
            values: Record::new(),
            keys: Vec::new(),
            group_by: Vec::new(),
            priority: 0,
            context: Value::Object(Map::new()),
            return_ids: true,
            status: OperationStatus::Pending,
            created_at: now(),
            started_at: None,
            finished_at: None,
            duration: None,
            part_of: None,
        }
    }

    /// Makes new records, from a list of objects, or one object.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong: no model, no records, records that are
    /// not objects or have no fields.
    pub fn create(model: impl Into<String>, records: impl Serialize) -> Result<Self> {
        let mut operation = Self::empty(OperationKind::Create, model);
        let problems = operation.take_records(to_json(records)?);
        operation.checked(problems)
    }

    /// Writes the same values to all records.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong: no model, no ids, ids that are not
    /// positive or come twice, values that are no object or have no fields.
    pub fn update<I>(model: impl Into<String>, ids: I, values: impl Serialize) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let mut operation = Self::empty(OperationKind::Update, model);
        operation.ids = ids.into_iter().map(Into::into).collect();
        let problems = operation.take_values(to_json(values)?);
        operation.checked(problems)
    }

    /// Writes to each record its own values: objects with an `id`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong: no model, no records, records without
    /// an `id` or with nothing else, ids that are not positive or come twice.
    ///
    /// ```
    /// use batchcall::Operation;
    /// use serde_json::json;
    ///
    /// let rows = [json!({"id": 1, "color": 3}), json!({"id": 2, "color": 4})];
    /// assert_eq!(Operation::update_each("res.partner", &rows)?.len(), 2);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn update_each(model: impl Into<String>, records: impl Serialize) -> Result<Self> {
        let mut operation = Self::empty(OperationKind::UpdateEach, model);
        let problems = operation.take_records(to_json(records)?);
        operation.checked(problems)
    }

    /// Deletes records.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong: no model, no ids, ids that are not
    /// positive or come twice.
    pub fn delete<I>(model: impl Into<String>, ids: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let mut operation = Self::empty(OperationKind::Delete, model);
        operation.ids = ids.into_iter().map(Into::into).collect();
        operation.checked(Vec::new())
    }

    /// Makes the records that are not there and updates the others; the key fields tell whether one is.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong: as [`create`](Self::create), no keys,
    /// records without a key field, and two records with the same keys.
    pub fn upsert<I>(model: impl Into<String>, keys: I, records: impl Serialize) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut operation = Self::empty(OperationKind::Upsert, model);
        operation.keys = keys.into_iter().map(Into::into).collect();
        let problems = operation.take_records(to_json(records)?);
        operation.checked(problems)
    }

    /// Refuses an operation with problems.
    fn checked(self, mut problems: Vec<Problem>) -> Result<Self> {
        problems.extend(self.problems());
        problems.sort_by_key(|problem| problem.record);
        refuse(&problems)?;
        Ok(self)
    }

    /// Operations of a higher priority are over before those of a lower one begin. Defaults to 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// What goes with every request of this operation, such as Odoo's context: an object. Defaults to
    /// nothing.
    #[must_use]
    pub fn context(mut self, context: impl Into<Value>) -> Self {
        self.context = context.into();
        self
    }

    /// Whether the ids of created records are wanted. Where not, a store may leave them out, and outcomes
    /// are [`Created`](crate::RecordOutcome::Created) with [`RecordId::Unknown`]. Defaults to `true`.
    #[must_use]
    pub fn return_ids(mut self, return_ids: bool) -> Self {
        self.return_ids = return_ids;
        self
    }

    /// Keeps records off each other that have the same value in one of these fields, such as `parent_id`: they
    /// are never on their way in two requests at once. A server that runs two transactions on the same parent
    /// refuses one of them, or lets it wait. Defaults to no fields.
    ///
    /// Records with the same value are a family. A family goes in one request or in requests that follow one
    /// another, and others go beside them; outcomes stay in input order. It costs at most
    /// [`max_concurrent`](crate::Executor::max_concurrent) requests more, and takes as long as the largest
    /// family does. With several fields, records that share any of them are of one family, and so is what
    /// shares another one with those. All operations of a run hold to it that are grouped by a field of that
    /// name. What an update writes to all of its records makes them one family.
    ///
    /// A record without the field, or with `null`, `false` or empty text in it, is of no family. Numbers and
    /// their digits in text are the same; everything else is compared as it is written, a reference to a record
    /// not yet made as well. On one session - [`Chunked`](crate::Strategy::Chunked),
    /// [`SingleQuery`](crate::Strategy::SingleQuery), a transaction - requests follow one another anyway, and
    /// records go in the order of the input. A delete knows no fields, and is refused.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Executor, Operation};
    /// use serde_json::json;
    ///
    /// // 400 contacts of 4 companies, mixed.
    /// let rows: Vec<_> = (0..400).map(|n| json!({"name": n, "parent_id": 1 + n % 4})).collect();
    /// let contacts = Operation::create("res.partner", rows)?.group_by(["parent_id"]);
    ///
    /// let store = Memory::new();
    /// let executor = Executor::new(&store).batch_size(50).max_concurrent(2);
    /// let plan = executor.plan(std::slice::from_ref(&contacts))?;
    /// assert_eq!((plan.requests(), plan.steps()[0].families), (8, 1));
    /// assert!(executor.execute([contacts])?.is_complete());
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn group_by<I>(mut self, fields: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.group_by = fields.into_iter().map(Into::into).collect();
        self
    }

    /// The id of the operation.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// The model, entity or table.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The records of creates, upserts and `update_each`, those of the latter without their ids.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The ids of the records that are updated or deleted.
    #[must_use]
    pub fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// What an update writes to all of its records.
    #[must_use]
    pub fn values(&self) -> &Record {
        &self.values
    }

    /// The key fields of an upsert.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The fields whose values keep records off each other.
    #[must_use]
    pub fn grouped_by(&self) -> &[String] {
        &self.group_by
    }

    /// The priority.
    #[must_use]
    pub fn priority_level(&self) -> i32 {
        self.priority
    }

    /// The context.
    #[must_use]
    pub fn context_ref(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.context.as_object().unwrap_or(&NONE)
    }

    /// Whether ids of created records are wanted.
    #[must_use]
    pub fn returns_ids(&self) -> bool {
        self.return_ids
    }

    /// How far it has come; in a report, how it ended.
    #[must_use]
    pub fn status(&self) -> OperationStatus {
        self.status
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.created_at
    }

    /// When its first request was sent.
    #[must_use]
    pub fn started_at(&self) -> Option<SystemTime> {
        self.started_at
    }

    /// When its last record was over.
    #[must_use]
    pub fn finished_at(&self) -> Option<SystemTime> {
        self.finished_at
    }

    /// How long it took, by a clock that nobody sets.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Where it comes from, when it is a part of another one.
    #[must_use]
    pub fn part_of(&self) -> Option<Part> {
        self.part_of
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len().max(self.ids.len())
    }

    /// Whether there are no records; such an operation is not valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The operation whose records these are, and the place of the first one in it.
    pub(crate) fn root(&self) -> (Uuid, usize) {
        self.part_of.map_or((self.id, 0), |part| (part.operation, part.offset))
    }

    /// Stands for the record at a place, to be put where its id will be wanted.
    ///
    /// ```
    /// use batchcall::Operation;
    /// use serde_json::json;
    ///
    /// let companies = Operation::create("res.partner", json!({"name": "ACME"}))?;
    /// let contacts =
    ///     Operation::create("res.partner", json!({"name": "Jo", "parent_id": companies.reference(0)}))?;
    /// # assert_eq!(contacts.len(), 1);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn reference(&self, record: usize) -> RecordId {
        RecordId::New(Reference { operation: self.id, record })
    }

    /// All fields of the record at a place, as they were given: with the id, where it has one.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    #[must_use]
    pub fn input(&self, record: usize) -> Record {
        assert!(record < self.len(), "record {record} of an operation on {} records", self.len());
        let mut input = self.records.get(record).unwrap_or(&self.values).clone();
        if let Some(id) = self.ids.get(record) {
            input.insert("id", id.to_json());
        }
        input
    }

    /// What is written to a field of the record at a place.
    pub(crate) fn written(&self, place: usize, field: &str) -> Option<&Value> {
        self.records.get(place).unwrap_or(&self.values).get(field)
    }

    /// Cuts it in operations of at most `size` records, in order, which know where they come from. One that
    /// is small enough is given back as it is.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a size of 0.
    ///
    /// ```
    /// use batchcall::Operation;
    ///
    /// let parts = Operation::delete("res.partner", 1..=250)?.split(100)?;
    /// assert_eq!(parts.iter().map(Operation::len).collect::<Vec<_>>(), [100, 100, 50]);
    /// assert_eq!(parts[2].part_of().unwrap().offset, 200);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn split(&self, size: usize) -> Result<Vec<Self>> {
        if size == 0 {
            return Err(Error::new(ErrorKind::Invalid, "an operation cannot be split in parts of 0 records"));
        }
        if self.len() <= size {
            return Ok(vec![self.clone()]);
        }
        let (root, first) = self.root();
        let part = |start: usize| {
            let end = (start + size).min(self.len());
            let of = |len: usize| start.min(len)..end.min(len);
            Self {
                id: Uuid::new_v4(),
                model: self.model.clone(),
                records: self.records[of(self.records.len())].to_vec(),
                ids: self.ids[of(self.ids.len())].to_vec(),
                values: self.values.clone(),
                keys: self.keys.clone(),
                group_by: self.group_by.clone(),
                context: self.context.clone(),
                part_of: Some(Part { operation: root, offset: first + start }),
                ..*self
            }
        };
        Ok((0..self.len()).step_by(size).map(part).collect())
    }

    /// Refuses an operation that cannot be sent.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with every problem, each with its record and field, in the message and
    /// in [`field_errors`](Error::field_errors).
    pub fn validate(&self) -> Result<()> {
        refuse(&self.problems())
    }
}

/// Now, in whole milliseconds, as an operation in JSON has it.
pub(crate) fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whatever serde can write, as JSON.
fn to_json(value: impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| {
        Error::new(ErrorKind::Invalid, format!("the records cannot be written as JSON: {e}")).with_source(e)
    })
}
