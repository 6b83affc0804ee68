//! Values: what goes in is what comes out, or is refused.

use proptest::prelude::{Just, ProptestConfig, Strategy as _, any, prop_assert_eq, prop_compose, prop_oneof};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    Other(String),
    Mixed { red: u8 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    id: i64,
    text: Option<String>,
    whole: i64,
    real: f64,
    short: f32,
    yes: bool,
    price: String,
    raw: Vec<u8>,
    colour: Colour,
    extra: Vec<Option<String>>,
    letter: char,
}

const EVERYTHING: &str = "CREATE TABLE e (id INTEGER PRIMARY KEY, text TEXT, whole BIGINT, \
    real DOUBLE PRECISION, short FLOAT, yes BOOLEAN, price NUMERIC(12, 2), raw BLOB, colour TEXT, extra JSONB, \
    letter TEXT)";

fn all(table: &TableInfo) -> Vec<usize> {
    (0..table.columns.len()).collect()
}

fn there_and_back(db: &mut Connection, row: &Everything) -> Result<Option<Everything>> {
    let e = table(db, "e");
    let columns = all(&e);
    let rows = [row];
    let chunk = Chunk {
        table: &e,
        columns: &columns,
        rows: &rows,
        isolate: false,
        returning: Returning::Rows,
        bulk: true,
    };
    let conflict = OnConflict { key: &[0], update: &columns[1..] };
    let done = db.upsert::<_, Everything>(&chunk, &conflict)?;
    let (found, _) = db.get::<Everything>(&e, &[], &[0], &[Key::from(row.id)])?;
    assert_eq!(done.rows, found);
    Ok(found.into_iter().next().unwrap())
}

fn text() -> impl proptest::strategy::Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', " "))
}

prop_compose! {
    fn everything()(
        (id, whole) in (any::<i64>(), any::<i64>()),
        text in proptest::option::of(text()),
        real in any::<f64>().prop_filter("SQLite has no NaN", |float| !float.is_nan()),
        short in any::<f32>().prop_filter("SQLite has no NaN", |float| !float.is_nan()),
        (yes, letter) in (any::<bool>(), proptest::char::range('!', '\u{10fff}')),
        (cents, raw) in (-99_999_999_999_i64..99_999_999_999, any::<Vec<u8>>()),
        colour in prop_oneof![
            Just(Colour::Red), self::text().prop_map(Colour::Other), any::<u8>().prop_map(|red| Colour::Mixed { red })
        ],
        extra in proptest::collection::vec(proptest::option::of(any::<String>()), 0..4),
    ) -> Everything {
        // As SQLite's number is written: without zeros behind it.
        let sign = if cents < 0 { "-" } else { "" };
        let (units, rest) = (cents.abs() / 100, cents.abs() % 100);
        let price = format!("{sign}{units}.{rest:02}");
        let price = price.trim_end_matches('0').trim_end_matches('.').to_owned();
        let price = if price == "-0" { "0".to_owned() } else { price };
        Everything { id, text, whole, real, short, yes, price, raw, colour, extra, letter }
    }
}

#[test]
fn any_row_survives_the_round_trip() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let db = std::cell::RefCell::new(memory(EVERYTHING));
    runner
        .run(&everything(), |row| {
            let found = there_and_back(&mut db.borrow_mut(), &row).unwrap();
            prop_assert_eq!(found, Some(row));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_decimal_is_kept_with_all_its_digits_or_refused() {
    let mut db = memory("CREATE TABLE d (id INTEGER PRIMARY KEY, n NUMERIC)");
    let d = table(&mut db, "d");
    let kept = [
        ("0.1", "0.1"),
        ("-0.000000000000001", "-0.000000000000001"),
        ("123456789012345", "123456789012345"),
        ("12345678901234.5", "12345678901234.5"),
        ("9223372036854775807", "9223372036854775807"),
        ("1.50", "1.5"),
        ("7.", "7"),
        (".5", "0.5"),
        ("+3", "3"),
        ("-0", "0"),
        ("2.00", "2"),
        ("1e3", "1000"),
        ("0.30000000000000004", "0.30000000000000004"),
    ];
    for (given, expected) in kept {
        let rows = [json!({"n": given})];
        let mut chunk = chunk(&d, &[1], &rows, false);
        chunk.returning = Returning::Rows;
        let done = db.insert::<_, Value>(&chunk).unwrap();
        assert_eq!(done.rows[0].as_ref().unwrap()["n"], json!(expected), "{given}");
    }
    let refused = ["0.1234567890123456789", "9223372036854775808.5", "", "-", ".", "1.2.3", "1e", "x", "1 "];
    for given in refused {
        let done = db.insert::<_, ()>(&chunk(&d, &[1], &[json!({"n": given})], true)).unwrap();
        assert_eq!(done.statuses, [Failed], "{given}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Float {
    x: f64,
}

#[test]
fn infinity_is_kept_and_nan_is_refused() {
    let mut db = memory("CREATE TABLE f (x DOUBLE PRECISION, n NUMERIC, j JSON)");
    let f = table(&mut db, "f");
    let rows = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0].map(|x| Float { x });
    let chunk = Chunk {
        table: &f,
        columns: &[0],
        rows: &rows,
        isolate: true,
        returning: Returning::Nothing,
        bulk: true,
    };
    let done = db.insert::<_, ()>(&chunk).unwrap();
    assert_eq!(done.statuses, [Inserted, Inserted, Failed, Inserted]);
    assert!(done.errors[0].1.message().contains("NaN"), "{}", done.errors[0].1);
    let kept = db.query::<_, Float>("SELECT x FROM f", &[()]).unwrap();
    assert_eq!(kept[0], [f64::INFINITY, f64::NEG_INFINITY, 1.0].map(|x| Float { x }));
    for column in ["n", "j"] {
        let set = columns(&f, &[column]);
        let rows = [std::collections::BTreeMap::from([(column, f64::INFINITY)])];
        let chunk = Chunk {
            table: &f,
            columns: &set,
            rows: &rows,
            isolate: true,
            returning: Returning::Nothing,
            bulk: true,
        };
        assert_eq!(db.insert::<_, ()>(&chunk).unwrap().statuses, [Failed], "{column}");
    }
    let error = db.query::<_, f64>("SELECT $1", &[(f64::NAN,)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn bytes_are_given_as_a_list_or_in_hexadecimal() {
    let mut db = memory("CREATE TABLE b (raw BLOB, u UUID)");
    let b = table(&mut db, "b");
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let rows = [
        json!({"raw": [0, 255], "u": id.to_uppercase()}),
        json!({"raw": "\\x00fF", "u": uuid::Uuid::parse_str(id).unwrap().as_bytes()}),
        json!({"raw": [256], "u": null}),
        json!({"raw": "\\x0", "u": null}),
        json!({"raw": "00", "u": null}),
        json!({"raw": {"a": 1}, "u": null}),
        json!({"raw": null, "u": "67e55044"}),
        json!({"raw": null, "u": [1, 2]}),
    ];
    let done = db.insert::<_, ()>(&chunk(&b, &[0, 1], &rows, true)).unwrap();
    assert_eq!(done.statuses[..2], [Inserted; 2]);
    assert_eq!(done.statuses[2..], [Failed; 6]);
    let bytes = db.query::<_, (Vec<u8>, String)>("SELECT * FROM b", &[()]).unwrap();
    assert_eq!(bytes[0], [(vec![0, 255], id.to_owned()), (vec![0, 255], id.to_owned())]);
    let text = db.query::<_, String>("SELECT raw FROM b", &[()]).unwrap();
    assert_eq!(text[0], ["\\x00ff", "\\x00ff"]);
    // A UUID that another program has written as bytes.
    db.execute("UPDATE b SET u = $1", &[(uuid::Uuid::parse_str(id).unwrap(),)]).unwrap();
    db.execute("UPDATE b SET u = unhex(replace(u, '-', ''))", &[()]).unwrap();
    let ids = db.query::<_, uuid::Uuid>("SELECT u FROM b", &[()]).unwrap();
    assert_eq!(ids[0][0].to_string(), id);
}

#[test]
fn an_enum_is_text_or_json() {
    let mut db = memory("CREATE TABLE c (id INT, colour TEXT, j JSON, n INT)");
    db.execute("INSERT INTO c VALUES (1, 'red', '\"red\"', 3), (2, '{\"other\":\"x\"}', '{\"mixed\":{\"red\":1}}', 3)", &[()])
        .unwrap();
    let rows = db.query::<_, (Colour, Colour)>("SELECT colour, j FROM c ORDER BY id", &[()]).unwrap();
    assert_eq!(rows[0], [(Colour::Red, Colour::Red), (Colour::Other("x".into()), Colour::Mixed { red: 1 })]);
    assert_eq!(db.query::<_, Colour>("SELECT colour FROM c WHERE id = 1", &[()]).unwrap()[0], [Colour::Red]);
    let error = db.query::<_, Colour>("SELECT 'blue' AS hue", &[()]).unwrap_err();
    assert!(error.message().contains("hue") && error.message().contains("blue"), "{error}");
    assert!(db.query::<_, Colour>("SELECT n FROM c", &[()]).is_err());
}

#[test]
fn dates_and_times_are_checked_and_spelled_alike() {
    let mut db = memory("CREATE TABLE m (d DATE, t TIME, s TIMESTAMP, z TIMESTAMPTZ)");
    let m = table(&mut db, "m");
    let good = json!({"d": "2024-02-29", "t": "23:59:59.5", "s": "2024-01-01 01:02:03", "z": "2024-01-01T01:00:00-02:30"});
    let rows = [
        good.clone(),
        json!({"d": "2023-02-29", "t": "00:00:00", "s": null, "z": null}),
        json!({"d": "2024-13-01", "t": "00:00:00", "s": null, "z": null}),
        json!({"d": "1900-02-29", "t": "00:00:00", "s": null, "z": null}),
        json!({"d": "2024-04-31", "t": "00:00:00", "s": null, "z": null}),
        json!({"d": "2024-01-01T00:00:00", "t": "00:00:00", "s": null, "z": null}),
        json!({"d": null, "t": "24:00:00", "s": null, "z": null}),
        json!({"d": null, "t": "00:60:00", "s": null, "z": null}),
        json!({"d": null, "t": null, "s": "2024-01-01T00:00:00+01:00", "z": null}),
        json!({"d": null, "t": null, "s": null, "z": "soon"}),
        json!({"d": null, "t": null, "s": null, "z": 5}),
    ];
    let done = db.insert::<_, ()>(&chunk(&m, &[0, 1, 2, 3], &rows, true)).unwrap();
    assert_eq!(done.statuses[0], Inserted);
    assert_eq!(done.statuses[1..], [Failed; 10]);
    let (s, z) =
        db.query::<_, (String, String)>("SELECT s || '', z || '' FROM m", &[()]).unwrap()[0][0].clone();
    assert_eq!((s.as_str(), z.as_str()), ("2024-01-01 01:02:03", "2024-01-01 03:30:00Z"));
    let row = db.query::<_, Value>("SELECT * FROM m", &[()]).unwrap()[0][0].clone();
    assert_eq!((&row["s"], &row["z"]), (&json!("2024-01-01T01:02:03"), &json!("2024-01-01T03:30:00Z")));
}
