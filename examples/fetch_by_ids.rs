//! Many records by their ids, a few at a time, each worker on its own session.
//!
//! ```sh
//! cargo run --example fetch_by_ids
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::time::Duration;

use batchcall::sandbox::Sandbox;
use batchcall::{Acumatica, BatchCall, ErrorKind};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Customer {
    #[serde(rename = "CustomerID")]
    id: String,
    customer_name: String,
}

fn main() -> batchcall::Result<()> {
    let server = Sandbox::acumatica().seats(4).latency(Duration::from_millis(10)).start()?;
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build()?;

    let mut ids: Vec<String> = (1..=40).map(|n| format!("CUST{n:03}")).collect();
    ids.push("NOBODY".into());
    let report = BatchCall::new(&client)
        .max_concurrent(4)
        .timeout(Duration::from_secs(30))
        .calls(&ids, |session, id| session.get_by_id("Customer", id)?.decode::<Customer>())
        .execute()?;

    for customer in report.successful_results().take(3) {
        println!("{}: {}", customer.id, customer.customer_name);
    }
    for outcome in report.failed_calls() {
        let id = &ids[outcome.index()];
        match outcome.error() {
            Some(error) if error.kind() == ErrorKind::NotFound => println!("{id}: there is no such customer"),
            Some(error) => println!("{id}: {error}"),
            None => {}
        }
    }
    println!("\n{report}");
    client.close()
}
