//! Insert with keys, upsert, update, delete, get, and statements.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{base, columns, numbered};
use crate::ErrorKind;
use crate::sql::catalog::{ColumnType, TableName};
use crate::sql::driver::{Chunk, Done, Driver, OnConflict, Returning, RowStatus};
use crate::sql::key::Key;

#[test]
fn a_table_is_described() {
    let Some(mut base) = base() else { return };
    base.run(
        "CREATE TABLE parents (id int PRIMARY KEY); CREATE DOMAIN d AS text NOT NULL; \
         CREATE TABLE \"Odd \"\"name\" (id serial PRIMARY KEY, \"x\"\"y\" numeric(12,2) NOT NULL, dom d, \
         parent int REFERENCES parents, twice int GENERATED ALWAYS AS (parent * 2) STORED, a int[], \
         i interval, UNIQUE (parent, dom)); CREATE UNIQUE INDEX ON \"Odd \"\"name\" (lower(dom))",
    );
    let table = base.table(r#""Odd ""name""#);
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "x\"y", "dom", "parent", "twice", "a", "i"]);
    assert_eq!((table.key.as_slice(), table.uniques.as_slice()), (&[0][..], &[vec![0], vec![3, 2]][..]));
    assert!(table.columns[0].sequence.as_deref().unwrap().contains("_seq"));
    assert_eq!(table.columns[1].type_name, "numeric(12,2)");
    assert!(!table.columns[2].nullable && table.columns[3].nullable);
    assert!(table.columns[4].generated && !table.columns[4].has_default);
    assert_eq!(table.columns[5].ty, ColumnType::Array(Box::new(ColumnType::Int4)));
    assert_eq!(table.columns[6].ty, ColumnType::Other);
    assert_eq!(table.foreign_keys[0].table.name, "parents");
    assert!(table.copies);
    let error = base.connection.describe(&TableName::parse("parent").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("\"parents\""), "{error}");
}

#[test]
fn keys_come_back_in_input_order() {
    let Some(mut base) = base() else { return };
    base.run(
        "CREATE TABLE a (id serial PRIMARY KEY, name text); \
         CREATE TABLE b (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); \
         CREATE TABLE c (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, name text); \
         CREATE TABLE d (name text); CREATE VIEW v AS SELECT * FROM a",
    );
    let rows: Vec<Value> = (0..1000).map(|n| json!({"name": format!("n{n}")})).collect();
    for table in ["a", "b", "c", "d", "v"] {
        for isolate in [false, true] {
            let done = base.insert(table, &rows, isolate, Returning::Keys);
            assert_eq!(done.keys.len(), 1000);
            if table < "d" {
                let info = base.table(table);
                let keys: Vec<Key> = done.keys.into_iter().map(Option::unwrap).collect();
                let (found, _) = base.connection.get::<Value>(&info, &[1], &[0], &keys).unwrap();
                for (found, row) in found.iter().zip(&rows) {
                    assert_eq!(found.as_ref().unwrap(), row);
                }
            }
        }
        let done = base.insert(table, &rows[..3], false, Returning::Rows);
        assert_eq!(done.rows[2].as_ref().unwrap()["name"], "n2", "{table}");
    }
    assert_eq!(base.count("a"), 4006);
}

fn upsert(
    base: &mut super::Base,
    table: &str,
    rows: &[Value],
    key: &[&str],
    update: &[&str],
    isolate: bool,
) -> Done<Value> {
    let table = base.table(table);
    let columns = columns(&table, &rows[0]);
    let of = |names: &[&str]| names.iter().map(|name| table.column(name).unwrap()).collect::<Vec<_>>();
    let chunk =
        Chunk { table: &table, columns: &columns, rows, isolate, returning: Returning::Rows, bulk: true };
    base.connection.upsert(&chunk, &OnConflict { key: &of(key), update: &of(update) }).unwrap()
}

#[test]
fn an_upsert_tells_new_rows_from_old() {
    use RowStatus::{Failed, Inserted, Unchanged, Updated};
    let Some(mut base) = base() else { return };
    for partitioned in [false, true] {
        let (by, part) = if partitioned {
            (
                " PARTITION BY HASH (code)",
                "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0);",
            )
        } else {
            ("", "")
        };
        base.run(&format!(
            "CREATE TABLE t (code text UNIQUE, name text CHECK (name <> 'bad'), note text DEFAULT 'd'){by}; {part} \
             INSERT INTO t VALUES ('a', 'old', 'kept'), ('b', 'old', 'kept')"
        ));
        let rows = [
            json!({"code": "b", "name": "new"}),
            json!({"code": "c", "name": "new"}),
            json!({"code": null, "name": "n"}),
            json!({"code": "a", "name": "bad"}),
            json!({"code": "d", "name": "x"}),
        ];
        let done = upsert(&mut base, "t", &rows, &["code"], &["name"], true);
        assert_eq!(done.statuses, [Updated, Inserted, Inserted, Failed, Inserted]);
        assert_eq!(done.rows[0], Some(json!({"code": "b", "name": "new", "note": "kept"})));
        assert_eq!(done.rows[1], Some(json!({"code": "c", "name": "new", "note": "d"})));
        assert_eq!(
            (&done.rows[2], &done.rows[3]),
            (&Some(json!({"code": null, "name": "n", "note": "d"})), &None)
        );
        assert_eq!(done.errors[0].0, 3);
        let done = upsert(
            &mut base,
            "t",
            &[json!({"code": "a", "name": "z"}), json!({"code": "e", "name": "z"})],
            &["code"],
            &[],
            false,
        );
        assert_eq!(done.statuses, [Unchanged, Inserted]);
        let done = upsert(
            &mut base,
            "t",
            &[json!({"code": "a", "name": "z"}), json!({"code": "f", "name": "z"})],
            &[],
            &[],
            false,
        );
        assert_eq!(done.statuses, [Unchanged, Inserted]);
        assert_eq!(base.count("t"), 7);
        base.run("DROP TABLE t");
    }
}

#[test]
fn an_update_counts_what_is_there() {
    use RowStatus::{Failed, Missing, Updated};
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, name text CHECK (name <> 'bad'))");
    base.insert("t", &numbered(0..10), false, Returning::Nothing);
    let table = base.table("t");
    let rows = [
        json!({"id": 3, "name": "x"}),
        json!({"id": 77, "name": "x"}),
        json!({"id": 4, "name": "bad"}),
        json!({"id": "5", "name": null}),
    ];
    let chunk = Chunk {
        table: &table,
        columns: &[0, 1],
        rows: &rows,
        isolate: true,
        returning: Returning::Rows,
        bulk: true,
    };
    let done: Done<Value> = base.connection.update(&chunk, &[0]).unwrap();
    assert_eq!(done.statuses, [Updated, Missing, Failed, Updated]);
    assert_eq!(done.rows[3], Some(json!({"id": 5, "name": null})));
    let keys: Vec<Key> = vec![1.into(), 99.into(), 2.into()];
    let done = base.connection.update_all(&table, &[0], &keys, &json!({"name": "same"})).unwrap();
    assert_eq!(done.statuses, [Updated, Missing, Updated]);
    assert_eq!(
        base.all("SELECT id FROM t WHERE name = 'same' ORDER BY 1"),
        [json!({"id": 1}), json!({"id": 2})]
    );
}

#[test]
fn keys_name_rows_in_their_order() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (a text, b int4, n numeric, PRIMARY KEY (a, b)); CREATE TABLE r (a text, b int4, FOREIGN KEY (a, b) REFERENCES t); \
        INSERT INTO t VALUES ('x', 1, 1.0), ('x', 2, 2.50), ('y', 1, 3); INSERT INTO r VALUES ('x', 2)");
    let table = base.table("t");
    let keys: Vec<Key> = vec![("y", 1).into(), ("z", 1).into(), ("x", 1).into(), ("y", 1).into()];
    let (rows, _) = base.connection.get::<(String, i32, f64)>(&table, &[], &[0, 1], &keys).unwrap();
    assert_eq!(
        rows,
        [Some(("y".into(), 1, 3.0)), None, Some(("x".into(), 1, 1.0)), Some(("y".into(), 1, 3.0))]
    );
    let (rows, _) = base.connection.get::<Value>(&table, &[1], &[2], &["2.5".into(), 1.into()]).unwrap();
    assert_eq!(rows, [Some(json!({"b": 2})), Some(json!({"b": 1}))]);
    let (mut rows, _) = base.connection.get_by::<(String, i32, String)>(&table, 0, &["x".into()]).unwrap();
    rows.sort();
    assert_eq!(rows[1], (Key::from("x"), ("x".into(), 2, "2.50".into())));
    let error = base.connection.get::<Value>(&table, &[], &[0, 1], &[("x", "no").into()]).unwrap_err();
    assert_eq!((error.kind(), error.record_index()), (ErrorKind::Invalid, Some(0)));
    let keys: Vec<Key> = vec![("x", 1).into(), ("x", 2).into(), ("q", 2).into(), ("x", "no").into()];
    let done = base.connection.delete::<Value>(&table, &[0, 1], &keys, true, Returning::Keys).unwrap();
    assert_eq!(done.statuses, [RowStatus::Deleted, RowStatus::Failed, RowStatus::Missing, RowStatus::Failed]);
    assert_eq!(done.keys[0], Some(("x", 1).into()));
    assert_eq!(done.errors[0].1.remote_name(), Some("23503"));
}

#[test]
fn where_copy_does_not_reach_rows_still_go() {
    let Some(mut base) = base() else { return };
    let role = base.schema.clone();
    base.run(&format!(
        "CREATE TABLE t (id int8 PRIMARY KEY, name text, tags text[]); CREATE VIEW v AS SELECT * FROM t; \
         CREATE ROLE {role}; GRANT ALL ON SCHEMA {role} TO {role}; GRANT ALL ON t TO {role}; \
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true) WITH CHECK (name <> 'bad')"
    ));
    assert!(!base.table("v").copies);
    let rows: Vec<Value> = (0..500).map(|id| json!({"id": id, "name": "n", "tags": ["a", null]})).collect();
    base.insert("v", &rows, false, Returning::Nothing);
    assert_eq!(base.count("t"), 500);
    // The temporary tables are the first role's.
    base.run("DISCARD TEMP");
    base.run(&format!("SET ROLE {role}"));
    assert!(!base.table("t").copies);
    let mut rows: Vec<Value> = (500..600).map(|id| json!({"id": id, "name": "n", "tags": []})).collect();
    rows[42]["name"] = json!("bad");
    let done = base.insert("t", &rows, true, Returning::Keys);
    assert_eq!(done.errors.len(), 1);
    assert_eq!((done.errors[0].0, done.errors[0].1.remote_name()), (42, Some("42501")));
    assert_eq!(done.keys[99], Some(599.into()));
    assert_eq!(base.count("t"), 599);
    base.run("RESET ROLE");
    base.run(&format!("REVOKE ALL ON SCHEMA {role} FROM {role}; DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn statements_take_lists_and_names() {
    #[derive(Serialize)]
    struct Named<'a> {
        id: i64,
        name: &'a str,
        unused: bool,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Row {
        id: i32,
        name: Option<String>,
    }
    let Some(mut base) = base() else { return };
    let connection = &mut base.connection;
    connection.execute("CREATE TABLE t (id int8, name text)", &[()]).unwrap();
    connection.execute("INSERT INTO t VALUES ($1, $2)", &[(1, Some("a")), (2, None)]).unwrap();
    let named = [Named { id: 3, name: "c", unused: true }];
    assert_eq!(connection.execute("INSERT INTO t VALUES (:id, :name || ':id')", &named).unwrap(), [1]);
    let rows: Vec<Vec<Row>> = connection.query("SELECT * FROM t WHERE id = $1", &[[2], [3], [4]]).unwrap();
    assert_eq!(rows[0], [Row { id: 2, name: None }]);
    assert_eq!(rows[1], [Row { id: 3, name: Some("c:id".into()) }]);
    assert!(rows[2].is_empty());
    assert_eq!(connection.execute("UPDATE t SET id = 1; DELETE FROM t", &[()]).unwrap(), [6]);
    connection.execute("VACUUM t", &[()]).unwrap();
    let error = connection.execute("INSERT INTO t VALUES ($1)", &[[1], [i64::MAX]]).map(|_| ());
    assert!(error.is_ok());
    let error =
        connection.execute("INSERT INTO t (id) VALUES ($1)", &[json!([1]), json!(["x"])]).unwrap_err();
    assert_eq!((error.kind(), error.record_index()), (ErrorKind::Invalid, Some(1)));
    assert_eq!(connection.query::<_, i64>("SELECT count(*) FROM t", &[()]).unwrap(), [[2]]);
    let error = connection.execute("SELECT $1", &[vec![0; 100_000]]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = connection.query::<_, i16>("SELECT 70000 AS big", &[()]).unwrap_err();
    assert!(error.message().contains("column big"), "{error}");
    for (sql, kind) in [
        ("SELEC 1", ErrorKind::Invalid),
        ("SELECT * FROM nowhere", ErrorKind::NotFound),
        ("SELECT 1 / 0", ErrorKind::Rejected),
        ("SELECT 1 FROM no.where", ErrorKind::NotFound),
    ] {
        assert_eq!(connection.execute(sql, &[()]).unwrap_err().kind(), kind, "{sql}");
        assert_eq!(connection.query::<_, i64>("SELECT 1", &[()]).unwrap(), [[1]]);
    }
}

#[test]
fn an_outer_transaction_holds_the_chunks() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    base.connection.begin().unwrap();
    base.insert("t", &numbered(0..5), false, Returning::Nothing);
    assert!(base.try_insert("t", &numbered(3..8), false, Returning::Nothing).is_err());
    let rows = numbered(4..9);
    upsert(&mut base, "t", &rows, &["id"], &["name"], false);
    base.run("UPDATE t SET name = 'kept' WHERE id = 4");
    let done = upsert(&mut base, "t", &numbered(8..10), &["id"], &["name"], false);
    assert_eq!(base.all("SELECT name FROM t WHERE id = 4"), [json!({"name": "kept"})]);
    assert_eq!(done.statuses, [RowStatus::Updated, RowStatus::Inserted]);
    assert_eq!(base.count("t"), 10);
    base.connection.roll_back().unwrap();
    assert_eq!(base.count("t"), 0);
}
