//! A stand-in Odoo.
//!
//! The builder is here; [`site`] finds the way of a request, [`jsonrpc`], [`web`] and [`json2`] are the three
//! wires, [`call`] runs a method in a transaction, and the other files serve one method or hold one thing
//! each.

mod account;
mod call;
mod cell;
mod condition;
mod convert;
mod create;
mod doc;
mod domain;
mod environment;
mod json2;
mod jsonrpc;
mod links;
mod load;
mod method;
mod models;
mod python;
mod read;
mod schema;
mod search;
mod seed;
mod session;
mod site;
mod store;
mod transaction;
mod trouble;
mod unlink;
mod web;
mod workers;
mod write;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::faults::{Fault, Faults};
use super::http::Manner;
use super::plan::FaultPlan;
use super::recorder::Recorder;
use super::running::Sandbox;
use super::server::{Server, Shared};
use crate::Result;
use account::Accounts;
use session::Sessions;
use site::Site;
use workers::Workers;

impl Sandbox {
    /// A stand-in Odoo of a version, to be configured and started: 17 speaks `/jsonrpc` and the web session,
    /// 19 JSON-2 as well. Any version from 18 on behaves as 19, but for JSON-2; older ones behave as 17.
    ///
    /// It knows the database `odoo`, the users `admin` with the password `admin` and `demo` with the password
    /// `demo`, who may only read, an API key for each ([`Sandbox::api_key`]), and the models `res.partner`,
    /// `res.partner.category`, `product.template`, `product.category`, `ir.model.data`, `res.users`,
    /// `res.company`, `res.country`, `res.country.state`, `res.lang` and `ir.model`.
    pub fn odoo(version: u8) -> OdooSandbox {
        OdooSandbox::new(version)
    }
}

/// A stand-in Odoo that is not started yet.
///
/// What it keeps of the real one, seen on a server of version 19 unless said:
///
/// - Every request is a transaction: committed before the answer, or rolled back whole. Rolled back
///   creations use up their ids. Two that change the same record at once conflict; so do two that create
///   children of the same parent.
/// - The server tries a conflict again, up to five times, with a pause; `load` does not, and answers with the
///   message `could not serialize access due to concurrent update`.
/// - JSON-RPC answers errors with 200 and the code 0 (200 in version 17), 100 for a session that is not,
///   404 for an unknown model; `None` has no `result`; what is raised before the body is read has the id `null`.
/// - JSON-2 answers with the status of the exception: 401, 403, 404, 422, and 500 for mistakes of the
///   programmer. It takes a chunked body for an empty one.
/// - `create` of a list returns the ids in its order; of a dictionary, one id over JSON-RPC and a list over
///   JSON-2. Nothing tells which row of a list was wrong. `load` does, up to ten errors.
/// - Ten wrong passwords at the web sign-in close it for a minute, the right password included; the other
///   wires go on.
/// - Signing in again with the old cookie ends the old session at once.
/// - The bare server closes the connection after each answer: HTTP/1.1 with threads, HTTP/1.0 with
///   [`workers`](Self::workers).
///
/// Some facts are weak, and chosen here: the texts of version 17, those of [`load`'s
/// conversions](https://github.com/odoo/odoo/blob/19.0/odoo/addons/base/models/ir_fields.py), and the error of
/// a relation to a record that is not there (`MissingError`).
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use batchcall::sandbox::Sandbox;
///
/// let sandbox = Sandbox::odoo(19).start()?;
/// let key = sandbox.api_key("admin").unwrap();
/// let body = r#"{"vals_list": [{"name": "Azure Interior"}, {"name": "Deco Addict"}]}"#;
///
/// let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
/// let head = "POST /json/2/res.partner/create HTTP/1.1\r\nContent-Type: application/json";
/// write!(stream, "{head}\r\nAuthorization: bearer {key}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer).unwrap();
///
/// assert!(answer.ends_with("\r\n\r\n[7,8]"));
/// assert_eq!(sandbox.record("res.partner", "8").unwrap()["name"], "Deco Addict");
/// assert_eq!(sandbox.history().effects().count(), 2);
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct OdooSandbox {
    port: u16,
    seed: u64,
    faults: Faults,
    serialization_failures: f64,
    workers: Option<usize>,
    keep_alive: Option<Duration>,
    max_body: usize,
    cooldown: Duration,
    session_idle: Duration,
    users: Vec<seed::User>,
    keys: Vec<(String, String)>,
    partners: usize,
    record_requests: bool,
    settings: Settings,
}

/// What the handlers need to know.
#[derive(Clone)]
struct Settings {
    version: u8,
    database: String,
    other_databases: Vec<String>,
    latency: Duration,
    row_cost: Duration,
    retry_pause: Duration,
}

impl OdooSandbox {
    fn new(version: u8) -> Self {
        Self {
            port: 0,
            seed: 0,
            faults: Faults::none(),
            serialization_failures: 0.0,
            workers: None,
            keep_alive: None,
            max_body: 128 * 1024 * 1024,
            cooldown: Duration::from_secs(60),
            session_idle: Duration::from_secs(7 * 24 * 3600),
            users: vec![("admin".into(), "admin".into(), false), ("demo".into(), "demo".into(), true)],
            keys: Vec::new(),
            partners: 0,
            record_requests: true,
            settings: Settings {
                version,
                database: "odoo".into(),
                other_databases: Vec::new(),
                latency: Duration::ZERO,
                row_cost: Duration::ZERO,
                retry_pause: call::RETRY_PAUSE,
            },
        }
    }

    /// The port to listen on; 0 takes a free one. Defaults to 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long the server works on each call and each sign-in. Defaults to zero.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// How long it works on each row that a call creates, writes, loads or deletes, on top of the
    /// [`latency`](Self::latency). Defaults to zero.
    pub fn row_cost(mut self, cost: Duration) -> Self {
        self.settings.row_cost = cost;
        self
    }

    /// How many calls are served at once, as many as there are worker processes; more wait. Defaults to no
    /// limit, as with threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers.max(1));
        self
    }

    /// Keeps connections open until they were silent for this long, as a proxy in front does. Defaults to
    /// closing each after its answer, as the bare server does.
    pub fn keep_alive(mut self, silence: Duration) -> Self {
        self.keep_alive = Some(silence.max(Duration::from_millis(1)));
        self
    }

    /// The longest body, in bytes: a longer one gets 413. Defaults to 128 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long the web sign-in lets nobody in after ten wrong passwords. Defaults to 60 seconds.
    pub fn cooldown(mut self, time: Duration) -> Self {
        self.cooldown = time;
        self
    }

    /// How long a web session lives without a request. Defaults to 7 days.
    pub fn session_idle(mut self, idle: Duration) -> Self {
        self.session_idle = idle;
        self
    }

    /// What goes wrong. Defaults to nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// With this probability a data request meets a concurrent update: the server tries it again, and a `load`
    /// fails. It is [`Fault::SerializationFailure`] after all other [`faults`](Self::faults). Defaults to 0.
    pub fn serialization_failures(mut self, probability: f64) -> Self {
        self.serialization_failures = probability;
        self
    }

    /// The pause before the server tries again after a conflict: a random time up to this, times 2 before
    /// the first try, 4 before the next and so on. Defaults to 1 second, as the real one has it.
    pub fn retry_pause(mut self, pause: Duration) -> Self {
        self.settings.retry_pause = pause;
        self
    }

    /// The seed of the faults. Defaults to 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The name of the database. Defaults to `odoo`.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.settings.database = name.into();
        self
    }

    /// Adds a database that nobody can sign in to: with more than one, JSON-2 needs the header
    /// `X-Odoo-Database`. Defaults to none.
    pub fn other_database(mut self, name: impl Into<String>) -> Self {
        self.settings.other_databases.push(name.into());
        self
    }

    /// Adds a user who may do everything. Defaults to `admin` with the password `admin`, who stays.
    pub fn user(self, login: impl Into<String>, password: impl Into<String>) -> Self {
        self.any_user(login.into(), password.into(), false)
    }

    /// Adds a user who may only read. Defaults to `demo` with the password `demo`, who stays.
    pub fn limited_user(self, login: impl Into<String>, password: impl Into<String>) -> Self {
        self.any_user(login.into(), password.into(), true)
    }

    fn any_user(mut self, login: String, password: String, is_limited: bool) -> Self {
        match self.users.iter_mut().find(|user| user.0 == login) {
            Some(user) => *user = (login, password, is_limited),
            None => self.users.push((login, password, is_limited)),
        }
        self
    }

    /// The API key of a user. Defaults to a random one for each, which [`Sandbox::api_key`] tells.
    pub fn api_key(mut self, login: impl Into<String>, key: impl Into<String>) -> Self {
        self.keys.push((login.into(), key.into()));
        self
    }

    /// How many partners there are at the start, besides those of the company and the users. Defaults to none.
    pub fn partners(mut self, partners: usize) -> Self {
        self.partners = partners;
        self
    }

    /// Whether the history keeps each request; a benchmark of millions may not want it. Defaults to `true`.
    pub fn record_requests(mut self, record: bool) -> Self {
        self.record_requests = record;
        self
    }

    /// Starts the server on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) if the port is taken.
    pub fn start(self) -> Result<Sandbox> {
        let recorder = Arc::new(Recorder::new());
        recorder.keep_requests(self.record_requests);
        let (store, mut accounts) = seed::database(&self.users, self.partners);
        for (login, key) in self.keys {
            for account in accounts.iter_mut().filter(|account| account.login == login) {
                account.key.clone_from(&key);
            }
        }
        let site = Site::new(
            self.settings,
            Accounts::new(accounts, self.cooldown),
            Sessions::new(self.session_idle, Arc::clone(&recorder)),
            Workers::new(self.workers),
            store,
            Arc::clone(&recorder),
        );
        let mut faults = self.faults;
        if self.serialization_failures > 0.0 {
            faults = faults.rate(self.serialization_failures, Fault::SerializationFailure(1));
        }
        let is_kept = self.keep_alive.is_some();
        let shared = Shared {
            site: Arc::new(site),
            recorder,
            faults: RwLock::new(Arc::new(FaultPlan::new(faults, self.seed))),
            requests: AtomicU64::new(0),
            keep_alive: self.keep_alive,
            longest_body: self.max_body,
            manner: Manner {
                // A worker process answers with the older version, a thread or a proxy with the newer one.
                version: if self.workers.is_some() && !is_kept { "HTTP/1.0" } else { "HTTP/1.1" },
                server: "Werkzeug/3.0.1 Python/3.12.3",
                closes: !is_kept,
            },
        };
        Ok(Sandbox::new(Server::start(self.port, shared)?, "", self.seed))
    }
}

impl fmt::Debug for OdooSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No users and keys: they may be copies of real ones.
        f.debug_struct("OdooSandbox")
            .field("version", &self.settings.version)
            .field("port", &self.port)
            .field("database", &self.settings.database)
            .field("latency", &self.settings.latency)
            .field("row_cost", &self.settings.row_cost)
            .field("workers", &self.workers)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
