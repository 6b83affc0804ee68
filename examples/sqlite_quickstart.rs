//! A table in memory: rows in, one bad row named, rows changed, read back and deleted.
//!
//! ```sh
//! cargo run --example sqlite_quickstart --features sqlite
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::Database;
use batchcall::sql::{BatchConfig, Returning};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Product {
    id: Option<i64>,
    sku: String,
    name: String,
    stock: i32,
}

fn main() -> batchcall::Result<()> {
    let db = Database::open("sqlite::memory:")?;
    db.execute(
        "CREATE TABLE products (id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, \
         stock INTEGER NOT NULL CHECK (stock >= 0))",
        (),
    )?;

    let mut rows: Vec<Product> = (0..10_000)
        .map(|n| Product { id: None, sku: format!("S{n:05}"), name: format!("product {n}"), stock: n % 50 })
        .collect();
    rows[4_711].stock = -1;
    rows[7_000].sku = "S00000".to_owned();

    let products = db
        .table::<Product>("products")
        .config(BatchConfig::new().continue_on_error(true))
        .returning(Returning::Keys);
    let written = products.insert(&rows)?;
    println!("{written}");

    let third = written.keys()[2].clone();
    let found = products.get(third)?;
    println!("the third row: {:?}", found[0]);

    let restocked: Vec<Product> =
        found.into_iter().flatten().map(|row| Product { stock: 500, ..row }).collect();
    println!("{}", products.update(&restocked, ["stock"])?);
    println!("{}", products.delete([1, 2, 999_999])?);
    println!("{}", written.metrics());
    assert_eq!(written.inserted(), 9_998);
    Ok(())
}
