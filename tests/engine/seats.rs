//! Rule 4: a refused seat is not a failed call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, Connect, Deadline, ErrorKind, RetryPolicy, Worker};

use crate::eventually;

/// easy_acumatica: four calls failed, and K never degraded.
#[test]
fn fewer_seats_than_workers_fail_no_call() {
    let memory = Memory::new().seats(3).delay(Duration::from_millis(1));
    let report =
        BatchCall::new(&memory).max_concurrent(10).calls(0..120, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 120);
    assert_eq!((memory.max_open_sessions(), memory.logins(), memory.logouts()), (3, 3, 3));
    // The logins under way double with those that succeeded: one, two, and then four at a full house.
    assert!((1..=4).contains(&memory.refused_logins()), "{} refused", memory.refused_logins());
    assert_eq!(report.stats().refused_seats, memory.refused_logins());
    assert!(report.to_string().contains("logins refused"), "{report}");
}

#[test]
fn a_batch_without_a_seat_waits_for_one() {
    let memory = Memory::new().seats(1);
    let somebody = memory.connect(&Worker::detached(Deadline::never())).unwrap();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| memory.refused_logins() > 0));
            memory.disconnect(somebody).unwrap();
        });
        // However few tries a login has: a taken seat is no failed try.
        BatchCall::new(&memory).retry(RetryPolicy::never()).calls(0..10, |s, n| s.echo(*n)).execute().unwrap()
    });
    assert_eq!(report.stats().successful_calls, 10);
}

#[test]
fn after_the_first_refusal_nobody_else_asks() {
    let memory = Memory::new().seats(3).delay(Duration::from_millis(1));
    let report = BatchCall::new(&memory).max_concurrent(5).calls(0..60, |s, n| s.echo(*n)).execute().unwrap();
    assert_eq!(report.stats().successful_calls, 60);
    // Two workers are left over; both may be under way when the first of them is refused.
    assert!((1..=2).contains(&memory.refused_logins()), "{} refused", memory.refused_logins());
}

#[test]
fn without_a_seat_until_the_deadline_calls_are_not_run() {
    let memory = Memory::new().seats(0);
    let report = BatchCall::new(&memory)
        .max_concurrent(4)
        .timeout(Duration::from_millis(50))
        .calls(0..10, |s, n| s.echo(*n))
        .execute()
        .unwrap();
    assert_eq!(report.stats().not_run_calls, 10);
    // One worker asks, with pauses that grow; four asking without would make hundreds.
    assert!((1..=3).contains(&memory.refused_logins()), "{} refused", memory.refused_logins());
}

#[test]
fn a_stream_goes_on_with_the_seats_there_are() {
    let memory = Memory::new().seats(2).delay(Duration::from_micros(200));
    let mut results = Vec::new();
    let stats = BatchCall::new(&memory)
        .max_concurrent(6)
        .stream(0..200, |s, &n| s.echo(n), |outcome| results.push(outcome.into_result().unwrap()))
        .unwrap();
    results.sort_unstable();
    assert_eq!(results, (0..200).collect::<Vec<_>>());
    assert_eq!((stats.successful_calls, memory.max_open_sessions(), memory.open_sessions()), (200, 2, 0));
}

#[test]
fn the_seat_of_a_session_that_broke_is_taken_again_at_once() {
    let memory = Memory::new().seats(1);
    let broken = AtomicBool::new(false);
    let report = BatchCall::new(&memory)
        .max_concurrent(2)
        .timeout(Duration::from_secs(20))
        .calls(0..8, |session, n| {
            // The other worker has been refused and asks again in half a minute.
            assert!(eventually(|| memory.refused_logins() == 1));
            assert!(broken.swap(true, Ordering::SeqCst), "the first call breaks its session");
            session.echo(*n)
        })
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, report.stats().successful_calls), (1, 7), "{report}");
}

#[test]
fn a_seat_that_is_lost_and_taken_by_somebody_else_is_waited_for() {
    // The session breaks in a panic, and its seat is gone when it is to be opened again.
    for workers in [1, 3] {
        let memory = Memory::new()
            .delay(Duration::from_millis(1))
            .script([Step::Answer, Step::Answer, Step::Answer, Step::Panic])
            .login_script((0..workers).map(|_| Step::Answer).chain([Step::Fail(ErrorKind::SeatLimit)]));
        let report = BatchCall::new(&memory)
            .max_concurrent(workers)
            .timeout(Duration::from_secs(20))
            .calls(0..30, |s, n| s.echo(*n))
            .execute()
            .unwrap();
        assert_eq!((report.stats().failed_calls, report.stats().successful_calls), (1, 29), "{report}");
        assert_eq!(report.failed_calls().next().unwrap().error().unwrap().kind(), ErrorKind::Panicked);
    }
}

#[test]
fn whoever_probes_for_a_seat_takes_the_place_of_the_last_session() {
    // The only session breaks, its seat is refused once, and the other worker would ask in half a minute.
    let memory = Memory::new().login_script([
        Step::Answer,
        Step::Fail(ErrorKind::SeatLimit),
        Step::Fail(ErrorKind::SeatLimit),
    ]);
    let broken = AtomicBool::new(false);
    let report = BatchCall::new(&memory)
        .max_concurrent(2)
        .timeout(Duration::from_secs(20))
        .calls(0..8, |session, n| {
            assert!(eventually(|| memory.refused_logins() >= 1));
            assert!(broken.swap(true, Ordering::SeqCst), "the first call breaks its session");
            session.echo(*n)
        })
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, report.stats().successful_calls), (1, 7), "{report}");
}

#[test]
fn a_time_beyond_the_clock_is_waited_for_and_harms_nothing() {
    struct Never;
    impl Connect for Never {
        type Session = ();
        fn connect(&self, _: &Worker) -> batchcall::Result<()> {
            Err(batchcall::Error::new(ErrorKind::SeatLimit, "never").with_retry_after(Duration::MAX))
        }
    }
    let batch = BatchCall::new(&Never).timeout(Duration::from_millis(50));
    let report = batch.calls(0..3, |(), n| Ok(*n)).execute().unwrap();
    assert_eq!(report.stats().not_run_calls, 3);
}
