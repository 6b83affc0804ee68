//! What a store can do.

use super::kind::OperationKind;

/// What a [`RecordStore`](crate::RecordStore) can do; what it cannot is refused before anything is sent,
/// or done in another way.
///
/// ```
/// use batchcall::{Capabilities, OperationKind};
///
/// let odoo = Capabilities::new().atomic_chunks(true).max_bytes(128 << 20).reads(true);
/// assert!(odoo.is_atomic(OperationKind::Create));
/// assert!(!odoo.has(OperationKind::Upsert));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    atomic: [bool; OperationKind::ALL.len()],
    kinds: [bool; OperationKind::ALL.len()],
    returns_ids: bool,
    references: bool,
    text_ids: bool,
    reads: bool,
    transactions: bool,
    max_records: Option<usize>,
    max_bytes: Option<usize>,
}

impl Capabilities {
    /// The least: no upsert, no atomic chunks, no transactions; ids are whole numbers and are told.
    #[must_use]
    pub fn new() -> Self {
        let mut kinds = [true; OperationKind::ALL.len()];
        kinds[OperationKind::Upsert as usize] = false;
        Self {
            atomic: [false; OperationKind::ALL.len()],
            kinds,
            returns_ids: true,
            references: true,
            text_ids: false,
            reads: false,
            transactions: false,
            max_records: None,
            max_bytes: None,
        }
    }

    /// Whether a chunk is applied as a whole or not at all, for every kind. Then a chunk that is refused is
    /// halved until the bad records are found. Defaults to `false`: an error of a whole chunk leaves its
    /// records in doubt, unless it says that nothing was sent.
    #[must_use]
    pub fn atomic_chunks(mut self, atomic: bool) -> Self {
        self.atomic = [atomic; OperationKind::ALL.len()];
        self
    }

    /// As [`atomic_chunks`](Self::atomic_chunks), for one kind.
    #[must_use]
    pub fn atomic_for(mut self, kind: OperationKind, atomic: bool) -> Self {
        self.atomic[kind as usize] = atomic;
        self
    }

    /// Whether there is an [`upsert`](crate::RecordStore::upsert). Defaults to `false`.
    #[must_use]
    pub fn upsert(self, upsert: bool) -> Self {
        self.supports(OperationKind::Upsert, upsert)
    }

    /// Whether a kind of operation is there at all. Defaults to `true` for all but upserts.
    #[must_use]
    pub fn supports(mut self, kind: OperationKind, supported: bool) -> Self {
        self.kinds[kind as usize] = supported;
        self
    }

    /// Whether creating tells the ids of the new records. Defaults to `true`.
    #[must_use]
    pub fn returns_ids(mut self, returns: bool) -> Self {
        self.returns_ids = returns;
        self
    }

    /// Whether a record may refer to one that is made in the same batch. Defaults to `true`.
    #[must_use]
    pub fn references(mut self, references: bool) -> Self {
        self.references = references;
        self
    }

    /// Whether ids may be text. Defaults to `false`: only positive whole numbers.
    #[must_use]
    pub fn text_ids(mut self, text: bool) -> Self {
        self.text_ids = text;
        self
    }

    /// Whether [`read`](crate::RecordStore::read) works, so that updates can be undone. Defaults to `false`.
    #[must_use]
    pub fn reads(mut self, reads: bool) -> Self {
        self.reads = reads;
        self
    }

    /// Whether there are real transactions over several chunks of a session. Defaults to `false`.
    #[must_use]
    pub fn transactions(mut self, transactions: bool) -> Self {
        self.transactions = transactions;
        self
    }

    /// The most records in one request. Defaults to no limit.
    #[must_use]
    pub fn max_records(mut self, records: usize) -> Self {
        self.max_records = Some(records);
        self
    }

    /// The most bytes in one request, counted as JSON. Defaults to no limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether chunks of a kind are applied as a whole or not at all.
    #[must_use]
    pub fn is_atomic(&self, kind: OperationKind) -> bool {
        self.atomic[kind as usize]
    }

    /// Whether there are operations of a kind.
    #[must_use]
    pub fn has(&self, kind: OperationKind) -> bool {
        self.kinds[kind as usize]
    }

    /// Whether creating tells ids.
    #[must_use]
    pub fn has_returned_ids(&self) -> bool {
        self.returns_ids
    }

    /// Whether records may refer to records that are not made yet.
    #[must_use]
    pub fn has_references(&self) -> bool {
        self.references && self.returns_ids
    }

    /// Whether ids may be text.
    #[must_use]
    pub fn has_text_ids(&self) -> bool {
        self.text_ids
    }

    /// Whether records can be read.
    #[must_use]
    pub fn has_reads(&self) -> bool {
        self.reads
    }

    /// Whether there are transactions.
    #[must_use]
    pub fn has_transactions(&self) -> bool {
        self.transactions
    }

    /// The most records in one request.
    #[must_use]
    pub fn record_limit(&self) -> Option<usize> {
        self.max_records
    }

    /// The most bytes in one request.
    #[must_use]
    pub fn byte_limit(&self) -> Option<usize> {
        self.max_bytes
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}
