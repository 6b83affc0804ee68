//! A place for the outcome of every record, filled as outcomes come.

use std::collections::HashMap;

use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::record::RecordId;
use super::waves::Spot;

/// A place for the outcome of every record of a list of operations, in input order.
#[derive(Debug)]
pub(crate) struct Slots {
    outcomes: Vec<Option<RecordOutcome>>,
    /// Where the records of each operation begin.
    first: Vec<usize>,
    /// The ids of records that upserts found.
    matched: HashMap<usize, RecordId>,
    completed: usize,
    succeeded: usize,
}

impl Slots {
    pub(crate) fn new(operations: &[Operation]) -> Self {
        let mut first = Vec::with_capacity(operations.len());
        let mut len = 0;
        for operation in operations {
            first.push(len);
            len += operation.len();
        }
        let mut outcomes = Vec::new();
        outcomes.resize_with(len, || None);
        Self { outcomes, first, matched: HashMap::new(), completed: 0, succeeded: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Records that ran to their end, and those of them that succeeded.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.completed, self.succeeded)
    }

    /// The index of a record among all.
    pub(crate) fn index(&self, (operation, place): Spot) -> usize {
        self.first[operation] + place
    }

    pub(crate) fn get(&self, spot: Spot) -> Option<&RecordOutcome> {
        self.outcomes[self.index(spot)].as_ref()
    }

    /// The id that stands for a record that was made or found.
    pub(crate) fn id(&self, spot: Spot) -> Option<&RecordId> {
        let created = self.get(spot).and_then(RecordOutcome::id).filter(|id| **id != RecordId::Unknown);
        created.or_else(|| self.matched.get(&self.index(spot)))
    }

    pub(crate) fn set(&mut self, spot: Spot, outcome: RecordOutcome) {
        let index = self.index(spot);
        if self.outcomes[index].is_none() && !matches!(outcome, RecordOutcome::NotRun(_)) {
            self.completed += 1;
            self.succeeded += usize::from(outcome.is_success());
        }
        self.outcomes[index] = Some(outcome);
    }

    pub(crate) fn set_matched(&mut self, spot: Spot, id: RecordId) {
        let index = self.index(spot);
        self.matched.insert(index, id);
    }

    /// Changes an outcome that is there.
    pub(crate) fn change(&mut self, spot: Spot, change: impl FnOnce(RecordOutcome) -> RecordOutcome) {
        let index = self.index(spot);
        self.outcomes[index] = self.outcomes[index].take().map(change);
    }

    /// All outcomes, a missing one is made by its index, and the ids that upserts found.
    pub(crate) fn finish(
        self,
        missing: impl Fn(usize) -> RecordOutcome,
    ) -> (Vec<RecordOutcome>, HashMap<usize, RecordId>) {
        let outcomes = self.outcomes.into_iter().enumerate();
        let outcomes = outcomes.map(|(index, outcome)| outcome.unwrap_or_else(|| missing(index))).collect();
        (outcomes, self.matched)
    }

    /// Puts the outcomes of an earlier run in their places; they do not count as completed by this one.
    pub(crate) fn put_back(
        &mut self,
        outcomes: Vec<Option<RecordOutcome>>,
        matched: HashMap<usize, RecordId>,
    ) {
        self.outcomes = outcomes;
        self.matched = matched;
    }
}
