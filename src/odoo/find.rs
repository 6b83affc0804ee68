//! What of the records that a search finds is wanted.

use super::args::Args;
use super::context::Context;

/// What of the records that a search finds is wanted: fields, order, how many.
///
/// A list of field names is one too: `["name", "email"]`.
///
/// ```
/// use batchcall::odoo::Find;
///
/// let newest = Find::fields(["name", "email"]).order("create_date desc").limit(10);
/// # let _ = newest;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "it says what to find and finds nothing"]
pub struct Find {
    pub(super) fields: Vec<String>,
    pub(super) offset: u64,
    pub(super) limit: Option<u64>,
    pub(super) order: Option<String>,
    pub(super) context: Context,
}

impl Find {
    /// All records, with all the fields that the user may read.
    pub fn new() -> Self {
        Self::default()
    }

    /// These fields of all records. All fields at once are slow on most models.
    pub fn fields<S: Into<String>>(fields: impl IntoIterator<Item = S>) -> Self {
        Self { fields: fields.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// At most so many. Defaults to all.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Not the first so many. Defaults to 0.
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// The order, such as `name, create_date desc`. Defaults to the model's own.
    pub fn order(mut self, order: impl Into<String>) -> Self {
        self.order = Some(order.into());
        self
    }

    /// Keys of the context. Defaults to those of the scope and the client.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Everything but the fields.
    pub(super) fn add_to(&self, args: Args) -> Args {
        let mut args = args.context(self.context.clone()).read_only();
        if self.offset > 0 {
            args = args.named("offset", self.offset);
        }
        if let Some(limit) = self.limit {
            args = args.named("limit", limit);
        }
        if let Some(order) = &self.order {
            args = args.named("order", order.as_str());
        }
        args
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Find {
    fn from(fields: [S; N]) -> Self {
        Self::fields(fields)
    }
}

impl From<&[&str]> for Find {
    fn from(fields: &[&str]) -> Self {
        Self::fields(fields.iter().copied())
    }
}

impl<S: Into<String>> From<Vec<S>> for Find {
    fn from(fields: Vec<S>) -> Self {
        Self::fields(fields)
    }
}

impl From<&Find> for Find {
    fn from(find: &Find) -> Self {
        find.clone()
    }
}
