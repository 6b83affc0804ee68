//! In which branch, at which business date and within what time a request is made.

use std::time::Duration;

use super::query::Date;
use crate::http::Request;

/// The branch and business date of single requests, in place of those of the sign-in
/// (`PX-CbApiBranch`, `PX-CbApiBusinessDate`; Integration Development Guide, 2026 R1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    branch: Option<String>,
    business_date: Option<Date>,
    archived: bool,
    timeout: Option<Duration>,
}

impl Scope {
    /// The branch and date of the sign-in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The branch. Defaults to that of the sign-in.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// The business date. Defaults to the server's.
    #[must_use]
    pub fn business_date(mut self, date: Date) -> Self {
        self.business_date = Some(date);
        self
    }

    /// Whether reads find archived records too. Defaults to `false`.
    #[must_use]
    pub fn archived(mut self, archived: bool) -> Self {
        self.archived = archived;
        self
    }

    /// How long one request may take. Defaults to the client's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn add_to(&self, mut request: Request) -> Request {
        if let Some(branch) = &self.branch {
            request.set_header("PX-CbApiBranch", branch.clone());
        }
        if let Some(date) = self.business_date {
            request.set_header("PX-CbApiBusinessDate", date.to_string());
        }
        if self.archived {
            request.set_header("PX-ApiArchive", "SHOW".to_owned());
        }
        match self.timeout {
            Some(timeout) => request.timeout(timeout),
            None => request,
        }
    }
}
