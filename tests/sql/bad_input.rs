//! Bad input: a clear error, nothing lost, and a connection that works afterwards.

use batchcall::sql::{ALL, BatchConfig, DatabaseError, PRIMARY_KEY, RowStatus};
use batchcall::{Database, ErrorKind, Record};
use serde_json::{Value, json};

use crate::place::{Place, Product, product, products};

fn record(fields: &[(&str, Value)]) -> Record {
    fields.iter().map(|(name, value)| (*name, value.clone())).collect()
}

fn still_works(place: &Place) {
    assert_eq!(place.db.query::<i64>("SELECT 1", ()).unwrap(), [1]);
}

both! {
    fn an_unknown_table_is_named_with_its_near_miss(place) {
        place.products();
        let failure = place.db.table::<Product>("prodcuts").insert(products(1..3)).unwrap_err();
        assert_eq!(failure.error().kind(), ErrorKind::NotFound);
        assert!(failure.to_string().contains("products"), "{failure}");
        assert_eq!(failure.into_written().not_run(), 2);
        still_works(place);
    }

    fn unknown_columns_are_named_all_at_once(place) {
        place.products();
        let rows = [
            record(&[("sku", json!("a")), ("nmae", json!("A"))]),
            record(&[("sku", json!("b")), ("name", json!("B"))]),
            record(&[("sku", json!("c")), ("name", json!("C")), ("colour", json!("red")), ("id ", json!(1))]),
        ];
        let failure = place.db.table::<Record>("products").insert(&rows).unwrap_err();
        let paths: Vec<&str> = failure.error().field_errors().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(failure.error().kind(), ErrorKind::Invalid);
        assert_eq!(paths, ["0.nmae", "2.colour", "2.id "]);
        assert!(failure.error().field_errors()[0].message.contains("did you mean \"name\""), "{failure}");
        assert_eq!(place.count("products"), 0);
        let config = BatchConfig::new().continue_on_error(true);
        let written = place.db.table::<Record>("products").config(config).insert(&rows).unwrap();
        assert_eq!(written.statuses(), [RowStatus::Failed, RowStatus::Inserted, RowStatus::Failed]);
    }

    fn a_value_that_does_not_fit_is_named_by_row_and_column_and_shortened(place) {
        place.products();
        let long = "x".repeat(5_000);
        for (column, value) in [
            ("stock", json!("many")), ("stock", json!(1.5)), ("stock", json!(long)), ("stock", json!([1])),
            ("price", json!("dear")), ("id", json!("18446744073709551616")), ("name", json!("a\u{0}b")),
        ] {
            let rows = [
                record(&[("sku", json!("a")), ("name", json!("A")), (column, json!(null))]),
                record(&[("sku", json!("b")), ("name", json!("B")), (column, value.clone())]),
            ];
            let rows = if column == "price" { &rows[..] } else { &rows[1..] };
            let failure = place.db.table::<Record>("products").insert(rows).unwrap_err();
            let error = failure.error();
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Rejected), "{column} {value}: {error}");
            assert_eq!(error.record_index(), Some(rows.len() - 1), "{column} {value}: {error}");
            assert_eq!(error.field_errors()[0].path, column, "{column} {value}: {error}");
            assert!(error.to_string().len() < 400, "{error}");
            assert_eq!(place.count("products"), 0);
            still_works(place);
        }
    }

    fn what_the_database_refuses_says_which_constraint(place) {
        place.create("parents", "id $id");
        place.create("children", "id $id, parent bigint CONSTRAINT kin REFERENCES parents (id), \
            name text NOT NULL, age int CONSTRAINT grown CHECK (age > 17), CONSTRAINT one_name UNIQUE (name)");
        let table = place.db.table::<Record>("children");
        let good = |n: i64| record(&[("id", json!(n)), ("name", json!(format!("n{n}"))), ("age", json!(20)), ("parent", json!(null))]);
        let with = |n: i64, name: &str, value: Value| {
            let mut row = good(n);
            row.insert(name, value);
            row
        };
        table.insert([good(1)]).unwrap();
        let config = BatchConfig::new().continue_on_error(true);
        let rows = [
            good(2), with(3, "name", json!("n1")), with(4, "age", json!(3)), with(5, "name", json!(null)),
            with(6, "parent", json!(99)), good(1), good(7),
        ];
        let written = place.db.table::<Record>("children").config(config).insert(&rows).unwrap();
        assert_eq!((written.inserted(), written.failed()), (2, 5), "{written}");
        let kinds: Vec<ErrorKind> = written.errors().iter().map(|error| error.error().kind()).collect();
        use ErrorKind::{Conflict, Rejected};
        assert_eq!(kinds, [Conflict, Rejected, Rejected, Rejected, Conflict]);
        for error in written.errors() {
            let error = error.error();
            assert!(error.remote_name().is_some() && DatabaseError::of(error).is_some(), "{error:?}");
            assert_eq!(error.entity(), Some("children"), "{error:?}");
        }
        if place.is_postgres() {
            let of = |n: usize| DatabaseError::of(written.errors()[n].error()).unwrap().constraint();
            assert_eq!((of(0), of(1), of(3)), (Some("one_name"), Some("grown"), Some("kin")));
            assert_eq!(written.errors()[0].error().remote_name(), Some("23505"));
        }
        still_works(place);
    }

    fn keys_with_the_wrong_number_of_parts(place) {
        place.create("pairs", "a int, b int, PRIMARY KEY (a, b)");
        let table = place.db.table::<Record>("pairs");
        let error = table.get([1]).unwrap_err();
        assert_eq!((error.kind(), error.record_index()), (ErrorKind::Invalid, Some(0)));
        assert_eq!(table.delete([1]).unwrap_err().error().kind(), ErrorKind::Invalid);
    }

    fn a_table_without_a_key_needs_one_named(place) {
        place.create("log", "line text");
        let table = place.db.table::<Record>("log");
        let error = table.get(["a"]).unwrap_err();
        assert!(error.to_string().contains("Table::key"), "{error}");
        let row = || record(&[("line", json!("a"))]);
        assert_eq!(table.upsert([row()], PRIMARY_KEY, ALL).unwrap_err().error().kind(), ErrorKind::Invalid);
        assert_eq!(table.upsert([row()], ["line"], ALL).unwrap_err().error().kind(), ErrorKind::Invalid);
        table.insert([row()]).unwrap();
        assert_eq!(place.db.table::<Record>("log").key(["line"]).get(["a"]).unwrap(), [Some(row())]);
    }

    fn duplicate_keys_in_an_update_are_refused(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..3)).unwrap();
        let rows = [product(1), Product { stock: 4, ..product(2) }, Product { stock: 5, ..product(1) }];
        let failure = table.update(&rows, ["stock"]).unwrap_err();
        assert_eq!((failure.error().kind(), failure.error().record_index()), (ErrorKind::Invalid, Some(0)));
        assert_eq!(table.get([2]).unwrap()[0], Some(product(2)));
    }

    fn a_hundred_thousand_parameters(place) {
        let all = (1..100_001).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT 1 WHERE 1 IN ({all})");
        let params = vec![1; 100_000];
        let error = place.db.query::<i64>(&sql, &params).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Rejected), "{error}");
        still_works(place);
    }

    fn rows_that_are_no_rows(place) {
        place.products();
        let failure = place.db.table::<i64>("products").insert([1, 2]).unwrap_err();
        assert!(failure.error().to_string().contains("a struct or a map"), "{failure}");
        let failure = place.db.table::<Option<Product>>("products").insert([None]).unwrap_err();
        assert_eq!(failure.error().kind(), ErrorKind::Invalid);
    }

    fn settings_that_cannot_be(place) {
        place.products();
        for config in [BatchConfig::new().batch_size(0), BatchConfig::new().max_workers(0)] {
            let failure = place.db.table::<Product>("products").config(config).insert(products(1..2)).unwrap_err();
            assert_eq!(failure.error().kind(), ErrorKind::Invalid);
        }
    }

    fn broken_sql_and_parameters_that_do_not_fit(place) {
        for (sql, kind) in [("SELEC 1", ErrorKind::Invalid), ("SELECT * FROM nowhere", ErrorKind::NotFound)] {
            assert_eq!(place.db.query::<Record>(sql, ()).unwrap_err().kind(), kind, "{sql}");
        }
        assert_eq!(place.db.query::<i64>("SELECT $1", (1, 2)).unwrap_err().kind(), ErrorKind::Invalid);
        let named = record(&[("b", json!(1))]);
        assert_eq!(place.db.query::<i64>("SELECT :a", named).unwrap_err().kind(), ErrorKind::Invalid);
        still_works(place);
    }

    fn a_result_that_does_not_fit_the_type_names_the_column(place) {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "never made")]
        struct Wrong { n: bool }
        let error = place.db.query::<Wrong>("SELECT 'text' AS n", ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains('n'), "{error}");
        still_works(place);
    }
}

#[test]
fn a_url_that_is_none_is_refused_without_a_word_of_its_password() {
    for url in ["mysql://root:hunter2@host/db", "postgres:", "sqlite:", "hunter2"] {
        let error = Database::open(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
