//! Connections that break, time limits, interrupts and secrets.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::{address, base, open, settings};
use crate::engine::stop::Deadline;
use crate::sql::driver::{Chunk, Driver, Returning};
use crate::sql::postgres::Connection;
use crate::{Delivery, ErrorKind};

/// A row that has something done when it is encoded.
struct Trap<F>(i64, F);

impl<F: Fn()> Serialize for Trap<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut row = serializer.serialize_struct("Trap", 1)?;
        row.serialize_field("id", &self.0)?;
        if self.0 == 50_000 {
            (self.1)();
        }
        row.end()
    }
}

#[test]
fn a_backend_killed_in_the_middle_of_a_copy_applied_nothing() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY)");
    let table = base.table("t");
    let pid: i64 = base.connection.query("SELECT pg_backend_pid()", &[()]).unwrap()[0][0];
    let kill = || {
        open().unwrap().execute("SELECT pg_terminate_backend($1)", &[[pid]]).unwrap();
        thread::sleep(Duration::from_millis(50));
    };
    let rows: Vec<_> = (0..100_000).map(|id| Trap(id, &kill)).collect();
    let chunk = Chunk {
        table: &table,
        columns: &[0],
        rows: &rows,
        isolate: true,
        returning: Returning::Nothing,
        bulk: true,
    };
    let error = base.connection.insert::<_, ()>(&chunk).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(error.delivery(), Some(Delivery::NotSent));
    assert!(base.connection.is_broken());
    let mut other = open().unwrap();
    let count: i64 = other.query(&format!("SELECT count(*) FROM {}.t", base.schema), &[()]).unwrap()[0][0];
    assert_eq!(count, 0);
}

#[test]
fn a_statement_ends_at_its_limit_and_at_the_deadline() {
    let Some(address) = address() else { return };
    let mut settings = settings(&address);
    settings.statement_timeout = Some(Duration::from_millis(100));
    let mut connection = Connection::open(&settings, Deadline::never()).unwrap();
    let error = connection.execute("SELECT pg_sleep(20)", &[()]).unwrap_err();
    assert_eq!((error.kind(), error.remote_name()), (ErrorKind::Timeout, Some("57014")));
    assert!(!connection.is_broken());
    settings.statement_timeout = None;
    let mut connection = Connection::open(&settings, Deadline::never()).unwrap();
    connection.set_deadline(Deadline::after(Duration::from_millis(150)));
    assert_eq!(connection.execute("SELECT pg_sleep(20)", &[()]).unwrap_err().kind(), ErrorKind::Timeout);
    thread::sleep(Duration::from_millis(150));
    let error = connection.execute("SELECT 1", &[()]).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Some(Delivery::NotSent)));
    connection.set_deadline(Deadline::never());
    connection.execute("SELECT pg_sleep(0.3)", &[()]).unwrap();
}

#[test]
fn an_interrupt_ends_a_statement_at_once() {
    let Some(mut connection) = open() else { return };
    let interrupt = connection.interrupt();
    let began = Instant::now();
    let error = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(100));
            interrupt();
        });
        connection.execute("SELECT pg_sleep(20)", &[()]).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(connection.is_broken());
}

#[test]
fn no_error_shows_the_password() {
    let mut errors = Vec::new();
    for bad in
        ["postgres://u:hunter2@127.0.0.1:1/d", "postgres://u:hunter2@[", "host=x password=hunter2 nonsense"]
    {
        errors.push(Connection::open(&settings(bad), Deadline::never()).unwrap_err());
    }
    assert_eq!(errors[0].kind(), ErrorKind::Connect);
    assert!(errors[0].is_retryable());
    assert_eq!(errors[1].kind(), ErrorKind::Invalid);
    if let Some(address) = address() {
        let wrong = address.replacen("batchcall:", "batchcall:hunter2", 1);
        let error = Connection::open(&settings(&wrong), Deadline::never()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        errors.push(error);
        let missing = address.replace("/postgres", "/nowhere");
        let error = Connection::open(&settings(&missing), Deadline::never()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let tls = format!("{address}?sslmode=require");
        let error = Connection::open(&settings(&tls), Deadline::never()).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connect, false));
    }
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn a_silent_server_is_not_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("postgres://u:p@{}/d", listener.local_addr().unwrap());
    let began = Instant::now();
    let deadline = Deadline::after(Duration::from_millis(200));
    let error = Connection::open(&settings(&address), deadline).unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Some(Delivery::NotSent)));
    assert!(began.elapsed() < Duration::from_secs(3));
}
