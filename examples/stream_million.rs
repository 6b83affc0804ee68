//! A million calls from an iterator in constant memory: items are made as workers ask for them, outcomes
//! are handed on as they come.
//!
//! ```sh
//! cargo run --release --example stream_million
//! ```
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a program talks to its user")]

use std::time::Duration;

use batchcall::memory::{Memory, Step};
use batchcall::{BatchCall, ErrorKind, Status};

fn main() -> batchcall::Result<()> {
    // Now and then a call is refused.
    let steps = std::iter::repeat_n(Step::Answer, 999).chain([Step::Fail(ErrorKind::Rejected)]);
    let server = Memory::new().script(steps.collect::<Vec<_>>().into_iter().cycle().take(20_000));

    let (mut sum, mut refused) = (0_u64, Vec::new());
    let stats = BatchCall::new(&server).max_concurrent(2).timeout(Duration::from_secs(600)).stream(
        0..1_000_000_u64,
        |session, &n| session.echo(n),
        |outcome| match outcome.status() {
            Status::Succeeded => sum += outcome.into_result().unwrap_or(0),
            _ => refused.push(outcome.index() as u64),
        },
    )?;

    println!(
        "{} calls, {} succeeded, {} refused, in {:.1?}: {:.0} calls/s",
        stats.total_calls,
        stats.successful_calls,
        refused.len(),
        stats.total_time,
        stats.calls_per_second(),
    );
    let whole = 999_999_u64 * 1_000_000 / 2;
    assert_eq!(sum + refused.iter().sum::<u64>(), whole, "every item has exactly one outcome");
    println!("Nothing lost, nothing twice: the sums agree.");
    if let Ok(status) = std::fs::read_to_string("/proc/self/status")
        && let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
    {
        println!("Peak memory:{}", peak.replace('\t', " "));
    }
    Ok(())
}
