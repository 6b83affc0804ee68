//! A batch with a deadline against a server that hangs: it returns in time, and says of each call what
//! became of it.
//!
//! ```sh
//! cargo run --example deadline
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::time::{Duration, Instant};

use batchcall::sandbox::{Calls, Fault, Faults, Sandbox};
use batchcall::{Acumatica, BatchCall};
use serde_json::json;

fn main() -> batchcall::Result<()> {
    // From the 5th write on the server takes requests and never answers; the 5th one is applied.
    let faults = Faults::none().at_on(Calls::Put, 5, Fault::HangAfter).every_on(Calls::Put, 6, Fault::Hang);
    let server = Sandbox::acumatica().latency(Duration::from_millis(20)).faults(faults).start()?;
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build()?;

    let deadline = Duration::from_millis(500);
    let began = Instant::now();
    let report = BatchCall::new(&client)
        .max_concurrent(2)
        .timeout(deadline)
        .calls(0..30, |session, n| {
            let id = format!("NEW{n:02}");
            session.put_entity("Warehouse", json!({"WarehouseID": id, "Description": id, "TimeZone": "UTC"}))
        })
        .execute()?;
    println!("returned {:?} after the deadline", began.elapsed().saturating_sub(deadline));
    println!("{report}");

    // In doubt: look whether they were applied before sending them again.
    for outcome in report.outcomes().iter().filter(|outcome| outcome.status() == batchcall::Status::InDoubt) {
        let id = format!("NEW{:02}", outcome.index());
        let applied = server.record("Warehouse", &id).is_some();
        println!("{id}: in doubt; on the server it {}", if applied { "is there" } else { "is not" });
    }
    client.close()?;
    println!("sessions open on the server: {}", server.open_sessions());
    Ok(())
}
