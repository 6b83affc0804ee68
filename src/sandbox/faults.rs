//! Faults on demand: what can go wrong, and with which requests.

use std::fmt;
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
    /// The session of the request ends, then the request is served: it gets 401, Odoo's error 100. Not applied.
    ExpireSession,
    /// All sessions end, then the request is served: it gets 401, Odoo's error 100. Not applied.
    ExpireAllSessions,
    /// No answer until the client gives up. Not applied.
    Hang,
    /// Applied, then no answer until the client gives up.
    HangAfter,
    /// The server works this long, then its worker is killed, as Odoo's is after 120 s: the connection is
    /// reset. Not applied.
    Killed(Duration),
    /// Odoo: the transaction meets a concurrent update this many times. Where that is less than five the
    /// server tries again by itself, after a while; otherwise the call fails. `load` never tries again and
    /// answers with a message. Applied if it is tried again, otherwise not.
    SerializationFailure(u32),
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
                | Self::Killed(_)
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
    /// Data requests with POST: actions of Acumatica, and those methods of Odoo that are neither of the
    /// below.
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
    /// Descriptions: `GET /entity`, `swagger.json`, Odoo's version and the like.
    Description,
    /// Odoo: `read`, `search`, `search_read` and other methods that change nothing.
    Read,
    /// Odoo: `create` and `name_create`.
    Create,
    /// Odoo: `write` and `web_save_multi`.
    Write,
    /// Odoo: `unlink`.
    Unlink,
    /// Odoo: `load`.
    Load,
}

impl Calls {
    pub(super) const COUNT: usize = 15;

    /// The class of a call by the name of the method of Odoo.
    pub(crate) fn of_odoo(method: &str) -> Self {
        match method {
            "create" | "name_create" => Self::Create,
            "write" | "web_save_multi" => Self::Write,
            "unlink" => Self::Unlink,
            "load" => Self::Load,
            "read" | "search" | "search_read" | "search_count" | "fields_get" | "name_search"
            | "context_get" | "exists" | "default_get" => Self::Read,
            _ => Self::Post,
        }
    }

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
        !matches!(self, Self::Login | Self::Logout | Self::Token | Self::Description)
    }
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trigger {
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
    pub(super) rules: Vec<(Calls, Trigger, Fault)>,
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
