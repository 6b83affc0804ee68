//! One chunk on one session, to the last record: send, read the answer, find the bad ones.
//!
//! The rule of it all: a record is sent again only if it is known that it was not applied.

use std::collections::HashMap;
use std::time::Instant;

use super::brake::Brake;
use super::chunk::{Answer, Applied, Chunk};
use super::kind::OperationKind;
use super::load::{Done, Gathered, Sample};
use super::outcome::{RecordOutcome, SharedError};
use super::record::RecordId;
use super::size::is_too_large;
use super::store::RecordStore;
use crate::engine::connect::Worker;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// How a chunk is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) atomic: [bool; OperationKind::ALL.len()],
    /// Whether a chunk that is refused is taken apart.
    pub(crate) isolate: bool,
    /// Whether it is all or nothing first, and then so many at once.
    pub(crate) optimistic: Option<usize>,
    /// Whether what an update overwrites is read first.
    pub(crate) remember: bool,
}

/// One chunk on one session.
pub(crate) struct Run<'a, S: RecordStore> {
    pub(crate) store: &'a S,
    pub(crate) session: &'a mut S::Session,
    pub(crate) worker: &'a Worker,
    /// `None` when undoing: that goes on whatever fails.
    pub(crate) brake: Option<&'a Brake>,
    pub(crate) manner: Manner,
    pub(crate) done: Done,
    /// The records of the request that is out.
    out: Vec<usize>,
    /// Why the rest of the chunk is not sent.
    over: Option<SharedError>,
    /// Where the records of a part are that was gathered from the chunk.
    map: Option<Vec<usize>>,
}

/// What came of a request.
enum Sent {
    /// Every record has its outcome, and all of them are fine.
    Clean,
    /// Every record has its outcome.
    Settled,
    /// Nothing was applied, because of a record.
    Refused(Error),
    /// Nothing was applied, because it was too much.
    TooLarge(Error),
    /// Nothing was applied to these, because of others that have their outcome.
    Again(Vec<usize>),
}

impl<'a, S: RecordStore> Run<'a, S> {
    pub(crate) fn new(
        store: &'a S,
        session: &'a mut S::Session,
        worker: &'a Worker,
        brake: Option<&'a Brake>,
        manner: Manner,
    ) -> Self {
        let (done, out) = (Done::default(), Vec::new());
        Self { store, session, worker, brake, manner, done, out, over: None, map: None }
    }

    /// Sends a chunk, and sees to it that each of its records has an outcome.
    pub(crate) fn run(&mut self, chunk: Chunk<'_>) {
        self.done.outcomes.resize_with(chunk.len(), || None);
        if self.manner.remember
            && matches!(chunk.kind(), OperationKind::Update | OperationKind::UpdateEach)
            && let Err(error) = self.remember(chunk)
        {
            self.fail_all(chunk, 0, error.with_delivery(Delivery::NotSent));
            return;
        }
        match self.manner.optimistic {
            Some(size) if size < chunk.len() => self.try_whole(chunk, size),
            _ => {
                self.search(chunk, 0, false);
            }
        }
    }

    /// After a panic of the store: what was out is in doubt, and the rest was not sent.
    pub(crate) fn panicked(&mut self, chunk: Chunk<'_>) {
        self.map = None;
        let out = std::mem::take(&mut self.out);
        // Where nothing was out, it was before the chunk was sent: that is what it failed of.
        let not_sent: fn(Error) -> RecordOutcome =
            if out.is_empty() { RecordOutcome::Failed } else { RecordOutcome::NotRun };
        for at in out {
            let error =
                Error::new(ErrorKind::Panicked, "the store panicked while this record was on its way");
            let error = error.with_record_index(chunk.places[at]).with_delivery(Delivery::MaybeSent);
            self.settle(at, RecordOutcome::InDoubt(error));
        }
        for at in 0..chunk.len() {
            if self.done.outcomes[at].is_none() {
                let error = Error::new(ErrorKind::Panicked, "not sent: the store panicked before");
                let error = error.with_record_index(chunk.places[at]).with_delivery(Delivery::NotSent);
                self.settle(at, not_sent(error));
            }
        }
    }

    /// Reads what an update is going to overwrite.
    fn remember(&mut self, chunk: Chunk<'_>) -> Result<()> {
        let mut fields: Vec<&str> = chunk.values().iter().map(|(name, _)| name.as_str()).collect();
        fields.extend(chunk.records.iter().flat_map(|record| record.iter().map(|(name, _)| name.as_str())));
        fields.sort_unstable();
        fields.dedup();
        self.may_send()?;
        let began = Instant::now();
        let read = self.store.read(self.session, chunk.model(), chunk.ids, &fields);
        self.done.samples.push(Sample { records: 0, took: began.elapsed(), error: None });
        let read = read?;
        if read.len() != chunk.len() {
            let message = format!("{} records were asked for, and {} came", chunk.len(), read.len());
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        self.done.before = read;
        Ok(())
    }

    /// The whole chunk in one request, and in parts of `size` only if it is known that nothing was applied.
    fn try_whole(&mut self, chunk: Chunk<'_>, size: usize) {
        match self.send(chunk, 0) {
            Sent::Clean | Sent::Settled => {}
            Sent::Refused(_) | Sent::TooLarge(_) => {
                for start in (0..chunk.len()).step_by(size) {
                    let end = (start + size).min(chunk.len());
                    self.search(chunk.slice(start..end), start, false);
                }
            }
            Sent::Again(rest) => self.again(chunk, 0, &rest),
        }
    }

    /// Sends a part of the chunk, which begins at `first` in it, and halves it until the bad records are
    /// found. `refused`: it is known that there is one in it. Tells whether all is fine.
    fn search(&mut self, chunk: Chunk<'_>, first: usize, refused: bool) -> bool {
        // A part of one record is sent in any case: the error is to be its own.
        let only_size = if refused && chunk.len() > 1 {
            false
        } else {
            match self.send(chunk, first) {
                Sent::Clean => return true,
                Sent::Settled => return false,
                Sent::Again(rest) => {
                    self.again(chunk, first, &rest);
                    return false;
                }
                Sent::Refused(error) => {
                    if chunk.len() == 1 || !self.manner.isolate {
                        self.fail_all(chunk, first, error);
                        return false;
                    }
                    if let Some(bad) = error.record_index().filter(|&bad| bad < chunk.len()) {
                        let error = error.with_record_index(chunk.places[bad]);
                        self.settle(first + bad, RecordOutcome::Failed(error));
                        let rest: Vec<usize> = (0..chunk.len()).filter(|&at| at != bad).collect();
                        self.again(chunk, first, &rest);
                        return false;
                    }
                    false
                }
                Sent::TooLarge(error) => {
                    if chunk.len() == 1 {
                        self.fail_all(chunk, first, error);
                        return false;
                    }
                    true
                }
            }
        };
        let middle = chunk.len() / 2;
        let left = self.search(chunk.slice(0..middle), first, false);
        // The left half went through: what was refused is in the right one.
        let right = self.search(chunk.slice(middle..chunk.len()), first + middle, left && !only_size);
        left && right
    }

    /// Sends those records of a part again that were not applied because of others.
    fn again(&mut self, chunk: Chunk<'_>, first: usize, rest: &[usize]) {
        if rest.is_empty() {
            return;
        }
        if !self.manner.isolate {
            let message = "not applied: the store refused other records of the same request";
            for &at in rest {
                let error = Error::new(ErrorKind::Dependency, message).with_record_index(chunk.places[at]);
                self.settle(first + at, RecordOutcome::NotRun(error.with_delivery(Delivery::NotSent)));
            }
            return;
        }
        let gathered = Gathered::new(chunk, rest);
        let map = rest.iter().map(|&at| self.own(first + at)).collect();
        let outer = self.map.replace(map);
        self.search(gathered.chunk(), 0, false);
        self.map = outer;
    }

    /// The place in this run's chunk of a record of the part that is being sent.
    fn own(&self, at: usize) -> usize {
        self.map.as_ref().map_or(at, |map| map[at])
    }

    fn may_send(&self) -> Result<()> {
        if let Some(over) = &self.over {
            return Err(over.copy());
        }
        if let Some(brake) = self.brake.filter(|brake| brake.is_pulled()) {
            return Err(brake.why());
        }
        self.worker.check()
    }

    /// One request.
    fn send(&mut self, chunk: Chunk<'_>, first: usize) -> Sent {
        if let Err(why) = self.may_send() {
            let why = SharedError::new(why);
            for at in 0..chunk.len() {
                self.settle(first + at, RecordOutcome::NotRun(why.at(chunk.places[at])));
            }
            return Sent::Settled;
        }
        self.out = (first..first + chunk.len()).map(|at| self.own(at)).collect();
        let began = Instant::now();
        let answer = match chunk.kind() {
            OperationKind::Create => self.store.create(self.session, &chunk),
            OperationKind::Update => self.store.update(self.session, &chunk),
            OperationKind::UpdateEach => self.store.update_each(self.session, &chunk),
            OperationKind::Delete => self.store.delete(self.session, &chunk),
            OperationKind::Upsert => self.store.upsert(self.session, &chunk),
        };
        let took = began.elapsed();
        self.out.clear();
        let mut sample = Sample { records: chunk.len(), took, error: None };
        match answer {
            Ok(answer) => {
                self.done.samples.push(sample);
                self.read(chunk, first, answer)
            }
            Err(error) => {
                let error = SharedError::new(error);
                sample.error = Some(error.copy());
                self.done.samples.push(sample);
                self.judge(chunk, first, &error)
            }
        }
    }

    /// What an error of a whole request means for its records.
    fn judge(&mut self, chunk: Chunk<'_>, first: usize, error: &SharedError) -> Sent {
        let is = error.get();
        if is_too_large(is) {
            return Sent::TooLarge(error.copy());
        }
        if is.delivery() != Some(Delivery::NotSent) && !is.is_in_doubt() && self.may_be_applied(chunk, is) {
            return self.end(chunk, first, error.copy().with_delivery(Delivery::MaybeSent));
        }
        if is_about_a_record(is, chunk.kind()) && !is.is_in_doubt() {
            return Sent::Refused(error.copy());
        }
        self.end(chunk, first, error.copy())
    }

    /// Whether some of a chunk may have been applied although its answer is an error.
    fn may_be_applied(&self, chunk: Chunk<'_>, error: &Error) -> bool {
        match error.kind() {
            // Refused at the door, before anything was looked at.
            ErrorKind::Auth | ErrorKind::SeatLimit | ErrorKind::Forbidden | ErrorKind::RateLimited => false,
            ErrorKind::Invalid | ErrorKind::Cancelled | ErrorKind::Journal => false,
            // An answer, but of no use.
            ErrorKind::Protocol => true,
            // The wire broke, and nobody says when.
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Interrupted | ErrorKind::Unavailable => {
                error.delivery().is_none()
            }
            _ => chunk.len() > 1 && !self.manner.atomic[chunk.kind() as usize],
        }
    }

    /// An error that is not a record's: it holds for all of them, and ends the chunk.
    fn end(&mut self, chunk: Chunk<'_>, first: usize, error: Error) -> Sent {
        let why = if error.is_in_doubt() {
            Error::new(error.kind(), "not sent: an earlier part of the same chunk got no answer")
        } else {
            Error::new(error.kind(), format!("not sent: an earlier part of the same chunk failed: {error}"))
        };
        self.over = Some(SharedError::new(why.with_delivery(Delivery::NotSent)));
        self.fail_all(chunk, first, error);
        Sent::Settled
    }

    fn fail_all(&mut self, chunk: Chunk<'_>, first: usize, error: Error) {
        let error = SharedError::new(error);
        for at in 0..chunk.len() {
            self.settle(first + at, RecordOutcome::of_error(error.at(chunk.places[at])));
        }
    }

    /// Reads an answer, record by record.
    fn read(&mut self, chunk: Chunk<'_>, first: usize, answer: Answer) -> Sent {
        if answer.len() != chunk.len() {
            let message =
                format!("{} records were sent, and {} are in the answer", chunk.len(), answer.len());
            let error = Error::new(ErrorKind::Protocol, message).with_delivery(Delivery::MaybeSent);
            return self.end(chunk, first, error);
        }
        let twice = ids_told_twice(&answer);
        let refused = answer.iter().any(Result::is_err);
        let mut again = Vec::new();
        let mut clean = true;
        for (at, applied) in answer.into_iter().enumerate() {
            let place = chunk.places[at];
            let outcome = match applied {
                Ok(Applied::Withheld) if refused => {
                    again.push(at);
                    continue;
                }
                Ok(Applied::Created(id)) if twice.contains_key(&id) => {
                    ambiguous(format!("id {id} was told for two records"), place)
                }
                Ok(applied) => match self.outcome_of(applied, chunk.kind(), first + at) {
                    Ok(outcome) => outcome,
                    Err(message) => ambiguous(message, place),
                },
                Err(error) => RecordOutcome::of_error(error.with_record_index(place)),
            };
            clean &= outcome.is_success();
            self.settle(first + at, outcome);
        }
        if !again.is_empty() {
            Sent::Again(again)
        } else if clean {
            Sent::Clean
        } else {
            Sent::Settled
        }
    }

    /// The outcome that a store's word for it is; the error is a word that does not fit.
    fn outcome_of(
        &mut self,
        applied: Applied,
        kind: OperationKind,
        at: usize,
    ) -> std::result::Result<RecordOutcome, String> {
        use OperationKind::{Create, Delete, Update, UpdateEach, Upsert};
        match (applied, kind) {
            (Applied::Created(id), Create | Upsert) => Ok(RecordOutcome::Created(id)),
            (Applied::Updated, Update | UpdateEach | Upsert) => Ok(RecordOutcome::Updated),
            (Applied::Matched(id), Update | UpdateEach | Upsert) => {
                let at = self.own(at);
                self.done.matched.push((at, id));
                Ok(RecordOutcome::Updated)
            }
            (Applied::Deleted, Delete) => Ok(RecordOutcome::Deleted),
            (Applied::Unchanged, Update | UpdateEach | Upsert) => Ok(RecordOutcome::Unchanged),
            (applied, kind) => Err(format!("the store answered {applied:?} to {kind}")),
        }
    }

    fn settle(&mut self, at: usize, outcome: RecordOutcome) {
        if let Some(brake) = self.brake
            && matches!(outcome, RecordOutcome::Failed(_) | RecordOutcome::InDoubt(_))
        {
            brake.count(1);
        }
        let at = self.own(at);
        self.done.outcomes[at] = Some(outcome);
    }
}

fn ambiguous(message: String, place: usize) -> RecordOutcome {
    let error = Error::new(ErrorKind::Protocol, message).with_record_index(place);
    RecordOutcome::InDoubt(error.with_delivery(Delivery::MaybeSent))
}

/// Whether an error of an atomic chunk is the fault of one of its records.
fn is_about_a_record(error: &Error, kind: OperationKind) -> bool {
    match error.kind() {
        ErrorKind::Rejected
        | ErrorKind::Conflict
        | ErrorKind::Server
        | ErrorKind::Database
        | ErrorKind::Invalid
        | ErrorKind::Other => true,
        // The records to write to; where there are none to find, it is the model.
        ErrorKind::NotFound => {
            matches!(kind, OperationKind::Update | OperationKind::UpdateEach | OperationKind::Delete)
        }
        _ => false,
    }
}

fn ids_told_twice(answer: &Answer) -> HashMap<RecordId, ()> {
    // As numbers from a sequence come: nothing comes twice, and nothing has to be remembered to know it.
    let numbers = answer.iter().map(|applied| match applied {
        Ok(Applied::Created(RecordId::Int(id))) => Some(*id),
        _ => None,
    });
    if numbers.is_sorted_by(|a, b| matches!((a, b), (Some(a), Some(b)) if a < b)) {
        return HashMap::new();
    }
    let mut seen = HashMap::with_capacity(answer.len());
    for applied in answer.iter().flatten() {
        if let Applied::Created(id) = applied
            && *id != RecordId::Unknown
        {
            *seen.entry(id).or_insert(0) += 1;
        }
    }
    seen.into_iter().filter(|(_, times)| *times > 1).map(|(id, _)| (id.clone(), ())).collect()
}
