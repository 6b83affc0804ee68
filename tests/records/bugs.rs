//! What other clients get wrong, by the numbers of the fact sheet; what is about the wire is in
//! `tests/odoo/bugs.rs`. There is no B17.

use batchcall::memory::{Memory, Step};
use batchcall::{ErrorKind, Executor, Operation, Select, Strategy};
use serde_json::json;

use crate::fake::{Fake, fine};
use crate::{no_bad_rows, rows, rows_with_bad, words};

#[test]
fn b1_b2_the_context_arrives_as_it_is_and_is_not_changed() {
    let context = json!({"tracking_disable": true});
    let operation = Operation::create("m", rows(30)).unwrap().context(context.clone());
    let expected = context.clone();
    let store = Fake::new(Default::default(), move |_, chunk| {
        assert_eq!(json!(chunk.context()), expected);
        Ok(fine(chunk))
    });
    let report = Executor::new(&store).batch_size(5).execute([operation.clone()]).unwrap();
    assert!(report.is_complete());
    assert_eq!(json!(operation.context_ref()), context);
    assert!(Executor::new(&store).execute([operation.context(json!([1]))]).is_err());
}

#[test]
fn b3_a_lost_answer_makes_no_second_row() {
    let store = Memory::new().script([Step::LoseAnswer, Step::Answer, Step::LoseAnswer]);
    let executor = Executor::new(&store).batch_size(3).strategy(Strategy::Chunked);
    let report = executor.execute([Operation::create("m", rows(9)).unwrap()]).unwrap();
    assert_eq!((store.rows("m").len(), store.requests()), (9, 3));
    assert_eq!((report.totals().in_doubt, report.totals().created), (6, 3));
}

#[test]
fn b4_a_part_that_failed_is_told_and_counted() {
    let store = Memory::new().refuse(no_bad_rows);
    let report =
        Executor::new(&store).execute([Operation::create("m", rows_with_bad(10, &[2, 5])).unwrap()]).unwrap();
    assert!(!report.is_complete());
    assert_eq!((report.totals().created, report.totals().failed), (8, 2));
    assert_eq!(report.failed().map(|entry| entry.index()).collect::<Vec<_>>(), [2, 5]);
    let error = report.into_ids().unwrap_err();
    assert_eq!(error.to_string(), "2 of 10 records did not succeed; the first is record 2");
}

#[test]
fn b5_updates_that_fail_are_failures_and_the_rows_can_be_used_again() {
    let store = Memory::new().with_rows("m", rows(2));
    let updates = vec![json!({"id": 1, "a": 1}), json!({"id": 9, "a": 1})];
    for _ in 0..2 {
        let report = Executor::new(&store).execute([Operation::update_each("m", &updates).unwrap()]).unwrap();
        assert_eq!(words(&report), ["updated", "failed"]);
        assert!(!report.is_complete());
    }
    assert_eq!(updates[0], json!({"id": 1, "a": 1}));
}

#[test]
fn b6_counts_are_records_and_begin_anew_with_each_run() {
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(1);
    for _ in 0..2 {
        let report = executor.execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
        assert_eq!((report.stats().totals.records, report.stats().requests), (4, 4));
    }
}

#[test]
fn b7_a_plain_closure_that_panics_makes_no_failure_and_no_extra_result() {
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(2);
    let mut calls = 0;
    let report = executor
        .execute_with_progress([Operation::create("m", rows(10)).unwrap()], |progress| {
            calls += 1;
            assert_eq!(progress.total, 0, "records, of which there are ten");
        })
        .unwrap();
    assert_eq!((words(&report), calls), (vec!["created"; 10], 1));
}

#[test]
fn b10_the_message_is_the_servers() {
    let store = Memory::new().refuse(|_, _| Some("Contacts require a name".into()));
    let report = Executor::new(&store).execute([Operation::create("m", rows(1)).unwrap()]).unwrap();
    assert_eq!(report.failed().next().unwrap().message(), Some("Contacts require a name"));
    assert!(report.to_string().contains("Contacts require a name"), "{report}");
}

#[test]
fn b11_what_timed_out_is_known_by_record() {
    let store = Memory::new().script([Step::Answer, Step::Delay(std::time::Duration::from_secs(3600))]);
    let report = Executor::new(&store)
        .strategy(Strategy::Chunked)
        .batch_size(2)
        .timeout(std::time::Duration::from_millis(50))
        .execute([Operation::create("m", rows(6)).unwrap()])
        .unwrap();
    assert_eq!(words(&report), ["created", "created", "in doubt", "in doubt", "not run", "not run"]);
    assert_eq!(report.in_doubt().map(|entry| entry.index()).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn b12_what_failed_for_a_passing_reason_is_told_from_what_did_not() {
    let store = Memory::new().script([Step::Fail(ErrorKind::Unavailable), Step::Fail(ErrorKind::Rejected)]);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1);
    let mut report = executor.execute([Operation::create("m", rows(2)).unwrap()]).unwrap();
    let retryable: Vec<_> = report.failed().map(|entry| entry.error().unwrap().is_retryable()).collect();
    assert_eq!(retryable, [true, false]);
    executor.retry_where(&mut report, |entry| entry.error().unwrap().is_retryable()).unwrap();
    assert_eq!(words(&report), ["created", "failed"]);
}

#[test]
fn b14_what_is_undone_is_gone() {
    let store = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    let executor = Executor::new(&store).rollback_on_error(true);
    let result = executor.batch(|batch| {
        batch.priority(1).create("m", json!({"a": 1}))?;
        batch.priority(0).create("n", json!({"a": 1}))?;
        Ok(())
    });
    assert_eq!(words(&result.unwrap()), ["rolled back", "failed"]);
    assert_eq!(store.rows("m").len(), 0);
}

#[test]
fn b15_ids_belong_to_their_records() {
    let store = Memory::new();
    let executor = Executor::new(&store).batch_size(3).max_concurrent(4);
    let ids = executor.execute([Operation::create("m", rows(50)).unwrap()]).unwrap().into_ids().unwrap();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(store.row("m", id.as_i64().unwrap()).unwrap()["name"], format!("partner {n}"));
    }
}

#[test]
fn b16_a_write_is_one_request_and_no_search_before_it() {
    let store = Memory::new().with_rows("m", rows(100));
    let report =
        Executor::new(&store).execute([Operation::update("m", 1..=100, json!({"a": 1})).unwrap()]).unwrap();
    assert!(report.is_complete());
    assert_eq!(store.requests(), 1);
}

#[test]
fn a_file_of_failed_records_goes_in_again_as_it_is() {
    let store = Memory::new().refuse(no_bad_rows);
    let updates: Vec<_> =
        (1..=5).map(|id| json!({"id": id, "name": "7", "tags": [id], "none": null})).collect();
    let report = Executor::new(&store).execute([Operation::update_each("m", &updates).unwrap()]).unwrap();
    assert_eq!(report.totals().failed, 5);
    let mut file = Vec::new();
    assert_eq!(report.write_csv(Select::Resendable, &mut file).unwrap(), 5);
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.starts_with("id,name,none,tags,batchcall.index,"), "{text}");

    let store = Memory::new().with_rows("m", rows(5));
    let records = batchcall::Record::read_csv(&file[..]).unwrap();
    assert_eq!(json!(records), json!(updates));
    let report = Executor::new(&store).execute([Operation::update_each("m", records).unwrap()]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(store.row("m", 3).unwrap()["tags"], json!([3]));
}
