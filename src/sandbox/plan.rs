//! Faults at work: which request gets which one, decided by a seed.
//!
//! The decision for the n-th request of a class depends on the seed and on n alone, never on the
//! threads, so that a run that failed can be repeated.

use std::sync::atomic::{AtomicU64, Ordering};

use super::faults::{Calls, Fault, Faults, Trigger};

/// Faults at work: the plan, its seed, and how many requests of each class have come.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    faults: Faults,
    seed: u64,
    seen: [AtomicU64; Calls::COUNT],
}

impl FaultPlan {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, seed, seen: Default::default() }
    }

    /// Counts one more request of this class and says what goes wrong with it.
    pub(crate) fn strike(&self, calls: Calls) -> Option<Fault> {
        if self.faults.rules.is_empty() {
            return None;
        }
        let own = self.count(calls);
        let data = if calls.is_data() && calls != Calls::Data { self.count(Calls::Data) } else { own };
        let number = |of: Calls| match of {
            of if of == calls => Some(own),
            Calls::Data if calls.is_data() => Some(data),
            _ => None,
        };
        let exact = self.faults.rules.iter().find_map(|(of, trigger, fault)| match trigger {
            Trigger::At(n) if number(*of) == Some(*n) => Some(*fault),
            _ => None,
        });
        exact.or_else(|| {
            self.faults.rules.iter().enumerate().find_map(|(i, (of, trigger, fault))| {
                let n = number(*of)?;
                let strikes = match *trigger {
                    Trigger::At(_) => false,
                    Trigger::Every(every) => n % every == 0,
                    Trigger::Burst { every, length } => (n - 1) % every < length,
                    Trigger::Rate(probability) => self.draw(i, *of, n) < probability,
                };
                strikes.then_some(*fault)
            })
        })
    }

    fn count(&self, calls: Calls) -> u64 {
        self.seen[calls as usize].fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number in [0, 1) that depends on the seed, the rule and the request's number alone.
    fn draw(&self, rule: usize, calls: Calls, n: u64) -> f64 {
        let place = ((rule as u64) << 48) ^ ((calls as u64) << 40) ^ n;
        fastrand::Rng::with_seed(self.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15)).f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::faults::RetryAfter;

    #[test]
    fn an_exact_fault_strikes_the_third_put_and_nothing_else() {
        let plan = FaultPlan::new(Faults::none().at_on(Calls::Put, 3, Fault::ResetAfter), 1);
        let struck: Vec<_> = [Calls::Get, Calls::Put, Calls::Put, Calls::Get, Calls::Put, Calls::Put]
            .map(|c| plan.strike(c))
            .into();
        assert_eq!(struck, [None, None, None, None, Some(Fault::ResetAfter), None]);
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests() {
        let run = |seed| {
            let plan = FaultPlan::new(Faults::none().reset_before(0.1), seed);
            (0..1000).filter(|_| plan.strike(Calls::Get).is_some()).count()
        };
        assert_eq!(run(7), run(7));
        assert!((60..140).contains(&run(7)), "{} of 1000 at 10 %", run(7));
    }

    #[test]
    fn a_burst_comes_and_goes() {
        let plan = FaultPlan::new(Faults::none().burst(4, 2, Fault::Unavailable(RetryAfter::None)), 0);
        let struck: Vec<bool> = (0..8).map(|_| plan.strike(Calls::Get).is_some()).collect();
        assert_eq!(struck, [true, true, false, false, true, true, false, false]);
    }
}
