//! Rules 2 and 7: when `execute` returns no call is running and every session is closed; at the deadline
//! every session in a call is interrupted; every wait is woken.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use batchcall::memory::{Memory, Step};
use batchcall::{
    BatchCall, CancelToken, Connect, Deadline, Error, ErrorKind, Interrupt, Result, Status, Worker,
};

use crate::{GRACE, LONG, eventually};

const SOON: Duration = Duration::from_millis(120);

/// Sessions whose I/O knows no deadline: only an interrupt ends it. Like a driver without timeouts.
#[derive(Default)]
struct Deaf {
    open: AtomicUsize,
    interrupted_after_close: AtomicBool,
}

struct DeafSession {
    wake: mpsc::Sender<()>,
    asleep: mpsc::Receiver<()>,
    closed: Arc<Mutex<bool>>,
}

impl DeafSession {
    fn hang(&mut self) -> Result<()> {
        self.asleep.recv().unwrap();
        Err(Error::new(ErrorKind::Interrupted, "woken"))
    }
}

impl Connect for &'static Deaf {
    type Session = DeafSession;

    fn connect(&self, _: &Worker) -> Result<DeafSession> {
        self.open.fetch_add(1, Ordering::SeqCst);
        let (wake, asleep) = mpsc::channel();
        Ok(DeafSession { wake, asleep, closed: Arc::default() })
    }

    fn interrupt(&self, session: &DeafSession) -> Option<Interrupt> {
        let (wake, closed, deaf) = (session.wake.clone(), Arc::clone(&session.closed), *self);
        Some(Box::new(move || {
            if *closed.lock().unwrap() {
                deaf.interrupted_after_close.store(true, Ordering::SeqCst);
            }
            let _ = wake.send(());
        }))
    }

    fn disconnect(&self, session: DeafSession) -> Result<()> {
        *session.closed.lock().unwrap() = true;
        self.open.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

fn deaf() -> &'static Deaf {
    Box::leak(Box::default())
}

#[test]
fn calls_that_hang_are_interrupted_at_the_deadline() {
    let deaf = deaf();
    let began = Instant::now();
    let report = BatchCall::new(&deaf)
        .max_concurrent(4)
        .timeout(SOON)
        .calls(0..10, |session, _| session.hang())
        .execute()
        .unwrap();
    assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (4, 6));
    for outcome in report.outcomes() {
        let expected =
            if outcome.status() == Status::NotRun { ErrorKind::Timeout } else { ErrorKind::Interrupted };
        assert_eq!(outcome.error().unwrap().kind(), expected);
    }
    assert_eq!(deaf.open.load(Ordering::SeqCst), 0);
}

#[test]
fn io_carries_the_deadline_and_returns_in_time() {
    let memory = Memory::new().delay(LONG);
    let began = Instant::now();
    let report = BatchCall::new(&memory).timeout(SOON).calls(0..6, |s, n| s.echo(*n)).execute().unwrap();
    assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (5, 1));
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn a_write_that_hangs_at_the_deadline_is_in_doubt() {
    let memory = Memory::new().delay(LONG);
    let report = BatchCall::new(&memory).timeout(SOON).call(|session| session.put("a", 1)).execute().unwrap();
    assert_eq!(report.outcomes()[0].status(), Status::InDoubt);
}

#[test]
fn a_login_that_hangs_ends_at_the_deadline() {
    let memory = Memory::new().login_delay(LONG);
    let began = Instant::now();
    let report = BatchCall::new(&memory).timeout(SOON).calls(0..6, |s, n| s.echo(*n)).execute().unwrap();
    assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!(report.stats().not_run_calls, 6);
}

#[test]
fn a_logout_that_hangs_does_not_outlast_the_deadline() {
    let memory = Memory::new().delay(SOON / 8).logout_script(vec![Step::Delay(LONG); 4]);
    let began = Instant::now();
    let report = BatchCall::new(&memory)
        .max_concurrent(4)
        .timeout(SOON)
        .calls(0..999, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!(report.stats().failed_logouts, 4);
}

#[test]
fn a_closed_session_is_never_interrupted() {
    let deaf = deaf();
    for round in 0..30 {
        let _ = BatchCall::new(&deaf)
            .max_concurrent(3)
            .timeout(Duration::from_micros(500 + round * 50))
            .calls(0..2000, |_, n| Ok(*n))
            .execute()
            .unwrap();
    }
    assert!(!deaf.interrupted_after_close.load(Ordering::SeqCst));
    assert_eq!(deaf.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_deadline_that_has_passed_runs_nothing() {
    let memory = Memory::new();
    let report =
        BatchCall::new(&memory).timeout(Duration::ZERO).calls(0..3, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!((report.stats().not_run_calls, memory.requests()), (3, 0));
}

#[test]
fn the_earlier_of_timeout_and_deadline_holds() {
    let memory = Memory::new().delay(LONG);
    for (timeout, deadline) in [(SOON, LONG), (LONG, SOON)] {
        let began = Instant::now();
        let batch = BatchCall::new(&memory).timeout(timeout).deadline(Deadline::after(deadline));
        let report = batch.calls(0..2, |s, n| s.echo(*n)).execute().unwrap();
        assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
        assert_eq!(report.stats().failed_calls, 2);
    }
}

#[test]
fn cancel_lets_calls_under_way_finish_and_runs_no_other() {
    let memory = Memory::new();
    let token = CancelToken::new();
    let (started, cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
    let report = BatchCall::new(&memory)
        .max_concurrent(2)
        .cancel_token(&token)
        .calls(0..50, |session, n| {
            if started.fetch_add(1, Ordering::SeqCst) == 1 {
                token.cancel();
                cancelled.store(true, Ordering::SeqCst);
            }
            assert!(eventually(|| cancelled.load(Ordering::SeqCst)));
            session.echo(*n)
        })
        .execute()
        .unwrap();
    assert_eq!(report.stats().successful_calls, 2, "both calls under way end well");
    assert_eq!(report.stats().not_run_calls, 48);
    for outcome in report.failed_calls() {
        assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Cancelled);
    }
}

#[test]
fn a_batch_that_is_cancelled_during_its_login_runs_nothing() {
    struct Late(CancelToken);
    impl Connect for Late {
        type Session = ();
        fn connect(&self, _: &Worker) -> Result<()> {
            self.0.cancel();
            Ok(())
        }
    }
    let late = Late(CancelToken::new());
    let report = BatchCall::new(&late).cancel_token(&late.0).calls(0..5, |(), n| Ok(*n)).execute().unwrap();
    assert!(report.outcomes().iter().all(|outcome| outcome.status() == Status::NotRun), "{report}");
    let mut statuses = Vec::new();
    let late = Late(CancelToken::new());
    let batch = BatchCall::new(&late).cancel_token(&late.0);
    let stats = batch.stream(0..5, |(), n| Ok(*n), |outcome| statuses.push(outcome.status())).unwrap();
    assert_eq!((stats.total_calls, stats.not_run_calls), (statuses.len(), statuses.len()));
}

#[test]
fn cancel_now_interrupts_calls_under_way() {
    let deaf = deaf();
    let token = CancelToken::new();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| deaf.open.load(Ordering::SeqCst) == 2));
            token.cancel_now();
        });
        BatchCall::new(&deaf)
            .max_concurrent(2)
            .cancel_token(&token)
            .calls(0..9, |session, _| session.hang())
            .execute()
            .unwrap()
    });
    assert_eq!(report.stats().total_calls, 9);
    assert!(report.stats().failed_calls <= 2);
    assert_eq!(deaf.open.load(Ordering::SeqCst), 0);
}

#[test]
fn cancel_now_interrupts_a_login() {
    struct Hanging(AtomicBool);
    impl Connect for Hanging {
        type Session = ();
        fn connect(&self, worker: &Worker) -> Result<()> {
            let (wake, asleep) = mpsc::channel();
            worker.on_interrupt(Box::new(move || wake.send(()).unwrap()));
            self.0.store(true, Ordering::SeqCst);
            asleep.recv().map_err(|_| Error::new(ErrorKind::Other, "forgotten"))?;
            Err(Error::new(ErrorKind::Interrupted, "woken"))
        }
    }
    let hanging = Hanging(AtomicBool::new(false));
    let token = CancelToken::new();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| hanging.0.load(Ordering::SeqCst)));
            token.cancel_now();
        });
        BatchCall::new(&hanging).cancel_token(&token).calls(0..9, |(), n| Ok(*n)).execute().unwrap()
    });
    assert_eq!(report.stats().not_run_calls, 9);
    assert!(report.outcomes().iter().all(|o| o.error().unwrap().kind() == ErrorKind::Cancelled), "{report}");
}

#[test]
fn a_worker_that_waits_for_a_seat_is_woken_by_cancel_and_by_the_deadline() {
    let memory = Memory::new().seats(0);
    let token = CancelToken::new();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| memory.refused_logins() >= 1));
            token.cancel();
        });
        BatchCall::new(&memory).cancel_token(&token).calls(0..9, |s, n| s.echo(*n)).execute().unwrap()
    });
    assert_eq!(report.stats().not_run_calls, 9);

    let began = Instant::now();
    let report = BatchCall::new(&memory).timeout(SOON).calls(0..9, |s, n| s.echo(*n)).execute().unwrap();
    assert!(began.elapsed() <= SOON + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!(report.outcomes()[8].error().unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn a_wait_between_two_tries_is_woken_by_cancel_and_keeps_the_error() {
    let memory = Memory::new().script(vec![Step::Unsent; 100]);
    let token = CancelToken::new();
    let policy = batchcall::RetryPolicy::new().attempts(50).base(LONG).cap(LONG);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| memory.logins() == 1));
            std::thread::sleep(Duration::from_millis(20));
            token.cancel();
        });
        BatchCall::new(&memory)
            .idempotent(true)
            .retry(policy)
            .cancel_token(&token)
            .call(|session| session.echo(1))
            .execute()
            .unwrap()
    });
    assert_eq!(report.outcomes()[0].status(), Status::Failed);
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Connect);
}

#[test]
fn no_thread_is_left_behind() {
    // Other tests have threads of their own: look for the 78th of a pool, which only this test has.
    let ours = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with("batchcall-77")).count()
    };
    let memory = Memory::new();
    let report = BatchCall::new(&memory)
        .max_concurrent(80)
        .calls(0..80, |_, _| Ok(eventually(|| ours() == 1)))
        .execute();
    assert!(report.unwrap().into_all().unwrap().into_iter().all(|seen| seen));
    // A joined thread may be a moment on its way out of the kernel's list.
    assert!(eventually(|| ours() == 0));
}
