//! Undoing what was applied.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{
    Applied, CancelToken, Capabilities, Delivery, Error, ErrorKind, Executor, Operation, OperationKind,
    Record, RecordId, RecordOutcome, Strategy,
};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use crate::fake::{Fake, fine};
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

#[test]
fn undoing_goes_one_by_one_from_the_last_to_the_first() {
    let (made, gone) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let undoing = AtomicUsize::new(0);
    let (creates, deletes) = (Arc::clone(&made), Arc::clone(&gone));
    let store = Fake::new(Capabilities::new().atomic_chunks(true), move |number, chunk| {
        if chunk.model() == "last" {
            return Err(Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered));
        }
        if chunk.kind() == OperationKind::Delete {
            assert_eq!(undoing.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            std::thread::sleep(Duration::from_millis(1));
            undoing.fetch_sub(1, Ordering::SeqCst);
            deletes.lock().unwrap().push(chunk.ids()[0].clone());
            return Ok(fine(chunk));
        }
        let id = RecordId::from(number + 1);
        creates.lock().unwrap().push(id.clone());
        Ok(vec![Ok(Applied::Created(id))])
    });
    let report = Executor::new(&store)
        .strategy(Strategy::Chunked)
        .batch_size(1)
        .rollback_on_error(true)
        .execute([
            Operation::create("first", rows(4)).unwrap().priority(2),
            Operation::create("second", rows(4)).unwrap().priority(1),
            Operation::create("last", rows(1)).unwrap(),
        ])
        .unwrap();
    assert_eq!(report.totals().rolled_back, 8, "{report}");
    let (mut made, gone) = (made.lock().unwrap().clone(), gone.lock().unwrap());
    made.reverse();
    assert_eq!(made, *gone);
}

#[test]
fn what_several_workers_made_is_undone_one_by_one_after_the_last_of_them() {
    let working = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&working);
    let store = Fake::new(Capabilities::new().atomic_chunks(true), move |number, chunk| {
        let before = now.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        let answer = if chunk.kind() == OperationKind::Delete {
            assert_eq!(before, 0, "nothing else is on its way");
            Ok(fine(chunk))
        } else if number == 9 {
            Err(Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered))
        } else {
            Ok(fine(chunk))
        };
        now.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    let executor = Executor::new(&store).batch_size(2).max_concurrent(4).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(60)).unwrap()]).unwrap();
    let totals = report.totals();
    assert_eq!((totals.failed, totals.rolled_back + totals.not_run), (2, 58), "{report}");
    assert!(totals.rolled_back >= 12);
}

#[test]
fn a_panic_at_the_commit_leaves_everything_in_doubt() {
    let store = Memory::new().transactions(true).script([Step::Answer, Step::Answer, Step::Panic]);
    let executor = Executor::new(&store).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(3)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt"; 3]);
}

#[test]
fn undoing_has_the_context_of_what_it_undoes() {
    // Such as the company that a record was made in: without it the server may not even find it.
    let context = json!({"allowed_company_ids": [3]});
    let expected = context.clone();
    let store = Fake::new(Capabilities::new().atomic_chunks(true), move |number, chunk| {
        assert_eq!(json!(chunk.context()), expected);
        match number {
            1 => Err(Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered)),
            _ => Ok(fine(chunk)),
        }
    });
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(1).rollback_on_error(true);
    let report = executor.execute([Operation::create("m", rows(2)).unwrap().context(context)]).unwrap();
    assert_eq!(words(&report), ["rolled back", "failed"]);
}

#[test]
fn what_cannot_be_remembered_is_not_overwritten() {
    // Without its former values an update could not be undone; with those of another record it would be wrong.
    for fewer in [false, true] {
        let store = Fake::new(Capabilities::new().atomic_chunks(true), |_, chunk| Ok(fine(chunk)));
        let store = store.reading(move |ids| match fewer {
            true => Ok(ids.iter().skip(1).map(|_| Some(Record::from_iter([("color", 1)]))).collect()),
            false => Err(Error::new(ErrorKind::Forbidden, "not for you").with_delivery(Delivery::Answered)),
        });
        let executor = Executor::new(&store).rollback_on_error(true);
        let report = executor.execute([Operation::update("m", 1..=3, json!({"color": 7})).unwrap()]).unwrap();
        assert_eq!((words(&report), store.requests()), (vec!["failed"; 3], 0), "{fewer}");
        let kind = if fewer { ErrorKind::Protocol } else { ErrorKind::Forbidden };
        assert_eq!(report.outcomes()[0].error().unwrap().kind(), kind);
    }
}

#[test]
fn a_record_that_was_not_there_before_its_update_cannot_get_its_values_back() {
    let store = Fake::new(Capabilities::new().atomic_chunks(true), |_, chunk| match chunk.model() {
        "last" => Err(Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered)),
        _ => Ok(fine(chunk)),
    });
    let store = store.reading(|ids| {
        let of = |id: &RecordId| (*id != RecordId::Int(2)).then(|| Record::from_iter([("color", 1)]));
        Ok(ids.iter().map(of).collect())
    });
    let report = Executor::new(&store)
        .rollback_on_error(true)
        .execute([
            Operation::update("m", 1..=3, json!({"color": 7})).unwrap().priority(1),
            Operation::create("last", rows(1)).unwrap(),
        ])
        .unwrap();
    assert_eq!(words(&report), ["rolled back", "not rolled back", "rolled back", "failed"]);
    assert_eq!(report.outcomes()[1].error().unwrap().entity(), Some("m/2"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// F30: three deletions of ten fail, in every way in which they can.
    #[test]
    fn f30_every_record_that_was_made_is_undone_or_said_to_be_there(
        records in 2_usize..60,
        size in 1_usize..6,
        workers in 1_usize..5,
        fates in prop::collection::vec(0_u8..20, 64),
        atomic in any::<bool>(),
    ) {
        let there: Arc<Mutex<BTreeSet<i64>>> = Arc::default();
        let (rows_there, last) = (Arc::clone(&there), records - 1);
        let store = Fake::new(Capabilities::new().atomic_chunks(atomic), move |number, chunk| {
            if chunk.kind() == OperationKind::Create {
                if (0..chunk.len()).any(|at| chunk.place(at) == last) {
                    let no = || Error::new(ErrorKind::Rejected, "the last one").with_delivery(Delivery::Answered);
                    return if atomic { Err(no()) } else { Ok((0..chunk.len()).map(|_| Err(no())).collect()) };
                }
                rows_there.lock().unwrap().extend((0..chunk.len()).map(|at| chunk.place(at) as i64 + 1));
                return Ok(fine(chunk));
            }
            let delete = || {
                let mut there = rows_there.lock().unwrap();
                chunk.ids().iter().for_each(|id| { there.remove(&id.as_i64().unwrap()); });
            };
            // 6 of 20 fail.
            match fates[number % fates.len()] {
                0 => Err(Error::new(ErrorKind::Rejected, "others need it").with_delivery(Delivery::Answered)),
                1 => Err(Error::new(ErrorKind::Unavailable, "busy").with_delivery(Delivery::NotSent)),
                2 => Err(Error::new(ErrorKind::Connect, "reset").with_delivery(Delivery::MaybeSent)),
                3 => {
                    delete();
                    Err(Error::new(ErrorKind::Timeout, "no answer").with_delivery(Delivery::MaybeSent))
                }
                4 => panic!("the store's own mistake"),
                5 => {
                    delete();
                    Ok(fine(chunk).into_iter().skip(1).collect())
                }
                _ => {
                    delete();
                    Ok(fine(chunk))
                }
            }
        });
        let executor = Executor::new(&store).batch_size(size).max_concurrent(workers).rollback_on_error(true);
        let report = executor.execute([Operation::create("m", rows(records)).unwrap()]).unwrap();
        let there = there.lock().unwrap();
        for entry in report.iter() {
            let id = entry.record() as i64 + 1;
            match entry.outcome() {
                RecordOutcome::RolledBack => prop_assert!(!there.contains(&id), "{:?}", entry),
                RecordOutcome::RollbackFailed(error) => {
                    let name = format!("m/{id}");
                    prop_assert_eq!(error.entity(), Some(name.as_str()));
                    prop_assert!(there.contains(&id) || error.is_in_doubt(), "{:?}", entry);
                }
                RecordOutcome::Failed(_) | RecordOutcome::NotRun(_) => prop_assert!(!there.contains(&id)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(report.outcomes().len(), records);
        let accounted = report.totals();
        prop_assert_eq!(accounted.rolled_back + accounted.rollback_failed + accounted.failed + accounted.not_run, records);
    }
}
