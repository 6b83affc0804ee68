//! How fast the server is: it must not be what a benchmark measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use std::time::Duration;

use batchcall::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::client::Client;

#[test]
#[ignore = "measures; run it with --release --ignored --nocapture"]
fn thousands_of_gets_a_second() {
    let sandbox = Sandbox::acumatica().start().unwrap();
    for clients in [1, 2, 4, 8] {
        let requests = 20_000;
        let cookies: Vec<String> =
            (0..clients).map(|_| Client::signed_in(&sandbox).cookie.unwrap()).collect();
        let started = Instant::now();
        thread::scope(|scope| {
            for cookie in &cookies {
                let port = sandbox.port();
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let request = format!(
                        "GET /entity/Default/24.200.001/Customer/CUST001 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nCookie: {cookie}\r\n\r\n"
                    );
                    let mut buffer = vec![0; 64 * 1024];
                    for _ in 0..requests / clients {
                        stream.write_all(request.as_bytes()).unwrap();
                        // The answer is far smaller than the buffer and leaves in one write.
                        let read = stream.read(&mut buffer).unwrap();
                        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
                    }
                });
            }
        });
        println!(
            "{clients} clients: {:.0} requests/s",
            f64::from(requests) / started.elapsed().as_secs_f64()
        );
    }
}

#[test]
#[ignore = "measures; run it with --release --ignored --nocapture"]
fn hundreds_of_thousands_of_odoo_rows_a_second() {
    let rows: Vec<Value> = (0..1000)
        .map(|i| {
            json!({
                "name": format!("Partner {i}"), "email": format!("partner{i}@example.com"), "city": "Brussels",
                "street": format!("Rue {i}"), "phone": "+32 2 290 34 90", "ref": format!("P{i:06}"),
            })
        })
        .collect();
    let cells: Vec<Value> = rows
        .iter()
        .map(|row| {
            ["ref", "name", "email", "city", "street", "phone"]
                .map(|name| row[name].clone())
                .into_iter()
                .collect()
        })
        .collect();
    let create = json!({"vals_list": rows}).to_string();
    let load =
        json!({"fields": ["id", "name", "email", "city", "street", "phone"], "data": cells}).to_string();
    for (method, body) in [("create", &create), ("load", &load)] {
        for clients in [1, 2, 4] {
            let sandbox = Sandbox::odoo(19).keep_alive(Duration::from_secs(60)).start().unwrap();
            let key = sandbox.api_key("admin").unwrap();
            let requests = 200;
            let started = Instant::now();
            thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(|| {
                        let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
                        stream.set_nodelay(true).unwrap();
                        let request = format!(
                            "POST /json/2/res.partner/{method} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                             Authorization: bearer {key}\r\nContent-Length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        let mut buffer = vec![0; 64 * 1024];
                        for _ in 0..requests / clients {
                            stream.write_all(request.as_bytes()).unwrap();
                            // The answer is far smaller than the buffer and leaves in one write.
                            let read = stream.read(&mut buffer).unwrap();
                            assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
                        }
                    });
                }
            });
            let rate = f64::from(requests) * 1000.0 / started.elapsed().as_secs_f64();
            println!("{method}, {clients} clients: {rate:.0} rows/s");
        }
    }
}
