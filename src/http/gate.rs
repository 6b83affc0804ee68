//! One gate per host: closed while the server asked to be left alone, then opened by one session.
//!
//! A 429 that one session hears is meant for all of them. It closes the gate; when the time is over
//! one request goes as a probe, and after its success the others follow one by one. Nothing in here
//! waits or reads a clock: `now` is a parameter.

use std::time::{Duration, Instant};

/// How far apart the requests go after a probe succeeded.
const STAGGER: Duration = Duration::from_millis(50);

/// How long they are kept apart.
const FOLLOW: Duration = Duration::from_secs(1);

/// How soon a waiter looks again whether the probe came back.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A time so far away that nobody waits for it.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed { until: Instant },
    Probing,
    Following { next: Instant, until: Instant },
}

#[derive(Debug)]
pub(super) struct Gate(State);

impl Gate {
    pub(super) fn new() -> Self {
        Self(State::Open)
    }

    /// How long a request has to wait before it asks again; `None`: it may enter.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        match self.0 {
            State::Open => None,
            State::Closed { until } => until.checked_duration_since(now).filter(|left| !left.is_zero()),
            State::Probing => Some(LOOK_AGAIN),
            State::Following { until, .. } if until <= now => None,
            State::Following { next, .. } => next.checked_duration_since(now).filter(|left| !left.is_zero()),
        }
    }

    /// Lets a request through that need not wait; `true`: it is the probe, and its end has to be told.
    pub(super) fn enter(&mut self, now: Instant) -> bool {
        match self.0 {
            State::Open | State::Probing => false,
            State::Closed { .. } => {
                self.0 = State::Probing;
                true
            }
            State::Following { until, .. } => {
                self.0 =
                    if until <= now { State::Open } else { State::Following { next: now + STAGGER, until } };
                false
            }
        }
    }

    /// The server asked for no request during `wait`. A longer wait that was asked before stays.
    pub(super) fn close(&mut self, now: Instant, wait: Duration) {
        let mut until = now + wait.min(FAR);
        if let State::Closed { until: before } = self.0 {
            until = until.max(before);
        }
        self.0 = State::Closed { until };
    }

    /// The server took a request.
    pub(super) fn passed(&mut self, probe: bool, now: Instant) {
        if probe && self.0 == State::Probing {
            self.0 = State::Following { next: now + STAGGER, until: now + FOLLOW };
        }
    }

    /// A request ended without an answer; if it was the probe, the next one is.
    pub(super) fn released(&mut self, probe: bool, now: Instant) {
        if probe && self.0 == State::Probing {
            self.0 = State::Closed { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn an_open_gate_costs_nothing() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        for _ in 0..100 {
            assert_eq!(gate.wait(now), None);
            assert!(!gate.enter(now));
        }
    }

    #[test]
    fn after_the_wait_one_probes_and_the_rest_follow_one_by_one() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        gate.close(now, 2 * S);
        assert_eq!(gate.wait(now + S), Some(S));
        let now = now + 2 * S;
        assert_eq!(gate.wait(now), None);
        assert!(gate.enter(now));
        assert_eq!(gate.wait(now), Some(LOOK_AGAIN));

        gate.passed(true, now);
        assert_eq!(gate.wait(now), Some(STAGGER));
        let now = now + STAGGER;
        assert_eq!(gate.wait(now), None);
        assert!(!gate.enter(now));
        assert_eq!(gate.wait(now), Some(STAGGER));
        assert_eq!(gate.wait(now + FOLLOW), None);
    }

    #[test]
    fn a_busy_client_is_not_kept_apart_for_ever() {
        let (mut gate, mut now) = (Gate::new(), Instant::now());
        gate.close(now, Duration::ZERO);
        assert!(gate.enter(now));
        gate.passed(true, now);
        let end = now + FOLLOW;
        while now < end {
            now += gate.wait(now).unwrap();
            gate.enter(now);
        }
        gate.enter(now);
        assert_eq!(gate.0, State::Open);
    }

    #[test]
    fn a_wait_of_zero_goes_at_once_but_alone() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        gate.close(now, Duration::ZERO);
        assert_eq!(gate.wait(now), None);
        assert!(gate.enter(now));
        assert_eq!(gate.wait(now), Some(LOOK_AGAIN));
    }

    #[test]
    fn a_probe_without_an_answer_hands_over_to_the_next() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        gate.close(now, Duration::ZERO);
        assert!(gate.enter(now));
        gate.released(true, now);
        assert_eq!(gate.wait(now), None);
        assert!(gate.enter(now));
    }

    #[test]
    fn a_late_answer_of_before_does_not_open_it() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        gate.close(now, S);
        gate.passed(false, now);
        assert_eq!(gate.wait(now), Some(S));
        gate.close(now, S / 2);
        assert_eq!(gate.wait(now), Some(S));
    }

    proptest! {
        #[test]
        fn no_request_enters_inside_the_window(
            events in proptest::collection::vec((0_u64..400, 0_u8..4, 0_u64..3_000), 1..200),
        ) {
            let start = Instant::now();
            let (mut gate, mut now, mut closed_until) = (Gate::new(), start, start);
            let mut probing = false;
            for (step, what, wait) in events {
                now += Duration::from_millis(step);
                match what {
                    0 => {
                        let wait = Duration::from_millis(wait);
                        gate.close(now, wait);
                        closed_until = closed_until.max(now + wait);
                        probing = false;
                    }
                    1 => if gate.wait(now).is_none() {
                        probing |= gate.enter(now);
                        prop_assert!(now >= closed_until);
                    },
                    2 if probing => { gate.passed(true, now); probing = false; }
                    3 if probing => { gate.released(true, now); probing = false; }
                    _ => gate.passed(false, now),
                }
            }
        }
    }
}
