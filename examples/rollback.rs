//! All or nothing: what was applied is undone when a record fails.
//!
//! ```sh
//! cargo run --example rollback
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::error::Error;

use batchcall::memory::Memory;
use batchcall::{Executor, Operation, RecordReport, Strategy};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    // Without transactions: compensation. What was created is deleted, what was updated gets its former values
    // back, in reverse order - and others see all of it happen.
    let store = store();
    let report = run(&store)?;
    println!("Compensation\n{report}\n");
    assert_eq!(store.rows("account.move").len(), 2);
    assert_eq!(store.row("account.move", 1).ok_or("gone")?["state"], "draft");
    // A deletion cannot be undone, and the report says so.
    assert_eq!((report.totals().rolled_back, report.totals().rollback_failed), (6, 1));

    // With transactions: one, on one session, and nothing stays.
    let store = self::store().transactions(true);
    let report = run(&store)?;
    println!("A transaction\n{report}");
    assert_eq!(store.rows("account.move").len(), 3);
    assert_eq!((report.totals().rolled_back, report.totals().rollback_failed), (7, 0));
    Ok(())
}

fn run(store: &Memory) -> batchcall::Result<RecordReport> {
    let lines: Vec<_> =
        (1..=6).map(|n| json!({"name": format!("line {n}"), "amount": 60 - n * 10})).collect();
    Executor::new(store).strategy(Strategy::Chunked).batch_size(2).rollback_on_error(true).execute([
        Operation::update("account.move", [1, 2], json!({"state": "posted"}))?.priority(2),
        Operation::delete("account.move", [3])?.priority(1),
        // The last line has no amount.
        Operation::create("account.move.line", lines)?,
    ])
}

/// Three entries, and one rule.
fn store() -> Memory {
    let entries = (1..=3).map(|n| json!({"name": format!("entry {n}"), "state": "draft"}));
    Memory::new().with_rows("account.move", entries).refuse(|model, row| {
        (model == "account.move.line" && row["amount"] == 0).then(|| "a line has an amount".into())
    })
}
