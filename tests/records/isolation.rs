//! Bad records, and what is never sent twice.

use batchcall::memory::{Memory, Step};
use batchcall::{
    Applied, CancelToken, Capabilities, Delivery, Error, ErrorKind, Executor, Operation, RecordOutcome,
    Strategy,
};
use proptest::prelude::*;
use serde_json::json;

use crate::fake::{Fake, fine};
use crate::{no_bad_rows, rows, rows_with_bad, words};

fn atomic() -> Capabilities {
    Capabilities::new().atomic_chunks(true)
}

#[test]
fn one_bad_record_among_1024_costs_at_most_21_requests_wherever_it_is() {
    for bad in [0, 1, 3, 511, 512, 700, 1022, 1023] {
        let store = Memory::new().refuse(no_bad_rows);
        let executor = Executor::new(&store).batch_size(1024);
        let report =
            executor.execute([Operation::create("m", rows_with_bad(1024, &[bad])).unwrap()]).unwrap();
        assert_eq!((report.totals().created, report.totals().failed), (1023, 1));
        let failed = report.failed().next().unwrap();
        assert_eq!(failed.index(), bad);
        assert_eq!(failed.error().unwrap().record_index(), Some(bad));
        assert!(failed.message().unwrap().contains(&format!("partner {bad}")));
        assert!(store.requests() <= 21, "{} requests for record {bad}", store.requests());
        assert_eq!(store.rows("m").len(), 1023);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn k_bad_of_n_cost_at_most_2k_log_n_requests_and_the_others_go_through(
        n in 1_usize..300, bad in prop::collection::btree_set(0_usize..300, 0..12),
    ) {
        let bad: Vec<usize> = bad.into_iter().filter(|at| *at < n).collect();
        let store = Memory::new().refuse(no_bad_rows);
        let operation = Operation::create("m", rows_with_bad(n, &bad)).unwrap();
        let report = Executor::new(&store).batch_size(300).execute([operation]).unwrap();
        let failed: Vec<usize> = report.failed().map(|entry| entry.index()).collect();
        prop_assert_eq!(&failed, &bad);
        prop_assert_eq!(store.rows("m").len(), n - bad.len());
        let depth = n.next_power_of_two().ilog2() as usize;
        prop_assert!(store.requests() <= 2 * bad.len() * depth + 1, "{} requests", store.requests());
        for (_, row) in store.rows("m") {
            prop_assert_eq!(row["bad"].clone(), json!(false));
        }
    }
}

#[test]
fn a_missing_record_does_not_keep_the_others_from_being_written_or_deleted() {
    for operation in [
        Operation::update("m", 1..=64, json!({"a": 1})).unwrap(),
        Operation::delete("m", 1..=64).unwrap(),
        Operation::update_each("m", (1..=64).map(|id| json!({"id": id, "a": id})).collect::<Vec<_>>())
            .unwrap(),
    ] {
        let store = Memory::new().with_rows("m", rows(63));
        let report = Executor::new(&store).execute([operation]).unwrap();
        assert_eq!((report.totals().succeeded(), report.totals().failed), (63, 1));
        assert_eq!(report.failed().next().unwrap().error().unwrap().kind(), ErrorKind::NotFound);
        assert!(store.requests() <= 13, "{}", store.requests());
    }
}

#[test]
fn a_lost_answer_leaves_the_chunk_in_doubt_and_nothing_is_sent_again() {
    // Zenoo falls back to single creates and makes every row twice (B3).
    let store = Memory::new().script([Step::LoseAnswer]);
    let report = Executor::new(&store).execute([Operation::create("m", rows(8)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt"; 8]);
    assert_eq!((store.requests(), store.rows("m").len()), (1, 8));
    let error = report.outcomes()[3].error().unwrap();
    assert_eq!((error.record_index(), error.kind()), (Some(3), ErrorKind::Connect));
}

#[test]
fn after_a_lost_answer_within_a_chunk_the_rest_of_it_is_not_taken_apart() {
    let store = Memory::new().refuse(no_bad_rows).script([Step::Answer, Step::LoseAnswer]);
    let operation = Operation::create("m", rows_with_bad(8, &[6])).unwrap();
    let report = Executor::new(&store).execute([operation]).unwrap();
    assert_eq!(words(&report)[..4], ["in doubt"; 4]);
    assert_eq!(words(&report)[4..], ["not run"; 4]);
    assert_eq!((store.requests(), store.rows("m").len()), (2, 4));
}

#[test]
fn errors_that_are_no_records_fault_are_not_looked_for_in_the_records() {
    for kind in [
        ErrorKind::Auth,
        ErrorKind::Forbidden,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
        ErrorKind::NotFound,
        ErrorKind::Timeout,
    ] {
        let store = Memory::new().script([Step::Fail(kind)]);
        let report = Executor::new(&store).execute([Operation::create("m", rows(8)).unwrap()]).unwrap();
        assert_eq!((words(&report), store.requests()), (vec!["failed"; 8], 1), "{kind}");
    }
}

#[test]
fn what_was_not_sent_is_known_not_to_be_applied() {
    let store = Memory::new().script([Step::Unsent]);
    let executor = Executor::new(&store);
    let mut report = executor.execute([Operation::create("m", rows(8)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["failed"; 8]);
    executor.retry_failed(&mut report).unwrap();
    assert_eq!((words(&report), store.rows("m").len()), (vec!["created"; 8], 8));
}

#[test]
fn an_answer_about_too_many_or_too_few_records_leaves_all_in_doubt() {
    for by in [-3, -1, 1, 4, -8] {
        let store = Memory::new().script([Step::Miscount(by)]);
        let report = Executor::new(&store).execute([Operation::create("m", rows(8)).unwrap()]).unwrap();
        assert_eq!((words(&report), store.requests()), (vec!["in doubt"; 8], 1), "{by}");
    }
}

#[test]
fn an_id_that_is_told_twice_is_nobodys() {
    let store = Fake::new(atomic(), |_, chunk| {
        let mut answer = fine(chunk);
        answer[2] = Ok(Applied::Created(1.into()));
        Ok(answer)
    });
    let report = Executor::new(&store).execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt", "created", "in doubt", "created"]);
}

#[test]
fn a_word_that_does_not_fit_the_question_is_not_taken_for_success() {
    let store = Fake::new(atomic(), |_, chunk| Ok((0..chunk.len()).map(|_| Ok(Applied::Deleted)).collect()));
    let report = Executor::new(&store).execute([Operation::create("m", rows(2)).unwrap()]).unwrap();
    assert_eq!(words(&report), ["in doubt"; 2]);
    let store = Fake::new(atomic(), |_, chunk| Ok((0..chunk.len()).map(|_| Ok(Applied::Withheld)).collect()));
    let report = Executor::new(&store).execute([Operation::create("m", rows(2)).unwrap()]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["in doubt"; 2], 1));
}

#[test]
fn an_error_of_a_whole_chunk_that_is_not_atomic_leaves_it_in_doubt() {
    let refuse = |_: usize, _: &batchcall::Chunk<'_>| {
        Err(Error::new(ErrorKind::Rejected, "no").with_delivery(Delivery::Answered))
    };
    let store = Fake::new(Capabilities::new(), refuse);
    let report = Executor::new(&store).execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["in doubt"; 4], 1));
    // Of one record it is known that it was refused.
    let store = Fake::new(Capabilities::new().max_records(1), refuse);
    let report = Executor::new(&store).execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
    assert_eq!((words(&report), store.requests()), (vec!["failed"; 4], 4));
}

#[test]
fn an_error_of_the_wire_that_does_not_say_how_far_it_came_is_in_doubt() {
    for kind in [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Interrupted, ErrorKind::Protocol] {
        let store = Fake::new(atomic(), move |_, _| Err(Error::new(kind, "broken")));
        let report = Executor::new(&store).execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
        assert_eq!((words(&report), store.requests()), (vec!["in doubt"; 4], 1), "{kind}");
    }
}

#[test]
fn an_error_that_names_its_record_costs_one_more_request() {
    let store = Fake::new(atomic(), |_, chunk| {
        match (0..chunk.len()).find(|at| [17, 60].contains(&chunk.place(*at))) {
            Some(at) => Err(Error::new(ErrorKind::Rejected, "this one").with_record_index(at)),
            None => Ok(fine(chunk)),
        }
    });
    let report = Executor::new(&store).execute([Operation::create("m", rows(100)).unwrap()]).unwrap();
    let failed: Vec<_> =
        report.failed().map(|entry| (entry.index(), entry.error().unwrap().record_index())).collect();
    assert_eq!(failed, [(17, Some(17)), (60, Some(60))]);
    assert_eq!((store.requests(), report.totals().created), (3, 98));
}

#[test]
fn a_store_that_names_all_bad_records_is_asked_twice() {
    let store = Fake::new(atomic(), |_, chunk| {
        let bad = |at: usize| chunk.place(at) % 10 == 3;
        if !(0..chunk.len()).any(bad) {
            return Ok(fine(chunk));
        }
        let word =
            |at| if bad(at) { Err(Error::new(ErrorKind::Rejected, "no")) } else { Ok(Applied::Withheld) };
        Ok((0..chunk.len()).map(word).collect())
    });
    let report = Executor::new(&store).execute([Operation::create("m", rows(100)).unwrap()]).unwrap();
    assert_eq!((store.requests(), report.totals().created, report.totals().failed), (2, 90, 10));
    assert!(
        report
            .failed()
            .all(|entry| entry.index() % 10 == 3
                && entry.error().unwrap().record_index() == Some(entry.index()))
    );
    // Each outcome is of its own record.
    for entry in report.successful() {
        assert_eq!(entry.id().unwrap(), (entry.index() + 1).into());
    }
}

#[test]
fn a_store_that_applies_records_one_by_one_tells_each_its_own() {
    let store = Memory::new().item_wise(true).refuse(no_bad_rows);
    let report =
        Executor::new(&store).execute([Operation::create("m", rows_with_bad(10, &[2, 7])).unwrap()]).unwrap();
    assert_eq!(report.failed().map(|entry| entry.index()).collect::<Vec<_>>(), [2, 7]);
    assert_eq!((store.requests(), store.rows("m").len()), (1, 8));
}

#[test]
fn too_much_for_the_server_is_halved_although_nobody_knew_its_limit() {
    let store = Fake::new(Capabilities::new(), |_, chunk| {
        if chunk.len() > 30 {
            return Err(Error::new(ErrorKind::Rejected, "too large").with_status(413));
        }
        Ok(fine(chunk))
    });
    let report = Executor::new(&store).execute([Operation::create("m", rows(100)).unwrap()]).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(store.requests(), 1 + 2 + 4);
}

#[test]
fn a_panic_leaves_what_was_out_in_doubt_and_saves_what_was_known() {
    let store = Fake::new(atomic(), |number, chunk| match number {
        0 => Err(Error::new(ErrorKind::Rejected, "one of these")),
        1 => Ok(fine(chunk)),
        2 => panic!("the store's own mistake"),
        _ => Ok(fine(chunk)),
    });
    let executor = Executor::new(&store).batch_size(8).max_concurrent(1);
    let report = executor.execute([Operation::create("m", rows(16)).unwrap()]).unwrap();
    // The first half is in; the right one is known to hold the bad one, and its first half panicked.
    assert_eq!(words(&report)[..4], ["created"; 4]);
    assert_eq!(words(&report)[4..6], ["in doubt"; 2]);
    assert_eq!(words(&report)[6..8], ["not run"; 2]);
    assert_eq!(words(&report)[8..], ["created"; 8]);
    assert!(report.outcomes()[4..8].iter().all(|o| o.error().unwrap().kind() == ErrorKind::Panicked));
}

#[test]
fn where_nothing_goes_on_after_a_failure_a_refused_chunk_is_not_taken_apart() {
    let store = Memory::new().refuse(no_bad_rows);
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(4).continue_on_error(false);
    let report = executor.execute([Operation::create("m", rows_with_bad(16, &[5])).unwrap()]).unwrap();
    assert_eq!(words(&report)[..4], ["created"; 4]);
    assert_eq!(words(&report)[4..8], ["failed"; 4]);
    assert_eq!(words(&report)[8..], ["not run"; 8]);
    assert_eq!(store.requests(), 2);
    assert!(
        matches!(&report.outcomes()[8], RecordOutcome::NotRun(why) if why.kind() == ErrorKind::Cancelled)
    );
}

#[test]
fn too_many_failures_end_the_run() {
    let store = Memory::new().refuse(|_, _| Some("never".into()));
    let executor = Executor::new(&store).strategy(Strategy::Chunked).batch_size(10).max_failures(3);
    let report = executor.execute([Operation::create("m", rows(100)).unwrap()]).unwrap();
    assert_eq!((report.totals().failed, report.totals().not_run), (3, 97));
    assert!(store.requests() < 12);
}

#[test]
fn a_cancel_ends_the_search_for_a_bad_record() {
    let token = CancelToken::new();
    let cancel = token.clone();
    let store = Fake::new(atomic(), move |number, chunk| {
        if number == 1 {
            cancel.cancel();
            return Ok(fine(chunk));
        }
        Err(Error::new(ErrorKind::Rejected, "one of these").with_delivery(Delivery::Answered))
    });
    let executor = Executor::new(&store).cancel_token(&token);
    let report = executor.execute([Operation::create("m", rows(64)).unwrap()]).unwrap();
    assert_eq!(store.requests(), 2);
    assert_eq!((&words(&report)[..32], &words(&report)[32..]), (&["created"; 32][..], &["not run"; 32][..]));
}

#[test]
fn a_refusal_that_may_have_come_too_late_is_in_doubt_and_not_looked_into() {
    for kind in [ErrorKind::Rejected, ErrorKind::Server, ErrorKind::Conflict, ErrorKind::NotFound] {
        let store =
            Fake::new(atomic(), move |_, _| Err(Error::new(kind, "?").with_delivery(Delivery::MaybeSent)));
        let report = Executor::new(&store).execute([Operation::delete("m", 1..=4).unwrap()]).unwrap();
        assert_eq!((words(&report), store.requests()), (vec!["in doubt"; 4], 1), "{kind}");
    }
}

#[test]
fn what_a_store_did_not_send_is_not_in_doubt_whatever_it_calls_that() {
    for kind in [ErrorKind::Rejected, ErrorKind::Protocol, ErrorKind::Timeout, ErrorKind::Panicked] {
        let store = Fake::new(Capabilities::new(), move |_, _| {
            Err(Error::new(kind, "before").with_delivery(Delivery::NotSent))
        });
        let report = Executor::new(&store).execute([Operation::create("m", rows(4)).unwrap()]).unwrap();
        assert_eq!(words(&report), ["failed"; 4], "{kind}");
    }
}

#[test]
fn ids_that_were_not_told_are_not_one_id_told_twice() {
    let store = Fake::new(atomic(), |_, chunk| {
        assert!(!chunk.return_ids());
        Ok((0..chunk.len()).map(|_| Ok(Applied::Created(batchcall::RecordId::Unknown))).collect())
    });
    let operation = Operation::create("m", rows(4)).unwrap().return_ids(false);
    assert_eq!(words(&Executor::new(&store).execute([operation]).unwrap()), ["created"; 4]);
}

#[test]
fn an_error_that_names_a_record_which_was_not_sent_is_looked_into() {
    let store = Fake::new(atomic(), |_, chunk| match (0..chunk.len()).any(|at| chunk.place(at) == 5) {
        true => Err(Error::new(ErrorKind::Rejected, "that one").with_record_index(99)),
        false => Ok(fine(chunk)),
    });
    let report = Executor::new(&store).execute([Operation::create("m", rows(8)).unwrap()]).unwrap();
    assert_eq!(report.failed().map(|entry| entry.index()).collect::<Vec<_>>(), [5]);
    assert_eq!(report.totals().created, 7);
}
