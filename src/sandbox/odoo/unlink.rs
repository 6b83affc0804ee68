//! `unlink`: all of the records, or none.

use std::collections::HashSet;

use super::cell::Cell;
use super::models::{DATA, MODELS};
use super::schema::{Kind, ModelId, OnDelete, Place};
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use crate::sandbox::history::Action;

/// Deletes records, and what hangs on them.
pub(super) fn unlink(tx: &mut Transaction<'_>, model: ModelId, ids: &[i64]) -> Result<()> {
    if let Some(missing) = ids.iter().find(|id| tx.store.row(model, **id).is_none()) {
        return Err(Trouble::missing(MODELS[model].name, *missing, tx.env.user));
    }
    let going: HashSet<i64> = ids.iter().copied().collect();
    for (other, shape) in MODELS.iter().enumerate() {
        for (at, field) in shape.fields.iter().enumerate() {
            let number = u8::try_from(at).expect("a model has few fields");
            if field.place != Place::Stored || field.relation() != Some(model) {
                continue;
            }
            match field.kind {
                Kind::Many2one(_, on_delete) => let_go(tx, other, number, on_delete, (model, &going))?,
                Kind::Many2many(_) => unlist(tx, other, number, &going)?,
                _ => {}
            }
        }
    }
    let mut seen = HashSet::new();
    for id in ids.iter().filter(|id| seen.insert(**id)) {
        tx.note(model, *id, Action::Delete);
        for data in tx.store.pointing(model, *id).to_vec() {
            tx.remove(DATA, data)?;
        }
        tx.remove(model, *id)?;
    }
    Ok(())
}

/// What becomes of the records that point to those that go.
fn let_go(
    tx: &mut Transaction<'_>,
    other: ModelId,
    number: u8,
    on_delete: OnDelete,
    (model, going): (ModelId, &HashSet<i64>),
) -> Result<()> {
    let pointing: Vec<i64> = tx
        .store
        .table(other)
        .iter()
        .filter(|(id, row)| {
            row.get(number).as_int().is_some_and(|to| going.contains(&to))
                && (other != model || !going.contains(id))
        })
        .map(|(id, _)| id)
        .collect();
    if pointing.is_empty() {
        return Ok(());
    }
    match on_delete {
        OnDelete::SetNull => {
            for id in pointing {
                tx.change(other, id, |row| row.set(number, Cell::Unset))?;
            }
            Ok(())
        }
        OnDelete::Cascade => unlink(tx, other, &pointing),
        OnDelete::Restrict => {
            let shape = &MODELS[other];
            let field = shape.fields[usize::from(number)].name;
            Err(Trouble::constraint(format!(
                "another model requires the record being deleted. If possible, archive it instead.\n\nModel: {} \
                 ({})\nConstraint: {}_{field}_fkey",
                shape.title,
                shape.name,
                shape.name.replace('.', "_")
            )))
        }
    }
}

/// Takes those that go out of a many2many field.
fn unlist(tx: &mut Transaction<'_>, other: ModelId, number: u8, going: &HashSet<i64>) -> Result<()> {
    let linked: Vec<i64> = tx
        .store
        .table(other)
        .iter()
        .filter(|(_, row)| row.get(number).ids().iter().any(|id| going.contains(id)))
        .map(|(id, _)| id)
        .collect();
    for id in linked {
        tx.change(other, id, |row| {
            let kept: Vec<i64> =
                row.get(number).ids().iter().copied().filter(|id| !going.contains(id)).collect();
            row.set(number, if kept.is_empty() { Cell::Unset } else { Cell::Ids(kept.into()) });
        })?;
    }
    Ok(())
}
