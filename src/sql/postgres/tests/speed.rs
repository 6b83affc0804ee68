//! What a bulk insert costs the client: `cargo test --release -- --ignored --nocapture`.

use std::time::Instant;

use serde::Serialize;

use super::base;
use crate::sql::driver::{Chunk, Done, Driver, Returning};

#[derive(Serialize)]
struct Row {
    id: i64,
    sku: String,
    name: &'static str,
    note: Option<&'static str>,
    qty: i32,
    price: String,
    weight: f64,
    active: bool,
    at: &'static str,
    tags: Tags,
}

#[derive(Serialize)]
struct Tags {
    colour: &'static str,
    sizes: [i32; 3],
}

/// Processor time of this thread group, in seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse)
        .collect();
    fields.iter().sum::<f64>() / 100.0
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "its result")]
fn half_a_million_rows() {
    let Some(mut base) = base() else { return };
    base.run(
        "CREATE TABLE t (id int8 PRIMARY KEY, sku text, name text, note text, qty int4, price numeric(12,2), \
         weight float8, active bool, at timestamptz, tags jsonb)",
    );
    let rows: Vec<Row> = (0..500_000)
        .map(|id| Row {
            id,
            sku: format!("SKU-{id:08}"),
            name: "a product with a name of forty letters..",
            note: (id % 2 == 0).then_some("a note"),
            qty: i32::try_from(id % 1000).unwrap(),
            price: format!("{}.{:02}", id % 10_000, id % 100),
            weight: 1.25,
            active: id % 3 == 0,
            at: "2024-05-01T10:00:00.123456Z",
            tags: Tags { colour: "red", sizes: [1, 2, 3] },
        })
        .collect();
    let table = base.table("t");
    let columns: Vec<usize> = (0..10).collect();
    for isolate in [false, true] {
        base.run("TRUNCATE t");
        base.run("CHECKPOINT");
        let (began, before) = (Instant::now(), processor_time());
        for rows in rows.chunks(10_000) {
            let chunk = Chunk {
                table: &table,
                columns: &columns,
                rows,
                isolate,
                returning: Returning::Nothing,
                bulk: true,
            };
            let done: Done<()> = base.connection.insert(&chunk).unwrap();
            assert!(done.errors.is_empty());
        }
        println!("isolate {isolate}: {:?}, {:.2} s of processor", began.elapsed(), processor_time() - before);
    }
}
