//! Imports a CSV file into a model of Odoo: a small command-line tool.
//!
//! ```sh
//! cargo run --release --example odoo_import
//! cargo run --release --example odoo_import -- rows.csv --model res.partner --key ref --failed failed.csv
//! ```
//!
//! Columns are fields. Rows are upserted by the key columns, or created without any. Rows that did not go in
//! are written to a file with the reason, which can be fed in again as it is. The exit code is 0 only
//! when every row went in. With `ODOO_URL` and friends set it talks to that server, else to a stand-in.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use batchcall::sandbox::Sandbox;
use batchcall::{BatchSize, CancelToken, Executor, Odoo, Operation, Record, Result, Select};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Imports a CSV file into a model of Odoo.
#[derive(Parser)]
struct Arguments {
    /// The file: a header with field names, and a row for each record.
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/partners.csv"))]
    file: PathBuf,
    /// The model.
    #[arg(long, default_value = "res.partner")]
    model: String,
    /// A column that names the record; may be given several times. "id" is the external id.
    #[arg(long = "key", default_value = "ref")]
    keys: Vec<String>,
    /// Creates every row, whether or not it is there.
    #[arg(long, conflicts_with = "keys")]
    create: bool,
    /// Requests at once.
    #[arg(long, default_value_t = 3)]
    sessions: usize,
    /// Rows in a request; 0 finds the best number by itself.
    #[arg(long, default_value_t = 0)]
    chunk: usize,
    /// Where rows go that did not go in.
    #[arg(long, default_value = "failed.csv")]
    failed: PathBuf,
    /// Checks the rows and tells what would be sent.
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let stand_in = match std::env::var_os("ODOO_URL") {
        Some(_) => None,
        None => Some(
            Sandbox::odoo(19)
                .latency(Duration::from_millis(20))
                .row_cost(Duration::from_millis(1))
                .start()?,
        ),
    };
    let client = match &stand_in {
        None => Odoo::from_env()?,
        Some(server) => Odoo::builder(server.url()).database("odoo").login("admin", "admin").build()?,
    };

    let file = File::open(&arguments.file)
        .map_err(|error| batchcall::Error::other(format!("{}: {error}", arguments.file.display())))?;
    let rows = Record::read_csv(file)?;
    let count = rows.len();
    let operation = if arguments.create {
        Operation::create(&arguments.model, rows)?
    } else {
        Operation::upsert(&arguments.model, &arguments.keys, rows)?
    };

    let cancel = CancelToken::new();
    let on_ctrl_c = cancel.clone();
    ctrlc::set_handler(move || on_ctrl_c.cancel()).map_err(batchcall::Error::other)?;
    let size = if arguments.chunk == 0 { BatchSize::Auto } else { BatchSize::Fixed(arguments.chunk) };
    let executor =
        Executor::new(&client).max_concurrent(arguments.sessions).batch_size(size).cancel_token(&cancel);
    if arguments.dry_run {
        println!("{}", executor.plan(&[operation])?);
        return Ok(true);
    }

    println!("{count} rows of {} into {}.", arguments.file.display(), arguments.model);
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows  {per_sec}  {eta} left");
    bar.set_style(style.map_err(batchcall::Error::other)?);
    let report = executor
        .execute_with_progress([operation], |progress| bar.set_position(progress.completed as u64))?;
    bar.finish_and_clear();
    println!("{report}");
    client.close()?;

    if report.is_complete() {
        return Ok(true);
    }
    let failed = File::create(&arguments.failed).map_err(batchcall::Error::other)?;
    let written = report.write_csv(Select::Resendable, failed)?;
    println!("{written} rows that can be fed in again are in {}.", arguments.failed.display());
    for entry in report.in_doubt() {
        println!("row {}: in doubt, look before it is sent again", entry.index() + 1);
    }
    Ok(false)
}
