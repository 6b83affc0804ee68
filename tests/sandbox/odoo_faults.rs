//! Conflicts, limits and faults of the stand-in Odoo: what the client sees, and what was really applied.

use std::thread;
use std::time::{Duration, Instant};

use batchcall::sandbox::{Calls, Fault, Faults, OdooSandbox, Sandbox};
use serde_json::{Value, json};

use crate::odoo_client::{Odoo, trouble};

const MS: Duration = Duration::from_millis(1);

fn create() -> Value {
    json!({"vals_list": [{"name": "A"}, {"name": "B"}]})
}

/// Creates two records under this fault: the status that is seen, and how many were made.
fn under(fault: Fault) -> (Option<u16>, usize) {
    let faults = Faults::none().at_on(Calls::Create, 1, fault);
    let sandbox = Sandbox::odoo(19).retry_pause(MS).faults(faults).start().unwrap();
    let answer = Odoo::new(&sandbox).try_json2("res.partner", "create", &create());
    (answer.ok().map(|answer| answer.status), sandbox.history().effects().count())
}

#[test]
fn a_fault_applies_all_of_a_call_or_nothing() {
    assert_eq!(under(Fault::ResetBefore), (None, 0));
    assert_eq!(under(Fault::ResetDuring), (None, 0));
    assert_eq!(under(Fault::ResetAfter), (None, 2));
    assert_eq!(under(Fault::GatewayTimeout), (Some(504), 2), "the proxy gave up, the transaction did not");
    assert_eq!(under(Fault::Killed(MS)), (None, 0), "the worker was killed and its transaction rolled back");
    assert_eq!(under(Fault::BadGateway), (Some(502), 0));
}

#[test]
fn the_server_tries_a_conflict_again_four_times_and_then_gives_up() {
    assert_eq!(under(Fault::SerializationFailure(1)), (Some(200), 2));
    assert_eq!(under(Fault::SerializationFailure(4)), (Some(200), 2));
    assert_eq!(under(Fault::SerializationFailure(5)), (Some(500), 0));
    let sandbox = Sandbox::odoo(19)
        .retry_pause(MS)
        .faults(Faults::none().rate(1.0, Fault::SerializationFailure(5)))
        .start()
        .unwrap();
    let odoo = Odoo::new(&sandbox);
    let answer = odoo.execute("res.partner", "create", &json!([{"name": "A"}]), &json!({}));
    assert_eq!(
        trouble(&answer),
        (
            "psycopg2.errors.SerializationFailure".into(),
            "could not serialize access due to concurrent update".into()
        )
    );
}

#[test]
fn faults_find_the_method_on_every_wire() {
    let faults = || {
        Faults::none()
            .at_on(Calls::Create, 1, Fault::Html(501))
            .at_on(Calls::Write, 1, Fault::Html(502))
            .at_on(Calls::Unlink, 1, Fault::Html(503))
            .at_on(Calls::Load, 1, Fault::Html(504))
            .at_on(Calls::Read, 1, Fault::Html(505))
            .at_on(Calls::Login, 2, Fault::Html(506))
    };
    let methods = ["create", "write", "unlink", "load", "read"];
    for wire in ["json2", "jsonrpc", "call_kw", "path"] {
        let sandbox = Sandbox::odoo(19).faults(faults()).start().unwrap();
        let mut odoo = Odoo::new(&sandbox);
        odoo.sign_in("admin");
        let seen = methods.map(|method| match wire {
            "json2" => odoo.json2("res.partner", method, &json!({})).status,
            "jsonrpc" => {
                let args = json!(["odoo", 2, "admin", "res.partner", method, []]);
                odoo.post(
                    "/jsonrpc",
                    &json!({"params": {"service": "object", "method": "execute_kw", "args": args}}),
                )
                .status
            }
            _ => {
                let params =
                    json!({"params": {"model": "res.partner", "method": method, "args": [], "kwargs": {}}});
                let rest = if wire == "path" { format!("/res.partner/{method}") } else { String::new() };
                odoo.post(&format!("/web/dataset/call_kw{rest}"), &params).status
            }
        });
        assert_eq!(seen, [501, 502, 503, 504, 505], "{wire}");
        assert_eq!(
            odoo.post(
                "/jsonrpc",
                &json!({"params": {"service": "common", "method": "authenticate", "args": []}})
            )
            .status,
            506
        );
    }
}

#[test]
fn two_writes_to_one_record_at_once_both_succeed_after_a_new_try() {
    let sandbox = Sandbox::odoo(19).latency(50 * MS).retry_pause(20 * MS).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    thread::scope(|scope| {
        let writes = ["X", "Y"].map(|name| {
            let odoo = &odoo;
            scope.spawn(move || odoo.call("res.partner", "write", &json!([[1], {"ref": name}])))
        });
        for write in writes {
            assert_eq!(write.join().unwrap(), true);
        }
    });
    assert_eq!(sandbox.history().effects_of("res.partner", "1").count(), 2);
}

#[test]
fn a_call_takes_its_latency_and_the_cost_of_its_rows_without_hindering_others() {
    let sandbox = Sandbox::odoo(19).latency(30 * MS).row_cost(2 * MS).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    let rows: Vec<Value> = (0..100).map(|i| json!({"name": format!("N{i}")})).collect();
    let body = json!({"vals_list": rows});
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(odoo.json2("res.partner", "create", &body).status, 200));
        }
    });
    let took = started.elapsed();
    assert!(took >= 230 * MS && took < 700 * MS, "{took:?}");
}

#[test]
fn workers_serve_one_call_each_and_answer_in_http_1_0() {
    let sandbox = Sandbox::odoo(19).latency(50 * MS).workers(1).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let answer = odoo.json2("res.partner", "search_count", &json!({"domain": []}));
                assert!(answer.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", answer.head);
            });
        }
    });
    assert!(started.elapsed() >= 200 * MS);
}

#[test]
fn the_bare_server_closes_each_connection_and_one_behind_a_proxy_keeps_it() {
    let close = |odoo: OdooSandbox| {
        let sandbox = odoo.start().unwrap();
        let answer = Odoo::new(&sandbox).send("GET", "/web/version", &[], "").unwrap();
        (answer.header("Connection"), answer.head.starts_with("HTTP/1.1"))
    };
    assert_eq!(close(Sandbox::odoo(19)), (Some("close".into()), true));
    assert_eq!(close(Sandbox::odoo(19).keep_alive(Duration::from_secs(5)).workers(2)), (None, true));
}

#[test]
fn a_body_over_the_limit_is_413_and_the_client_sees_it() {
    let sandbox = Sandbox::odoo(19).max_body(100_000).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    let body = json!({"vals_list": [{"name": "x".repeat(3_000_000)}]});
    assert_eq!(odoo.json2("res.partner", "create", &body).status, 413);
    assert_eq!(odoo.json2("res.partner", "create", &create()).status, 200);
}

#[test]
fn expired_sessions_and_a_restart_end_the_web_session_and_not_the_records() {
    let sandbox = Sandbox::odoo(19).faults(Faults::none().at(2, Fault::ExpireSession)).start().unwrap();
    let mut odoo = Odoo::new(&sandbox);
    odoo.sign_in("admin");
    assert_eq!(odoo.call_kw("res.partner", "create", &json!([{"name": "A"}]))["result"], 7);
    assert_eq!(odoo.call_kw("res.partner", "create", &json!([{"name": "B"}]))["error"]["code"], 100);
    odoo.sign_in("admin");
    sandbox.pause();
    assert!(odoo.try_json2("res.partner", "create", &create()).is_err());
    sandbox.resume().unwrap();
    assert_eq!(odoo.call_kw("res.partner", "read", &json!([[7]]))["error"]["code"], 100);
    assert_eq!(sandbox.record("res.partner", "7").unwrap()["name"], "A");
}

#[test]
fn no_secret_is_in_what_debug_shows() {
    let shown = format!("{:?}", Sandbox::odoo(19).user("joe", "hunter2").api_key("joe", "k3y"));
    assert!(!shown.contains("hunter2") && !shown.contains("k3y"), "{shown}");
}
