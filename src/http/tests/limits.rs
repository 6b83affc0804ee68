//! Time limits, interrupts, redirects, trust, secrets.

use std::error::Error as _;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::server::{Reply, Server, answer, ok};
use super::*;
use crate::error::{Delivery, Error, ErrorKind};

const LIMIT: Duration = Duration::from_millis(200);

/// Sends `first` at once and then byte after byte, for ever.
fn trickles(first: &'static [u8], drop: &'static [u8]) -> Server {
    Server::raw(move |stream, connection, server| {
        let mut reader = BufReader::new(stream);
        server.receive(&mut reader, connection);
        let stream = reader.get_mut();
        let mut sent = stream.write_all(first);
        while sent.is_ok() {
            thread::sleep(Duration::from_millis(5));
            sent = stream.write_all(drop);
        }
    })
}

/// Takes requests and says nothing.
fn silent() -> (Server, mpsc::Receiver<()>) {
    let (taken, wait_for_request) = mpsc::channel();
    let server = Server::raw(move |stream, connection, server| {
        let mut reader = BufReader::new(stream);
        server.receive(&mut reader, connection);
        let _ = taken.send(());
        let _ = reader.read_to_end(&mut Vec::new());
    });
    (server, wait_for_request)
}

fn slow_servers() -> [Server; 4] {
    [
        silent().0,
        trickles(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        trickles(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        trickles(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ]
}

#[test]
fn a_silent_or_trickling_server_is_left_at_the_timeout_of_the_request() {
    for server in slow_servers() {
        let began = Instant::now();
        let error = wire().send(&post(&server).timeout(LIMIT)).unwrap_err();
        assert!(began.elapsed() < LIMIT + GRACE, "{:?}", began.elapsed());
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.is_in_doubt() && error.message().contains("200ms"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_silent_or_trickling_server_is_left_at_the_deadline_of_the_batch() {
    for server in slow_servers() {
        let host = crate::http::Host::new(config()).unwrap();
        let mut wire = host.wire(&Worker::detached(Deadline::after(LIMIT)));
        let began = Instant::now();
        let error = wire.send(&get(&server)).unwrap_err();
        assert!(began.elapsed() < LIMIT + GRACE, "{:?}", began.elapsed());
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
        assert!(error.message().contains("deadline") && !error.is_in_doubt(), "{error}");

        let late = wire.send(&post(&server)).unwrap_err();
        assert_eq!((late.kind(), late.delivery()), (ErrorKind::Timeout, Some(Delivery::NotSent)));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_read_that_timed_out_goes_again_on_a_connection_of_its_own() {
    let server = Server::raw(|stream, connection, server| {
        let mut reader = BufReader::new(stream);
        while server.receive(&mut reader, connection).is_some() {
            if connection > 0 {
                reader.get_mut().write_all(&ok()).unwrap();
            }
        }
    });
    let answer = wire().send(&get(&server).timeout(LIMIT)).unwrap();
    assert_eq!((answer.attempts, server.connections()), (2, 2));
}

#[test]
fn a_request_to_a_silent_server_is_interrupted_from_another_thread() {
    for request in [get, post] {
        let (server, taken) = silent();
        let mut wire = wire();
        let interrupt = wire.interrupt();
        let interrupter = thread::spawn(move || {
            taken.recv().unwrap();
            let began = Instant::now();
            interrupt();
            began
        });
        let request = request(&server);
        let error = wire.send(&request).unwrap_err();
        assert!(interrupter.join().unwrap().elapsed() < GRACE);
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 1));
        assert_eq!(error.is_in_doubt(), request.nature == Nature::Write);
        assert!(wire.is_interrupted());

        let after = wire.send(&request).unwrap_err();
        assert_eq!((after.kind(), after.delivery()), (ErrorKind::Interrupted, Some(Delivery::NotSent)));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_body_that_ends_with_the_connection_is_not_taken_for_whole_after_an_interrupt() {
    let (begun, body_begun) = mpsc::channel();
    let server = Server::raw(move |stream, connection, server| {
        let mut reader = BufReader::new(stream);
        server.receive(&mut reader, connection);
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1").unwrap();
        begun.send(()).unwrap();
        let _ = reader.read_to_end(&mut Vec::new());
    });
    let mut wire = wire();
    let interrupt = wire.interrupt();
    let interrupter = thread::spawn(move || {
        body_begun.recv().unwrap();
        thread::sleep(Duration::from_millis(20));
        interrupt();
    });
    assert_eq!(wire.send(&post(&server)).unwrap_err().kind(), ErrorKind::Interrupted);
    interrupter.join().unwrap();
}

#[test]
fn a_logout_goes_out_after_an_interrupt_and_after_the_deadline() {
    let server = Server::new(|_, _| Reply::Keep(answer(204, &[], b"")));
    let host = crate::http::Host::new(config()).unwrap();
    let mut wire = host.wire(&Worker::detached(Deadline::after(Duration::ZERO)));
    let logout = Request::new(Method::POST, server.url()).nature(Nature::Keyed);
    assert_eq!(wire.send(&logout).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(wire.send_once(&logout, LIMIT).unwrap().status(), 204);
    wire.interrupt()();
    assert_eq!(wire.send_once(&logout, LIMIT).unwrap().status(), 204);
    assert_eq!(server.requests().len(), 2);

    let (silent, _) = silent();
    let began = Instant::now();
    assert_eq!(host.send_once(&post(&silent), LIMIT).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(began.elapsed() < LIMIT + GRACE);
    assert_eq!(silent.requests().len(), 1);
}

/// An address that neither accepts nor refuses: its queue of connections is full.
#[cfg(target_os = "linux")]
fn full_queue() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        queue.push(stream);
        assert!(queue.len() < 800, "the queue is never full");
    }
    (listener, queue)
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_does_not_come_about_ends_at_its_limit_and_at_an_interrupt() {
    let (listener, _queue) = full_queue();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = Request::new(Method::POST, url);
    let short = HttpConfig { connect_timeout: LIMIT, retry: RetryPolicy::never(), ..config() };
    let began = Instant::now();
    let error = wire_with(short).send(&request).unwrap_err();
    assert!(began.elapsed() < LIMIT + GRACE, "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Some(Delivery::NotSent)));
    assert!(error.message().contains("no connection"), "{error}");

    let mut wire = wire();
    let interrupt = wire.interrupt();
    let interrupter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        interrupt();
        Instant::now()
    });
    let error = wire.send(&request).unwrap_err();
    assert!(interrupter.join().unwrap().elapsed() < GRACE);
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Interrupted, Some(Delivery::NotSent)));
}

#[test]
fn a_redirect_is_an_answer() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::new(move |_, request| match &*request.head {
            head if head.contains("/elsewhere") => Reply::Keep(ok()),
            _ => Reply::Keep(answer(status, &["Location: /elsewhere?message=seats"], b"<html>moved")),
        });
        for request in [get, post] {
            let answer = wire().send(&request(&server)).unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.header("Location"), Some("/elsewhere?message=seats"));
        }
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn tls_to_a_plain_port_fails_at_once_and_for_good() {
    let server = Server::raw(|mut stream, _, _| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let url = server.url().replace("http:", "https:");
    let error = wire().send(&Request::new(Method::GET, url)).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1), "{error:?}");
    assert_eq!(error.delivery(), Some(Delivery::NotSent));
    assert!(error.message().contains("certificate"), "{error}");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_name_that_is_not_found_is_given_up_after_the_policy_s_attempts() {
    let request = Request::new(Method::POST, "http://no-such-host.invalid/");
    let error = wire().send(&request).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connect, Some(Delivery::NotSent)));
    assert_eq!(error.attempts(), 3);
    assert!(error.message().contains("no-such-host.invalid"), "{error}");
}

#[test]
fn what_cannot_be_sent_is_refused_before_sending() {
    let server = Server::new(|_, _| Reply::Keep(ok()));
    for request in [
        Request::new(Method::GET, "erp.example.com/entity"),
        Request::new(Method::GET, "ftp://erp.example.com/entity"),
        Request::new(Method::GET, "http://exa mple.com/"),
        Request::new(Method::GET, ""),
        get(&server).header("X-Name", "line\r\nbreak"),
        get(&server).header("not a name", "value"),
    ] {
        let error = wire().send(&request).unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Invalid, Some(Delivery::NotSent)),
            "{error}"
        );
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(server.connections(), 0);
}

fn everything_printed(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(" {inner} {inner:?}"));
        source = inner.source();
    }
    text
}

#[test]
fn no_error_shows_a_secret() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cut = Server::new(|_, _| Reply::Close(b"HTTP/1.1 2".to_vec()));
    let (silent, _) = silent();
    let not_http = Server::new(|_, _| Reply::Close(b"hunter2 hunter2\r\n\r\n".to_vec()));
    let bad_header =
        Server::new(|_, _| Reply::Close(b"HTTP/1.1 200 OK\r\nSet-Cookie hunter2\r\n\r\n".to_vec()));
    for authority in [
        refused.to_string(),
        cut.address.to_string(),
        silent.address.to_string(),
        not_http.address.to_string(),
        bad_header.address.to_string(),
        "no-such-host.invalid".into(),
        "exa mple.com".into(),
        String::new(),
    ] {
        let url = format!("http://user:hunter2@{authority}/entity?token=hunter2");
        for extra in ["hunter2", "hunter2\n"] {
            let request = Request::new(Method::POST, url.as_str())
                .header("Cookie", "session=hunter2")
                .header("Authorization", format!("Bearer {extra}"))
                .body(b"hunter2".to_vec())
                .timeout(LIMIT);
            let once = HttpConfig { retry: RetryPolicy::never(), ..config() };
            let error = wire_with(once).send(&request).unwrap_err();
            assert!(!everything_printed(&error).contains("hunter2"), "{}", everything_printed(&error));
            assert!(!format!("{request:?}").contains("hunter2"));
        }
    }
}

#[test]
fn a_session_may_move_to_another_thread_and_a_host_be_shared() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<Wire>();
    is_shared::<crate::http::Host>();
}

#[test]
fn figures_that_make_no_sense_are_refused() {
    let base = HttpConfig::default;
    for config in [
        HttpConfig { timeout: Duration::ZERO, ..base() },
        HttpConfig { requests_per_second: Some(0.0), ..base() },
        HttpConfig { requests_per_second: Some(f64::NAN), ..base() },
        HttpConfig { requests_per_minute: Some(0), ..base() },
        HttpConfig { root_certificates: vec![b"no certificate".to_vec()], ..base() },
    ] {
        assert_eq!(crate::http::Host::new(config).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// What this process holds.
#[cfg(target_os = "linux")]
fn held(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// The other half of `nothing_is_left_after_many_requests`: alone in a process of its own.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by nothing_is_left_after_many_requests"]
fn many_requests() {
    let server =
        Server::new(|number, _| if number % 3 == 0 { Reply::Close(ok()) } else { Reply::Keep(ok()) });
    let round = || {
        let host = crate::http::Host::new(config()).unwrap();
        let mut wire = host.wire(&worker());
        for _ in 0..10 {
            let _ = wire.send(&get(&server));
            let _ = wire.send(&post(&server));
        }
        wire.interrupt()();
        let _ = wire.send_once(&get(&server), LIMIT);
    };
    // Threads of the server and of connections end a moment after their last answer.
    let settled = || {
        let mut before = (usize::MAX, usize::MAX);
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = (held("fd"), held("task"));
            if now == before {
                return now;
            }
            before = now;
        }
    };
    round();
    let before = settled();
    for _ in 0..50 {
        round();
    }
    assert_eq!(settled(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_after_many_requests() {
    let name = "http::tests::limits::many_requests";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
