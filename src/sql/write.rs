//! Writes rows: look at each -> group by columns -> cut -> run -> what became of each.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::catalog::TableInfo;
use super::connection::Connection;
use super::cut::{Most, cut, size_of};
use super::driver::{Chunk, Done, OnConflict, Returning, RowStatus};
use super::fields::{Only, Shape};
use super::look::{Group, Look, Row, prepare, tell};
use super::run::{Fate, Piece, Run};
use super::table::Table;
use super::written::{WriteError, Written};
use crate::engine::stop::Deadline;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::records::strategy::Strategy;

/// What is done with rows.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    Insert,
    Update {
        fields: Vec<String>,
    },
    /// `update`: `None` for all other columns of the row, empty to leave a row that is there alone.
    Upsert {
        conflict: Vec<String>,
        update: Option<Vec<String>>,
    },
}

impl Verb {
    fn name(&self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update { .. } => "update",
            Self::Upsert { .. } => "upsert",
        }
    }

    /// Whether doing it twice is the same as doing it once.
    fn is_resendable(&self) -> bool {
        !matches!(self, Self::Insert)
    }
}

/// [`Verb`] with columns found.
pub(crate) enum Plan {
    Insert,
    Update { key: Vec<usize>, fields: Option<Vec<usize>> },
    Upsert { key: Vec<usize>, update: Option<Vec<usize>> },
}

impl Plan {
    /// The columns that tell rows apart, if the verb needs that.
    pub(crate) fn key(&self) -> &[usize] {
        match self {
            Self::Insert => &[],
            Self::Update { key, .. } | Self::Upsert { key, .. } => key,
        }
    }

    pub(crate) fn upsert(table: &TableInfo, conflict: &[String], update: Option<&[String]>) -> Result<Self> {
        let mut key = conflict.iter().map(|name| table.require(name)).collect::<Result<Vec<_>>>()?;
        if key.is_empty() {
            key.clone_from(&table.key);
        }
        let mut sorted = key.clone();
        sorted.sort_unstable();
        let is_unique = table.uniques.iter().any(|unique| {
            let mut unique = unique.clone();
            unique.sort_unstable();
            unique == sorted
        });
        if !is_unique {
            let names: Vec<_> = key.iter().map(|column| table.columns[*column].name.as_str()).collect();
            let message = match names.as_slice() {
                [] => format!("{} has no primary key: name the columns that tell rows apart", table.name),
                names => format!("{} has no unique constraint on ({})", table.name, names.join(", ")),
            };
            return Err(Error::new(ErrorKind::Invalid, message)
                .with_entity(table.name.to_string())
                .with_delivery(Delivery::NotSent));
        }
        let update = update
            .map(|names| names.iter().map(|name| table.require(name)).collect::<Result<Vec<_>>>())
            .transpose()?;
        Ok(Self::Upsert { key, update })
    }
}

/// What one write is about.
pub(crate) struct Write<'w> {
    pub(crate) table: &'w TableInfo,
    pub(crate) plan: &'w Plan,
    pub(crate) bulk: bool,
    pub(crate) returning: Returning,
}

impl Write<'_> {
    /// Sends a group.
    pub(crate) fn send<R: Serialize, T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        group: &Group<R>,
        isolate: bool,
    ) -> Result<Done<T>> {
        let Shape { columns, partial } = &*group.shape;
        let (key, wanted) = match self.plan {
            Plan::Update { key, fields: Some(fields) } => (key.as_slice(), Some(fields)),
            plan => (plan.key(), None),
        };
        let chosen: Vec<usize> = match wanted {
            Some(fields) => {
                columns.iter().copied().filter(|each| key.contains(each) || fields.contains(each)).collect()
            }
            None => columns.clone(),
        };
        if *partial || chosen.len() < columns.len() {
            let rows: Vec<_> =
                group.rows.iter().map(|row| Only { row, table: self.table, columns: &chosen }).collect();
            self.send_rows(connection, &chosen, &rows, group.keyless, isolate)
        } else {
            self.send_rows(connection, &chosen, &group.rows, group.keyless, isolate)
        }
    }

    fn send_rows<R: Serialize, T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        columns: &[usize],
        rows: &[R],
        keyless: bool,
        isolate: bool,
    ) -> Result<Done<T>> {
        let chunk =
            Chunk { table: self.table, columns, rows, isolate, returning: self.returning, bulk: self.bulk };
        match self.plan {
            Plan::Upsert { key, update } if !keyless => {
                let update: Vec<usize> = match update {
                    // What a row does not have is left alone.
                    Some(update) => update.iter().copied().filter(|each| columns.contains(each)).collect(),
                    None => columns.iter().copied().filter(|each| !key.contains(each)).collect(),
                };
                connection.upsert(&chunk, &OnConflict { key, update: &update })
            }
            Plan::Update { key, .. } => connection.update(&chunk, key),
            _ => connection.insert(&chunk),
        }
    }
}

/// Insert, update or upsert.
pub(crate) fn rows<T: Serialize + DeserializeOwned + Send + Sync>(
    on: &Table<'_, T>,
    rows: &[T],
    verb: &Verb,
) -> Result<Written<T>, WriteError<T>> {
    let (began, deadline) = (Instant::now(), on.deadline());
    let mut written = Written::new(rows.len(), on.metrics(verb.name(), rows.len()));
    let found = if rows.is_empty() { Ok(None) } else { plan(on, verb, deadline).map(Some) };
    let (table, plan) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(written),
        Err(error) => return Err(WriteError::new(written, Some(error))),
    };
    let write = Write {
        table: &table,
        plan: &plan,
        bulk: on.config.strategy != Strategy::OneByOne,
        returning: on.returned(),
    };
    let ran = on.run(rows.len(), deadline, verb.is_resendable(), true, |run| {
        if on.config.strategy == Strategy::Pipelined && plan.key().is_empty() {
            let ran = staged(on, run, &write, rows, &mut written);
            written.tell_last(run);
            return ran;
        }
        let groups = prepare(on, &write, rows, &mut written)?;
        let size = if on.config.strategy == Strategy::OneByOne { 1.into() } else { on.config.batch_size };
        let cut = |groups, workers| cut(groups, size, Most::of(on.db), workers);
        let ran = dispatch(on, run, &mut written, groups, cut, |connection, group, isolate| {
            write.send::<_, T>(connection, group, isolate)
        });
        written.tell_last(run);
        ran
    });
    conclude(on, written, began, ran)
}

/// Finds the columns that the verb names.
fn plan<T>(on: &Table<'_, T>, verb: &Verb, deadline: Deadline) -> Result<(Arc<TableInfo>, Plan)> {
    let table = on.describe(deadline)?;
    let plan = match verb {
        Verb::Insert => Plan::Insert,
        Verb::Update { fields } => {
            let key = on.key_columns(&table)?;
            let fields = fields.iter().map(|name| table.require(name)).collect::<Result<Vec<_>>>()?;
            if let Some(column) = fields.iter().find(|column| key.contains(column)) {
                let name = &table.columns[*column].name;
                let message = format!("{name} names the row: it cannot be among the fields to update");
                return Err(Error::new(ErrorKind::Invalid, message).with_delivery(Delivery::NotSent));
            }
            Plan::Update { key, fields: Some(fields).filter(|fields| !fields.is_empty()) }
        }
        Verb::Upsert { conflict, update } => Plan::upsert(&table, conflict, update.as_deref())?,
    };
    Ok((table, plan))
}

/// The last of a write: what came back is looked at, figures are kept.
pub(crate) fn conclude<T>(
    on: &Table<'_, T>,
    mut written: Written<T>,
    began: Instant,
    ran: Result<()>,
) -> Result<Written<T>, WriteError<T>> {
    if let Some(after) = &on.hooks.after {
        let mut failed = Vec::new();
        for (place, row) in written.rows_mut().iter_mut().enumerate() {
            match row.take().map(after) {
                Some(Ok(kept)) => *row = kept,
                Some(Err(error)) => failed.push((place, error)),
                None => {}
            }
        }
        // The row is in the database; only its way back failed.
        for (place, error) in failed {
            written.note(place, error);
        }
    }
    written.metrics_mut().elapsed = began.elapsed();
    let written = written.finish();
    on.db.keep(written.metrics().clone());
    match ran {
        Err(error) => Err(WriteError::new(written, Some(error))),
        Ok(()) if !on.config.continue_on_error && !written.is_clean() => Err(WriteError::new(written, None)),
        Ok(()) => Ok(written),
    }
}

/// Sends pieces under the strategy. `whole` are as few as there can be; `cut` makes more of them.
pub(crate) fn dispatch<P: Piece, T: Send>(
    on: &Table<'_, T>,
    run: &mut Run<'_>,
    written: &mut Written<T>,
    whole: Vec<P>,
    cut: impl FnOnce(Vec<P>, usize) -> Vec<P>,
    apply: impl Fn(&mut Connection, &P, bool) -> Result<Done<T>> + Sync,
) -> Result<()> {
    if whole.is_empty() {
        return Ok(());
    }
    let (strategy, isolate) = (on.config.strategy, on.config.continue_on_error);
    if matches!(strategy, Strategy::SingleQuery | Strategy::Optimistic) {
        let isolate = isolate && strategy == Strategy::SingleQuery;
        let figures = written.metrics();
        let before = (run.progress, figures.chunks, figures.largest_chunk);
        let fates = run
            .together(written.metrics_mut(), &whole, |connection, piece| apply(connection, piece, isolate))?;
        let refused = fates.iter().any(|fate| matches!(fate, Fate::Failed(error) if may_be_cut(error)));
        if strategy == Strategy::SingleQuery || !refused {
            whole.iter().zip(fates).for_each(|(piece, fate)| settle(on, written, piece.places(), fate));
            return Ok(());
        }
        let figures = written.metrics_mut();
        // Its pieces are those that follow.
        (run.progress, figures.chunks, figures.largest_chunk) = before;
    }
    let pieces = cut(whole, run.workers);
    if on.config.one_transaction {
        let fates = run.together(written.metrics_mut(), &pieces, |connection, piece| {
            apply(connection, piece, isolate)
        })?;
        pieces.iter().zip(fates).for_each(|(piece, fate)| settle(on, written, piece.places(), fate));
        return Ok(());
    }
    run.workers = run.workers.min(pieces.len());
    let places: Vec<Arc<[usize]>> = pieces.iter().map(|piece| Arc::clone(piece.places())).collect();
    let mut metrics = written.metrics().clone();
    let ran = run.each(
        &mut metrics,
        pieces.into_iter(),
        |connection, piece| apply(connection, piece, isolate),
        |number, fate| settle(on, written, &places[number], fate),
    );
    *written.metrics_mut() = metrics;
    ran
}

/// Whether smaller pieces may fare better: the database refused this one, and nothing else is wrong.
pub(crate) fn may_be_cut(error: &Error) -> bool {
    !error.is_in_doubt()
        && !matches!(
            error.kind(),
            ErrorKind::Timeout
                | ErrorKind::Cancelled
                | ErrorKind::Auth
                | ErrorKind::Connect
                | ErrorKind::SeatLimit
                | ErrorKind::Panicked
        )
}

/// What became of a piece becomes of its rows.
fn settle<T>(on: &Table<'_, T>, written: &mut Written<T>, places: &[usize], fate: Fate<Done<T>>) {
    let known = written.errors().len();
    match fate {
        Fate::Done(done) => written.take(places, done),
        Fate::Failed(error) => written.chunk_failed(places, error),
        Fate::NotRun(error) => written.all(places, RowStatus::NotRun, &Arc::new(error)),
        Fate::Undone(error) => written.all(places, RowStatus::RolledBack, &Arc::new(error)),
    }
    for error in &written.errors()[known..] {
        if matches!(written.statuses()[error.index()], RowStatus::Failed | RowStatus::InDoubt) {
            tell(&on.hooks, error.index(), error.error());
        }
    }
}

/// As `prepare` and `send`, but rows are looked at while earlier ones are on their way.
fn staged<T: Serialize + DeserializeOwned + Send + Sync>(
    on: &Table<'_, T>,
    run: &mut Run<'_>,
    write: &Write<'_>,
    rows: &[T],
    written: &mut Written<T>,
) -> Result<()> {
    let size = size_of(on.config.batch_size, Most::of(on.db), rows, run.workers);
    run.workers = run.workers.min(rows.len().div_ceil(size));
    let isolate = on.config.continue_on_error;
    let mut metrics = written.metrics().clone();
    // The iterator and the sink take turns on this thread.
    let shared = RefCell::new((written, Vec::<Arc<[usize]>>::new(), false));
    let mut left = rows.iter().enumerate();
    let mut ready = Vec::new().into_iter();
    let pieces = std::iter::from_fn(|| {
        loop {
            if let Some(group) = ready.next() {
                let group: Group<Row<'_, T>> = group;
                shared.borrow_mut().1.push(Arc::clone(&group.places));
                return Some(group);
            }
            let (written, _, stopped) = &mut *shared.borrow_mut();
            if *stopped {
                return None;
            }
            let mut look = Look::new(write);
            while look.rows() < size {
                let Some((place, row)) = left.next() else { break };
                if let Err(error) = look.at(place, row, &on.hooks, written) {
                    tell(&on.hooks, place, &error);
                    written.fail(place, error);
                    // As a chunk that is refused ends everything behind it.
                    *stopped = !on.config.continue_on_error;
                    if *stopped {
                        break;
                    }
                }
            }
            let groups = look.into_groups();
            if groups.is_empty() {
                return None;
            }
            ready = groups.into_iter();
        }
    });
    let ran = run.each(
        &mut metrics,
        pieces,
        |connection, group| write.send::<_, T>(connection, group, isolate),
        |number, fate| {
            let (written, places, _) = &mut *shared.borrow_mut();
            settle(on, written, &places[number], fate);
        },
    );
    *shared.into_inner().0.metrics_mut() = metrics;
    ran
}
