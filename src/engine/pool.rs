//! The pool: the only file that names rayon.
//!
//! Each batch has a pool of its own, and each of its threads runs one long loop, started by
//! `spawn_broadcast`. With one rayon job per call, or per worker through `spawn`, a call that uses
//! rayon itself would steal a sibling's loop while it waits and not come back from it until the batch
//! is over. The pool's threads are joined before `run` returns.

use rayon::ThreadPoolBuilder;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work` on each of `threads` threads and `monitor` on the caller's, to the end of all.
pub(crate) fn run<R>(
    threads: usize,
    work: impl Fn(usize) + Send + Sync,
    monitor: impl FnOnce() -> R,
) -> Result<R> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|worker| format!("batchcall-{worker}"))
        .build_scoped(rayon::ThreadBuilder::run, |pool| {
            pool.in_place_scope(|scope| {
                scope.spawn_broadcast(move |_, thread| work(thread.index()));
                monitor()
            })
        })
        .map_err(|e| {
            Error::new(ErrorKind::Other, format!("{threads} worker threads could not be started"))
                .with_source(e)
        })
}
