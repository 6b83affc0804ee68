//! Generic inquiries by OData: no session, no seat.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::address;
use super::auth::{Auth, Tokens};
use super::client::{Client, alone_at, authorization};
use super::entity::Entity;
use super::query::{Dialect, Query};
use super::refusal;
use super::session::Session;
use crate::engine::connect::{Connect, Interrupt, Worker};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::http::{Answer, Base, Method, Request, Wire};

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
        let client = Arc::clone(&self.client);
        if let Some(wire) = self.wire() {
            // No cookies go along: it is the connection alone that is shared.
            return inquire(&client, wire, name, query.borrow());
        }
        let mut wire = client.settings.host.wire(&self.worker);
        inquire(&client, &mut wire, name, query.borrow())
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
        let (answer, request) = ask(client, wire, name, &url)?;
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

/// One page. Credentials that were refused once are not sent again.
fn ask(client: &Client, wire: &mut Wire, name: &str, url: &str) -> Result<(Answer, Request)> {
    let Client { settings, inquirers, .. } = client;
    let request =
        Request::new(Method::GET, url).header("Accept", "application/json").operation("inquiry").entity(name);
    let signed = |value: String| request.clone().header("Authorization", value);
    let mut alone = None;
    if !inquirers.accepted.load(Ordering::Acquire) {
        // The first one finds out whether the password is right: tried by all it would lock the account.
        alone = Some(alone_at(&inquirers.first, wire.worker()).map_err(|error| request.label(error))?);
    }
    if let Some(message) = inquirers.refused.get() {
        let error = Error::new(ErrorKind::Auth, message.as_str()).with_delivery(Delivery::NotSent);
        return Err(request.label(error));
    }
    let answer = match &settings.auth {
        Auth::Login(login) => {
            let pair = format!("{}:{}", login.name, login.password.expose());
            wire.send(&signed(format!("Basic {}", BASE64_STANDARD.encode(pair))))
        }
        Auth::OAuth(tokens) => by_token(tokens, &settings.base, wire, signed),
    };
    let refused = match &answer {
        Ok(answer) if answer.status() != 401 => {
            inquirers.accepted.store(true, Ordering::Release);
            None
        }
        Ok(answer) => Some(refusal::read(answer, &request)),
        Err(error) if error.kind() == ErrorKind::Auth => Some(Error::new(ErrorKind::Auth, error.message())),
        Err(_) => None,
    };
    if let Some(error) = refused {
        let _ = inquirers.refused.set(error.message().to_owned());
    }
    drop(alone);
    let answer = answer?;
    if answer.is_success() {
        return Ok((answer, request));
    }
    let error = refusal::read(&answer, &request);
    Err(match error.kind() {
        ErrorKind::Forbidden => {
            let message = format!("{}; is it exposed by OData (Generic Inquiry, SM208000)?", error.message());
            answer.to_error(&request, ErrorKind::Forbidden, message)
        }
        _ => error,
    })
}

/// Sends a request with the token there is, and again with a new one if that is refused.
fn by_token(
    tokens: &Tokens,
    base: &Base,
    wire: &mut Wire,
    signed: impl Fn(String) -> Request,
) -> Result<Answer> {
    let bearer = tokens.bearer(base, wire, None)?;
    let answer = wire.send(&signed(authorization(&bearer.token)))?;
    if answer.status() != 401 {
        return Ok(answer);
    }
    let bearer = tokens.bearer(base, wire, Some(bearer.generation))?;
    wire.send(&signed(authorization(&bearer.token)))
}
