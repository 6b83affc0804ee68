//! How operations are cut in requests.

/// How operations are cut in requests, and how many go at once.
///
/// What it costs is part of the promise. For an operation on `n` records and a batch size of `size`, when
/// the store takes that many and refuses none:
///
/// | strategy | requests | at once |
/// |---|---|---|
/// | `SingleQuery` | 1 | 1 |
/// | `Chunked` | `ceil(n / size)`, in order | 1 |
/// | `Parallel` | `ceil(n / size)` | [`max_concurrent`](crate::Executor::max_concurrent) |
/// | `Pipelined` | `ceil(n / size)` | `max_concurrent` |
/// | `Optimistic` | 1; after a refusal `1 + ceil(n / size)` | `max_concurrent` operations |
/// | `OneByOne` | `n`, in order | 1 |
///
/// A chunk that is refused is halved until its bad records are found: at most `2 * ceil(log2(size))` more
/// requests for each. References make more requests: an operation whose records refer to each other goes out
/// wave by wave. [Families](crate::Operation::group_by) make at most one more for each session.
///
/// ```
/// use batchcall::memory::Memory;
/// use batchcall::{Executor, Operation, Strategy};
/// use serde_json::json;
///
/// let rows: Vec<_> = (0..250).map(|n| json!({"name": n})).collect();
/// for (strategy, requests) in [(Strategy::SingleQuery, 1), (Strategy::Chunked, 3), (Strategy::Optimistic, 1)] {
///     let memory = Memory::new();
///     let report = Executor::new(&memory)
///         .strategy(strategy)
///         .batch_size(100)
///         .execute([Operation::create("res.partner", &rows)?])?;
///     assert_eq!(report.stats().requests, requests);
/// }
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// One request for each operation. Refused before sending where the store does not take so much.
    SingleQuery,
    /// One request after the other, on one session.
    Chunked,
    /// The same requests, on several sessions at once.
    #[default]
    Parallel,
    /// As `Parallel`, in three bounded stages: chunks are prepared - references resolved, bytes counted - no
    /// faster than they are sent, and finished behind them. What
    /// [`Executor::stream`](crate::Executor::stream) does with an iterator, however long.
    Pipelined,
    /// The whole operation in one request first; if that is refused, in chunks. After a lost answer nothing
    /// is sent again. Larger than the store takes: chunks at once.
    Optimistic,
    /// One request for each record, one after the other: for stores or tables where batches cannot go.
    OneByOne,
}

impl Strategy {
    /// Whether everything goes on one session.
    pub(crate) fn is_sequential(self) -> bool {
        matches!(self, Self::SingleQuery | Self::Chunked | Self::OneByOne)
    }
}
