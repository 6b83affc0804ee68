//! Cutting the stages of a group of operations in chunks, with their references resolved.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::Value;

use super::family::{Families, Line};
use super::load::{Filling, Load};
use super::operation::Operation;
use super::outcome::RecordOutcome;
use super::record::{RecordId, Reference};
use super::slots::Slots;
use super::waves::{Directory, Places, Share, Stage};
use crate::error::{Delivery, Error, ErrorKind};

/// How much goes in one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) records: usize,
    pub(crate) bytes: Option<usize>,
    /// The whole operation is to be one request.
    pub(crate) whole: bool,
}

/// The stages of one group of operations, cut as far as they have come.
#[derive(Debug)]
pub(crate) struct Group {
    stages: VecDeque<Stage>,
    /// Which share of the first stage is being cut, and where in it.
    share: usize,
    at: usize,
    /// The shares before it whose records are kept off each other.
    lines: Vec<Line>,
    pub(crate) out: usize,
}

/// What a group has to send.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(crate) enum Next<'a> {
    Load(Load<'a>),
    /// Nothing before what is out is over.
    Wait,
    /// Nothing, and nothing more will come.
    End,
}

impl Group {
    pub(crate) fn new(stages: Vec<Stage>) -> Self {
        Self { stages: stages.into(), share: 0, at: 0, lines: Vec::new(), out: 0 }
    }

    /// The next chunk. Records whose parents are missing get their outcomes here.
    pub(crate) fn next<'a>(
        &mut self,
        operations: &'a [Operation],
        directory: &Directory,
        slots: &mut Slots,
        families: &mut Families,
        limits: impl Fn(usize) -> Limits,
    ) -> Next<'a> {
        loop {
            if let Some(load) = self.next_in_line(operations, directory, slots, families, &limits) {
                return Next::Load(load);
            }
            let Some(stage) = self.stages.front() else {
                return if self.out == 0 { Next::End } else { Next::Wait };
            };
            let Some(share) = stage.shares.get(self.share) else {
                if self.out > 0 || !self.lines.is_empty() {
                    return Next::Wait;
                }
                self.stages.pop_front();
                (self.share, self.at) = (0, 0);
                continue;
            };
            if let Some(line) = families.line(share, limits(share.operation).records) {
                self.lines.push(line);
                (self.share, self.at) = (self.share + 1, 0);
                continue;
            }
            let operation = &operations[share.operation];
            let places = take(operation, share, &mut self.at, slots, &limits(share.operation));
            if self.at >= share.places.len() {
                (self.share, self.at) = (self.share + 1, 0);
            }
            // To look through every record costs as much as to write it.
            let refers = share.refers;
            if let Some(load) = load(operation, share.operation, places, refers, directory, slots) {
                self.out += 1;
                return Next::Load(load);
            }
        }
    }

    /// How many records of the stage that is being cut are left.
    pub(crate) fn left(&self) -> usize {
        let shares = self.stages.front().and_then(|stage| stage.shares.get(self.share..)).unwrap_or_default();
        let uncut = shares.iter().map(|share| share.places.len()).sum::<usize>().saturating_sub(self.at);
        uncut + self.lines.iter().map(Line::left).sum::<usize>()
    }

    /// The next chunk of records that are kept off each other, where one may go.
    fn next_in_line<'a>(
        &mut self,
        operations: &'a [Operation],
        directory: &Directory,
        slots: &mut Slots,
        families: &mut Families,
        limits: impl Fn(usize) -> Limits,
    ) -> Option<Load<'a>> {
        let mut at = 0;
        while let Some(line) = self.lines.get_mut(at) {
            let (index, refers) = (line.operation, line.refers);
            let operation = &operations[index];
            let places = line.take(operation, slots, families, &limits(index));
            let (is_over, must_wait) = (line.is_empty(), places.is_empty());
            if is_over {
                self.lines.remove(at);
            } else if must_wait {
                at += 1;
            }
            if let Some(load) = load(operation, index, places, refers, directory, slots) {
                families.send_out(index, &load.places);
                self.out += 1;
                return Some(load);
            }
        }
        None
    }

    /// Whether everything was handed out, to the last stage.
    pub(crate) fn is_cut(&self) -> bool {
        match self.stages.len() {
            0 => true,
            _ if !self.lines.is_empty() => false,
            1 => self.share >= self.stages[0].shares.len(),
            _ => false,
        }
    }
}

/// The places of the next chunk of a share, from `at` on: those that have no outcome yet.
pub(crate) fn take(
    operation: &Operation,
    share: &Share,
    at: &mut usize,
    slots: &Slots,
    limits: &Limits,
) -> Vec<usize> {
    let mut filling = Filling::new(operation, limits);
    while *at < share.places.len() && !filling.is_full() {
        let place = share.places.get(*at);
        if slots.get((share.operation, place)).is_none() && !filling.add(place) {
            break;
        }
        *at += 1;
    }
    filling.places
}

/// A chunk of the records at some places; those that refer to a record that is not there are left out, with
/// their outcome. `None`: nothing is left.
fn load<'a>(
    operation: &'a Operation,
    index: usize,
    mut places: Vec<usize>,
    may_refer: bool,
    directory: &Directory,
    slots: &mut Slots,
) -> Option<Load<'a>> {
    let mut values = None;
    if may_refer && refers(operation.values.as_map().values()) {
        let mut resolved = operation.values.clone();
        if let Err(why) = resolve(resolved.as_map_mut().values_mut(), directory, slots) {
            for &place in &places {
                slots.set((index, place), not_run(&why, place).labelled(&operation.model));
            }
            return None;
        }
        values = Some(resolved);
    }
    let needs = |place: usize| {
        let record = operation.records.get(place);
        record.is_some_and(|record| refers(record.as_map().values()))
            || operation.ids.get(place).is_some_and(|id| id.reference().is_some())
    };
    let contiguous = places.first().zip(places.last()).is_some_and(|(a, b)| b - a + 1 == places.len());
    let (records, ids) = if contiguous && !(may_refer && places.iter().any(|&place| needs(place))) {
        let range = places[0]..places[0] + places.len();
        let records = operation.records.get(range.clone()).unwrap_or_default();
        (Cow::Borrowed(records), Cow::Borrowed(operation.ids.get(range).unwrap_or_default()))
    } else {
        let (mut records, mut ids) = (Vec::new(), Vec::new());
        places.retain(|&place| {
            let mut record = operation.records.get(place).cloned();
            let mut id = operation.ids.get(place).cloned();
            let mut resolved = Ok(());
            if let Some(record) = &mut record {
                resolved = resolve(record.as_map_mut().values_mut(), directory, slots);
            }
            if let (Some(id), Ok(())) = (&mut id, &resolved)
                && let Some(reference) = id.reference()
            {
                resolved = resolved.and(look_up(reference, directory, slots).map(|found| *id = found));
            }
            match resolved {
                Ok(()) => {
                    records.extend(record);
                    ids.extend(id);
                    true
                }
                Err(why) => {
                    slots.set((index, place), not_run(&why, place).labelled(&operation.model));
                    false
                }
            }
        });
        (Cow::Owned(records), Cow::Owned(ids))
    };
    if places.is_empty() {
        return None;
    }
    let operation = match values {
        None => Cow::Borrowed(operation),
        // Only its head is needed: the records are in the chunk.
        Some(values) => Cow::Owned(Operation {
            records: Vec::new(),
            ids: Vec::new(),
            values,
            model: operation.model.clone(),
            keys: operation.keys.clone(),
            group_by: Vec::new(),
            context: operation.context.clone(),
            ..*operation
        }),
    };
    Some(Load { index, operation, records, ids, places })
}

fn refers<'v>(values: impl Iterator<Item = &'v Value>) -> bool {
    let mut any = false;
    for value in values {
        Reference::each_in(value, &mut |_| any = true);
    }
    any
}

/// Puts ids in the place of references; the error is why one is missing.
fn resolve<'v>(
    values: impl Iterator<Item = &'v mut Value>,
    directory: &Directory,
    slots: &Slots,
) -> Result<(), String> {
    let mut missing = None;
    for value in values {
        Reference::resolve_in(value, &mut |reference| match look_up(reference, directory, slots) {
            Ok(id) => id.to_json(),
            Err(why) => {
                missing = Some(why);
                Value::Null
            }
        });
    }
    missing.map_or(Ok(()), Err)
}

fn look_up(reference: Reference, directory: &Directory, slots: &Slots) -> Result<RecordId, String> {
    let spot = directory.find(reference).ok_or("it refers to a record that is not here")?;
    if let Some(id) = slots.id(spot) {
        return Ok(id.clone());
    }
    let (operation, place) = spot;
    Err(match slots.get(spot) {
        Some(outcome) if outcome.is_success() => {
            format!("it refers to record {place} of operation {operation}, whose id the store did not tell")
        }
        Some(outcome) => {
            format!("it refers to record {place} of operation {operation}, which is {}", outcome.as_str())
        }
        None => format!("it refers to record {place} of operation {operation}, which is not made yet"),
    })
}

fn not_run(why: &str, place: usize) -> RecordOutcome {
    let error = Error::new(ErrorKind::Dependency, format!("not sent: {why}"));
    RecordOutcome::NotRun(error.with_record_index(place).with_delivery(Delivery::NotSent))
}

impl Places {
    /// How many chunks of a size they make.
    pub(crate) fn chunks(&self, size: usize) -> usize {
        self.len().div_ceil(size.max(1))
    }
}

/// How many chunks can be out at once: those of the widest stage of each group.
pub(crate) fn widest(groups: &[Vec<Stage>], families: &Families, size: impl Fn(usize) -> usize) -> usize {
    let width = |stage: &Stage| -> usize {
        stage.shares.iter().map(|share| families.width(share, size(share.operation))).sum()
    };
    groups.iter().map(|stages| stages.iter().map(width).max().unwrap_or(0)).sum()
}
