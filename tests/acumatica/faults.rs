//! Requests under faults: how often each was sent, what it did, and what the report says. `F` and `I`
//! numbers are those of the fault matrix and of its invariants.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batchcall::acumatica::{Session, Write};
use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter, Sandbox};
use batchcall::{Acumatica, BatchCall, ErrorKind, Outcome, Result, Status};
use serde_json::json;

use crate::{GRACE, assert_all_logged_out, assert_complete, builder, client, data, hasty, start};

/// Short enough for a test that a server that hangs is given up soon.
const PATIENT: Duration = Duration::from_secs(1);

fn given_up_soon(sandbox: &Sandbox) -> Acumatica {
    builder(sandbox).request_timeout(PATIENT).build().unwrap()
}

fn put(session: &mut Session, id: &str, write: Write) -> Result<()> {
    session.write_entity("Customer", json!({"CustomerID": id, "CustomerName": "New"}), write).map(|_| ())
}

/// One call in a batch of its own, and what became of it.
fn run(client: &Acumatica, call: impl Fn(&mut Session) -> Result<()> + Send + Sync) -> Outcome<()> {
    BatchCall::new(client).call(call).execute().unwrap().into_outcomes().remove(0)
}

fn applied(sandbox: &Sandbox, key: &str) -> usize {
    sandbox.history().effects_of("Customer", key).count()
}

fn sent(sandbox: &Sandbox) -> usize {
    sandbox.history().data_requests()
}

#[test]
fn a_read_goes_again_whatever_became_of_its_answer() {
    // F3, F4, F6, F7, F12, F14.
    let faults = [
        Fault::ResetBefore,
        Fault::ResetDuring,
        Fault::ResetAfter,
        Fault::CloseBefore,
        Fault::Truncate,
        Fault::WrongLength(10),
        Fault::BadGateway,
        Fault::GatewayTimeout,
        Fault::Unavailable(RetryAfter::None),
        Fault::Unavailable(RetryAfter::Seconds(0)),
        Fault::TooManyRequests(RetryAfter::None),
        Fault::TooManyRequests(RetryAfter::Garbage),
        Fault::ExpireSession,
        Fault::Hang,
        Fault::HangAfter,
        Fault::Trickle(Duration::from_millis(50)),
    ];
    for fault in faults {
        let sandbox = start(Sandbox::acumatica().faults(Faults::none().at(1, fault)));
        let client = given_up_soon(&sandbox);
        let outcome = run(&client, |s| s.get_by_id("Customer", "CUST001").map(|_| ()));
        assert!(outcome.is_success(), "{fault:?}: {}", outcome.error().unwrap());
        assert_eq!(sent(&sandbox), 2, "{fault:?}");
        drop(client);
        assert_all_logged_out(&sandbox);
    }
}

#[test]
fn a_read_goes_again_wherever_its_answer_was_cut() {
    // F3: the cut swept over head and body.
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    for cut in (0..400).step_by(23) {
        sandbox.set_faults(Faults::none().at(1, Fault::ResetAt(cut)));
        let outcome = run(&client, |s| s.get_by_id("Customer", "CUST001").map(|_| ()));
        assert!(outcome.is_success(), "cut after {cut} bytes: {}", outcome.error().unwrap());
    }
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_plain_write_is_sent_once_unless_it_is_known_not_to_have_been_taken() {
    // I2, I3; F3, F4, F6, F7, F10, F12, F13, F14. The status, how often it was sent, and applied.
    let rows = [
        (Fault::ResetBefore, Status::InDoubt, 1, 0),
        (Fault::ResetDuring, Status::InDoubt, 1, 0),
        (Fault::ResetAfter, Status::InDoubt, 1, 1),
        (Fault::CloseBefore, Status::InDoubt, 1, 0),
        (Fault::ResetAt(0), Status::InDoubt, 1, 1),
        (Fault::ResetAt(40), Status::InDoubt, 1, 1),
        (Fault::Truncate, Status::InDoubt, 1, 1),
        (Fault::Garbage, Status::InDoubt, 1, 1),
        (Fault::WrongLength(10), Status::InDoubt, 1, 1),
        (Fault::WrongLength(-10), Status::InDoubt, 1, 1),
        (Fault::Trickle(Duration::from_millis(50)), Status::InDoubt, 1, 1),
        (Fault::Hang, Status::InDoubt, 1, 0),
        (Fault::HangAfter, Status::InDoubt, 1, 1),
        (Fault::BadGateway, Status::InDoubt, 1, 0),
        (Fault::GatewayTimeout, Status::InDoubt, 1, 1),
        (Fault::Unavailable(RetryAfter::None), Status::InDoubt, 1, 0),
        (Fault::Unavailable(RetryAfter::Seconds(0)), Status::Succeeded, 2, 1),
        (Fault::TooManyRequests(RetryAfter::None), Status::Succeeded, 2, 1),
        (Fault::TooManyRequests(RetryAfter::Date(0)), Status::Succeeded, 2, 1),
        (Fault::TooManyRequests(RetryAfter::Garbage), Status::Succeeded, 2, 1),
        (Fault::Html(500), Status::Failed, 1, 0),
        (Fault::Html(403), Status::Failed, 1, 0),
        (Fault::ExpireSession, Status::Succeeded, 2, 1),
        (Fault::ExpireAllSessions, Status::Succeeded, 2, 1),
        (Fault::Latency(Duration::from_millis(30)), Status::Succeeded, 1, 1),
    ];
    for (fault, status, requests, effects) in rows {
        let sandbox = start(Sandbox::acumatica().faults(Faults::none().at(1, fault)));
        let client = given_up_soon(&sandbox);
        let outcome = run(&client, |s| put(s, "NEW", Write::upsert()));
        assert_eq!(outcome.status(), status, "{fault:?}: {:?}", outcome.error());
        assert_eq!((sent(&sandbox), applied(&sandbox, "NEW")), (requests, effects), "{fault:?}");
        drop(client);
        assert_all_logged_out(&sandbox);
    }
}

#[test]
fn a_keyed_write_goes_again_until_it_is_known_to_be_there() {
    let faults = [
        Fault::ResetBefore,
        Fault::ResetDuring,
        Fault::ResetAfter,
        Fault::CloseBefore,
        Fault::ResetAt(40),
        Fault::Truncate,
        Fault::WrongLength(10),
        Fault::Hang,
        Fault::HangAfter,
        Fault::BadGateway,
        Fault::GatewayTimeout,
        Fault::Unavailable(RetryAfter::None),
    ];
    for fault in faults {
        let sandbox = start(Sandbox::acumatica().faults(Faults::none().at(1, fault)));
        let client = given_up_soon(&sandbox);
        let outcome = run(&client, |s| put(s, "NEW", Write::upsert().keyed(true)));
        assert!(outcome.is_success(), "{fault:?}: {}", outcome.error().unwrap());
        assert_eq!(sent(&sandbox), 2, "{fault:?}");
        assert!((1..=2).contains(&applied(&sandbox, "NEW")), "{fault:?}");
    }
}

#[test]
fn what_the_server_refused_is_asked_once() {
    // F13.
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..50, |session, n| match n % 4 {
            0 => session.get_by_id("Customer", "NOPE").map(|_| ()),
            1 => session.put_entity("Warehouse", json!({"WarehouseID": "W", "Altitude": -1})).map(|_| ()),
            2 => session.create_entity("Customer", json!({"CustomerID": "CUST001"})).map(|_| ()),
            _ => session.put_entity("NoEntity", json!({})).map(|_| ()),
        })
        .execute()
        .unwrap();
    assert_eq!((report.stats().failed_calls, sent(&sandbox)), (50, 50));
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn a_delete_whose_answer_was_lost_is_done_when_the_record_is_gone() {
    for faults in [
        Faults::none().at(1, Fault::ResetAfter),
        // The session ends before it can go again.
        Faults::none().at(1, Fault::ResetAfter).at(2, Fault::ExpireSession),
        Faults::none().at(1, Fault::HangAfter),
        Faults::none().at(1, Fault::GatewayTimeout),
    ] {
        let sandbox = start(Sandbox::acumatica().faults(faults.clone()));
        let client = given_up_soon(&sandbox);
        let outcome = run(&client, |s| s.delete_by_id("Customer", "CUST009"));
        assert!(outcome.is_success(), "{faults}: {}", outcome.error().unwrap());
        assert_eq!(applied(&sandbox, "CUST009"), 1, "{faults}");
    }
}

#[test]
fn a_delete_that_was_not_taken_and_finds_nothing_has_failed() {
    let faults = Faults::none().at(1, Fault::TooManyRequests(RetryAfter::None)).at(2, Fault::ExpireSession);
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let outcome = run(&client(&sandbox), |s| s.delete_by_id("Customer", "NOPE"));
    assert_eq!(outcome.error().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(outcome.status(), Status::Failed);
}

#[test]
fn a_conflict_after_a_lost_answer_may_be_with_ones_own_record() {
    for faults in [
        Faults::none().at(1, Fault::ResetAfter),
        Faults::none().at(1, Fault::ResetAfter).at(2, Fault::ExpireSession),
    ] {
        let sandbox = start(Sandbox::acumatica().faults(faults.clone()));
        let outcome = run(&client(&sandbox), |s| put(s, "NEW", Write::create_only().keyed(true)));
        assert_eq!(outcome.status(), Status::InDoubt, "{faults}");
        assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Conflict, "{faults}");
        assert_eq!(applied(&sandbox, "NEW"), 1, "{faults}");
    }
    // Nothing was lost: the record was there before.
    for write in [Write::create_only().keyed(true), Write::create_only()] {
        let faults = Faults::none().at(1, Fault::TooManyRequests(RetryAfter::None));
        let sandbox = start(Sandbox::acumatica().faults(faults));
        let outcome = run(&client(&sandbox), |s| put(s, "CUST001", write.clone()));
        assert_eq!((outcome.status(), outcome.error().unwrap().attempts()), (Status::Failed, 2));
        assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Conflict);
    }
    let sandbox = start(Sandbox::acumatica().faults(Faults::none().at(1, Fault::ResetAfter)));
    let outcome = run(&client(&sandbox), |s| put(s, "NEW", Write::create_only()));
    assert_eq!((outcome.status(), sent(&sandbox)), (Status::InDoubt, 1), "not keyed: sent once");
}

#[test]
fn a_session_whose_request_got_no_answer_is_not_used_again() {
    let sandbox = start(Sandbox::acumatica().faults(Faults::none().at(1, Fault::HangAfter)));
    let client = given_up_soon(&sandbox);
    let report = BatchCall::new(&client)
        .max_concurrent(1)
        .calls(["A", "B"], |s, id| put(s, id, Write::upsert()))
        .execute()
        .unwrap();
    let statuses: Vec<_> = report.outcomes().iter().map(Outcome::status).collect();
    assert_eq!(statuses, [Status::InDoubt, Status::Succeeded]);
    let history = sandbox.history();
    let sessions: Vec<_> = data(&history).map(|request| request.session.unwrap()).collect();
    assert_eq!(sessions, [1, 2]);
    assert_eq!((history.logouts(), report.stats().logins, history.max_open_sessions()), (1, 2, 1));
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn the_answer_of_an_earlier_request_is_never_taken_for_that_of_the_next() {
    // F9: a second copy of an answer, or the rest of a long one, stays on the connection.
    for fault in [Fault::Twice, Fault::WrongLength(-7), Fault::CloseAfter] {
        let sandbox = start(Sandbox::acumatica().faults(Faults::none().every(3, fault)));
        let client = client(&sandbox);
        let report = BatchCall::new(&client)
            .max_concurrent(2)
            .calls(1..=40, |s, n| {
                let id = format!("CUST{n:03}");
                let found = s.get_by_id("Customer", &id)?;
                assert_eq!(found.get_str("CustomerID"), Some(id.as_str()), "{fault:?}");
                put(s, &format!("N{n}"), Write::upsert())
            })
            .execute()
            .unwrap();
        for outcome in report.outcomes() {
            let count = applied(&sandbox, &format!("N{}", outcome.index() + 1));
            match (outcome.status(), outcome.error().map(batchcall::Error::kind)) {
                (Status::Succeeded, _) => assert_eq!(count, 1, "{fault:?}"),
                (Status::InDoubt, _) => assert!(count <= 1, "{fault:?}"),
                // A read whose answer is cut to a length that is wrong.
                (Status::Failed, Some(ErrorKind::Protocol)) => assert_eq!(count, 0, "{fault:?}"),
                _ => panic!("{fault:?}, {}: {:?}", outcome.index(), outcome.error()),
            }
        }
    }
}

#[test]
fn an_answer_beyond_all_measure_is_not_read() {
    let sandbox = start(Sandbox::acumatica().faults(Faults::none().every(1, Fault::Huge(4 << 20))));
    let client = builder(&sandbox).max_body_bytes(1 << 20).build().unwrap();
    let outcome = run(&client, |s| s.get_by_id("Customer", "CUST001").map(|_| ()));
    assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Protocol);
    assert_eq!(outcome.status(), Status::Failed);
    let outcome = run(&client, |s| put(s, "NEW", Write::upsert()));
    assert_eq!((outcome.status(), applied(&sandbox, "NEW")), (Status::InDoubt, 1));
}

#[test]
fn a_server_that_hangs_is_left_at_the_deadline() {
    // F6: nothing of the batch outlives it.
    let sandbox = start(Sandbox::acumatica().faults(Faults::none().rate(0.3, Fault::Hang)));
    let client = client(&sandbox);
    let timeout = Duration::from_millis(400);
    let began = Instant::now();
    let report = BatchCall::new(&client)
        .max_concurrent(5)
        .timeout(timeout)
        .calls(0..2000, |s, n| put(s, &format!("N{n}"), Write::upsert()))
        .execute()
        .unwrap();
    assert!(began.elapsed() <= timeout + GRACE, "returned after {:?}", began.elapsed());
    let stats = report.stats();
    assert_eq!((stats.in_doubt_calls, stats.failed_calls), (5, 0));
    assert_eq!(sandbox.history().effects().count(), stats.successful_calls);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn nobody_asks_inside_the_time_that_the_server_named() {
    // F10, I6.
    for (after, least) in [
        (RetryAfter::Seconds(1), 1000),
        // A date has no parts of a second.
        (RetryAfter::Date(2), 950),
        (RetryAfter::Seconds(0), 0),
        (RetryAfter::Garbage, 0),
    ] {
        let faults = Faults::none().at(5, Fault::TooManyRequests(after));
        let sandbox = start(Sandbox::acumatica().faults(faults));
        let client = client(&sandbox);
        let report = BatchCall::new(&client)
            .max_concurrent(1)
            .calls(0..8, |s, _| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        assert_complete(&report);
        let arrived: Vec<_> = data(&sandbox.history()).map(|request| request.arrived).collect();
        assert!(arrived[5] - arrived[4] >= Duration::from_millis(least), "{after:?}: {arrived:?}");
    }
}

#[test]
fn a_time_beyond_all_patience_ends_the_call() {
    let faults = Faults::none().at(1, Fault::TooManyRequests(RetryAfter::Seconds(1_000_000_000)));
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let outcome = run(&client(&sandbox), |s| put(s, "NEW", Write::upsert()));
    assert_eq!((outcome.status(), sent(&sandbox)), (Status::Failed, 1));
    assert_eq!(outcome.error().unwrap().kind(), ErrorKind::RateLimited);
}

#[test]
fn refusals_without_a_time_are_waited_out() {
    // F11.
    let faults = Faults::none().rate(0.3, Fault::TooManyRequests(RetryAfter::None));
    let sandbox = start(Sandbox::acumatica().faults(faults).seed(3));
    let client = builder(&sandbox).retry(hasty().attempts(20)).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(5)
        .calls(0..40, |s, n| put(s, &format!("N{n}"), Write::upsert()))
        .execute()
        .unwrap();
    assert_complete(&report);
    let history = sandbox.history();
    assert!(history.answered(429) > 0);
    assert_eq!(history.effects().count(), 40);
}

#[test]
fn an_outage_that_comes_and_goes_fails_no_read_and_doubles_no_write() {
    // F12.
    let faults = Faults::none().burst(40, 8, Fault::Unavailable(RetryAfter::None));
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let client = builder(&sandbox).retry(hasty().attempts(20)).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..80, |s, n| match n % 2 {
            0 => s.get_by_id("Customer", "CUST001").map(|_| ()),
            _ => put(s, &format!("N{n}"), Write::upsert()),
        })
        .execute()
        .unwrap();
    for outcome in report.outcomes() {
        let count = applied(&sandbox, &format!("N{}", outcome.index()));
        match (outcome.index() % 2, outcome.status()) {
            (0, Status::Succeeded) => {}
            (1, Status::Succeeded) => assert_eq!(count, 1),
            (1, Status::InDoubt) => assert_eq!(count, 0, "503 is not applied, though nobody knows"),
            (_, status) => panic!("{}: {status} {:?}", outcome.index(), outcome.error()),
        }
    }
}

#[test]
fn a_server_that_is_restarted_is_waited_for() {
    // F17: all connections and sessions are lost in the middle.
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(1)));
    let client = client(&sandbox);
    let done = AtomicUsize::new(0);
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..200, |s, n| {
            if done.fetch_add(1, Ordering::SeqCst) == 80 {
                sandbox.pause();
                std::thread::scope(|scope| {
                    // It comes back while this very call and the others knock.
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_millis(300));
                        sandbox.resume().unwrap();
                    });
                    put(s, &format!("N{n}"), Write::upsert().keyed(true))
                })
            } else if n % 2 == 0 {
                put(s, &format!("N{n}"), Write::upsert().keyed(true))
            } else {
                put(s, &format!("N{n}"), Write::upsert())
            }
        })
        .execute()
        .unwrap();
    for outcome in report.outcomes() {
        let count = applied(&sandbox, &format!("N{}", outcome.index()));
        match outcome.status() {
            Status::Succeeded => assert!(count >= 1),
            // The plain writes under way when it went down.
            Status::InDoubt => assert!(outcome.index() % 2 == 1 && count <= 1),
            status => panic!("{}: {status} {:?}", outcome.index(), outcome.error()),
        }
    }
    assert!(report.stats().in_doubt_calls <= 3);
    drop(client);
    assert_all_logged_out(&sandbox);
}

/// A little of everything that can happen to a request.
fn everything(seed: u64) -> Faults {
    let faults = Faults::none()
        .reset_before(0.02)
        .reset_during(0.02)
        .reset_after(0.02)
        .truncate(0.02)
        .rate(0.02, Fault::CloseBefore)
        .rate(0.01, Fault::ResetAt(60))
        .rate(0.01, Fault::Garbage)
        .rate(0.01, Fault::WrongLength(7))
        .rate(0.02, Fault::BadGateway)
        .rate(0.02, Fault::GatewayTimeout)
        .rate(0.02, Fault::Unavailable(RetryAfter::None))
        .rate(0.02, Fault::Html(500))
        .rate(0.02, Fault::ExpireSession)
        .rate(0.004, Fault::ExpireAllSessions)
        .rate(0.02, Fault::Latency(Duration::from_millis(5)))
        .rate(0.002, Fault::Trickle(Duration::from_millis(5)))
        .rate_on(Calls::Login, 0.03, Fault::ResetBefore)
        .rate_on(Calls::Login, 0.02, Fault::Unavailable(RetryAfter::None))
        .rate_on(Calls::Logout, 0.05, Fault::Html(500))
        .rate_on(Calls::Logout, 0.03, Fault::ResetAfter);
    // A request that hangs takes a time-out; a 429 costs a second in which requests go one by one.
    let faults =
        if hangs(seed) { faults.rate(0.004, Fault::Hang).rate(0.004, Fault::HangAfter) } else { faults };
    if seed.is_multiple_of(8) { faults.too_many_requests(0.01, RetryAfter::None) } else { faults }
}

fn hangs(seed: u64) -> bool {
    seed.is_multiple_of(3)
}

/// 300 writes under a little of everything: the report and the history tell the same story.
fn seeded(seed: u64) {
    const CALLS: usize = 300;
    const SESSIONS: usize = 4;
    let sandbox = start(Sandbox::acumatica().faults(everything(seed)).seed(seed).customers(CALLS));
    let client = builder(&sandbox).request_timeout(PATIENT).max_sessions(SESSIONS).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(SESSIONS)
        .calls(0..CALLS, |session, n| match n % 5 {
            0 => session.delete_by_id("Customer", format!("CUST{:03}", n + 1)),
            1 | 2 => put(session, &format!("K{n}"), Write::upsert().keyed(true)),
            _ => put(session, &format!("P{n}"), Write::upsert()),
        })
        .execute()
        .unwrap();
    // I1.
    let stats = report.stats();
    let sum = stats.successful_calls + stats.failed_calls + stats.in_doubt_calls + stats.not_run_calls;
    assert_eq!((report.outcomes().len(), stats.total_calls, sum), (CALLS, CALLS, CALLS), "seed {seed}");
    assert!(report.outcomes().iter().enumerate().all(|(n, outcome)| outcome.index() == n));
    // I2, I3.
    let history = sandbox.history();
    let mut effects: HashMap<&str, usize> = HashMap::new();
    for effect in history.effects() {
        *effects.entry(&effect.key).or_default() += 1;
    }
    for outcome in report.outcomes() {
        let n = outcome.index();
        let key = match n % 5 {
            0 => format!("CUST{:03}", n + 1),
            1 | 2 => format!("K{n}"),
            _ => format!("P{n}"),
        };
        let count = effects.get(key.as_str()).copied().unwrap_or(0);
        let is_right = match (outcome.status(), n % 5) {
            (Status::Succeeded, 1 | 2) => count >= 1,
            (Status::Succeeded, _) => count == 1,
            (Status::InDoubt, 3 | 4) => count <= 1,
            (Status::InDoubt, _) => false,
            // A keyed write may have been applied before what it failed of.
            (Status::Failed, 0..=2) => true,
            (_, _) => count == 0,
        };
        assert!(
            is_right,
            "seed {seed}, call {n}: {} and applied {count}: {:?}",
            outcome.status(),
            outcome.error()
        );
    }
    // I5.
    assert!(history.max_open_sessions() <= SESSIONS, "seed {seed}: {history}");
    // What goes again after a time-out may find the server still busy with the first.
    assert!(history.max_in_flight_per_session() == 1 || hangs(seed), "seed {seed}");
    // I4.
    sandbox.clear_faults();
    client.close().unwrap();
    assert_eq!(client.open_sessions(), 0, "seed {seed}");
    assert_all_logged_out(&sandbox);
}

#[test]
fn under_a_little_of_everything_the_report_and_the_history_agree() {
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed > 60 {
                        break;
                    }
                    seeded(seed);
                }
            });
        }
    });
}
