//! Collecting operations in a closure, and sending them when it ends well.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::executor::Executor;
use super::kind::OperationKind;
use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::record::{RecordId, Reference};
use super::report::RecordReport;
use super::slots::Slots;
use super::stats::RecordStats;
use super::store::RecordStore;
use crate::error::{Delivery, Error, ErrorKind, Result};
use std::collections::HashMap;

/// Collects operations; they are sent when its closure returns `Ok`, and nothing is sent when it returns `Err`.
///
/// Made by [`RecordStore::batch`] and [`Executor::batch`]. Records that are created one by one go out
/// together, one operation for each model, so that they cost few requests.
///
/// ```
/// use batchcall::RecordStore;
/// use batchcall::memory::Memory;
/// use serde_json::json;
///
/// let odoo = Memory::new();
/// let report = odoo.batch(|batch| {
///     let acme = batch.create("res.partner", json!({"name": "ACME"}))?;
///     batch.create("res.partner", json!({"name": "Jo", "parent_id": acme.id()}))?;
///     Ok(())
/// })?;
/// assert_eq!(report.totals().created, 2);
/// assert_eq!(odoo.row("res.partner", 2).unwrap()["parent_id"], json!(1));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
pub struct BatchContext<'s, S: RecordStore> {
    executor: Executor<'s, S>,
    operations: Vec<Operation>,
    auto_execute: bool,
    priority: i32,
    context: Value,
    group_by: Vec<String>,
}

/// A record that is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NewRecord(Reference);

impl NewRecord {
    /// Stands for the id that the record will have, wherever an id can be.
    #[must_use]
    pub fn id(&self) -> RecordId {
        RecordId::New(self.0)
    }
}

impl From<NewRecord> for RecordId {
    fn from(record: NewRecord) -> Self {
        record.id()
    }
}

impl From<&NewRecord> for RecordId {
    fn from(record: &NewRecord) -> Self {
        record.id()
    }
}

impl Serialize for NewRecord {
    fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        self.id().serialize(serializer)
    }
}

impl<'s, S: RecordStore> BatchContext<'s, S> {
    pub(crate) fn new(executor: Executor<'s, S>) -> Self {
        let context = Value::Object(Map::new());
        Self {
            executor,
            operations: Vec::new(),
            auto_execute: true,
            priority: 0,
            context,
            group_by: Vec::new(),
        }
    }

    /// Creates a record.
    ///
    /// # Errors
    ///
    /// As [`Operation::create`], when the record is added; nothing is collected then.
    pub fn create(&mut self, model: &str, record: impl Serialize) -> Result<NewRecord> {
        let new = self.create_many(model, [record])?;
        // One object made one record, and anything else was refused.
        new.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Invalid, "there are no records"))
    }

    /// Creates records.
    ///
    /// # Errors
    ///
    /// As [`Operation::create`].
    pub fn create_many<I>(&mut self, model: &str, records: I) -> Result<Vec<NewRecord>>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let records: Vec<I::Item> = records.into_iter().collect();
        let operation = self.dressed(Operation::create(model, records)?);
        let len = operation.len();
        let same = |other: &&mut Operation| {
            other.kind == OperationKind::Create
                && other.model == operation.model
                && other.priority == operation.priority
                && other.context == operation.context
                && other.group_by == operation.group_by
        };
        let (id, first) = match self.operations.iter_mut().rev().find(same) {
            Some(other) => {
                let first = other.len();
                other.records.extend(operation.records);
                (other.id, first)
            }
            None => {
                let id = operation.id;
                self.operations.push(operation);
                (id, 0)
            }
        };
        Ok((first..first + len).map(|record| NewRecord(Reference { operation: id, record })).collect())
    }

    /// Writes the same values to all records.
    ///
    /// # Errors
    ///
    /// As [`Operation::update`].
    pub fn update<I>(&mut self, model: &str, ids: I, values: impl Serialize) -> Result<Uuid>
    where
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let operation = Operation::update(model, ids, values)?;
        Ok(self.push(operation))
    }

    /// Writes to each record its own values: objects with an `id`.
    ///
    /// # Errors
    ///
    /// As [`Operation::update_each`].
    pub fn update_many(&mut self, model: &str, records: impl Serialize) -> Result<Uuid> {
        let operation = Operation::update_each(model, records)?;
        Ok(self.push(operation))
    }

    /// Deletes records.
    ///
    /// # Errors
    ///
    /// As [`Operation::delete`].
    pub fn delete<I>(&mut self, model: &str, ids: I) -> Result<Uuid>
    where
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let operation = Operation::delete(model, ids)?;
        Ok(self.push(operation))
    }

    /// Deletes records: Odoo's name for [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// As [`Operation::delete`].
    pub fn unlink<I>(&mut self, model: &str, ids: I) -> Result<Uuid>
    where
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        self.delete(model, ids)
    }

    /// Creates the records that are not there, and updates the others.
    ///
    /// # Errors
    ///
    /// As [`Operation::upsert`].
    pub fn upsert<I>(&mut self, model: &str, keys: I, records: impl Serialize) -> Result<Vec<NewRecord>>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let operation = Operation::upsert(model, keys, records)?;
        let len = operation.len();
        let id = self.push(operation);
        Ok((0..len).map(|record| NewRecord(Reference { operation: id, record })).collect())
    }

    /// Adds an operation as it is, and gives back its id.
    pub fn add(&mut self, operation: Operation) -> Uuid {
        let id = operation.id;
        self.operations.push(operation);
        id
    }

    /// The priority of what is added from now on. Defaults to 0.
    pub fn priority(&mut self, priority: i32) -> &mut Self {
        self.priority = priority;
        self
    }

    /// The context of what is added from now on. Defaults to nothing.
    pub fn context(&mut self, context: impl Into<Value>) -> &mut Self {
        self.context = context.into();
        self
    }

    /// The fields that keep records off each other, of what is added from now on: see
    /// [`Operation::group_by`]. Deletes have none. Defaults to none.
    pub fn group_by<I>(&mut self, fields: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.group_by = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the operations are sent when the closure ends well. Where not, [`execute`](Self::execute) is
    /// for you to call, and what is left then is not sent. Defaults to `true`.
    pub fn auto_execute(&mut self, auto: bool) -> &mut Self {
        self.auto_execute = auto;
        self
    }

    /// The operations so far.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The number of records so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.operations.iter().map(Operation::len).sum()
    }

    /// Forgets the operations so far.
    pub fn clear(&mut self) {
        self.operations.clear();
    }

    /// Sends the operations so far. What is added afterwards cannot refer to their records: take the ids from
    /// the report.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`]; the operations are then still here.
    ///
    /// ```
    /// use batchcall::RecordStore;
    /// use batchcall::memory::Memory;
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// store.batch(|batch| {
    ///     batch.auto_execute(false);
    ///     let acme = batch.create("res.partner", json!({"name": "ACME"}))?;
    ///     let report = batch.execute()?;
    ///     let id = report.id_of(&acme.id()).unwrap();
    ///     batch.update("res.partner", [id], json!({"active": false}))?;
    ///     batch.execute()?.require_all()?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(store.row("res.partner", 1).unwrap()["active"], json!(false));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn execute(&mut self) -> Result<RecordReport> {
        self.executor.plan(&self.operations)?;
        self.executor.execute(std::mem::take(&mut self.operations))
    }

    fn dressed(&self, operation: Operation) -> Operation {
        let operation = operation.priority(self.priority).context(self.context.clone());
        if operation.kind == OperationKind::Delete { operation } else { operation.group_by(&self.group_by) }
    }

    fn push(&mut self, operation: Operation) -> Uuid {
        self.add(self.dressed(operation))
    }

    /// What is left when the closure has ended well.
    fn end(self) -> Result<RecordReport> {
        if self.auto_execute {
            return self.executor.execute(self.operations);
        }
        let why = || {
            Error::new(ErrorKind::Cancelled, "not sent: execute was not called")
                .with_delivery(Delivery::NotSent)
        };
        let outcomes = Slots::new(&self.operations).finish(|_| RecordOutcome::NotRun(why())).0;
        let all = 0..self.operations.len();
        let stats = RecordStats::default();
        Ok(RecordReport::new(self.operations, vec![all], outcomes, HashMap::new(), stats))
    }
}

impl<S: RecordStore> Executor<'_, S> {
    /// Collects operations in a closure, and sends them with these settings when it returns `Ok`.
    ///
    /// # Errors
    ///
    /// The closure's error, and then nothing is sent; else as [`execute`](Self::execute).
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Error, ErrorKind, Executor};
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// let result = Executor::new(&store).rollback_on_error(true).batch(|batch| {
    ///     batch.create("res.partner", json!({"name": "ACME"}))?;
    ///     Err(Error::new(ErrorKind::Other, "the file ends here"))
    /// });
    /// assert!(result.is_err());
    /// assert_eq!(store.requests(), 0);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn batch(
        &self,
        collect: impl FnOnce(&mut BatchContext<'_, S>) -> Result<()>,
    ) -> Result<RecordReport> {
        let mut batch = BatchContext::new(Executor { store: self.store, config: self.config.clone() });
        collect(&mut batch)?;
        batch.end()
    }
}
