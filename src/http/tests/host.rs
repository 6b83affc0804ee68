//! What the sessions of one client share: statuses that stop them, refusals that pause them.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Instant, SystemTime};

use super::server::{Reply, Server, answer, ok};
use super::*;
use crate::engine::stop::{CancelToken, Stop};
use crate::error::{Delivery, ErrorKind};
use crate::http::Host;

/// Answers the first `times` requests with that, all others well.
fn first(times: usize, reply: Vec<u8>) -> Server {
    Server::new(move |number, _| Reply::Keep(if number < times { reply.clone() } else { ok() }))
}

const NATURES: [fn(&Server) -> Request; 3] = [get, put_keyed, post];

#[test]
fn a_429_goes_again_whatever_the_nature() {
    for headers in [&["Retry-After: 0"][..], &["Retry-After: soon"], &[]] {
        for request in NATURES {
            let server = first(2, answer(429, headers, b""));
            let answer = wire().send(&request(&server)).unwrap();
            assert_eq!((answer.status(), answer.attempts), (200, 3));
            assert_eq!(server.requests().len(), 3);
        }
    }
}

#[test]
fn a_503_with_a_time_goes_again_whatever_the_nature() {
    for request in NATURES {
        let server = first(1, answer(503, &["Retry-After: 0"], b""));
        assert_eq!(wire().send(&request(&server)).unwrap().attempts, 2);
    }
}

#[test]
fn a_gateway_s_error_goes_again_for_a_read_and_leaves_a_write_in_doubt() {
    for status in [502, 503, 504] {
        for request in [get, put_keyed] {
            let server = first(2, answer(status, &[], b"<title>Gateway</title>"));
            assert_eq!(wire().send(&request(&server)).unwrap().attempts, 3);
        }
        let server = first(2, answer(status, &[], b"<title>Gateway</title>"));
        let request = post(&server);
        let answer = wire().send(&request).unwrap();
        assert_eq!((answer.status(), answer.attempts), (status, 1));
        let error = answer.to_error(&request, ErrorKind::Unavailable, answer.text_lossy());
        assert!(error.is_in_doubt() && error.message() == "Gateway", "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn every_other_status_is_asked_for_exactly_once() {
    for status in [400, 401, 403, 404, 408, 409, 412, 413, 422, 500, 501, 505] {
        let server = first(9, answer(status, &[], b"{}"));
        for (n, request) in (1..).zip(NATURES) {
            let answer = wire().send(&request(&server)).unwrap();
            assert_eq!((answer.status(), answer.attempts), (status, 1));
            assert_eq!(server.requests().len(), n);
        }
    }
}

#[test]
fn when_the_attempts_run_out_the_server_s_last_answer_is_given() {
    for (status, headers) in
        [(429, &[][..]), (429, &["Retry-After: 0"]), (503, &["Retry-After: 0"]), (503, &[])]
    {
        let server = first(9, answer(status, headers, b"busy"));
        let answer = wire().send(&get(&server)).unwrap();
        assert_eq!((answer.status(), answer.attempts, answer.body()), (status, 3, &b"busy"[..]));
        assert_eq!(server.requests().len(), 3);
    }
    let server = first(9, answer(429, &[], b"busy"));
    let never = HttpConfig { retry: RetryPolicy::never(), ..config() };
    assert_eq!(wire_with(never).send(&get(&server)).unwrap().attempts, 1);
}

#[test]
fn a_time_beyond_the_cap_ends_the_call_and_nobody_asks_again() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    for value in ["301", "1000000000", "99999999999999999999999", &date] {
        let server = first(9, answer(429, &[&format!("Retry-After: {value}")], b"later"));
        let host = Host::new(config()).unwrap();
        let answer = host.wire(&worker()).send(&post(&server)).unwrap();
        assert_eq!((answer.status(), answer.attempts), (429, 1));
        assert!(answer.retry_after().unwrap() > Duration::from_secs(300));

        let error = host.wire(&worker()).send(&post(&server)).unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::RateLimited, Some(Delivery::NotSent)));
        assert!(error.retry_after().is_some() && error.is_retryable());
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn no_session_sends_anything_while_the_server_asked_for_peace() {
    let server = first(1, answer(429, &["Retry-After: 1"], b""));
    let host = Host::new(config()).unwrap();
    host.wire(&Worker::detached(Deadline::after(Duration::from_millis(100)))).send(&get(&server)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            let mut wire = host.wire(&worker());
            let server = &server;
            scope.spawn(move || wire.send(&post(server)).unwrap());
        }
    });
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
    // One after the other, the first of them alone.
    for pair in requests[1..].windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(25), "{:?}", pair[1].at - pair[0].at);
    }
}

#[test]
fn a_probe_that_gets_no_answer_hands_over_to_the_next_request() {
    let server = Server::new(|number, _| match number {
        0 => Reply::Keep(answer(429, &["Retry-After: 0"], b"")),
        1 => Reply::Close(Vec::new()),
        _ => Reply::Keep(ok()),
    });
    let mut wire = wire();
    assert!(wire.send(&post(&server)).unwrap_err().is_in_doubt());
    assert_eq!(wire.send(&post(&server)).unwrap().attempts, 1);
}

#[test]
fn waiting_that_is_cut_short_keeps_the_server_s_answer() {
    let server = first(9, answer(429, &["Retry-After: 60"], b"busy"));
    let token = CancelToken::new();
    let worker = Worker::new(0, Stop::new(Deadline::never(), token.clone(), 1));
    let mut wire = Host::new(config()).unwrap().wire(&worker);
    thread::scope(|scope| {
        let (server, token) = (&server, &token);
        scope.spawn(move || {
            while server.requests().is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            token.cancel();
        });
        assert_eq!(wire.send(&post(server)).unwrap().body(), b"busy");
    });
    let error = wire.send(&post(&server)).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Cancelled, Some(Delivery::NotSent)));
    assert_eq!(error.entity(), Some("Bill"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cancelled_worker_sends_nothing() {
    let server = first(0, Vec::new());
    let token = CancelToken::new();
    let mut wire =
        Host::new(config()).unwrap().wire(&Worker::new(0, Stop::new(Deadline::never(), token.clone(), 1)));
    wire.send(&post(&server)).unwrap();
    token.cancel();
    let error = wire.send(&post(&server)).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Cancelled, Some(Delivery::NotSent)));
    wire.attach(&worker());
    wire.send(&post(&server)).unwrap();
    assert_eq!(server.requests().len(), 2);
}

/// An address that nobody listens on. Where possible not the one of the other tests: they open and
/// close ports all the time.
fn closed_port() -> SocketAddr {
    let host = if cfg!(target_os = "linux") { "127.0.0.77:0" } else { "127.0.0.1:0" };
    TcpListener::bind(host).unwrap().local_addr().unwrap()
}

#[test]
fn a_port_that_is_closed_for_a_while_costs_no_call() {
    let address = closed_port();
    let host = Host::new(config()).unwrap();
    let server = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        Server::new_on(TcpListener::bind(address).unwrap(), |_, _| Reply::Keep(ok()))
    });
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut wire = host.wire(&worker());
            scope.spawn(move || {
                for _ in 0..3 {
                    let request = Request::new(Method::POST, format!("http://{address}/"));
                    assert_eq!(wire.send(&request).unwrap().status(), 200);
                }
            });
        }
    });
    assert_eq!(server.join().unwrap().requests().len(), 9);
}

#[test]
fn a_port_that_stays_closed_is_given_up_when_patience_ends() {
    let address = closed_port();
    let patience = Duration::from_millis(300);
    let host = Host::new(HttpConfig { patience, ..config() }).unwrap();
    let request = Request::new(Method::POST, format!("http://{address}/"));
    let began = Instant::now();
    let error = host.wire(&worker()).send(&request).unwrap_err();
    assert!(began.elapsed() >= patience);
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connect, Some(Delivery::NotSent)));
    assert!(error.message().contains("refuses connections"), "{error}");
    assert!(error.attempts() >= 5, "{error}");
    // From now on a call finds out with one attempt.
    assert_eq!(host.wire(&worker()).send(&request).unwrap_err().attempts(), 1);
}

#[test]
fn an_attempt_that_was_not_sent_does_not_hide_an_earlier_one_that_may_have_been() {
    let listener = TcpListener::bind(closed_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        stream.read_exact(&mut [0; 10]).unwrap();
    });
    let mut wire = wire_with(HttpConfig { patience: Duration::ZERO, ..config() });
    let request = Request::new(Method::PUT, format!("http://{address}/")).nature(Nature::Keyed);
    let error = wire.send(&request).unwrap_err();
    server.join().unwrap();
    assert!(error.message().contains("refuses connections"), "{error}");
    assert_eq!(error.delivery(), Some(Delivery::MaybeSent));
    assert!(!error.is_in_doubt() && error.attempts() > 1, "{error}");
}

#[test]
fn without_retries_a_closed_port_is_told_at_once() {
    let address = closed_port();
    let mut wire = wire_with(HttpConfig { retry: RetryPolicy::never(), ..config() });
    let error = wire.send(&Request::new(Method::GET, format!("http://{address}/"))).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1));
}

#[test]
fn an_open_breaker_holds_all_calls_back_and_none_is_lost() {
    // Long enough down that each call alone would have used up its attempts many times.
    let down_until = Instant::now() + Duration::from_millis(800);
    let server = Server::new(move |_, _| {
        Reply::Keep(if Instant::now() < down_until { answer(503, &[], b"") } else { ok() })
    });
    let host =
        Host::new(HttpConfig { retry: RetryPolicy::new().base(Duration::from_millis(20)), ..config() })
            .unwrap();
    let failed: usize = thread::scope(|scope| {
        let sessions: Vec<_> = (0..5)
            .map(|_| {
                let (mut wire, server) = (host.wire(&worker()), &server);
                scope.spawn(move || {
                    (0..4).filter(|_| wire.send(&get(server)).unwrap().status() != 200).count()
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().unwrap()).sum()
    });
    assert_eq!(failed, 0);
    // 20 calls, and a handful of refusals instead of a storm.
    assert!(server.requests().len() < 20 + 25, "{}", server.requests().len());
}

#[test]
fn requests_keep_the_rate() {
    let server = first(0, Vec::new());
    let host = Host::new(HttpConfig { requests_per_second: Some(20.0), ..config() }).unwrap();
    let mut wire = host.wire(&worker());
    let began = Instant::now();
    for _ in 0..5 {
        wire.send(&get(&server)).unwrap();
    }
    // The first goes at once, and four follow at 50 ms each.
    assert!(began.elapsed() >= Duration::from_millis(200));
}
