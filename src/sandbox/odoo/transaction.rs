//! A transaction: what it changed can be taken back, in whole or down to a savepoint.

use std::sync::Arc;
use std::time::Duration;

use super::environment::Environment;
use super::models::MODELS;
use super::schema::ModelId;
use super::store::{Row, Store};
use super::trouble::{Result, Trouble};
use crate::sandbox::history::{Action, Effect};

/// A transaction on the store, which it has for itself.
///
/// It ends with [`commit`](Self::commit) or [`rollback`](Self::rollback).
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub(super) store: &'a mut Store,
    pub(super) env: &'a Environment,
    /// What the store had committed when the transaction began: what changed later is a conflict.
    snapshot: u64,
    undo: Vec<(ModelId, i64, Option<Row>)>,
    effects: Vec<Made>,
    /// A conflict on demand: the next change is one.
    pub(super) conflicts: bool,
    pub(super) now: Arc<str>,
}

/// An effect that is not committed yet.
#[derive(Debug)]
struct Made {
    model: ModelId,
    id: i64,
    action: Action,
    /// Of a record that is deleted: nobody can look them up later.
    names: Option<(Option<String>, Option<String>)>,
}

/// A point to which a transaction can go back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint(usize, usize);

impl<'a> Transaction<'a> {
    pub(super) fn new(store: &'a mut Store, env: &'a Environment, snapshot: u64) -> Self {
        let now = crate::sandbox::acumatica::date::now()[..19].replace('T', " ").into();
        Self { store, env, snapshot, undo: Vec::new(), effects: Vec::new(), conflicts: false, now }
    }

    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len(), self.effects.len())
    }

    pub(super) fn back_to(&mut self, savepoint: Savepoint) {
        while self.undo.len() > savepoint.0 {
            let (model, id, row) = self.undo.pop().expect("there is one more");
            self.store.put(model, id, row);
        }
        self.effects.truncate(savepoint.1);
    }

    /// A row that is not in its table yet.
    pub(super) fn blank(&self) -> Row {
        Row::new(&self.now, self.env.user, self.store.stamp + 1)
    }

    pub(super) fn insert(&mut self, model: ModelId, row: Row) -> i64 {
        let id = self.store.next_id(model);
        self.store.put(model, id, Some(row));
        self.undo.push((model, id, None));
        id
    }

    /// Notes an effect for the history.
    pub(super) fn note(&mut self, model: ModelId, id: i64, action: Action) {
        let names = (action == Action::Delete).then(|| self.names(model, id));
        self.effects.push(Made { model, id, action, names });
    }

    /// Changes a row.
    pub(super) fn change(&mut self, model: ModelId, id: i64, change: impl FnOnce(&mut Row)) -> Result<()> {
        let mine = self.store.stamp + 1;
        let Some(row) = self.store.row(model, id) else {
            return Err(Trouble::missing(MODELS[model].name, id, self.env.user));
        };
        if self.conflicts || (row.stamp > self.snapshot && row.stamp != mine) {
            return Err(Trouble::serialization());
        }
        let old = row.clone();
        let mut new = old.clone();
        change(&mut new);
        new.stamp = mine;
        new.written = (Arc::clone(&self.now), self.env.user);
        self.store.put(model, id, Some(new));
        self.undo.push((model, id, Some(old)));
        Ok(())
    }

    /// Takes the lock of a row without changing its values, as a computed field of a parent does.
    pub(super) fn touch(&mut self, model: ModelId, id: i64) -> Result<()> {
        let mine = self.store.stamp + 1;
        let Some(row) = self.store.row(model, id) else {
            return Err(Trouble::missing(MODELS[model].name, id, self.env.user));
        };
        if row.stamp == mine {
            return Ok(());
        }
        if self.conflicts || row.stamp > self.snapshot {
            return Err(Trouble::serialization());
        }
        let old = row.clone();
        if let Some(row) = self.store.row_mut(model, id) {
            row.stamp = mine;
        }
        self.undo.push((model, id, Some(old)));
        Ok(())
    }

    pub(super) fn remove(&mut self, model: ModelId, id: i64) -> Result<()> {
        let mine = self.store.stamp + 1;
        let Some(row) = self.store.row(model, id) else {
            return Err(Trouble::missing(MODELS[model].name, id, self.env.user));
        };
        if self.conflicts || (row.stamp > self.snapshot && row.stamp != mine) {
            return Err(Trouble::serialization());
        }
        let old = self.store.put(model, id, None);
        self.undo.push((model, id, old));
        Ok(())
    }

    fn names(&self, model: ModelId, id: i64) -> (Option<String>, Option<String>) {
        let name = Some(self.store.display_name(model, id)).filter(|name| !name.is_empty());
        (self.store.external_id(model, id), name)
    }

    /// Commits, and returns what was done.
    pub(super) fn commit(mut self, session: u64, request: u64) -> Vec<Effect> {
        if !self.undo.is_empty() {
            self.store.stamp += 1;
        }
        let made = std::mem::take(&mut self.effects);
        made.into_iter()
            .map(|made| {
                let (external_id, name) = match made.names {
                    Some(names) => names,
                    None => self.names(made.model, made.id),
                };
                Effect {
                    entity: MODELS[made.model].name.to_owned(),
                    key: made.id.to_string(),
                    action: made.action,
                    external_id,
                    name,
                    session,
                    request,
                    sequence: 0,
                    at: Duration::ZERO,
                }
            })
            .collect()
    }

    /// Takes everything back.
    pub(super) fn rollback(mut self) {
        self.back_to(Savepoint(0, 0));
    }
}
