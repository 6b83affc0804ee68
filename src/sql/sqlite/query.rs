//! Statements that the caller wrote: parameters by place or by name, rows of whatever columns.

use rusqlite::Statement;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::catalog::ColumnType;
use super::bind::{Misfit, Place};
use super::cell::Scratch;
use super::fields::{Fields, Sink};
use super::{Connection, decode};
use crate::error::{Delivery, Error, ErrorKind, Result};

impl Connection {
    pub(super) fn execute_sets<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>> {
        self.each_set(sets, |connection, set| connection.execute_one(sql, set))
    }

    pub(super) fn query_sets<P: Serialize, T: DeserializeOwned>(
        &mut self,
        sql: &str,
        sets: &[P],
    ) -> Result<Vec<Vec<T>>> {
        self.each_set(sets, |connection, set| connection.query_one(sql, set))
    }

    /// Several sets are one transaction; a single one is its own, since some statements stand no other.
    fn each_set<P, X>(&mut self, sets: &[P], run: impl Fn(&Self, &P) -> Result<X>) -> Result<Vec<X>> {
        self.check()?;
        match sets {
            [] => Ok(Vec::new()),
            [only] => {
                self.arm();
                self.go_on(None)?;
                run(self, only).map(|done| vec![done])
            }
            sets => self.within(|connection| {
                let mut all = Vec::with_capacity(sets.len());
                for (index, set) in sets.iter().enumerate() {
                    connection.arm();
                    connection.go_on(None)?;
                    all.push(run(connection, set).map_err(|error| error.with_record_index(index))?);
                }
                Ok(all)
            }),
        }
    }

    fn execute_one<P: Serialize>(&self, sql: &str, set: &P) -> Result<u64> {
        let failed = |failed| self.failed(failed, None);
        let mut stmt = match self.db.prepare_cached(sql) {
            Ok(stmt) => stmt,
            // A later statement may need what an earlier one makes, and cannot be prepared yet.
            Err(rusqlite::Error::MultipleStatement) => return self.execute_script(sql, set),
            Err(_) if sql.trim_end().trim_end_matches(';').contains(';') => {
                return self.execute_script(sql, set);
            }
            Err(error) => return Err(failed(error)),
        };
        bind(&mut stmt, set)?;
        let changed = changes_rows(&stmt);
        let before = self.db.total_changes();
        let mut rows = stmt.raw_query();
        while rows.next().map_err(failed)?.is_some() {}
        drop(rows);
        // What only reads, or makes a table, leaves the count of the statement before.
        Ok(if changed && self.db.total_changes() != before { self.db.changes() } else { 0 })
    }

    /// Several statements, separated by `;`.
    fn execute_script<P: Serialize>(&self, sql: &str, set: &P) -> Result<u64> {
        let mut given = Given { names: Vec::new(), placed: 0 };
        set.serialize(Fields(&mut given)).map_err(Misfit::into_error)?;
        if given.placed > 0 || !given.names.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "several statements take no parameters")
                .with_delivery(Delivery::NotSent));
        }
        let before = self.db.total_changes();
        self.db.execute_batch(sql).map_err(|failed| self.failed(failed, None))?;
        Ok(self.db.total_changes() - before)
    }

    fn query_one<P: Serialize, T: DeserializeOwned>(&self, sql: &str, set: &P) -> Result<Vec<T>> {
        let failed = |failed| self.failed(failed, None);
        let mut stmt = self.db.prepare_cached(sql).map_err(failed)?;
        bind(&mut stmt, set)?;
        let fields = decode::fields(&stmt);
        let mut rows = stmt.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            all.push(decode::row(&fields, row).map_err(decode::Unread::into_error)?);
        }
        Ok(all)
    }
}

/// Whether it is one of those that count rows.
fn changes_rows(stmt: &Statement<'_>) -> bool {
    !stmt.readonly()
}

/// Binds a set of parameters.
fn bind<P: Serialize>(stmt: &mut Statement<'_>, set: &P) -> Result<()> {
    let count = stmt.parameter_count();
    let names = (1..=count).map(|index| stmt.parameter_name(index).map(str::to_owned)).collect();
    let mut sink = Parameters {
        stmt,
        names,
        bound: vec![false; count],
        placed: 0,
        scratch: Scratch::default(),
        bytes: 0,
    };
    set.serialize(Fields(&mut sink)).map_err(Misfit::into_error)?;
    let Some(index) = sink.bound.iter().position(|bound| !bound) else { return Ok(()) };
    let name = sink.names[index].clone().unwrap_or_else(|| format!("?{}", index + 1));
    Err(Misfit::new(format!("the parameter {name} is missing")).at(&name).into_error())
}

/// Whether there are parameters, and which.
struct Given {
    names: Vec<String>,
    placed: usize,
}

impl Sink for Given {
    fn named<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        _: bool,
        _: &T,
    ) -> std::result::Result<(), Misfit> {
        self.names.push(name.to_owned());
        Ok(())
    }

    fn placed<T: Serialize + ?Sized>(&mut self, _: &T) -> std::result::Result<(), Misfit> {
        self.placed += 1;
        Ok(())
    }
}

struct Parameters<'a, 's> {
    stmt: &'a mut Statement<'s>,
    /// `:name`, `@name`, `$name`, `$1`, `?1`; a plain `?` has none.
    names: Vec<Option<String>>,
    bound: Vec<bool>,
    placed: usize,
    scratch: Scratch,
    bytes: u64,
}

impl Parameters<'_, '_> {
    fn put<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> std::result::Result<(), Misfit> {
        self.bound[index] = true;
        let mut place = Place {
            stmt: self.stmt,
            parameter: index + 1,
            ty: &ColumnType::Any,
            scratch: &mut self.scratch,
            copy: None,
            bytes: &mut self.bytes,
        };
        place.write(value)
    }

    /// Which of the caller's values a parameter takes.
    fn place(&self, index: usize) -> usize {
        let numbered = |name: &str| name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1);
        // SQLite numbers `?` and `?7` itself, but takes `$7` for a name.
        self.names[index].as_deref().and_then(numbered).unwrap_or(index)
    }
}

impl Sink for Parameters<'_, '_> {
    fn named<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        _: bool,
        value: &T,
    ) -> std::result::Result<(), Misfit> {
        let mut found = false;
        for index in 0..self.names.len() {
            let is_it = self.names[index].as_deref().and_then(|known| known.get(1..)) == Some(name);
            if is_it && !self.names[index].as_deref().is_some_and(|known| known.starts_with('?')) {
                found = true;
                self.put(index, value).map_err(|misfit| misfit.at(name))?;
            }
        }
        if found {
            return Ok(());
        }
        Err(Misfit::new(format!("the statement has no parameter :{name}")).at(name))
    }

    fn placed<T: Serialize + ?Sized>(&mut self, value: &T) -> std::result::Result<(), Misfit> {
        let place = self.placed;
        self.placed += 1;
        let mut found = false;
        for index in 0..self.names.len() {
            if self.place(index) == place {
                found = true;
                self.put(index, value).map_err(|misfit| misfit.at(&format!("${}", place + 1)))?;
            }
        }
        if found {
            return Ok(());
        }
        let name = format!("${}", place + 1);
        Err(Misfit::new(format!("the statement has no parameter {name}")).at(&name))
    }
}
