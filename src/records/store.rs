//! The seam between operations and backends.

use serde::Serialize;

use super::capabilities::Capabilities;
use super::chunk::{Answer, Chunk};
use super::executor::Executor;
use super::failure::RecordsError;
use super::operation::Operation;
use super::record::{Record, RecordId};
use super::report::RecordReport;
use super::scope::BatchContext;
use crate::engine::connect::Connect;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// A backend that has records: what [`Executor`](crate::Executor) sends its chunks to.
///
/// Each method sends one request, and is given a chunk of its own kind that keeps the limits of
/// [`capabilities`](Self::capabilities).
///
/// # What an answer means
///
/// - `Ok` has one entry for each record, in the chunk's order. With more or fewer, nobody knows which is
///   whose: all records of the chunk are in doubt. A store that applies records one by one puts the errors of
///   those that failed in here.
/// - `Err` is about the whole chunk. An error that [is in doubt](Error::is_in_doubt) - sent without an
///   answer - leaves all of it in doubt, and nothing is sent again. So does any other one, and an answer that
///   cannot be read, unless the chunk [is atomic](Capabilities::is_atomic) or the error says that nothing
///   was sent.
/// - From an atomic chunk, `Err` of the kinds [`Rejected`](ErrorKind::Rejected),
///   [`Conflict`](ErrorKind::Conflict), [`Server`](ErrorKind::Server), [`Database`](ErrorKind::Database),
///   [`Invalid`](ErrorKind::Invalid), [`Other`](ErrorKind::Other), and of updates and deletes also
///   [`NotFound`](ErrorKind::NotFound), is taken to be about a record: the chunk is halved until it is found.
///   With a [record index](Error::with_record_index), counted in the chunk, that record fails at once and the
///   others are sent again. Every other kind is about the session, the user or the wire: it fails the chunk.
/// - HTTP status 413 halves the chunk, of any store: too much was sent, and nothing was applied.
///
/// Retries of single requests are the backend's own matter: it alone knows whether a request may go again.
pub trait RecordStore: Connect {
    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Creates records: answers [`Created`](crate::Applied::Created) with their ids.
    ///
    /// # Errors
    ///
    /// As the trait says.
    fn create(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer>;

    /// Writes the same [`values`](Chunk::values) to all [`ids`](Chunk::ids): answers
    /// [`Updated`](crate::Applied::Updated) or [`Unchanged`](crate::Applied::Unchanged).
    ///
    /// # Errors
    ///
    /// As the trait says.
    fn update(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer>;

    /// Writes to each of the [`ids`](Chunk::ids) its own [`records`](Chunk::records): answers as
    /// [`update`](Self::update).
    ///
    /// # Errors
    ///
    /// As the trait says.
    fn update_each(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer>;

    /// Deletes records: answers [`Deleted`](crate::Applied::Deleted).
    ///
    /// # Errors
    ///
    /// As the trait says.
    fn delete(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer>;

    /// Creates the records that are not there and updates the others, as their [`keys`](Chunk::keys) tell:
    /// answers [`Created`](crate::Applied::Created), and [`Matched`](crate::Applied::Matched) with the id or
    /// [`Updated`](crate::Applied::Updated) without. Defaults to refusing; only called where
    /// [`Capabilities::upsert`] says so.
    ///
    /// # Errors
    ///
    /// As the trait says.
    fn upsert(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        let _ = (session, chunk);
        Err(unsupported("upsert"))
    }

    /// Reads some fields of records, one for each id in order, `None` for those that are not there: what an
    /// update overwrites, so that it can be undone. Defaults to refusing; only called where
    /// [`Capabilities::reads`] says so.
    ///
    /// # Errors
    ///
    /// By the store's answer.
    fn read(
        &self,
        session: &mut Self::Session,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        let _ = (session, model, ids, fields);
        Err(unsupported("read"))
    }

    /// Begins a transaction of the session. A session that is closed within one rolls it back.
    /// Defaults to refusing; only called where [`Capabilities::transactions`] says so.
    ///
    /// # Errors
    ///
    /// By the store's answer.
    fn begin(&self, session: &mut Self::Session) -> Result<()> {
        let _ = session;
        Err(unsupported("begin"))
    }

    /// Makes everything since [`begin`](Self::begin) permanent. Defaults to refusing.
    ///
    /// # Errors
    ///
    /// By the store's answer; in doubt when none came.
    fn commit(&self, session: &mut Self::Session) -> Result<()> {
        let _ = session;
        Err(unsupported("commit"))
    }

    /// Undoes everything since [`begin`](Self::begin). Defaults to refusing.
    ///
    /// # Errors
    ///
    /// By the store's answer.
    fn roll_back(&self, session: &mut Self::Session) -> Result<()> {
        let _ = session;
        Err(unsupported("roll_back"))
    }

    /// Collects operations in a closure, and sends them when it returns `Ok`, with the defaults of an
    /// [`Executor`]; [`Executor::batch`] is the same with settings.
    ///
    /// # Errors
    ///
    /// The closure's error, and then nothing is sent; else as [`Executor::execute`].
    fn batch(&self, collect: impl FnOnce(&mut BatchContext<'_, Self>) -> Result<()>) -> Result<RecordReport>
    where
        Self: Sized,
    {
        Executor::new(self).batch(collect)
    }

    /// Creates records, and tells their ids in the order of the input.
    ///
    /// # Errors
    ///
    /// The error of the first record that was not created; it owns the report, with the ids of those that
    /// were. Input that is refused has an empty report.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{RecordId, RecordStore};
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// let ids = store.create_many("res.partner", [json!({"name": "a"}), json!({"name": "b"})])?;
    /// assert_eq!(ids, [RecordId::Int(1), RecordId::Int(2)]);
    /// assert_eq!(store.update_many("res.partner", &ids, json!({"active": false}))?, 2);
    /// assert_eq!(store.delete_many("res.partner", &ids)?, 2);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    fn create_many(&self, model: &str, records: impl Serialize) -> Result<Vec<RecordId>, RecordsError>
    where
        Self: Sized,
    {
        let report = Operation::create(model, records).and_then(|each| Executor::new(self).execute([each]));
        report.map_err(RecordsError::refused)?.into_ids()
    }

    /// Writes the same values to all records, and tells how many there were.
    ///
    /// # Errors
    ///
    /// As [`create_many`](Self::create_many).
    fn update_many<I>(&self, model: &str, ids: I, values: impl Serialize) -> Result<usize, RecordsError>
    where
        Self: Sized,
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let report =
            Operation::update(model, ids, values).and_then(|each| Executor::new(self).execute([each]));
        Ok(report.map_err(RecordsError::refused)?.require_all()?.outcomes().len())
    }

    /// Deletes records, and tells how many there were.
    ///
    /// # Errors
    ///
    /// As [`create_many`](Self::create_many).
    fn delete_many<I>(&self, model: &str, ids: I) -> Result<usize, RecordsError>
    where
        Self: Sized,
        I: IntoIterator,
        I::Item: Into<RecordId>,
    {
        let report = Operation::delete(model, ids).and_then(|each| Executor::new(self).execute([each]));
        Ok(report.map_err(RecordsError::refused)?.require_all()?.outcomes().len())
    }
}

impl<S: RecordStore + ?Sized> RecordStore for &S {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn create(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        (**self).create(session, chunk)
    }

    fn update(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        (**self).update(session, chunk)
    }

    fn update_each(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        (**self).update_each(session, chunk)
    }

    fn delete(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        (**self).delete(session, chunk)
    }

    fn upsert(&self, session: &mut Self::Session, chunk: &Chunk<'_>) -> Result<Answer> {
        (**self).upsert(session, chunk)
    }

    fn read(
        &self,
        session: &mut Self::Session,
        model: &str,
        ids: &[RecordId],
        fields: &[&str],
    ) -> Result<Vec<Option<Record>>> {
        (**self).read(session, model, ids, fields)
    }

    fn begin(&self, session: &mut Self::Session) -> Result<()> {
        (**self).begin(session)
    }

    fn commit(&self, session: &mut Self::Session) -> Result<()> {
        (**self).commit(session)
    }

    fn roll_back(&self, session: &mut Self::Session) -> Result<()> {
        (**self).roll_back(session)
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("this store has no {what}")).with_delivery(Delivery::NotSent)
}
