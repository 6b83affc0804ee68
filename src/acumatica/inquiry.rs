//! Generic inquiries by OData: no session, no seat.

use std::borrow::Borrow;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::address;
use super::auth::Auth;
use super::client::{Client, authorization};
use super::entity::Entity;
use super::query::{Dialect, Query};
use super::refusal;
use super::session::Session;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Method, Request, Wire};

/// Generic inquiries by OData as a backend, from [`Acumatica::inquiries`](super::Acumatica::inquiries).
///
/// They sign each request by itself and never open a session, so they take no seat.
#[derive(Debug, Clone)]
pub struct Inquiries(Arc<Client>);

impl Inquiries {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self(client)
    }
}

impl Connect for Inquiries {
    type Session = InquirySession;

    fn connect(&self, worker: &Worker) -> Result<InquirySession> {
        // Nothing is opened but, later, a connection.
        worker.reused_session();
        Ok(InquirySession { client: self.0.clone(), wire: self.0.settings.host.wire(worker) })
    }

    fn interrupt(&self, session: &InquirySession) -> Option<Interrupt> {
        Some(session.wire.interrupt())
    }
}

/// A connection that inquiries go out on.
#[derive(Debug)]
pub struct InquirySession {
    client: Arc<Client>,
    wire: Wire,
}

impl InquirySession {
    /// The rows of a generic inquiry that is exposed by OData, all pages of them.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) when the client has no tenant, or for a query that OData 4 cannot
    /// say; [`Forbidden`](ErrorKind::Forbidden) when it is not exposed; [`NotFound`](ErrorKind::NotFound).
    pub fn inquiry(&mut self, name: &str, query: impl Borrow<Query>) -> Result<Vec<Entity>> {
        inquire(&self.client, &mut self.wire, name, query.borrow())
    }
}

impl Session {
    /// The rows of a generic inquiry that is exposed by OData, all pages of them.
    ///
    /// In a batch of inquiries alone use [`Acumatica::inquiries`](super::Acumatica::inquiries), which takes
    /// no seats.
    ///
    /// # Errors
    ///
    /// As [`InquirySession::inquiry`].
    pub fn inquiry(&mut self, name: &str, query: impl Borrow<Query>) -> Result<Vec<Entity>> {
        let mut wire = self.client.settings.host.wire(&self.worker);
        inquire(&self.client, &mut wire, name, query.borrow())
    }
}

fn inquire(client: &Client, wire: &mut Wire, name: &str, query: &Query) -> Result<Vec<Entity>> {
    let settings = &client.settings;
    let segment = address::name("an inquiry", name)?;
    let Some(tenant) = &settings.tenant else {
        let message = "inquiries by OData are addressed by tenant: set it with tenant(..)";
        return Err(Error::new(ErrorKind::Invalid, message).with_entity(name));
    };
    let query = query.to_query_string(Dialect::OData4)?;
    let query = if query.is_empty() { query } else { format!("?{query}") };
    let tenant = address::segment(tenant);
    let mut url = settings.base.join(&format!("/t/{tenant}/api/odata/gi/{segment}{query}"));
    let mut rows = Vec::new();
    loop {
        let authorization = match &settings.auth {
            Auth::Login(login) => {
                let pair = format!("{}:{}", login.name, login.password.expose());
                format!("Basic {}", BASE64_STANDARD.encode(pair))
            }
            Auth::OAuth(tokens) => authorization(&tokens.bearer(&settings.base, wire, None)?.token),
        };
        let request = Request::new(Method::GET, url)
            .header("Accept", "application/json")
            .header("Authorization", authorization)
            .operation("inquiry")
            .entity(name);
        let answer = wire.send(&request)?;
        if !answer.is_success() {
            let error = refusal::read(&answer, &request);
            return Err(match error.kind() {
                ErrorKind::Forbidden => {
                    let message =
                        format!("{}; is it exposed by OData (Generic Inquiry, SM208000)?", error.message());
                    answer.to_error(&request, ErrorKind::Forbidden, message)
                }
                _ => error,
            });
        }
        let mut page: Value = answer.json(&request)?;
        let Some(Value::Array(found)) = page.get_mut("value").map(Value::take) else {
            return Err(answer.to_error(&request, ErrorKind::Protocol, "the answer has no rows (\"value\")"));
        };
        for row in found {
            rows.push(Entity::encode(&row).map_err(|error| error.with_entity(name))?);
        }
        match page.get("@odata.nextLink").and_then(Value::as_str) {
            Some(next) => url = settings.base.follow(next)?,
            None => return Ok(rows),
        }
    }
}
