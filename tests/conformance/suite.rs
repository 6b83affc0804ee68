//! The suite.

use std::any::Any;
use std::collections::HashSet;

use batchcall::{
    Delivery, ErrorKind, Executor, Flow, Operation, OperationKind, Record, RecordId, RecordOutcome,
    RecordReport, RecordStore, Strategy,
};
use serde_json::{Value, json};

/// Asks or tells the backend something behind the store's back.
pub(crate) type Look<S, R> = Box<dyn Fn(&S) -> R>;

/// A backend and what the suite has to know of it. The model is empty, or has rows that the suite leaves
/// alone.
pub(crate) struct Fixture<S> {
    pub(crate) store: S,
    pub(crate) model: String,
    /// A row that the store takes; a different one for each number.
    pub(crate) good: fn(usize) -> Value,
    /// A row that its rules refuse.
    pub(crate) bad: Option<fn(usize) -> Value>,
    /// The field that is different in each row, by which an upsert finds it.
    pub(crate) key: &'static str,
    /// A field to write, and two values for it that no row has.
    pub(crate) change: (&'static str, Value, Value),
    /// A field that takes the id of another row.
    pub(crate) parent: Option<&'static str>,
    /// The id of no row.
    pub(crate) missing: RecordId,
    /// All rows with their ids, in fields as they were given.
    pub(crate) rows: Look<S, Vec<(RecordId, Record)>>,
    /// Makes the next write be applied without an answer.
    pub(crate) lose_answer: Option<Look<S, ()>>,
    /// The requests about records that arrived.
    pub(crate) requests: Option<Look<S, usize>>,
    /// What has to live as long as the store, such as a server.
    #[expect(dead_code, reason = "kept until the end")]
    pub(crate) keep: Box<dyn Any>,
}

/// Runs the suite over a backend: a module of tests, one for each promise.
macro_rules! conformance {
    ($name:ident, $make:expr) => {
        conformance!($name, $make;
            created_records_get_their_ids_in_the_order_of_the_input
            an_update_writes_the_same_to_all_and_nothing_else
            different_values_go_to_their_records
            deleted_records_are_gone
            an_upsert_makes_what_is_not_there_and_updates_the_rest
            a_bad_record_does_not_take_its_neighbours_down
            a_missing_record_is_the_only_one_that_fails
            a_child_gets_the_id_of_its_parent
            a_child_of_a_parent_that_failed_is_not_run
            a_lost_answer_never_makes_two_of_one
            a_failure_undoes_what_was_applied
            an_update_that_is_undone_has_its_former_values
            a_dry_run_sends_nothing
            an_iterator_is_stored_as_a_list_is
            failed_records_can_be_run_again
        );
    };
    ($name:ident, $make:expr; $($test:ident)*) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $test() {
                    // A backend that is not there has said so.
                    let fixture: Option<$crate::suite::Fixture<_>> = $make().into();
                    if let Some(fixture) = fixture {
                        $crate::suite::$test(&fixture);
                    }
                }
            )*
        }
    };
}

impl<S: RecordStore> Fixture<S> {
    fn goods(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
        numbers.into_iter().map(self.good).collect()
    }

    fn create(&self, numbers: impl IntoIterator<Item = usize>) -> Operation {
        Operation::create(&self.model, self.goods(numbers)).unwrap()
    }

    /// Rows that are there before the test begins.
    fn given(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<RecordId> {
        Executor::new(&self.store).execute([self.create(numbers)]).unwrap().into_ids().unwrap()
    }

    fn row(&self, id: &RecordId) -> Option<Record> {
        (self.rows)(&self.store).into_iter().find(|(each, _)| each == id).map(|(_, row)| row)
    }

    /// How many rows have the key of a row.
    fn count(&self, row: &Value) -> usize {
        let same = |each: &Record| each.get(self.key) == Some(&row[self.key]);
        (self.rows)(&self.store).iter().filter(|(_, each)| same(each)).count()
    }

    fn value(&self, id: &RecordId) -> Option<Value> {
        self.row(id)?.get(self.change.0).cloned()
    }

    fn has(&self, kind: OperationKind) -> bool {
        self.store.capabilities().has(kind)
    }
}

fn adds_up(report: &RecordReport) {
    let records: usize = report.operations().iter().map(Operation::len).sum();
    assert_eq!((report.outcomes().len(), report.totals().records), (records, records));
}

pub(crate) fn created_records_get_their_ids_in_the_order_of_the_input<S: RecordStore>(fixture: &Fixture<S>) {
    let strategies = [
        Strategy::Chunked,
        Strategy::Parallel,
        Strategy::Pipelined,
        Strategy::Optimistic,
        Strategy::SingleQuery,
    ];
    let mut seen = HashSet::new();
    for (round, strategy) in strategies.into_iter().enumerate() {
        let numbers = round * 20..round * 20 + 12;
        let one = fixture.store.capabilities().record_limit().is_some_and(|most| most < 12);
        if strategy == Strategy::SingleQuery && one {
            continue;
        }
        let executor = Executor::new(&fixture.store).strategy(strategy).batch_size(5).max_concurrent(2);
        let report = executor.execute([fixture.create(numbers.clone())]).unwrap();
        assert!(report.is_complete(), "{report}");
        adds_up(&report);
        for (number, id) in numbers.zip(report.into_ids().unwrap()) {
            let row = fixture.row(&id).unwrap();
            assert_eq!(row.get(fixture.key), Some(&(fixture.good)(number)[fixture.key]), "{strategy:?}");
            assert!(seen.insert(id));
        }
    }
}

pub(crate) fn an_update_writes_the_same_to_all_and_nothing_else<S: RecordStore>(fixture: &Fixture<S>) {
    let ids = fixture.given(0..7);
    let (field, value, _) = fixture.change.clone();
    let update = Operation::update(&fixture.model, &ids[1..5], json!({field: value})).unwrap();
    let report = Executor::new(&fixture.store).batch_size(3).execute([update]).unwrap();
    assert!(report.is_complete(), "{report}");
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(fixture.value(id) == Some(value.clone()), (1..5).contains(&number));
        assert_eq!(fixture.row(id).unwrap().get(fixture.key), Some(&(fixture.good)(number)[fixture.key]));
    }
}

pub(crate) fn different_values_go_to_their_records<S: RecordStore>(fixture: &Fixture<S>) {
    let ids = fixture.given(0..6);
    let (field, one, two) = fixture.change.clone();
    let value = |at: usize| if at.is_multiple_of(2) { one.clone() } else { two.clone() };
    let rows: Vec<_> = ids.iter().enumerate().map(|(at, id)| json!({"id": id, field: value(at)})).collect();
    let report = Executor::new(&fixture.store)
        .batch_size(4)
        .execute([Operation::update_each(&fixture.model, rows).unwrap()])
        .unwrap();
    assert!(report.is_complete(), "{report}");
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(fixture.value(id), Some(value(at)));
    }
}

pub(crate) fn deleted_records_are_gone<S: RecordStore>(fixture: &Fixture<S>) {
    let ids = fixture.given(0..6);
    let delete = Operation::delete(&fixture.model, &ids[..4]).unwrap();
    let report = Executor::new(&fixture.store).batch_size(3).execute([delete]).unwrap();
    assert_eq!(report.totals().deleted, 4, "{report}");
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(fixture.row(id).is_some(), at >= 4);
    }
}

pub(crate) fn an_upsert_makes_what_is_not_there_and_updates_the_rest<S: RecordStore>(fixture: &Fixture<S>) {
    if !fixture.has(OperationKind::Upsert) {
        return;
    }
    let ids = fixture.given(0..3);
    let (field, value, _) = fixture.change.clone();
    let rows: Vec<Value> = fixture
        .goods(0..6)
        .into_iter()
        .map(|mut row| {
            row[field] = value.clone();
            row
        })
        .collect();
    let upsert = Operation::upsert(&fixture.model, [fixture.key], &rows).unwrap();
    let report = Executor::new(&fixture.store).batch_size(4).execute([upsert.clone()]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.totals().updated, report.totals().created), (3, 3));
    assert!(ids.iter().all(|id| fixture.value(id) == Some(value.clone())));
    // A second time it makes nothing.
    let again = Executor::new(&fixture.store).execute([upsert]).unwrap();
    assert_eq!(again.totals().succeeded(), 6, "{again}");
    assert!(rows.iter().all(|row| fixture.count(row) == 1));
}

pub(crate) fn a_bad_record_does_not_take_its_neighbours_down<S: RecordStore>(fixture: &Fixture<S>) {
    let Some(bad) = fixture.bad else { return };
    let mut rows = fixture.goods(0..16);
    rows[11] = bad(11);
    let before = fixture.requests.as_ref().map(|requests| requests(&fixture.store));
    let report = Executor::new(&fixture.store)
        .batch_size(16)
        .execute([Operation::create(&fixture.model, &rows).unwrap()])
        .unwrap();
    adds_up(&report);
    assert_eq!((report.totals().created, report.totals().failed), (15, 1), "{report}");
    let failed = report.failed().next().unwrap();
    assert_eq!(failed.index(), 11);
    let error = failed.error().unwrap();
    assert!(!error.message().is_empty() && !error.is_retryable());
    assert_eq!(error.record_index(), Some(11));
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(fixture.count(row), usize::from(at != 11));
    }
    // One for all, and two for each halving; or one for each record where requests are small.
    if let Some((requests, before)) = fixture.requests.as_ref().zip(before) {
        let sent = requests(&fixture.store) - before;
        let most = fixture.store.capabilities().record_limit().map_or(1 + 2 * 4, |most| 16 / most + 6);
        assert!(sent <= most, "{sent} requests, at most {most}");
    }
}

pub(crate) fn a_missing_record_is_the_only_one_that_fails<S: RecordStore>(fixture: &Fixture<S>) {
    let mut ids = fixture.given(0..4);
    ids.insert(2, fixture.missing.clone());
    let (field, value, _) = fixture.change.clone();
    let update = Operation::update(&fixture.model, &ids, json!({field: value})).unwrap();
    let report = Executor::new(&fixture.store).execute([update]).unwrap();
    assert_eq!((report.totals().succeeded(), report.totals().failed), (4, 1), "{report}");
    assert_eq!(report.failed().next().unwrap().error().unwrap().kind(), ErrorKind::NotFound);
    // To be deleted and not to be there may be the same.
    let report =
        Executor::new(&fixture.store).execute([Operation::delete(&fixture.model, &ids).unwrap()]).unwrap();
    assert!(report.totals().deleted >= 4 && report.totals().in_doubt == 0, "{report}");
    assert!(ids.iter().all(|id| fixture.row(id).is_none()));
}

pub(crate) fn a_child_gets_the_id_of_its_parent<S: RecordStore>(fixture: &Fixture<S>) {
    let Some(parent) = fixture.parent else { return };
    let mut new = Vec::new();
    let report = fixture
        .store
        .batch(|batch| {
            for n in 0..3 {
                let company = batch.create(&fixture.model, (fixture.good)(n))?;
                let mut contact = (fixture.good)(10 + n);
                contact[parent] = json!(company.id());
                new.push((company, batch.create(&fixture.model, contact)?));
            }
            Ok(())
        })
        .unwrap();
    assert!(report.is_complete(), "{report}");
    for (company, contact) in new {
        let (company, contact) = (report.id_of(&company.id()).unwrap(), report.id_of(&contact.id()).unwrap());
        assert_eq!(fixture.row(&contact).unwrap().get(parent), Some(&company.to_json()));
    }
}

pub(crate) fn a_child_of_a_parent_that_failed_is_not_run<S: RecordStore>(fixture: &Fixture<S>) {
    let (Some(parent), Some(bad)) = (fixture.parent, fixture.bad) else { return };
    let parents = Operation::create(&fixture.model, [bad(0), (fixture.good)(1)]).unwrap();
    let child = |n: usize| {
        let mut row = (fixture.good)(10 + n);
        row[parent] = json!(parents.reference(n));
        row
    };
    let children = Operation::create(&fixture.model, [child(0), child(1)]).unwrap();
    let report = Executor::new(&fixture.store).execute([parents, children]).unwrap();
    let words: Vec<_> = report.outcomes().iter().map(RecordOutcome::as_str).collect();
    assert_eq!(words, ["failed", "created", "not run", "created"], "{report}");
    assert_eq!(report.outcomes()[2].error().unwrap().kind(), ErrorKind::Dependency);
    assert_eq!(fixture.count(&(fixture.good)(10)), 0);
}

pub(crate) fn a_lost_answer_never_makes_two_of_one<S: RecordStore>(fixture: &Fixture<S>) {
    let Some(lose_answer) = &fixture.lose_answer else { return };
    lose_answer(&fixture.store);
    let report = Executor::new(&fixture.store)
        .strategy(Strategy::Chunked)
        .batch_size(4)
        .execute([fixture.create(0..8)])
        .unwrap();
    adds_up(&report);
    assert!(report.totals().in_doubt >= 1, "{report}");
    assert_eq!(report.totals().in_doubt + report.totals().created, 8, "{report}");
    for row in fixture.goods(0..8) {
        assert_eq!(fixture.count(&row), 1);
    }
    for outcome in report.outcomes() {
        if let RecordOutcome::InDoubt(error) = outcome {
            assert_eq!((error.delivery(), error.is_retryable()), (Some(Delivery::MaybeSent), false));
        }
    }
}

pub(crate) fn a_failure_undoes_what_was_applied<S: RecordStore>(fixture: &Fixture<S>) {
    let Some(bad) = fixture.bad else { return };
    if !fixture.has(OperationKind::Delete) {
        return;
    }
    let mut rows = fixture.goods(0..8);
    rows[6] = bad(6);
    let report = Executor::new(&fixture.store)
        .strategy(Strategy::Chunked)
        .batch_size(2)
        .rollback_on_error(true)
        .execute([Operation::create(&fixture.model, &rows).unwrap()])
        .unwrap();
    adds_up(&report);
    assert!(report.totals().rolled_back >= 1, "{report}");
    assert_eq!(report.totals().succeeded() + report.totals().rollback_failed, 0, "{report}");
    assert!(rows.iter().all(|row| fixture.count(row) == 0));
}

pub(crate) fn an_update_that_is_undone_has_its_former_values<S: RecordStore>(fixture: &Fixture<S>) {
    let capabilities = fixture.store.capabilities();
    let Some(bad) = fixture.bad else { return };
    if !capabilities.has_reads() && !capabilities.has_transactions() {
        return;
    }
    let ids = fixture.given(0..3);
    let before: Vec<_> = ids.iter().map(|id| fixture.value(id)).collect();
    let (field, value, _) = fixture.change.clone();
    let report = Executor::new(&fixture.store)
        .rollback_on_error(true)
        .execute([
            Operation::update(&fixture.model, &ids, json!({field: value})).unwrap().priority(1),
            Operation::create(&fixture.model, [bad(9)]).unwrap(),
        ])
        .unwrap();
    assert_eq!((report.totals().rolled_back, report.totals().failed), (3, 1), "{report}");
    assert_eq!(ids.iter().map(|id| fixture.value(id)).collect::<Vec<_>>(), before);
}

pub(crate) fn a_dry_run_sends_nothing<S: RecordStore>(fixture: &Fixture<S>) {
    let before = (fixture.rows)(&fixture.store).len();
    let report = Executor::new(&fixture.store).dry_run(true).execute([fixture.create(0..5)]).unwrap();
    assert_eq!((report.totals().not_run, report.plan().unwrap().records()), (5, 5));
    assert_eq!((fixture.rows)(&fixture.store).len(), before);
}

pub(crate) fn an_iterator_is_stored_as_a_list_is<S: RecordStore>(fixture: &Fixture<S>) {
    let mut next = 0;
    let stats = Executor::new(&fixture.store)
        .batch_size(4)
        .stream(Flow::create(&fixture.model), (0..14).map(fixture.good), |each| {
            assert_eq!(each.index, next);
            assert!(each.outcome.is_success(), "{}", each.outcome);
            next += 1;
        })
        .unwrap();
    assert_eq!((next, stats.totals.created), (14, 14));
    assert!(fixture.goods(0..14).iter().all(|row| fixture.count(row) == 1));
}

pub(crate) fn failed_records_can_be_run_again<S: RecordStore>(fixture: &Fixture<S>) {
    let Some(bad) = fixture.bad else { return };
    let rows = [(fixture.good)(0), bad(1), (fixture.good)(2)];
    let executor = Executor::new(&fixture.store);
    let mut report = executor.execute([Operation::create(&fixture.model, rows).unwrap()]).unwrap();
    assert_eq!(report.totals().failed, 1, "{report}");
    executor.retry_failed(&mut report).unwrap();
    adds_up(&report);
    assert_eq!((report.totals().created, report.totals().failed), (2, 1), "{report}");
    assert_eq!(fixture.count(&(fixture.good)(0)), 1);
}
