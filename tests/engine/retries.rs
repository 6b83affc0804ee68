//! Running calls again: only on request, with places and ids kept.

use std::sync::Mutex;
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, CancelToken, ErrorKind, RetryPolicy, Status};

fn quick() -> RetryPolicy {
    RetryPolicy::new().base(Duration::from_millis(1)).cap(Duration::from_millis(2))
}

#[test]
fn a_retry_runs_what_failed_and_merges_into_its_place() {
    let memory =
        Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Unavailable), Step::Answer, Step::Unsent]);
    let batch =
        BatchCall::new(&memory).max_concurrent(1).calls(["a", "b", "c", "d"], |s, key| s.put(*key, 1));
    let first = batch.execute().unwrap();
    let ids: Vec<_> = first.outcomes().iter().map(batchcall::Outcome::id).collect();

    let again = batch.retry_failed_calls(&first).max_concurrent(3).execute().unwrap();
    assert_eq!(again.outcomes().iter().map(batchcall::Outcome::index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(again.outcomes()[1].id(), ids[3]);

    let report = first.merge(again);
    assert_eq!(report.stats().successful_calls, 4);
    assert_eq!(report.outcomes().iter().map(batchcall::Outcome::id).collect::<Vec<_>>(), ids);
    assert_eq!(report.outcomes().iter().map(batchcall::Outcome::attempts).collect::<Vec<_>>(), [1, 2, 1, 2]);
    assert_eq!(["a", "b", "c", "d"].map(|key| memory.applied(key)), [1; 4]);
}

#[test]
fn a_call_in_doubt_is_not_retried_unless_asked_for() {
    let memory = Memory::new().script([Step::LoseAnswer, Step::Unsent]);
    let batch = BatchCall::new(&memory).max_concurrent(1).calls(["a", "b"], |s, key| s.put(*key, 1));
    let first = batch.execute().unwrap();
    assert_eq!(first.outcomes()[0].status(), Status::InDoubt);

    let again = batch.retry_failed_calls(&first).execute().unwrap();
    assert_eq!(again.outcomes().iter().map(batchcall::Outcome::index).collect::<Vec<_>>(), [1]);
    assert_eq!(memory.applied("a"), 1);

    let asked = batch.retry_where(&first, |outcome| outcome.status() == Status::InDoubt).execute().unwrap();
    assert_eq!(asked.outcomes().iter().map(batchcall::Outcome::index).collect::<Vec<_>>(), [0]);
    assert_eq!(memory.applied("a"), 2);
}

#[test]
fn rows_can_be_repaired_between_two_runs() {
    let memory = Memory::new();
    let rows = Mutex::new(vec!["good", "bad", "good"]);
    let batch = BatchCall::new(&memory).max_concurrent(1).calls(0..3_usize, |session, n| {
        let row = rows.lock().unwrap()[*n];
        if row == "bad" {
            return Err(batchcall::Error::new(ErrorKind::Rejected, "bad"));
        }
        session.put(n.to_string(), row)
    });
    let first = batch.execute().unwrap();
    assert_eq!(first.stats().failed_calls, 1);
    rows.lock().unwrap()[1] = "mended";
    let again = batch.retry_failed_calls(&first).execute().unwrap();
    assert!(first.merge(again).is_complete());
    assert_eq!(memory.record("1").unwrap(), "mended");
}

#[test]
fn a_retry_of_a_retry_works() {
    let memory = Memory::new().script(vec![Step::Unsent; 3]);
    let batch = BatchCall::new(&memory).max_concurrent(1).calls(["a", "b"], |s, key| s.put(*key, 1));
    let first = batch.execute().unwrap();
    let retry = batch.retry_failed_calls(&first);
    let second = retry.execute().unwrap();
    let third = retry.retry_failed_calls(&second).execute().unwrap();
    let report = first.merge(second).merge(third);
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.outcomes().iter().map(batchcall::Outcome::attempts).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn calls_that_never_ran_are_retried() {
    let memory = Memory::new();
    let token = CancelToken::new();
    let batch = BatchCall::new(&memory).cancel_token(&token).calls(["a", "b"], |s, key| s.put(*key, 1));
    token.cancel();
    let first = batch.execute().unwrap();
    assert_eq!(first.stats().not_run_calls, 2);
    let again = batch.retry_failed_calls(&first).cancel_token(&CancelToken::new()).execute().unwrap();
    let report = first.merge(again);
    assert!(report.is_complete());
    assert_eq!(report.outcomes()[0].attempts(), 1);
}

#[test]
fn a_retry_that_did_not_run_does_not_hide_why_the_call_failed() {
    let memory = Memory::new().script([Step::Fail(ErrorKind::Unavailable)]);
    let batch = BatchCall::new(&memory).calls(["a"], |s, key| s.put(*key, 1));
    let first = batch.execute().unwrap();
    let token = CancelToken::new();
    token.cancel();
    let again = batch.retry_failed_calls(&first).cancel_token(&token).execute().unwrap();
    let report = first.merge(again);
    assert_eq!(report.outcomes()[0].status(), Status::Failed);
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_report_of_another_batch_and_new_calls_are_refused() {
    let memory = Memory::new().script(vec![Step::Unsent; 2]);
    let one = BatchCall::new(&memory).call(|s| s.put("a", 1));
    let other = BatchCall::new(&memory).call(|s| s.put("b", 1));
    let of_other = other.execute().unwrap();
    let error = one.retry_failed_calls(&of_other).call(|s| s.put("c", 1)).execute().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("not a call of this batch"), "{error}");
    assert!(error.message().contains("new batch"), "{error}");
    assert_eq!(memory.requests(), 0);
}

#[test]
fn no_closure_runs_twice_behind_the_users_back() {
    let memory = Memory::new().script([Step::Unsent, Step::Fail(ErrorKind::RateLimited)]);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .retry(quick())
        .calls(0..2, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    assert_eq!(report.outcomes().iter().map(batchcall::Outcome::attempts).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(report.stats().failed_calls, 2);
}

#[test]
fn an_idempotent_batch_runs_calls_again_even_after_a_lost_answer() {
    let memory = Memory::new().script([Step::LoseAnswer, Step::Unsent]);
    let report = BatchCall::new(&memory)
        .idempotent(true)
        .retry(quick())
        .calls(["a"], |s, key| s.put(*key, 1))
        .execute()
        .unwrap();
    assert!(report.is_complete());
    assert_eq!((report.outcomes()[0].attempts(), report.stats().retries), (3, 2));
}

#[test]
fn an_idempotent_batch_gives_up_after_its_attempts_and_never_repeats_what_is_permanent() {
    let memory = Memory::new().script(vec![Step::Unsent; 9]);
    let batch = BatchCall::new(&memory).idempotent(true).retry(quick()).calls(["a"], |s, key| s.put(*key, 1));
    assert_eq!(batch.execute().unwrap().outcomes()[0].attempts(), 3);

    let memory = Memory::new().script(vec![Step::Fail(ErrorKind::Rejected); 9]);
    let batch = BatchCall::new(&memory).idempotent(true).retry(quick()).calls(["a"], |s, key| s.put(*key, 1));
    assert_eq!((batch.execute().unwrap().outcomes()[0].attempts(), memory.requests()), (1, 1));
}

#[test]
fn a_call_in_doubt_stays_so_when_its_retry_fails() {
    let memory = Memory::new().script([Step::LoseAnswer, Step::Unsent]);
    let batch = BatchCall::new(&memory).call(|s| s.put("a", 1));
    let first = batch.execute().unwrap();
    let asked = batch.retry_where(&first, |outcome| outcome.status() == Status::InDoubt).execute().unwrap();
    assert_eq!(asked.outcomes()[0].status(), Status::Failed);
    let report = first.merge(asked);
    assert_eq!((report.outcomes()[0].status(), report.outcomes()[0].attempts()), (Status::InDoubt, 2));
    assert!(batch.retry_failed_calls(&report).is_empty(), "it would be written twice");
    assert_eq!(memory.applied("a"), 1);
}

#[test]
fn calls_that_did_not_run_for_a_wrong_password_are_not_retryable() {
    let memory = Memory::new().login_script([Step::Fail(ErrorKind::Auth)]);
    let batch = BatchCall::new(&memory).calls(0..3, |s, n| s.echo(*n));
    let first = batch.execute().unwrap();
    assert!(batch.retry_where(&first, |outcome| outcome.is_retryable()).is_empty());
    assert_eq!(memory.refused_logins(), 1);
}

#[test]
fn a_wait_longer_than_the_cap_ends_the_call() {
    let memory = Memory::new();
    let policy = quick().retry_after_cap(Duration::from_millis(10));
    let report = BatchCall::new(&memory)
        .idempotent(true)
        .retry(policy)
        .call(|_| -> batchcall::Result<()> {
            let error = batchcall::Error::new(ErrorKind::RateLimited, "later");
            Err(error.with_retry_after(Duration::from_secs(3600)))
        })
        .execute()
        .unwrap();
    assert_eq!(report.outcomes()[0].attempts(), 1);
}
