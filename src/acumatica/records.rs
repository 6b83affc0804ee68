//! Reading and writing records.

use std::borrow::Borrow;

use serde::Serialize;
use serde_json::Value;

use super::address;
use super::entity::Entity;
use super::key::IntoKey;
use super::pages::Pages;
use super::query::Query;
use super::session::Session;
use super::write::{Mode, Write};
use crate::error::{Delivery, Error, ErrorKind, FieldError, Result};
use crate::http::{Answer, Method, Nature, Request};

impl Session {
    /// Records of an entity, all that the query finds.
    ///
    /// The server sends no total, and everything at once unless the query says [`top`](Query::top); for
    /// long lists there is [`pages`](Self::pages).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a query that the endpoint's dialect cannot say, before anything
    /// is sent; else by the server's answer.
    pub fn get_list(&mut self, entity: &str, query: impl Borrow<Query>) -> Result<Vec<Entity>> {
        let mut request = self.entity_request(Method::GET, entity, "", Some(query.borrow()))?;
        let answer = self.send(&mut request)?;
        let records: Vec<Value> = answer.json(&request)?;
        records
            .into_iter()
            .map(|json| Entity::from_json(json).map_err(|error| unreadable(&answer, &request, &error)))
            .collect()
    }

    /// A record by its key: `"CUST001"`, `("SO", "SO005207")`, or an id.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a key that cannot be one, before anything is sent;
    /// [`NotFound`](ErrorKind::NotFound); else by the server's answer.
    pub fn get_by_id(&mut self, entity: &str, key: impl IntoKey) -> Result<Entity> {
        self.get_by_id_with(entity, key, Query::new())
    }

    /// As [`get_by_id`](Self::get_by_id), with fields selected and details expanded.
    ///
    /// # Errors
    ///
    /// As [`get_by_id`](Self::get_by_id).
    pub fn get_by_id_with(
        &mut self,
        entity: &str,
        key: impl IntoKey,
        query: impl Borrow<Query>,
    ) -> Result<Entity> {
        let below = address::below(entity, &key.to_key())?;
        let mut request = self.entity_request(Method::GET, entity, &below, Some(query.borrow()))?;
        self.entity_answer(&mut request)
    }

    /// Records of an entity, page by page, in memory for one page.
    pub fn pages(&mut self, entity: impl Into<String>, query: impl Borrow<Query>) -> Pages<'_> {
        Pages::new(self, entity.into(), query.borrow().clone())
    }

    /// Creates a record or updates the one that its key names: an [`Entity`], JSON, or any serde type,
    /// whose fields are put in the `{"value": ..}` envelope.
    ///
    /// The answer holds what was sent, and no details. Without an answer the write is in doubt; say
    /// [`keyed`](Write::keyed) in [`write_entity`](Self::write_entity) where it may go again.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a body that cannot be encoded, before anything is sent;
    /// [`Rejected`](ErrorKind::Rejected) with the fields that the server's rules refuse.
    pub fn put_entity(&mut self, entity: &str, body: impl Serialize) -> Result<Entity> {
        self.write_entity(entity, body, Write::upsert())
    }

    /// Creates a record; [`Conflict`](ErrorKind::Conflict) when it exists.
    ///
    /// # Errors
    ///
    /// As [`put_entity`](Self::put_entity), and `Conflict`.
    pub fn create_entity(&mut self, entity: &str, body: impl Serialize) -> Result<Entity> {
        self.write_entity(entity, body, Write::create_only())
    }

    /// Updates a record; [`Conflict`](ErrorKind::Conflict) when it does not exist.
    ///
    /// # Errors
    ///
    /// As [`put_entity`](Self::put_entity), and `Conflict`.
    pub fn update_entity(&mut self, entity: &str, body: impl Serialize) -> Result<Entity> {
        self.write_entity(entity, body, Write::update_only())
    }

    /// Updates a record with `PATCH`; [`NotFound`](ErrorKind::NotFound) when it does not exist.
    ///
    /// # Errors
    ///
    /// As [`put_entity`](Self::put_entity), and `NotFound`.
    pub fn patch_entity(&mut self, entity: &str, body: impl Serialize) -> Result<Entity> {
        self.write_entity(entity, body, Write::patch())
    }

    /// Writes a record as [`Write`] says.
    ///
    /// # Errors
    ///
    /// As [`put_entity`](Self::put_entity); [`Conflict`](ErrorKind::Conflict) as the mode says.
    pub fn write_entity(
        &mut self,
        entity: &str,
        body: impl Serialize,
        write: impl Borrow<Write>,
    ) -> Result<Entity> {
        let write = write.borrow();
        let sent = Entity::encode(&body).map_err(|error| error.with_entity(entity))?;
        let json = sent.clone().into_json()?;
        let mut query = write.query.clone();
        if write.verify {
            // Details come back only when they are asked for.
            query = query.expand(details_of(&json));
        }
        let method = if write.mode == Mode::Patch { Method::PATCH } else { Method::PUT };
        let nature = if write.keyed { Nature::Keyed } else { Nature::Write };
        let mut request =
            self.entity_request(method, entity, "", Some(&query))?.nature(nature).json(&json)?;
        match write.mode {
            Mode::Create => request.set_header("If-None-Match", "*".to_owned()),
            Mode::Update => request.set_header("If-Match", "*".to_owned()),
            Mode::Upsert | Mode::Patch => {}
        }
        let mut request = request.entity(label(entity, &sent));
        let mut lost = false;
        let answer = self.send_unless(&mut request, |_, maybe_applied| {
            lost = maybe_applied;
            false
        });
        let written = answer.and_then(|answer| record(&answer, &request)).map_err(|error| {
            // Sent before without an answer: it may be our own record that is in the way.
            let own = write.mode == Mode::Create && error.kind() == ErrorKind::Conflict && lost;
            if own { error.with_delivery(Delivery::MaybeSent).with_resendable(false) } else { error }
        })?;
        if write.verify {
            let ignored = Entity::not_echoed(&sent, &written);
            if !ignored.is_empty() {
                return Err(ignored_fields(&request, ignored));
            }
        }
        Ok(written)
    }

    /// Deletes a record by its key.
    ///
    /// Goes again when its answer is lost; a record that is gone then is one that was deleted.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when there is none; else by the server's answer.
    pub fn delete_by_id(&mut self, entity: &str, key: impl IntoKey) -> Result<()> {
        let below = address::below(entity, &key.to_key())?;
        let mut request = self.entity_request(Method::DELETE, entity, &below, None)?.nature(Nature::Keyed);
        let gone = |error: &Error, lost| error.kind() == ErrorKind::NotFound && lost;
        self.send_unless(&mut request, gone).map(|_| ())
    }

    /// The entity's custom fields and their types, by view.
    ///
    /// # Errors
    ///
    /// By the server's answer.
    pub fn get_ad_hoc_schema(&mut self, entity: &str) -> Result<Value> {
        let mut request = self.entity_request(Method::GET, entity, "/$adHocSchema", None)?;
        let answer = self.send(&mut request)?;
        answer.json(&request)
    }

    /// Runs a generic inquiry that is part of the endpoint: sends its parameters and gives the rows of its
    /// `results` details, such as `"Results"`.
    ///
    /// # Errors
    ///
    /// By the server's answer; [`Protocol`](ErrorKind::Protocol) when the answer has no such details.
    pub fn endpoint_inquiry(
        &mut self,
        entity: &str,
        parameters: impl Serialize,
        results: &str,
    ) -> Result<Vec<Entity>> {
        let body = Entity::encode(&parameters).map_err(|error| error.with_entity(entity))?.into_json()?;
        let query = Query::new().expand([results]);
        // A `PUT` that changes nothing.
        let mut request =
            self.entity_request(Method::PUT, entity, "", Some(&query))?.nature(Nature::Read).json(&body)?;
        let answer = self.send(&mut request)?;
        let found = record(&answer, &request)?;
        if found.get(results).is_none()
            && found.details(results).next().is_none()
            && !found.as_json().contains_key(results)
        {
            return Err(answer.to_error(
                &request,
                ErrorKind::Protocol,
                format!("the answer has no {results:?}"),
            ));
        }
        Ok(found.details(results).collect())
    }

    fn entity_answer(&mut self, request: &mut Request) -> Result<Entity> {
        let answer = self.send(request)?;
        record(&answer, request)
    }
}

fn record(answer: &Answer, request: &Request) -> Result<Entity> {
    if answer.body().is_empty() {
        return Ok(Entity::new()); // 204: done, and nothing to tell.
    }
    Entity::from_json(answer.json(request)?).map_err(|error| unreadable(answer, request, &error))
}

/// A success whose body is no record: what was asked for was done, as far as anyone knows.
fn unreadable(answer: &Answer, request: &Request, error: &Error) -> Error {
    answer.to_error(request, error.kind(), error.message()).with_delivery(Delivery::MaybeSent)
}

/// How a person is told which record is written: its entity and what looks like its key. JSON has its
/// fields in the order of the alphabet, so the name decides: `CustomerID` of a `Customer`, `OrderNbr`.
fn label(entity: &str, record: &Entity) -> String {
    let own = |name: &str| {
        name.strip_prefix(entity).is_some_and(|rest| matches!(rest, "ID" | "CD" | "Nbr"))
            || (name == "InventoryID" && entity.ends_with("Item"))
    };
    let name = record
        .keys()
        .find(|name| own(name))
        .or_else(|| record.keys().find(|name| name.ends_with("Nbr")))
        .or_else(|| record.keys().find(|name| *name == "id"));
    let key = name.and_then(|name| record.get(name)).map(|value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    });
    match key {
        // Long or structured values are no keys.
        Some(key) if key.len() <= 40 && !key.starts_with(['{', '[']) => format!("{entity}/{key}"),
        _ => entity.to_owned(),
    }
}

/// The details and linked records of a body.
fn details_of(body: &Value) -> Vec<String> {
    let Some(fields) = body.as_object() else { return Vec::new() };
    let is_nested = |value: &Value| match value {
        Value::Array(_) => true,
        Value::Object(map) => !map.is_empty() && !map.contains_key("value"),
        _ => false,
    };
    let nested =
        fields.iter().filter(|(name, value)| *name != "custom" && *name != "note" && is_nested(value));
    nested.map(|(name, _)| name.clone()).collect()
}

fn ignored_fields(request: &Request, paths: Vec<String>) -> Error {
    let message = format!("saved, but the server ignored {}", paths.join(", "));
    let why = "sent, but not found in the answer as it was sent";
    let fields = paths.into_iter().map(|path| FieldError::new(path, why)).collect();
    request
        .label(Error::new(ErrorKind::Rejected, message))
        .with_field_errors(fields)
        .with_delivery(Delivery::Answered)
        .with_status(200)
}
