//! The commands of x2many fields: `[0, 0, values]`, `[6, 0, ids]` and their kin.

use serde_json::Value;

use super::cell::Cell;
use super::create::create;
use super::models::MODELS;
use super::python::{is_true, repr};
use super::schema::{Field, Kind, ModelId};
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use super::unlink::unlink;
use super::write::write;

/// A command, with its number, id and argument.
type Command<'a> = (i64, i64, Option<&'a Value>);

fn commands<'a>(field: &Field, value: &'a Value) -> Result<Vec<Command<'a>>> {
    let wrong = || Trouble::value(format!("Wrong value for {}: {}", field.name, repr(value)));
    if !is_true(value) {
        return Ok(vec![(5, 0, None)]);
    }
    let items = value.as_array().ok_or_else(wrong)?;
    // A plain list of ids replaces what was there.
    if items.iter().all(Value::is_i64) {
        return Ok(vec![(6, 0, Some(value))]);
    }
    let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or_default();
    items
        .iter()
        .map(|item| {
            let parts = item.as_array().ok_or_else(wrong)?;
            let command = parts.first().and_then(Value::as_i64).ok_or_else(wrong)?;
            Ok((command, number(parts.get(1)), parts.get(2)))
        })
        .collect()
}

fn ids(value: Option<&Value>) -> Vec<i64> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// The ids of a many2many field after the commands.
pub(super) fn many2many(
    tx: &mut Transaction<'_>,
    to: ModelId,
    field: &Field,
    old: &[i64],
    value: &Value,
) -> Result<Vec<i64>> {
    let mut linked = old.to_vec();
    for (command, id, argument) in commands(field, value)? {
        match (command, argument.and_then(Value::as_object)) {
            (0, Some(values)) => linked.push(create(tx, to, values)?),
            (1, Some(values)) => write(tx, to, &[id], values)?,
            (2, _) => {
                linked.retain(|one| *one != id);
                unlink(tx, to, &[id])?;
            }
            (3, _) => linked.retain(|one| *one != id),
            (4, _) => linked.push(id),
            (5, _) => linked.clear(),
            (6, _) => linked = ids(argument),
            _ => return Err(Trouble::value(format!("Wrong value for {}: {}", field.name, repr(value)))),
        }
    }
    linked.sort_unstable();
    linked.dedup();
    match linked.iter().find(|id| tx.store.row(to, **id).is_none()) {
        Some(missing) => Err(Trouble::missing(MODELS[to].name, *missing, tx.env.user)),
        None => Ok(linked),
    }
}

/// Applies the commands of a one2many field.
pub(super) fn one2many(
    tx: &mut Transaction<'_>,
    model: ModelId,
    id: i64,
    field: &Field,
    value: &Value,
) -> Result<()> {
    let Kind::One2many(to, inverse) = field.kind else { return Ok(()) };
    debug_assert!(MODELS[to].field(inverse).is_some_and(|(_, field)| field.relation() == Some(model)));
    let number = MODELS[to].number(inverse);
    for (command, child, argument) in commands(field, value)? {
        match (command, argument.and_then(Value::as_object)) {
            (0, Some(values)) => {
                let mut values = values.clone();
                values.insert(inverse.to_owned(), id.into());
                create(tx, to, &values)?;
            }
            (1, Some(values)) => write(tx, to, &[child], values)?,
            (2, _) => unlink(tx, to, &[child])?,
            (3, _) => tx.change(to, child, |row| row.set(number, Cell::Unset))?,
            (4, _) => tx.change(to, child, |row| row.set(number, Cell::Int(id)))?,
            (5 | 6, _) => {
                let kept = if command == 6 { ids(argument) } else { Vec::new() };
                for old in tx.store.children(id, field) {
                    if !kept.contains(&old) {
                        tx.change(to, old, |row| row.set(number, Cell::Unset))?;
                    }
                }
                for child in kept {
                    tx.change(to, child, |row| row.set(number, Cell::Int(id)))?;
                }
            }
            _ => return Err(Trouble::value(format!("Wrong value for {}: {}", field.name, repr(value)))),
        }
    }
    Ok(())
}
