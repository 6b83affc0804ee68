//! Faults on demand: what the client sees, and what was really applied.

use std::io;
use std::time::{Duration, Instant};

use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter, Sandbox};
use serde_json::json;

use crate::client::{Answer, Client};

const WAREHOUSE: &str = "/entity/Default/24.200.001/Warehouse";

/// Puts one warehouse under this fault: what the client sees, and how often it was applied.
fn put(fault: Fault) -> (io::Result<Answer>, usize) {
    let sandbox = Sandbox::acumatica().faults(Faults::none().at_on(Calls::Put, 1, fault)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let body = json!({"WarehouseID": {"value": "JFK"}, "Description": {"value": "JFK"}, "TimeZone": {"value": "UTC"}});
    let seen = client.send("PUT", WAREHOUSE, &[], body.to_string().as_bytes());
    let applied = sandbox.history().effects_of("Warehouse", "JFK").count();
    (seen, applied)
}

#[test]
fn resets_before_and_during_apply_nothing_and_after_apply_once() {
    for (fault, applied) in [
        (Fault::ResetBefore, 0),
        (Fault::ResetDuring, 0),
        (Fault::ResetAfter, 1),
        (Fault::ResetAt(0), 1),
        (Fault::ResetAt(30), 1),
        (Fault::ResetAt(300), 1),
    ] {
        let (seen, times) = put(fault);
        let error = seen.expect_err("no answer");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{fault:?}");
        assert_eq!(times, applied, "{fault:?}");
    }
}

#[test]
fn an_orderly_close_is_the_end_of_the_stream() {
    for (fault, applied) in [(Fault::CloseBefore, 0), (Fault::Truncate, 1), (Fault::WrongLength(7), 1)] {
        let (seen, times) = put(fault);
        assert_eq!(seen.expect_err("half an answer").kind(), io::ErrorKind::UnexpectedEof, "{fault:?}");
        assert_eq!(times, applied, "{fault:?}");
    }
}

#[test]
fn refusals_carry_what_they_should_and_apply_nothing_but_504() {
    for (fault, status, applied) in [
        (Fault::TooManyRequests(RetryAfter::None), 429, 0),
        (Fault::Unavailable(RetryAfter::Seconds(2)), 503, 0),
        (Fault::BadGateway, 502, 0),
        (Fault::GatewayTimeout, 504, 1),
        (Fault::Html(500), 500, 0),
        (Fault::ExpireSession, 401, 0),
        (Fault::ExpireAllSessions, 401, 0),
        (Fault::Garbage, 200, 1),
        (Fault::WrongLength(-3), 200, 1),
        (Fault::Latency(Duration::from_millis(20)), 200, 1),
    ] {
        let (seen, times) = put(fault);
        let answer = seen.unwrap();
        assert_eq!((answer.status, times), (status, applied), "{fault:?}");
        let is_json = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok();
        let expected = matches!(fault, Fault::TooManyRequests(_) | Fault::Latency(_)) || status == 401;
        assert_eq!(is_json, expected, "{fault:?}");
    }
}

#[test]
fn retry_after_comes_as_seconds_as_a_date_as_garbage_or_not_at_all() {
    let header = |after| put(Fault::TooManyRequests(after)).0.unwrap().header("Retry-After");
    assert_eq!(header(RetryAfter::None), None);
    assert_eq!(header(RetryAfter::Seconds(0)).as_deref(), Some("0"));
    assert!(header(RetryAfter::Date(5)).unwrap().ends_with("GMT"));
    assert!(header(RetryAfter::Garbage).unwrap().parse::<u64>().is_err());
}

#[test]
fn a_hang_lasts_until_the_client_gives_up_or_the_server_stops() {
    for (fault, applied) in [(Fault::Hang, 0), (Fault::HangAfter, 1)] {
        let sandbox = Sandbox::acumatica().faults(Faults::none().at(1, fault)).start().unwrap();
        let mut client = Client::signed_in(&sandbox);
        client.write("DELETE", "/entity/Default/24.200.001/StockItem/ITEM001", &[], b"").unwrap();
        while sandbox.history().data_requests() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(sandbox.history().effects().count(), applied);
        let started = Instant::now();
        sandbox.stop();
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert!(client.read().is_err());
    }
}

#[test]
fn an_answer_trickles_byte_by_byte() {
    let started = Instant::now();
    let (seen, _) = put(Fault::Trickle(Duration::from_micros(200)));
    assert_eq!(seen.unwrap().status, 200);
    assert!(started.elapsed() > Duration::from_millis(50));
}

#[test]
fn an_answer_that_comes_twice_is_taken_for_the_next_one() {
    let sandbox = Sandbox::acumatica().faults(Faults::none().at(1, Fault::Twice)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let ids: Vec<_> = ["CUST001", "CUST002", "CUST003"]
        .map(|id| client.get(&format!("Customer/{id}")).json()["CustomerID"]["value"].clone())
        .into();
    assert_eq!(ids, ["CUST001", "CUST001", "CUST002"]);
}

#[test]
fn a_huge_answer_is_as_long_as_it_says() {
    let sandbox = Sandbox::acumatica().faults(Faults::none().at(1, Fault::Huge(3_000_000))).start().unwrap();
    let answer = Client::signed_in(&sandbox).get("Customer/CUST001");
    assert_eq!((answer.body.len(), answer.json().is_string()), (3_000_000, true));
}

#[test]
fn sign_out_can_fail_and_faults_change_while_the_server_runs() {
    let sandbox = Sandbox::acumatica()
        .faults(Faults::none().rate_on(Calls::Logout, 1.0, Fault::Html(500)))
        .start()
        .unwrap();
    let mut client = Client::signed_in(&sandbox);
    assert_eq!((client.logout().status, sandbox.open_sessions()), (500, 1));
    sandbox.clear_faults();
    assert_eq!((client.logout().status, sandbox.open_sessions()), (204, 0));
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let run = |seed| -> Vec<u16> {
        let faults =
            Faults::none().too_many_requests(0.3, RetryAfter::None).unavailable(0.2, RetryAfter::None);
        let sandbox = Sandbox::acumatica().seed(seed).faults(faults).start().unwrap();
        let mut client = Client::signed_in(&sandbox);
        (0..60).map(|_| client.get("Customer/CUST001").status).collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!([200, 429, 503].iter().all(|status| run(1).contains(status)));
}

#[test]
fn the_history_tells_which_request_did_what_and_when() {
    let sandbox = Sandbox::acumatica()
        .faults(Faults::none().at(2, Fault::Unavailable(RetryAfter::None)))
        .start()
        .unwrap();
    let mut client = Client::signed_in(&sandbox);
    for id in ["ITEM001", "ITEM002", "ITEM003"] {
        client.call("DELETE", &format!("StockItem/{id}"), "");
    }
    let history = sandbox.history();
    let effects: Vec<_> =
        history.effects().map(|e| (e.key.as_str(), e.session, e.request, e.sequence)).collect();
    assert_eq!(effects, [("ITEM001", 1, 2, 1), ("ITEM003", 1, 4, 2)]);
    let struck: Vec<_> =
        history.request_events().filter(|r| r.fault.is_some()).map(|r| (r.number, r.status)).collect();
    assert_eq!(struck, [(3, Some(503))]);
    assert!(history.events().windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert_eq!((history.max_in_flight(), history.max_in_flight_per_session()), (1, 1));
}

#[test]
fn a_connection_goes_stale_after_an_answer_or_after_silence() {
    let sandbox = Sandbox::acumatica().faults(Faults::none().at(1, Fault::CloseAfter)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    let answer = client.get("Customer/CUST001");
    assert_eq!((answer.status, answer.header("Connection")), (200, None));
    assert!(client.send("GET", "/entity", &[], b"").is_err());

    let sandbox = Sandbox::acumatica().keep_alive(Duration::from_millis(30)).start().unwrap();
    let mut client = Client::signed_in(&sandbox);
    std::thread::sleep(Duration::from_millis(100));
    assert!(client.send("GET", "/entity", &[], b"").is_err());
    client.reconnect();
    assert_eq!(client.get("Customer/CUST001").status, 200, "the session outlives its connection");
}
