//! An in-memory backend whose sessions do as they are told: for doc examples and for tests of programs
//! that use this crate.
//!
//! It has records by key, seats, sessions that are logged in and out, and scripts that say what
//! becomes of the next logins, requests and logouts. It counts what a server would log.
//!
//! ```
//! use batchcall::memory::{Memory, Step};
//! use batchcall::{BatchCall, ErrorKind};
//!
//! // A server with two seats, whose second request is refused.
//! let memory = Memory::new().seats(2).script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
//! let report = BatchCall::new(&memory)
//!     .max_concurrent(1)
//!     .calls(["a", "b", "c"], |session, key| session.put(*key, 1))
//!     .execute()?;
//!
//! assert_eq!(report.stats().failed_calls, 1);
//! assert_eq!(memory.applied("a"), 1);
//! assert_eq!(memory.applied("b"), 0);
//! assert_eq!((memory.logins(), memory.logouts(), memory.open_sessions()), (1, 1, 0));
//! # Ok::<(), batchcall::Error>(())
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{after, select};
use serde_json::Value;

use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::engine::stop::Signal;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// What becomes of one login, request or logout.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// It is answered as usual.
    Answer,
    /// It takes longer, and is then answered as usual.
    Delay(Duration),
    /// The server answers with an error; nothing is applied.
    Fail(ErrorKind),
    /// The connection breaks before anything was sent; nothing is applied.
    Unsent,
    /// It is applied, and the answer is lost.
    LoseAnswer,
    /// The session has expired: it logs in again, once, and the request is answered.
    Expire,
    /// It panics; nothing is applied.
    Panic,
}

/// An in-memory backend. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    records: HashMap<String, Value>,
    applied: HashMap<String, usize>,
    seats: Option<usize>,
    delay: Duration,
    login_delay: Duration,
    requests_script: VecDeque<Step>,
    login_script: VecDeque<Step>,
    logout_script: VecDeque<Step>,
    logins: usize,
    refused_logins: usize,
    logouts: usize,
    requests: usize,
    open: usize,
    max_open: usize,
}

impl State {
    fn end_session(&mut self) {
        self.logouts += 1;
        self.open -= 1;
    }
}

impl Memory {
    /// A backend without records, limits and scripts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state());
        self
    }

    /// Adds a record.
    #[must_use]
    pub fn with_record(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|state| {
            state.records.insert(key.into(), value.into());
        })
    }

    /// How many sessions may be open; one more is refused with [`ErrorKind::SeatLimit`]. Defaults to
    /// no limit.
    #[must_use]
    pub fn seats(self, seats: usize) -> Self {
        self.with(|state| state.seats = Some(seats))
    }

    /// How long each request takes. Defaults to no time.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|state| state.delay = delay)
    }

    /// How long each login takes. Defaults to no time.
    #[must_use]
    pub fn login_delay(self, delay: Duration) -> Self {
        self.with(|state| state.login_delay = delay)
    }

    /// What becomes of the next requests, in the order in which they come; the others are answered.
    /// Defaults to nothing special.
    #[must_use]
    pub fn script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.with(|state| state.requests_script.extend(steps))
    }

    /// What becomes of the next logins. Defaults to nothing special.
    #[must_use]
    pub fn login_script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.with(|state| state.login_script.extend(steps))
    }

    /// What becomes of the next logouts. Defaults to nothing special.
    #[must_use]
    pub fn logout_script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.with(|state| state.logout_script.extend(steps))
    }

    /// The logins that succeeded.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.state().logins
    }

    /// The logins that were refused.
    #[must_use]
    pub fn refused_logins(&self) -> usize {
        self.state().refused_logins
    }

    /// The sessions that ended: logged out, or expired.
    #[must_use]
    pub fn logouts(&self) -> usize {
        self.state().logouts
    }

    /// The sessions that are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.state().open
    }

    /// The most sessions that were open at once.
    #[must_use]
    pub fn max_open_sessions(&self) -> usize {
        self.state().max_open
    }

    /// The requests that arrived.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// How often a write of this key was applied.
    #[must_use]
    pub fn applied(&self, key: &str) -> usize {
        self.state().applied.get(key).copied().unwrap_or(0)
    }

    /// A record.
    #[must_use]
    pub fn record(&self, key: &str) -> Option<Value> {
        self.state().records.get(key).cloned()
    }

    fn log_in(&self, io: &Io) -> Result<()> {
        let (step, delay) = {
            let mut state = self.state();
            (state.login_script.pop_front().unwrap_or(Step::Answer), state.login_delay)
        };
        let taken = io.wait(delay).and_then(|()| match step {
            Step::Answer | Step::Expire | Step::LoseAnswer => Ok(()),
            Step::Delay(delay) => io.wait(delay),
            Step::Unsent => {
                Err(Error::new(ErrorKind::Connect, "connection refused").with_delivery(Delivery::NotSent))
            }
            Step::Fail(kind) => Err(answered(kind, "the login was refused")),
            Step::Panic => panic!("the script of the logins says so"),
        });
        let mut state = self.state();
        let granted = taken.and_then(|()| match state.seats {
            Some(seats) if state.open >= seats => {
                Err(answered(ErrorKind::SeatLimit, format!("all {seats} seats are taken")))
            }
            _ => Ok(()),
        });
        match &granted {
            Ok(()) => {
                state.logins += 1;
                state.open += 1;
                state.max_open = state.max_open.max(state.open);
            }
            Err(_) => state.refused_logins += 1,
        }
        granted
    }
}

fn answered(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, message).with_delivery(Delivery::Answered)
}

impl Connect for Memory {
    type Session = Session;

    fn connect(&self, worker: &Worker) -> Result<Session> {
        let io = Io { worker: worker.clone(), interrupted: Arc::new(Signal::new()) };
        let interrupted = Arc::clone(&io.interrupted);
        worker.on_interrupt(Box::new(move || interrupted.raise()));
        self.log_in(&io)?;
        Ok(Session { memory: self.clone(), io, alive: true })
    }

    fn interrupt(&self, session: &Session) -> Option<Interrupt> {
        let interrupted = Arc::clone(&session.io.interrupted);
        Some(Box::new(move || interrupted.raise()))
    }

    fn disconnect(&self, session: Session) -> Result<()> {
        if !session.alive {
            return Ok(()); // It had expired: there is nothing to log out.
        }
        let step = self.state().logout_script.pop_front().unwrap_or(Step::Answer);
        match step {
            Step::Fail(kind) => return Err(answered(kind, "the logout was refused")),
            Step::Panic => panic!("the script of the logouts says so"),
            Step::Delay(delay) => {
                let time = session.io.worker.time_to_close();
                std::thread::sleep(delay.min(time));
                if delay > time {
                    return Err(Error::new(ErrorKind::Timeout, "the logout took too long"));
                }
            }
            _ => {}
        }
        self.state().end_session();
        Ok(())
    }
}

/// What a session waits with in place of a socket.
#[derive(Debug)]
struct Io {
    worker: Worker,
    interrupted: Arc<Signal>,
}

impl Io {
    fn wait(&self, delay: Duration) -> Result<()> {
        if self.interrupted.is_raised() {
            return Err(Error::new(ErrorKind::Interrupted, "the session was interrupted"));
        }
        if delay.is_zero() {
            return Ok(());
        }
        select! {
            recv(after(delay)) -> _ => Ok(()),
            recv(self.interrupted.receiver()) -> _ => {
                Err(Error::new(ErrorKind::Interrupted, "the session was interrupted"))
            },
            recv(self.worker.deadline().channel()) -> _ => {
                Err(Error::new(ErrorKind::Timeout, "the deadline passed"))
            },
        }
    }
}

/// A session of the in-memory backend.
#[derive(Debug)]
pub struct Session {
    memory: Memory,
    io: Io,
    /// Whether it is logged in.
    alive: bool,
}

impl Session {
    /// Gives back what it is given.
    ///
    /// # Errors
    ///
    /// As the script says.
    pub fn echo<V>(&mut self, value: V) -> Result<V> {
        self.request(true, |_| Ok(value))
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none; else as the script says.
    pub fn get(&mut self, key: impl AsRef<str>) -> Result<Value> {
        let key = key.as_ref();
        self.request(true, |state| {
            let found = state.records.get(key).cloned();
            found.ok_or_else(|| answered(ErrorKind::NotFound, "there is no such record").with_entity(key))
        })
    }

    /// Writes a record: a write that may not be sent twice.
    ///
    /// # Errors
    ///
    /// As the script says.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Result<()> {
        let (key, value) = (key.into(), value.into());
        self.request(false, |state| {
            *state.applied.entry(key.clone()).or_default() += 1;
            state.records.insert(key, value);
            Ok(())
        })
    }

    /// Deletes a record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none; else as the script says.
    pub fn delete(&mut self, key: impl AsRef<str>) -> Result<()> {
        let key = key.as_ref();
        self.request(false, |state| {
            if state.records.remove(key).is_none() {
                return Err(answered(ErrorKind::NotFound, "there is no such record").with_entity(key));
            }
            *state.applied.entry(key.to_owned()).or_default() += 1;
            Ok(())
        })
    }

    fn request<R>(&mut self, reads: bool, apply: impl FnOnce(&mut State) -> Result<R>) -> Result<R> {
        // A lost answer to a read is no matter of doubt: it may be asked for again.
        let lost = |error: Error| error.with_delivery(Delivery::MaybeSent).with_resendable(reads);
        let (step, delay) = {
            let mut state = self.memory.state();
            (state.requests_script.pop_front().unwrap_or(Step::Answer), state.delay)
        };
        if step == Step::Unsent {
            return Err(Error::new(ErrorKind::Connect, "connection refused").with_delivery(Delivery::NotSent));
        }
        if step == Step::Panic {
            panic!("the script of the requests says so");
        }
        if !self.alive {
            self.log_in_again()?;
        }
        self.memory.state().requests += 1;
        self.io.wait(delay).map_err(lost)?;
        match step {
            Step::Delay(more) => self.io.wait(more).map_err(lost)?,
            Step::Fail(kind) => return Err(answered(kind, "the script of the requests says so")),
            Step::Expire => {
                self.memory.state().end_session();
                self.alive = false;
                self.log_in_again()?;
            }
            Step::LoseAnswer => {
                apply(&mut self.memory.state())?;
                return Err(lost(Error::new(ErrorKind::Connect, "the connection broke")));
            }
            Step::Answer | Step::Unsent | Step::Panic => {}
        }
        apply(&mut self.memory.state())
    }

    /// Once for each request.
    fn log_in_again(&mut self) -> Result<()> {
        self.memory.log_in(&self.io).inspect_err(|error| {
            if error.kind() == ErrorKind::Auth {
                self.io.worker.end_batch(error);
            }
        })?;
        self.alive = true;
        self.io.worker.count_login();
        Ok(())
    }
}
