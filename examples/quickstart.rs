//! The main job: 1,458 real rows into an ERP, over three seats, through a network that breaks.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```
//!
//! Starts a stand-in Acumatica on loopback, upserts every row of `examples/data/airports.csv` as a
//! `Warehouse`, shows the rows that the server refused and why, repairs them, retries them, and reads
//! everything back to compare. With `ACUMATICA_URL` and friends set it talks to a real server.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use batchcall::acumatica::{Query, Write};
use batchcall::sandbox::{Action, Fault, Faults, RetryAfter, Sandbox};
use batchcall::{Acumatica, BatchCall, CancelToken, Status};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// A row of the file, and the record that it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "PascalCase"))]
struct Warehouse {
    #[serde(rename(serialize = "WarehouseID", deserialize = "faa"))]
    id: String,
    #[serde(rename(serialize = "Description", deserialize = "name"))]
    description: String,
    #[serde(rename(deserialize = "lat"))]
    latitude: f64,
    #[serde(rename(deserialize = "lon"))]
    longitude: f64,
    #[serde(rename(deserialize = "alt"))]
    altitude: f64,
    #[serde(rename(deserialize = "tz"))]
    utc_offset: f64,
    #[serde(rename(serialize = "DST"))]
    dst: String,
    #[serde(rename(deserialize = "tzone"))]
    time_zone: String,
}

/// What is read back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    #[serde(rename = "WarehouseID")]
    id: String,
    description: String,
    altitude: f64,
    time_zone: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = match std::env::var_os("ACUMATICA_URL") {
        Some(_) => None,
        None => Some(start_sandbox()?),
    };
    let client = match &sandbox {
        None => Acumatica::from_env()?,
        Some(sandbox) => Acumatica::builder(sandbox.url())
            .login("admin", "admin")
            .tenant("Company")
            .endpoint("Default", "24.200.001")
            .build()?,
    };

    // The rows, behind a lock: they are repaired between two runs of the same calls.
    let rows = RwLock::new(read_rows("airports.csv")?);
    let row = |n: usize| rows.read().unwrap_or_else(PoisonError::into_inner)[n].clone();
    let count = rows.read().unwrap_or_else(PoisonError::into_inner).len();

    // Every row names its record by key and adds no lines, so a lost answer may be asked for again.
    let write = Write::upsert().keyed(true);
    let cancel = CancelToken::new();
    let on_ctrl_c = cancel.clone();
    ctrlc::set_handler(move || on_ctrl_c.cancel())?;
    let batch = BatchCall::new(&client)
        .max_concurrent(5)
        .cancel_token(&cancel)
        .calls(0..count, |session, n| session.write_entity("Warehouse", row(*n), &write));

    println!("Upserting {count} warehouses, 5 workers.");
    let bar = ProgressBar::new(count as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}  {eta} left  {msg}")?);
    let first = batch.execute_with_progress(|progress| {
        bar.set_position(progress.completed as u64);
        bar.set_message(format!("{} refused", progress.failed));
    })?;
    bar.finish_and_clear();
    println!("\n{first}\n");

    println!("Refused by the server's rules, and how each is repaired:");
    for outcome in first.failed_calls().filter(|outcome| outcome.status() == Status::Failed) {
        let Some(error) = outcome.error() else { continue };
        let mut rows = rows.write().unwrap_or_else(PoisonError::into_inner);
        let row = &mut rows[outcome.index()];
        for field in error.field_errors() {
            print!("  {} {}: {} {}", row.id, row.description, field.path, field.message);
            println!(" -> {}", repair(row, &field.path));
        }
    }

    let again = batch.retry_failed_calls(&first).execute()?;
    println!("\nRetried {}: {} succeeded.", again.stats().total_calls, again.stats().successful_calls);
    let report = first.merge(again);
    println!(
        "All together: {} of {} succeeded.",
        report.stats().successful_calls,
        report.stats().total_calls
    );

    // What is really there?
    let mut session = client.session()?;
    let mut stored = HashMap::new();
    let mut twice = 0;
    for record in session.pages("Warehouse", Query::new()).page_size(500).keyset("WarehouseID") {
        let record: Stored = record?.decode()?;
        twice += usize::from(stored.insert(record.id.clone(), record).is_some());
    }
    drop(session);
    let rows = rows.read().unwrap_or_else(PoisonError::into_inner);
    let same = |row: &&Warehouse| {
        stored.get(&row.id).is_some_and(|record| {
            record.description == row.description
                && record.altitude == row.altitude
                && record.time_zone == row.time_zone
        })
    };
    let equal = rows.iter().filter(same).count();
    if let Some(sandbox) = &sandbox {
        let history = sandbox.history();
        let made = |row: &Warehouse| {
            history.effects_of("Warehouse", &row.id).filter(|effect| effect.action == Action::Insert).count()
        };
        twice += rows.iter().filter(|row| made(row) > 1).count();
    }
    println!(
        "Read back: {equal} of {count} rows are as they were sent, {} lost, {twice} there twice.",
        count - equal
    );
    client.close()?;
    if let Some(sandbox) = &sandbox {
        let history = sandbox.history();
        println!(
            "The server saw {} logins and {} logouts; {} sessions are open.",
            history.logins(),
            history.logouts(),
            sandbox.open_sessions(),
        );
    }
    if report.is_complete() && equal == count && twice == 0 {
        Ok(())
    } else {
        Err("not every row is there exactly once".into())
    }
}

/// Three seats, 20 ms a request, and a network that breaks now and then.
fn start_sandbox() -> batchcall::Result<Sandbox> {
    let faults = Faults::none()
        .at(150, Fault::ResetBefore)
        .at(400, Fault::TooManyRequests(RetryAfter::Seconds(1)))
        .at(600, Fault::ResetAfter)
        .at(900, Fault::TooManyRequests(RetryAfter::None))
        .at(1200, Fault::ResetDuring);
    let sandbox = Sandbox::acumatica().seats(3).latency(Duration::from_millis(20)).faults(faults).start()?;
    println!(
        "A stand-in Acumatica listens on {}: 3 seats, 20 ms a request, 5 injected faults.",
        sandbox.url()
    );
    Ok(sandbox)
}

fn read_rows(name: &str) -> Result<Vec<Warehouse>, Box<dyn Error>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name);
    let mut reader = csv::Reader::from_path(&path)?;
    // A broken row is refused before anything is sent; the error names its line and column.
    let rows: Result<Vec<_>, _> = reader.deserialize().collect();
    rows.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Makes a row keep the rule that it broke, and says how.
fn repair(row: &mut Warehouse, field: &str) -> String {
    match field {
        "Altitude" => {
            row.altitude = row.altitude.clamp(0.0, 7500.0);
            format!("altitude {}", row.altitude)
        }
        "TimeZone" => {
            let zone = if row.utc_offset <= -9.0 { "America/Anchorage" } else { "America/New_York" };
            row.time_zone = zone.to_owned();
            format!("time zone {zone}, by its offset")
        }
        _ => "left as it is".to_owned(),
    }
}
