//! Undoing what was applied.

use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{CancelToken, ErrorKind, Executor, Operation, RecordOutcome, Strategy};
use serde_json::json;

use crate::{no_bad_rows, rows, rows_with_bad, words};

#[test]
fn what_was_created_is_deleted_in_reverse_order() {
    let store = Memory::new().refuse(no_bad_rows);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(2).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows_with_bad(8, &[5])).unwrap()]).unwrap();
    assert_eq!(words(&report)[..4], ["rolled back"; 4]);
    assert_eq!(words(&report)[4..6], ["failed"; 2]);
    assert_eq!(words(&report)[6..], ["not run"; 2]);
    assert_eq!(store.rows("m").len(), 0);
    // Three chunks, and two deletions.
    assert_eq!(store.requests(), 5);
    assert_eq!((report.totals().rolled_back, report.totals().records), (4, 8));
}

#[test]
fn nothing_is_undone_when_all_is_well() {
    for transactions in [false, true] {
        let store = Memory::new().with_rows("m", rows(3)).transactions(transactions);
        let report = Executor::new(&store)
            .rollback_on_error(true)
            .execute([
                Operation::create("m", rows(3)).unwrap(),
                Operation::update("m", [1], json!({"x": 1})).unwrap(),
                Operation::delete("m", [2]).unwrap(),
            ])
            .unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!(store.rows("m").len(), 5);
    }
}

#[test]
fn an_update_gets_its_former_values_back() {
    let before = [json!({"name": "a", "color": 1}), json!({"name": "b"})];
    let store = Memory::new().with_rows("m", &before).refuse(no_bad_rows);
    let report = Executor::new(&store)
        .rollback_on_error(true)
        .max_concurrent(1)
        .execute([
            Operation::update("m", [1, 2], json!({"color": 7})).unwrap().priority(2),
            Operation::update_each("m", json!([{"id": 2, "name": "c"}])).unwrap().priority(1),
            Operation::create("m", json!({"bad": true})).unwrap(),
        ])
        .unwrap();
    assert_eq!(words(&report), ["rolled back", "rolled back", "rolled back", "failed"]);
    assert_eq!(store.row("m", 1).unwrap(), *before[0].as_object().unwrap());
    assert_eq!(store.row("m", 2).unwrap(), *before[1].as_object().unwrap());
}

#[test]
fn what_cannot_be_undone_is_said_to_be_there_still() {
    let store = Memory::new().with_rows("m", rows(2)).refuse(no_bad_rows);
    let report = Executor::new(&store)
        .rollback_on_error(true)
        .execute([
            Operation::delete("m", [1]).unwrap().priority(2),
            Operation::upsert("m", ["name"], json!([{"name": "partner 1", "x": 1}])).unwrap().priority(1),
            Operation::create("m", json!({"bad": true})).unwrap(),
        ])
        .unwrap();
    assert_eq!(words(&report), ["not rolled back", "not rolled back", "failed"]);
    let error = report.outcomes()[0].error().unwrap();
    assert_eq!(error.entity(), Some("m/1"));
    assert_eq!(report.outcomes()[1].error().unwrap().entity(), Some("m/2"));
}

#[test]
fn an_undoing_that_fails_is_told_with_the_id_that_stays() {
    let fail = || Step::Fail(ErrorKind::Rejected);
    let store = Memory::new().script([Step::Answer, fail(), fail()]);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["not rolled back", "failed", "not run"]);
    assert_eq!(report.outcomes()[0].error().unwrap().entity(), Some("m/1"));
    assert_eq!(store.rows("m").len(), 1);
}

#[test]
fn a_lost_answer_stays_in_doubt_and_the_rest_is_undone() {
    let store = Memory::new().script([Step::Answer, Step::LoseAnswer]);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["rolled back", "in doubt", "not run"]);
    assert_eq!(store.rows("m").len(), 1);
}

#[test]
fn an_undoing_that_finds_nothing_has_nothing_to_do() {
    let store = Memory::new().script([
        Step::Answer,
        Step::Fail(ErrorKind::Rejected),
        Step::Fail(ErrorKind::NotFound),
    ]);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(2)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["rolled back", "failed"]);
}

#[test]
fn a_store_with_transactions_is_asked_for_one() {
    let store = Memory::new().transactions(true).refuse(no_bad_rows).with_rows("m", rows(2));
    let operations = || {
        [
            Operation::delete("m", [1]).unwrap().priority(2),
            Operation::update("m", [2], json!({"x": 1})).unwrap().priority(1),
            Operation::create("m", rows_with_bad(4, &[3])).unwrap(),
        ]
    };
    let executor = Executor::new(&store).batch_size(2).rollback_on_error(true);
    let report = executor.execute(operations()).unwrap();
    assert_eq!(
        words(&report),
        ["rolled back", "rolled back", "rolled back", "rolled back", "failed", "failed"]
    );
    assert_eq!(store.rows("m").len(), 2);
    assert_eq!(store.row("m", 2).unwrap().get("x"), None);
    assert_eq!((store.max_open_sessions(), store.open_sessions()), (1, 0));
    // begin, four chunks, roll back.
    assert_eq!((store.requests(), report.stats().requests), (6, 6));
}

#[test]
fn a_transaction_whose_commit_is_not_answered_is_in_doubt() {
    let store = Memory::new().transactions(true).script([Step::Answer, Step::Answer, Step::LoseAnswer]);
    let executor = Executor::new(&store).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt"; 3]);

    let refuse = Step::Fail(ErrorKind::Conflict);
    let store = Memory::new().transactions(true).script([Step::Answer, Step::Answer, refuse]);
    let report = Executor::new(&store)
        .rollback_on_error(true)
        .execute([Operation::create("m", rows(3)).unwrap()])
        .unwrap();
    assert_eq!((words(&report), store.rows("m").len()), (vec!["failed"; 3], 0));
}

#[test]
fn a_transaction_that_cannot_begin_sends_nothing() {
    let store = Memory::new().transactions(true).script([Step::Fail(ErrorKind::Forbidden)]);
    let executor = Executor::new(&store).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["not run"; 3], 1));
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Forbidden);
}

#[test]
fn a_transaction_lost_to_a_panic_is_rolled_back_and_not_gone_on_with() {
    let store = Memory::new().transactions(true).script([Step::Answer, Step::Answer, Step::Panic]);
    let executor = Executor::new(&store).batch_size(1).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
    assert_eq!((words(&report)[0], store.rows("m").len()), ("rolled back", 0));
    assert!(!report.outcomes().iter().any(RecordOutcome::is_success));
}

#[test]
fn after_the_deadline_nothing_is_undone_and_that_is_said() {
    for transactions in [false, true] {
        let store = Memory::new()
            .transactions(transactions)
            .script(vec![Step::Answer; 1 + usize::from(transactions)])
            .script([Step::Delay(Duration::from_secs(3600))]);
        let executor = Executor::new(&store)
            .strategy(Strategy::Chunked)
            .batch_size(1)
            .timeout(Duration::from_millis(100))
            .rollback_on_error(true);
        let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
        let first = if transactions { "rolled back" } else { "not rolled back" };
        assert_eq!(words(&report)[0], first, "{report}");
        assert_eq!(words(&report)[2], "not run");
        assert_eq!(store.rows("m").len(), usize::from(!transactions));
    }
}

#[test]
fn a_run_that_was_cancelled_says_what_it_left_behind() {
    let token = CancelToken::new();
    let store = Memory::new();
    let executor = Executor::new(&store)
        .strategy(Strategy::Chunked)
        .batch_size(1)
        .cancel_token(&token)
        .rollback_on_error(true);
    let report = executor
        .execute_with_progress([Operation::create("m", rows(50)).unwrap()], |_| token.cancel())
        .unwrap();
    let left = report.totals().rollback_failed;
    assert!(left >= 1 && left + report.totals().not_run == 50, "{report}");
    assert_eq!(store.rows("m").len(), left);
}
