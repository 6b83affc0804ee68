//! A server on loopback that does what a test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) connection: usize,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    pub(super) at: Instant,
}

/// What to do with a request.
pub(super) enum Reply {
    /// Answer and keep the connection.
    Keep(Vec<u8>),
    /// Answer, or a part of it, and close.
    Close(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<Mutex<usize>>,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Server {
    /// Hands every connection, and its number, to the handler.
    pub(super) fn raw(handler: impl Fn(TcpStream, usize, &Server) + Send + Sync + 'static) -> Self {
        Self::raw_on(TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    pub(super) fn raw_on(
        listener: TcpListener,
        handler: impl Fn(TcpStream, usize, &Server) + Send + Sync + 'static,
    ) -> Self {
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (handler, accepted) = (Arc::new(handler), server.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = {
                    let mut connections = accepted.connections.lock().unwrap();
                    *connections += 1;
                    *connections - 1
                };
                let (handler, server) = (handler.clone(), accepted.clone());
                thread::spawn(move || handler(stream, number, &server));
            }
        });
        server
    }

    /// Answers every request, told its number, over as many connections as the client wants.
    pub(super) fn new(reply: impl Fn(usize, &Recorded) -> Reply + Send + Sync + 'static) -> Self {
        Self::new_on(TcpListener::bind("127.0.0.1:0").unwrap(), reply)
    }

    pub(super) fn new_on(
        listener: TcpListener,
        reply: impl Fn(usize, &Recorded) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::raw_on(listener, move |stream, connection, server| {
            stream.set_nodelay(true).unwrap();
            let mut reader = BufReader::new(stream);
            while let Some((number, request)) = server.receive(&mut reader, connection) {
                match reply(number, &request) {
                    Reply::Keep(bytes) => {
                        if reader.get_mut().write_all(&bytes).is_err() {
                            return;
                        }
                    }
                    Reply::Close(bytes) => {
                        let _ = reader.get_mut().write_all(&bytes);
                        return;
                    }
                }
            }
        })
    }

    /// Reads one request and remembers it.
    pub(super) fn receive(
        &self,
        reader: &mut BufReader<TcpStream>,
        connection: usize,
    ) -> Option<(usize, Recorded)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let recorded = Recorded { connection, head, body, at: Instant::now() };
        let mut requests = self.requests.lock().unwrap();
        requests.push(recorded.clone());
        Some((requests.len() - 1, recorded))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/entity", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// An answer with its length.
pub(super) fn answer(status: u16, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Word\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        answer.push_str(header);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

pub(super) fn ok() -> Vec<u8> {
    answer(200, &["Content-Type: application/json"], b"{\"value\": 1}")
}
