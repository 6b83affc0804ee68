//! Requests against a server on loopback that misbehaves as each test says.

mod cut;
mod host;
mod limits;
mod server;

use std::time::Duration;

use super::{HttpConfig, Method, Nature, Request, Wire};
use crate::engine::connect::Worker;
use crate::engine::retry::RetryPolicy;
use crate::engine::stop::Deadline;
use server::Server;

/// What a time limit may be exceeded by.
const GRACE: Duration = Duration::from_millis(250);

/// Short waits, everything else as by default.
fn config() -> HttpConfig {
    let (short, cap) = (Duration::from_millis(1), Duration::from_millis(5));
    HttpConfig {
        retry: RetryPolicy::new().base(short).throttled_base(short).cap(cap),
        ..HttpConfig::default()
    }
}

fn wire_with(config: HttpConfig) -> Wire {
    super::Host::new(config).unwrap().wire(&worker())
}

fn wire() -> Wire {
    wire_with(config())
}

/// A deadline far enough not to matter, near enough not to hang.
fn worker() -> Worker {
    Worker::detached(Deadline::after(Duration::from_secs(30)))
}

fn get(server: &Server) -> Request {
    Request::new(Method::GET, server.url()).entity("Customer")
}

fn post(server: &Server) -> Request {
    Request::new(Method::POST, server.url()).entity("Bill").body(b"{\"amount\": 10}".to_vec())
}

fn put_keyed(server: &Server) -> Request {
    let request = Request::new(Method::PUT, server.url()).entity("Customer/C1");
    request.body(b"{\"name\": \"x\"}".to_vec()).nature(Nature::Keyed)
}
