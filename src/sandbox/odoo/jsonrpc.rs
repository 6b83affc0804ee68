//! `/jsonrpc`, and the envelope that it shares with the web routes.

use serde_json::{Map, Value, json};

use super::call::Returned;
use super::environment::Environment;
use super::method::{self, Arguments};
use super::schema;
use super::site::Site;
use super::trouble::{Result, Trouble};
use crate::sandbox::history::Refusal;
use crate::sandbox::http::{Request, Response};
use crate::sandbox::server::Exchange;

/// A JSON-RPC request.
#[derive(Debug)]
pub(super) struct Rpc {
    /// Any JSON value; it is returned as it came.
    pub(super) id: Value,
    pub(super) params: Map<String, Value>,
}

impl Rpc {
    /// Reads a request; the error is the answer of the HTTP layer.
    pub(super) fn read(request: &Request) -> Result<Self, Response> {
        let kind = request.head.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !matches!(kind, "application/json" | "application/json-rpc") {
            return Err(Response::html(415, "Unsupported Media Type"));
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Err(bad_request("Invalid JSON data"));
        };
        let Value::Object(mut body) = body else {
            return Err(bad_request("Invalid JSON-RPC data"));
        };
        let id = body.remove("id").unwrap_or(Value::Null);
        match body.remove("params") {
            Some(Value::Object(params)) => Ok(Self { id, params }),
            None | Some(Value::Null) => Ok(Self { id, params: Map::new() }),
            Some(_) => Err(bad_request("Invalid JSON-RPC data")),
        }
    }
}

fn bad_request(message: &str) -> Response {
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title>\n<h1>Bad Request</h1>\n<p>{message}</p>\n"
    );
    Response::new(400).header("Content-Type", "text/html; charset=utf-8").with_body(body)
}

/// An answer of 200 with what was returned; for Python's `None` it has no `result`.
pub(super) fn result(id: &Value, value: Option<&Value>) -> Response {
    let mut body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id}").into_bytes();
    if let Some(value) = value {
        body.extend_from_slice(b",\"result\":");
        serde_json::to_writer(&mut body, value).expect("a Vec takes what is written");
    }
    body.push(b'}');
    envelope(body)
}

fn envelope(body: Vec<u8>) -> Response {
    Response::new(200).header("Content-Type", "application/json; charset=utf-8").with_body(body)
}

impl Site {
    /// An answer of 200 with an error.
    pub(super) fn failed(&self, id: &Value, trouble: &Trouble) -> Response {
        // "We don't care of this code", says the newer source; the older one had 200.
        let code = if self.settings.version >= 18 { 0 } else { 200 };
        error(id, code, "Odoo Server Error", trouble)
    }

    pub(super) fn json_rpc(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        let Rpc { id, mut params } = match Rpc::read(request) {
            Ok(rpc) => rpc,
            Err(refusal) => return refusal,
        };
        let args = match params.remove("args") {
            Some(Value::Array(args)) => args,
            _ => Vec::new(),
        };
        let text = |name| params.get(name).and_then(Value::as_str).unwrap_or_default();
        let returned = match (text("service"), text("method")) {
            ("common", "version") => Ok(Some(self.server_version())),
            ("common", "authenticate" | "login") => {
                self.work(exchange);
                self.check(&args).map(Some)
            }
            ("db", "list") => Ok(Some(self.database_names())),
            ("object", "execute_kw") => self.execute(exchange, args, true),
            ("object", "execute") => self.execute(exchange, args, false),
            ("common" | "db" | "object", method) => {
                Err(Trouble::new("builtins.Exception", format!("Method not found: {method}")))
            }
            (service, _) => Err(Trouble::key(service)),
        };
        match returned {
            Ok(value) => result(&id, value.as_ref()),
            Err(trouble) => self.failed(&id, &trouble),
        }
    }

    pub(super) fn database_names(&self) -> Value {
        let all = std::iter::once(&self.settings.database).chain(&self.settings.other_databases);
        all.map(String::as_str).collect()
    }

    pub(super) fn server_version(&self) -> Value {
        let major = self.settings.version;
        json!({
            "server_version": format!("{major}.0"),
            "server_version_info": [major, 0, 0, "final", 0, ""],
            "server_serie": format!("{major}.0"),
            "protocol_version": 1,
        })
    }

    /// `common.authenticate`: the id of the user, or `false`. It is not slowed down by wrong passwords.
    fn check(&self, args: &[Value]) -> Result<Value> {
        let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
        self.known_database(text(0))?;
        let account = self.accounts.by_login(text(1)).filter(|account| account.has_secret(text(2)));
        Ok(match account.filter(|_| text(0) == self.settings.database) {
            Some(account) => {
                self.recorder.authenticated(account.id);
                account.id.into()
            }
            None => {
                self.recorder.refused(Refusal::Credentials);
                Value::Bool(false)
            }
        })
    }

    fn known_database(&self, name: &str) -> Result<()> {
        if self.has_database(name) {
            return Ok(());
        }
        Err(Trouble::new(
            "psycopg2.OperationalError",
            format!(
                "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  database \"{name}\" does not exist\n"
            ),
        ))
    }

    fn execute(&self, exchange: &Exchange<'_>, args: Vec<Value>, is_kw: bool) -> Result<Option<Value>> {
        let mut args = args.into_iter();
        let mut next = || args.next().unwrap_or(Value::Null);
        let (database, user, secret, model, method) = (next(), next(), next(), next(), next());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (args, kwargs) = if is_kw {
            let positional = match next() {
                Value::Array(args) => args,
                _ => Vec::new(),
            };
            match next() {
                Value::Object(kwargs) => (positional, kwargs),
                _ => (positional, Map::new()),
            }
        } else {
            (args.collect(), Map::new())
        };
        self.known_database(&text(&database))?;
        let id = match &user {
            Value::Number(id) => id.as_i64(),
            Value::String(id) => id.parse().ok(),
            _ => None,
        };
        let Some(id) = id.filter(|id| *id > 0) else { return Err(Trouble::denied()) };
        let Some(account) = self.accounts.by_id(id) else {
            return Err(Trouble::missing("res.users", id, id));
        };
        if !account.has_secret(&text(&secret)) || text(&database) != self.settings.database {
            self.recorder.refused(Refusal::Credentials);
            return Err(Trouble::denied());
        }
        let env = self.environment(id);
        self.positional(exchange, env, (&text(&model), &text(&method)), args, kwargs, 0)
    }

    /// On whose behalf a call runs; its context is put in later.
    pub(super) fn environment(&self, user: i64) -> Environment {
        Environment {
            user,
            is_limited: self.accounts.by_id(user).is_none_or(|account| account.is_limited),
            context: Map::new(),
            version: self.settings.version,
        }
    }

    /// Calls a method whose arguments came by position.
    pub(super) fn positional(
        &self,
        exchange: &Exchange<'_>,
        mut env: Environment,
        (model, method): (&str, &str),
        args: Vec<Value>,
        kwargs: Map<String, Value>,
        session: u64,
    ) -> Result<Option<Value>> {
        let Some(id) = schema::model(model) else {
            return Err(Trouble::user(format!("Object {model} doesn't exist")));
        };
        let method = method::method(model, method, env.version)?;
        let mut arguments = Arguments::positional(method, args, kwargs)?;
        env.context = std::mem::take(&mut arguments.context);
        Ok(match self.call(exchange, &env, id, &arguments, session)? {
            Returned::Value(value) => Some(value),
            Returned::Record(id) => Some(id.into()),
            Returned::Nothing => None,
        })
    }
}

/// An answer of 200 with an error of this code.
pub(super) fn error(id: &Value, code: u16, message: &str, trouble: &Trouble) -> Response {
    envelope(
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"{message}\",\"data\":{}}}}}",
            trouble.to_json()
        )
        .into_bytes(),
    )
}
