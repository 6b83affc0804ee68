//! Streams: items lazily taken, outcomes handed on, memory bounded.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, CancelToken, ErrorKind, Status};

#[test]
fn every_item_has_one_outcome() {
    let memory = Memory::new().script([Step::Fail(ErrorKind::Rejected), Step::Panic, Step::Unsent]);
    let mut seen = vec![0; 500];
    let stats = BatchCall::new(&memory)
        .stream(0..500, |s, &n| s.echo(n), |outcome| seen[outcome.index()] += 1)
        .unwrap();
    assert!(seen.iter().all(|times| *times == 1));
    assert_eq!((stats.total_calls, stats.successful_calls, stats.failed_calls), (500, 497, 3));
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn items_are_taken_as_workers_ask_for_them() {
    let taken = Rc::new(Cell::new(0_usize));
    let counter = Rc::clone(&taken);
    let endless = std::iter::repeat_with(move || counter.replace(counter.get() + 1));
    let token = CancelToken::new();
    let mut ended = 0;
    // The iterator is neither `Send` nor does it end.
    let stats = BatchCall::new(&Memory::new())
        .max_concurrent(2)
        .cancel_token(&token)
        .stream(
            endless,
            |s, &n| s.echo(n),
            |outcome| {
                ended += usize::from(outcome.status() != Status::NotRun);
                assert!(taken.get() <= ended + 12, "{} taken, {ended} ended", taken.get());
                if ended == 100 {
                    token.cancel();
                }
            },
        )
        .unwrap();
    assert_eq!(stats.total_calls, taken.get(), "what was taken has an outcome, the rest was left alone");
    assert_eq!(stats.successful_calls, ended);
}

#[test]
fn at_the_deadline_items_that_were_taken_are_told_as_not_run() {
    let memory = Memory::new().delay(Duration::from_secs(3600));
    let mut statuses = Vec::new();
    let stats = BatchCall::new(&memory)
        .max_concurrent(2)
        .timeout(Duration::from_millis(60))
        .stream(0.., |s, &n| s.put(n.to_string(), n), |outcome| statuses.push(outcome.status()))
        .unwrap();
    assert_eq!(statuses.len(), stats.total_calls);
    assert_eq!(stats.in_doubt_calls, 2);
    assert_eq!(stats.not_run_calls, stats.total_calls - 2);
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn a_wrong_password_is_tried_once_and_the_stream_ends() {
    let memory = Memory::new().login_script(vec![Step::Fail(ErrorKind::Auth); 9]);
    let mut kinds = Vec::new();
    let stats = BatchCall::new(&memory)
        .stream(0.., |s, &n| s.echo(n), |outcome| kinds.push(outcome.error().unwrap().kind()))
        .unwrap();
    assert_eq!(memory.refused_logins(), 1);
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::Auth));
    assert_eq!(stats.total_calls, kinds.len());
}

#[test]
fn a_sink_or_an_iterator_that_panics_stops_the_batch_and_closes_its_sessions() {
    let memory = Memory::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        BatchCall::new(&memory).stream(0..10_000, |s, &n| s.echo(n), |outcome| assert!(outcome.index() < 10))
    }));
    assert!(panicked.is_err());
    assert!(memory.requests() < 1000, "{} requests", memory.requests());
    assert_eq!(memory.open_sessions(), 0);

    let memory = Memory::new();
    let items = (0..).inspect(|n| assert!(*n < 10, "no more items"));
    let panicked =
        catch_unwind(AssertUnwindSafe(|| BatchCall::new(&memory).stream(items, |s, &n| s.echo(n), |_| {})));
    assert!(panicked.is_err());
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn an_empty_stream_logs_nobody_in() {
    let memory = Memory::new();
    let stats = BatchCall::new(&memory).stream(Vec::<i32>::new(), |s, &n| s.echo(n), |_| {}).unwrap();
    assert_eq!((stats.total_calls, memory.logins()), (0, 0));
}

#[test]
fn a_batch_with_calls_of_its_own_does_not_stream() {
    let memory = Memory::new();
    let batch = BatchCall::new(&memory).call(|s| s.echo(1)).max_concurrent(0);
    let error = batch.stream([1], |s, &n| s.echo(n), |_| {}).unwrap_err();
    assert!(error.message().contains("1 calls") && error.message().contains("max_concurrent"), "{error}");
}

#[test]
fn an_item_that_panics_when_it_is_dropped_takes_no_worker_down() {
    struct Bomb(usize);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0 % 10 != 3, "item {}", self.0);
        }
    }
    let memory = Memory::new();
    let items = (0..100).map(Bomb);
    let stats =
        BatchCall::new(&memory).max_concurrent(2).stream(items, |s, item| s.echo(item.0), |_| {}).unwrap();
    assert_eq!((stats.successful_calls, memory.open_sessions()), (100, 0));
}
