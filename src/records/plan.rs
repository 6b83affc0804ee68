//! What will be sent, before anything is: validation, stages, chunks.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::capabilities::Capabilities;
use super::cut::{Limits, take};
use super::family::Families;
use super::kind::OperationKind;
use super::load::{bytes_around, bytes_of};
use super::operation::Operation;
use super::problem::{Problem, refuse};
use super::record::{RecordId, Reference};
use super::schedule::{Sizes, limits};
use super::slots::Slots;
use super::strategy::Strategy;
use super::waves::{Directory, Share, Stage, order};
use crate::error::Result;

/// What will be sent: every request, in the order in which they can go out.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{Executor, Operation};
/// use serde_json::json;
///
/// let memory = Memory::new();
/// let rows: Vec<_> = (0..250).map(|n| json!({"name": n})).collect();
/// let operations = [
///     Operation::delete("res.partner", [4, 5])?,
///     Operation::create("res.partner", rows)?.priority(10),
/// ];
/// let plan = Executor::new(&memory).plan(&operations)?;
/// assert_eq!(plan.requests(), 4);
/// assert_eq!(plan.steps()[0].records, 100);
/// assert_eq!(memory.requests(), 0);
/// println!("{plan}");
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<PlannedRequest>,
    records: usize,
    reads: usize,
    is_estimate: bool,
}

/// One request of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRequest {
    /// Which operation it is a part of, from 0.
    pub operation: usize,
    /// What it does.
    pub kind: OperationKind,
    /// The model, entity or table.
    pub model: String,
    /// The priority: those of a lower one wait for it.
    pub priority: i32,
    /// The wave within the priority, from 0: a higher one waits for it.
    pub wave: usize,
    /// The place of its first record in the operation.
    pub first: usize,
    /// The place of its last record; not all between need be in it.
    pub last: usize,
    /// The number of records.
    pub records: usize,
    /// About how many bytes it has, as JSON.
    pub bytes: usize,
    /// How many families it has records of, which [`group_by`](crate::Operation::group_by) keeps off each
    /// other; 0 where it has none.
    pub families: usize,
    /// The last request before it, counted from 0 in the plan, that has records of the same families: it is
    /// over before this one is sent.
    pub after: Option<usize>,
}

impl Plan {
    /// The requests.
    #[must_use]
    pub fn steps(&self) -> &[PlannedRequest] {
        &self.steps
    }

    /// How many requests there will be when the store refuses nothing, reads for a
    /// [rollback](crate::Executor::rollback_on_error) included.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.steps.len() + self.reads
    }

    /// The number of records.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether chunks may turn out larger or smaller, because their size follows the server's answers.
    #[must_use]
    pub fn is_estimate(&self) -> bool {
        self.is_estimate
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.is_estimate { "about " } else { "" };
        write!(f, "{} records in {about}{} requests", self.records, self.requests())?;
        for step in &self.steps {
            let PlannedRequest {
                operation, kind, model, priority, wave, first, last, records, bytes, ..
            } = step;
            write!(f, "\n  priority {priority}, wave {wave}: operation {operation}, {kind} {model}, ")?;
            write!(f, "{records} records from {first} to {last}, {bytes} bytes")?;
            match step.families {
                0 => {}
                1 => f.write_str(", 1 family")?,
                families => write!(f, ", {families} families")?,
            }
            if let Some(after) = step.after {
                write!(f, ", after request {after}")?;
            }
        }
        Ok(())
    }
}

/// How operations are to be sent, as far as it decides on requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) strategy: Strategy,
    /// Reads before updates.
    pub(crate) remember: bool,
    /// How many requests are out at once.
    pub(crate) workers: usize,
}

/// Operations that were found to be good, in their stages.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) directory: Directory,
    pub(crate) stages: Vec<Vec<Stage>>,
    pub(crate) bulks: Vec<Bulk>,
}

/// How much an operation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bulk {
    /// Whether it goes out as a whole.
    pub(crate) whole: bool,
    /// Whether all of it is within what the store takes in a request, so that no chunk has to be measured.
    pub(crate) light: bool,
}

/// Looks at everything, and refuses it with everything that is wrong.
pub(crate) fn prepare(
    operations: &[Operation],
    groups: &[Range<usize>],
    strategy: Strategy,
    capabilities: &Capabilities,
    mut problems: Vec<Problem>,
) -> Result<Prepared> {
    let mut bulks = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        let mut own = operation.problems();
        let light = fits_store(operation, capabilities, &mut own);
        let fits = light && capabilities.record_limit().is_none_or(|most| operation.len() <= most);
        if strategy == Strategy::SingleQuery && !fits {
            own.push(Problem::new("the store does not take the whole operation in a single query"));
        }
        problems.extend(own.into_iter().map(|problem| problem.operation(index)));
        let whole = match strategy {
            Strategy::SingleQuery => true,
            Strategy::Optimistic => fits,
            _ => false,
        };
        bulks.push(Bulk { whole, light });
    }
    let directory = Directory::new(operations);
    let mut ids = std::collections::HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Some(first) = ids.insert(operation.id, index) {
            problems.push(Problem::new(format!("it has the id of operation {first}")).operation(index));
        }
    }
    let stages = groups.iter().map(|group| order(operations, group, &directory, &mut problems)).collect();
    problems.sort_by_key(|problem| (problem.operation, problem.record));
    refuse(&problems)?;
    Ok(Prepared { directory, stages, bulks })
}

/// Finds what the store cannot do; tells whether all bytes of the operation go in one request.
fn fits_store(operation: &Operation, capabilities: &Capabilities, problems: &mut Vec<Problem>) -> bool {
    if !capabilities.has(operation.kind) {
        problems.push(Problem::new(format!("the store has no {}", operation.kind)));
    }
    if !capabilities.has_text_ids() {
        for (place, id) in operation.ids.iter().enumerate() {
            if let RecordId::Text(text) = id {
                let message = format!("the store's ids are whole numbers, not text such as {text:?}");
                problems.push(Problem::of_record(place, message).field("id"));
            }
        }
    }
    if !capabilities.has_references() {
        for (place, record) in operation.records.iter().enumerate() {
            let mut refers = false;
            record.as_map().values().for_each(|value| Reference::each_in(value, &mut |_| refers = true));
            if refers {
                problems.push(Problem::of_record(place, "the store cannot resolve references"));
            }
        }
    }
    let Some(most) = capabilities.byte_limit() else { return true };
    let around = bytes_around(operation);
    let mut all = around;
    for place in 0..operation.len() {
        let record = bytes_of(operation, place);
        all += record;
        if around + record > most {
            let message = format!("it has {record} bytes, and the store takes {most} in a request");
            problems.push(Problem::of_record(place, message));
        }
    }
    all <= most
}

/// Every request of operations in their stages.
pub(crate) fn plan(
    operations: &[Operation],
    prepared: &Prepared,
    sizes: &Sizes,
    capabilities: &Capabilities,
    cut: Cut,
) -> Plan {
    let slots = Slots::new(operations);
    let mut steps = Vec::new();
    let mut reads = 0;
    let mut is_grouped = false;
    let mut families = Families::of(operations);
    for stage in prepared.stages.iter().flatten() {
        // The last request with records of each family.
        let mut last = HashMap::new();
        for share in &stage.shares {
            let operation = &operations[share.operation];
            let limits = limits(sizes, capabilities, prepared.bulks[share.operation], None);
            for places in chunks(operation, share, &slots, &mut families, &limits, cut.workers) {
                let bytes = places.iter().map(|&place| bytes_of(operation, place)).sum::<usize>();
                let updates = matches!(operation.kind, OperationKind::Update | OperationKind::UpdateEach);
                reads += usize::from(cut.remember && updates);
                let own = families.among(share.operation, places.iter().copied());
                let number = steps.len();
                let after = own.iter().filter_map(|&family| last.insert(family, number)).max();
                is_grouped |= after.is_some();
                steps.push(PlannedRequest {
                    operation: share.operation,
                    kind: operation.kind,
                    model: operation.model.clone(),
                    priority: stage.priority,
                    wave: stage.wave,
                    first: places[0],
                    last: places[places.len() - 1],
                    records: places.len(),
                    bytes: bytes_around(operation) + bytes,
                    families: own.len(),
                    after,
                });
            }
        }
    }
    // Which records wait depends on what is over first.
    let is_estimate = (matches!(sizes, Sizes::Auto(_)) && cut.strategy != Strategy::SingleQuery)
        || (is_grouped && cut.workers > 1);
    Plan { steps, records: slots.len(), reads, is_estimate }
}

/// The chunks of a share, as they go out when each takes as long as the others.
fn chunks(
    operation: &Operation,
    share: &Share,
    slots: &Slots,
    families: &mut Families,
    limits: &Limits,
    workers: usize,
) -> Vec<Vec<usize>> {
    let mut chunks = Vec::new();
    let Some(mut line) = families.line(share, limits.records).filter(|_| workers > 1) else {
        let mut at = 0;
        while at < share.places.len() {
            chunks.push(take(operation, share, &mut at, slots, limits));
        }
        return chunks;
    };
    let mut over = 0;
    while !line.is_empty() {
        if chunks.len() - over == workers {
            families.bring_back(share.operation, &chunks[over]);
            over += 1;
        }
        let places = line.take(operation, slots, families, limits);
        if !places.is_empty() {
            families.send_out(share.operation, &places);
            chunks.push(places);
        } else if over < chunks.len() {
            families.bring_back(share.operation, &chunks[over]);
            over += 1;
        }
    }
    for places in &chunks[over..] {
        families.bring_back(share.operation, places);
    }
    chunks
}
