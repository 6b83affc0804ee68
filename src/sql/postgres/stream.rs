//! Rows that are read while the server still sends.

use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Row, Statement};

use super::failure::Trouble;
use super::session::{Connection, Param, refs};
use crate::error::{Delivery, Result};
use crate::sql::catalog::TableInfo;

/// How many rows are taken before they are read: looking at the clock for each would cost more.
const AT_ONCE: usize = 256;

impl Connection {
    /// Runs a prepared statement and shows its rows as they come.
    pub(super) fn each_row(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        table: Option<&TableInfo>,
        lost: Delivery,
        mut show: impl FnMut(&Row) -> Result<()>,
    ) -> Result<(), Trouble> {
        let mut waited = Duration::ZERO;
        let mut refused = Ok(());
        let began = Instant::now();
        let opened = self.client.query_raw(statement, refs(params));
        waited += began.elapsed();
        let result = opened.and_then(|mut rows| {
            let mut taken = Vec::with_capacity(AT_ONCE);
            loop {
                let began = Instant::now();
                while taken.len() < AT_ONCE {
                    match rows.next()? {
                        Some(row) => taken.push(row),
                        None => break,
                    }
                }
                waited += began.elapsed();
                let last = taken.len() < AT_ONCE;
                refused = taken.drain(..).try_for_each(|row| show(&row));
                if last || refused.is_err() {
                    return Ok(());
                }
            }
        });
        self.count(Instant::now(), params);
        self.cost.server += waited;
        result.map_err(|cause| self.trouble(&cause, table, lost))?;
        refused.map_err(Trouble::Other)
    }
}
