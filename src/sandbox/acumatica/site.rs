//! The way of a request: address, licence, session, handler.

use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use std::time::Instant;

use serde_json::Value;

use super::Settings;
use super::action::Pending;
use super::envelope::{self, Place, Show};
use super::errors;
use super::licence::Licence;
use super::oauth::Tokens;
use super::options::{Dialect, Options};
use super::record::Store;
use super::schema;
use super::session::{Session, Sessions};
use crate::sandbox::faults::Calls;
use crate::sandbox::http::{Head, Request, Response, decode};
use crate::sandbox::lock;
use crate::sandbox::recorder::Recorder;
use crate::sandbox::server::{self, Exchange};

/// The ERP: all of its state.
pub(super) struct Site {
    pub(super) settings: Settings,
    pub(super) sessions: Sessions,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) pending: Mutex<Vec<Pending>>,
    pub(super) recorder: Arc<Recorder>,
    licence: Licence,
    store: RwLock<Store>,
    expire_after: Option<u64>,
}

/// The versions of the endpoint `Default`.
pub(super) const VERSIONS: [(&str, Dialect); 3] =
    [("20.200.001", Dialect::Four), ("24.200.001", Dialect::Four), ("26.200.001", Dialect::Five)];

/// A request on the endpoint, once its session is known.
pub(super) struct Visit<'a> {
    pub(super) request: &'a Request,
    pub(super) session: &'a Session,
    /// The number of the request.
    pub(super) number: u64,
    /// `/Inst/entity/Default/24.200.001`.
    pub(super) endpoint: &'a str,
    pub(super) dialect: Dialect,
}

impl Visit<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        Place { endpoint: self.endpoint, dialect: self.dialect }
    }
}

/// Where a request goes.
enum Address {
    Login,
    Logout,
    Endpoints,
    Identity(String),
    ErrorPage,
    /// Name, version, and the rest of the path.
    Endpoint(String, String, Vec<String>),
    /// The tenant and the name of a generic inquiry.
    Inquiry(String, String),
    Unknown,
}

impl Site {
    pub(super) fn new(
        settings: Settings,
        sessions: Sessions,
        licence: Licence,
        store: Store,
        expire_after: Option<u64>,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self {
            settings,
            sessions,
            tokens: Mutex::default(),
            pending: Mutex::default(),
            recorder,
            licence,
            store: RwLock::new(store),
            expire_after,
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn address(&self, head: &Head) -> Address {
        // IIS decodes the path before it is cut into segments: an encoded slash in a key cuts it as well,
        // which is why the guide sends such keys by GUID.
        let path = decode(head.path());
        let base = &self.settings.base_path;
        let Some(path) = path
            .get(..base.len())
            .filter(|start| start.eq_ignore_ascii_case(base))
            .map(|_| &path[base.len()..])
        else {
            return Address::Unknown;
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let is = |at: usize, name: &str| {
            segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(name))
        };
        let owned = |at: usize| segments[at].to_owned();
        match segments.as_slice() {
            [_] | [_, ""] if is(0, "entity") => Address::Endpoints,
            [_, _, _] if is(0, "entity") && is(1, "auth") && is(2, "login") => Address::Login,
            [_, _, _] if is(0, "entity") && is(1, "auth") && is(2, "logout") => Address::Logout,
            [_, _, _, rest @ ..] if is(0, "entity") => {
                Address::Endpoint(owned(1), owned(2), rest.iter().map(|s| (*s).to_owned()).collect())
            }
            [_, _, _, _, _, _] if is(0, "t") && is(2, "api") && is(3, "odata") && is(4, "gi") => {
                Address::Inquiry(owned(1), owned(5))
            }
            [_, _, _] if is(0, "odata") => Address::Inquiry(owned(1), owned(2)),
            [_, ..] if is(0, "identity") => Address::Identity(segments[1..].join("/")),
            [_, _] if is(0, "frames") && is(1, "error.aspx") => Address::ErrorPage,
            _ => Address::Unknown,
        }
    }

    fn serve(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        let address = self.address(&request.head);
        if matches!(address, Address::Logout) {
            // "Processed at once, outside of the queue", Integration Development Guide 2026 R1.
            return self.logout(request);
        }
        let Ok(_core) = self.licence.admit(exchange.stop) else {
            return errors::message(429, "The request was declined: the limits of the licence are exceeded.");
        };
        match address {
            Address::Logout | Address::Unknown => Response::html(404, "Not Found"),
            Address::ErrorPage => Response::html(200, "Error"),
            Address::Login => {
                self.work(exchange);
                self.login(request)
            }
            Address::Identity(what) => {
                self.work(exchange);
                self.identity(request, &what)
            }
            Address::Endpoints => self.endpoints(),
            Address::Inquiry(tenant, name) => {
                self.work(exchange);
                self.inquiry(request, &tenant, &name)
            }
            Address::Endpoint(name, version, rest) => {
                self.endpoint(request, exchange, &name, &version, &rest)
            }
        }
    }

    fn work(&self, exchange: &Exchange<'_>) {
        if !self.settings.latency.is_zero() {
            exchange.stop.sleep(self.settings.latency);
        }
    }

    fn endpoint(
        &self,
        request: &Request,
        exchange: &mut Exchange<'_>,
        name: &str,
        version: &str,
        rest: &[String],
    ) -> Response {
        let (session, is_new) = match self.session_of(&request.head) {
            Ok(found) => found,
            Err(response) => return response,
        };
        exchange.under_way.belongs_to(session.number);
        let gate = lock(&session.gate);
        let started = Instant::now();
        if session.has_ended() {
            return errors::unauthorized();
        }
        if let Some(most) = self.expire_after
            && server::Site::class(self, &request.head, &[]).is_data()
            && session.served.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= most
        {
            self.sessions.expire(&session.id);
            return errors::unauthorized();
        }
        self.work(exchange);
        if exchange.stop.is_stopped() {
            // A killed server applies nothing more; nobody reads this answer.
            return Response::html(503, "Service Unavailable");
        }
        self.settle();
        let known =
            VERSIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case("Default") && *known == version);
        let Some((version, dialect)) = known else { return Response::html(404, "Not Found") };
        let endpoint = format!("{}/entity/Default/{version}", self.settings.base_path);
        let visit = Visit {
            request,
            session: &session,
            number: exchange.number,
            endpoint: &endpoint,
            dialect: *dialect,
        };
        let mut response = self.visit(&visit, rest);
        drop(gate);
        if is_new {
            response.headers.extend(self.cookies(&session));
        }
        // `st` looks like the server's time in milliseconds (recorded traffic 2023).
        let millis = started.elapsed().as_millis();
        response.header(
            "Set-Cookie",
            format!("requeststat=+st:{millis}+sc:~{}+start:0+tg:; path=/", request.head.path()),
        )
    }

    /// Serves a request on the endpoint, with the session's gate held.
    fn visit(&self, visit: &Visit<'_>, rest: &[String]) -> Response {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let method = visit.request.head.method.as_str();
        match (method, rest.as_slice()) {
            ("GET", ["swagger.json"]) => super::swagger::describe(visit.place()),
            ("GET", ["files", id]) => self.download(id),
            ("PUT" | "POST", ["files", _, entity, id, name]) => self.upload(visit, entity, &[*id], name),
            (_, [name, rest @ ..]) => {
                if let Some(inquiry) = inquiry_entity(name) {
                    return self.inquiry_entity(visit, inquiry, rest);
                }
                if name.eq_ignore_ascii_case(super::process::FORM) {
                    return self.process(visit, rest);
                }
                if name.eq_ignore_ascii_case(super::process::REPORT) {
                    return self.report(visit, rest);
                }
                let Some(entity) = schema::entity(name) else { return Response::html(404, "Not Found") };
                if self.settings.forbidden.iter().any(|name| name.eq_ignore_ascii_case(entity.name())) {
                    return errors::forbidden(entity.title, entity.screen);
                }
                if let [_, "status", id] = rest {
                    return self.action_status(visit, id);
                }
                if self.is_busy(visit.session, entity) {
                    // "Until it is done, other requests of the same session on that form fail", Integration
                    // Development Guide 2026 R1.
                    return errors::exception(
                        "PX.Data.PXException",
                        "Error: The previous operation has not been completed yet.",
                    );
                }
                match (method, rest) {
                    ("GET", ["$adHocSchema"]) => super::describe::ad_hoc_schema(entity),
                    ("GET", [] | [""]) => self.list(visit, entity),
                    ("PUT", []) => self.put(visit, entity, false),
                    ("PATCH", []) => self.put(visit, entity, true),
                    ("POST", [action]) => self.run(visit, entity, action),
                    ("PUT" | "POST", [keys @ .., "files", name]) if !keys.is_empty() => {
                        self.upload(visit, entity.name(), keys, name)
                    }
                    ("GET", keys) => self.get(visit, entity, keys),
                    ("DELETE", keys) if !keys.is_empty() => self.delete(visit, entity, keys),
                    _ => errors::message(405, "The requested resource does not support this method."),
                }
            }
            _ => Response::html(404, "Not Found"),
        }
    }
}

fn inquiry_entity(name: &str) -> Option<&'static schema::Inquiry> {
    schema::INQUIRIES
        .iter()
        .find(|inquiry| inquiry.endpoint.is_some_and(|(endpoint, ..)| endpoint.eq_ignore_ascii_case(name)))
}

impl server::Site for Site {
    fn class(&self, head: &Head, _start: &[u8]) -> Calls {
        match self.address(head) {
            Address::Login => Calls::Login,
            Address::Logout => Calls::Logout,
            Address::Identity(_) => Calls::Token,
            Address::Endpoints | Address::ErrorPage | Address::Unknown => Calls::Description,
            Address::Endpoint(_, _, rest)
                if rest.last().is_some_and(|last| last == "swagger.json" || last == "$adHocSchema") =>
            {
                Calls::Description
            }
            Address::Inquiry(_, name) if name == "$metadata" => Calls::Description,
            Address::Endpoint(..) | Address::Inquiry(..) => Calls::of_method(&head.method),
        }
    }

    fn answer(&self, request: &Request, exchange: &mut Exchange<'_>) -> Response {
        self.serve(request, exchange)
    }

    fn expire_session_of(&self, head: &Head) {
        if let Some(id) = self.session_id(head) {
            self.sessions.expire(&id);
        }
    }

    fn expire_sessions(&self) {
        self.sessions.expire_all();
    }

    fn open_sessions(&self) -> usize {
        self.sessions.count()
    }

    fn record(&self, entity: &str, key: &str) -> Option<Value> {
        self.settle();
        let entity = schema::entity(entity)?;
        let store = self.read();
        let record = store.table(entity)?.get(key)?;
        Some(envelope::record(record, entity, &Options::default(), Show::Everything, PLACE))
    }

    fn records(&self, entity: &str) -> Vec<Value> {
        self.settle();
        let Some(entity) = schema::entity(entity) else { return Vec::new() };
        let store = self.read();
        let records = store.table(entity).into_iter().flat_map(super::record::Table::iter);
        records
            .map(|record| envelope::record(record, entity, &Options::default(), Show::Everything, PLACE))
            .collect()
    }
}

/// Where tests look at records from.
const PLACE: Place<'static> = Place { endpoint: "/entity/Default/24.200.001", dialect: Dialect::Four };
