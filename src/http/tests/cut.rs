//! Connections and answers that end too early, and what may be sent again.

use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;

use super::server::{Reply, Server, answer, ok};
use super::*;
use crate::error::{Delivery, ErrorKind};

/// 100,000 zeros, compressed.
const BOMB: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00,
    0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x0d, 0x0f, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x80, 0x57, 0x03, 0x7d, 0x95, 0x11, 0xd4, 0xa0, 0x86, 0x01, 0x00,
];

/// Reads `k` bytes of the first request and hangs up; answers all others.
fn hangs_up_after(k: usize) -> Server {
    Server::raw(move |mut stream, connection, server| {
        if connection == 0 {
            let mut part = vec![0; k];
            let _ = stream.read_exact(&mut part);
            return;
        }
        let mut reader = BufReader::new(stream);
        while server.receive(&mut reader, connection).is_some() {
            reader.get_mut().write_all(&ok()).unwrap();
        }
    })
}

/// How many bytes a request has, less one digit of the port that another server may lack.
fn length_of(request: impl Fn(&Server) -> Request) -> usize {
    let server = Server::new(|_, _| Reply::Keep(ok()));
    wire().send(&request(&server)).unwrap();
    let recorded = server.requests().remove(0);
    recorded.head.len() + recorded.body.len() - 1
}

#[test]
fn a_write_cut_off_at_any_byte_is_in_doubt_and_never_sent_twice() {
    for k in 0..length_of(post) {
        let server = hangs_up_after(k);
        let error = wire().send(&post(&server)).unwrap_err();
        assert!(error.is_in_doubt(), "{k}: {error:?}");
        assert_eq!(error.delivery(), Some(Delivery::MaybeSent));
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1), "{k}: {error:?}");
        assert_eq!(server.connections(), 1, "{k}");
    }
}

#[test]
fn a_read_or_keyed_write_cut_off_at_any_byte_goes_again() {
    for request in [get, put_keyed] {
        for k in 0..length_of(request) {
            let server = hangs_up_after(k);
            let answer = wire().send(&request(&server)).unwrap();
            assert_eq!((answer.status(), answer.attempts), (200, 2), "{k}");
            assert_eq!(server.requests().len(), 1, "{k}");
        }
    }
}

/// The first `k` bytes of an answer to the first request, then the end.
fn answers_in_part(k: usize, whole: Vec<u8>) -> Server {
    Server::new(
        move |number, _| {
            if number == 0 { Reply::Close(whole[..k].to_vec()) } else { Reply::Keep(ok()) }
        },
    )
}

#[test]
fn an_answer_cut_off_at_any_byte_leaves_a_write_in_doubt() {
    for k in 0..ok().len() {
        let server = answers_in_part(k, ok());
        let error = wire().send(&post(&server)).unwrap_err();
        assert!(error.is_in_doubt(), "{k}: {error:?}");
        assert_eq!(server.requests().len(), 1, "{k}");
    }
    let server = answers_in_part(ok().len(), ok());
    assert_eq!(wire().send(&post(&server)).unwrap().body(), b"{\"value\": 1}");
}

#[test]
fn an_answer_cut_off_at_any_byte_lets_a_read_go_again() {
    for k in 0..ok().len() {
        for request in [get, put_keyed] {
            let server = answers_in_part(k, ok());
            let answer = wire().send(&request(&server)).unwrap();
            assert_eq!((answer.attempts, server.requests().len()), (2, 2), "{k}");
        }
    }
}

#[test]
fn a_refusal_whose_explanation_is_cut_off_is_still_a_refusal() {
    let whole = answer(422, &[], b"{\"error\": \"no\"}");
    let server = answers_in_part(whole.len() - 5, whole);
    let request = post(&server);
    let answer = wire().send(&request).unwrap();
    assert_eq!((answer.status(), answer.body()), (422, &b"{\"error\": "[..]));
    assert!(!answer.to_error(&request, ErrorKind::Rejected, "no").is_in_doubt());
}

/// Answers after the head of a request and hangs up.
fn answers_early(whole: Vec<u8>) -> Server {
    Server::raw(move |mut stream, _, _| {
        stream.read_exact(&mut [0; 64]).unwrap();
        stream.write_all(&whole).unwrap();
    })
}

#[test]
fn a_refusal_that_comes_before_the_whole_request_was_sent_is_read() {
    let huge = vec![b'x'; 16 << 20];
    let server = answers_early(answer(413, &[], b"too large"));
    let answered = wire().send(&post(&server).body(huge.clone())).unwrap();
    assert_eq!((answered.status(), answered.body()), (413, &b"too large"[..]));

    for early in [ok(), Vec::new()] {
        let server = answers_early(early);
        let error = wire().send(&post(&server).body(huge.clone())).unwrap_err();
        assert!(error.is_in_doubt() && error.kind() == ErrorKind::Connect, "{error:?}");
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_connection_on_which_a_request_was_too_large_is_not_used_again() {
    let server = Server::new(|number, _| match number {
        0 => Reply::Keep(answer(413, &[], b"too large")),
        _ => Reply::Keep(ok()),
    });
    let mut wire = wire();
    assert_eq!(wire.send(&post(&server)).unwrap().status(), 413);
    for _ in 0..2 {
        assert_eq!(wire.send(&post(&server)).unwrap().status(), 200);
    }
    assert_eq!(server.connections(), 2, "the new one is kept");
}

#[test]
fn a_write_goes_out_on_a_new_connection_when_the_server_closed_the_kept_one() {
    let (closed, wait_for_close) = mpsc::channel();
    let server = Server::raw(move |stream, connection, server| {
        let mut reader = BufReader::new(stream);
        while server.receive(&mut reader, connection).is_some() {
            reader.get_mut().write_all(&ok()).unwrap();
            if connection == 0 {
                reader.get_mut().shutdown(Shutdown::Both).unwrap();
                closed.send(()).unwrap();
                return;
            }
        }
    });
    let mut wire = wire();
    wire.send(&post(&server)).unwrap();
    wait_for_close.recv().unwrap();
    let second = wire.send(&post(&server)).unwrap();
    assert_eq!((second.attempts, server.connections()), (1, 2));
    assert_eq!(server.requests().len(), 2);
}

/// Answers the first request of the first connection, takes the second one and hangs up.
fn closes_a_kept_connection() -> Server {
    Server::new(|number, _| match number {
        1 => Reply::Close(Vec::new()),
        _ => Reply::Keep(ok()),
    })
}

#[test]
fn a_write_that_dies_on_a_kept_connection_is_in_doubt() {
    let (server, mut wire) = (closes_a_kept_connection(), wire());
    wire.send(&get(&server)).unwrap();
    let error = wire.send(&post(&server)).unwrap_err();
    assert!(error.is_in_doubt(), "{error:?}");
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.head.starts_with("POST")).count(), 1);
    assert_eq!(requests[1].connection, 0);
}

#[test]
fn a_read_that_dies_on_a_kept_connection_goes_again_at_once() {
    // A wait of this length would be noticed.
    let slow = RetryPolicy::new().base(Duration::from_secs(600)).cap(Duration::from_secs(600)).attempts(2);
    for request in [get, put_keyed] {
        let server = closes_a_kept_connection();
        let mut wire = wire_with(HttpConfig { retry: slow.clone(), ..config() });
        wire.send(&get(&server)).unwrap();
        assert_eq!(wire.send(&request(&server)).unwrap().attempts, 2);
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let (server, mut wire) = (Server::new(|_, _| Reply::Keep(ok())), wire());
    for _ in 0..50 {
        assert_eq!(wire.send(&post(&server)).unwrap().status(), 200);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_body_goes_with_its_length_and_never_in_chunks() {
    let (server, mut wire) = (Server::new(|_, _| Reply::Keep(ok())), wire());
    wire.send(&post(&server)).unwrap();
    wire.send(&Request::new(Method::POST, server.url())).unwrap();
    wire.send(&get(&server)).unwrap();
    wire.send(&Request::new(Method::DELETE, server.url()).body(b"[1]".to_vec())).unwrap();
    let requests = server.requests();
    let lower: Vec<_> = requests.iter().map(|request| request.head.to_lowercase()).collect();
    assert!(lower[0].contains("content-length: 14\r\n"), "{}", lower[0]);
    assert!(lower[1].contains("content-length: 0\r\n"), "{}", lower[1]);
    assert!(!lower[2].contains("content-length"), "{}", lower[2]);
    assert!(lower[3].contains("content-length: 3\r\n"), "{}", lower[3]);
    assert!(lower.iter().all(|head| !head.contains("chunked")));
    assert_eq!(requests[0].body, b"{\"amount\": 10}");
}

#[test]
fn a_body_over_the_limit_is_not_read_and_not_asked_for_again() {
    let server = Server::new(|_, _| Reply::Keep(answer(200, &[], &[b'x'; 2000])));
    let small = HttpConfig { max_body: 1999, ..config() };
    let error = wire_with(small.clone()).send(&get(&server)).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 1));
    assert!(!error.is_in_doubt());
    assert!(wire_with(small).send(&post(&server)).unwrap_err().is_in_doubt());
    let fits = HttpConfig { max_body: 2000, ..config() };
    assert_eq!(wire_with(fits).send(&get(&server)).unwrap().body().len(), 2000);
}

#[test]
fn an_announced_length_is_not_believed() {
    let server = Server::new(|_, _| {
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n{}".to_vec())
    });
    let error = wire().send(&post(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.is_in_doubt());
    assert_eq!(error.status(), Some(200));
}

#[test]
fn the_limit_counts_decompressed_bytes() {
    let server = Server::new(|_, _| Reply::Keep(answer(200, &["Content-Encoding: gzip"], BOMB)));
    let error = wire_with(HttpConfig { max_body: 10_000, ..config() }).send(&get(&server)).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 1));
    let answer = wire().send(&get(&server)).unwrap();
    assert_eq!(answer.body(), [0; 100_000]);
    let asked = server.requests()[0].head.to_lowercase();
    assert!(asked.contains("accept-encoding: gzip"), "{asked}");
}

#[test]
fn broken_compression_is_an_unreadable_answer() {
    let mut broken = BOMB.to_vec();
    broken[20] ^= 0xff;
    let server = Server::new(move |_, _| Reply::Keep(answer(200, &["Content-Encoding: gzip"], &broken)));
    let error = wire().send(&post(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.is_in_doubt());
}

#[test]
fn what_is_not_http_is_an_unreadable_answer() {
    let server = Server::new(|_, _| Reply::Close(b"220 smtp.example.com ESMTP\r\n\r\n".to_vec()));
    let error = wire().send(&post(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.is_in_doubt());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(wire().send(&get(&server)).unwrap_err().attempts(), 3);
}
