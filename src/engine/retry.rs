//! How often and how soon to try again: a policy is a value, its delays are an iterator.

use std::time::Duration;

/// How often something is tried, and how long to wait between two tries.
///
/// The wait before the n-th retry is drawn evenly from zero to `min(cap, base * 2^n)`: the longest
/// waits double, and clients that failed together do not come back together. The figures are those
/// that the AWS SDKs use, with a slower base for ERPs.
///
/// ```
/// use batchcall::RetryPolicy;
/// use std::time::Duration;
///
/// let policy = RetryPolicy::new().attempts(4).base(Duration::from_millis(100));
/// let waits: Vec<Duration> = policy.backoff().collect();
/// assert_eq!(waits.len(), 3);
/// assert!(waits[2] <= Duration::from_millis(400));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    throttled_base: Duration,
    cap: Duration,
    retry_after_cap: Duration,
}

impl RetryPolicy {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(200),
            throttled_base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            retry_after_cap: Duration::from_secs(300),
        }
    }

    /// One attempt, no retry.
    #[must_use]
    pub const fn never() -> Self {
        let mut policy = Self::new();
        policy.attempts = 1;
        policy
    }

    /// How often something is tried in all, the first time included. Defaults to 3.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The longest first wait. Defaults to 0.2 s.
    #[must_use]
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest first wait when the server asked for fewer requests. Defaults to 1 s.
    #[must_use]
    pub const fn throttled_base(mut self, base: Duration) -> Self {
        self.throttled_base = base;
        self
    }

    /// The longest wait of all. Defaults to 20 s.
    #[must_use]
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The longest `Retry-After` that is waited for; a longer one ends the call with the server's
    /// error. Defaults to 300 s.
    #[must_use]
    pub const fn retry_after_cap(mut self, cap: Duration) -> Self {
        self.retry_after_cap = cap;
        self
    }

    /// The number of attempts.
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// The longest `Retry-After`.
    pub(crate) const fn max_retry_after(&self) -> Duration {
        self.retry_after_cap
    }

    /// The waits between the attempts.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.base, self.cap, fastrand::Rng::new()).take_at_most(self.attempts.saturating_sub(1))
    }

    /// The waits between the attempts against a server that asked for fewer requests.
    #[must_use]
    pub fn throttled_backoff(&self) -> Backoff {
        Backoff::new(self.throttled_base, self.cap, fastrand::Rng::new())
            .take_at_most(self.attempts.saturating_sub(1))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The waits between attempts: an iterator that ends when no attempt is left.
#[derive(Debug, Clone)]
pub struct Backoff {
    longest: Duration,
    cap: Duration,
    left: Option<u32>,
    random: fastrand::Rng,
}

impl Backoff {
    /// Endless waits; randomness is a parameter.
    pub(crate) fn new(base: Duration, cap: Duration, random: fastrand::Rng) -> Self {
        Self { longest: base.min(cap), cap, left: None, random }
    }

    fn take_at_most(mut self, waits: u32) -> Self {
        self.left = Some(waits);
        self
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        let wait = self.longest.mul_f64(self.random.f64());
        self.longest = self.longest.saturating_mul(2).min(self.cap);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_its_power_of_two_nor_than_the_cap(
            base_ms in 0_u64..5_000, cap_ms in 0_u64..60_000, seed in any::<u64>(),
        ) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
            let waits = Backoff::new(base, cap, fastrand::Rng::with_seed(seed)).take(40);
            for (n, wait) in (0..).zip(waits) {
                let bound = base.saturating_mul(2_u32.saturating_pow(n)).min(cap);
                prop_assert!(wait <= bound, "wait {n} of {wait:?} is over {bound:?}");
            }
        }
    }

    #[test]
    fn attempts_include_the_first() {
        assert_eq!(RetryPolicy::new().backoff().count(), 2);
        assert_eq!(RetryPolicy::never().backoff().count(), 0);
        assert_eq!(RetryPolicy::new().attempts(0).backoff().count(), 0);
    }

    #[test]
    fn two_clients_that_failed_together_do_not_come_back_together() {
        let waits = |seed| {
            Backoff::new(Duration::from_secs(1), Duration::from_secs(20), fastrand::Rng::with_seed(seed))
                .take(3)
                .collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
        assert_eq!(waits(1), waits(1));
    }
}
