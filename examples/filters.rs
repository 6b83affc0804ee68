//! Filters, built and checked before they are sent, in the dialect that the endpoint speaks.
//!
//! ```sh
//! cargo run --example filters
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::acumatica::{Date, Dialect, Query, field};
use batchcall::sandbox::Sandbox;
use batchcall::{Acumatica, BatchCall};

fn main() -> batchcall::Result<()> {
    let server = Sandbox::acumatica().seats(2).start()?;
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build()?;

    // What a filter looks like on the wire depends on the endpoint's contract.
    let since = Date::new(2024, 1, 31)?;
    let filter = field("CustomerName").contains("O'Brien & Sons") & field("CreatedDate").ge(since);
    for dialect in [Dialect::Contract4, Dialect::Contract5] {
        println!("{dialect}: {}", filter.render(dialect)?);
    }
    // What a dialect lacks is refused when the query is built, not by the server.
    let refused = field("CreatedDate").year().eq(2024).render(Dialect::Contract4);
    println!("refused: {}\n", refused.expect_err("contract 4 has no year()"));

    // One call for each filter.
    let names = ["Customer 1", "Customer 20", "x') or (1 eq 1"];
    let report = BatchCall::new(&client)
        .calls(names, |session, name| {
            let query = Query::new()
                .filter(field("CustomerName").starts_with(*name) & field("CreditLimit").gt(1000))
                .select(["CustomerID", "CustomerName"])
                .top(5);
            session.get_list("Customer", query)
        })
        .execute()?;
    for (name, customers) in names.iter().zip(report.into_all()?) {
        let ids: Vec<_> = customers.iter().filter_map(|customer| customer.get_str("CustomerID")).collect();
        println!("{name}: {}", ids.join(", "));
    }
    client.close()
}
