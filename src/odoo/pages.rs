//! Long lists, page by page.

use std::collections::VecDeque;

use super::domain::{Domain, field};
use super::find::Find;
use super::row::Row;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};

/// Records of a domain, fetched page by page as they are asked for: an iterator.
///
/// By id, each page begins behind the last id of the page before, so that records that come and go
/// meanwhile make it neither skip nor repeat, and the last page is as fast as the first. A [`Find`] with an
/// order of its own is paged by counting instead.
///
/// ```no_run
/// # let client = batchcall::Odoo::from_env()?;
/// # let mut session = client.session()?;
/// use batchcall::odoo::field;
///
/// for row in session.pages("res.partner", field("active").eq(true), ["name"]).page_size(500) {
///     println!("{:?}", row?.get_str("name"));
/// }
/// # Ok::<(), batchcall::Error>(())
/// ```
///
/// After an error it gives nothing more.
#[derive(Debug)]
#[must_use = "an iterator fetches nothing until it is asked"]
pub struct Pages<'a> {
    session: &'a mut Session,
    model: String,
    domain: Domain,
    find: Find,
    size: u64,
    left: Option<u64>,
    last_id: i64,
    page: VecDeque<Row>,
    ended: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(session: &'a mut Session, model: String, domain: Domain, find: Find) -> Self {
        let left = find.limit;
        let page = VecDeque::new();
        Self { session, model, domain, find, size: 500, left, last_id: 0, page, ended: false }
    }

    /// How many records a page has. Defaults to 500.
    pub fn page_size(mut self, records: u64) -> Self {
        self.size = records;
        self
    }

    fn fetch(&mut self) -> Result<()> {
        if self.size == 0 {
            return Err(
                Error::new(ErrorKind::Invalid, "a page of 0 records").with_entity(self.model.as_str())
            );
        }
        let wanted = self.left.map_or(self.size, |left| left.min(self.size));
        let mut find = self.find.clone().limit(wanted);
        let mut domain = self.domain.clone();
        let by_id = self.find.order.is_none();
        if by_id {
            find = find.order("id");
            if self.last_id > 0 {
                domain = domain & field("id").gt(self.last_id);
                find = find.offset(0);
            }
        }
        let page = self.session.search_read(&self.model, domain, find)?;
        let records = page.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(records));
        // A short page is the last one.
        self.ended = records < wanted || self.left == Some(0);
        if by_id {
            let last = page.last().map_or(0, Row::id);
            if !self.ended && last <= self.last_id {
                let message = "the records are not in the order of their ids";
                return Err(Error::new(ErrorKind::Protocol, message).with_entity(self.model.as_str()));
            }
            self.last_id = last;
        } else {
            self.find.offset += records;
        }
        self.page = page.into();
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.ended
            && let Err(error) = self.fetch()
        {
            self.ended = true;
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}
