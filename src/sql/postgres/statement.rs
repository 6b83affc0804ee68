//! The caller's own SQL, once for each set of parameters.

use postgres::{SimpleQueryMessage, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decode::Reader;
use super::failure::Trouble;
use super::refusal::Refusal;
use super::row::{Field, Format, Layout};
use super::scan;
use super::session::{Connection, Param};
use super::walk::{Shape, shape};
use super::wire::Wire;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// The most parameters that the protocol can count.
const MOST: usize = 65_535;

impl Connection {
    pub(super) fn execute_sets<P: Serialize>(&mut self, sql: &str, sets: &[P]) -> Result<Vec<u64>> {
        self.together(sets.len(), |connection, lost| {
            let Some(shape) = first_shape(sets)? else { return Ok(Vec::new()) };
            if shape == Shape::Empty && scan::statements(sql) != 1 {
                return sets.iter().map(|_| connection.script(sql, lost)).collect();
            }
            let (statement, mut layout) = connection.with_params(sql, &shape)?;
            let mut counts = Vec::with_capacity(sets.len());
            let mut cells = Vec::new();
            for (index, set) in sets.iter().enumerate() {
                let params = encode(&mut layout, &mut cells, index, set)?;
                counts.push(
                    connection
                        .affected(&statement, &params, None, lost)
                        .map_err(|trouble| of_set(trouble, index))?,
                );
            }
            Ok(counts)
        })
    }

    pub(super) fn query_sets<P: Serialize, T: DeserializeOwned>(
        &mut self,
        sql: &str,
        sets: &[P],
    ) -> Result<Vec<Vec<T>>> {
        self.together(sets.len(), |connection, lost| {
            let Some(shape) = first_shape(sets)? else { return Ok(Vec::new()) };
            let (statement, mut layout) = connection.with_params(sql, &shape)?;
            let reader = Reader::new(statement.columns());
            let mut answers = Vec::with_capacity(sets.len());
            let mut cells = Vec::new();
            for (index, set) in sets.iter().enumerate() {
                let params = encode(&mut layout, &mut cells, index, set)?;
                let rows = connection
                    .rows(&statement, &params, None, lost)
                    .map_err(|trouble| of_set(trouble, index))?;
                answers.push(rows.iter().map(|row| reader.read(row, 0)).collect::<Result<_>>()?);
            }
            Ok(answers)
        })
    }

    /// Several sets are one transaction. A single one is none, for statements that refuse to be in one;
    /// then a connection that breaks leaves it in doubt.
    fn together<T>(
        &mut self,
        sets: usize,
        mut work: impl FnMut(&mut Self, Delivery) -> Result<T>,
    ) -> Result<T> {
        self.ready()?;
        if sets > 1 {
            return self.within(false, |connection| work(connection, Delivery::NotSent));
        }
        if self.is_outer() {
            return self.within(false, |connection| work(connection, Delivery::NotSent));
        }
        work(self, Delivery::MaybeSent)
    }

    /// Runs a statement, or several, without parameters, and says how many rows they affected.
    fn script(&mut self, sql: &str, lost: Delivery) -> Result<u64> {
        let began = std::time::Instant::now();
        let result = self.client.simple_query(sql);
        self.cost.server += began.elapsed();
        self.cost.statements += 1;
        let messages = result.map_err(|cause| self.trouble(&cause, None, lost).into_error())?;
        let counts = messages.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => *count,
            _ => 0,
        });
        Ok(counts.sum())
    }

    /// Prepares a statement for parameters of a shape.
    fn with_params(&mut self, sql: &str, shape: &Shape) -> Result<(Statement, Layout)> {
        let too_many = |count: usize| {
            (count > MOST).then(|| {
                Error::new(ErrorKind::Invalid, format!("{count} parameters; PostgreSQL takes {MOST} at most"))
                    .with_delivery(Delivery::NotSent)
            })
        };
        let (statement, names) = match shape {
            Shape::Named(_) => {
                let named = scan::number(sql);
                if let Some(error) = too_many(named.names.len()) {
                    return Err(error);
                }
                (self.prepared(&named.sql, None), Some(named.names))
            }
            Shape::Placed(count) => {
                if let Some(error) = too_many(*count) {
                    return Err(error);
                }
                (self.prepared(sql, None), None)
            }
            Shape::Empty => (self.prepared(sql, None), None),
        };
        let statement = statement.map_err(Trouble::into_error)?;
        let fields = statement.params().iter().enumerate().map(|(index, ty)| Field {
            name: match &names {
                Some(names) => names.get(index).cloned().unwrap_or_default(),
                None => format!("${}", index + 1),
            },
            wire: Wire::of(ty),
        });
        let mut layout = Layout::new(fields.collect(), Format::Binary);
        // A struct may have more fields than the statement names.
        layout.lax = true;
        Ok((statement, layout))
    }
}

fn first_shape<P: Serialize>(sets: &[P]) -> Result<Option<Shape>> {
    sets.first().map(|set| shape(set).map_err(|refusal| refused(refusal, 0))).transpose()
}

fn refused(refusal: Refusal, index: usize) -> Error {
    refusal.into_error("", index)
}

fn of_set(trouble: Trouble, index: usize) -> Error {
    trouble.into_error().with_record_index(index)
}

fn encode<'a, P: Serialize>(
    layout: &mut Layout,
    cells: &'a mut Vec<u8>,
    index: usize,
    set: &P,
) -> Result<Vec<Param<'a>>> {
    cells.clear();
    layout.write(cells, set).map_err(|refusal| refused(refusal, index))?;
    Ok((0..layout.fields.len()).map(|field| Param::of(&cells[layout.place(field)])).collect())
}
