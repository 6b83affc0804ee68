//! Operations from a JSON file: looked at, planned, run, and what failed written to a file that goes in
//! again.
//!
//! ```sh
//! cargo run --example operations_from_json [file]
//! ```
//!
//! Runs on the in-memory backend; any other store takes its place.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::error::Error;

use batchcall::memory::Memory;
use batchcall::{BatchSize, Executor, Operation, Record, Select};
use serde_json::{Value, json};

const FILE: &str = r#"[
  {"type": "create", "model": "res.partner", "priority": 10, "context": {"tracking_disable": true},
   "data": [{"name": "ACME", "ref": "C1"}, {"ref": "C2"}, {"name": "Globex", "ref": "C3"}]},
  {"type": "update", "model": "res.partner", "ids": [1, 2], "data": {"active": false}},
  {"type": "update", "model": "product", "data": [{"id": 1, "price": 9.5}, {"id": 7, "price": 1}]},
  {"type": "upsert", "model": "product", "keys": ["code"], "data": [{"code": "P1", "price": 3}, {"code": "P9", "price": 4}]},
  {"type": "unlink", "model": "product", "data": [2], "priority": -1}
]"#;

fn main() -> Result<(), Box<dyn Error>> {
    let file = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => FILE.to_owned(),
    };

    // A file with mistakes is refused with all of them, and nothing is sent.
    let wrong =
        json!([{"type": "merge", "model": "m"}, {"type": "delete", "model": "", "data": [0, true, 4, 4]}]);
    if let Err(error) = Operation::list_from_json(&wrong) {
        println!("A file with mistakes:");
        for field in error.field_errors() {
            println!("  {}: {}", field.path, field.message);
        }
    }

    let operations = Operation::list_from_json(&serde_json::from_str::<Value>(&file)?)?;
    let store = store();
    let executor = Executor::new(&store).batch_size(BatchSize::Auto).max_concurrent(3);
    println!("\nThe plan: {}", executor.plan(&operations)?);

    let report = executor.execute(operations)?;
    println!("\n{report}");

    let mut failed = Vec::new();
    let count = report.write_csv(Select::Failed, &mut failed)?;
    println!("\n{count} records failed:\n{}", String::from_utf8_lossy(&failed));

    // Somebody puts the names in, and the file goes in again as it is.
    let mut rows = Record::read_csv(&failed[..])?;
    rows.retain(|row| row.get("ref").is_some());
    for row in &mut rows {
        row.insert("name", "Initech");
    }
    let report = executor.execute([Operation::create("res.partner", rows)?])?;
    assert!(report.is_complete());
    println!("{report}");
    Ok(())
}

/// Two partners, two products, and one rule.
fn store() -> Memory {
    Memory::new()
        .with_rows("res.partner", [json!({"name": "a"}), json!({"name": "b"})])
        .with_rows("product", [json!({"code": "P1", "price": 1}), json!({"code": "P2", "price": 2})])
        .refuse(|model, row| {
            (model == "res.partner" && row["name"].is_null()).then(|| "a contact needs a name".into())
        })
}
