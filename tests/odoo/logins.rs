//! Who may log in, how often, and what happens when a session is over.

use batchcall::odoo::{Args, Domain, Odoo, Protocol};
use batchcall::sandbox::Sandbox;
use batchcall::{BatchCall, Connect, Deadline, Delivery, ErrorKind, Status, Worker};
use serde_json::json;

use crate::script::{Reply, Script, error, html, logged_in, login, ok, result, status, talk};
use crate::{builder, protocols};

const EXPIRED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":100,"message":"Odoo Session Expired","data":{"name":"odoo.http.SessionExpiredException","message":"Session expired","arguments":["Session expired"],"context":{},"debug":""}}}"#;

#[test]
fn a_session_that_is_over_is_opened_anew_and_the_call_goes_again() {
    // Also a write: the server did not look at it.
    let replies = [ok(EXPIRED), logged_in("s2"), result(&json!([7]))];
    let (script, mut session) = talk(Protocol::WebSession, replies);
    assert_eq!(session.create("res.partner", json!({"name": "x"})).unwrap(), 7);
    let received = script.received();
    assert_eq!(received[1].header("cookie"), Some("session_id=s1"));
    // Signing in with the old cookie would end a session that is still good.
    assert_eq!(received[2].header("cookie"), None);
    assert_eq!(received[3].header("cookie"), Some("session_id=s2"));
}

#[test]
fn a_session_that_the_server_renames_goes_on_under_its_new_name() {
    let headers = "Content-Type: application/json\r\nSet-Cookie: session_id=s9; Path=/\r\n";
    let renamed = Reply::Answer(200, headers, r#"{"jsonrpc":"2.0","id":ID,"result":5}"#.into());
    let (script, mut session) = talk(Protocol::WebSession, [renamed, result(&json!(5))]);
    session.search_count("res.partner", Domain::all()).unwrap();
    session.search_count("res.partner", Domain::all()).unwrap();
    assert_eq!(script.calls()[1].header("cookie"), Some("session_id=s9"));
}

#[test]
fn a_session_that_is_over_twice_is_an_error_and_no_storm_of_logins() {
    let replies = [ok(EXPIRED), logged_in("s2"), ok(EXPIRED), logged_in("s3"), ok(EXPIRED)];
    let (script, mut session) = talk(Protocol::WebSession, replies);
    let error = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(script.received().len(), 4);
}

#[test]
fn a_session_that_is_over_and_cannot_be_opened_anew_is_not_logged_out() {
    let denied = error("odoo.exceptions.AccessDenied", "Access Denied");
    let (script, mut session) = talk(Protocol::WebSession, [ok(EXPIRED), denied]);
    let error = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Auth, Some(Delivery::NotSent)));
    drop(session);
    assert_eq!(script.received().len(), 3, "there is nothing left to log out");
}

#[test]
fn wrong_credentials_are_tried_once_by_all_workers_together() {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = match protocol {
            Protocol::Json2 => Odoo::builder(sandbox.url()).database("odoo").api_key("wr0ng"),
            _ => Odoo::builder(sandbox.url()).database("odoo").login("admin", "wr0ng"),
        };
        let client = client.protocol(protocol).build().unwrap();
        for _ in 0..2 {
            let report = BatchCall::new(&client)
                .max_concurrent(8)
                .calls(0..20, |session, _| session.search_count("res.partner", Domain::all()))
                .execute()
                .unwrap();
            for outcome in report.outcomes() {
                assert_eq!(outcome.status(), Status::NotRun);
                let error = outcome.result().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Auth, "{protocol:?}: {error}");
                assert!(!format!("{error} {error:?}").contains("wr0ng"));
            }
        }
        assert_eq!(sandbox.history().requests(), 1, "{version} {protocol:?}");
        assert!(!format!("{client:?}").contains("wr0ng"));
    }
}

#[test]
fn sessions_are_kept_for_the_next_batch_and_closed_at_the_end() {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).partners(5).start().unwrap();
        let client = builder(&sandbox, protocol).build().unwrap();
        let run = || {
            BatchCall::new(&client)
                .max_concurrent(3)
                .calls(0..30, |session, _| session.search_count("res.partner", Domain::all()))
                .execute()
                .unwrap()
        };
        let first = run();
        assert_eq!(first.stats().successful_calls, 30, "{first}");
        let logins = sandbox.history().authentications();
        let second = run();
        assert_eq!(second.stats().logins, 0, "{protocol:?}");
        assert_eq!(sandbox.history().authentications(), logins);
        client.close().unwrap();
        assert_eq!((sandbox.open_sessions(), client.open_sessions()), (0, 0), "{version} {protocol:?}");
    }
}

#[test]
fn sessions_that_end_in_the_middle_of_a_batch_lose_no_call() {
    let sandbox = Sandbox::odoo(19).partners(3).start().unwrap();
    let client = builder(&sandbox, Protocol::WebSession).build().unwrap();
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .calls(0..40, |session, n| {
            if *n == 15 {
                sandbox.expire_sessions();
            }
            session.create("res.partner", json!({"name": format!("P{n}")}))
        })
        .execute()
        .unwrap();
    assert_eq!(report.stats().successful_calls, 40, "{report}");
    assert_eq!(sandbox.history().effects().count(), 40);
}

#[test]
fn the_protocol_is_found_out_once() {
    for (version, with_key, expected) in [
        (19, true, Protocol::Json2),
        (19, false, Protocol::WebSession),
        (17, false, Protocol::WebSession),
        (17, true, Protocol::JsonRpc),
    ] {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let builder = Odoo::builder(sandbox.url()).database("odoo");
        let builder = if with_key {
            builder.user("admin").api_key(sandbox.api_key("admin").unwrap())
        } else {
            builder.login("admin", "admin")
        };
        let client = builder.build().unwrap();
        assert_eq!(client.protocol(), None);
        for _ in 0..2 {
            let worker = Worker::detached(Deadline::never());
            let sessions: Vec<_> = (0..3).map(|_| client.connect(&worker).unwrap()).collect();
            assert_eq!(client.protocol(), Some(expected), "{version} {with_key}");
            drop(sessions);
        }
        let asked = sandbox.history().request_events().filter(|event| event.target == "/web/version").count();
        assert_eq!(asked, usize::from(with_key));
    }
}

#[test]
fn a_server_without_web_sessions_is_called_by_json_rpc() {
    let no_route = html(404, "<title>404 Not Found</title>");
    let script = Script::new([no_route, result(&json!(2)), result(&json!(5))]);
    let client = script.builder().login("admin", "pa55").build().unwrap();
    let mut session = client.session().unwrap();
    assert_eq!(session.search_count("res.partner", Domain::all()).unwrap(), 5);
    assert_eq!(client.protocol(), Some(Protocol::JsonRpc));
    let call = script.calls().pop().unwrap().json();
    assert_eq!(call["params"]["args"].as_array().unwrap()[..3], [json!("odoo"), json!(2), json!("pa55")]);
}

#[test]
fn an_old_server_and_a_key_alone_need_the_users_name() {
    let script = Script::new([html(404, "<title>404 Not Found</title>")]);
    let error = script.builder().api_key("k3y").build().unwrap().session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("user(..)"), "{error}");
}

#[test]
fn a_server_that_takes_no_logins_is_left_alone_for_a_minute() {
    let text = "Too many login failures, please wait a bit before trying again.";
    let script = Script::new([error("odoo.exceptions.AccessDenied", text), logged_in("s1")]);
    let client = script.builder().login("admin", "pa55").build().unwrap();
    for _ in 0..3 {
        let error = client.session().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(
            error.retry_after().is_some_and(|wait| wait.as_secs() > 50) && error.is_retryable(),
            "{error}"
        );
    }
    assert_eq!(script.received().len(), 1, "asked once");
}

#[test]
fn a_second_factor_is_said_and_not_taken_for_a_login() {
    let script = Script::new([result(&json!({"uid": null}))]);
    let error = script.builder().login("admin", "pa55").build().unwrap().session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("API key"), "{error}");
}

#[test]
fn a_database_that_is_not_there_is_said_without_the_servers_address() {
    let text =
        "connection to server at \"10.0.0.5\", port 5432 failed: FATAL: database \"odoo\" does not exist";
    let script = Script::new([error("psycopg2.OperationalError", text)]);
    let client = script.builder().login("admin", "pa55").protocol(Protocol::JsonRpc).build().unwrap();
    let error = client.session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("odoo") && !error.message().contains("10.0.0.5"), "{error}");
}

#[test]
fn a_key_that_was_revoked_ends_the_batch() {
    let refused = || {
        let body = json!({"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey", "arguments": ["Invalid apikey", 401]});
        status(401, body)
    };
    let script = Script::new([login(Protocol::Json2), ok("5"), refused(), refused()]);
    let client = script.builder().api_key("k3y").protocol(Protocol::Json2).build().unwrap();
    let mut session = client.session().unwrap();
    assert_eq!(session.search_count("res.partner", Domain::all()).unwrap(), 5);
    let error = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Auth, "Invalid apikey"));
    // Neither this session nor another one asks again.
    assert_eq!(session.search_count("res.partner", Domain::all()).unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(script.calls().len(), 2);
}

#[test]
fn a_method_that_denies_access_does_not_end_the_batch() {
    let denied = || error("odoo.exceptions.AccessDenied", "Access Denied");
    // The credentials are asked about, and hold.
    let (script, mut session) = talk(Protocol::JsonRpc, [denied(), result(&json!(2)), result(&json!(5))]);
    let error = session.call("res.users", "change_password", Args::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(session.search_count("res.partner", Domain::all()).unwrap(), 5);
    assert_eq!(script.received().len(), 4);
}

#[test]
fn a_password_that_was_changed_is_asked_about_once() {
    let denied = error("odoo.exceptions.AccessDenied", "Access Denied");
    let (script, mut session) = talk(Protocol::JsonRpc, [denied, result(&json!(false))]);
    let error = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    let again = session.search_count("res.partner", Domain::all()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Auth, "nobody tries any more");
    assert_eq!(script.received().len(), 3);
}
