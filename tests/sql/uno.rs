//! What goes wrong in uno's batch operations, and does not here.

use batchcall::sql::{ALL, BatchConfig, PRIMARY_KEY, Relation, Returning, RowStatus};
use batchcall::{BatchSize, ErrorKind, Record, Strategy};
use serde_json::json;

use crate::place::{Product, product, products};

fn record(fields: &[(&str, serde_json::Value)]) -> Record {
    fields.iter().map(|(name, value)| (*name, value.clone())).collect()
}

both! {
    // 1: batch_insert without return_models raised inside its retry loop and inserted the chunk again.
    fn bug_1_an_insert_is_there_once_whatever_comes_back(place) {
        place.create("log", "line text");
        for returning in [Returning::Nothing, Returning::Rows] {
            let rows = [record(&[("line", json!("a"))]), record(&[("line", json!("b"))])];
            place.db.table::<Record>("log").returning(returning).insert(rows).unwrap();
        }
        assert_eq!(place.count("log"), 4);
    }

    // 2: the count was of rows submitted, not of rows affected.
    fn bug_2_counts_are_of_rows_really_affected(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..4)).unwrap();
        assert_eq!(table.update(products(2..9), ["stock"]).unwrap().affected(), 2);
        assert_eq!(table.delete(3..9).unwrap().affected(), 1);
        assert_eq!(table.insert_new(products(1..6), PRIMARY_KEY).unwrap().affected(), 3);
    }

    // 3: records whose id is 0 or "" were skipped in silence.
    fn bug_3_a_key_of_zero_or_empty_text_is_a_key(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(0..3)).unwrap();
        let written = table.update([Product { stock: 9, ..product(0) }], ["stock"]).unwrap();
        assert_eq!(written.statuses(), [RowStatus::Updated]);
        assert_eq!(table.delete([0]).unwrap().deleted(), 1);
        place.create("tags", "tag varchar(9) PRIMARY KEY, n int");
        let tags = place.db.table::<Record>("tags");
        tags.insert([record(&[("tag", json!("")), ("n", json!(1))])]).unwrap();
        assert_eq!(tags.update([record(&[("tag", json!("")), ("n", json!(2))])], ALL).unwrap().updated(), 1);
        assert_eq!(tags.get([""]).unwrap()[0].as_ref().unwrap().get("n"), Some(&json!(2)));
    }

    // 4: a record without its id was skipped in silence.
    fn bug_4_a_row_without_its_key_is_named_and_nothing_is_sent(place) {
        place.products();
        place.db.table::<Product>("products").insert(products(1..3)).unwrap();
        let rows = [record(&[("id", json!(1)), ("stock", json!(7))]), record(&[("stock", json!(8))])];
        let failure = place.db.table::<Record>("products").update(rows, ALL).unwrap_err();
        assert_eq!((failure.error().kind(), failure.error().record_index()), (ErrorKind::Invalid, Some(1)));
        let table = place.db.table::<Product>("products");
        assert_eq!(table.get([1]).unwrap()[0], Some(product(1)));
    }

    // 5: an update with nothing to set was bad SQL.
    fn bug_5_an_update_that_sets_nothing_is_refused_in_words(place) {
        place.products();
        let failure = place.db.table::<Record>("products").update([record(&[("id", json!(1))])], ALL).unwrap_err();
        assert_eq!(failure.error().kind(), ErrorKind::Invalid);
        assert!(failure.error().to_string().contains("sets nothing"), "{failure}");
    }

    // 6: every record had to have the keys of the first, and columns that it did not have were overwritten.
    fn bug_6_records_with_different_columns_go_together(place) {
        place.products();
        let table = place.db.table::<Record>("products");
        let rows = [
            record(&[("sku", json!("a")), ("name", json!("A"))]),
            record(&[("name", json!("B")), ("sku", json!("b")), ("stock", json!(2))]),
            record(&[("id", json!(50)), ("sku", json!("c")), ("name", json!("C"))]),
            record(&[("sku", json!("d")), ("name", json!("D"))]),
        ];
        assert_eq!(table.insert(&rows).unwrap().inserted(), 4);
        place.db.execute("UPDATE products SET price = 3.5", ()).unwrap();
        let again = table.upsert(&rows, ["sku"], ALL).unwrap();
        assert_eq!(again.updated(), 4);
        assert_eq!(place.db.query::<i64>("SELECT count(*) FROM products WHERE price = 3.5", ()).unwrap(), [4]);
    }

    // 7: one record made SQL without parameters; a dict was not serialised.
    fn bug_7_one_record_and_nested_values(place) {
        place.create("docs", "id $id, doc $json");
        let table = place.db.table::<Record>("docs");
        let one = |n: i64| record(&[("id", json!(1)), ("doc", json!({"n": [n, {"deep": null}]}))]);
        assert_eq!(table.upsert([one(1)], ["id"], ALL).unwrap().inserted(), 1);
        assert_eq!(table.upsert([one(2)], ["id"], ALL).unwrap().updated(), 1);
        assert_eq!(table.get([1]).unwrap(), [Some(one(2))]);
    }

    // 8: more than ten parameter sets were put into the text of the statement; other than SELECT raised.
    fn bug_8_statements_with_many_parameter_sets(place) {
        place.create("t", "id $id, n int");
        let sets: Vec<(i64, i64)> = (1..101).map(|n| (n, n * n)).collect();
        assert_eq!(place.db.execute_many("INSERT INTO t (id, n) VALUES ($1, $2)", &sets).unwrap(), [1; 100]);
        let ids: Vec<[i64; 1]> = (1..101).map(|n| [n]).collect();
        let rows = place.db.query_many::<_, i64>("SELECT n FROM t WHERE id = $1", &ids).unwrap();
        assert_eq!(rows[99], [10_000]);
        // Text that looks like a parameter, or like SQL, is text.
        place.create("texts", "text text");
        let texts = [["(?)"], ["$1 :id"], ["'); DROP TABLE t; --"]];
        place.db.execute_many("INSERT INTO texts VALUES ($1)", texts).unwrap();
        assert_eq!(place.db.query::<String>("SELECT text FROM texts WHERE text LIKE '%:id'", ()).unwrap(), ["$1 :id"]);
        assert_eq!(place.count("t"), 100);
    }

    // 9: 5,000 rows of more than six columns were too many parameters for the driver.
    fn bug_9_the_number_of_parameters_is_no_limit(place) {
        place.create("wide", "id $id, a int, b int, c int, d int, e int, f int, g int, h int, i int");
        let rows: Vec<Record> = (1..5001_i64)
            .map(|n| {
                let rest = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| (name, json!(n)));
                rest.into_iter().chain([("id", json!(n))]).collect()
            })
            .collect();
        let table = place.db.table::<Record>("wide")
            .config(BatchConfig::new().batch_size(BatchSize::XLarge));
        assert_eq!(table.insert(&rows).unwrap().inserted(), 5000);
        assert_eq!(table.upsert(&rows, ["id"], ALL).unwrap().updated(), 5000);
        assert_eq!(table.delete(1..5001).unwrap().deleted(), 5000);
    }

    // 10: a chunk that failed in PARALLEL was logged and swallowed, and a short last chunk was counted as full.
    fn bug_10_a_chunk_that_fails_is_told_and_counted_exactly(place) {
        place.products();
        let mut rows = products(1..11);
        rows[9].stock = -1;
        let config = BatchConfig::new().strategy(Strategy::Parallel).batch_size(4).continue_on_error(true);
        let written = place.db.table::<Product>("products").config(config.clone()).insert(&rows).unwrap();
        assert_eq!((written.inserted(), written.failed()), (9, 1));
        assert_eq!((written.metrics().succeeded, written.metrics().failed), (9, 1));
        let rows: Vec<Product> = (11..21).map(|n| Product { stock: -1, ..product(n) }).collect();
        let failure = place.db.table::<Product>("products").config(config.continue_on_error(false)).insert(rows);
        let written = failure.unwrap_err().into_written();
        assert_eq!((written.succeeded(), written.metrics().failed), (0, 10));
    }

    // 11: OPTIMISTIC did not roll the first attempt back before it began again.
    fn bug_11_the_first_attempt_of_optimistic_leaves_nothing(place) {
        place.create("log", "line text NOT NULL");
        let mut rows: Vec<Record> = (0..100).map(|n| record(&[("line", json!(format!("{n}")))])).collect();
        rows[60] = record(&[("line", json!(null))]);
        let config = BatchConfig::new().strategy(Strategy::Optimistic).batch_size(10).continue_on_error(true);
        let written = place.db.table::<Record>("log").config(config).insert(&rows).unwrap();
        assert_eq!((written.inserted(), written.failed()), (99, 1));
        assert_eq!(place.count("log"), 99);
    }

    // 12: figures were never set when an error was raised.
    fn bug_12_figures_are_there_after_an_error(place) {
        place.products();
        let mut rows = products(1..31);
        rows[15].stock = -1;
        let table = place.db.table::<Product>("products").config(BatchConfig::new().batch_size(10));
        let metrics = table.insert(&rows).unwrap_err().into_written().metrics().clone();
        assert_eq!((metrics.succeeded, metrics.failed, metrics.chunks), (10, 20, 2));
        assert!(!metrics.elapsed.is_zero() && metrics.rows_per_second() > 0.0);
    }

    // 13: batch_size and parallel of one call stayed for the next.
    fn bug_13_a_verb_leaves_the_settings_alone(place) {
        place.products();
        let base = BatchConfig::new();
        let table = place.db.table::<Product>("products").config(base.clone().batch_size(1));
        assert_eq!(table.insert(products(1..6)).unwrap().metrics().chunks, 5);
        let table = place.db.table::<Product>("products").config(base);
        assert_eq!(table.insert(products(6..11)).unwrap().metrics().chunks, 1);
    }

    // 14: the size for the data could only shrink.
    fn bug_14_auto_takes_large_chunks_of_small_rows_and_small_ones_of_large_rows(place) {
        place.create("texts", "id $id, text text");
        let rows = |count: i64, bytes: usize| -> Vec<Record> {
            (0..count).map(|_| record(&[("text", json!("x".repeat(bytes)))])).collect()
        };
        let table = place.db.table::<Record>("texts");
        assert_eq!(table.insert(rows(20_000, 10)).unwrap().metrics().chunks, 1);
        // SQLite has one writer, whom nobody waits for.
        let chunks = if place.is_postgres() { 2 } else { 1 };
        assert_eq!(table.insert(rows(250, 200_000)).unwrap().metrics().chunks, chunks);
    }

    // 15: an error in load_relations was a warning.
    fn bug_15_a_relation_that_is_not_there_is_an_error(place) {
        place.products();
        let table = || place.db.table::<Record>("products");
        place.db.table::<Product>("products").insert(products(1..2)).unwrap();
        for relation in [Relation::one("supplier"), Relation::many("nothing")] {
            assert!(table().load_relations([relation]).get([1]).is_err());
        }
    }

    // 16: the fallback of one row at a time swallowed errors and ignored `fields`.
    fn bug_16_one_by_one_has_the_same_outcomes(place) {
        place.products();
        let config = BatchConfig::new().strategy(Strategy::OneByOne).continue_on_error(true);
        let table = place.db.table::<Product>("products").config(config);
        table.insert(products(1..11)).unwrap();
        let rows: Vec<Product> =
            (1..12).map(|n| Product { name: "no".into(), stock: if n == 4 { -1 } else { 3 }, ..product(n) }).collect();
        let written = table.update(&rows, ["stock"]).unwrap();
        assert_eq!((written.updated(), written.failed(), written.missing()), (9, 1, 1));
        assert_eq!(table.get([2]).unwrap()[0], Some(Product { stock: 3, ..product(2) }));
        assert_eq!(table.get([4]).unwrap()[0], Some(product(4)));
    }

    // 17: returned models were the values of their first column.
    fn bug_17_rows_that_come_back_are_rows(place) {
        place.products();
        let table = place.db.table::<Product>("products").returning(Returning::Rows);
        let written = table.upsert(products(1..4), ["id"], ALL).unwrap();
        assert_eq!(written.into_rows(), [Some(product(1)), Some(product(2)), Some(product(3))]);
        let written = table.update([Product { stock: 5, ..product(2) }], ["stock"]).unwrap();
        assert_eq!(written.into_rows(), [Some(Product { stock: 5, ..product(2) })]);
        let written = table.delete([3, 4]).unwrap();
        assert_eq!(written.into_rows(), [Some(product(3)), None]);
    }
}

/// 18: nothing was ever committed, and PARALLEL shared one session.
#[test]
fn bug_18_other_connections_see_what_was_written() {
    let folder = std::env::temp_dir().join(format!("batchcall-sql-{}.db", std::process::id()));
    let url = format!("sqlite:{}", folder.display());
    let db = batchcall::Database::open(&url).unwrap();
    db.execute("DROP TABLE IF EXISTS t", ()).unwrap();
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", ()).unwrap();
    let rows: Vec<Record> = (0..10).map(|n| record(&[("id", json!(n))])).collect();
    db.table::<Record>("t").insert(&rows).unwrap();
    let other = batchcall::Database::open(&url).unwrap();
    assert_eq!(other.query::<i64>("SELECT count(*) FROM t", ()).unwrap(), [10]);
    drop((db, other));
    std::fs::remove_file(folder).unwrap();
}
