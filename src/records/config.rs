//! The settings of an executor, and what follows from them.

use std::time::Duration;

use super::brake::Brake;
use super::capabilities::Capabilities;
use super::isolate::Manner;
use super::kind::OperationKind;
use super::problem::Problem;
use super::schedule::{Back, Sizes};
use super::size::{AutoSize, BatchSize};
use super::strategy::Strategy;
use crate::engine::batch::BatchCall;
use crate::engine::connect::Connect;
use crate::engine::retry::RetryPolicy;
use crate::engine::stop::CancelToken;
use crate::error::{Delivery, Error, ErrorKind};

#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) strategy: Strategy,
    pub(crate) batch_size: BatchSize,
    pub(crate) max_concurrent: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) token: CancelToken,
    pub(crate) continue_on_error: bool,
    pub(crate) rollback_on_error: bool,
    pub(crate) max_failures: Option<usize>,
    pub(crate) dry_run: bool,
    pub(crate) retry: RetryPolicy,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self {
            strategy: Strategy::default(),
            batch_size: BatchSize::default(),
            max_concurrent: 5,
            timeout: None,
            token: CancelToken::new(),
            continue_on_error: true,
            rollback_on_error: false,
            max_failures: None,
            dry_run: false,
            retry: RetryPolicy::new(),
        }
    }

    /// Everything that is wrong with the settings.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.max_concurrent == 0 {
            problems.push(Problem::new("max_concurrent is 0: at least 1 worker is needed"));
        }
        if self.batch_size.fixed() == Some(0) {
            problems.push(Problem::new("batch_size is 0: a request has at least 1 record"));
        }
        if self.max_failures == Some(0) {
            problems.push(Problem::new("max_failures is 0: nothing would be sent"));
        }
        problems
    }

    /// The number of records in a request; `None` for [`BatchSize::Auto`].
    fn batch_size(&self) -> Option<usize> {
        if self.strategy == Strategy::OneByOne { Some(1) } else { self.batch_size.fixed() }
    }

    pub(crate) fn sizes(&self, limit: Option<usize>) -> Sizes {
        match self.batch_size() {
            Some(size) => Sizes::Fixed(size),
            None => Sizes::Auto(AutoSize::new(limit)),
        }
    }

    pub(crate) fn back(&self, capabilities: &Capabilities) -> Back {
        match self.rollback_on_error {
            false => Back::Stays,
            true if capabilities.has_transactions() => Back::Transaction,
            true => Back::Compensated,
        }
    }

    fn max_failures_in_all(&self) -> Option<usize> {
        if self.rollback_on_error || !self.continue_on_error { Some(1) } else { self.max_failures }
    }

    pub(crate) fn brake(&self) -> Brake {
        Brake::new(self.max_failures_in_all())
    }

    pub(crate) fn manner(&self, capabilities: &Capabilities) -> Manner {
        let size = self.batch_size().unwrap_or_else(|| AutoSize::new(capabilities.record_limit()).size());
        Manner {
            atomic: OperationKind::ALL.map(|kind| capabilities.is_atomic(kind)),
            isolate: self.continue_on_error && !self.rollback_on_error,
            optimistic: (self.strategy == Strategy::Optimistic).then_some(size),
            remember: self.back(capabilities) == Back::Compensated && capabilities.has_reads(),
        }
    }

    /// The engine's batch, with these settings.
    pub(crate) fn batch<'env, C: Connect, T>(&self, batch: BatchCall<'env, C, T>) -> BatchCall<'env, C, T> {
        let batch = batch.cancel_token(&self.token).retry(self.retry.clone());
        match self.timeout {
            Some(timeout) => batch.timeout(timeout),
            None => batch,
        }
    }

    /// Why a run ended before its time, where nobody was told.
    pub(crate) fn stopped(&self) -> Option<Error> {
        let (kind, message) = if self.token.is_cancelled() {
            (ErrorKind::Cancelled, "cancelled before it was sent")
        } else if self.timeout.is_some() {
            (ErrorKind::Timeout, "the deadline passed before it was sent")
        } else {
            return None;
        };
        Some(Error::new(kind, message).with_delivery(Delivery::NotSent))
    }
}
