//! Rules by which failures end a batch.

use std::sync::atomic::{AtomicUsize, Ordering};

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, ErrorKind, Halt, Status};

use crate::eventually;

#[test]
fn fail_fast_ends_at_the_first_failure_and_says_so() {
    let memory = Memory::new().script([Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .fail_fast(true)
        .calls(0..9, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    let stats = report.stats();
    assert_eq!((stats.successful_calls, stats.failed_calls, stats.not_run_calls), (1, 1, 7));
    // easy_acumatica: success=False, error=None, the same as a successful 204.
    let error = report.outcomes()[8].error().unwrap();
    assert_eq!((report.outcomes()[8].status(), error.kind()), (Status::NotRun, ErrorKind::Cancelled));
    assert!(error.message().contains("after 1 of 2 calls had failed"), "{error}");
}

#[test]
fn calls_under_way_end_by_themselves_when_a_batch_is_halted() {
    let memory = Memory::new();
    let under_way = AtomicUsize::new(0);
    let report = BatchCall::new(&memory)
        .max_concurrent(3)
        .fail_fast(true)
        .calls(0..30, |session, n| {
            under_way.fetch_add(1, Ordering::SeqCst);
            assert!(eventually(|| under_way.load(Ordering::SeqCst) >= 3));
            if *n == 0 { Err(batchcall::Error::new(ErrorKind::Rejected, "no")) } else { session.echo(*n) }
        })
        .execute()
        .unwrap();
    assert_eq!(report.stats().failed_calls, 1);
    assert!(report.stats().successful_calls >= 2, "the other two under way finished");
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn fail_fast_does_not_wait_for_a_callback_that_blocks() {
    let memory = Memory::new().script([Step::Answer, Step::Answer, Step::Fail(ErrorKind::Rejected)]);
    let ran = AtomicUsize::new(0);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .fail_fast(true)
        .calls(0..500, |session, n| {
            ran.fetch_add(1, Ordering::SeqCst);
            session.echo(*n)
        })
        .execute_with_progress(|_| {
            assert!(eventually(|| ran.load(Ordering::SeqCst) >= 3));
        })
        .unwrap();
    assert_eq!((ran.load(Ordering::SeqCst), report.stats().not_run_calls), (3, 497));
}

#[test]
fn a_failure_rate_ends_the_batch_once_it_says_something() {
    let steps = [Step::Answer, Step::Fail(ErrorKind::Rejected)].into_iter().cycle().take(500);
    let memory = Memory::new().script(steps);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .halt(Halt::failure_rate(0.4))
        .calls(0..500, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (10, 480));
}

#[test]
fn a_call_in_doubt_counts_as_a_failure() {
    let memory = Memory::new().script([Step::LoseAnswer]);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .halt(Halt::after_failures(1))
        .calls(["a", "b"], |s, key| s.put(*key, 1))
        .execute()
        .unwrap();
    assert_eq!((report.stats().in_doubt_calls, report.stats().not_run_calls), (1, 1));
}

#[test]
fn a_rate_that_cannot_be_exceeded_never_halts() {
    for _ in 0..20 {
        let report = BatchCall::new(&Memory::new())
            .max_concurrent(4)
            .halt(Halt::failure_rate(1.0))
            .calls(0..500, |_, _| -> batchcall::Result<()> {
                Err(batchcall::Error::new(ErrorKind::Rejected, "no"))
            })
            .execute()
            .unwrap();
        assert_eq!(report.stats().failed_calls, 500);
    }
}

#[test]
fn fail_fast_can_be_taken_back() {
    let memory = Memory::new().script([Step::Fail(ErrorKind::Rejected)]);
    let batch = BatchCall::new(&memory).max_concurrent(1).fail_fast(true).fail_fast(false);
    let report = batch.calls(0..5, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!((report.stats().failed_calls, report.stats().successful_calls), (1, 4));
}

#[test]
fn calls_that_the_deadline_ended_are_not_why_the_others_did_not_run() {
    let memory = Memory::new().delay(std::time::Duration::from_secs(3600));
    let report = BatchCall::new(&memory)
        .max_concurrent(2)
        .fail_fast(true)
        .timeout(std::time::Duration::from_millis(50))
        .calls(0..5, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    assert_eq!(report.outcomes()[4].error().unwrap().kind(), ErrorKind::Timeout);
}
