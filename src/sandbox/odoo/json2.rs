//! JSON-2: `POST /json/2/<model>/<method>` with an API key.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::call::Returned;
use super::method::{self, Arguments};
use super::schema;
use super::site::Site;
use super::trouble::{Result, Trouble};
use crate::sandbox::history::Refusal;
use crate::sandbox::http::{Head, Request, Response};
use crate::sandbox::server::Exchange;

impl Site {
    pub(super) fn json_version(&self) -> Response {
        let major = self.settings.version;
        Response::json(
            200,
            &json!({"version_info": [major, 0, 0, "final", 0, ""], "version": format!("{major}.0")}),
        )
    }

    pub(super) fn json2(&self, request: &Request, exchange: &Exchange<'_>, path: &[String]) -> Response {
        if let Some(refusal) = self.wrong_database(&request.head) {
            return refusal;
        }
        match self.serve_json2(request, exchange, path) {
            Ok(Ok(value)) => Response::json(200, &value),
            Ok(Err(trouble)) => refused(&trouble),
            Err(refusal) => refusal,
        }
    }

    /// Without a database there are no routes but those of the server itself.
    fn wrong_database(&self, head: &Head) -> Option<Response> {
        let is_clear = match head.header("x-odoo-database") {
            Some(named) => self.has_database(named),
            None => self.settings.other_databases.is_empty() || self.session_of(head).is_some(),
        };
        (!is_clear).then(|| Response::html(404, "Not Found"))
    }

    fn serve_json2(
        &self,
        request: &Request,
        exchange: &Exchange<'_>,
        path: &[String],
    ) -> Result<Result<Value>, Response> {
        let head = &request.head;
        let ("POST", [model, method]) = (head.method.as_str(), path) else {
            return Ok(Err(Trouble::http(404, "Did you mean POST /json/2/<model>/<method>?")));
        };
        let kind = head.header("content-type").unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
            return Err(Response::html(415, "Unsupported Media Type"));
        }
        let account = match self.bearer(head) {
            Ok(account) => account,
            Err(trouble) => return Ok(Err(trouble)),
        };
        // A chunked request has no Content-Length, and without one the server takes the body for empty.
        let body = if head.is_chunked() { &[][..] } else { &request.body };
        let body = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(body)) => body,
            Ok(_) => Map::new(),
            Err(_) if body.is_empty() => Map::new(),
            Err(_) => return Ok(Err(Trouble::http(400, "could not parse the body, invalid JSON"))),
        };
        Ok(self.named(exchange, account, (model, method), body))
    }

    /// The user of the API key.
    fn bearer(&self, head: &Head) -> Result<&Account> {
        let given = head.header("authorization").and_then(|value| value.split_once(' '));
        let key =
            given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        let Some(key) = key else {
            return Err(Trouble::http(
                401,
                "User not authenticated, use an API Key with a Bearer Authorization header.",
            ));
        };
        let is_ours = head.header("x-odoo-database").is_none_or(|named| named == self.settings.database);
        let Some(account) = self.accounts.by_key(key).filter(|_| is_ours) else {
            self.recorder.refused(Refusal::Credentials);
            return Err(Trouble::http(401, "Invalid apikey"));
        };
        match self.session_of(head) {
            Some(session) if session.user != account.id => Err(Trouble::denied()),
            _ => Ok(account),
        }
    }

    fn named(
        &self,
        exchange: &Exchange<'_>,
        account: &Account,
        (model, method): (&str, &str),
        body: Map<String, Value>,
    ) -> Result<Value> {
        let Some(id) = schema::model(model) else {
            return Err(Trouble::http(404, format!("the model '{model}' does not exist")));
        };
        let mut env = self.environment(account.id);
        let method = method::method(model, method, env.version).map_err(|trouble| {
            if trouble.name == "builtins.AttributeError" {
                Trouble::http(404, trouble.message)
            } else {
                trouble
            }
        })?;
        let mut arguments = Arguments::named(model, method, body)?;
        env.context = std::mem::take(&mut arguments.context);
        Ok(match self.call(exchange, &env, id, &arguments, 0)? {
            Returned::Value(value) => value,
            // A recordset becomes the list of its ids, also where it holds one.
            Returned::Record(id) => json!([id]),
            Returned::Nothing => Value::Null,
        })
    }

    /// `GET /doc-bearer/<model>.json`, which is for those who may see the documentation.
    pub(super) fn doc(&self, head: &Head, name: &str) -> Response {
        if let Some(refusal) = self.wrong_database(head) {
            return refusal;
        }
        let account = match self.bearer(head) {
            Ok(account) => account,
            Err(trouble) => return refused(&trouble),
        };
        if account.is_limited {
            return refused(&Trouble::access(
                "This page is only accessible to users of the group Technical Documentation.",
            ));
        }
        match super::doc::describe(name, self.settings.version) {
            Some(body) => {
                Response::new(200).header("Content-Type", "application/json; charset=utf-8").with_body(body)
            }
            None => refused(&Trouble::http(404, format!("the model '{name}' does not exist"))),
        }
    }
}

/// An error as JSON-2 shows it: the exception, without an envelope.
fn refused(trouble: &Trouble) -> Response {
    let status = trouble.status();
    let response = Response::new(status)
        .header("Content-Type", "application/json; charset=utf-8")
        .with_body(trouble.to_json().into_bytes());
    if status == 401 { response.header("WWW-Authenticate", "Bearer") } else { response }
}
