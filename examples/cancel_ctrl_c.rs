//! Ctrl-C drains the batch: calls under way get their answers. A second Ctrl-C stops at once. Either way
//! every session is logged out, and the exit code is 130.
//!
//! ```sh
//! cargo run --example cancel_ctrl_c
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use std::process::ExitCode;
use std::time::Duration;

use batchcall::sandbox::Sandbox;
use batchcall::{Acumatica, BatchCall, CancelToken};

fn main() -> batchcall::Result<ExitCode> {
    let server = Sandbox::acumatica().seats(3).latency(Duration::from_millis(700)).start()?;
    let client = Acumatica::builder(server.url()).login("admin", "admin").tenant("Company").build()?;

    let cancel = CancelToken::new();
    let token = cancel.clone();
    ctrlc::set_handler(move || {
        if token.is_cancelled() {
            eprintln!("\nstopping at once");
            token.cancel_now();
        } else {
            eprintln!("\nfinishing the calls under way; Ctrl-C again stops at once");
            token.cancel();
        }
    })
    .map_err(batchcall::Error::other)?;

    println!("60 calls of 0.7 s on 3 sessions. Press Ctrl-C.");
    let report = BatchCall::new(&client)
        .max_concurrent(3)
        .cancel_token(&cancel)
        .calls(1..=60, |session, n| session.get_by_id("Customer", format!("CUST{n:03}")))
        .execute_with_progress(|p| eprint!("\r{}/{}", p.completed, p.total))?;

    println!("\n{report}");
    client.close()?;
    println!("sessions open on the server: {}", server.open_sessions());
    Ok(if cancel.is_cancelled() { ExitCode::from(130) } else { ExitCode::SUCCESS })
}
