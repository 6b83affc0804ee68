//! What became of every record, in input order.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::failure::RecordsError;
use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::plan::Plan;
use super::record::{Record, RecordId};
use super::stats::{RecordStats, Totals};
use super::waves::Directory;
use crate::error::{Error, ErrorKind};

/// What became of every record, in the order in which operations and their records were given.
///
/// Its `Display` is the summary that a person reads.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{Executor, Operation};
/// use serde_json::json;
///
/// // A store that refuses records without a name.
/// let store = Memory::new().refuse(|_, row| match row["name"] {
///     serde_json::Value::Null => Some("a name is required".into()),
///     _ => None,
/// });
/// let rows = [json!({"name": "a"}), json!({"ref": "B"}), json!({"name": "c"})];
/// let report = Executor::new(&store).execute([Operation::create("res.partner", rows)?])?;
///
/// assert_eq!((report.totals().created, report.totals().failed), (2, 1));
/// let failed = report.failed().next().unwrap();
/// assert_eq!(failed.index(), 1);
/// assert_eq!(failed.message(), Some("a name is required"));
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordReport {
    pub(crate) operations: Vec<Operation>,
    /// Which operations run side by side.
    pub(crate) groups: Vec<Range<usize>>,
    pub(crate) outcomes: Vec<RecordOutcome>,
    /// Where the records of each operation begin.
    first: Vec<usize>,
    /// The ids of records that upserts found.
    pub(crate) matched: HashMap<usize, RecordId>,
    stats: RecordStats,
    pub(crate) plan: Option<Plan>,
}

impl RecordReport {
    pub(crate) fn new(
        operations: Vec<Operation>,
        groups: Vec<Range<usize>>,
        outcomes: Vec<RecordOutcome>,
        matched: HashMap<usize, RecordId>,
        mut stats: RecordStats,
    ) -> Self {
        let mut len = 0;
        let mut first = Vec::with_capacity(operations.len());
        for operation in &operations {
            first.push(len);
            len += operation.len();
        }
        stats.totals = Totals::of(&outcomes);
        Self { operations, groups, outcomes, first, matched, stats, plan: None }
    }

    /// Takes in what a retry came to.
    pub(crate) fn take(
        &mut self,
        outcomes: Vec<RecordOutcome>,
        matched: HashMap<usize, RecordId>,
        again: &RecordStats,
    ) {
        (self.outcomes, self.matched) = (outcomes, matched);
        self.stats.totals = Totals::of(&self.outcomes);
        self.stats.add(again);
    }

    /// The outcome of every record, in input order.
    #[must_use]
    pub fn outcomes(&self) -> &[RecordOutcome] {
        &self.outcomes
    }

    /// The outcomes, taken out.
    #[must_use]
    pub fn into_outcomes(self) -> Vec<RecordOutcome> {
        self.outcomes
    }

    /// The operations, each with its status and times.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The outcomes of an operation's records.
    ///
    /// # Panics
    ///
    /// When there is no such operation.
    #[must_use]
    pub fn outcomes_of(&self, operation: usize) -> &[RecordOutcome] {
        let first = self.first[operation];
        &self.outcomes[first..first + self.operations[operation].len()]
    }

    /// How the records of an operation ended.
    ///
    /// # Panics
    ///
    /// When there is no such operation.
    #[must_use]
    pub fn totals_of(&self, operation: usize) -> Totals {
        Totals::of(self.outcomes_of(operation))
    }

    /// How all records ended.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.stats.totals
    }

    /// Counts and times.
    #[must_use]
    pub fn stats(&self) -> &RecordStats {
        &self.stats
    }

    /// What would be sent, after a [dry run](crate::Executor::dry_run).
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Whether every record succeeded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outcomes.iter().all(RecordOutcome::is_success)
    }

    /// Every record with its place, its input and its outcome.
    pub fn iter(&self) -> impl Iterator<Item = RecordEntry<'_>> {
        let places = self.operations.iter().enumerate().flat_map(move |(operation, of)| {
            (0..of.len()).map(move |record| RecordEntry { report: self, operation, record })
        });
        places.filter(|entry| entry.index() < self.outcomes.len())
    }

    /// The records that succeeded.
    pub fn successful(&self) -> impl Iterator<Item = RecordEntry<'_>> {
        self.iter().filter(|entry| entry.outcome().is_success())
    }

    /// The records that failed, those that could not be undone among them.
    pub fn failed(&self) -> impl Iterator<Item = RecordEntry<'_>> {
        self.iter().filter(|entry| entry.outcome().is_failure())
    }

    /// The records of which it is not known whether they were applied.
    pub fn in_doubt(&self) -> impl Iterator<Item = RecordEntry<'_>> {
        self.iter().filter(|entry| matches!(entry.outcome(), RecordOutcome::InDoubt(_)))
    }

    /// The records that were not sent.
    pub fn not_run(&self) -> impl Iterator<Item = RecordEntry<'_>> {
        self.iter().filter(|entry| matches!(entry.outcome(), RecordOutcome::NotRun(_)))
    }

    /// The id that a reference became: `None` when its record was not made.
    #[must_use]
    pub fn id_of(&self, record: &RecordId) -> Option<RecordId> {
        match record {
            RecordId::New(reference) => {
                let (operation, record) = Directory::new(&self.operations).find(*reference)?;
                RecordEntry { report: self, operation, record }.id()
            }
            RecordId::Unknown => None,
            id => Some(id.clone()),
        }
    }

    /// The ids of all records, in input order, if all succeeded.
    ///
    /// # Errors
    ///
    /// The error of the first record that did not; it owns the report, so that nothing is lost.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Executor, Operation, RecordId};
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// let rows = [json!({"name": "a"}), json!({"name": "b"})];
    /// let report = Executor::new(&store).execute([Operation::create("res.partner", rows)?])?;
    /// assert_eq!(report.into_ids()?, [RecordId::Int(1), RecordId::Int(2)]);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn into_ids(self) -> Result<Vec<RecordId>, RecordsError> {
        let report = self.require_all()?;
        Ok(report.iter().map(|entry| entry.id().unwrap_or_default()).collect())
    }

    /// This report, if all records succeeded.
    ///
    /// # Errors
    ///
    /// The error of the first record that did not; it owns the report.
    pub fn require_all(self) -> Result<Self, RecordsError> {
        match self.outcomes.iter().position(|outcome| !outcome.is_success()) {
            Some(first) => Err(RecordsError::new(self, first)),
            None => Ok(self),
        }
    }
}

/// One record of a report.
#[derive(Clone, Copy)]
pub struct RecordEntry<'a> {
    report: &'a RecordReport,
    operation: usize,
    record: usize,
}

impl<'a> RecordEntry<'a> {
    /// Its place among all records, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.report.first[self.operation] + self.record
    }

    /// The place of its operation.
    #[must_use]
    pub fn operation_index(&self) -> usize {
        self.operation
    }

    /// Its operation.
    #[must_use]
    pub fn operation(&self) -> &'a Operation {
        &self.report.operations[self.operation]
    }

    /// Its place in its operation.
    #[must_use]
    pub fn record(&self) -> usize {
        self.record
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> &'a RecordOutcome {
        &self.report.outcomes[self.index()]
    }

    /// The error, where there is one.
    #[must_use]
    pub fn error(&self) -> Option<&'a Error> {
        self.outcome().error()
    }

    /// The message of the error, where there is one.
    #[must_use]
    pub fn message(&self) -> Option<&'a str> {
        self.error().map(Error::message)
    }

    /// The id in the store: of what was created, found, updated or deleted.
    #[must_use]
    pub fn id(&self) -> Option<RecordId> {
        let told = self.outcome().id().or_else(|| self.report.matched.get(&self.index()));
        let id = told.or_else(|| self.operation().ids.get(self.record))?;
        match id {
            RecordId::New(_) => self.report.id_of(id),
            id => Some(id.clone()),
        }
    }

    /// All its fields, as they were given, with the id of one that is updated or deleted.
    #[must_use]
    pub fn input(&self) -> Record {
        self.operation().input(self.record)
    }
}

impl fmt::Debug for RecordEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordEntry")
            .field("index", &self.index())
            .field("operation", &self.operation)
            .field("record", &self.record)
            .field("outcome", self.outcome())
            .finish()
    }
}

/// How many causes are listed, and how many records of each are named.
const CAUSES: usize = 10;
const NAMED: usize = 3;

impl fmt::Display for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        let (operations, requests) = (self.operations.len(), stats.requests);
        write!(f, "{} in {operations} operation{}", Counted(self.totals()), plural(operations))?;
        write!(
            f,
            "\n{requests} request{}, {} login{}, {:.2} s, {:.1} records/s",
            plural(requests),
            stats.logins,
            plural(stats.logins),
            stats.total_time.as_secs_f64(),
            stats.records_per_second()
        )?;
        for (index, operation) in self.operations.iter().enumerate().take(CAUSES) {
            let (kind, model) = (operation.kind, &operation.model);
            write!(f, "\noperation {index}, {kind} {model}: {}", Counted(self.totals_of(index)))?;
        }
        if self.operations.len() > CAUSES {
            write!(f, "\nand {} more operations", self.operations.len() - CAUSES)?;
        }
        let mut causes: Vec<(&str, ErrorKind, Vec<RecordEntry<'_>>)> = Vec::new();
        for entry in self.iter() {
            let Some(error) = entry.error() else { continue };
            let (what, kind) = (entry.outcome().as_str(), error.kind());
            match causes.iter_mut().find(|cause| (cause.0, cause.1) == (what, kind)) {
                Some(cause) => cause.2.push(entry),
                None => causes.push((what, kind, vec![entry])),
            }
        }
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.2.len()));
        for (what, kind, entries) in causes.iter().take(CAUSES) {
            write!(f, "\n{} x {what}, {kind}", entries.len())?;
            for entry in entries.iter().take(NAMED) {
                write!(f, "\n    record {}", entry.index())?;
                if let Some(error) = entry.error() {
                    write!(f, ": {error}")?;
                }
            }
            if entries.len() > NAMED {
                write!(f, "\n    and {} more", entries.len() - NAMED)?;
            }
        }
        Ok(())
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Totals in words; what is 0 is left out.
struct Counted(Totals);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { records, created, updated, deleted, unchanged, failed, .. } = self.0;
        let Totals { in_doubt, not_run, rolled_back, rollback_failed, .. } = self.0;
        let parts = [
            (created, "created"),
            (updated, "updated"),
            (deleted, "deleted"),
            (unchanged, "unchanged"),
            (failed, "failed"),
            (in_doubt, "in doubt"),
            (not_run, "not run"),
            (rolled_back, "rolled back"),
            (rollback_failed, "not rolled back"),
        ];
        write!(f, "{records} record{}", plural(records))?;
        for (at, (count, what)) in parts.into_iter().filter(|(count, _)| *count > 0).enumerate() {
            write!(f, "{} {count} {what}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
