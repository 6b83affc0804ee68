//! What each strategy costs.

use batchcall::memory::{Memory, Step};
use batchcall::{ErrorKind, Executor, Operation, RecordOutcome, Strategy};

use crate::{no_bad_rows, rows, rows_with_bad, words};

const ALL: [Strategy; 5] =
    [Strategy::SingleQuery, Strategy::Chunked, Strategy::Parallel, Strategy::Pipelined, Strategy::Optimistic];

#[test]
fn the_requests_of_each_strategy_are_as_promised() {
    for (strategy, requests) in ALL.into_iter().zip([1, 3, 3, 3, 1]) {
        let store = Memory::new();
        let report = Executor::new(&store)
            .strategy(strategy)
            .batch_size(100)
            .execute([Operation::create("m", rows(250)).unwrap()])
            .unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!((report.stats().requests, store.requests()), (requests, requests), "{strategy:?}");
    }
}

#[test]
fn several_operations_cost_the_sum_and_a_plan_says_so_before() {
    let operations = || {
        [
            Operation::create("m", rows(250)).unwrap().priority(1),
            Operation::update("m", 1..=120, serde_json::json!({"a": 1})).unwrap(),
            Operation::delete("m", 200..=210).unwrap(),
        ]
    };
    for (strategy, requests) in ALL.into_iter().zip([3, 6, 6, 6, 3]) {
        let store = Memory::new();
        let executor = Executor::new(&store).strategy(strategy).batch_size(100);
        let plan = executor.plan(&operations()).unwrap();
        assert_eq!((plan.requests(), store.requests()), (requests, 0));
        let report = executor.execute(operations()).unwrap();
        assert_eq!(report.stats().requests, requests, "{strategy:?}");
    }
}

#[test]
fn chunked_goes_in_order_on_one_session() {
    let store = Memory::new();
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(7).max_concurrent(4);
    let report = executor.execute([Operation::create("m", rows(50)).unwrap()]).unwrap();
    assert_eq!((store.logins(), store.max_open_sessions(), store.open_sessions()), (1, 1, 0));
    let names: Vec<_> = store.rows("m").into_iter().map(|(_, row)| row["name"].clone()).collect();
    assert_eq!(names, rows(50).into_iter().map(|row| row["name"].clone()).collect::<Vec<_>>());
    assert_eq!(report.stats().requests, 8);
}

#[test]
fn parallel_opens_no_more_sessions_than_it_may_nor_than_it_has_chunks() {
    for (records, sessions) in [(20, 3), (2, 2), (1, 1)] {
        let store = Memory::new().delay(std::time::Duration::from_millis(5));
        let executor = Executor::new(&store).batch_size(1).max_concurrent(3);
        executor.execute([Operation::create("m", rows(records)).unwrap()]).unwrap();
        assert!(store.logins() <= sessions, "{} logins for {records} chunks", store.logins());
        assert_eq!(store.open_sessions(), 0);
    }
}

#[test]
fn optimistic_goes_on_in_chunks_only_when_nothing_was_applied() {
    let store = Memory::new().refuse(no_bad_rows);
    let executor = Executor::new(&store).strategy(Strategy::Optimistic).batch_size(10);
    let report = executor.execute([Operation::create("m", rows_with_bad(30, &[15])).unwrap()]).unwrap();
    assert_eq!((report.totals().created, report.totals().failed), (29, 1));
    assert_eq!(store.rows("m").len(), 29);
    // One for all, three chunks, and the second one halved: 10, 5, 3, 2, 1.
    assert!(report.stats().requests <= 1 + 3 + 2 * 4, "{}", report.stats().requests);
}

#[test]
fn optimistic_sends_nothing_again_after_a_lost_answer() {
    let store = Memory::new().script([Step::LoseAnswer]);
    let executor = Executor::new(&store).strategy(Strategy::Optimistic).batch_size(10);
    let report = executor.execute([Operation::create("m", rows(30)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt"; 30]);
    assert_eq!((store.requests(), store.rows("m").len()), (1, 30));
}

#[test]
fn optimistic_goes_in_chunks_at_once_when_the_store_does_not_take_so_much() {
    let store = Memory::new().max_records(20);
    let executor = Executor::new(&store).strategy(Strategy::Optimistic).batch_size(10);
    let report = executor.execute([Operation::create("m", rows(30)).unwrap()]).unwrap();
    assert!(report.is_complete());
    assert_eq!(store.requests(), 3);
}

#[test]
fn a_single_query_that_is_too_large_is_refused_before_sending() {
    for store in [Memory::new().max_records(20), Memory::new().max_bytes(1500)] {
        let executor = Executor::new(&store).strategy(Strategy::SingleQuery);
        let error = executor.execute([Operation::create("m", rows(30)).unwrap()]).unwrap_err();
        assert_eq!((error.kind(), store.requests()), (ErrorKind::Invalid, 0), "{error}");
    }
}

#[test]
fn chunks_keep_the_limits_of_the_store() {
    let store = Memory::new().max_records(7);
    let report = Executor::new(&store).execute([Operation::create("m", rows(30)).unwrap()]).unwrap();
    assert!(report.is_complete());
    assert_eq!((report.stats().requests, report.stats().largest_request), (5, 7));

    // Each row has 20 bytes or so; the request around them is counted as a kilobyte.
    let store = Memory::new().max_bytes(1200);
    let report = Executor::new(&store).execute([Operation::create("m", rows(100)).unwrap()]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert!(report.stats().requests > 5);

    let huge = serde_json::json!([{"a": 1}, {"a": "x".repeat(2000)}]);
    let error = Executor::new(&store).execute([Operation::create("m", huge).unwrap()]).unwrap_err();
    assert_eq!(error.field_errors()[0].path, "operation 0, record 1");
    assert_eq!(error.record_index(), Some(1));
}

#[test]
fn outcomes_are_in_the_order_of_the_input_whatever_comes_first() {
    // The first chunk takes the longest (Zenoo gives ids in the order of completion).
    let slow = Step::Delay(std::time::Duration::from_millis(50));
    for strategy in [Strategy::Parallel, Strategy::Pipelined] {
        let store = Memory::new().script([slow.clone()]);
        let executor = Executor::new(&store).strategy(strategy).batch_size(5).max_concurrent(4);
        let report = executor.execute([Operation::create("m", rows(40)).unwrap()]).unwrap();
        for (n, outcome) in report.outcomes().iter().enumerate() {
            let RecordOutcome::Created(id) = outcome else { panic!("{outcome}") };
            assert_eq!(store.row("m", id.as_i64().unwrap()).unwrap()["name"], format!("partner {n}"));
        }
    }
}
