//! Faults on demand: which request gets which one, decided by a seed.
//!
//! The decision for the n-th request of a class depends on the seed and on n alone, never on the
//! threads, so that a run that failed can be repeated.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What goes wrong with one request.
///
/// Each variant says whether the request is *applied*, which is what a client cannot know.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer comes later by this much. Applied.
    Latency(Duration),
    /// The connection is reset as soon as the head of the request is read. Not applied.
    ResetBefore,
    /// The connection is reset when half of the request's body is read. Not applied.
    ResetDuring,
    /// The request is applied, then the connection is reset without a byte of an answer.
    ResetAfter,
    /// The connection is closed in good order instead of an answer, as a server does with an idle
    /// connection. Not applied.
    CloseBefore,
    /// The request is applied and answered in full, then the connection is closed without a
    /// `Connection: close`: the client's next request goes to a stale connection.
    CloseAfter,
    /// The request is applied, then the connection is reset after this many bytes of the answer.
    ResetAt(usize),
    /// The request is applied and the answer ends, with an orderly close, after half of its body.
    Truncate,
    /// The request is applied and the answer comes byte by byte, with this pause between them.
    Trickle(Duration),
    /// The request is applied and `Content-Length` is wrong by this much. Where it is too large the
    /// connection is closed after the body; where it is too small the rest of the body stays on the
    /// connection, before the next answer.
    WrongLength(i64),
    /// The request is applied and the body of the answer is not JSON.
    Garbage,
    /// The request is applied and its answer comes twice: the second copy is there before the answer to
    /// the next request of the connection.
    Twice,
    /// The request is applied and the answer is a JSON text of this many bytes.
    Huge(usize),
    /// HTTP 429. Not applied.
    TooManyRequests(RetryAfter),
    /// HTTP 503. Not applied.
    Unavailable(RetryAfter),
    /// HTTP 502 by a proxy that did not reach the server. Not applied.
    BadGateway,
    /// HTTP 504 by a proxy that did not wait: the request **is** applied.
    GatewayTimeout,
    /// This status with an HTML page, as a proxy or IIS answers. Not applied.
    Html(u16),
    /// The session of the request ends, then the request is served: it gets 401. Not applied.
    ExpireSession,
    /// All sessions end, then the request is served: it gets 401. Not applied.
    ExpireAllSessions,
    /// No answer until the client gives up. Not applied.
    Hang,
    /// Applied, then no answer until the client gives up.
    HangAfter,
}

impl Fault {
    /// Whether the request never reaches the ERP.
    pub(crate) fn prevents(self) -> bool {
        matches!(
            self,
            Self::ResetBefore
                | Self::ResetDuring
                | Self::CloseBefore
                | Self::TooManyRequests(_)
                | Self::Unavailable(_)
                | Self::BadGateway
                | Self::Html(_)
                | Self::Hang
        )
    }
}

/// The `Retry-After` header of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// No such header.
    None,
    /// This many seconds; 0 and absurdly many are worth trying.
    Seconds(u64),
    /// An HTTP date this many seconds after the answer's `Date`.
    Date(u64),
    /// Neither a number nor a date.
    Garbage,
}

/// Which requests a fault is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Calls {
    /// Every request for data: all but sign-in, sign-out, tokens and descriptions.
    Data,
    /// Data requests with GET.
    Get,
    /// Data requests with PUT.
    Put,
    /// Data requests with POST, which are actions.
    Post,
    /// Data requests with PATCH.
    Patch,
    /// Data requests with DELETE.
    Delete,
    /// Sign-in with name and password.
    Login,
    /// Sign-out.
    Logout,
    /// OAuth: tokens.
    Token,
    /// Descriptions: `GET /entity`, `swagger.json` and the like.
    Description,
}

impl Calls {
    const COUNT: usize = 10;

    /// The class of a data request by its method.
    pub(crate) fn of_method(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "PUT" => Self::Put,
            "POST" => Self::Post,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Data,
        }
    }

    pub(crate) fn is_data(self) -> bool {
        matches!(self, Self::Data | Self::Get | Self::Put | Self::Post | Self::Patch | Self::Delete)
    }
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trigger {
    /// With this probability.
    Rate(f64),
    /// At each n-th.
    Every(u64),
    /// At the n-th alone, counted from 1.
    At(u64),
    /// At this many in a row, at the start of each period.
    Burst { every: u64, length: u64 },
}

/// A plan of faults: what goes wrong, how often, with which requests.
///
/// Rules are tried in the order in which they were added, and the first that strikes wins, except that
/// exact ones ([`at`](Self::at), [`at_on`](Self::at_on)) go before all others.
///
/// ```
/// use batchcall::sandbox::{Calls, Fault, Faults, RetryAfter};
///
/// let faults = Faults::none()
///     .too_many_requests(0.05, RetryAfter::Seconds(1))
///     .reset_before(0.01)
///     .at_on(Calls::Put, 3, Fault::ResetAfter); // the third PUT is applied and its answer lost
/// assert!(!faults.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    rules: Vec<(Calls, Trigger, Fault)>,
}

impl Faults {
    /// No faults at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nothing goes wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The n-th data request, counted from 1, gets exactly this fault.
    #[must_use]
    pub fn at(self, n: u64, fault: Fault) -> Self {
        self.at_on(Calls::Data, n, fault)
    }

    /// The n-th request of a class, counted from 1, gets exactly this fault.
    #[must_use]
    pub fn at_on(self, calls: Calls, n: u64, fault: Fault) -> Self {
        self.with(calls, Trigger::At(n), fault)
    }

    /// Each n-th data request gets this fault.
    #[must_use]
    pub fn every(self, n: u64, fault: Fault) -> Self {
        self.every_on(Calls::Data, n, fault)
    }

    /// Each n-th request of a class gets this fault.
    #[must_use]
    pub fn every_on(self, calls: Calls, n: u64, fault: Fault) -> Self {
        self.with(calls, Trigger::Every(n.max(1)), fault)
    }

    /// Data requests get this fault with this probability.
    #[must_use]
    pub fn rate(self, probability: f64, fault: Fault) -> Self {
        self.rate_on(Calls::Data, probability, fault)
    }

    /// Requests of a class get this fault with this probability.
    #[must_use]
    pub fn rate_on(self, calls: Calls, probability: f64, fault: Fault) -> Self {
        self.with(calls, Trigger::Rate(probability), fault)
    }

    /// Of each `every` data requests the first `length` get this fault: an outage that comes and goes.
    #[must_use]
    pub fn burst(self, every: u64, length: u64, fault: Fault) -> Self {
        self.with(Calls::Data, Trigger::Burst { every: every.max(1), length }, fault)
    }

    /// Adds [`Fault::ResetBefore`] with this probability.
    #[must_use]
    pub fn reset_before(self, probability: f64) -> Self {
        self.rate(probability, Fault::ResetBefore)
    }

    /// Adds [`Fault::ResetDuring`] with this probability.
    #[must_use]
    pub fn reset_during(self, probability: f64) -> Self {
        self.rate(probability, Fault::ResetDuring)
    }

    /// Adds [`Fault::ResetAfter`] with this probability.
    #[must_use]
    pub fn reset_after(self, probability: f64) -> Self {
        self.rate(probability, Fault::ResetAfter)
    }

    /// Adds [`Fault::Truncate`] with this probability.
    #[must_use]
    pub fn truncate(self, probability: f64) -> Self {
        self.rate(probability, Fault::Truncate)
    }

    /// Adds [`Fault::TooManyRequests`] with this probability.
    #[must_use]
    pub fn too_many_requests(self, probability: f64, retry_after: RetryAfter) -> Self {
        self.rate(probability, Fault::TooManyRequests(retry_after))
    }

    /// Adds [`Fault::Unavailable`] with this probability.
    #[must_use]
    pub fn unavailable(self, probability: f64, retry_after: RetryAfter) -> Self {
        self.rate(probability, Fault::Unavailable(retry_after))
    }

    /// Adds [`Fault::Hang`] with this probability.
    #[must_use]
    pub fn hang(self, probability: f64) -> Self {
        self.rate(probability, Fault::Hang)
    }

    fn with(mut self, calls: Calls, trigger: Trigger, fault: Fault) -> Self {
        self.rules.push((calls, trigger, fault));
        self
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("none");
        }
        for (i, (calls, trigger, fault)) in self.rules.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match trigger {
                Trigger::Rate(p) => write!(f, "{fault:?} at {:.1} % of {calls:?}", p * 100.0)?,
                Trigger::Every(n) => write!(f, "{fault:?} at each {n}th {calls:?}")?,
                Trigger::At(n) => write!(f, "{fault:?} at {calls:?} number {n}")?,
                Trigger::Burst { every, length } => {
                    write!(f, "{fault:?} at {length} of each {every} {calls:?}")?;
                }
            }
        }
        Ok(())
    }
}

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
