//! After repeated refusals the host is left in peace, and one session looks whether it is back.
//!
//! A batch waits where an interactive program gives up: the breaker pauses, it fails nothing by
//! itself. What ends the waiting is the deadline or the patience. Nothing in here waits or reads a
//! clock.

use std::time::{Duration, Instant};

use super::gate::LOOK_AGAIN;
use crate::engine::retry::Backoff;

/// So many refusals in a row, over all sessions, open it.
const REFUSALS: u32 = 5;

/// The longest first wait between two probes, and the longest of all.
const PROBE_BASE: Duration = Duration::from_millis(200);
const PROBE_CAP: Duration = Duration::from_secs(20);

/// The patience with a host that has not answered once: a mistyped address should be told soon.
const UNSEEN: Duration = Duration::from_secs(10);

/// A refusal says nothing any more about a host that was left alone for so long since.
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    patience: Duration,
    refusals: u32,
    /// The first and the latest refusal since the host last answered.
    since: Option<(Instant, Instant)>,
    seen: bool,
    random: fastrand::Rng,
    waits: Backoff,
}

impl Breaker {
    pub(super) fn new(patience: Duration, mut random: fastrand::Rng) -> Self {
        let waits = Backoff::new(PROBE_BASE, PROBE_CAP, random.fork());
        // `Instant` holds no more.
        let patience = patience.min(Duration::from_secs(365 * 24 * 3600));
        Self { state: State::Closed, patience, refusals: 0, since: None, seen: false, random, waits }
    }

    /// How long a request has to wait before it asks again; `None`: it may enter.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            // Nothing to wait for any more: each call finds out for itself.
            _ if self.is_exhausted(now) => None,
            State::Open { until } => {
                // The probe that patience ends with is not made to wait past it.
                let until = self.since.map_or(until, |(first, _)| until.min(first + self.patience()));
                until.checked_duration_since(now).filter(|left| !left.is_zero())
            }
            State::Probing => Some(LOOK_AGAIN),
        }
    }

    /// Lets a request through that need not wait; `true`: it is the probe, and its end has to be told.
    pub(super) fn enter(&mut self) -> bool {
        let probe = matches!(self.state, State::Open { .. });
        if probe {
            self.state = State::Probing;
        }
        probe
    }

    /// The host answered.
    pub(super) fn answered(&mut self) {
        self.seen = true;
        if self.since.take().is_some() || self.state != State::Closed {
            self.state = State::Closed;
            self.refusals = 0;
            self.waits = Backoff::new(PROBE_BASE, PROBE_CAP, self.random.fork());
        }
    }

    /// The host took no request: no connection, or a gateway that says so.
    pub(super) fn refused(&mut self, probe: bool, now: Instant) {
        self.refusals = self.refusals.saturating_add(1);
        self.since = match self.since {
            Some((first, last)) if now.saturating_duration_since(last) <= self.patience.max(MEMORY) => {
                Some((first, now))
            }
            _ => Some((now, now)),
        };
        let opens = match self.state {
            State::Closed => self.refusals >= REFUSALS,
            State::Probing => probe,
            State::Open { .. } => false,
        };
        if opens {
            let wait = self.waits.next().unwrap_or(PROBE_CAP);
            self.state = State::Open { until: now + wait };
        }
    }

    /// A request ended without telling anything about the host; if it was the probe, the next one is.
    pub(super) fn released(&mut self, probe: bool, now: Instant) {
        if probe && self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// Whether requests are held back.
    pub(super) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// Whether the host has ever answered.
    pub(super) fn has_seen_the_host(&self) -> bool {
        self.seen
    }

    /// Whether it refused for longer than anyone should wait.
    pub(super) fn is_exhausted(&self, now: Instant) -> bool {
        self.since.is_some_and(|(first, _)| now.saturating_duration_since(first) >= self.patience())
    }

    fn patience(&self) -> Duration {
        if self.seen { self.patience } else { self.patience.min(UNSEEN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn breaker() -> Breaker {
        Breaker::new(PATIENCE, fastrand::Rng::with_seed(7))
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = breaker();
        breaker.answered();
        for _ in 0..REFUSALS {
            assert!(!breaker.is_open());
            breaker.refused(false, now);
        }
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn an_answer_between_the_refusals_keeps_it_closed() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..10 {
            for _ in 0..REFUSALS - 1 {
                breaker.refused(false, now);
            }
            breaker.answered();
        }
        assert!(!breaker.is_open());
        assert_eq!(breaker.wait(now), None);
    }

    #[test]
    fn one_probes_the_others_wait_and_its_success_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let now = now + breaker.wait(now).unwrap_or_default();
        assert_eq!(breaker.wait(now), None);
        assert!(breaker.enter());
        assert_eq!(breaker.wait(now), Some(LOOK_AGAIN));
        assert!(!breaker.enter());
        breaker.answered();
        assert!(!breaker.is_open());
        assert_eq!(breaker.wait(now), None);
    }

    #[test]
    fn probes_come_slower_and_slower_but_never_slower_than_the_cap() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        breaker.patience = 1000 * PATIENCE;
        let mut waits = Vec::new();
        for _ in 0..60 {
            let wait = breaker.wait(now).unwrap_or_default();
            waits.push(wait);
            now += wait;
            assert!(breaker.enter());
            breaker.refused(true, now);
        }
        assert!(waits.iter().all(|wait| *wait <= PROBE_CAP));
        let sum = |part: &[Duration]| part.iter().sum::<Duration>();
        assert!(sum(&waits[..5]) < 7 * S && sum(&waits[55..]) > 10 * S, "{waits:?}");
    }

    #[test]
    fn a_refusal_of_someone_else_does_not_slow_the_probes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let wait = breaker.wait(now);
        breaker.refused(false, now);
        assert_eq!(breaker.wait(now), wait);
    }

    #[test]
    fn a_probe_that_tells_nothing_hands_over_to_the_next() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(breaker.enter());
        breaker.released(true, now);
        assert_eq!(breaker.wait(now), None);
        assert!(breaker.enter());
    }

    #[test]
    fn when_patience_ends_everyone_may_find_out_and_an_answer_restores_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(!breaker.is_exhausted(now + PATIENCE - S));
        breaker.refused(false, now + PATIENCE);
        assert!(breaker.is_exhausted(now + PATIENCE));
        assert_eq!(breaker.wait(now + PATIENCE), None);
        breaker.answered();
        assert!(!breaker.is_exhausted(now + PATIENCE));
    }

    #[test]
    fn a_host_never_seen_is_given_less_patience() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.refused(false, now);
        assert!(!breaker.is_exhausted(now + UNSEEN - S));
        assert!(breaker.is_exhausted(now + UNSEEN));
    }

    #[test]
    fn refusals_of_long_ago_do_not_use_up_the_patience_of_now() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.answered();
        breaker.refused(false, now);
        let later = now + 10 * PATIENCE;
        breaker.refused(false, later);
        assert!(!breaker.is_exhausted(later + S));
    }
}
