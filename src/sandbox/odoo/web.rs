//! The web session: `/web/session/...` and `/web/dataset/call_kw`.

use serde_json::{Map, Value, json};

use super::account::Refused;
use super::jsonrpc::{Rpc, error, result};
use super::models::{MODELS, PARTNER, USERS};
use super::schema;
use super::site::Site;
use super::trouble::Trouble;
use crate::sandbox::history::Refusal;
use crate::sandbox::http::{Head, Request, Response};
use crate::sandbox::server::Exchange;

impl Site {
    pub(super) fn authenticate(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        let Rpc { id, params } = match Rpc::read(request) {
            Ok(rpc) => rpc,
            Err(refusal) => return refusal,
        };
        self.work(exchange);
        let text = |name| params.get(name).and_then(Value::as_str).unwrap_or_default();
        let database = text("db");
        if !self.has_database(database) {
            self.recorder.refused(Refusal::Credentials);
            return self.failed(&id, &Trouble::access("Database not found."));
        }
        let is_ours = database == self.settings.database;
        let account = match self.accounts.sign_in(if is_ours { text("login") } else { "" }, text("password"))
        {
            Ok(account) => account,
            Err(refused) => {
                self.recorder.refused(Refusal::Credentials);
                let trouble = match refused {
                    Refused::Denied => Trouble::denied(),
                    Refused::TooManyFailures => Trouble::too_many_logins(),
                };
                return self.failed(&id, &trouble);
            }
        };
        let answer = result(&id, Some(&self.info(account.id)));
        if request.head.header("x-odoo-database").is_some() {
            // The header makes the request stateless: nothing is kept, nor a cookie given.
            self.recorder.authenticated(account.id);
            return answer;
        }
        let session = self.sessions.open(account.id, database, request.head.cookie("session_id"));
        exchange.under_way.belongs_to(session.number);
        answer.header(
            "Set-Cookie",
            format!(
                "session_id={}; Expires=Sun, 21 Nov 2027 03:47:28 GMT; Max-Age=604800; HttpOnly; Path=/",
                session.id
            ),
        )
    }

    /// `session_info`, the part that clients look at.
    fn info(&self, user: i64) -> Value {
        let store = self.read();
        let login = self.accounts.by_id(user).map_or("", |account| account.login.as_str());
        let is_admin = self.accounts.by_id(user).is_some_and(|account| !account.is_limited);
        let partner =
            store.row(USERS, user).and_then(|row| row.get(MODELS[USERS].number("partner_id")).as_int());
        let version = self.server_version();
        json!({
            "uid": user,
            "is_system": is_admin,
            "is_admin": is_admin,
            "is_public": false,
            "is_internal_user": true,
            "user_context": {"lang": "en_US", "tz": "Europe/Brussels", "uid": user},
            "db": self.settings.database,
            "server_version": version["server_version"],
            "server_version_info": version["server_version_info"],
            "name": store.display_name(USERS, user),
            "username": login,
            "partner_id": partner,
            "partner_display_name": store.display_name(PARTNER, partner.unwrap_or_default()),
        })
    }

    pub(super) fn destroy(&self, request: &Request) -> Response {
        let Rpc { id, .. } = match Rpc::read(request) {
            Ok(rpc) => rpc,
            Err(refusal) => return refusal,
        };
        if self.session_of(&request.head).is_none() {
            return expired();
        }
        self.sessions.close(request.head.cookie("session_id").unwrap_or_default());
        result(&id, None)
    }

    pub(super) fn session_info(&self, request: &Request) -> Response {
        let Rpc { id, .. } = match Rpc::read(request) {
            Ok(rpc) => rpc,
            Err(refusal) => return refusal,
        };
        match self.session_of(&request.head) {
            Some(session) => result(&id, Some(&self.info(session.user))),
            None => expired(),
        }
    }

    pub(super) fn session_check(&self, request: &Request) -> Response {
        match (Rpc::read(request), self.session_of(&request.head)) {
            (Err(refusal), _) => refusal,
            (Ok(rpc), Some(_)) => result(&rpc.id, None),
            (Ok(_), None) => expired(),
        }
    }

    pub(super) fn version_info(&self, request: &Request) -> Response {
        match Rpc::read(request) {
            Ok(rpc) => result(&rpc.id, Some(&self.server_version())),
            Err(refusal) => refusal,
        }
    }

    pub(super) fn databases(&self, request: &Request) -> Response {
        match Rpc::read(request) {
            Ok(rpc) => result(&rpc.id, Some(&self.database_names())),
            Err(refusal) => refusal,
        }
    }

    pub(super) fn call_kw(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        let rpc = match Rpc::read(request) {
            Ok(rpc) => rpc,
            Err(refusal) => return refusal,
        };
        let Some(session) = self.session_of(&request.head) else { return expired() };
        exchange.under_way.belongs_to(session.number);
        if is_elsewhere(&request.head, &session.database) {
            return Response::html(403, "Forbidden");
        }
        let Rpc { id, mut params } = rpc;
        for name in ["model", "method", "args", "kwargs"] {
            if !params.contains_key(name) {
                let message = format!("DataSet.call_kw() missing 1 required positional argument: '{name}'");
                return self.failed(&id, &Trouble::kind(message));
            }
        }
        let mut take = |name| params.remove(name).unwrap_or(Value::Null);
        let (model, method) = (take("model"), take("method"));
        let (model, method) = (model.as_str().unwrap_or_default(), method.as_str().unwrap_or_default());
        if schema::model(model).is_none() {
            let trouble = Trouble::http(404, format!("404 Not Found: Object {model} doesn't exist"));
            return error(&Value::Null, 404, "404: Not Found", &trouble);
        }
        let args = match take("args") {
            Value::Array(args) => args,
            _ => Vec::new(),
        };
        let kwargs = match take("kwargs") {
            Value::Object(kwargs) => kwargs,
            _ => Map::new(),
        };
        let env = self.environment(session.user);
        match self.positional(exchange, env, (model, method), args, kwargs, session.number) {
            Ok(value) => result(&id, value.as_ref()),
            Err(trouble) => self.failed(&id, &trouble),
        }
    }
}

/// Whether the header names another database than the session's.
fn is_elsewhere(head: &Head, database: &str) -> bool {
    head.header("x-odoo-database").is_some_and(|named| named != database)
}

/// The answer to a cookie that is no session's: raised before the body is read, its id is `null`.
fn expired() -> Response {
    let trouble = Trouble::new("odoo.http.SessionExpiredException", "Session expired");
    error(&Value::Null, 100, "Odoo Session Expired", &trouble)
}
