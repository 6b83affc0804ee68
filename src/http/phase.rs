//! What is known of the request on the wire: the phase it reached, and when it has to be over.
//!
//! The socket writes it down, the wire reads it after the attempt. It belongs to one agent, and an
//! agent sends one request at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::engine::stop::{Never, Signal};

/// Which limit ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// The time for a connection.
    Connect,
    /// The time for the attempt.
    Attempt,
}

/// What happened since the request began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    /// How many bytes of the request the operating system took.
    pub(super) written: u64,
    /// How many bytes came back.
    pub(super) read: u64,
    /// Whether a connection was opened for this request.
    pub(super) fresh: bool,
    /// Whether a connection was being opened when it ended.
    pub(super) connecting: bool,
    /// Whether the name of the host was not found.
    pub(super) no_name: bool,
    /// Whether reading failed, other than by the end of the stream.
    pub(super) broken: bool,
    /// Whether the server hung up before it had the whole request.
    pub(super) cut_off: bool,
    pub(super) late: Option<Late>,
    /// Whether the connection is of no further use, although it looks open.
    spent: bool,
    depth: u32,
    deadline: Instant,
    connect_deadline: Instant,
}

impl Trace {
    fn new(deadline: Instant) -> Self {
        Self {
            written: 0,
            read: 0,
            fresh: false,
            connecting: false,
            no_name: false,
            broken: false,
            cut_off: false,
            late: None,
            spent: false,
            depth: 0,
            deadline,
            connect_deadline: deadline,
        }
    }

    /// Whether a connection kept from an earlier request ended before it said a word: the server had
    /// closed it, and that had not arrived yet.
    pub(super) fn is_stale(&self) -> bool {
        !self.fresh && !self.connecting && self.read == 0 && self.late.is_none()
    }
}

#[derive(Debug)]
pub(super) struct Phase {
    trace: Mutex<Trace>,
    interrupt: Signal,
}

impl Phase {
    pub(super) fn new() -> Self {
        Self { trace: Mutex::new(Trace::new(Instant::now())), interrupt: Signal::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins that has to be over at the deadline.
    pub(super) fn begin(&self, deadline: Instant) {
        let mut trace = self.lock();
        *trace = Trace { spent: trace.spent, ..Trace::new(deadline) };
    }

    pub(super) fn trace(&self) -> Trace {
        *self.lock()
    }

    /// A connection is being opened. A proxy's is opened inside the one to the host, and what is
    /// written to it before that stands is not the request.
    pub(super) fn connect_begins(&self, limit: Duration) {
        let mut trace = self.lock();
        if trace.depth == 0 {
            trace.connecting = true;
            trace.connect_deadline = trace.deadline.min(Instant::now() + limit);
        }
        trace.depth += 1;
    }

    pub(super) fn connect_ended(&self, opened: bool) {
        let mut trace = self.lock();
        trace.depth = trace.depth.saturating_sub(1);
        if trace.depth == 0 && opened {
            trace.connecting = false;
            trace.fresh = true;
            trace.spent = false;
        }
    }

    /// When the step that is being done has to be over.
    pub(super) fn deadline(&self) -> Instant {
        let trace = self.lock();
        if trace.connecting { trace.connect_deadline } else { trace.deadline }
    }

    /// The time left for the step; `None`, and written down, when it is over.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.deadline().saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.is_late();
            return None;
        }
        Some(left)
    }

    pub(super) fn is_late(&self) {
        let mut trace = self.lock();
        let by_connect = trace.connecting && trace.connect_deadline < trace.deadline;
        trace.late = Some(if by_connect { Late::Connect } else { Late::Attempt });
    }

    pub(super) fn wrote(&self, bytes: usize) {
        let mut trace = self.lock();
        if !trace.connecting {
            trace.written += bytes as u64;
        }
    }

    pub(super) fn got(&self, bytes: usize) {
        let mut trace = self.lock();
        if !trace.connecting {
            trace.read += bytes as u64;
        }
    }

    pub(super) fn broke(&self) {
        self.lock().broken = true;
    }

    /// Writing failed; `true`, and written down, when a part of the request is out already.
    pub(super) fn is_cut_off(&self) -> bool {
        let mut trace = self.lock();
        trace.cut_off = trace.written > 0;
        trace.cut_off
    }

    /// The connection is not to be used for another request.
    pub(super) fn spend(&self) {
        self.lock().spent = true;
    }

    pub(super) fn is_spent(&self) -> bool {
        self.lock().spent
    }

    pub(super) fn no_name(&self) {
        self.lock().no_name = true;
    }

    /// Ends what is being done, from another thread.
    pub(super) fn interrupt(&self) {
        self.interrupt.raise();
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    /// Disconnects at the interrupt.
    pub(super) fn interrupted(&self) -> &Receiver<Never> {
        self.interrupt.receiver()
    }
}
