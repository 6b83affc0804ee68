//! Files: other writers, the write-ahead log, and what ends a wait.

use std::path::PathBuf;

use super::*;

/// A file that is gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("batchcall-{}-{name}.db", std::process::id()));
        let file = Self(path);
        file.remove();
        file
    }

    fn open(&self, busy: Duration, wal: bool) -> Connection {
        let settings = Settings { busy_timeout: busy, wal, ..settings(Target::Sqlite(self.0.clone())) };
        Connection::open(&settings).unwrap()
    }

    fn remove(&self) {
        for tail in ["", "-wal", "-shm", "-journal"] {
            let mut path = self.0.clone().into_os_string();
            path.push(tail);
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_wait_for_another_writer_ends_at_the_deadline() {
    let file = File::new("deadline");
    let mut first = file.open(LONG, false);
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", &[()]).unwrap();
    let mut second = file.open(LONG, false);
    let t = table(&mut second, "t");
    first.begin().unwrap();
    let since = Instant::now();
    second.set_deadline(Deadline::after(Duration::from_millis(60)));
    let error = second.insert::<_, ()>(&chunk(&t, &[0], &[json!({"id": 1})], true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(second.begin().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(since.elapsed() < Duration::from_secs(2));

    // And when it is told to, from another thread.
    second.set_deadline(Deadline::never());
    let interrupt = second.interrupt();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        interrupt();
    });
    assert_eq!(second.begin().unwrap_err().kind(), ErrorKind::Interrupted);
    thread.join().unwrap();

    // What was left behind is nothing.
    second.set_deadline(Deadline::never());
    first.commit().unwrap();
    second.insert::<_, ()>(&chunk(&t, &[0], &[json!({"id": 1})], true)).unwrap();
    assert_eq!(count(&mut first, "t"), 1);
}

#[test]
fn a_wait_for_another_writer_ends_with_the_patience() {
    let file = File::new("busy");
    let mut first = file.open(LONG, false);
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", &[()]).unwrap();
    let mut second = file.open(Duration::from_millis(40), false);
    let t = table(&mut second, "t");
    first.begin().unwrap();
    let since = Instant::now();
    let error = second.insert::<_, ()>(&chunk(&t, &[0], &[json!({"id": 1})], true)).unwrap_err();
    assert_eq!((error.kind(), error.remote_name()), (ErrorKind::Unavailable, Some("SQLITE_BUSY")));
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(40) && waited < Duration::from_secs(2), "{waited:?}");
}

#[test]
fn with_the_write_ahead_log_readers_do_not_wait_for_a_writer() {
    let file = File::new("wal");
    let mut writer = file.open(LONG, true);
    assert_eq!(writer.query::<_, String>("PRAGMA journal_mode", &[()]).unwrap()[0], ["wal"]);
    writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", &[()]).unwrap();
    let mut reader = file.open(Duration::from_millis(1), true);
    let t = table(&mut writer, "t");
    writer.begin().unwrap();
    writer.insert::<_, ()>(&chunk(&t, &[0], &[json!({"id": 1})], false)).unwrap();
    let (before, _) = reader.get::<Value>(&t, &[], &[0], &[Key::from(1)]).unwrap();
    writer.commit().unwrap();
    let (after, _) = reader.get::<Value>(&t, &[], &[0], &[Key::from(1)]).unwrap();
    assert_eq!((before, after), (vec![None], vec![Some(json!({"id": 1}))]));
    let plain = File::new("no-wal");
    let mut db = plain.open(LONG, false);
    assert_eq!(db.query::<_, String>("PRAGMA journal_mode", &[()]).unwrap()[0], ["delete"]);
}

#[test]
fn an_interrupt_between_two_operations_ends_the_next_one() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let set = columns(&products, &["name"]);
    let rows = [json!({"name": "a"})];
    type Try = fn(&mut Connection, &TableInfo, &[usize], &[Value]) -> Result<()>;
    let tries: [Try; 6] = [
        |db, table, set, rows| db.insert::<_, ()>(&chunk(table, set, rows, true)).map(drop),
        |db, table, _, _| db.get::<Value>(table, &[], &[0], &[Key::from(1)]).map(drop),
        |db, table, _, _| db.delete::<()>(table, &[0], &[Key::from(1)], true, Returning::Nothing).map(drop),
        |db, _, _, _| db.query::<_, i64>("SELECT 1", &[()]).map(drop),
        |db, _, _, _| db.execute("UPDATE products SET stock = 1", &[(), ()]).map(drop),
        |db, _, _, _| db.begin(),
    ];
    for (number, attempt) in tries.iter().enumerate() {
        db.set_deadline(Deadline::never());
        db.interrupt()();
        let error = attempt(&mut db, &products, &set, &rows).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{number}");
        assert!(!db.is_broken(), "{number}");
        // Whoever has it next is not disturbed.
        db.set_deadline(Deadline::never());
        assert_eq!(count(&mut db, "products"), 0, "{number}");
    }
}

#[test]
fn a_commit_that_fails_leaves_nothing_open() {
    let mut db =
        memory("CREATE TABLE t (id INTEGER PRIMARY KEY, up INT REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
    db.begin().unwrap();
    db.execute("INSERT INTO t VALUES (1, 9)", &[()]).unwrap();
    let error = db.commit().unwrap_err();
    assert_eq!(error.remote_name(), Some("SQLITE_CONSTRAINT_FOREIGNKEY"));
    assert!(!db.is_broken());
    assert_eq!(count(&mut db, "t"), 0);
    db.begin().unwrap();
    db.execute("INSERT INTO t VALUES (1, 1)", &[()]).unwrap();
    db.commit().unwrap();
    assert_eq!(count(&mut db, "t"), 1);
}

#[test]
fn a_statement_has_no_more_than_its_own_time() {
    let mut db = Connection::open(&Settings {
        statement_timeout: Some(Duration::from_millis(30)),
        ..settings(Target::SqliteInMemory)
    })
    .unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    assert_eq!(db.query::<_, i64>(endless, &[()]).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(db.query::<_, i64>("SELECT 1", &[()]).unwrap(), [[1]]);
}

#[test]
fn a_transaction_that_sqlite_undid_takes_nothing_more() {
    let mut db = memory(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TRIGGER no BEFORE INSERT ON t WHEN new.id = 3 \
         BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END",
    );
    let t = table(&mut db, "t");
    let rows = [json!({"id": 1}), json!({"id": 3}), json!({"id": 4})];
    let error = db.insert::<_, ()>(&chunk(&t, &[0], &rows, true)).unwrap_err();
    assert_eq!(error.record_index(), Some(1));
    assert_eq!(count(&mut db, "t"), 0);
    db.begin().unwrap();
    db.insert::<_, ()>(&chunk(&t, &[0], &rows, true)).unwrap_err();
    let error = db.insert::<_, ()>(&chunk(&t, &[0], &rows[..1], true)).unwrap_err();
    assert!(error.message().contains("undone by SQLite"), "{error}");
    assert!(db.commit().is_err());
    db.roll_back().unwrap();
    assert_eq!(count(&mut db, "t"), 0);
}
