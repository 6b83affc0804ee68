//! Rule 6: one long loop per pool thread, so that calls may use rayon and batches of their own.

use std::cell::Cell;
use std::time::Duration;

use batchcall::memory::{Memory, Session};
use batchcall::{BatchCall, ErrorKind, join};
use rayon::prelude::*;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// With a rayon job per worker, a call that waits in `rayon::join` steals a sibling's loop: the
/// sibling's calls then run on top of it, and it does not come back before the batch is over.
#[test]
fn a_call_that_uses_rayon_steals_no_siblings_calls() {
    let memory = Memory::new();
    let report = BatchCall::new(&memory)
        .max_concurrent(4)
        .calls(0..80, |session, n| {
            let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
            let nap = || std::thread::sleep(Duration::from_micros(300));
            rayon::join(nap, || rayon::join(nap, nap));
            let sum: u64 = (0..100_u64).into_par_iter().sum();
            DEPTH.with(|depth| depth.set(depth.get() - 1));
            assert_eq!(sum, 4950);
            session.echo((*n, depth))
        })
        .execute()
        .unwrap();
    for (n, depth) in report.into_all().unwrap() {
        assert_eq!(depth, 0, "call {n} ran on top of another");
    }
}

#[test]
fn a_call_may_run_a_batch_of_its_own() {
    for workers in [1, 3] {
        let memory = Memory::new();
        let report = BatchCall::new(&memory)
            .max_concurrent(workers)
            .calls(0..6_u64, |_, n| {
                let inner = BatchCall::new(&memory)
                    .max_concurrent(workers)
                    .calls(0..5_u64, |session, m| session.echo(n * 10 + m))
                    .execute()?;
                Ok(inner.into_all()?.iter().sum::<u64>())
            })
            .execute()
            .unwrap();
        assert_eq!(report.into_all().unwrap(), (0..6).map(|n| n * 50 + 10).collect::<Vec<_>>());
        assert_eq!(memory.open_sessions(), 0);
    }
}

#[test]
fn batches_run_from_inside_another_rayon_pool() {
    let memory = Memory::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let sums: Vec<u64> = pool.install(|| {
        (0..8_u64)
            .into_par_iter()
            .map(|n| {
                let batch = BatchCall::new(&memory).max_concurrent(2).calls(0..20_u64, |s, m| s.echo(n + m));
                batch.execute().unwrap().into_all().unwrap().iter().sum()
            })
            .collect()
    });
    assert_eq!(sums, (0..8).map(|n| n * 20 + 190).collect::<Vec<u64>>());
}

#[test]
fn join_gives_each_result_its_own_type_and_error() {
    let memory = Memory::new().with_record("a", "Alfa");
    let (name, count, missing) = join(
        &memory,
        (|s: &mut Session| s.get("a"), |s: &mut Session| s.echo(3_usize), |s: &mut Session| s.get("b")),
    );
    assert_eq!(name.unwrap(), "Alfa");
    assert_eq!(count.unwrap(), 3);
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(memory.open_sessions(), 0);
}

#[test]
fn join_contains_a_panic() {
    let memory = Memory::new();
    let (fine, broken): (_, batchcall::Result<()>) =
        join(&memory, (|s: &mut Session| s.echo(1), |_: &mut Session| panic!("broken")));
    assert_eq!(fine.unwrap(), 1);
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Panicked);
}
