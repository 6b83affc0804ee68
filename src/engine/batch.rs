//! `BatchCall`: collect calls, configure, execute, retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{TryRecvError, bounded, unbounded};
use uuid::Uuid;

use super::connect::{Connect, Worker};
use super::halt::{Halt, Tally};
use super::logins::Logins;
use super::monitor::{Monitor, Offered, Reporter};
use super::outcome::{Outcome, Status};
use super::pool;
use super::progress::Progress;
use super::queue::{Calls, Item, Items, List};
use super::report::Report;
use super::retry::RetryPolicy;
use super::stats::Stats;
use super::stop::{CancelToken, Deadline, Reason, Stop};
use super::worker::work;
use crate::error::{Error, ErrorKind, Result};

/// More threads than that help nobody, whatever the server.
const MOST_WORKERS: usize = 4096;

/// How many outcomes a worker holds back when nobody watches.
const BLOCK: usize = 256;

/// Collects calls and runs them at once, each worker on a session of its own.
///
/// A call is a closure on a session. It may borrow (`'env`), and it is run at most once, unless the
/// batch says [`idempotent`](Self::idempotent).
///
/// # Example
///
/// ```
/// use batchcall::BatchCall;
/// use batchcall::memory::Memory;
/// use std::time::Duration;
///
/// let client = Memory::new().with_record("CUST001", "Alfa").with_record("CUST002", "Beta");
/// let ids = ["CUST001", "CUST002"];
///
/// let report = BatchCall::new(&client)
///     .max_concurrent(5)
///     .timeout(Duration::from_secs(30))
///     .calls(ids, |session, id| session.get(id))
///     .execute_with_progress(|p| eprint!("\r{}/{}", p.completed, p.total))?;
///
/// assert_eq!(report.stats().successful_calls, 2);
/// assert_eq!(report.into_all()?, ["Alfa", "Beta"]);
/// # Ok::<(), batchcall::Error>(())
/// ```
///
/// # Calls within calls
///
/// A call may use rayon, and may run a batch of its own: each batch has its own threads. A batch may
/// also be executed from inside any other rayon pool.
pub struct BatchCall<'env, C: Connect, T> {
    connect: &'env C,
    calls: Source<'env, C::Session, T>,
    id: Uuid,
    max_concurrent: usize,
    timeout: Option<Duration>,
    deadline: Deadline,
    halts: Vec<Halt>,
    fail_fast: bool,
    token: CancelToken,
    idempotent: bool,
    retry: RetryPolicy,
    executed: AtomicBool,
    one_at_hand: bool,
    problems: Vec<String>,
}

enum Source<'env, S, T> {
    Own(Calls<'env, S, T>),
    /// The calls of another batch that are to be run again, by index, in order.
    Again {
        calls: &'env Calls<'env, S, T>,
        selected: Vec<usize>,
    },
}

/// What the workers of a batch share.
pub(crate) struct Shared<'env, C: Connect> {
    pub(crate) connect: &'env C,
    pub(crate) logins: Logins,
    pub(crate) tally: Tally,
    /// Set when calls may be run again.
    pub(crate) retry: Option<RetryPolicy>,
}

impl<'env, C: Connect, T> BatchCall<'env, C, T> {
    /// An empty batch on a backend.
    #[must_use]
    pub fn new(connect: &'env C) -> Self {
        Self {
            connect,
            calls: Source::Own(Calls::new()),
            id: Uuid::new_v4(),
            max_concurrent: 5,
            timeout: None,
            deadline: Deadline::never(),
            halts: Vec::new(),
            fail_fast: false,
            token: CancelToken::new(),
            idempotent: false,
            retry: RetryPolicy::new(),
            executed: AtomicBool::new(false),
            one_at_hand: false,
            problems: Vec::new(),
        }
    }

    /// Adds a call.
    #[must_use]
    pub fn call<F>(mut self, call: F) -> Self
    where
        F: Fn(&mut C::Session) -> Result<T> + Send + Sync + 'env,
    {
        self.push(call);
        self
    }

    /// Adds a call with a name, which its outcome and the report carry.
    #[must_use]
    pub fn call_named<F>(mut self, name: impl Into<Arc<str>>, call: F) -> Self
    where
        F: Fn(&mut C::Session) -> Result<T> + Send + Sync + 'env,
    {
        if let Some(calls) = self.own_calls() {
            calls.push(Some(name.into()), call);
        }
        self
    }

    /// Adds a call for each item. The items are kept in one list, so a call costs no more than its item.
    #[must_use]
    pub fn calls<I, F>(mut self, items: I, call: F) -> Self
    where
        I: IntoIterator,
        I::Item: Send + Sync + 'env,
        F: Fn(&mut C::Session, &I::Item) -> Result<T> + Send + Sync + 'env,
    {
        if let Some(calls) = self.own_calls() {
            calls.extend(items.into_iter().collect(), call);
        }
        self
    }

    /// Adds a call, in a loop.
    ///
    /// ```
    /// use batchcall::BatchCall;
    /// use batchcall::memory::Memory;
    ///
    /// let memory = Memory::new();
    /// let mut batch = BatchCall::new(&memory);
    /// for n in 0..3 {
    ///     batch.push(move |session| session.echo(n));
    /// }
    /// assert_eq!(batch.len(), 3);
    /// ```
    pub fn push<F>(&mut self, call: F)
    where
        F: Fn(&mut C::Session) -> Result<T> + Send + Sync + 'env,
    {
        if let Some(calls) = self.own_calls() {
            calls.push(None, call);
        }
    }

    fn own_calls(&mut self) -> Option<&mut Calls<'env, C::Session, T>> {
        match &mut self.calls {
            Source::Own(calls) => Some(calls),
            Source::Again { .. } => {
                self.problems
                    .push("a retry runs the calls of its batch: put new calls in a new batch".into());
                None
            }
        }
    }

    /// The number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.calls {
            Source::Own(calls) => calls.len(),
            Source::Again { selected, .. } => selected.len(),
        }
    }

    /// Whether there are no calls. Such a batch may be executed: its report is empty, and nobody logs in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many calls run at once, each on a session of its own: 1 to 4096, anything else is refused by
    /// [`execute`](Self::execute). Defaults to 5.
    #[must_use]
    pub fn max_concurrent(mut self, workers: usize) -> Self {
        self.max_concurrent = workers;
        self
    }

    /// How long the whole batch may take. At the deadline calls under way are interrupted, and the others
    /// are not run. The interrupts come from the caller's thread: while it is busy in a progress callback,
    /// a sink or an iterator of yours, calls end by the deadline that their own I/O carries. Without a
    /// deadline a batch that gets no seat waits for one. Defaults to none.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When the whole batch must be over, such as the deadline of a larger job; the earlier of this and
    /// [`timeout`](Self::timeout) holds. Defaults to never.
    #[must_use]
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether the first failure ends the batch. Calls under way end by themselves. Defaults to `false`.
    #[must_use]
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.fail_fast = fail_fast;
        self
    }

    /// Adds a rule by which failures end the batch. Defaults to none.
    #[must_use]
    pub fn halt(mut self, rule: Halt) -> Self {
        self.problems.extend(rule.problem());
        self.halts.push(rule);
        self
    }

    /// Lets a token cancel the batch. Defaults to one that nobody holds.
    #[must_use]
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.token = token.clone();
        self
    }

    /// Says that every call may be run again without harm, because it only reads, or writes by key.
    ///
    /// Then a call whose error passes by itself is run again, as [`retry`](Self::retry) says, even when it
    /// is not known whether its first run was applied; and the batch may be executed again.
    /// Defaults to `false`: no closure is ever run twice behind your back.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// How calls of an [`idempotent`](Self::idempotent) batch are run again, and how often a login that
    /// fails for a passing reason is tried. Defaults to [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Runs all calls and reports on each.
    ///
    /// When it returns, no call is running and every session is closed.
    ///
    /// # Errors
    ///
    /// An error means that nothing was started: [`Invalid`](ErrorKind::Invalid) names everything that is
    /// wrong with the batch - no workers, a rule out of range, or a second `execute` of a batch that did
    /// not say [`idempotent`](Self::idempotent), which would write everything twice;
    /// [`Other`](ErrorKind::Other) when the threads could not be started. What happens to a call is never
    /// an error here but its outcome.
    pub fn execute(&self) -> Result<Report<T>>
    where
        T: Send,
    {
        self.run(None::<fn(&Progress)>)
    }

    /// As [`execute`](Self::execute), telling a callback how far it has come.
    ///
    /// The callback runs on this thread and need not be `Send`. A slow one slows no worker: it is told less
    /// often, and the last time exactly. One that panics is not called again.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_with_progress(&self, progress: impl FnMut(&Progress)) -> Result<Report<T>>
    where
        T: Send,
    {
        self.run(Some(progress))
    }

    fn run(&self, progress: Option<impl FnMut(&Progress)>) -> Result<Report<T>>
    where
        T: Send,
    {
        let mut problems = self.problems();
        let again = problems.is_empty() && !self.is_empty() && self.executed.swap(true, Ordering::AcqRel);
        if again && !self.idempotent {
            problems.push(
                "the batch was executed before: a second time would send everything twice; use \
                 retry_failed_calls, or say idempotent(true)"
                    .into(),
            );
        }
        refuse(&problems)?;
        let began = Instant::now();
        let (calls, selected) = match &self.calls {
            Source::Own(calls) => (calls, None),
            Source::Again { calls, selected } => (*calls, Some(selected.as_slice())),
        };
        let list = List::new(calls, selected, self.id, began);
        let total = list.len();
        if total == 0 {
            return Ok(Report::new(Vec::new(), Stats::default()));
        }
        let (workers, shared, stop) = self.prepare(total);
        let (sender, outcomes) = unbounded();
        // Whatever wakes this thread costs a change of thread; without a callback nobody waits for it.
        let block = if progress.is_some() { 1 } else { BLOCK };
        let shared_by_all = &shared;
        let list_of_all = &list;
        let handles = &workers;

        let slots = pool::run(
            workers.len(),
            move |worker| {
                let mut held = Vec::new();
                work(shared_by_all, list_of_all, &handles[worker], |outcome| {
                    held.push(outcome);
                    held.len() < block || sender.send(std::mem::take(&mut held)).is_ok()
                });
                let _ = sender.send(held);
            },
            || {
                let mut monitor = Monitor::new(&stop);
                let mut reporter = Reporter::new(progress, total, began);
                let mut slots: Vec<Option<Outcome<T>>> = Vec::new();
                slots.resize_with(total, || None);
                loop {
                    let block = match outcomes.try_recv() {
                        Ok(block) => block,
                        Err(TryRecvError::Disconnected) => break,
                        Err(TryRecvError::Empty) => {
                            reporter.tell();
                            match monitor.next(&outcomes) {
                                Some(block) => block,
                                None => break,
                            }
                        }
                    };
                    for outcome in block {
                        if outcome.status() != Status::NotRun {
                            reporter.count(outcome.is_success());
                        }
                        let place = list.place(outcome.index());
                        slots[place] = Some(outcome);
                    }
                }
                reporter.tell();
                slots
            },
        )
        // Nothing was started: it may be tried again.
        .inspect_err(|_| self.executed.store(again, Ordering::Release))?;

        let mut stats = Stats::of_workers(workers.len());
        let queued = began.elapsed();
        let fill = |(place, slot): (usize, Option<Outcome<T>>)| {
            let outcome = slot.unwrap_or_else(|| list.ticket(place).not_run(why_not_run(&stop), queued));
            stats.count(&outcome);
            outcome
        };
        let outcomes = slots.into_iter().enumerate().map(fill).collect();
        finish(&mut stats, &workers, began);
        Ok(Report::new(outcomes, stats))
    }

    /// Runs a call for each item of an iterator, however long, and hands each outcome to a sink as it
    /// comes.
    ///
    /// Items are taken as workers ask for them, on this thread; the sink runs on this thread too, and a slow
    /// one holds the workers back: memory is bounded. Outcomes come in the order in which calls end.
    /// When the batch is stopped, items that were taken and not run are told as
    /// [`NotRun`](Status::NotRun), and the rest of the iterator is left alone.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); [`Invalid`](ErrorKind::Invalid) also when the batch has calls of its own.
    ///
    /// # Panics
    ///
    /// When the iterator or the sink panics: the batch stops, its sessions are closed, and the panic
    /// goes on.
    ///
    /// ```
    /// use batchcall::BatchCall;
    /// use batchcall::memory::Memory;
    ///
    /// let memory = Memory::new();
    /// let mut sum = 0;
    /// let stats = BatchCall::new(&memory).max_concurrent(4).stream(
    ///     1..=1000_u64,
    ///     |session, &n| session.echo(n),
    ///     |outcome| sum += outcome.into_result().unwrap_or(0),
    /// )?;
    /// assert_eq!((stats.total_calls, sum), (1000, 500_500));
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn stream<I, F>(&self, items: I, call: F, mut sink: impl FnMut(Outcome<T>)) -> Result<Stats>
    where
        T: Send,
        I: IntoIterator,
        I::Item: Send,
        F: Fn(&mut C::Session, &I::Item) -> Result<T> + Sync,
    {
        let mut problems = self.problems();
        if !self.is_empty() {
            problems.push(format!(
                "stream runs the items that it is given, but the batch has {} calls",
                self.len()
            ));
        }
        refuse(&problems)?;
        let began = Instant::now();
        let (workers, shared, stop) = self.prepare(usize::MAX);
        // Twice the workers: one call under way and one at hand for each.
        let room = workers.len().saturating_mul(2);
        let (item_sender, item_receiver) = bounded(if self.one_at_hand { 0 } else { room });
        let (sender, outcomes) = bounded(room);
        let queue = Items::new(item_receiver, &call, self.id);
        let mut stats = Stats::of_workers(workers.len());
        let shared_by_all = &shared;
        let queue_of_all = &queue;
        let handles = &workers;

        pool::run(
            workers.len(),
            move |worker| {
                work(shared_by_all, queue_of_all, &handles[worker], |outcome| sender.send(outcome).is_ok());
            },
            || {
                // Owned here, so that a panic of the iterator or the sink drops it and the workers end.
                let outcomes = outcomes;
                let mut feed = Some(queue.feed(item_sender));
                let mut monitor = Monitor::new(&stop);
                let mut tell = |outcome: Outcome<T>| {
                    stats.count(&outcome);
                    sink(outcome);
                };
                let mut items = items.into_iter();
                let mut offered = None;
                let mut taken = 0;
                while let Some(open) = &feed {
                    if stop.reason().is_some() {
                        break;
                    }
                    if offered.is_none() {
                        match items.next() {
                            Some(item) => offered = Some(Item { item, index: taken, taken: Instant::now() }),
                            None => {
                                feed = None;
                                continue;
                            }
                        }
                        taken += 1;
                    }
                    match monitor.offer(&outcomes, open.sender(), &mut offered) {
                        Offered::Outcome(outcome) => tell(outcome),
                        Offered::Ended => break,
                        Offered::Taken | Offered::Woken => {}
                    }
                }
                drop(feed);
                while let Some(outcome) = monitor.next(&outcomes) {
                    tell(outcome);
                }
                let at_hand = offered.map(|item| (queue.ticket(item.index), item.taken));
                for (ticket, since) in queue.left().chain(at_hand) {
                    tell(ticket.not_run(why_not_run(&stop), since.elapsed()));
                }
            },
        )?;
        finish(&mut stats, &workers, began);
        Ok(stats)
    }

    /// Takes items of a stream one before they are needed, and no more: for iterators whose next item depends
    /// on outcomes.
    pub(crate) fn one_at_hand(mut self) -> Self {
        self.one_at_hand = true;
        self
    }

    /// A batch of the calls that failed or did not run, with their places and ids, on the same backend
    /// with the same settings.
    ///
    /// Calls in doubt are not among them, unless the batch is [`idempotent`](Self::idempotent): look first
    /// whether they were applied, and ask for them with [`retry_where`](Self::retry_where).
    ///
    /// ```
    /// use batchcall::BatchCall;
    /// use batchcall::memory::{Memory, Step};
    /// use batchcall::ErrorKind;
    ///
    /// let memory = Memory::new().script([Step::Fail(ErrorKind::Unavailable)]);
    /// let batch = BatchCall::new(&memory).max_concurrent(1).calls(0..3, |s, n| s.echo(*n));
    /// let first = batch.execute()?;
    /// assert_eq!(first.stats().failed_calls, 1);
    ///
    /// let again = batch.retry_failed_calls(&first).execute()?;
    /// assert_eq!(again.stats().total_calls, 1);
    /// let report = first.merge(again);
    /// assert_eq!(report.outcomes()[0].attempts(), 2);
    /// assert_eq!(report.into_all()?, [0, 1, 2]);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn retry_failed_calls(&self, report: &Report<T>) -> BatchCall<'_, C, T> {
        self.retry_where(report, |outcome| outcome.status() != Status::InDoubt || self.idempotent)
    }

    /// A batch of those calls that did not succeed and that you choose.
    ///
    /// ```
    /// use batchcall::BatchCall;
    /// use batchcall::ErrorKind;
    /// use batchcall::memory::{Memory, Step};
    ///
    /// let memory = Memory::new()
    ///     .script([Step::Fail(ErrorKind::Rejected), Step::Fail(ErrorKind::Unavailable)]);
    /// let batch = BatchCall::new(&memory).max_concurrent(1).calls(0..3, |s, n| s.echo(*n));
    /// let first = batch.execute()?;
    /// // What the server's rules refused would be refused again.
    /// let again = batch.retry_where(&first, |outcome| outcome.is_retryable());
    /// assert_eq!(again.len(), 1);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn retry_where(
        &self,
        report: &Report<T>,
        choose: impl Fn(&Outcome<T>) -> bool,
    ) -> BatchCall<'_, C, T> {
        let calls = match &self.calls {
            Source::Own(calls) => calls,
            Source::Again { calls, .. } => calls,
        };
        let mut problems = self.problems.clone();
        let mut selected = Vec::new();
        for outcome in report.failed_calls().filter(|outcome| choose(outcome)) {
            if outcome.index() < calls.len() && calls.ticket(self.id, outcome.index()).id == outcome.id() {
                selected.push(outcome.index());
            } else {
                problems.push(format!("call {} of the report is not a call of this batch", outcome.index()));
            }
        }
        selected.sort_unstable();
        selected.dedup();
        BatchCall {
            connect: self.connect,
            calls: Source::Again { calls, selected },
            id: self.id,
            max_concurrent: self.max_concurrent,
            timeout: self.timeout,
            deadline: self.deadline,
            halts: self.halts.clone(),
            fail_fast: self.fail_fast,
            token: self.token.clone(),
            idempotent: self.idempotent,
            retry: self.retry.clone(),
            executed: AtomicBool::new(false),
            one_at_hand: self.one_at_hand,
            problems,
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        match self.max_concurrent {
            0 => problems.push("max_concurrent is 0: at least 1 worker is needed".into()),
            1..=MOST_WORKERS => {}
            more => problems
                .push(format!("max_concurrent is {more}: at most {MOST_WORKERS} workers are possible")),
        }
        problems
    }

    fn prepare(&self, calls: usize) -> (Vec<Worker>, Shared<'env, C>, Stop) {
        let deadline = self.timeout.map_or(Deadline::never(), Deadline::after).min(self.deadline);
        let sessions = self.connect.max_sessions();
        let workers = self.max_concurrent.min(calls).min(sessions.unwrap_or(usize::MAX).max(1));
        let stop = Stop::new(deadline, self.token.clone(), workers);
        let mut halts = self.halts.clone();
        halts.extend(self.fail_fast.then(|| Halt::after_failures(1)));
        let shared = Shared {
            connect: self.connect,
            logins: Logins::new(&self.retry, sessions.map(|_| workers)),
            tally: Tally::new(halts),
            retry: self.idempotent.then(|| self.retry.clone()),
        };
        ((0..workers).map(|id| Worker::new(id, stop.clone())).collect(), shared, stop)
    }
}

/// Refuses what cannot be run, with everything that is wrong with it.
fn refuse(problems: &[String]) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::new(ErrorKind::Invalid, problems.join("; "))) }
}

/// What a call that never began is told at the end.
fn why_not_run(stop: &Stop) -> Error {
    stop.reason().unwrap_or_else(|| Reason::Halted("not run, no worker was left".into())).to_error()
}

fn finish(stats: &mut Stats, workers: &[Worker], began: Instant) {
    for worker in workers {
        stats.add_worker(worker.counters());
    }
    stats.finish(began.elapsed());
}

impl<C: Connect, T> std::fmt::Debug for BatchCall<'_, C, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchCall")
            .field("calls", &self.len())
            .field("max_concurrent", &self.max_concurrent)
            .field("timeout", &self.timeout)
            .field("halts", &self.halts)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}
