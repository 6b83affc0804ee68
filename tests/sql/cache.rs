//! Rows that `get` keeps: what is served from there, and what forgets it.

use batchcall::sql::{BatchConfig, CacheConfig, ImportOptions};
use batchcall::{Database, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: i64,
    n: Option<i64>,
}

fn open() -> Database {
    let db = Database::builder("sqlite::memory:").cache(CacheConfig::new()).build().unwrap();
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, n INTEGER)", ()).unwrap();
    db.execute("INSERT INTO items VALUES (1, 10), (2, 20), (3, NULL)", ()).unwrap();
    db
}

fn hits(db: &Database) -> usize {
    db.metrics().last().unwrap().cache_hits
}

fn n(db: &Database, id: i64) -> Option<i64> {
    db.table::<Item>("items").get([id]).unwrap().remove(0).unwrap().n
}

#[test]
fn rows_are_served_from_the_cache_and_misses_are_read_in_one_query() {
    let db = open();
    let table = db.table::<Item>("items");
    table.get([1]).unwrap();
    assert_eq!(hits(&db), 0);
    let rows = table.get([3, 1, 2, 9, 3]).unwrap();
    let found: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| (row.id, row.n))).collect();
    assert_eq!(found, [Some((3, None)), Some((1, Some(10))), Some((2, Some(20))), None, Some((3, None))]);
    let metrics = db.metrics().pop().unwrap();
    assert_eq!((metrics.cache_hits, metrics.rows, metrics.chunks), (1, 4, 1));
    table.get([1, 2, 3]).unwrap();
    let metrics = db.metrics().pop().unwrap();
    assert_eq!((metrics.cache_hits, metrics.rows, metrics.chunks, metrics.succeeded), (3, 3, 0, 3));
}

#[test]
fn a_row_is_kept_for_any_type() {
    let db = open();
    n(&db, 1);
    let row = db.table::<Record>("items").get([1]).unwrap().remove(0).unwrap();
    assert_eq!((row.get("n"), hits(&db)), (Some(&json!(10)), 1));
}

#[test]
fn without_a_cache_or_for_a_table_that_wants_none_nothing_is_kept() {
    let db = Database::open("sqlite::memory:").unwrap();
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, n INTEGER)", ()).unwrap();
    db.execute("INSERT INTO items VALUES (1, 10)", ()).unwrap();
    n(&db, 1);
    n(&db, 1);
    assert_eq!(hits(&db), 0);
    let db = open();
    for _ in 0..2 {
        db.table::<Item>("items").use_cache(false).get([1]).unwrap();
    }
    assert_eq!(hits(&db), 0);
}

#[test]
fn every_write_forgets() {
    let db = open();
    let table = db.table::<Item>("items");
    let item = |n| [Item { id: 1, n: Some(n) }];
    let none: [&str; 0] = [];
    let writes: [(&str, &dyn Fn()); 8] = [
        ("update", &|| drop(table.update(item(1), none).unwrap())),
        ("upsert", &|| drop(table.upsert(item(2), none, none).unwrap())),
        ("delete and insert", &|| {
            drop(table.delete([1]).unwrap());
            drop(table.insert(item(3)).unwrap());
        }),
        ("import", &|| {
            drop(table.import(&b"id,n\n1,4\n"[..], ImportOptions::new().unique_fields(["id"])).unwrap());
        }),
        ("execute", &|| assert_eq!(db.execute("UPDATE items SET n = 5 WHERE id = 1", ()).unwrap(), 1)),
        ("execute_many", &|| {
            drop(db.execute_many("UPDATE items SET n = $1 WHERE id = 1", [[6]]).unwrap());
        }),
        ("a query that writes", &|| {
            drop(db.query::<i64>("UPDATE items SET n = 7 WHERE id = 1 RETURNING n", ()).unwrap());
        }),
        ("another spelling", &|| {
            drop(db.table::<Item>("ITEMS").update(item(8), none).unwrap());
        }),
    ];
    n(&db, 1);
    for (number, (name, write)) in writes.iter().enumerate() {
        write();
        assert_eq!(n(&db, 1), Some(number as i64 + 1), "{name}");
        n(&db, 1);
        assert_eq!(hits(&db), 1, "{name}");
    }
}

#[test]
fn a_write_that_fails_midway_forgets_what_it_wrote_before() {
    let db = open();
    n(&db, 1);
    let config = BatchConfig::new().batch_size(1);
    let csv = &b"id,n\n1,11\n2,x\n"[..];
    let table = db.table::<Item>("items").config(config);
    table.import(csv, ImportOptions::new().unique_fields(["id"])).unwrap_err();
    assert_eq!(n(&db, 1), Some(11));
}

#[test]
fn what_is_written_in_a_transaction_shows_when_it_is_committed() {
    let file = std::env::temp_dir().join(format!("batchcall-cache-{}.db", std::process::id()));
    let url = format!("sqlite:{}", file.display());
    let db = Database::builder(&url).wal(true).cache(CacheConfig::new()).build().unwrap();
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, n INTEGER)", ()).unwrap();
    db.execute("INSERT INTO items VALUES (1, 10)", ()).unwrap();
    let mut connection = db.connection().unwrap();
    connection.begin().unwrap();
    connection.execute("UPDATE items SET n = 11 WHERE id = 1", ()).unwrap();
    // Read after the statement and before the commit: the old row is the right one still.
    assert_eq!(n(&db, 1), Some(10));
    connection.commit().unwrap();
    assert_eq!(n(&db, 1), Some(11));
    drop((connection, db));
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}

#[test]
fn deleting_a_parent_forgets_the_children_that_go_with_it() {
    let db = open();
    db.execute(
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, n INTEGER REFERENCES items ON DELETE CASCADE)",
        (),
    )
    .unwrap();
    db.execute("INSERT INTO parts VALUES (5, 1)", ()).unwrap();
    let parts = db.table::<Item>("parts");
    assert!(parts.get([5]).unwrap()[0].is_some());
    assert_eq!(db.table::<Item>("items").delete([1]).unwrap().deleted(), 1);
    assert!(parts.get([5]).unwrap()[0].is_none());
}

#[test]
fn forget_rows_forgets() {
    let db = open();
    n(&db, 1);
    db.forget_rows();
    n(&db, 1);
    assert_eq!(hits(&db), 0);
}
