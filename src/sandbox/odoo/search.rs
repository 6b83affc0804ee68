//! `search`: the domain, the order, the page.

use std::cmp::Ordering;

use serde_json::Value;

use super::cell::Cell;
use super::domain::Domain;
use super::environment::Environment;
use super::models::MODELS;
use super::python::is_true;
use super::schema::{Column, Kind, ModelId, Place};
use super::store::Store;
use super::trouble::{Result, Trouble};

/// What a search asks for besides the domain.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: Option<usize>,
    pub(super) order: Option<String>,
}

impl Page {
    pub(super) fn new(offset: Option<&Value>, limit: Option<&Value>, order: Option<&Value>) -> Self {
        let number =
            |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        Self {
            offset: number(offset).unwrap_or(0),
            // `false` and 0 are no limit.
            limit: number(limit).filter(|limit| *limit > 0),
            order: order.filter(|order| is_true(order)).and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// The ids of the records that a domain selects, in order.
pub(super) fn search(
    store: &Store,
    env: &Environment,
    model: ModelId,
    domain: &Value,
    page: &Page,
) -> Result<Vec<i64>> {
    let order = order(model, page.order.as_deref().unwrap_or(MODELS[model].order))?;
    let mut ids = select(store, env, model, domain)?;
    sort(store, model, &mut ids, &order);
    let from = page.offset.min(ids.len());
    let to = page.limit.map_or(ids.len(), |limit| (from + limit).min(ids.len()));
    Ok(ids[from..to].to_vec())
}

/// How many records a domain selects.
pub(super) fn count(
    store: &Store,
    env: &Environment,
    model: ModelId,
    domain: &Value,
    limit: Option<usize>,
) -> Result<usize> {
    let count = select(store, env, model, domain)?.len();
    Ok(limit.map_or(count, |limit| count.min(limit)))
}

fn select(store: &Store, env: &Environment, model: ModelId, domain: &Value) -> Result<Vec<i64>> {
    let parsed = Domain::parse(store, env, model, domain)?.active_only(store, env, model, domain)?;
    let table = store.table(model);
    Ok(match parsed.candidates(store) {
        Some(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            ids.retain(|id| table.get(*id).is_some_and(|row| parsed.holds(store, *id, row)));
            ids
        }
        None => table.iter().filter(|(id, row)| parsed.holds(store, *id, row)).map(|(id, _)| id).collect(),
    })
}

/// Reads an order such as `name desc, id`.
fn order(model: ModelId, text: &str) -> Result<Vec<(Column, bool)>> {
    text.split(',')
        .map(|part| {
            let mut words = part.split_whitespace();
            let wrong = || {
                Trouble::user(format!(
                    "Invalid \"order\" specified ({text}). A valid \"order\" specification is a comma-separated list of \
                     valid field names (optionally followed by asc/desc for the direction)"
                ))
            };
            let name = words.next().ok_or_else(wrong)?;
            let is_descending = match words.next().map(str::to_ascii_lowercase).as_deref() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(_) => return Err(wrong()),
            };
            let unknown = || {
                Trouble::value(format!(
                    "Invalid field {} on {}",
                    super::python::quoted(name),
                    super::python::quoted(MODELS[model].name)
                ))
            };
            Ok((MODELS[model].field(name).ok_or_else(unknown)?, is_descending))
        })
        .collect()
}

fn sort(store: &Store, model: ModelId, ids: &mut [i64], order: &[(Column, bool)]) {
    if let [((_, field), is_descending)] = order
        && field.place == Place::Id
    {
        ids.sort_unstable();
        if *is_descending {
            ids.reverse();
        }
        return;
    }
    let keys = |id: i64| -> Vec<Cell> {
        let of = |column: &Column| {
            let cell = store.cell(model, id, *column);
            match (column.1.kind, &cell) {
                // A relation is ordered by the names of its records.
                (Kind::Many2one(to, _), Cell::Int(id)) => Cell::text(&store.display_name(to, *id)),
                _ => cell,
            }
        };
        order.iter().map(|(column, _)| of(column)).collect()
    };
    let mut keyed: Vec<(Vec<Cell>, i64)> = ids.iter().map(|id| (keys(*id), *id)).collect();
    keyed.sort_by(|(left, left_id), (right, right_id)| {
        for ((left, right), (_, is_descending)) in left.iter().zip(right).zip(order) {
            let ordering = compare(left, right);
            let ordering = if *is_descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        left_id.cmp(right_id)
    });
    for (place, (_, id)) in ids.iter_mut().zip(keyed) {
        *place = id;
    }
}

/// What is unset comes last, as SQL's NULL does.
fn compare(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Unset, Cell::Unset) => Ordering::Equal,
        (Cell::Unset, _) => Ordering::Greater,
        (_, Cell::Unset) => Ordering::Less,
        (Cell::Int(left), Cell::Int(right)) => left.cmp(right),
        (Cell::Float(left), Cell::Float(right)) => left.total_cmp(right),
        (Cell::Bool(left), Cell::Bool(right)) => left.cmp(right),
        (Cell::Text(left), Cell::Text(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}
