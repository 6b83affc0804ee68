//! Kinds of tables and keys: views, `WITHOUT ROWID`, `STRICT`, attached schemas, keys without an index.

use super::*;

const VIEW: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); \
    CREATE VIEW w AS SELECT id, v FROM t; \
    CREATE TRIGGER u INSTEAD OF UPDATE ON w BEGIN UPDATE t SET v = new.v WHERE id = old.id; END; \
    CREATE TRIGGER d INSTEAD OF DELETE ON w BEGIN DELETE FROM t WHERE id = old.id; END; \
    INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)";

#[test]
fn a_view_is_changed_through_its_triggers() {
    let mut db = memory(VIEW);
    let w = table(&mut db, "w");
    let rows = [json!({"id": 2, "v": 21}), json!({"id": 9, "v": 1})];
    let done = db.update::<_, ()>(&chunk(&w, &[0, 1], &rows, true), &[0]).unwrap();
    assert_eq!(done.statuses, [Updated, Missing]);
    let keys = [Key::from(3), Key::from(9)];
    assert_eq!(db.update_all(&w, &[0], &keys, &json!({"v": 7})).unwrap().statuses, [Updated, Missing]);
    let done = db.delete::<()>(&w, &[0], &[Key::from(1), Key::from(9)], true, Returning::Nothing).unwrap();
    assert_eq!(done.statuses, [Deleted, Missing]);
    let left = db.query::<_, (i64, i64)>("SELECT * FROM t", &[()]).unwrap();
    assert_eq!(left, [[(2, 21), (3, 7)]]);
    // What has no trigger cannot be written.
    let error = db.insert::<_, ()>(&chunk(&w, &[0, 1], &rows, true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn keys_of_a_table_without_row_numbers_come_back() {
    let mut db = memory(
        "CREATE TABLE a (k TEXT PRIMARY KEY NOT NULL, v INT) WITHOUT ROWID; \
         CREATE TABLE b (k TEXT DEFAULT 'made' PRIMARY KEY, v INT); \
         CREATE TABLE c (id INTEGER PRIMARY KEY DESC, v INT)",
    );
    let a = table(&mut db, "a");
    let rows = [json!({"k": "x", "v": 1}), json!({"k": "y", "v": 1})];
    let mut keys = chunk(&a, &[0, 1], &rows, false);
    keys.returning = Returning::Keys;
    assert_eq!(db.insert::<_, ()>(&keys).unwrap().keys, [Some(Key::from("x")), Some(Key::from("y"))]);
    let conflict = OnConflict { key: &[0], update: &[1] };
    assert_eq!(
        db.upsert::<_, ()>(&keys, &conflict).unwrap().keys,
        [Some(Key::from("x")), Some(Key::from("y"))]
    );
    let done = db.delete::<()>(&a, &[0], &[Key::from("y")], false, Returning::Keys).unwrap();
    assert_eq!(done.keys, [Some(Key::from("y"))]);

    // A key that the table makes itself.
    let b = table(&mut db, "b");
    let rows = [json!({"v": 1})];
    let mut keys = chunk(&b, &[1], &rows, false);
    keys.returning = Returning::Keys;
    assert_eq!(db.insert::<_, ()>(&keys).unwrap().keys, [Some(Key::from("made"))]);

    // `DESC` makes it a key of its own, whose values are not given out.
    let c = table(&mut db, "c");
    assert!(!c.columns[0].has_default);
    let rows = [json!({"id": 7, "v": 1})];
    let mut keys = chunk(&c, &[0, 1], &rows, false);
    keys.returning = Returning::Keys;
    assert_eq!(db.insert::<_, ()>(&keys).unwrap().keys, [Some(Key::from(7))]);
}

#[test]
fn an_insert_that_a_trigger_drops_has_no_key() {
    let mut db = memory(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); CREATE TRIGGER i BEFORE INSERT ON t WHEN new.v = 2 \
         BEGIN SELECT RAISE(IGNORE); END",
    );
    let t = table(&mut db, "t");
    let rows = [json!({"v": 1}), json!({"v": 2}), json!({"v": 3})];
    let mut keys = chunk(&t, &[1], &rows, false);
    keys.returning = Returning::Keys;
    let done = db.insert::<_, ()>(&keys).unwrap();
    assert_eq!(done.statuses, [Inserted, Unchanged, Inserted]);
    assert_eq!(done.keys, [Some(Key::from(1)), None, Some(Key::from(2))]);
}

#[test]
fn what_a_strict_table_refuses_names_its_column() {
    let mut db = memory("CREATE TABLE s (id INTEGER PRIMARY KEY, n INT, x ANY, r REAL) STRICT");
    let s = table(&mut db, "s");
    let rows = [
        json!({"id": 1, "n": 1, "x": "007", "r": 1}),
        json!({"id": 2, "n": "a", "x": 1, "r": 1.5}),
        json!({"id": 3, "n": 3, "x": 7, "r": "b"}),
    ];
    let done = db.insert::<_, ()>(&chunk(&s, &[0, 1, 2, 3], &rows, true)).unwrap();
    assert_eq!(done.statuses, [Inserted, Failed, Failed]);
    let paths: Vec<_> = done.errors.iter().map(|(_, error)| error.field_errors()[0].path.as_str()).collect();
    assert_eq!(paths, ["n", "r"]);
    let error = db.execute("INSERT INTO s (n) VALUES ('b')", &[()]).unwrap_err();
    assert_eq!(error.remote_name(), Some("SQLITE_CONSTRAINT_DATATYPE"));
    assert_eq!(error.field_errors()[0].path, "n");
    let kept = db.query::<_, (Value, Value)>("SELECT x, r FROM s", &[()]).unwrap();
    assert_eq!(kept, [[(json!("007"), json!(1.0))]]);
}

#[test]
fn a_table_of_an_attached_schema_is_its_own() {
    let mut db = memory(
        "ATTACH ':memory:' AS other; CREATE TABLE t (id INTEGER PRIMARY KEY, mine INT); \
         CREATE TABLE other.t (k TEXT PRIMARY KEY NOT NULL, up TEXT REFERENCES t (k)); \
         CREATE VIEW other.only AS SELECT 1 AS one",
    );
    let t = table(&mut db, "other.t");
    assert_eq!(t.columns[0].name, "k");
    assert_eq!(t.foreign_keys[0].table.to_string(), "other.t");
    let rows = [json!({"k": "a", "up": null}), json!({"k": "b", "up": "z"})];
    let done = db.insert::<_, ()>(&chunk(&t, &[0, 1], &rows, true)).unwrap();
    assert_eq!(done.statuses, [Inserted, Failed]);
    assert_eq!((count(&mut db, "other.t"), count(&mut db, "main.t")), (1, 0));
    assert!(db.describe(&TableName::parse("main.only").unwrap()).is_err());
    assert_eq!(table(&mut db, "main.t").columns[1].name, "mine");
}

/// Ten rows with keys that no index finds; text without regard to case, and one key twice.
const HEAP: &str = "CREATE TABLE h (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE, day TIMESTAMPTZ, v INT); \
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) \
    INSERT INTO h SELECT i, 'C' || i, '2024-01-01 00:00:00Z', i FROM n; \
    INSERT INTO h VALUES (11, 'c3', NULL, 33)";

fn codes(numbers: std::ops::Range<i64>) -> Vec<Key> {
    numbers.map(|n| Key::from(format!("c{n}"))).collect()
}

#[test]
fn keys_without_an_index_are_found_in_one_walk() {
    let mut db = memory(HEAP);
    let h = table(&mut db, "h");
    let mut keys = codes(3..15);
    keys.push(Key::from("c4"));
    for nested in [false, true] {
        if nested {
            db.begin().unwrap();
        }
        let (found, cost) = db.get::<Value>(&h, &[0, 3], &[1], &keys).unwrap();
        assert_eq!(cost.statements, 1);
        let ids: Vec<_> = found.iter().map(|row| row.as_ref().map(|row| row["id"].clone())).collect();
        let expected = [3, 4, 5, 6, 7, 8, 9, 10].map(|id| Some(json!(id)));
        assert_eq!(ids[..8], expected);
        assert_eq!(ids[8..], [None, None, None, None, Some(json!(4))]);
        // Nothing of it stays.
        assert_eq!(count(&mut db, "temp.sqlite_schema"), 0);
    }
    db.roll_back().unwrap();
    let (found, cost) = db.get::<Value>(&h, &[0], &[0], &(1..=9).map(Key::from).collect::<Vec<_>>()).unwrap();
    assert_eq!((found.len(), cost.statements), (9, 9));
    let bad = [codes(1..9), vec![Key::from(("a", "b"))]].concat();
    assert_eq!(db.get::<Value>(&h, &[], &[1], &bad).unwrap_err().record_index(), Some(8));
}

#[test]
fn rows_are_changed_by_keys_without_an_index() {
    let mut db = memory(HEAP);
    let h = table(&mut db, "h");
    let done = db.update_all(&h, &[1], &codes(1..13), &json!({"v": -1})).unwrap();
    assert_eq!(done.statuses[..10], [Updated; 10]);
    assert_eq!(done.statuses[10..], [Missing; 2]);
    assert_eq!(db.query::<_, i64>("SELECT count(*) FROM h WHERE v = -1", &[()]).unwrap(), [[11]]);

    let rows: Vec<Value> = (1..13).map(|n| json!({"code": format!("C{n}"), "v": n * 2})).collect();
    let done = db.update::<_, ()>(&chunk(&h, &[1, 3], &rows, false), &[1]).unwrap();
    assert_eq!(done.statuses[..10], [Updated; 10]);
    assert_eq!(done.statuses[10..], [Missing; 2]);
    assert_eq!(db.query::<_, i64>("SELECT v FROM h WHERE code = 'c3'", &[()]).unwrap(), [[6, 6]]);

    let done = db.delete::<Value>(&h, &[1], &codes(3..13), false, Returning::Rows).unwrap();
    assert_eq!(done.statuses[..8], [Deleted; 8]);
    assert_eq!(done.statuses[8..], [Missing; 2]);
    assert_eq!(done.rows[1].as_ref().unwrap()["v"], json!(8));
    assert_eq!(count(&mut db, "h"), 2);
    assert_eq!(count(&mut db, "temp.sqlite_schema"), 0);
}

#[test]
fn a_walk_is_undone_with_what_it_was_for() {
    let mut db = memory(&format!("{HEAP}; CREATE TABLE r (h INT REFERENCES h); INSERT INTO r VALUES (5)"));
    let h = table(&mut db, "h");
    let error = db.delete::<()>(&h, &[1], &codes(1..11), false, Returning::Nothing).unwrap_err();
    assert_eq!((error.record_index(), error.kind()), (Some(4), ErrorKind::Rejected));
    assert_eq!((count(&mut db, "h"), count(&mut db, "temp.sqlite_schema")), (11, 0));
    let done = db.delete::<()>(&h, &[1], &codes(1..11), true, Returning::Nothing).unwrap();
    assert_eq!(done.statuses.iter().filter(|status| **status == Deleted).count(), 9);
    assert_eq!(done.statuses[4], Failed);
    assert_eq!(count(&mut db, "h"), 1);
}

#[test]
fn rows_without_numbers_are_found_one_by_one() {
    let mut db = memory(&format!(
        "{VIEW}; CREATE TABLE a (k TEXT PRIMARY KEY, v INT) WITHOUT ROWID; \
         INSERT INTO a SELECT 'k' || id, v FROM t; \
         CREATE TABLE n (rowid TEXT, oid TEXT, _rowid_ TEXT); INSERT INTO n SELECT 'k' || id, v, v FROM t"
    ));
    for (name, column) in [("w", "v"), ("a", "v"), ("n", "oid")] {
        let each = table(&mut db, name);
        let column = columns(&each, &[column]);
        let keys: Vec<Key> = (1..=20).map(|n| Key::from(n * 10)).collect();
        let (found, _) = db.get::<Value>(&each, &[], &column, &keys).unwrap();
        assert_eq!(found.iter().flatten().count(), 3, "{name}");
        let done = db.delete::<()>(&each, &column, &keys, false, Returning::Nothing).unwrap();
        assert_eq!(done.statuses[..4], [Deleted, Deleted, Deleted, Missing], "{name}");
    }
}
