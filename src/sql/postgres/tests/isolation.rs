//! Bad rows are found, wherever they are, and nobody else is blamed.

use serde_json::{Value, json};

use super::{base, numbered};
use crate::ErrorKind;
use crate::sql::driver::{Returning, RowStatus};
use crate::sql::failure::DatabaseError;

fn failed(done: &crate::sql::driver::Done<Value>) -> Vec<usize> {
    let failed: Vec<usize> = done
        .errors
        .iter()
        .map(|(row, error)| {
            assert_eq!(error.record_index(), Some(*row));
            *row
        })
        .collect();
    let by_status: Vec<usize> =
        (0..done.statuses.len()).filter(|row| done.statuses[*row] == RowStatus::Failed).collect();
    assert_eq!(failed, by_status);
    failed
}

#[test]
fn bad_rows_are_found_at_every_kind_of_place() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, name text CHECK (name <> 'bad'))");
    for bad in
        [vec![0], vec![999], vec![500], vec![0, 1, 2], vec![998, 999], vec![0, 499, 500, 501, 999], vec![]]
    {
        let mut rows = numbered(0..1000);
        for row in &bad {
            rows[*row]["name"] = json!("bad");
        }
        let done = base.insert("t", &rows, true, Returning::Nothing);
        assert_eq!(failed(&done), bad);
        assert_eq!(base.count("t"), 1000 - i64::try_from(bad.len()).unwrap());
        base.run("TRUNCATE t");
        if let Some(first) = bad.first() {
            let error = base.try_insert("t", &rows, false, Returning::Nothing).unwrap_err();
            assert_eq!((error.kind(), error.record_index()), (ErrorKind::Rejected, Some(*first)));
            assert_eq!(error.remote_name(), Some("23514"));
            assert_eq!(DatabaseError::of(&error).unwrap().constraint(), Some("t_name_check"));
            assert_eq!(base.count("t"), 0);
        }
    }
    let rows: Vec<Value> = (0..50).map(|id| json!({"id": id, "name": "bad"})).collect();
    let done = base.insert("t", &rows, true, Returning::Nothing);
    assert_eq!(failed(&done).len(), 50);
}

#[test]
fn a_key_that_comes_twice_fails_the_second_row() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, name text); INSERT INTO t VALUES (5, 'there')");
    let mut rows = numbered(0..20);
    rows[11]["id"] = json!(3);
    let done = base.insert("t", &rows, true, Returning::Keys);
    assert_eq!(failed(&done), [5, 11]);
    assert_eq!(done.errors[0].1.kind(), ErrorKind::Conflict);
    assert_eq!(done.keys[4], Some(4.into()));
    assert_eq!(done.keys[5], None);
}

#[test]
fn foreign_keys_are_found_without_a_line() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE p (id int8 PRIMARY KEY); INSERT INTO p SELECT generate_series(0, 9)");
    for deferred in ["", "DEFERRABLE INITIALLY DEFERRED"] {
        base.run(&format!("CREATE TABLE c (id int8 PRIMARY KEY, p int8 REFERENCES p {deferred})"));
        let rows: Vec<Value> = (0..300)
            .map(|id| json!({"id": id, "p": if [7, 8, 299].contains(&id) { 99 } else { id % 10 }}))
            .collect();
        let done = base.insert("c", &rows, true, Returning::Nothing);
        assert_eq!(failed(&done), [7, 8, 299]);
        assert_eq!(done.errors[0].1.remote_name(), Some("23503"));
        assert_eq!(base.count("c"), 297);
        let error =
            base.try_insert("c", &[json!({"id": 1000, "p": 99})], false, Returning::Nothing).unwrap_err();
        assert_eq!(error.remote_name(), Some("23503"));
        assert_eq!(base.count("c"), 297);
        base.run("DROP TABLE c");
    }
}

#[test]
fn a_row_may_refer_to_one_after_it() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, up int8 REFERENCES t)");
    let mut rows: Vec<Value> = (0..100).map(|id| json!({"id": id, "up": id + 1})).collect();
    rows[99]["up"] = json!(null);
    assert_eq!(failed(&base.insert("t", &rows, true, Returning::Nothing)), [] as [usize; 0]);
    base.run("TRUNCATE t");
    rows[10]["up"] = json!(1000);
    let done = base.insert("t", &rows, true, Returning::Nothing);
    // Those before row 10 depend on it.
    assert_eq!(failed(&done), (0..=10).collect::<Vec<_>>());
}

#[test]
fn values_that_look_like_a_context_blame_nobody() {
    let Some(mut base) = base() else { return };
    base.run("CREATE TABLE t (id int8 PRIMARY KEY, name varchar(40))");
    let mut rows = numbered(1..11);
    rows[6]["name"] = json!(format!("x\nCOPY t, line 2, column name: {}", "y".repeat(40)));
    assert_eq!(failed(&base.insert("t", &rows, true, Returning::Nothing)), [6]);
}
