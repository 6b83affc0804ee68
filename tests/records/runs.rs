//! Deadlines, cancelling, logins, progress, retries.

use std::time::{Duration, Instant};

use batchcall::memory::{Memory, Step};
use batchcall::{
    CancelToken, ErrorKind, Executor, Operation, OperationStatus, Progress, RecordOutcome, Strategy,
};
use serde_json::json;

use crate::{no_bad_rows, rows, rows_with_bad, words};

#[test]
fn no_operations_are_no_requests_and_no_login() {
    let store = Memory::new();
    let report = Executor::new(&store).execute([]).unwrap();
    assert!(report.is_complete() && report.outcomes().is_empty());
    assert_eq!(store.logins(), 0);
}

#[test]
fn a_wrong_password_costs_one_login_and_no_record_runs() {
    let store = Memory::new().login_script([Step::Fail(ErrorKind::Auth), Step::Fail(ErrorKind::Auth)]);
    let executor = Executor::new(&store).batch_size(1).max_concurrent(4);
    let operations =
        [Operation::create("m", rows(10)).unwrap().priority(1), Operation::create("m", rows(10)).unwrap()];
    let report = executor.execute(operations).unwrap();
    assert_eq!((words(&report), store.refused_logins()), (vec!["not run"; 20], 1));
    assert!(report.outcomes().iter().all(|outcome| outcome.error().unwrap().kind() == ErrorKind::Auth));
    assert!(report.operations().iter().all(|each| each.status() == OperationStatus::Cancelled));
}

#[test]
fn sessions_live_over_priorities_and_waves() {
    let store = Memory::new();
    let operations: Vec<_> =
        (0..10).map(|priority| Operation::create("m", rows(4)).unwrap().priority(priority)).collect();
    let executor = Executor::new(&store).batch_size(2).max_concurrent(2);
    let report = executor.execute(operations).unwrap();
    assert!(report.is_complete());
    assert!(store.logins() <= 2 && store.open_sessions() == 0, "{} logins", store.logins());
}

#[test]
fn fewer_seats_than_workers_are_enough() {
    let store = Memory::new().seats(1).delay(Duration::from_millis(1));
    let executor = Executor::new(&store).batch_size(1).max_concurrent(4);
    let operations =
        [Operation::create("m", rows(10)).unwrap().priority(1), Operation::create("m", rows(10)).unwrap()];
    let report = executor.execute(operations).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(store.max_open_sessions(), 1);
}

#[test]
fn the_deadline_holds_and_every_record_has_an_outcome() {
    let store = Memory::new().delay(Duration::from_secs(3600));
    let executor = Executor::new(&store).batch_size(2).max_concurrent(2).timeout(Duration::from_millis(100));
    let operations =
        [Operation::create("m", rows(10)).unwrap().priority(1), Operation::delete("m", 1..=5).unwrap()];
    let began = Instant::now();
    let report = executor.execute(operations).unwrap();
    assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
    let totals = report.totals();
    assert_eq!((totals.records, totals.in_doubt + totals.not_run), (15, 15), "{report}");
    assert!((2..=4).contains(&totals.in_doubt), "{report}");
    let RecordOutcome::NotRun(why) = &report.outcomes()[14] else { panic!() };
    assert_eq!(why.kind(), ErrorKind::Timeout);
    assert_eq!(store.open_sessions(), 0);
}

#[test]
fn settings_that_send_nothing_are_refused() {
    let store = Memory::new();
    let refused = |executor: Executor<'_, Memory>| {
        let error = executor.execute([Operation::create("m", rows(1)).unwrap()]).unwrap_err();
        assert_eq!((error.kind(), store.requests()), (ErrorKind::Invalid, 0));
        error.message().to_owned()
    };
    assert!(refused(Executor::new(&store).max_failures(0)).contains("max_failures"));
    assert!(refused(Executor::new(&store).max_concurrent(0)).contains("max_concurrent"));
    assert!(refused(Executor::new(&store).batch_size(0)).contains("batch_size"));
}

#[test]
fn a_cancelled_run_sends_nothing_more() {
    let token = CancelToken::new();
    token.cancel();
    let store = Memory::new();
    let executor = Executor::new(&store).cancel_token(&token);
    let report = executor.execute([Operation::create("m", rows(10)).unwrap()]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["not run"; 10], 0));
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Cancelled);

    let token = CancelToken::new();
    let executor = Executor::new(&store).batch_size(1).max_concurrent(1).cancel_token(&token);
    let operations =
        [Operation::create("m", rows(30)).unwrap().priority(1), Operation::create("m", rows(30)).unwrap()];
    let report = executor.execute_with_progress(operations, |_| token.cancel()).unwrap();
    let totals = report.totals();
    assert!(totals.created >= 1 && totals.not_run > 30, "{report}");
    assert_eq!(totals.created + totals.not_run, 60);
}

#[test]
fn progress_counts_records_never_falls_and_ends_exactly() {
    let store = Memory::new().refuse(no_bad_rows).delay(Duration::from_millis(1));
    let mut told: Vec<Progress> = Vec::new();
    let executor = Executor::new(&store).batch_size(10).max_concurrent(3);
    let operation = Operation::create("m", rows_with_bad(100, &[3, 50])).unwrap();
    let report = executor.execute_with_progress([operation], |progress| told.push(*progress)).unwrap();
    assert_eq!(report.totals().created, 98);
    assert!(told.len() > 2);
    assert!(
        told.windows(2).all(|two| two[0].completed < two[1].completed && two[0].elapsed <= two[1].elapsed)
    );
    let last = told.last().unwrap();
    assert_eq!((last.completed, last.succeeded, last.failed, last.total), (100, 98, 2, 100));
}

#[test]
fn a_callback_that_panics_changes_no_outcome() {
    // In Zenoo a callback that fails makes chunks fail that did not (B7).
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(1);
    let mut calls = 0;
    let report = executor
        .execute_with_progress([Operation::create("m", rows(10)).unwrap()], |_| {
            calls += 1;
            panic!("the bar broke");
        })
        .unwrap();
    assert_eq!((report.totals().created, calls), (10, 1));
}

#[test]
fn a_slow_callback_does_not_slow_the_workers() {
    // 100 requests of 2 ms on 2 sessions take 100 ms; a callback of 5 ms on each would take 500 ms more.
    let store = Memory::new().delay(Duration::from_millis(2));
    let executor = Executor::new(&store).batch_size(1).max_concurrent(2);
    let mut calls = 0;
    let began = Instant::now();
    executor
        .execute_with_progress([Operation::create("m", rows(100)).unwrap()], |_| {
            calls += 1;
            std::thread::sleep(Duration::from_millis(5));
        })
        .unwrap();
    assert!(calls <= 20, "{calls} calls in {:?}", began.elapsed());
}

#[test]
fn failed_records_are_run_again_in_their_places() {
    let store = Memory::new().script([
        Step::Answer,
        Step::Fail(ErrorKind::Unavailable),
        Step::LoseAnswer,
        Step::Fail(ErrorKind::Rejected),
    ]);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1);
    let mut report = executor.execute([Operation::create("m", rows(5)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["created", "failed", "in doubt", "failed", "created"]);
    assert_eq!(report.operations()[0].status(), OperationStatus::Failed);

    executor.retry_failed(&mut report).unwrap();
    assert_eq!(words(&report), ["created", "created", "in doubt", "created", "created"]);
    assert_eq!((report.stats().requests, store.requests(), store.rows("m").len()), (7, 7, 5));

    // The one in doubt only when asked for.
    executor.retry_where(&mut report, |entry| entry.index() == 2).unwrap();
    assert_eq!((words(&report), store.rows("m").len()), (vec!["created"; 5], 6));
    assert_eq!(report.operations()[0].status(), OperationStatus::Completed);
    let id = report.outcomes()[2].id().unwrap().as_i64().unwrap();
    assert_eq!(store.row("m", id).unwrap()["name"], "partner 2");
}

#[test]
fn a_retry_gives_children_the_ids_of_parents_made_before() {
    let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Unavailable)]);
    let parent = Operation::create("m", rows(1)).unwrap();
    let child = Operation::create("m", json!({"p": parent.reference(0)})).unwrap();
    let executor = Executor::new(&store);
    let mut report = executor.execute([parent, child]).unwrap();
    assert_eq!(words(&report), ["created", "failed"]);
    executor.retry_failed(&mut report).unwrap();
    assert_eq!(store.row("m", 2).unwrap()["p"], json!(1));
}

#[test]
fn a_retry_that_does_not_run_does_not_hide_why_a_record_had_failed() {
    let store = Memory::new().script([Step::Fail(ErrorKind::Rejected)]);
    let token = CancelToken::new();
    let executor = Executor::new(&store).cancel_token(&token);
    let mut report = executor.execute([Operation::create("m", rows(1)).unwrap()]).unwrap();
    token.cancel();
    executor.retry_failed(&mut report).unwrap();
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Rejected);
    assert!(executor.max_concurrent(0).retry_failed(&mut report).is_err());
    assert_eq!(report.outcomes().len(), 1);
}

#[test]
fn a_dry_run_looks_at_everything_and_sends_nothing() {
    let store = Memory::new();
    let executor = Executor::new(&store).dry_run(true).batch_size(10);
    let parent = Operation::create("m", rows(25)).unwrap();
    let child = Operation::create("m", json!({"p": parent.reference(0)})).unwrap();
    let report = executor.execute([parent, child]).unwrap();
    let plan = report.plan().unwrap();
    assert_eq!((plan.requests(), plan.records()), (4, 26));
    assert_eq!(plan.steps().last().unwrap().wave, 1);
    assert_eq!((words(&report), store.logins()), (vec!["not run"; 26], 0));
    assert!(
        executor
            .execute([
                Operation::update("m", [1], json!({"a": 1})).unwrap(),
                Operation::delete("m", [1]).unwrap()
            ])
            .is_err()
    );
    assert!(plan.to_string().starts_with("26 records in 4 requests"), "{plan}");
}

#[test]
fn operations_know_how_they_ended_and_when() {
    let store = Memory::new().delay(Duration::from_millis(5));
    let report = Executor::new(&store).execute([Operation::create("m", rows(1)).unwrap()]).unwrap();
    let operation = &report.operations()[0];
    assert_eq!(operation.status(), OperationStatus::Completed);
    assert!(operation.duration().unwrap() >= Duration::from_millis(5));
    assert!(operation.started_at().unwrap() <= operation.finished_at().unwrap());
    let text = serde_json::to_string(operation).unwrap();
    assert_eq!(serde_json::from_str::<Operation>(&text).unwrap().status(), OperationStatus::Completed);
    assert_eq!(report.totals_of(0).created, 1);
}
