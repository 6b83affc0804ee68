//! Rule 5: callback and sink run on the caller's thread; a slow callback slows no worker, a slow sink does.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, ErrorKind, Progress};

use crate::eventually;

#[test]
fn the_callback_runs_on_the_callers_thread_and_need_not_be_send() {
    let caller = std::thread::current().id();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = Rc::clone(&seen);
    BatchCall::new(&Memory::new())
        .calls(0..20, |s, n| s.echo(*n))
        .execute_with_progress(move |_| notes.borrow_mut().push(std::thread::current().id()))
        .unwrap();
    assert!(!seen.borrow().is_empty());
    assert!(seen.borrow().iter().all(|thread| *thread == caller));
}

#[test]
fn counts_never_fall_and_the_last_one_is_exact() {
    let memory = Memory::new().script(vec![Step::Fail(ErrorKind::Rejected); 30]);
    let mut seen: Vec<Progress> = Vec::new();
    BatchCall::new(&memory)
        .calls(0..200, |s, n| s.echo(*n))
        .execute_with_progress(|progress| seen.push(*progress))
        .unwrap();
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].completed < pair[1].completed && pair[0].elapsed <= pair[1].elapsed)
    );
    assert!(seen.iter().all(|progress| progress.succeeded + progress.failed == progress.completed));
    let last = seen.last().unwrap();
    assert_eq!((last.completed, last.succeeded, last.failed, last.total), (200, 170, 30, 200));
}

#[test]
fn a_callback_that_blocks_holds_up_no_worker() {
    let memory = Memory::new();
    let ran = AtomicUsize::new(0);
    let mut last = 0;
    BatchCall::new(&memory)
        .max_concurrent(3)
        .calls(0..100, |session, n| {
            ran.fetch_add(1, Ordering::SeqCst);
            session.echo(*n)
        })
        .execute_with_progress(|progress| {
            // It does not come back before all calls have run.
            assert!(eventually(|| ran.load(Ordering::SeqCst) == 100));
            last = progress.completed;
        })
        .unwrap();
    assert_eq!(last, 100);
}

#[test]
fn a_callback_that_panics_is_not_called_again_and_harms_no_call() {
    let mut calls = 0;
    let report = BatchCall::new(&Memory::new().delay(Duration::from_millis(1)))
        .calls(0..30, |s, n| s.echo(*n))
        .execute_with_progress(|_| {
            calls += 1;
            panic!("the bar broke");
        })
        .unwrap();
    assert_eq!((report.stats().successful_calls, calls), (30, 1));
}

#[test]
fn a_sink_that_blocks_holds_the_workers_back() {
    let memory = Memory::new();
    let (workers, ran) = (3, AtomicUsize::new(0));
    let mut first = None;
    BatchCall::new(&memory)
        .max_concurrent(workers)
        .stream(
            0..10_000,
            |session, &n| {
                ran.fetch_add(1, Ordering::SeqCst);
                session.echo(n)
            },
            |_| {
                // Until nothing moves any more, or ten seconds.
                first.get_or_insert_with(|| {
                    let mut before = usize::MAX;
                    assert!(eventually(|| {
                        std::thread::sleep(Duration::from_millis(20));
                        let now = ran.load(Ordering::SeqCst);
                        std::mem::replace(&mut before, now) == now
                    }));
                    ran.load(Ordering::SeqCst)
                });
            },
        )
        .unwrap();
    // Outcomes in the channel, one in the hands of each worker, one in the sink's.
    let room = 2 * workers + workers + 1;
    assert!(first.unwrap() <= room, "{} calls ran while the sink was blocked", first.unwrap());
}
