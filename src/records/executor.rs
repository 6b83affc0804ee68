//! Runs operations: plan -> schedule -> engine -> report. The whole flow on one page.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::config::Config;
use super::cut::{Group, Limits, widest};
use super::family::Families;
use super::kind::OperationStatus;
use super::operation::{Operation, now};
use super::outcome::RecordOutcome;
use super::plan::{Cut, Plan, Prepared, plan, prepare};
use super::record::RecordId;
use super::report::{RecordEntry, RecordReport};
use super::schedule::{Back, Schedule, Sizes, Span, limits};
use super::seat::{Salvaged, Seats, Work};
use super::size::BatchSize;
use super::slots::Slots;
use super::stats::RecordStats;
use super::store::RecordStore;
use super::strategy::Strategy;
use super::tell::Teller;
use crate::engine::batch::BatchCall;
use crate::engine::outcome::{Outcome, Status};
use crate::engine::progress::Progress;
use crate::engine::retry::RetryPolicy;
use crate::engine::stop::CancelToken;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// Runs operations on the records of a store.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{BatchSize, Executor, Operation, RecordOutcome, Strategy};
/// use serde_json::json;
///
/// let store = Memory::new().with_rows("res.partner", (1..=5).map(|n| json!({"name": n, "active": true})));
/// let report = Executor::new(&store)
///     .strategy(Strategy::Parallel)
///     .batch_size(BatchSize::Auto)
///     .max_concurrent(3)
///     .execute(vec![
///         Operation::create("res.partner", [json!({"name": "ACME"}), json!({"name": "Jo"})])?.priority(10),
///         Operation::update("res.partner", [1, 2, 3], json!({"active": false}))?,
///         Operation::delete("res.partner", [4, 5])?,
///     ])?;
///
/// assert!(report.is_complete());
/// assert_eq!(report.outcomes().len(), 7);
/// assert!(matches!(report.outcomes()[6], RecordOutcome::Deleted));
/// assert_eq!(store.row("res.partner", 2).unwrap()["active"], json!(false));
/// println!("{report}");
/// # Ok::<(), batchcall::Error>(())
/// ```
pub struct Executor<'s, S: RecordStore> {
    pub(crate) store: &'s S,
    pub(crate) config: Config,
}

/// What a run came to.
struct Ran {
    outcomes: Vec<RecordOutcome>,
    matched: HashMap<usize, RecordId>,
    stats: RecordStats,
    spans: Vec<Option<Span>>,
}

/// The outcomes of an earlier run that stay, and the ids that its upserts found.
type Earlier = (Vec<Option<RecordOutcome>>, HashMap<usize, RecordId>);

impl<'s, S: RecordStore> Executor<'s, S> {
    /// An executor with the defaults.
    #[must_use]
    pub fn new(store: &'s S) -> Self {
        Self { store, config: Config::new() }
    }

    fn with(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(&mut self.config);
        self
    }

    /// How operations are cut in requests. Defaults to [`Strategy::Parallel`].
    #[must_use]
    pub fn strategy(self, strategy: Strategy) -> Self {
        self.with(|config| config.strategy = strategy)
    }

    /// How many records go in one request: a number, or [`BatchSize::Auto`]. Defaults to 100.
    #[must_use]
    pub fn batch_size(self, size: impl Into<BatchSize>) -> Self {
        self.with(|config| config.batch_size = size.into())
    }

    /// How many requests are out at once, over all operations and groups, each on a session of its own.
    /// Defaults to 5.
    #[must_use]
    pub fn max_concurrent(self, workers: usize) -> Self {
        self.with(|config| config.max_concurrent = workers)
    }

    /// How long everything may take. At the deadline requests under way are interrupted, and the rest is not
    /// sent, nothing to undo what was applied included. Defaults to none.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.timeout = Some(timeout))
    }

    /// Lets a token cancel the run. Defaults to one that nobody holds.
    #[must_use]
    pub fn cancel_token(self, token: &CancelToken) -> Self {
        self.with(|config| config.token = token.clone())
    }

    /// Whether the others go on when a record fails. Where not, nothing more is sent after the first failure,
    /// also not to find out which record of a refused chunk it was: all of the chunk have failed.
    /// Defaults to `true`.
    #[must_use]
    pub fn continue_on_error(self, go_on: bool) -> Self {
        self.with(|config| config.continue_on_error = go_on)
    }

    /// Whether everything that was applied is undone when a record fails; then nothing goes on after the
    /// first failure. Defaults to `false`.
    ///
    /// Where the store has transactions, it is one, on one session. Elsewhere it is compensation, in reverse
    /// order: what was created is deleted, and what was updated gets its former values back, which are read
    /// before. Others see what happens meanwhile, and some things cannot be undone - deletions, updates by an
    /// upsert, anything after the deadline: such records end as
    /// [`RollbackFailed`](RecordOutcome::RollbackFailed). Records in doubt stay in doubt.
    ///
    /// ```
    /// use batchcall::memory::{Memory, Step};
    /// use batchcall::{ErrorKind, Executor, Operation, RecordOutcome, Strategy};
    /// use serde_json::json;
    ///
    /// let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    /// let report = Executor::new(&store)
    ///     .strategy(Strategy::Chunked)
    ///     .batch_size(1)
    ///     .rollback_on_error(true)
    ///     .execute([Operation::create("res.partner", [json!({"name": "a"}), json!({"name": "b"})])?])?;
    /// assert!(matches!(report.outcomes()[0], RecordOutcome::RolledBack));
    /// assert!(matches!(report.outcomes()[1], RecordOutcome::Failed(_)));
    /// assert_eq!(store.rows("res.partner").len(), 0);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    #[must_use]
    pub fn rollback_on_error(self, rollback: bool) -> Self {
        self.with(|config| config.rollback_on_error = rollback)
    }

    /// After how many failed records nothing more is sent. Defaults to no limit.
    #[must_use]
    pub fn max_failures(self, failures: usize) -> Self {
        self.with(|config| config.max_failures = Some(failures))
    }

    /// Whether everything is looked at and nothing sent: the report then has a
    /// [`plan`](RecordReport::plan). Defaults to `false`.
    #[must_use]
    pub fn dry_run(self, dry: bool) -> Self {
        self.with(|config| config.dry_run = dry)
    }

    /// How often a login that fails for a passing reason is tried. Defaults to [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.with(|config| config.retry = policy)
    }

    /// Looks at operations as [`execute`](Self::execute) does, and says what would be sent.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn plan(&self, operations: &[Operation]) -> Result<Plan> {
        let all = 0..operations.len();
        let prepared = self.prepare(operations, std::slice::from_ref(&all))?;
        Ok(self.plan_of(operations, &prepared))
    }

    /// Runs operations, and reports on each record.
    ///
    /// # Errors
    ///
    /// An error means that nothing was sent: [`Invalid`](ErrorKind::Invalid) with everything that is wrong,
    /// each problem with its operation, record and field. What happens to a record is its outcome.
    pub fn execute(&self, operations: impl IntoIterator<Item = Operation>) -> Result<RecordReport> {
        self.execute_with_progress(operations, |_| {})
    }

    /// As [`execute`](Self::execute), telling a callback how many records have come to their end.
    ///
    /// The callback runs on this thread. A slow one is told less often, and the last time exactly. One that
    /// panics is not called again.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_with_progress(
        &self,
        operations: impl IntoIterator<Item = Operation>,
        progress: impl FnMut(&Progress),
    ) -> Result<RecordReport> {
        self.execute_all(vec![operations.into_iter().collect()], progress)
    }

    /// Runs several groups of operations side by side. Within a group priorities and references hold; between
    /// groups there is no order. [`max_concurrent`](Self::max_concurrent) is over all of them, and the report
    /// has all records, group after group.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    ///
    /// ```
    /// use batchcall::memory::Memory;
    /// use batchcall::{Executor, Operation};
    /// use serde_json::json;
    ///
    /// let store = Memory::new();
    /// let partners = vec![Operation::create("res.partner", json!({"name": "a"}))?.priority(1)];
    /// let products = vec![Operation::create("product.template", json!({"name": "b"}))?];
    /// let report = Executor::new(&store).execute_groups([partners, products])?;
    /// assert_eq!(report.totals().created, 2);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn execute_groups(&self, groups: impl IntoIterator<Item = Vec<Operation>>) -> Result<RecordReport> {
        self.execute_groups_with_progress(groups, |_| {})
    }

    /// As [`execute_groups`](Self::execute_groups), with progress.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_groups_with_progress(
        &self,
        groups: impl IntoIterator<Item = Vec<Operation>>,
        progress: impl FnMut(&Progress),
    ) -> Result<RecordReport> {
        self.execute_all(groups.into_iter().collect(), progress)
    }

    /// Runs those records of a report again that failed or did not run, and puts their outcomes in their
    /// places. Records in doubt are not among them: look first whether they were applied.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); the report is then as it was.
    ///
    /// ```
    /// use batchcall::memory::{Memory, Step};
    /// use batchcall::{ErrorKind, Executor, Operation};
    /// use serde_json::json;
    ///
    /// let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Unavailable)]);
    /// let executor = Executor::new(&store).max_concurrent(1).batch_size(1);
    /// let rows = [json!({"name": "a"}), json!({"name": "b"}), json!({"name": "c"})];
    /// let mut report = executor.execute([Operation::create("res.partner", rows)?])?;
    /// assert_eq!(report.totals().failed, 1);
    ///
    /// executor.retry_failed(&mut report)?;
    /// assert!(report.is_complete());
    /// assert_eq!(store.rows("res.partner").len(), 3);
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn retry_failed(&self, report: &mut RecordReport) -> Result<()> {
        self.retry_where(report, |entry| entry.outcome().is_resendable())
    }

    /// Runs those records of a report again that did not succeed and that you choose.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); the report is then as it was.
    pub fn retry_where(
        &self,
        report: &mut RecordReport,
        choose: impl Fn(&RecordEntry<'_>) -> bool,
    ) -> Result<()> {
        let prepared = self.prepare(&report.operations, &report.groups)?;
        let again: Vec<bool> =
            report.iter().map(|entry| !entry.outcome().is_success() && choose(&entry)).collect();
        if self.config.dry_run || !again.contains(&true) {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(again.len());
        let mut former = Vec::with_capacity(again.len());
        for (outcome, again) in std::mem::take(&mut report.outcomes).into_iter().zip(again) {
            let (keep, replace) = if again { (None, Some(outcome)) } else { (Some(outcome), None) };
            kept.push(keep);
            former.push(replace);
        }
        let earlier = (kept, std::mem::take(&mut report.matched));
        let (ran, started) = self.run(&report.operations, &report.groups, prepared, Some(earlier), |_| {});
        let merged = ran.outcomes.into_iter().zip(former).map(|(outcome, former)| match (outcome, former) {
            // What did not run again does not hide why it had failed.
            (RecordOutcome::NotRun(_), Some(former)) => former,
            (outcome, _) => outcome,
        });
        report.take(merged.collect(), ran.matched, &ran.stats);
        conclude(&mut report.operations, &report.outcomes, &ran.spans);
        started
    }

    fn execute_all(&self, all: Vec<Vec<Operation>>, progress: impl FnMut(&Progress)) -> Result<RecordReport> {
        let mut groups = Vec::with_capacity(all.len());
        let mut operations = Vec::new();
        for group in all {
            let first = operations.len();
            operations.extend(group);
            groups.push(first..operations.len());
        }
        let prepared = self.prepare(&operations, &groups)?;
        if self.config.dry_run {
            let plan = self.plan_of(&operations, &prepared);
            let outcomes = Slots::new(&operations).finish(|_| RecordOutcome::NotRun(dry())).0;
            let mut report =
                RecordReport::new(operations, groups, outcomes, HashMap::new(), RecordStats::default());
            report.plan = Some(plan);
            return Ok(report);
        }
        if self.config.rollback_on_error {
            // Without its id no record can be deleted again.
            operations.iter_mut().for_each(|operation| operation.return_ids = true);
        }
        let (ran, started) = self.run(&operations, &groups, prepared, None, progress);
        started?;
        conclude(&mut operations, &ran.outcomes, &ran.spans);
        Ok(RecordReport::new(operations, groups, ran.outcomes, ran.matched, ran.stats))
    }

    fn prepare(&self, operations: &[Operation], groups: &[Range<usize>]) -> Result<Prepared> {
        prepare(operations, groups, self.config.strategy, &self.store.capabilities(), self.config.problems())
    }

    fn plan_of(&self, operations: &[Operation], prepared: &Prepared) -> Plan {
        let capabilities = self.store.capabilities();
        let remember = self.config.back(&capabilities) == Back::Compensated && capabilities.has_reads();
        let is_sequential =
            self.config.back(&capabilities) == Back::Transaction || self.config.strategy.is_sequential();
        let workers = if is_sequential { 1 } else { self.config.max_concurrent };
        let cut = Cut { strategy: self.config.strategy, remember, workers };
        plan(operations, prepared, &self.config.sizes(capabilities.record_limit()), &capabilities, cut)
    }

    fn run(
        &self,
        operations: &[Operation],
        groups: &[Range<usize>],
        prepared: Prepared,
        earlier: Option<Earlier>,
        progress: impl FnMut(&Progress),
    ) -> (Ran, Result<()>) {
        let config = &self.config;
        let capabilities = self.store.capabilities();
        let Prepared { directory, stages, bulks } = prepared;
        let mut slots = Slots::new(operations);
        let mut total = slots.len();
        if let Some((outcomes, matched)) = earlier {
            total = outcomes.iter().filter(|outcome| outcome.is_none()).count();
            slots.put_back(outcomes, matched);
        }
        let mut teller = Teller::new(progress, total);
        let back = config.back(&capabilities);
        let sizes = config.sizes(capabilities.record_limit());
        let is_auto = matches!(sizes, Sizes::Auto(_));
        let is_sequential = back == Back::Transaction || config.strategy.is_sequential();
        let mut families = if is_sequential { Families::default() } else { Families::of(operations) };
        let workers = if is_sequential {
            1
        } else {
            // No more sessions than requests; where their number is not known, than records.
            let size = |index: usize| match limits(&sizes, &capabilities, bulks[index], None) {
                Limits { records, bytes: None, .. } if !is_auto => records,
                _ => 1,
            };
            config.max_concurrent.min(widest(&stages, &families, size))
        };
        if workers == 1 {
            // One after the other, nothing is in the way of anything.
            families = Families::default();
        }
        let families = families.at_most(workers);
        let brake = config.brake();
        let (salvage, mut salvaged) = Salvaged::new();
        let work = Work {
            store: self.store,
            brake: &brake,
            manner: config.manner(&capabilities),
            bulks: &bulks,
            salvage,
            in_transaction: back == Back::Transaction,
        };
        let group_of = groups.iter().enumerate().flat_map(|(group, range)| range.clone().map(move |_| group));
        let schedule = RefCell::new(Schedule::new(
            operations,
            directory,
            stages.into_iter().map(Group::new).collect(),
            group_of.collect(),
            slots,
            families,
            sizes,
            capabilities,
            &bulks,
            workers.min(self.store.max_sessions().unwrap_or(usize::MAX)).max(1),
            back,
            &brake,
        ));
        let mut started = Ok(());
        if total > 0 {
            let seats = Seats(self.store);
            let batch = config.batch(BatchCall::new(&seats)).max_concurrent(workers);
            // A chunk that lies ready has the size of the answer before the last.
            let batch = if is_auto { batch.one_at_hand() } else { batch };
            let stats = batch.stream(
                std::iter::from_fn(|| schedule.borrow_mut().next()),
                |seat, item| work.step(seat, item),
                |outcome: Outcome<_>| {
                    let (number, ran) = (outcome.index(), outcome.status() != Status::NotRun);
                    let result = salvaged.result_of(outcome);
                    let mut schedule = schedule.borrow_mut();
                    schedule.accept(number, ran, result);
                    let (completed, succeeded) = schedule.slots.counts();
                    teller.tell(completed, succeeded, false);
                },
            );
            started = stats.map(|stats| schedule.borrow_mut().stats.add_engine(&stats));
        }
        let mut schedule = schedule.into_inner();
        let reason = schedule.finish(config.stopped());
        let (completed, succeeded) = schedule.slots.counts();
        teller.tell(completed, succeeded, true);
        let (outcomes, matched) = schedule.slots.finish(|_| RecordOutcome::NotRun(reason.copy()));
        (Ran { outcomes, matched, stats: schedule.stats, spans: schedule.spans }, started)
    }
}

fn dry() -> Error {
    Error::new(ErrorKind::Cancelled, "not sent: a dry run").with_delivery(Delivery::NotSent)
}

/// Writes down how each operation ended.
fn conclude(operations: &mut [Operation], outcomes: &[RecordOutcome], spans: &[Option<Span>]) {
    let mut first = 0;
    for (operation, span) in operations.iter_mut().zip(spans) {
        let own = &outcomes[first..first + operation.len()];
        first += operation.len();
        operation.status = if own.iter().all(RecordOutcome::is_success) {
            OperationStatus::Completed
        } else if own.iter().all(|outcome| matches!(outcome, RecordOutcome::NotRun(_))) {
            OperationStatus::Cancelled
        } else {
            OperationStatus::Failed
        };
        if let Some(span) = span {
            operation.started_at.get_or_insert(span.started_at);
            operation.finished_at = Some(span.finished_at);
            let took = span.ended.saturating_duration_since(span.began);
            operation.duration = Some(operation.duration.unwrap_or_default() + took);
        } else if operation.finished_at.is_none() {
            operation.finished_at = Some(now());
        }
    }
}

impl<S: RecordStore> std::fmt::Debug for Executor<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("config", &self.config).finish_non_exhaustive()
    }
}
