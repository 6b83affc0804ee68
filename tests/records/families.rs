//! Records that share a parent are kept off each other.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{
    BatchSize, Capabilities, Chunk, Delivery, Error, ErrorKind, Executor, Flow, Operation, OperationKind,
    RecordOutcome, Strategy as How,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fake::{Fake, fine};
use crate::{no_bad_rows, rows, words};

const ALL: [How; 5] = [How::SingleQuery, How::Chunked, How::Parallel, How::Pipelined, How::Optimistic];

/// Rows of which each names a parent.
fn children(parents: &[Option<i64>]) -> Vec<Value> {
    parents.iter().map(|parent| json!({"name": "child", "parent_id": parent})).collect()
}

/// The parents that a chunk touches.
fn touched(chunk: &Chunk<'_>) -> HashSet<String> {
    let of = |record: &batchcall::Record| record.get("parent_id").filter(|parent| !parent.is_null()).cloned();
    let own = chunk.records().iter().filter_map(of);
    own.chain(of(chunk.values())).map(|parent| parent.to_string()).collect()
}

/// A server on which two transactions that touch the same parent are a conflict, and which remembers that.
struct Server {
    store: Fake,
    conflicts: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Server {
    fn new(pause: Duration) -> Self {
        Self::with(Capabilities::new().atomic_chunks(true).supports(OperationKind::Upsert, true), pause)
    }

    fn with(capabilities: Capabilities, pause: Duration) -> Self {
        let (conflicts, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, widest) = (Arc::clone(&conflicts), Arc::clone(&most));
        let out: Mutex<Vec<HashSet<String>>> = Mutex::default();
        let store = Fake::new(capabilities, move |_, chunk| {
            let mine = touched(chunk);
            {
                let mut out = out.lock().unwrap();
                if out.iter().any(|other| !other.is_disjoint(&mine)) {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                out.push(mine.clone());
                widest.fetch_max(out.len(), Ordering::SeqCst);
            }
            std::thread::sleep(pause);
            let mut out = out.lock().unwrap();
            let own = out.iter().position(|other| *other == mine).unwrap();
            out.swap_remove(own);
            drop(out);
            if (0..chunk.len()).any(|at| chunk.records().get(at).is_some_and(|row| row.get("bad").is_some()))
            {
                return Err(Error::new(ErrorKind::Rejected, "bad").with_delivery(Delivery::Answered));
            }
            Ok(fine(chunk))
        });
        Self { store, conflicts, most }
    }

    fn conflicts(&self) -> usize {
        self.conflicts.load(Ordering::SeqCst)
    }

    fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[test]
fn without_it_children_of_one_parent_meet_and_with_it_they_do_not() {
    let rows = children(&(0..60).map(|n| Some(n % 3)).collect::<Vec<_>>());
    for grouped in [false, true] {
        let server = Server::new(Duration::from_millis(3));
        let mut operation = Operation::create("m", &rows).unwrap();
        if grouped {
            operation = operation.group_by(["parent_id"]);
        }
        let executor = Executor::new(&server.store).batch_size(5).max_concurrent(4);
        let report = executor.execute([operation]).unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!(server.conflicts() == 0, grouped);
        assert_eq!(server.store.requests(), 12);
        assert!(server.most_at_once() >= 2, "families go side by side");
        for (n, outcome) in report.outcomes().iter().enumerate() {
            assert_eq!(outcome.id(), Some(&(n + 1).into()), "outcomes are in the order of the input");
        }
    }
}

#[test]
fn no_more_sessions_are_opened_than_there_are_families() {
    let store = Memory::new().delay(Duration::from_millis(1));
    let rows = children(&[Some(1); 40]);
    let executor = Executor::new(&store).batch_size(4).max_concurrent(5);
    let report = executor.execute([Operation::create("m", rows).unwrap().group_by(["parent_id"])]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((store.logins(), store.requests()), (1, 10));
    // In order, because one went after the other.
    assert!(report.outcomes().iter().zip(1..).all(|(outcome, id)| outcome.id() == Some(&id.into())));
}

#[test]
fn the_longest_family_begins_first_wherever_it_stands() {
    let mut parents: Vec<_> = (0..80).map(|n| Some(100 + n / 2)).collect();
    parents.extend([Some(1); 40]);
    let server = Server::new(Duration::from_millis(2));
    let executor = Executor::new(&server.store).batch_size(10).max_concurrent(2);
    let operation = Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"]);
    assert!(executor.execute([operation]).unwrap().is_complete());
    assert_eq!((server.conflicts(), server.store.requests()), (0, 12));
    let seen = server.store.seen.lock().unwrap();
    assert!(seen[..2].iter().any(|seen| seen.places[0] == 80), "{:?}", seen[0]);
}

#[test]
fn operations_of_one_run_keep_off_each_other_too_and_groups_do() {
    let make = |first: usize| {
        let parents: Vec<_> = (first..first + 30).map(|n| Some(n as i64 % 5)).collect();
        Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"])
    };
    let same = || Operation::update("m", 100..=130, json!({"parent_id": 3})).unwrap().group_by(["parent_id"]);
    for how in [How::Parallel, How::Pipelined, How::Optimistic] {
        let server = Server::new(Duration::from_millis(1));
        let executor = Executor::new(&server.store).strategy(how).batch_size(4).max_concurrent(6);
        let report = executor.execute([make(0), same(), make(2)]).unwrap();
        assert!(report.is_complete() && server.conflicts() == 0, "{how:?}: {report}");
        if how == How::Optimistic {
            assert_eq!(server.store.requests(), 3, "each operation is one request still");
        }

        let server = Server::new(Duration::from_millis(1));
        let executor = Executor::new(&server.store).strategy(how).batch_size(4).max_concurrent(6);
        let report = executor.execute_groups([vec![make(0)], vec![same()], vec![make(3)]]).unwrap();
        assert!(report.is_complete() && server.conflicts() == 0, "{how:?}: {report}");
    }
}

#[test]
fn a_parent_that_is_not_made_yet_is_one_too() {
    let server = Server::new(Duration::from_millis(1));
    let parents = Operation::create("m", rows(3)).unwrap();
    let rows: Vec<_> = (0..30).map(|n| json!({"parent_id": parents.reference(n % 3)})).collect();
    let children = Operation::create("m", rows).unwrap().group_by(["parent_id"]);
    let executor = Executor::new(&server.store).batch_size(4).max_concurrent(4);
    let report = executor.execute([parents, children]).unwrap();
    assert!(report.is_complete() && server.conflicts() == 0, "{report}");
}

#[test]
fn children_of_a_parent_that_failed_hold_nobody_up() {
    let store = Memory::new().refuse(|_, row| (row["name"] == "partner 0").then(|| "no".into()));
    let parents = Operation::create("m", rows(2)).unwrap();
    let rows: Vec<_> =
        (0..20).map(|n| json!({"name": "child", "parent_id": parents.reference(n % 2)})).collect();
    let children = Operation::create("m", rows).unwrap().group_by(["parent_id"]);
    let executor = Executor::new(&store).batch_size(3).max_concurrent(3);
    let report = executor.execute([parents, children]).unwrap();
    let totals = report.totals();
    assert_eq!((totals.created, totals.failed, totals.not_run), (11, 1, 10), "{report}");
}

#[test]
fn a_family_goes_on_after_a_chunk_of_it_failed_or_was_lost() {
    let script = [Step::Fail(ErrorKind::Unavailable), Step::LoseAnswer, Step::Panic];
    let store = Memory::new().script(script);
    let executor = Executor::new(&store).batch_size(2).max_concurrent(3);
    let operation = Operation::create("m", children(&[Some(1); 10])).unwrap().group_by(["parent_id"]);
    let mut report = executor.execute([operation]).unwrap();
    assert_eq!(words(&report)[..6], ["failed", "failed", "in doubt", "in doubt", "in doubt", "in doubt"]);
    assert_eq!(words(&report)[6..], ["created"; 4]);
    executor.retry_failed(&mut report).unwrap();
    assert_eq!((report.totals().created, report.totals().in_doubt), (6, 4));
}

#[test]
fn a_retry_of_families_sends_only_what_failed() {
    let store = Memory::new().script([Step::Fail(ErrorKind::Unavailable), Step::Answer, Step::Unsent]);
    let executor = Executor::new(&store).batch_size(2).max_concurrent(3);
    let parents: Vec<_> = (0..12).map(|n| Some(n % 3)).collect();
    let operation = Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"]);
    let mut report = executor.execute([operation]).unwrap();
    assert_eq!((report.totals().failed, report.totals().created), (4, 8));
    executor.retry_failed(&mut report).unwrap();
    assert!(report.is_complete());
    assert_eq!(store.rows("m").len(), 12);
}

#[test]
fn the_limits_of_the_store_and_automatic_sizes_hold() {
    let parents: Vec<_> = (0..300).map(|n| Some(n / 7)).collect();
    let operation = || Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"]);
    let store = Memory::new().max_bytes(1_400);
    let report = Executor::new(&store).batch_size(BatchSize::Auto).execute([operation()]).unwrap();
    // What is too large is refused with 413, and would cost more requests.
    assert!(report.is_complete() && report.stats().largest_request < 20, "{report}");
    let server = Server::with(Capabilities::new().max_records(9), Duration::from_millis(1));
    let report = Executor::new(&server.store).batch_size(BatchSize::Auto).execute([operation()]).unwrap();
    assert!(report.is_complete() && server.conflicts() == 0, "{report}");
    assert!(server.store.seen.lock().unwrap().iter().all(|seen| seen.places.len() <= 9));
}

#[test]
fn a_plan_tells_the_families_and_what_follows_what() {
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(10).max_concurrent(4);
    let mut parents = vec![Some(1); 25];
    parents.extend([Some(2), Some(3), None, None]);
    let operation = Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"]);
    let plan = executor.plan(std::slice::from_ref(&operation)).unwrap();
    let steps: Vec<_> = plan
        .steps()
        .iter()
        .map(|step| (step.first, step.last, step.records, step.families, step.after))
        .collect();
    assert_eq!(
        steps,
        [(0, 9, 10, 1, None), (25, 28, 4, 2, None), (10, 19, 10, 1, Some(0)), (20, 24, 5, 1, Some(2))]
    );
    assert!(plan.is_estimate());
    assert!(plan.to_string().contains("1 family, after request 0"), "{plan}");
    let report = executor.dry_run(true).execute([operation.clone()]).unwrap();
    assert_eq!((report.plan(), store.requests()), (Some(&plan), 0));

    // One after the other, in the order of the input.
    let plan = Executor::new(&store).strategy(How::Chunked).batch_size(10).plan(&[operation]).unwrap();
    let records: Vec<_> = plan.steps().iter().map(|step| (step.first, step.records)).collect();
    assert_eq!(records, [(0, 10), (10, 10), (20, 9)]);
    assert!(!plan.is_estimate());
}

#[test]
fn what_cannot_be_grouped_is_refused_and_what_lacks_the_field_goes_with_anything() {
    let paths = |operation: &Operation| {
        let error = operation.validate().unwrap_err();
        error
            .field_errors()
            .iter()
            .map(|field| format!("{}: {}", field.path, field.message))
            .collect::<Vec<_>>()
    };
    let delete = Operation::delete("m", [1]).unwrap().group_by(["parent_id"]);
    assert_eq!(paths(&delete), ["field group_by: a delete knows no fields to group its records by"]);
    let twice = Operation::create("m", rows(1)).unwrap().group_by(["a", "", "a"]);
    assert_eq!(
        paths(&twice),
        ["field group_by: the name of a field to group by is empty", "field group_by: field a comes twice"]
    );
    assert!(Executor::new(&Memory::new()).execute([delete]).is_err());

    let store = Memory::new();
    let operation = Operation::create("m", rows(30)).unwrap().group_by(["no_such_field"]);
    let report = Executor::new(&store).batch_size(10).execute([operation]).unwrap();
    assert!(report.is_complete());
    assert_eq!(store.requests(), 3);
}

#[test]
fn it_is_data_like_all_else_of_an_operation() {
    let form = json!({"type": "create", "model": "m", "data": [{"a": 1, "b": 2}], "group_by": ["a", "b"]});
    let operation = Operation::from_json(&form).unwrap();
    assert_eq!(operation.grouped_by(), ["a", "b"]);
    let text = serde_json::to_string(&operation).unwrap();
    assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation);
    let parts = Operation::create("m", rows(3)).unwrap().group_by(["name"]).split(2).unwrap();
    assert!(parts.iter().all(|part| part.grouped_by() == ["name"]));
    for wrong in [json!("a"), json!([1]), json!({})] {
        let form = json!({"type": "create", "model": "m", "data": [{"a": 1}], "group_by": wrong});
        let error = Operation::from_json(&form).unwrap_err();
        assert_eq!(error.field_errors()[0].path, "field group_by", "{error}");
    }
    let none = serde_json::to_value(Operation::create("m", rows(1)).unwrap()).unwrap();
    assert!(none.get("group_by").is_none());
}

#[test]
fn a_stream_keeps_families_apart_in_bounded_memory_and_in_order() {
    // Mixed, sorted, and one family for all.
    let parents: [fn(usize) -> Option<usize>; 4] =
        [|n| Some(n % 40), |n| Some(n / 7), |n| Some(n / 500), |n| (n % 3 > 0).then_some(1)];
    for (which, parent) in parents.into_iter().enumerate() {
        let server = Server::new(Duration::from_micros(200));
        let taken = Cell::new(0_usize);
        let rows = (0..2_000).map(|n| {
            taken.set(n + 1);
            json!({"n": n, "parent_id": parent(n)})
        });
        let (mut next, mut most) = (0, 0);
        let stats = Executor::new(&server.store)
            .batch_size(20)
            .max_concurrent(4)
            .stream(Flow::create("m").group_by(["parent_id"]), rows, |each| {
                assert_eq!((each.index, each.outcome.id()), (next, Some(&(next + 1).into())));
                next += 1;
                most = most.max(taken.get() - each.index);
            })
            .unwrap();
        assert_eq!((next, stats.totals.created, server.conflicts()), (2_000, 2_000, 0), "{which}");
        assert!(most <= 2 * 20 * 4 * 8 + 100, "{which}: {most} records at once");
        if which < 2 {
            assert!(
                stats.requests < 130 && server.most_at_once() > 1,
                "{which}: {} requests",
                stats.requests
            );
        }
    }
}

#[test]
fn a_stream_of_families_that_is_stopped_tells_every_record_that_it_took() {
    let store = Memory::new().script([Step::Answer, Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    let rows = (0..10_000).map(|n| json!({"n": n, "parent_id": n / 50}));
    let mut told = 0;
    let stats = Executor::new(&store)
        .batch_size(5)
        .max_concurrent(3)
        .continue_on_error(false)
        .stream(Flow::create("m").group_by(["parent_id"]), rows, |each| {
            assert_eq!(each.index, told);
            told += 1;
        })
        .unwrap();
    assert!(told < 1_000 && stats.totals.failed == 5, "{stats:?}");
    assert_eq!((stats.totals.records, stats.totals.created), (told, store.rows("m").len()));

    let refused = |flow: Flow| Executor::new(&store).stream(flow, [json!(1)], |_| {}).is_err();
    assert!(refused(Flow::delete("m").group_by(["parent_id"])) && refused(Flow::create("m").group_by([""])));
}

#[test]
fn a_stream_of_families_keeps_the_limit_of_bytes() {
    let store = Memory::new().max_bytes(1_500);
    let rows = (0..500).map(|n| json!({"n": n, "parent_id": n % 7, "text": "x".repeat(n % 300)}));
    let flow = Flow::create("m").group_by(["parent_id"]);
    let mut next = 0;
    let stats = Executor::new(&store)
        .batch_size(30)
        .max_concurrent(4)
        .stream(flow, rows, |each| {
            assert_eq!(each.index, next);
            next += 1;
        })
        .unwrap();
    // Too large for the store is HTTP 413, halved and sent again: more requests than chunks.
    assert_eq!((next, stats.totals.created), (500, 500));
    assert!(stats.requests < 300, "{}", stats.requests);
}

#[test]
fn what_was_grouped_is_undone_like_all_else() {
    let store = Memory::new().refuse(no_bad_rows);
    let mut rows = children(&(0..20).map(|n| Some(n % 3)).collect::<Vec<_>>());
    rows[19]["bad"] = json!(true);
    let executor = Executor::new(&store).batch_size(2).max_concurrent(3).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows).unwrap().group_by(["parent_id"])]).unwrap();
    assert_eq!(store.rows("m").len(), 0, "{report}");
    assert!(report.outcomes().iter().all(|outcome| !outcome.is_success()));
}

/// The parents of an operation's records, its priority, its kind, and whether it is grouped by two fields.
type Wanted = (Vec<Option<i64>>, i32, u8, bool);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_grouped_never_meets(
        operations in prop::collection::vec(
            (prop::collection::vec(prop::option::of(0_i64..6), 1..40), 0_i32..2, 0_u8..3, any::<bool>()), 1..4,
        ),
        bad in prop::collection::btree_set((0_usize..4, 0_usize..40), 0..3),
        how in prop::sample::select(ALL.to_vec()),
        size in 1_usize..9,
        workers in 1_usize..7,
        auto in prop::bool::weighted(0.2),
        go_on in prop::bool::weighted(0.8),
        side_by_side in any::<bool>(),
    ) {
        let make = |(n, (parents, priority, kind, both)): (usize, &Wanted)| {
            let mut rows = children(parents);
            for (_, at) in bad.iter().filter(|(operation, at)| *operation == n && *at < parents.len()) {
                rows[*at]["bad"] = json!(true);
            }
            // Another field by which all are told apart: it joins nobody.
            for (at, row) in rows.iter_mut().enumerate() {
                row["id"] = json!(n * 100 + at + 1);
            }
            let operation = match kind {
                0 => Operation::create("m", rows),
                1 => Operation::update_each("m", rows),
                _ => Operation::upsert("m", ["id"], rows),
            };
            let fields: &[&str] = if *both { &["parent_id", "id"] } else { &["parent_id"] };
            operation.unwrap().priority(*priority).group_by(fields.iter().copied())
        };
        let all: Vec<Operation> = operations.iter().enumerate().map(make).collect();
        let server = Server::new(Duration::from_micros(50));
        let executor = Executor::new(&server.store)
            .strategy(how)
            .batch_size(if auto { BatchSize::Auto } else { BatchSize::Fixed(size) })
            .max_concurrent(workers)
            .continue_on_error(go_on);
        let report = if side_by_side {
            executor.execute_groups(all.iter().cloned().map(|each| vec![each])).unwrap()
        } else {
            executor.execute(all.clone()).unwrap()
        };
        prop_assert_eq!(server.conflicts(), 0);
        prop_assert!(server.most_at_once() <= workers);
        prop_assert_eq!(report.outcomes().len(), all.iter().map(Operation::len).sum::<usize>());
        if go_on {
            for entry in report.iter() {
                let is_bad = entry.input().get("bad").is_some();
                prop_assert_eq!(entry.outcome().is_success(), !is_bad, "{:?}", entry);
                if let RecordOutcome::Created(id) = entry.outcome() {
                    prop_assert_eq!(id, &(entry.record() + 1).into());
                }
            }
        }
        if !side_by_side && go_on {
            // Each record once where none is bad, and a barrier between priorities.
            let seen = server.store.seen.lock().unwrap();
            if bad.is_empty() {
                prop_assert_eq!(seen.iter().map(|seen| seen.places.len()).sum::<usize>(), report.outcomes().len());
            }
            if let [one] = &all[..] && bad.is_empty() && !auto && matches!(how, How::Parallel | How::Pipelined) {
                prop_assert!(seen.len() <= one.len().div_ceil(size) + workers, "{} requests", seen.len());
            }
        }
    }

    #[test]
    fn a_lower_priority_waits_for_families_too(
        parents in prop::collection::vec(prop::option::of(0_i64..3), 1..30),
        size in 1_usize..5,
        workers in 1_usize..6,
    ) {
        let store = Server::new(Duration::from_micros(50)).store;
        let low = Operation::update("m", 1..=9, json!({"parent_id": 1})).unwrap().group_by(["parent_id"]);
        let high = Operation::create("m", children(&parents)).unwrap().group_by(["parent_id"]).priority(1);
        let executor = Executor::new(&store).batch_size(size).max_concurrent(workers);
        prop_assert!(executor.execute([low, high]).unwrap().is_complete());
        let seen = store.seen.lock().unwrap();
        let first = seen.iter().position(|seen| seen.kind == OperationKind::Update).unwrap();
        prop_assert!(seen[first..].iter().all(|seen| seen.kind == OperationKind::Update));
        prop_assert_eq!(seen[..first].iter().map(|seen| seen.places.len()).sum::<usize>(), parents.len());
    }
}
