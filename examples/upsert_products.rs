//! A nightly price list: new products are added, known ones get the new price and nothing else.
//!
//! ```sh
//! cargo run --example upsert_products --features sqlite
//! cargo run --example upsert_products --features postgres -- postgres://user:password@host/database
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::sql::BatchConfig;
use batchcall::{Database, Strategy};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Product {
    sku: String,
    name: String,
    price: f64,
}

fn main() -> batchcall::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite::memory:".to_owned());
    let db = Database::open(&url)?;
    db.execute("DROP TABLE IF EXISTS price_list_example", ())?;
    db.execute(
        "CREATE TABLE price_list_example (sku varchar(20) PRIMARY KEY, name text NOT NULL, \
         price double precision NOT NULL)",
        (),
    )?;

    let product =
        |n: i32, price: f64| Product { sku: format!("S{n:05}"), name: format!("product {n}"), price };
    let known: Vec<Product> = (0..20_000).map(|n| product(n, 1.0)).collect();
    let mut list: Vec<Product> = (10_000..30_000).map(|n| product(n, 1.5)).collect();
    // The list names one product twice; the last price holds.
    list.push(product(15_000, 9.9));

    let products = db
        .table::<Product>("price_list_example")
        .config(BatchConfig::new().strategy(Strategy::Parallel).max_workers(2));
    products.insert(&known)?;
    let written = products.upsert(&list, ["sku"], ["price"])?;
    println!("{written}");
    println!("{}", written.metrics());
    for hint in written.metrics().recommendations() {
        println!("hint: {hint}");
    }

    assert_eq!((written.inserted(), written.updated()), (10_000, 10_000));
    let row = products.get(["S15000"])?.remove(0);
    assert!(row.is_some_and(|row| row.price > 9.0 && row.name == "product 15000"));
    db.execute("DROP TABLE price_list_example", ())?;
    Ok(())
}
