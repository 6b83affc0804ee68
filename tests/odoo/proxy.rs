//! A proxy that takes only so much: it answers as soon as it has read the head, and hangs up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use batchcall::odoo::Odoo;
use batchcall::{Executor, Operation};
use serde_json::{Value, json};

/// Takes bodies of so many bytes, and tells how long those were that came.
fn takes_at_most(limit: usize) -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lengths);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            thread::spawn(move || serve(&stream, limit, &seen));
        }
    });
    (url, lengths)
}

fn serve(stream: &TcpStream, limit: usize, seen: &Mutex<Vec<usize>>) {
    let mut reader = BufReader::with_capacity(512, stream);
    let answer = |status: &str, body: &str| {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = stream;
        stream.write_all(text.as_bytes()).is_ok()
    };
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        seen.lock().unwrap().push(length);
        if length > limit {
            // To hang up with something unread is to reset the connection: the client's next write fails.
            answer("413 Request Entity Too Large", "<title>413 Request Entity Too Large</title>");
            return;
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = match body["vals_list"].as_array() {
            Some(rows) => json!(rows.iter().map(|row| row["color"].clone()).collect::<Vec<_>>()),
            None => json!({"uid": 2, "version_info": [19, 0, 0, "final", 0, ""]}),
        };
        if !answer("200 OK", &text.to_string()) {
            return;
        }
    }
}

#[test]
fn a_body_that_is_refused_while_it_is_written_goes_in_parts() {
    // Longer than what the system holds back of a connection: the client still writes when it is refused.
    let (url, lengths) = takes_at_most(3 << 20);
    let client = Odoo::builder(&url).database("test").api_key("key").build().unwrap();
    let rows: Vec<_> = (1..=32).map(|n| json!({"color": n, "comment": "x".repeat(1 << 20)})).collect();
    let report = Executor::new(&client)
        .batch_size(32)
        .execute([Operation::create("res.partner", rows).unwrap()])
        .unwrap();
    assert!(report.is_complete(), "{report}");
    let ids: Vec<_> = report.into_ids().unwrap().iter().filter_map(|id| id.as_i64()).collect();
    assert!(ids.into_iter().eq(1..=32));
    let refused = lengths.lock().unwrap().iter().filter(|length| **length > 3 << 20).count();
    assert_eq!(refused, 1 + 2 + 4 + 8, "halves of 32, down to 2");
}
