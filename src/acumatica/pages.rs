//! Long lists, page by page.

use std::collections::VecDeque;

use serde_json::Value;

use super::entity::Entity;
use super::query::{Operand, Query, field};
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};

/// Records of an entity, fetched page by page as they are asked for: an iterator.
///
/// Sets `top` and `skip` of its query. By [`keyset`](Self::keyset) each page begins behind the last key of
/// the page before, so that records that come and go meanwhile make it neither skip nor repeat.
///
/// ```no_run
/// # let client = batchcall::Acumatica::from_env()?;
/// # let mut session = client.session()?;
/// use batchcall::acumatica::{Query, field};
///
/// let active = Query::new().filter(field("Status").eq("Active"));
/// for customer in session.pages("Customer", active).page_size(1000).keyset("CustomerID") {
///     println!("{:?}", customer?.get_str("CustomerName"));
/// }
/// # Ok::<(), batchcall::Error>(())
/// ```
///
/// After an error it gives nothing more.
#[derive(Debug)]
#[must_use = "an iterator fetches nothing until it is asked"]
pub struct Pages<'a> {
    session: &'a mut Session,
    entity: String,
    query: Query,
    size: u64,
    keyset: Option<String>,
    last_key: Option<Operand>,
    skip: u64,
    page: VecDeque<Entity>,
    ended: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(session: &'a mut Session, entity: String, query: Query) -> Self {
        Self {
            session,
            entity,
            query,
            size: 500,
            keyset: None,
            last_key: None,
            skip: 0,
            page: VecDeque::new(),
            ended: false,
        }
    }

    /// How many records a page has. Defaults to 500.
    pub fn page_size(mut self, records: u64) -> Self {
        self.size = records;
        self
    }

    /// Pages by a key field instead of counting: ordered by it, each page begins behind the last key.
    /// The field must be unique, and among those that the query selects. Defaults to `$top` and `$skip`.
    pub fn keyset(mut self, key: impl Into<String>) -> Self {
        self.keyset = Some(key.into());
        self
    }

    fn fetch(&mut self) -> Result<()> {
        if self.size == 0 {
            return Err(
                Error::new(ErrorKind::Invalid, "a page of 0 records").with_entity(self.entity.as_str())
            );
        }
        let mut query = self.query.clone().top(self.size);
        match &self.keyset {
            None => query = query.skip(self.skip),
            Some(key) => {
                query = query.order_by(key.as_str());
                if let Some(last) = self.last_key.take() {
                    query = query.and_filter(field(key.as_str()).gt(last));
                }
            }
        }
        let page = self.session.get_list(&self.entity, query)?;
        let records = page.len() as u64;
        self.skip += records;
        // A short page is the last one.
        self.ended = records < self.size;
        if let (Some(key), Some(last), false) = (&self.keyset, page.last(), self.ended) {
            self.last_key = Some(self.key_of(key, last)?);
        }
        self.page = page.into();
        Ok(())
    }

    fn key_of(&self, key: &str, record: &Entity) -> Result<Operand> {
        match record.get(key) {
            Some(Value::String(text)) => Ok(Operand::from(text.as_str())),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => Ok(Operand::from(number)),
                None => Operand::decimal(&number.to_string()),
            },
            _ => {
                let message =
                    format!("the records have no {key:?} to page by: select it, or page without keyset");
                Err(Error::new(ErrorKind::Invalid, message).with_entity(self.entity.as_str()))
            }
        }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Entity>;

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
