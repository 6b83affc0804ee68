//! What the driver promises, on a database in memory or in a file.

mod guards;
mod tables;
mod values;
mod waits;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::sql::driver::RowStatus;
use crate::sql::driver::RowStatus::{Deleted, Failed, Inserted, Missing, Unchanged, Updated};

fn settings(target: Target) -> Settings {
    Settings {
        target,
        statement_timeout: None,
        connect_timeout: Duration::from_secs(5),
        root_certificates: Vec::new(),
        busy_timeout: Duration::from_millis(200),
        wal: false,
    }
}

fn memory(schema: &str) -> Connection {
    let mut db = Connection::open(&settings(Target::SqliteInMemory)).unwrap();
    db.execute(schema, &[()]).unwrap();
    db
}

fn table(db: &mut Connection, name: &str) -> TableInfo {
    db.describe(&TableName::parse(name).unwrap()).unwrap()
}

fn columns(table: &TableInfo, names: &[&str]) -> Vec<usize> {
    names.iter().map(|name| table.column(name).unwrap()).collect()
}

fn chunk<'a>(
    table: &'a TableInfo,
    columns: &'a [usize],
    rows: &'a [Value],
    isolate: bool,
) -> Chunk<'a, Value> {
    Chunk { table, columns, rows, isolate, returning: Returning::Nothing, bulk: true }
}

fn count(db: &mut Connection, name: &str) -> i64 {
    db.query::<_, i64>(&format!("SELECT count(*) FROM {name}"), &[()]).unwrap()[0][0]
}

const PRODUCTS: &str = "CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
    price NUMERIC, stock INTEGER DEFAULT 0, sold BOOLEAN, made TIMESTAMPTZ, extra JSON, raw BLOB)";

#[test]
fn a_table_is_described() {
    let mut db = memory(
        "CREATE TABLE a (x INTEGER, y TEXT, PRIMARY KEY (y, x)) WITHOUT ROWID; \
         CREATE TABLE \"b \"\"q\" (id INTEGER PRIMARY KEY, ax INT, ay VARCHAR(9), z AS (id * 2), \
         FOREIGN KEY (ay, ax) REFERENCES a); CREATE UNIQUE INDEX u ON \"b \"\"q\" (ax)",
    );
    let a = table(&mut db, "a");
    assert_eq!(a.key, [1, 0]);
    let b = table(&mut db, "main.\"b \"\"q\"");
    assert_eq!(b.key, [0]);
    assert!(b.columns[0].has_default && b.columns[3].generated);
    assert_eq!(b.uniques, [vec![0], vec![1]]);
    assert_eq!(b.foreign_keys[0].columns, ["ay", "ax"]);
    assert_eq!(b.foreign_keys[0].referred, ["y", "x"]);
    let error = db.describe(&TableName::parse("aa").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("\"a\""), "{error}");
}

#[test]
fn rows_survive_the_round_trip() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let all = columns(&products, &["id", "name", "price", "stock", "sold", "made", "extra", "raw"]);
    let row = json!({"id": "7", "name": "a'b", "price": "12.50", "stock": "3", "sold": true,
        "made": "2024-05-01T12:00:00+02:00", "extra": {"k": [1, "x"]}, "raw": "\\x00ff"});
    db.insert::<_, ()>(&chunk(&products, &all, &[row], false)).unwrap();
    let (found, _) =
        db.get::<Value>(&products, &[], &[0], &[Key::from("7"), Key::from(8), Key::from(7)]).unwrap();
    assert_eq!(
        found[0].as_ref().unwrap(),
        &json!({"id": 7, "name": "a'b", "price": "12.5", "stock": 3,
        "sold": true, "made": "2024-05-01T10:00:00Z", "extra": {"k": [1, "x"]}, "raw": "\\x00ff"})
    );
    assert!(found[1].is_none());
    assert_eq!(found[0], found[2]);
}

#[test]
fn a_bad_row_is_marked_and_its_neighbours_are_written() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let set = columns(&products, &["name", "stock"]);
    let rows = [
        json!({"name": "a", "stock": 1}),
        json!({"name": "a", "stock": 2}),
        json!({"name": "b", "stock": "abc"}),
        json!({"name": null, "stock": 3}),
        json!({"stock": 4, "name": "c"}),
        json!({"name": "d", "stock": 18_446_744_073_709_551_615_u64}),
        json!({"name": "e", "stock": 1.5}),
        json!({"name": "f\0", "stock": 1}),
    ];
    let done = db.insert::<_, ()>(&chunk(&products, &set, &rows, true)).unwrap();
    assert_eq!(done.statuses, [Inserted, Failed, Failed, Failed, Inserted, Failed, Failed, Failed]);
    let kinds: Vec<_> = done.errors.iter().map(|(at, error)| (*at, error.kind())).collect();
    use ErrorKind::{Conflict, Invalid, Rejected};
    assert_eq!(kinds, [(1, Conflict), (2, Invalid), (3, Rejected), (5, Invalid), (6, Invalid), (7, Invalid)]);
    let conflict = &done.errors[0].1;
    assert_eq!(conflict.remote_name(), Some("SQLITE_CONSTRAINT_UNIQUE"));
    assert_eq!(conflict.field_errors()[0].path, "name");
    assert_eq!(done.errors[1].1.field_errors()[0].path, "stock");
    assert_eq!(count(&mut db, "products"), 2);

    let error = db.insert::<_, ()>(&chunk(&products, &set, &rows[4..], false)).unwrap_err();
    assert_eq!(error.record_index(), Some(0));
    assert_eq!(count(&mut db, "products"), 2);
}

#[test]
fn digits_are_not_lost_silently() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let set = columns(&products, &["name", "price"]);
    let rows = [
        json!({"name": "a", "price": "0.1"}),
        json!({"name": "b", "price": "12345678901234567.25"}),
        json!({"name": "c", "price": "9007199254740993"}),
        json!({"name": "d", "price": "1e400"}),
    ];
    let done = db.insert::<_, ()>(&chunk(&products, &set, &rows, true)).unwrap();
    assert_eq!(done.statuses, [Inserted, Failed, Inserted, Failed]);
    let prices = db.query::<_, (String, Value)>("SELECT name, price FROM products", &[()]).unwrap();
    assert_eq!(prices[0], [("a".into(), json!("0.1")), ("c".into(), json!("9007199254740993"))]);
}

#[test]
fn keys_and_rows_come_back_in_the_rows_order() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let set = columns(&products, &["name"]);
    let rows = [json!({"name": "a"}), json!({"name": "b"})];
    let mut keys = chunk(&products, &set, &rows, false);
    keys.returning = Returning::Keys;
    let done = db.insert::<_, ()>(&keys).unwrap();
    assert_eq!(done.keys, [Some(Key::from(1)), Some(Key::from(2))]);
    let rows = [json!({"name": "c"})];
    let mut all = chunk(&products, &set, &rows, false);
    all.returning = Returning::Rows;
    let done = db.insert::<_, Value>(&all).unwrap();
    assert_eq!(done.rows[0].as_ref().unwrap()["stock"], json!(0));
}

#[test]
fn an_upsert_tells_new_rows_from_old_ones() {
    let mut db = memory(PRODUCTS);
    db.execute(
        "CREATE TABLE log (name TEXT); CREATE TRIGGER t AFTER UPDATE ON products BEGIN \
         INSERT INTO log VALUES (new.name); INSERT INTO log VALUES (new.name); END; \
         INSERT INTO products (name, stock, price) VALUES ('a', 1, 5)",
        &[()],
    )
    .unwrap();
    let products = table(&mut db, "products");
    let set = columns(&products, &["name", "stock"]);
    let rows = [json!({"name": "a", "stock": 9}), json!({"name": "b", "stock": 9})];
    let name = columns(&products, &["name"]);
    let stock = columns(&products, &["stock"]);
    let conflict = OnConflict { key: &name, update: &stock };
    let done = db.upsert::<_, ()>(&chunk(&products, &set, &rows, false), &conflict).unwrap();
    assert_eq!(done.statuses, [Updated, Inserted]);
    let nothing = OnConflict { key: &name, update: &[] };
    let rows = [json!({"name": "a", "stock": 1}), json!({"name": "c", "stock": 9})];
    let done = db.upsert::<_, ()>(&chunk(&products, &set, &rows, false), &nothing).unwrap();
    assert_eq!(done.statuses, [Unchanged, Inserted]);
    let kept =
        db.query::<_, (i64, i64)>("SELECT stock, price FROM products WHERE name = 'a'", &[()]).unwrap();
    assert_eq!(kept[0], [(9, 5)]);
}

#[test]
fn updates_and_deletes_tell_what_is_missing() {
    let mut db = memory(
        "CREATE TABLE t (a TEXT, b INT, v INT, PRIMARY KEY (a, b)) WITHOUT ROWID; \
        INSERT INTO t VALUES ('x', 1, 1), ('x', 2, 2), ('y', 1, 3)",
    );
    let t = table(&mut db, "t");
    let set = columns(&t, &["a", "b", "v"]);
    let rows = [json!({"a": "x", "b": 2, "v": 20}), json!({"a": "z", "b": 2, "v": 20})];
    let done = db.update::<_, ()>(&chunk(&t, &set, &rows, false), &t.key).unwrap();
    assert_eq!(done.statuses, [Updated, Missing]);
    let keys = [Key::from(("x", 1)), Key::from(("q", 1))];
    let done = db.update_all(&t, &t.key, &keys, &json!({"v": 7})).unwrap();
    assert_eq!(done.statuses, [Updated, Missing]);
    let done = db.delete::<Value>(&t, &t.key, &keys, false, Returning::Rows).unwrap();
    assert_eq!(done.statuses, [Deleted, Missing]);
    assert_eq!(done.rows[0], Some(json!({"a": "x", "b": 1, "v": 7})));
    let (related, _) = db.get_by::<Value>(&t, 1, &[Key::from("1"), Key::from(5)]).unwrap();
    assert_eq!(related, [(Key::from("1"), json!({"a": "y", "b": 1, "v": 3}))]);
}

#[test]
fn deferred_references_fail_the_rows_at_fault() {
    let mut db =
        memory("CREATE TABLE t (id INTEGER PRIMARY KEY, up INT REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
    let t = table(&mut db, "t");
    let rows = [
        json!({"id": 1, "up": 2}),
        json!({"id": 2, "up": null}),
        json!({"id": 3, "up": 9}),
        json!({"id": 4, "up": 3}),
    ];
    let done = db.insert::<_, ()>(&chunk(&t, &[0, 1], &rows, true)).unwrap();
    assert_eq!(done.statuses, [Inserted, Inserted, Failed, Failed]);
    assert_eq!(count(&mut db, "t"), 2);
    let done = db.delete::<()>(&t, &[0], &[Key::from(1), Key::from(2)], true, Returning::Nothing).unwrap();
    assert_eq!(done.statuses, [Deleted, Deleted]);
    let error = db.insert::<_, ()>(&chunk(&t, &[0, 1], &rows, false)).unwrap_err();
    assert_eq!((error.record_index(), error.kind()), (Some(2), ErrorKind::Rejected));
    assert_eq!(count(&mut db, "t"), 0);
    db.execute("INSERT INTO t VALUES (1, NULL), (2, 1), (3, NULL)", &[()]).unwrap();
    let done = db.delete::<()>(&t, &[0], &[Key::from(1), Key::from(3)], true, Returning::Nothing).unwrap();
    assert_eq!(done.statuses, [Failed, Deleted]);
}

#[test]
fn a_chunk_in_a_transaction_is_undone_alone() {
    let mut db = memory(PRODUCTS);
    let products = table(&mut db, "products");
    let set = columns(&products, &["name"]);
    db.begin().unwrap();
    db.insert::<_, ()>(&chunk(&products, &set, &[json!({"name": "a"})], false)).unwrap();
    let bad = [json!({"name": "b"}), json!({"name": "a"})];
    assert_eq!(db.insert::<_, ()>(&chunk(&products, &set, &bad, false)).unwrap_err().record_index(), Some(1));
    db.commit().unwrap();
    assert_eq!(count(&mut db, "products"), 1);
    db.begin().unwrap();
    db.insert::<_, ()>(&chunk(&products, &set, &[json!({"name": "z"})], false)).unwrap();
    db.roll_back().unwrap();
    assert!(!db.is_broken());
    assert_eq!(count(&mut db, "products"), 1);
}

#[test]
fn parameters_go_by_place_and_by_name() {
    #[derive(Serialize)]
    struct Named {
        a: i64,
        b: &'static str,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        x: i64,
        y: Option<String>,
    }
    let mut db = memory("SELECT 1");
    assert_eq!(db.query::<_, (i64, i64)>("SELECT $2, $1", &[(1, 2)]).unwrap(), [[(2, 1)]]);
    assert_eq!(db.query::<_, i64>("SELECT ?2 * 10 + ?1", &[[1, 2]]).unwrap(), [[21]]);
    let rows = db.query::<_, Row>("SELECT :a AS x, :b AS y", &[Named { a: 1, b: "q" }]).unwrap();
    assert_eq!(rows[0][0], Row { x: 1, y: Some("q".into()) });
    let error = db.query::<_, i64>("SELECT :a", &[Named { a: 1, b: "q" }]).unwrap_err();
    assert_eq!((error.kind(), error.field_errors()[0].path.as_str()), (ErrorKind::Invalid, "b"));
    let error = db.query::<_, i64>("SELECT $1, $2", &[(1,)]).unwrap_err();
    assert!(error.message().contains("$2"), "{error}");
    for (sql, kind) in [
        ("SELEC 1", ErrorKind::Invalid),
        ("SELECT nope FROM sqlite_schema", ErrorKind::Invalid),
        ("SELECT * FROM nope", ErrorKind::NotFound),
    ] {
        assert_eq!(db.query::<_, i64>(sql, &[()]).unwrap_err().kind(), kind, "{sql}");
    }
    db.execute("VACUUM", &[()]).unwrap();
    let wrong = db.query::<_, i64>("SELECT 'x' AS col", &[()]).unwrap_err();
    assert!(wrong.message().contains("col"), "{wrong}");
}

#[test]
fn a_long_statement_ends_at_its_deadline() {
    let mut db = memory("SELECT 1");
    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    db.set_deadline(Deadline::after(Duration::from_millis(50)));
    let since = Instant::now();
    assert_eq!(db.query::<_, i64>(ENDLESS, &[()]).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(since.elapsed() < Duration::from_millis(300));
    db.set_deadline(Deadline::never());
    let interrupt = db.interrupt();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        interrupt();
    });
    assert_eq!(db.query::<_, i64>(ENDLESS, &[()]).unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn a_view_is_written_through_its_triggers() {
    let mut db = memory(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); CREATE VIEW w AS SELECT id, v FROM t; \
        CREATE TRIGGER i INSTEAD OF INSERT ON w BEGIN INSERT INTO t VALUES (new.id, new.v); END",
    );
    let w = table(&mut db, "w");
    let rows = [json!({"id": 1, "v": 2}), json!({"id": 1, "v": 3}), json!({"id": 2, "v": 3})];
    let done = db.insert::<_, ()>(&chunk(&w, &[0, 1], &rows, true)).unwrap();
    let expected: [RowStatus; 3] = [Inserted, Failed, Inserted];
    assert_eq!(done.statuses, expected);
}

#[test]
fn what_is_no_database_is_refused_in_words() {
    let error = Connection::open(&settings(Target::Sqlite("/nowhere/at/all.db".into()))).unwrap_err();
    assert!(error.message().contains("directory does not exist"), "{error}");
    let error = Connection::open(&settings(Target::Sqlite(
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
    )))
    .unwrap_err();
    assert_eq!(error.remote_name(), Some("SQLITE_NOTADB"));
}
