//! Whether a request goes again, and when: the rules, apart from the wire.

use std::time::Duration;

use super::answer::Answer;
use super::failure::Failure;
use super::host::{Host, Permit};
use super::request::{Nature, Request};
use crate::engine::retry::{Backoff, RetryPolicy};
use crate::error::{Delivery, Error, ErrorKind};

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// What the attempt ended with is final.
    Stop,
    /// Another attempt after this time, and after the host's own pauses.
    Again(Duration),
}

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Tries {
    policy: RetryPolicy,
    nature: Nature,
    made: u32,
    /// Those that count against the policy: while the breaker holds the host's requests back, the one
    /// that probes is not blamed for it.
    counted: u32,
    /// Whether any of them may have arrived.
    maybe_sent: bool,
    /// Whether the one clean resend is used up.
    resent: bool,
    backoff: Option<Backoff>,
    throttled: Option<Backoff>,
}

impl Tries {
    pub(super) fn new(policy: &RetryPolicy, nature: Nature) -> Self {
        Self {
            policy: policy.clone(),
            nature,
            made: 0,
            counted: 0,
            maybe_sent: false,
            resent: false,
            backoff: None,
            throttled: None,
        }
    }

    /// Begins an attempt and gives its number.
    pub(super) fn begin(&mut self) -> u32 {
        self.made = self.made.saturating_add(1);
        self.made
    }

    /// What follows an answer, by its status.
    pub(super) fn after_answer(
        &mut self,
        answer: &Answer,
        request: &Request,
        host: &Host,
        permit: Permit,
    ) -> Next {
        // A gateway that gave up waiting tells nothing of what the server behind it did.
        self.maybe_sent |= answer.delivery() == Delivery::MaybeSent;
        let has_retry_after = answer.header("retry-after").is_some();
        match answer.status() {
            429 | 503 if request.throttling_is_final => {
                permit.answered();
                Next::Stop
            }
            429 => self.throttled(answer, permit),
            503 if has_retry_after => self.throttled(answer, permit),
            502..=504 => {
                permit.refused();
                self.refused(self.nature.is_resendable(), false, host)
            }
            _ => {
                permit.answered();
                Next::Stop
            }
        }
    }

    /// What follows an attempt without an answer.
    pub(super) fn after_failure(&mut self, failure: &Failure, host: &Host, permit: Permit) -> Next {
        if self.is_clean_resend(failure) {
            drop(permit);
            return Next::Again(Duration::ZERO);
        }
        let may_go_again =
            failure.transient && (failure.delivery == Delivery::NotSent || self.nature.is_resendable());
        // A name that is not found is a mistyped address, until the host has answered under it.
        let took_nothing = failure.transient && failure.delivery == Delivery::NotSent;
        if failure.refused || (took_nothing && host.is_known()) {
            permit.refused();
            return self.refused(may_go_again, true, host);
        }
        drop(permit);
        if !may_go_again || self.count() {
            return Next::Stop;
        }
        Next::Again(self.wait())
    }

    /// Whether the request goes again at once, because the connection it went out on was already
    /// closed by the server. Once, and only where it does no harm.
    pub(super) fn is_clean_resend(&mut self, failure: &Failure) -> bool {
        let harmless = failure.delivery == Delivery::NotSent || self.nature.is_resendable();
        let again = failure.stale && harmless && !self.resent && self.policy.max_attempts() > 1;
        self.resent |= again;
        again
    }

    /// Whether an earlier attempt may have been applied.
    pub(super) fn is_maybe_sent(&self) -> bool {
        self.maybe_sent
    }

    /// How the attempts ended, in one error.
    pub(super) fn finish(&mut self, request: &Request, failure: Failure) -> Error {
        self.maybe_sent |= failure.delivery != Delivery::NotSent;
        let permanent = failure.error.kind() == ErrorKind::Connect && !failure.transient;
        // An earlier attempt may have arrived where the last one did not.
        let delivery = if self.maybe_sent { Delivery::MaybeSent } else { Delivery::NotSent };
        request
            .label(failure.error)
            .with_delivery(delivery)
            .with_resendable(self.nature.is_resendable())
            .with_attempts(self.made)
            // A certificate that is not trusted stays so.
            .with_permanent(permanent)
    }

    /// The server asked for fewer requests: a request that it did not take may always go again.
    fn throttled(&mut self, answer: &Answer, permit: Permit) -> Next {
        let wait = answer.retry_after().unwrap_or_else(|| {
            let policy = &self.policy;
            let endless = || policy.clone().attempts(u32::MAX).throttled_backoff();
            self.throttled.get_or_insert_with(endless).next().unwrap_or_default()
        });
        permit.throttled(wait);
        if self.count() {
            return Next::Stop;
        }
        // The gate does the waiting, for this session and all others; it lets nobody wait too long.
        Next::Again(Duration::ZERO)
    }

    /// The host took nothing. While it is left in peace, and before that when there is no connection
    /// at all, patience decides and not the number of attempts.
    fn refused(&mut self, may_go_again: bool, no_connection: bool, host: &Host) -> Next {
        if !may_go_again || self.policy.max_attempts() <= 1 {
            return Next::Stop;
        }
        if host.is_paused() {
            // Admission does the waiting, until nobody has to wait any more.
            return if host.is_out_of_patience() { Next::Stop } else { Next::Again(Duration::ZERO) };
        }
        if self.count() && (!no_connection || host.is_out_of_patience()) {
            return Next::Stop;
        }
        Next::Again(self.wait())
    }

    /// Counts an attempt; `true`: it was the last one.
    fn count(&mut self) -> bool {
        self.counted = self.counted.saturating_add(1);
        self.counted >= self.policy.max_attempts()
    }

    fn wait(&mut self) -> Duration {
        let policy = &self.policy;
        let endless = || policy.clone().attempts(u32::MAX).backoff();
        self.backoff.get_or_insert_with(endless).next().unwrap_or_default()
    }
}
