//! Records from an iterator.

use std::cell::Cell;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchSize, CancelToken, ErrorKind, Executor, Flow, RecordOutcome, Strategy};
use serde_json::{Value, json};

use crate::no_bad_rows;

#[test]
fn a_million_records_are_never_in_memory_together_and_come_out_in_order() {
    let store = Memory::new().refuse(no_bad_rows);
    let taken = Cell::new(0_usize);
    let rows = (0..200_000_usize).map(|n| {
        taken.set(n + 1);
        json!({"n": n, "bad": n % 10_007 == 0})
    });
    let (mut next, mut most) = (0, 0);
    let executor = Executor::new(&store).batch_size(100).max_concurrent(3);
    let stats = executor
        .stream(Flow::create("m"), rows, |each| {
            assert_eq!((each.index, &each.record.as_map()["n"]), (next, &json!(next)));
            assert_eq!(each.outcome.is_success(), each.record.as_map()["bad"] == false);
            next += 1;
            most = most.max(taken.get() - each.index);
        })
        .unwrap();
    assert_eq!((next, stats.totals.records, stats.totals.failed), (200_000, 200_000, 20));
    assert!(most <= 100 * 3 * 8 + 1_000, "{most} records at once");
}

#[test]
fn one_slow_chunk_holds_the_iterator_back() {
    let store = Memory::new().script([Step::Delay(std::time::Duration::from_millis(200))]);
    let taken = Cell::new(0_usize);
    let rows = (0..100_000_usize).map(|n| {
        taken.set(n + 1);
        json!({"n": n})
    });
    let mut most = 0;
    let mut next = 0;
    Executor::new(&store)
        .batch_size(10)
        .max_concurrent(2)
        .stream(Flow::create("m"), rows, |each| {
            assert_eq!(each.index, next);
            next += 1;
            most = most.max(taken.get() - each.index);
        })
        .unwrap();
    assert_eq!(next, 100_000);
    assert!(most <= 10 * 2 * 8 + 100, "{most} records at once");
}

#[test]
fn a_record_that_cannot_be_sent_fails_by_itself() {
    let store = Memory::new();
    let rows: Vec<Value> = vec![json!({"a": 1}), json!(5), json!({}), json!([{"a": 1}]), json!({"a": 2})];
    let mut seen = Vec::new();
    let stats = Executor::new(&store)
        .stream(Flow::create("m"), rows, |each| {
            seen.push((each.index, each.outcome.as_str(), each.outcome.is_resendable()));
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            (0, "created", false),
            (1, "failed", true),
            (2, "failed", true),
            (3, "failed", true),
            (4, "created", false)
        ]
    );
    assert_eq!((stats.totals.created, stats.requests), (2, 1));
}

#[test]
fn a_stream_of_nothing_but_bad_records_ends() {
    let store = Memory::new();
    let mut seen = 0;
    let stats =
        Executor::new(&store).stream(Flow::create("m"), (0..5_000).map(|n| json!(n)), |_| seen += 1).unwrap();
    assert_eq!((seen, stats.totals.failed, store.requests()), (5_000, 5_000, 0));
    let stats = Executor::new(&store).stream(Flow::create("m"), Vec::<Value>::new(), |_| {}).unwrap();
    assert_eq!((stats.totals.records, stats.logins), (0, 0));
}

#[test]
fn all_kinds_can_be_streamed() {
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(7);
    let mut ids = Vec::new();
    executor.stream(Flow::create("m"), (0..50).map(|n| json!({"k": n})), |each| ids.extend(each.id)).unwrap();
    let rows = ids.iter().map(|id| json!({"id": id, "x": id}));
    let stats = executor.stream(Flow::update_each("m"), rows, |_| {}).unwrap();
    assert_eq!(stats.totals.updated, 50);
    assert!(store.rows("m").iter().all(|(id, row)| row["x"] == *id));
    let rows = (25..75).map(|k| json!({"k": k, "y": 1}));
    let mut found = Vec::new();
    let stats = executor.stream(Flow::upsert("m", ["k"]), rows, |each| found.push(each.id.unwrap())).unwrap();
    assert_eq!((stats.totals.updated, stats.totals.created), (25, 25));
    assert_eq!(found[..25], ids[25..]);
    let mut kept = Vec::new();
    let stats = executor.stream(Flow::delete("m"), ids, |each| kept.push(each.record)).unwrap();
    assert_eq!((stats.totals.deleted, store.rows("m").len()), (50, 25));
    assert!(kept.iter().all(|record| record.len() == 1 && record.get("id").is_some()));
}

#[test]
fn a_stopped_stream_leaves_the_rest_of_the_iterator_alone() {
    let store = Memory::new();
    let token = CancelToken::new();
    let taken = Cell::new(0_usize);
    let rows = (0..1_000_000_usize).map(|n| {
        taken.set(n + 1);
        json!({"n": n})
    });
    let mut told = 0;
    let stats = Executor::new(&store)
        .batch_size(10)
        .cancel_token(&token)
        .stream(Flow::create("m"), rows, |_| {
            told += 1;
            token.cancel();
        })
        .unwrap();
    assert_eq!((stats.totals.records, told), (taken.get(), taken.get()));
    assert!(taken.get() < 10_000);
    assert_eq!(store.rows("m").len(), stats.totals.created);
    assert_eq!(stats.totals.created + stats.totals.not_run, told);
}

#[test]
fn a_stream_that_may_not_go_on_ends_at_the_first_failure() {
    let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    let rows = (0..1_000_000_usize).map(|n| json!({"n": n}));
    let mut outcomes = Vec::new();
    let stats = Executor::new(&store)
        .strategy(Strategy::Chunked)
        .batch_size(1)
        .continue_on_error(false)
        .stream(Flow::create("m"), rows, |each| outcomes.push(each.outcome))
        .unwrap();
    assert_eq!((stats.totals.created, stats.totals.failed), (1, 1));
    assert!(outcomes.len() < 10);
    assert!(outcomes[2..].iter().all(|outcome| matches!(outcome, RecordOutcome::NotRun(_))));
}

#[test]
fn sizes_grow_in_a_stream() {
    let store = Memory::new();
    let rows = (0..50_000).map(|n| json!({"n": n}));
    let stats =
        Executor::new(&store).batch_size(BatchSize::Auto).stream(Flow::create("m"), rows, |_| {}).unwrap();
    assert!(stats.requests < 150 && stats.largest_request > 1_000, "{stats:?}");
}

#[test]
fn what_a_stream_cannot_do_is_refused() {
    let store = Memory::new();
    let rows = || vec![json!({"a": 1})];
    let refused = |executor: Executor<'_, Memory>, flow: Flow| {
        executor.stream(flow, rows(), |_| {}).unwrap_err().kind() == ErrorKind::Invalid
    };
    assert!(refused(Executor::new(&store).rollback_on_error(true), Flow::create("m")));
    assert!(refused(Executor::new(&store).dry_run(true), Flow::create("m")));
    assert!(refused(Executor::new(&store).batch_size(0), Flow::create("m")));
    assert!(refused(Executor::new(&store), Flow::create("")));
    assert!(refused(Executor::new(&store), Flow::upsert("m", Vec::<String>::new())));
}
