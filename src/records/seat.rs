//! A session of a store, and the worker that it lives on.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::brake::Brake;
use super::isolate::{Manner, Run};
use super::load::{Done, Load};
use super::plan::Bulk;
use super::schedule::{Item, Step};
use super::store::RecordStore;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::engine::outcome::Outcome;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// Opens the sessions of a store, each with a handle on its worker.
pub(crate) struct Seats<'s, S>(pub(crate) &'s S);

/// A session and its worker.
pub(crate) struct Seat<T> {
    session: T,
    worker: Worker,
    in_transaction: bool,
}

impl<S: RecordStore> Connect for Seats<'_, S> {
    type Session = Seat<S::Session>;

    fn connect(&self, worker: &Worker) -> Result<Self::Session> {
        let session = self.0.connect(worker)?;
        Ok(Seat { session, worker: worker.clone(), in_transaction: false })
    }

    fn max_sessions(&self) -> Option<usize> {
        self.0.max_sessions()
    }

    fn interrupt(&self, seat: &Self::Session) -> Option<Interrupt> {
        self.0.interrupt(&seat.session)
    }

    fn disconnect(&self, seat: Self::Session) -> Result<()> {
        self.0.disconnect(seat.session)
    }
}

/// What the workers of a run share.
pub(crate) struct Work<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) brake: &'a Brake,
    pub(crate) manner: Manner,
    pub(crate) bulks: &'a [Bulk],
    /// What became of a chunk in which the store panicked.
    pub(crate) salvage: Sender<(usize, Done)>,
    pub(crate) in_transaction: bool,
}

/// What became of chunks in which the store panicked: the engine knows only that they did.
pub(crate) struct Salvaged {
    arrived: Receiver<(usize, Done)>,
    kept: HashMap<usize, Done>,
}

impl Salvaged {
    /// The sender is for the workers.
    pub(crate) fn new() -> (Sender<(usize, Done)>, Self) {
        let (sender, arrived) = unbounded();
        (sender, Self { arrived, kept: HashMap::new() })
    }

    /// The result of a step: what was saved of it, or what the engine has.
    pub(crate) fn result_of(&mut self, outcome: Outcome<Done>) -> Result<Done> {
        // It may be that of a later outcome which has arrived.
        self.kept.extend(self.arrived.try_iter());
        self.kept.remove(&outcome.index()).map_or_else(|| outcome.into_result(), Ok)
    }
}

/// Longer than anybody waits; whoever does is sent to wait again.
const LONG: Duration = Duration::from_secs(3600);

impl<S: RecordStore> Work<'_, S> {
    /// Does one step on a session.
    pub(crate) fn step(&self, seat: &mut Seat<S::Session>, item: &Item<'_>) -> Result<Done> {
        let Some(step) = item.take() else { return Ok(Done::default()) };
        match &*step {
            Step::Wait(wake) => {
                seat.worker.stop().wait_or(LONG, wake).map_err(|reason| reason.to_error())?;
            }
            Step::Begin => {
                self.store.begin(&mut seat.session)?;
                seat.in_transaction = true;
            }
            Step::Commit => {
                self.transaction(seat)?;
                seat.in_transaction = false;
                self.store.commit(&mut seat.session)?;
            }
            Step::RollBack => {
                self.transaction(seat)?;
                seat.in_transaction = false;
                self.store.roll_back(&mut seat.session)?;
            }
            Step::Send(load) => {
                if self.in_transaction {
                    self.transaction(seat).inspect_err(|_| self.brake.pull())?;
                }
                let whole = self.bulks.get(load.index).is_some_and(|bulk| bulk.whole);
                let optimistic = self.manner.optimistic.filter(|_| whole);
                return Ok(self.run(
                    seat,
                    item.number,
                    load,
                    Some(self.brake),
                    Manner { optimistic, ..self.manner },
                ));
            }
            Step::Undo(load) => {
                let manner = Manner { isolate: true, optimistic: None, remember: false, ..self.manner };
                return Ok(self.run(seat, item.number, load, None, manner));
            }
        }
        Ok(Done::default())
    }

    fn transaction(&self, seat: &Seat<S::Session>) -> Result<()> {
        if seat.in_transaction {
            return Ok(());
        }
        let message = "the session of the transaction is gone, and with it what was done";
        Err(Error::new(ErrorKind::Interrupted, message).with_delivery(Delivery::NotSent))
    }

    pub(crate) fn run(
        &self,
        seat: &mut Seat<S::Session>,
        number: usize,
        load: &Load<'_>,
        brake: Option<&Brake>,
        manner: Manner,
    ) -> Done {
        let mut run = Run::new(self.store, &mut seat.session, &seat.worker, brake, manner);
        let ran = catch_unwind(AssertUnwindSafe(|| run.run(load.chunk())));
        if let Err(panic) = ran {
            // What is known is saved; the engine then closes the session that was left behind.
            run.panicked(load.chunk());
            let _ = self.salvage.send((number, run.done));
            resume_unwind(panic);
        }
        run.done
    }
}
