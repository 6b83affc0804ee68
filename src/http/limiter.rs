//! How many requests may go: evenly within a second, and a bounded number within any minute.
//!
//! A request reserves its instant under the host's lock and waits for it outside; reservations are
//! first come, first served, so nobody starves and a late wake-up loses no throughput. Nothing in here
//! waits or reads a clock.
//!
//! **Why is half a minute's quota spread evenly?** Acumatica delays each request by `remaining
//! seconds / remaining requests` once the running minute holds half of the licence's limit, and a
//! request that waits in its queue holds one of 20 places before others are declined. Spreading the
//! second half by the same rule on this side means that the server has nothing to delay.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Limiter {
    second: Option<Spacing>,
    minute: Option<Minute>,
}

impl Limiter {
    pub(super) fn new(per_second: Option<f64>, per_minute: Option<u32>) -> Self {
        Self { second: per_second.map(Spacing::new), minute: per_minute.map(Minute::new) }
    }

    /// Reserves the next instant, and says how far away it is.
    pub(super) fn reserve(&mut self, now: Instant) -> Duration {
        let mut at = now;
        if let Some(second) = &self.second {
            at = second.earliest(at);
        }
        if let Some(minute) = &mut self.minute {
            at = minute.earliest(at);
            minute.sent.push_back(at);
        }
        if let Some(second) = &mut self.second {
            second.next = Some(at + second.interval);
        }
        at - now
    }
}

/// One request each interval; the first one after a pause goes at once. No burst: a server that counts
/// by the second then never sees more than it allows.
#[derive(Debug)]
struct Spacing {
    interval: Duration,
    next: Option<Instant>,
}

impl Spacing {
    fn new(rate: f64) -> Self {
        // A rate so small that no duration holds its interval: a day.
        let interval = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
        Self { interval: interval.min(Duration::from_secs(24 * 3600)), next: None }
    }

    fn earliest(&self, at: Instant) -> Instant {
        self.next.map_or(at, |next| next.max(at))
    }
}

/// At most `limit` in any 60 seconds: the first half as they come, the second half spread over what is
/// left of the window.
#[derive(Debug)]
struct Minute {
    limit: usize,
    sent: VecDeque<Instant>,
}

impl Minute {
    fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit.max(1)).unwrap_or(usize::MAX), sent: VecDeque::new() }
    }

    fn earliest(&mut self, at: Instant) -> Instant {
        let Some(&last) = self.sent.back() else { return at };
        let mut at = at.max(last);
        while self.sent.front().is_some_and(|&first| first + MINUTE <= at) {
            self.sent.pop_front();
        }
        let used = self.sent.len();
        let Some(&first) = self.sent.front() else { return at };
        if used >= self.limit.div_ceil(2) {
            let left = (first + MINUTE).saturating_duration_since(last);
            let spread = left / u32::try_from(self.limit.saturating_sub(used).max(1)).unwrap_or(u32::MAX);
            let even = MINUTE / u32::try_from(self.limit).unwrap_or(u32::MAX);
            at = at.max(last + spread.max(even));
        }
        if used >= self.limit {
            at = at.max(self.sent[used - self.limit] + MINUTE);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// When each of `n` requests goes that are all asked for at once, or each `every`.
    fn sends(mut limiter: Limiter, n: u32, every: Duration) -> Vec<Duration> {
        let start = Instant::now();
        (0..n)
            .map(|i| {
                let now = start + every * i;
                every * i + limiter.reserve(now)
            })
            .collect()
    }

    #[test]
    fn without_limits_nobody_waits() {
        assert!(sends(Limiter::new(None, None), 1000, Duration::ZERO).iter().all(Duration::is_zero));
    }

    #[test]
    fn the_first_request_never_waits_and_a_rate_below_one_is_kept() {
        let at = sends(Limiter::new(Some(0.5), None), 3, Duration::ZERO);
        assert_eq!(at, [0, 2, 4].map(Duration::from_secs));
        let slow = sends(Limiter::new(Some(1e-300), None), 2, Duration::ZERO);
        assert_eq!(slow[0], Duration::ZERO);
        let fast = sends(Limiter::new(Some(1e300), None), 2, Duration::ZERO);
        assert_eq!(fast[1], Duration::ZERO);
    }

    #[test]
    fn an_idle_limiter_saves_nothing_up() {
        let mut limiter = Limiter::new(Some(10.0), None);
        let now = Instant::now();
        limiter.reserve(now);
        let now = now + Duration::from_secs(60);
        assert_eq!(limiter.reserve(now), Duration::ZERO);
        assert_eq!(limiter.reserve(now), Duration::from_millis(100));
    }

    #[test]
    fn the_second_half_of_a_minute_is_spread_evenly() {
        let at = sends(Limiter::new(None, Some(50)), 51, Duration::ZERO);
        assert!(at[..25].iter().all(Duration::is_zero));
        assert_eq!(at[25], Duration::from_millis(2400));
        assert!(at[49] <= MINUTE);
        assert!(at[50] >= MINUTE);
        let gaps: Vec<_> = at[24..50].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(2300)), "{gaps:?}");
    }

    #[test]
    fn a_long_run_gets_the_whole_quota() {
        let at = sends(Limiter::new(None, Some(60)), 600, Duration::ZERO);
        assert!(at[599] <= 10 * MINUTE + Duration::from_secs(31), "{:?}", at[599]);
    }

    #[test]
    fn a_steady_rate_below_half_never_waits() {
        let every = Duration::from_secs(2);
        let at = sends(Limiter::new(None, Some(60)), 500, every);
        assert!(at.iter().zip(0_u32..).all(|(at, i)| *at == every * i));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_its_limit(
            per_second in proptest::option::of(0.2_f64..200.0),
            per_minute in proptest::option::of(1_u32..80),
            steps in proptest::collection::vec(0_u64..2_000, 1..300),
        ) {
            let mut limiter = Limiter::new(per_second, per_minute);
            let (start, mut now, mut at) = (Instant::now(), Duration::ZERO, Vec::new());
            for step in steps {
                // Bursts and pauses.
                now += Duration::from_millis(if step < 1_000 { 0 } else { (step - 1_000) * 9 });
                at.push(now + limiter.reserve(start + now));
            }
            prop_assert!(at.is_sorted());
            if let Some(limit) = per_minute {
                let limit = usize::try_from(limit).unwrap();
                for pair in at.windows(limit + 1) {
                    prop_assert!(pair[limit] - pair[0] >= MINUTE);
                }
            }
            if let Some(rate) = per_second {
                let gap = Duration::from_secs_f64(1.0 / rate) - Duration::from_nanos(1);
                prop_assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= gap));
            }
        }
    }
}
