//! What goes out next, and what follows from what came back: stages, the brake, the way back.
//!
//! Lives on the caller's thread, between the engine's stream of items and its sink.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crossbeam_channel::Receiver;

use super::brake::Brake;
use super::capabilities::Capabilities;
use super::compensate::{Undo, stays, undo, undone};
use super::cut::{Group, Limits, Next};
use super::family::Families;
use super::load::{Done, Load};
use super::operation::{Operation, now};
use super::outcome::{RecordOutcome, SharedError};
use super::plan::Bulk;
use super::size::AutoSize;
use super::slots::Slots;
use super::stats::RecordStats;
use super::waves::Directory;
use crate::engine::stop::{Never, Signal};
use crate::error::{Delivery, Error, ErrorKind, Result};

/// What a worker is to do.
#[derive(Debug, Clone)]
pub(crate) enum Step<'a> {
    /// Send a chunk.
    Send(Load<'a>),
    /// Undo one.
    Undo(Load<'a>),
    Begin,
    Commit,
    RollBack,
    /// Wait until something has come back: the iterator of items may not block, and may not end yet.
    Wait(Receiver<Never>),
}

/// A step on its way to a worker.
pub(crate) struct Item<'a> {
    pub(crate) number: usize,
    /// Taken by the worker, so that it has let go of it when its outcome is told.
    step: Cell<Option<Arc<Step<'a>>>>,
}

impl<'a> Item<'a> {
    pub(crate) fn new(number: usize, step: Arc<Step<'a>>) -> Self {
        Self { number, step: Cell::new(Some(step)) }
    }

    /// The step; nothing when it was taken before.
    pub(crate) fn take(&self) -> Option<Arc<Step<'a>>> {
        self.step.take()
    }
}

/// What happens to what was applied when a record fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    /// It stays.
    Stays,
    /// It is undone, step by step.
    Compensated,
    /// Everything is one transaction.
    Transaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Forward,
    Back,
    /// Waiting for the outcome of the one step that decides.
    Turning,
    Over,
}

/// When an operation was at work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) started_at: SystemTime,
    pub(crate) finished_at: SystemTime,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

/// How large chunks are.
pub(crate) enum Sizes {
    Fixed(usize),
    Auto(AutoSize),
}

pub(crate) struct Schedule<'a> {
    pub(crate) operations: &'a [Operation],
    pub(crate) directory: Directory,
    pub(crate) groups: Vec<Group>,
    /// Which operation is of which group.
    pub(crate) group_of: Vec<usize>,
    pub(crate) slots: Slots,
    families: Families,
    pub(crate) sizes: Sizes,
    pub(crate) capabilities: Capabilities,
    pub(crate) bulks: &'a [Bulk],
    /// How many sessions there will be at most.
    pub(crate) sessions: usize,
    pub(crate) back: Back,
    pub(crate) brake: &'a Brake,
    pub(crate) stats: RecordStats,
    pub(crate) spans: Vec<Option<Span>>,
    phase: Phase,
    undo: Vec<Undo<'a>>,
    /// The records of the transaction.
    within: Vec<(usize, usize)>,
    /// What is out, and since when.
    out: HashMap<usize, (Arc<Step<'a>>, Instant)>,
    numbers: usize,
    turn: usize,
    wake: Signal,
    /// Why the rest did not run, as the engine told it.
    reason: Option<SharedError>,
}

impl<'a> Schedule<'a> {
    #[expect(clippy::too_many_arguments, reason = "made in one place")]
    pub(crate) fn new(
        operations: &'a [Operation],
        directory: Directory,
        groups: Vec<Group>,
        group_of: Vec<usize>,
        slots: Slots,
        families: Families,
        sizes: Sizes,
        capabilities: Capabilities,
        bulks: &'a [Bulk],
        sessions: usize,
        back: Back,
        brake: &'a Brake,
    ) -> Self {
        let phase = if back == Back::Transaction { Phase::Begin } else { Phase::Forward };
        Self {
            spans: vec![None; operations.len()],
            operations,
            directory,
            groups,
            group_of,
            slots,
            families,
            sizes,
            capabilities,
            bulks,
            sessions,
            back,
            brake,
            stats: RecordStats::default(),
            phase,
            undo: Vec::new(),
            within: Vec::new(),
            out: HashMap::new(),
            numbers: 0,
            turn: 0,
            wake: Signal::new(),
            reason: None,
        }
    }

    /// The next step; `None` when no other one will come.
    pub(crate) fn next(&mut self) -> Option<Item<'a>> {
        let step = match self.phase {
            Phase::Begin => {
                self.phase = Phase::Turning;
                Step::Begin
            }
            Phase::Forward => self.forward()?,
            Phase::Turning => self.wait(),
            Phase::Back => self.back()?,
            Phase::Over => return None,
        };
        let (number, step) = (self.numbers, Arc::new(step));
        self.numbers += 1;
        self.out.insert(number, (Arc::clone(&step), Instant::now()));
        Some(Item::new(number, step))
    }

    /// How many records the next request has at most, where that follows the server.
    fn share(&self) -> Option<usize> {
        let Sizes::Auto(auto) = &self.sizes else { return None };
        let left = self.groups.iter().map(Group::left).sum();
        let under_way = |(step, since): &(Arc<Step<'_>>, Instant)| match &**step {
            Step::Send(load) => auto.still_to_do(load.places.len(), since.elapsed()),
            _ => 0,
        };
        Some(auto.share(left, self.out.values().map(under_way).sum(), self.sessions))
    }

    fn wait(&self) -> Step<'a> {
        Step::Wait(self.wake.receiver().clone())
    }

    fn forward(&mut self) -> Option<Step<'a>> {
        let stopped = self.brake.is_pulled();
        let out: usize = self.groups.iter().map(|group| group.out).sum();
        // A chunk that is cut when a session is free for it has the size that the last answer says.
        let late = matches!(self.sizes, Sizes::Auto(_));
        if late && !stopped && out >= self.sessions && !self.groups.iter().all(Group::is_cut) {
            return Some(self.wait());
        }
        if !stopped {
            let share = self.share();
            for offset in 0..self.groups.len() {
                let turn = (self.turn + offset) % self.groups.len();
                let (sizes, bulks, capabilities) = (&self.sizes, self.bulks, &self.capabilities);
                let limits = |index: usize| limits(sizes, capabilities, bulks[index], share);
                let next = self.groups[turn].next(
                    self.operations,
                    &self.directory,
                    &mut self.slots,
                    &mut self.families,
                    limits,
                );
                if let Next::Load(load) = next {
                    self.turn = turn + 1;
                    return Some(Step::Send(load));
                }
            }
        }
        let cut = stopped || self.groups.iter().all(Group::is_cut);
        if out > 0 {
            // Where nothing follows, the workers may leave as they finish.
            return if cut && self.back == Back::Stays { None } else { Some(self.wait()) };
        }
        match self.back {
            Back::Stays => None,
            Back::Compensated if stopped => {
                self.phase = Phase::Back;
                self.back()
            }
            Back::Compensated => {
                self.phase = Phase::Over;
                None
            }
            Back::Transaction => {
                self.phase = Phase::Turning;
                Some(if stopped { Step::RollBack } else { Step::Commit })
            }
        }
    }

    fn back(&mut self) -> Option<Step<'a>> {
        // One at a time: the order is the point.
        if self.out.values().any(|(step, _)| matches!(**step, Step::Undo(_))) {
            return Some(self.wait());
        }
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Load(load) => return Some(Step::Undo(load)),
                Undo::Impossible { index, places, why } => {
                    for place in places {
                        self.stays((index, place), why, ErrorKind::Other);
                    }
                }
            }
        }
        self.phase = Phase::Over;
        None
    }

    fn stays(&mut self, (index, place): (usize, usize), why: &str, kind: ErrorKind) {
        let id = self.slots.id((index, place)).cloned();
        let outcome = stays(&self.operations[index], place, id.as_ref(), why, kind);
        self.slots.set((index, place), outcome);
    }

    /// Takes in what became of a step.
    pub(crate) fn accept(&mut self, number: usize, ran: bool, result: Result<Done>) {
        let Some((step, _)) = self.out.remove(&number) else { return };
        if let Err(error) = &result
            && !ran
            && self.reason.is_none()
        {
            self.reason = Some(SharedError::new(SharedError::copy_of(error)));
        }
        if ran && matches!(*step, Step::Begin | Step::Commit | Step::RollBack) {
            self.stats.add_request(0);
        }
        let mut freed = false;
        match &*step {
            Step::Wait(_) => {
                if let Err(error) = result {
                    self.reason.get_or_insert(SharedError::new(error));
                }
                return;
            }
            Step::Begin => match result {
                Ok(_) => self.phase = Phase::Forward,
                Err(error) => {
                    self.reason.get_or_insert(SharedError::new(error));
                    self.phase = Phase::Over;
                }
            },
            Step::Commit => {
                self.phase = Phase::Over;
                if let Err(error) = result {
                    self.commit_failed(error);
                }
            }
            // What a session does not undo is undone when it is closed.
            Step::RollBack => {
                self.phase = Phase::Over;
                self.rolled_back();
            }
            Step::Send(load) => {
                freed = self.families.bring_back(load.index, &load.places);
                self.sent(load, ran, result);
            }
            Step::Undo(load) => self.undone(load, ran, result),
        }
        let late = matches!(self.sizes, Sizes::Auto(_));
        let waiting =
            late || freed || self.brake.is_pulled() || self.groups.iter().any(|group| group.out == 0);
        if waiting || self.phase != Phase::Forward {
            std::mem::replace(&mut self.wake, Signal::new()).raise();
        }
    }

    fn sent(&mut self, load: &Load<'_>, ran: bool, result: Result<Done>) {
        self.groups[self.group_of[load.index]].out -= 1;
        let mut done = settled(load, ran, result);
        self.note_requests(load.index, &done);
        if self.back == Back::Compensated {
            let steps = undo(load, &mut done, self.operations, &self.capabilities);
            self.undo.extend(steps);
        }
        if self.back == Back::Transaction {
            self.within.extend(load.places.iter().map(|&place| (load.index, place)));
        }
        for (at, id) in done.matched {
            self.slots.set_matched((load.index, load.places[at]), id);
        }
        for (&place, outcome) in load.places.iter().zip(done.outcomes) {
            if let Some(outcome) = outcome {
                let model = &self.operations[load.index].model;
                self.slots.set((load.index, place), outcome.labelled(model));
            }
        }
    }

    fn undone(&mut self, load: &Load<'_>, ran: bool, result: Result<Done>) {
        let done = settled(load, ran, result);
        self.note_requests(load.index, &done);
        let model = self.operations[load.index].model.as_str();
        for ((&place, id), outcome) in load.places.iter().zip(load.ids.iter()).zip(done.outcomes) {
            if let Some(outcome) = outcome {
                self.slots.set((load.index, place), undone(outcome, model, id));
            }
        }
    }

    fn note_requests(&mut self, index: usize, done: &Done) {
        done.samples.iter().for_each(|sample| self.stats.add_request(sample.records));
        if let Sizes::Auto(auto) = &mut self.sizes {
            auto.learn(&done.samples);
        }
        let Some(took) = done.samples.iter().map(|sample| sample.took).reduce(|a, b| a + b) else { return };
        let (ended, finished_at) = (Instant::now(), now());
        let began = ended.checked_sub(took).unwrap_or(ended);
        let started_at = finished_at.checked_sub(took).unwrap_or(finished_at);
        let span = self.spans[index].get_or_insert(Span { started_at, finished_at, began, ended });
        span.started_at = span.started_at.min(started_at);
        span.began = span.began.min(began);
        (span.finished_at, span.ended) = (finished_at, ended);
    }

    fn commit_failed(&mut self, error: Error) {
        let error = SharedError::new(match (error.delivery(), error.kind()) {
            (None, ErrorKind::Rejected | ErrorKind::Conflict | ErrorKind::Database | ErrorKind::Invalid) => {
                error
            }
            (None, _) => error.with_delivery(Delivery::MaybeSent),
            _ => error,
        });
        for spot in std::mem::take(&mut self.within) {
            self.slots.change(spot, |outcome| match outcome {
                outcome if outcome.is_success() => RecordOutcome::of_error(error.at(spot.1)),
                outcome => outcome,
            });
        }
    }

    fn rolled_back(&mut self) {
        for spot in std::mem::take(&mut self.within) {
            self.slots.change(spot, |outcome| match outcome {
                RecordOutcome::InDoubt(_) => RecordOutcome::RolledBack,
                outcome if outcome.is_success() => RecordOutcome::RolledBack,
                outcome => outcome,
            });
        }
    }

    /// When no step will run any more: every record gets its outcome. `stopped` is why, if that is known.
    pub(crate) fn finish(&mut self, stopped: Option<Error>) -> SharedError {
        let reason = if self.brake.is_pulled() && self.reason.is_none() {
            SharedError::new(self.brake.why())
        } else {
            self.reason.take().or_else(|| stopped.map(SharedError::new)).unwrap_or_else(|| {
                SharedError::new(Error::new(ErrorKind::Cancelled, "not run, no worker was left"))
            })
        };
        match self.back {
            // The session was closed within it.
            Back::Transaction if self.phase != Phase::Over => self.rolled_back(),
            Back::Compensated if self.phase != Phase::Over => {
                let why = format!("the batch ended before: {}", reason.get().message());
                for undo in std::mem::take(&mut self.undo) {
                    let (index, places) = match undo {
                        Undo::Load(load) => (load.index, load.places),
                        Undo::Impossible { index, places, .. } => (index, places),
                    };
                    for place in places {
                        self.stays((index, place), &why, reason.get().kind());
                    }
                }
            }
            _ => {}
        }
        reason
    }
}

/// How much of an operation goes in one request; `share`: no more than that, unless it goes as a whole.
pub(crate) fn limits(sizes: &Sizes, capabilities: &Capabilities, bulk: Bulk, share: Option<usize>) -> Limits {
    let size = match sizes {
        _ if bulk.whole => usize::MAX,
        Sizes::Fixed(size) => *size,
        Sizes::Auto(auto) => share.unwrap_or(auto.size()),
    };
    let most = capabilities.record_limit().unwrap_or(usize::MAX).max(1);
    Limits {
        records: size.min(most),
        bytes: capabilities.byte_limit().filter(|_| !bulk.light),
        whole: bulk.whole,
    }
}

/// What became of a chunk, also when the worker could not tell.
pub(crate) fn settled(load: &Load<'_>, ran: bool, result: Result<Done>) -> Done {
    result.unwrap_or_else(|error| {
        let error = SharedError::new(error);
        let outcome = |&place: &usize| {
            let error = error.at(place);
            Some(if ran { RecordOutcome::of_error(error) } else { RecordOutcome::NotRun(error) })
        };
        Done { outcomes: load.places.iter().map(outcome).collect(), ..Done::default() }
    })
}
