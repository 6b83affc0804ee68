//! `write`: the same values for all records, or nothing.

use super::cell::Cell;
use super::create::{Values, check_row, pointed};
use super::links;
use super::models::{MODELS, PARTNER, USERS};
use super::python::quoted;
use super::schema::{Kind, ModelId, Place};
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use crate::sandbox::history::Action;

/// Writes to records.
pub(super) fn write(tx: &mut Transaction<'_>, model: ModelId, ids: &[i64], values: &Values) -> Result<()> {
    let shape = &MODELS[model];
    for name in values.keys() {
        if shape.field(name).is_none() {
            return Err(match tx.env.version {
                17 => {
                    Trouble::value(format!("Invalid field {} on model {}", quoted(name), quoted(shape.name)))
                }
                _ => Trouble::key(name.as_str()),
            });
        }
    }
    // Before anything is written: one that is missing leaves all as they were.
    if let Some(missing) = ids.iter().find(|id| tx.store.row(model, **id).is_none()) {
        return Err(Trouble::missing(shape.name, *missing, tx.env.user));
    }
    for id in ids {
        write_one(tx, model, *id, values)?;
    }
    Ok(())
}

fn write_one(tx: &mut Transaction<'_>, model: ModelId, id: i64, values: &Values) -> Result<()> {
    let shape = &MODELS[model];
    let mut cells: Vec<(u8, Cell)> = Vec::with_capacity(values.len());
    let mut of_partner = Values::new();
    for (name, value) in values {
        let Some((number, field)) = shape.field(name) else { continue };
        match (field.place, field.kind) {
            (Place::OfPartner, _) => drop(of_partner.insert(name.clone(), value.clone())),
            (Place::Stored, _) if (model, field.name) == (USERS, "password") => {}
            (Place::Stored, Kind::One2many(..)) => links::one2many(tx, model, id, field, value)?,
            (Place::Stored, Kind::Many2many(to)) => {
                let old = tx.store.row(model, id).map(|row| row.get(number).ids().to_vec());
                let ids = links::many2many(tx, to, field, &old.unwrap_or_default(), value)?;
                cells.push((number, if ids.is_empty() { Cell::Unset } else { Cell::Ids(ids.into()) }));
            }
            (Place::Stored, _) => {
                cells.push((number, pointed(tx, field, Cell::from_json(model, field, value)?)?));
            }
            _ => {}
        }
    }
    if let Some((parent, _)) = shape.field("parent_id")
        && let Some((_, Cell::Int(to))) = cells.iter().find(|(number, _)| *number == parent)
    {
        no_cycle(tx, model, id, *to)?;
        if model == PARTNER {
            // Fields of the parent are computed from its children: both transactions write to it.
            tx.touch(PARTNER, *to)?;
        }
    }
    tx.change(model, id, |row| {
        for (number, cell) in cells {
            row.set(number, cell);
        }
    })?;
    if let Some(row) = tx.store.row(model, id) {
        check_row(tx, model, row, Some(id))?;
    }
    tx.note(model, id, Action::Update);
    if !of_partner.is_empty() {
        let partner = tx.store.row(model, id).and_then(|row| row.get(shape.number("partner_id")).as_int());
        if let Some(partner) = partner {
            write(tx, PARTNER, &[partner], &of_partner)?;
        }
    }
    Ok(())
}

/// A record may not be above itself.
fn no_cycle(tx: &Transaction<'_>, model: ModelId, id: i64, parent: i64) -> Result<()> {
    let column = MODELS[model].number("parent_id");
    let mut above = Some(parent);
    let mut steps = 0;
    while let Some(at) = above {
        steps += 1;
        if at == id || steps > 1000 {
            return Err(Trouble::validation(match model {
                PARTNER => "You cannot create recursive Partner hierarchies.",
                _ => "You can not create recursive tags.",
            }));
        }
        above = tx.store.row(model, at).and_then(|row| row.get(column).as_int());
    }
    Ok(())
}
