//! The seam between operations and backends.

use super::capabilities::Capabilities;
use super::chunk::{Answer, Chunk};
use super::record::{Record, RecordId};
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
