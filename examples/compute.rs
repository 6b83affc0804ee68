//! A value for each of many rows, worked out on the workers, and what became of each.
//!
//! ```sh
//! cargo run --example compute --features sqlite
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::sql::BatchConfig;
use batchcall::{Database, Error, ErrorKind, Strategy};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Invoice {
    id: i64,
    net: f64,
    rate: Option<f64>,
}

fn main() -> batchcall::Result<()> {
    let db = Database::open("sqlite::memory:")?;
    db.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, net REAL NOT NULL, rate REAL)", ())?;
    let invoices: Vec<Invoice> =
        (1..=1000).map(|id| Invoice { id, net: id as f64, rate: (id % 100 != 0).then_some(0.19) }).collect();
    let table = db
        .table::<Invoice>("invoices")
        .config(BatchConfig::new().strategy(Strategy::Parallel).batch_size(100).continue_on_error(true));
    table.insert(&invoices)?;

    let taxes = table.compute(1..=1001, |invoice| match invoice.rate {
        Some(rate) => Ok(invoice.net * rate),
        None => Err(Error::new(ErrorKind::Rejected, "the invoice has no tax rate")),
    })?;
    let sum: f64 = taxes.iter().flatten().sum();
    println!("tax of {} invoices: {sum:.2}", taxes.iter().flatten().count());
    for error in taxes.iter().filter_map(|tax| tax.as_ref().err()) {
        println!("invoice {}: {error}", error.record_index().map_or(0, |place| place + 1));
    }
    assert_eq!(taxes.iter().flatten().count(), 990);
    Ok(())
}
