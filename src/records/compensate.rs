//! Undoing what was applied, where the store has no transactions: compensation, and called that.
//!
//! What was created is deleted, what was updated gets its former values back. A deletion cannot be undone:
//! a record that is made again has another id, and whatever pointed at it is lost.

use std::borrow::Cow;

use super::capabilities::Capabilities;
use super::kind::OperationKind;
use super::load::{Done, Load};
use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::record::{Record, RecordId};
use crate::error::{Error, ErrorKind};

/// One step back.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each chunk")]
pub(crate) enum Undo<'a> {
    /// A request that undoes what a chunk did.
    Load(Load<'a>),
    /// Records that stay as they are.
    Impossible { index: usize, places: Vec<usize>, why: &'static str },
}

/// The steps that undo what became of a chunk, in the order in which they were done.
pub(crate) fn undo<'a>(
    load: &Load<'_>,
    done: &mut Done,
    operations: &'a [Operation],
    capabilities: &Capabilities,
) -> Vec<Undo<'a>> {
    let original = &operations[load.index];
    let mut made = Vec::new();
    let mut written = Vec::new();
    let mut impossible: Vec<(&'static str, Vec<usize>)> = Vec::new();
    let mut cannot = |why, place| match impossible.iter_mut().find(|(known, _)| *known == why) {
        Some((_, places)) => places.push(place),
        None => impossible.push((why, vec![place])),
    };
    let mut before = std::mem::take(&mut done.before).into_iter();
    for (at, &place) in load.places.iter().enumerate() {
        let before = before.next().flatten();
        match done.outcomes.get(at).and_then(Option::as_ref) {
            Some(RecordOutcome::Created(RecordId::Unknown)) => cannot("its id is not known", place),
            Some(RecordOutcome::Created(id)) if capabilities.has(OperationKind::Delete) => {
                made.push((place, id.clone()));
            }
            Some(RecordOutcome::Created(_)) => cannot("the store cannot delete", place),
            Some(RecordOutcome::Updated) if load.operation.kind == OperationKind::Upsert => {
                cannot("what it was before is not known", place);
            }
            Some(RecordOutcome::Updated) => match (before, load.ids.get(at)) {
                (Some(record), Some(id)) if capabilities.has(OperationKind::UpdateEach) => {
                    written.push((place, id.clone(), record));
                }
                _ => cannot("what it was before is not known", place),
            },
            Some(RecordOutcome::Deleted) => cannot("a deleted record cannot be brought back", place),
            _ => {}
        }
    }
    let head = |kind| Operation {
        context: original.context.clone(),
        ..Operation::empty(kind, original.model.as_str())
    };
    let mut steps: Vec<Undo<'a>> = impossible
        .into_iter()
        .map(|(why, places)| Undo::Impossible { index: load.index, places, why })
        .collect();
    if !made.is_empty() {
        let (places, ids): (Vec<usize>, Vec<RecordId>) = made.into_iter().unzip();
        steps.push(Undo::Load(Load {
            index: load.index,
            operation: Cow::Owned(head(OperationKind::Delete)),
            records: Cow::Borrowed(&[]),
            ids: Cow::Owned(ids),
            places,
        }));
    }
    if !written.is_empty() {
        let (mut places, mut ids, mut records): (Vec<usize>, Vec<RecordId>, Vec<Record>) = Default::default();
        for (place, id, record) in written {
            places.push(place);
            ids.push(id);
            records.push(record);
        }
        steps.push(Undo::Load(Load {
            index: load.index,
            operation: Cow::Owned(head(OperationKind::UpdateEach)),
            records: Cow::Owned(records),
            ids: Cow::Owned(ids),
            places,
        }));
    }
    steps
}

/// What an undoing makes of the record that it was to undo.
pub(crate) fn undone(outcome: RecordOutcome, model: &str, id: &RecordId) -> RecordOutcome {
    match outcome {
        RecordOutcome::Deleted | RecordOutcome::Updated | RecordOutcome::Unchanged => {
            RecordOutcome::RolledBack
        }
        // Somebody else was faster.
        RecordOutcome::Failed(error) if error.kind() == ErrorKind::NotFound => RecordOutcome::RolledBack,
        RecordOutcome::Failed(error) | RecordOutcome::InDoubt(error) | RecordOutcome::NotRun(error) => {
            RecordOutcome::RollbackFailed(error.with_entity(format!("{model}/{id}")))
        }
        other => other,
    }
}

/// A record that stays although it should not.
pub(crate) fn stays(
    operation: &Operation,
    place: usize,
    id: Option<&RecordId>,
    why: &str,
    kind: ErrorKind,
) -> RecordOutcome {
    let id = id.or_else(|| operation.ids.get(place));
    let entity = match id {
        Some(id) => format!("{}/{id}", operation.model),
        None => operation.model.clone(),
    };
    let error = Error::new(kind, format!("it was applied and is not undone: {why}"));
    RecordOutcome::RollbackFailed(error.with_entity(entity).with_record_index(place))
}
