//! What goes wrong on a real PostgreSQL: killed backends, deadlocks, serialization failures, deadlines, and a
//! connection that breaks at the worst moment.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use batchcall::sql::{BatchConfig, RowStatus};
use batchcall::{BatchCall, Database, ErrorKind, RetryPolicy, Strategy};

use crate::place::{Place, Product, product, products};

fn quick() -> RetryPolicy {
    RetryPolicy::new().base(Duration::from_millis(1)).attempts(5)
}

/// A database on the same schema under an application name of its own.
fn named(place: &Place, name: &str, options: &str) -> Database {
    let url = place.url(&format!("application_name={name}"), options);
    Database::open(&url).unwrap()
}

/// Waits until a backend of that name waits for a lock.
fn until_blocked(place: &Place, name: &str) {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    while place.db.query::<i64>(sql, (name,)).unwrap() != [1] {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_backend_that_is_killed_costs_no_row_and_doubles_none() {
    let Some(place) = Place::postgres() else { return };
    place.products();
    for strategy in [Strategy::Chunked, Strategy::Parallel, Strategy::Pipelined, Strategy::OneByOne] {
        let name = place.name(&format!("killed{strategy:?}"));
        let db = named(&place, &name, "");
        let kills = Cell::new(0);
        let config = BatchConfig::new().strategy(strategy).batch_size(100).max_workers(3).retry(quick());
        let rows = products(1..if strategy == Strategy::OneByOne { 301 } else { 3001 });
        let table = db.table::<Product>("products").config(config).on_progress(|_| {
            if kills.get() < 5 {
                kills.set(kills.get() + 1);
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
                place.db.query::<i64>(sql, (&name,)).unwrap();
            }
        });
        let written = table.insert(&rows).unwrap_or_else(|failure| failure.into_written());
        // What is in doubt was lost during its commit; everything else is known.
        let there = usize::try_from(place.count("products")).unwrap();
        assert_eq!(
            written.inserted() + written.in_doubt() + written.not_run() + written.failed(),
            rows.len()
        );
        assert!((written.inserted()..=written.inserted() + written.in_doubt()).contains(&there), "{written}");
        place.db.execute("TRUNCATE products", ()).unwrap();
    }
}

#[test]
fn the_victim_of_a_deadlock_begins_again() {
    let Some(place) = Place::postgres() else { return };
    place.products();
    place.db.table::<Product>("products").insert(products(1..3)).unwrap();
    let name = place.name("victim");
    let victim = named(&place, &name, "");
    let mut other = place.db.connection().unwrap();
    other.execute("SET deadlock_timeout = '1h'", ()).unwrap();
    other.begin().unwrap();
    other.execute("UPDATE products SET stock = 1 WHERE id = 1", ()).unwrap();
    std::thread::scope(|scope| {
        let update = scope.spawn(|| {
            let config = BatchConfig::new().one_transaction(true).batch_size(1).retry(quick());
            let rows = [Product { stock: 22, ..product(2) }, Product { stock: 11, ..product(1) }];
            victim.table::<Product>("products").config(config).update(rows, ["stock"]).unwrap()
        });
        until_blocked(&place, &name);
        // Closes the circle; the victim, who waited first, finds it out.
        other.execute("UPDATE products SET stock = 2 WHERE id = 2", ()).unwrap();
        other.commit().unwrap();
        let written = update.join().unwrap();
        assert_eq!((written.updated(), written.metrics().retries), (2, 1));
    });
    let stocks = place.db.query::<i32>("SELECT stock FROM products ORDER BY id", ()).unwrap();
    assert_eq!(stocks, [11, 22]);
}

#[test]
fn a_serialization_failure_is_tried_again_in_a_new_transaction() {
    let Some(place) = Place::postgres() else { return };
    place.products();
    place.db.table::<Product>("products").insert(products(1..3)).unwrap();
    let name = place.name("serial");
    let strict = named(&place, &name, " -cdefault_transaction_isolation=serializable");
    let mut other = place.db.connection().unwrap();
    other.begin().unwrap();
    other.execute("UPDATE products SET stock = 500 WHERE id = 2", ()).unwrap();
    std::thread::scope(|scope| {
        let update = scope.spawn(|| {
            let config = BatchConfig::new().one_transaction(true).batch_size(1).retry(quick());
            let rows = [Product { stock: 11, ..product(1) }, Product { stock: 22, ..product(2) }];
            strict.table::<Product>("products").config(config).update(rows, ["stock"]).unwrap()
        });
        until_blocked(&place, &name);
        other.commit().unwrap();
        let written = update.join().unwrap();
        assert_eq!((written.updated(), written.metrics().retries), (2, 1));
    });
    // Without retries it is told as what it is.
    let mut other = place.db.connection().unwrap();
    other.begin().unwrap();
    other.execute("UPDATE products SET stock = 500 WHERE id = 2", ()).unwrap();
    std::thread::scope(|scope| {
        let update = scope.spawn(|| {
            let config = BatchConfig::new().one_transaction(true).batch_size(1).retry(RetryPolicy::never());
            let rows = [Product { stock: 12, ..product(1) }, Product { stock: 23, ..product(2) }];
            strict.table::<Product>("products").config(config).update(rows, ["stock"]).unwrap_err()
        });
        until_blocked(&place, &name);
        other.commit().unwrap();
        let failure = update.join().unwrap();
        assert_eq!(failure.error().remote_name(), Some("40001"));
        assert!(failure.error().is_retryable());
        assert_eq!(failure.written().statuses()[0], RowStatus::RolledBack);
    });
}

#[test]
fn the_deadline_ends_a_statement_on_the_server_too() {
    let Some(place) = Place::postgres() else { return };
    place.create("slow", "id $id");
    place.db.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'; \
         CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait()",
        (),
    ).unwrap();
    let name = place.name("slow");
    let db = named(&place, &name, "");
    let timeout = Duration::from_millis(300);
    let began = Instant::now();
    let rows = [batchcall::Record::from_iter([("id", 1)])];
    let config = BatchConfig::new().timeout(timeout);
    let failure = db.table::<batchcall::Record>("slow").config(config).insert(rows).unwrap_err();
    assert!(began.elapsed() <= timeout + Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(failure.error().kind(), ErrorKind::Timeout, "{failure}");
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'";
    while place.db.query::<i64>(sql, (&name,)).unwrap() != [0] {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(place.count("slow"), 0);
    assert_eq!(db.query::<i64>("SELECT 1", ()).unwrap(), [1]);
}

#[test]
fn a_statement_timeout_is_a_timeout() {
    let Some(place) = Place::postgres_with(|builder| builder.statement_timeout(Duration::from_millis(50)))
    else {
        return;
    };
    let error = place.db.execute("SELECT pg_sleep(30)", ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(place.db.query::<i64>("SELECT 1", ()).unwrap(), [1]);
}

#[test]
fn no_connection_is_left_in_a_transaction_or_open() {
    let Some(place) = Place::postgres() else { return };
    place.products();
    let name = place.name("left");
    let db = named(&place, &name, "");
    let report = BatchCall::new(&db)
        .max_concurrent(1)
        .calls(0..2, |session, n| {
            session.begin()?;
            session.execute("INSERT INTO products (sku, name) VALUES ($1, 'x')", (format!("s{n}"),))?;
            if *n == 0 { session.commit() } else { Ok(()) }
        })
        .execute()
        .unwrap();
    assert_eq!(report.stats().successful_calls, 2);
    assert_eq!(place.count("products"), 1);
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'";
    assert_eq!(place.db.query::<i64>(sql, (&name,)).unwrap(), [0]);
    drop(db);
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    while place.db.query::<i64>(sql, (&name,)).unwrap() != [0] {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_never_told() {
    let Some(place) = Place::postgres() else { return };
    let url = place.url("", "").replacen("batchcall:", "batchcall:wrong", 1);
    let error = Database::open(&url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Database::open(&format!("postgres://u:hunter2@127.0.0.1:{port}/db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

/// A connection through which everything goes, until a message with this text: that is delivered, and then
/// both ends are closed before the answer comes back. If it `dies`, it takes no more connections.
fn cutting_proxy(server: String, text: &'static [u8], dies: bool) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let armed = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&armed);
    std::thread::spawn(move || {
        let dead = Arc::new(AtomicBool::new(false));
        for client in listener.incoming() {
            if dead.load(Ordering::SeqCst) {
                continue;
            }
            let dead = Arc::clone(&dead);
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let cut = Arc::clone(&cut);
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let silent = Arc::new(AtomicBool::new(false));
            let muted = Arc::clone(&silent);
            std::thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(read @ 1..) = back_from.read(&mut buffer) {
                    if !muted.load(Ordering::SeqCst) && back_to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = back_to.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let (mut from, mut to) = (client, server);
                let mut buffer = [0; 65536];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    let hit = buffer[..read].windows(text.len()).any(|window| window == text);
                    let last = hit && cut.swap(false, Ordering::SeqCst);
                    if last {
                        dead.store(dies, Ordering::SeqCst);
                        silent.store(true, Ordering::SeqCst);
                    }
                    if to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                    if last {
                        // Long enough for the server to do it.
                        std::thread::sleep(Duration::from_millis(300));
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
    });
    (port, armed)
}

/// Inserts 20 rows through a proxy that cuts the connection once, at a message with this text.
fn inserted_through(
    place: &Place,
    text: &'static [u8],
    dies: bool,
) -> batchcall::sql::Written<batchcall::Record> {
    place.create("log", "line text");
    let (port, armed) = cutting_proxy(place.server_address(), text, dies);
    let db = Database::open(&place.url_on_port(port)).unwrap();
    let rows: Vec<batchcall::Record> =
        (0..20).map(|n| batchcall::Record::from_iter([("line", n.to_string())])).collect();
    let table = db
        .table::<batchcall::Record>("log")
        .config(BatchConfig::new().retry(quick()).timeout(Duration::from_secs(3)));
    armed.store(true, Ordering::SeqCst);
    let written = table.insert(&rows).unwrap_or_else(|failure| failure.into_written());
    assert!(!armed.load(Ordering::SeqCst), "the message was not seen");
    written
}

#[test]
fn a_commit_whose_answer_is_lost_is_looked_up_and_not_sent_again() {
    let Some(place) = Place::postgres() else { return };
    let written = inserted_through(&place, b"COMMIT", false);
    assert_eq!((written.inserted(), written.metrics().retries), (20, 0), "{written}");
    assert_eq!(place.count("log"), 20);
}

#[test]
fn a_connection_lost_before_the_commit_costs_another_try() {
    let Some(place) = Place::postgres() else { return };
    let written = inserted_through(&place, b"SET CONSTRAINTS", false);
    assert_eq!((written.inserted(), written.metrics().retries), (20, 1), "{written}");
    assert_eq!(place.count("log"), 20);
}

#[test]
fn a_commit_that_nobody_can_ask_about_is_in_doubt() {
    let Some(place) = Place::postgres() else { return };
    let written = inserted_through(&place, b"COMMIT", true);
    assert_eq!((written.in_doubt(), written.metrics().retries), (20, 0), "{written}");
    assert!(written.errors()[0].error().is_in_doubt());
    assert_eq!(place.count("log"), 20);
}

#[test]
fn rows_without_their_parent_are_found_at_once() {
    let Some(place) = Place::postgres() else { return };
    place.create("airports", "code varchar(4) PRIMARY KEY");
    place.create("carriers", "id int PRIMARY KEY");
    place.create(
        "flights",
        "id $id, dest varchar(4) CONSTRAINT there REFERENCES airports (code), \
         carrier int CONSTRAINT flown REFERENCES carriers (id), after bigint REFERENCES flights (id)",
    );
    place.db.execute("INSERT INTO airports VALUES ('EWR'), ('JFK')", ()).unwrap();
    place.db.execute("INSERT INTO carriers VALUES (1)", ()).unwrap();
    let rows: Vec<batchcall::Record> = (0..3000_i64)
        .map(|n| {
            let dest = if n % 10 == 3 { "BQN" } else { "EWR" };
            let carrier = (n % 7 != 0).then_some(if n % 100 == 5 { 9 } else { 1 });
            let after = (n > 0 && n % 50 == 1).then_some(n - 1);
            [("id", serde_json::json!(n)), ("dest", serde_json::json!(dest))]
                .into_iter()
                .chain([("carrier", serde_json::json!(carrier)), ("after", serde_json::json!(after))])
                .collect()
        })
        .collect();
    let config = BatchConfig::new().continue_on_error(true);
    let written = place.db.table::<batchcall::Record>("flights").config(config).insert(&rows).unwrap();
    let bad = |n: usize| n % 10 == 3 || (n % 100 == 5 && !n.is_multiple_of(7));
    let expected: Vec<usize> = (0..3000).filter(|n| bad(*n)).collect();
    let found: Vec<usize> = written.errors().iter().map(|error| error.index()).collect();
    assert_eq!(found, expected, "{written}");
    let said = |n: usize| batchcall::sql::DatabaseError::of(written.errors()[n].error()).unwrap();
    assert_eq!((said(0).constraint(), said(1).constraint()), (Some("there"), Some("flown")));
    assert!(said(0).detail().unwrap().contains("(dest)=(BQN)"));
    assert!(written.metrics().statements < 20, "{}", written.metrics());
    assert_eq!(usize::try_from(place.count("flights")).unwrap(), 3000 - expected.len());
}

#[test]
fn an_upsert_in_doubt_adds_rows_without_a_key_once() {
    let Some(place) = Place::postgres() else { return };
    place.create("log", "id bigint UNIQUE, line text");
    // Nobody can say what became of a transaction.
    place
        .db
        .execute("CREATE FUNCTION txid_status(bigint) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'", ())
        .unwrap();
    let (port, armed) = cutting_proxy(place.server_address(), b"COMMIT", false);
    let url = place.url("", ",pg_catalog").replacen(&place.server_address(), &format!("127.0.0.1:{port}"), 1);
    let db = Database::open(&url).unwrap();
    let table = db.table::<batchcall::Record>("log").config(BatchConfig::new().retry(quick()));
    for id in [None, Some(1)] {
        let row = batchcall::Record::from_iter([("id", serde_json::json!(id)), ("line", "x".into())]);
        armed.store(true, Ordering::SeqCst);
        let written = table.upsert([row], ["id"], [""; 0]).unwrap_or_else(|failure| failure.into_written());
        assert!(!armed.load(Ordering::SeqCst), "the message was not seen");
        // With a key it is sent again, and found.
        let told = (written.in_doubt(), written.metrics().retries);
        assert_eq!(told, if id.is_none() { (1, 0) } else { (0, 1) }, "{written}");
    }
    assert_eq!(place.count("log"), 2);
}
