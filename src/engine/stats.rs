//! Counts and times of a batch.

use std::time::Duration;

use super::connect::{Counters, nanos};
use super::outcome::{Outcome, Status};
use std::sync::atomic::Ordering;

/// Counts and times of a batch. Call time, queue time, login time and waits are told apart.
///
/// ```
/// use batchcall::BatchCall;
/// use batchcall::memory::Memory;
///
/// let memory = Memory::new();
/// let report = BatchCall::new(&memory).calls(0..10, |session, n| session.echo(*n)).execute()?;
/// let stats = report.stats();
/// assert_eq!((stats.total_calls, stats.successful_calls), (10, 10));
/// assert_eq!(stats.success_rate(), 1.0);
/// assert!(stats.percentile(50.0) <= stats.max_call_time);
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// All calls.
    pub total_calls: usize,
    /// Calls that returned `Ok`.
    pub successful_calls: usize,
    /// Calls that failed for certain.
    pub failed_calls: usize,
    /// Writes that were sent and got no answer.
    pub in_doubt_calls: usize,
    /// Calls that never began.
    pub not_run_calls: usize,
    /// From the start of the batch to its end, logouts included.
    pub total_time: Duration,
    /// The mean time of the calls that ran; zero when none did.
    pub average_call_time: Duration,
    /// The shortest call; zero when none ran.
    pub min_call_time: Duration,
    /// The longest call; zero when none ran.
    pub max_call_time: Duration,
    /// The mean time that the calls that ran had waited for a worker.
    pub average_queue_time: Duration,
    /// The number of workers.
    pub concurrency_level: usize,
    /// Sessions opened, those opened again after they had expired included.
    pub logins: usize,
    /// Logins refused for want of a seat.
    pub refused_seats: usize,
    /// Sessions that could not be closed in time or at all.
    pub failed_logouts: usize,
    /// Requests sent again, and calls run again.
    pub retries: usize,
    /// The time of all workers spent opening sessions.
    pub login_time: Duration,
    /// The time of all workers spent waiting for a rate limit.
    pub limit_wait: Duration,
    /// The time of all workers spent waiting between two tries.
    pub retry_wait: Duration,
    times: Times,
}

impl Stats {
    /// The time within which `percent` of the calls that ran were done, to within 2 %; zero when none
    /// ran. `percent` goes from 0 to 100.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.times.percentile(percent))
    }

    /// The share of all calls that succeeded, from 0 to 1; 1 for an empty batch.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn success_rate(&self) -> f64 {
        if self.total_calls == 0 { 1.0 } else { self.successful_calls as f64 / self.total_calls as f64 }
    }

    /// Calls that ran, per second; 0 for an empty batch.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn calls_per_second(&self) -> f64 {
        let seconds = self.total_time.as_secs_f64();
        if seconds > 0.0 { self.ran() as f64 / seconds } else { 0.0 }
    }

    fn ran(&self) -> usize {
        self.total_calls - self.not_run_calls
    }

    pub(crate) fn of_workers(workers: usize) -> Self {
        Self { concurrency_level: workers, ..Self::default() }
    }

    /// Counts one outcome in.
    pub(crate) fn count<T>(&mut self, outcome: &Outcome<T>) {
        self.total_calls += 1;
        match outcome.status() {
            Status::Succeeded => self.successful_calls += 1,
            Status::Failed => self.failed_calls += 1,
            Status::InDoubt => self.in_doubt_calls += 1,
            Status::NotRun => {
                self.not_run_calls += 1;
                return;
            }
        }
        self.times.count(nanos(outcome.elapsed()), nanos(outcome.queued()));
    }

    /// Adds what one worker counted.
    pub(crate) fn add_worker(&mut self, counters: &Counters) {
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.logins += count(counters.logins.load(Ordering::Relaxed));
        self.retries += count(counters.retries.load(Ordering::Relaxed));
        self.refused_seats += count(counters.refused_seats.load(Ordering::Relaxed));
        self.failed_logouts += count(counters.failed_logouts.load(Ordering::Relaxed));
        self.login_time += Duration::from_nanos(counters.login_time.load(Ordering::Relaxed));
        self.limit_wait += Duration::from_nanos(counters.limit_wait.load(Ordering::Relaxed));
        self.retry_wait += Duration::from_nanos(counters.retry_wait.load(Ordering::Relaxed));
    }

    /// Works out the figures that follow from the counts.
    pub(crate) fn finish(&mut self, total_time: Duration) {
        self.total_time = total_time;
        let ran = self.ran() as u64;
        let mean = |sum: u128| {
            Duration::from_nanos(
                u64::try_from(sum.checked_div(u128::from(ran)).unwrap_or(0)).unwrap_or(u64::MAX),
            )
        };
        self.average_call_time = mean(self.times.sum);
        self.average_queue_time = mean(self.times.queued);
        self.min_call_time = Duration::from_nanos(if ran == 0 { 0 } else { self.times.min });
        self.max_call_time = Duration::from_nanos(self.times.max);
    }

    /// The statistics of a batch and its retry together, over the outcomes of both.
    pub(crate) fn merged<T>(&self, again: &Self, outcomes: &[Outcome<T>]) -> Self {
        let mut merged = Self {
            concurrency_level: self.concurrency_level.max(again.concurrency_level),
            logins: self.logins + again.logins,
            refused_seats: self.refused_seats + again.refused_seats,
            failed_logouts: self.failed_logouts + again.failed_logouts,
            retries: self.retries + again.retries,
            login_time: self.login_time + again.login_time,
            limit_wait: self.limit_wait + again.limit_wait,
            retry_wait: self.retry_wait + again.retry_wait,
            ..Self::default()
        };
        for outcome in outcomes {
            merged.count(outcome);
        }
        merged.finish(self.total_time + again.total_time);
        merged
    }
}

/// The distribution of call times, in memory that does not grow with the number of calls: each power of
/// two is cut in 64 parts, so a value is known to within 1/64.
#[derive(Clone, Default)]
struct Times {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    queued: u128,
    min: u64,
    max: u64,
}

/// The buckets are nobody's reading.
impl std::fmt::Debug for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Times").field("count", &self.count).finish_non_exhaustive()
    }
}

const PARTS: u64 = 64;

#[expect(clippy::cast_possible_truncation, reason = "fewer than 4,000 buckets")]
fn bucket(value: u64) -> usize {
    // Below 64 each value has a bucket of its own.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PARTS.ilog2() + 1);
    (u64::from(shift) * PARTS + (value >> shift)) as usize
}

fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    let part = bucket % PARTS + PARTS;
    ((part + 1) << shift).wrapping_sub(1)
}

impl Times {
    fn count(&mut self, elapsed: u64, queued: u64) {
        let bucket = bucket(elapsed);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.min = if self.count == 0 { elapsed } else { self.min.min(elapsed) };
        self.max = self.max.max(elapsed);
        self.count += 1;
        self.sum += u128::from(elapsed);
        self.queued += u128::from(queued);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank below the count, from a share clamped to 0..=1"
    )]
    fn percentile(&self, percent: f64) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let share = if percent.is_nan() { 1.0 } else { (percent / 100.0).clamp(0.0, 1.0) };
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(bucket).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        #[expect(clippy::cast_possible_truncation, reason = "a rank below 200")]
        fn a_percentile_is_within_two_percent_of_the_sorted_list(
            mut values in prop::collection::vec(0_u64..100_000_000_000, 1..200), percent in 0.0..=100.0_f64,
        ) {
            let mut times = Times::default();
            for value in &values {
                times.count(*value, 0);
            }
            values.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let told = times.percentile(percent) as f64;
            prop_assert!((told - exact).abs() <= exact * 0.02, "told {told}, exact {exact}");
        }

        #[test]
        fn a_value_lies_in_its_bucket(value in any::<u64>()) {
            let bucket = bucket(value);
            prop_assert!(value <= upper_edge(bucket));
            prop_assert!(bucket == 0 || value > upper_edge(bucket - 1));
        }
    }

    #[test]
    fn an_empty_batch_divides_nothing() {
        let mut stats = Stats::default();
        stats.finish(Duration::ZERO);
        assert_eq!(stats.average_call_time, Duration::ZERO);
        assert_eq!(stats.min_call_time, Duration::ZERO);
        assert_eq!(stats.percentile(99.0), Duration::ZERO);
        assert_eq!((stats.success_rate(), stats.calls_per_second()), (1.0, 0.0));
    }
}
