//! Rule 1: exactly one outcome per call, in submission order, whatever happens.

use std::collections::HashSet;
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, CancelToken, Connect, ErrorKind, Result, Status, Worker};

#[test]
fn outcomes_come_in_the_order_in_which_calls_were_added() {
    let memory = Memory::new();
    // The first calls take longest.
    let report = BatchCall::new(&memory)
        .max_concurrent(8)
        .calls(0..40_u64, |session, n| {
            std::thread::sleep(Duration::from_micros(40 - n) * 20);
            session.echo(*n)
        })
        .execute()
        .unwrap();
    let indices: Vec<_> = report.outcomes().iter().map(|outcome| outcome.index()).collect();
    assert_eq!(indices, (0..40).collect::<Vec<_>>());
    assert_eq!(report.into_all().unwrap(), (0..40).collect::<Vec<_>>());
}

#[test]
fn single_calls_and_lists_of_calls_mix() {
    let memory = Memory::new();
    let mut batch = BatchCall::new(&memory)
        .call_named("first", |session| session.echo(0))
        .calls([1, 2], |session, n| session.echo(*n))
        .calls(Vec::<i32>::new(), |session, n| session.echo(*n))
        .call(|session| session.echo(3));
    batch.push(|session| session.echo(4));
    assert_eq!(batch.len(), 5);
    let report = batch.execute().unwrap();
    assert_eq!(report.outcomes()[0].name(), Some("first"));
    assert_eq!(report.outcomes()[1].name(), None);
    assert_eq!(report.into_all().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn calls_may_borrow() {
    let memory = Memory::new();
    let words = vec![String::from("a"), String::from("b")];
    let report = BatchCall::new(&memory).calls(&words, |session, word| session.echo(word.as_str())).execute();
    assert_eq!(report.unwrap().into_all().unwrap(), ["a", "b"]);
}

#[test]
fn ids_differ_between_calls_and_batches() {
    let memory = Memory::new();
    let mut ids = HashSet::new();
    for _ in 0..2 {
        let report = BatchCall::new(&memory).calls(0..50, |session, n| session.echo(*n)).execute().unwrap();
        ids.extend(report.outcomes().iter().map(batchcall::Outcome::id));
    }
    assert_eq!(ids.len(), 100);
}

#[test]
fn a_call_that_panics_is_a_failed_call_and_the_others_go_on() {
    let memory = Memory::new();
    let report = BatchCall::new(&memory)
        .max_concurrent(3)
        .calls(0..70, |session, n| {
            assert!(n % 7 != 3, "the {n}th");
            session.echo(*n)
        })
        .execute()
        .unwrap();
    for outcome in report.outcomes() {
        if outcome.index() % 7 == 3 {
            let error = outcome.error().unwrap();
            assert_eq!((outcome.status(), error.kind()), (Status::Failed, ErrorKind::Panicked));
            assert!(error.message().contains(&format!("the {}th", outcome.index())), "{error}");
        } else {
            assert_eq!(outcome.status(), Status::Succeeded);
        }
    }
    assert_eq!((report.stats().failed_calls, report.stats().successful_calls), (10, 60));
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn a_session_in_which_a_call_panicked_is_closed_and_not_used_again() {
    let memory = Memory::new().script([Step::Answer, Step::Panic]);
    let report = BatchCall::new(&memory).max_concurrent(1).calls(0..4, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().failed_calls, 1);
    assert_eq!((memory.logins(), memory.logouts()), (2, 2));
    assert_eq!(report.stats().logins, 2);
}

#[test]
fn a_panic_while_logging_in_leaves_every_call_not_run() {
    let memory = Memory::new().login_script([Step::Panic]);
    let report = BatchCall::new(&memory).calls(0..9, |session, n| session.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().not_run_calls, 9);
    for outcome in report.outcomes() {
        assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Panicked);
    }
    assert_eq!(memory.requests(), 0);
}

#[test]
fn a_panic_or_an_error_while_logging_out_harms_no_outcome_and_is_counted() {
    for step in [Step::Panic, Step::Fail(ErrorKind::Server)] {
        let memory = Memory::new().logout_script([step]);
        let report =
            BatchCall::new(&memory).max_concurrent(1).calls(0..3, |s, n| s.echo(*n)).execute().unwrap();
        assert_eq!((report.stats().successful_calls, report.stats().failed_logouts), (3, 1));
        assert!(report.to_string().contains("1 sessions could not be logged out"), "{report}");
    }
}

#[test]
fn a_session_whose_interrupt_cannot_be_made_is_used_all_the_same() {
    struct Broken;
    impl Connect for Broken {
        type Session = ();
        fn connect(&self, _: &Worker) -> Result<()> {
            Ok(())
        }
        fn interrupt(&self, (): &()) -> Option<batchcall::Interrupt> {
            panic!("no interrupt")
        }
    }
    let report = BatchCall::new(&Broken).calls(0..4, |(), n| Ok(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 4);
}

#[test]
fn a_lost_answer_is_in_doubt_and_says_what_to_do() {
    let memory = Memory::new().script([Step::LoseAnswer, Step::Unsent, Step::Fail(ErrorKind::Rejected)]);
    let report = BatchCall::new(&memory)
        .max_concurrent(1)
        .calls(["a", "b", "c", "d"], |session, key| session.put(*key, 1))
        .execute()
        .unwrap();
    let statuses: Vec<_> = report.outcomes().iter().map(batchcall::Outcome::status).collect();
    assert_eq!(statuses, [Status::InDoubt, Status::Failed, Status::Failed, Status::Succeeded]);
    assert!(report.outcomes()[0].error().unwrap().to_string().contains("look whether it was applied"));
    let applied: Vec<_> = ["a", "b", "c", "d"].map(|key| memory.applied(key)).into();
    assert_eq!(applied, [1, 0, 0, 1]);
}

#[test]
fn a_read_without_an_answer_failed_and_is_not_in_doubt() {
    let memory = Memory::new().script([Step::LoseAnswer]);
    let report = BatchCall::new(&memory).calls([1], |session, n| session.echo(*n)).execute().unwrap();
    assert_eq!(report.outcomes()[0].status(), Status::Failed);
    assert!(report.outcomes()[0].is_retryable());
}

#[test]
fn an_empty_batch_reports_nothing_and_logs_nobody_in() {
    let memory = Memory::new();
    let report = BatchCall::<_, ()>::new(&memory).execute().unwrap();
    assert_eq!((report.outcomes().len(), report.stats().total_calls), (0, 0));
    assert!(report.is_complete());
    assert_eq!(memory.logins(), 0);
    assert!(report.to_string().starts_with("0 calls"), "{report}");
}

#[test]
fn no_workers_are_refused_before_anything_is_sent() {
    let memory = Memory::new();
    let error =
        BatchCall::new(&memory).max_concurrent(0).calls([1], |s, n| s.echo(*n)).execute().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(memory.logins(), 0);
}

#[test]
fn everything_wrong_with_a_batch_is_said_at_once() {
    let memory = Memory::new();
    let error = BatchCall::new(&memory)
        .max_concurrent(0)
        .halt(batchcall::Halt::failure_rate(2.0))
        .halt(batchcall::Halt::after_failures(0))
        .calls([1], |s, n| s.echo(*n))
        .execute()
        .unwrap_err();
    for problem in ["max_concurrent", "failure_rate", "after_failures"] {
        assert!(error.message().contains(problem), "{error}");
    }
}

#[test]
fn a_second_execute_is_refused_and_sends_nothing() {
    let memory = Memory::new();
    let batch = BatchCall::new(&memory).call(|session| session.put("a", 1));
    batch.execute().unwrap();
    assert_eq!(batch.execute().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(memory.applied("a"), 1);
}

#[test]
fn a_refused_execute_does_not_count_as_one() {
    let memory = Memory::new();
    let batch = BatchCall::new(&memory).max_concurrent(0).call(|session| session.put("a", 1));
    assert!(batch.execute().is_err());
    let batch = batch.max_concurrent(1);
    assert!(batch.execute().is_ok());
}

#[test]
fn an_idempotent_batch_may_be_executed_again() {
    let memory = Memory::new();
    let batch = BatchCall::new(&memory).idempotent(true).call(|session| session.put("a", 1));
    let (first, second) = (batch.execute().unwrap(), batch.execute().unwrap());
    assert_eq!(first.outcomes()[0].id(), second.outcomes()[0].id());
    assert_eq!(memory.applied("a"), 2);
}

#[test]
fn outcomes_add_up_to_the_calls_when_everything_goes_wrong_at_once() {
    let steps = [
        Step::Panic,
        Step::LoseAnswer,
        Step::Unsent,
        Step::Fail(ErrorKind::Server),
        Step::Expire,
        Step::Delay(Duration::from_millis(1)),
        Step::Answer,
    ];
    let memory = Memory::new()
        .seats(3)
        .script(steps.into_iter().cycle().take(300))
        .logout_script([Step::Panic, Step::Fail(ErrorKind::Server)]);
    let token = CancelToken::new();
    let keys: Vec<String> = (0..400).map(|n| format!("key{n}")).collect();
    let report = BatchCall::new(&memory)
        .max_concurrent(6)
        .timeout(Duration::from_secs(20))
        .cancel_token(&token)
        .calls(&keys, |session, key| session.put(key.as_str(), 1))
        .execute_with_progress(|progress| {
            if progress.completed > 350 {
                token.cancel();
            }
        })
        .unwrap();
    let stats = report.stats();
    assert_eq!(stats.total_calls, 400);
    assert_eq!(
        stats.successful_calls + stats.failed_calls + stats.in_doubt_calls + stats.not_run_calls,
        stats.total_calls
    );
    for (outcome, key) in report.outcomes().iter().zip(&keys) {
        let applied = memory.applied(key);
        match outcome.status() {
            Status::Succeeded => assert_eq!(applied, 1, "{key}"),
            Status::InDoubt => assert!(applied <= 1, "{key}"),
            _ => assert_eq!(applied, 0, "{key}"),
        }
    }
}

#[test]
fn what_a_call_panics_with_may_panic_again() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("and again");
        }
    }
    let memory = Memory::new();
    let report = BatchCall::new(&memory)
        .calls(0..6, |session, n| {
            if *n == 2 {
                std::panic::panic_any(Bomb);
            }
            session.echo(*n)
        })
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, memory.open_sessions()), (1, 0));
}

#[test]
fn an_empty_batch_may_be_executed_again_and_a_thousand_thousand_workers_are_refused() {
    let memory = Memory::new();
    let empty = BatchCall::<_, ()>::new(&memory);
    assert!(empty.execute().is_ok() && empty.execute().is_ok());
    let crowd = BatchCall::new(&memory).max_concurrent(1_000_000).calls([1], |s, n| s.echo(*n));
    assert_eq!(crowd.execute().unwrap_err().kind(), ErrorKind::Invalid);
}
