//! What the engine itself costs: no-op calls per second, bytes per collected call, memory of a long stream.
//!
//! `cargo bench --bench engine`
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints figures")]

use std::time::Instant;

use batchcall::{BatchCall, Connect, Result, Worker};

struct Nothing;

impl Connect for Nothing {
    type Session = ();

    fn connect(&self, _: &Worker) -> Result<()> {
        Ok(())
    }
}

/// A line of `/proc/self/status` in KiB.
fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // `cargo test --benches` only builds it.
    }
    let calls = 2_000_000_u64;
    let before = status_kib("VmRSS");
    let mut best = f64::MAX;
    for _ in 0..5 {
        let batch = BatchCall::new(&Nothing).max_concurrent(2).calls(0..calls, |(), n| Ok(*n));
        let began = Instant::now();
        let report = batch.execute().expect("a batch of no-ops");
        best = best.min(began.elapsed().as_secs_f64());
        assert_eq!(report.stats().successful_calls as u64, calls);
        if status_kib("VmHWM") > 0 {
            std::hint::black_box(&report);
        }
    }
    println!(
        "execute: {:.2} M no-op calls/s (best of 5, {calls} calls, 2 workers)",
        calls as f64 / best / 1e6
    );
    let peak = status_kib("VmHWM");
    println!("execute: {} bytes per collected call at the peak", (peak - before) * 1024 / calls);

    let calls = 10_000_000_u64;
    // The high-water mark starts again.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let began = Instant::now();
    let mut seen = 0_u64;
    let stats = BatchCall::new(&Nothing)
        .max_concurrent(2)
        .stream(0..calls, |(), n| Ok(*n), |_| seen += 1)
        .expect("a stream of no-ops");
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((stats.total_calls as u64, seen), (calls, calls));
    println!("stream:  {:.2} M no-op calls/s, {calls} calls", calls as f64 / seconds / 1e6);
    let note = if reset { "" } else { " (of the whole run: the mark could not be reset)" };
    println!("stream:  {:.1} MB peak RSS{note}", status_kib("VmHWM") as f64 / 1024.0);
}
