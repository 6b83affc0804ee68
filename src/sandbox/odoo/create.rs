//! `create`: values checked, defaults added, rules kept.

use serde_json::{Map, Value};

use super::cell::Cell;
use super::links;
use super::models::{DATA, MODELS, PARTNER, USERS};
use super::python::quoted;
use super::schema::{Column, Field, Kind, ModelId, Place, Preset};
use super::store::Row;
use super::transaction::Transaction;
use super::trouble::{Result, Trouble};
use crate::sandbox::history::Action;

pub(super) type Values = Map<String, Value>;

/// Creates a record and returns its id.
pub(super) fn create(tx: &mut Transaction<'_>, model: ModelId, values: &Values) -> Result<i64> {
    let mut row = tx.blank();
    row.reserve(values.len() + 2);
    let shape = &MODELS[model];
    let mut of_partner = Values::new();
    let mut children: Vec<(Column, &Value)> = Vec::new();
    for (name, value) in values {
        let Some(column) = shape.field(name) else {
            return Err(Trouble::value(match tx.env.version {
                17 => format!("Invalid field {} on model {}", quoted(name), quoted(shape.name)),
                _ => format!("Invalid field {} in {}", quoted(name), quoted(shape.name)),
            }));
        };
        let (number, field) = column;
        match (field.place, field.kind) {
            (Place::OfPartner, _) => drop(of_partner.insert(name.clone(), value.clone())),
            // What the server writes itself it does not take from others.
            (Place::Stored, _) if (model, field.name) == (USERS, "password") => {}
            (Place::Stored, Kind::One2many(..)) => children.push((column, value)),
            (Place::Stored, Kind::Many2many(to)) => {
                let ids = links::many2many(tx, to, field, &[], value)?;
                row.set(number, if ids.is_empty() { Cell::Unset } else { Cell::Ids(ids.into()) });
            }
            (Place::Stored, _) => row.set(number, pointed(tx, field, Cell::from_json(model, field, value)?)?),
            _ => {}
        }
    }
    presets(tx, model, &mut row, values)?;
    if model == USERS {
        partner_of(tx, &mut row, &of_partner)?;
    }
    check_row(tx, model, &row, None)?;
    if model == PARTNER
        && let Some(parent) = row.get(shape.number("parent_id")).as_int()
    {
        // Fields of the parent are computed from its children: both transactions write to it.
        tx.touch(PARTNER, parent)?;
    }
    let id = tx.insert(model, row);
    tx.note(model, id, Action::Insert);
    for ((_, field), commands) in children {
        links::one2many(tx, model, id, field, commands)?;
    }
    Ok(id)
}

/// Fields that were not given get the default of the context, or else their own.
fn presets(tx: &mut Transaction<'_>, model: ModelId, row: &mut Row, values: &Values) -> Result<()> {
    let env = tx.env;
    let has_context = env.context.keys().any(|name| name.starts_with("default_"));
    for (at, field) in MODELS[model].fields.iter().enumerate() {
        if (field.default == Preset::None && !has_context) || values.contains_key(field.name) {
            continue;
        }
        let number = u8::try_from(at).expect("a model has few fields");
        let given = if has_context { env.context.get(&format!("default_{}", field.name)) } else { None };
        let cell = match (given, field.default) {
            (Some(_), _) if matches!(field.kind, Kind::One2many(..)) || field.place != Place::Stored => {
                continue;
            }
            (Some(value), _) => match field.kind {
                Kind::Many2many(to) => Cell::Ids(links::many2many(tx, to, field, &[], value)?.into()),
                _ => pointed(tx, field, Cell::from_json(model, field, value)?)?,
            },
            (None, Preset::None) => continue,
            (None, Preset::True) => Cell::Bool(true),
            (None, Preset::Text(text)) => Cell::text(text),
            (None, Preset::Integer(value)) => Cell::Int(value),
            (None, Preset::Float(value)) => Cell::Float(value),
        };
        row.set(number, cell);
    }
    Ok(())
}

/// A many2one must lead to a record.
pub(super) fn pointed(tx: &Transaction<'_>, field: &Field, cell: Cell) -> Result<Cell> {
    if let (Kind::Many2one(to, _), Cell::Int(id)) = (field.kind, &cell)
        && tx.store.row(to, *id).is_none()
    {
        return Err(Trouble::missing(MODELS[to].name, *id, tx.env.user));
    }
    Ok(cell)
}

/// A user is a partner too: the one that was given, or a new one.
fn partner_of(tx: &mut Transaction<'_>, row: &mut Row, values: &Values) -> Result<()> {
    let number = MODELS[USERS].number("partner_id");
    match row.get(number).as_int() {
        Some(partner) if values.is_empty() => tx.touch(PARTNER, partner)?,
        Some(partner) => super::write::write(tx, PARTNER, &[partner], values)?,
        None => row.set(number, Cell::Int(create(tx, PARTNER, values)?)),
    }
    Ok(())
}

/// Checks the constraints of a row that is created, or was changed: `id` is its own.
pub(super) fn check_row(tx: &Transaction<'_>, model: ModelId, row: &Row, id: Option<i64>) -> Result<()> {
    let shape = &MODELS[model];
    for (at, field) in shape.fields.iter().enumerate() {
        if field.required
            && field.place == Place::Stored
            && *row.get(u8::try_from(at).expect("a model has few fields")) == Cell::Unset
        {
            return Err(not_null(model, field));
        }
    }
    match model {
        PARTNER => {
            let is_contact = row.get(shape.number("type")).as_text().is_none_or(|kind| kind == "contact");
            if is_contact && *row.get(shape.number("name")) == Cell::Unset {
                return Err(Trouble::constraint("Contacts require a name"));
            }
        }
        USERS => {
            let number = shape.number("login");
            let login = row.get(number);
            if tx.store.table(USERS).iter().any(|(other, row)| Some(other) != id && row.get(number) == login)
            {
                return Err(Trouble::constraint("You can not have two users with the same login!"));
            }
        }
        DATA => {
            let text = |name| row.get(shape.number(name)).as_text().unwrap_or_default();
            let name = format!("{}.{}", text("module"), text("name"));
            if tx.store.data(&name).is_some_and(|other| Some(other) != id) {
                return Err(Trouble::constraint(
                    "You cannot have multiple records with the same external ID in the same module!",
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

fn not_null(model: ModelId, field: &Field) -> Trouble {
    let shape = &MODELS[model];
    let missing = format!("Missing required value for the field '{}' ({})", field.label, field.name);
    let mut trouble = Trouble::constraint(format!(
        "{missing}.\nModel: '{}' ({})\n- create/update: a mandatory field is not set\n- delete: another model requires \
         the record being deleted, you can archive it instead",
        shape.title, shape.name
    ));
    trouble.in_load = Some(missing);
    trouble.field = Some(field.name);
    trouble
}
