//! Logins, seats, expiry and logouts.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batchcall::acumatica::{OAuth, Query};
use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter, Sandbox, SeatRefusal};
use batchcall::{Acumatica, BatchCall, CancelToken, Connect, Deadline, Error, ErrorKind, Status, Worker};
use serde_json::json;

use crate::scripted::{Scripted, empty, json};
use crate::{
    GRACE, LONG, asked, assert_all_logged_out, assert_complete, builder, client, data, eventually, hasty,
    start,
};

const SHAPES: [SeatRefusal; 4] = [
    SeatRefusal::TooManyRequests,
    SeatRefusal::LoginLimit,
    SeatRefusal::Redirect,
    SeatRefusal::UnauthorizedAfterLogin,
];

const CLIENT_ID: &str = "4751CD4D-6A0C-5B4E-9D0A-5E8F5D7D2F5E@Company";

/// Says that this process is the child of a test.
const CHILD: &str = "BATCHCALL_TEST_CHILD";

fn oauth_client(sandbox: &Sandbox, oauth: OAuth) -> Acumatica {
    Acumatica::builder(sandbox.url())
        .oauth(oauth)
        .tenant("Company")
        .endpoint("Default", "24.200.001")
        .retry(hasty())
        .build()
        .unwrap()
}

fn by_password() -> OAuth {
    OAuth::new(CLIENT_ID, "secret").password("admin", "admin")
}

/// An access token and a refresh token, as somebody else got them.
fn tokens(sandbox: &Sandbox) -> (String, String) {
    let body = format!(
        "client_id={}&client_secret=secret&grant_type=password&username=admin&password=admin\
         &scope=api%3Aconcurrent_access%20offline_access",
        CLIENT_ID.replace('@', "%40")
    );
    let mut answer = ureq::post(format!("{}/identity/connect/token", sandbox.url()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send(body.as_bytes())
        .unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

#[test]
fn a_wrong_password_is_told_by_its_kind_and_nothing_else_is_sent() {
    let sandbox = start(Sandbox::acumatica());
    let client = builder(&sandbox).login("admin", "wrong").build().unwrap();
    for _ in 0..2 {
        let report = BatchCall::new(&client)
            .max_concurrent(10)
            .calls(0..100, |s, _| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        for outcome in report.outcomes() {
            assert_eq!(outcome.status(), Status::NotRun);
            assert_eq!(outcome.error().unwrap().kind(), ErrorKind::Auth);
        }
        assert!(report.outcomes()[0].error().unwrap().message().contains("Invalid credentials"));
    }
    // By hand and in another batch too: whoever tries again helps to lock the account.
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(sandbox.history().requests(), 1);
}

#[test]
fn three_seats_serve_ten_workers_whichever_way_the_server_refuses() {
    for shape in SHAPES {
        let sandbox =
            start(Sandbox::acumatica().seats(3).seat_refusal(shape).latency(Duration::from_millis(1)));
        let client = client(&sandbox);
        let report = BatchCall::new(&client)
            .max_concurrent(10)
            .calls(0..150, |s, n| s.get_by_id("Customer", format!("CUST{:03}", n % 100 + 1)))
            .execute()
            .unwrap();
        assert_complete(&report);
        let history = sandbox.history();
        assert!(history.max_open_sessions() <= 3, "{shape:?}: {history}");
        assert_eq!(history.max_in_flight_per_session(), 1, "{shape:?}");
        client.close().unwrap();
        assert_eq!(client.open_sessions(), 0, "{shape:?}");
        assert_all_logged_out(&sandbox);
        let history = sandbox.history();
        assert_eq!(history.logins(), history.logouts(), "{shape:?}");
    }
}

#[test]
fn a_seat_that_is_wanting_is_told_in_the_servers_words() {
    for shape in SHAPES {
        let sandbox = start(Sandbox::acumatica().seats(0).seat_refusal(shape));
        let client = client(&sandbox);
        let error = match client.session() {
            Err(error) => error,
            Ok(mut session) => session.get_by_id("Customer", "CUST001").unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::SeatLimit, "{shape:?}: {error}");
        let words = match shape {
            SeatRefusal::LoginLimit => "API Login Limit",
            SeatRefusal::UnauthorizedAfterLogin => "You are not logged in",
            _ => "The number of concurrent API logins has exceeded the limit of the license.",
        };
        assert!(error.message().contains(words), "{shape:?}: {error}");
        assert_eq!(client.open_sessions(), 0, "{shape:?}");
    }
}

#[test]
fn the_seat_limit_is_found_in_a_stack_trace_too() {
    let server = Scripted::start(|asked| {
        if !asked.is_login() {
            return String::new();
        }
        let trace = "   at PX.Data.PXLicenseHelper.CheckApiUsersLimits(String company, String login)";
        json(
            500,
            json!({"message": "An error has occurred.", "exceptionMessage": "Error", "stackTrace": trace}),
        )
    });
    let client = Acumatica::builder(server.url()).login("admin", "admin").build().unwrap();
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::SeatLimit);
}

#[test]
fn a_worker_whose_session_is_unknown_waits_as_long_as_the_others_are_served() {
    // The one seat is taken by a worker of the same batch, for longer than the waits of a lonely one.
    let sandbox = start(
        Sandbox::acumatica()
            .seats(1)
            .seat_refusal(SeatRefusal::UnauthorizedAfterLogin)
            .latency(Duration::from_millis(5)),
    );
    let client = client(&sandbox);
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..200, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    assert_eq!(sandbox.history().max_open_sessions(), 1);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn an_unknown_session_waits_for_its_own_clients_limit_too() {
    let sandbox = start(Sandbox::acumatica().seats(2).seat_refusal(SeatRefusal::UnauthorizedAfterLogin));
    let client = builder(&sandbox).max_sessions(3).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(8)
        .calls(0..200, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    assert!(sandbox.history().max_open_sessions() <= 2);
}

#[test]
fn the_second_batch_costs_no_login() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(2)));
    let client = client(&sandbox);
    let run = || {
        let report = BatchCall::new(&client)
            .max_concurrent(4)
            .calls(0..40, |s, _| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        assert_complete(&report);
        report.stats().logins
    };
    let first = run();
    assert!((1..=4).contains(&first));
    let second = run();
    // The first batch may have ended before all four had come to log in.
    assert!(second <= 4 - first, "{first} and then {second}");
    assert_eq!(sandbox.history().logins(), first + second);
    assert_eq!(client.open_sessions(), first + second);
    client.close().unwrap();
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_dropped_client_has_logged_out() {
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let clone = client.clone();
    let session = client.session().unwrap();
    drop(client);
    assert_eq!(sandbox.open_sessions(), 1);
    drop(session);
    assert_eq!(sandbox.open_sessions(), 1, "the clone keeps it");
    drop(clone);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_panic_and_an_error_leave_no_session_behind() {
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .calls(0..30, |session, n| {
            session.get_by_id("Customer", "CUST001")?;
            assert!(n % 7 != 3, "a call that panics");
            if n % 5 == 0 { Err(Error::other("a call that fails")) } else { Ok(*n) }
        })
        .execute()
        .unwrap();
    assert_eq!(report.stats().total_calls, 30);
    assert!(report.stats().failed_calls >= 9);
    assert!(client.open_sessions() <= 3);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_deadline_in_the_middle_of_a_request_leaves_no_session_behind() {
    let faults = Faults::none().every(1, Fault::HangAfter);
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let client = client(&sandbox);
    let timeout = Duration::from_millis(250);
    let began = Instant::now();
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .timeout(timeout)
        .calls(0..9, |s, n| {
            s.put_entity("Customer", json!({"CustomerID": format!("N{n}"), "CustomerName": "N"}))
        })
        .execute()
        .unwrap();
    assert!(began.elapsed() <= timeout + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!((report.stats().in_doubt_calls, report.stats().not_run_calls), (3, 6));
    // The server may still be busy with them: such a session is not for the next batch.
    assert_eq!(client.open_sessions(), 0);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_session_replaced_in_the_middle_of_a_call_can_be_interrupted_as_well() {
    // By one that is opened, and by one that was idle.
    for idle in [0, 2] {
        let sandbox = start(Sandbox::acumatica());
        let client = client(&sandbox);
        drop((0..idle).map(|_| client.session().unwrap()).collect::<Vec<_>>());
        // The first answer is lost, so the session is replaced; the second request hangs for good.
        sandbox.set_faults(Faults::none().at(1, Fault::ResetAfter).at(2, Fault::Hang));
        let token = CancelToken::new();
        let began = Instant::now();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(eventually(|| sandbox.history().data_requests() == 2));
                token.cancel_now();
            });
            BatchCall::new(&client)
                .max_concurrent(1)
                .cancel_token(&token)
                .call(|s| {
                    let lost = s.put_entity("Customer", json!({"CustomerID": "N", "CustomerName": "N"}));
                    assert!(lost.unwrap_err().is_in_doubt());
                    s.get_by_id("Customer", "CUST001")
                })
                .execute()
                .unwrap()
        });
        assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Interrupted, "{idle} idle");
        assert!(began.elapsed() < Duration::from_secs(20), "it waited for the request's own time-out");
        drop(client);
        assert_all_logged_out(&sandbox);
    }
}

#[test]
fn an_inquiry_through_a_session_can_be_interrupted_as_well() {
    let sandbox = start(Sandbox::acumatica().faults(Faults::none().every(1, Fault::Hang)));
    let client = client(&sandbox);
    let token = CancelToken::new();
    let began = Instant::now();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(|| sandbox.history().data_requests() == 1));
            token.cancel_now();
        });
        BatchCall::new(&client)
            .cancel_token(&token)
            .call(|s| s.inquiry("Customer-List", Query::new()))
            .execute()
            .unwrap()
    });
    assert_eq!(report.outcomes()[0].error().unwrap().kind(), ErrorKind::Interrupted);
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the request's own time-out");
}

#[test]
fn a_session_that_expires_signs_in_again_and_writes_once() {
    let sandbox = start(Sandbox::acumatica().expire_after(7));
    let client = client(&sandbox);
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .calls(0..60, |s, n| {
            s.put_entity("Customer", json!({"CustomerID": format!("NEW{n}"), "CustomerName": "New"}))
        })
        .execute()
        .unwrap();
    assert_complete(&report);
    assert!(report.outcomes().iter().all(|outcome| outcome.attempts() == 1));
    drop(client);
    let history = sandbox.history();
    assert_eq!(history.effects().count(), 60, "each write was applied once");
    assert_eq!(history.logins(), report.stats().logins);
    // One login for each session that expired, besides the first ones.
    assert!(history.logins() <= 3 + history.expired(), "{history}");
    assert_eq!(history.answered(401), history.expired());
    assert_all_logged_out(&sandbox);
}

#[test]
fn sessions_that_expire_all_at_once_sign_in_again_once_each() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(1)));
    let client = client(&sandbox);
    let done = AtomicUsize::new(0);
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..80, |s, n| {
            if done.fetch_add(1, Ordering::SeqCst) == 40 {
                sandbox.expire_sessions();
            }
            s.put_entity("Customer", json!({"CustomerID": format!("NEW{n}"), "CustomerName": "New"}))
        })
        .execute()
        .unwrap();
    assert_complete(&report);
    drop(client);
    let history = sandbox.history();
    assert_eq!(history.effects().count(), 80);
    assert!(history.logins() <= 4 + history.expired(), "{history}");
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_password_that_is_refused_in_the_middle_is_tried_once() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(3)));
    let client = client(&sandbox);
    let done = AtomicUsize::new(0);
    let report = BatchCall::new(&client)
        .max_concurrent(6)
        .calls(0..200, |s, _| {
            if done.fetch_add(1, Ordering::SeqCst) == 60 {
                sandbox.set_faults(Faults::none().rate_on(Calls::Login, 1.0, Fault::Html(401)));
                sandbox.expire_sessions();
            }
            s.get_by_id("Customer", "CUST001")
        })
        .execute()
        .unwrap();
    let history = sandbox.history();
    let refused =
        history.request_events().filter(|r| r.target.ends_with("/auth/login") && r.status == Some(401));
    assert_eq!(refused.count(), 1, "{history}");
    let stats = report.stats();
    assert!(stats.not_run_calls > 100 && stats.failed_calls <= 6, "{stats:?}");
    assert!(report.failed_calls().all(|outcome| outcome.error().unwrap().kind() == ErrorKind::Auth));
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::Auth, "nobody tries again");
}

#[test]
fn sessions_that_end_at_the_same_moment_try_a_changed_password_once() {
    const SESSIONS: usize = 6;
    let logins = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| {
        if asked.is_login() {
            let n = logins.fetch_add(1, Ordering::SeqCst);
            if n < SESSIONS {
                return empty(204, &[&format!("Set-Cookie: ASP.NET_SessionId=s{n}; path=/")]);
            }
            // Slow, so that the others come while it is being refused.
            std::thread::sleep(Duration::from_millis(100));
            return json(500, r#"{"exceptionMessage": "Error: Invalid credentials. Please try again."}"#);
        }
        match asked.line.ends_with("LATER") {
            true => json(401, "{}"),
            false if asked.is_logout() => String::new(),
            false => json(200, "{}"),
        }
    });
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .build()
        .unwrap();
    let sessions: Vec<_> = (0..SESSIONS).map(|_| client.session().unwrap()).collect();
    std::thread::scope(|scope| {
        for mut session in sessions {
            scope.spawn(move || {
                session.get_by_id("Customer", "SOON").unwrap();
                let error = session.get_by_id("Customer", "LATER").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            });
        }
    });
    assert_eq!(server.logins(), SESSIONS + 1);
}

#[test]
fn a_401_straight_after_a_good_login_ends() {
    let server = Scripted::start(|asked| {
        if asked.is_login() || asked.is_logout() { String::new() } else { json(401, r#"{"message": "no"}"#) }
    });
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .retry(hasty())
        .build()
        .unwrap();
    let mut session = client.session().unwrap();
    let error = session.get_by_id("Customer", "CUST001").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SeatLimit | ErrorKind::Auth), "{error}");
    let logins = server.logins();
    assert!(logins <= 10, "{logins} logins for one request");
    // And it is not tried all over again for each further call.
    let _ = session.get_by_id("Customer", "CUST001").unwrap_err();
    assert!(server.logins() <= logins + 2, "{} logins for two requests", server.logins());
}

#[test]
fn a_401_after_signing_in_again_fails_the_call_and_not_the_session() {
    // One record answers 401 whoever asks; the others are fine.
    let server = Scripted::start(|asked| {
        if asked.is_login() || asked.is_logout() {
            String::new()
        } else if asked.line.ends_with("BAD") {
            json(401, r#"{"message": "not for you"}"#)
        } else {
            json(200, "{}")
        }
    });
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .retry(hasty())
        .build()
        .unwrap();
    let mut session = client.session().unwrap();
    session.get_by_id("Customer", "GOOD").unwrap();
    let error = session.get_by_id("Customer", "BAD").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("not for you"), "{error}");
    assert_eq!((server.logins(), server.data_requests()), (2, 3));
    assert_eq!(session.get_by_id("Customer", "BAD").unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!((server.logins(), server.data_requests()), (2, 4), "it is not found out again");
    session.get_by_id("Customer", "GOOD").unwrap();
    // The session that was given up was logged out: it may have been alive.
    drop(session);
    drop(client);
    let logouts = server.asked().iter().filter(|asked| asked.is_logout()).count();
    assert_eq!((server.logins(), logouts), (2, 2));
}

#[test]
fn a_session_that_is_sent_to_the_login_page_signs_in_again() {
    let logins = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| {
        if asked.is_login() {
            let n = logins.fetch_add(1, Ordering::SeqCst) + 1;
            empty(204, &[&format!("Set-Cookie: ASP.NET_SessionId=s{n}; path=/")])
        } else if asked.line.ends_with("LATER") && asked.headers.contains("SessionId=s1") {
            empty(302, &["Location: /Frames/Login.aspx?ReturnUrl=x"])
        } else if asked.is_logout() {
            String::new()
        } else {
            json(200, "{}")
        }
    });
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .build()
        .unwrap();
    let mut session = client.session().unwrap();
    session.get_by_id("Customer", "SOON").unwrap();
    session.get_by_id("Customer", "LATER").unwrap();
    assert_eq!((server.logins(), server.data_requests()), (2, 3));
}

#[test]
fn an_old_session_is_not_trusted() {
    let sandbox = start(Sandbox::acumatica());
    let client = builder(&sandbox).idle_timeout(Duration::ZERO).build().unwrap();
    for _ in 0..3 {
        client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
    }
    assert_eq!((sandbox.history().logins(), sandbox.open_sessions()), (3, 1));
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_session_that_the_server_ended_while_idle_signs_in_again() {
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
    sandbox.expire_sessions();
    client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
    assert_eq!((sandbox.history().logins(), client.open_sessions()), (2, 1));
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn the_client_opens_no_more_sessions_than_it_may() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(1)));
    let client = builder(&sandbox).max_sessions(2).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let report = BatchCall::new(&client)
                    .max_concurrent(8)
                    .calls(0..60, |s, _| s.get_by_id("Customer", "CUST001"))
                    .execute()
                    .unwrap();
                assert_complete(&report);
            });
        }
    });
    let history = sandbox.history();
    assert_eq!((history.max_open_sessions(), history.refused_logins()), (2, 0), "{history}");
    let (_one, _two) = (client.session().unwrap(), client.session().unwrap());
    let error = client.session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SeatLimit);
    assert!(error.message().contains("all 2 sessions"), "{error}");
}

#[test]
fn a_logout_that_fails_is_tried_again_and_its_seat_counts_until_then() {
    let faults =
        Faults::none().at_on(Calls::Logout, 1, Fault::Html(500)).at_on(Calls::Logout, 2, Fault::Html(500));
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let client = builder(&sandbox).max_sessions(1).build().unwrap();
    drop(client.session().unwrap());
    assert_eq!(client.close().unwrap_err().kind(), ErrorKind::Server);
    assert_eq!(client.open_sessions(), 1, "as far as anyone knows");
    // The second logout fails as well: the only seat is still taken.
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::SeatLimit);
    client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
    assert_eq!(sandbox.history().max_open_sessions(), 1);
    client.close().unwrap();
    assert_eq!(client.open_sessions(), 0);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_logout_that_hangs_keeps_nobody_past_the_deadline() {
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let sessions: Vec<_> = (0..4).map(|_| client.session().unwrap()).collect();
    drop(sessions);
    sandbox.set_faults(Faults::none().rate_on(Calls::Logout, 1.0, Fault::Html(500)));
    let _ = client.close().unwrap_err();
    // Four sessions wait to be logged out, and now the server does not answer at all.
    sandbox.set_faults(Faults::none().rate_on(Calls::Logout, 1.0, Fault::Hang));
    let timeout = Duration::from_millis(300);
    let began = Instant::now();
    let report = BatchCall::new(&client)
        .timeout(timeout)
        .call(|s| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert!(began.elapsed() <= timeout + GRACE, "returned after {:?}", began.elapsed());
    assert_eq!(report.outcomes().len(), 1);
    sandbox.clear_faults();
    client.close().unwrap();
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_server_that_restarts_at_the_login_is_waited_for() {
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let mut session = client.session().unwrap();
    session.get_by_id("Customer", "CUST001").unwrap();
    sandbox.expire_sessions();
    sandbox.set_faults(Faults::none().at_on(Calls::Login, 1, Fault::Unavailable(RetryAfter::None)));
    session.get_by_id("Customer", "CUST001").unwrap();
}

#[test]
fn a_full_house_closes_no_gate_for_the_others() {
    // 429 at login means seats, not speed: the session that is there goes on at once.
    let sandbox = start(Sandbox::acumatica().seats(1));
    let client = Acumatica::builder(sandbox.url())
        .login("admin", "admin")
        .endpoint("Default", "24.200.001")
        .retry(batchcall::RetryPolicy::new().throttled_base(LONG).cap(LONG))
        .build()
        .unwrap();
    let mut session = client.session().unwrap();
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::SeatLimit);
    session.get_by_id("Customer", "CUST001").unwrap();
    assert_eq!(asked(&sandbox.history(), "POST", "/auth/login"), 2);
}

#[test]
fn requests_of_one_session_never_overlap() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(1)).expire_after(9));
    let client = client(&sandbox);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let report = BatchCall::new(&client)
                    .max_concurrent(4)
                    .calls(0..60, |s, n| s.get_by_id("Customer", format!("CUST{:03}", n % 100 + 1)))
                    .execute()
                    .unwrap();
                assert_complete(&report);
            });
        }
    });
    let history = sandbox.history();
    assert_eq!(history.max_in_flight_per_session(), 1);
    assert!(history.max_open_sessions() <= 8);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn nothing_is_sent_before_the_first_call() {
    let sandbox = start(Sandbox::acumatica());
    let client = Acumatica::builder(sandbox.url()).login("admin", "admin").build().unwrap();
    let inquiries = client.inquiries();
    let session = inquiries.connect(&Worker::detached(Deadline::never())).unwrap();
    drop((session, inquiries));
    client.close().unwrap();
    drop(client);
    assert_eq!(sandbox.history().events().len(), 0);
}

#[test]
fn the_environment_sets_a_client_up_and_what_is_missing_is_listed() {
    // In a process of its own: variables belong to the whole process.
    let run = |variables: &[(&str, &str)]| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sessions::child_with_variables", "--nocapture"]).env(CHILD, "1");
        for name in ["URL", "USERNAME", "PASSWORD", "TENANT", "ENDPOINT", "ENDPOINT_VERSION", "MAX_SESSIONS"]
        {
            child.env_remove(format!("ACUMATICA_{name}"));
        }
        let output = child.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(&[("ACUMATICA_USERNAME", "admin")]);
    assert!(said.contains("missing from the environment: ACUMATICA_URL, ACUMATICA_PASSWORD"), "{said}");
    let sandbox = start(Sandbox::acumatica());
    let said = run(&[
        ("ACUMATICA_URL", sandbox.url()),
        ("ACUMATICA_USERNAME", "admin"),
        ("ACUMATICA_PASSWORD", "admin"),
        ("ACUMATICA_TENANT", "Company"),
    ]);
    assert!(said.contains("read Customer 1"), "{said}");
    assert!(!said.contains("\"admin\""), "a password is not for the screen: {said}");
    assert_all_logged_out(&sandbox);
}

/// Run by the test above in a process of its own; by itself it does nothing.
#[test]
fn child_with_variables() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    match Acumatica::from_env() {
        Err(error) => println!("{error} {error:?}"),
        Ok(client) => {
            let customer = client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
            println!("read {} {client:?}", customer.get_str("CustomerName").unwrap());
        }
    }
}

#[test]
fn oauth_by_password_shares_one_token_among_the_sessions() {
    let sandbox = start(Sandbox::acumatica().latency(Duration::from_millis(1)));
    let client = oauth_client(&sandbox, by_password());
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..60, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    client.close().unwrap();
    let history = sandbox.history();
    assert_eq!(asked(&history, "POST", "/connect/token"), 1);
    assert_eq!((asked(&history, "POST", "/auth/login"), history.answered(401)), (0, 0));
    assert_eq!(history.max_in_flight_per_session(), 1);
    assert_all_logged_out(&sandbox);
}

#[test]
fn an_oauth_token_that_runs_out_is_renewed_once_for_all_sessions_and_their_seats_are_kept() {
    let sandbox = start(Sandbox::acumatica().token_life(Duration::from_secs(1)));
    let client = oauth_client(&sandbox, by_password());
    let began = Instant::now();
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .calls(0..3, |s, _| {
            let mut reads = 0;
            while began.elapsed() < Duration::from_millis(1600) {
                s.get_by_id("Customer", "CUST001")?;
                reads += 1;
            }
            Ok(reads)
        })
        .execute()
        .unwrap();
    assert_complete(&report);
    let history = sandbox.history();
    assert!((2..=4).contains(&asked(&history, "POST", "/connect/token")), "{history}");
    assert!(history.logins() <= 3, "a new token is no new session: {history}");
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn an_access_token_that_has_run_out_is_renewed_by_the_refresh_token() {
    let sandbox = start(Sandbox::acumatica());
    let (_, refresh) = tokens(&sandbox);
    let client = oauth_client(&sandbox, OAuth::new(CLIENT_ID, "secret").tokens("of yesterday", refresh));
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..20, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    assert_eq!(asked(&sandbox.history(), "POST", "/connect/token"), 2, "theirs and ours");
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn an_access_token_alone_works_until_it_runs_out() {
    let sandbox = start(Sandbox::acumatica());
    let (access, _) = tokens(&sandbox);
    let client = oauth_client(&sandbox, OAuth::new("", "").access_token(access.as_str()));
    client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
    let stale = oauth_client(&sandbox, OAuth::new("", "").access_token("of yesterday"));
    let report = BatchCall::new(&stale)
        .max_concurrent(5)
        .calls(0..50, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert!(report.failed_calls().all(|outcome| outcome.error().unwrap().kind() == ErrorKind::Auth));
    assert!(sandbox.history().answered(401) <= 5, "{}", sandbox.history());
    let error = report.outcomes()[0].error().unwrap();
    assert!(
        error.message().contains("no refresh token") && !error.message().contains("yesterday"),
        "{error}"
    );
}

#[test]
fn an_authorization_code_is_exchanged_once() {
    let sandbox = start(Sandbox::acumatica());
    let to = format!(
        "{}/identity/connect/authorize?response_type=code&client_id={}&redirect_uri=http%3A%2F%2Flocalhost%2Fback\
         &scope=api%3Aconcurrent_access%20offline_access",
        sandbox.url(),
        CLIENT_ID.replace('@', "%40")
    );
    let agent: ureq::Agent =
        ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false).build().into();
    let answer = agent.get(to).call().unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    let code = location.split("code=").nth(1).unwrap();
    let client = oauth_client(&sandbox, OAuth::new(CLIENT_ID, "secret").code(code, "http://localhost/back"));
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..20, |s, _| s.get_by_id("Customer", "CUST001"))
        .execute()
        .unwrap();
    assert_complete(&report);
    assert_eq!(asked(&sandbox.history(), "POST", "/connect/token"), 1);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_token_that_cannot_be_renewed_leaves_no_seat_behind() {
    let sandbox = start(Sandbox::acumatica());
    let (access, refresh) = tokens(&sandbox);
    let client = oauth_client(&sandbox, OAuth::new(CLIENT_ID, "secret").tokens(access.as_str(), refresh));
    let mut session = client.session().unwrap();
    session.get_by_id("Customer", "CUST001").unwrap();
    // The token is revoked, the session lives on (reports from the field), and nobody hands out another.
    let revocation = format!("{}/identity/connect/revocation", sandbox.url());
    ureq::post(revocation).send(format!("token={access}").as_bytes()).unwrap();
    sandbox.set_faults(Faults::none().rate_on(Calls::Token, 1.0, Fault::Html(500)));
    let _ = session.get_by_id("Customer", "CUST001").unwrap_err();
    drop(session);
    drop(client);
    assert_all_logged_out(&sandbox);
}

#[test]
fn a_refresh_token_lost_on_its_way_is_made_up_for_by_the_password() {
    let faults = Faults::none().at_on(Calls::Token, 2, Fault::ResetAfter);
    let sandbox = start(Sandbox::acumatica().token_life(Duration::from_secs(1)).faults(faults));
    let client = oauth_client(&sandbox, by_password());
    let mut session = client.session().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        session.get_by_id("Customer", "CUST001").unwrap();
    }
}

#[test]
fn a_request_that_goes_again_in_a_new_session_does_not_name_the_old_one() {
    // A session that the server refuses sets a cookie all the same.
    let logged_out = AtomicBool::new(false);
    let server = Scripted::start(move |asked| {
        if asked.line.ends_with("/connect/token") {
            return json(200, r#"{"access_token": "good", "expires_in": 3600}"#);
        }
        if asked.is_logout() {
            logged_out.store(true, Ordering::SeqCst);
            return String::new();
        }
        if logged_out.load(Ordering::SeqCst) && !asked.headers.contains("SessionId=dead") {
            json(200, "{}")
        } else {
            empty(401, &["Set-Cookie: ASP.NET_SessionId=dead; path=/"])
        }
    });
    let client = Acumatica::builder(server.url())
        .oauth(by_password())
        .endpoint("Default", "24.200.001")
        .retry(hasty())
        .build()
        .unwrap();
    client.session().unwrap().get_by_id("Customer", "CUST001").unwrap();
}

#[test]
fn three_seats_serve_ten_workers_with_oauth_too() {
    for shape in SHAPES {
        let sandbox =
            start(Sandbox::acumatica().seats(3).seat_refusal(shape).latency(Duration::from_millis(1)));
        let client = oauth_client(&sandbox, by_password());
        let report = BatchCall::new(&client)
            .max_concurrent(10)
            .calls(0..30, |s, _| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        let failed: Vec<_> = report.failed_calls().map(|o| o.error().unwrap().to_string()).collect();
        assert!(failed.is_empty(), "{shape:?}: {failed:?}");
        assert!(sandbox.history().max_open_sessions() <= 3);
        drop(client);
        assert_all_logged_out(&sandbox);
    }
}

#[test]
fn a_seat_refused_to_a_token_is_no_sign_to_go_slower() {
    let sandbox = start(Sandbox::acumatica().seats(0).seat_refusal(SeatRefusal::TooManyRequests));
    let client = oauth_client(&sandbox, by_password());
    let error = client.session().unwrap().get_by_id("Customer", "CUST001").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SeatLimit);
    // Once for each wait for a seat, and not three times as a request that came too early.
    assert!(sandbox.history().answered(429) <= 9, "{}", sandbox.history());
}

#[test]
fn inquiries_with_a_wrong_password_are_refused_once() {
    let sandbox = start(Sandbox::acumatica());
    let client = builder(&sandbox).login("admin", "wrong").build().unwrap();
    let inquiries = client.inquiries();
    let report = BatchCall::new(&inquiries)
        .max_concurrent(10)
        .calls(0..100, |odata, _| odata.inquiry("Customer-List", Query::new().top(1)))
        .execute()
        .unwrap();
    assert!(report.failed_calls().all(|outcome| outcome.error().unwrap().kind() == ErrorKind::Auth));
    assert_eq!(report.stats().successful_calls, 0);
    assert_eq!(sandbox.history().answered(401), 1);
}

#[test]
fn an_inquiry_renews_a_token_that_has_run_out() {
    let sandbox = start(Sandbox::acumatica());
    let (_, refresh) = tokens(&sandbox);
    let client = oauth_client(&sandbox, OAuth::new(CLIENT_ID, "secret").tokens("of yesterday", refresh));
    let inquiries = client.inquiries();
    let report = BatchCall::new(&inquiries)
        .calls(0..5, |odata, _| odata.inquiry("Customer-List", Query::new().top(1)))
        .execute()
        .unwrap();
    assert_complete(&report);
}

#[test]
fn two_batches_with_deadlines_of_their_own_do_not_wait_for_each_other() {
    // The first to ask for the newest version hangs; the other batch has less time.
    let faults = Faults::none().at_on(Calls::Description, 1, Fault::Hang);
    let sandbox = start(Sandbox::acumatica().faults(faults));
    let client = Acumatica::builder(sandbox.url()).login("admin", "admin").retry(hasty()).build().unwrap();
    let run = |timeout: Duration| {
        let began = Instant::now();
        let report = BatchCall::new(&client)
            .timeout(timeout)
            .call(|s| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        assert!(began.elapsed() <= timeout + GRACE, "{timeout:?}: returned after {:?}", began.elapsed());
        report.outcomes()[0].status()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(Duration::from_millis(1500)));
        assert!(eventually(|| asked(&sandbox.history(), "GET", "/entity") == 1));
        assert_eq!(run(Duration::from_millis(300)), Status::Failed);
    });
}

#[test]
fn a_session_moves_from_one_batch_to_the_next_with_its_worker() {
    // The deadline of the first batch does not end requests of the second.
    let sandbox = start(Sandbox::acumatica());
    let client = client(&sandbox);
    let mut by_session: HashMap<u64, usize> = HashMap::new();
    for _ in 0..3 {
        let report = BatchCall::new(&client)
            .max_concurrent(1)
            .timeout(Duration::from_secs(5))
            .calls(0..5, |s, _| s.get_by_id("Customer", "CUST001"))
            .execute()
            .unwrap();
        assert_complete(&report);
    }
    for request in data(&sandbox.history()) {
        *by_session.entry(request.session.unwrap()).or_default() += 1;
    }
    assert_eq!(by_session, HashMap::from([(1, 15)]));
}
