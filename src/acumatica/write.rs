//! How a record is written.

use super::query::Query;

/// How a record is written, and what is asked back.
///
/// ```
/// use batchcall::acumatica::Write;
///
/// // An upsert by key that may be sent again if its answer is lost.
/// let write = Write::upsert().keyed(true).select(["WarehouseID", "Active"]);
/// # let _ = write;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub(super) mode: Mode,
    pub(super) keyed: bool,
    pub(super) verify: bool,
    pub(super) query: Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Upsert,
    Create,
    Update,
    Patch,
}

impl Write {
    fn new(mode: Mode) -> Self {
        Self { mode, keyed: false, verify: false, query: Query::new() }
    }

    /// `PUT`: creates the record or updates the one that its key fields, its id or the filter name.
    #[must_use]
    pub fn upsert() -> Self {
        Self::new(Mode::Upsert)
    }

    /// `PUT` with `If-None-Match: *`: [`Conflict`](crate::ErrorKind::Conflict) when the record exists.
    #[must_use]
    pub fn create_only() -> Self {
        Self::new(Mode::Create)
    }

    /// `PUT` with `If-Match: *`: [`Conflict`](crate::ErrorKind::Conflict) when it does not exist.
    #[must_use]
    pub fn update_only() -> Self {
        Self::new(Mode::Update)
    }

    /// `PATCH`: updates, and submits the fields given even where they hold that value already.
    #[must_use]
    pub fn patch() -> Self {
        Self::new(Mode::Patch)
    }

    /// Says that the body names its record by key and adds no detail lines, so that writing it twice is
    /// writing it once: then it goes again by itself when its answer is lost. A record whose key the
    /// server numbers would be made twice, and lines without an id would be added twice. Defaults to
    /// `false`: without an answer the write is in doubt.
    #[must_use]
    pub fn keyed(mut self, keyed: bool) -> Self {
        self.keyed = keyed;
        self
    }

    /// Compares what came back with what was sent: the server answers 200 even when it ignored a field.
    /// Fields that were ignored make the call fail with [`Rejected`](crate::ErrorKind::Rejected) and are
    /// named; the others were saved. Defaults to `false`.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Which fields to answer with. Defaults to those that were sent.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.query = self.query.select(fields);
        self
    }

    /// Which details and linked records to answer with. Defaults to none.
    #[must_use]
    pub fn expand<S: Into<String>>(mut self, entities: impl IntoIterator<Item = S>) -> Self {
        self.query = self.query.expand(entities);
        self
    }

    /// Everything else that a query may say, such as the filter that finds the record. Replaces what
    /// [`select`](Self::select) and [`expand`](Self::expand) said. Defaults to nothing.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }
}
