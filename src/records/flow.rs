//! Records from an iterator, however long, in bounded memory: prepare -> execute -> finish.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::brake::Brake;
use super::capabilities::Capabilities;
use super::config::Config;
use super::cut::Limits;
use super::executor::Executor;
use super::family::Sightings;
use super::kind::OperationKind;
use super::load::{Done, Load, bytes_around, bytes_of};
use super::operation::Operation;
use super::outcome::{RecordOutcome, SharedError};
use super::plan::Bulk;
use super::problem::{Problem, refuse};
use super::record::{Record, RecordId, Reference};
use super::schedule::{Item, Sizes, Step, limits, settled};
use super::seat::{Salvaged, Seats, Work};
use super::stats::RecordStats;
use super::store::RecordStore;
use crate::engine::batch::BatchCall;
use crate::engine::outcome::{Outcome, Status};
use crate::engine::stop::Signal;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// What is to become of the records of a [stream](Executor::stream): an operation without its records.
#[derive(Debug, Clone)]
pub struct Flow(Operation);

impl Flow {
    /// Makes new records.
    #[must_use]
    pub fn create(model: impl Into<String>) -> Self {
        Self(Operation::empty(OperationKind::Create, model))
    }

    /// Writes to each record its own values: objects with an `id`.
    #[must_use]
    pub fn update_each(model: impl Into<String>) -> Self {
        Self(Operation::empty(OperationKind::UpdateEach, model))
    }

    /// Deletes records: ids, or objects with an `id`.
    #[must_use]
    pub fn delete(model: impl Into<String>) -> Self {
        Self(Operation::empty(OperationKind::Delete, model))
    }

    /// Makes the records that are not there and updates the others; the key fields tell whether one is.
    #[must_use]
    pub fn upsert<I>(model: impl Into<String>, keys: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut operation = Operation::empty(OperationKind::Upsert, model);
        operation.keys = keys.into_iter().map(Into::into).collect();
        Self(operation)
    }

    /// What goes with every request. Defaults to nothing.
    #[must_use]
    pub fn context(self, context: impl Into<Value>) -> Self {
        Self(self.0.context(context))
    }

    /// Whether the ids of created records are wanted. Defaults to `true`.
    #[must_use]
    pub fn return_ids(self, return_ids: bool) -> Self {
        Self(self.0.return_ids(return_ids))
    }

    /// Keeps records off each other that have the same value in one of these fields: see
    /// [`Operation::group_by`]. Defaults to no fields.
    ///
    /// A record waits in memory while another one of its family is on its way, and those behind it go before
    /// it; when too many wait, the iterator does. An iterator that gives one long family after the other keeps
    /// one worker busy: mix them, where you can.
    #[must_use]
    pub fn group_by<I>(self, fields: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self(self.0.group_by(fields))
    }

    /// The operation that a record makes, with everything that is wrong with it.
    fn one(&self, record: &impl Serialize) -> std::result::Result<Operation, (Record, Error)> {
        let mut operation = Operation::nameless(self.0.kind, self.0.model.as_str());
        operation.keys.clone_from(&self.0.keys);
        let value = match serde_json::to_value(record) {
            Ok(value) => value,
            Err(e) => {
                let error =
                    Error::new(ErrorKind::Invalid, format!("the record cannot be written as JSON: {e}"));
                return Err((Record::new(), error.with_source(e)));
            }
        };
        let kept = value.as_object().cloned().map(Record::from).unwrap_or_default();
        let mut problems = Vec::new();
        match (self.0.kind, value) {
            (OperationKind::Delete, value) => {
                let id = value.as_object().and_then(|fields| fields.get("id")).unwrap_or(&value);
                match RecordId::from_json(id) {
                    Ok(id) => operation.ids.push(id),
                    Err(wrong) => problems.push(Problem::new(wrong).field("id")),
                }
            }
            (_, Value::Array(_)) => problems.push(Problem::new("an object was expected, not a list")),
            (_, value) => problems.extend(operation.take_records(value)),
        }
        if problems.is_empty() {
            problems.extend(operation.problems());
        }
        let mut refers = false;
        let values = operation.records.iter().flat_map(|record| record.as_map().values());
        values.for_each(|value| Reference::each_in(value, &mut |_| refers = true));
        if refers || operation.ids.iter().any(|id| id.reference().is_some()) {
            problems.push(Problem::new("a record of a stream cannot refer to one that is not made yet"));
        }
        match refuse(&problems) {
            Ok(()) => Ok(operation),
            Err(error) => Err((kept, error)),
        }
    }
}

/// One record of a stream, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamedRecord {
    /// Its place in the stream, from 0.
    pub index: usize,
    /// Its fields, with the id of one that is updated or deleted.
    pub record: Record,
    /// Its id in the store, where it is known.
    pub id: Option<RecordId>,
    /// What became of it.
    pub outcome: RecordOutcome,
}

impl<S: RecordStore> Executor<'_, S> {
    /// Sends the records of an iterator, however long, and hands each with its outcome to a sink, in order.
    ///
    /// Records are taken as workers ask for chunks, on this thread, and the sink runs on this thread too:
    /// memory holds the chunks that are on their way and no more, and a slow sink holds the workers back.
    /// A record that cannot be sent fails by itself. When the run is stopped, the rest of the iterator is
    /// left alone.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) before anything is sent, when the settings or the flow cannot be;
    /// [`rollback_on_error`](Self::rollback_on_error) is one of them, because what was applied is not kept.
    ///
    /// # Panics
    ///
    /// When the iterator or the sink panics: the run stops, its sessions are closed, and the panic goes on.
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Executor, Flow};
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// let rows = (0..10_000).map(|n| json!({"name": format!("partner {n}")}));
    /// let mut next = 0;
    /// let stats = Executor::new(&store).batch_size(500).stream(Flow::create("res.partner"), rows, |each| {
    ///     assert_eq!(each.index, next);
    ///     next += 1;
    /// })?;
    /// assert_eq!((stats.totals.created, stats.requests, next), (10_000, 20, 10_000));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "made for the call")]
    pub fn stream<I>(
        &self,
        flow: Flow,
        records: I,
        mut sink: impl FnMut(StreamedRecord),
    ) -> Result<RecordStats>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let config = &self.config;
        let capabilities = self.store.capabilities();
        refuse(&problems(&flow, config, &capabilities))?;
        let brake = config.brake();
        let (salvage, mut salvaged) = Salvaged::new();
        let work = Work {
            store: self.store,
            brake: &brake,
            manner: config.manner(&capabilities),
            bulks: &[],
            salvage,
            in_transaction: false,
        };
        let workers = if config.strategy.is_sequential() { 1 } else { config.max_concurrent };
        let around = bytes_around(&flow.0);
        let pipe = RefCell::new(Pipe {
            text_ids: capabilities.has_text_ids(),
            around,
            flow: &flow,
            records: records.into_iter(),
            sizes: config.sizes(capabilities.record_limit()),
            capabilities,
            brake: &brake,
            sightings: Sightings::new(if workers > 1 { &flow.0.group_by } else { &[] }),
            held: VecDeque::new(),
            out: HashMap::new(),
            finished: VecDeque::new(),
            taken: 0,
            told: 0,
            numbers: 0,
            window: workers.saturating_mul(8),
            wake: Signal::new(),
            ended: false,
            stats: RecordStats::default(),
        });
        let seats = Seats(self.store);
        let batch = config.batch(BatchCall::new(&seats)).max_concurrent(workers);
        // A chunk that lies ready has the size of the answer before the last.
        let batch = if pipe.borrow().is_auto() { batch.one_at_hand() } else { batch };
        let engine = batch.stream(
            std::iter::from_fn(|| pipe.borrow_mut().next()),
            |seat, item| work.step(seat, item),
            |outcome: Outcome<_>| {
                let (number, ran) = (outcome.index(), outcome.status() != Status::NotRun);
                let result = salvaged.result_of(outcome);
                let finished = pipe.borrow_mut().accept(number, ran, result);
                finished.into_iter().for_each(&mut sink);
            },
        )?;
        let (mut stats, rest) = pipe.into_inner().finish();
        rest.into_iter().for_each(&mut sink);
        stats.add_engine(&engine);
        Ok(stats)
    }
}

fn problems(flow: &Flow, config: &Config, capabilities: &Capabilities) -> Vec<Problem> {
    let mut problems = config.problems();
    if flow.0.model.trim().is_empty() {
        problems.push(Problem::new("the model is missing").field("model"));
    }
    if !flow.0.context.is_object() {
        problems.push(Problem::new("the context is an object").field("context"));
    }
    if flow.0.kind == OperationKind::Upsert && flow.0.keys.is_empty() {
        problems.push(
            Problem::new("an upsert needs the fields that tell whether a record is there").field("keys"),
        );
    }
    flow.0.group_problems(&mut problems);
    if !capabilities.has(flow.0.kind) {
        problems.push(Problem::new(format!("the store has no {}", flow.0.kind)));
    }
    if config.rollback_on_error {
        problems.push(Problem::new("a stream cannot be rolled back: what was applied is not kept"));
    }
    if config.dry_run {
        problems.push(Problem::new("a stream cannot be run dry: its records would be used up"));
    }
    problems
}

/// How many records are refused in a row before the sink hears of them.
const REFUSED: usize = 1000;

/// Between the iterator, the engine and the sink.
struct Pipe<'a, I> {
    flow: &'a Flow,
    records: I,
    sizes: Sizes,
    capabilities: Capabilities,
    text_ids: bool,
    around: usize,
    brake: &'a Brake,
    sightings: Sightings<'a>,
    /// Records whose families are on their way, and one that did not fit in the last chunk any more.
    held: VecDeque<(usize, Operation)>,
    out: HashMap<usize, Arc<Step<'a>>>,
    /// What is known of the records from `told` on.
    finished: VecDeque<Option<StreamedRecord>>,
    taken: usize,
    told: usize,
    numbers: usize,
    /// How many chunks the first unfinished one may lag behind.
    window: usize,
    wake: Signal,
    ended: bool,
    stats: RecordStats,
}

impl<'a, I> Pipe<'a, I>
where
    I: Iterator,
    I::Item: Serialize,
{
    fn next(&mut self) -> Option<Item<'a>> {
        if (self.ended && self.held.is_empty()) || self.brake.is_pulled() {
            return None;
        }
        // Chunks that wait for an earlier one to be told are memory: the iterator waits, too. What a family held
        // up is in memory already, and may be what they wait for.
        let may_cut = !self.is_behind() || (self.sightings.is_used() && !self.held.is_empty());
        let step = if may_cut { self.cut()? } else { self.wait() };
        let (number, step) = (self.numbers, Arc::new(step));
        self.numbers += 1;
        self.out.insert(number, Arc::clone(&step));
        Some(Item::new(number, step))
    }

    fn wait(&self) -> Step<'a> {
        Step::Wait(self.wake.receiver().clone())
    }

    fn is_auto(&self) -> bool {
        matches!(self.sizes, Sizes::Auto(_))
    }

    fn is_behind(&self) -> bool {
        let Limits { records, .. } =
            limits(&self.sizes, &self.capabilities, Bulk { whole: false, light: false }, None);
        self.finished.len() >= records.saturating_mul(self.window)
    }

    /// Takes records for the next chunk; those that cannot be sent are finished here.
    fn cut(&mut self) -> Option<Step<'a>> {
        let Limits { records, bytes, .. } =
            limits(&self.sizes, &self.capabilities, Bulk { whole: false, light: false }, None);
        let mut load = Load {
            index: 0,
            operation: Cow::Borrowed(&self.flow.0),
            records: Cow::Owned(Vec::new()),
            ids: Cow::Owned(Vec::new()),
            places: Vec::new(),
        };
        let mut sum = self.around;
        let mut held = std::mem::take(&mut self.held);
        let mut still_held = VecDeque::new();
        let (is_behind, most_held) = (self.is_behind(), records.saturating_mul(self.window));
        while load.places.len() < records {
            let next = match held.pop_front() {
                None if is_behind || still_held.len() >= most_held => None,
                None => self.take_one(),
                next => next,
            };
            let Some((index, one)) = next else { break };
            if one.records.iter().any(|record| self.sightings.meets(record)) {
                still_held.push_back((index, one));
                continue;
            }
            if let Some(most) = bytes {
                let own = bytes_of(&one, 0);
                if self.around + own > most {
                    let message = format!("it has {own} bytes, and the store takes {most} in a request");
                    self.refused(index, one.input(0), Error::new(ErrorKind::Invalid, message));
                    continue;
                }
                if sum + own > most && !load.places.is_empty() {
                    still_held.push_back((index, one));
                    break;
                }
                sum += own;
            }
            load.places.push(index);
            load.records.to_mut().extend(one.records);
            load.ids.to_mut().extend(one.ids);
        }
        still_held.append(&mut held);
        self.held = still_held;
        if !load.places.is_empty() {
            self.sightings.send_out(&*load.records);
            return Some(Step::Send(load));
        }
        if !self.held.is_empty() {
            return Some(self.wait());
        }
        if self.ended {
            return None;
        }
        // Many in a row were refused: the sink hears of them before more are taken.
        let over = Signal::new();
        over.raise();
        Some(Step::Wait(over.receiver().clone()))
    }

    fn take_one(&mut self) -> Option<(usize, Operation)> {
        for _ in 0..REFUSED {
            let Some(record) = self.records.next() else {
                self.ended = true;
                return None;
            };
            let index = self.taken;
            self.taken += 1;
            self.finished.push_back(None);
            match self.flow.one(&record) {
                Ok(one) if !self.text_ids && one.ids.iter().any(|id| id.as_str().is_some()) => {
                    let error = Error::new(ErrorKind::Invalid, "the store's ids are whole numbers, not text");
                    self.refused(index, one.input(0), error);
                }
                Ok(one) => return Some((index, one)),
                Err((kept, error)) => self.refused(index, kept, error),
            }
        }
        None
    }

    fn refused(&mut self, index: usize, record: Record, error: Error) {
        let error = error.with_record_index(index).with_delivery(Delivery::NotSent);
        self.put(StreamedRecord { index, record, id: None, outcome: RecordOutcome::Failed(error) });
    }

    fn put(&mut self, record: StreamedRecord) {
        self.stats.totals.count(&record.outcome);
        let at = record.index - self.told;
        self.finished[at] = Some(record);
    }

    /// Takes in what became of a chunk, and gives out what can be told now.
    fn accept(&mut self, number: usize, ran: bool, result: Result<Done>) -> Vec<StreamedRecord> {
        if let Some(step) = self.out.remove(&number)
            // Mostly the worker has let go of it.
            && let Step::Send(load) = Arc::try_unwrap(step).unwrap_or_else(|shared| (*shared).clone())
        {
            self.sightings.bring_back(&*load.records);
            self.sent(load, ran, result);
        }
        let told = self.tell();
        if !self.is_behind() || !self.held.is_empty() {
            std::mem::replace(&mut self.wake, Signal::new()).raise();
        }
        told
    }

    fn sent(&mut self, load: Load<'a>, ran: bool, result: Result<Done>) {
        let done = settled(&load, ran, result);
        done.samples.iter().for_each(|sample| self.stats.add_request(sample.records));
        if let Sizes::Auto(auto) = &mut self.sizes {
            auto.learn(&done.samples);
        }
        let mut matched: HashMap<usize, RecordId> = done.matched.into_iter().collect();
        let mut records = load.records.into_owned().into_iter();
        let mut ids = load.ids.into_owned().into_iter();
        for (at, (index, outcome)) in load.places.into_iter().zip(done.outcomes).enumerate() {
            let mut record = records.next().unwrap_or_default();
            let given = ids.next();
            if let Some(id) = &given {
                record.insert("id", id.to_json());
            }
            let outcome = outcome.unwrap_or_else(|| {
                let error = Error::new(ErrorKind::Cancelled, "not sent").with_delivery(Delivery::NotSent);
                RecordOutcome::NotRun(error.with_record_index(index))
            });
            let id = outcome.id().cloned().or_else(|| matched.remove(&at)).or(given);
            let outcome = outcome.labelled(&self.flow.0.model);
            self.put(StreamedRecord { index, record, id, outcome });
        }
    }

    /// The records that can be told in order.
    fn tell(&mut self) -> Vec<StreamedRecord> {
        let mut told = Vec::new();
        while let Some(Some(_)) = self.finished.front() {
            told.extend(self.finished.pop_front().flatten());
            self.told += 1;
        }
        told
    }

    /// When nothing is on its way any more.
    fn finish(mut self) -> (RecordStats, Vec<StreamedRecord>) {
        let why = if self.brake.is_pulled() {
            self.brake.why()
        } else {
            Error::new(ErrorKind::Cancelled, "not sent: the run was stopped").with_delivery(Delivery::NotSent)
        };
        let why = SharedError::new(why);
        for (index, one) in std::mem::take(&mut self.held) {
            let outcome = RecordOutcome::NotRun(why.at(index));
            self.put(StreamedRecord { index, record: one.input(0), id: None, outcome });
        }
        let told = self.tell();
        (self.stats, told)
    }
}
