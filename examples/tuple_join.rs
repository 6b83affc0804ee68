//! A few calls of different result types at once, unpacked as a tuple.
//!
//! ```sh
//! cargo run --example tuple_join
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::acumatica::{Query, Session};
use batchcall::sandbox::Sandbox;
use batchcall::{Acumatica, join};

fn main() -> batchcall::Result<()> {
    let server = Sandbox::acumatica().seats(3).start()?;
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build()?;

    let (customer, items, missing) = join(
        &client,
        (
            |session: &mut Session| session.get_by_id("Customer", "CUST001"),
            |session: &mut Session| session.get_list("StockItem", Query::new().top(3)),
            |session: &mut Session| session.get_by_id("Customer", "NOBODY"),
        ),
    );
    println!("customer: {}", customer?.get_str("CustomerName").unwrap_or("without a name"));
    println!("items:    {}", items?.len());
    match missing {
        Ok(_) => println!("NOBODY is somebody"),
        Err(error) => println!("missing:  {error}"),
    }
    client.close()
}
