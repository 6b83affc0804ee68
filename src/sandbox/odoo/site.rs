//! The way of a request: its address, its wire, and what the server holds.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;

use super::Settings;
use super::account::Accounts;
use super::models::MODELS;
use super::read::Reading;
use super::schema;
use super::session::{Session, Sessions};
use super::store::Store;
use super::workers::Workers;
use crate::sandbox::faults::Calls;
use crate::sandbox::http::{Head, Request, Response, decode};
use crate::sandbox::recorder::Recorder;
use crate::sandbox::server::{self, Exchange};

/// The ERP: all of its state.
pub(super) struct Site {
    pub(super) settings: Settings,
    pub(super) accounts: Accounts,
    pub(super) sessions: Sessions,
    pub(super) workers: Workers,
    pub(super) recorder: Arc<Recorder>,
    store: RwLock<Store>,
}

/// Where a request goes.
#[derive(Debug)]
enum Address {
    JsonRpc,
    Authenticate,
    Destroy,
    SessionInfo,
    SessionCheck,
    /// The method, where the path names it.
    CallKw(Option<String>),
    VersionInfo,
    Databases,
    Health,
    Version,
    /// What follows `/json/2/`.
    Json2(Vec<String>),
    Doc(String),
    Unknown,
}

impl Site {
    pub(super) fn new(
        settings: Settings,
        accounts: Accounts,
        sessions: Sessions,
        workers: Workers,
        store: Store,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self { settings, accounts, sessions, workers, recorder, store: RwLock::new(store) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn address(&self, head: &Head) -> Address {
        let path = decode(head.path());
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let has_json2 = self.settings.version >= 19;
        match segments.as_slice() {
            ["jsonrpc"] => Address::JsonRpc,
            ["web", "session", "authenticate"] => Address::Authenticate,
            ["web", "session", "destroy"] => Address::Destroy,
            ["web", "session", "get_session_info"] => Address::SessionInfo,
            ["web", "session", "check"] => Address::SessionCheck,
            ["web", "dataset", "call_kw", rest @ ..] => {
                let named = rest.iter().flat_map(|segment| segment.split('/')).nth(1);
                Address::CallKw(named.map(str::to_owned))
            }
            ["web", "webclient", "version_info"] => Address::VersionInfo,
            ["web", "database", "list"] => Address::Databases,
            ["web", "health"] => Address::Health,
            ["web" | "json", "version"] if has_json2 => Address::Version,
            ["json", "2", rest @ ..] if has_json2 => {
                Address::Json2(rest.iter().map(|segment| (*segment).to_owned()).collect())
            }
            ["doc-bearer", file] if has_json2 => {
                Address::Doc(file.strip_suffix(".json").unwrap_or(file).to_owned())
            }
            _ => Address::Unknown,
        }
    }

    /// Works for as long as a request without rows takes.
    pub(super) fn work(&self, exchange: &Exchange<'_>) {
        if !self.settings.latency.is_zero() {
            let _worker = self.workers.take(exchange.stop);
            exchange.stop.sleep(self.settings.latency);
        }
    }

    pub(super) fn session_of(&self, head: &Head) -> Option<Session> {
        self.sessions.find(head.cookie("session_id")?)
    }

    /// Whether the server has a database of this name.
    pub(super) fn has_database(&self, name: &str) -> bool {
        name == self.settings.database || self.settings.other_databases.iter().any(|other| other == name)
    }
}

/// The quoted texts at the start of a body, in order.
fn texts(start: &[u8]) -> Vec<&str> {
    let start = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default(),
    };
    start.split('"').skip(1).step_by(2).collect()
}

/// What a body of `/jsonrpc` calls, as far as its start tells.
fn jsonrpc_class(start: &[u8]) -> Calls {
    let texts = texts(start);
    let service = texts.iter().position(|text| *text == "service").and_then(|at| texts.get(at + 1));
    match service {
        Some(&"common") if texts.iter().any(|text| matches!(*text, "authenticate" | "login")) => Calls::Login,
        Some(&"common" | &"db") => Calls::Description,
        _ => {
            let model = texts.iter().position(|text| schema::model(text).is_some());
            Calls::of_odoo(model.and_then(|at| texts.get(at + 1)).unwrap_or(&""))
        }
    }
}

fn call_kw_class(start: &[u8]) -> Calls {
    let texts = texts(start);
    let named = texts.windows(2).find(|pair| pair[0] == "method" && pair[1] != "call");
    Calls::of_odoo(named.map_or("", |pair| pair[1]))
}

impl server::Site for Site {
    fn peek(&self) -> usize {
        1024
    }

    fn class(&self, head: &Head, start: &[u8]) -> Calls {
        match self.address(head) {
            Address::JsonRpc => jsonrpc_class(start),
            Address::Authenticate => Calls::Login,
            Address::Destroy => Calls::Logout,
            Address::CallKw(Some(method)) => Calls::of_odoo(&method),
            Address::CallKw(None) => call_kw_class(start),
            Address::Json2(path) => Calls::of_odoo(path.get(1).map_or("", String::as_str)),
            Address::SessionInfo
            | Address::SessionCheck
            | Address::VersionInfo
            | Address::Databases
            | Address::Health
            | Address::Version
            | Address::Doc(_)
            | Address::Unknown => Calls::Description,
        }
    }

    fn answer(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        match self.address(&request.head) {
            Address::JsonRpc => self.json_rpc(request, exchange),
            Address::Authenticate => self.authenticate(request, exchange),
            Address::Destroy => self.destroy(request),
            Address::SessionInfo => self.session_info(request),
            Address::SessionCheck => self.session_check(request),
            Address::CallKw(_) => self.call_kw(request, exchange),
            Address::VersionInfo => self.version_info(request),
            Address::Databases => self.databases(request),
            Address::Health => Response::json(200, &serde_json::json!({"status": "pass"})),
            Address::Version => self.json_version(),
            Address::Json2(path) => self.json2(request, exchange, &path),
            Address::Doc(name) => self.doc(&request.head, &name),
            Address::Unknown => Response::html(404, "Not Found"),
        }
    }

    fn expire_session_of(&self, head: &Head) {
        if let Some(id) = head.cookie("session_id") {
            self.sessions.expire(id);
        }
    }

    fn expire_sessions(&self) {
        self.sessions.expire_all();
    }

    fn open_sessions(&self) -> usize {
        self.sessions.count()
    }

    fn record(&self, entity: &str, key: &str) -> Option<Value> {
        let model = schema::model(entity)?;
        let store = self.read();
        let id = match key.parse() {
            Ok(id) => id,
            Err(_) => store.target(key).filter(|target| target.model == Some(model))?.id,
        };
        Some(Reading::everything(model).record(&store, id, store.row(model, id)?))
    }

    fn records(&self, entity: &str) -> Vec<Value> {
        let Some(model) = schema::model(entity) else { return Vec::new() };
        let store = self.read();
        let reading = Reading::everything(model);
        store.table(model).iter().map(|(id, row)| reading.record(&store, id, row)).collect()
    }

    fn api_key(&self, login: &str) -> Option<String> {
        self.accounts.by_login(login).map(|account| account.key.clone())
    }
}

/// The names of all models, for the description.
pub(super) fn model_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    MODELS.iter().map(|model| (model.name, model.title))
}
