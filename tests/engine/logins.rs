//! Rule 3: logins are lazy and few, the first is made alone, and each that succeeded is logged out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, Connect, ErrorKind, Result, RetryPolicy, Status, Worker};

use crate::eventually;

fn quick() -> RetryPolicy {
    RetryPolicy::new().base(Duration::from_millis(1))
}

/// easy_acumatica: 100 calls with ten workers made 110 refused logins.
#[test]
fn a_wrong_password_costs_one_refused_login() {
    let memory = Memory::new().login_script(vec![Step::Fail(ErrorKind::Auth); 200]);
    let report = BatchCall::new(&memory)
        .max_concurrent(10)
        .calls(0..100, |session, n| session.echo(*n))
        .execute()
        .unwrap();
    assert_eq!(memory.refused_logins(), 1);
    assert_eq!(report.stats().not_run_calls, 100);
    for outcome in report.outcomes() {
        assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Auth);
        assert_eq!(outcome.attempts(), 0);
    }
    assert_eq!(
        (memory.requests(), memory.logouts()),
        (0, 0),
        "a session that was refused is neither used nor closed"
    );
}

#[test]
fn there_are_never_more_logins_than_calls() {
    let memory = Memory::new().delay(Duration::from_millis(2));
    BatchCall::new(&memory).max_concurrent(20).calls(0..3, |s, n| s.echo(*n)).execute().unwrap();
    assert!(memory.logins() <= 3, "{} logins", memory.logins());
    assert_eq!(memory.logins(), memory.logouts());
}

#[test]
fn every_session_is_logged_out() {
    let memory = Memory::new().delay(Duration::from_millis(1));
    let report = BatchCall::new(&memory).max_concurrent(8).calls(0..80, |s, n| s.echo(*n)).execute().unwrap();
    assert!(memory.logins() <= 8);
    assert_eq!((memory.logins(), memory.open_sessions()), (memory.logouts(), 0));
    assert_eq!(report.stats().logins, memory.logins());
}

/// Notes when logins begin and end.
#[derive(Default)]
struct Gauge {
    under_way: AtomicUsize,
    ended: AtomicUsize,
    /// How many had ended and how many others were under way when each began.
    begins: Mutex<Vec<(usize, usize)>>,
    /// What it says of its licence.
    licence: Option<usize>,
}

impl Connect for Gauge {
    type Session = ();

    fn connect(&self, _: &Worker) -> Result<()> {
        let others = self.under_way.fetch_add(1, Ordering::SeqCst);
        self.begins.lock().unwrap().push((self.ended.load(Ordering::SeqCst), others));
        std::thread::sleep(Duration::from_millis(5));
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn max_sessions(&self) -> Option<usize> {
        self.licence
    }
}

#[test]
fn with_a_known_number_of_sessions_there_are_no_more_workers_and_they_log_in_together() {
    let gauge = Gauge { licence: Some(4), ..Gauge::default() };
    // A call waits until all four sessions are open: they do not wait for each other's calls.
    let report = BatchCall::new(&gauge)
        .max_concurrent(9)
        .calls(0..40, |(), _| Ok(eventually(|| gauge.ended.load(Ordering::SeqCst) == 4)))
        .execute()
        .unwrap();
    assert_eq!((report.stats().concurrency_level, report.stats().logins), (4, 4));
    assert!(report.into_all().unwrap().into_iter().all(|all| all));
    let begins = gauge.begins.into_inner().unwrap();
    assert_eq!(begins[0], (0, 0), "the first is made alone all the same");
    assert!(begins[1..].iter().all(|(ended, _)| *ended >= 1), "{begins:?}");
}

#[test]
fn the_first_login_is_made_alone_and_the_others_together() {
    let gauge = Gauge::default();
    BatchCall::new(&gauge)
        .max_concurrent(8)
        .calls(0..64, |(), _| {
            std::thread::sleep(Duration::from_millis(2));
            Ok(())
        })
        .execute()
        .unwrap();
    let begins = gauge.begins.into_inner().unwrap();
    assert_eq!(begins[0], (0, 0));
    assert!(
        begins[1..].iter().all(|(ended, _)| *ended >= 1),
        "nobody began before the first had ended: {begins:?}"
    );
    assert!(begins.iter().any(|(_, others)| *others > 0), "later ones overlap: {begins:?}");
}

#[test]
fn a_login_that_fails_for_a_passing_reason_is_tried_again() {
    let memory = Memory::new().login_script([Step::Unsent, Step::Fail(ErrorKind::Unavailable)]);
    let report = BatchCall::new(&memory).retry(quick()).calls(0..5, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 5);
    assert_eq!(memory.refused_logins(), 2);
}

#[test]
fn a_server_that_stays_away_ends_the_batch_with_its_reason() {
    let memory = Memory::new().login_script(vec![Step::Unsent; 99]);
    // The waits for a first session are the desk's own: half a second, a second.
    let report = BatchCall::new(&memory).retry(quick()).calls(0..5, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!((report.stats().not_run_calls, memory.refused_logins()), (5, 3));
    assert_eq!(report.outcomes()[4].error().unwrap().kind(), ErrorKind::Connect);
}

#[test]
fn who_has_a_session_goes_on_when_later_logins_are_refused_for_good() {
    let steps = std::iter::once(Step::Answer).chain(vec![Step::Fail(ErrorKind::Auth); 99]);
    let memory = Memory::new().delay(Duration::from_millis(1)).login_script(steps);
    let report = BatchCall::new(&memory).max_concurrent(6).calls(0..40, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 40);
    assert!((1..=2).contains(&memory.refused_logins()), "{} refused", memory.refused_logins());
}

#[test]
fn when_the_last_session_is_lost_and_nobody_may_log_in_the_rest_is_not_run() {
    let memory = Memory::new().script([Step::Answer, Step::Panic]).login_script([
        Step::Answer,
        Step::Fail(ErrorKind::Auth),
        Step::Fail(ErrorKind::Auth),
    ]);
    let report = BatchCall::new(&memory).max_concurrent(1).calls(0..6, |s, n| s.echo(*n)).execute().unwrap();
    let statuses: Vec<_> = report.outcomes().iter().map(batchcall::Outcome::status).collect();
    assert_eq!(statuses[..2], [Status::Succeeded, Status::Failed]);
    assert!(statuses[2..].iter().all(|status| *status == Status::NotRun));
    assert_eq!(report.outcomes()[5].error().unwrap().kind(), ErrorKind::Auth);
    assert_eq!(memory.refused_logins(), 1);
}

#[test]
fn after_a_refusal_for_good_a_lost_session_is_not_opened_again() {
    let steps = std::iter::once(Step::Answer).chain(vec![Step::Fail(ErrorKind::Auth); 9]);
    let memory = Memory::new().login_script(steps);
    let report = BatchCall::new(&memory)
        .max_concurrent(2)
        .calls(0..6, |_, _| -> batchcall::Result<()> {
            assert!(eventually(|| memory.refused_logins() == 1), "the other worker was not refused");
            panic!("and now this session is lost");
        })
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (1, 5), "{report}");
    assert_eq!(memory.refused_logins(), 1, "the password was tried again");
    assert_eq!(report.outcomes()[5].error().unwrap().kind(), ErrorKind::Auth, "and the rest is told why");
}

#[test]
fn a_session_that_was_open_already_is_no_login() {
    struct Kept;
    impl Connect for Kept {
        type Session = ();
        fn connect(&self, worker: &Worker) -> Result<()> {
            worker.reused_session();
            Ok(())
        }
    }
    let report = BatchCall::new(&Kept).calls(0..9, |(), n| Ok(*n)).execute().unwrap();
    assert_eq!((report.stats().logins, report.stats().login_time), (0, Duration::ZERO));
}

#[test]
fn an_expired_session_logs_in_again_once_and_is_counted() {
    let memory = Memory::new().script([Step::Answer, Step::Expire]);
    let report = BatchCall::new(&memory).max_concurrent(1).calls(0..4, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 4);
    assert_eq!((report.stats().logins, memory.logins(), memory.logouts()), (2, 2, 2));
}

#[test]
fn a_session_that_cannot_log_in_again_ends_the_batch() {
    let memory = Memory::new()
        .script([Step::Answer, Step::Expire])
        .login_script([Step::Answer, Step::Fail(ErrorKind::Auth)]);
    let report =
        BatchCall::new(&memory).max_concurrent(1).calls(0..100, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(memory.refused_logins(), 1);
    assert_eq!((report.stats().failed_calls, report.stats().not_run_calls), (1, 98));
    assert_eq!(report.outcomes()[99].error().unwrap().kind(), ErrorKind::Auth);
}

#[test]
fn nobody_waits_for_a_login_when_all_calls_are_taken() {
    // One slow login would hold the batch up if the others waited for it with nothing left to do.
    let memory = Memory::new().login_script([Step::Answer, Step::Delay(Duration::from_millis(50))]);
    let report = BatchCall::new(&memory).max_concurrent(4).calls(0..4, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 4);
    assert!(eventually(|| memory.open_sessions() == 0));
}

/// Some sessions are open already; the password has been changed since.
struct Pooled {
    open: AtomicUsize,
    refused: AtomicUsize,
    licence: Option<usize>,
}

impl Connect for Pooled {
    type Session = ();

    fn connect(&self, worker: &Worker) -> Result<()> {
        if self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| open.checked_sub(1)).is_ok() {
            worker.reused_session();
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
        Err(batchcall::Error::new(ErrorKind::Auth, "wrong password"))
    }

    fn max_sessions(&self) -> Option<usize> {
        self.licence
    }
}

#[test]
fn a_session_that_was_open_already_proves_no_password() {
    for licence in [None, Some(16)] {
        let pooled = Pooled { open: AtomicUsize::new(4), refused: AtomicUsize::new(0), licence };
        let report = BatchCall::new(&pooled)
            .max_concurrent(16)
            .calls(0..200, |(), n| {
                std::thread::sleep(Duration::from_micros(500));
                Ok(*n)
            })
            .execute()
            .unwrap();
        assert_eq!(report.stats().successful_calls, 200);
        assert_eq!(pooled.refused.load(Ordering::SeqCst), 1, "{licence:?}");
    }
}

#[test]
fn a_login_that_fails_in_passing_costs_no_workers() {
    for steps in [vec![Step::Unsent], vec![Step::Answer, Step::Unsent]] {
        let memory = Memory::new().login_script(steps);
        // A call waits until all four sessions have been open.
        let report = BatchCall::new(&memory)
            .max_concurrent(4)
            .retry(quick())
            .calls(0..4, |_, _| Ok(eventually(|| memory.max_open_sessions() == 4)))
            .execute()
            .unwrap();
        assert!(report.into_all().unwrap().into_iter().all(|all| all));
    }
}
