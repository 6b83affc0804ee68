//! How fast the server is: it must not be what a benchmark measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use batchcall::sandbox::Sandbox;

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
