//! What must be refused, or must not be taken for something else.

use serde::Serializer;

use super::*;
use crate::sql::failure::DatabaseError;

/// A row with its fields in any order, and any number of times.
struct Pairs(&'static [(&'static str, i64)]);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[test]
fn fields_go_to_their_columns_in_any_order_once_each() {
    let mut db = memory("CREATE TABLE t (aa INT, bb INT)");
    let t = table(&mut db, "t");
    let rows = [
        Pairs(&[("aa", 1), ("bb", 2)]),
        Pairs(&[("bb", 4), ("aa", 3)]),
        Pairs(&[("aa", 5)]),
        Pairs(&[("aa", 6), ("aa", 7)]),
        Pairs(&[("aa", 8), ("bb", 9), ("aa", 9)]),
        Pairs(&[("bb", 8), ("aa", 7)]),
        Pairs(&[("bb", 8), ("cc", 7)]),
    ];
    let chunk = Chunk {
        table: &t,
        columns: &[0, 1],
        rows: &rows,
        isolate: true,
        returning: Returning::Nothing,
        bulk: true,
    };
    let done = db.insert::<_, ()>(&chunk).unwrap();
    assert_eq!(done.statuses, [Inserted, Inserted, Failed, Failed, Failed, Inserted, Failed]);
    let kept = db.query::<_, (i64, i64)>("SELECT * FROM t", &[()]).unwrap();
    assert_eq!(kept, [[(1, 2), (3, 4), (7, 8)]]);
    // Also when the first row of all is the wrong one.
    let done = db.insert::<_, ()>(&Chunk { rows: &rows[3..4], ..chunk }).unwrap();
    assert_eq!(done.statuses, [Failed]);
}

#[test]
fn a_chunk_ends_at_the_deadline_though_bad_rows_are_left_out() {
    let mut db = memory(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TRIGGER slow AFTER INSERT ON t WHEN new.id = 2 BEGIN \
         SELECT max(i) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END",
    );
    let t = table(&mut db, "t");
    let rows = [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})];
    db.set_deadline(Deadline::after(Duration::from_millis(50)));
    let error = db.insert::<_, ()>(&chunk(&t, &[0], &rows, true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    db.set_deadline(Deadline::after(Duration::ZERO));
    let error = db.insert::<_, ()>(&chunk(&t, &[0], &rows[..1], true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    db.set_deadline(Deadline::never());
    assert_eq!(count(&mut db, "t"), 0);
}

#[test]
fn only_text_that_says_so_is_infinite() {
    let mut db = memory("CREATE TABLE f (x REAL)");
    let f = table(&mut db, "f");
    let rows = [json!({"x": "1e999"}), json!({"x": "-Infinity"}), json!({"x": "NaN"}), json!({"x": "1e3"})];
    let done = db.insert::<_, ()>(&chunk(&f, &[0], &rows, true)).unwrap();
    assert_eq!(done.statuses, [Failed, Inserted, Failed, Inserted]);
}

#[test]
fn few_keys_are_found_one_by_one_and_text_of_digits_stays_text() {
    let mut db = memory(
        "CREATE TABLE s (id INTEGER PRIMARY KEY, x ANY) STRICT; INSERT INTO s VALUES (1, '007'), (2, 7), (3, 'b')",
    );
    let s = table(&mut db, "s");
    let mut keys = vec![Key::from("007"), Key::from(7), Key::from("7")];
    let (few, cost) = db.get::<Value>(&s, &[0], &[1], &keys).unwrap();
    assert_eq!(cost.statements, 3);
    keys.extend((0..10).map(|n| Key::from(format!("none {n}"))));
    let (many, cost) = db.get::<Value>(&s, &[0], &[1], &keys).unwrap();
    assert_eq!(cost.statements, 1);
    assert_eq!(few, [Some(json!({"id": 1})), Some(json!({"id": 2})), None]);
    assert_eq!(many[..3], few);
}

#[test]
fn values_for_many_rows_are_checked_first() {
    let mut db =
        memory("CREATE TABLE t (id INTEGER PRIMARY KEY, v INT, w AS (v * 2)); INSERT INTO t VALUES (1, 1)");
    let t = table(&mut db, "t");
    for (values, path) in [(json!({}), None), (json!({"w": 1}), Some("w")), (json!({"x": 1}), Some("x"))] {
        let error = db.update_all(&t, &[0], &[Key::from(1)], &values).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field_errors().first().map(|field| field.path.as_str()), path);
    }
}

#[test]
fn a_transaction_that_nobody_owns_makes_a_connection_useless() {
    let mut db = memory("SELECT 1");
    assert!(!db.is_broken());
    db.execute("BEGIN", &[()]).unwrap();
    assert!(db.is_broken());
}

#[test]
fn only_whole_unique_indices_are_unique() {
    let mut db = memory(
        "CREATE TABLE t (a INT, b INT, c INT UNIQUE); CREATE UNIQUE INDEX p ON t (a) WHERE b > 0; \
         CREATE UNIQUE INDEX e ON t (abs(b)); CREATE INDEX i ON t (b)",
    );
    assert_eq!(table(&mut db, "t").uniques, [[2]]);
    // Hidden columns are no columns.
    assert!(table(&mut db, "json_each").column("json").is_none());
}

#[test]
fn what_changes_no_rows_affects_none() {
    let mut db = memory("CREATE TABLE t (v INT); INSERT INTO t VALUES (1), (2), (3)");
    for (sql, affected) in [
        ("UPDATE t SET v = 0", 3),
        ("SELECT 1", 0),
        ("CREATE TABLE u (v INT)", 0),
        ("PRAGMA user_version", 0),
        ("DELETE FROM t WHERE v = 9", 0),
        ("INSERT INTO t VALUES (1) RETURNING v", 1),
        ("UPDATE t SET v = 1; DELETE FROM t", 8),
    ] {
        assert_eq!(db.execute(sql, &[()]).unwrap(), [affected], "{sql}");
    }
    let error = db.execute("DELETE FROM t; DELETE FROM u WHERE v = $1", &[(1,)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_value_is_not_cut_to_fit_the_type() {
    let mut db = memory("CREATE TABLE t (yes BOOLEAN); INSERT INTO t VALUES (1)");
    assert!(db.query::<_, (i64, i64)>("SELECT 1, 2, 3", &[()]).is_err());
    assert!(db.query::<_, i64>("SELECT 1, 2", &[()]).is_err());
    assert!(db.query::<_, i64>("SELECT 1.5", &[()]).is_err());
    assert!(db.query::<_, i64>("SELECT 1e300", &[()]).is_err());
    assert!(db.query::<_, u8>("SELECT 256", &[()]).is_err());
    assert!(db.query::<_, i64>("SELECT yes FROM t", &[()]).is_err());
    assert_eq!(db.query::<_, i64>("SELECT 2.0", &[()]).unwrap(), [[2]]);
    assert_eq!(db.query::<_, bool>("SELECT yes FROM t", &[()]).unwrap(), [[true]]);
}

#[test]
fn an_error_names_one_column_or_none() {
    let mut db = memory("CREATE TABLE t (a INT NOT NULL, b INT, UNIQUE (a, b)); INSERT INTO t VALUES (1, 1)");
    let source = |error: &Error| {
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if let Some(inner) = inner.downcast_ref::<DatabaseError>() {
                return inner.constraint.clone();
            }
            source = inner.source();
        }
        None
    };
    let both = db.execute("INSERT INTO t VALUES (1, 1)", &[()]).unwrap_err();
    assert_eq!(both.kind(), ErrorKind::Conflict);
    assert!(both.field_errors().is_empty());
    assert_eq!(source(&both).as_deref(), Some("t.a, t.b"));
    let null = db.execute("INSERT INTO t VALUES (NULL, 1)", &[()]).unwrap_err();
    assert_eq!(null.field_errors()[0].path, "a");
    assert_eq!(source(&null), None);
}
