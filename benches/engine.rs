//! What the engine itself costs: no-op calls per second, bytes per collected call, memory of a long stream.
//!
//! ```sh
//! cargo bench --bench engine
//! ```
//!
//! Each part runs in a process of its own, so that the memory it shows is its own.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints figures")]

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use batchcall::{BatchCall, Connect, Outcome, Result, Worker};

/// As many as the machine of the figures has cores.
const WORKERS: usize = 2;

struct Nothing;

impl Connect for Nothing {
    type Session = ();

    fn connect(&self, _: &Worker) -> Result<()> {
        Ok(())
    }
}

/// A line of `/proc/self/status` in KiB; 0 where there is none.
fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn batch(calls: u64) -> BatchCall<'static, Nothing, u64> {
    BatchCall::new(&Nothing).max_concurrent(WORKERS).calls(0..calls, |(), n| Ok(*n))
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("rate") => rate()?,
        Some("memory") => memory()?,
        Some("stream") => stream()?,
        _ if args.iter().any(|arg| arg == "--bench") => {
            for part in ["rate", "memory", "stream"] {
                let ended = Command::new(std::env::current_exe()?).arg(part).status()?;
                if !ended.success() {
                    return Err(format!("{part}: {ended}").into());
                }
            }
        }
        _ => {} // `cargo test --benches` only builds it.
    }
    Ok(())
}

fn rate() -> Result<()> {
    let calls = 2_000_000;
    let (mut silent, mut watched) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let batch = batch(calls);
        let began = Instant::now();
        let report = batch.execute()?;
        silent = silent.min(began.elapsed().as_secs_f64());
        assert_eq!(report.stats().successful_calls as u64, calls);
        drop(report);

        let batch = self::batch(calls);
        let (began, mut told) = (Instant::now(), 0);
        let report = batch.execute_with_progress(|progress| told = progress.completed)?;
        watched = watched.min(began.elapsed().as_secs_f64());
        assert_eq!((report.stats().successful_calls, told as u64), (told, calls));
    }
    let rate = |seconds: f64| calls as f64 / seconds / 1e6;
    println!("execute: {:.2} M no-op calls/s on {WORKERS} workers (best of 5, {calls} calls)", rate(silent));
    println!("execute_with_progress: {:.2} M no-op calls/s", rate(watched));
    Ok(())
}

/// The resident set after the batch is dropped and while its report lives, less that of before; and the
/// highest one on the way. What the allocator keeps for itself is in it.
fn memory() -> Result<()> {
    drop(batch(1000).execute()?);
    let calls = 2_000_000;
    let before = status_kib("VmRSS");
    let batch = batch(calls);
    let report = batch.execute()?;
    drop(batch);
    let after = status_kib("VmRSS");
    assert_eq!(report.outcomes().len() as u64, calls);
    let per_call = |kib: u64| kib.saturating_sub(before) * 1024 / calls;
    println!(
        "execute: {} bytes resident per collected call (an outcome of a u64 has {}), {} at the peak",
        per_call(after),
        size_of::<Outcome<u64>>(),
        per_call(status_kib("VmHWM")),
    );
    Ok(())
}

fn stream() -> Result<()> {
    let calls = 10_000_000_u64;
    let began = Instant::now();
    let mut seen = 0_u64;
    let stats =
        BatchCall::new(&Nothing).max_concurrent(WORKERS).stream(0..calls, |(), n| Ok(*n), |_| seen += 1)?;
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((stats.total_calls as u64, seen), (calls, calls));
    println!("stream: {:.2} M no-op calls/s, {calls} calls", calls as f64 / seconds / 1e6);
    println!(
        "stream: {:.1} MB peak resident set of the whole process",
        status_kib("VmHWM") as f64 * 1024.0 / 1e6
    );
    Ok(())
}
