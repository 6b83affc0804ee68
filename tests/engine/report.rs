//! What a person and a program read off a report.

use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, BatchError, Error, ErrorKind, Report, Status};
use proptest::prelude::*;

fn report(steps: Vec<Step>, calls: i32) -> Report<i32> {
    let memory = Memory::new().script(steps);
    BatchCall::new(&memory).max_concurrent(1).calls(0..calls, |s, n| s.echo(*n)).execute().unwrap()
}

#[test]
fn the_summary_groups_failures_by_cause_and_names_the_first() {
    let mut steps = vec![Step::Fail(ErrorKind::Rejected); 5];
    steps.push(Step::Fail(ErrorKind::NotFound));
    let text = report(steps, 10).to_string();
    assert!(
        text.starts_with("10 calls: 4 succeeded, 6 failed, 0 in doubt, 0 not run (40.0 % succeeded)"),
        "{text}"
    );
    assert!(text.contains("5 x failed, rejected"), "{text}");
    assert!(text.contains("call 2: rejected"), "{text}");
    assert!(!text.contains("call 3: rejected") && text.contains("and 2 more"), "{text}");
    assert!(text.contains("1 x failed, not found"), "{text}");
    for word in ["median", "95 %", "99 %", "longest", "queue", "logins", "rate limits", "between retries"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn errors_come_as_values_or_as_the_first_one() {
    let steps = vec![Step::Answer, Step::Fail(ErrorKind::NotFound)];
    let results = report(steps.clone(), 3).into_results();
    assert_eq!(results[0].as_ref().unwrap(), &0);
    assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);

    let error: BatchError<i32> = report(steps.clone(), 3).into_all().unwrap_err();
    assert_eq!(error.to_string(), "1 of 3 calls did not succeed; the first is call 1");
    assert_eq!(error.report().stats().successful_calls, 2);
    assert_eq!(Error::from(error).kind(), ErrorKind::NotFound);
}

#[test]
fn an_array_of_the_wrong_length_is_refused_and_gives_the_report_back() {
    let error = report(Vec::new(), 3).into_array::<2>().unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Invalid);
    assert_eq!(error.into_report().outcomes().len(), 3);
    assert_eq!(report(Vec::new(), 3).into_array::<3>().unwrap(), [0, 1, 2]);
}

#[test]
fn call_time_login_time_and_queue_time_are_told_apart() {
    let memory = Memory::new().login_delay(Duration::from_millis(80)).delay(Duration::from_millis(2));
    let report = BatchCall::new(&memory).max_concurrent(1).calls(0..5, |s, n| s.echo(*n)).execute().unwrap();
    let stats = report.stats();
    assert!(stats.login_time >= Duration::from_millis(80));
    assert!(stats.min_call_time >= Duration::from_millis(2));
    assert!(report.outcomes()[0].queued() >= Duration::from_millis(80));
    assert!(report.outcomes().iter().map(batchcall::Outcome::elapsed).sum::<Duration>() <= stats.total_time);
    assert!(stats.total_time >= stats.login_time);
    assert_eq!((stats.logins, stats.concurrency_level), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn merging_a_retry_loses_nothing(first in prop::collection::vec(0..5_u8, 1..30), again in prop::collection::vec(0..5_u8, 0..30)) {
        let step = |n: &u8| match n {
            0 => Step::Answer,
            1 => Step::Fail(ErrorKind::Rejected),
            2 => Step::LoseAnswer,
            3 => Step::Unsent,
            _ => Step::Panic,
        };
        let memory = Memory::new().script(first.iter().chain(&again).map(step));
        let keys: Vec<String> = (0..first.len()).map(|n| n.to_string()).collect();
        let batch = BatchCall::new(&memory).max_concurrent(1).calls(&keys, |s, key| s.put(key.as_str(), 1));
        let one = batch.execute().unwrap();
        let before: Vec<_> = one.outcomes().iter().map(|o| (o.id(), o.status())).collect();
        let two = batch.retry_failed_calls(&one).execute().unwrap();
        let report = one.merge(two);
        prop_assert_eq!(report.outcomes().len(), first.len());
        for ((outcome, (id, status)), key) in report.outcomes().iter().zip(before).zip(&keys) {
            prop_assert_eq!(outcome.id(), id);
            prop_assert!(memory.applied(key) <= 1, "{} was applied {} times", key, memory.applied(key));
            if matches!(status, Status::Succeeded | Status::InDoubt) {
                prop_assert_eq!(outcome.status(), status);
                prop_assert_eq!(outcome.attempts(), 1);
            } else {
                prop_assert_eq!(outcome.attempts(), 2);
            }
        }
        let stats = report.stats();
        prop_assert_eq!(
            stats.successful_calls + stats.failed_calls + stats.in_doubt_calls + stats.not_run_calls,
            stats.total_calls
        );
    }
}
