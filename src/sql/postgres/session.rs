//! The connection as the verbs use it: prepared statements, transactions, time limits.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::types::{Format as WireFormat, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::commit;
use super::connect;
use super::failure::{self, Trouble};
use super::wire::Wire;
use crate::engine::connect::Interrupt;
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::catalog::TableInfo;
use crate::sql::driver::Cost;
use crate::sql::settings::Settings;

/// The most statements that are kept prepared.
const STATEMENTS: usize = 200;

/// A connection to PostgreSQL.
pub(crate) struct Connection {
    pub(super) client: Client,
    tls: MakeRustlsConnect,
    settings: Settings,
    interrupted: Arc<AtomicBool>,
    /// The longest a statement may take.
    limit: Option<Duration>,
    deadline: Deadline,
    /// The `statement_timeout` that the server has, in milliseconds; `None` is unknown.
    timeout: Option<u64>,
    /// Whether a transaction was opened from outside.
    outer: bool,
    /// Whether a chunk is under way. Set between two statements, it is what a panic left behind.
    busy: bool,
    /// Whether deferred constraints are checked at every step, to find the row that breaks one.
    pub(super) checked: bool,
    statements: HashMap<String, Statement>,
    types: HashMap<String, Arc<[Type]>>,
    pub(super) cost: Cost,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("outer", &self.outer).finish_non_exhaustive()
    }
}

/// A parameter that is encoded already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Param<'a>(pub(super) Option<&'a [u8]>);

impl<'a> Param<'a> {
    /// From a cell with its length before it.
    pub(super) fn of(cell: &'a [u8]) -> Self {
        Self(if cell[..4] == (-1_i32).to_be_bytes() { None } else { Some(&cell[4..]) })
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        _: &Type,
        // The macro below names it the same way.
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            None => Ok(IsNull::Yes),
            Some(raw) => {
                out.extend_from_slice(raw);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> WireFormat {
        if Wire::of(ty) == Wire::Other { WireFormat::Text } else { WireFormat::Binary }
    }

    to_sql_checked!();
}

/// Parameters as the client takes them.
pub(super) fn refs<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

impl Connection {
    /// Opens a connection, within the settings' limit and the deadline.
    pub(crate) fn open(settings: &Settings, deadline: Deadline) -> Result<Self> {
        let (client, tls) = connect::open(settings, deadline)?;
        Ok(Self {
            client,
            tls,
            settings: settings.clone(),
            interrupted: Arc::new(AtomicBool::new(false)),
            limit: settings.statement_timeout,
            deadline,
            timeout: None,
            outer: false,
            busy: false,
            checked: false,
            statements: HashMap::new(),
            types: HashMap::new(),
            cost: Cost::default(),
        })
    }

    /// When the statements that follow must be over.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    pub(super) fn is_outer(&self) -> bool {
        self.outer
    }

    pub(super) fn broken(&self) -> bool {
        // A cancel that came too late for its statement may still reach the next one.
        self.client.is_closed() || self.busy || self.interrupted.load(Ordering::Acquire)
    }

    pub(super) fn interrupter(&self) -> Interrupt {
        let token = self.client.cancel_token();
        let tls = self.tls.clone();
        let interrupted = Arc::clone(&self.interrupted);
        Box::new(move || {
            interrupted.store(true, Ordering::Release);
            // A cancel is a connection of its own, which may hang; nobody waits for it.
            let cancel = move || {
                let _ = catch_unwind(AssertUnwindSafe(|| token.cancel_query(tls)));
            };
            let _ = thread::Builder::new().name("batchcall-cancel".to_owned()).spawn(cancel);
        })
    }

    /// Begins a verb: nothing is sent after the deadline or an interrupt, and the server's time limit is what
    /// is left.
    pub(super) fn ready(&mut self) -> Result<()> {
        self.cost = Cost::default();
        if self.interrupted.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted before the statement was sent")
                .with_delivery(Delivery::NotSent));
        }
        let left = self.deadline.remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::new(ErrorKind::Timeout, "the deadline passed before the statement was sent")
                .with_delivery(Delivery::NotSent));
        }
        let limit = match (self.limit, left) {
            (Some(limit), Some(left)) => Some(limit.min(left)),
            (limit, left) => limit.or(left),
        };
        let wanted = limit
            .map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).clamp(1, 2_147_483_647));
        // What is left shrinks with every statement; a tenth is not worth a round trip.
        let suits = self.timeout.is_some_and(|has| {
            has == wanted || (has > 0 && wanted > 0 && has >= wanted && has - wanted <= wanted / 10)
        });
        if !suits {
            self.simple(&format!("SET statement_timeout = {wanted}"), Delivery::NotSent)?;
            self.timeout = Some(wanted);
        }
        Ok(())
    }

    /// Runs statements without parameters; `lost` says what a broken connection means for them.
    pub(super) fn simple(&mut self, sql: &str, lost: Delivery) -> Result<(), Error> {
        let began = Instant::now();
        let result = self.client.batch_execute(sql);
        self.cost.server += began.elapsed();
        result.map_err(|cause| self.trouble(&cause, None, lost).into_error())
    }

    /// What a failure is.
    pub(super) fn trouble(
        &mut self,
        cause: &postgres::Error,
        table: Option<&TableInfo>,
        lost: Delivery,
    ) -> Trouble {
        let entity = table.map(|table| table.name.to_string());
        let mut error = failure::error(cause, entity.as_deref(), lost);
        let Some(said) = cause.as_db_error() else { return Trouble::Other(error) };
        if said.code().code() == "57014" && self.interrupted.load(Ordering::Acquire) {
            error = Error::new(ErrorKind::Interrupted, error.message())
                .with_remote_name("57014")
                .with_delivery(Delivery::Answered);
        }
        // The table may have changed under the prepared statements, or `DISCARD` taken them.
        let code = said.code().code();
        if code.starts_with("0A") || code.starts_with("42") || code == "26000" {
            self.statements.clear();
            self.types.clear();
        }
        if failure::is_of_data(said) { Trouble::Data { error, row: None } } else { Trouble::Other(error) }
    }

    /// The statement, prepared once.
    pub(super) fn prepared(&mut self, sql: &str, table: Option<&TableInfo>) -> Result<Statement, Trouble> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let began = Instant::now();
        let prepared = self.client.prepare(sql);
        self.cost.server += began.elapsed();
        let statement = prepared.map_err(|cause| self.trouble(&cause, table, Delivery::NotSent))?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Runs a prepared statement and gives its rows.
    pub(super) fn rows(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        table: Option<&TableInfo>,
        lost: Delivery,
    ) -> Result<Vec<Row>, Trouble> {
        let began = Instant::now();
        let result = self.client.query(statement, &refs(params));
        self.count(began, params);
        result.map_err(|cause| self.trouble(&cause, table, lost))
    }

    /// Runs a prepared statement and says how many rows it affected.
    pub(super) fn affected(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        table: Option<&TableInfo>,
        lost: Delivery,
    ) -> Result<u64, Trouble> {
        let began = Instant::now();
        let result = self.client.execute(statement, &refs(params));
        self.count(began, params);
        result.map_err(|cause| self.trouble(&cause, table, lost))
    }

    pub(super) fn count(&mut self, began: Instant, params: &[Param<'_>]) {
        self.cost.server += began.elapsed();
        self.cost.statements += 1;
        self.cost.bytes += params.iter().map(|param| param.0.map_or(0, |raw| raw.len() as u64)).sum::<u64>();
    }

    /// The types of the table's columns; a domain's is its base type.
    pub(super) fn types(&mut self, table: &TableInfo) -> Result<Arc<[Type]>> {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.type_name.as_str()).collect();
        self.types_of(&columns)
    }

    pub(super) fn types_of(&mut self, names: &[&str]) -> Result<Arc<[Type]>> {
        let nulls: Vec<String> = names.iter().map(|name| format!("NULL::{name}")).collect();
        let sql = format!("SELECT {}", nulls.join(", "));
        if let Some(types) = self.types.get(&sql) {
            return Ok(Arc::clone(types));
        }
        let statement = self
            .client
            .prepare(&sql)
            .map_err(|cause| self.trouble(&cause, None, Delivery::NotSent).into_error())?;
        let types: Arc<[Type]> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        self.types.insert(sql, Arc::clone(&types));
        Ok(types)
    }

    /// Runs one chunk in a transaction of its own, or behind a savepoint of the one that is open.
    ///
    /// Deferred constraints are checked before the commit. If one is broken and bad rows are to be found,
    /// the work is done once more with a check at each step.
    pub(super) fn within<T>(&mut self, isolate: bool, work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        self.busy = true;
        let done = self.transact(isolate, work);
        self.busy = false;
        done
    }

    fn transact<T>(&mut self, isolate: bool, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        if self.outer {
            self.simple("SAVEPOINT batchcall_chunk", Delivery::NotSent)?;
            let result = work(self);
            let end = match &result {
                Ok(_) => "RELEASE SAVEPOINT batchcall_chunk",
                Err(_) => "ROLLBACK TO SAVEPOINT batchcall_chunk; RELEASE SAVEPOINT batchcall_chunk",
            };
            let ended = self.simple(end, Delivery::NotSent);
            return match result {
                Ok(done) => ended.map(|()| done),
                Err(error) => Err(error),
            };
        }
        self.simple("BEGIN", Delivery::NotSent)?;
        let first = work(self).and_then(|done| match self.settle() {
            Ok(()) => Ok(Ok(done)),
            Err(Trouble::Data { .. }) if isolate => Ok(Err(())),
            Err(trouble) => Err(trouble.into_error()),
        });
        match first {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(())) => {}
            Err(error) => {
                self.undo();
                return Err(error);
            }
        }
        self.simple("ROLLBACK; BEGIN", Delivery::NotSent)?;
        self.checked = true;
        let second = work(self).and_then(|done| {
            self.settle().map_err(Trouble::into_error)?;
            Ok(done)
        });
        self.checked = false;
        if second.is_err() {
            self.undo();
        }
        second
    }

    /// Checks what is deferred, and commits. Where the answer to the commit is lost, the server is asked on
    /// a new connection what became of the transaction: only if that cannot be learnt either is it in doubt.
    fn settle(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        let checked = self
            .client
            .simple_query("SET CONSTRAINTS ALL IMMEDIATE; SELECT txid_current_if_assigned()")
            .map_err(|cause| self.trouble(&cause, None, Delivery::NotSent))?;
        // Nothing was written without a number; then nothing is lost either.
        let number = checked.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i64>().ok(),
            _ => None,
        });
        let result = self.client.batch_execute("COMMIT");
        self.cost.server += began.elapsed();
        let Err(cause) = result else { return Ok(()) };
        let trouble = self.trouble(&cause, None, Delivery::MaybeSent);
        if !self.client.is_closed() {
            return Err(trouble);
        }
        match number.and_then(|number| commit::outcome(&self.settings, self.deadline, number)) {
            Some(true) => Ok(()),
            Some(false) => Err(Trouble::Other(trouble.into_error().with_delivery(Delivery::NotSent))),
            None => Err(trouble),
        }
    }

    /// Checks what is deferred now, where the row that breaks a constraint is looked for.
    pub(super) fn check(&mut self, table: &TableInfo) -> Result<(), Trouble> {
        if !self.checked {
            return Ok(());
        }
        let result = self.client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE");
        result.map_err(|cause| self.trouble(&cause, Some(table), Delivery::NotSent))
    }

    /// Rolls back; a connection that is gone has done so already.
    fn undo(&mut self) {
        if !self.client.is_closed() {
            let _ = self.client.batch_execute("ROLLBACK");
        }
    }

    pub(super) fn begin_outer(&mut self) -> Result<()> {
        self.ready()?;
        self.simple("BEGIN", Delivery::NotSent)?;
        self.outer = true;
        Ok(())
    }

    pub(super) fn commit_outer(&mut self) -> Result<()> {
        self.outer = false;
        self.settle().map_err(|trouble| {
            self.undo();
            // A `SET` inside the transaction is undone with it.
            self.timeout = None;
            trouble.into_error()
        })
    }

    pub(super) fn roll_back_outer(&mut self) -> Result<()> {
        self.outer = false;
        // A `SET` inside the transaction is undone with it.
        self.timeout = None;
        self.simple("ROLLBACK", Delivery::NotSent)
    }
}
