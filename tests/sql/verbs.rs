//! What each verb does to good input.

use batchcall::Record;
use batchcall::sql::{ALL, Key, Relation, Returning, RowStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::place::{Product, product, products};

both! {
    fn rows_go_in_and_come_back_in_the_order_of_the_keys(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        let written = table.insert(products(1..2001)).unwrap();
        assert_eq!((written.inserted(), written.total()), (2000, 2000));
        let found = table.get([1500, 3, 9999, 3, 2000]).unwrap();
        assert_eq!(found, [Some(product(1500)), Some(product(3)), None, Some(product(3)), Some(product(2000))]);
    }

    fn empty_input_sends_nothing(place) {
        // The table does not even have to be there.
        let table = place.db.table::<Product>("nothing");
        assert_eq!(table.insert([]).unwrap().total(), 0);
        assert_eq!(table.update([], ALL).unwrap().total(), 0);
        assert_eq!(table.upsert([], ["id"], ALL).unwrap().total(), 0);
        assert_eq!(table.delete([0_i64; 0]).unwrap().total(), 0);
        assert_eq!(table.get([0_i64; 0]).unwrap(), []);
        assert_eq!(table.compute([0_i64; 0], |_| Ok(())).unwrap().len(), 0);
    }

    fn keys_and_rows_come_back_on_request(place) {
        place.products();
        let new: Vec<Product> = (1..301).map(|n| Product { id: None, ..product(n) }).collect();
        let written = place.db.table::<Product>("products").returning(Returning::Keys).insert(&new).unwrap();
        let ids: Vec<i64> = written.keys().iter().map(|key| key.as_ref().unwrap().as_i64().unwrap()).collect();
        let found = place.db.table::<Product>("products").get(&ids).unwrap();
        for (row, sent) in found.iter().zip(&new) {
            assert_eq!(row.as_ref().unwrap().sku, sent.sku);
        }
        let more: Vec<Product> = (301..401).map(|n| Product { id: None, ..product(n) }).collect();
        let written = place.db.table::<Product>("products").returning(Returning::Rows).insert(&more).unwrap();
        for (row, sent) in written.rows().iter().zip(&more) {
            let row = row.as_ref().unwrap();
            assert_eq!(row.sku, sent.sku);
            assert!(row.id.is_some() && !ids.contains(&row.id.unwrap()));
        }
    }

    fn an_update_sets_the_named_fields_and_tells_keys_that_are_not_there(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..11)).unwrap();
        let changed: Vec<Product> =
            (5..15).map(|n| Product { name: "changed".into(), stock: 77, ..product(n) }).collect();
        let written = table.update(&changed, ["stock"]).unwrap();
        assert_eq!((written.updated(), written.missing()), (6, 4));
        assert_eq!(written.statuses()[6], RowStatus::Missing);
        let row = table.get([7]).unwrap().remove(0).unwrap();
        assert_eq!(row, Product { stock: 77, ..product(7) });
        // All fields, and by another key.
        let written = table.update(&changed[..3], ALL).unwrap();
        assert_eq!(written.updated(), 3);
        assert_eq!(table.get([5]).unwrap()[0].as_ref().unwrap().name, "changed");
    }

    fn an_update_by_another_key(place) {
        place.products();
        let table = place.db.table::<Record>("products");
        place.db.table::<Product>("products").insert(products(1..4)).unwrap();
        let rows = [Record::from_iter([("sku", json!("S2")), ("stock", json!(5))])];
        assert_eq!(table.key(["sku"]).update(rows, ALL).unwrap().updated(), 1);
        let row = place.db.table::<Product>("products").get([2]).unwrap().remove(0).unwrap();
        assert_eq!(row, Product { stock: 5, ..product(2) });
    }

    fn an_upsert_tells_new_from_overwritten(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..101)).unwrap();
        let rows: Vec<Product> = (51..151).map(|n| Product { stock: 9, ..product(n) }).collect();
        let written = table.upsert(&rows, ["id"], ALL).unwrap();
        assert_eq!((written.inserted(), written.updated()), (50, 50));
        assert_eq!(written.statuses()[0], RowStatus::Updated);
        assert_eq!(written.statuses()[99], RowStatus::Inserted);
        assert_eq!(place.count("products"), 150);
        // Only `stock` of what is there.
        let rows = [Product { name: "other".into(), stock: 1, ..product(1) }];
        table.upsert(rows, ["sku"], ["stock"]).unwrap();
        assert_eq!(table.get([1]).unwrap()[0], Some(Product { stock: 1, ..product(1) }));
    }

    fn of_equal_rows_of_an_upsert_the_last_is_written(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        let rows = [1, 2, 1].map(product).into_iter().enumerate();
        let rows: Vec<Product> = rows.map(|(n, row)| Product { stock: i32::try_from(n).unwrap(), ..row }).collect();
        let written = table.upsert(&rows, ["id"], ALL).unwrap();
        assert_eq!(written.statuses(), [RowStatus::Superseded, RowStatus::Inserted, RowStatus::Inserted]);
        assert_eq!(table.get([1]).unwrap()[0].as_ref().unwrap().stock, 2);
    }

    fn an_upsert_leaves_columns_alone_that_a_row_does_not_have(place) {
        place.products();
        // The database numbers them itself, so that it knows the next number.
        let new: Vec<Product> = products(1..3).into_iter().map(|row| Product { id: None, ..row }).collect();
        place.db.table::<Product>("products").insert(new).unwrap();
        let rows = [
            Record::from_iter([("id", json!(1)), ("sku", json!("S1")), ("name", json!("one"))]),
            Record::from_iter([("sku", json!("S9")), ("name", json!("nine"))]),
            Record::from_iter([("id", json!(2)), ("sku", json!("S2")), ("name", json!("product 2")), ("stock", json!(8))]),
        ];
        let written = place.db.table::<Record>("products").upsert(rows, ["id"], ALL).unwrap();
        assert_eq!(written.statuses(), [RowStatus::Updated, RowStatus::Inserted, RowStatus::Updated]);
        let table = place.db.table::<Product>("products");
        assert_eq!(table.get([1]).unwrap()[0], Some(Product { name: "one".into(), ..product(1) }));
        assert_eq!(table.get([2]).unwrap()[0], Some(Product { stock: 8, ..product(2) }));
    }

    fn new_rows_are_added_and_others_left_alone(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..4)).unwrap();
        let rows: Vec<Product> = (2..6).map(|n| Product { stock: 500, ..product(n) }).collect();
        let written = table.insert_new(&rows, ["id"]).unwrap();
        assert_eq!((written.inserted(), written.count(RowStatus::Unchanged)), (2, 2));
        assert_eq!(table.get([2]).unwrap()[0], Some(product(2)));
    }

    fn a_delete_counts_what_was_there(place) {
        place.products();
        let table = place.db.table::<Product>("products");
        table.insert(products(1..11)).unwrap();
        let written = table.delete([1, 2, 99, 2]).unwrap();
        assert_eq!((written.deleted(), written.missing()), (2, 2));
        assert_eq!(place.count("products"), 8);
    }

    fn a_key_of_several_columns(place) {
        place.create("weather", "origin text, year int, temp float, PRIMARY KEY (origin, year)");
        let rows: Vec<Record> = [("EWR", 2013, 1.5), ("JFK", 2013, 2.5), ("EWR", 2014, 3.5)]
            .map(|(origin, year, temp)| {
                Record::from_iter([("origin", json!(origin)), ("year", json!(year)), ("temp", json!(temp))])
            })
            .into();
        let table = place.db.table::<Record>("weather");
        let written = place.db.table::<Record>("weather").returning(Returning::Keys).insert(&rows).unwrap();
        assert_eq!(written.keys()[2], Some(Key::from(("EWR", 2014))));
        let found = table.get([("EWR", 2014), ("LGA", 2013), ("JFK", 2013)]).unwrap();
        assert_eq!(found, [Some(rows[2].clone()), None, Some(rows[1].clone())]);
        let rows = [Record::from_iter([("origin", json!("JFK")), ("year", json!(2013)), ("temp", json!(9.0))])];
        assert_eq!(table.update(rows, ALL).unwrap().updated(), 1);
        assert_eq!(table.delete([("EWR", 2013), ("EWR", 1999)]).unwrap().deleted(), 1);
    }

    fn names_that_need_quotes(place) {
        place.create("\"odd \"\"table\"", "\"select\" $id, \"a b\" text, \"x\"\"; DROP TABLE y; --\" int");
        let row = || Record::from_iter([
            ("select", json!(1)), ("a b", json!("v")), ("x\"; DROP TABLE y; --", json!(3)),
        ]);
        let table = place.db.table::<Record>("\"odd \"\"table\"");
        table.insert([row()]).unwrap();
        assert_eq!(table.get([1]).unwrap(), [Some(row())]);
        assert_eq!(table.upsert([row()], ["select"], ALL).unwrap().updated(), 1);
        assert_eq!(table.update([row()], ["a b"]).unwrap().updated(), 1);
        assert_eq!(table.delete([1]).unwrap().deleted(), 1);
    }

    fn every_type_survives(place) {
        place.create("types", "id $id, flag boolean, small smallint, whole bigint, real double precision, \
            money numeric(20,4), text text, day date, at $time, uuid uuid, doc $json, raw $bytes");
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct Types {
            id: i64,
            flag: Option<bool>,
            small: Option<i16>,
            whole: Option<i64>,
            real: Option<f64>,
            money: Option<String>,
            text: Option<String>,
            day: Option<String>,
            at: Option<String>,
            uuid: Option<uuid::Uuid>,
            doc: Option<serde_json::Value>,
            raw: Option<Vec<u8>>,
        }
        let full = Types {
            id: 1,
            flag: Some(true),
            small: Some(i16::MIN),
            whole: Some(i64::MAX),
            real: Some(1.0e-300),
            money: Some("12345678.1250".into()),
            text: Some("a\tb\\ \"ü\" \u{1f600}\n".into()),
            day: Some("2013-02-28".into()),
            at: Some("2024-05-01T10:20:30.123456Z".into()),
            uuid: Some(uuid::Uuid::from_u128(7)),
            doc: Some(json!({"a": [1, null, "x"], "b": {"c": 1.5}})),
            raw: Some(vec![0, 1, 255]),
        };
        let empty = Types {
            id: 2, flag: None, small: None, whole: None, real: None, money: None, text: None, day: None,
            at: None, uuid: None, doc: None, raw: None,
        };
        let table = place.db.table::<Types>("types");
        table.insert([full.clone(), empty.clone()]).unwrap();
        let found = table.get([1, 2]).unwrap();
        let expected = if place.is_postgres() { full } else {
            // SQLite keeps the number, not its digits.
            Types { money: found[0].as_ref().unwrap().money.clone(), ..full }
        };
        assert_eq!(found, [Some(expected.clone()), Some(empty)]);
        assert!(expected.money.unwrap().starts_with("12345678.125"));
    }

    fn relations_are_loaded_by_one_query_each(place) {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Customer { id: i64, name: String }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Line { id: i64, order_id: i64 }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Order {
            id: i64,
            customer_id: Option<i64>,
            #[serde(default)]
            customer: Option<Customer>,
            #[serde(default)]
            lines: Vec<Line>,
        }
        place.create("customers", "id $id, name text");
        place.create("orders", "id $id, customer_id bigint REFERENCES customers (id)");
        place.create("lines", "id $id, order_id bigint REFERENCES orders (id)");
        let run = |sql: &str| { place.db.execute(sql, ()).unwrap(); };
        run("INSERT INTO customers (id, name) VALUES (1, 'Alfa'), (2, 'Beta')");
        run("INSERT INTO orders (id, customer_id) VALUES (10, 2), (11, 1), (12, NULL)");
        run("INSERT INTO lines (id, order_id) VALUES (100, 10), (101, 10), (102, 12)");
        let found = place.db.table::<Order>("orders")
            .load_relations([Relation::one("customer"), Relation::many("lines")])
            .get([12, 10, 99])
            .unwrap();
        assert_eq!(found[0], Some(Order {
            id: 12, customer_id: None, customer: None, lines: vec![Line { id: 102, order_id: 12 }],
        }));
        let order = found[1].as_ref().unwrap();
        assert_eq!(order.customer.as_ref().unwrap().name, "Beta");
        assert_eq!(order.lines.len(), 2);
        assert_eq!(found[2], None);
    }

    fn raw_sql_with_parameters(place) {
        place.create("t", "id $id, name text");
        assert_eq!(place.db.execute_many("INSERT INTO t (id, name) VALUES ($1, $2)", [(1, "a"), (2, "b")]).unwrap(), [1, 1]);
        #[derive(Serialize)]
        struct Named { id: i64, name: &'static str }
        let sets = [Named { id: 1, name: "x" }, Named { id: 7, name: "y" }];
        assert_eq!(place.db.execute_many("UPDATE t SET name = :name WHERE id = :id", &sets).unwrap(), [1, 0]);
        let rows = place.db.query_many::<_, (i64, String)>("SELECT id, name FROM t WHERE id <= $1 ORDER BY id", &[[1], [2]]).unwrap();
        assert_eq!(rows, [vec![(1, "x".to_owned())], vec![(1, "x".to_owned()), (2, "b".to_owned())]]);
        assert_eq!(place.db.query_many::<_, i64>("SELECT count(*) FROM t", &[()]).unwrap(), [[2]]);
    }
}
