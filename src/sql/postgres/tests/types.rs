//! Every type there and back.

use serde_json::{Value, json};

use super::base;
use crate::sql::driver::Returning;

const ALL: &str = "CREATE TYPE mood AS ENUM ('sad', 'so-so'); CREATE DOMAIN positive AS int4 CHECK (VALUE > 0); \
    CREATE TABLE every (id int4 PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, \
    n numeric, n2 numeric(12,2), t text, v varchar(10), c char(3), x bytea, d date, tm time, ts timestamp, \
    tz timestamptz, u uuid, j json, jb jsonb, ia int4[], ta text[], m mood, p positive)";

fn sample() -> Vec<Value> {
    vec![
        json!({"id": 1, "b": true, "i2": 32767, "i4": 2147483647, "i8": i64::MAX, "f4": 1.5, "f8": 1e300,
            "n": "123456789012345678901234567890.123456789", "n2": 12.34, "t": "tab\t\\ 'quote' \n ü €",
            "v": "0123456789", "c": "abc", "x": "\\x00ff10", "d": "2024-02-29", "tm": "23:59:59.999999",
            "ts": "2024-05-01T10:00:00.5", "tz": "2024-05-01T12:00:00+02:00",
            "u": "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "j": {"a": [1, null, "x"]}, "jb": "text",
            "ia": [1, null, -3], "ta": ["a", null, "\"{},\\"], "m": "so-so", "p": 7}),
        json!({"id": 2, "b": false, "i2": -32768, "i4": -2147483648_i64, "i8": i64::MIN, "f4": -0.25, "f8": 5e-324,
            "n": "-0.00000000000000000001", "n2": -99, "t": "", "v": "", "c": "x  ", "x": "\\x", "d": "infinity",
            "tm": "00:00:00", "ts": "-infinity", "tz": "0001-12-31 00:00:00 BC", "u": "00000000000000000000000000000000",
            "j": false, "jb": [], "ia": [], "ta": [""], "m": "sad", "p": 1}),
        json!({"id": 3, "b": null, "i2": null, "i4": null, "i8": null, "f4": null, "f8": null, "n": null,
            "n2": null, "t": null, "v": null, "c": null, "x": null, "d": null, "tm": null, "ts": null, "tz": null,
            "u": null, "j": null, "jb": null, "ia": null, "ta": null, "m": null, "p": null}),
    ]
}

fn expected() -> Vec<Value> {
    let mut rows = sample();
    rows[0]["n2"] = json!("12.34");
    rows[0]["ts"] = json!("2024-05-01T10:00:00.500000");
    rows[0]["tz"] = json!("2024-05-01T10:00:00Z");
    rows[0]["u"] = json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff");
    rows[1]["n2"] = json!("-99.00");
    rows[1]["tz"] = json!("0001-12-31T00:00:00Z BC");
    rows[1]["u"] = json!("00000000-0000-0000-0000-000000000000");
    rows
}

#[test]
fn every_type_goes_there_and_back_in_binary_and_as_text() {
    let Some(mut base) = base() else { return };
    base.run(ALL);
    let done = base.insert("every", &sample(), false, Returning::Rows);
    for (row, expected) in done.rows.iter().zip(expected()) {
        assert_eq!(row.as_ref().unwrap(), &expected);
    }
    // What the server itself understood, in its own words.
    let own = base.all(
        "SELECT n::text, f8::text, tz::text, jb::text, ia::text, ta::text, x::text FROM every ORDER BY id",
    );
    assert_eq!(own[0]["n"], "123456789012345678901234567890.123456789");
    assert_eq!(own[0]["ta"], r#"{a,NULL,"\"{},\\"}"#);
    assert_eq!(own[1]["f8"], "5e-324");
    assert_eq!(own[1]["ia"], "{}");
    // A column without a binary form sends the whole table as text.
    base.run("CREATE TABLE other (LIKE every INCLUDING ALL, span interval, net inet, tags text[])");
    let mut rows = sample();
    for row in &mut rows {
        row["span"] = json!("1 day 02:00:00");
        row["net"] = json!("10.0.0.1");
        row["tags"] = json!(["x", "y"]);
    }
    let done = base.insert("other", &rows, false, Returning::Rows);
    for (row, mut expected) in done.rows.into_iter().zip(expected()) {
        expected["span"] = json!("1 day 02:00:00");
        expected["net"] = json!("10.0.0.1/32");
        expected["tags"] = json!(["x", "y"]);
        assert_eq!(row.unwrap(), expected);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    let Some(mut base) = base() else { return };
    base.run(ALL);
    for (column, value, words) in [
        ("i2", json!(32768), "out of range"),
        ("i4", json!("12x"), "is not an integer"),
        ("i8", json!(u64::MAX), "out of range"),
        ("t", json!("a\0b"), "NUL"),
        ("d", json!("2023-02-29"), "is not a date"),
        ("tz", json!(1714557600), "seconds or microseconds"),
        ("u", json!("x"), "is not a UUID"),
        ("b", json!("maybe"), "truth value"),
        ("ia", json!([1, "x"]), "is not an integer"),
        ("n", json!("1.2.3"), "decimal"),
        ("f4", json!(1e300), "out of range"),
    ] {
        let good = json!({"id": 1, column: null});
        let bad = json!({"id": 2, column: value});
        let error =
            base.try_insert("every", &[good.clone(), bad.clone()], false, Returning::Nothing).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{error}");
        assert_eq!((error.record_index(), error.field_errors()[0].path.as_str()), (Some(1), column));
        assert!(error.message().contains(words), "{error}");
        assert_eq!(base.count("every"), 0);
        let done = base.insert("every", &[good, bad], true, Returning::Nothing);
        assert_eq!(done.errors.len(), 1);
        assert_eq!(base.count("every"), 1);
        base.run("TRUNCATE every");
    }
}
