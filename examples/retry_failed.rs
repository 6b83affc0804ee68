//! Retrying what failed: what may pass by itself at once, what is in doubt only after a look.
//!
//! ```sh
//! cargo run --example retry_failed
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter, Sandbox};
use batchcall::{Acumatica, BatchCall, RetryPolicy, Status};
use serde_json::json;

fn main() -> batchcall::Result<()> {
    let faults = Faults::none()
        .at_on(Calls::Put, 2, Fault::Unavailable(RetryAfter::Seconds(0)))
        .at_on(Calls::Put, 4, Fault::ResetAfter) // Applied, and the answer lost.
        .at_on(Calls::Put, 6, Fault::ResetBefore);
    let server = Sandbox::acumatica().faults(faults).start()?;
    let client = Acumatica::builder(server.url())
        .login("admin", "admin")
        .tenant("Company")
        .retry(RetryPolicy::never()) // So that there is something left to retry here.
        .build()?;

    let batch = BatchCall::new(&client).max_concurrent(1).calls(0..8, |session, n| {
        let time_zone = if *n == 7 { "Nowhere" } else { "UTC" };
        let id = format!("NEW{n}");
        session.put_entity("Warehouse", json!({"WarehouseID": id, "Description": id, "TimeZone": time_zone}))
    });
    let first = batch.execute()?;
    println!("{first}\n");

    // What the rules refused would be refused again; what is in doubt is looked at first.
    let again = batch.retry_where(&first, |outcome| outcome.is_retryable()).execute()?;
    println!(
        "retried {} that may pass: {} succeeded",
        again.stats().total_calls,
        again.stats().successful_calls
    );

    let not_there = |index| server.record("Warehouse", &format!("NEW{index}")).is_none();
    let doubtful = batch
        .retry_where(&first, |outcome| outcome.status() == Status::InDoubt && not_there(outcome.index()));
    println!("in doubt and not there: {}", doubtful.len());
    let rest = doubtful.execute()?;

    let report = first.merge(again).merge(rest);
    println!("\n{report}");
    for n in 0..8 {
        let times = server.history().effects_of("Warehouse", &format!("NEW{n}")).count();
        println!("NEW{n}: written {times} times");
    }
    client.close()
}
