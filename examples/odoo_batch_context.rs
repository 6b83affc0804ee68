//! A batch of operations collected in a closure: sent when it returns `Ok`, and not at all when it does not.
//!
//! ```sh
//! cargo run --example odoo_batch_context
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::sandbox::Sandbox;
use batchcall::{Odoo, RecordStore, Result};
use serde_json::json;

fn main() -> Result<()> {
    let server = Sandbox::odoo(19).start()?;
    let client = Odoo::builder(server.url()).database("odoo").login("admin", "admin").build()?;

    // The second record refers to the first, which is not made yet.
    let report = client.batch(|batch| {
        let acme = batch.create("res.partner", json!({"name": "ACME", "is_company": true}))?;
        batch.create("res.partner", json!({"name": "Jo", "parent_id": acme.id()}))?;
        batch.update("res.partner", [1], json!({"color": 3}))?;
        Ok(())
    })?;
    println!("{report}\n");
    for entry in report.iter() {
        println!("{} {}: {}", entry.operation().model(), entry.record(), entry.outcome());
    }

    // The closure gives up: nothing is sent.
    let requests = server.history().requests();
    let refused = client.batch(|batch| {
        batch.create("res.partner", json!({"name": "half a file"}))?;
        Err(batchcall::Error::other("the file ends in the middle"))
    });
    println!("\ngiven up: {}", refused.expect_err("the closure failed"));
    println!("requests sent for it: {}", server.history().requests() - requests);
    client.close()
}
