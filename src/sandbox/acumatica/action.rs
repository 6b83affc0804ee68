//! Actions: done at once with 204, or going on after a 202 with a place to ask.

use std::time::Instant;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::data::{body, target};
use super::errors;
use super::options::Options;
use super::record::Node;
use super::schema::{ActionShape, EntityShape};
use super::session::Session;
use super::site::{Site, Visit};
use crate::sandbox::history::Action;
use crate::sandbox::http::Response;
use crate::sandbox::lock;

/// A long-running action.
#[derive(Debug)]
pub(super) struct Pending {
    id: Uuid,
    due: Instant,
    is_done: bool,
    /// What it makes: a report, where it is one.
    file: Option<Vec<u8>>,
    /// Why it comes to nothing.
    failure: Option<String>,
    entity: &'static EntityShape,
    keys: Vec<String>,
    action: &'static ActionShape,
    session: u64,
    request: u64,
}

/// What goes on after a 202.
pub(super) struct Long {
    /// Where its status is asked, up to `/status/..`.
    pub(super) place: String,
    pub(super) entity: &'static EntityShape,
    pub(super) keys: Vec<String>,
    pub(super) action: &'static ActionShape,
    pub(super) failure: Option<String>,
    pub(super) file: Option<Vec<u8>>,
}

impl Site {
    pub(super) fn run(&self, visit: &Visit<'_>, entity: &'static EntityShape, name: &str) -> Response {
        let Some(action) = entity.actions.iter().find(|action| action.name.eq_ignore_ascii_case(name)) else {
            return errors::message(404, &format!("The action '{name}' is not found."));
        };
        let sent = match body(&visit.request.body) {
            Ok(sent) => sent,
            Err(response) => return response,
        };
        let empty = Map::new();
        let named = sent.get("entity").and_then(Value::as_object).unwrap_or(&empty);
        let mut store = self.write();
        let Some(record) = target(&store, entity, named, &Options::default()) else {
            return errors::not_found();
        };
        let (key, status) = (record.node.key(entity), record.node.text("Status"));
        let record_is_empty = record.node.details.values().all(Vec::is_empty);
        if !action.from.contains(&status.as_str()) {
            return errors::chain(
                &format!("Error: The {} button is disabled.", action.name),
                &format!("The action cannot be run on a document with the status '{status}'."),
            );
        }
        if !action.is_long {
            if let Some(record) = store.table_mut(entity).get_mut(&key) {
                perform(&mut record.node, action);
            }
            self.effect(visit, entity, &key, Action::Run(action.name.to_owned()));
            // Done at once: 204, and no Location to follow.
            return Response::new(204);
        }
        let failure = (action.needs_details && record_is_empty)
            .then(|| format!("Error: The document {key} does not contain any lines to process."));
        // The order of locks is pending, then store; `settle` takes both.
        drop(store);
        let place = format!("{}/{}/{}", visit.endpoint, entity.name(), action.name);
        self.go_on(visit, Long { place, entity, keys: vec![key], action, failure, file: None })
    }

    /// Answers 202 and goes on.
    pub(super) fn go_on(&self, visit: &Visit<'_>, long: Long) -> Response {
        let Long { place, entity, keys, action, failure, file } = long;
        let due = Instant::now() + self.settings.action_time;
        let (session, request) = (visit.session.number, visit.number);
        let id = Uuid::new_v4();
        if file.is_none() {
            // A report takes no form.
            *lock(&visit.session.busy) = Some((entity.screen, due));
        }
        let pending =
            Pending { id, due, is_done: false, file, failure, entity, keys, action, session, request };
        lock(&self.pending).push(pending);
        Response::new(202).header("Location", format!("{place}/status/{id}"))
    }

    /// 202 while it runs, 204 when it is done, 500 when it failed.
    pub(super) fn action_status(&self, visit: &Visit<'_>, id: &str) -> Response {
        let id = Uuid::parse_str(id).ok();
        let pending = lock(&self.pending);
        match pending.iter().find(|pending| Some(pending.id) == id) {
            // How a failed operation is reported is not documented; an exception is what integrators see.
            Some(Pending { is_done: true, failure: Some(message), .. }) => {
                errors::exception("PX.Data.PXException", message)
            }
            Some(Pending { is_done: true, file: Some(bytes), .. }) => Response::new(200)
                .header("Content-Type", "application/pdf")
                .header("Content-Disposition", "attachment; filename=\"report.pdf\"")
                .with_body(bytes.clone()),
            Some(pending) if pending.is_done => Response::new(204),
            Some(_) => {
                let place = visit.request.head.path().to_owned();
                Response::new(202).header("Location", place)
            }
            None => errors::message(404, "The operation is not found."),
        }
    }

    /// Whether the session has an action under way on the entity's screen.
    pub(super) fn is_busy(&self, session: &Session, entity: &EntityShape) -> bool {
        let busy = *lock(&session.busy);
        busy.is_some_and(|(screen, due)| screen == entity.screen && Instant::now() < due)
    }

    /// Applies the long-running actions that are due: no thread is kept for them.
    pub(super) fn settle(&self) {
        let mut pending = lock(&self.pending);
        for pending in pending.iter_mut().filter(|pending| !pending.is_done && Instant::now() >= pending.due)
        {
            pending.is_done = true;
            if pending.failure.is_some() {
                continue;
            }
            if pending.file.is_some() {
                continue;
            }
            let mut store = self.write();
            for key in &pending.keys {
                let Some(record) = store.table_mut(pending.entity).get_mut(key) else { continue };
                perform(&mut record.node, pending.action);
                let action = Action::Run(pending.action.name.to_owned());
                self.recorder.effect(pending.entity.name(), key, action, pending.session, pending.request);
            }
        }
    }
}

fn perform(node: &mut Node, action: &ActionShape) {
    node.values.insert("Status", action.to.into());
    if node.values.contains_key("Hold") {
        node.values.insert("Hold", json!(action.to == "On Hold"));
    }
}
